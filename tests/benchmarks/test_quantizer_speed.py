"""Codes of many rows beside scikit-learn's MiniBatchKMeans: distortion first, then time."""

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_blobs

from skalign.sequence import VectorQuantizer

pytestmark = pytest.mark.slow
FAMILY = "tokens and transcripts"

D = 64


def make_features(kind, n):
    if kind == "blobs":
        return make_blobs(n, D, centers=700, cluster_std=2.0, random_state=0)[0]
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, D)) @ (rng.normal(size=(D, D)) * 0.9 ** np.arange(D)[:, None])


@pytest.mark.parametrize("kind", ["gaussian", "blobs"])
def test_not_slower_than_minibatch_kmeans_at_no_larger_distortion(kind, bench, pick):
    n, k, n_seeds = pick((100_000, 512, 5), (5_000, 128, 1))
    X = make_features(kind, n)

    def fits(make):
        return [make(random_state=seed).fit(X) for seed in range(n_seeds)]

    def no_larger_distortion(ours, theirs):
        own = np.mean([((X - q.inverse_transform(q.predict(X))) ** 2).sum(axis=1).mean() for q in ours])
        its = np.mean([((X - km.cluster_centers_[km.labels_]) ** 2).sum(axis=1).mean() for km in theirs])
        size = f"{n:,} × {D}, {kind}, {k} codes"
        bars = {"no larger": own <= its}
        bench.record("VectorQuantizer: distortion", own, size=size, peers={"MiniBatchKMeans": its}, bars=bars)

    bench.compare(
        "VectorQuantizer.fit",
        lambda: fits(lambda random_state: VectorQuantizer(k, random_state=random_state)),
        {"MiniBatchKMeans": lambda: fits(lambda random_state: MiniBatchKMeans(k, random_state=random_state))},
        size=f"{n:,} × {D}, {kind}, {k} codes, seeds 0 to {n_seeds - 1} together",
        same=no_larger_distortion,
        bars={"MiniBatchKMeans": 1},
        rounds=(1, 1),  # its seeds are its rounds
    )
