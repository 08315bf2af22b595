"""KernelCCA against cca-zoo's KCCA on the same data; the correlations are compared before times."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from skalign import KernelCCA

pytestmark = pytest.mark.slow


def related(n, p, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 8))
    return [np.tanh(shared @ rng.normal(size=(8, p))) + rng.normal(size=(n, p)) for _ in range(2)]


@pytest.mark.parametrize("c", [0.1, 1e-3])
def test_five_times_faster_than_cca_zoo(c, alternating_medians):
    nonparametric = pytest.importorskip("cca_zoo.nonparametric")
    n, k = 1_000, 10
    X, Y = related(n, 20)
    # Its penalty is c' K beside (1 - c') K^2 / (n - 1): in ours c'/(1 - c') = c kappa n / ((1 - c) (n - 1)).
    ratios = []
    for V in (X, Y):
        K = rbf_kernel(V, gamma=0.05)
        kappa = np.trace(K) / n - K.mean()
        ratios.append(c * kappa * n / ((1 - c) * (n - 1)))
    theirs = [ratio / (1 + ratio) for ratio in ratios]
    peer = nonparametric.KCCA(k, kernel="rbf", gamma=0.05, shrinkage=theirs)
    ours = KernelCCA(k, kernel="rbf", gamma=0.05, shrinkage=c)
    Zx, Zy = peer.fit([X, Y]).transform([X, Y])
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(Zx.T, Zy.T)]
    np.testing.assert_allclose(ours.fit(X, Y).canonical_correlations_, correlations, atol=1e-8)
    seconds, peer_seconds = alternating_medians(lambda: ours.fit(X, Y), lambda: peer.fit([X, Y]), repeats=3)
    print(f"\nc={c}: {peer_seconds / seconds:.1f} times faster")
    assert 5 * seconds <= peer_seconds


@pytest.mark.parametrize("approximation", ["nystroem", "rff"])
def test_memory_of_approximations_is_linear_in_the_samples(approximation):
    peaks = []
    for n in (12_500, 25_000, 50_000):
        X, Y = related(n, 10)
        tracemalloc.start()
        KernelCCA(5, approximation=approximation, n_landmarks=200, random_state=0).fit(X, Y)
        peaks.append(tracemalloc.get_traced_memory()[1] / n)
        tracemalloc.stop()
    assert peaks[2] <= 1.2 * peaks[0]
    assert peaks[2] < 8 * 200 * 4  # bytes a row: four feature matrices, where the kernel would take 8 n
