"""The one-view transformer of linear canonical correlation analysis."""

from __future__ import annotations

from .._backend import astype, float_dtype, like, namespace
from ._canonical import VariateEncoder


class LinearEncoder(VariateEncoder):
    """A linear map of one view: ``(X - mean_) @ weights_ * factors_``.

    Parameters
    ----------
    view, owner : str
        The view and the class of the aligner.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    weights_ : ndarray of shape (n_features, n_components)
        Weights that give variates of variance 1 (ddof 0).
    factors_ : ndarray of shape (n_components,)
        1, or the canonical correlations with ``weighting="correlation"``.
    """

    _accept_lazy = True

    def _encode(self, X):
        dtype = float_dtype(X)
        X = astype(X, namespace(X).float64) - like(self.mean_, X)
        return astype(X @ like(self.weights_ * self.factors_, X), dtype)

    def _decode(self, Z):
        return astype(self._unscaled(Z) @ like(self.decoder_, Z) + like(self.mean_, Z), float_dtype(Z))
