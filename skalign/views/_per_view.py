"""Preprocess every view in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from sklearn.base import TransformerMixin, clone
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from .._encoder import wrap_output
from .._typing import ArrayLike, Container, Self
from ._domains import Domains
from ._rows import RowTable, n_rows
from ._views import Views

_Container = TypeVar("_Container", Views, Domains)  # what comes out is of the kind that went in


class PerView(TransformerMixin, _BaseComposition, auto_wrap_output_keys=None):
    """Apply a transformer of its own to every view: a ColumnTransformer for modalities.

    Parameters
    ----------
    transformers : mapping of str to transformer, "passthrough" or "drop"
        By name of the view (or of the domain, for `Domains`). Views that are not named pass through.
    n_jobs : int, default=None
        How many views are fitted at a time. None means 1, -1 all processors.

    Attributes
    ----------
    transformers_ : dict of str to transformer or str
        The fitted transformers, with "passthrough" or "drop" for the other views.
    view_names_in_ : list of str
        Views seen at fit.

    Raises
    ------
    ValueError
        At fit for a key that is no view; at transform for a view that was not there at fit; for a transformer that
        does not give one row per sample, as a text vectorizer on a DataFrame (it wants a Series or a list).
    TypeError
        For data that are neither Views nor Domains, and transformers that are no mapping.

    See Also
    --------
    SplitColumns : Make Views from one table.
    Fuse : Make one array from Views.

    Notes
    -----
    Parameters are reached by view name: ``perview__image__n_components``; whole steps too: ``perview__image``. At
    transform any subset of the fitted views will do.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skalign import PerView, Views
    >>> views = Views(number=np.eye(3), text=["a cat", "a dog", "no cat"])
    >>> out = PerView({"text": TfidfVectorizer()}).fit_transform(views)
    >>> out["text"].shape, out["number"].shape
    ((3, 3), (3, 3))
    """

    def __init__(self, transformers: Mapping[str, Any] | None = None, *, n_jobs: int | None = None) -> None:
        self.transformers = transformers
        self.n_jobs = n_jobs

    @property
    def _items(self):
        return list((self.transformers or {}).items())

    @_items.setter
    def _items(self, items):
        self.transformers = dict(items)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of this estimator and, with ``deep``, of the transformer of every view."""
        return self._get_params("_items", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters: ``image=PCA()`` exchanges a transformer, ``image__n_components=5`` reaches into it."""
        if "transformers" in params:
            self.transformers = params.pop("transformers")
        return self._set_params("_items", **params)

    def fit(self, X: _Container, y: ArrayLike | None = None) -> Self:
        """Fit the transformer of every view.

        Parameters
        ----------
        X : Views or Domains
            The data.
        y : array-like of shape (n_samples,), default=None
            Handed to every transformer; on Domains each gets the part of its own rows.

        Returns
        -------
        self
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: _Container, y: ArrayLike | None = None) -> _Container:
        """Fit the transformer of every view and transform it.

        Parameters
        ----------
        X : Views or Domains
            The data.
        y : array-like of shape (n_samples,), default=None
            Handed to every transformer; on Domains each gets the part of its own rows.

        Returns
        -------
        Views or Domains
            As the input, without the dropped views.
        """
        _check_container(X)
        if self.transformers is not None and not hasattr(self.transformers, "items"):
            raise TypeError(
                f"transformers must be a dict of transformers by view name, not a {type(self.transformers).__name__}."
            )
        self._validate_names([name for name, _ in self._items if isinstance(name, str)])  # others are no views
        if unknown := [name for name, _ in self._items if name not in X]:
            raise ValueError(f"PerView names {unknown}, which are no views; the views are {X.names}.")
        steps = {name: (self.transformers or {}).get(name, "passthrough") for name in X.names}
        for name, step in steps.items():
            if not (isinstance(step, str) and step in ("passthrough", "drop")) and not hasattr(step, "transform"):
                raise TypeError(
                    f"The step of view {name!r} must be a transformer, 'passthrough' or 'drop'; it is {step!r}."
                )
        kept = [name for name in X.names if not _is(steps[name], "drop")]
        if not kept or (isinstance(X, Domains) and len(kept) < len(X.names)):
            raise ValueError("PerView drops every view." if not kept else "PerView cannot drop a domain.")
        active = [name for name in kept if not _is(steps[name], "passthrough")]
        config = _get_output_config("transform", self)["dense"]
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_transform)(clone(steps[name]), X[name], _part(y, X, name), config) for name in active
        )
        self.transformers_ = steps
        outputs = {name: X[name] for name in kept}
        for name, (output, fitted) in zip(active, results):
            outputs[name], self.transformers_[name] = output, fitted
        self.view_names_in_ = X.names
        self._plain = {name: _column_names(X[name]) for name in kept if name not in active}
        return self._assemble(X, outputs)

    def transform(self, X: _Container) -> _Container:
        """Transform the views that are there.

        Parameters
        ----------
        X : Views or Domains
            Any of the views seen at fit.

        Returns
        -------
        Views or Domains
        """
        check_is_fitted(self)
        _check_container(X)
        if unknown := [name for name in X.names if name not in self.transformers_]:
            raise ValueError(f"PerView has not seen the views {unknown} at fit; it knows {self.view_names_in_}.")
        outputs = {
            name: view if _is(self.transformers_[name], "passthrough") else self.transformers_[name].transform(view)
            for name, view in X.items()
            if not _is(self.transformers_[name], "drop")
        }
        if not outputs:
            raise ValueError(f"PerView drops all of the views {X.names} that it was given.")
        return self._assemble(X, outputs)

    def _assemble(self, X, outputs):
        if isinstance(X, Domains):
            return X.replace(**outputs)
        for name, output in outputs.items():
            if hasattr(X[name], "columns") and (length := n_rows(output)) != len(X):
                raise ValueError(
                    f"The transformer of view {name!r} made {length} rows of {len(X)} samples. A text vectorizer takes "
                    "a list or a Series of strings, not a DataFrame: give it the column alone."
                )
        for name in outputs:
            plain = _is(self.transformers_[name], "passthrough") and not hasattr(outputs[name], "columns")
            if plain and _column_names(outputs[name]) is not None:
                outputs[name] = wrap_output(self, outputs[name], X[name], lambda name=name: self._plain_names(name))
        return Views(outputs)

    def set_output(self, *, transform: Container | None = None) -> Self:
        """Set the container of dense outputs of every view that can have one.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            As in scikit-learn; None leaves it as it is.

        Returns
        -------
        self
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
            for step in [*(self.transformers or {}).values(), *getattr(self, "transformers_", {}).values()]:
                _set_output(step, transform)
        return self

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names ``view__feature`` of the outputs of all views, in the order of the views at fit.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = []
        for name, step in self.transformers_.items():
            if not _is(step, "drop"):
                inner = self._plain_names(name) if _is(step, "passthrough") else step.get_feature_names_out()
                names += [f"{name}__{feature}" for feature in inner]
        return np.asarray(names, dtype=object)

    def _plain_names(self, name):
        if self._plain[name] is None:
            raise AttributeError(f"View {name!r} passes through and is no table: it has no feature names.")
        return self._plain[name]

    def _select_view(self, name):
        return self.transformers_[name]

    def _sk_visual_block_(self):
        from sklearn.pipeline import _VisualBlock  # its home moved between versions

        names, steps = zip(*self._items) if self._items else ((), ())
        return _VisualBlock("parallel", list(steps), names=list(names), name_details=[str(step) for step in steps])


def _is(step, word):
    return isinstance(step, str) and step == word


def _check_container(X):
    if not isinstance(X, (Views, Domains)):
        raise TypeError(
            f"PerView takes Views or Domains, not a {type(X).__name__}: fit on Views(image=..., text=...); "
            "SplitColumns makes them from one table."
        )


def _column_names(view):
    """The columns of a view that is a table, x0, x1, ... where they have no names; None for anything else."""
    if isinstance(view, RowTable) or len(getattr(view, "shape", ())) != 2:
        return None
    names = _get_feature_names(view)
    return [f"x{i}" for i in range(view.shape[1])] if names is None else list(names)


def _part(y, X, name):
    """The part of y that belongs to a view: all of it, or on Domains that of the domain's own rows."""
    if y is None or not isinstance(X, Domains):
        return y
    return np.asarray(y)[X.rows(name)]


def _set_output(step, transform):
    # Text vectorizers give sparse matrices and have no set_output; a DataFrame could not hold those anyway.
    if hasattr(step, "set_output"):
        step.set_output(transform=transform)


def _fit_transform(step, view, y, config):
    if config != "default":
        _set_output(step, config)
    if hasattr(step, "fit_transform"):
        return step.fit_transform(view, y), step
    return step.fit(view, y).transform(view), step
