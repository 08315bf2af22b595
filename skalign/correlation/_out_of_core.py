"""Second moments of Dask arrays: fits and scores on more rows than memory holds."""

from __future__ import annotations

from functools import partial, reduce
from itertools import combinations

import numpy as np

from .._input import count_not_finite, refuse_not_finite
from .._lazy import is_lazy, reduce_row_blocks
from .._typing import Rows
from ..views import Views
from ._canonical import CanonicalMixin
from ._moments import Moments, center_tables, row_quartics, row_weights


def any_lazy(tables):
    """Whether the tables, by name, are Dask arrays; TypeError where only some are."""
    lazy = [name for name, X in tables.items() if is_lazy(X)]
    if lazy and len(lazy) < len(tables):
        raise TypeError(f"The views {lazy} are Dask arrays and the others are not: bring all into one library.")
    return bool(lazy)


def moments_of_row_blocks(tables, sample_weight=None, *, expand=list, pairs=None, quartics=False):
    """Moments of views that are Dask arrays, in one pass over their rows.

    Parameters
    ----------
    tables : dict of str to dask.array.Array of shape (n_samples, p_i)
        The views.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.
    expand : callable, default=list
        From one block of every view to the arrays whose moments are wanted.
    pairs : list of (int, int), default=None
        Which of these arrays meet, i <= j; all by default.
    quartics : bool, default=False
        Whether to sum third and fourth powers too.

    Returns
    -------
    Moments

    Raises
    ------
    ValueError
        For NaN or infinity; all blocks are counted.
    """
    n_samples = next(iter(tables.values())).shape[0]
    weights = row_weights(sample_weight, n_samples, np.empty(0))
    summarise = partial(_summary, expand=expand, pairs=pairs, quartics=quartics)
    counts, moments = reduce_row_blocks(summarise, _merged, list(tables.values()), weights)
    for (name, X), (n_nan, n_inf) in zip(tables.items(), counts):
        refuse_not_finite(n_nan, n_inf, X.shape, f"View {name!r}: ")
    return moments


def _summary(blocks, weights, expand, pairs, quartics):
    """How many entries of every block are NaN and infinite, and the moments, or None where there are no good rows."""
    counts = np.array([count_not_finite(X) for X in blocks])
    if weights is not None:
        blocks, weights = [X[weights > 0] for X in blocks], weights[weights > 0]
    if counts.any() or not len(blocks[0]):
        return counts, None
    centered, *rest = center_tables(expand(blocks), weights)
    origins, shifts, weight, n_rows = rest
    moments = Moments.of(centered, origins, weight, n_rows, shifts, pairs)
    if quartics:
        moments.quartics = [row_quartics(X, weights) for X in centered]
    return counts, moments


def _merged(summaries):
    counts, moments = zip(*summaries)
    moments = [part for part in moments if part is not None]
    return sum(counts), reduce(Moments.merged, moments) if moments else None


def correlation_pairs(m):
    """Those pairs of m views that `correlations_of_moments` needs."""
    return [(i, i) for i in range(m)] + list(combinations(range(m), 2))


def correlations_of_moments(moments, m):
    """What `variate_correlations` says of the first m views, which are variates."""
    spreads = [np.sqrt(np.diagonal(moments.blocks[i, i])) for i in range(m)]
    correlations = []
    for i, j in combinations(range(m), 2):
        scale = spreads[i] * spreads[j]
        correlations.append(np.diagonal(moments.blocks[i, j]) / np.where(scale > 0, scale, 1.0))
    return np.mean(correlations, axis=0)


def layout_of(encoders):
    """Width and column names, where there are some, of every view of a chunk."""
    return {name: (e.n_features_in_, list(getattr(e, "feature_names_in_", ()))) for name, e in encoders.items()}


def same_layout(layout, before, estimator):
    """What is known of the columns after another chunk; ValueError unless it has the views and columns of `before`."""
    together = {}
    for name, (width, columns) in before.items():
        new_width, new_columns = layout.get(name, (width, columns))
        if new_width != width:
            raise ValueError(
                f"View {name!r}: X has {new_width} features, but {estimator} is expecting {width} features as input."
            )
        if columns and new_columns and new_columns != columns:
            raise ValueError(f"View {name!r}: this chunk has the columns {new_columns}; those before: {columns}.")
        together[name] = width, columns or new_columns
    if layout.keys() != together.keys():
        raise ValueError(f"This chunk has the views {list(layout)}; those before were {list(together)}.")
    return together


class OutOfCoreMixin:
    """Scoring of Dask arrays for estimators whose components are canonical variates."""

    def score(self, X: Rows, y: Rows | None = None) -> float:
        if not any(is_lazy(view) for view in (dict(X.items()).values() if isinstance(X, Views) else (X, y))):
            return super().score(X, y)
        variates = self._embed_to_score(X, y)
        any_lazy(variates)
        moments = moments_of_row_blocks(variates, pairs=correlation_pairs(len(variates)))
        return float(correlations_of_moments(moments, len(variates)).sum())

    score.__doc__ = CanonicalMixin.score.__doc__
