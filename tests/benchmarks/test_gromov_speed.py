"""Gromov-Wasserstein beside POT, 177 rows on each side; plans are compared before times."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances

from skalign.transport._gromov import gromov_scale, gromov_wasserstein, linearized_cost

pytestmark = pytest.mark.slow
FAMILY = "transport"

N = 177


def halves_of_digits(seed):
    X = load_digits().data[np.random.default_rng(seed).permutation(1797)[:N]]
    return pairwise_distances(X[:, :32]), pairwise_distances(X[:, 32:])


def noisy_copies(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 3)) * [3.0, 2.0, 1.0]
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return pairwise_distances(X), pairwise_distances((X @ turn + 0.1 * rng.normal(size=X.shape))[rng.permutation(N)])


def miss(ot, plan, D_x, D_y, epsilon, cost, alpha):
    """By how much the exact step from a plan changes it."""
    c = linearized_cost(D_x, D_y, plan, cost=cost, alpha=alpha)
    step = ot.bregman.sinkhorn_log(np.full(N, 1 / N), np.full(N, 1 / N), c, epsilon, stopThr=1e-12, numItermax=20_000)
    return np.linalg.norm(step - plan)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("relative", [0.05, 0.02])
@pytest.mark.parametrize("data", [halves_of_digits, noisy_copies], ids=["digits", "copies"])
def test_beside_pot(data, relative, alpha, seed, bench, optional, quick):
    """Ten times as fast. The fused form misses that where POT too solves its inner problems in few sweeps: half of our
    time is then the product of three matrices that is the gradient."""
    if quick and (seed, relative, data) != (0, 0.05, halves_of_digits):
        pytest.skip("in full runs alone")
    ot = optional("ot")
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

    def same(plan, peer):
        assert np.abs(plan - peer).sum() < 1e-3
        step, peer_step = (miss(ot, found, D_x, D_y, epsilon, cost, alpha) for found in (plan, peer))
        assert step <= peer_step  # ours is the tighter, though its tolerance is in another norm

    fused = cost is not None
    bench.compare(
        f"Gromov-Wasserstein, {'fused' if fused else 'entropic'}",
        ours,
        {"POT": ot and theirs},
        size=f"{'digits' if data is halves_of_digits else 'copies'}, {N} × {N}, epsilon {relative}, seed {seed}",
        same=same,
        bars=None if fused else {"POT": 10},
        goals={"POT": 10} if fused else None,
    )
