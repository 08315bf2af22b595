"""Mutual information of Gaussian views, from their canonical correlations."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import digamma

from .._backend import svd, to_numpy
from ..correlation._linear_solvers import whiten
from ..correlation._moments import center

# Canonical correlations are exact to about 1e-9: what is nearer to 1 cannot be told from it.
_DETERMINISTIC = 1e-9


def gaussian_information(X, Y):
    r"""Mutual information of two views that are Gaussian together, without bias.

    Parameters
    ----------
    X, Y : arrays of shape (n, p) and (n, q)
        Paired rows, finite.

    Returns
    -------
    float
        In nats: :math:`-\tfrac12 \sum_k \log(1 - \rho_k^2)` less its bias in samples of n. Infinite where one view
        determines a part of the other.

    Raises
    ------
    ValueError
        For too few rows: some canonical correlation would be 1 whatever the data.

    Warns
    -----
    UserWarning
        Where the estimate is infinite.
    """
    n = X.shape[0]
    white = [_white(center(_in_own_unit(Z))[0]) for Z in (X, Y)]
    p, q = (W.shape[1] for W in white)
    if min(p, q) == 0:
        return 0.0  # what does not vary tells nothing
    if n <= p + q + 1:
        raise ValueError(
            f"{n} rows are too few for views of ranks {p} and {q}: the Gaussian estimate needs more than {p + q + 1}. "
            "Reduce the views first (PCA in PerView), or take method='infonce'."
        )
    rho = to_numpy(svd(white[0].T @ white[1] / n)[1])
    if rho[0] >= 1.0 - _DETERMINISTIC:
        warnings.warn(
            "Some canonical correlation is 1: one view determines a part of the other, and the mutual information of "
            "continuous views is then infinite.",
            UserWarning,
            stacklevel=2,
        )
        return float("inf")
    return float(-0.5 * np.log1p(-(rho**2)).sum() - gaussian_bias(n, p, q))


def _in_own_unit(Z):
    """A view divided by its largest number: squares neither overflow nor vanish."""
    largest = float(abs(Z).max())
    return Z / largest if largest > 0 else Z


def _white(centered):
    """A centred view in white coordinates, of shape (n, rank)."""
    n, p = centered.shape
    whitening = whiten(centered, centered.T @ centered / n if p < n else None, n, 0.0, 0.0, "auto", None, None)
    return whitening.apply(centered.T).T if whitening.scores is None else whitening.scores


def gaussian_bias(n, p, q):
    r"""Bias of the plug-in estimate from n rows of Gaussian views of ranks p and q.

    The logarithm of the determinant of a Wishart matrix of m degrees of freedom has the mean
    :math:`\log|\Sigma| + p \log 2 + \sum_{i=1}^p \psi((m + 1 - i)/2)`; of the three of them the rest cancels.
    """
    i = np.arange(1, q + 1)
    return float(0.5 * (digamma((n - i) / 2) - digamma((n - p - i) / 2)).sum())
