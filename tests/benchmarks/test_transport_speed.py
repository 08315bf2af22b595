"""Transport beside POT, assignment beside scipy; plans and their marginals are compared before times and memory."""

import subprocess
import sys
import time
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

RELATIVE = 0.01  # regularisation in units of the mean cost


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


def seconds_of(call):
    """Result and processor seconds."""
    begun = time.process_time()
    result = call()
    return result, time.process_time() - begun


def quiet(call):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return call()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("method", "iterations", "bar"), [("sinkhorn_log", 100, 8), ("sinkhorn_knopp", 500, None)])
def test_at_the_marginal_error_of_pot(method, iterations, bar, seed):
    """POT makes so many iterations; ours is asked for the marginals that POT's plan has then.

    There is no bar beside the kernel form, which is quick where nothing underflows.
    """
    solve = getattr(pytest.importorskip("ot").bregman, method)
    C = costs(2_000, seed)
    epsilon = RELATIVE * C.mean()
    peer, peer_seconds = seconds_of(lambda: quiet(lambda: solve([], [], C, epsilon, numItermax=iterations, stopThr=0)))
    error = marginal_error(peer)
    found, seconds = seconds_of(lambda: sinkhorn(C, epsilon=epsilon, tol=error))
    reached = marginal_error(plan_of(C, found, epsilon))
    print(
        f"\n{method}, seed {seed}: {peer_seconds / seconds:.1f} times: {seconds:.2f} s, POT {peer_seconds:.2f} s; "
        f"sweeps {found.n_iter} and {iterations}; marginal errors {reached:.1e} and {error:.1e}"
    )
    assert reached <= error * (1 + 1e-6)
    assert bar is None or bar * seconds <= peer_seconds


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_same_plan_as_pot(seed):
    solve = pytest.importorskip("ot").bregman.sinkhorn_knopp
    C = costs(200, seed)
    epsilon = RELATIVE * C.mean()
    found = sinkhorn(C, epsilon=epsilon, tol=1e-12, max_iter=50_000)
    plan = plan_of(C, found, epsilon)
    peer = quiet(lambda: solve([], [], C, epsilon, numItermax=100_000, stopThr=1e-14))
    apart = np.abs(plan - peer).sum()
    print(f"\nplans {apart:.1e} apart; marginal errors {marginal_error(plan):.1e} and {marginal_error(peer):.1e}")
    assert apart < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_empty_plan(dtype):
    """In many dimensions no cost is near 0, and at 0.01 of the mean a kernel is empty in float32."""
    bregman = pytest.importorskip("ot").bregman
    X = load_digits().data.astype(dtype)
    C = pairwise_distances(X[:900] + 20, X[900:], metric="sqeuclidean").astype(dtype)
    epsilon = float(RELATIVE * C.mean())
    found = sinkhorn(C, epsilon=epsilon, tol=1e-5)
    plan = plan_of(C, found, epsilon)
    weights = [np.full(size, 1 / size, dtype=dtype) for size in C.shape]
    print(f"\n{np.dtype(dtype).name}: mass {plan.sum():.6f}, marginals off by {marginal_error(plan):.1e};", end=" ")
    for method in ("sinkhorn_knopp", "sinkhorn_stabilized"):
        peer = quiet(lambda m=method: getattr(bregman, m)(*weights, C, epsilon, numItermax=500))
        print(f"POT {method}: mass {peer.sum():.6f}, marginals off by {marginal_error(peer):.1e};", end=" ")
    assert marginal_error(plan) < 2e-5


MEMORY = """
import pathlib, re, time, tracemalloc, warnings
import numpy as np
{imports}
warnings.simplefilter("ignore")

def megabytes(field):
    return int(re.search(field + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024

rng = np.random.default_rng(0)
def call(X, Y):
    return {call}
X, Y = rng.normal(size=({n}, 5)), rng.normal(size=({n}, 5)) + 1.0
call(X[:300], Y[:300])
if {traced}:
    tracemalloc.start()
    call(X, Y)
    print(tracemalloc.get_traced_memory()[1] / 2**20)
else:
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak of imports
    before, begun = megabytes("VmRSS"), time.process_time()
    kept = call(X, Y)
    print(megabytes("VmHWM") - before, time.process_time() - begun)
"""
OURS = "from skalign import OTAligner"
ALIGNER = "OTAligner(regularization=0.01, max_iter={sweeps}, chunked={chunked}).fit(X, Y)"


def extra_megabytes(imports, call, n=4_000, traced=False):
    code = MEMORY.format(imports=imports, call=call, n=n, traced=traced)
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [float(figure) for figure in run.stdout.split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory():
    """From two tables to a plan, 5 sweeps; POT's plan is an array, ours computes its rows when they are read."""
    pytest.importorskip("ot")
    chunked = ALIGNER.format(sweeps=5, chunked=True)
    (extra, seconds), (traced,) = extra_megabytes(OURS, chunked), extra_megabytes(OURS, chunked, traced=True)
    print(f"\nchunked, n=4,000: {extra:.1f} MB, {traced:.1f} MB of them arrays; {seconds:.1f} s")
    stored, stored_seconds = extra_megabytes(OURS, ALIGNER.format(sweeps=5, chunked=False))
    print(f"kernel stored: {stored:.0f} MB, {stored_seconds:.1f} s")
    for method in ("sinkhorn_knopp", "sinkhorn_log"):
        peer = f"ot.bregman.{method}([], [], (C := ot.dist(X, Y)), 0.01 * C.mean(), numItermax=5)"
        megabytes, peer_seconds = extra_megabytes("import ot", peer)
        print(f"POT {method}: {megabytes:.0f} MB, {peer_seconds:.1f} s")
    assert extra < 40
    assert traced < 40


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_20_000_rows_a_side():
    """A plan of 400 million entries, 3.2 GB as an array; two sweeps, whatever their plan is worth."""
    megabytes, seconds = extra_megabytes(OURS, ALIGNER.format(sweeps=2, chunked=True), n=20_000)
    print(f"\nn=20,000: {megabytes:.0f} MB, {seconds:.0f} s for two sweeps and the cost of the plan")
    assert megabytes < 80


@pytest.mark.parametrize(("epsilon", "far"), [(0.01, 0), ("relative", 0), ("relative", 20)])
def test_new_points(epsilon, far):
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
    print(f"\nepsilon {aligner.epsilon_:.2g}, new points at a distance of {far}: POT maps {lost:.0%} to NaN")
    assert np.isfinite(mapped).all()
    assert (mapped >= Y.min(axis=0) - 1e-9).all()
    assert (mapped <= Y.max(axis=0) + 1e-9).all()


@pytest.mark.parametrize("n", [200, 1_000])
def test_assignment_beside_scipy(n, alternating_medians):
    weights = np.random.default_rng(0).normal(size=(n, n))
    aligner = AssignmentAligner(similarity="precomputed")
    np.testing.assert_array_equal(aligner.fit(weights).matches_, linear_sum_assignment(weights, maximize=True)[1])
    seconds, bare = alternating_medians(
        lambda: aligner.fit(weights), lambda: linear_sum_assignment(weights, maximize=True), repeats=9
    )
    print(f"\nn={n}: {1e3 * seconds:.2f} ms, scipy alone {1e3 * bare:.2f} ms, {seconds / bare:.2f}")
    assert seconds <= 1.5 * bare + 1e-3
