"""dtw against all paths of small problems, against peers, and against the laws it promises."""

import functools
import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import haversine_distances, manhattan_distances

from skalign.temporal import _dtw_kernels as kernels
from skalign.temporal import dtw

STEPS = {
    "symmetric1": [((1, 1), 1), ((1, 0), 1), ((0, 1), 1)],
    "symmetric2": [((1, 1), 2), ((1, 0), 1), ((0, 1), 1)],
    "asymmetric": [((1, 1), 1), ((1, 0), 1), ((1, 2), 1)],
}


def signals(n, m, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d))


def allowed(window, n, m):
    """Which cells are in the window, from its definition."""
    i, j = np.arange(n)[:, None], np.arange(m)[None]
    if window is None:
        return np.ones((n, m), dtype=bool)
    if isinstance(window, tuple):
        slope = window[1]
        rest_i, rest_j = n - 1 - i, m - 1 - j
        return (
            (j <= slope * i + 1e-9) & (i <= slope * j + 1e-9)
            & (rest_j <= slope * rest_i + 1e-9) & (rest_i <= slope * rest_j + 1e-9)
        )  # fmt: skip
    radius = int(window * max(n, m)) if isinstance(window, float) else window
    return abs(i - j) <= radius


def all_paths(costs, step_pattern, mask, open_begin, open_end):
    """(cost, path) of every path there is."""
    n, m = costs.shape
    found = []

    def walk(i, j, cost, path):
        if i == n - 1 and (open_end or j == m - 1):
            found.append((cost, path))
        for (di, dj), weight in STEPS[step_pattern]:
            if i + di < n and j + dj < m and mask[i + di, j + dj]:
                walk(i + di, j + dj, cost + weight * costs[i + di, j + dj], [*path, (i + di, j + dj)])

    for j in range(m if open_begin else 1):
        if mask[0, j]:
            walk(0, j, costs[0, j], [(0, j)])
    return found


def least(costs, step_pattern, mask, open_begin, open_end):
    paths = all_paths(costs, step_pattern, mask, open_begin, open_end)
    if not paths:
        return None
    if step_pattern == "symmetric2" and open_end:
        return min(paths, key=lambda found: found[0] / (len(costs) + found[1][-1][1] + 1))[0]
    return min(paths, key=lambda found: found[0])[0]


def cost_along(path, costs, step_pattern):
    weights = {step: weight for step, weight in STEPS[step_pattern]}
    steps = [1, *(weights[tuple(step)] for step in np.diff(path, axis=0))]  # a KeyError is a step that is not allowed
    return float((steps * costs[path[:, 0], path[:, 1]]).sum())


@pytest.mark.parametrize("step_pattern", list(STEPS))
@pytest.mark.parametrize("window", [None, 0, 1, 2, 0.4, ("itakura", 2.0), ("itakura", 1.0)])
@pytest.mark.parametrize("ends", [(False, False), (False, True), (True, False), (True, True)])
def test_best_of_all_paths(step_pattern, window, ends):
    if (ends[0] and step_pattern == "symmetric2") or (any(ends) and isinstance(window, tuple)):
        pytest.skip("refused, see below")
    for n, m in [(1, 1), (1, 4), (4, 1), (4, 4), (5, 4), (3, 6), (6, 3)]:
        a, b = signals(n, m, seed=10 * n + m)
        costs = cdist(a, b, "sqeuclidean")
        expected = least(costs, step_pattern, allowed(window, n, m), *ends)
        options = {"window": window, "step_pattern": step_pattern, "open_begin": ends[0], "open_end": ends[1]}
        if expected is None:
            with pytest.raises(ValueError, match=f"{n} and {m} frames"):
                dtw(a, b, **options)
            continue
        for metric, args in (("sqeuclidean", (a, b)), ("precomputed", (costs,))):
            result = dtw(*args, metric=metric, return_accumulated_cost=True, **options)
            assert_allclose(result.cost, expected, rtol=1e-12)
            assert_allclose(cost_along(result.path, costs, step_pattern), expected, rtol=1e-12)
            assert_allclose(result.accumulated_cost[n - 1, result.path[-1, 1]], expected)
            assert allowed(window, n, m)[tuple(result.path.T)].all()
            assert_array_equal(result.path[-1], [n - 1, m - 1]) if not ends[1] else None
        assert_allclose(dtw(a, b, return_path=False, **options).cost, expected, rtol=1e-12)


def test_negative_costs_may_begin_before_the_match():
    costs = np.array([[-1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    result = dtw(costs, metric="precomputed", subsequence=True)
    assert_allclose(result.cost, least(costs, "symmetric1", np.ones((2, 3), bool), True, True))
    assert result.path.tolist() == [[0, 0], [0, 1], [1, 2]]


@pytest.mark.parametrize("step_pattern", list(STEPS))
@pytest.mark.parametrize("window", [None, 20, 0.5, ("itakura", 3.0)])
@pytest.mark.parametrize("shape", [(129, 140), (128, 129), (130, 121), (300, 257), (1, 15), (16, 1), (257, 280)])
def test_strips_of_rows_agree_with_the_plain_recursion(step_pattern, window, shape):
    """Lengths around multiples of the strips that the kernel works in."""
    if window and min(shape) == 1:
        window = 20
    a, b = signals(*shape)
    mask, costs = allowed(window, *shape), cdist(a, b, "sqeuclidean")
    D = np.full((shape[0] + 2, shape[1] + 2), np.inf)
    D[2, 2] = costs[0, 0]
    for i, j in zip(*np.nonzero(mask)):
        before = [
            D[i + 2 - di, j + 2 - dj] + weight * costs[i, j]
            for (di, dj), weight in STEPS[step_pattern]
            if (i, j) > (0, 0)
        ]
        D[i + 2, j + 2] = min(before, default=D[i + 2, j + 2])
    if np.isinf(D[-1, -1]):
        with pytest.raises(ValueError, match="frames"):
            dtw(a, b, window=window, step_pattern=step_pattern)
        return
    result = dtw(a, b, window=window, step_pattern=step_pattern, return_accumulated_cost=True)
    assert_allclose(result.accumulated_cost, D[2:, 2:], rtol=1e-10)
    assert_allclose(cost_along(result.path, costs, step_pattern), result.cost, rtol=1e-10)


def test_rows_of_a_matrix_in_blocks(monkeypatch):
    from skalign.temporal import _warping

    monkeypatch.setattr(_warping, "_BLOCK", 1000)
    a, b = signals(700, 90)
    blocks, whole = dtw(a, b, metric="cityblock"), dtw(a, b, metric=manhattan_distances)
    assert_allclose(blocks.cost, whole.cost, rtol=1e-12)
    assert_array_equal(blocks.path, whole.path)


# --- peers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 40, 3), (150, 90, 1), (7, 200, 2)])
def test_tslearn(shape):
    metrics = pytest.importorskip("tslearn.metrics")
    a, b = signals(*shape)
    path, distance = metrics.dtw_path(a, b)
    result = dtw(a, b)
    assert_allclose(result.distance, distance, rtol=1e-12)
    assert_array_equal(result.path, path)
    path, distance = metrics.dtw_subsequence_path(a[:7], b)
    result = dtw(a[:7], b, subsequence=True)
    assert_allclose(result.distance, distance, rtol=1e-12)
    assert_array_equal(result.path, path)
    if shape[0] == shape[1]:
        for radius in (0, 3):
            expected = metrics.dtw(a, b, global_constraint="sakoe_chiba", sakoe_chiba_radius=radius)
            assert_allclose(dtw(a, b, window=radius).distance, expected, rtol=1e-12)


def test_dtaidistance():
    ndim = pytest.importorskip("dtaidistance.dtw_ndim")
    a, b = signals(80, 110, 4)
    assert_allclose(dtw(a, b).distance, ndim.distance(a, b), rtol=1e-12)


def test_aeon():
    distances = pytest.importorskip("aeon.distances")
    a, b = signals(80, 110, 4)
    path, cost = distances.dtw_alignment_path(a.T, b.T)
    result = dtw(a, b)
    assert_allclose(result.cost, cost, rtol=1e-12)
    assert_allclose(cost_along(result.path, cdist(a, b, "sqeuclidean"), "symmetric1"), cost, rtol=1e-12)
    assert_allclose(cost_along(np.array(path), cdist(a, b, "sqeuclidean"), "symmetric1"), cost, rtol=1e-12)


@pytest.mark.parametrize("shape", [(20, 25), (30, 22), (15, 15)])
def test_dtw_python(shape):
    """The port of the R package, whose step patterns and open ends these are."""
    peer = pytest.importorskip("dtw")
    a, b = signals(*shape)
    cases = [("symmetric1", False, False), ("symmetric2", False, False), ("symmetric2", False, True)]
    cases += [("asymmetric", begin, end) for begin in (False, True) for end in (False, True)]
    for step_pattern, begin, end in cases:
        options = {"step_pattern": step_pattern, "open_begin": begin, "open_end": end}
        expected = peer.dtw(a, b, dist_method="sqeuclidean", **options)
        result = dtw(a, b, **options)
        assert_allclose(result.cost, expected.distance, rtol=1e-12)
        assert_array_equal(result.path.T, [expected.index1, expected.index2])


# --- laws -----------------------------------------------------------------------------------------------------------

lengths = st.integers(1, 30)


@settings(deadline=None, max_examples=60)
@given(lengths, lengths, st.integers(1, 4), st.integers(0, 1000), st.sampled_from(["symmetric1", "symmetric2"]))
def test_laws(n, m, d, seed, step_pattern):
    a, b = signals(n, m, d, seed)
    result = dtw(a, b, step_pattern=step_pattern)
    steps = np.diff(result.path, axis=0)
    assert steps.min(initial=0) >= 0
    assert steps.max(initial=1) == 1
    assert_array_equal(result.path[[0, -1]], [[0, 0], [n - 1, m - 1]])
    assert_allclose(cost_along(result.path, cdist(a, b, "sqeuclidean"), step_pattern), result.cost, rtol=1e-12)
    assert result.distance == np.sqrt(result.cost)
    assert dtw(b, a, step_pattern=step_pattern).cost == result.cost
    assert dtw(a, a, step_pattern=step_pattern).distance == 0
    assert_allclose(dtw(a[::-1], b[::-1]).cost, dtw(a, b).cost)  # symmetric1 knows no direction of time
    assert_allclose(dtw(3 * a, 3 * b, step_pattern=step_pattern).distance, 3 * result.distance)
    widest = dtw(a, b, window=max(n, m), step_pattern=step_pattern)
    assert widest.cost == result.cost
    if n == m:
        assert dtw(a, b, window=2, step_pattern=step_pattern).cost >= result.cost
        assert_allclose(dtw(a, b, window=0).cost, ((a - b) ** 2).sum())
    assert dtw(a, b, open_end=True).cost <= dtw(a, b).cost
    assert dtw(a, b, subsequence=True).cost <= dtw(a, b, open_end=True).cost


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(5, 40))
def test_a_repeated_frame_costs_nothing(seed, n):
    a, _ = signals(n, 1, seed=seed)
    repeats = np.random.default_rng(seed).integers(1, 4, size=n)
    result = dtw(a, np.repeat(a, repeats, axis=0))
    assert result.cost == 0
    assert_array_equal(result.path[:, 0], np.repeat(np.arange(n), repeats))


def test_subsequence_is_found():
    rng = np.random.default_rng(0)
    long = rng.normal(size=(500, 3)).cumsum(axis=0)
    for step_pattern, query in (("symmetric1", slice(200, 260)), ("asymmetric", slice(200, 260, 2))):
        result = dtw(long[query], long, subsequence=True, step_pattern=step_pattern)
        assert result.cost == 0
        assert_array_equal(result.path[:, 1], np.arange(500)[query])


def test_derivative_ignores_offsets():
    t = np.linspace(0, 6, 80)
    a, b = np.sin(t), np.sin(t + 0.3) + 5
    result = dtw(a, b, derivative=True)
    inner = result.path[10:-20]
    assert abs((inner[:, 0] - inner[:, 1]) * (t[1] - t[0]) - 0.3).max() < 0.1
    x = np.arange(6.0) ** 2
    slopes = np.array([1.5, 1.5, 3.5, 5.5, 7.5, 7.5])  # ((x_i - x_{i-1}) + (x_{i+1} - x_{i-1}) / 2) / 2
    assert_allclose(dtw(x, slopes * 0, derivative=True, window=0).cost, (slopes**2).sum())
    assert dtw([1.0], [7.0], derivative=True).distance == 0
    assert dtw([1.0, 3.0], [7.0, 9.0], derivative=True).distance == 0


# --- metrics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metric", ["euclidean", "manhattan", "l1", "cosine", "correlation", "chebyshev", "mahalanobis"]
)
def test_metric_by_name(metric):
    a, b = signals(20, 25, 3)
    name = {"manhattan": "cityblock", "l1": "cityblock"}.get(metric, metric)
    expected = dtw(cdist(a, b, name), metric="precomputed")
    result = dtw(a, b, metric=metric)
    assert_allclose(result.distance, expected.distance, rtol=1e-12)
    assert result.distance == result.cost
    assert_array_equal(result.path, expected.path)


def test_metric_as_function():
    a, b = signals(20, 25, 2)
    assert_allclose(dtw(a, b, metric="haversine").cost, dtw(a, b, metric=haversine_distances).cost)
    fourth = functools.partial(cdist, metric="minkowski", p=4)
    assert dtw(a, b, metric=fourth).cost == dtw(fourth(a, b), metric="precomputed").cost
    with pytest.raises(ValueError, match=r"20 by 25 frames.*\(\)"):
        dtw(a, b, metric=lambda x, y: 1.0)


# --- input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "nonsense"}, "metric must be"),
        ({"metric": 3}, "metric must be"),
        ({"window": -1}, "window must be"),
        ({"window": 0.0}, "window must be"),
        ({"window": 1.5}, "window must be"),
        ({"window": True}, "window must be"),
        ({"window": "sakoe_chiba"}, "window must be"),
        ({"window": ("itakura", 0.5)}, "window must be"),
        ({"step_pattern": "symmetric3"}, "step_pattern must be"),
        ({"gamma": -1.0}, "gamma must be"),
        ({"gamma": np.nan}, "gamma must be"),
        ({"open_begin": True, "step_pattern": "symmetric2"}, "open begin needs"),
        ({"subsequence": True, "window": 3}, "contradicts"),
        ({"open_end": True, "window": ("itakura", 2.0)}, "Itakura"),
        ({"gamma": 1.0, "step_pattern": "asymmetric"}, "closed ends"),
        ({"gamma": 1.0, "open_end": True}, "closed ends"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        dtw(*signals(5, 6), **options)


def test_bad_signals():
    a, b = signals(5, 6)
    bad = b.copy()
    bad[2:4, 0] = np.nan
    with pytest.raises(ValueError, match="signal 'b': .*2 NaN and 0 inf"):
        dtw(a, bad)
    with pytest.raises(ValueError, match="signal 'a': .*is empty"):
        dtw(a[:0], b)
    with pytest.raises(ValueError, match="has 2 features and signal 'b' has 1.*CTWAligner"):
        dtw(a, b[:, :1])
    with pytest.raises(ValueError, match="signal 'a': .*Reshape"):
        dtw(3.0, b)
    with pytest.raises(ValueError, match="the second is None"):
        dtw(a)
    with pytest.raises(ValueError, match="numbers are needed"):
        dtw(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="Complex"):
        dtw(a + 1j, b)
    with pytest.raises(ValueError, match="costs alone"):
        dtw(np.ones((3, 3)), b, metric="precomputed")
    with pytest.raises(ValueError, match="not finite"):
        dtw(np.full((3, 3), np.inf), metric="precomputed")
    with pytest.raises(ValueError, match="needs signals"):
        dtw(np.ones((3, 3)), metric="precomputed", derivative=True)
    with pytest.raises(ValueError, match="'cosine' gives 6 costs"):
        dtw(np.zeros((1, 2)), b, metric="cosine")


def test_window_that_does_not_reach_the_end():
    a, b = signals(10, 20)
    with pytest.raises(ValueError, match="window 9 is too narrow.*10 and 20 frames.*radius of 10"):
        dtw(a, b, window=9)
    assert dtw(a, b, window=10).path[-1].tolist() == [9, 19]
    with pytest.raises(ValueError, match="asymmetric' moves on by at most two"):
        dtw(a, signals(1, 30)[1], step_pattern="asymmetric")
    assert len(dtw(a, signals(1, 30)[1], step_pattern="asymmetric", open_end=True).path) == 10


@pytest.mark.parametrize("pattern", ["symmetric1", "symmetric2", "asymmetric"])
@pytest.mark.parametrize(("n", "m"), [(10, 30), (30, 10), (4, 7), (7, 8), (2, 9)])
def test_the_least_slope_that_reaches_the_end(n, m, pattern):
    a, b = signals(n, m)
    with pytest.raises(ValueError, match="too narrow") as refused:
        dtw(a, b, window=("itakura", 1.0), step_pattern=pattern)
    hint = re.search(r"slope of ([\d.]+) reaches it", str(refused.value))
    every = 1 + np.arange(1, 10 * (n + m)) / 10
    reached = [slope for slope in every if reaches(a, b, ("itakura", slope), pattern)]
    assert (hint is None) == (not reached)
    if hint:
        assert float(hint[1]) == pytest.approx(reached[0])


def reaches(a, b, window, pattern):
    try:
        return len(dtw(a, b, window=window, step_pattern=pattern).path) > 0
    except ValueError:
        return False


def test_input_is_not_altered_and_types_do_not_matter():
    a, b = signals(30, 20)
    a.flags.writeable = b.flags.writeable = False
    expected = dtw(a, b)
    for x, y in ((a.tolist(), b.tolist()), (np.asfortranarray(a), b[::-1][::-1]), (a.astype(np.float32), b)):
        assert_allclose(dtw(x, y).distance, expected.distance, rtol=1e-6)
    assert dtw(np.arange(4), np.arange(4)[:, None]).distance == 0


def test_tensors():
    torch = pytest.importorskip("torch")
    a, b = signals(30, 20)
    expected = dtw(a, b, gamma=0.5)
    result = dtw(torch.from_numpy(a), torch.from_numpy(b).requires_grad_(), gamma=0.5)
    assert isinstance(result.path, torch.Tensor)
    assert_array_equal(result.path.numpy(), expected.path)
    assert_allclose(result.distance.item(), expected.distance, rtol=1e-12)
    assert_allclose(result.expected_alignment.numpy(), expected.expected_alignment, rtol=1e-12)
    result.distance.backward()
    assert dtw(torch.from_numpy(a).float(), torch.from_numpy(b).float()).distance.dtype == torch.float32
    with pytest.raises(TypeError, match="one library"):
        dtw(torch.from_numpy(a), b)


def test_distances_of_whole_numbers_and_of_half_precision_are_not_rounded():
    torch = pytest.importorskip("torch")
    whole = dtw(torch.tensor([0, 1, 3]), torch.tensor([1, 4])).distance
    assert_allclose(whole.item(), dtw([0, 1, 3], [1, 4]).distance)
    half = dtw(torch.tensor([0.0, 2.0], dtype=torch.bfloat16), torch.tensor([1.0], dtype=torch.bfloat16)).distance
    assert half.dtype == torch.float32
    assert_allclose(half.item(), np.sqrt(2), rtol=1e-6)


def test_costs_that_overflow_are_told_from_windows_that_are_too_narrow():
    with pytest.raises(ValueError, match="2 and 3 frames overflow"):
        dtw([1e200, 0.0], [0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="overflow"):
        dtw([1e200, 0.0], [0.0, 0.0, 0.0], window=1)
    with pytest.raises(ValueError, match="overflow"):
        dtw(np.full((3, 3), 1e308), metric="precomputed")
    with pytest.raises(ValueError, match="too large"):
        dtw([1e200, 0.0], [0.0, 1.0], gamma=1.0)
    assert dtw([1e200, 0.0], [0.0, 1e200], metric="cityblock").distance == 2e200


def test_any_radius_that_is_wide_enough_is_no_window():
    assert dtw([0.0, 1.0], [1.0, 0.0], window=10**30).cost == dtw([0.0, 1.0], [1.0, 0.0]).cost


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1, 2], [3]], "signal 'a': sequence 0 is no array of numbers: its frames have unequal lengths"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "datetime64"),
        ([1.0, None], "1 NaN"),
        (np.zeros((3, 0)), "0 feature"),
    ],
)
def test_signals_that_hold_no_numbers(x, message):
    with pytest.raises(ValueError, match=message):
        dtw(x, [1.0])


def test_memory_of_a_window_grows_with_its_width():
    n = 20_000
    bounds = kernels.window_bounds(n, n, 50, 0.0)
    assert kernels.strip_layout(*bounds)[1][-1] < n * (2 * 50 + 1 + 2 * kernels.STRIP)


def test_import_is_light():
    code = (
        "import sys, skalign, skalign.temporal\n"
        "print([m for m in ('numba', 'torch', 'tslearn', 'scipy.optimize') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "numba" not in out
    assert "torch" not in out
    assert "tslearn" not in out
    assert importlib.import_module("skalign.temporal").dtw is dtw
