"""The k nearest neighbours of every row, ties shared instead of broken by position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._backend import astype, is_numpy, is_tensor, like, namespace, to_numpy
from .._counting import kth_bound
from ..similarity import batches, unit_rows
from ._input import CHUNK, ROWS, TIE
from ._kernels import centred_rows, mean_row
from ._screening import at_least, screened_cosines

# A product of fewer rows with all of X takes the time of reading X.
_FEWEST = 64
METRICS = ("cosine", "euclidean", "precomputed")


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of every row, sorted by row and by distance within it.

    Rows at equal distance form a tie. A tie that reaches beyond the k-th place is here with all its members, each of
    which is among the k nearest with equal probability.

    Attributes
    ----------
    n_samples, k : int
    rows, columns : int array of shape (n_pairs,)
        Row and its neighbour.
    start, size : int array of shape (n_pairs,)
        Number of neighbours nearer than the tie that the neighbour belongs to, and members of the tie.
    values : float array of shape (n_pairs,)
        Nearness, greater is nearer. Cosines that single precision tells apart may be in single precision.
    """

    n_samples: int
    k: int
    rows: np.ndarray
    columns: np.ndarray
    start: np.ndarray
    size: np.ndarray
    values: np.ndarray

    @property
    def weights(self):
        """Probability of each pair to be among the k nearest when ties fall at random; rows sum to k."""
        return np.minimum(1.0, (self.k - self.start) / self.size)

    def permuted(self, permutation):
        """The neighbours if row i held what row ``permutation[i]`` holds."""
        place = np.argsort(permutation)
        rows = place[self.rows]
        order = np.argsort(rows, kind="stable")
        arrays = (rows, place[self.columns], self.start, self.size, self.values)
        return Neighbors(self.n_samples, self.k, *(array[order] for array in arrays))


def check_metric(metric):
    """Raise unless `metric` is callable or known by name."""
    if not callable(metric) and metric not in METRICS:
        raise ValueError(f"metric must be callable or one of {METRICS}, got {metric!r}.")


def find_neighbors(X, metric, k, chunk_size=None):
    """`Neighbors` of the rows of `X` by distance; a row is no neighbour of itself, its duplicates are.

    Time is that of the distances, memory that of `chunk_size` rows of them.
    """
    if metric == "cosine":
        return nearest_by(Cosines(X, exact=False), X.shape[0], k, chunk_size)
    return nearest_by(_euclidean(X) if metric == "euclidean" else _given(X, metric), X.shape[0], k, chunk_size)


def nearest_by(nearness, n, k, chunk_size=None):
    """`Neighbors` by a function that gives the nearness of some rows to all rows, and what is too small to matter.

    Parameters
    ----------
    nearness : callable
        ``nearness(rows)`` for a slice gives an array of shape (n_rows, n), greater is nearer, that may be written to,
        and the tolerance, a float or an array of shape (n_rows,). Where it has a method ``screen``, that gives
        bands of rows and candidates at less cost, or None where they are too many.
    """
    screen = getattr(nearness, "screen", None)
    bands = [(slice(0, n), None)] if screen is None else screen(k, chunk_size)
    parts = []
    for band, found in bands:
        if found is not None:
            parts.append(_nearest(band.start, *found, k))
            continue
        for rows in batches(band.stop - band.start, chunk_size or max(_FEWEST, CHUNK // n)):
            rows = slice(band.start + rows.start, band.start + rows.stop)
            parts.append(_nearest(rows.start, *_compared(nearness, rows, k), k))
    return Neighbors(n, k, *(np.concatenate(arrays) for arrays in zip(*parts)))


def _nearest(first_row, i, j, values, tolerance, k):
    """The arrays of `Neighbors` for some rows, of their candidates."""
    i, j, values, start, size = _ranked(i, j, values, tolerance)
    keep = start < k
    return [a[keep] for a in (first_row + i, j, start, size, values)]


def _compared(nearness, rows, k):
    """Candidates of some rows, their nearness and its tolerance for each row."""
    scores, tolerance = nearness(rows)
    tolerance = np.broadcast_to(np.asarray(to_numpy(tolerance), dtype=float), scores.shape[0])
    exclude_self(scores, rows)
    return *_candidates(scores, k, 8 * tolerance), tolerance


def exclude_self(scores, rows):
    """Put the nearness of each row to itself below that of all others."""
    at = np.arange(rows.stop - rows.start)
    scores[at, rows.start + at] = -np.inf


def _ranked(i, j, values, tolerance):
    """Candidates by row and by nearness within it, and the start and the size of their tie."""
    order = np.lexsort((-values, i))
    i, j, values = i[order], j[order], values[order]
    new_row = np.diff(i, prepend=-1) > 0
    new_tie = new_row.copy()
    new_tie[1:] |= values[:-1] - values[1:] > tolerance[i[1:]]
    first = np.flatnonzero(new_tie)
    tie = np.cumsum(new_tie) - 1
    place = np.arange(len(i)) - np.flatnonzero(new_row)[np.cumsum(new_row) - 1]
    start = place[first][tie]
    size = np.diff(first, append=len(i))[tie]
    return i, j, values, start, size


def _candidates(scores, k, margin):
    """Row, column and value of entries among which are all that could be one of the `k` largest of their row."""
    if is_numpy(scores):
        return at_least(scores, kth_bound(scores, k) - margin)
    bound = scores.topk(k, dim=1).values[:, -1:] - like(margin, scores)[:, None]
    i, j = (scores >= bound).nonzero(as_tuple=True)
    return to_numpy(i), to_numpy(j), to_numpy(scores[i, j])


# --- nearness ---------------------------------------------------------------------------------------------------------


def _given(X, metric):
    xp = namespace(X)

    def nearness(rows):
        D = X[rows] if metric == "precomputed" else metric(X[rows], X)
        D = D if is_tensor(D) else np.asarray(D)
        if tuple(D.shape) != (rows.stop - rows.start, X.shape[0]):
            raise ValueError(f"metric must return one row for each row of its first argument, got {tuple(D.shape)}.")
        S = -astype(D, xp.float64)
        if metric != "precomputed" and not bool(xp.all(xp.isfinite(S))):
            raise ValueError("metric returned NaN or infinity.")
        return S, TIE * xp.max(abs(S), axis=1)

    return nearness


class Cosines:
    """Cosines of some rows with all rows; with ``exact=False`` only as exact as their order needs."""

    def __init__(self, X, exact=True):
        xp = namespace(X)
        with np.errstate(over="ignore"):
            lengths = xp.sqrt(squared_lengths(X, 0.0))
        tiny, huge = float(xp.min(lengths)), float(xp.max(lengths))
        if not (tiny > 1e-15 and huge < 1e15):  # squares may have vanished or overflowed
            X, lengths = unit_rows(astype(X, xp.float64)), xp.ones_like(lengths)
        self.exact = exact
        self.X, self.inverse = X, 1.0 / lengths  # the product is scaled, not the rows: no copy of X is made
        if not is_numpy(X):
            self.screen = None

    def __call__(self, rows):
        xp = namespace(self.X)
        A = astype(self.X[rows], xp.float64) * self.inverse[rows, None]
        S = A @ self.X.T if self.X.dtype == xp.float64 else _product(A, self.X, lambda Z: astype(Z, xp.float64))
        S *= self.inverse
        return S, TIE

    def screen(self, k, chunk_size):
        """Bands of rows and their candidates."""
        return screened_cosines(self.X, self.inverse, k, chunk_size, self.exact)


def _euclidean(X):
    xp = namespace(X)
    centre = mean_row(X)  # without this a large mean would drown the distances
    squares = squared_lengths(X, centre)
    largest = xp.max(squares)

    def nearness(rows):
        S = _product(centred_rows(X, centre, rows), X, lambda Z: astype(Z, xp.float64) - centre)
        S *= 2.0
        S -= squares
        S -= squares[rows, None]
        return S, TIE * (squares[rows] + largest)

    return nearness


def squared_lengths(X, centre):
    """Squared length of every row less `centre`, in float64."""
    xp = namespace(X)
    parts = batches(X.shape[0], ROWS // X.shape[1])
    return xp.concat([xp.sum(centred_rows(X, centre, rows) ** 2, axis=1) for rows in parts])


def _product(A, X, prepare):
    """``A @ prepare(X).T``, a block of `X` at a time prepared."""
    blocks = batches(X.shape[0], 2 * ROWS // X.shape[1])
    return namespace(X).concat([A @ prepare(X[columns]).T for columns in blocks], axis=1)
