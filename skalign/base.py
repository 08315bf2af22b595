"""The contract between users and aligners: two doors in, output that mirrors the input, one-view encoders."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from ._backend import astype, is_tensor, namespace

# --- input ----------------------------------------------------------------------------------------------------------


def check_view(X, *, label="", owner=None, reset=True, min_samples=1, accept_sparse=False, estimator="This aligner"):
    """A 2-D table of finite floats from what a user calls a view.

    Parameters
    ----------
    X : array-like, sparse matrix, DataFrame or tensor of shape (n_samples, n_features)
        The view. float32 and float64 stay; other numbers become float64. Tensors stay where they are.
    label : str
        Stands before every error, "view 'text': " say.
    owner : object, default=None
        What remembers ``n_features_in_`` and ``feature_names_in_``, as scikit-learn's estimators do.
    reset : bool, default=True
        Whether to remember them (fit) or to compare with them (transform).
    min_samples : int, default=1
        Fewer rows are an error.
    accept_sparse : bool, default=False
        Keep sparse matrices (as CSR); otherwise they are made dense.
    estimator : str
        The name for errors.

    Raises
    ------
    ValueError
        For anything that is not such a table, with the number of entries that are not finite.
    """
    plain = type(X) is np.ndarray and X.ndim == 2 and X.dtype in (np.float64, np.float32)
    plain = plain and X.shape[0] >= max(min_samples, 1) and X.shape[1] > 0
    if owner is not None and not (plain and not hasattr(owner, "feature_names_in_")):
        _check_feature_names(owner, X, reset=reset)
    if plain:
        table = X  # scikit-learn's checks, none of which could object, take longer than a small fit
    elif is_tensor(X):
        table = _check_tensor(X, label)
    else:
        if sp.issparse(X) and not accept_sparse:
            X = X.toarray()
        if isinstance(X, (list, np.ndarray)) and len(X) and _holds_text(X):
            raise ValueError(
                f"{label}holds strings, where numbers are needed: put a vectorizer for it into PerView. "
                "Labels are not a view; they go into y beside Views."
            )
        try:
            table = check_array(
                X,
                accept_sparse="csr" if accept_sparse else False,
                dtype=[np.float64, np.float32],
                ensure_all_finite=False,
                ensure_min_samples=min_samples,
                ensure_min_features=1,
                estimator=estimator,
            )
        except ValueError as error:
            unready = "could not convert string" in str(error) or np.ndim(X) > 2
            hint = " Put a transformer into PerView that makes a table of numbers of it." if unready else ""
            raise ValueError(f"{label}{error}{hint}") from None
    _check_finite(table, label)
    n_samples, n_features = table.shape
    if n_samples < min_samples or n_features < 1:
        raise ValueError(
            f"{label}Found array with {n_samples} sample(s) and {n_features} feature(s) (shape={tuple(table.shape)}) "
            f"while a minimum of {min_samples} sample(s) and 1 feature(s) is required by {estimator}."
        )
    if owner is not None:
        if reset:
            owner.n_features_in_ = n_features
        elif n_features != owner.n_features_in_:
            raise ValueError(
                f"{label}X has {n_features} features, but {estimator} is expecting {owner.n_features_in_} features "
                "as input."
            )
    return table


def _holds_text(X):
    first = X[0]
    while isinstance(first, (list, np.ndarray)) and np.ndim(first) > 0 and len(first):
        first = first[0]
    return isinstance(first, (str, bytes))


def _check_tensor(X, label):
    xp = namespace(X)
    if X.ndim != 2:
        raise ValueError(f"{label}Expected 2D array, got {X.ndim}D array instead. Reshape your data.")
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError(f"{label}Complex data not supported.")
    if xp.isdtype(X.dtype, ("integral", "bool")):
        return astype(X, xp.float64)
    return X


def _check_finite(table, label):
    values = table.data if sp.issparse(table) else table
    xp = namespace(values)
    if bool(xp.isfinite(xp.sum(values))):  # one pass; an overflowing sum of finite numbers is sorted out below
        return
    n_nan, n_inf = int(xp.sum(xp.isnan(values))), int(xp.sum(xp.isinf(values)))
    if n_nan or n_inf:
        raise ValueError(
            f"{label}Input contains NaN or infinity: {n_nan} NaN and {n_inf} inf in shape {tuple(table.shape)}. "
            "Impute or drop them before aligning (a SimpleImputer in PerView)."
        )


# --- output ---------------------------------------------------------------------------------------------------------


def wrap_output(estimator, Z, original, names):
    """`Z` in the container that ``set_output`` asked of `estimator`; tensors and sparse matrices stay as they are.

    Parameters
    ----------
    estimator : estimator
        Its own setting goes before scikit-learn's global one.
    Z : array of shape (n_samples, n_components)
        What to wrap.
    original : object
        What it came from; the index of a DataFrame is taken over.
    names : callable
        Gives the column names.
    """
    container = _get_output_config("transform", estimator)["dense"]
    if container == "default" or is_tensor(Z) or sp.issparse(Z):
        return Z
    return ADAPTERS_MANAGER.adapters[container].create_container(Z, original, columns=list(names()))


class OutputMixin:
    """``set_output`` for estimators that return Views, which scikit-learn's own wrapper would not understand."""

    def set_output(self, *, transform=None):
        """Set the container of the output, view by view.

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
        return self


# --- one view -------------------------------------------------------------------------------------------------------


class ViewEncoder(TransformerMixin, BaseEstimator):
    """Base of fitted one-view transformers, which an aligner keeps in ``encoders_``.

    A subclass has ``_encode(X)`` on a checked table, and may have ``_decode(Z)``.

    Parameters
    ----------
    view : str
        The view it encodes.
    owner : str
        Class of the aligner that made it; names its features.
    """

    _accept_sparse = False

    def __init__(self, view=None, owner=None):
        self.view = view
        self.owner = owner

    def __sklearn_clone__(self):
        return self  # fitted once, by its aligner, and frozen

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_components_")

    def fit(self, X=None, y=None):
        """Does nothing: an encoder is fitted by its aligner.

        Parameters
        ----------
        X, y : ignored

        Returns
        -------
        self
        """
        return self

    def check(self, X, *, reset=False, min_samples=1):
        """The view as a checked table (see `check_view`)."""
        return check_view(
            X,
            label=f"View {self.view!r}: ",
            owner=self,
            reset=reset,
            min_samples=min_samples,
            accept_sparse=self._accept_sparse,
            estimator=self.owner,
        )

    def transform(self, X):
        """Carry rows of this view into the shared space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the view.

        Returns
        -------
        array of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        return self._encode(self.check(X))

    def inverse_transform(self, Z):
        """The rows of this view that points of the shared space stand for, by least squares.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Points of the shared space.

        Returns
        -------
        array of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        Z = check_view(Z, estimator=self.owner)
        if Z.shape[1] != self.n_components_:
            raise ValueError(f"Z has {Z.shape[1]} columns, but {self.owner} has {self.n_components_} components.")
        return self._decode(Z)

    def get_feature_names_out(self, input_features=None):
        """Names such as ``cca0``, ``cca1``, ...

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.asarray([f"{self.owner.lower()}{i}" for i in range(self.n_components_)], dtype=object)


# --- two doors ------------------------------------------------------------------------------------------------------

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
            views = Views(zip_names(_with_rows(X), _as_view(y, warn=reset)))
        if reset:
            self._two_arrays = not isinstance(X, Views)
        return views

    def _encoder(self, name):
        if name not in self.encoders_:
            raise ValueError(f"{type(self).__name__} was fitted on the views {list(self.encoders_)}, not on {name!r}.")
        return self.encoders_[name]

    def _need_two_arrays(self, what):
        if not self._two_arrays:
            name = list(self.encoders_)[-1]
            raise ValueError(
                f"{type(self).__name__} was fitted on the views {list(self.encoders_)}: it cannot tell which one a "
                f"plain array is. Call {what}(Views({name}=X)), or encoders_[{name!r}].{what}(X)."
            )

    def transform(self, X, y=None):
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
        from .views import Views

        check_is_fitted(self, "encoders_")
        if isinstance(X, Views):
            if y is not None:
                raise TypeError("transform(views) takes no second argument.")
            return Views({name: self._transform_view(name, view, f"{name}__") for name, view in X.items()})
        self._need_two_arrays("transform")
        Zx = self._transform_view(ARRAY_NAMES[0], X)
        return Zx if y is None else (Zx, self._transform_view(ARRAY_NAMES[1], _as_view(y)))

    def _transform_view(self, name, view, prefix=""):
        encoder = self._encoder(name)
        Z = encoder._encode(encoder.check(view))
        return wrap_output(self, Z, view, lambda: [f"{prefix}{feature}" for feature in encoder.get_feature_names_out()])

    def fit_transform(self, X, y=None, **fit_params):
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

    def inverse_transform(self, Z):
        """The data that points of the shared space stand for, view by view.

        Parameters
        ----------
        Z : Views, or array-like of shape (n_samples, n_components)
            Points of the shared space; a plain array belongs to the first view.

        Returns
        -------
        Views, or array of shape (n_samples, n_features)
        """
        from .views import Views

        check_is_fitted(self, "encoders_")
        if isinstance(Z, Views):
            return Views({name: self._encoder(name).inverse_transform(view) for name, view in Z.items()})
        self._need_two_arrays("inverse_transform")
        return self.encoders_[ARRAY_NAMES[0]].inverse_transform(Z)

    def similarity(self, X, y=None, *, views=None, function="cosine"):
        """How well every row of one view matches every row of another, in the shared space.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two views, or rows of the first.
        y : Views or array-like of shape (n_samples_y, n_features_y), default=None
            Rows of the second; any number. Two Views of one view each will do as well.
        views : pair of str, default=None
            Which views to compare; needed when there are three or more.
        function : str or callable, default="cosine"
            See `skalign.metrics.pairwise_similarity`.

        Returns
        -------
        array of shape (n_samples, n_samples_y)
        """
        from .metrics import pairwise_similarity
        from .views import Views

        check_is_fitted(self, "encoders_")
        if isinstance(X, Views):
            data = dict(X.items()) | (dict(y.items()) if isinstance(y, Views) else {})
            names = list(data) if views is None else list(views)
            if len(names) != 2 or any(name not in data for name in names):
                raise ValueError(f"similarity compares two views: pass views=(name, name) out of {list(data)}.")
        else:
            if y is None:
                raise ValueError("similarity(X, Y) compares rows of two views, but the second is None.")
            self._need_two_arrays("similarity")
            data, names = dict(zip(ARRAY_NAMES, (X, _as_view(y)))), ARRAY_NAMES
        A, B = (self._encoder(name)._encode(self.encoders_[name].check(data[name])) for name in names)
        return pairwise_similarity(A, B, function)

    def get_feature_names_out(self, input_features=None):
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
    def n_features_in_(self):
        """Width of the first view, after a fit on two arrays."""
        return self._first("n_features_in_")

    @property
    def feature_names_in_(self):
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


def zip_names(X, Y):
    """The two arrays of ``fit(X, Y)`` by their names."""
    return dict(zip(ARRAY_NAMES, (X, Y)))


def _with_rows(X):
    """`X`, or its array where it has nothing but ``__array__``."""
    return np.asarray(X) if hasattr(X, "__array__") and not hasattr(X, "__len__") else X


def _as_view(y, warn=False):
    """The second argument as a table: one column where it has one dimension, which hints at a misunderstanding."""
    y = _with_rows(y)
    shape = getattr(y, "shape", None)
    one_dimensional = len(shape) == 1 if shape is not None else not len(y) or np.ndim(y[0]) == 0
    if not one_dimensional:
        return y
    if not is_tensor(y):
        y = np.asarray(y)
        if y.dtype.kind not in "biuf":
            y = _numbers_or_error(y)
    if warn:
        warnings.warn(
            "A 1-D array is taken for a view of one column: the second argument is a view; labels go with Views.",
            DataConversionWarning,
            stacklevel=4,
        )
    return y.reshape(-1, 1)


def _numbers_or_error(y):
    if y.dtype.kind == "c":
        raise ValueError("View 'y': Complex data not supported.")
    try:
        return y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The second argument of fit(X, Y) is a view and holds no numbers: labels go with Views, fit(views, labels)."
        ) from error
