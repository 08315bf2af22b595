"""The energy distance between two collections."""

from __future__ import annotations

import math

import numpy as np

from .._backend import astype, is_tensor, namespace
from .._typing import ArrayLike
from .similarity import _squared_distances, _torch_distances, batches, check_two

_CHUNK = 2**19  # distances held at a time: 4 MB in float64, a few times over


def energy_distance(X: ArrayLike, Y: ArrayLike, *, normalized: bool = False) -> float:
    r"""Energy distance between two collections of points, which need not be paired nor equal in number.

    .. math:: E = \frac{2}{nm} \sum_{ij} \lVert x_i - y_j \rVert
        - \frac{1}{n^2} \sum_{ij} \lVert x_i - x_j \rVert - \frac{1}{m^2} \sum_{ij} \lVert y_i - y_j \rVert

    It tells whether two collections lie alike in one space, after one was aligned with the other, where nobody knows
    the true pairs. It says nothing about which point lies on which.

    Parameters
    ----------
    X : {array-like, sparse matrix, torch tensor} of shape (n, d)
        Points of the one collection.
    Y : {array-like, sparse matrix, torch tensor} of shape (m, d)
        Points of the other.
    normalized : bool, default=False
        Divide by the first of the three terms: the result is then free of units, between 0 and 1.

    Returns
    -------
    float
        At least 0, and 0 only where both collections hold the same points in the same proportions. Without
        `normalized` it is in the units of the data. Two samples of one distribution are apart by about 1/n + 1/m times
        their mean distance: compare values of samples of the same sizes.

    Raises
    ------
    ValueError
        For NaN or infinity, and collections of different width.

    Notes
    -----
    Distances are Euclidean, summed in float64; no more than half a million are held at a time. Tensors are computed on
    where they are.

    References
    ----------
    G. J. Székely and M. L. Rizzo, "Energy statistics: a class of statistics based on distances", J. Statistical
    Planning and Inference 143(8), 2013.

    Examples
    --------
    >>> from skalign.metrics import energy_distance
    >>> energy_distance([[0.0], [2.0]], [[1.0]])
    1.0
    >>> energy_distance([[0.0], [2.0]], [[1.0]], normalized=True)
    0.5
    """
    X, Y = check_two(X, Y)
    if is_tensor(X):
        X, Y = (astype(Z.detach(), namespace(Z).float64) for Z in (X, Y))
    # A power of two, in which rounding stays what it is, and squares neither overflow nor vanish.
    unit = 2.0 ** (math.frexp(max(float(abs(Z).max()) for Z in (X, Y)))[1] - 1)
    X, Y = X / unit, Y / unit
    n, m = X.shape[0], Y.shape[0]
    across = 2.0 * _sum_of_distances(X, Y) / (n * m)
    energy = max(across - _sum_within(X) / n**2 - _sum_within(Y) / m**2, 0.0)  # rounding may leave it below zero
    if not normalized:
        return energy * unit
    return energy / across if across > 0 else 0.0


def _sum_of_distances(X, Y):
    if is_tensor(X):
        parts = (_torch_distances(X[rows], Y, p=2) for rows in batches(X.shape[0], _CHUNK // Y.shape[0]))
    else:
        parts = (np.sqrt(_squared_distances(X[rows], Y)) for rows in batches(X.shape[0], _CHUNK // Y.shape[0]))
    return sum(float(part.sum()) for part in parts)


def _sum_within(X):
    """The sum over all pairs of rows of one table; every pair is computed once."""
    n = X.shape[0]
    total = 0.0
    for rows in batches(n, _CHUNK // n):
        total += _sum_of_distances(X[rows], X[rows])
        if rows.stop < n:
            total += 2.0 * _sum_of_distances(X[rows], X[rows.stop :])
    return total
