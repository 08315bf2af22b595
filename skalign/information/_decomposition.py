"""Shared, unique and synergistic information of two discrete sources about a target."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch, check_array

from .._typing import ArrayLike
from ._unique_information import least_synergy


def partial_information_decomposition(p: ArrayLike) -> Bunch:
    r"""Split what two sources say of a target into shared, unique and synergistic information.

    :math:`I(X_1, X_2; Y) = R + U_1 + U_2 + S` and :math:`I(X_i; Y) = R + U_i`, where the unique information is the
    least that is possible for the given distributions of :math:`(X_1, Y)` and :math:`(X_2, Y)` [1]_.

    Parameters
    ----------
    p : array-like of shape (n1, n2, n_y)
        Joint probabilities p[x1, x2, y], or counts, which are divided by their sum.

    Returns
    -------
    Bunch
        - redundancy, unique1, unique2, synergy : float, in nats, none below 0 but for rounding
        - information1, information2, information : float, I(X1; Y), I(X2; Y) and I(X1, X2; Y)
        - table : ndarray of shape (n1, n2, n_y), the joint distribution with the same two marginals and no more
          synergy than they force

    Raises
    ------
    ValueError
        For a table that is not three-dimensional, or with entries that are negative or not finite, or all zero.

    See Also
    --------
    multiview_redundancy : The same for data.

    Notes
    -----
    The convex programme of [1]_ is solved by an interior-point method to 1e-7 nats or better.

    References
    ----------
    .. [1] N. Bertschinger, J. Rauh, E. Olbrich, J. Jost, N. Ay, "Quantifying unique information", Entropy 16, 2014.

    Examples
    --------
    The target is the logical AND of two fair coins:

    >>> import numpy as np
    >>> from skalign.information import partial_information_decomposition
    >>> p = np.zeros((2, 2, 2))
    >>> for a in (0, 1):
    ...     for b in (0, 1):
    ...         p[a, b, a and b] = 1 / 4
    >>> split = partial_information_decomposition(p)
    >>> bits = [split.redundancy, split.unique1, split.unique2, split.synergy] / np.log(2)
    >>> print(", ".join(f"{abs(b):.3f}" for b in bits))
    0.311, 0.000, 0.000, 0.500
    """
    p = check_array(p, dtype=np.float64, allow_nd=True, ensure_2d=False, ensure_all_finite=False)
    if p.ndim != 3:
        raise ValueError(f"p must be a table p[x1, x2, y] of three dimensions, got shape {p.shape}.")
    if not np.isfinite(p).all() or (p < 0).any() or not p.any():
        raise ValueError("p must hold finite numbers that are not negative, and not all zero.")
    p = p / p.max()  # a sum of huge counts would overflow
    p = p / p.sum()
    q = least_synergy(p)
    first, second = p.sum(axis=1), p.sum(axis=0)
    information1, information2 = table_information(first), table_information(second)
    information, least = (table_information(table.reshape(-1, p.shape[2])) for table in (p, q))
    unique1, unique2 = least - information2, least - information1
    return Bunch(
        redundancy=information1 - unique1,
        unique1=unique1,
        unique2=unique2,
        synergy=information - least,
        information1=information1,
        information2=information2,
        information=information,
        table=q,
    )


def table_information(table):
    """Mutual information of rows and columns of a table of probabilities, in nats."""
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    there = table > 0
    return float((table[there] * np.log(table[there] / expected[there])).sum())
