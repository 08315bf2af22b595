"""Feature maps of one view: what a kernel encoder keeps of its training rows."""

from __future__ import annotations

from functools import partial
from numbers import Real

import numpy as np
import scipy.sparse as sp

from .._backend import astype, is_tensor, like, namespace, resident, to_numpy
from .._lazy import is_lazy, map_row_blocks, take_rows
from ..metrics.similarity import SIMILARITIES, apply_similarity, batches
from ._kernel_approximation import nystroem_map, rff_directions, rff_map
from ._kernel_solvers import center_kernel

KERNELS = tuple(sorted(name for name in SIMILARITIES if name != "dot"))
# A block of kernel rows at transform stays under this many entries.
_BLOCK = 2**23
_SHIFT_INVARIANT = ("rbf", "exponential", "laplacian")


def check_kernel(kernel, gamma, degree, coef0, view):
    """Raise unless a kernel and its parameters are such as `KernelCCA` documents."""
    if not callable(kernel) and kernel not in (*KERNELS, "precomputed"):
        raise ValueError(
            f"kernel of view {view!r} must be callable or one of {[*KERNELS, 'precomputed']}, got {kernel!r}."
        )
    if not isinstance(degree, Real) or isinstance(degree, bool) or not 0 < degree < np.inf:
        raise ValueError(f"degree of view {view!r} must be a number greater than 0, got {degree!r}.")
    if not isinstance(coef0, Real) or isinstance(coef0, bool) or not np.isfinite(coef0):
        raise ValueError(f"coef0 of view {view!r} must be a finite number, got {coef0!r}.")
    if gamma is None or (isinstance(gamma, str) and gamma in ("scale", "median")):
        return
    if not isinstance(gamma, Real) or isinstance(gamma, bool) or not (gamma > 0 and np.isfinite(gamma)):
        raise ValueError(f"gamma of view {view!r} must be positive, 'scale', 'median' or None, got {gamma!r}.")


def resolve_gamma(gamma, kernel, X, rng):
    """The number that `gamma` stands for on the training rows `X`.

    "scale" makes the exponent of the kernel about 1 for a typical pair: 1 / (p var) for "rbf" and "polynomial", its
    square root for "exponential", 1 / (p std) for "laplacian", var being the variance of all entries. "median" does so
    for the median pair of at most 1000 rows: 1 / (2 d^2) for "rbf", 1 / d for the others.
    """
    if callable(kernel) or not isinstance(gamma, str):
        return gamma
    if gamma == "scale":
        p, variance = X.shape[1], _variance(X)
        spread = variance if variance > 0 else 1.0
        powers = {"exponential": (p * spread) ** -0.5, "laplacian": 1.0 / (p * spread**0.5)}
        return powers.get(kernel, 1.0 / (p * spread))
    if kernel not in _SHIFT_INVARIANT:
        if kernel == "polynomial":
            raise ValueError("gamma='median' is for kernels of distances; the polynomial kernel has none.")
        return None
    from sklearn.metrics import pairwise_distances

    rows = np.sort(rng.permutation(X.shape[0])[:1000])
    X = take_rows(X, rows)
    if not sp.issparse(X):
        X = to_numpy(astype(X, namespace(X).float64))
        X = X - X.mean(axis=0)  # a large mean costs the digits of the distances
    D = pairwise_distances(X, metric="manhattan" if kernel == "laplacian" else "euclidean")
    median = float(np.median(D[np.triu_indices_from(D, 1)]))
    median = median if median > 0 else float(D.max()) or 1.0
    return 1.0 / (2 * median**2) if kernel == "rbf" else 1.0 / median


def _variance(X):
    if sp.issparse(X):
        return max(float(X.power(2).mean()) - float(X.mean()) ** 2, 0.0)
    return float(namespace(X).var(astype(X, namespace(X).float64)))


class KernelRows:
    """The kernel of rows with training rows: exact kernel CCA.

    Parameters
    ----------
    kernel, gamma, degree, coef0
        As in `pairwise_similarity`, gamma resolved; kernel "precomputed" passes rows of a kernel through.
    X : array of shape (n, p)
        Training rows.
    """

    def __init__(self, X, kernel, gamma, degree, coef0):
        self.kernel, self.gamma, self.degree, self.coef0 = kernel, gamma, degree, coef0
        # The centred linear kernel does not know the mean, but its rounding does.
        self.shift = to_numpy(X.mean(0)) if kernel == "linear" and not sp.issparse(X) else None
        self.rows = None if kernel == "precomputed" else _keep(self._prepared(X))

    def _prepared(self, X):
        if sp.issparse(X):
            return X.astype(np.float64)
        X = astype(X, namespace(X).float64)
        return X if self.shift is None else X - like(self.shift, X)

    def __call__(self, X):
        """Kernel of `X` with the training rows, shape (len(X), n), in float64."""
        X = self._prepared(X)
        if self.kernel == "precomputed":
            return X
        rows = self.rows if sp.issparse(self.rows) or sp.issparse(X) else resident(self.rows, X)
        return apply_similarity(X, rows, self.kernel, gamma=self.gamma, degree=self.degree, coef0=self.coef0)


class NystroemFeatures:
    """Features whose inner products are the Nystroem approximation of a kernel."""

    def __init__(self, X, kernel, gamma, degree, coef0, n_landmarks, rng):
        rows = np.sort(rng.permutation(X.shape[0])[:n_landmarks])
        landmarks = take_rows(X, rows)
        self.against = KernelRows(landmarks, kernel, gamma, degree, coef0)
        self.whitening = to_numpy(nystroem_map(self.against(landmarks)))

    def __call__(self, X):
        K = self.against(X)
        return K @ resident(self.whitening, K)


class FourierFeatures:
    """Random Fourier features of a shift-invariant kernel."""

    def __init__(self, X, kernel, gamma, n_landmarks, rng):
        if kernel not in _SHIFT_INVARIANT:
            raise ValueError(f"approximation='rff' needs one of the kernels {list(_SHIFT_INVARIANT)}, got {kernel!r}.")
        gamma = 1.0 / X.shape[1] if gamma is None else gamma
        self.directions = rff_directions(X.shape[1], max(1, n_landmarks // 2), kernel, gamma, rng)

    def __call__(self, X):
        return rff_map(X.toarray() if sp.issparse(X) else X, self.directions)


def in_blocks(function, X, width):
    """``function(X)`` block by block of rows, where one block has about `_BLOCK` entries of an inner width `width`.

    On a Dask array it waits until it is asked for, and its chunks are cut further.
    """
    if is_lazy(X):
        return map_row_blocks(partial(in_blocks, function, width=width), X)
    n = X.shape[0]
    parts = [function(X[rows]) for rows in batches(n, max(1, _BLOCK // max(width, 1)))]
    return parts[0] if len(parts) == 1 else namespace(*parts).concat(parts, axis=0)


def _keep(X):
    """A copy on the host that later changes of the user's array do not reach, and that loads without a GPU."""
    return X.copy() if sp.issparse(X) else np.array(to_numpy(X) if is_tensor(X) else X, copy=True)


def training_kernel(features, X, view=None):
    """The centred kernel of the training rows and its column means; checked where it is a user's, of view `view`."""
    K = features(X)
    if view is not None:
        check_precomputed(K, view)
    centered, column_means, _ = center_kernel(K)
    return centered, column_means


def check_precomputed(K, view, approximation=None):
    """Raise unless `K` can be the kernel among the training rows of `view`."""
    if approximation is not None:
        raise ValueError(f"View {view!r} is a precomputed kernel: there is nothing to approximate in it.")
    if sp.issparse(K):
        raise ValueError(f"View {view!r}: a precomputed kernel must be dense.")
    if K.shape[0] != K.shape[1]:
        raise ValueError(
            f"View {view!r}: a precomputed kernel must be square at fit, got shape {tuple(K.shape)}. Splitting takes "
            "rows only: wrap the whole matrix as Precomputed(K), which is split both ways."
        )
    xp = namespace(K)
    if not bool(xp.all(xp.isfinite(K))):
        raise ValueError(f"View {view!r}: the kernel holds NaN or infinity.")
    if float(xp.max(xp.abs(K - K.T))) > 1e-5 * float(xp.max(xp.abs(K))):
        raise ValueError(f"View {view!r}: a kernel must be symmetric.")
    if float(xp.sum(xp.linalg.diagonal(K))) * K.shape[0] < float(xp.sum(K)) * (1 - 1e-9):
        raise ValueError(
            f"View {view!r}: this is no kernel, for its centred trace is negative; distances D become one as "
            "exp(-gamma * D**2)."
        )
