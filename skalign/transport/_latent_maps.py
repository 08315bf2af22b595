"""The map of a latent pairing, given the pairs: rotations and linear maps in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._backend import svd


class AffineMap(NamedTuple):
    """``x @ coef + intercept``, and what it adds to the objective."""

    coef: np.ndarray
    intercept: np.ndarray
    penalty: float = 0.0

    def __call__(self, X):
        return X @ self.coef + self.intercept


def fit_orthogonal(X, Y, weights=None, current=None, *, scaling=False):
    r"""The rigid map of least :math:`\sum_i w_i \lVert s\,x_i Q + b - y_i \rVert^2`.

    Parameters
    ----------
    X, Y : ndarray of shape (n, d)
        Pairs, of one width.
    weights : ndarray of shape (n,), default=None
        Weights of the pairs; None are equal ones.
    current : ignored
    scaling : bool, default=False
        Whether s is fitted too; otherwise it is 1.

    Returns
    -------
    AffineMap

    References
    ----------
    P. H. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31(1), 1966.
    """
    X, Y, weights, mean_x, mean_y = _centered(X, Y, weights)
    Q, values = nearest_rotation((X * weights[:, None]).T @ Y)
    if scaling:
        size = weights @ (X * X).sum(axis=1)
        Q = Q * (values.sum() / size if size > 0 else 1.0)
    return AffineMap(Q, mean_y - mean_x @ Q)


def fit_linear(X, Y, weights=None, current=None, *, penalty):
    r"""The linear map of least :math:`\sum_i w_i \lVert x_i W + b - y_i \rVert^2 + \lambda \lVert W \rVert_F^2`.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Rows to be mapped.
    Y : ndarray of shape (n, q)
        Their partners.
    weights : ndarray of shape (n,), default=None
        Weights of the pairs, which sum to 1; None are equal ones.
    current : ignored
    penalty : float
        The ridge :math:`\lambda`, in units of the variance of X.

    Returns
    -------
    AffineMap
    """
    X, Y, weights, mean_x, mean_y = _centered(X, Y, weights)
    weighted = (X * weights[:, None]).T
    U, values, Vt = svd(weighted @ X)
    values = values + penalty
    inverse = np.where(values > values[0] * len(values) * np.finfo(float).eps, 1.0 / np.maximum(values, 1e-300), 0.0)
    W = (Vt.T * inverse) @ (U.T @ (weighted @ Y))
    return AffineMap(W, mean_y - mean_x @ W, penalty * float((W * W).sum()))


def nearest_rotation(M):
    """The orthogonal Q of largest ``trace(Q.T @ M)``, and the singular values of `M`."""
    U, values, Vt = svd(M)
    return U @ Vt, values


def _centered(X, Y, weights):
    weights = np.full(len(X), 1.0 / len(X)) if weights is None else weights / weights.sum()
    mean_x, mean_y = weights @ X, weights @ Y
    return X - mean_x, Y - mean_y, weights, mean_x, mean_y
