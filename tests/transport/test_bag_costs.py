"""Transport between many small bags: every pair as by itself, whatever the sizes, the scale and the precision."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skalign.transport import _bag_costs
from skalign.transport._bag_costs import bag_plans, bag_transport_costs
from skalign.transport._sinkhorn import sinkhorn


def make_bags(n, smallest=1, largest=7, width=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(rng.integers(smallest, largest + 1), width)) for _ in range(n)]


def squared(a, b):
    return ((a[:, None] - b) ** 2).sum(axis=2)


# --- oracles --------------------------------------------------------------------------------------------------------


def test_two_against_two_in_closed_form():
    A, B = make_bags(20, 2, 2, seed=1), make_bags(20, 2, 2, seed=2)
    found = bag_plans(A, B, regularization=0.1, tol=1e-12)
    for a, b, plan, cost in zip(A, B, found.plans, found.costs):
        C = squared(a, b)
        # The cross ratio P11 P22 / (P12 P21) is exp(-(c11 + c22 - c12 - c21) / epsilon).
        gain = (C[0, 1] + C[1, 0] - C[0, 0] - C[1, 1]) / (2 * found.epsilon)
        straight = 0.5 / (1.0 + np.exp(-gain))
        expected = np.array([[straight, 0.5 - straight], [0.5 - straight, straight]])
        assert_allclose(plan, expected, atol=1e-10)
        assert_allclose(cost, (expected * C).sum(), rtol=1e-8)


def test_every_pair_as_by_itself():
    A, B = make_bags(4, seed=1), make_bags(5, seed=2)
    found = bag_transport_costs(A, B, regularization=0.05, tol=1e-9)
    tables = [[squared(a, b) for b in B] for a in A]
    assert_allclose(found.epsilon, 0.05 * np.mean([[C.mean() for C in row] for row in tables]), rtol=1e-10)
    for i, row in enumerate(tables):
        for j, C in enumerate(row):
            f, g, *_ = sinkhorn(C, epsilon=found.epsilon, tol=1e-8)
            plan = np.exp((f[:, None] + g - C) / found.epsilon) / C.size
            assert_allclose(found.costs[i, j], (plan * C).sum(), rtol=1e-6)
    assert found.converged
    assert found.marginal_error.max() <= 1e-9


def test_plans_are_those_of_pot():
    ot = pytest.importorskip("ot")
    A, B = make_bags(6, 2, 9, seed=3), make_bags(6, 2, 9, seed=4)
    found = bag_plans(A, B, tol=1e-9)
    for a, b, plan, cost in zip(A, B, found.plans, found.costs):
        C, weights = squared(a, b), (np.full(len(a), 1 / len(a)), np.full(len(b), 1 / len(b)))
        peer = ot.sinkhorn(*weights, C, found.epsilon, method="sinkhorn_log", stopThr=1e-9, numItermax=20_000)
        assert_allclose(plan, peer, atol=1e-7)
        assert cost >= ot.emd2(*weights, C) - 1e-9


def test_small_regularisation_comes_to_the_best_assignment():
    A, B = make_bags(5, 4, 4, seed=5), make_bags(5, 4, 4, seed=6)
    found = bag_transport_costs(A, B, regularization=1e-3)
    for i, a in enumerate(A):
        for j, b in enumerate(B):
            C = squared(a, b)
            best = min(C[range(4), list(order)].mean() for order in permutations(range(4)))
            assert best - 1e-6 <= found.costs[i, j] <= best + found.epsilon * np.log(4)


def test_bags_of_one_element_are_rows():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 1, 3)), rng.normal(size=(7, 1, 3))
    assert_allclose(bag_transport_costs(X, Y).costs, squared(X[:, 0], Y[:, 0]))
    assert_allclose(bag_plans(X, Y[:5]).plans, np.ones((5, 1, 1)))


def test_value_of_the_dual():
    """The minimum with the entropy, whose gradient with respect to the costs is the plan."""
    rng = np.random.default_rng(0)
    C = rng.random((3, 4))
    offsets = np.array([0, 3]), np.array([0, 4])

    def solve(costs):
        return _bag_costs.solve_bags(costs, *offsets, 0.1, 1e-13, 1000, plans=True)

    solved = solve(C)
    P = solved.plan
    assert_allclose(solved.values[0, 0], (P * C).sum() + 0.1 * (P * np.log(P * 12)).sum())
    for r, c in [(0, 0), (2, 3)]:
        step = np.zeros_like(C)
        step[r, c] = 1e-5
        slope = (solve(C + step).values - solve(C - step).values) / 2e-5
        assert_allclose(slope[0, 0], P[r, c], rtol=1e-6)


# --- laws -----------------------------------------------------------------------------------------------------------


def test_marginals():
    A, B = make_bags(30, seed=7), make_bags(30, seed=8)
    for a, b, plan in zip(A, B, bag_plans(A, B, tol=1e-9).plans):
        assert_allclose(plan.sum(axis=1), 1 / len(a), atol=1e-9)
        assert_allclose(plan.sum(axis=0), 1 / len(b), atol=1e-9)
        assert (plan >= 0).all()


def test_order_of_elements_means_nothing():
    rng = np.random.default_rng(0)
    A, B = make_bags(10, 2, 6, seed=1), make_bags(10, 2, 6, seed=2)
    orders = [(rng.permutation(len(a)), rng.permutation(len(b))) for a, b in zip(A, B)]
    moved = [a[rows] for a, (rows, _) in zip(A, orders)], [b[columns] for b, (_, columns) in zip(B, orders)]
    assert_allclose(bag_transport_costs(*moved).costs, bag_transport_costs(A, B).costs, rtol=1e-5)
    for plan, other, (rows, columns) in zip(bag_plans(A, B).plans, bag_plans(*moved).plans, orders):
        assert_allclose(other, plan[np.ix_(rows, columns)], atol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1e4])
def test_scale_and_place_mean_nothing(factor):
    A, B = make_bags(8, seed=1), make_bags(8, seed=2)
    found = bag_transport_costs(A, B)
    scaled = bag_transport_costs([factor * (a + 5) for a in A], [factor * (b + 5) for b in B])
    assert_allclose(scaled.costs, factor**2 * found.costs, rtol=1e-5)
    assert_allclose(scaled.epsilon, factor**2 * found.epsilon)


def test_epsilon_of_an_earlier_call():
    A, B = make_bags(6, seed=1), make_bags(6, seed=2)
    found = bag_transport_costs(A, B, regularization=0.2)
    assert_allclose(bag_plans(A, B, epsilon=found.epsilon).costs, np.diag(found.costs), rtol=1e-5)
    part = bag_transport_costs(A[:2], B, regularization=0.01, epsilon=found.epsilon)
    assert part.epsilon == found.epsilon
    assert_array_equal(part.costs, found.costs[:2])


def test_costs_are_computed_in_blocks(monkeypatch):
    A, B = make_bags(20, seed=1), make_bags(9, seed=2)
    whole = bag_transport_costs(A, B)
    monkeypatch.setattr(_bag_costs, "_BLOCK_ENTRIES", 200)
    parts = bag_transport_costs(A, B)
    assert_allclose(parts.costs, whole.costs, rtol=1e-10)
    assert_array_equal(parts.n_iter, whole.n_iter)


def test_metrics():
    A, B = make_bags(4, seed=1), make_bags(5, seed=2)
    by_name = bag_transport_costs(A, B, metric="cityblock")
    by_hand = bag_transport_costs(A, B, metric=lambda X, Y: np.abs(X[:, None] - Y).sum(axis=2))
    assert_allclose(by_name.costs, by_hand.costs)
    wide = make_bags(5, width=8)  # a function of two tables may know what to do with other widths
    sums = bag_transport_costs(A, wide, metric=lambda X, Y: np.abs(X.sum(axis=1)[:, None] - Y.sum(axis=1)))
    assert sums.costs.shape == (4, 5)


def test_equal_elements_cost_nothing():
    bags = [np.ones((3, 2)), np.ones((2, 2))]
    assert_array_equal(bag_transport_costs(bags, bags).costs, np.zeros((2, 2)))
    assert_allclose(bag_plans(bags, bags).plans[1], np.full((2, 2), 0.25))


# --- precision and convergence --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("regularization", "most"), [(0.2, 50), (0.05, 50), (0.01, 100), (0.001, 1000)])
def test_every_pair_converges(regularization, most):
    A, B = make_bags(40, 5, 20, 16, seed=1), make_bags(40, 5, 20, 16, seed=2)
    found = bag_transport_costs(A, B, regularization=regularization)
    assert found.converged
    assert found.n_iter.max() < most  # plain scaling needs thousands already at 0.01


@pytest.mark.parametrize("regularization", [0.05, 0.005])
def test_float32(regularization):
    A, B = make_bags(20, 3, 9, seed=1), make_bags(20, 3, 9, seed=2)
    far = [[bag + shift for bag in bags] for bags, shift in ((A, 0.0), (B, 30.0))]
    small = [[bag.astype(np.float32) for bag in bags] for bags in far]
    for found in (bag_plans(*small, regularization=regularization), bag_plans(A, B, regularization=regularization)):
        assert found.converged
        assert_allclose([plan.sum() for plan in found.plans], 1.0, rtol=1e-5)
    assert bag_plans(*small).plans[0].dtype == np.float32
    assert_allclose(bag_transport_costs(*small).costs, bag_transport_costs(*far).costs, rtol=1e-5)


def test_what_did_not_converge_is_reported():
    A, B = make_bags(10, 4, 8, seed=1), make_bags(10, 4, 8, seed=2)
    with pytest.warns(ConvergenceWarning, match="of 100 pairs of bags: the largest L1 error"):
        found = bag_transport_costs(A, B, max_iter=2)
    assert not found.converged
    assert found.n_iter.max() == 2
    assert found.marginal_error.max() > 1e-6
    with pytest.warns(ConvergenceWarning, match="of 10 pairs"):
        assert not bag_plans(A, B, max_iter=2).converged


# --- input ----------------------------------------------------------------------------------------------------------


def test_arrays_and_tensors():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 5, 2))
    expected = bag_transport_costs(list(A), list(B)).costs
    assert_allclose(bag_transport_costs(A, B).costs, expected)
    assert_allclose(bag_transport_costs(torch.tensor(A), [torch.tensor(b) for b in B]).costs, expected)


def test_inputs_stay_as_they_are():
    A, B = make_bags(4, seed=1), make_bags(4, seed=2)
    before = [bag.copy() for bag in A]
    for bag in A + B:
        bag.setflags(write=False)
    bag_plans(A, B)
    bag_transport_costs(A, B)
    for bag, copy in zip(A, before):
        assert_array_equal(bag, copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda A: A[:2] + [np.array([[0.0, np.nan, 1.0]])] + A[3:], r"bags_a, sample 2: Input contains NaN .*1 NaN"),
        (lambda A: A[:1] + [np.empty((0, 3))] + A[2:], r"bags_a, sample 1: .*0 sample"),
        (lambda A: A[:3] + [np.ones((2, 4))], "bags_a: the elements of sample 3 have 4 features, those of sample 0"),
        (lambda A: [bag[:, :2] for bag in A], "bags_a have 2 features and those of bags_b 3"),
        (lambda A: A[:3], "3 and 4 bags"),
        (lambda A: [], "Found 0 bags"),
    ],
)
def test_bad_bags(change, message):
    A, B = make_bags(4, seed=1), make_bags(4, seed=2)
    with pytest.raises(ValueError, match=message):
        bag_plans(change(A), B)


@pytest.mark.parametrize("parameters", [{"regularization": 0.0}, {"regularization": "a"}, {"epsilon": -1.0}])
def test_bad_parameters(parameters):
    bags = make_bags(3)
    for function in (bag_plans, bag_transport_costs):
        with pytest.raises(ValueError, match="must be a number greater than 0"):
            function(bags, bags, **parameters)


def test_mixed_libraries():
    torch = pytest.importorskip("torch")
    bags = make_bags(3)
    with pytest.raises(TypeError, match="some bags are tensors"):
        bag_plans([torch.tensor(bags[0]), *bags[1:]], bags)


def test_extreme_costs():
    with pytest.raises(FloatingPointError, match="extreme costs"):
        bag_transport_costs(make_bags(2), make_bags(2), metric=lambda X, Y: np.full((len(X), len(Y)), np.inf))
