"""Means and co-moments of several views, at once or in chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._backend import astype, like, namespace, to_numpy

_EPS = np.finfo(np.float64).eps
SHRINKAGE_RULES = ("auto", "ledoit_wolf", "oas")


def center(X, weights=None, origin=None):
    """Centre the columns of a view in float64, by two passes.

    Parameters
    ----------
    X : array of shape (n, p)
        One view.
    weights : array of shape (n,), default=None
        Weight of every row.
    origin : array of shape (p,), default=None
        Point that the mean is measured from, in float64: near the data it keeps the digits that a large mean hides.

    Returns
    -------
    centered : array of shape (n, p)
        ``sqrt(w) * (X - mean)``, the one copy of the data; columns that are constant up to rounding are exactly zero.
    mean : array of shape (p,)
        The mean, less `origin` where one is given.
    """
    xp = namespace(X)
    share = _shares(X, weights)
    start = share @ astype(X, xp.float64) if origin is None else origin
    centered = X - start
    rest = share @ centered  # what rounding left of the first pass: felt where the mean is large beside the spread
    scale = xp.abs(start + rest)
    # Some rows bound the variance from below; nearly always that is enough to see that nothing is to be mended.
    bound = column_squares(centered[:64]) / X.shape[0]
    if weights is not None or not bool(xp.all((bound > (4 * _EPS * scale) ** 2) & (rest**2 <= 1e-20 * bound))):
        variance = share @ (centered * centered) - rest**2
        constant = variance <= (4 * _EPS * scale) ** 2
        if bool(xp.any(~constant & (rest**2 > 1e-20 * variance))):
            centered -= rest
        if bool(xp.any(constant)):
            centered[:, constant] = 0.0
    if weights is not None:
        centered *= xp.sqrt(weights)[:, None]
    return centered, rest if origin is not None else start + rest


def column_means(X, weights=None):
    """Means of the columns in float64."""
    return _shares(X, weights) @ astype(X, namespace(X).float64)


def column_squares(X):
    """Sums of squares of the columns, without another array of the size of `X`."""
    return namespace(X).einsum("ij,ij->j", X, X)


def _shares(X, weights):
    xp = namespace(X)
    if weights is None:
        return like(np.full(X.shape[0], 1.0 / X.shape[0]), X)
    return weights / xp.sum(weights)


@dataclass
class Moments:
    """Weighted sums of several views: enough to align them, whatever the number of rows.

    Parameters
    ----------
    weight : float
        Sum of the weights of the rows; their number without weights.
    n_rows : int
        Rows of a positive weight.
    origins : list of arrays of shape (p_i,)
        Points near the data, fixed by the first rows.
    shifts : list of arrays of shape (p_i,)
        Means of every view less the origins.
    blocks : dict of (int, int) to array of shape (p_i, p_j)
        Sums of products of centred columns, for every i <= j.
    """

    weight: float
    n_rows: int
    origins: list
    shifts: list
    blocks: dict

    @classmethod
    def of(cls, centered, origins, weight, n_rows, shifts=None):
        """The moments of views that `center` has centred; without `shifts`, `origins` are their means."""
        if shifts is None:
            shifts = [0.0 * origin for origin in origins]
        m = len(centered)
        blocks = {(i, j): centered[i].T @ centered[j] for i in range(m) for j in range(i, m)}
        return cls(weight, n_rows, list(origins), list(shifts), blocks)

    def merged(self, other):
        """The moments of the rows of both (Chan, Golub and LeVeque 1983), of the same origins; neither is altered."""
        weight = self.weight + other.weight
        step = other.weight / weight
        gaps = [b - a for a, b in zip(self.shifts, other.shifts)]
        shifts = [a + step * gap for a, gap in zip(self.shifts, gaps)]
        between = self.weight * step
        blocks = {
            (i, j): self.blocks[i, j] + other.blocks[i, j] + between * gaps[i][:, None] * gaps[j][None, :]
            for i, j in self.blocks
        }
        return Moments(weight, self.n_rows + other.n_rows, self.origins, shifts, blocks)

    @property
    def means(self):
        """Mean of every view."""
        return [origin + shift for origin, shift in zip(self.origins, self.shifts)]

    def covariance(self, i, j):
        """Covariance (ddof 0) of the columns of views i and j."""
        return self.blocks[i, j] / self.weight if i <= j else self.blocks[j, i].T / self.weight

    def trace(self, i):
        """Total variance of view i."""
        xp = namespace(self.shifts[i])
        return float(xp.linalg.trace(self.blocks[i, i])) / self.weight


def ledoit_wolf_shrinkage(centered, weight, covariance=None):
    """The shrinkage towards ``tr(C)/p I`` with the least expected squared error of the covariance matrix.

    Parameters
    ----------
    centered : array of shape (n, p)
        A view as `center` returns it.
    weight : float
        Sum of the weights.
    covariance : array of shape (p, p), default=None
        Its covariance, where it is at hand.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    .. [1] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
       Multivariate Analysis 88(2), 2004.
    """
    xp = namespace(centered)
    p = centered.shape[1]
    squares = xp.einsum("ij,ij->i", centered, centered)
    trace = float(xp.sum(squares)) / weight
    if not trace > 0:
        return 0.0
    if covariance is None:
        covariance = (centered.T @ centered if p <= centered.shape[0] else centered @ centered.T) / weight
    norm = float(xp.sum((covariance / trace) ** 2))
    fourth = float(xp.sum((squares / trace) ** 2)) / weight
    distance = norm - 1.0 / p
    error = min((fourth - norm) / weight, distance)
    return 0.0 if error <= 0 or distance <= 0 else error / distance


def oas_shrinkage(covariance, weight):
    """The oracle approximating shrinkage towards ``tr(C)/p I``, for Gaussian data.

    Parameters
    ----------
    covariance : array of shape (p, p)
        Covariance of a view.
    weight : float
        Number of rows.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    .. [1] Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE
       Transactions on Signal Processing 58(10), 2010.
    """
    xp = namespace(covariance)
    p = covariance.shape[0]
    mean_variance = float(xp.linalg.trace(covariance)) / p
    if not mean_variance > 0:
        return 0.0
    alpha = float(xp.mean((covariance / mean_variance) ** 2))
    numerator = alpha + 1.0
    denominator = (weight + 1.0) * (alpha - 1.0 / p)
    return 1.0 if denominator <= 0 else min(numerator / denominator, 1.0)


def chosen_shrinkage(shrinkage, X, C, weight):
    """The shrinkage of one centred view, a number or by one of `SHRINKAGE_RULES`."""
    if shrinkage in ("auto", "ledoit_wolf"):
        return ledoit_wolf_shrinkage(X, weight, C)
    if shrinkage == "oas":
        return oas_shrinkage(X.T @ X / weight if C is None else C, weight)
    return float(shrinkage)


def row_weights(sample_weight, n, like_array):
    """Checked sample weights in the namespace of the data, or None."""
    if sample_weight is None:
        return None
    weights = np.asarray(to_numpy(sample_weight), dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n, weights)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has shape {weights.shape}, expected ({n},): one weight for every sample.")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must be finite and not negative, and not all zero.")
    return astype(like(weights, like_array), namespace(like_array).float64)
