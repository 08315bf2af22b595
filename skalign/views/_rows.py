"""Row indexing that scikit-learn's splitters can drive."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

import array_api_compat.numpy as np_compat
import numpy as np
from sklearn.utils import _safe_indexing

from .._backend import is_tensor, like, to_numpy
from .._lazy import check_known_rows, is_lazy
from .._typing import ArrayLike, Self


def row_positions(rows, n_rows):
    """The row selection `rows` as a slice with a positive step or as non-negative integers.

    Parameters
    ----------
    rows : int, slice, range, boolean mask or array of int
        Negative numbers count from the end; one int selects one row.
    n_rows : int
        How many rows there are.

    Raises
    ------
    IndexError
        For a position outside the rows, a mask of another length (silently cut to size by plain lists), or anything
        that is neither a mask nor integers.
    """
    if isinstance(rows, slice):
        start, stop, step = rows.indices(n_rows)
        return slice(start, stop, step) if step > 0 else np.arange(start, stop, step)
    rows = to_numpy(rows) if is_tensor(rows) else np.asarray(rows)
    if rows.size == 0 and rows.dtype.kind == "f":  # what numpy makes of an empty list
        rows = rows.astype(np.intp)
    if rows.ndim > 1:
        raise IndexError(f"Rows are selected by a one-dimensional index, not by one of shape {rows.shape}.")
    if rows.dtype == bool:
        if rows.shape != (n_rows,):
            raise IndexError(f"A boolean mask of {rows.size} entries cannot select from {n_rows} rows.")
        return np.flatnonzero(rows)
    if rows.dtype.kind not in "iu":
        raise IndexError(f"Rows are selected by integers, a slice or a boolean mask, not by {rows.dtype} values.")
    rows = rows.reshape(-1)
    if rows.size and (rows.max() >= n_rows or rows.min() < -n_rows):  # as they are: huge unsigned ones would wrap
        raise IndexError(f"Row {rows[(rows >= n_rows) | (rows < -n_rows)][0]} is out of range for {n_rows} rows.")
    rows = rows.astype(np.intp, copy=False)
    return np.where(rows < 0, rows + n_rows, rows)


class RowTable:
    """What a container of rows needs for scikit-learn to split it, with or without array API dispatch.

    A subclass has ``__len__`` and ``_take_rows(rows)``, which gets what `row_positions` returns. It must not be a
    tuple, list or dict: scikit-learn would take its parts for rows.
    """

    # What to tell someone who treats the container as one array or loops over it.
    _not_an_array = "it is not one array"

    if TYPE_CHECKING:

        def __len__(self) -> int: ...
        def _take_rows(self, rows: Any) -> Self: ...

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            # scikit-learn indexes containers that have a shape with (rows, ...)
            if len(key) != 2 or not (key[1] is Ellipsis or key[1] == slice(None)):
                raise IndexError(f"{type(self).__name__} has rows only: index it with [rows] or [rows, ...].")
            key = key[0]
        return self._take_rows(row_positions(key, len(self)))

    def take(self, indices: ArrayLike, axis: int | None = 0, out: None = None, mode: str = "raise") -> Self:
        """Rows by position, as `numpy.take` asks for them.

        Parameters
        ----------
        indices : array of int
            Row positions.
        axis : {0, None}
            Rows are the only axis.
        out, mode : None, "raise"
            For the signature of numpy; other values are refused.

        Returns
        -------
        container of the same type
        """
        if axis not in (0, None) or out is not None or mode != "raise":
            raise ValueError(f"{type(self).__name__}.take selects rows only: axis=0, out=None, mode='raise'.")
        return self._take_rows(row_positions(np.asarray(indices), len(self)))

    def __array_namespace__(self, api_version=None):
        return np_compat

    @property
    def device(self) -> str:
        """The device as the array API means it: rows are chosen on the CPU."""
        return "cpu"

    def __array__(self, dtype=None, copy=None):
        raise TypeError(f"{type(self).__name__} cannot become an array: {self._not_an_array}.")

    def __iter__(self):
        raise TypeError(f"{type(self).__name__} cannot be looped over: {self._not_an_array}.")

    def __sizeof__(self) -> int:
        """Bytes, those of the data too: by them a cluster decides what to send once and what along with every task."""
        parts = [
            part for value in vars(self).values() for part in (value.values() if isinstance(value, dict) else [value])
        ]
        return object.__sizeof__(self) + sum(map(_bytes_of, parts))

    def __bool__(self):
        return len(self) > 0


def _bytes_of(part):
    """Bytes that an attribute takes in memory; those of a long list are estimated from some of its entries."""
    import scipy.sparse as sp

    if sp.issparse(part):
        return sum(_bytes_of(getattr(part, name, None)) for name in ("data", "indices", "indptr"))
    if isinstance(part, list) and part:
        some = part[:: max(1, len(part) // 10)]
        return sys.getsizeof(part) + len(part) * sum(map(_bytes_of, some)) // len(some)
    return sys.getsizeof(part) if is_lazy(part) else int(getattr(part, "nbytes", None) or sys.getsizeof(part))


def select_rows(view, rows):
    """Rows of a view, by what `row_positions` returns."""
    if not is_tensor(view):
        return _safe_indexing(view, rows)
    return view[rows if isinstance(rows, slice) else like(rows, view)]  # before 1.8 scikit-learn does not do `like`


def one_row_per_sample(view, label):
    """`view` in a form whose rows scikit-learn can index, after a check that it has rows.

    Parameters
    ----------
    view : array, sparse matrix, DataFrame, tensor, list, or another container with one entry per sample
        Tuples become lists and sparse formats without row access become CSR; nothing else is copied or converted.
    label : str
        What to call it in an error.
    """
    import scipy.sparse as sp

    if isinstance(view, (str, bytes, dict, set, frozenset)) or view is None:
        raise ValueError(
            f"{label} is a {type(view).__name__}; a view holds one entry per sample: an array, a sparse matrix, "
            "a DataFrame, a tensor, or a list of strings or arrays."
        )
    if isinstance(view, tuple):
        return list(view)
    if sp.issparse(view):
        return view if view.format == "csr" else view.tocsr()
    if is_lazy(view):
        check_known_rows(view, f"{label} is ")
    if getattr(view, "shape", (1,)) == () or not hasattr(view, "__len__") or not hasattr(view, "__getitem__"):
        raise ValueError(f"{label} has no rows: {type(view).__name__} does not hold one entry per sample.")
    return view


def n_rows(view):
    """The number of rows of `view`."""
    shape = getattr(view, "shape", None)
    return operator.index(shape[0]) if shape else len(view)
