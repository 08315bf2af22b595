"""Soft-DTW against sums over all paths, finite differences and tslearn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from skalign.temporal import dtw, soft_dtw

SHAPES = [(1, 1), (1, 4), (4, 1), (4, 4), (3, 5)]


def signals(n, m, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d))


def paths(n, m, i=0, j=0):
    if (i, j) == (n - 1, m - 1):
        yield [(i, j)]
    for k, l in ((i + 1, j + 1), (i + 1, j), (i, j + 1)):
        if k < n and l < m:
            for rest in paths(n, m, k, l):
                yield [(i, j), *rest]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gamma", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("window", [None, 3, 1])
def test_sum_over_all_paths(shape, gamma, window):
    if window and abs(shape[0] - shape[1]) > window:
        pytest.skip("no path")
    a, b = signals(*shape)
    costs = cdist(a, b, "sqeuclidean")
    every = [tuple(zip(*p)) for p in paths(*shape) if window is None or all(abs(i - j) <= window for i, j in p)]
    totals = np.array([costs[p].sum() for p in every])
    value = -gamma * logsumexp(-totals / gamma)
    E = np.zeros(shape)
    for p, weight in zip(every, np.exp(-(totals - value) / gamma)):
        E[p] += weight
    result = dtw(a, b, gamma=gamma, window=window)
    assert_allclose(result.distance, value, rtol=1e-12)
    assert_allclose(result.expected_alignment, E, atol=1e-12)
    assert_allclose(soft_dtw(a, b, gamma, window=window), value, rtol=1e-12)


def test_tslearn():
    metrics = pytest.importorskip("tslearn.metrics")
    a, b = signals(60, 45, 3)
    result = dtw(a, b, gamma=0.7)
    assert_allclose(result.distance, metrics.soft_dtw(a, b, gamma=0.7), rtol=1e-12)
    assert_allclose(result.expected_alignment, metrics.soft_dtw_alignment(a, b, gamma=0.7)[0], atol=1e-10)


@pytest.mark.parametrize("gamma", [1e-6, 0.1, 100.0])
def test_expected_alignment_is_a_distribution_over_paths(gamma):
    a, b = signals(50, 70)
    E = dtw(a, b, gamma=gamma).expected_alignment
    assert E.min() >= 0
    assert E.max() <= 1 + 1e-12
    assert_allclose(E[[0, -1], [0, -1]], 1, rtol=1e-12)
    assert E.sum(axis=0).min() >= 1 - 1e-12  # every path meets every row and every column
    assert E.sum(axis=1).min() >= 1 - 1e-12
    diagonals = [np.trace(E[::-1], offset) for offset in range(-49, 70)]
    assert max(diagonals) <= 1 + 1e-12  # and an anti-diagonal at most once


def test_hard_warping_is_the_limit():
    a, b = signals(50, 70)
    soft, hard = dtw(a, b, gamma=1e-7), dtw(a, b)
    assert_allclose(soft.distance, hard.cost, rtol=1e-6)
    assert np.flatnonzero(soft.expected_alignment > 0.5).tolist() == [70 * i + j for i, j in hard.path]


def test_bad_input():
    a, b = signals(5, 9)
    with pytest.raises(ValueError, match="gamma > 0"):
        soft_dtw(a, b, 0.0)
    with pytest.raises(ValueError, match="method must be"):
        soft_dtw(a, b, method="fast")
    with pytest.raises(ValueError, match="needs tensors"):
        soft_dtw(a, b, method="wavefront")
    with pytest.raises(ValueError, match="pair 0: the window 2 is too narrow"):
        soft_dtw(a, b, window=2)
    with pytest.raises(ValueError, match="second is None"):
        soft_dtw(a)
    with pytest.raises(ValueError, match="too narrow"):
        dtw(a, b, gamma=1.0, window=2)


# --- tensors --------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("method", ["kernel", "wavefront"])
@pytest.mark.parametrize("window", [None, 4, ("itakura", 2.0)])
def test_gradient(torch, method, window):
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.normal(size=(3, n, 2))).requires_grad_() for n in (6, 8))
    options = {"gamma": 0.4, "method": method, "window": window, "lengths_a": [6, 5, 6], "lengths_b": [8, 6, 8]}
    assert torch.autograd.gradcheck(lambda a, b: soft_dtw(a, b, **options), (a, b))


@pytest.mark.parametrize("method", ["kernel", "wavefront"])
def test_batches_with_padding(torch, method):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 30, 3)), rng.normal(size=(4, 25, 3))
    ns, ms = [30, 12, 1, 7], [25, 3, 9, 1]
    values = soft_dtw(torch.from_numpy(a), torch.from_numpy(b), 0.5, lengths_a=ns, lengths_b=ms, method=method)
    expected = [soft_dtw(a[p, : ns[p]], b[p, : ms[p]], 0.5) for p in range(4)]
    assert_allclose(values.numpy(), expected, rtol=1e-12)
    assert_allclose(soft_dtw(a, b, 0.5, lengths_a=ns, lengths_b=ms), expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["kernel", "wavefront"])
def test_gradient_is_the_expected_alignment(torch, method):
    a, b = signals(20, 30)
    costs = torch.from_numpy(cdist(a, b, "sqeuclidean")).requires_grad_()
    soft_dtw(costs, gamma=0.3, metric="precomputed", method=method).backward()
    assert_allclose(costs.grad.numpy(), dtw(a, b, gamma=0.3).expected_alignment, atol=1e-12)


@pytest.mark.parametrize("method", ["kernel", "wavefront"])
def test_there_is_no_second_derivative(torch, method):
    a = torch.arange(4.0, requires_grad=True)
    value = soft_dtw(a, torch.arange(5.0), method=method)
    (gradient,) = torch.autograd.grad(value, a, create_graph=True)
    with pytest.raises(RuntimeError, match="first derivative only"):
        gradient.sum().backward()


def test_dtypes_and_functions(torch):
    a, b = (torch.from_numpy(x).float() for x in signals(20, 30))
    value = soft_dtw(a, b)
    assert value.dtype == torch.float32
    assert_allclose(value.item(), soft_dtw(a.numpy(), b.numpy()), rtol=1e-5)
    assert_allclose(
        soft_dtw(a, b, metric=torch.cdist).item(), soft_dtw(*signals(20, 30), metric="euclidean"), rtol=1e-4
    )
    assert_allclose(soft_dtw(a[:, 0], b[:, 0]).item(), soft_dtw(a[:, :1], b[:, :1]).item())


def test_bad_tensors(torch):
    a, b = (torch.from_numpy(x) for x in signals(5, 9))
    with pytest.raises(TypeError, match="one library"):
        soft_dtw(a, b.numpy())
    with pytest.raises(ValueError, match="NaN"):
        soft_dtw(a * torch.nan, b)
    with pytest.raises(ValueError, match="lengths_a"):
        soft_dtw(a, b, lengths_a=[6])
    with pytest.raises(ValueError, match="For tensors metric"):
        soft_dtw(a, b, metric="cosine")
    with pytest.raises(ValueError, match="pair 0: the window 2"):
        soft_dtw(a, b, window=2)


BAD_SHAPES = [
    ((3, 5, 2), (2, 5, 2)),  # batches of different size were cut to the shorter one
    ((2, 5, 2), (3, 5, 2)),
    ((5, 2), (5, 1)),  # widths were broadcast
    ((5, 1), (3, 5, 1)),
    ((0,), (3,)),
    ((1, 2, 3, 4), (1, 2, 3, 4)),
]


@pytest.mark.parametrize("shapes", BAD_SHAPES)
def test_shapes_that_do_not_go_together(shapes):
    a, b = (np.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match="one width|1 to 3 dimensions"):
        soft_dtw(a, b)
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="one width|1 to 3 dimensions"):
        soft_dtw(torch.from_numpy(a), torch.from_numpy(b))


@pytest.mark.parametrize("lengths", [[3], [9, 3], [0, 2], [-1, 2], [2.7, 3], [np.nan, 3]], ids=str)
def test_lengths_that_are_none(lengths):
    a = np.ones((2, 5, 1))
    with pytest.raises(ValueError, match="lengths_b must hold 2 whole numbers from 1 to 5"):
        soft_dtw(a, a, lengths_b=lengths)


def test_precomputed_costs_come_alone():
    for costs in (np.ones(4), np.ones((1, 2, 3, 4))):
        with pytest.raises(ValueError, match="costs have the shape"):
            soft_dtw(costs, metric="precomputed")
    with pytest.raises(ValueError, match="costs alone"):
        soft_dtw(np.ones((3, 4)), np.ones(4), metric="precomputed")


def test_dtypes(torch):
    a, b = np.array([0, 1, 2]), np.array([1, 3])
    expected = soft_dtw(a.astype(float), b.astype(float))
    assert_allclose(soft_dtw(a, b), expected)
    assert_allclose(soft_dtw(torch.from_numpy(a), torch.from_numpy(b)).item(), expected)  # no whole number
    assert soft_dtw(np.ones((2, 3, 1), np.float32), np.ones((2, 4, 1), np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="matrix of costs of 3 by 2 frames"):
        soft_dtw(torch.from_numpy(a).double(), torch.from_numpy(b).double(), metric=lambda a, b: a.sum() + b.sum())


@pytest.mark.gpu
def test_on_a_gpu(torch):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 40, 3)), rng.normal(size=(6, 55, 3))
    results = []
    for device in ("cpu", "cuda"):
        x, y = (torch.tensor(z, device=device, requires_grad=True) for z in (a, b))
        values = soft_dtw(x, y, 0.5, lengths_a=[40, 40, 1, 20, 3, 40], lengths_b=[55, 1, 55, 30, 3, 55])
        values.sum().backward()
        assert values.device.type == device
        results.append([z.detach().cpu().numpy() for z in (values, x.grad, y.grad)])
    for cpu, gpu in zip(*results):
        assert_allclose(gpu, cpu, atol=1e-10)
