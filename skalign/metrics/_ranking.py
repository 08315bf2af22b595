"""Queries against candidates, a few rows of the similarity matrix at a time: what every retrieval metric reduces."""

from __future__ import annotations

from math import isqrt
from numbers import Real
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from array_api_compat import device as device_of
from sklearn.utils.extmath import row_norms

from .._backend import astype, is_numpy, is_tensor, like, namespace, to_numpy
from .._input import is_whole
from ._ties import TiedRanks, expected_average_precision
from .similarity import apply_similarity, batches, check_rows, check_similarity_name, check_two, unit_rows

DIRECTIONS = ("a_to_b", "b_to_a")
_OPPOSITE = dict(zip(DIRECTIONS, DIRECTIONS[::-1]))
NORMALIZATIONS = (None, "csls", "inverted_softmax")
# Numbers in one chunk of the similarity matrix: 32 MB in float64.
_CHUNK = 2**22
# Scores computed from equal embeddings differ by rounding, and by where in a block of the product they stand. Closer
# than this many units of rounding they count as tied; so no metric depends on the chunk size or the order of rows.
_TIE = 16 * np.finfo(np.float64).eps


class Chunk(NamedTuple):
    """Scores of some queries."""

    scores: object  # (n_queries, n_candidates), float64
    right: object  # (n_queries, w), scores of the right answers; rows with fewer repeat one of them
    valid: object  # (n_queries, w), False at repetitions
    rounding: tuple  # (relative, absolute) tolerance: a tie is |s - t| <= relative |t| + absolute

    def bounds(self, values):
        """The lowest and the highest score that tie with `values`."""
        relative, absolute = self.rounding
        tolerance = relative * abs(values) + absolute
        return values - tolerance, values + tolerance

    def ranks(self):
        best = namespace(self.right).max(self.right, axis=1, keepdims=True)
        low, high = self.bounds(best)
        better = _count(self.scores, high, strict=True)
        tied_right = to_numpy((self.valid & (self.right >= low)).sum(1))
        return TiedRanks(better, _count(self.scores, low, strict=False) - better - tied_right, tied_right)

    def average_precisions(self):
        xp = namespace(self.right)
        n_right = to_numpy(self.valid.sum(1))
        # Sorted, because a search for sorted values is several times faster; repetitions go to the front.
        lowest = xp.min(self.right, axis=1, keepdims=True)
        right = xp.sort(xp.where(self.valid, self.right, lowest), axis=1)
        valid = np.arange(right.shape[1]) >= right.shape[1] - n_right[:, None]
        low, high = self.bounds(right)
        above, tied = _places(self.scores, low, high)
        right_above, right_tied = _places(xp.where(like(valid, right), right, lowest - xp.inf), low, high)
        return expected_average_precision(above, tied * valid, right_above, right_tied, n_right)


def _count(scores, thresholds, strict):
    """How many scores of each row are above the threshold of the row, or at least as high."""
    compare = np.greater if strict else np.greater_equal
    if is_numpy(scores):  # row by row, because a row stays in the cache and a count along an axis is slower
        return np.array([np.count_nonzero(compare(row, t)) for row, t in zip(scores, thresholds[:, 0])])
    return to_numpy((scores > thresholds if strict else scores >= thresholds).sum(1))


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


class Ranking:
    """Two sides whose rows are each other's queries and candidates. Parameters: see `match_ranks`."""

    def __init__(
        self,
        Z_a=None,
        Z_b=None,
        *,
        similarity=None,
        groups=None,
        groups_b=None,
        function="cosine",
        normalization=None,
        n_neighbors=10,
        beta=30.0,
        chunk_size=None,
    ):
        check_similarity_name(function)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization must be one of {NORMALIZATIONS}, got {normalization!r}.")
        self.n_neighbors = check_count("n_neighbors", n_neighbors)
        self.chunk_size = None if chunk_size is None else check_count("chunk_size", chunk_size)
        if not isinstance(beta, Real) or isinstance(beta, bool) or not 0 < beta < np.inf:
            raise ValueError(f"beta must be a number greater than 0, got {beta!r}.")
        self.beta, self.normalization, self.function = float(beta), normalization, function
        if similarity is None:
            self._set_embeddings(Z_a, Z_b)
        elif Z_a is None and Z_b is None:
            self._set_matrix(similarity)
        else:
            raise ValueError("Give either the embeddings Z_a and Z_b or similarity=, not both.")
        self.codes = dict(zip(DIRECTIONS, _group_codes(groups, groups_b, self.sizes)))

    def _set_embeddings(self, Z_a, Z_b):
        if Z_a is None or Z_b is None:
            raise ValueError("Give two embeddings, Z_a and Z_b; a matrix of similarities is given as similarity=.")
        pair = [Z.detach() if is_tensor(Z) else Z for Z in check_two(Z_a, Z_b, names=("Z_a", "Z_b"))]
        self.matrix, self.pair, self.sizes = None, pair, tuple(Z.shape[0] for Z in pair)
        self.unit, self.function = self.function == "cosine", "dot" if self.function == "cosine" else self.function
        self._prepared = None, None
        self.lengths = [
            namespace(*parts).concat(parts)
            for parts in ([_lengths(self._rows(side, part)) for part in _parts(Z)] for side, Z in enumerate(pair))
        ]

    def _rows(self, side, part):
        """Some rows of a side as they are compared: in float64, for the cosine of length 1."""
        # Always float64: of 50,000 x 50,000 float32 scores some would be told apart by rounding alone.
        Z = self.pair[side][part]
        Z = astype(Z, namespace(Z).float64) if is_tensor(Z) else Z.astype(np.float64, copy=False)
        return unit_rows(Z) if self.unit else Z

    def _candidates(self, side):
        """All rows of a side; of two sides, one at a time is kept."""
        if self._prepared[0] != side:
            self._prepared = None, None  # the other side may take as much room
            Z = self.pair[side]
            if sp.issparse(Z) or (not self.unit and Z.dtype == namespace(Z).float64):
                table = self._rows(side, slice(None))
            else:
                xp = namespace(Z)
                table = xp.empty(tuple(Z.shape), dtype=xp.float64, device=device_of(Z))
                for part in _parts(Z):
                    table[part, ...] = self._rows(side, part)
            self._prepared = side, table
        return self._prepared[1]

    def _set_matrix(self, S):
        if sp.issparse(S):
            raise TypeError("similarity must be dense: an entry that is not stored has no score to be ranked by.")
        self.matrix = check_rows(S, "similarity")
        self.sizes = tuple(self.matrix.shape)

    def _scores(self, direction, queries):
        """Rows `queries` of the similarity to all candidates, before normalisation, in float64."""
        forward = direction == "a_to_b"
        if self.matrix is not None:
            S = self.matrix[queries] if forward else self.matrix[:, queries].T
        elif forward or not callable(self.function):  # those with a name are symmetric
            S = apply_similarity(self._rows(1 - forward, queries), self._candidates(int(forward)), self.function)
        else:
            S = apply_similarity(self._candidates(0), self._rows(1, queries), self.function).T
        xp = namespace(S)
        S = astype(S, xp.float64)
        S = np.ascontiguousarray(S) if is_numpy(S) else S.contiguous()
        with np.errstate(over="ignore", invalid="ignore"):
            total = xp.sum(S)  # not finite if an entry is not, and quicker to see
        if not bool(xp.isfinite(total)) and not bool(xp.isfinite(S).all()):
            raise ValueError("The similarity contains NaN or infinity; candidates cannot be ranked by it.")
        return S

    def _batches(self, direction):
        n_queries, n_candidates = self.shape(direction)
        return batches(n_queries, self.chunk_size or _CHUNK // n_candidates)

    def _hubness(self, direction):
        """How near each candidate is to the queries in general: what a normalisation takes off its scores."""
        other = _OPPOSITE[direction]
        parts = []
        for candidates in self._batches(other):
            S = self._scores(other, candidates)
            if self.normalization == "csls":
                # CSLS is 2 s - r_query - r_candidate. The query's own term does not change its ranking, nor does 2.
                parts.append(_mean_of_largest(S, self.n_neighbors) / 2)
            else:
                # exp(beta s) / sum over queries of exp(beta s) ranks like s minus the logarithm of the sum over beta.
                parts.append(_log_sum_exp(self.beta * S) / self.beta)
        return namespace(*parts).concat(parts)

    def _rounding(self, direction, queries, hubness):
        if self.matrix is not None and hubness is None:
            return 0.0, 0.0
        absolute = 0.0 if hubness is None else _TIE * float(abs(hubness).max())
        if self.matrix is None and self.function in ("dot", "linear"):  # a product of long rows can cancel to any size
            first, second = self.lengths if direction == "a_to_b" else self.lengths[::-1]
            absolute = absolute + _TIE * float(second.max()) * first[queries, None]
        return _TIE, absolute

    def shape(self, direction):
        """Number of queries and of candidates."""
        return self.sizes if direction == "a_to_b" else self.sizes[::-1]

    def n_right(self, direction):
        """How many candidates are right for each query; shape (n_queries,)."""
        return self._right_answers(direction)[2]

    def _right_answers(self, direction):
        """Candidates sorted by group, and for each query the first right one there and their number."""
        queries, candidates = self.codes[direction], self.codes[_OPPOSITE[direction]]
        order = np.argsort(candidates, kind="stable")
        first, end = (np.searchsorted(candidates[order], queries, side=side) for side in ("left", "right"))
        alone = np.count_nonzero(first == end)
        if alone:
            a, b = direction.split("_to_")
            raise ValueError(f"{alone} rows of {a} have no row of {b} in their group, so they have no right answer.")
        return order, first, end - first

    def chunks(self, direction):
        """The scores of all queries, a `Chunk` at a time."""
        hubness = None if self.normalization is None else self._hubness(direction)
        order, first, n_right = self._right_answers(direction)
        for queries in self._batches(direction):
            scores = self._scores(direction, queries)
            if hubness is not None:
                scores = scores - hubness
            number = np.arange(n_right[queries].max())
            valid = number < n_right[queries, None]
            columns = order[first[queries, None] + np.minimum(number, n_right[queries, None] - 1)]
            columns, valid = like(columns, scores), like(valid, scores)
            right = np.take_along_axis(scores, columns, axis=1) if is_numpy(scores) else scores.gather(1, columns)
            yield Chunk(scores, right, valid, self._rounding(direction, queries, hubness))

    def ranks(self, direction):
        """Ranks of the first right answers to all queries."""
        parts = [chunk.ranks() for chunk in self.chunks(direction)]
        return TiedRanks(*(np.concatenate([getattr(p, name) for p in parts]) for name in TiedRanks.__annotations__))

    def average_precisions(self, direction):
        return np.concatenate([chunk.average_precisions() for chunk in self.chunks(direction)])


def _parts(Z):
    """Slices of the rows of a table that take as much room as a chunk; a sparse one is a single part."""
    n, width = Z.shape
    return batches(n, n if sp.issparse(Z) else _CHUNK // max(width, 1))


def _lengths(Z):
    return row_norms(Z) if not is_tensor(Z) else namespace(Z).linalg.vector_norm(Z, axis=1)


def _mean_of_largest(S, k):
    n_rows, n_columns = S.shape
    k = min(k, n_columns)
    if not is_numpy(S):
        return S.topk(k, dim=1).values.mean(dim=1)
    # Cut a row into blocks: at least k entries reach the k-th largest maximum of a block, and few more do. This
    # leaves little to sort, and takes a fraction of the time of a partition of the row.
    size = isqrt(n_columns // k)
    blocks = S[:, : n_columns // size * size].reshape(n_rows, size, -1).max(axis=1)
    bounds = np.partition(blocks, -k, axis=1)[:, -k]
    return np.array([np.sort(row[row >= bound])[-k:].mean() for row, bound in zip(S, bounds)])


def _log_sum_exp(S):
    xp = namespace(S)
    highest = xp.max(S, axis=1, keepdims=True)
    return xp.log(xp.sum(xp.exp(S - highest), axis=1)) + highest[:, 0]


def check_direction(direction, allowed=("both", *DIRECTIONS)):
    """Raise unless `direction` is allowed."""
    if direction not in allowed:
        raise ValueError(f"direction must be one of {allowed}, got {direction!r}.")


def ways_of(direction):
    """The one or two ways that a direction, checked here, stands for."""
    check_direction(direction)
    return DIRECTIONS if direction == "both" else (direction,)


def check_count(name, value):
    """`value` as an int of at least 1."""
    if not is_whole(value, 1):
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
    return int(value)


def _group_codes(groups, groups_b, sizes):
    """Integer codes of the rows of both sides, equal for right answers."""
    if groups is None:
        if groups_b is not None:
            raise ValueError("groups_b needs groups, the groups of the first side.")
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"Row i of one side matches row i of the other, but there are {sizes[0]} and {sizes[1]} rows; groups= "
                "and groups_b= say which rows belong together."
            )
        return np.arange(sizes[0]), np.arange(sizes[0])
    a = _check_groups(groups, "groups", sizes[0])
    b = _check_groups(groups if groups_b is None else groups_b, "groups" if groups_b is None else "groups_b", sizes[1])
    if (a.dtype.kind in "OUS") != (b.dtype.kind in "OUS"):
        raise ValueError(f"groups ({a.dtype}) and groups_b ({b.dtype}) must be labels of one kind.")
    codes = np.unique(np.concatenate([a, b]), return_inverse=True)[1]
    return codes[: sizes[0]], codes[sizes[0] :]


def _check_groups(groups, name, size):
    groups = to_numpy(groups) if is_tensor(groups) else np.asarray(groups)
    if groups.shape != (size,):
        raise ValueError(f"{name} must hold one label for each of {size} rows, but its shape is {groups.shape}.")
    if groups.dtype.kind == "O":
        groups = groups.astype(str) if all(isinstance(g, str) for g in groups) else groups
    missing = groups != groups  # NaN
    if np.any(missing) or (groups.dtype.kind == "O" and any(g is None for g in groups)):
        raise ValueError(f"{name} has missing labels.")
    return groups


def mean_over(direction, metric):
    """``metric(way)``, or its mean over both ways."""
    return float(np.mean([metric(way) for way in ways_of(direction)]))
