"""Settings of dynamic time warping, and the solver that runs the compiled kernels under them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from .._input import is_whole
from ._costs import FUSED, check_costs, check_metric, derivative, frame_costs, in_blocks

STEP_PATTERNS = ("symmetric1", "symmetric2", "asymmetric")
_BLOCK = 1 << 20  # cells of a cost matrix that are held at a time


@dataclass(frozen=True)
class Warping:
    """Checked settings; see `skalign.temporal.dtw` for what they mean."""

    metric: object
    window: object
    pattern: int
    open_begin: bool
    open_end: bool
    derivative: bool
    gamma: float

    @classmethod
    def check(
        cls, metric=FUSED, window=None, step_pattern="symmetric1", open_begin=False, open_end=False, subsequence=False,
        derivative=False, gamma=0.0, precomputed=False,
    ):  # fmt: skip
        """Settings from parameters of users.

        Raises
        ------
        ValueError
            For a value that is unknown, or that does not go with another one.
        """
        check_metric(metric, precomputed)
        kind, _ = split_window(window)
        if step_pattern not in STEP_PATTERNS:
            raise ValueError(f"step_pattern must be one of {STEP_PATTERNS}, got {step_pattern!r}.")
        if isinstance(gamma, bool) or not isinstance(gamma, Real) or not 0 <= gamma < np.inf:
            raise ValueError(f"gamma must be 0 for hard warping or a positive number, got {gamma!r}.")
        begin, end = bool(open_begin or subsequence), bool(open_end or subsequence)
        if begin and step_pattern == "symmetric2":
            raise ValueError(
                "An open begin needs step_pattern='symmetric1' or 'asymmetric': under 'symmetric2' a match weighs more "
                "the longer it is, so that costs of matches of different length cannot be compared."
            )
        if subsequence and kind == "radius":
            raise ValueError("subsequence=True looks everywhere in the second signal; a window of lags contradicts it.")
        if (begin or end) and kind == "itakura":
            raise ValueError("The Itakura parallelogram ties both ends: it does not go with open ends.")
        if gamma > 0 and (begin or end or step_pattern != "symmetric1"):
            raise ValueError("gamma > 0 (soft warping) needs step_pattern='symmetric1' and closed ends.")
        if metric == "precomputed" and derivative:
            raise ValueError("derivative=True needs signals; a precomputed matrix has none.")
        pattern = STEP_PATTERNS.index(step_pattern)
        return cls(metric, window, pattern, begin, end, bool(derivative), float(gamma))

    def slope(self):
        kind, value = split_window(self.window)
        return float(value) if kind == "itakura" else 0.0

    def radii(self, n, m):
        """Radius of the window in samples for signals of lengths `n` and `m` (numbers or arrays); -1 for none."""
        kind, value = split_window(self.window)
        longer = np.maximum(n, m)
        if kind == "fraction":
            return np.floor(value * longer + 1e-9).astype(np.int64)
        return np.full_like(longer, min(value, int(np.max(longer))) if kind == "radius" else -1, dtype=np.int64)

    def distances(self, costs):
        """Distances from accumulated costs: the root where squares were added up."""
        return np.sqrt(costs) if isinstance(self.metric, str) and self.metric == FUSED and self.gamma == 0 else costs


def split_window(window):
    """``(kind, value)`` of the parameter `window`; ValueError for anything else."""
    if window is None:
        return None, None
    pair = isinstance(window, (tuple, list)) and len(window) == 2 and isinstance(window[0], str)
    pair = pair and window[0] in ("sakoe_chiba", "itakura")
    if pair and window[0] == "itakura":
        if isinstance(window[1], Real) and 1 <= window[1] < np.inf:
            return "itakura", window[1]
    else:
        value = window[1] if pair else window
        if is_whole(value, 0):
            return "radius", int(value)
        if isinstance(value, Real) and not isinstance(value, (Integral, np.bool_)) and 0 < value <= 1:
            return "fraction", float(value)
    raise ValueError(
        "window must be None, a radius in samples (int >= 0), a part of the longer signal (float in (0, 1]), or "
        f"('itakura', slope) with a slope of at least 1; got {window!r}."
    )


def solve_pairs(warping, A, B, a_index, b_index, *, paths=True, n_jobs=None, label="pair"):
    """Accumulated costs, and best paths, of pairs of sequences.

    Parameters
    ----------
    warping : Warping
        The settings; its `gamma` is not looked at.
    A, B : Sequences
        The first and second signals.
    a_index, b_index : ndarray of int of shape (n_pairs,)
        Which of them make a pair.
    paths : bool, default=True
        Whether to find the paths; costs alone take memory for a few rows.
    n_jobs : int, default=None
        Threads.
    label : str
        What to call a pair in an error.

    Returns
    -------
    costs : ndarray of shape (n_pairs,)
    found : list of ndarray of int of shape (L, 2), or None

    Raises
    ------
    ValueError
        When no path of a pair keeps to the window or the step pattern.
    """
    if warping.derivative:
        A, B = A.map(derivative), (A.map(derivative) if B is A else B.map(derivative))
    solve = _solve_fused if warping.metric == FUSED else _solve_by_matrix
    a_index, b_index = np.asarray(a_index, dtype=np.int64), np.asarray(b_index, dtype=np.int64)
    n_workers = min(n_threads(n_jobs), len(a_index))
    parts = np.array_split(np.arange(len(a_index)), n_workers)
    if n_workers == 1:
        results = [solve(warping, A, B, a_index, b_index, paths)]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(n_workers) as pool:  # the kernels let go of the interpreter
            results = list(pool.map(lambda p: solve(warping, A, B, a_index[p], b_index[p], paths), parts))
    costs = np.concatenate([cost for cost, _ in results])
    if np.isinf(costs).any():
        p = int(np.flatnonzero(np.isinf(costs))[0])
        n, m = A.lengths[a_index[p]], B.lengths[b_index[p]]
        raise ValueError(f"{label} {p}: {unreachable(warping, n, m)}")
    return costs, [path for _, found in results for path in found] if paths else None


def unreachable(warping, n, m):
    """Why there is no path of finite cost through signals of lengths `n` and `m`."""
    if _reaches(warping, n, m):
        return f"the costs along any path through signals of {n} and {m} frames overflow. Bring them to another unit."
    kind, _ = split_window(warping.window)
    asymmetric = STEP_PATTERNS[warping.pattern] == "asymmetric"
    if kind is None:
        return (
            f"no path leads through signals of {n} and {m} frames: step_pattern='asymmetric' moves on by at most two "
            "frames of the second signal at each frame of the first. Swap them, or use another pattern."
        )
    if kind == "itakura":
        slope = _least_slope(warping, n, m)
        hint = f" A slope of {slope:g} reaches it." if slope else ""
    else:
        hint = f" A radius of {abs(int(n) - int(m))} is the least that reaches the end."
    also = " together with step_pattern='asymmetric'" if asymmetric else ""
    return f"the window {warping.window!r}{also} is too narrow to reach the end of signals of {n} and {m} frames.{hint}"


def _reaches(warping, n, m):
    """Whether any path leads through signals of lengths `n` and `m`, whatever it costs."""
    free = replace(warping, metric=FUSED)
    return solve_one(free, np.zeros((n, 1)), np.zeros((m, 1)), paths=False)[0] < np.inf


def _least_slope(warping, n, m):
    """The least slope of an Itakura parallelogram, to a tenth, that a path leads through; None without any."""

    def reaches(tenths):
        return _reaches(replace(warping, window=("itakura", tenths / 10)), n, m)

    low, high = 10, 10 * int(n + m)
    if not reaches(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high / 10


def n_threads(n_jobs):
    """How many threads `n_jobs` asks for."""
    if n_jobs is None:
        return 1
    from joblib import effective_n_jobs

    return effective_n_jobs(n_jobs)


def _solve_fused(warping, A, B, a_index, b_index, paths):
    from . import _dtw_kernels as kernels

    n, m = A.lengths[a_index], B.lengths[b_index]
    ends = np.cumsum(n + m - 1)
    place = np.stack([ends - (n + m - 1), ends], axis=1)
    room = np.empty((ends[-1] if paths else 0, 2), dtype=np.int64)
    costs = kernels.solve_pairs(
        A.frames, A.offsets, B.frames, B.offsets, a_index, b_index, warping.radii(n, m), warping.slope(),
        warping.pattern, warping.open_begin, warping.open_end, room, place,
    )  # fmt: skip
    return costs, [room[start:stop].copy() for start, stop in place] if paths else None


def _solve_by_matrix(warping, A, B, a_index, b_index, paths):
    costs, found = np.empty(len(a_index)), []
    for p, (i, j) in enumerate(zip(a_index, b_index)):
        costs[p], path, _ = solve_one(warping, A[i], B[j], paths=paths)
        found.append(path)
    return costs, found


def solve_one(warping, a, b, *, paths=True, accumulated=False):
    """Accumulated cost, path and, on request, the matrix of accumulated costs of two signals.

    Parameters
    ----------
    warping : Warping
        The settings.
    a : ndarray of shape (n, d), or (n, m) for precomputed costs
        The first signal.
    b : ndarray of shape (m, d) or None
        The second.
    paths, accumulated : bool
        Whether they are wanted.

    Returns
    -------
    cost : float
        Infinite where there is no path.
    path : ndarray of int of shape (L, 2) or None
    accumulated : ndarray of shape (n, m) or None
        Infinite outside of the window.
    """
    from . import _dtw_kernels as kernels

    n, m, costs_of = _cost_rows(warping.metric, a, b)
    bounds = kernels.window_bounds(n, m, int(warping.radii(n, m)), warping.slope())
    D = np.full((n, m) if accumulated else (0, 0), np.inf)
    if not kernels.is_connected(*bounds):
        return np.inf, None, D
    layout = kernels.strip_layout(*bounds)
    row, lefts = np.empty(m), np.zeros(m, np.int8)
    steps = np.empty(layout[1][-1] if paths else 0, np.int8)
    fused = isinstance(warping.metric, str) and warping.metric == FUSED
    aT, bT_reversed = (x if fused else x[:0] for x in (a.T, (a if b is None else b)[::-1].T))
    aT, bT_reversed = np.ascontiguousarray(aT), np.ascontiguousarray(bT_reversed)
    first = kernels.first_costs(aT, bT_reversed) if fused else costs_of(0, 1)[0]
    kernels.first_row(first, bounds[0][0], bounds[1][0], warping.pattern, warping.open_begin, row, lefts)
    if accumulated:
        D[0] = row
    height = n if fused else max(1, _BLOCK // m // kernels.STRIP) * kernels.STRIP
    for start in range(1, n, height):
        stop = min(n, start + height)
        block = costs_of(start, stop)
        kernels.sweep(aT, bT_reversed, block, start, stop, bounds, layout, warping.pattern, row, steps, D)
    end = kernels.end_column(row, n, warping.pattern, warping.open_end)
    cost, path = float(row[end]), None
    if paths and cost < np.inf:
        room = np.empty((n + m - 1, 2), dtype=np.int64)
        path = room[kernels.backtrack(steps, lefts, layout, n, end, room) :].copy()
    return cost, path, D if accumulated else None


def _cost_rows(metric, a, b):
    """Lengths, and a function that gives the costs of some rows (none of them where the kernel computes them)."""
    if isinstance(metric, str) and metric == "precomputed":
        return *a.shape, lambda start, stop: a[start:stop]
    n, m = len(a), len(b)
    if isinstance(metric, str) and metric == FUSED:
        return n, m, lambda start, stop: np.empty((0, m))
    if in_blocks(metric):
        return n, m, lambda start, stop: frame_costs(metric, a[start:stop], b)
    costs = check_costs(frame_costs(metric, a, b), metric)
    return n, m, lambda start, stop: costs[start:stop]
