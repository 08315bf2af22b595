"""Second moments of canonical variates."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .._backend import namespace, to_numpy
from ._moments import column_squares


class Variates:
    """Weights scaled to variates of variance 1, and the second moments of these variates.

    Moments serve where they are exact enough, and the rows otherwise.

    Parameters
    ----------
    whitenings : list of Whitening
        Of every view.
    coefficients : list of arrays of shape (r_i, k)
        What `top_components` found.
    centered : list of arrays of shape (n, p_i) or None
        The rows.
    moments : Moments or None
        One of both must be there.
    weight : float
        Sum of the weights of the rows.

    Attributes
    ----------
    weights : list of arrays of shape (p_i, k)
    """

    def __init__(self, whitenings, coefficients, centered, moments, weight):
        self.centered, self.moments, self.weight = centered, moments, weight
        self.weights = [w.back(A) for w, A in zip(whitenings, coefficients)]
        self.scores = None
        if moments is None or any(w.scores is not None for w in whitenings):
            self.scores = [
                X @ W if w.scores is None else w.scores @ A
                for X, W, w, A in zip(centered, self.weights, whitenings, coefficients)
            ]
        for i, W in enumerate(self.weights):
            xp = namespace(W)
            variance = xp.sum(W * self._columns(i, i), axis=0) if self.scores is None else self._inner(i, i)
            # Beyond the rank of the rows, components of a shrunk covariance have no variance but that of rounding.
            varies = variance > 16.0 * xp.finfo(variance.dtype).eps * xp.max(variance)
            scale = xp.where(varies, 1.0 / xp.sqrt(xp.where(varies, variance, 1.0)), 0.0)
            self.weights[i] = W * scale
            if self.scores is not None:
                self.scores[i] = self.scores[i] * scale

    def _columns(self, i, j):
        if self.scores is not None:
            return self.centered[i].T @ self.scores[j] / self.weight
        return self.moments.covariance(i, j) @ self.weights[j]

    def _inner(self, i, j):
        return namespace(self.scores[i]).einsum("ij,ij->j", self.scores[i], self.scores[j]) / self.weight

    def with_columns(self, i, j):
        """Covariance of the columns of view i with the variates of view j, shape (p_i, k)."""
        return to_numpy(self._columns(i, j))

    def correlations(self):
        """Correlations of the variates, averaged over the pairs of views."""
        pairs = list(combinations(range(len(self.weights)), 2))
        if self.scores is not None:
            return np.mean([to_numpy(self._inner(i, j)) for i, j in pairs], axis=0)
        return np.mean([(to_numpy(self.weights[i]) * self.with_columns(i, j)).sum(axis=0) for i, j in pairs], axis=0)

    def inverse_within(self, i, columns):
        """What turns covariances with the variates of view i into regressions on them: None where they are white.

        Parameters
        ----------
        columns : ndarray of shape (p_i, k)
            ``with_columns(i, i)``.
        """
        if self.scores is not None:
            within = to_numpy(self.scores[i].T @ self.scores[i]) / self.weight
        else:
            within = to_numpy(self.weights[i]).T @ columns
        if np.abs(within - np.eye(len(within))).max() < 1e-12:
            return None
        return np.linalg.pinv(within, rcond=1e-14, hermitian=True)

    def column_spread(self, i):
        """Standard deviations of the columns of view i."""
        if self.moments is not None:
            return np.sqrt(np.diagonal(to_numpy(self.moments.blocks[i, i])) / self.weight)
        return np.sqrt(to_numpy(column_squares(self.centered[i])) / self.weight)
