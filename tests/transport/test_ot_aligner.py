"""OTAligner: plans beside POT and linear programmes, the map of new rows, all doors, and input that is refused."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from skalign import Domains, OTAligner, PerView, Views
from skalign.metrics import energy_distance, foscttm
from skalign.transport import EntropicPlan

pytest.importorskip("ot")
pytestmark = pytest.mark.filterwarnings("ignore:Gromov-Wasserstein compares shapes")

METHODS = ("sinkhorn", "exact", "partial", "unbalanced", "gromov", "fused")
ACROSS = METHODS[:4]


def clouds(n=40, m=30, d=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.arange(1, d + 1)
    Y = rng.normal(size=(m, d)) * np.arange(1, d + 1) + 2.0
    return X.astype(dtype), Y.astype(dtype)


def turned(n=60, d=3, noise=0.0, seed=0):
    """A cloud and the same cloud turned, moved and shuffled; ``partner[i]`` is the row of Y that is X[i]."""
    rng = np.random.default_rng(seed)
    X = rng.exponential(size=(n, d)) * np.arange(1, d + 1)
    order = rng.permutation(n)
    Y = (X @ np.linalg.qr(rng.normal(size=(d, d)))[0] + 5.0 + noise * rng.normal(size=(n, d)))[order]
    return X, Y, np.argsort(order)


# --- plans ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine", "cityblock"])
def test_sinkhorn_equals_pot(metric):
    import ot

    X, Y = clouds()
    C = cdist(X, Y, metric)
    aligner = OTAligner(metric=metric, tol=1e-10).fit(X, Y)
    theirs = ot.bregman.sinkhorn_log(
        np.full(40, 1 / 40), np.full(30, 1 / 30), C, 0.05 * C.mean(), stopThr=1e-12, numItermax=100_000
    )
    assert_allclose(aligner.plan_, theirs, atol=1e-9)
    assert_allclose(aligner.cost_, (theirs * C).sum(), rtol=1e-7)
    assert_allclose(aligner.wasserstein_distance_, aligner.cost_**0.5 if metric == "sqeuclidean" else aligner.cost_)
    assert aligner.converged_
    assert aligner.marginal_error_ <= 1e-10


def test_exact_equals_the_linear_programme():
    X, Y = clouds(9, 7)
    C = cdist(X, Y, "sqeuclidean")
    aligner = OTAligner(method="exact").fit(X, Y)
    marginals = np.vstack([np.kron(np.eye(9), np.ones(7)), np.kron(np.ones(9), np.eye(7))])
    best = linprog(C.ravel(), A_eq=marginals, b_eq=np.r_[np.full(9, 1 / 9), np.full(7, 1 / 7)])
    assert_allclose(aligner.cost_, best.fun)
    assert_allclose(aligner.plan_.sum(1), 1 / 9)
    f, g = aligner.potentials_
    assert (f[:, None] + g <= C + 1e-9).all()
    assert_allclose((f[:, None] + g)[aligner.plan_ > 0], C[aligner.plan_ > 0], atol=1e-9)


def test_partial_equals_the_linear_programme():
    X, Y = clouds(9, 7)
    C = cdist(X, Y, "sqeuclidean")
    aligner = OTAligner(method="partial", mass=0.6).fit(X, Y)
    marginals = np.vstack([np.kron(np.eye(9), np.ones(7)), np.kron(np.ones(9), np.eye(7))])
    best = linprog(
        C.ravel(), A_ub=marginals, b_ub=np.r_[np.full(9, 1 / 9), np.full(7, 1 / 7)], A_eq=np.ones((1, 63)), b_eq=[0.6]
    )
    assert_allclose(aligner.cost_, best.fun)
    assert_allclose(aligner.plan_.sum(), 0.6)


def test_unbalanced_leaves_outliers_alone():
    X, Y = clouds()
    X[0] += 100.0
    balanced, free = (OTAligner(method=method, marginal_penalty=0.2).fit(X, Y) for method in ("sinkhorn", "unbalanced"))
    assert_allclose(balanced.plan_[0].sum(), 1 / 40, rtol=1e-4)
    assert free.plan_[0].sum() < 1e-6
    assert free.plan_[1:].sum() > 0.3


@pytest.mark.parametrize("method", ["gromov", "fused"])
def test_gromov_finds_a_turned_cloud(method):
    X, Y, partner = turned()
    metric = (lambda A, B: np.zeros((len(A), len(B)))) if method == "fused" else "sqeuclidean"
    aligner = OTAligner(method=method, regularization=0.005, alpha=0.9, metric=metric, n_init=3, random_state=0)
    aligner.fit(X, np.column_stack([Y, Y[:, 0]]) if method == "gromov" else Y)
    assert (aligner.predict(X) == partner).mean() == 1.0
    assert 0 <= aligner.cost_ < 0.1


def test_shapes_alone_are_warned_of():
    X, Y, partner = turned()
    with pytest.warns(UserWarning, match="a low cost_ does not mean"):
        OTAligner(method="gromov").fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OTAligner(method="gromov").fit(X, Y, anchors=(np.arange(5), partner[:5]))
        OTAligner().fit(X, Y)


def test_a_few_pairs_are_enough_for_widths_that_differ():
    X, Y, partner = turned(100, noise=0.02)
    known = np.arange(8)
    with pytest.raises(ValueError, match="3 features and the target 2"):
        OTAligner().fit(X, Y[:, :2])
    Y = np.column_stack([Y, np.zeros(100)])
    aligner = OTAligner(regularization=0.005).fit(X, Y, anchors=(known, partner[known]))
    assert foscttm(aligner.transform(X), Y[partner]) < 0.01
    fused = OTAligner(method="fused", regularization=0.005).fit(X, Y, anchors=(known, partner[known]))
    assert (fused.predict(X) == partner).mean() > 0.95
    assert_allclose(fused.transform(X), fused.plan_ @ Y / fused.plan_.sum(1)[:, None], atol=1e-3)


def test_anchors_beside_a_metric():
    """Half the clouds are swapped by the metric alone: two blobs that moved past each other."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + [6, 0]])
    Y = X + np.repeat([[6.0, 1.0], [-6.0, 1.0]], 30, axis=0)
    anchors = (np.array([0, 1, 30, 31]),) * 2
    right = np.arange(60) // 30
    assert (OTAligner().fit(X, Y).predict(X) // 30 == right).mean() < 0.1
    assert (OTAligner(anchor_weight=0.9).fit(X, Y, anchors=anchors).predict(X) // 30 == right).mean() == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_scale_shift_and_order_change_nothing(method):
    X, Y, _ = turned(25, noise=0.3)
    Y = Y[:20]
    aligner = OTAligner(method=method, tol=1e-9).fit(X, Y)
    moved = clone(aligner).fit(1000.0 * X + 7.0, 1000.0 * Y + 7.0)
    assert_allclose(moved.plan_, aligner.plan_, atol=1e-6)
    assert_allclose(moved.transform(1000.0 * X + 7.0), 1000.0 * aligner.transform(X) + 7.0, rtol=1e-4, atol=1e-2)
    rows, columns = np.random.default_rng(0).permutation(25), np.random.default_rng(1).permutation(20)
    assert_allclose(clone(aligner).fit(X[rows], Y[columns]).plan_, aligner.plan_[rows][:, columns], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_repetitions(method):
    X, Y, _ = turned(12, noise=0.3)
    counts = np.random.default_rng(0).integers(1, 3, size=(2, 12))
    weighted = OTAligner(method=method, tol=1e-9).fit(X, Y, sample_weight=tuple(counts))
    repeated = OTAligner(method=method, tol=1e-9).fit(np.repeat(X, counts[0], 0), np.repeat(Y, counts[1], 0))
    assert_allclose(weighted.cost_, repeated.cost_, rtol=1e-6)
    assert_allclose(weighted.plan_.sum(), repeated.plan_.sum())
    if method in ("sinkhorn", "unbalanced", "fused"):  # one solution
        assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-3, atol=1e-3)


def test_weights_come_as_any_pair():
    X, Y = clouds()
    a, b = np.arange(40.0), np.arange(30.0)
    expected = OTAligner().fit(X, Y, sample_weight=(a, b)).plan_
    for weights in ([a, b], (a * 1e306, b * 1e-306)):
        assert_allclose(OTAligner().fit(X, Y, sample_weight=weights).plan_, expected, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_error_is_that_of_the_plan(method, dtype):
    X, Y = clouds(dtype=dtype)
    aligner = OTAligner(method=method).fit(X, Y)
    plan = aligner.plan_.astype(np.float64)
    rows, columns = plan.sum(1) - 1 / 40, plan.sum(0) - 1 / 30
    assert aligner.plan_.dtype == dtype
    assert type(aligner.converged_) is bool
    if method == "partial":
        assert rows.max() < 1e-7
        assert columns.max() < 1e-7
        assert aligner.marginal_error_ < 1e-12
    elif method != "unbalanced":  # there it is how far the potentials are from a fixed point
        off = np.abs(rows).sum() + np.abs(columns).sum()
        assert_allclose(aligner.marginal_error_, off, atol=1e-9 if dtype == np.float64 else 1e-6)


# --- the map --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sinkhorn", "unbalanced", "gromov", "fused"])
def test_fitted_rows_go_to_the_mean_of_their_row_of_the_plan(method):
    X, Y = clouds()
    aligner = OTAligner(method=method, tol=1e-9, regularization=0.1).fit(X, Y)
    assert_allclose(aligner.transform(X), aligner.plan_ @ Y / aligner.plan_.sum(1)[:, None], atol=1e-5)
    assert_array_equal(aligner.predict(X), aligner.plan_.argmax(axis=1))
    back = aligner.plan_.T @ X / aligner.plan_.sum(0)[:, None]
    assert_allclose(aligner.inverse_transform(Y), back, atol=1e-5)


@pytest.mark.parametrize("regularization", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:Transport did not converge")
def test_new_rows_map_to_finite_values_however_far(regularization, dtype):
    X, Y = clouds(100, 100, dtype=dtype)
    new = clouds(50, 1, seed=1, dtype=dtype)[0]
    aligner = OTAligner(regularization=regularization, tol=1e-4).fit(X, Y)
    for factor in (1.0, 1e3, 1e6, 1e12):
        mapped = aligner.transform(dtype(factor) * new)
        assert np.isfinite(mapped).all()
        assert mapped.dtype == dtype
        assert (mapped >= Y.min(0) - 1e-3).all()
        assert (mapped <= Y.max(0) + 1e-3).all()


@pytest.mark.parametrize("method", ["exact", "partial"])
def test_without_entropy_rows_go_where_the_nearest_fitted_row_goes(method):
    X, Y = clouds(30, 30)
    aligner = OTAligner(method=method).fit(X, Y)
    carried = aligner.plan_.sum(1) > 1e-12
    mapped = aligner.transform(X)
    assert_allclose(mapped[carried], (aligner.plan_ @ Y)[carried] / aligner.plan_.sum(1)[carried, None])
    assert_array_equal(aligner.predict(X)[carried], aligner.plan_.argmax(1)[carried])
    new = clouds(50, 1, seed=1)[0]
    nearest = cdist(new, X[carried]).argmin(1)
    assert_allclose(aligner.transform(new), mapped[carried][nearest])
    back = aligner.plan_.sum(0) > 1e-12
    assert_allclose(aligner.inverse_transform(Y)[back], (aligner.plan_.T @ X)[back] / aligner.plan_.sum(0)[back, None])


@pytest.mark.parametrize("method", METHODS)
def test_many_new_rows_take_the_memory_of_few(method):
    import tracemalloc

    X, Y = clouds(400, 400)
    aligner = OTAligner(method=method, tol=1e-3, n_init=1).fit(X, Y)
    new = clouds(20_000, 1, seed=1)[0]  # a matrix of costs or shares would have 64 MB
    tracemalloc.start()
    mapped, found = aligner.transform(new), aligner.predict(new)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (50 if method in ("gromov", "fused") else 25) * 2**20
    assert_allclose(mapped[-50:], aligner.transform(new[-50:]), atol=1e-9)
    assert_array_equal(found[-50:], aligner.predict(new[-50:]))


@pytest.mark.parametrize("method", ["sinkhorn", "unbalanced", "gromov", "fused"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_whose_costs_overflow_are_refused(method):
    X, Y = clouds()
    aligner = OTAligner(method=method).fit(X, Y)
    for call in (aligner.transform, aligner.predict, aligner.inverse_transform):
        with pytest.raises(FloatingPointError, match="too far away"):
            call(X * 1e200)


def test_blocks_and_stored_kernels_agree():
    X, Y = clouds(150, 120)
    stored, chunked = (OTAligner(chunked=chunked, tol=1e-9).fit(X, Y) for chunked in (False, True))
    assert_allclose(stored.plan_, chunked.plan_, atol=1e-9)


def test_large_plans_are_read_in_blocks(monkeypatch):
    import skalign.transport._solve as solve

    X, Y = clouds(80, 70)
    whole = OTAligner().fit(X, Y)
    exact = OTAligner(method="exact").fit(X, Y)
    monkeypatch.setattr(solve, "_DENSE_PLAN", 100)
    lazy = OTAligner().fit(X, Y)
    assert isinstance(lazy.plan_, EntropicPlan)
    assert_allclose(np.asarray(lazy.plan_), whole.plan_, atol=1e-12)
    assert_allclose(lazy.cost_, whole.cost_)
    assert_allclose(pickle.loads(pickle.dumps(lazy)).plan_ @ Y, whole.plan_ @ Y, atol=1e-12)
    sparse = OTAligner(method="exact").fit(X, Y)
    assert sp.issparse(sparse.plan_)
    assert_allclose(sparse.plan_.toarray(), exact.plan_)


def test_exact_without_a_matrix_of_costs(monkeypatch):
    import skalign.transport._exact as exact

    X, Y = clouds(60, 50)
    for metric in ("sqeuclidean", "euclidean", "cityblock"):
        dense = OTAligner(method="exact", metric=metric).fit(X, Y)
        monkeypatch.setattr(exact, "_DENSE_ENTRIES", 10)
        lazy = OTAligner(method="exact", metric=metric).fit(X, Y)
        monkeypatch.undo()
        assert_allclose(lazy.cost_, dense.cost_)
        assert_allclose((lazy.plan_ * cdist(X, Y, metric)).sum(), dense.cost_)
        assert_allclose(lazy.plan_.sum(1), 1 / 60)


def test_precomputed_costs():
    X, Y = clouds()
    C = cdist(X, Y, "sqeuclidean")
    for method in ACROSS:
        given, own = OTAligner(method=method, metric="precomputed").fit(C), OTAligner(method=method).fit(X, Y)
        assert_allclose(given.plan_, own.plan_, atol=1e-9)
        carried = own.plan_.sum(1) > 1e-12
        assert_array_equal(given.predict(C)[carried], own.predict(X)[carried])
    with pytest.raises(ValueError, match="precomputed costs have none"):
        given.transform(C)
    with pytest.raises(ValueError, match="7 features"):
        given.predict(C[:, :7])


def test_precomputed_costs_are_all_there_is():
    X, Y = clouds()
    C = cdist(X, Y, "sqeuclidean")
    given = OTAligner(metric="precomputed").fit(C)
    for method in ("gromov", "fused"):
        with pytest.raises(ValueError, match="structure_metric='precomputed'"):
            OTAligner(method=method, metric="precomputed").fit(C)
    for beside in ({"y": Y}, {"anchors": ([0], [1])}):
        with pytest.raises(ValueError, match="neither y nor anchors"):
            clone(given).fit(C, **beside)
    with pytest.raises(ValueError, match="score needs the rows"):
        given.score(C)
    with pytest.raises(TypeError, match="matrix of costs, not Views"):
        clone(given).fit(Views(a=X, b=X))


@pytest.mark.parametrize("method", ACROSS)
def test_costs_below_zero_have_no_unit(method):
    """The mean is what regularisation is in units of; a shift of all costs mends it."""
    C = -cdist(*clouds(), "sqeuclidean")
    with pytest.raises(ValueError, match="subtract the least cost"):
        OTAligner(method=method, metric="precomputed").fit(C)
    OTAligner(method=method, metric="precomputed").fit(C - C.min())


def test_precomputed_structures():
    X, Y, partner = turned()
    given = OTAligner(method="gromov", structure_metric="precomputed", regularization=0.005, n_init=3)
    given.fit(cdist(X, X), cdist(Y, Y))
    own = OTAligner(method="gromov", regularization=0.005, n_init=3).fit(X, Y)
    assert_allclose(given.plan_, own.plan_, atol=1e-6)
    assert_array_equal(given.predict(cdist(X, X)), partner)
    with pytest.raises(ValueError, match="square"):
        clone(given).fit(X, cdist(Y, Y))
    with pytest.raises(ValueError, match="give anchors"):
        clone(given).set_params(method="fused").fit(cdist(X, X), cdist(Y, Y))


def test_metrics_of_users():
    X, Y = clouds()
    X = np.column_stack([X, X[:, 0]])

    def first_three(A, B):
        return cdist(A[:, :3], B[:, :3], "sqeuclidean")

    aligner = OTAligner(metric=first_three).fit(X, Y)
    assert_allclose(aligner.plan_, OTAligner().fit(X[:, :3], Y).plan_, atol=1e-7)
    assert aligner.inverse_transform(Y).shape == (30, 4)
    with pytest.raises(ValueError, match="must give a matrix of shape"):
        OTAligner(metric=lambda A, B: np.zeros(3)).fit(X, Y)


# --- doors ----------------------------------------------------------------------------------------------------------


def test_the_three_doors_find_the_same_plan():
    X, Y = clouds(30, 30)
    arrays, domains, views = (
        OTAligner().fit(X, Y), OTAligner().fit(Domains(source=X, target=Y)), OTAligner().fit(Views(a=X, b=Y))
    )  # fmt: skip
    assert_array_equal(arrays.plan_, domains.plan_)
    assert_array_equal(arrays.plan_, views.plan_)
    mapped = arrays.transform(X)
    out = domains.transform(Domains(source=X, target=Y))
    assert isinstance(out, Domains)
    assert_array_equal(out["source"], mapped)
    assert_array_equal(out["target"], Y)
    out = views.transform(Views(a=X, b=Y))
    assert out.names == ["a", "b"]
    assert_array_equal(out["a"], mapped)
    assert views.transform(Views(a=X)).names == ["a"]
    both = arrays.transform(X, Y)
    assert_array_equal(both[0], mapped)
    assert_array_equal(arrays.fit_transform(X, Y), mapped)
    with pytest.raises(ValueError, match=r"transform\(Domains\(source=X\)\)"):
        domains.transform(X)
    with pytest.raises(ValueError, match="was fitted on"):
        views.transform(Views(c=X))
    with pytest.raises(ValueError, match="two collections"):
        OTAligner().fit(Views(a=X, b=Y, c=Y))
    with pytest.raises(ValueError, match="requires y to be passed"):
        OTAligner().fit(X)


def test_scores():
    X, Y, partner = turned(50, noise=0.1)
    held_out = turned(50, noise=0.1, seed=1)
    aligner = OTAligner(method="gromov", regularization=0.01).fit(X, Y)
    assert_allclose(aligner.score(X, Y), -energy_distance(aligner.transform(X), Y, normalized=True))
    ids = np.arange(50)
    y = Domains.stack(source=ids, target=np.argsort(partner))
    domains = Domains(source=X, target=Y)
    paired = OTAligner(method="gromov", regularization=0.01, pairs_from_y=False).fit(domains)
    assert_allclose(paired.score(domains), aligner.score(X, Y))
    assert_allclose(paired.score(domains, y), aligner.score(X, Y))
    paired.set_params(pairs_from_y=True)
    expected = 1 - foscttm(paired.transform(domains)["source"], Y[partner])
    assert_allclose(paired.score(domains, y), expected)
    views = OTAligner(method="gromov", regularization=0.01).fit(Views(a=X, b=Y[partner]))
    assert_allclose(views.score(Views(a=X, b=Y[partner])), expected, atol=1e-6)
    assert expected > 0.95
    assert views.score(Views(a=held_out[0], b=Y[partner])) < 0.7
    with pytest.raises(ValueError, match="GroupKFold"):
        paired.score(domains, Domains.stack(source=ids, target=ids + 100))
    with pytest.raises(ValueError, match="occurs 2 times"):
        paired.score(domains, Domains.stack(source=ids // 2, target=ids))


def test_rows_of_the_target_alone():
    X, Y = clouds()
    domains = Domains(source=X, target=np.column_stack([Y, Y]))
    aligner = OTAligner(method="gromov").fit(domains)
    alone = aligner.transform(domains[domains.rows("target")])
    assert_array_equal(alone["target"], domains["target"])
    assert alone["source"].shape == (0, 6)
    assert_array_equal(aligner.transform(Domains(target=domains["target"]))["target"], domains["target"])


def test_labels_of_the_source_are_no_pairs():
    X, Y = clouds()
    domains = Domains(source=X, target=Y)
    labels = Domains.stack(source=np.arange(40) % 3, target=np.full(30, -1))
    assert_array_equal(OTAligner().fit(domains, labels).plan_, OTAligner().fit(domains).plan_)
    both = Domains.stack(source=np.arange(40) % 3, target=np.arange(30) % 3)
    with pytest.raises(ValueError, match="pairs_from_y=False"):
        OTAligner().fit(domains, both)
    assert_array_equal(OTAligner(pairs_from_y=False).fit(domains, both).plan_, OTAligner().fit(domains).plan_)


def test_pairs_from_y_are_anchors():
    X, Y, partner = turned(60, noise=0.02)
    known = np.arange(6)
    source_ids, target_ids = np.full(60, -1), np.full(60, -1)
    source_ids[known], target_ids[partner[known]] = known, known
    domains = Domains(source=X, target=np.column_stack([Y, Y[:, 0]]))
    y = Domains.stack(source=source_ids, target=target_ids)
    by_ids = OTAligner(regularization=0.01).fit(domains, y)
    by_rows = OTAligner(regularization=0.01).fit(X, domains["target"], anchors=(known, partner[known]))
    assert_array_equal(by_ids.plan_, by_rows.plan_)
    shuffled = np.random.default_rng(0).permutation(120)
    again = OTAligner(regularization=0.01, tol=1e-9).fit(domains[shuffled], y[shuffled])
    assert_allclose(np.sort(again.plan_.max(1)), np.sort(by_ids.plan_.max(1)), atol=1e-6)
    with pytest.raises(ValueError, match="not as both"):
        OTAligner().fit(domains, y, anchors=(known, known))


def test_bags_get_a_plan_each():
    rng = np.random.default_rng(0)
    words = [rng.normal(size=(m, 4)) for m in (3, 5, 4, 6)]
    orders = [rng.permutation(len(bag)) for bag in words]
    regions = [bag[order] + 0.05 * rng.normal(size=bag.shape) for bag, order in zip(words, orders)]
    views = Views(image=regions, text=words)
    aligner = OTAligner().fit(views)
    assert [plan.shape for plan in aligner.plan_] == [(3, 3), (5, 5), (4, 4), (6, 6)]
    for found, order in zip(aligner.predict(views), orders):
        assert_array_equal(found, order)
    out = aligner.transform(views)
    for mapped, bag in zip(out["image"], regions):
        assert_allclose(mapped, bag, atol=0.6)
    assert aligner.score(views) == 1.0
    assert aligner.converged_
    assert_array_equal(aligner.get_feature_names_out(), [f"otaligner{i}" for i in range(4)])
    with pytest.raises(ValueError, match="needs both views"):
        aligner.transform(Views(image=regions))
    with pytest.raises(ValueError, match="method='sinkhorn'"):
        OTAligner(method="exact").fit(views)
    with pytest.raises(ValueError, match="features"):
        aligner.score(Views(image=[bag[:, :2] for bag in regions], text=words))
    with pytest.raises(ValueError, match="rows of tables|bags"):
        OTAligner().fit(Domains(a=regions, b=words))


def test_bags_have_no_weights_and_no_anchors():
    views = Views(a=[np.eye(2), np.eye(2)], b=[np.eye(2), np.eye(2)])
    for beside in ({"sample_weight": np.ones(2)}, {"anchors": ([0], [1])}):
        with pytest.raises(ValueError, match="not for bags"):
            OTAligner().fit(views, **beside)
    with pytest.raises(ValueError, match="come as Views"):
        OTAligner().fit([np.eye(2), np.eye(3)[:, :2]], [np.eye(2)])
    with pytest.raises(ValueError, match="'b' holds rows of a table"):
        OTAligner().fit(Views(a=[np.eye(2), np.eye(2)], b=np.eye(2)))


def test_nothing_is_left_of_a_fit_through_another_door():
    X, Y = clouds()
    bags = Views(a=[X[:4], X[:5]], b=[Y[:3], Y[:2]])
    aligner = OTAligner().fit(X, Y).fit(bags)
    for attribute in ("potentials_", "wasserstein_distance_", "n_features_in_"):
        assert not hasattr(aligner, attribute)
    aligner.fit(X, Y)
    assert_array_equal(aligner.plan_, OTAligner().fit(X, Y).plan_)
    assert not hasattr(aligner.fit(Domains(source=X, target=Y)), "n_features_in_")


def test_names_that_were_not_fitted():
    X, Y = clouds()
    arrays, domains = OTAligner().fit(X, Y), OTAligner().fit(Domains(source=X, target=Y))
    for aligner in (arrays, domains):
        with pytest.raises(ValueError, match=r"not on \['a'\]"):
            aligner.predict(Domains(a=X))
    assert_array_equal(domains.transform(Domains(target=Y))["target"], Y)
    assert_allclose(domains.transform(Domains(source=X))["source"], arrays.transform(X))


# --- tools of scikit-learn ------------------------------------------------------------------------------------------


class SumsOfRows:
    """A cost for rows of any widths, as the checks of scikit-learn pass a target of one column."""

    def __call__(self, A, B):
        return (A.sum(axis=1)[:, None] - B.sum(axis=1)) ** 2

    def __repr__(self):  # the same in every process, for the ids of the tests
        return "SumsOfRows()"

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = object.__hash__


class ThroughDomains(TransformerMixin, BaseEstimator):
    """Hands a table and its reversed columns to an aligner as Domains: the checks then drive the other door."""

    def __init__(self, aligner=None):
        self.aligner = aligner

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=["float64", "float32"])
        self.aligner_ = clone(self.aligner).fit(Domains(a=X, b=X[:, ::-1]))
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=["float64", "float32"], reset=False)
        return self.aligner_.transform(Domains(a=X, b=X[:, ::-1]))["a"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "predict gives positions in the target, which repetitions shift",
}


@parametrize_with_checks(
    [
        OTAligner(metric=SumsOfRows()),
        OTAligner(method="unbalanced", metric=SumsOfRows()),
        OTAligner(method="exact", metric=SumsOfRows()),
        OTAligner(method="gromov", regularization=0.2),
        ThroughDomains(OTAligner()),
        ThroughDomains(OTAligner(method="fused")),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES if isinstance(estimator, OTAligner) else {},
    xfail_strict=True,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=0)], ids=["default", "shuffled"])
def test_grid_search_over_domains(n_jobs, cv):
    X, Y = clouds(60, 45)
    pipe = make_pipeline(PerView({"source": StandardScaler(), "target": StandardScaler()}), OTAligner())
    grid = {"otaligner__regularization": [0.02, 0.2], "otaligner__method": ["sinkhorn", "unbalanced"]}
    search = GridSearchCV(pipe, grid, cv=cv, n_jobs=n_jobs, error_score="raise").fit(Domains(source=X, target=Y))
    assert search.best_params_["otaligner__regularization"] == 0.02
    assert -1 < search.best_score_ <= 0


def test_search_by_pairs_held_out_whole():
    X, Y, partner = turned(60, noise=0.05)
    ids = np.arange(60)
    domains, y = Domains(source=X, target=Y), Domains.stack(source=ids, target=np.argsort(partner))
    scores = cross_val_score(
        OTAligner(anchor_weight=1.0, regularization=0.01), domains, y, cv=GroupKFold(3), groups=y, error_score="raise"
    )
    assert (scores > 0.9).all()


def test_grid_search_over_views():
    X, Y, partner = turned(60, noise=0.05)
    search = GridSearchCV(
        make_pipeline(PerView({"b": PCA()}), OTAligner()), {"perview__b__n_components": [3],
        "otaligner__method": ["sinkhorn", "gromov"], "otaligner__regularization": [0.01]}, n_jobs=2,
        error_score="raise",
    )  # fmt: skip
    search.fit(Views(a=X, b=Y[partner]))
    assert search.best_params_["otaligner__method"] == "gromov"


def test_pickles_work_in_another_process(tmp_path):
    X, Y = clouds()
    aligner = OTAligner().fit(X, Y)
    (tmp_path / "aligner.pkl").write_bytes(pickle.dumps(aligner))
    np.save(tmp_path / "X.npy", X)
    code = (
        "import pickle, numpy as np, pathlib\n"
        f"path = pathlib.Path({str(tmp_path)!r})\n"
        "aligner = pickle.loads((path / 'aligner.pkl').read_bytes())\n"
        "np.save(path / 'Z.npy', aligner.transform(np.load(path / 'X.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert_array_equal(np.load(tmp_path / "Z.npy"), aligner.transform(X))


def test_data_frames_and_names():
    pd = pytest.importorskip("pandas")
    X, Y = clouds()
    frame = pd.DataFrame(X, columns=["r", "g", "b"], index=np.arange(40) + 5)
    aligner = OTAligner().set_output(transform="pandas").fit(frame, pd.DataFrame(Y, columns=["l", "m", "s"]))
    out = aligner.transform(frame)
    assert list(out.columns) == ["otaligner0", "otaligner1", "otaligner2"]
    assert list(out.index) == list(frame.index)
    assert list(aligner.feature_names_in_) == ["r", "g", "b"]
    domains = OTAligner().set_output(transform="pandas").fit(Domains(source=X, target=Y))
    assert list(domains.transform(Domains(source=X, target=Y))["source"].columns) == list(out.columns)


@pytest.mark.parametrize("method", METHODS)
def test_tensors_stay_tensors(method):
    torch = pytest.importorskip("torch")
    X, Y = clouds()
    ours = OTAligner(method=method).fit(X, Y)
    for dtype in (torch.float64, torch.float32):
        A, B = torch.tensor(X, dtype=dtype), torch.tensor(Y, dtype=dtype)
        aligner = OTAligner(method=method).fit(A, B)
        assert isinstance(aligner.plan_, torch.Tensor)
        assert_allclose(aligner.plan_.numpy(), ours.plan_, atol=1e-9 if dtype == torch.float64 else 1e-4)
        mapped = aligner.transform(A)
        assert isinstance(mapped, torch.Tensor)
        assert mapped.dtype == dtype
        assert isinstance(aligner.predict(A), torch.Tensor)
        assert aligner.inverse_transform(B).dtype == dtype
        assert np.isfinite(aligner.score(A, B))
    with pytest.raises(TypeError, match="one library"):
        OTAligner().fit(A, Y)


@pytest.mark.parametrize("method", METHODS)
def test_libraries_and_dtypes_may_change_after_fit(method):
    torch = pytest.importorskip("torch")
    X, Y = clouds()
    A, B = torch.tensor(X, requires_grad=True), torch.tensor(Y)
    ours = OTAligner(method=method).fit(X, Y)
    theirs = OTAligner(method=method).fit(A, B)
    assert_allclose(theirs.plan_.numpy(), ours.plan_, atol=1e-9)
    mapped = ours.transform(X)
    assert_allclose(theirs.transform(X), mapped, atol=1e-7)
    assert_allclose(ours.transform(A).numpy(), mapped, atol=1e-7)
    assert isinstance(ours.predict(A), torch.Tensor)
    assert isinstance(theirs.inverse_transform(Y), np.ndarray)
    mixed = OTAligner(method=method).fit(A.float(), B)
    assert mixed.transform(A.float()).dtype == torch.float32
    small = OTAligner(method=method).fit(A.float(), B.float())
    assert small.plan_.dtype == torch.float32
    assert small.transform(A).dtype == torch.float64


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunked", [False, True])
def test_on_a_gpu(method, chunked):
    X, Y = clouds(400, 300)
    here, there = (OTAligner(method=method, device=device, chunked=chunked).fit(X, Y) for device in (None, "cuda"))
    assert isinstance(there.plan_, np.ndarray)
    assert_allclose(there.plan_, here.plan_, atol=1e-6)
    assert_allclose(there.transform(X), here.transform(X), atol=1e-3)


# --- hard and wrong input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_hard_input(method):
    X, Y = clouds(20, 15)
    constant = np.column_stack([X, np.ones(20)]), np.column_stack([Y, np.ones(15)])
    assert_allclose(OTAligner(method=method).fit(*constant).plan_, OTAligner(method=method).fit(X, Y).plan_, atol=1e-5)
    one = OTAligner(method=method).fit(X[:1], Y)
    if method == "exact":
        assert_allclose(one.plan_, 1 / 15)
    assert np.isfinite(one.transform(X)).all()
    same = OTAligner(method=method).fit(np.ones((4, 2)), np.ones((3, 2)))
    assert_allclose(same.transform(np.ones((1, 2))), 1.0)
    for scale in (1e-100, 1e100):
        huge = OTAligner(method=method, tol=1e-4).fit(X * scale, Y * scale)
        assert np.isfinite(huge.plan_).all()
        assert_allclose(huge.transform(X * scale) / scale, OTAligner(method=method, tol=1e-4).fit(X, Y).transform(X),
                        rtol=1e-2, atol=1e-2)  # fmt: skip


@pytest.mark.parametrize(("dtype", "near", "far"), [("float32", 10.0, 1e3), ("float64", 1e4, 1e8)])
def test_collections_too_far_apart_for_the_precision(dtype, near, far):
    X = np.random.default_rng(0).normal(size=(60, 3))
    aligner = OTAligner(method="exact")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = aligner.fit(X.astype(dtype), (X[::-1] + near).astype(dtype)).predict(X.astype(dtype))
    assert_array_equal(found, np.arange(60)[::-1])
    with pytest.warns(UserWarning, match=f"so far apart.* rounding in {dtype}"):
        aligner.fit(X.astype(dtype), (X[::-1] + far).astype(dtype))


def test_costs_that_overflow_are_refused():
    X, Y = clouds()
    with pytest.raises(ValueError, match="not finite"), np.errstate(all="ignore"):
        OTAligner().fit(X * 1e200, Y * 1e200)
    with pytest.raises(ValueError, match="not finite"), np.errstate(all="ignore"):
        OTAligner().fit(X.astype(np.float32) * np.float32(1e25), Y.astype(np.float32) * np.float32(1e25))


def test_what_does_not_converge_warns():
    X, Y = clouds()
    with pytest.warns(ConvergenceWarning, match="did not converge in 4 iterations"):
        aligner = OTAligner(regularization=1e-3, max_iter=4).fit(X, Y)
    assert not aligner.converged_
    assert aligner.marginal_error_ > 1e-6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "magic"}, "'method' parameter"),
        ({"regularization": 0.0}, "'regularization' parameter"),
        ({"regularization": "0.1"}, "'regularization' parameter"),
        ({"mass": 1.5}, "'mass' parameter"),
        ({"alpha": -0.1}, "'alpha' parameter"),
        ({"tol": 0}, "'tol' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"n_init": 1.5}, "'n_init' parameter"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter"),
        ({"chunked": "yes"}, "'chunked' parameter"),
        ({"pairs_from_y": "no"}, "'pairs_from_y' parameter"),
        ({"regularization": np.inf}, "'regularization' parameter"),
        ({"metric": "nonsense"}, "nonsense"),
        ({"structure_metric": "nonsense", "method": "gromov"}, "nonsense"),
        ({"device": "cuda:7"}, "CUDA"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        OTAligner(**parameters).fit(*clouds())


def test_wrong_input():
    X, Y = clouds()
    broken = Y.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"View 'y': .*1 NaN"):
        OTAligner().fit(X, broken)
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        OTAligner().fit(X, Y, sample_weight=np.ones(40))
    with pytest.raises(ValueError, match="at least 0"):
        OTAligner().fit(X, Y, sample_weight=(-np.ones(40), None))
    with pytest.raises(ValueError, match="All weights of 'y' are zero"):
        OTAligner().fit(X, Y, sample_weight=(None, np.zeros(30)))
    with pytest.raises(ValueError, match="must hold numbers"):
        OTAligner().fit(X, Y, sample_weight="balanced")
    for anchors, message in (
        (3, "two int arrays"),
        (([0], [1, 2]), "as many rows"),
        (([40], [1]), "which has 40"),
        (([0.5], [1.0]), "two int arrays"),
        (([], []), "two int arrays|as many"),
    ):
        with pytest.raises(ValueError, match=message):
            OTAligner().fit(X, Y, anchors=anchors)
    with pytest.raises(NotFittedError):
        OTAligner().transform(X)
    with pytest.raises(ValueError, match="X has 2 features"):
        OTAligner().fit(X, Y).transform(X[:, :2])


@pytest.mark.parametrize("method", ["exact", "partial"])
def test_plans_without_entropy_carry_rows_far_from_the_origin(method):
    pytest.importorskip("ot")
    X, _ = clouds(40, 40)
    order = np.random.default_rng(0).permutation(40)
    Y, back = X[order] + 0.01, np.argsort(order)
    for shift in (0.0, 1e8):
        aligner = OTAligner(method=method, mass=1.0).fit(X + shift, Y + shift)
        assert_array_equal(aligner.predict(X + shift), back)
        assert_allclose(aligner.transform(X + shift), Y[back] + shift)
        assert_allclose(aligner.inverse_transform(Y + shift), X[order] + shift)
        assert aligner.score(X + shift, Y + shift) > -1e-6


@pytest.mark.parametrize("method", ["sinkhorn", "unbalanced", "gromov", "fused"])
def test_data_whose_squares_vanish_are_an_error(method):
    X, Y = clouds(dtype=np.float32)
    with pytest.raises(ValueError, match="too small for squares of them in float32"):
        OTAligner(method=method, n_init=1).fit(1e-24 * X, 1e-24 * Y)
    same = np.full((4, 3), 0.1, dtype=np.float32)  # nothing to tell apart, in any unit
    plan = np.asarray(OTAligner(method="sinkhorn").fit(1e-24 * same, 1e-24 * same).plan_)
    assert_allclose(plan, 1 / 16, rtol=1e-5)


def test_the_same_columns_in_another_order_are_an_error():
    X, Y = (pd.DataFrame(rows, columns=["a", "b", "c"]) for rows in clouds())
    turned_columns = Y[["b", "a", "c"]]
    for given in [(X, turned_columns), (Domains(x=X, y=turned_columns),)]:
        with pytest.raises(ValueError, match="same columns in different orders"):
            OTAligner().fit(*given)
    with pytest.warns(UserWarning, match="compares shapes"):
        OTAligner(method="gromov", n_init=1).fit(X, turned_columns)  # distances within do not depend on it
