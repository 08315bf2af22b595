"""Checks that every representation metric shares, and how it reports its result."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.utils import Bunch

from ..._backend import astype, float_dtype, is_tensor, like, namespace
from ..._input import check_view
from .._ranking import check_count

# Numbers in one chunk of an (n, n) matrix, 16 MB in float64, and in one chunk of rows.
CHUNK = 2**21
ROWS = 2**19
# Distances and kernels that differ by less than so many units of rounding are equal: which one a matrix product makes
# the smaller depends on where a row stands.
TIE = 16 * np.finfo(np.float64).eps
# Fourth powers of larger and of smaller numbers, which HSIC is made of, overflow or vanish.
_SIZES = 1e-75, 1e75
_FREE_OF_SCALE = ("cosine", "correlation")


def check_pair(X, Y, *, by=(None, None), min_samples=3):
    """`X` and `Y` as two finite tables of the same samples; a tensor takes the other to its device.

    `by` are the metrics or kernels that rows are compared by, if any. Raises ValueError for NaN or infinity, unequal
    numbers of rows, too few rows, tables whose rows are all equal, and numbers so large or small that their products
    overflow or vanish; for precomputed matrices also where they are not square or not symmetric.
    """
    X, Y = (check_side(Z, name, by=one, min_samples=min_samples) for Z, name, one in zip((X, Y), ("X", "Y"), by))
    check_equal_rows(X, Y)
    if is_tensor(X) != is_tensor(Y):
        X, Y = (X if is_tensor(X) else like(X, Y)), (Y if is_tensor(Y) else like(Y, X))
    return X, Y


def check_equal_rows(X, Y):
    """Raise ValueError unless both have the same number of rows."""
    if X.shape[0] != Y.shape[0]:
        raise ValueError(f"Row i of X and of Y must be one sample, but X has {X.shape[0]} rows and Y {Y.shape[0]}.")


def check_side(X, name, *, by=None, min_samples=3):
    """One of the two tables of `check_pair`."""
    X = check_view(X.detach() if hasattr(X, "detach") else X, label=f"{name}: ", min_samples=min_samples,
                   estimator="this metric")  # fmt: skip
    X = astype(X, float_dtype(X)) if is_tensor(X) else np.asarray(X)
    if isinstance(by, str) and by == "precomputed":
        return check_square(X, name)
    xp = namespace(X)
    high, low = xp.max(X, axis=0), xp.min(X, axis=0)
    size = xp.where(abs(high) > abs(low), abs(high), abs(low))
    if bool(xp.all(high - low <= 8 * xp.finfo(X.dtype).eps * size)):
        raise ValueError(f"{name} is constant: all its rows are equal, so there is no geometry to compare.")
    largest = float(xp.max(size))
    if not callable(by) and by not in _FREE_OF_SCALE and not _SIZES[0] <= largest <= _SIZES[1]:
        raise ValueError(
            f"{name} has values of the size of {largest:.3g}, and products of such numbers overflow or vanish: bring "
            "it to another unit."
        )
    return X


def check_square(X, name):
    """A symmetric matrix whose entries off the diagonal differ."""
    n = X.shape[0]
    if X.shape[1] != n:
        raise ValueError(f"{name} is said to be precomputed, so it must be square, but its shape is {tuple(X.shape)}.")
    xp = namespace(X)
    largest, high, low, apart = 0.0, -np.inf, np.inf, 0.0
    step = max(1, CHUNK // n)
    for start in range(0, n, step):
        block = X[start : start + step]
        apart = max(apart, float(xp.max(abs(block - X[:, start : start + step].T))))
        largest = max(largest, float(xp.max(abs(block))))
        values = astype(block, xp.float64) if block.dtype != xp.float64 else block + 0.0
        at = np.arange(values.shape[0])
        values[at, start + at] = values[at, (start + at + 1) % n]  # the diagonal says nothing of other samples
        high, low = max(high, float(xp.max(values))), min(low, float(xp.min(values)))
    eps = float(xp.finfo(X.dtype).eps)
    if apart > 1e3 * eps * largest:
        raise ValueError(f"{name} is said to be precomputed, so it must be symmetric, but entries differ by {apart:g}.")
    if high - low <= 8 * eps * max(abs(high), abs(low)):
        raise ValueError(f"{name} is constant: all its entries off the diagonal are equal.")
    return X


def check_neighbors(k, n):
    """`k` as an int from 1 to n - 1."""
    if check_count("k", k) >= n:
        raise ValueError(f"k={k} neighbours need more than {k} samples besides the sample itself, but n={n}.")
    return int(k)


def check_chunk_size(chunk_size):
    """`chunk_size` as an int of at least 1, or None."""
    return None if chunk_size is None else check_count("chunk_size", chunk_size)


def check_positive(name, value):
    """`value` as a float greater than 0."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < np.inf:
        raise ValueError(f"{name} must be a number greater than 0, got {value!r}.")
    return float(value)


def two_of(value):
    """A setting for X and one for Y: a tuple gives them one each, anything else serves both."""
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(f"A tuple must hold one setting for X and one for Y, got {value!r}.")
        return value
    return value, value


def report(score, return_details, n_samples, **details):
    """The score, or a Bunch of it with the number of samples and what else is known."""
    score = float(score)
    return Bunch(score=score, n_samples=int(n_samples), **details) if return_details else score
