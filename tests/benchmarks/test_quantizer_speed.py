"""Codes of many rows beside scikit-learn's MiniBatchKMeans: distortion first, then time."""

import time

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_blobs

from skalign.sequence import VectorQuantizer

pytestmark = pytest.mark.slow

N, D, K = 100_000, 64, 512


def make_features(kind):
    if kind == "blobs":
        return make_blobs(N, D, centers=700, cluster_std=2.0, random_state=0)[0]
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)) @ (rng.normal(size=(D, D)) * 0.9 ** np.arange(D)[:, None])


@pytest.mark.parametrize("kind", ["gaussian", "blobs"])
def test_not_slower_than_minibatch_kmeans_at_no_larger_distortion(kind):
    X = make_features(kind)
    VectorQuantizer(8, random_state=0).fit(X[:1000])  # compiles
    times, errors = {"own": [], "peer": []}, {"own": [], "peer": []}
    for seed in range(5):
        start = time.process_time()
        own = VectorQuantizer(K, random_state=seed).fit(X)
        times["own"].append(time.process_time() - start)
        start = time.process_time()
        peer = MiniBatchKMeans(K, random_state=seed).fit(X)
        times["peer"].append(time.process_time() - start)
        errors["own"].append(((X - own.inverse_transform(own.predict(X))) ** 2).sum(axis=1).mean())
        errors["peer"].append(((X - peer.cluster_centers_[peer.labels_]) ** 2).sum(axis=1).mean())
    seconds = {name: np.median(own) for name, own in times.items()}
    distortion = {name: np.mean(own) for name, own in errors.items()}
    print(f"\n{kind}: distortion {distortion}, CPU seconds {seconds}")
    assert distortion["own"] <= distortion["peer"]
    assert seconds["own"] <= seconds["peer"]
