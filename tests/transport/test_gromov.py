"""Gromov-Wasserstein: four loops, enumeration, POT, invariances, known pairs and new rows."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances

from skalign.transport import sinkhorn
from skalign.transport._gromov import gromov_scale, gromov_wasserstein, linearized_cost
from skalign.transport._gromov_projection import project
from skalign.transport._gromov_starts import anchor_cost


def clouds(n=12, m=9, seed=0):
    """Distances within two unrelated clouds, a cost between them, and weights."""
    rng = np.random.default_rng(seed)
    D_x, D_y = (pairwise_distances(rng.normal(size=(size, 2))) for size in (n, m))
    a, b = (rng.dirichlet(np.full(size, 5.0)) for size in (n, m))
    return D_x, D_y, rng.random((n, m)), a, b


def halves_of_digits(n=60, seed=0):
    """Distances between upper, and between lower, halves of digits: the same images, in the same order."""
    X = load_digits().data[np.random.default_rng(seed).permutation(1797)[:n]]
    return tuple(D / D.mean() for D in (pairwise_distances(X[:, :32]), pairwise_distances(X[:, 32:])))


def four_loops(D_x, D_y, P):
    n, m = P.shape
    return sum(
        (D_x[i, k] - D_y[j, l]) ** 2 * P[i, j] * P[k, l]
        for i in range(n)
        for j in range(m)
        for k in range(n)
        for l in range(m)
    )


def entropy(P, a, b):
    return (P * np.log(P / np.outer(a, b))).sum()


# --- the objective --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1.0, 0.3, 0.0])
def test_value_and_objective(alpha):
    D_x, D_y, cost, a, b = clouds(6, 5)
    found = gromov_wasserstein(D_x, D_y, a, b, epsilon=0.4, cost=cost, alpha=alpha, tol=1e-12)
    value = alpha * four_loops(D_x, D_y, found.plan) + (1 - alpha) * (cost * found.plan).sum()
    assert_allclose(found.value, value, rtol=1e-10)
    assert_allclose(found.objective, value + 0.4 * entropy(found.plan, a, b), rtol=1e-10)
    assert_allclose(found.plan.sum(axis=1), a, rtol=1e-12)
    assert_allclose(found.plan.sum(axis=0), b, rtol=1e-10)
    assert found.converged


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_linearised_cost_is_the_gradient(alpha):
    D_x, D_y, cost, *_ = clouds(6, 5)
    P, H = np.random.default_rng(1).random((2, 6, 5))

    def value(P):
        return alpha * four_loops(D_x, D_y, P) + (1 - alpha) * (cost * P).sum()

    slope = (value(P + 1e-4 * H) - value(P - 1e-4 * H)) / 2e-4
    assert_allclose((linearized_cost(D_x, D_y, P, cost=cost, alpha=alpha) * H).sum(), slope, rtol=1e-8)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_plan_is_stationary(alpha):
    D_x, D_y, cost, a, b = clouds(20, 30)
    found = gromov_wasserstein(D_x, D_y, a, b, epsilon=0.1, cost=cost, alpha=alpha, tol=1e-11)
    c = linearized_cost(D_x, D_y, found.plan, cost=cost, alpha=alpha)
    assert_allclose(found.plan, np.outer(a, b) * np.exp((found.f[:, None] + found.g - c) / 0.1), atol=1e-10)
    f, g, *_ = sinkhorn(c, a, b, epsilon=0.1, tol=1e-12)
    assert_allclose(found.plan, np.outer(a, b) * np.exp((f[:, None] + g - c) / 0.1), atol=1e-9)


def test_without_distances_it_is_sinkhorn():
    D_x, D_y, cost, a, b = clouds()
    f, g, *_ = sinkhorn(cost, a, b, epsilon=0.05, tol=1e-12)
    found = gromov_wasserstein(D_x, D_y, a, b, epsilon=0.05, cost=cost, alpha=0.0, tol=1e-11)
    assert_allclose(found.plan, np.outer(a, b) * np.exp((f[:, None] + g - cost) / 0.05), atol=1e-10)
    assert_allclose(gromov_scale(D_x, D_y, a, b, cost=cost, alpha=0.0), a @ cost @ b)


def test_scale_is_the_mean_cost_at_the_independent_plan():
    D_x, D_y, cost, a, b = clouds(6, 5)
    expected = 0.7 * 2 * four_loops(D_x, D_y, np.outer(a, b)) + 0.3 * a @ cost @ b
    assert_allclose(gromov_scale(D_x, D_y, a, b, cost=cost, alpha=0.7), expected)


# --- other ways to the same -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1.0, 0.6])
@pytest.mark.parametrize("relative", [0.3, 0.05])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_pot(seed, relative, alpha):
    ot = pytest.importorskip("ot")
    D_x, D_y = halves_of_digits(seed=seed)
    D_y = D_y[:50, :50]
    cost = np.random.default_rng(seed).random((60, 50))
    a, b = (np.random.default_rng(size).dirichlet(np.full(size, 5.0)) for size in (60, 50))
    epsilon = relative * gromov_scale(D_x, D_y, a, b, cost=cost, alpha=alpha)
    found = gromov_wasserstein(D_x, D_y, a, b, epsilon=epsilon, cost=cost, alpha=alpha, tol=1e-10)
    options = {"epsilon": epsilon, "tol": 1e-11, "max_iter": 5000, "numItermax": 5000, "stopThr": 1e-12}
    if alpha == 1.0:
        peer = ot.gromov.entropic_gromov_wasserstein(D_x, D_y, a, b, **options)
    else:
        peer = ot.gromov.entropic_fused_gromov_wasserstein(cost, D_x, D_y, a, b, alpha=alpha, **options)
    assert np.abs(found.plan - peer).sum() < 1e-5


def test_permutations_of_six():
    """The problem is hard: of ten random ones the best of 20 starts is the best of all in eight, and near it in two."""
    hits = 0
    for seed in range(10):
        D_x, D_y, *_ = clouds(6, 6, seed)
        values = {p: ((D_x - D_y[np.ix_(p, p)]) ** 2).mean() for p in permutations(range(6))}
        epsilon = 0.01 * gromov_scale(D_x, D_y)
        found = gromov_wasserstein(D_x, D_y, epsilon=epsilon, n_init=20, random_state=0).plan.argmax(axis=1)
        assert values[tuple(found)] <= 1.05 * min(values.values())
        hits += values[tuple(found)] == min(values.values())
    assert hits >= 8


def test_an_isometric_copy_is_recovered():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)) * [3.0, 2.0, 1.0] + rng.exponential(size=(50, 3))
    order, turn = rng.permutation(50), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    D_x, D_y = pairwise_distances(X), pairwise_distances(X[order] @ turn + 7.0)
    epsilon = 1e-3 * gromov_scale(D_x, D_y)
    found = gromov_wasserstein(D_x, D_y, epsilon=epsilon, n_init=3, random_state=0)
    assert_array_equal(order[found.plan.argmax(axis=1)], np.arange(50))
    assert found.value < 1e-3 * gromov_scale(D_x, D_y)


# --- laws -----------------------------------------------------------------------------------------------------------


def test_order_of_rows_does_not_matter():
    D_x, D_y, cost, a, b = clouds(20, 30)
    i, j = np.random.default_rng(1).permutation(20), np.random.default_rng(2).permutation(30)
    options = {"epsilon": 0.2, "alpha": 0.5, "tol": 1e-11}
    plan = gromov_wasserstein(D_x, D_y, a, b, cost=cost, **options).plan
    other = gromov_wasserstein(D_x[np.ix_(i, i)], D_y[np.ix_(j, j)], a[i], b[j], cost=cost[np.ix_(i, j)], **options)
    assert_allclose(other.plan, plan[np.ix_(i, j)], atol=1e-9)


def test_exchanging_the_sides_transposes_the_plan():
    D_x, D_y, cost, a, b = clouds(20, 30)
    options = {"epsilon": 0.2, "alpha": 0.5, "tol": 1e-11}
    plan = gromov_wasserstein(D_x, D_y, a, b, cost=cost, **options).plan
    assert_allclose(gromov_wasserstein(D_y, D_x, b, a, cost=cost.T, **options).plan, plan.T, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_common_scale_does_not_matter(scale):
    D_x, D_y, *_ = clouds(20, 30)
    plans = [
        gromov_wasserstein(s * D_x, s * D_y, epsilon=0.05 * gromov_scale(s * D_x, s * D_y), tol=1e-10).plan
        for s in (1.0, scale)
    ]
    assert_allclose(plans[1], plans[0], atol=1e-9)


def test_whole_weights_are_repeated_rows():
    D_x, D_y, *_ = clouds(10, 8)
    times = np.array([1, 3, 2, 1, 1, 2, 1, 4, 1, 2])
    repeated = np.repeat(np.arange(10), times)
    weighted = gromov_wasserstein(D_x, D_y, times / times.sum(), epsilon=0.2, tol=1e-11).plan
    plan = gromov_wasserstein(D_x[np.ix_(repeated, repeated)], D_y, epsilon=0.2, tol=1e-11).plan
    assert_allclose(np.add.reduceat(plan, np.append(0, times.cumsum()[:-1])), weighted, atol=1e-9)


# --- the descent ----------------------------------------------------------------------------------------------------


def test_a_saddle_is_left():
    """The independent plan is near one here: costs that are mixed blindly stay there, at objective .09482."""
    D_x, D_y = halves_of_digits(177)
    epsilon = 0.2 * gromov_scale(D_x, D_y)
    found = gromov_wasserstein(D_x, D_y, epsilon=epsilon, tol=1e-8)
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=(177, 177)))
    again = gromov_wasserstein(D_x, D_y, epsilon=epsilon, tol=1e-8, plan=found.plan * noise)
    assert_allclose(again.plan, found.plan, atol=1e-7)


@pytest.mark.parametrize("relative", [1.0, 0.1, 0.02])
def test_plain_steps_that_rise_are_shortened(relative):
    """Similarities against distances: the objective is convex along many directions, where plain steps overshoot."""
    D_x, D_y, *_ = clouds(15, 15)
    S = np.exp(-(D_x**2))
    epsilon = relative * gromov_scale(S, D_y)
    found = gromov_wasserstein(S, D_y, epsilon=epsilon, tol=1e-9, max_iter=3000)
    assert found.converged
    c = linearized_cost(S, D_y, found.plan)
    plan = np.exp((found.f[:, None] + found.g - c) / epsilon) / 225
    assert_allclose(found.plan, plan, atol=1e-7)


def test_no_convergence_is_told():
    D_x, D_y, *_ = clouds(20, 30)
    found = gromov_wasserstein(D_x, D_y, epsilon=0.01, max_iter=3)
    assert not found.converged
    assert found.n_iter == 3


def test_starts():
    D_x, D_y = halves_of_digits()
    epsilon = 0.01 * gromov_scale(D_x, D_y)
    found = gromov_wasserstein(D_x, D_y, epsilon=epsilon, n_init=6, random_state=3, max_iter=200)
    assert found.objectives.shape == (6,)
    assert found.objective == found.objectives.min()
    alone = gromov_wasserstein(D_x, D_y, epsilon=epsilon, max_iter=200)
    assert alone.objective == found.objectives[0]
    again = gromov_wasserstein(D_x, D_y, epsilon=epsilon, n_init=6, random_state=3, max_iter=200)
    assert_array_equal(again.objectives, found.objectives)
    given = gromov_wasserstein(D_x, D_y, epsilon=epsilon, plan=np.eye(60) / 60, max_iter=200)
    assert given.objective != alone.objective


def test_collections_in_which_nothing_tells_rows_apart():
    D = 1.0 - np.eye(5)
    found = gromov_wasserstein(D, D, epsilon=0.1, n_init=4, random_state=0)
    assert np.isfinite(found.plan).all()
    one = gromov_wasserstein(np.zeros((1, 1)), D, epsilon=0.1, n_init=4, random_state=0)
    assert_allclose(one.plan, np.full((1, 5), 0.2))


# --- the linearised problem -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.01, 1e-3])
@pytest.mark.parametrize("shape", [(30, 30), (5, 40), (40, 5), (1, 3), (3, 1)])
def test_projection_equals_sinkhorn(shape, epsilon):
    rng = np.random.default_rng(sum(shape))
    cost, a, b = rng.random(shape), *(rng.dirichlet(np.full(size, 5.0)) for size in shape)
    found = project(cost, a, b, epsilon, rng.normal(size=shape[1]), 1e-11, 2000)
    assert found.marginal_error <= 1e-11
    f, g, *_ = sinkhorn(cost, a, b, epsilon=epsilon, tol=1e-11, max_iter=100_000)
    assert_allclose(found.plan, np.outer(a, b) * np.exp((f[:, None] + g - cost) / epsilon), atol=1e-9)


def test_projection_from_potentials_that_are_far_off():
    rng = np.random.default_rng(0)
    cost, a = rng.random((20, 20)), np.full(20, 0.05)
    for dtype, tol in ((np.float64, 1e-10), (np.float32, 1e-5)):
        part = cost.astype(dtype), a.astype(dtype), a.astype(dtype)
        start = np.where(np.arange(20) % 2, 50.0, -50.0).astype(dtype)
        found = project(*part, 0.01, start, tol, 1000)
        assert found.plan.dtype == dtype
        assert_allclose(found.plan.sum(axis=0), a, atol=tol)


# --- known pairs, new rows ------------------------------------------------------------------------------------------


def test_anchor_cost():
    D_x, D_y, *_ = clouds(8, 6)
    ix, iy = [1, 5, 2], [0, 3, 3]
    expected = [
        [sum((D_x[i, k] / D_x.mean() - D_y[j, l] / D_y.mean()) ** 2 for k, l in zip(ix, iy)) / 3 for j in range(6)]
        for i in range(8)
    ]
    assert_allclose(anchor_cost(D_x, D_y, ix, iy), expected, atol=1e-14)
    assert_allclose(anchor_cost(5 * D_x, D_y / 7, ix, iy), expected, atol=1e-14)
    scales = D_x.mean(), D_y.mean()
    assert_allclose(anchor_cost(D_x[:3], D_y[2:], ix, iy, scales=scales), np.array(expected)[:3, 2:], atol=1e-14)


def test_anchors_tell_which_of_two_mirror_images_is_right():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 2)) + [4.0, 0.0]
    X = np.concatenate([half, half * [-1.0, 1.0]])  # a figure and its mirror image: two best plans
    D = pairwise_distances(X)
    mirrored = np.roll(np.arange(40), 20)
    for ix, iy, truth in (([3, 7], [3, 7], np.arange(40)), ([3, 7], [23, 27], mirrored)):
        cost = anchor_cost(D, D, ix, iy)
        found = gromov_wasserstein(D, D, epsilon=0.05, cost=cost, alpha=0.5)
        assert_array_equal(found.plan.argmax(axis=1), truth)


def test_anchors_help_on_digits():
    D_x, D_y = halves_of_digits(120)
    chosen = np.arange(10)
    cost = anchor_cost(D_x, D_y, chosen, chosen)
    errors = []
    for alpha in (1.0, 0.5):
        epsilon = 0.02 * gromov_scale(D_x, D_y, cost=cost, alpha=alpha)
        P = gromov_wasserstein(D_x, D_y, epsilon=epsilon, cost=cost, alpha=alpha).plan[10:, 10:]
        errors.append((np.diag(P)[:, None] < P).mean())
    assert errors[1] < errors[0] - 0.1


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_fitted_rows_are_carried_as_the_plan_carries_them(alpha):
    D_x, D_y, cost, a, b = clouds(20, 30)
    found = gromov_wasserstein(D_x, D_y, a, b, epsilon=0.1, cost=cost, alpha=alpha, tol=1e-11)
    c = linearized_cost(D_x, D_y, found.plan, cost=cost, alpha=alpha)
    weights = b * np.exp((found.g - c) / 0.1)
    assert_allclose(weights / weights.sum(axis=1, keepdims=True), found.plan / a[:, None], atol=1e-8)
    back = a * np.exp((found.f - linearized_cost(D_y, D_x, found.plan.T, cost=cost.T, alpha=alpha)) / 0.1)
    assert_allclose(back / back.sum(axis=1, keepdims=True), found.plan.T / b[:, None], atol=1e-8)


def test_linearised_cost_of_new_rows():
    _, D_y, cost, *_ = clouds(6, 5)
    P, new = np.random.default_rng(0).random((6, 5)), np.random.default_rng(1).random((3, 6))
    expected = [
        [
            1.4 * sum((new[x, i] - D_y[j, l]) ** 2 * P[i, l] for i in range(6) for l in range(5)) + 0.3 * cost[x, j]
            for j in range(5)
        ]
        for x in range(3)
    ]
    assert_allclose(linearized_cost(new, D_y, P, cost=cost[:3], alpha=0.7), expected)


# --- types and bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("relative", "tolerance"), [(0.2, 1e-4), (0.05, 1e-3), (0.01, 0.02)])
def test_float32(relative, tolerance):
    """At small epsilon rounding decides which of many local optima a descent ends in."""
    D_x, D_y = halves_of_digits()
    scale = gromov_scale(D_x, D_y)
    double = gromov_wasserstein(D_x, D_y, epsilon=relative * scale)
    single = gromov_wasserstein(*(D.astype(np.float32) for D in (D_x, D_y)), epsilon=relative * scale)
    assert single.converged
    assert single.plan.dtype == single.g.dtype == np.float32
    assert_allclose(single.objective, double.objective, rtol=tolerance)
    assert_allclose(single.plan.sum(axis=0), 1 / 60, rtol=1e-2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tensors_stay_tensors(dtype):
    torch = pytest.importorskip("torch")
    D_x, D_y, cost, a, b = (part.astype(dtype) for part in clouds(20, 30))
    tensors = [torch.asarray(part) for part in (D_x, D_y, a, b)]
    options = {"epsilon": 0.1, "alpha": 0.5, "n_init": 4, "random_state": 0}
    expected = gromov_wasserstein(D_x, D_y, a, b, cost=cost, **options)
    found = gromov_wasserstein(*tensors, cost=torch.asarray(cost), **options)
    assert found.plan.dtype == found.g.dtype == getattr(torch, dtype)
    tolerance = 1e-6 if dtype == "float64" else 1e-3
    assert_allclose(found.objectives, expected.objectives, rtol=tolerance)
    assert_allclose(found.plan.numpy(), expected.plan, atol=tolerance)
    assert isinstance(linearized_cost(tensors[0], tensors[1], found.plan), torch.Tensor)
    anchors = anchor_cost(tensors[0], tensors[1], [1, 2], [3, 4])
    assert_allclose(anchors.numpy(), anchor_cost(D_x, D_y, [1, 2], [3, 4]), atol=1e-5)


def test_inputs_stay_as_they_are():
    parts = clouds()
    for part in parts:
        part.flags.writeable = False
    D_x, D_y, cost, a, b = parts
    gromov_wasserstein(D_x, D_y, a, b, epsilon=0.1, cost=cost, alpha=0.5, n_init=4)
    gromov_wasserstein(D_x, D_y, a, b, epsilon=0.1, cost=cost, alpha=0.0)


def test_bad_input():
    D_x, D_y, *_ = clouds()
    with pytest.raises(ValueError, match="needs a cost"):
        gromov_wasserstein(D_x, D_y, epsilon=0.1, alpha=0.5)
    with pytest.raises(ValueError, match="D_y must be a symmetric square matrix"):
        gromov_wasserstein(D_x, D_y[:4], epsilon=0.1)
    with pytest.raises(ValueError, match="D_x must be a symmetric square matrix"):
        gromov_wasserstein(np.triu(D_x), D_y, epsilon=0.1)
