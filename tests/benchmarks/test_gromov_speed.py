"""Gromov-Wasserstein beside POT, 177 rows on each side; plans are compared before times."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances

from skalign.transport._gromov import gromov_scale, gromov_wasserstein, linearized_cost

pytestmark = pytest.mark.slow

N = 177


def halves_of_digits(seed):
    X = load_digits().data[np.random.default_rng(seed).permutation(1797)[:N]]
    return pairwise_distances(X[:, :32]), pairwise_distances(X[:, 32:])


def noisy_copies(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 3)) * [3.0, 2.0, 1.0]
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return pairwise_distances(X), pairwise_distances((X @ turn + 0.1 * rng.normal(size=X.shape))[rng.permutation(N)])


def miss(plan, D_x, D_y, epsilon, cost, alpha):
    """By how much the exact step from a plan changes it, and the L1 error of its marginals."""
    ot = pytest.importorskip("ot")
    c = linearized_cost(D_x, D_y, plan, cost=cost, alpha=alpha)
    step = ot.bregman.sinkhorn_log(np.full(N, 1 / N), np.full(N, 1 / N), c, epsilon, stopThr=1e-12, numItermax=20_000)
    return np.linalg.norm(step - plan), sum(np.abs(plan.sum(axis=axis) - 1 / N).sum() for axis in (0, 1))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize(
    ("data", "relative"),
    [(halves_of_digits, 0.05), (halves_of_digits, 0.02), (noisy_copies, 0.05), (noisy_copies, 0.02)],
    ids=["digits-0.05", "digits-0.02", "copies-0.05", "copies-0.02"],
)
def test_beside_pot(data, relative, alpha, seed, alternating_medians):
    """Ten times as fast; three times in the fused form, whose inner problems POT too solves in few sweeps: there half
    of our time is the product of three matrices that is the gradient."""
    ot = pytest.importorskip("ot")
    bar = 10 if alpha == 1.0 else 3
    D_x, D_y = (D / D.mean() for D in data(seed))
    cost = None if alpha == 1.0 else np.random.default_rng(seed).random((N, N))
    epsilon = relative * gromov_scale(D_x, D_y, cost=cost, alpha=alpha)

    def ours():
        return gromov_wasserstein(D_x, D_y, epsilon=epsilon, cost=cost, alpha=alpha, tol=1e-8).plan

    def theirs():
        options = {"epsilon": epsilon, "tol": 1e-9, "max_iter": 1000}
        if cost is None:
            return ot.gromov.entropic_gromov_wasserstein(D_x, D_y, **options)
        return ot.gromov.entropic_fused_gromov_wasserstein(cost, D_x, D_y, alpha=alpha, **options)

    plan, peer = ours(), theirs()
    (step, marginals), (peer_step, peer_marginals) = (
        miss(part, D_x, D_y, epsilon, cost, alpha) for part in (plan, peer)
    )
    apart = np.abs(plan - peer).sum()
    seconds, peer_seconds = alternating_medians(ours, theirs, repeats=3)
    print(
        f"\n{peer_seconds / seconds:.1f} times: {seconds:.3f} s, POT {peer_seconds:.3f} s; apart {apart:.1e}; "
        f"steps {step:.1e} {peer_step:.1e}; marginals {marginals:.1e} {peer_marginals:.1e}"
    )
    assert apart < 1e-3
    assert step <= peer_step  # ours is the tighter, though its tolerance is in another norm
    assert bar * seconds <= peer_seconds
