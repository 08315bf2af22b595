"""Fitted one-view transformers, and the container of their output."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import check_is_fitted

from ._backend import is_tensor
from ._input import check_view
from ._typing import Array, ArrayLike, Container, Rows, Self


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

    def set_output(self, *, transform: Container | None = None) -> Self:
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
    _accept_lazy = False
    _allow_nd = False

    def __init__(self, view=None, owner=None):
        self.view = view
        self.owner = owner

    def __sklearn_clone__(self):
        return self  # fitted once, by its aligner, and frozen

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_components_")

    def fit(self, X: Any = None, y: Any = None) -> Self:
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
            accept_lazy=self._accept_lazy,
            allow_nd=self._allow_nd,
            estimator=self.owner,
        )

    def transform(self, X: Rows) -> Array:
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

    def inverse_transform(self, Z: ArrayLike) -> Array:
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
        Z = check_view(Z, reset=False, accept_lazy=self._accept_lazy, estimator=self.owner)
        if Z.shape[1] != self.n_components_:
            raise ValueError(f"Z has {Z.shape[1]} columns, but {self.owner} has {self.n_components_} components.")
        return self._decode(Z)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
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


class Encoders(dict):
    """Encoders by view name."""

    def __missing__(self, name):
        raise KeyError(f"no view is named {name!r}: the views are {list(self)}")
