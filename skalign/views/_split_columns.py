"""Make Views from one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils.validation import check_is_fitted, validate_data

from .._typing import ArrayLike, Container, Rows, Self
from ._rows import RowTable
from ._views import Views, check_view_names


class SplitColumns(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Split the columns of one table into Views.

    Parameters
    ----------
    columns : mapping of str to columns
        For each view a slice, a list of positions or of column names, a boolean mask, a callable that is given the
        table (``sklearn.compose.make_column_selector``), or one name or position alone, which gives a view with one
        dimension, as text vectorizers want it. Columns in no view are left out; a column may be in several.

    Attributes
    ----------
    columns_ : dict of str to columns
        The columns of each view, callables resolved.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of str
        Their names, when the table has string column names.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import SplitColumns
    >>> table = np.arange(12).reshape(3, 4)
    >>> SplitColumns({"left": slice(0, 3), "right": [3]}).fit_transform(table)
    Views(n_samples=3, left=ndarray (3, 3), right=ndarray (3, 1))
    """

    def __init__(self, columns: Mapping[str, Any] | None = None) -> None:
        self.columns = columns

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Check that the columns are there.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            The table.
        y : ignored

        Returns
        -------
        self
        """
        X = self._table(X, reset=True)
        if self.columns is not None and not isinstance(self.columns, Mapping):
            raise TypeError(f"columns must be a mapping of view to columns, not a {type(self.columns).__name__}.")
        if not self.columns:
            raise ValueError("SplitColumns needs columns for each view: SplitColumns({'image': slice(0, 64), ...}).")
        check_view_names(self.columns)
        self.columns_ = {name: key(X) if callable(key) else key for name, key in self.columns.items()}
        self._positions = {}
        for name, key in self.columns_.items():
            positions = _positions(X, key)
            if len(positions) == 0:
                raise ValueError(f"View {name!r} gets no column of this table by {key!r}.")
            self._positions[name] = positions
        return self

    def transform(self, X: Rows) -> Views:
        """Split a table.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            A table with the columns seen at fit.

        Returns
        -------
        Views
        """
        check_is_fitted(self)
        X = self._table(X, reset=False)
        return Views({name: _safe_indexing(X, key, axis=1) for name, key in self.columns_.items()})

    def _table(self, X, reset):
        if isinstance(X, RowTable):
            raise TypeError(f"SplitColumns makes Views of one table, and was given {type(X).__name__}.")
        if not hasattr(X, "shape"):
            X = np.asarray(X)
        if sp.issparse(X) and X.format not in ("csr", "csc"):
            X = X.tocsr()  # other formats have no columns to select
        if len(X.shape) != 2:
            raise ValueError(f"Expected a 2D table, got shape {tuple(X.shape)}. Reshape your data.")
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names ``view__column`` of the columns of all views.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        table = np.asarray(getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)]))
        names = [f"{name}__{column}" for name, positions in self._positions.items() for column in table[positions]]
        return np.asarray(names, dtype=object)

    def set_output(self, *, transform: Container | None = None) -> Self:
        """Does nothing: the views are of the same kind as the table.

        Parameters
        ----------
        transform : ignored

        Returns
        -------
        self
        """
        return self

    def _select_view(self, name):
        return "passthrough"  # the one-view pipeline is handed that view

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags


def _positions(X, key):
    if isinstance(key, slice) and key.start is None and key.stop is None:  # scikit-learn would look for names
        return list(range(X.shape[1])[key])
    return [] if isinstance(key, str) and not hasattr(X, "columns") else _get_column_indices(X, key)
