"""The alignment function g of the field: how much each row of one view agrees with each row of another."""

from __future__ import annotations

from numbers import Real

import array_api_compat as aac
import numpy as np
import scipy.sparse as sp
from sklearn.metrics.pairwise import manhattan_distances
from sklearn.preprocessing import normalize
from sklearn.utils import check_array
from sklearn.utils.extmath import row_norms, safe_sparse_dot

from .._backend import astype, float_dtype, is_tensor, like, namespace
from .._typing import Array, ArrayLike, Metric

# ||x||^2 + ||y||^2 - 2xy has lost three digits where it is this much smaller than its terms; those pairs are redone.
_CANCELLED = 1e-3
_BLOCK = 2**20  # numbers in a temporary array


def pairwise_similarity(
    X: ArrayLike,
    Y: ArrayLike | None = None,
    function: Metric = "cosine",
    *,
    gamma: float | None = None,
    degree: float = 3,
    coef0: float = 1.0,
) -> Array:
    """Similarity of every row of `X` to every row of `Y`.

    The number of rows may differ, the number of columns may not: both hold points of one space, usually the shared
    space of an aligner. The same functions are the kernels of `KernelCCA`.

    Parameters
    ----------
    X : {array-like, sparse matrix, torch tensor} of shape (n, d)
        Rows to compare.
    Y : {array-like, sparse matrix, torch tensor} of shape (m, d), default=None
        Rows to compare with; None compares the rows of `X` with one another.
    function : str or callable, default="cosine"
        ============= ===================================== =========
        name          similarity of x and y                 range
        ============= ===================================== =========
        "cosine"      x.y / (\\|x\\| \\|y\\|); 0 for a zero row   [-1, 1]
        "dot"         x.y                                   real
        "linear"      the same as "dot"                     real
        "polynomial"  (gamma x.y + coef0)^degree            real
        "exponential" exp(-gamma \\|x - y\\|_2)               [0, 1]
        "rbf"         exp(-gamma \\|x - y\\|_2^2)             [0, 1]
        "laplacian"   exp(-gamma \\|x - y\\|_1)               [0, 1]
        ============= ===================================== =========

        A callable is called once, as ``function(X, Y)`` on the two arrays, and returns the (n, m) matrix.
    gamma : float, default=None
        Scale, greater than 0, in the inverse unit of the distance or product. None is ``1 / d``, as in scikit-learn.
    degree : float, default=3
        Exponent of "polynomial", greater than 0.
    coef0 : float, default=1.0
        Constant of "polynomial".

    Returns
    -------
    ndarray or torch tensor of shape (n, m)
        float32 if `X` and `Y` are, else float64. A tensor gives a tensor on the same device; if only one of the two
        is a tensor, the other follows it.

    Raises
    ------
    ValueError
        For an unknown `function` (all names are listed), different widths, NaN or infinity, and parameters outside
        their range.
    TypeError
        For an array of another library than numpy, scipy.sparse, pandas or torch.

    Notes
    -----
    Distances between points that lie close together, compared with their distance from the centre, are taken from the
    differences of their coordinates. Equal rows have therefore distance 0 and similarity 1 exactly, and a large common
    mean does no harm. Distances are summed in float64 (on tensors: in the dtype of the tensor, from differences).

    References
    ----------
    .. [1] P. P. Liang, A. Zadeh, L.-P. Morency, "Foundations and trends in multimodal machine learning: Principles,
       challenges, and open questions", ACM Computing Surveys 56(10), 2024 (section on alignment).

    Examples
    --------
    >>> from skalign.metrics import pairwise_similarity
    >>> pairwise_similarity([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]).round(2)
    array([[1.  , 0.71, 0.  ],
           [0.  , 0.71, 0.  ]])
    >>> pairwise_similarity([[0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]], "rbf", gamma=0.5).round(3)
    array([[1.   , 0.368]])
    """
    check_similarity_name(function)
    for name, value in {"gamma": gamma, "degree": degree}.items():
        allowed = (name == "gamma" and value is None) or (_is_number(value) and 0 < value < np.inf)
        if not allowed:
            raise ValueError(f"{name} must be a number greater than 0, got {value!r}.")
    if not (_is_number(coef0) and np.isfinite(coef0)):
        raise ValueError(f"coef0 must be a finite number, got {coef0!r}.")
    X, Y = check_two(X, X if Y is None else Y)
    return apply_similarity(X, Y, function, gamma=gamma, degree=degree, coef0=coef0)


def apply_similarity(X, Y, function, *, gamma=None, degree=3, coef0=1.0):
    """`pairwise_similarity` of arrays that `check_two` returned, for callers with many blocks to compare."""
    if callable(function):
        S = function(X, Y)
        S = S if is_tensor(S) else np.asarray(S.toarray() if sp.issparse(S) else S)
        if tuple(S.shape) != (X.shape[0], Y.shape[0]):
            raise ValueError(
                f"The similarity function must return a matrix of shape {(X.shape[0], Y.shape[0])}, one row for each "
                f"row of its first argument, but its shape is {tuple(S.shape)}."
            )
        return S
    gamma = 1.0 / X.shape[1] if gamma is None else float(gamma)
    S = SIMILARITIES[function](X, Y, gamma=gamma, degree=degree, coef0=coef0)
    return astype(S, X.dtype)


# --- the functions; each takes two checked arrays of one dtype -------------------------------------------------------


def _dot(X, Y, **_):
    return X @ Y.T if is_tensor(X) else safe_sparse_dot(X, Y.T, dense_output=True)


def _cosine(X, Y, **_):
    S = _dot(unit_rows(X), unit_rows(Y))
    return S.clip(-1.0, 1.0) if is_tensor(S) else np.clip(S, -1.0, 1.0, out=S)


def _polynomial(X, Y, *, gamma, degree, coef0):
    base = _dot(X, Y)
    base *= gamma
    base += coef0
    if degree != int(degree) and bool((base < 0).any()):
        raise ValueError(f"gamma x.y + coef0 is negative for some rows and has no real power {degree}; see degree.")
    base **= degree
    return base


def _exponential(X, Y, *, gamma, **_):
    if is_tensor(X):
        return _exp(_torch_distances(X, Y, p=2), -gamma)
    D = _squared_distances(X, Y)
    return _exp(np.sqrt(D, out=D), -gamma)


def _rbf(X, Y, *, gamma, **_):
    return _exp(_torch_distances(X, Y, p=2) ** 2 if is_tensor(X) else _squared_distances(X, Y), -gamma)


def _laplacian(X, Y, *, gamma, **_):
    if is_tensor(X):
        return _exp(_torch_distances(X, Y, p=1), -gamma)
    return _exp(manhattan_distances(*_both_sparse_or_dense(X, Y)), -gamma)


# Name -> function. `KernelCCA` takes the same names.
SIMILARITIES = {
    "cosine": _cosine,
    "dot": _dot,
    "exponential": _exponential,
    "laplacian": _laplacian,
    "linear": _dot,
    "polynomial": _polynomial,
    "rbf": _rbf,
}


def _exp(D, factor):
    if is_tensor(D):
        return namespace(D).exp(D * factor)
    D *= factor  # D is a fresh array as large as the result: no second one is needed
    return np.exp(D, out=D)


def unit_rows(X):
    """Rows of `X` scaled to length 1; a zero row stays zero."""
    # Scaled by the largest entry first, so that squares neither overflow nor vanish.
    if sp.issparse(X):
        return normalize(normalize(X, "max"))
    xp = namespace(X)
    largest = xp.maximum(xp.max(X, axis=1, keepdims=True), -xp.min(X, axis=1, keepdims=True))
    X = X / xp.where(largest > 0, largest, xp.ones_like(largest))
    if is_tensor(X):
        lengths = xp.sqrt(xp.sum(X * X, axis=1, keepdims=True))
        return X / xp.where(lengths > 0, lengths, xp.ones_like(lengths))
    lengths = np.sqrt(np.einsum("ij,ij->i", X, X))[:, None]
    X /= np.where(lengths > 0, lengths, 1.0)  # in place, and without a table of squares: there may be room for one
    return X


def _torch_distances(X, Y, p):
    import torch

    # The faster way through a matrix product loses half the digits of the distance between close points.
    return torch.cdist(X, Y, p=p, compute_mode="donot_use_mm_for_euclid_dist")


def _both_sparse_or_dense(X, Y):
    X, Y = X.astype(np.float64, copy=False), Y.astype(np.float64, copy=False)
    if sp.issparse(X) or sp.issparse(Y):
        return sp.csr_array(X), sp.csr_array(Y)
    return X, Y


def _squared_distances(X, Y):
    """Squared Euclidean distances in float64 by a matrix product, and by differences where that loses digits."""
    X, Y = _both_sparse_or_dense(X, Y)
    if not sp.issparse(X):
        # Without this, all pairs would have to be redone where the mean is large. Of Y alone, so that a part of X gives
        # what the whole gives.
        centre = Y.mean(axis=0)
        X, Y = X - centre, Y - centre
    x_norms, y_norms = row_norms(X, squared=True), row_norms(Y, squared=True)
    D = np.empty((X.shape[0], Y.shape[0]))
    for rows in batches(len(D), _BLOCK // len(y_norms)):
        part_x = X[rows]
        with np.errstate(over="ignore", invalid="ignore"):  # inf - inf is not `>`, and thus redone
            terms = x_norms[rows, None] + y_norms
            block = terms - 2 * _dot(part_x, Y)
            terms *= _CANCELLED
            redo_x, redo_y = np.nonzero(~(block > terms))
        for part in batches(len(redo_x), _BLOCK // X.shape[1]):
            i, j = redo_x[part], redo_y[part]
            block[i, j] = row_norms(part_x[i] - Y[j], squared=True)
        D[rows] = block
    return D


def batches(n, size):
    """Slices of at least one and at most `size` rows that cover `n` rows."""
    size = max(1, size)
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


# --- input checks ---------------------------------------------------------------------------------------------------


def check_similarity_name(function):
    """Raise unless `function` is callable or the name of a similarity."""
    if not callable(function) and not (isinstance(function, str) and function in SIMILARITIES):
        raise ValueError(f"function must be callable or one of {sorted(SIMILARITIES)}, got {function!r}.")


def check_two(X, Y, names=("X", "Y")):
    """`X` and `Y` as two finite matrices of one width, dtype and library; a tensor takes the other to its device."""
    same = X is Y
    X = check_rows(X, names[0])
    Y = X if same else check_rows(Y, names[1])
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"{names[0]} has {X.shape[1]} columns and {names[1]} has {Y.shape[1]}; rows are compared within one "
            "space, so the widths must be equal."
        )
    if is_tensor(X) or is_tensor(Y):
        if sp.issparse(X) or sp.issparse(Y):
            raise TypeError("A sparse matrix cannot be compared with a tensor; make it dense first.")
        X, Y = (X if is_tensor(X) else like(X, Y)), (Y if is_tensor(Y) else like(Y, X))
    if X.dtype != Y.dtype:
        X, Y = (Z.astype(np.float64) if sp.issparse(Z) else astype(Z, namespace(Z).float64) for Z in (X, Y))
    return X, Y


def check_rows(X, name):
    """`X` as a finite, floating point matrix: a numpy array, a CSR matrix or a torch tensor."""
    if not is_tensor(X):
        return check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name=name)
    if not aac.is_torch_array(X):
        raise TypeError(f"{name} is a {type(X).__module__} array; numpy, scipy.sparse, pandas and torch are supported.")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"{name} must have two dimensions and at least one row and column, got {tuple(X.shape)}.")
    if X.is_complex():
        raise ValueError(f"{name} is complex; similarities are defined for real numbers.")
    X = astype(X, float_dtype(X))
    if not bool(namespace(X).isfinite(X).all()):
        raise ValueError(f"{name} contains NaN or infinity.")
    return X


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)
