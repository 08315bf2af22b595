"""Kernel matrices a few rows at a time, and the sums over them that HSIC and CKA are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..._backend import astype, is_tensor, like, namespace, to_numpy
from ..similarity import apply_similarity, batches, check_similarity_name, unit_rows
from ._input import CHUNK, ROWS, check_positive


def check_kernel(kernel):
    """Raise unless `kernel` is callable, "precomputed" or the name of a similarity."""
    if not (isinstance(kernel, str) and kernel == "precomputed"):
        check_similarity_name(kernel)


def mean_row(X, chunk_size=None):
    """Mean of the rows, in float64 whatever the dtype; shape (n_features,)."""
    xp = namespace(X)
    total = 0.0
    for rows in batches(X.shape[0], chunk_size or ROWS // X.shape[1]):
        total = total + xp.sum(astype(X[rows], xp.float64), axis=0)
    return total / X.shape[0]


def centred_rows(X, centre, rows):
    """The rows `rows`, a slice or indices, less `centre`; float64."""
    return astype(X[rows], namespace(X).float64) - centre


def mean_squared_distance(X, chunk_size=None):
    """Mean squared distance of two different rows."""
    xp = namespace(X)
    centre = mean_row(X, chunk_size)
    total = sum(
        float(xp.sum(centred_rows(X, centre, rows) ** 2))
        for rows in batches(X.shape[0], chunk_size or ROWS // X.shape[1])
    )
    return 2 * total / (X.shape[0] - 1)


def default_gamma(X, kernel):
    """Width of "rbf" that fits the scale of the data; None for other kernels, which have defaults of their own."""
    return 0.5 / mean_squared_distance(X) if isinstance(kernel, str) and kernel == "rbf" else None


class Kernel:
    """The kernel matrix of the rows of one table, computed when asked for.

    Parameters
    ----------
    X : array or tensor of shape (n_samples, n_features), or (n_samples, n_samples) if precomputed
    kernel : str or callable
    gamma : float or None
        None sets the width of "rbf" by the data: 1 / (2 x the mean squared distance).
    centre : bool
        Centre the features of a linear kernel, which changes nothing in a centred kernel but the rounding.
    """

    def __init__(self, X, kernel, gamma=None, centre=True):
        xp = namespace(X)
        self.n_samples, self.kernel, self.precomputed = X.shape[0], kernel, kernel == "precomputed"
        self.options = {}
        if not self.precomputed:
            X = astype(X, xp.float64)
            if centre and kernel in ("linear", "dot"):
                X = X - mean_row(X)
            if kernel == "cosine":
                X = unit_rows(X)  # once, and not for every chunk
            if gamma is not None:
                self.options["gamma"] = check_positive("gamma", gamma)
            elif kernel == "rbf":
                self.options["gamma"] = default_gamma(X, kernel)
        self.X = X

    def rows(self, rows):
        """Rows of the matrix in float64; the caller may write into them."""
        xp = namespace(self.X)
        if self.precomputed:
            return xp.astype(self.X[rows], xp.float64, copy=True)
        function = "dot" if self.kernel == "cosine" else self.kernel
        K = astype(apply_similarity(self.X[rows], self.X, function, **self.options), xp.float64)
        return K + 0.0 if callable(self.kernel) else K  # a function may return what it keeps

    def matrix(self):
        """All rows."""
        return self.rows(slice(None))


class KernelSums(NamedTuple):
    """Sums over two kernel matrices K and L, the diagonals apart.

    Attributes
    ----------
    xx, xy, yy : float
        Sum of ``K * K``, ``K * L``, ``L * L`` off the diagonal.
    rows_x, rows_y : array of shape (n,)
        Sums of the rows off the diagonal.
    diagonal_x, diagonal_y : array of shape (n,)
    """

    xx: float
    xy: float
    yy: float
    rows_x: np.ndarray
    rows_y: np.ndarray
    diagonal_x: np.ndarray
    diagonal_y: np.ndarray

    def hsic(self, which="xy", debiased=True):
        """n (n - 3) times the unbiased HSIC, or n^2 times the biased one, of K and L, K and K or L and L."""
        a, b = ({"x": (self.rows_x, self.diagonal_x), "y": (self.rows_y, self.diagonal_y)}[side] for side in which)
        inner, n = getattr(self, which), len(self.rows_x)
        if debiased:
            return inner + a[0].sum() * b[0].sum() / ((n - 1) * (n - 2)) - 2 * (a[0] @ b[0]) / (n - 2)
        rows_a, rows_b = a[0] + a[1], b[0] + b[1]
        return inner + a[1] @ b[1] + rows_a.sum() * rows_b.sum() / n**2 - 2 * (rows_a @ rows_b) / n


def kernel_sums(K, L, chunk_size=None):
    """`KernelSums` of two `Kernel`, of which `chunk_size` rows exist at a time."""
    n = K.n_samples
    totals = np.zeros(3)
    rows, diagonals = ([np.empty(n), np.empty(n)] for _ in range(2))
    for part in batches(n, chunk_size or CHUNK // n):
        at = np.arange(n)[part]
        blocks = []
        for side, kernel in enumerate((K, L)):
            block = kernel.rows(part)
            diagonals[side][part] = to_numpy(block[at - at[0], at])
            block[at - at[0], at] = 0.0
            rows[side][part] = to_numpy(block.sum(1))
            blocks.append(block.reshape(-1))
        A, B = blocks
        totals += float(A @ A), float(A @ B), float(B @ B)
    return KernelSums(*totals.tolist(), *rows, *diagonals)


def feature_sums(X, Y, chunk_size=None):
    """`KernelSums` of the linear kernels of `X` and `Y`, centred, without either kernel matrix.

    A centred linear kernel has rows that sum to zero and a diagonal of squared lengths, and the sum of K * L is the
    squared Frobenius norm of X' Y: n p q operations instead of n^2 (p + q).
    """
    n, (p, q) = X.shape[0], (X.shape[1], Y.shape[1])
    centres = mean_row(X, chunk_size), mean_row(Y, chunk_size)
    xx = xy = yy = 0.0
    lengths = [np.empty(n), np.empty(n)]
    for rows in batches(n, _rows_of_features(chunk_size, p, q)):
        A, B = centred_rows(X, centres[0], rows), centred_rows(Y, centres[1], rows)
        for Z, out in zip((A, B), lengths):
            out[rows] = row_squares(Z)
        xx += A.T @ A
        xy += A.T @ B
        yy += B.T @ B
    return _sums_of_features(*map(_squares, (xx, xy, yy)), *lengths)


def cross_sums(X, Y, x_squares, y_squares, permutation=None, chunk_size=None):
    """`KernelSums` of the linear kernels of centred `X` and of centred `Y` with its rows permuted, but no xx and yy.

    `x_squares` and `y_squares` are the squared lengths of the rows. The rest is one product, gathered as it goes.
    """
    n = X.shape[0]
    p = np.arange(n) if permutation is None else permutation
    there = like(p, Y)
    xy = 0.0
    for rows in batches(n, _rows_of_features(chunk_size, X.shape[1], Y.shape[1])):
        xy += X[rows].T @ (Y[rows] if permutation is None else Y[there[rows]])
    return _sums_of_features(np.nan, _squares(xy), np.nan, x_squares, y_squares[p])


def row_squares(X):
    """Squared length of every row, as a numpy array."""
    return to_numpy((X * X).sum(1)) if is_tensor(X) else np.einsum("ij,ij->i", X, X)


def _squares(product):
    return float((product * product).sum())


def _rows_of_features(chunk_size, p, q):
    return chunk_size or max(256, ROWS // max(p, q))


def _sums_of_features(xx, xy, yy, kx, ky):
    return KernelSums(xx - kx @ kx, xy - kx @ ky, yy - ky @ ky, -kx, -ky, kx, ky)
