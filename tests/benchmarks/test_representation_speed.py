"""Representation metrics against dense formulas: time, and memory beside the input."""

import functools

import numpy as np
import pytest

from skalign.metrics.representation import cka, cknna, mutual_knn, permutation_calibrate

pytestmark = pytest.mark.slow
FAMILY = "emergent alignment"

MAKE = """
def make(n):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, width), dtype=np.{dtype}) for width in {widths}]
"""


def noise(n, p, q, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p), dtype=dtype), rng.standard_normal((n, q), dtype=dtype)


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
def test_mutual_knn_takes_no_longer_than_the_dense_form(dtype, bench, pick):
    n = pick(10_000, 1_500)
    X, Y = noise(n, 384, 1024, dtype)
    bench.compare(
        "mutual_knn",
        lambda: mutual_knn(X, Y),
        {"dense formula, partition": lambda: dense_mutual_knn(X, Y, 10, "partition")},
        size=f"{n:,} × (384 + 1,024), {np.dtype(dtype).name}",
        same=1e-4,
        bars={"dense formula, partition": 1},
    )


def test_cka_by_features_is_eight_times_faster_than_by_gram_matrices(bench, pick):
    n = pick(10_000, 2_000)
    X, Y = noise(n, 384, 1024)
    bench.compare(
        "cka",
        lambda: cka(X, Y),
        {"by Gram matrices": lambda: cka(X, Y, solver="gram")},
        size=f"{n:,} × (384 + 1,024)",
        same=1e-12,
        bars={"by Gram matrices": 8},
    )


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "tolerance", "bar"),
    [
        ("cka", cka, dense_cka, 1e-10, 25),
        ("cknna", cknna, functools.partial(dense_cknna, k=10), 0.01, 15),
        ("mutual_knn", mutual_knn, functools.partial(dense_mutual_knn, k=10, select="sort"), 1e-12, 3),
    ],
    ids=["cka", "cknna", "mutual_knn"],
)
def test_faster_than_the_published_formulas(name, ours, theirs, tolerance, bar, bench, pick):
    """The goal was 25 times for all; the product of all rows alone bounds mutual nearest neighbours at about 8."""
    n = pick(4_000, 800)
    X, Y = noise(n, 384, 1024)
    Y[:, :384] += X
    bench.compare(
        name,
        lambda: ours(X, Y),
        {"dense formula": lambda: theirs(X, Y)},
        size=f"{n:,} × (384 + 1,024)",
        same=tolerance,
        bars={"dense formula": bar},
        goals={"dense formula": 25} if bar < 25 else None,
    )


def test_mutual_knn_beside_its_products_alone(bench, pick):
    """The floor: every pair of rows once, in single precision, and nothing done with it."""
    n, block = pick(4_000, 800), 400
    X, Y = noise(n, 384, 1024)

    def products():
        for Z in (X.astype(np.float32), Y.astype(np.float32)):
            for start in range(0, n, block):
                Z[start : start + block] @ Z[start:].T

    size = f"{n:,} × (384 + 1,024)"
    bench.compare("mutual_knn", lambda: mutual_knn(X, Y), {"products alone": products}, size=size, same=only_time)


def only_time(ours, theirs):
    """A floor has no answer."""


def test_narrow_features_are_cheap(bench, pick):
    n = pick(1_000, 300)
    X, Y = noise(n, 64, 64)
    bench.compare("cka", lambda: cka(X, Y), {}, size=f"{n:,} × (64 + 64)")


@pytest.mark.parametrize(
    ("name", "width", "bar"),
    [
        ("mutual_knn", 384, 50), ("mutual_knn, ties", 384, 50), ("cka", 8, None), ("cka", 64, None), ("cka", 128, None),
        ("cka", 256, None), ("cka", 384, None), ("cka", 512, 10), ("cka", 1024, 10),
    ],
    ids=lambda value: str(value),
)  # fmt: skip
def test_permuting_is_faster_than_recomputing(name, width, bar, bench, quick):
    """The goal for CKA was 10 times at every width; narrow features are cheap to begin with."""
    n, n_permutations = (200, 20) if quick else (1_000, 200)
    X, Y = noise(n, width, width)
    metric, ties = name.split(",")[0], "ties" in name
    if ties:
        X, Y = (X[:, :64] > 0).astype(float), (Y[:, :64] > 0).astype(float)
    function = {"mutual_knn": mutual_knn, "cka": cka}[metric]
    bench.compare(
        f"permutation_calibrate, {name}",
        lambda: permutation_calibrate(metric, X, Y, n_permutations, random_state=0).null,
        {"computing anew": lambda: permutation_calibrate(function, X, Y, n_permutations, random_state=0).null},
        size=f"{n:,} × {X.shape[1]:,} twice, {n_permutations} permutations",
        same=1e-12,
        bars=bar and {"computing anew": bar},
        goals=None if bar else {"computing anew": 10},
    )


# --- memory ----------------------------------------------------------------------------------------------------------


def memory(bench, what, call, n, widths, dtype, at_most):
    bench.memory(
        what,
        ("from skalign.metrics.representation import cka, mutual_knn", call),
        {},
        make=MAKE.format(dtype=dtype, widths=widths),
        n=n,
        size=f"{n:,} × ({widths[0]:,} + {widths[1]:,}), {dtype}",
        traced=True,
        at_most=at_most,
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", ["mutual_knn", "cka"])
def test_ten_thousand_samples_take_sixty_megabytes(function, dtype, bench, pick):
    memory(bench, function, function, pick(10_000, 2_000), (384, 1024), dtype, 60)


@pytest.mark.parametrize("options", ["", ", kernel='rbf', batch_size=1_000"], ids=["linear", "rbf"])
def test_a_hundred_thousand_samples_take_no_more(options, bench, pick):
    call = f"lambda X, Y: cka(X, Y{options})"
    what = f"cka{', rbf, batches of 1,000' if options else ''}"
    memory(bench, what, call, pick(100_000, 3_000), (512, 512), "float32", 60)


def test_neighbours_of_a_hundred_thousand_samples_take_chunks(bench, pick):
    """A matrix would have 80,000 MB."""
    memory(bench, "mutual_knn", "mutual_knn", pick(100_000, 5_000), (512, 512), "float32", 200)
