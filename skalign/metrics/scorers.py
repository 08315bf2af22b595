"""Alignment metrics as ``scoring=`` of scikit-learn's model selection."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np

from .._backend import is_tensor, to_numpy
from .._typing import Metric
from ..views import Views
from ._ranking import Ranking, check_count, check_direction
from .representation._prepared import FUNCTIONS, check_metric_options
from .retrieval import mean_average_precision, mean_reciprocal_rank, median_rank, recall_at_k
from .similarity import check_two, unit_rows


def alignment_scorer(
    metric: Metric, /, *, views: Sequence[str] | None = None, groups: Literal["y"] | None = None, **options: Any
) -> AlignmentScorer:
    """Make a scorer that judges an aligner by its embeddings of held-out data.

    Give the result to ``GridSearchCV(scoring=...)``, ``cross_val_score`` and their like, with Views or with (X, Y) as
    data. The estimator is an aligner, or a Pipeline that ends in one.

    Parameters
    ----------
    metric : str or callable
        - "recall_at_k", "mean_reciprocal_rank", "mean_average_precision";
        - "median_rank", negated, because a higher score is a better one;
        - "mean_correlation", "sum_correlation": mean or sum over the components of the correlation between the two
          views. The mean favours few components, the sum does not;
        - "cka", "mutual_knn", "cknna", "rsa" and the others of `skalign.metrics.representation`, which compare the two
          embeddings without looking at which space they are in;
        - a callable ``f(Z_a, Z_b, **options) -> float``, higher is better.
    views : sequence of str, default=None
        Names of the views to compare. None is all. With more than two, the score is the mean over their pairs.
    groups : {None, "y"}, default=None
        "y": rows of the same `y` are right answers to each other. Labels are used for this only when asked for. Views
        only, since with (X, Y) `y` is a view. "mean_average_precision" always takes `y` as the labels.
    **options
        Options of the metric: ``k`` for "recall_at_k"; ``direction``, ``function``, ``normalization``,
        ``n_neighbors``, ``beta`` and ``chunk_size`` for all retrieval metrics, see `match_ranks`; those of the
        function, ``k`` say, for metrics of representations.

    Returns
    -------
    AlignmentScorer
        A picklable ``scorer(estimator, X, y=None) -> float``.

    Raises
    ------
    ValueError, TypeError
        Here: for an unknown metric, an option it does not have, or a value out of range. When called: TypeError for
        an estimator that gives no embeddings, such as one that ends in a classifier or in `Fuse`.

    See Also
    --------
    retrieval_report : All retrieval metrics at once.

    Examples
    --------
    >>> from sklearn.cross_decomposition import PLSCanonical
    >>> from sklearn.datasets import load_linnerud
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skalign.metrics import alignment_scorer
    >>> X, Y = load_linnerud(return_X_y=True)
    >>> scorer = alignment_scorer("recall_at_k", k=3)
    >>> scorer
    alignment_scorer('recall_at_k', k=3)
    >>> search = GridSearchCV(PLSCanonical(), {"n_components": [1, 2]}, scoring=scorer).fit(X, Y)
    >>> print(f"{search.best_score_:.2f}")
    0.79
    """
    return AlignmentScorer(metric, views=views, groups=groups, **options)


class AlignmentScorer:
    """What `alignment_scorer` returns."""

    def __init__(self, metric, /, *, views=None, groups=None, **options):
        self.metric, self.views, self.groups, self.options = metric, views, groups, options
        if not callable(metric):
            _check_metric(metric, options)
        if groups is not None and not (isinstance(groups, str) and groups == "y"):
            raise ValueError(f"groups must be None or 'y', got {groups!r}.")
        if groups == "y" and metric not in _GROUPED:
            raise ValueError(f"groups='y' belongs to {sorted(_GROUPED)}, not to {metric!r}.")
        if views is not None and (isinstance(views, str) or len(views) < 2 or len(set(views)) < len(views)):
            raise ValueError(f"views must name at least two different views, got {views!r}.")

    def __repr__(self):
        name = getattr(self.metric, "__name__", repr(self.metric))
        given = {"views": self.views, "groups": self.groups}
        arguments = {name: value for name, value in given.items() if value is not None} | self.options
        return f"alignment_scorer({', '.join([name, *(f'{key}={value!r}' for key, value in arguments.items())])})"

    def __call__(self, estimator, X, y=None):
        """Score `estimator` on Views `X`, with `y` as labels where they are used, or on the arrays (`X`, `y`)."""
        if not isinstance(X, Views):
            if self.groups or self.metric == "mean_average_precision":
                raise ValueError(f"{self!r} needs labels, and with (X, Y) y is a view; give Views as X.")
            if self.views is not None:
                raise ValueError(f"{self!r} names views, but X is a {type(X).__name__}; only Views have names.")
            return self._score(*_embed_pair(estimator, X, y))
        Z = _transform_of(estimator)(X)
        if not isinstance(Z, Views):
            raise TypeError(
                f"{type(estimator).__name__}.transform gives {type(Z).__name__}, not Views of embeddings; score the "
                "part of the pipeline that ends in the aligner, before Fuse makes one array of it."
            )
        names = Z.names if self.views is None else list(self.views)
        if len(names) < 2:
            raise ValueError(f"Alignment is scored between two views, but there is only {names}.")
        return float(np.mean([self._score(Z[a], Z[b], y) for a, b in combinations(names, 2)]))

    def _score(self, Z_a, Z_b, y=None):
        options = dict(self.options)
        role = "labels" if self.metric == "mean_average_precision" else self.groups and "groups"
        if role:
            if y is None:
                raise ValueError(f"{self!r} takes y as {role}, but y is None.")
            options[role] = y
        function, sign = (self.metric, 1) if callable(self.metric) else METRICS[self.metric]
        return float(sign * function(Z_a, Z_b, **options))


# --- metrics ---------------------------------------------------------------------------------------------------------


def _correlations(Z_a, Z_b):
    """Correlation of each column of one embedding with that of the other; 0 for a constant column."""
    Z_a, Z_b = check_two(Z_a, Z_b, names=("the first view's embedding", "the second view's embedding"))
    if Z_a.shape[0] != Z_b.shape[0] or Z_a.shape[0] < 2:
        raise ValueError(
            f"Correlation needs the same samples in both views, at least two; got {Z_a.shape[0]} and {Z_b.shape[0]}."
        )
    Z_a, Z_b = (_standardize(to_numpy(Z) if is_tensor(Z) else Z) for Z in (Z_a, Z_b))
    return (Z_a * Z_b).sum(axis=0)


def _standardize(Z):
    """Columns centred, of length 1; a column that is constant up to rounding becomes 0."""
    Z = np.asarray(Z, dtype=np.float64)
    centred = Z - Z.mean(axis=0)
    constant = abs(centred).max(axis=0) <= 8 * np.finfo(np.float64).eps * abs(Z).max(axis=0)
    return unit_rows(np.where(constant, 0.0, centred).T).T


def _mean_correlation(Z_a, Z_b):
    return _correlations(Z_a, Z_b).mean()


def _sum_correlation(Z_a, Z_b):
    return _correlations(Z_a, Z_b).sum()


# Name -> (function, sign that makes higher better).
METRICS = {
    "mean_average_precision": (mean_average_precision, 1),
    "mean_correlation": (_mean_correlation, 1),
    "mean_reciprocal_rank": (mean_reciprocal_rank, 1),
    "median_rank": (median_rank, -1),
    "recall_at_k": (recall_at_k, 1),
    "sum_correlation": (_sum_correlation, 1),
    **{name: (function, 1) for name, function in FUNCTIONS.items()},
}
_GROUPED = ("mean_reciprocal_rank", "median_rank", "recall_at_k")
_DATA = {"self", "Z_a", "Z_b", "similarity", "groups", "groups_b"}


def _check_metric(metric, options):
    if isinstance(metric, str) and metric in FUNCTIONS:
        return check_metric_options(metric, options)
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(f"metric must be callable or one of {sorted(METRICS)}, got {metric!r}.")
    allowed = set()
    if not metric.endswith("correlation"):
        allowed = (inspect.signature(Ranking.__init__).parameters.keys() - _DATA) | {"direction"}
        allowed |= {"k"} if metric == "recall_at_k" else set()
    unknown = sorted(options.keys() - allowed)
    if unknown:
        raise TypeError(f"{metric!r} has no option {', '.join(unknown)}; it has {sorted(allowed) or 'none'}.")
    options = dict(options)
    check_direction(options.pop("direction", "both"))
    check_count("k", options.pop("k", 1))
    Ranking(similarity=[[0.0]], **options)


# --- embeddings ------------------------------------------------------------------------------------------------------


def _transform_of(estimator):
    if not hasattr(estimator, "transform"):
        raise TypeError(
            f"{type(estimator).__name__} has no transform that gives embeddings; an alignment scorer is for an aligner "
            "or a Pipeline that ends in one. A classifier after it has scorers of its own."
        )
    return estimator.transform


def _embed_pair(estimator, X, Y):
    """The two embeddings that an aligner, alone or at the end of a Pipeline, gives of (`X`, `Y`)."""
    if Y is None:
        raise ValueError("An alignment scorer needs two views: give Views as X, or arrays as X and y.")
    estimator = getattr(estimator, "best_estimator_", estimator)  # a search within a search
    if hasattr(estimator, "steps"):
        head = estimator[:-1]
        return _embed_pair(estimator[-1], _transform_of(head)(X) if len(head) else X, Y)
    transform = _transform_of(estimator)
    second = list(inspect.signature(transform).parameters)[1:2]
    pair = transform(X, Y) if second in (["y"], ["Y"]) else None
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise TypeError(
            f"{type(estimator).__name__}.transform(X, y) does not give a pair of embeddings; an alignment scorer is "
            "for an aligner or a Pipeline that ends in one. After a classifier or Fuse there is nothing to compare."
        )
    return pair
