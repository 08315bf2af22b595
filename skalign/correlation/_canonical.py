"""What the correlation family shares: input, variates, score."""

from __future__ import annotations

from itertools import combinations
from numbers import Real

import numpy as np

from .._backend import astype, like, namespace, resolve_device, to_device, to_numpy
from .._input import is_whole
from .._typing import Rows
from ..base import PairedAlignerMixin, ViewEncoder
from ..views._by_view import by_view

_LEAST_SQUARES = np.finfo(np.float64).tiny / np.finfo(np.float64).eps  # smaller sums of squares have lost digits


class VariateEncoder(ViewEncoder):
    """Base of encoders whose outputs are canonical variates, scaled by ``factors_``."""

    def _set_variates(self, decoder, factors):
        self.factors_ = factors
        self.decoder_ = decoder
        self.n_components_ = len(factors)

    def _unscaled(self, Z):
        factors = like(self.factors_, Z)
        xp = namespace(Z)
        return xp.where(factors == 0, 0.0, Z / xp.where(factors == 0, 1.0, factors))


class CanonicalMixin(PairedAlignerMixin):
    """Fitting, scoring and naming of estimators whose components are canonical variates."""

    def _check_views(self, X, y, encoder, min_samples=2):
        """Checked tables of all views and their fresh encoders, by name, after a check of the shared parameters."""
        check_choice("weighting", self.weighting, ("unit", "correlation"))
        k = self.n_components
        if k is not None and not is_whole(k, 1):
            raise ValueError(f"n_components must be None or a whole number of at least 1, got {k!r}.")
        return self._open_tables(X, y, encoder, min_samples)

    def _move(self, tables):
        work = sum(float(np.prod(table.shape)) * min(table.shape) for table in tables.values())
        device = resolve_device(self.device, work)
        return {name: to_device(table, device) for name, table in tables.items()}

    def _shrinkages(self, names, words=()):
        shrinkages = by_view(self.shrinkage, names, "shrinkage")
        for name, c in shrinkages.items():
            if isinstance(c, str) and c in words:
                continue
            if not isinstance(c, Real) or isinstance(c, bool) or not 0 <= c <= 1:
                allowed = "".join(f" or {word!r}" for word in words)
                raise ValueError(f"shrinkage of view {name!r} must be in [0, 1]{allowed}, got {c!r}.")
        return shrinkages

    def _factors(self, correlations):
        if self.weighting == "unit":
            return np.ones_like(correlations)
        return np.clip(correlations, 0.0, None)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """Sum of the canonical correlations of these rows, on held-out rows if they were held out.

        Every component counts, so the score rises with each one that generalises and can be compared across
        `n_components`; the mean would always choose a single component
        (``alignment_scorer("mean_correlation")`` gives it). For three or more views a component counts by its mean
        over the pairs of views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; ignored beside Views.

        Returns
        -------
        float
            At most the number of components. A variate that is constant on these rows counts 0.
        """
        return float(variate_correlations(list(self._embed_to_score(X, y).values())).sum())


def variate_correlations(variates):
    """Correlation of every component, averaged over pairs of views.

    Parameters
    ----------
    variates : list of arrays of shape (n_samples, k)
        Outputs of every view.

    Returns
    -------
    ndarray of shape (k,)
        0 where a variate is constant.
    """
    unit = []
    for Z in variates:
        xp = namespace(Z)
        Z = astype(Z, xp.float64)
        size = xp.max(xp.abs(Z), axis=0)
        Z = Z - xp.mean(Z, axis=0)
        norms = xp.linalg.vector_norm(Z, axis=0)
        constant = norms <= 1e-14 * Z.shape[0] * size
        unit.append(xp.where(constant, 0.0, Z / xp.where(constant, 1.0, norms)))
    return np.mean([to_numpy((a * like(b, a)).sum(0)) for a, b in combinations(unit, 2)], axis=0)


def check_rank(n_components, ranks, why=""):
    """The number of components to compute, or an error that names the view that does not have as many."""
    name, least = min(ranks.items(), key=lambda item: item[1])
    if least == 0:
        raise ValueError(f"View {name!r} is constant: nothing can be aligned with it.")
    if n_components is None:
        return least
    if n_components > least:
        raise ValueError(f"n_components={n_components} is more than the rank {least} of view {name!r}{why}.")
    return n_components


def check_varies(name, total):
    """Raise unless the squares of a centred view, whose sum or mean is `total`, can be computed with."""
    if total == 0:
        raise ValueError(f"View {name!r} is constant: nothing can be aligned with it.")
    if not _LEAST_SQUARES < total < np.inf:
        raise ValueError(
            f"View {name!r}: its values are too {'small' if total < 1 else 'large'} for squares of them in float64. "
            "Bring it to another unit."
        )


def check_choice(parameter, value, choices):
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{parameter} must be one of {list(choices)}, got {value!r}.")
