"""Checks of what users hand in."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names

from ._backend import astype, is_tensor, namespace
from ._lazy import check_row_blocks, is_lazy


def check_view(
    X, *, label="", owner=None, reset=True, min_samples=1, accept_sparse=False, accept_lazy=False, allow_nd=False,
    estimator="This aligner",
):  # fmt: skip
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
    accept_lazy : bool, default=False
        Keep Dask arrays, as blocks of whole rows; otherwise they are computed. At fit (`reset`) nobody has looked for
        NaN and infinity in what is kept; afterwards every block is looked through when it is computed.
    allow_nd : bool, default=False
        Take samples of any shape, images say, and remember it as ``sample_shape_``.
    estimator : str
        The name for errors.

    Raises
    ------
    ValueError
        For anything that is not such a table, with the number of entries that are not finite.
    """
    lazy = is_lazy(X)
    if lazy and not accept_lazy:
        X, lazy = X.compute(), False
    plain = type(X) is np.ndarray and X.ndim == 2 and X.dtype in (np.float64, np.float32)
    plain = plain and X.shape[0] >= max(min_samples, 1) and X.shape[1] > 0
    if owner is not None and not (plain and not hasattr(owner, "feature_names_in_")):
        with _labelled(label):
            _check_feature_names(owner, X, reset=reset)
    if plain:
        table = X  # scikit-learn's checks, none of which could object, take longer than a small fit
    elif lazy:
        table = check_row_blocks(X, label)
    elif is_tensor(X):
        table = _check_tensor(X, label, allow_nd)
    else:
        if sp.issparse(X) and not accept_sparse:
            X = X.toarray()
        if isinstance(X, (list, np.ndarray)) and len(X) and _holds_text(X):
            raise ValueError(
                f"{label}holds strings, where numbers are needed: put a vectorizer for it into PerView. "
                "Labels are not a view; they go into y beside Views."
            )
        with _labelled(label, lambda error: "could not convert string" in str(error) or not _is_flat(X)):
            table = check_array(
                X,
                accept_sparse="csr" if accept_sparse else False,
                dtype=[np.float64, np.float32],
                ensure_all_finite=False,
                allow_nd=allow_nd,
                ensure_min_samples=min_samples,
                ensure_min_features=1,
                estimator=estimator,
            )
    if not lazy:
        check_finite(table, label)
    elif not reset:
        table = table.map_blocks(check_finite, label, dtype=table.dtype, meta=table._meta)
    n_samples, n_features = table.shape[:2]
    if n_samples < min_samples or n_features < 1:
        raise ValueError(
            f"{label}Found array with {n_samples} sample(s) and {n_features} feature(s) (shape={tuple(table.shape)}) "
            f"while a minimum of {min_samples} sample(s) and 1 feature(s) is required by {estimator}."
        )
    if owner is not None:
        if reset:
            owner.n_features_in_ = n_features
            if allow_nd:
                owner.sample_shape_ = tuple(table.shape[1:])
        else:
            check_sample_shape(
                tuple(table.shape[1:]), getattr(owner, "sample_shape_", (owner.n_features_in_,)), label, estimator
            )
    return table


def check_sample_shape(shape, expected, label, estimator):
    """Raise ValueError unless samples have the shape that was seen at fit."""
    if shape == expected:
        return
    if len(shape) == len(expected) == 1:
        raise ValueError(
            f"{label}X has {shape[0]} features, but {estimator} is expecting {expected[0]} features as input."
        )
    raise ValueError(
        f"{label}X has samples of shape {shape}, but {estimator} is expecting samples of shape {expected}."
    )


@contextmanager
def _labelled(label, unready=lambda error: False):
    """Errors with the view in front, and with advice where what came in is no table yet."""
    try:
        yield
    except (TypeError, ValueError) as error:
        hint = ". Put a transformer into PerView that makes a table of numbers of it." if unready(error) else ""
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{label}{str(error).rstrip('.') if hint else error}{hint}") from None


def _is_flat(X):
    """Whether rows are numbers behind each other, all of one length."""
    try:
        return np.ndim(X) <= 2
    except ValueError:
        return False


def _holds_text(X):
    first = np.asarray(X)[0] if isinstance(X, np.matrix) else X[0]  # a row of a matrix is a matrix again
    while isinstance(first, (list, np.ndarray)) and np.ndim(first) > 0 and len(first):
        first = first[0]
    return isinstance(first, (str, bytes))


def _check_tensor(X, label, allow_nd=False):
    xp = namespace(X)
    if X.ndim != 2 and not (allow_nd and X.ndim > 2):
        raise ValueError(f"{label}Expected 2D array, got {X.ndim}D array instead. Reshape your data.")
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError(f"{label}Complex data not supported.")
    if xp.isdtype(X.dtype, ("integral", "bool")):
        return astype(X, xp.float64)
    return X


def check_finite(table, label=""):
    """`table`, unless it holds NaN or infinity."""
    refuse_not_finite(*count_not_finite(table), table.shape, label)
    return table


def count_not_finite(table):
    """How many entries are NaN, and how many infinite."""
    values = table.data if sp.issparse(table) else table
    xp = namespace(values)
    if bool(xp.isfinite(xp.sum(values))):  # one pass; an overflowing sum of finite numbers is sorted out below
        return 0, 0
    return int(xp.sum(xp.isnan(values))), int(xp.sum(xp.isinf(values)))


def refuse_not_finite(n_nan, n_inf, shape, label=""):
    """Raise ValueError unless both numbers are 0."""
    if n_nan or n_inf:
        raise ValueError(
            f"{label}Input contains NaN or infinity: {n_nan} NaN and {n_inf} inf in shape {tuple(shape)}. "
            "Impute or drop them before aligning (a SimpleImputer in PerView)."
        )


def with_rows(X):
    """`X`, or its array where it has nothing but ``__array__``."""
    return np.asarray(X) if hasattr(X, "__array__") and not hasattr(X, "__len__") else X


def as_view(y, warn=False):
    """The second argument as a table: one column where it has one dimension, which hints at a misunderstanding."""
    y = with_rows(y)
    if not hasattr(y, "__len__") or isinstance(y, (str, bytes, Mapping, Set)):
        raise ValueError(f"View 'y' is a {type(y).__name__}, where a table with a row for every sample is needed.")
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


def is_whole(value, least):
    """Whether `value` is a whole number, and no bool, of at least `least`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least
