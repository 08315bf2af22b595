"""Dask arrays: tables too large for memory, as blocks of rows.

Nothing here imports dask before a user has: without it there is no Dask array to work on.
"""

from __future__ import annotations

import sys

import numpy as np

# How many results of blocks are merged at once: few enough that hardly any wait in memory for their neighbours.
_FAN_IN = 8


def is_lazy(X) -> bool:
    """Whether `X` is a Dask array."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(X, getattr(module, "Array", ()))


def check_row_blocks(X, label=""):
    """A Dask array as blocks of whole rows of floats; of the data themselves nothing is computed.

    Parameters
    ----------
    X : dask.array.Array of shape (n_samples, n_features)
        One view. float32 and float64 stay; other numbers become float64.
    label : str
        Stands before every error.

    Raises
    ------
    ValueError
        For another number of dimensions, unknown lengths, or entries that are no real numbers.
    """
    if X.ndim != 2:
        raise ValueError(f"{label}Expected 2D array, got {X.ndim}D array instead. Reshape your data.")
    check_known_rows(X, label)
    if X.dtype.kind == "c":
        raise ValueError(f"{label}Complex data not supported.")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{label}holds entries of dtype {X.dtype}, where numbers are needed.")
    if not isinstance(X._meta, np.ndarray):
        X = X.map_blocks(_dense, dtype=X.dtype, meta=np.empty((0, 0), dtype=X.dtype))
    if X.dtype not in (np.float64, np.float32):
        X = X.astype(np.float64)
    return X if X.numblocks[1] == 1 else X.rechunk({1: -1})


def _dense(block):
    return block.toarray() if hasattr(block, "toarray") else np.asarray(block)


def check_known_rows(X, label=""):
    """Raise ValueError for a Dask array that does not know how many rows it has."""
    if X.ndim and np.isnan(X.shape[0]):
        raise ValueError(
            f"{label}a Dask array whose chunks have unknown sizes, and so has no number of rows: call its "
            "compute_chunk_sizes() first."
        )


def map_row_blocks(function, X):
    """``function(X)``, block by block, when it is asked for.

    Parameters
    ----------
    function : callable
        From an array of shape (n, p) to one of shape (n, k), row by row. It is tried on a single row to learn k.
    X : dask.array.Array of shape (n_samples, p)
        As `check_row_blocks` returns it.

    Returns
    -------
    dask.array.Array of shape (n_samples, k)
    """
    example = function(np.ones((1, X.shape[1]), dtype=X.dtype))
    return X.map_blocks(function, dtype=example.dtype, chunks=(X.chunks[0], (example.shape[1],)), meta=example[:0])


def take_rows(X, rows):
    """Some rows, in memory wherever `X` is a Dask array."""
    return X[rows].compute() if is_lazy(X) else X[rows]


def reduce_row_blocks(summarise, merge, tables, rows=None):
    """Summaries of blocks of rows, merged as a tree on whatever scheduler Dask is set to.

    Parameters
    ----------
    summarise : callable
        From the list of blocks of all tables, of at least one row, and the entries of `rows` that belong to them or
        None, to a summary.
    merge : callable
        From a list of summaries of neighbouring rows, in order, to the summary of all of them.
    tables : list of dask.array.Array of shape (n_samples, p_i)
        As `check_row_blocks` returns them. Rows are brought into the blocks of the first.
    rows : ndarray of shape (n_samples,), default=None
        Something else that every row has, a weight say.

    Returns
    -------
    object
        The summary of all rows.
    """
    import dask

    lengths = tables[0].chunks[0]
    tables = [X if X.chunks[0] == lengths else X.rechunk({0: lengths}) for X in tables]
    # Unoptimised: fused tasks would compute what several tables are made of once for each of them.
    columns = [X.to_delayed(optimize_graph=False).ravel() for X in tables]
    pieces = [None] * len(lengths) if rows is None else np.split(rows, np.cumsum(lengths)[:-1])
    shared = dask.delayed((summarise,))  # one entry of the graph: what the function holds is not copied into each task
    call = dask.delayed(_call, pure=False)
    parts = [call(shared, blocks, piece) for n, *blocks, piece in zip(lengths, *columns, pieces) if n]
    join = dask.delayed(merge, pure=False)
    while len(parts) > 1:
        parts = [join(parts[i : i + _FAN_IN]) for i in range(0, len(parts), _FAN_IN)]
    return parts[0].compute()


def _call(shared, blocks, rows):
    return shared[0](blocks, rows)
