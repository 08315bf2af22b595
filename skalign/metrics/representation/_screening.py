"""Candidates for the nearest rows by cosines in single precision, each product of two rows computed once."""

from __future__ import annotations

from math import isqrt

import numpy as np

from .._counting import kth_bound
from ..similarity import batches
from ._input import CHUNK, ROWS, TIE


def screened_cosines(X, inverse, k, chunk_size=None, exact=True):
    """Rows that may be among the `k` nearest of each row, a band of rows at a time.

    Products of two bands are taken once and looked at from both sides. A row is a candidate if its cosine, in float32,
    is no further below the k-th largest than rounding allows.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    inverse : array of shape (n_samples,)
        1 over the lengths of the rows.
    k : int
    chunk_size : int or None
        The product of two bands has about ``chunk_size * n_samples`` entries.
    exact : bool
        Whether all cosines are in float64, or those alone that float32 cannot tell apart.

    Yields
    ------
    rows : slice
    found : tuple or None
        Row within the band, column and cosine of every candidate, and the tolerance of each row; None where there are
        too many, as with ties.
    """
    n, d = X.shape
    side = max(4 * k, min(isqrt(chunk_size * n if chunk_size else CHUNK), 16 * ROWS // d))
    # Rounding adds up like a random walk over the d terms; several times that is well over what is ever seen.
    margin = np.float32((16 + 4 * np.sqrt(d)) * np.finfo(np.float32).eps)
    bands = [_Band(rows, k, 2 * margin) for rows in batches(n, side)]
    for a, band in enumerate(bands):
        A = _unit_rows(X, inverse, band.rows)
        for other in bands[a:]:
            if other is band:
                S = A @ A.T
                np.fill_diagonal(S, -np.inf)
            else:
                S = A @ _unit_rows(X, inverse, other.rows).T
                other.add(S.T, band.rows.start)
            band.add(S, other.rows.start)
        yield band.rows, band.result(X, inverse, exact)


class _Band:
    """Some rows, and what may be among the `k` nearest of each: entries at most `margin` below the k-th."""

    def __init__(self, rows, k, margin):
        self.rows, self.k, self.margin = rows, k, margin
        self.n_rows = rows.stop - rows.start
        self.most = self.n_rows * (2 * k + 32)
        self.bound = np.full(self.n_rows, -np.inf, dtype=np.float32)  # at least k entries of the row reach it
        self.parts = []  # row within the band, column and value; None where there are too many

    def add(self, scores, first_column):
        """Look at the entries of more columns."""
        if self.parts is None:
            return
        if scores.shape[1] > self.k:
            self.bound = np.maximum(self.bound, kth_bound(scores, self.k))
        i, j, values = at_least(scores, self.bound - self.margin)
        if len(i) > self.most:
            self.parts = None
            return
        self.parts.append((i.astype(np.int32), (first_column + j).astype(np.int32), values))
        if sum(len(part[0]) for part in self.parts) > self.most:
            self._narrow()

    def _narrow(self):
        """Sort by row and by nearness, and drop what the others have pushed below the bound."""
        i, j, values = (np.concatenate(arrays) for arrays in zip(*self.parts))
        order = np.lexsort((-values, i))
        i, j, values = i[order], j[order], values[order]
        count = np.bincount(i, minlength=self.n_rows)
        full = count >= self.k
        self.bound[full] = values[(np.cumsum(count) - count)[full] + self.k - 1]
        near = values >= self.bound[i] - self.margin
        self.parts = [(i[near], j[near], values[near])] if near.sum() <= self.most else None

    def result(self, X, inverse, exact):
        """Candidates with cosines that tell them apart; nothing is kept."""
        if self.parts is not None:
            self._narrow()
        parts, self.parts = self.parts, None
        if parts is None:
            return None
        i, j, values = parts[0][0], parts[0][1].astype(np.int64), parts[0][2].astype(np.float64)
        doubtful = np.ones(len(i), dtype=bool)
        if not exact:
            close = (values[:-1] - values[1:] <= self.margin) & (i[:-1] == i[1:])
            doubtful = np.append(close, False) | np.insert(close, 0, False)
        at = np.flatnonzero(doubtful)
        for part in batches(len(at), ROWS // X.shape[1]):
            first, second = self.rows.start + i[at[part]], j[at[part]]
            products = np.einsum("ij,ij->i", X[first], X[second], dtype=np.float64)
            values[at[part]] = products * inverse[first] * inverse[second]
        return i.astype(np.int64), j, values, np.full(self.n_rows, TIE)


def _unit_rows(X, inverse, rows):
    out = np.empty(X[rows].shape, dtype=np.float32)
    return np.multiply(X[rows], inverse[rows, None], out=out, casting="same_kind")


def at_least(scores, bound):
    """Row, column and value of the entries that are not below the bound of their row."""
    mask = scores >= bound[:, None]
    if mask.flags.c_contiguous:
        i, j = np.divmod(np.flatnonzero(mask), mask.shape[1])
    else:  # the transpose of a matrix is read as it lies in memory
        j, i = np.divmod(np.flatnonzero(mask.T), mask.shape[0])
    return i, j, scores[i, j]
