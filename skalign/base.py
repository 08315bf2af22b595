"""The contract between users and aligners of paired views: two doors in, output that mirrors the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._backend import is_tensor
from ._encoder import Encoders, OutputMixin, ViewEncoder, wrap_output
from ._input import as_view, check_view, with_rows
from ._lazy import is_lazy
from ._typing import Array, ArrayLike, Metric, Rows
from .views import Views

__all__ = ["ARRAY_NAMES", "OutputMixin", "PairedAlignerMixin", "ViewEncoder", "check_view", "wrap_output"]

ARRAY_NAMES = ("x", "y")  # what the views of fit(X, Y) are called


class PairedAlignerMixin(OutputMixin, TransformerMixin, auto_wrap_output_keys=None):
    """Both doors of an aligner of paired views: ``fit(views)`` and ``fit(X, Y)``.

    A subclass fits on what `_open` returns and leaves ``encoders_``, a dict of `ViewEncoder` by view name.
    """

    def _open(self, X, y, *, reset=True):
        """Views from either door.

        With ``reset=True`` the door is remembered: a plain ``transform(X)`` makes sense only after a fit on two arrays.
        """
        from .views import Domains, Views

        if isinstance(X, Domains):
            raise TypeError(
                f"{type(self).__name__} learns from pairs; Domains holds collections that are not paired. "
                "Use Views, or an aligner of unpaired data."
            )
        if isinstance(X, Views):
            views = X
        elif y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None: "
                "fit(X, Y) takes two arrays, fit(Views(image=X, text=Y)) takes named views."
            )
        elif isinstance(y, Views):
            raise TypeError("The second argument is Views and the first is not: call fit(views).")
        else:
            views = Views(dict(zip(ARRAY_NAMES, (with_rows(X), as_view(y, warn=reset)))))
        if reset:
            self._two_arrays = not isinstance(X, Views)
        return views

    def _open_tables(self, X, y, encoder, min_samples=2):
        """Checked tables of two views or more, from either door, and their fresh encoders, both by name."""
        views = self._open(X, y)
        if len(views.names) < 2:
            raise ValueError(f"{type(self).__name__} aligns two views or more; these have only {views.names}.")
        encoders = Encoders({name: encoder(view=name, owner=type(self).__name__) for name in views.names})
        tables = {name: encoders[name].check(view, reset=True, min_samples=min_samples) for name, view in views.items()}
        tensors = [name for name, table in tables.items() if is_tensor(table)]
        if 0 < len(tensors) < len(tables):
            kinds = "Dask arrays" if any(is_lazy(tables[name]) for name in tensors) else "tensors"
            raise TypeError(f"The views {tensors} are {kinds} and the others are not: bring all into one library.")
        return tables, encoders

    def _encoder(self, name):
        if name not in self.encoders_:
            raise ValueError(f"{type(self).__name__} was fitted on the views {list(self.encoders_)}, not on {name!r}.")
        return self.encoders_[name]

    def _need_two_arrays(self, what, both=False):
        if not self._two_arrays:
            first, *_, last = self.encoders_
            call = f"{what}(Views({first}=X, {last}=Y))" if both else f"{what}(Views({last}=X))"
            alone = "" if both or not hasattr(self.encoders_[last], what) else f", or encoders_[{last!r}].{what}(X)"
            raise ValueError(
                f"{type(self).__name__} was fitted on the views {list(self.encoders_)}: it cannot tell which one a "
                f"plain array is. Call {call}{alone}."
            )

    def transform(self, X: Rows, y: Rows | None = None) -> Array:
        """Carry views into the shared space.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Any of the views seen at fit. A plain array is the first view, and allowed after a fit on two arrays.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; then a pair is returned. Alone it goes through ``encoders_["y"].transform``.

        Returns
        -------
        Views, array of shape (n_samples, n_components), or a pair of arrays
            As the input.
        """
        check_is_fitted(self, "encoders_")
        if isinstance(X, Views):
            if y is not None:
                raise TypeError("transform(views) takes no second argument.")
            return Views({name: self._transform_view(name, view, f"{name}__") for name, view in X.items()})
        self._need_two_arrays("transform", both=y is not None)
        Zx = self._transform_view(ARRAY_NAMES[0], X)
        return Zx if y is None else (Zx, self._transform_view(ARRAY_NAMES[1], as_view(y)))

    def _transform_view(self, name, view, prefix=""):
        encoder = self._encoder(name)
        Z = encoder._encode(encoder.check(view))
        return wrap_output(self, Z, view, lambda: [f"{prefix}{feature}" for feature in encoder.get_feature_names_out()])

    def fit_transform(self, X: Rows, y: Rows | None = None, **fit_params: Any) -> Array:
        """Fit and transform the same data.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; beside Views it is labels.
        **fit_params
            Handed to ``fit``.

        Returns
        -------
        Views, or array of shape (n_samples, n_components)
            For two arrays the first view, so that a pipeline can go on with it.
        """
        return self.fit(X, y, **fit_params).transform(X)

    def inverse_transform(self, Z: Rows) -> Array:
        """The data that points of the shared space stand for, view by view.

        Parameters
        ----------
        Z : Views, or array-like of shape (n_samples, n_components)
            Points of the shared space; a plain array belongs to the first view.

        Returns
        -------
        Views, or array of shape (n_samples, n_features)
        """
        check_is_fitted(self, "encoders_")
        if isinstance(Z, Views):
            return Views({name: self._encoder(name).inverse_transform(view) for name, view in Z.items()})
        self._need_two_arrays("inverse_transform")
        return self.encoders_[ARRAY_NAMES[0]].inverse_transform(Z)

    _compared_by = "cosine"  # what rows of the shared space are meant to be compared by

    def similarity(
        self, X: Rows, y: Rows | None = None, *, views: Sequence[str] | None = None, function: Metric | None = None
    ) -> Array:
        """How well every row of one view matches every row of another, in the shared space.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two views, or rows of the first.
        y : Views or array-like of shape (n_samples_y, n_features_y), default=None
            Rows of the second; any number. Two Views of one view each will do as well.
        views : pair of str, default=None
            Which views to compare; needed when there are three or more.
        function : str or callable, default=None
            See `skalign.metrics.pairwise_similarity`. None is the cosine, or what the aligner was trained with.

        Returns
        -------
        array of shape (n_samples, n_samples_y)
        """
        check_is_fitted(self, "encoders_")
        if isinstance(X, Views):
            data = dict(X.items()) | (dict(y.items()) if isinstance(y, Views) else {})
            names = list(data) if views is None else list(views)
            if len(names) != 2 or any(name not in data for name in names):
                raise ValueError(f"similarity compares two views: pass views=(name, name) out of {list(data)}.")
        else:
            if y is None:
                raise ValueError("similarity(X, Y) compares rows of two views, but the second is None.")
            self._need_two_arrays("similarity", both=True)
            data, names = dict(zip(ARRAY_NAMES, (X, as_view(y)))), list(ARRAY_NAMES)
        A, B = (self._encoder(name)._encode(self.encoders_[name].check(data[name])) for name in names)
        return self._compare(A, B, function)

    def _compare(self, A, B, function=None):
        """Similarity of every row of `A` to every row of `B`, both in the shared space."""
        from .metrics import pairwise_similarity

        return pairwise_similarity(A, B, self._compared_by if function is None else function)

    def _open_to_score(self, X, y):
        """Two views or more from either door; that of two arrays was to be the door of the fit."""
        check_is_fitted(self, "encoders_")
        views = self._open(X, y, reset=False)
        if views is not X:
            self._need_two_arrays("score", both=True)
        if len(views.names) < 2:
            raise ValueError(f"score compares views of the same rows, but there is only {views.names}.")
        if len(views) < 2:
            raise ValueError(f"score needs at least 2 samples to compare, got n_samples={len(views)}.")
        return views

    def _embed_to_score(self, X, y):
        """Where rows of two views or more, from either door, lie in the shared space; by view."""
        views = self._open_to_score(X, y)
        encoders = {name: self._encoder(name) for name in views.names}
        return {name: encoders[name]._encode(encoders[name].check(view)) for name, view in views.items()}

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names ``view__cca0``, ... of all views; ``cca0``, ... after a fit on two arrays.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "encoders_")
        if self._two_arrays:
            return self.encoders_[ARRAY_NAMES[0]].get_feature_names_out()
        names = [f"{name}__{f}" for name, encoder in self.encoders_.items() for f in encoder.get_feature_names_out()]
        return np.asarray(names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Width of the first view, after a fit on two arrays."""
        return self._first("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Column names of the first view, after a fit on two DataFrames."""
        return self._first("feature_names_in_")

    def _first(self, attribute):
        if not getattr(self, "_two_arrays", False) or not hasattr(self, "encoders_"):
            raise AttributeError(f"{type(self).__name__} has no {attribute}: it was not fitted on two arrays.")
        return getattr(self.encoders_[ARRAY_NAMES[0]], attribute)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False  # a view is a table
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
