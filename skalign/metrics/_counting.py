"""Scores of some queries, and what is counted in them."""

from __future__ import annotations

from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from .._backend import is_numpy, like, namespace, to_numpy
from ._ties import TiedRanks, expected_average_precision


def tie_bounds(values, rounding):
    """The lowest and the highest score that tie with `values`, see `Chunk`."""
    relative, absolute = rounding
    tolerance = relative * abs(values) + absolute
    return values - tolerance, values + tolerance


class Chunk(NamedTuple):
    """Scores of some queries."""

    scores: Any  # (n_queries, n_candidates), float64
    right: Any  # (n_queries, w), scores of the right answers; rows with fewer repeat one of them
    valid: Any  # (n_queries, w), False at repetitions
    rounding: tuple  # (relative, absolute) tolerance: a tie is |s - t| <= relative |t| + absolute

    def ranks(self):
        best = namespace(self.right).max(self.right, axis=1, keepdims=True)
        low, high = tie_bounds(best, self.rounding)
        better = count_in_rows(self.scores, high, strict=True)
        tied_right = to_numpy((self.valid & (self.right >= low)).sum(1))
        return TiedRanks(better, count_in_rows(self.scores, low, strict=False) - better - tied_right, tied_right)

    def average_precisions(self):
        xp = namespace(self.right)
        n_right = to_numpy(self.valid.sum(1))
        # Sorted, because a search for sorted values is several times faster; repetitions go to the front.
        lowest = xp.min(self.right, axis=1, keepdims=True)
        right = xp.sort(xp.where(self.valid, self.right, lowest), axis=1)
        valid = np.arange(right.shape[1]) >= right.shape[1] - n_right[:, None]
        low, high = tie_bounds(right, self.rounding)
        above, tied = _places(self.scores, low, high)
        right_above, right_tied = _places(xp.where(like(valid, right), right, lowest - xp.inf), low, high)
        return expected_average_precision(above, tied * valid, right_above, right_tied, n_right)


def count_in_rows(scores, thresholds, strict):
    """How many scores of each row are above the threshold of the row, or at least as high."""
    compare = np.greater if strict else np.greater_equal
    if is_numpy(scores):  # row by row, because a row stays in the cache and a count along an axis is slower
        return np.array([np.count_nonzero(compare(row, t)) for row, t in zip(scores, thresholds[:, 0])])
    return to_numpy((scores > thresholds if strict else scores >= thresholds).sum(1))


def count_in_columns(scores, thresholds, strict):
    """How many scores of each column are above the threshold of the column, or at least as high."""
    found = scores > thresholds if strict else scores >= thresholds
    if not is_numpy(scores):
        return to_numpy(found.sum(0))
    total, found = np.zeros(scores.shape[1], dtype=np.int64), found.view(np.uint8)
    for start in range(0, len(found), 255):  # as many rows as a byte can count: quicker than in wider integers
        total += np.add.reduce(found[start : start + 255], axis=0, dtype=np.uint8)
    return total


def _places(scores, low, high):
    """How many scores of a row are above `high`, and how many from `low` to `high`, for each entry of these."""
    xp = namespace(scores)
    scores = xp.sort(scores, axis=1)

    def search(values, side):
        if is_numpy(scores):
            return np.stack([np.searchsorted(row, v, side=side) for row, v in zip(scores, values)])
        return to_numpy(xp.searchsorted(scores, values, side=side))

    up_to_high = search(high, "right")
    return scores.shape[1] - up_to_high, up_to_high - search(low, "left")


def kth_bound(scores, k):
    """A number for each row that at least `k` of its entries reach, and few more; of a numpy array."""
    # The k-th largest of the maxima of some blocks of columns, in a fraction of the time of a partition of all entries.
    n_rows, n_columns = scores.shape
    size = isqrt(n_columns // k)
    width = n_columns // size
    if scores.flags.c_contiguous:
        highest = scores[:, : size * width].reshape(n_rows, size, width).max(axis=1)
    else:  # the transpose of a matrix is read as it lies in memory
        highest = scores[:, :width].copy(order="K")
        for block in range(1, size):
            np.maximum(highest, scores[:, block * width : (block + 1) * width], out=highest)
    return np.partition(highest, width - k, axis=1)[:, width - k]


def mean_of_largest(S, k):
    k = min(k, S.shape[1])
    if not is_numpy(S):
        return S.topk(k, dim=1).values.mean(dim=1)
    return np.array([np.sort(row[row >= bound])[-k:].mean() for row, bound in zip(S, kth_bound(S, k))])


def log_sum_exp(S):
    xp = namespace(S)
    highest = xp.max(S, axis=1, keepdims=True)
    return xp.log(xp.sum(xp.exp(S - highest), axis=1)) + highest[:, 0]
