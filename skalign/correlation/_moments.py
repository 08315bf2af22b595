"""Means and co-moments of several views, at once or in chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._backend import astype, namespace

_EPS = np.finfo(np.float64).eps


def center(X, weights=None):
    """Centre the columns of a view in float64, by two passes.

    Parameters
    ----------
    X : array of shape (n, p)
        One view.
    weights : array of shape (n,), default=None
        Weight of every row.

    Returns
    -------
    centered : array of shape (n, p)
        ``sqrt(w) * (X - mean)``, the one copy of the data; columns that are constant up to rounding are exactly zero.
    mean : array of shape (p,)
    """
    xp = namespace(X)
    n = X.shape[0]
    share = xp.full(n, 1.0 / n, dtype=xp.float64, device=X.device) if weights is None else weights / xp.sum(weights)
    centered = xp.astype(X, xp.float64, copy=True)
    mean = share @ centered
    centered -= mean
    rest = share @ centered  # what rounding left of the first pass: felt where the mean is large beside the spread
    centered -= rest
    mean = mean + rest
    spread = xp.max(xp.abs(centered), axis=0)
    centered[:, spread <= 4 * _EPS * xp.abs(mean)] = 0.0
    if weights is not None:
        centered *= xp.sqrt(weights)[:, None]
    return centered, mean


@dataclass
class Moments:
    """Weighted sums of several views: enough to align them, whatever the number of rows.

    Parameters
    ----------
    weight : float
        Sum of the weights of the rows; their number without weights.
    n_rows : int
        Rows of a positive weight.
    means : list of arrays of shape (p_i,)
        Mean of every view.
    blocks : dict of (int, int) to array of shape (p_i, p_j)
        Sums of products of centred columns, for every i <= j.
    """

    weight: float
    n_rows: int
    means: list
    blocks: dict

    @classmethod
    def of(cls, centered, means, weight, n_rows):
        """The moments of views that `center` has centred."""
        m = len(centered)
        blocks = {(i, j): centered[i].T @ centered[j] for i in range(m) for j in range(i, m)}
        return cls(weight, n_rows, list(means), blocks)

    def merged(self, other):
        """The moments of the rows of both (Chan, Golub and LeVeque 1983); neither is altered."""
        weight = self.weight + other.weight
        step = other.weight / weight
        shift = [b - a for a, b in zip(self.means, other.means)]
        means = [a + step * s for a, s in zip(self.means, shift)]
        between = self.weight * step
        blocks = {
            (i, j): self.blocks[i, j] + other.blocks[i, j] + between * shift[i][:, None] * shift[j][None, :]
            for i, j in self.blocks
        }
        return Moments(weight, self.n_rows + other.n_rows, means, blocks)

    def covariance(self, i, j):
        """Covariance (ddof 0) of the columns of views i and j."""
        return self.blocks[i, j] / self.weight if i <= j else self.blocks[j, i].T / self.weight

    def trace(self, i):
        """Total variance of view i."""
        xp = namespace(self.means[i])
        return float(xp.linalg.trace(self.blocks[i, i])) / self.weight


def ledoit_wolf_shrinkage(centered, weight):
    """The shrinkage towards ``tr(C)/p I`` with the least expected squared error of the covariance matrix.

    Parameters
    ----------
    centered : array of shape (n, p)
        A view as `center` returns it.
    weight : float
        Sum of the weights.

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
    squares = xp.sum(centered * centered, axis=1)
    trace = float(xp.sum(squares)) / weight
    if not trace > 0:
        return 0.0
    scaled = centered / trace**0.5  # squares of squares would overflow at large scales
    small = scaled.T @ scaled if p <= centered.shape[0] else scaled @ scaled.T
    norm = float(xp.sum(small * small)) / weight**2
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


def row_weights(sample_weight, n, like_array):
    """Checked sample weights in the namespace of the data, or None."""
    from .._backend import like, to_numpy

    if sample_weight is None:
        return None
    weights = np.asarray(to_numpy(sample_weight), dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n, weights)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has shape {weights.shape}, expected ({n},): one weight for every sample.")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError("sample_weight must be finite and not negative, with at least one positive weight.")
    return astype(like(weights, like_array), namespace(like_array).float64)
