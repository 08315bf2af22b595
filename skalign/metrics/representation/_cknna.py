"""CKA of the kernel entries between shared neighbours."""

from __future__ import annotations

import numpy as np

from ..._backend import namespace
from ..._typing import ArrayLike, Metric, Score
from ._input import TIE, check_chunk_size, check_neighbors, check_pair, report, two_of
from ._kernels import Kernel, check_kernel
from ._neighbors import Cosines, nearest_by


def cknna(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 10,
    kernel: Metric | tuple[Metric, Metric] = "cosine",
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """CKA of the kernels where both agree on who is near: between `mutual_knn` and debiased `cka`.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample. With a precomputed kernel (n_samples, n_samples), symmetric.
    k : int, default=10
        Neighbours, from 2 to n_samples - 1. With all of them the score is the debiased CKA of the kernel.
    kernel : str, callable or tuple of two, default="cosine"
        As for `cka`; the neighbours of a sample are those of the largest kernel. "cosine" is the inner product of
        features of length 1, which is what the paper compares; "linear" takes the features as they are.
    chunk_size : int, default=None
        Rows of the kernel in memory at a time; the score does not depend on it. None keeps a chunk at some 16 MB.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score, n_samples, k, n_shared (pairs of which both sides say that the second is a neighbour of the first).

    Raises
    ------
    ValueError
        As `cka`, for k below 2 or not below n_samples, and where the pairs of shared neighbours are too few to say
        anything.

    Notes
    -----
    The unbiased HSIC of the two kernels after all pairs but those of shared neighbours are set to 0, over the square
    root of the same of each kernel with itself: the mean of the published formula for (X, Y) and for (Y, X), which
    differ a little because neighbours are not mutual; and without the constant that the published code adds to the
    denominator, which makes its score depend on the scale. Ties at the k-th place count in part, see `mutual_knn`.

    References
    ----------
    .. [1] M. Huh, B. Cheung, T. Wang, P. Isola, "The Platonic Representation Hypothesis", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import cknna
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> print(f"{cknna(X, 2 * X):.3f} {cknna(X, X + 0.5):.3f} {cknna(X, X[::-1]):.3f}")
    1.000 0.736 0.054
    """
    kernels = two_of(kernel)
    for one in kernels:
        check_kernel(one)
    X, Y = check_pair(X, Y, by=kernels, min_samples=4)
    n, chunk_size = X.shape[0], check_chunk_size(chunk_size)
    if check_neighbors(k, n) < 2:
        raise ValueError(f"k must be at least 2, got {k}.")
    A, B = (KernelNeighbors(Z, one, k, chunk_size) for Z, one in zip((X, Y), kernels))
    xy, n_shared = A.hsic(B)
    return report(over_self(xy, A, B), return_details, n, k=k, n_shared=n_shared)


def over_self(xy, A, B):
    """HSIC over the geometric mean of those of each side with itself."""
    for side, name in ((A, "X"), (B, "Y")):
        if not side.with_itself > 0:
            raise ValueError(f"HSIC between neighbours of {name} and itself is not positive; take more neighbours.")
    return float(xy / np.sqrt(A.with_itself) / np.sqrt(B.with_itself))


class KernelNeighbors:
    """Neighbours by the size of a kernel, and the kernel between them."""

    def __init__(self, X, kernel, k, chunk_size):
        self.n_samples = n = X.shape[0]
        neighbors = nearest_by(Cosines(X) if kernel == "cosine" else _by_kernel(X, kernel), n, k, chunk_size)
        keys = neighbors.rows * n + neighbors.columns
        order = np.argsort(keys)
        self.keys, self.weights, self.values = keys[order], neighbors.weights[order], neighbors.values[order]
        self.rows, self.columns = neighbors.rows[order], neighbors.columns[order]
        self.with_itself = self.hsic(self)[0]

    def hsic(self, other, permutation=None):
        """n (n - 3) times the unbiased HSIC over shared neighbours, and their number; `other`'s samples permuted."""
        n, p = self.n_samples, permutation
        wanted = self.keys if p is None else p[self.rows] * n + p[self.columns]
        at = np.minimum(np.searchsorted(other.keys, wanted), len(other.keys) - 1)
        found = other.keys[at] == wanted
        at = at[found]
        mask = self.weights[found] * other.weights[at]
        i, j = self.rows[found], self.columns[found]
        K, L = mask * self.values[found], mask * other.values[at]
        keys = self.keys[found]  # sorted, as those of self
        if not len(keys):
            return 0.0, 0
        mirrored = j * n + i
        there = np.minimum(np.searchsorted(keys, mirrored), len(keys) - 1)
        inner = (K * np.where(keys[there] == mirrored, L[there], 0.0)).sum()
        # Neighbours are not mutual, so the masked kernels are not symmetric; both orders of the product count alike.
        rows_k, rows_l, columns_k, columns_l = (np.bincount(at, Z, minlength=n) for at in (i, j) for Z in (K, L))
        cross = (columns_k @ rows_l + columns_l @ rows_k) / 2
        return inner + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 * cross / (n - 2), len(keys)


def _by_kernel(X, kernel):
    source = Kernel(X, kernel, centre=False)
    xp = namespace(X)
    lengths = xp.linalg.vector_norm(source.X, axis=1) if kernel in ("linear", "dot") else None

    def nearness(rows):
        K = source.rows(rows)
        if lengths is not None:  # products cancel to any size
            return K, TIE * lengths[rows] * xp.max(lengths)
        return K, TIE * xp.max(abs(K), axis=1)

    return nearness
