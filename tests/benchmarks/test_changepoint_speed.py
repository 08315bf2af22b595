"""PELT against ruptures on the same signal; no segmentation of a peer costs less."""

import numpy as np
import pytest

from skalign.temporal.changepoints._costs import L2Cost
from skalign.temporal.changepoints._search import segmentation_cost
from skalign.temporal.changepoints._segmenter import ChangepointSegmenter

pytestmark = pytest.mark.slow
FAMILY = "change points"


def levels(n, n_changes, seed=0):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    for k in range(1, n_changes + 1):
        signal[k * n // (n_changes + 1) :] += rng.choice([-3.0, 3.0])
    return signal[:, None]


def total(signal, cps, penalty):
    return segmentation_cost(L2Cost().fit(signal), cps, len(signal)) + penalty * len(cps)


# With 20 changes both take a fifth of a millisecond, half of which is ours for checking the input.
@pytest.mark.parametrize(("n_changes", "bound"), [(0, 1.0), (4, 1.0), (20, 1.3)])
def test_pelt_beside_ruptures(n_changes, bound, bench, optional, pick):
    rpt = optional("ruptures")
    n = pick(1_000, 400)
    signal, penalty = levels(n, n_changes), 3 * np.log(n)
    segmenter = ChangepointSegmenter(penalty=penalty, standardize=False)

    def ours():
        return segmenter.fit_predict([signal])[0]

    def python():
        return rpt.Pelt("l2", jump=5).fit(signal).predict(penalty)[:-1]

    def compiled():
        return rpt.KernelCPD("linear", min_size=2).fit(signal).predict(pen=penalty)[:-1]

    def no_worse(own, its):
        assert total(signal, own, penalty) <= total(signal, its, penalty) + 1e-8

    for name, peer, factor in (("Pelt(jump=5)", python, 50), ("KernelCPD", compiled, 1 / bound)):
        bench.compare(
            f"ChangepointSegmenter beside {name}",
            ours,
            {f"ruptures {name}": rpt and peer},
            size=f"{n:,} frames, {n_changes} changes",
            same=no_worse,
            bars={f"ruptures {name}": factor},
        )


def test_twenty_thousand_frames_without_a_change(bench, pick):
    n = pick(20_000, 4_000)
    signal = levels(n, 0)
    segmenter = ChangepointSegmenter().fit([signal[:100]])
    call = lambda: segmenter.predict([signal])  # noqa: E731
    bench.compare("ChangepointSegmenter.predict", call, {}, size=f"{n:,} frames, no change", at_most=2)


def test_profile_of_ten_thousand_frames(bench, pick):
    n = pick(10_000, 4_000)
    t = np.arange(n)
    signal = np.where(t < n // 2, np.sin(t / 9), np.sign(np.sin(t / 9))) + 0.1 * levels(n, 0).ravel()
    segmenter = ChangepointSegmenter("profile").fit([signal[:1_000]])
    assert len(segmenter.predict([signal])[0]) == 1
    call = lambda: segmenter.predict([signal])  # noqa: E731
    bench.compare("ChangepointSegmenter('profile').predict", call, {}, size=f"{n:,} frames, one change", at_most=2)
