"""Queries against candidates, a few rows of the similarity matrix at a time: what every retrieval metric reduces."""

from __future__ import annotations

from numbers import Real

import numpy as np
import scipy.sparse as sp
from array_api_compat import device as device_of
from sklearn.utils.extmath import row_norms

from .._backend import astype, is_numpy, is_tensor, like, namespace, to_numpy
from .._input import is_whole
from ._counting import Chunk, count_in_columns, log_sum_exp, mean_of_largest, tie_bounds
from ._ties import TiedRanks
from .similarity import apply_similarity, batches, check_rows, check_similarity_name, check_two, unit_rows

DIRECTIONS = ("a_to_b", "b_to_a")
_OPPOSITE = dict(zip(DIRECTIONS, DIRECTIONS[::-1]))
NORMALIZATIONS = (None, "csls", "inverted_softmax")
# Numbers in one chunk of the similarity matrix: 32 MB in float64.
_CHUNK = 2**22
_SQUARE = 64  # rows whose products with each other are taken for the sake of the diagonal
# Scores computed from equal embeddings differ by rounding, and by where in a block of the product they stand. Closer
# than this many units of rounding they count as tied; so no metric depends on the chunk size or the order of rows.
_TIE = 16 * np.finfo(np.float64).eps


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
        self.matched = groups is None
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
                parts.append(mean_of_largest(S, self.n_neighbors) / 2)
            else:
                # exp(beta s) / sum over queries of exp(beta s) ranks like s minus the logarithm of the sum over beta.
                parts.append(log_sum_exp(self.beta * S) / self.beta)
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
        return _joined([chunk.ranks() for chunk in self.chunks(direction)])

    def ranks_by_way(self, direction):
        """`ranks` of one way or both, by name; both at once where one look at the scores tells them."""
        ways = ways_of(direction)
        matched = self.matched and self.normalization is None and (self.matrix is not None or self.function == "dot")
        return self._ranks_of_matches() if matched and len(ways) == 2 else {way: self.ranks(way) for way in ways}

    def _ranks_of_matches(self):
        """Ranks both ways where row i of one side is the right answer to row i of the other."""
        matches, parts, better, at_least = self._matches(), [], 0, 0
        rounding = self._rounding("b_to_a", slice(None), None)
        low, high = (bound[:, 0] for bound in tie_bounds(matches[:, None], rounding))
        for queries in self._batches("a_to_b"):
            scores = self._scores("a_to_b", queries)
            if self.matrix is None:  # rounding differs by the place in a product
                rows = like(np.arange(scores.shape[0]), scores)
                scores[rows, queries.start + rows] = matches[queries]
            right = matches[queries, None]
            rounding = self._rounding("a_to_b", queries, None)
            parts.append(Chunk(scores, right, right == right, rounding).ranks())
            better = better + count_in_columns(scores, high, strict=True)
            at_least = at_least + count_in_columns(scores, low, strict=False)
        one = np.ones_like(better)
        return dict(zip(DIRECTIONS, (_joined(parts), TiedRanks(better, at_least - better - one, one))))

    def _matches(self):
        """The score of every row with its match."""
        if self.matrix is not None:
            return astype(_diagonal(self.matrix), namespace(self.matrix).float64)
        rows = batches(self.sizes[0], _SQUARE)
        parts = [_diagonal(apply_similarity(self._rows(0, i), self._rows(1, i), self.function)) for i in rows]
        return namespace(*parts).concat(parts)

    def average_precisions(self, direction):
        return np.concatenate([chunk.average_precisions() for chunk in self.chunks(direction)])


def _diagonal(S):
    return namespace(S).linalg.diagonal(S)


def _joined(parts):
    return TiedRanks(*(np.concatenate([getattr(p, name) for p in parts]) for name in TiedRanks.__annotations__))


def _parts(Z):
    """Slices of the rows of a table that take as much room as a chunk; a sparse one is a single part."""
    n, width = Z.shape
    return batches(n, n if sp.issparse(Z) else _CHUNK // max(width, 1))


def _lengths(Z):
    lengths = row_norms(Z) if not is_tensor(Z) else namespace(Z).linalg.vector_norm(Z, axis=1)
    if bool(namespace(lengths).isfinite(lengths).all()):
        return lengths
    unit = float(abs(Z).max())  # squares overflow
    return _lengths(Z / unit) * unit


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
    try:
        np.sort(groups)
    except TypeError:
        raise ValueError(f"{name} holds labels of several kinds, which have no order: take one kind.") from None
    return groups


def mean_over(direction, metric):
    """``metric(way)``, or its mean over both ways."""
    return float(np.mean([metric(way) for way in ways_of(direction)]))
