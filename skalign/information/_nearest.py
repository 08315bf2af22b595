"""Mutual information from distances to nearest neighbours."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

_MANY_DIMENSIONS = 5


def neighbor_information(X, Y, n_neighbors=3):
    r"""Mutual information of two continuous views, from numbers of neighbours within the same distance.

    Parameters
    ----------
    X, Y : arrays of shape (n, p) and (n, q)
        Paired rows, finite.
    n_neighbors : int, default=3
        Neighbours k of every row in both views together.

    Returns
    -------
    float
        :math:`\psi(k) + \psi(n) - \langle \psi(n_x + 1) + \psi(n_y + 1) \rangle` in nats, where :math:`n_x` and
        :math:`n_y` count the rows that are nearer than the k-th neighbour in one view. Below 0 by chance.

    Raises
    ------
    ValueError
        For no more rows than neighbours, and where more than `n_neighbors` rows coincide.

    Warns
    -----
    UserWarning
        Beyond 5 columns, where distances tell little and the estimate is far too low.

    References
    ----------
    .. [1] A. Kraskov, H. Stögbauer, P. Grassberger, "Estimating mutual information", Physical Review E 69, 2004.
    """
    n = len(X)
    if n <= n_neighbors:
        raise ValueError(f"n_neighbors={n_neighbors} needs more than {n_neighbors} rows, but there are {n}.")
    width = max(X.shape[1], Y.shape[1])
    if width > _MANY_DIMENSIONS:
        warnings.warn(
            f"A view has {width} columns: beyond about {_MANY_DIMENSIONS} the estimate from nearest neighbours is far "
            "too low. Take another method, or reduce the views first.",
            UserWarning,
            stacklevel=2,
        )
    X, Y = (standardized(Z) for Z in (X, Y))
    radius = cKDTree(np.hstack([X, Y])).query(np.hstack([X, Y]), k=n_neighbors + 1, p=np.inf)[0][:, -1]
    if not radius.all():
        raise ValueError(
            f"{np.count_nonzero(radius == 0)} rows coincide with {n_neighbors} others or more: nearest neighbours are "
            "for continuous views. For discrete ones count, or take method='infonce'."
        )
    radius = np.nextafter(radius, 0.0)  # those at the distance itself do not count
    counts = [cKDTree(Z).query_ball_point(Z, radius, p=np.inf, return_length=True) for Z in (X, Y)]  # with the row
    return float(digamma(n_neighbors) + digamma(n) - sum(digamma(count).mean() for count in counts))


def standardized(Z):
    """Columns of comparable spread: none would be felt beside a much wider one."""
    Z = np.asarray(Z, dtype=np.float64)
    Z = Z - Z.mean(axis=0)
    largest = np.abs(Z).max(axis=0)
    Z = Z / np.where(largest > 0, largest, 1.0)  # squares neither overflow nor vanish
    spread = Z.std(axis=0)
    return Z / np.where(spread > 0, spread, 1.0)
