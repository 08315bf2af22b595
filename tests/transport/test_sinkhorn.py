"""Sinkhorn's iteration: the dual problem, POT, laws of the plan, and input on which kernels underflow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from skalign.transport import EntropicPlan, sinkhorn
from skalign.transport._costs import MatrixCost, PointCost, mean_cost


def problem(n=30, m=25, d=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d)).astype(dtype), (rng.normal(size=(m, d)) + 1).astype(dtype)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    return X, Y, cdist(X, Y, "sqeuclidean").astype(dtype), a, b


def plan_of(C, a, b, epsilon, found):
    return a[:, None] * b * np.exp((found.f[:, None] + found.g - C) / epsilon)


def in_log_domain(C, a, b, epsilon, n_iter=20_000):
    """The textbook iteration, for as long as it takes."""
    A, B, K, g = np.log(a)[:, None], np.log(b), C / epsilon, np.zeros(C.shape[1])
    for _ in range(n_iter):
        logits = g - K + B
        f = -(top := logits.max(1)) - np.log(np.exp(logits - top[:, None]).sum(1))
        logits = f[:, None] - K + A
        g = -(top := logits.max(0)) - np.log(np.exp(logits - top).sum(0))
    f, g = epsilon * f, epsilon * g
    return a[:, None] * b * np.exp((f[:, None] + g - C) / epsilon)


@pytest.mark.parametrize("regularization", [1.0, 0.05, 0.005])
@pytest.mark.parametrize("stored", [True, False])
def test_equals_the_textbook(regularization, stored):
    X, Y, C, a, b = problem()
    epsilon = regularization * (a @ C @ b)
    found = sinkhorn(PointCost(X, Y), a, b, epsilon=epsilon, tol=1e-12, max_iter=50_000, stored=stored)
    plan = plan_of(C, a, b, epsilon, found)
    assert found.converged
    assert found.marginal_error <= 1e-12
    assert_allclose(plan, in_log_domain(C, a, b, epsilon), atol=1e-9)
    assert_allclose(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum(), found.marginal_error, atol=1e-12)


def test_maximises_the_dual():
    _, _, C, a, b = problem(8, 7)
    epsilon = 0.3

    def negative_dual(z):
        f, g = z[:8], z[8:]
        return -(a @ f + b @ g - epsilon * (a @ np.exp((f[:, None] + g - C) / epsilon) @ b))

    f, g, *_ = sinkhorn(C, a, b, epsilon=epsilon, tol=1e-12)
    best = minimize(negative_dual, np.zeros(15), method="BFGS", options={"gtol": 1e-10})
    assert_allclose(negative_dual(np.concatenate([f, g])), best.fun, rtol=1e-9)


@pytest.mark.parametrize("relaxation", [0.1, 1.0, 30.0])
def test_unbalanced_is_where_the_gradient_vanishes(relaxation):
    _, _, C, a, b = problem(9, 6)
    epsilon = 0.4
    found = sinkhorn(C, a, b, epsilon=epsilon, tol=1e-13, relaxation=relaxation)
    P = plan_of(C, a, b, epsilon, found)
    gradient = C + epsilon * np.log(P / np.outer(a, b))
    gradient += relaxation * (np.log(P.sum(1) / a)[:, None] + np.log(P.sum(0) / b))
    assert_allclose(gradient, 0, atol=1e-9)


def test_unbalanced_equals_pot():
    ot = pytest.importorskip("ot")
    _, _, C, a, b = problem()
    theirs = ot.unbalanced.sinkhorn_unbalanced(a, b, C, 0.3, 2.0, reg_type="kl", stopThr=1e-14, numItermax=100_000)
    found = sinkhorn(C, a, b, epsilon=0.3, tol=1e-13, relaxation=2.0)
    assert_allclose(plan_of(C, a, b, 0.3, found), theirs, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_equals_pot(seed):
    ot = pytest.importorskip("ot")
    _, _, C, a, b = problem(60, 80, 5, seed)
    epsilon = 0.02 * (a @ C @ b)
    theirs = ot.bregman.sinkhorn_log(a, b, C, epsilon, stopThr=1e-13, numItermax=200_000)
    found = sinkhorn(C, a, b, epsilon=epsilon, tol=1e-12, max_iter=100_000)
    assert_allclose(plan_of(C, a, b, epsilon, found), theirs, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("regularization", [0.01, 0.001])
@pytest.mark.parametrize("far", [0.0, 100.0])
def test_the_plan_is_never_empty(dtype, regularization, far):
    """exp(-c / epsilon) underflows in all entries of some rows; without care the plan is zero or NaN."""
    X, Y, *_ = problem(300, 250, 3, dtype=dtype)
    X[0] += far
    C = cdist(X, Y, "sqeuclidean").astype(dtype)
    epsilon = regularization * C.mean(dtype=float)
    found = sinkhorn(C, epsilon=epsilon, tol=1e-4, max_iter=20_000)
    P = plan_of(C, np.full(300, 1 / 300), np.full(250, 1 / 250), epsilon, found)
    assert found.converged
    assert_allclose(P.sum(1), 1 / 300, rtol=0.05)
    assert_allclose(P.sum(0), 1 / 250, rtol=0.01)


def test_float32_asks_for_no_more_than_it_can_give():
    X, Y, *_ = problem(200, 200, 3, dtype=np.float32)
    found = sinkhorn(PointCost(X, Y), epsilon=0.05, tol=1e-14)
    assert found.converged
    assert found.marginal_error < 2e-6
    assert found.f.dtype == np.float64


@pytest.mark.parametrize("regularization", [1e-3, 1e-4])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_error_in_float32_is_that_of_the_plan(regularization, offset):
    """Potentials are large beside epsilon: rounded to float32 they would move the plan, unseen by the iteration."""
    X, Y, *_ = problem(100, 100, dtype=np.float32)
    X[50:] += 50.0
    Y[40:] += 50.0
    C = cdist(X + np.float32(offset), Y, "sqeuclidean").astype(np.float32)
    uniform, epsilon = np.full(100, 0.01), regularization * C.mean(dtype=float)
    found = sinkhorn(C, epsilon=epsilon, tol=1e-5, max_iter=20_000)
    P = plan_of(C.astype(float), uniform, uniform, epsilon, found)
    assert found.converged
    assert np.abs(P.sum(1) - 0.01).sum() + np.abs(P.sum(0) - 0.01).sum() < 2e-5


@pytest.mark.parametrize("same", [True, False])
def test_the_end_is_seen_when_it_is_reached(same):
    """Long steps alone keep up parts of the error to the last sweep, which a plain step puts out."""
    X = np.random.default_rng(0).normal(size=(300, 3))
    C = cdist(X, X if same else np.random.default_rng(1).normal(size=(300, 3)) + 1, "sqeuclidean")
    found = sinkhorn(C, epsilon=0.01 * C.mean())
    assert found.converged
    assert found.n_iter < 2500


def test_over_relaxation_changes_the_number_of_sweeps_and_nothing_else():
    _, _, C, a, b = problem(100, 100)
    epsilon = 0.01 * (a @ C @ b)
    plain, quick = (
        sinkhorn(C, a, b, epsilon=epsilon, tol=1e-9, over_relax=flag, max_iter=50_000) for flag in (False, True)
    )
    assert_allclose(plan_of(C, a, b, epsilon, plain), plan_of(C, a, b, epsilon, quick), atol=1e-9)
    assert quick.n_iter < plain.n_iter / 3


def test_a_warm_start_is_quicker():
    _, _, C, a, b = problem(100, 100)
    cold = sinkhorn(C, a, b, epsilon=0.1, tol=1e-8)
    warm = sinkhorn(C * 1.001, a, b, epsilon=0.1, tol=1e-8, g=cold.g)
    assert warm.converged
    assert warm.n_iter < cold.n_iter


def test_any_start_will_do():
    _, _, C, a, b = problem()
    right = sinkhorn(C, a, b, epsilon=0.2, tol=1e-10)
    for g in (np.full(25, 1e6), np.linspace(-1e5, 1e5, 25)):
        found = sinkhorn(C, a, b, epsilon=0.2, tol=1e-10, g=g)
        assert_allclose(plan_of(C, a, b, 0.2, found), plan_of(C, a, b, 0.2, right), atol=1e-9)


def test_weights_of_zero():
    _, _, C, a, b = problem()
    a[3] = b[4] = 0.0
    a, b = a / a.sum(), b / b.sum()
    found = sinkhorn(C, a, b, epsilon=0.2, tol=1e-10)
    P = plan_of(C, a, b, 0.2, found)
    assert np.isfinite(found.f).all()
    assert np.isfinite(found.g).all()
    assert_allclose(P.sum(1), a, atol=1e-10)
    assert_array_equal(P[3], 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_single_rows(shape):
    C = np.random.default_rng(0).uniform(size=shape)
    found = sinkhorn(C, epsilon=0.1)
    assert_allclose(plan_of(C, np.full(shape[0], 1 / shape[0]), np.full(shape[1], 1 / shape[1]), 0.1, found), 1 / 5 if
                    max(shape) == 5 else 1.0)  # fmt: skip


def test_what_is_not_converged_says_so():
    _, _, C, a, b = problem(100, 100)
    found = sinkhorn(C, a, b, epsilon=1e-3 * C.mean(), tol=1e-9, max_iter=5)
    P = plan_of(C, a, b, 1e-3 * C.mean(), found)
    assert not found.converged
    assert found.n_iter == 5
    assert_allclose(np.abs(P.sum(1) - a).sum(), found.marginal_error, rtol=1e-6)
    assert_allclose(P.sum(0), b, atol=1e-12)


def test_infinite_costs_raise():
    C = np.ones((3, 3))
    C[:, 1] = np.inf
    with pytest.raises(FloatingPointError, match="not finite"):
        sinkhorn(C, epsilon=0.1)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-12, 1e-3, 1.0, 1e6, 1e12]),
    regularization=st.sampled_from([0.02, 0.2, 5.0]),
)
def test_laws(n, m, seed, scale, regularization):
    """Marginals; the scale of the costs, a shift of them and the order of rows change nothing."""
    _, _, C, a, b = problem(n, m, seed=seed)
    epsilon = regularization * max(a @ C @ b, 1e-3)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(n), rng.permutation(m)

    def solved(C, a, b, epsilon):
        return plan_of(C, a, b, epsilon, sinkhorn(C, a, b, epsilon=epsilon, tol=1e-9, max_iter=50_000))

    P = solved(C, a, b, epsilon)
    assert_allclose(P.sum(1), a, atol=1e-8)
    assert_allclose(P.sum(0), b, atol=1e-8)
    assert_allclose(solved(C * scale, a, b, epsilon * scale), P, atol=1e-7)
    assert_allclose(solved(C + rng.normal(size=(n, 1)) + rng.normal(size=m), a, b, epsilon), P, atol=1e-7)
    assert_allclose(solved(C[rows][:, columns], a[rows], b[columns], epsilon), P[rows][:, columns], atol=1e-7)


def test_the_plan_in_blocks():
    X, Y, C, a, b = problem(700, 400)
    epsilon = 0.2
    cost = PointCost(X, Y)
    f, g, *_ = sinkhorn(cost, a, b, epsilon=epsilon)
    plan = EntropicPlan(cost, a, b, f, g, epsilon)
    whole = a[:, None] * b * np.exp((f[:, None] + g - C) / epsilon)
    assert plan.shape == (700, 400)
    assert_allclose(np.asarray(plan), whole, atol=1e-12)
    assert_allclose(plan[3], whole[3], atol=1e-12)
    assert_allclose(plan[-1], whole[-1], atol=1e-12)
    assert_allclose(plan[[5, 2]], whole[[5, 2]], atol=1e-12)
    assert_allclose(plan @ Y, whole @ Y, atol=1e-12)
    assert_allclose(plan.sum(axis=1), whole.sum(1), atol=1e-12)
    assert_allclose(plan.sum(axis=0), whole.sum(0), atol=1e-12)
    assert_allclose(float(plan.sum()), 1.0)
    assert_allclose(plan.total(cost), (whole * C).sum())


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine", "cityblock", cdist])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_costs_in_blocks(metric, dtype):
    X, Y, *_ = problem(50, 40, dtype=dtype)
    cost = PointCost(X + 1000, Y + 1000, metric) if metric != "cosine" else PointCost(X, Y, metric)
    expected = cdist(X, Y, "euclidean" if metric is cdist else metric)
    found = np.concatenate([cost.rows(slice(i, i + 7)) for i in range(0, 50, 7)])
    assert found.dtype == dtype
    assert_allclose(found, expected, atol=1e-9 if dtype == np.float64 else 1e-2)
    assert_allclose(mean_cost(cost, np.full(50, 0.02), np.full(40, 0.025)), expected.mean(), rtol=1e-4)
    assert cost.shape == (50, 40)


def test_tensors_stay_tensors():
    torch = pytest.importorskip("torch")
    X, Y, C, a, b = problem()
    ours = sinkhorn(MatrixCost(C), a, b, epsilon=0.1, tol=1e-10)
    for stored in (True, False):
        for dtype, tol in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
            cost = PointCost(torch.tensor(X, dtype=dtype), torch.tensor(Y, dtype=dtype))
            found = sinkhorn(cost, a, b, epsilon=0.1, tol=1e-10, stored=stored)
            assert isinstance(found.f, torch.Tensor)
            assert_allclose((found.f[:, None] + found.g).numpy(), ours.f[:, None] + ours.g, atol=tol)


@pytest.mark.gpu
@pytest.mark.parametrize("stored", [True, False])
def test_on_a_gpu(stored):
    torch = pytest.importorskip("torch")
    X, Y, C, a, b = problem(400, 300)
    ours = sinkhorn(MatrixCost(C), a, b, epsilon=0.1, tol=1e-10)
    found = sinkhorn(
        PointCost(torch.tensor(X, device="cuda"), torch.tensor(Y, device="cuda")), a, b, epsilon=0.1, tol=1e-10,
        stored=stored,
    )  # fmt: skip
    assert found.f.device.type == "cuda"
    assert_allclose((found.f[:, None] + found.g).cpu().numpy(), ours.f[:, None] + ours.g, atol=1e-8)
