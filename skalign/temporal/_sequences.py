"""Collections of sequences: what users call one, checked, with all frames behind each other."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from .._backend import is_tensor, like, to_numpy


@dataclass(frozen=True)
class Sequences:
    """Checked sequences of one width.

    Attributes
    ----------
    frames : ndarray of float64 of shape (n_frames, d)
        All sequences behind each other.
    offsets : ndarray of int of shape (n_sequences + 1,)
        Where they begin.
    univariate : bool
        Whether an element was 1-D, a plain series.
    stacked : bool
        Whether they came as one array.
    dtype : dtype
        float32 or float64, of results.
    tensor : torch.Tensor or None
        One of them, where they were tensors.
    given : array, tensor or list, or None
        The same sequences as they came.
    """

    frames: np.ndarray
    offsets: np.ndarray
    univariate: bool
    stacked: bool
    dtype: np.dtype
    tensor: object = None
    given: object = None

    def __len__(self):
        return len(self.offsets) - 1

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i):
        return self.frames[self.offsets[i] : self.offsets[i + 1]]

    @property
    def lengths(self):
        return np.diff(self.offsets)

    @property
    def width(self):
        return self.frames.shape[1]

    def map(self, function):
        """The same sequences with `function` applied to every one; it keeps the length."""
        frames = np.concatenate([function(sequence) for sequence in self])
        return replace(self, frames=np.ascontiguousarray(frames))

    def pack(self, arrays, stacked):
        """Arrays of shape (T_i, d) in the form of these sequences: a list of them, or one array where `stacked`."""
        arrays = [array[:, 0] if self.univariate else array for array in arrays]
        if stacked:
            return self._dressed(np.stack(arrays))
        return [self._dressed(array) for array in arrays]

    def _dressed(self, array):
        array = np.asarray(array, dtype=self.dtype)
        return array if self.tensor is None else like(array, self.tensor)


def check_sequences(X, label="", estimator="This estimator"):
    """Sequences from what a user calls a collection of them.

    Parameters
    ----------
    X : array of shape (n_sequences, T) or (n_sequences, T, d), or list of arrays of shape (T_i,) or (T_i, d)
        The dimension of an element decides: 1-D elements are univariate series, 2-D elements sequences of frames.
        DataFrames are tables whose rows are series; tensors will do.
    label : str
        Stands before every error, "View 'text': " say.
    estimator : str
        The name for errors.

    Raises
    ------
    ValueError
        For an empty sequence or collection, sequences of different width, NaN or infinity (with the sequence and how
        many), and anything that holds no numbers.
    """
    if sp.issparse(X):
        raise TypeError(f"{label}Sparse data was passed; {estimator} takes dense sequences. Use X.toarray().")
    tensor = X if is_tensor(X) else None
    array = X
    if hasattr(X, "columns") or (hasattr(X, "__array__") and not isinstance(X, (np.ndarray, list))):
        array = to_numpy(X)
    if isinstance(array, np.ndarray) and (array.dtype != object or array.ndim != 1):
        return _from_array(array, tensor, label, estimator)
    if isinstance(array, (str, bytes, Mapping, Set)) or not hasattr(array, "__len__"):
        raise ValueError(f"{label}a {type(X).__name__} is no collection of sequences; a list of them is.")
    return _from_list(list(array), label, estimator)


def like_series(y):
    """Whether a `y` that should hold a label for each series holds series instead."""
    if isinstance(y, (list, tuple)):
        return any(np.ndim(entry) > 0 for entry in y)
    return len(getattr(y, "shape", ())) > 1 and y.shape[1] > 1


def check_width(width, expected, label, owner, hint=""):
    """ValueError unless frames are as wide as those of fit."""
    if width != expected:
        raise ValueError(f"{label}frames have {width} features, but {owner} is expecting {expected} features.{hint}")


def _from_array(array, tensor, label, estimator):
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{label}Expected a 2D or 3D array, got a {array.ndim}D array instead: one series a row, or sequences of "
            "frames. A single signal goes in as [signal]. Reshape your data."
        )
    n, length = array.shape[:2]
    if n == 0 or array.size == 0:
        raise ValueError(
            f"{label}Found array with {n} sample(s) and {array[0].size if n else 0} feature(s) (shape={array.shape}) "
            f"while a minimum of 1 is required by {estimator}."
        )
    frames = _numbers(array, label)
    dtype = frames.dtype
    frames = np.ascontiguousarray(frames.reshape(n * length, -1), dtype=np.float64)
    if not frames.flags.writeable:  # a memmap of a worker, say: the kernels would be compiled again for its type
        frames = frames.copy()
    offsets = np.arange(n + 1, dtype=np.int64) * length
    _check_finite(frames, offsets, label)
    return Sequences(frames, offsets, array.ndim == 2, True, dtype, tensor, array if tensor is None else tensor)


def _from_list(items, label, estimator):
    if not items:
        raise ValueError(f"{label}Found 0 sample(s) while a minimum of 1 is required by {estimator}.")
    tensor, given = None, items
    if {*map(type, items)} != {np.ndarray}:
        tensor = next((item for item in items if is_tensor(item)), None)
        items = [_to_array(item, f"{label}sequence {i}") for i, item in enumerate(items)]
    shapes = [item.shape for item in items]
    dimensions = {*map(len, shapes)}
    if 0 in dimensions:
        raise ValueError(
            f"{label}Expected a 2D array or a list of sequences, got a list of single values instead: a single signal "
            "goes in as [signal]. Reshape your data."
        )
    if len(dimensions) > 1 or max(dimensions) > 2:
        raise ValueError(
            f"{label}sequences are all 1-D (univariate series) or all 2-D (frames by features); these have the "
            f"dimensions {sorted(dimensions)}."
        )
    univariate = dimensions == {1}
    lengths = np.array([shape[0] for shape in shapes], dtype=np.int64)
    if not lengths.all():
        raise ValueError(f"{label}sequence {int(np.argmin(lengths))} is empty: it has no frame.")
    if not univariate:
        widths = np.array([shape[1] for shape in shapes])
        if (other := np.flatnonzero(widths != widths[0])).size:
            where = int(other[0])
            raise ValueError(
                f"{label}sequences of one view have one width, but sequence {where} has {widths[where]} features and "
                f"sequence 0 has {widths[0]}."
            )
        if widths[0] == 0:
            raise ValueError(
                f"{label}Found sequences of 0 feature(s) (shape={shapes[0]}) while a minimum of 1 is required by "
                f"{estimator}."
            )
    frames = _numbers(np.concatenate(items), label)
    dtype = frames.dtype
    frames = np.ascontiguousarray(frames.reshape(len(frames), -1), dtype=np.float64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    _check_finite(frames, offsets, label)
    return Sequences(frames, offsets, univariate, False, dtype, tensor, given)


def _to_array(item, name):
    try:
        return to_numpy(item)
    except ValueError:
        raise ValueError(f"{name} is no array of numbers: its frames have unequal lengths.") from None


def _numbers(array, label):
    if array.dtype in (np.float64, np.float32):
        return array
    if array.dtype.kind == "c":
        raise ValueError(f"{label}Complex data not supported.")
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind not in "biufOUS":  # dates, say, would become nanoseconds
        raise ValueError(f"{label}holds {array.dtype} values, where numbers are needed.")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        message = f"{label}holds {array.dtype} values, where numbers are needed ({error}). Labels go into y."
        raise type(error)(message) from error


def _check_finite(frames, offsets, label):
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(frames.sum()):  # an overflowing sum of finite numbers is sorted out below
            return
    bad = ~np.isfinite(frames)
    if bad.any():
        where = int(np.searchsorted(offsets, np.flatnonzero(bad.any(axis=1))[0], side="right") - 1)
        own = frames[offsets[where] : offsets[where + 1]]
        raise ValueError(
            f"{label}Input contains NaN or infinity: {np.isnan(frames).sum()} NaN and {np.isinf(frames).sum()} inf, "
            f"first in sequence {where} ({np.isnan(own).sum()} NaN and {np.isinf(own).sum()} inf). Interpolate over "
            "gaps first, or drop those frames."
        )
