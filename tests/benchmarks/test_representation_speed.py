"""Representation metrics against dense formulas: time, and memory beside the input."""

import time
import tracemalloc

import numpy as np
import pytest

from skalign.metrics.representation import cka, cknna, mutual_knn, permutation_calibrate

pytestmark = pytest.mark.slow

MB = 1e6


def noise(n, p, q, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p), dtype=dtype), rng.standard_normal((n, q), dtype=dtype)


def timed(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def peak_megabytes(call):
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / MB


# --- the dense formulas ----------------------------------------------------------------------------------------------


def dense_mutual_knn(X, Y, k, select):
    masks = []
    for Z in (X, Y):
        Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
        S = Z @ Z.T
        np.fill_diagonal(S, -1e8)
        nearest = np.argsort(-S, axis=1)[:, :k] if select == "sort" else np.argpartition(-S, k, axis=1)[:, :k]
        mask = np.zeros_like(S)
        np.put_along_axis(mask, nearest, 1.0, axis=1)
        masks.append(mask)
    return ((masks[0] * masks[1]).sum(axis=1) / k).mean()


def dense_hsic(K, L):
    m = len(K)
    K, L = K.copy(), L.copy()
    np.fill_diagonal(K, 0.0)
    np.fill_diagonal(L, 0.0)
    value = (K * L.T).sum() + K.sum() * L.sum() / ((m - 1) * (m - 2)) - 2 * (K @ L).sum() / (m - 2)
    return value / (m * (m - 3))


def dense_cka(X, Y):
    K, L = X @ X.T, Y @ Y.T
    return dense_hsic(K, L) / np.sqrt(dense_hsic(K, K) * dense_hsic(L, L))


def dense_cknna(X, Y, k):
    X, Y = (Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (X, Y))

    def local(K, L):
        masks = []
        for Z in (K, L):
            Z = Z.copy()
            np.fill_diagonal(Z, -np.inf)
            mask = np.zeros_like(Z)
            np.put_along_axis(mask, np.argpartition(-Z, k, axis=1)[:, :k], 1.0, axis=1)
            masks.append(mask)
        both = masks[0] * masks[1]
        return dense_hsic(both * K, both * L)

    K, L = X @ X.T, Y @ Y.T
    return local(K, L) / np.sqrt(local(K, K) * local(L, L))


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mutual_knn_takes_no_longer_than_the_dense_form(dtype):
    X, Y = noise(10_000, 384, 1024, dtype)
    ours, mine = timed(lambda: mutual_knn(X, Y))
    theirs, its = timed(lambda: dense_mutual_knn(X, Y, 10, "partition"))
    print(f"mutual kNN, {np.dtype(dtype)}: {mine:.2f} s, dense {its:.2f} s")
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert mine <= its, f"{mine / its:.2f} times the dense form"


def test_cka_by_features_is_eight_times_faster_than_by_gram_matrices():
    X, Y = noise(10_000, 384, 1024)
    ours, mine = min((timed(lambda: cka(X, Y)) for _ in range(2)), key=lambda pair: pair[1])
    theirs, its = timed(lambda: cka(X, Y, solver="gram"))
    print(f"CKA: {mine:.2f} s, by Gram matrices {its:.2f} s: {its / mine:.1f} times")
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert its >= 8 * mine, f"only {its / mine:.1f} times faster"


def test_faster_than_the_published_formulas():
    X, Y = noise(4_000, 384, 1024)
    Y[:, :384] += X
    cases = {
        "CKA": (lambda: cka(X, Y), lambda: dense_cka(X, Y), 1e-10, 25),
        "CKNNA": (lambda: cknna(X, Y), lambda: dense_cknna(X, Y, 10), 0.01, 15),
        "mutual kNN": (lambda: mutual_knn(X, Y), lambda: dense_mutual_knn(X, Y, 10, "sort"), 1e-12, 3),
    }
    for name, (our_call, their_call, tolerance, factor) in cases.items():
        ours, mine = min((timed(our_call) for _ in range(3)), key=lambda pair: pair[1])
        theirs, its = timed(their_call)
        print(f"{name}: {mine:.3f} s, dense {its:.2f} s: {its / mine:.1f} times")
        assert ours == pytest.approx(theirs, abs=tolerance)
        assert its >= factor * mine, f"{name}: only {its / mine:.1f} times faster"


@pytest.mark.parametrize(
    ("name", "function", "width", "factor", "tied"),
    [
        ("mutual_knn", mutual_knn, 384, 50, False),
        ("mutual_knn", mutual_knn, 384, 50, True),
        ("cka", cka, 512, 10, False),
    ],
)
def test_permuting_is_faster_than_recomputing(name, function, width, factor, tied):
    X, Y = noise(1_000, width, width)
    if tied:
        X, Y = (X[:, :64] > 0).astype(float), (Y[:, :64] > 0).astype(float)
    ours, mine = timed(lambda: permutation_calibrate(name, X, Y, 200, random_state=0))
    few = 20
    theirs, its = timed(lambda: permutation_calibrate(function, X, Y, few, random_state=0))
    its *= 201 / (few + 1)
    print(f"{name}, 200 permutations{', ties' if tied else ''}: {mine:.3f} s, recomputed {its:.1f} s: {its / mine:.0f}")
    np.testing.assert_allclose(ours.null[:few], theirs.null, atol=1e-12)
    assert its >= factor * mine, f"only {its / mine:.1f} times faster"


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("function", [mutual_knn, cka])
def test_ten_thousand_samples_take_sixty_megabytes(function, dtype):
    X, Y = noise(10_000, 384, 1024, dtype)
    peak = peak_megabytes(lambda: function(X, Y))
    print(f"{function.__name__}, {np.dtype(dtype)}: {peak:.1f} MB")
    assert peak < 60


def test_a_hundred_thousand_samples_take_no_more():
    X, Y = noise(100_000, 512, 512, np.float32)
    for options in ({}, {"kernel": "rbf", "batch_size": 1_000}):
        seconds = timed(lambda options=options: cka(X, Y, **options))[1]
        peak = peak_megabytes(lambda options=options: cka(X, Y, **options))
        print(f"CKA {options} of 100,000 x 512: {seconds:.1f} s, {peak:.1f} MB beside the {2 * X.nbytes / MB:.0f} MB")
        assert peak < 60


def test_neighbours_of_a_hundred_thousand_samples_take_chunks():
    X, Y = noise(100_000, 512, 512, np.float32)
    start = time.perf_counter()
    peak = peak_megabytes(lambda: mutual_knn(X, Y))
    print(f"mutual kNN of 100,000 x 512: {time.perf_counter() - start:.0f} s, {peak:.0f} MB; a matrix has 80,000 MB")
    assert peak < 200
