"""Tables of rows and collections of sequences, which quantisers treat alike: both are rows of numbers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Set

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._backend import float_dtype, is_tensor, like, to_numpy
from .._bags import Bags, elements_of, read_bags
from .._input import check_view
from .._typing import ArrayLike, Rows, Self
from ..base import OutputMixin, wrap_output
from ..temporal._sequences import check_width
from ..views import Views


def holds_sequences(X):
    """Whether the elements of `X` are 2-D: sequences of frames."""
    if hasattr(X, "columns"):
        return False
    if hasattr(X, "ndim") and str(getattr(X, "dtype", None)) != "object":
        return X.ndim == 3
    return hasattr(X, "__len__") and hasattr(X, "__iter__") and len(X) > 0 and _dimensions(next(iter(X))) == 2


def _dimensions(element):
    try:
        return np.ndim(element) if not is_tensor(element) else element.ndim
    except ValueError:  # rows of unequal lengths, which the check of the element says better
        return 2


class FrameTablesMixin(OutputMixin):
    """One collection or Views of several: a table of rows, or sequences whose frames are the rows.

    After a fit on Views there is one fitted estimator a view in ``views_``. A subclass has

    - ``_check_parameters()``;
    - ``_allow_nd``, whether rows may be images;
    - ``_learn(frames, going_on, label)`` on what `_read` gives;
    - ``_private_state``, names of what a fit leaves beside its public attributes;
    - ``_output_names()``, names of the columns of ``transform``.
    """

    _allow_nd = False
    _private_state: tuple[str, ...] = ()

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Learn the codes.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), list of arrays of shape (n_frames_i, n_features), or Views
            A table of rows; or sequences (a 3-D array will do), whose frames all count alike. Of Views every one is
            learnt by itself, by a copy of this estimator in ``views_``.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        self
        """
        return self._learn_views(X, getattr(self, "warm_start", False))

    def partial_fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Take in a chunk of a stream.

        Parameters
        ----------
        X : as in `fit`
            The first chunk needs a row for every code. A chunk that is refused changes nothing.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        self
        """
        return self._learn_views(X, True, stream=True)

    def _learn_views(self, X, going_on, stream=False):
        before = dict(vars(self))
        try:
            self._check_parameters()
            if not going_on:
                for name in [name for name in vars(self) if name in self._private_state or name.endswith("_")]:
                    delattr(self, name)  # of an earlier fit, which may have left what this one will not
            if self.__sklearn_is_fitted__():
                self._check_door(X)
            if isinstance(X, Views):
                views = getattr(self, "views_", {name: clone(self) for name in X.names})
                if {*views} != {*X.names}:
                    raise ValueError(f"Learning goes on with the views {[*views]}; these are {X.names}.")
                views = {name: copy.copy(views[name]) for name in views}  # all of them learn, or none
                for name, own in views.items():
                    own._learn_one(X[name], f"View {name!r}: ", going_on, stream)
                self.views_, self.n_features_in_ = views, len(views)
            else:
                self._learn_one(X, "", going_on, stream)
        except Exception:  # data that are refused leave the last fit as it was
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _learn_one(self, X, label, going_on, stream):
        going_on = going_on and self.__sklearn_is_fitted__()
        self._learn(self._read(X, label, reset=not going_on), going_on, stream, label)

    def _check_door(self, X):
        seen, now = hasattr(self, "views_"), isinstance(X, Views)
        if seen != now:
            fitted = f"the views {list(self.views_)}" if seen else "one collection"
            raise ValueError(f"{type(self).__name__} was fitted on {fitted}, not on {'Views' if now else 'one'}.")
        if seen and (unknown := [name for name in X.names if name not in self.views_]):
            raise ValueError(f"{type(self).__name__} was fitted on the views {list(self.views_)}, not on {unknown}.")

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_features_in_")

    def _each(self, X, function):
        """``function(estimator, collection)``, or that of every view by name."""
        check_is_fitted(self)
        self._check_door(X)
        if isinstance(X, Views):
            return {name: function(self.views_[name], view) for name, view in X.items()}
        return function(self, X)

    def _each_decoded(self, Z, function):
        """``function(estimator, codes)`` of what `transform` or `predict` gave, of Views or a mapping as Views."""
        return self._as_views(self._each(Views(Z) if isinstance(Z, Mapping) else Z, function))

    def _as_views(self, results):
        return Views(results) if isinstance(results, dict) else results

    def _read(self, X, label="", reset=False):
        """Checked rows: a table, or `Bags` of frames."""
        name = type(self).__name__
        if X is None or (isinstance(X, (Mapping, Set)) and not sp.issparse(X)):  # sparse ones with keys are mappings
            raise ValueError(f"{label}a {type(X).__name__} is no table and no collection of sequences.")
        if not holds_sequences(X):
            return check_view(X, label=label, owner=self, reset=reset, allow_nd=self._allow_nd, estimator=name)
        bags = read_bags(X, label, name)
        width = bags.elements.shape[1]
        if reset:
            self.n_features_in_ = width
            vars(self).pop("feature_names_in_", None)
        check_width(width, self.n_features_in_, label, name)
        return bags

    def _dressed(self, values, frames, original, view=None):
        """Rows for a table, or a list of those of every sequence, as the input was and `set_output` asks for.

        Parameters
        ----------
        values : array, sparse matrix, or list of them for `Bags`
            What every row became.
        frames : array, tensor or Bags
            The rows.
        original : object
            What they came from.
        """
        names = lambda: [f"{view}__{name}" if view else name for name in self._output_names(view)]  # noqa: E731
        values = like_frames(values, frames)
        if isinstance(frames, Bags):
            return [wrap_output(self, own, own, names) for own in values]
        return wrap_output(self, values, original, names)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns of `transform`, with the view before them after a fit on Views.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        if not hasattr(self, "views_"):
            return np.asarray(self._output_names(), dtype=object)
        return np.asarray([f"{v}__{name}" for v in self.views_ for name in self._output_names(v)], dtype=object)


def split_rows(values, frames):
    """Values of all frames as a list by sequence; those of a table as they are."""
    if not isinstance(frames, Bags):
        return values
    return [values[start:stop] for start, stop in zip(frames.offsets, frames.offsets[1:])]


def like_frames(values, frames):
    """Values of all rows, or a list of those by sequence, in the library of `frames`; sparse ones are dense there."""
    rows = elements_of(frames)
    if not is_tensor(rows):
        return values
    if isinstance(values, list):
        return [like_frames(own, rows) for own in values]
    return like(values.toarray() if sp.issparse(values) else values, rows)


def result_dtype(rows):
    """numpy's dtype of results for an array or a tensor: float32 stays, and half precision becomes it."""
    return np.float32 if "float32" in str(float_dtype(rows)) else np.float64


def rows_of(frames):
    """All rows as one contiguous numpy array, and nothing else."""
    return np.ascontiguousarray(to_numpy(elements_of(frames)))


def join_codes(Z):
    """What `transform` or `predict` gave, as one array, and `Bags` where it was a list of arrays, one a sequence."""
    if isinstance(Z, (list, tuple)) and len(Z) and hasattr(Z[0], "shape"):
        offsets = np.cumsum([0, *(own.shape[0] for own in Z)])
        arrays = [own if sp.issparse(own) else to_numpy(own) for own in Z]
        joined = sp.vstack(arrays, format="csr") if sp.issparse(arrays[0]) else np.concatenate(arrays)
        return joined, Bags(Z[0], offsets)
    return (Z if sp.issparse(Z) else to_numpy(Z)), Z
