"""Make one array from aligned Views."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._backend import is_tensor, like, namespace
from .._encoder import OutputMixin, wrap_output
from .._typing import Array, ArrayLike, Rows, Self
from ._domains import Domains
from ._rows import RowTable, n_rows
from ._views import Views


class Fuse(OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn aligned Views, or Domains in one space, into one array for an ordinary estimator.

    Parameters
    ----------
    how : "mean", "concat" or str, default="mean"
        "mean" averages the views that are present, so that a pipeline fitted on several views predicts from one alone:
        the default, because aligned views estimate the same thing. "concat" puts them side by side, in the order of
        fit. The name of a view takes that view. Ignored on Domains, whose rows are stacked in row order.

    Attributes
    ----------
    view_names_in_ : list of str or None
        Views seen at fit; None when it was fitted on an array.
    n_features_out_ : int
        Width of the output.

    Raises
    ------
    ValueError
        When the views differ in width and are to be averaged, when "concat" or a view by name misses one, or
        when a DataFrame has other columns, or another order of them, than at fit.

    Notes
    -----
    A plain array passes through: what comes after an aligner fitted on two arrays is one already.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import Fuse, Views
    >>> fuse = Fuse().fit(Views(a=np.zeros((2, 1)), b=np.ones((2, 1))))
    >>> fuse.transform(Views(a=np.zeros((2, 1)), b=np.ones((2, 1)))).ravel().tolist()
    [0.5, 0.5]
    >>> fuse.transform(Views(b=np.ones((2, 1)))).ravel().tolist()
    [1.0, 1.0]
    """

    def __init__(self, how: str = "mean") -> None:
        self.how = how

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Note the views and their widths.

        Parameters
        ----------
        X : Views, Domains or array of shape (n_samples, n_features)
            Aligned views.
        y : ignored

        Returns
        -------
        self
        """
        if not isinstance(X, (Views, Domains)):
            self.view_names_in_, self._widths = None, {"": self._plain(X, reset=True).shape[1]}
        else:
            self._widths = {name: _table(view, f"View {name!r}").shape[1] for name, view in X.items()}
            self._columns = {name: _columns_of(view) for name, view in X.items()}
            self.view_names_in_ = X.names
            if not isinstance(self.how, str) or (self.how not in ("mean", "concat") and self.how not in X):
                raise ValueError(f"how must be 'mean', 'concat' or one of the views {X.names}, got {self.how!r}.")
            if (self.how == "mean" or isinstance(X, Domains)) and len(set(self._widths.values())) > 1:
                raise ValueError(
                    f"Only views of one width can be averaged or stacked; the widths are {self._widths}. "
                    "Align them first, or use Fuse('concat')."
                )
        names = [""] if self.view_names_in_ is None else self.view_names_in_
        if isinstance(X, Views) and self.how != "mean":
            self._sources: list[str] | None = names if self.how == "concat" else [self.how]
        else:
            self._sources = None  # the output belongs to no view in particular
        self.n_features_out_ = sum(self._widths[name] for name in self._sources or names[:1])
        return self

    def transform(self, X: Rows) -> Array:
        """Fuse the views into one array.

        Parameters
        ----------
        X : Views, Domains or array of shape (n_samples, n_features)
            Aligned views: any of those seen at fit for "mean".

        Returns
        -------
        array of shape (n_samples, n_features_out)
        """
        check_is_fitted(self)
        if isinstance(X, Domains):
            fused, original = self._stacked(X), None
        elif isinstance(X, Views):
            fused, original = self._fused(X), next((view for _, view in X.items() if hasattr(view, "columns")), None)
        else:
            fused, original = self._plain(X, reset=False), X
        return wrap_output(self, fused, original, self.get_feature_names_out)

    def _plain(self, X, reset):
        if is_tensor(X) and not isinstance(X, RowTable):
            return _table(X, "X")
        return validate_data(self, X, reset=reset, accept_sparse=True, ensure_all_finite=False)

    def _fused(self, X):
        if self.view_names_in_ is None:
            raise ValueError(f"Fuse was fitted on an array and is given the views {X.names}.")
        if unknown := [name for name in X.names if name not in self.view_names_in_]:
            raise ValueError(f"Fuse has not seen the views {unknown} at fit; it knows {self.view_names_in_}.")
        several = {"mean": [n for n in self.view_names_in_ if n in X], "concat": self.view_names_in_}
        wanted = several.get(self.how, [self.how])
        if missing := [name for name in wanted if name not in X]:
            raise ValueError(f"Fuse({self.how!r}) needs the views {missing}, which are missing.")
        tables = [self._checked(X, name) for name in wanted]
        if len(tables) == 1:
            return tables[0]
        if 0 < sum(map(is_tensor, tables)) < len(tables):
            raise TypeError(f"Some of the views {wanted} are tensors, others are not: bring all into one library.")
        if any(sp.issparse(table) for table in tables):
            return sp.hstack(tables, format="csr") if self.how == "concat" else _mean(tables)
        return namespace(*tables).concat(tables, axis=1) if self.how == "concat" else _mean(tables)

    def _checked(self, X, name):
        table = _table(X[name], f"View {name!r}")
        if table.shape[1] != self._widths[name]:
            raise ValueError(f"View {name!r} has {table.shape[1]} columns; at fit it had {self._widths[name]}.")
        columns, at_fit = _columns_of(X[name]), self._columns[name]
        if columns is not None and at_fit is not None and columns != at_fit:
            raise ValueError(f"View {name!r} has the columns {columns}; at fit they were {at_fit}, in this order.")
        return table

    def _stacked(self, domains):
        if unknown := [name for name in domains.names if name not in self._widths]:
            raise ValueError(f"Fuse has not seen the domains {unknown} at fit; it knows {self.view_names_in_}.")
        tables = [self._checked(domains, name) for name, rows in domains.items() if n_rows(rows)]
        order = np.argsort(np.concatenate([domains.rows(name) for name in domains.names]), kind="stable")
        if any(sp.issparse(table) for table in tables):
            return sp.vstack(tables, format="csr")[order]
        xp = namespace(*tables)
        return xp.take(xp.concat(tables, axis=0), like(order, tables[0]), axis=0)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names ``fuse0``, ``fuse1``, ...; for "concat" and a view by name ``view__fuse0``, ...

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        if self._sources is None:
            return np.asarray([f"fuse{i}" for i in range(self.n_features_out_)], dtype=object)
        return np.asarray(
            [f"{name}__fuse{i}" for name in self._sources for i in range(self._widths[name])], dtype=object
        )

    def _select_view(self, name):
        if self.how == "concat":
            raise ValueError("Fuse('concat') needs every view: no one-view pipeline can replace it.")
        if self.how not in ("mean", name):
            raise ValueError(f"Fuse({self.how!r}) takes another view than {name!r}.")
        return "passthrough"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _mean(tables):
    """Mean of tables; each is divided before the sum, in which small integers would overflow."""
    if any(isinstance(table, np.ndarray) and table.dtype.kind not in "biufc" for table in tables):
        raise ValueError("Only numbers can be averaged: put an encoder into PerView, or use Fuse('concat').")
    mean = sum(table / len(tables) for table in tables)
    return np.asarray(mean) if isinstance(mean, np.matrix) else mean  # what a sparse matrix and an array add up to


def _columns_of(view):
    """Column names of a DataFrame, None for other tables."""
    return list(view.columns) if hasattr(view, "columns") else None


def _table(view, label):
    if isinstance(view, RowTable) or not (is_tensor(view) or sp.issparse(view)):
        view = np.asarray(view)
        if view.dtype.kind == "O":  # what numpy makes of pandas' types with missing values
            with suppress(TypeError, ValueError):
                view = view.astype(np.float64)
    if len(view.shape) != 2:
        raise ValueError(f"{label} is not a 2D table: its shape is {tuple(view.shape)}. Reshape your data.")
    return view
