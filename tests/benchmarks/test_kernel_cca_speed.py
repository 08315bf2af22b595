"""KernelCCA against cca-zoo's KCCA on the same data, and its memory."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from skalign import KernelCCA

pytestmark = pytest.mark.slow
FAMILY = "correlation"

MAKE = """
def make(n):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, 8))
    return [np.tanh(shared @ rng.normal(size=(8, 10))) + rng.normal(size=(n, 10)) for _ in range(2)]
"""


def related(n, p, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 8))
    return [np.tanh(shared @ rng.normal(size=(8, p))) + rng.normal(size=(n, p)) for _ in range(2)]


@pytest.mark.parametrize("c", [0.1, 1e-3])
def test_five_times_faster_than_cca_zoo(c, bench, optional, pick):
    nonparametric = optional("cca_zoo.nonparametric")
    n, k = pick(1_000, 300), 10
    X, Y = related(n, 20)
    # Its penalty is c' K beside (1 - c') K^2 / (n - 1): in ours c'/(1 - c') = c kappa n / ((1 - c) (n - 1)).
    ratios = []
    for V in (X, Y):
        K = rbf_kernel(V, gamma=0.05)
        kappa = np.trace(K) / n - K.mean()
        ratios.append(c * kappa * n / ((1 - c) * (n - 1)))
    theirs = [ratio / (1 + ratio) for ratio in ratios]
    peer = nonparametric and nonparametric.KCCA(k, kernel="rbf", gamma=0.05, shrinkage=theirs)
    ours = KernelCCA(k, kernel="rbf", gamma=0.05, shrinkage=c)

    def same(own, its):
        correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(*(Z.T for Z in its.transform([X, Y])))]
        np.testing.assert_allclose(own.canonical_correlations_, correlations, atol=1e-8)

    bench.compare(
        "KernelCCA.fit, rbf",
        lambda: ours.fit(X, Y),
        {"cca-zoo": peer and (lambda: peer.fit([X, Y]))},
        size=f"{n:,} × (20 + 20), shrinkage {c:g}",
        same=same,
        bars={"cca-zoo": 5},
    )


@pytest.mark.parametrize("approximation", ["nystroem", "rff"])
def test_memory_of_approximations_is_linear_in_the_samples(approximation, bench, pick):
    call = f"KernelCCA(5, approximation={approximation!r}, n_landmarks=200, random_state=0).fit"
    sizes, each = pick((12_500, 25_000, 50_000), (5_000, 10_000)), []
    for n in sizes:
        found = bench.memory(
            f"KernelCCA.fit, {approximation}",
            ("from skalign import KernelCCA", call),
            {},
            make=MAKE,
            n=n,
            size=f"{n:,} × (10 + 10), 200 landmarks",
            traced=True,
            # Four feature matrices, where the kernel would take 8 n a row; of few rows the landmarks are the most.
            at_most=n * 8 * 200 * 4 / 1e6 if n == sizes[-1] else None,
        )
        each.append(1e6 * found["skalign"] / n)
    bench.record(
        f"KernelCCA.fit, {approximation}: memory a row at the most rows beside the fewest",
        each[-1] / each[0],
        size=f"{sizes[0]:,} to {sizes[-1]:,} rows",
        bars={"at most 1.2": each[-1] <= 1.2 * each[0]},
    )
