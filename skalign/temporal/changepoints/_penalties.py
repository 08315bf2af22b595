"""How much a change point has to save: rules, all segmentations over a range, and learning from annotations."""

from __future__ import annotations

import math
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ._search import search_changepoints, segmentation_cost

RULES = ("auto", "bic", "mbic")
SCALES = 2.0 ** np.arange(-4, 6.5, 0.5)  # what is tried when a scale is learnt


def check_penalty(penalty, scale):
    """Raise ValueError unless the penalty is a rule or a number that is not negative, and its scale positive."""
    if isinstance(penalty, str):
        if penalty not in RULES:
            raise ValueError(f"penalty has to be a number or one of {list(RULES)}, got {penalty!r}.")
    elif not isinstance(penalty, Real) or isinstance(penalty, bool) or not penalty >= 0:
        raise ValueError(f"penalty has to be a number of at least 0 or one of {list(RULES)}, got {penalty!r}.")
    if isinstance(scale, str):
        if scale != "learn":
            raise ValueError(f"penalty_scale has to be a positive number or 'learn', got {scale!r}.")
    elif not isinstance(scale, Real) or isinstance(scale, bool) or not 0 < scale < math.inf:
        raise ValueError(f"penalty_scale has to be a positive number or 'learn', got {scale!r}.")


def penalty_of(penalty, scale, cost, n):
    """The penalty per change point, and the weight of log(length / n) per segment.

    Parameters
    ----------
    penalty : float or {"auto", "bic", "mbic"}
        See `ChangepointSegmenter`.
    scale : float
        Multiplies both.
    cost : object with ``error(start, end)``
        Fitted. ``n_params_`` (default 1) and ``unit_`` (default: its mean per frame) set the rules.
    n : int
        Number of frames.

    Returns
    -------
    tuple of float
    """
    if not isinstance(penalty, str):
        return float(penalty) * scale, 0.0
    unit = getattr(cost, "unit_", None)
    if unit is None:
        unit = cost.error(0, n) / n
    unit = max(float(unit), 0.0) * scale
    n_params = getattr(cost, "n_params_", 1)
    extra = 1 if penalty == "bic" else 2
    return unit * (n_params + extra) * math.log(n), unit if penalty == "mbic" else 0.0


class PathSegmentation(NamedTuple):
    """A segmentation, and the penalties for which it is the best.

    Attributes
    ----------
    low, high : float
        The interval of penalties per change point.
    change_points : ndarray of int
        First frames of new segments.
    cost : float
        Summed cost of the segments, without penalty.
    """

    low: float
    high: float
    change_points: np.ndarray
    cost: float


def check_range(low, high):
    """Raise ValueError unless there are penalties from `low` to `high`."""
    if not 0 <= low <= high < math.inf:
        raise ValueError(f"the range of penalties has to be 0 <= low <= high, got {low} and {high}.")


def penalty_path(
    cost: Any, n: int, low: float, high: float, *, min_size: int = 1, jump: int = 1
) -> list[PathSegmentation]:
    """All segmentations that are the best for a penalty between `low` and `high` (CROPS [1]_).

    Parameters
    ----------
    cost : object with ``error(start, end)``
        Fitted.
    n : int
        Number of frames.
    low, high : float
        The range of penalties, both ends included.
    min_size, jump : int, default=1
        As in `search_changepoints`.

    Returns
    -------
    list of PathSegmentation
        From the least penalty (most change points) on. PELT runs about twice as often as there are segmentations.

    References
    ----------
    .. [1] K. Haynes, I. A. Eckley, P. Fearnhead, "Computationally efficient changepoint detection for a range of
       penalties", Journal of Computational and Graphical Statistics 26(1), 2017.
    """
    check_range(low, high)
    found: dict[int, tuple[float, np.ndarray]] = {}

    def run(penalty):
        cps = search_changepoints(cost, n, penalty=penalty, min_size=min_size, jump=jump)
        value = segmentation_cost(cost, cps, n)
        if len(cps) not in found or value < found[len(cps)][0]:
            found[len(cps)] = value, cps
        return len(cps)

    intervals = [(run(low), run(high))]
    while intervals:
        many, few = intervals.pop()
        if many > few + 1:
            between = run(max((found[few][0] - found[many][0]) / (many - few), 0.0))
            if few < between < many:
                intervals += [(many, between), (between, few)]
    # Of cost over number, from many change points to few; rounding may leave points a little above it.
    hull: list[int] = []
    for k in sorted(found, reverse=True):
        while hull and found[k][0] <= found[hull[-1]][0]:
            hull.pop()
        while len(hull) > 1 and _rise(found, hull[-2], hull[-1]) >= _rise(found, hull[-1], k):
            hull.pop()
        hull.append(k)
    bounds = [_rise(found, a, b) for a, b in pairwise(hull)]
    starts, ends = np.clip([low, *bounds], low, high), np.clip([*bounds, high], low, high)
    starts[0], ends[-1] = low, high
    return [
        PathSegmentation(float(a), float(b), found[k][1], found[k][0])
        for k, a, b in zip(hull, starts, ends)
        if a < b or len(hull) == 1
    ]


def _rise(found, many, few):
    return (found[few][0] - found[many][0]) / (many - few)


def learn_scale(segment, annotations, lengths):
    """The multiplier of the penalty that covers annotated series best, if it also does so on series left out.

    Parameters
    ----------
    segment : callable
        ``segment(i, scale)`` gives the change points of series i.
    annotations : list of list of ndarray of int
        Per series, the change points of every annotator.
    lengths : list of int
        Frames of the series.

    Returns
    -------
    scale : float
        1.0 unless the learnt one is better on the series left out, by more than the standard error of the gain.
    report : dict
        "scales", "covering" (mean at each), "learnt_scale", "default_covering" and "left_out_covering".
    """
    from ...metrics.segmentation import covering

    m = len(lengths)
    if m < 3:
        raise ValueError(f"penalty_scale='learn' needs at least 3 annotated series to be checked on, got {m}.")
    table = np.array([[covering(annotations[i], segment(i, s), lengths[i]) for s in SCALES] for i in range(m)])
    default = int(np.flatnonzero(SCALES == 1.0)[0])

    def best(rows):
        means = rows.mean(axis=0)
        ties = np.flatnonzero(means >= means.max() - 1e-12)
        return ties[np.argmin(np.abs(ties - default))]

    learnt = best(table)
    left_out = np.array([table[i, best(np.delete(table, i, axis=0))] for i in range(m)])
    gain = left_out - table[:, default]
    better = gain.mean() > gain.std(ddof=1) / math.sqrt(m) and gain.mean() > 0
    report = {
        "scales": SCALES.copy(),
        "covering": table.mean(axis=0),
        "learnt_scale": float(SCALES[learnt]),
        "default_covering": float(table[:, default].mean()),
        "left_out_covering": float(left_out.mean()),
    }
    return (float(SCALES[learnt]) if better else 1.0), report
