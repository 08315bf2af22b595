from functools import partial
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from skalign.metrics import (
    foscttm,
    match_ranks,
    mean_average_precision,
    mean_reciprocal_rank,
    median_rank,
    pairwise_similarity,
    recall_at_k,
    retrieval_report,
)
from skalign.metrics._ranking import Ranking

torch = pytest.importorskip("torch")

ONE_WAY = {"direction": "a_to_b"}


def every_order(scores, right):
    """Rank of the first right answer and average precision of one query, in all orders of its candidates."""
    ranks, precisions = [], []
    for order in map(list, permutations(range(len(scores)))):
        hits = right[order][np.argsort(-scores[order], kind="stable")]
        places = np.flatnonzero(hits) + 1
        ranks.append(places[0])
        precisions.append(np.mean(np.arange(1, len(places) + 1) / places))
    return np.array(ranks), np.mean(precisions)


def tied_similarity(n_a=9, n_b=5, seed=0):
    return np.random.default_rng(seed).integers(0, 3, size=(n_a, n_b)).astype(float)


def embeddings(n=60, d=4, noise=1.0, seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, d))
    return Z.astype(dtype), (Z + noise * rng.normal(size=(n, d))).astype(dtype)


# --- oracles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("grouped", [False, True])
def test_ties_are_expectations_over_all_orders(seed, grouped):
    rng = np.random.default_rng(seed)
    if grouped:
        S, groups_b = tied_similarity(seed=seed), np.array([0, 0, 1, 1, 1])
        groups = rng.integers(0, 2, size=len(S))
    else:
        S, groups, groups_b = tied_similarity(5, 5, seed), np.arange(5), np.arange(5)
    ranks, precisions = zip(*(every_order(s, groups_b == g) for s, g in zip(S, groups)))
    data = dict(similarity=S, direction="a_to_b", **(dict(groups=groups, groups_b=groups_b) if grouped else {}))
    np.testing.assert_allclose(match_ranks(**data), [r.mean() for r in ranks], rtol=1e-13)
    assert median_rank(**data) == pytest.approx(np.median([r.mean() for r in ranks]), rel=1e-13)
    assert mean_reciprocal_rank(**data) == pytest.approx(np.mean([(1 / r).mean() for r in ranks]), rel=1e-13)
    for k in range(1, 8):
        assert recall_at_k(**data, k=k) == pytest.approx(np.mean([(r <= k).mean() for r in ranks]), rel=1e-13)
    value = mean_average_precision(None, None, groups, groups_b, similarity=S, direction="a_to_b")
    assert value == pytest.approx(np.mean(precisions), rel=1e-13)


def test_against_sorting_without_ties():
    Z_a, Z_b = embeddings()
    S = pairwise_similarity(Z_a, Z_b)
    np.testing.assert_array_equal(match_ranks(Z_a, Z_b), np.diag(rankdata(-S, axis=1)))
    np.testing.assert_array_equal(match_ranks(Z_a, Z_b, direction="b_to_a"), np.diag(rankdata(-S.T, axis=1)))
    one_right = label_ranking_average_precision_score(np.eye(60), S)
    assert mean_reciprocal_rank(Z_a, Z_b, **ONE_WAY) == pytest.approx(one_right, rel=1e-12)


def test_average_precision_against_sklearn_without_ties():
    Z_a, Z_b = embeddings()
    labels, labels_b = np.arange(60) % 4, np.arange(60) % 5 % 4
    S = pairwise_similarity(Z_a, Z_b)
    for value, scores, a, b in [
        (mean_average_precision(Z_a, Z_b, labels, labels_b, direction="a_to_b"), S, labels, labels_b),
        (mean_average_precision(Z_a, Z_b, labels, labels_b, direction="b_to_a"), S.T, labels_b, labels),
    ]:
        assert value == pytest.approx(
            np.mean([average_precision_score(b == c, s) for c, s in zip(a, scores)]), rel=1e-12
        )


@pytest.mark.parametrize("n", [1, 2, 7, 60, 1000])
def test_constant_similarity_is_exactly_chance(n):
    rows = np.random.default_rng(n).uniform(0.1, 9, size=(n, 1)) * np.array([0.3, -0.7, 1.1])
    for data in ({"similarity": np.full((n, n), 0.1)}, {"Z_a": rows, "Z_b": rows[::-1]}):  # collinear: cosine 1
        for k in {1, (n + 1) // 2, n, n + 3}:
            assert recall_at_k(**data, k=k) == pytest.approx(min(k / n, 1), rel=1e-12)
        assert median_rank(**data) == (n + 1) / 2
        assert mean_reciprocal_rank(**data) == pytest.approx((1 / np.arange(1, n + 1)).mean(), rel=1e-12)


def test_chance_level_of_a_random_similarity():
    rng = np.random.default_rng(0)
    report = retrieval_report(similarity=rng.normal(size=(500, 500)), groups=np.arange(500) // 5)
    for name, chance in report["chance"]["both"].items():
        assert report["both"][name] == pytest.approx(chance, rel=0.35), name


def test_csls_and_inverted_softmax_by_definition():
    Z_a, Z_b = embeddings(noise=2.0)
    S = pairwise_similarity(Z_a, Z_b)
    near_a, near_b = np.sort(S, axis=1)[:, -3:].mean(axis=1), np.sort(S, axis=0)[-3:].mean(axis=0)
    csls = 2 * S - near_a[:, None] - near_b
    E = np.exp(20 * S)
    for direction, softmax in [("a_to_b", E / E.sum(axis=0)), ("b_to_a", (E / E.sum(axis=1, keepdims=True)))]:
        for options, expected in [
            ({"normalization": "csls", "n_neighbors": 3}, csls),
            ({"normalization": "inverted_softmax", "beta": 20}, softmax),
        ]:
            plain = match_ranks(similarity=expected, direction=direction)
            np.testing.assert_array_equal(match_ranks(Z_a, Z_b, direction=direction, **options), plain)
            np.testing.assert_array_equal(match_ranks(similarity=S, direction=direction, **options), plain)
            assert (plain != match_ranks(Z_a, Z_b, direction=direction)).any()


def test_csls_takes_a_hub_down():
    Z_a, Z_b = embeddings(n=80, d=10, noise=0.7)
    Z_b = Z_b + 4 * Z_a.mean(axis=0)
    Z_b[0] = Z_a.mean(axis=0)
    assert recall_at_k(Z_a, Z_b, normalization="csls") > recall_at_k(Z_a, Z_b)


def test_more_neighbours_than_rows_is_all_rows():
    Z_a, Z_b = embeddings(n=6)
    few, many = (match_ranks(Z_a, Z_b, normalization="csls", n_neighbors=k) for k in (6, 99))
    np.testing.assert_array_equal(few, many)


# --- what a metric must not depend on --------------------------------------------------------------------------------


def all_metrics(Z_a=None, Z_b=None, groups=None, groups_b=None, **options):
    labels = np.arange(len(Z_a)) % 3 if groups is None and Z_a is not None else groups
    values = [f(Z_a, Z_b, groups=groups, groups_b=groups_b, **options) for f in (recall_at_k, median_rank)]
    values.append(recall_at_k(Z_a, Z_b, k=5, groups=groups, groups_b=groups_b, **options))
    values.append(mean_reciprocal_rank(Z_a, Z_b, groups=groups, groups_b=groups_b, **options))
    values.append(mean_average_precision(Z_a, Z_b, labels, groups_b, **options))
    assert all(type(value) is float for value in values)
    return values


@pytest.mark.parametrize("function", ["cosine", "dot", "rbf", "exponential", "laplacian", lambda X, Y: X @ Y.T])
@pytest.mark.parametrize("normalization", [None, "csls", "inverted_softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_do_not_matter(function, normalization, dtype):
    Z_a, Z_b = embeddings(n=50, dtype=dtype)
    Z_a[10:15], Z_b[3:33] = Z_a[0], Z_b[0]  # collapsed rows tie
    options = {"function": function, "normalization": normalization}
    whole = all_metrics(Z_a, Z_b, **options, chunk_size=50)
    for chunk_size in (None, 1, 7, 49, 1000):
        assert all_metrics(Z_a, Z_b, **options, chunk_size=chunk_size) == pytest.approx(whole, rel=1e-12)
    groups, groups_b = np.arange(50) % 7, np.arange(40) % 7
    whole = all_metrics(Z_a, Z_b[:40], groups, groups_b, **options)
    assert all_metrics(Z_a, Z_b[:40], groups, groups_b, **options, chunk_size=3) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("function", ["cosine", "dot", "rbf", "exponential"])
def test_rounding_does_not_break_ties(function, scale):
    # The same inner products come from differently ordered coordinates, and with other last digits.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1000))
    y = rng.normal(size=1000)
    candidates = np.stack([np.roll(y, shift) for shift in range(40)])
    queries = np.repeat(x[:, :1], 1000, axis=1) * scale  # constant rows see all candidates alike
    assert median_rank(queries, candidates, function=function, direction="a_to_b") == 20.5


@pytest.mark.parametrize("normalization", [None, "csls", "inverted_softmax"])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_torch_equals_numpy(normalization, chunk_size):
    for dtype in (np.float32, np.float64):
        Z_a, Z_b = embeddings(dtype=dtype)
        Z_b[5:9] = Z_b[0]
        options = {"normalization": normalization, "chunk_size": chunk_size}
        tensors = torch.tensor(Z_a, requires_grad=True), torch.tensor(Z_b)
        assert all_metrics(*tensors, **options) == pytest.approx(all_metrics(Z_a, Z_b, **options), rel=1e-12)
        S = pairwise_similarity(Z_a, Z_b)
        for groups in (None, np.arange(60) // 2):
            expected = retrieval_report(similarity=S, groups=groups, **options)
            assert retrieval_report(similarity=torch.tensor(S), groups=groups, **options) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_equals_numpy():
    Z_a, Z_b = embeddings(dtype=np.float32)
    tensors = torch.tensor(Z_a, device="cuda"), torch.tensor(Z_b, device="cuda")
    for function in ("cosine", "rbf", "laplacian", "polynomial"):
        assert pairwise_similarity(*tensors, function).is_cuda
        for normalization in (None, "csls", "inverted_softmax"):
            options = {"function": function, "normalization": normalization, "groups": np.arange(60) // 2}
            expected = retrieval_report(Z_a, Z_b, **options)
            for way, values in retrieval_report(*tensors, **options).items():
                assert way == "chance" or values == pytest.approx(expected[way], rel=1e-12)


def test_kinds_of_input_agree():
    Z_a, Z_b = embeddings(n=20)
    expected = retrieval_report(Z_a, Z_b)
    for make in (pd.DataFrame, np.ndarray.tolist, sp.csr_matrix, sp.coo_array, partial(np.asarray, order="F")):
        assert retrieval_report(make(Z_a), make(Z_b)) == expected
    S = pairwise_similarity(Z_a, Z_b)
    for make in (pd.DataFrame, np.ndarray.tolist, partial(np.asarray, order="F")):
        assert retrieval_report(similarity=make(S)) == expected


def test_inputs_stay_as_they_are():
    S = tied_similarity(6, 6)
    Z_a, Z_b = embeddings(n=6)
    copies = [Z.copy() for Z in (S, Z_a, Z_b)]
    for Z in (S, Z_a, Z_b):
        Z.flags.writeable = False
    for normalization in (None, "csls", "inverted_softmax"):
        mean_average_precision(similarity=S, labels=[0, 0, 0, 1, 1, 1], normalization=normalization)
        retrieval_report(similarity=S, normalization=normalization)
        retrieval_report(Z_a, Z_b, normalization=normalization)
    for Z, copy in zip((S, Z_a, Z_b), copies):
        np.testing.assert_array_equal(Z, copy)


similarities = arrays(float, (6, 6), elements=st.integers(-3, 3).map(float))


@given(similarities, st.permutations(range(6)), st.permutations(range(6)))
def test_order_of_rows_does_not_matter(S, queries, candidates):
    groups = np.array([0, 0, 1, 2, 2, 2])
    ranks = match_ranks(similarity=S, groups=groups)
    shuffled = S[queries][:, candidates]
    labels = {"groups": groups[queries], "groups_b": groups[candidates]}
    np.testing.assert_array_equal(match_ranks(similarity=shuffled, **labels), ranks[queries])
    assert mean_average_precision(
        similarity=shuffled, labels=labels["groups"], labels_b=labels["groups_b"]
    ) == pytest.approx(mean_average_precision(similarity=S, labels=groups), rel=1e-12)


@given(similarities)
def test_monotone_transforms_do_not_matter(S):
    expected = retrieval_report(similarity=S, groups=[0, 0, 1, 1, 2, 3])
    for T in (np.exp(S), 1e-300 * S, 1e6 + S, S**3):
        assert retrieval_report(similarity=T, groups=[0, 0, 1, 1, 2, 3]) == expected


@given(similarities, st.integers(1, 6))
def test_bounds_and_order_of_metrics(S, k):
    recall, more = recall_at_k(similarity=S, k=k), recall_at_k(similarity=S, k=k + 1)
    assert 0 <= recall <= more <= 1 + 1e-12
    assert 1 <= median_rank(similarity=S) <= 6
    one, both = recall_at_k(similarity=S, k=1), mean_reciprocal_rank(similarity=S)
    assert one - 1e-12 <= both <= 1 + 1e-12
    # A right answer that gets better makes nothing worse.
    assert recall_at_k(similarity=S + np.eye(6), k=k) >= recall - 1e-12


# --- directions, groups ----------------------------------------------------------------------------------------------


def test_directions_and_their_mean():
    S = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.6], [0.5, 0.3, 0.4]])
    np.testing.assert_array_equal(match_ranks(similarity=S), [1, 2, 2])
    np.testing.assert_array_equal(match_ranks(similarity=S, direction="b_to_a"), [1, 3, 3])
    ways = [mean_reciprocal_rank(similarity=S, direction=d) for d in ("a_to_b", "b_to_a", "both")]
    assert ways == pytest.approx([2 / 3, 5 / 9, 11 / 18])
    assert median_rank(similarity=S) == 2.5


@pytest.mark.parametrize("chunk_size", [None, 300, 7])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, sp.csr_array, lambda Z: np.asarray(Z, np.float32)],
                         ids=["numpy", "torch", "sparse", "float32"])  # fmt: skip
@pytest.mark.parametrize("function", ["cosine", "dot", "rbf"])
def test_both_ways_at_once_are_the_two_ways(function, kind, chunk_size):
    Z_a, Z_b = embeddings(n=700, d=3)
    Z_a[10:40], Z_b[100:400] = Z_a[0], Z_b[0]  # collapsed rows tie
    Z_a[500:510] = Z_b[505:520] = 0.0
    ranking = Ranking(kind(Z_a), kind(Z_b), function=function, chunk_size=chunk_size)
    for way, ranks in ranking.ranks_by_way("both").items():
        expected = ranking.ranks(way)
        for name in ("better", "tied_wrong", "tied_right"):
            np.testing.assert_array_equal(getattr(ranks, name), getattr(expected, name))


@pytest.mark.parametrize("chunk_size", [None, 300, 7])
def test_both_ways_of_a_matrix_that_is_not_altered(chunk_size):
    S = tied_similarity(700, 700)
    S.flags.writeable = False
    for own in (S, torch.tensor(S)):
        ranking = Ranking(similarity=own, chunk_size=chunk_size)
        for way, ranks in ranking.ranks_by_way("both").items():
            np.testing.assert_array_equal(ranks.mean_rank(), ranking.ranks(way).mean_rank())
            np.testing.assert_array_equal(ranks.mean_rank(), match_ranks(similarity=S, direction=way))


def test_five_captions_for_each_image():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(30, 6))
    captions = np.repeat(images, 5, axis=0) + rng.normal(size=(150, 6))
    groups, groups_b = [f"img{i}" for i in range(30)], np.array([f"img{i // 5}" for i in range(150)])
    report = retrieval_report(images, captions, groups=groups, groups_b=groups_b)
    S = pairwise_similarity(images, captions)
    right = np.repeat(np.eye(30, dtype=bool), 5, axis=1)
    best = np.where(right, S, -2).max(axis=1)
    first = 1 + (np.where(right, -2, S) > best[:, None]).sum(axis=1)
    assert report["a_to_b"]["recall_at_1"] == np.mean(first == 1)
    assert report["b_to_a"]["recall_at_1"] == np.mean(S.argmax(axis=0) == np.arange(150) // 5)
    assert (report["a_to_b"]["n_queries"], report["a_to_b"]["n_candidates"]) == (30, 150)
    assert (report["b_to_a"]["n_queries"], report["b_to_a"]["n_candidates"]) == (150, 30)
    assert report["chance"]["b_to_a"]["recall_at_10"] == pytest.approx(1 / 3)
    assert report["a_to_b"]["mean_average_precision"] == pytest.approx(
        mean_average_precision(images, captions, groups, groups_b, direction="a_to_b")
    )


def test_unlike_group_sizes_in_one_chunk():
    S = tied_similarity(5, 6, seed=3)
    groups, groups_b = np.array([0, 1, 2, 1, 0]), np.array([0, 1, 1, 1, 2, 1])
    expected = [every_order(s, groups_b == g) for s, g in zip(S, groups)]
    np.testing.assert_allclose(
        match_ranks(similarity=S, groups=groups, groups_b=groups_b), [r.mean() for r, _ in expected]
    )
    ap = mean_average_precision(similarity=S, labels=groups, labels_b=groups_b, direction="a_to_b")
    assert ap == pytest.approx(np.mean([p for _, p in expected]))


def test_report():
    Z_a, Z_b = embeddings(n=12)
    report = retrieval_report(Z_a, Z_b, ks=[1, 20])
    assert isinstance(report, dict)
    assert report["both"]["recall_at_1"] == recall_at_k(Z_a, Z_b)
    assert report["b_to_a"]["median_rank"] == median_rank(Z_a, Z_b, direction="b_to_a")
    assert report["both"]["mean_reciprocal_rank"] == pytest.approx(mean_reciprocal_rank(Z_a, Z_b))
    assert report["both"]["recall_at_20"] == 1
    assert report["chance"]["a_to_b"] == pytest.approx(
        {
            "recall_at_1": 1 / 12,
            "recall_at_20": 1,
            "median_rank": 6.5,
            "mean_reciprocal_rank": (1 / np.arange(1, 13)).mean(),
        }
    )
    lines = str(report).splitlines()
    assert lines[0].split() == ["a_to_b", "chance", "b_to_a", "chance", "both", "chance"]
    assert lines[-1].split() == ["n_candidates", "12", "12"]
    assert repr(report) == str(report)
    one = retrieval_report(Z_a, Z_b, direction="b_to_a")
    assert set(one) == {"b_to_a", "chance"}
    assert str(one).splitlines()[0].split() == ["b_to_a", "chance"]


def test_chance_of_the_report_is_that_of_a_constant():
    groups, groups_b = [0, 0, 1, 2, 2, 2], [2, 0, 1, 0, 0, 2, 2, 1]
    report = retrieval_report(similarity=np.zeros((6, 8)), groups=groups, groups_b=groups_b)
    for way, values in report["chance"].items():
        for name, chance in values.items():
            assert report[way][name] == pytest.approx(chance, rel=1e-12), (way, name)


def test_memory_stays_that_of_a_chunk():
    import tracemalloc

    Z_a, Z_b = embeddings(n=6000, d=4, dtype=np.float32)
    tracemalloc.start()
    recall_at_k(Z_a, Z_b, chunk_size=100, normalization="csls")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # the whole matrix has 288 MB, a chunk 4.8


# --- a fixed number of candidates -----------------------------------------------------------------------------------


def sampled_by_brute_force(S, n_candidates):
    """Mean reciprocal rank over all choices of so many candidates, the partner among them."""
    values = []
    for i, row in enumerate(S):
        others = np.delete(row, i)
        ranks = [1 + (np.take(others, c) > row[i]).sum() for c in combinations(range(len(others)), n_candidates - 1)]
        values.append(np.mean(1 / np.asarray(ranks)))
    return np.mean(values)


@pytest.mark.parametrize("n_candidates", [1, 2, 3, 5, 7])
def test_mean_reciprocal_rank_among_fewer(n_candidates):
    S = np.random.default_rng(0).normal(size=(7, 7))
    got = mean_reciprocal_rank(similarity=S, direction="a_to_b", n_candidates=n_candidates)
    assert_allclose(got, sampled_by_brute_force(S, n_candidates), rtol=1e-12)


def test_mean_reciprocal_rank_among_all_is_the_plain_one():
    S = np.random.default_rng(1).integers(0, 4, size=(30, 30)).astype(float)  # with ties
    groups = np.arange(30) // 3
    for options in ({}, {"groups": groups}):
        plain = mean_reciprocal_rank(similarity=S, **options)
        for n_candidates in (30, 1000):
            assert_allclose(mean_reciprocal_rank(similarity=S, n_candidates=n_candidates, **options), plain, rtol=1e-12)
    assert_allclose(mean_reciprocal_rank(similarity=S, n_candidates=3, groups=groups), 1.0)  # no wrong one is left


def test_mean_reciprocal_rank_among_as_many_compares_sizes():
    rng = np.random.default_rng(2)
    Z, noise = rng.normal(size=(2000, 4)), rng.normal(size=(2000, 4))
    large = mean_reciprocal_rank(Z, Z + noise, n_candidates=50)
    small = np.mean(
        [mean_reciprocal_rank(Z[i : i + 100], (Z + noise)[i : i + 100], n_candidates=50) for i in range(0, 2000, 100)]
    )
    assert abs(large - small) < 0.01
    assert mean_reciprocal_rank(Z, Z + noise) < large - 0.2


@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a", "both"])
def test_foscttm_is_the_share_of_rows_closer_than_the_partner(direction):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(40, 3))
    B = A + 0.5 * rng.normal(size=A.shape)
    D = np.linalg.norm(A[:, None] - B, axis=2)
    closer = {
        "a_to_b": (np.diag(D)[:, None] > D).sum() / (40 * 39),
        "b_to_a": (np.diag(D) > D).sum() / (40 * 39),
    }
    closer["both"] = (closer["a_to_b"] + closer["b_to_a"]) / 2
    assert_allclose(foscttm(A, B, direction=direction), closer[direction])
    assert_allclose(foscttm(torch.tensor(A), torch.tensor(B), direction=direction), closer[direction])


def test_foscttm_of_nothing_and_of_everything():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(300, 4))
    assert foscttm(A, A) == 0.0
    assert_allclose(foscttm(A, rng.normal(size=A.shape)), 0.5, atol=0.05)
    assert_allclose(foscttm(np.zeros((5, 2)), np.zeros((5, 2))), 0.5)  # ties half count
    with pytest.raises(ValueError, match="needs two"):
        foscttm(A[:1], A[:1])
