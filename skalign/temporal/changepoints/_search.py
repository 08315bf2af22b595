"""Where to cut a signal: searches over segmentations for any cost."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from types import FunctionType
from typing import Any, Literal

import numpy as np

from ._costs import QUADRATIC, Cost, RbfCost

SEARCHES = ("pelt", "optimal", "binseg", "bottomup", "window", "kernel")
_EXACT = ("pelt", "optimal", "kernel")


def search_changepoints(
    cost: Any, n: int, search: Literal["pelt", "optimal", "binseg", "bottomup", "window", "kernel"] = "pelt", *,
    penalty: float = 0.0, length_weight: float = 0.0, n_changepoints: int | None = None, min_size: int = 1,
    jump: int = 1, width: int = 100,
) -> np.ndarray:  # fmt: skip
    """Change points of a signal that a cost was fitted to.

    Parameters
    ----------
    cost : object with ``error(start, end)``
        Fitted. Costs of this package run compiled, others in Python.
    n : int
        Number of frames.
    search : {"pelt", "optimal", "binseg", "bottomup", "window", "kernel"}, default="pelt"
        See `ChangepointSegmenter`.
    penalty : float, default=0.0
        Added to the summed cost per change point.
    length_weight : float, default=0.0
        Times log(length / n), added to the cost of every segment.
    n_changepoints : int, default=None
        Their number, instead of the penalty.
    min_size : int, default=1
        Shortest segment.
    jump : int, default=1
        Change points are multiples of it.
    width : int, default=100
        Frames that "window" looks at.

    Returns
    -------
    ndarray of int
        First frames of new segments, ascending.
    """
    run, data = _compiled_or_python(cost, streamed=search in _EXACT)
    penalty, length_weight = float(penalty), float(length_weight)  # compiled for floats
    if search in _EXACT:
        if n_changepoints is not None:
            return _cut(*run["optimal"](data, n, n_changepoints + 1, length_weight, min_size, jump), n_changepoints + 1)
        state = PeltState(n)
        state.advance(run["pelt"], data, n, penalty, length_weight, min_size, jump, prune=search != "optimal")
        return state.changepoints(n)
    if search == "window":
        return _window(run, data, n, penalty, length_weight, n_changepoints, min_size, jump, width)
    number = -1 if n_changepoints is None else n_changepoints
    return run[search](data, n, number, penalty, length_weight, min_size, jump)


def segmentation_cost(cost: Any, changepoints: Iterable[int], n: int, length_weight: float = 0.0) -> float:
    """Summed cost of a segmentation, without the penalty per change point.

    Parameters
    ----------
    cost : cost object
        Fitted. Costs of this package run compiled, others in Python.
    changepoints : sequence of int
        First frames of new segments, in order; without 0 and `n`.
    n : int
        Number of frames.
    length_weight : float, default=0.0
        Times log(length / n), added to the cost of every segment.

    Returns
    -------
    float
    """
    run, data = _compiled_or_python(cost)
    length_weight = float(length_weight)
    bounds = [0, *(int(t) for t in changepoints), n]
    return float(sum(run["segment_cost"](data, s, e, length_weight, n) for s, e in pairwise(bounds)))


class PeltState:
    """What PELT knows about the frames so far; it can go on when more come.

    Parameters
    ----------
    room : int
        Number of frames that there is memory for.
    """

    def __init__(self, room):
        self.seen = 0
        self.totals = np.full(room + 1, np.inf)
        self.previous = np.zeros(room + 1, np.int64)
        self.expiry = np.zeros(room + 1, np.int64)
        self.candidates = np.zeros(room + 1, np.int64)
        self.counts = np.zeros(2, np.int64)

    def advance(self, pelt, data, n, penalty, length_weight, min_size, jump, prune=True):
        """Take in the frames up to `n`."""
        if len(self.totals) <= n:
            more = 2 * n + 1 - len(self.totals)
            self.totals = np.r_[self.totals, np.full(more, np.inf)]
            for name in ("previous", "expiry", "candidates"):
                setattr(self, name, np.r_[getattr(self, name), np.zeros(more, np.int64)])
        if self.seen == 0:
            self.totals[0] = -penalty  # the first segment follows no change point
        memory = self.seen, self.totals, self.previous, self.expiry, self.candidates, self.counts
        if jump == 1 and length_weight == 0 and _is_of_means(data):
            from ._mean_kernels import pelt_of_means

            pelt_of_means(data[1][:, 0], data[2][:, 0], n, penalty, min_size, prune, *memory)
        else:
            pelt(data, n, penalty, length_weight, min_size, jump, prune, *memory)
        self.seen = n

    def changepoints(self, n):
        """Of the first `n` frames."""
        found = []
        if np.isfinite(self.totals[n]):
            t = self.previous[n]
            while t > 0:
                found.append(t)
                t = self.previous[t]
        return np.array(found[::-1], dtype=np.int64)


def _is_of_means(data):
    """Whether a cost that is compiled is the squared error of one channel."""
    return isinstance(data, tuple) and data[0] == QUADRATIC and data[1].shape[1] == 1


def _cut(grid, best, previous, n_segments):
    if not np.isfinite(best[-1, n_segments]):
        raise ValueError(f"{n_segments - 1} change points do not fit.")
    found, b = [], len(grid) - 1
    for k in range(n_segments, 1, -1):
        b = previous[b, k]
        found.append(grid[b])
    return np.array(found[::-1], dtype=np.int64)


def _window(run, data, n, penalty, length_weight, n_changepoints, min_size, jump, width):
    """The highest local maxima of what a cut saves within the window, while cutting there saves more than the penalty.

    A window that does not fit into the signal is narrowed.
    """
    half = max(min(width // 2, n // 2), min_size)
    gains = run["window_gains"](data, n, half, jump)
    peaks = []
    for t in np.flatnonzero(np.isfinite(gains)):
        near = gains[max(t - half, 0) : t + half + 1]
        if gains[t] >= near.max() and gains[t] > gains[t - half : t].max(initial=-np.inf):  # the first of equals
            peaks.append(t)
    found: list[int] = []
    for t in sorted(peaks, key=lambda t: -gains[t]):
        if n_changepoints is not None:
            if len(found) == n_changepoints:
                break
        else:
            bounds = np.array([0, *sorted(found), n])
            place = np.searchsorted(bounds, t)
            start, end = int(bounds[place - 1]), int(bounds[place])
            if run["_rise"](data, start, int(t), end, length_weight, n) <= penalty:
                break
        found.append(int(t))
    return np.array(sorted(found), dtype=np.int64)


def _compiled_or_python(cost, streamed=False):
    """The searches by name, and what they take as the cost."""
    from ._kernels import KERNELS, segment_cost

    compiled = {**KERNELS, "segment_cost": segment_cost}
    if getattr(type(cost), "error", None) is Cost.error:  # neither a cost of another kind nor one changed by a subclass
        return compiled, cost.streamed_ if streamed and isinstance(cost, RbfCost) else cost.data_
    return _python_searches(), cost


def _python_searches():
    """The source of the compiled searches, run by Python on the ``error`` of a cost that a user wrote."""
    from . import _kernels as kernels

    def segment_cost(cost, start, end, weight, n):
        value = float(cost.error(int(start), int(end)))
        if np.isnan(value):
            raise ValueError(f"{type(cost).__name__}.error({start}, {end}) is NaN.")
        return value + (weight * np.log((end - start) / n) if weight > 0 else 0.0)

    def segment_costs(cost, starts, m, end, weight, n, values):
        values[:m] = [segment_cost(cost, start, end, weight, n) for start in starts[:m]]

    names = {**vars(kernels), "segment_cost": segment_cost, "segment_costs": segment_costs}
    names["advance"] = lambda cost, end, first: None
    run = {name: FunctionType(kernel.py_func.__code__, names, name) for name, kernel in kernels.KERNELS.items()}
    names.update(run)
    return {**run, "segment_cost": segment_cost}
