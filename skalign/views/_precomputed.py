"""A view that is known only by its kernel or distances."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._backend import is_tensor, to_numpy
from .._typing import Array, ArrayLike
from ._rows import RowTable


class Precomputed(RowTable):
    """A whole kernel or distance matrix that stays right when its rows are split.

    A plain square matrix loses its columns' meaning once a splitter takes rows of it. This view keeps the whole
    matrix and the ids of its rows, so that an estimator gets the square of its training rows at fit and the rectangle
    of new rows against training rows at transform.

    Parameters
    ----------
    matrix : array-like of shape (n_samples, n_samples)
        Kernel or distance between all samples that will be trained or tested on. A numpy array or a torch tensor;
        never copied.

    Attributes
    ----------
    matrix : array of shape (n_samples, n_samples)
        The whole matrix, whatever rows are selected.
    rows : ndarray of shape (n_rows,)
        Ids of the selected rows.
    shape : tuple of int
        ``(n_rows, n_samples)``.

    Raises
    ------
    ValueError
        When the matrix is not square, or sparse.

    Notes
    -----
    Samples that are not part of the matrix (on a server, say) are passed at transform as a plain rectangle
    k(new samples, training samples).

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import Precomputed
    >>> X = np.arange(8.0).reshape(4, 2)
    >>> view = Precomputed(X @ X.T)
    >>> train, test = view[[0, 2]], view[[1, 3]]
    >>> train.square().tolist()
    [[1.0, 5.0], [5.0, 41.0]]
    >>> test.against(train.rows).tolist()
    [[3.0, 23.0], [7.0, 59.0]]
    """

    _not_an_array = "it is a matrix between samples, not features of them; use .square() or .matrix"

    def __init__(self, matrix: ArrayLike) -> None:
        if sp.issparse(matrix):
            raise ValueError("Precomputed takes a dense matrix: matrix.toarray() if most pairs were computed.")
        if not is_tensor(matrix):
            matrix = np.asanyarray(matrix)  # a memory map stays one
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(
                f"Precomputed takes the square matrix between all samples, not one of shape {tuple(matrix.shape)}. "
                "A rectangle k(new, training) is passed to transform as a plain array."
            )
        self.matrix = matrix
        self.rows = np.arange(matrix.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.matrix.shape[0]

    def __len__(self) -> int:
        return len(self.rows)

    def _take_rows(self, rows):
        new = type(self).__new__(type(self))
        new.matrix, new.rows = self.matrix, self.rows[rows]
        return new

    def square(self) -> Array:
        """The matrix among the selected rows, shape (n_rows, n_rows)."""
        return self.against(self.rows)

    def against(self, columns: ArrayLike) -> Array:
        """The matrix of the selected rows against the samples `columns`, shape (n_rows, len(columns))."""
        return self.matrix[self.rows][:, columns]

    def fingerprint(self) -> tuple[Any, ...]:
        """A short description by which to tell whether two views hold the same matrix."""
        K = self.matrix
        some = np.unique(np.linspace(0, len(K) - 1, min(len(K), 64)).astype(int))
        return tuple(K.shape), *(zlib.crc32(to_numpy(part).tobytes()) for part in (K[some], K.diagonal()))

    def __repr__(self):
        return f"Precomputed(n_rows={len(self)}, of={self.matrix.shape[0]})"
