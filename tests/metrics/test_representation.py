"""Representation metrics against definitions written out, closed forms and invariances."""

from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.cross_decomposition import CCA as NipalsCCA
from sklearn.linear_model import Ridge

from skalign.metrics.representation import (
    cka,
    cknna,
    cycle_knn,
    edit_distance_knn,
    hsic,
    hsic_test,
    linear_predictivity,
    mutual_knn,
    procrustes_similarity,
    pwcca,
    rsa,
    svcca,
)

torch = pytest.importorskip("torch")


def related(n=40, p=6, q=4, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X @ rng.normal(size=(p, q)) + noise * rng.normal(size=(n, q)) + 3.0


def binary(n=30, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 2, size=(n, d)).astype(float)
    return X, np.where(rng.random((n, d)) < 0.2, 1 - X, X)


# --- definitions -----------------------------------------------------------------------------------------------------


def hsic_unbiased(K, L):
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    one = np.ones(n)
    middle = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return (np.trace(K @ L) + middle - 2 / (n - 2) * one @ K @ L @ one) / (n * (n - 3))


def hsic_biased(K, L):
    H = np.eye(len(K)) - 1 / len(K)
    return np.trace(K @ H @ L @ H)


def rbf(X):
    D = cdist(X, X, "sqeuclidean")
    return np.exp(-D / (2 * D[~np.eye(len(X), dtype=bool)].mean()))


def ordered_neighbors(X, k, metric="cosine"):
    D = cdist(X, X, metric)
    np.fill_diagonal(D, np.inf)
    return np.argsort(D, axis=1, kind="stable")[:, :k]


def levenshtein(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1))
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i, j in product(range(len(a)), range(len(b))):
        table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + (a[i] != b[j]))
    return table[-1, -1]


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize(("kernel", "matrix"), [("linear", lambda X: X @ X.T), ("rbf", rbf)])
@pytest.mark.parametrize("shape", [(40, 6, 4), (12, 30, 7)])
def test_cka_and_hsic_are_their_definitions(shape, kernel, matrix, debiased):
    X, Y = related(*shape)
    K, L = matrix(X), matrix(Y)
    h = hsic_unbiased if debiased else hsic_biased
    expected = h(K, L) / np.sqrt(h(K, K) * h(L, L))
    assert cka(X, Y, kernel=kernel, debiased=debiased) == pytest.approx(expected, abs=1e-12)
    assert cka(K, L, kernel="precomputed", debiased=debiased) == pytest.approx(expected, abs=1e-12)
    assert cka(K, Y, kernel=("precomputed", kernel), debiased=debiased) == pytest.approx(expected, abs=1e-12)
    scale = 1 if debiased else (len(X) - 1) ** 2
    value = hsic(X, Y, kernel=kernel, debiased=debiased)
    assert value == pytest.approx(h(K, L) / scale, rel=1e-10)
    assert cka(X, Y, kernel=lambda A, B: A @ B.T) == pytest.approx(cka(X, Y), abs=1e-12)


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("shape", [(40, 6, 4), (40, 60, 4), (12, 30, 17), (300, 20, 30)])
def test_features_and_gram_give_the_same_cka(shape, debiased):
    X, Y = related(*shape)
    by_features = cka(X + 100, Y, solver="features", debiased=debiased)
    assert by_features == pytest.approx(cka(X + 100, Y, solver="gram", debiased=debiased), abs=1e-12)
    result = cka(X, Y, return_details=True)
    assert result.solver == ("features" if shape[0] > max(shape[1:]) else "gram")
    assert result.n_samples == shape[0]


def test_biased_cka_of_noise():
    rng = np.random.default_rng(0)
    n, p, q = 1000, 400, 700
    X, Y = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    assert cka(X, Y, debiased=False) == pytest.approx(1 / np.sqrt((1 + n / p) * (1 + n / q)), rel=0.01)
    assert abs(cka(X, Y)) < 0.01


def test_debiased_cka_of_noise_is_zero_on_average_and_negative_values_stay():
    rng = np.random.default_rng(0)
    scores = np.array([cka(*rng.normal(size=(2, 20, 10))) for _ in range(400)])
    assert abs(scores.mean()) < 4 * scores.std() / 20
    assert 0.3 < (scores < 0).mean() < 0.7


def test_minibatch_cka_averages_hsic():
    X, Y = related(100)
    parts = [slice(0, 25), slice(25, 50), slice(50, 75), slice(75, 100)]
    terms = [[hsic_unbiased(A[s] @ A[s].T, B[s] @ B[s].T) for s in parts] for A, B in ((X, Y), (X, X), (Y, Y))]
    xy, xx, yy = np.mean(terms, axis=1)
    result = cka(X, Y, batch_size=25, return_details=True)
    assert result.score == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-12)
    assert result.n_batches == 4
    assert cka(X, Y, batch_size=25, solver="gram") == pytest.approx(result.score, abs=1e-12)
    assert cka(X, Y, batch_size=100) == cka(X, Y)
    assert cka(X, Y, batch_size=30, return_details=True).n_batches == 3  # the last 10 join the third
    K, L = rbf(X), rbf(Y)
    terms = [[hsic_unbiased(A[s, s], B[s, s]) for s in parts] for A, B in ((K, L), (K, K), (L, L))]
    xy, xx, yy = np.mean(terms, axis=1)
    assert cka(X, Y, kernel="rbf", batch_size=25) == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-12)
    K = X @ X.T
    assert cka(K, Y, kernel=("precomputed", "linear"), batch_size=25) == pytest.approx(result.score, abs=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbour_scores_are_their_definitions(metric):
    X, Y = related(60)
    k = 5
    A, B = ordered_neighbors(X, k, metric), ordered_neighbors(Y, k, metric)
    mutual = [len(set(a) & set(b)) / k for a, b in zip(A, B)]
    cycle = [any(i in A[j] for j in B[i]) for i in range(60)]
    edit = [1 - levenshtein(a, b) / k for a, b in zip(A, B)]
    for function, expected in ((mutual_knn, mutual), (cycle_knn, cycle), (edit_distance_knn, edit)):
        result = function(X, Y, k=k, metric=metric, return_details=True)
        np.testing.assert_allclose(result.per_sample, np.asarray(expected, dtype=float), atol=1e-12)
        assert result.score == pytest.approx(np.mean(expected), abs=1e-12)
        assert result.n_samples == 60
        D = cdist(X, X, metric), cdist(Y, Y, metric)
        assert function(*D, k=k, metric="precomputed") == pytest.approx(result.score, abs=1e-12)
        assert function(X, D[1], k=k, metric=(metric, "precomputed")) == pytest.approx(result.score, abs=1e-12)
        assert function(X, Y, k=k, metric=lambda A, B: cdist(A, B, metric)) == pytest.approx(result.score, abs=1e-12)


def choices(D, i, k):
    """Every set of k nearest neighbours of row i that the distances allow, for integer distances."""
    others = [j for j in range(len(D)) if j != i]
    kth = np.sort(D[i, others])[k - 1]
    sure = [j for j in others if D[i, j] < kth]
    tied = [j for j in others if D[i, j] == kth]
    return [frozenset(sure) | set(some) for some in combinations(tied, k - len(sure))]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_ties_fall_at_random(k):
    X, Y = binary(14, 5)
    D, E = (cdist(Z, Z, "sqeuclidean") for Z in (X, Y))
    A, B = ([choices(M, i, k) for i in range(14)] for M in (D, E))
    mutual = [np.mean([[len(a & b) / k for a in A[i]] for b in B[i]]) for i in range(14)]
    back = np.array([[np.mean([i in a for a in A[j]]) for j in range(14)] for i in range(14)])  # i is a neighbour of j
    cycle = [np.mean([1 - np.prod([1 - back[i, j] for j in b]) for b in B[i]]) for i in range(14)]
    for function, expected in ((mutual_knn, mutual), (cycle_knn, cycle)):
        result = function(X, Y, k=k, metric="euclidean", return_details=True)
        np.testing.assert_allclose(result.per_sample, expected, atol=1e-12)
    assert max(len(sets) for sets in A + B) > 1


def test_edit_distance_of_ties_is_that_of_expected_costs():
    X, Y = binary(14, 5)
    k = 4

    def places(D, i):
        """Probability of every row to stand at each of the first k places."""
        values = D[i, np.arange(14) != i]
        P = np.zeros((k, 14))
        for value in np.unique(values):
            tied = np.flatnonzero((D[i] == value) & (np.arange(14) != i))
            first = (values < value).sum()
            P[first : min(first + len(tied), k), tied] = 1 / len(tied)
        return P

    expected = []
    for i in range(14):
        P, Q = (places(cdist(Z, Z, "sqeuclidean"), i) for Z in (X, Y))
        table = np.zeros((k + 1, k + 1))
        table[:, 0] = table[0] = np.arange(k + 1)
        for a, b in product(range(k), range(k)):
            substituted = table[a, b] + 1 - P[a] @ Q[b]
            table[a + 1, b + 1] = min(table[a, b + 1] + 1, table[a + 1, b] + 1, substituted)
        expected.append(1 - table[k, k] / k)
    result = edit_distance_knn(X, Y, k=k, metric="euclidean", return_details=True)
    np.testing.assert_allclose(result.per_sample, expected, atol=1e-12)


KNN = [mutual_knn, cycle_knn, edit_distance_knn, cknna]


@pytest.mark.parametrize("function", KNN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_order_of_rows_decides_no_tie(function, dtype):
    X, Y = (Z.astype(dtype) for Z in binary(200, 12))
    score = function(X, Y, k=10)
    rng = np.random.default_rng(0)
    for _ in range(5):
        p = rng.permutation(200)
        assert function(X[p], Y[p], k=10) == pytest.approx(score, abs=1e-12)
    # An ordinary sort would make much of equal positions: X against itself with rows in another order.
    assert 0.2 < mutual_knn(X, X, k=10) < 0.95


def test_the_null_of_mutual_knn_is_k_over_n_minus_1():
    rng = np.random.default_rng(0)
    scores = [mutual_knn(*rng.normal(size=(2, 50, 8)), k=5) for _ in range(300)]
    assert np.mean(scores) == pytest.approx(5 / 49, rel=0.03)
    X, Y = binary(40, 4)
    tied = [mutual_knn(X, Y[rng.permutation(40)], k=5) for _ in range(1000)]
    assert np.mean(tied) == pytest.approx(5 / 39, rel=0.03)
    assert mutual_knn(X, Y, k=5, return_details=True).chance == 5 / 39


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_duplicate_is_a_neighbour_and_not_oneself(metric):
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 4)) + 50, 2, axis=0)
    result = mutual_knn(X, X, k=1, metric=metric, return_details=True)
    np.testing.assert_array_equal(result.per_sample, 1.0)  # the other copy is the one nearest row, on both sides
    Y = np.random.default_rng(1).normal(size=(40, 4))
    assert mutual_knn(X, Y, k=1, metric=metric) < 0.3


def test_close_points_far_from_the_origin_have_neighbours_of_their_own():
    X, _ = related(60)
    assert mutual_knn(X, X + 1e5, metric="euclidean") == pytest.approx(1.0, abs=0.01)
    assert mutual_knn(X * 1e200, X, metric="cosine") == 1.0
    assert mutual_knn(X * 1e-200, X, metric="cosine") == 1.0


def test_cknna_is_its_definition():
    X, Y = related(50)
    X, Y = (Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (X, Y))
    K, L, k = X @ X.T, Y @ Y.T, 8

    def mask(K):
        M = np.zeros_like(K)
        np.put_along_axis(M, np.argsort(-(K - 10 * np.eye(50)), axis=1)[:, :k], 1.0, axis=1)
        return M

    def h(K, L):  # of matrices that are not symmetric
        m = mask(K) * mask(L)
        A, B = m * K, m * L
        middle = A.sum() * B.sum() / (49 * 48)
        return (A * B.T).sum() + middle - 2 / 48 * ((A @ B).sum() + (B @ A).sum()) / 2

    expected = h(K, L) / np.sqrt(h(K, K) * h(L, L))
    assert cknna(X, Y, k=k) == pytest.approx(expected, abs=1e-12)
    assert cknna(5 * X, Y, k=k) == pytest.approx(expected, abs=1e-12)
    assert cknna(K, L, k=k, kernel="precomputed") == pytest.approx(expected, abs=1e-12)
    assert cknna(X, Y, k=49, kernel="linear") == pytest.approx(cka(X, Y), abs=1e-10)
    shared = cknna(X, Y, k=k, return_details=True).n_shared
    assert shared == round(mutual_knn(X, Y, k=k) * 50 * k)


@pytest.mark.parametrize("compare", ["pearson", "spearman", "cosine"])
@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "sqeuclidean"])
def test_rsa_is_its_definition(metric, compare):
    X, Y = related(25)
    a, b = pdist(X, metric), pdist(Y, metric)
    expected = {
        "pearson": lambda: scipy.stats.pearsonr(a, b)[0],
        "spearman": lambda: scipy.stats.spearmanr(a, b)[0],
        "cosine": lambda: a @ b / np.sqrt(a @ a * (b @ b)),
    }[compare]()
    result = rsa(X, Y, metric=metric, compare=compare, return_details=True)
    assert result.score == pytest.approx(expected, abs=1e-12)
    assert (result.n_samples, result.n_pairs) == (25, 300)
    assert rsa(a, b, metric="precomputed", compare=compare) == pytest.approx(expected, abs=1e-12)
    assert rsa(squareform(a), b, metric="precomputed", compare=compare) == pytest.approx(expected, abs=1e-12)
    assert rsa(X, b, metric=(metric, "precomputed"), compare=compare) == pytest.approx(expected, abs=1e-12)
    given = rsa(X, Y, metric=lambda A, B: cdist(A, B, metric), compare=compare)
    assert given == pytest.approx(expected, abs=1e-12)


def test_equal_dissimilarities_share_their_rank_whatever_the_rounding():
    X, Y = (Z[np.ptp(Z, axis=1) > 0] for Z in binary(40))
    n = min(len(X), len(Y))
    X, Y = X[:n], Y[:n]
    score = rsa(X, Y)
    a, b = (np.round(pdist(Z, "correlation"), 10) for Z in (X, Y))
    assert score == pytest.approx(np.corrcoef(*(scipy.stats.rankdata(v) for v in (a, b)))[0, 1], abs=1e-12)
    order = np.random.default_rng(0).permutation(n)
    assert rsa(X[order], Y[order]) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 10, 150])
@pytest.mark.parametrize("offset", [0.0, 3.0, 30.0, 3000.0])
def test_neighbours_in_single_precision_are_those_in_double(offset, k, dtype):
    # From nearly orthogonal rows to rows that differ in angle by less than single precision can tell.
    rng = np.random.default_rng(0)
    X, Y = (rng.normal(size=(300, d)).astype(dtype) + dtype(offset) for d in (20, 64))
    A, B = (np.array([[a @ b for b in Z] for a in Z.astype(np.longdouble)]) for Z in (X, Y))
    masks = []
    for S in (A, B):
        lengths = np.sqrt(np.diag(S))
        S = S / lengths / lengths[:, None]
        np.fill_diagonal(S, -2)
        kth = np.sort(S, axis=1)[:, -k, None]
        masks.append(kth <= S)
    expected = (masks[0] & masks[1]).sum() / (300 * k)
    assert mutual_knn(X, Y, k=k) == pytest.approx(expected, abs=1e-12 if offset < 3000 else 1e-3)


@pytest.mark.parametrize("function", KNN)
@pytest.mark.parametrize("rows", ["noise", "offset", "ties", "duplicates"])
def test_neighbours_across_many_bands_are_those_of_one(function, rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 16))
    X = {"noise": X, "offset": X + 30, "ties": (X > 0).astype(float) + 0.5, "duplicates": np.repeat(X[:60], 5, 0)}[rows]
    Y = X * np.linspace(1, 2, 16)
    score = function(X, Y, k=3, metric=cosine_distances) if function is not cknna else cknna(X, Y, k=3, kernel=cosines)
    for chunk_size in (1, 13):  # bands of 17 and 62 rows
        assert function(X, Y, k=3, chunk_size=chunk_size) == pytest.approx(score, abs=1e-12)
        order = rng.permutation(300)
        assert function(X[order], Y[order], k=3, chunk_size=chunk_size) == pytest.approx(score, abs=1e-12)


def cosines(A, B):
    return A @ B.T / np.linalg.norm(A, axis=1)[:, None] / np.linalg.norm(B, axis=1)


def cosine_distances(A, B):
    return 1 - cosines(A, B)


def test_tensors_take_the_test():
    X, Y = related()
    for options in ({"n_permutations": 19, "random_state": 0}, {"method": "gamma"}):
        expected = hsic_test(X, Y, **options).pvalue
        assert hsic_test(torch.tensor(X), torch.tensor(Y), **options).pvalue == pytest.approx(expected, rel=1e-6)


# --- tests and maps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["permutation", "gamma"])
def test_hsic_test_has_its_level_and_power(method):
    rng = np.random.default_rng(0)
    null, power = [], []
    for seed in range(150):
        x, noise = rng.normal(size=(2, 40, 1))
        options = {"method": method, "n_permutations": 99, "random_state": seed}
        null.append(hsic_test(x, noise, **options).pvalue)
        if seed < 20:
            power.append(hsic_test(x, x**2 + 0.3 * noise, **options).pvalue)
    assert scipy.stats.kstest(null, "uniform").pvalue > 0.01
    assert np.mean(np.array(power) < 0.05) > 0.9


def test_hsic_test_permutes_what_hsic_measures():
    X, Y = related(30)
    result = hsic_test(X, Y, n_permutations=20, random_state=0)
    assert result.statistic == pytest.approx(hsic(X, Y), rel=1e-10)
    rng = np.random.RandomState(0)
    np.testing.assert_allclose(result.null, [hsic(X, Y[rng.permutation(30)]) for _ in range(20)], atol=1e-12)
    assert result.n_samples == 30
    biased = hsic_test(X, Y, method="gamma").statistic
    assert biased == pytest.approx(hsic(X, Y, debiased=False) * 29**2 / 30, rel=1e-10)


SPLIT = [(np.arange(60), np.arange(60, 100))]


def test_svcca_is_cca_of_principal_components_on_held_out_samples():
    X, Y = related(100, 8, 3)
    peer = NipalsCCA(3, max_iter=10_000, tol=1e-12).fit(X[:60], Y[:60])
    a, b = peer.transform(X[60:], Y[60:])
    expected = [np.corrcoef(u, v)[0, 1] for u, v in zip(a.T, b.T)]
    result = svcca(X, Y, variance=1.0, cv=SPLIT, return_details=True)
    assert result.score == pytest.approx(np.mean(expected), abs=1e-5)
    assert result.n_components == [3]
    assert result.n_samples == 100
    a = peer.transform(X[:60]) / np.linalg.norm(peer.transform(X[:60]), axis=0)
    weights = abs(a.T @ (X[:60] - X[:60].mean(axis=0))).sum(axis=1)
    assert pwcca(X, Y, variance=1.0, cv=SPLIT) == pytest.approx(np.average(expected, weights=weights), abs=1e-5)


@pytest.mark.parametrize("function", [svcca, pwcca, linear_predictivity])
def test_what_is_fitted_is_not_scored(function):
    # In sample all of these are 1.0 for independent noise this wide.
    X, Y = np.random.default_rng(0).normal(size=(2, 60, 100))
    assert function(X, Y) < 0.2
    assert function(X, X @ np.random.default_rng(1).normal(size=(100, 100))) > 0.05
    inside = [(np.arange(40), np.arange(30, 60))]
    with pytest.raises(ValueError, match="scores samples that it was fitted on"):
        function(X, Y, cv=inside)


@pytest.mark.parametrize("p", [5, 80])
@pytest.mark.parametrize("statistic", ["r2", "pearson"])
def test_linear_predictivity_is_ridge(p, statistic):
    X, Y = related(100, p, 3)
    alpha = 0.1
    C = np.cov(X[:60].T, bias=True) * 60
    penalty = alpha * np.trace(C) / min(60, p)
    P = Ridge(penalty).fit(X[:60], Y[:60]).predict(X[60:])
    errors, squares = ((Y[60:] - P) ** 2).sum(), ((Y[60:] - Y[:60].mean(axis=0)) ** 2).sum()
    r = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(P.T, Y[60:].T)])
    score = linear_predictivity(X, Y, alphas=[alpha], statistic=statistic, cv=SPLIT)
    assert score == pytest.approx(1 - errors / squares if statistic == "r2" else r, abs=1e-9)


@pytest.mark.parametrize("statistic", ["r2", "pearson"])
def test_linear_predictivity_has_no_unit(statistic):
    X, Y = related(60)
    score = linear_predictivity(X, Y, statistic=statistic)
    assert score > 0.1
    for unit in (1e-15, 1e15):
        assert linear_predictivity(unit * X, Y / unit, statistic=statistic) == pytest.approx(score)


def test_linear_predictivity_takes_the_penalty_that_generalises():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 40))
    clean, noisy = X @ rng.normal(size=(40, 2)), X[:, :1] + 5 * rng.normal(size=(100, 2))
    assert max(linear_predictivity(X, clean, return_details=True).alphas) < 0.01
    assert min(linear_predictivity(X, noisy, return_details=True).alphas) > 0.01


def test_procrustes_is_the_best_rotation():
    X, Y = related(30, 3, 3)
    A, B = (Z - Z.mean(axis=0) for Z in (X, Y))
    A, B = A / np.linalg.norm(A), B / np.linalg.norm(B)
    assert procrustes_similarity(X, Y) == pytest.approx(np.linalg.svd(A.T @ B)[1].sum(), abs=1e-12)
    disparity = scipy.spatial.procrustes(X, Y)[2]
    assert 1 - procrustes_similarity(X, Y) ** 2 == pytest.approx(disparity, abs=1e-12)
    wide = np.hstack([X, np.random.default_rng(1).normal(size=(30, 60))])
    Z = wide - wide.mean(axis=0)
    expected = np.linalg.svd((Z / np.linalg.norm(Z)).T @ B)[1].sum()
    result = procrustes_similarity(wide, Y, return_details=True)
    assert result.score == pytest.approx(expected, abs=1e-12)
    assert result.angle == pytest.approx(np.arccos(expected), abs=1e-12)


# --- laws ------------------------------------------------------------------------------------------------------------

ROTATION = {
    "cka": cka,
    "cka biased": lambda X, Y: cka(X, Y, debiased=False),
    "cka rbf": lambda X, Y: cka(X, Y, kernel="rbf"),
    "cknna": lambda X, Y: cknna(X, Y, k=5),
    "mutual": lambda X, Y: mutual_knn(X, Y, k=5),
    "mutual euclidean": lambda X, Y: mutual_knn(X, Y, k=5, metric="euclidean"),
    "cycle": lambda X, Y: cycle_knn(X, Y, k=2),
    "edit": lambda X, Y: edit_distance_knn(X, Y, k=5),
    "rsa": lambda X, Y: rsa(X, Y, metric="cosine"),
    "rsa euclidean": lambda X, Y: rsa(X, Y, metric="euclidean", compare="pearson"),
    "procrustes": procrustes_similarity,
    "svcca": svcca,
    "linear_predictivity": linear_predictivity,
}
ASYMMETRIC = {"cycle", "linear_predictivity"}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(20, 40), p=st.integers(2, 30), q=st.integers(2, 9))
@pytest.mark.parametrize("name", ROTATION)
def test_rotation_scale_order_and_symmetry(name, seed, n, p, q):
    score = ROTATION[name]
    X, Y = related(n, p, q, seed)
    rng = np.random.default_rng(seed)
    value = score(X, Y)
    rotation = np.linalg.qr(rng.normal(size=(p, p)))[0]
    assert score(7.0 * X @ rotation, 0.1 * Y) == pytest.approx(value, abs=1e-8)
    if name not in ASYMMETRIC:
        assert score(Y, X) == pytest.approx(value, abs=1e-8)
    if name not in ("svcca", "linear_predictivity"):  # their folds go by position
        order = rng.permutation(n)
        assert score(X[order], Y[order]) == pytest.approx(value, abs=1e-8)
        if name not in ASYMMETRIC:
            assert score(X, X) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("name", sorted(set(ROTATION) - {"svcca", "linear_predictivity"}))
def test_not_invariant_to_any_linear_map(name):
    X, _ = related(60)
    assert ROTATION[name](X, X @ np.diag([30.0, 10, 3, 1, 0.3, 0.1])) < 0.95


ALL = [cka, cknna, cycle_knn, edit_distance_knn, hsic, linear_predictivity, mutual_knn, procrustes_similarity, pwcca,
       rsa, svcca]  # fmt: skip


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("shape", [(60, 6, 4), (30, 50, 40)])
def test_tensors_give_what_arrays_give(function, shape):
    X, Y = related(*shape)
    value = function(X, Y)
    assert isinstance(value, float)
    assert function(torch.tensor(X), torch.tensor(Y)) == pytest.approx(value, abs=1e-10)
    assert function(torch.tensor(X, requires_grad=True), Y) == pytest.approx(value, abs=1e-10)
    single = function(X.astype(np.float32), Y.astype(np.float32))
    assert single == pytest.approx(value, abs=1e-4)
    assert function(torch.tensor(X).float(), torch.tensor(Y).float()) == pytest.approx(single, abs=1e-10)
    assert function(X.tolist(), Y.tolist()) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("options", [{"kernel": "rbf"}, {"solver": "gram"}, {"kernel": "cosine", "debiased": False}])
def test_tensors_take_the_other_ways_of_cka(options):
    X, Y = related()
    expected = cka(X, Y, **options)
    assert cka(torch.tensor(X), torch.tensor(Y), **options) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_tensors_take_other_metrics(metric):
    X, Y = related()
    if metric == "precomputed":
        X, Y = (cdist(Z, Z) for Z in (X, Y))
    for function in (mutual_knn, rsa):
        expected = function(X, Y, metric=metric)
        assert function(torch.tensor(X), torch.tensor(Y), metric=metric) == pytest.approx(expected, abs=1e-10)
    condensed = torch.tensor(squareform(X, checks=False)) if metric == "precomputed" else None
    if condensed is not None:
        assert rsa(condensed, Y, metric=metric) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("shape", [(60, 6, 4), (30, 50, 40)])
def test_no_score_depends_on_the_chunk_size(function, shape):
    X, Y = related(*shape)
    value = function(X, Y)
    for chunk_size in (1, 7, 1000):
        assert function(X, Y, chunk_size=chunk_size) == pytest.approx(value, abs=1e-11)
    if function in (cka, hsic):
        rbf = function(X, Y, kernel="rbf")
        assert function(X, Y, kernel="rbf", chunk_size=7) == pytest.approx(rbf, abs=1e-12)
    if function is rsa:
        for compare in ("pearson", "cosine"):
            expected = rsa(X, Y, compare=compare)
            assert rsa(X, Y, compare=compare, chunk_size=7) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("function", ALL)
def test_inputs_stay_as_they_are(function):
    X, Y = related(60, 6, 4)
    copies = X.copy(), Y.copy()
    X.flags.writeable = Y.flags.writeable = False
    function(X, Y)
    np.testing.assert_array_equal(X, copies[0])
    np.testing.assert_array_equal(Y, copies[1])
