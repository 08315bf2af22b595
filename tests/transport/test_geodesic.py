"""Geodesic distances: Floyd-Warshall by hand, parts that are not connected, and new rows."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import pairwise_distances

from skalign.transport._geodesic import geodesic_distances, geodesic_to


def rows(n=40, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def floyd_warshall(X, k, mode="distance", metric="euclidean"):
    D = pairwise_distances(X, metric=metric)
    np.fill_diagonal(D, 0.0)
    lengths = np.full_like(D, np.inf)
    for i, row in enumerate(D):
        others = [j for j in np.argsort(row, kind="stable") if j != i][:k]
        for j in others:
            lengths[i, j] = lengths[j, i] = row[j] if mode == "distance" else 1.0
    np.fill_diagonal(lengths, 0.0)
    for j in range(len(X)):
        lengths = np.minimum(lengths, lengths[:, [j]] + lengths[[j]])
    return lengths


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
@pytest.mark.parametrize("k", [6, 39, 100])
def test_equals_floyd_and_warshall(k, metric, mode):
    X = rows(d=5)
    D = geodesic_distances(X, k, metric=metric, mode=mode)
    assert_allclose(D, floyd_warshall(X, k, mode, metric), atol=1e-10)
    if k >= 39:
        straight = 1.0 - np.eye(40) if mode == "connectivity" else pairwise_distances(X, metric=metric)
        assert (straight >= D - 1e-10).all()
        if metric == "euclidean":  # where the triangle inequality holds, the straight way is the shortest
            assert_allclose(D, straight, atol=1e-10)


def test_along_an_arc():
    angles = np.linspace(0.0, np.pi, 200)
    arc = np.column_stack([np.cos(angles), np.sin(angles)])
    assert_allclose(geodesic_distances(arc, 2)[0], angles, rtol=1e-3)


def test_parts_are_joined_by_their_shortest_links():
    line = np.array([0.0, 1.0, 2.0])
    X = np.concatenate([line, 10.0 + line, 100.0 + line])[:, None]
    with pytest.warns(UserWarning, match="falls into 3 parts"):
        D = geodesic_distances(X, 1)
    assert_allclose(D, abs(X - X.T))
    with pytest.warns(UserWarning, match="3 parts"):
        D = geodesic_distances(X, 1, mode="connectivity")
    assert_array_equal(D[0], np.arange(9.0))


def test_rows_that_occur_twice():
    X = np.repeat(rows(6), 3, axis=0)
    with pytest.warns(UserWarning, match="parts"):
        D = geodesic_distances(X, 2)
    same = np.repeat(np.arange(6), 3)
    assert_array_equal(D == 0, same[:, None] == same)
    assert np.isfinite(D).all()


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("d", [3, 40])  # trees, and brute force with its rounding
def test_rows_of_the_collection_get_their_own_distances(d, mode):
    X = rows(d=d)
    D = geodesic_distances(X, 7, mode=mode)
    assert_allclose(geodesic_to(X, X, D, 7, mode=mode), D, atol=1e-6)


def test_new_rows():
    X, new = rows(), rows(5, seed=1)
    D = geodesic_distances(X, 7)
    straight = pairwise_distances(new, X)
    found = geodesic_to(new, X, D, 4)
    for i in range(5):
        near = np.argsort(straight[i])[:4]
        assert_allclose(found[i], np.min([straight[i, k] + D[k] for k in near], axis=0))
    assert (found >= straight - 1e-12).all()
    assert_allclose(geodesic_to(new, X, D, 1000), (straight[:, :, None] + D[None]).min(axis=1))


def test_float32_and_tensors_stay():
    X = rows().astype(np.float32)
    D = geodesic_distances(X, 7)
    assert D.dtype == geodesic_to(X[:3], X, D, 7).dtype == np.float32
    assert_allclose(D, geodesic_distances(X.astype(np.float64), 7), rtol=1e-5)
    torch = pytest.importorskip("torch")
    tensor = geodesic_distances(torch.asarray(X), 7)
    assert tensor.dtype == torch.float32
    assert_array_equal(tensor.numpy(), D)
    assert isinstance(geodesic_to(torch.asarray(X[:3]), torch.asarray(X), tensor, 7), torch.Tensor)


def test_inputs_stay_as_they_are():
    X = rows()
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        D = geodesic_distances(X, 7)
    D.flags.writeable = False
    geodesic_to(X, X, D, 7)


@pytest.mark.parametrize("k", [0, -3])
def test_too_few_neighbours(k):
    with pytest.raises(ValueError, match="neighbour for every row"):
        geodesic_distances(rows(), k)


def test_bad_input():
    with pytest.raises(ValueError, match="neighbour for every row"):
        geodesic_distances(rows(1))
    with pytest.raises(ValueError, match="'distance' or 'connectivity'"):
        geodesic_distances(rows(), mode="steps")
    with pytest.raises(ValueError, match="'distance' or 'connectivity'"):
        geodesic_to(rows(), rows(), np.zeros((40, 40)), mode="steps")
    with pytest.raises(ValueError, match="NaN"):
        geodesic_distances(np.full((5, 2), np.nan), 2)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_a_large_mean_does_no_harm(mode):
    X, new = rows(60, 20), rows(5, 20, seed=1)
    D, far = (geodesic_distances(X + shift, 5, mode=mode) for shift in (0.0, 1e8))
    assert_allclose(far, D, rtol=1e-6)
    to, far_to = (geodesic_to(new + shift, X + shift, D, 5, mode=mode) for shift in (0.0, 1e8))
    assert_allclose(far_to, to, rtol=1e-6)
