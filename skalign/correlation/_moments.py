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


def center_tables(tables, weights=None, origins=None):
    """Centre several views and count their rows.

    Parameters
    ----------
    tables : list of arrays of shape (n, p_i)
        The views.
    weights : array of shape (n,), default=None
        Weight of every row.
    origins : list of arrays of shape (p_i,), default=None
        Points that the means are measured from; the means of these rows where none are given.

    Returns
    -------
    centered, origins, shifts, weight, n_rows
        The first three are lists over the views; see `center` and `Moments`.
    """
    n_rows = tables[0].shape[0] if weights is None else int(namespace(weights).sum(weights > 0))
    weight = float(n_rows if weights is None else namespace(weights).sum(weights))
    if origins is None:
        origins = [column_means(X, weights) for X in tables]
    centered, shifts = zip(*(center(X, weights, origin) for X, origin in zip(tables, origins)))
    return centered, origins, shifts, weight, n_rows


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
        Points near the data.
    shifts : list of arrays of shape (p_i,)
        Means of every view less the origins.
    blocks : dict of (int, int) to array of shape (p_i, p_j)
        Sums of products of centred columns, for every i <= j, or for those pairs that somebody wants.
    quartics : list of (array of shape (p_i,), float), or None
        For every view the sums of ``|row|**2 * row`` and of ``|row|**4`` over centred rows.
    """

    weight: float
    n_rows: int
    origins: list
    shifts: list
    blocks: dict
    quartics: list | None = None

    @classmethod
    def of(cls, centered, origins, weight, n_rows, shifts=None, pairs=None):
        """The moments of views that `center` has centred; without `shifts`, `origins` are their means."""
        if shifts is None:
            shifts = [0.0 * origin for origin in origins]
        m = len(centered)
        pairs = [(i, j) for i in range(m) for j in range(i, m)] if pairs is None else pairs
        blocks = {(i, j): centered[i].T @ centered[j] for i, j in pairs}
        return cls(weight, n_rows, list(origins), list(shifts), blocks)

    def merged(self, other):
        """The moments of the rows of both (Chan, Golub and LeVeque 1983); neither is altered."""
        weight = self.weight + other.weight
        step = other.weight / weight
        gaps = [self._gap(other, i) for i in range(len(self.origins))]
        shifts = [a + step * gap for a, gap in zip(self.shifts, gaps)]
        between = self.weight * step
        blocks = {
            (i, j): self.blocks[i, j] + other.blocks[i, j] + between * gaps[i][:, None] * gaps[j][None, :]
            for i, j in self.blocks
        }
        quartics = None
        if self.quartics is not None and other.quartics is not None:
            parts = [
                (self._quartics_about(i, step * d), other._quartics_about(i, step * d - d)) for i, d in enumerate(gaps)
            ]
            quartics = [tuple(a + b for a, b in zip(*pair)) for pair in parts]
        return Moments(weight, self.n_rows + other.n_rows, self.origins, shifts, blocks, quartics)

    def _gap(self, other, i):
        """The mean of view i in `other` less that here; exactly 0 for a column that is constant in the rows of both."""
        gap = other.shifts[i] - self.shifts[i]
        if other.origins[i] is not self.origins[i]:  # near each other, so that their difference is exact
            gap = gap + (other.origins[i] - self.origins[i])
        if (i, i) not in self.blocks:
            return gap
        xp = namespace(gap)
        spread = xp.linalg.diagonal(self.blocks[i, i]) + xp.linalg.diagonal(other.blocks[i, i])
        rounding = 4 * _EPS * xp.abs(self.origins[i] + self.shifts[i])
        return xp.where((spread == 0) & (xp.abs(gap) <= rounding), 0.0, gap)

    def _quartics_about(self, i, point):
        """The sums of ``|row|**2 * row`` and ``|row|**4`` of view i about a point, given from the mean."""
        S, (cubes, fourths) = self.blocks[i, i], self.quartics[i]
        xp = namespace(S)
        along, square, trace = S @ point, point @ point, xp.linalg.trace(S)
        moved = cubes - trace * point - 2 * along - self.weight * square * point
        fourths = fourths - 4 * (cubes @ point) + 2 * square * trace + 4 * (along @ point) + self.weight * square**2
        return moved, fourths

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


def row_quartics(centered, weights=None):
    """The sums of ``|row|**2 * row`` and of ``|row|**4`` over the rows of a view as `center` returns it."""
    squares = row_squares(centered)
    if weights is None:
        return squares @ centered, squares @ squares
    # The rows carry the roots of their weights.
    once = _per_weight(squares, weights)
    return (once * namespace(weights).sqrt(weights)) @ centered, squares @ once


def row_squares(X):
    """Squared lengths of the rows."""
    return namespace(X).einsum("ij,ij->i", X, X)


def _per_weight(squares, weights):
    xp = namespace(weights)
    return xp.where(weights > 0, squares / xp.where(weights > 0, weights, 1.0), 0.0)


def ledoit_wolf_shrinkage(norm, fourth, weight, p):
    """The shrinkage towards ``tr(C)/p I`` with the least expected squared error of the covariance matrix C.

    Parameters
    ----------
    norm : float
        Sum of the squared entries of ``C / tr(C)``.
    fourth : float
        Mean of the fourth power of the length of a centred row, in units of ``tr(C)**2``.
    weight : float
        Sum of the weights of the rows.
    p : int
        Number of columns.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    .. [1] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
       Multivariate Analysis 88(2), 2004.
    """
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


def chosen_shrinkage(shrinkage, X, C, weight, weights=None, fourths=None):
    """The shrinkage of one centred view, a number or by one of `SHRINKAGE_RULES`.

    Parameters
    ----------
    shrinkage : float or str
        What the user said.
    X : array of shape (n, p) or None
        The view as `center` returns it.
    C : array of shape (p, p) or None
        Its covariance. Without the rows both this and `fourths` are needed.
    weight : float
        Sum of the weights.
    weights : array of shape (n,), default=None
        Weight of every row.
    fourths : float, default=None
        Sum of the fourth powers of the lengths of the rows.

    Returns
    -------
    float
        In [0, 1].
    """
    if shrinkage == "oas":
        return oas_shrinkage(X.T @ X / weight if C is None else C, weight)
    if shrinkage not in SHRINKAGE_RULES:
        return float(shrinkage)
    xp = namespace(C if X is None else X)
    squares = None if X is None else row_squares(X)
    trace = float(xp.linalg.trace(C) if X is None else xp.sum(squares) / weight)
    if not trace > 0:
        return 0.0
    if X is None:
        fourth, p = float(fourths) / weight / trace**2, C.shape[0]
    else:
        squares, p = squares / trace, X.shape[1]
        fourth = float(squares @ (squares if weights is None else _per_weight(squares, weights))) / weight
    if C is None:
        C = (X.T @ X if p <= X.shape[0] else X @ X.T) / weight
    return ledoit_wolf_shrinkage(float(xp.sum((C / trace) ** 2)), fourth, weight, p)


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
