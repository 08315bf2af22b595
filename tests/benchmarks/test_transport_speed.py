"""Transport beside POT, assignment beside scipy and lapx; plans and their marginals are compared before times."""

import warnings

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances

from skalign import AssignmentAligner, OTAligner
from skalign.transport import EntropicPlan, sinkhorn
from skalign.transport._costs import MatrixCost

pytestmark = pytest.mark.slow
FAMILY = "transport"

RELATIVE = 0.01  # regularisation in units of the mean cost

MAKE = """
def make(n):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)), rng.normal(size=(n, 5)) + 1.0
"""
ALIGNER = "OTAligner(regularization=0.01, max_iter={sweeps}, chunked={chunked}).fit"


def clouds(n, seed, d=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 1.5 * rng.normal(size=(n, d)) @ np.linalg.qr(rng.normal(size=(d, d)))[0] + 1.0


def costs(n, seed):
    return pairwise_distances(*clouds(n, seed), metric="sqeuclidean")


def marginal_error(plan):
    """L1 error over both marginals, for equal weights."""
    return sum(np.abs(plan.sum(axis=axis, dtype=np.float64) - 1 / plan.shape[1 - axis]).sum() for axis in (0, 1))


def plan_of(cost, found, epsilon):
    weights = [np.full(size, 1 / size) for size in cost.shape]
    return EntropicPlan(MatrixCost(cost), *weights, found.f, found.g, epsilon).toarray()


def quiet(call):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return call()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("method", "iterations", "bar"), [("sinkhorn_log", 100, 8), ("sinkhorn_knopp", 500, None)])
def test_at_the_marginal_error_of_pot(method, iterations, bar, seed, bench, quick):
    """POT makes so many iterations; ours is asked for the marginals that POT's plan has then.

    There is no bar beside the kernel form, which is quick where nothing underflows.
    """
    if quick and seed:
        pytest.skip("in full runs alone")
    solve = getattr(pytest.importorskip("ot").bregman, method)  # without it there is no error to reach
    n = 500 if quick else 2_000
    C = costs(n, seed)
    epsilon = RELATIVE * C.mean()

    def theirs():
        return quiet(lambda: solve([], [], C, epsilon, numItermax=iterations, stopThr=0))

    error = marginal_error(theirs())

    def reached(found, peer):
        assert marginal_error(plan_of(C, found, epsilon)) <= error * (1 + 1e-6)

    bench.compare(
        f"sinkhorn at the marginal error of POT's {method}",
        lambda: sinkhorn(C, epsilon=epsilon, tol=error),
        {f"POT {method}": theirs},
        size=f"{n:,} × {n:,}, {iterations} iterations of POT, seed {seed}",
        same=reached,
        bars=bar and {f"POT {method}": bar},
        rounds=(2, 21),
    )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_same_plan_as_pot(seed, bench):
    solve = pytest.importorskip("ot").bregman.sinkhorn_knopp
    C = costs(200, seed)
    epsilon = RELATIVE * C.mean()
    found = sinkhorn(C, epsilon=epsilon, tol=1e-12, max_iter=50_000)
    peer = quiet(lambda: solve([], [], C, epsilon, numItermax=100_000, stopThr=1e-14))
    apart = np.abs(plan_of(C, found, epsilon) - peer).sum()
    what = "sinkhorn: L1 distance to POT's plan, both converged hard"
    bench.record(what, apart, size=f"200 × 200, seed {seed}", bars={"under 1e-6": apart < 1e-6})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_empty_plan(dtype, bench):
    """In many dimensions no cost is near 0, and at 0.01 of the mean a kernel is empty in float32."""
    bregman = pytest.importorskip("ot").bregman
    X = load_digits().data.astype(dtype)
    C = pairwise_distances(X[:900] + 20, X[900:], metric="sqeuclidean").astype(dtype)
    epsilon = float(RELATIVE * C.mean())
    found = sinkhorn(C, epsilon=epsilon, tol=1e-5)
    plans = {"skalign": plan_of(C, found, epsilon)}
    weights = [np.full(size, 1 / size, dtype=dtype) for size in C.shape]
    for method in ("sinkhorn_knopp", "sinkhorn_stabilized"):
        solve = getattr(bregman, method)
        plans[f"POT {method}"] = quiet(lambda solve=solve: solve(*weights, C, epsilon, numItermax=500))
    size = f"digits, 900 × 897, {np.dtype(dtype).name}"
    mass = {name: float(plan.sum()) for name, plan in plans.items()}
    bench.record("sinkhorn: mass of the plan", mass.pop("skalign"), size=size, peers=mass)
    errors = {name: marginal_error(plan) for name, plan in plans.items()}
    own = errors.pop("skalign")
    bench.record("sinkhorn: error of the marginals", own, size=size, peers=errors, bars={"under 2e-5": own < 2e-5})


def test_memory(bench, pick):
    """From two tables to a plan, 5 sweeps; POT's plan is an array, ours computes its rows when they are read."""
    n, imports = pick(4_000, 1_000), "from skalign import OTAligner"
    size = f"{n:,} × {n:,}, 5 sweeps"
    chunked, stored = (ALIGNER.format(sweeps=5, chunked=value) for value in (True, False))
    peer = "lambda X, Y: ot.bregman.{}([], [], (C := ot.dist(X, Y)), 0.01 * C.mean(), numItermax=5)"
    peers = {f"POT {name}": ("ot", "import ot", peer.format(name)) for name in ("sinkhorn_knopp", "sinkhorn_log")}
    bench.memory("OTAligner.fit, chunked", (imports, chunked), peers, make=MAKE, n=n, size=size, at_most=40)
    bench.memory("OTAligner.fit, chunked", (imports, chunked), {}, make=MAKE, n=n, size=size, traced=True, at_most=40)
    bench.memory("OTAligner.fit, kernel kept", (imports, stored), {}, make=MAKE, n=n, size=size)


def test_memory_of_20_000_rows_a_side(bench, pick):
    """A plan of 400 million entries, 3.2 GB as an array; two sweeps, whatever their plan is worth."""
    n, call = pick(20_000, 4_000), ALIGNER.format(sweeps=2, chunked=True)
    program = ("from skalign import OTAligner", call)
    bench.memory("OTAligner.fit, chunked", program, {}, make=MAKE, n=n, size=f"{n:,} × {n:,}, 2 sweeps", at_most=80)


def test_chunks_beside_a_stored_kernel(bench, pick):
    """What the memory costs in time."""
    n = pick(2_000, 500)
    X, Y = clouds(n, 0)
    chunked, stored = (OTAligner(regularization=0.05, chunked=value) for value in (True, False))
    bench.compare(
        "OTAligner.fit, chunked",
        lambda: chunked.fit(X, Y),
        {"kernel kept": lambda: stored.fit(X, Y)},
        size=f"{n:,} × {n:,}, regularisation 0.05",
        same=lambda ours, theirs: np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-4),
    )


def test_memory_of_mapping_many_new_rows(bench, pick):
    """As the pixels of a photograph; the matrix of costs would have 8,000 bytes a row."""
    n = pick(273_280, 20_000)
    fit = "OTAligner(regularization=0.01, metric='sqeuclidean').fit(rng.random((1_000, 3)), rng.random((1_000, 3)))"
    make = f"rng = np.random.default_rng(0)\ndef make(n):\n    return {fit}, rng.random((n, 3))"
    program = ("from skalign import OTAligner", "lambda aligner, X: aligner.transform(X)")
    bench.memory("OTAligner.transform", program, {}, make=make, n=n, size=f"{n:,} new rows, fit on 1,000")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("epsilon", "far"), [(0.01, 0), ("relative", 0), ("relative", 20)])
def test_new_points(epsilon, far, bench):
    """The share of new points that are mapped to NaN: those of the same distribution at an epsilon of 0.01 itself and
    of 0.01 of the mean cost, and others far away."""
    transport = pytest.importorskip("ot").da.SinkhornTransport
    X, Y = clouds(1_000, 0)
    X, Y, new = X[:300], Y[:300], X[300:] + far
    mean = pairwise_distances(X, Y, metric="sqeuclidean").mean()
    relative = RELATIVE if epsilon == "relative" else epsilon / mean
    aligner = quiet(lambda: OTAligner(regularization=relative, max_iter=1_000).fit(X, Y))
    peer = quiet(lambda: transport(reg_e=aligner.epsilon_, max_iter=1_000).fit(Xs=X, Xt=Y))
    lost = np.isnan(quiet(lambda: peer.transform(Xs=new))).any(axis=1).mean()
    mapped = aligner.transform(new)
    bench.record(
        "OTAligner: share of new points mapped to NaN",
        100 * np.isnan(mapped).any(axis=1).mean(),
        size=f"epsilon {aligner.epsilon_:.2g}, {far} away in every coordinate",
        unit="%",
        peers={"POT SinkhornTransport": 100 * lost},
        bars={
            "within the target": np.isfinite(mapped).all()
            and (mapped >= Y.min(axis=0) - 1e-9).all()
            and (mapped <= Y.max(axis=0) + 1e-9).all()
        },
    )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("n", [200, 1_000])
def test_assignment_beside_scipy(n, bench, optional):
    lap = optional("lap")
    weights = np.random.default_rng(0).normal(size=(n, n))
    aligner = AssignmentAligner(similarity="precomputed")
    peers = {
        "scipy alone": lambda: linear_sum_assignment(weights, maximize=True)[1],
        "lapx": lap and (lambda: lap.lapjv(-weights)[1]),
    }
    bench.compare(
        "AssignmentAligner.fit",
        lambda: aligner.fit(weights),
        peers,
        size=f"{n:,} × {n:,}",
        same=lambda ours, theirs: np.testing.assert_array_equal(ours.matches_, theirs),
        bars={"scipy alone": 1 / 1.5},
        allowance=1e-3,
    )
