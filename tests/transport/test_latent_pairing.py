"""Latent pairing: brute force, recovery up to stated noise, symmetric clouds, and the estimator through its doors."""

import pickle
import warnings
from functools import partial
from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import Domains, LatentPairingAligner, PerView, Views
from skalign.transport._latent_alternation import alternate_assignment, alternate_sinkhorn
from skalign.transport._latent_maps import AffineMap, fit_linear, fit_orthogonal
from skalign.transport._latent_starts import pca_starts

Aligner = partial(LatentPairingAligner, random_state=0)


def rotation(d, rng):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def cloud(n=200, d=5, noise=0.05, seed=0):
    """A skewed anisotropic cloud, and the same one noisy, rotated, moved and shuffled, and where each row went.

    Noise is in units of the root mean variance of the features.
    """
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, size=(n, d)) * np.linspace(1.0, 0.3, d)
    order = rng.permutation(n)
    Y = (X + noise * np.sqrt(X.var(axis=0).mean()) * rng.normal(size=X.shape)) @ rotation(d, rng) + 3.0
    return X, Y[order], np.argsort(order)


# --- the solvers ----------------------------------------------------------------------------------------------------


def test_closed_forms():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(30, 4)), rng.random(30)
    Q = rotation(4, rng)
    found = fit_orthogonal(X, 2.0 * X @ Q + 3.0, weights, scaling=True)
    assert_allclose(found.coef, 2.0 * Q, atol=1e-12)
    assert_allclose(found.intercept, 3.0, atol=1e-12)
    assert_allclose(fit_orthogonal(X, 2.0 * X @ Q).coef, Q, atol=1e-12)
    W = rng.normal(size=(4, 2))
    assert_allclose(fit_linear(X, X @ W - 1.0, weights, penalty=0.0).coef, W, atol=1e-10)
    ridge = fit_linear(X, X @ W, penalty=0.5)
    centered = X - X.mean(axis=0)
    expected = np.linalg.solve(centered.T @ centered / 30 + 0.5 * np.eye(4), centered.T @ centered / 30 @ W)
    assert_allclose(ridge.coef, expected, atol=1e-10)
    assert ridge.penalty == pytest.approx(0.5 * (expected**2).sum())
    narrow = np.c_[X, X[:, 0]]  # a column twice
    assert_allclose(fit_linear(narrow, X @ W, penalty=0.0)(narrow), X @ W, atol=1e-10)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (6, 6), (4, 6), (6, 4)])
def test_equals_brute_force(n, m):
    rng = np.random.default_rng(n + 10 * m)
    for _ in range(3):
        X, Y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
        small, large = (X, Y) if n <= m else (Y, X)
        best = np.inf
        for chosen in permutations(range(len(large)), len(small)):
            found = fit_orthogonal(small, large[list(chosen)])
            best = min(best, float(((found(small) - large[list(chosen)]) ** 2).sum(axis=1).mean()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            aligner = Aligner(init="random", n_init=40).fit(X, Y)
        assert aligner.objective_ == pytest.approx(best, rel=1e-9)
        assert np.count_nonzero(aligner.matches_ >= 0) == min(n, m)


@pytest.mark.parametrize("fit_map", [fit_orthogonal, partial(fit_linear, penalty=0.1)], ids=["orthogonal", "linear"])
@pytest.mark.parametrize("m", [40, 60])
def test_objective_never_rises(fit_map, m):
    rng = np.random.default_rng(0)
    longest = 0
    for _ in range(10):
        X, Y = rng.normal(size=(50, 4)), rng.normal(size=(m, 4))
        start = AffineMap(rotation(4, rng), np.zeros(4))
        found = alternate_assignment(X, Y, start, fit_map, anchors=(np.arange(3), np.arange(3)))
        assert found.converged
        assert (np.diff(found.objectives) <= 1e-12).all()
        assert_array_equal(found.matches[:3], [0, 1, 2])
        longest = max(longest, len(found.objectives))
    assert longest > 3


def test_soft_plans_keep_their_marginals():
    X, Y, _ = cloud(n=60, d=3)
    start = AffineMap(pca_starts(X - X.mean(axis=0), Y - Y.mean(axis=0), 1)[0], np.zeros(3))
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    found = alternate_sinkhorn(X, Y[:50], start, fit_orthogonal, regularization=0.01)
    plan = np.asarray(found.plan)
    assert plan.shape == (60, 50)
    assert_allclose(plan.sum(axis=0), 1 / 50, atol=1e-3)
    assert_allclose(plan.sum(axis=1), 1 / 60, atol=1e-3)
    distances = ((found.map(X)[:, None] - Y[None, :50]) ** 2).sum(axis=-1)
    assert found.objective == pytest.approx((plan * distances).sum(), rel=1e-6)
    assert alternate_sinkhorn(X, Y, start, fit_orthogonal).converged


def test_pca_starts_are_rotations_of_all_signs():
    X, Y, _ = cloud(d=3)
    starts = pca_starts(X - X.mean(axis=0), Y - Y.mean(axis=0), 20)
    assert len(starts) == 8
    for i, start in enumerate(starts):
        assert_allclose(start @ start.T, np.eye(3), atol=1e-12)
        assert all(np.abs(start - other).max() > 0.1 for other in starts[:i])


# --- recovery -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("n", "d", "noise"), [(200, 5, 0.1), (300, 20, 0.4)])
def test_a_noisy_rotated_shuffled_cloud_is_recovered(n, d, noise, seed):
    X, Y, truth = cloud(n, d, noise, seed)
    aligner = Aligner().fit(X, Y)
    assert (aligner.matches_ == truth).mean() > 0.99
    assert not aligner.ambiguous_
    assert aligner.converged_


@pytest.mark.parametrize("init", ["pca", "random"])
def test_soft_plans_find_it_too(init):
    X, Y, truth = cloud(n=80, d=4)
    aligner = Aligner(plan="sinkhorn", init=init, n_init=4).fit(X, Y)
    assert (aligner.matches_ == truth).mean() > 0.98
    assert aligner.plan_.shape == (80, 80)


def test_gromov_start():
    X, Y, truth = cloud(n=80, d=4)
    aligner = Aligner(init="gromov", n_init=1).fit(X, Y)
    assert_array_equal(aligner.matches_, truth)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_unequal_numbers_and_widths(seed):
    X, Y, truth = cloud(n=150, d=8, seed=seed)
    assert (Aligner().fit(X[:120], Y).matches_ == truth[:120]).mean() > 0.99
    found = Aligner().fit(X, Y[truth[:120]]).matches_
    assert (found[:120] == np.arange(120)).mean() > 0.99
    assert (found[120:] == -1).mean() > 0.9
    wide = np.c_[Y, 0.05 * np.random.default_rng(seed).normal(size=(150, 3))]
    aligner = Aligner().fit(X, wide)
    assert (aligner.matches_ == truth).mean() > 0.99
    assert aligner.coef_.shape == (8, 11)
    assert_allclose(aligner.coef_ @ aligner.coef_.T, np.eye(8), atol=0.05)
    back = Aligner().fit(wide, X)
    assert (back.matches_[truth] == np.arange(150)).mean() > 0.99
    assert back.transform(wide).shape == (150, 8)


def test_linear_maps_and_scaling():
    X, Y, truth = cloud()
    aligner = Aligner(scaling=True).fit(X, 100.0 * Y)
    assert_array_equal(aligner.matches_, truth)
    assert_allclose(aligner.coef_ @ aligner.coef_.T, 1e4 * np.eye(5), rtol=0.02, atol=1.0)
    sheared = Y @ (np.eye(5) + 0.1 * np.random.default_rng(1).normal(size=(5, 5)))
    linear, rigid = Aligner(map="linear").fit(X, sheared), Aligner(scaling=True).fit(X, sheared)
    assert_array_equal(linear.matches_, truth)
    assert linear.objective_ < 0.5 * rigid.objective_
    whitened = make_pipeline(PerView({name: PCA(whiten=True) for name in ("source", "target")}), Aligner(n_init=16))
    mixed = Domains(source=X, target=Y @ np.random.default_rng(0).normal(size=(5, 5)))
    assert (whitened.fit_predict(mixed) == truth).mean() > 0.95


def test_net():
    pytest.importorskip("skorch")
    import torch

    Aligner = partial(LatentPairingAligner, n_init=2, learning_rate=0.01, max_epochs=30, random_state=0)
    X, Y, truth = cloud(n=80, d=3, noise=0.0)
    bent = Y + 0.1 * (Y - Y.mean(axis=0)) ** 2
    state = torch.get_rng_state()
    net, linear = Aligner(map="net").fit(X, bent), Aligner(map="linear").fit(X, bent)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.objective_ < 0.5 * linear.objective_
    assert (net.matches_ == truth).mean() >= (linear.matches_ == truth).mean()
    assert not hasattr(net, "coef_")
    assert not hasattr(net, "inverse_transform")
    out = net.transform(X)
    assert_allclose(((out - bent[net.matches_]) ** 2).sum(axis=1).mean(), net.objective_, rtol=1e-3)
    assert_array_equal(pickle.loads(pickle.dumps(net)).transform(X), out)
    assert_array_equal(Aligner(map="net").fit(X, bent).transform(X), out)
    assert net.transform(X.astype(np.float32)).dtype == np.float32
    assert net.transform(torch.tensor(X)).dtype == torch.float64


@pytest.mark.parametrize("plan", ["assignment", "sinkhorn"])
def test_equivariance(plan):
    X, Y, _ = cloud(n=60, d=3)
    rng = np.random.default_rng(5)
    aligner = Aligner(plan=plan, n_init=2).fit(X, Y)
    p, q, Q = rng.permutation(60), rng.permutation(60), rotation(3, rng)
    other = Aligner(plan=plan, n_init=2).fit(X[p], Y[q] @ Q - 7.0)
    assert_array_equal(q[other.matches_], aligner.matches_[p])
    assert_allclose(other.transform(X), aligner.transform(X) @ Q - 7.0, atol=1e-4)
    assert other.objective_ == pytest.approx(aligner.objective_, rel=1e-3)


# --- ambiguity ------------------------------------------------------------------------------------------------------


def symmetric(kind):
    rng = np.random.default_rng(0)
    skewed = rng.gamma(2.0, size=(60, 3)) * [4.0, 2.0, 1.0]
    angles = 2 * np.pi * np.arange(5) / 5
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    blade = rng.gamma(1.0, size=(20, 2)) + 0.3
    return {
        "pentagon": np.c_[np.cos(angles), np.sin(angles)],
        "cube": np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(-1, 3),
        "central": np.vstack([skewed, -skewed]),
        "mirror": np.vstack([skewed, skewed * [1.0, 1.0, -1.0]]),
        "pinwheel": np.vstack([blade @ np.linalg.matrix_power(quarter, k) for k in range(4)]),
    }[kind]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["pentagon", "cube", "central", "mirror", "pinwheel"])
def test_symmetric_clouds_are_ambiguous_until_anchors_decide(kind, noise, seed):
    X = symmetric(kind)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    Y = ((X + noise * rng.normal(size=X.shape)) @ rotation(X.shape[1], rng))[order]
    with pytest.warns(UserWarning, match="ambiguous: .* known pairs as anchors"):
        aligner = Aligner(n_init=1).fit(X, Y)
    assert aligner.ambiguous_
    assert aligner.n_solutions_ >= 2
    truth = np.argsort(order)
    known = np.arange(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decided = Aligner(n_init=1).fit(X, Y, anchors=(known, truth[known]))
    assert (decided.matches_ == truth).mean() > 0.95
    assert not decided.ambiguous_


def test_anchors_choose_among_plain_starts_too():
    X = symmetric("central")
    rng = np.random.default_rng(0)
    Y = X @ rotation(3, rng)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(X))
        truth = np.argsort(order)
        aligner = Aligner(init="pca").fit(X, Y[order], anchors=([0, 5], truth[[0, 5]]))
        assert_array_equal(aligner.matches_, truth)
    ids = Domains.stack(source=np.arange(120), target=np.where(np.isin(order, [0, 5]), order, -1))
    assert_array_equal(Aligner().fit(Domains(source=X, target=Y[order]), ids).matches_, truth)


def test_unrelated_clouds_are_ambiguous():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="ambiguous"):
        Aligner().fit(rng.gamma(2.0, size=(150, 6)), rng.gamma(2.0, size=(150, 6)))


# --- doors ----------------------------------------------------------------------------------------------------------


def test_two_arrays():
    X, Y, truth = cloud()
    held_out = X[:20] + 0.01
    aligner = Aligner().fit(X, Y)
    assert_allclose(aligner.transform(X), X @ aligner.coef_ + aligner.intercept_)
    assert_array_equal(aligner.predict(X[:50]), truth[:50])
    assert_allclose(aligner.inverse_transform(aligner.transform(held_out)), held_out)
    assert_array_equal(Aligner().fit_predict(X, Y), truth)
    assert_allclose(Aligner().fit_transform(X, Y), aligner.transform(X))
    assert aligner.objective_identity_ is None
    assert len(aligner.objectives_) > 8
    assert aligner.objective_ == aligner.objectives_.min()
    assert -0.01 < aligner.score(X, Y) <= 0
    assert aligner.score(X + 5.0, Y) < -0.3
    assert list(aligner.get_feature_names_out()) == [f"latentpairingaligner{i}" for i in range(5)]
    assert list(aligner.set_output(transform="pandas").transform(X).columns) == list(aligner.get_feature_names_out())
    again = pickle.loads(pickle.dumps(aligner))
    assert_array_equal(again.predict(X), aligner.predict(X))
    start = Aligner(init=aligner.coef_).fit(X, Y)
    assert_array_equal(start.matches_, truth)
    single = Aligner().fit(X.astype(np.float32), Y.astype(np.float32))
    assert_array_equal(single.matches_, truth)
    assert single.set_output(transform="default").transform(X.astype(np.float32)).dtype == np.float32
    assert single.inverse_transform(Y.astype(np.float32)).dtype == np.float32


def test_tensors():
    torch = pytest.importorskip("torch")
    X, Y, truth = cloud(n=60)
    aligner = Aligner().fit(torch.tensor(X), torch.tensor(Y))
    assert_array_equal(aligner.matches_, truth)
    out = aligner.transform(torch.tensor(X, dtype=torch.float32))
    assert out.dtype == torch.float32
    assert_allclose(out.numpy(), aligner.transform(X), rtol=1e-4)
    assert_array_equal(aligner.predict(torch.tensor(X)), truth)
    assert_allclose(aligner.inverse_transform(aligner.transform(torch.tensor(X))).numpy(), X)


def test_views():
    X, Y, truth = cloud(n=100)
    views = Views(a=X, b=Y[truth])
    aligner = Aligner().fit(views)
    assert_array_equal(aligner.matches_, np.arange(100))
    assert aligner.objective_identity_ == pytest.approx(aligner.objective_)
    with pytest.warns(UserWarning, match="ambiguous"):
        noisy = Aligner().fit(Views(a=X, b=X + 0.5 * np.random.default_rng(0).normal(size=X.shape)))
    assert noisy.objective_ < noisy.objective_identity_  # wrong pairs fit noise better than the true ones
    out = aligner.transform(views)
    assert out.names == ["a", "b"]
    assert_array_equal(out["b"], views["b"])
    assert_allclose(aligner.inverse_transform(out)["a"], X)
    assert aligner.transform(views[["a"]]).names == ["a"]
    assert aligner.score(views) > 0.99
    assert_array_equal(aligner.predict(views[:30]), np.arange(30))
    with pytest.raises(ValueError, match="plain array"):
        aligner.transform(X)
    search = GridSearchCV(Aligner(), {"n_init": [1, 4]}, cv=3, n_jobs=2, error_score="raise").fit(views)
    assert search.best_score_ > 0.99


def test_domains():
    X, Y, truth = cloud(n=120)
    domains = Domains(source=X, target=Y[:100])
    aligner = Aligner().fit(domains)
    mapped = aligner.transform(domains)
    assert_array_equal(mapped["target"], Y[:100])
    assert_allclose(mapped["source"][truth < 100], Y[truth[truth < 100]], atol=0.3)
    assert_allclose(aligner.inverse_transform(mapped)["source"], X)
    assert_array_equal(aligner.predict(domains)[truth < 100], truth[truth < 100])
    assert -0.02 < aligner.score(domains) <= 0
    ids = Domains.stack(source=np.arange(120), target=np.argsort(truth)[:100])
    assert aligner.score(domains, ids) > 0.99
    known = Aligner().fit(domains, ids)
    assert known.objective_identity_ == pytest.approx(known.objective_)
    scores = cross_val_score(Aligner(), domains, ids, groups=ids, cv=GroupKFold(3), error_score="raise")
    assert scores.min() > 0.99
    assert Aligner(pairs_from_y=False).fit(domains, ids).objective_identity_ is None


@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=0)], ids=["default", "shuffled"])
def test_pipeline_and_search_on_domains(cv):
    X, Y, _ = cloud(n=90, d=4)
    pipe = make_pipeline(PerView({"source": StandardScaler(), "target": FunctionTransformer()}), Aligner(scaling=True))
    grid = {"latentpairingaligner__n_init": [1, 4]}
    search = GridSearchCV(pipe, grid, cv=cv, n_jobs=2, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what the scaler leaves, too little is in common
        search.fit(Domains(source=X, target=Y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    plain = GridSearchCV(Aligner(), {"n_init": [1, 4]}, cv=cv, n_jobs=2, error_score="raise")
    plain.fit(Domains(source=X, target=Y))
    assert -0.05 < plain.best_score_ <= 0
    assert clone(plain.best_estimator_).get_params() == plain.best_estimator_.get_params()


# --- bad input ------------------------------------------------------------------------------------------------------


def test_bad_parameters():
    X, Y, _ = cloud(n=20, d=2)
    for wrong, message in [
        (dict(map="affine"), "map must be"), (dict(plan="greedy"), "plan must be"), (dict(init="best"), "init must be"),
        (dict(n_init=0), "n_init"), (dict(max_iter=1.5), "max_iter"), (dict(scaling="yes"), "scaling"),
        (dict(shrinkage=-1.0), "shrinkage"), (dict(regularization=0.0), "regularization"), (dict(tol=np.nan), "tol"),
        (dict(hidden_layer_sizes=(0,)), "hidden_layer_sizes"), (dict(init=np.eye(3)), "shape \\(2, 2\\)"),
        (dict(init="anchors"), "needs anchors"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            Aligner(**wrong).fit(X, Y)


def test_bad_input():
    X, Y, _ = cloud(n=20, d=2)
    with pytest.raises(ValueError, match="View 'y': .*1 NaN"):
        Aligner().fit(X, np.where(np.arange(40).reshape(20, 2) == 4, np.nan, Y))
    with pytest.raises(ValueError, match="requires y to be passed"):
        Aligner().fit(X)
    with pytest.raises(ValueError, match="'y' is constant"):
        Aligner().fit(X, np.ones_like(Y))
    with pytest.raises(ValueError, match="minimum of 2"):
        Aligner().fit(X, Y[:1])
    with pytest.raises(ValueError, match="two collections"):
        Aligner().fit(Domains(a=X, b=Y, c=Y))
    with pytest.raises(NotFittedError):
        Aligner().predict(X)
    for anchors, message in [
        (([0], [0, 1]), "as many rows"), (([0, 0], [1, 2]), "source twice"), (([0, 1], [2, 2]), "target twice"),
        (([0], [20]), "'y', which has 20"), ((["a"], ["b"]), "two int arrays"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            Aligner().fit(X, Y, anchors=anchors)
    domains, ids = Domains(source=X, target=Y), Domains.stack(source=np.arange(20), target=np.full(20, 3))
    with pytest.raises(ValueError, match="id 3 occurs 20 times"):
        Aligner().fit(domains, ids)
    ids = Domains.stack(source=np.arange(20), target=np.arange(20))
    with pytest.raises(ValueError, match="not as both"):
        Aligner().fit(domains, ids, anchors=([0], [0]))
    aligner = Aligner().fit(X, Y)
    with pytest.raises(ValueError, match="3 features"):
        aligner.transform(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="has 3 columns"):
        aligner.inverse_transform(np.zeros((4, 3)))


def test_what_has_not_settled_says_so():
    rng = np.random.default_rng(0)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"), pytest.warns(UserWarning, match="ambiguous"):
        Aligner(max_iter=1).fit(rng.normal(size=(60, 5)), rng.normal(size=(60, 5)))


def test_inputs_and_global_randomness_stay():
    X, Y, _ = cloud(n=40)
    copies = X.copy(), Y.copy()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    Aligner(init="random").fit(X, Y)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert_array_equal(X, copies[0])
    assert_array_equal(Y, copies[1])


@pytest.mark.filterwarnings("ignore::UserWarning")  # the checks' collections have nothing in common
@parametrize_with_checks([Aligner(n_init=2), Aligner(map="linear", plan="sinkhorn", n_init=1)], xfail_strict=True)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_predictions_far_from_the_origin():
    X, Y, _ = cloud(60, 3, noise=0.01)
    near, far = (LatentPairingAligner(random_state=0).fit(X + shift, Y + shift) for shift in (0.0, 1e8))
    assert_array_equal(far.predict(X + 1e8), near.predict(X))


@pytest.mark.parametrize(("scale", "word"), [(1e-160, "small"), (1e160, "large")])
def test_data_whose_squares_leave_float64_are_an_error(scale, word):
    X, Y, _ = cloud(20, 3)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=f"View 'x': its values are too {word}"):
        LatentPairingAligner().fit(scale * X, scale * Y)
