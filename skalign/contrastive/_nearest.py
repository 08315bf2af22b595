"""Exact nearest rows, a tile of the similarity matrix at a time."""

from __future__ import annotations

import numpy as np

from .._backend import astype, is_numpy, like, namespace, to_numpy
from ..metrics._counting import kth_bound
from ..metrics.similarity import apply_similarity, batches

_TILE, _WIDTH = 2**21, 4096  # numbers in a tile, 16 MB in float64, and its columns
# Similarities to equal rows differ by rounding, and by where in a tile they stand: by one unit of rounding of the
# product of the lengths, where it was measured. Closer than this many units they are equal.
_TIE = 4
_CROWD = 64  # candidates of one query, beyond a multiple of k, from which its ties are cut one by one


def nearest(queries, gallery, k, function, chunk_size=None):
    """The k rows of the gallery most similar to each query.

    Parameters
    ----------
    queries : array of shape (n, d)
        Checked rows.
    gallery : array of shape (m, d)
        Of the same library and dtype.
    k : int
        At most m.
    function : str or callable
        A similarity of `skalign.metrics.pairwise_similarity`.
    chunk_size : int, default=None
        Queries compared at a time.

    Returns
    -------
    values : ndarray of shape (n, k)
        Similarities, best first.
    positions : int64 ndarray of shape (n, k)
        Of equal similarities the lower position is first.
    """
    n, m = queries.shape[0], gallery.shape[0]
    width = min(m, max(_WIDTH, k))
    unit = _TIE * float(namespace(queries).finfo(queries.dtype).eps)
    absolute = np.zeros(n)
    if function in ("dot", "linear"):  # a product of long rows can cancel to any size
        absolute = unit * _lengths(queries) * _lengths(gallery).max()
    elif function == "cosine":
        absolute += unit
    parts = []
    for rows in batches(n, chunk_size or _TILE // width):
        best = None
        for columns in batches(m, width):
            S = apply_similarity(queries[rows], gallery[columns], function)
            total = S.sum()  # not finite if an entry is not, and quicker to see
            if not bool(namespace(S).isfinite(total)) and not bool(namespace(S).isfinite(S).all()):
                raise ValueError("The similarity contains NaN or infinity; the gallery cannot be ranked by it.")
            rounding = unit, absolute[rows]
            best = _of_first(S, k, rounding) if best is None else _with_later(best, S, columns.start, rounding)
        parts.append(best)
    return tuple(np.concatenate(part) for part in zip(*parts))


def _lengths(Z):
    return to_numpy(namespace(Z).linalg.vector_norm(Z, axis=1))


def _of_first(S, k, rounding):
    """Best k of the first tile, which has k columns at least."""
    bound = kth_bound(S, k) if is_numpy(S) else to_numpy(S.topk(k, dim=1).values[:, -1])
    inside = _column(bound - _tolerance(bound, rounding), S) <= S
    counts = to_numpy(inside.sum(1))
    crowded = np.flatnonzero(counts > 4 * k + _CROWD)
    # Rows with many ties (a query of zeros, a gallery of copies) would make all rows wait for them.
    cut = {}
    for row in crowded.tolist():
        line = to_numpy(S[row])
        kth = np.partition(line, -k)[-k]
        tie = _tolerance(kth, (rounding[0], rounding[1][row]))
        chosen = np.concatenate([np.flatnonzero(line > kth + tie), np.flatnonzero(abs(line - kth) <= tie)[:k]])
        cut[row] = np.sort(chosen)
        inside[row] = False
    values, positions = _padded(*_entries(S, inside), S.shape[0])
    if cut:
        short = max(map(len, cut.values())) - values.shape[1]
        values = np.pad(values, ((0, 0), (0, max(short, 0))), constant_values=-np.inf)
        positions = np.pad(positions, ((0, 0), (0, max(short, 0))))
    for row, chosen in cut.items():
        values[row, : len(chosen)], positions[row, : len(chosen)] = to_numpy(S[row])[chosen], chosen
    return _first_k(values, positions, k, rounding)


def _with_later(best, S, start, rounding):
    """The best so far with those of a tile further on, which have to be greater to come in."""
    values, positions = best
    bound = values[:, -1]
    inside = _column(bound + _tolerance(bound, rounding), S) < S
    rows, columns, new = _entries(S, inside)
    if len(rows):
        is_touched = np.bincount(rows, minlength=len(bound)) > 0
        touched = np.flatnonzero(is_touched)
        new, places = _padded((np.cumsum(is_touched) - 1)[rows], columns, new, len(touched))
        merged = np.hstack([values[touched], new]), np.hstack([positions[touched], places + start])
        rounding = rounding[0], rounding[1][touched]
        values[touched], positions[touched] = _first_k(*merged, values.shape[1], rounding)
    return values, positions


def _first_k(values, positions, k, rounding):
    """The k greatest of every row; equal ones by position."""
    order = np.argsort(-values, axis=1, kind="stable")
    values, positions = np.take_along_axis(values, order, 1), np.take_along_axis(positions, order, 1)
    relative, absolute = rounding
    with np.errstate(invalid="ignore"):  # the fill at the end of rows
        apart = values[:, :-1] - values[:, 1:] > _tolerance(values[:, :-1], (relative, absolute[:, None]))
    apart |= ~np.isfinite(values[:, 1:])
    swapped = ~apart & (positions[:, :-1] > positions[:, 1:])
    for row in np.flatnonzero(swapped.any(axis=1)):  # equal up to rounding, and rare
        order = np.lexsort((positions[row], np.concatenate([[0], np.cumsum(apart[row])])))
        values[row], positions[row] = values[row, order], positions[row, order]
    return values[:, :k].copy(), positions[:, :k].copy()


def _entries(S, inside):
    """Rows, columns and values of the entries of `S` that are inside, on the host."""
    rows, columns = _nonzero(inside)
    return to_numpy(rows), to_numpy(columns), to_numpy(S[rows, columns])


def _padded(rows, columns, values, n_rows):
    """Entries and their columns, left in each row, with -inf at its end; `rows` ascends."""
    counts = np.bincount(rows, minlength=n_rows)
    out = np.full((n_rows, counts.max()), -np.inf, dtype=values.dtype)
    positions = np.zeros(out.shape, dtype=np.int64)
    at = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    out[rows, at], positions[rows, at] = values, columns
    return out, positions


def _nonzero(inside):
    if is_numpy(inside):
        return np.divmod(np.flatnonzero(inside), inside.shape[1])  # in two dimensions it takes several times as long
    return inside.nonzero(as_tuple=True)


def _tolerance(values, rounding):
    return rounding[0] * abs(values) + rounding[1]


def _column(bound, S):
    return astype(like(bound[:, None], S), S.dtype)
