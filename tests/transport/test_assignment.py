"""Assignment: brute force, the linear programme, sparse graphs, and the estimator through all its doors."""

import pickle
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import CCA, AssignmentAligner, Domains, PerView, Views
from skalign.metrics import pairwise_similarity
from skalign.transport import solve_assignment


def brute_force(W, threshold=None):
    """The largest sum over all matchings; pairs count by what they are above the threshold."""
    n, m = W.shape
    if n > m:
        return brute_force(W.T, threshold)
    gain = W if threshold is None else np.maximum(W - threshold, 0.0)
    return max(sum(gain[i, j] for i, j in enumerate(p)) for p in permutations(range(m), n))


# --- the solver -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [None, -0.3, 0.5])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 6), (6, 2), (5, 7), (7, 7)])
def test_equals_brute_force(shape, threshold):
    rng = np.random.default_rng(sum(shape))
    for _ in range(3 if max(shape) == 7 else 10):
        W = rng.normal(size=shape)
        for graph in (W, sp.csr_array(W)):
            rows, columns = solve_assignment(graph, threshold=threshold)
            found = (W[rows, columns] - (threshold or 0.0)).sum()
            assert_allclose(found, brute_force(W, threshold), atol=1e-12)
            assert (np.diff(rows) > 0).all()
            assert len(set(columns)) == len(columns)
            if threshold is None:
                assert len(rows) == min(shape)
            else:
                assert (W[rows, columns] > threshold).all()
            costs = solve_assignment(-graph, maximize=False, threshold=None if threshold is None else -threshold)
            assert_array_equal(costs, (rows, columns))


def test_equals_the_linear_programme():
    W = np.random.default_rng(0).normal(size=(12, 15))
    n, m = W.shape
    A = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    b = np.ones(n + m)
    relaxed = linprog(-W.ravel(), A_ub=A[n:], b_ub=b[n:], A_eq=A[:n], b_eq=b[:n], bounds=(0, 1))
    rows, columns = solve_assignment(W)
    assert_allclose(W[rows, columns].sum(), -relaxed.fun)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_sparse_graphs_match_as_many_as_can_be(n, m, seed):
    rng = np.random.default_rng(seed)
    W, stored = rng.integers(-3, 4, size=(n, m)).astype(float), rng.random((n, m)) < 0.5
    rows, columns = np.nonzero(stored)
    graph = sp.coo_array((W[stored], (rows, columns)), shape=(n, m))
    found = solve_assignment(graph)
    assert stored[found].all()
    big = 1000.0
    best = brute_force(np.where(stored, W + big, 0.0))
    assert_allclose((W[found] + big).sum(), best)


def test_empty_graph_and_nothing_above_the_threshold():
    for weights in (sp.csr_array((3, 4)), sp.csr_array(np.eye(3))):
        rows, columns = solve_assignment(weights, threshold=5.0)
        assert len(rows) == len(columns) == 0


# --- the estimator --------------------------------------------------------------------------------------------------


@pytest.fixture
def shuffled():
    """Ten points, and twelve in another order, ten of them the same but for noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 3))
    order = rng.permutation(12)
    Y = np.vstack([X + 0.01 * rng.normal(size=X.shape), 10 + rng.normal(size=(2, 3))])[order]
    return X, Y, np.argsort(order)[:10]


def test_finds_the_order(shuffled):
    X, Y, truth = shuffled
    aligner = AssignmentAligner().fit(X, Y)
    assert_array_equal(aligner.matches_, truth)
    assert_array_equal(aligner.row_ind_, np.arange(10))
    assert_array_equal(aligner.col_ind_, truth)
    assert_allclose(aligner.total_, np.linalg.norm(X - Y[truth], axis=1).sum())
    assert_allclose(aligner.transform(X), Y[truth])
    assert_array_equal(aligner.predict(X[:4]), truth[:4])
    assert_array_equal(AssignmentAligner().fit_predict(X, Y), truth)
    assert aligner.score(X, Y) == pytest.approx(-np.linalg.norm(X - Y[truth], axis=1).mean())
    assert_array_equal(pickle.loads(pickle.dumps(aligner)).predict(X), truth)


@pytest.mark.parametrize("similarity", ["cosine", "rbf", lambda A, B: A @ B.T])
def test_similarities(shuffled, similarity):
    X, Y, _ = shuffled
    S = similarity(X, Y) if callable(similarity) else pairwise_similarity(X, Y, similarity)
    expected = AssignmentAligner(similarity="precomputed").fit(S)
    aligner = AssignmentAligner(similarity=similarity).fit(X, Y)
    assert_array_equal(aligner.matches_, expected.matches_)
    assert aligner.total_ == pytest.approx(S[np.arange(10), aligner.matches_].sum())


def test_threshold_leaves_elements_alone(shuffled):
    X, Y, truth = shuffled
    X = np.vstack([X, [[50.0, 0.0, 0.0]]])
    assert_array_equal(AssignmentAligner(threshold=1.0).fit(X, Y).matches_, [*truth, -1])
    aligner = AssignmentAligner(threshold=1.0).fit(Domains(a=X, b=Y))
    moved = aligner.transform(Domains(a=X, b=Y))
    assert np.isnan(moved["a"][-1]).all()
    assert_array_equal(moved["a"][:-1], Y[truth])
    assert_array_equal(moved["b"], Y)


def test_domains_are_scored_by_pair_ids(shuffled):
    X, Y, truth = shuffled
    domains = Domains(source=X, target=Y)
    right = np.full(12, -1)
    right[truth] = np.arange(10)
    ids = Domains.stack(source=np.arange(10), target=right)
    aligner = AssignmentAligner().fit(domains, ids)
    assert aligner.score(domains, ids) == 1.0
    ids[ids == 3] = [3, -1]
    assert aligner.score(domains, ids) == 1.0  # what is not known does not count
    groups = np.where(ids >= 0, ids, 100 + np.arange(len(ids)))
    scores = cross_val_score(AssignmentAligner(), domains, ids, groups=groups, cv=GroupKFold(2), error_score="raise")
    assert (scores == 1.0).all()
    with pytest.raises(ValueError, match="knows no partner"):
        aligner.score(domains, np.full(len(ids), -1))


def test_rows_of_views_are_a_true_pairing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    views = Views(a=X, b=X + 0.05 * rng.normal(size=X.shape))
    aligner = AssignmentAligner().fit(views)
    assert aligner.score(views) == 1.0
    assert_array_equal(aligner.transform(views)["b"], views["b"])
    mixed = Views(a=X, b=views["b"] @ np.linalg.qr(rng.normal(size=(4, 4)))[0])
    assert AssignmentAligner().fit(mixed).score(mixed) < 0.5
    pipe = make_pipeline(CCA(), AssignmentAligner())
    search = GridSearchCV(pipe, {"cca__n_components": [1, 4]}, cv=3, n_jobs=2, error_score="raise").fit(mixed)
    assert search.best_params_ == {"cca__n_components": 4}
    assert search.best_score_ > 0.95


def test_bags_are_matched_sample_by_sample():
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(m, 3)) for m in (1, 4, 6, 3)]
    orders = [rng.permutation(len(bag)) for bag in bags]
    views = Views(words=bags, regions=[bag[order] for bag, order in zip(bags, orders)])
    truth = [np.argsort(order) for order in orders]
    aligner = AssignmentAligner(similarity="cosine").fit(views)
    for found, right, rows in zip(aligner.matches_, truth, aligner.row_ind_):
        assert_array_equal(found, right)
        assert_array_equal(rows, np.arange(len(right)))
    assert aligner.score(views, truth) == 1.0
    assert aligner.score(views) == pytest.approx(1.0)
    out = aligner.transform(views)
    for a, b in zip(out["words"], out["regions"]):
        assert_array_equal(a, b)
    scaled = make_pipeline(PerView({"words": FunctionTransformer(), "regions": FunctionTransformer()}), clone(aligner))
    assert scaled.fit(views).score(views, truth) == 1.0
    with pytest.raises(ValueError, match="partner of every element"):
        aligner.score(views, [right[:-1] for right in truth])


def test_sparse_candidates():
    graph = sp.csr_array(([5.0, 4.0, 1.0], ([0, 1, 1], [0, 0, 1])), shape=(3, 2))
    aligner = AssignmentAligner(similarity="precomputed").fit(graph)
    assert_array_equal(aligner.matches_, [0, 1, -1])
    assert aligner.total_ == 6.0


# --- bad input ------------------------------------------------------------------------------------------------------


def test_bad_input(shuffled):
    X, Y, _ = shuffled
    for wrong, message in [
        (dict(similarity="cosine", metric="euclidean"), "not both"), (dict(similarity="likeness"), "likeness"),
        (dict(threshold=np.nan), "threshold"), (dict(metric="distance"), "distance"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            AssignmentAligner(**wrong).fit(X, Y)
    with pytest.raises(ValueError, match="View 'y': .*1 NaN"):
        AssignmentAligner().fit(X, np.where(np.arange(36).reshape(12, 3) == 4, np.nan, Y))
    with pytest.raises(ValueError, match="3 and 2 features.*one space"):
        AssignmentAligner().fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="requires y to be passed"):
        AssignmentAligner().fit(X)
    with pytest.raises(ValueError, match="two collections"):
        AssignmentAligner().fit(Views(a=X))
    with pytest.raises(ValueError, match="rows of a table"):
        AssignmentAligner().fit(Views(a=X, b=[np.zeros((2, 3))] * 10))
    with pytest.raises(ValueError, match="View 'b': the elements of sample 1 have 2 features"):
        AssignmentAligner().fit(Views(a=[np.zeros((2, 3))] * 2, b=[np.zeros((2, 3)), np.zeros((2, 2))]))
    with pytest.raises(NotFittedError):
        AssignmentAligner().predict(X)
    with pytest.raises(ValueError, match="shape \\(10, 12\\)"):
        AssignmentAligner(metric=lambda A, B: A[:, 0]).fit(X, Y)
    with pytest.raises(ValueError, match="precomputed weights have none"):
        AssignmentAligner(metric="precomputed").fit(X).transform(X)


def test_doors_are_those_of_the_fit(shuffled):
    X, Y, truth = shuffled
    domains = AssignmentAligner().fit(Domains(source=X, target=Y))
    with pytest.raises(ValueError, match="cannot tell which one a plain array is"):
        domains.transform(X)
    with pytest.raises(ValueError, match="was fitted on"):
        domains.predict(Domains(a=X, b=Y))
    with pytest.raises(ValueError, match="3 features"):
        AssignmentAligner(metric=LengthsApart()).fit(X, Y).predict(X[:, :2])
    with pytest.raises(ValueError, match="occurs 2 times"):
        domains.score(Domains(source=X, target=Y), Domains.stack(source=np.arange(10) // 2, target=np.arange(12)))
    weights = AssignmentAligner(metric="precomputed").fit(np.eye(3))
    assert weights.n_features_in_ == 3
    assert weights.set_params(metric=None).fit(X, Y).n_features_in_ == 3
    assert_array_equal(weights.predict(X), truth)


def test_tensors_stay_tensors(shuffled):
    torch = pytest.importorskip("torch")
    X, Y, truth = shuffled
    A, B = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)
    partners = AssignmentAligner().fit(A, B).transform(A)
    assert isinstance(partners, torch.Tensor)
    assert partners.dtype == torch.float32
    assert_array_equal(partners.numpy(), B.numpy()[truth])
    moved = AssignmentAligner().fit_transform(Domains(source=A, target=B))
    assert isinstance(moved["source"], torch.Tensor)
    bags = Views(a=[A[:3], A[3:7]], b=[B, B])
    out = AssignmentAligner().fit_transform(bags)
    assert_array_equal(out["b"][1].numpy(), B.numpy()[truth[3:7]])


class LengthsApart:
    """A distance for any widths, as the checks pass a second collection of one column; named alike in all workers."""

    def __call__(self, A, B):
        return (np.linalg.norm(A, axis=1)[:, None] - np.linalg.norm(B, axis=1)) ** 2

    def __repr__(self):
        return "LengthsApart()"


_JOINT = "who is matched with a row depends on the other rows, which may want the same partner"
_TIES = "the checks' second collection repeats its elements: several matchings are equally good"
EXPECTED_FAILURES = {"check_methods_subset_invariance": _JOINT, "check_methods_sample_order_invariance": _TIES}


@parametrize_with_checks(
    [AssignmentAligner(metric=LengthsApart())], expected_failed_checks=lambda _: EXPECTED_FAILURES, xfail_strict=True
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scaler_before_it(shuffled):
    X, Y, truth = shuffled
    pipe = make_pipeline(PerView({"source": StandardScaler(with_mean=False, with_std=False)}), AssignmentAligner())
    assert_array_equal(pipe.fit_predict(Domains(source=X, target=Y)), truth)


def jittered(shift, n=40, d=2):
    """Points, the same in another order and slightly moved, and where each of them went."""
    rng = np.random.default_rng(0)
    X, order = rng.normal(size=(n, d)), rng.permutation(n)
    return X + shift, X[order] + 1e-2 * rng.normal(size=(n, d)) + shift, np.argsort(order)


@pytest.mark.parametrize("shift", [1e8, 1.7e9])  # the seconds since 1970, say
@pytest.mark.parametrize("metric", [None, "euclidean", "sqeuclidean"])
def test_a_large_common_offset_does_no_harm(shift, metric):
    X, Y, partners = jittered(shift)
    assert_array_equal(AssignmentAligner(metric=metric).fit(X, Y).matches_, partners)


def test_close_pairs_far_apart_from_each_other():
    seconds = np.linspace(0.0, 3e7, 50)[:, None]  # of a year, with twins a hundredth of a second later
    X = np.vstack([seconds, seconds + 0.01])
    assert_array_equal(AssignmentAligner().fit(X, X[::-1] + 0.001).matches_, np.arange(100)[::-1])


@pytest.mark.parametrize("scale", [1e-24, 1e24])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_units_do_not_matter(scale, metric):
    X, Y, partners = jittered(0.0, d=6)
    assert_array_equal(AssignmentAligner(metric=metric).fit(scale * X, scale * Y).matches_, partners)


@pytest.mark.parametrize("threshold", [None, 25.0])
@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_sparse_weights_of_any_unit(scale, threshold):
    costs = sp.csr_array(np.array([[1.0, 2.0], [1.0, 30.0]]))
    expected = solve_assignment(costs, maximize=False, threshold=threshold)
    found = solve_assignment(scale * costs, maximize=False, threshold=None if threshold is None else scale * threshold)
    assert_array_equal(found, expected)
    assert_array_equal(expected, [[0, 1], [1, 0]])


@pytest.mark.parametrize("options", [{}, {"metric": "sqeuclidean"}, {"similarity": "dot"}])
def test_weights_that_overflow_are_an_error(options):
    X, Y, _ = jittered(0.0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="not finite: they are too large"):
        AssignmentAligner(**options).fit(1e200 * X, 1e200 * Y)


def test_the_same_columns_in_another_order_are_an_error():
    X, Y, partners = jittered(0.0, d=3)
    X, Y = pd.DataFrame(X, columns=["a", "b", "c"]), pd.DataFrame(Y, columns=["a", "b", "c"])
    assert_array_equal(AssignmentAligner().fit(X, Y).matches_, partners)
    for collections in [(X, Y[["c", "a", "b"]]), (Domains(x=X, y=Y[["c", "a", "b"]]),)]:
        with pytest.raises(
            ValueError, match=r"same columns in different orders, \['a', 'b', 'c'\] and \['c', 'a', 'b'\]"
        ):
            AssignmentAligner().fit(*collections)
    assert_array_equal(AssignmentAligner().fit(X, Y.rename(columns={"a": "z"})).matches_, partners)
