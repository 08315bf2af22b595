"""Compiled parts of codebooks."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def add_rows(X, ids, counts, sums):
    """Add every row of X to the sum of its code, and 1 to its count."""
    for i in range(X.shape[0]):
        code = ids[i]
        counts[code] += 1
        for j in range(X.shape[1]):
            sums[code, j] += X[i, j]
