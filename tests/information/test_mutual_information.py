"""Mutual information: closed forms, brute force over all pairs, bounds that hold, conditioning, and bad input."""

import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import digamma
from sklearn.base import clone
from sklearn.feature_selection import mutual_info_regression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skalign import PerView, Views
from skalign.information import MutualInformation, conditional_mutual_information, mutual_information
from skalign.information._gaussian import gaussian_bias
from skalign.information._groups import in_groups, shuffled

torch = pytest.importorskip("torch")
from skalign.information import _bounds  # noqa: E402

CRITICS = ("infonce", "nwj", "dv", "smile", "js")
SMALL = {"hidden_layer_sizes": (32,), "n_components": 8, "learning_rate": 3e-3, "max_epochs": 12, "random_state": 0}


def gaussians(information, n=10_000, d=20, seed=0):
    """Two views of d columns with a known mutual information, the same in every pair of columns."""
    rng = np.random.default_rng(seed)
    rho = math.sqrt(1 - math.exp(-2 * information / d))
    X = rng.normal(size=(n, d))
    return X, rho * X + math.sqrt(1 - rho**2) * rng.normal(size=(n, d))


def folded(n=1200, seed=0):
    """Views that share much and do not correlate."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, np.abs(X) + 0.2 * rng.normal(size=(n, 2))


# --- Gaussian views -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("information", [2, 4, 6, 8, 10])
@pytest.mark.parametrize("seed", range(5))
def test_gaussian_views_have_the_information_of_the_closed_form(information, seed):
    found = mutual_information(*gaussians(information, seed=seed), "gaussian")
    assert abs(found / information - 1) < (0.03 if information == 2 else 0.02)


def test_the_gaussian_estimate_has_no_bias_in_small_samples():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, 5))
    C = mixing @ mixing.T
    truth = 0.5 * (np.linalg.slogdet(C[:3, :3])[1] + np.linalg.slogdet(C[3:, 3:])[1] - np.linalg.slogdet(C)[1])
    found = []
    for _ in range(2000):
        Z = rng.normal(size=(20, 5)) @ mixing.T
        found.append(mutual_information(Z[:, :3], Z[:, 3:], "gaussian"))
    assert abs(np.mean(found) - truth) < 3 * np.std(found) / math.sqrt(len(found))
    assert gaussian_bias(20, 3, 2) > 10 * np.std(found) / math.sqrt(len(found))  # which it would miss otherwise
    assert_allclose(gaussian_bias(20, 3, 2), gaussian_bias(20, 2, 3))
    assert_allclose(gaussian_bias(5000, 3, 2), 3 * 2 / 2 / 5000, rtol=0.01)


def test_gaussian_estimate_ignores_units_and_columns_that_repeat_others():
    X, Y = gaussians(1.0, n=300, d=3)
    expected = mutual_information(X, Y, "gaussian")
    rng = np.random.default_rng(0)
    wide = np.hstack([X @ rng.normal(size=(3, 3)) * [1e-4, 1, 1e4] + 100, np.zeros((300, 1))])
    assert_allclose(mutual_information(wide, np.hstack([Y, Y[:, :1] - Y[:, 1:2]]), "gaussian"), expected, rtol=1e-6)
    assert_allclose(mutual_information(torch.tensor(X), torch.tensor(Y), "gaussian"), expected)


def test_views_that_determine_each_other():
    X, _ = gaussians(1.0, n=100, d=3)
    with pytest.warns(UserWarning, match="correlation is 1"):
        assert mutual_information(X, X[:, :1] + 2 * X[:, 1:2], "gaussian") == math.inf


# --- nearest neighbours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e160, 1e300])
@pytest.mark.parametrize("method", ["gaussian", "ksg"])
def test_closed_forms_in_units_in_which_squares_overflow_or_vanish(method, unit):
    X, Y = gaussians(1.0, n=200, d=2)
    assert mutual_information(unit * X, Y, method) == pytest.approx(mutual_information(X, Y, method), abs=1e-6)


def test_nearest_neighbours_by_brute_force():
    X, Y = gaussians(0.5, n=60, d=2)
    X, Y = (StandardScaler().fit_transform(Z) for Z in (X, 5 * Y))
    dx, dy = (np.abs(Z[:, None] - Z).max(axis=2) for Z in (X, Y))
    both = np.maximum(dx, dy)
    np.fill_diagonal(both, np.inf)
    radius = np.sort(both, axis=1)[:, 3:4]
    np.fill_diagonal(dx, np.inf)
    np.fill_diagonal(dy, np.inf)
    counts = [(d < radius).sum(axis=1) for d in (dx, dy)]
    expected = digamma(4) + digamma(60) - sum(digamma(count + 1) for count in counts).mean()
    assert_allclose(mutual_information(X, Y, "ksg", n_neighbors=4), expected)


def test_nearest_neighbours_against_scikit_learn():
    X, Y = gaussians(0.7, n=2000, d=1)
    found = mutual_information(X[:, 0], Y[:, 0], "ksg")
    assert_allclose(found, mutual_info_regression(X, Y[:, 0], random_state=0)[0], atol=1e-3)
    assert abs(found - 0.7) < 0.05
    X, Y = folded(3000)
    assert mutual_information(X, Y, "ksg") > 10 * abs(mutual_information(X, Y, "gaussian"))


def test_nearest_neighbours_know_their_limits():
    X, Y = gaussians(6.0, n=500)
    with pytest.warns(UserWarning, match="beyond about 5"):
        assert mutual_information(X, Y, "ksg") < 4.0
    with pytest.raises(ValueError, match="rows coincide"):
        mutual_information(np.arange(100) % 3, np.arange(100) % 3, "ksg")
    with pytest.raises(ValueError, match="n_neighbors=3 needs more than 3 rows"):
        mutual_information(X[:3, :2], Y[:3, :2], "ksg")


# --- bounds from scores ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CRITICS)
def test_estimates_by_brute_force(method, monkeypatch):
    A, B = torch.randn(2, 23, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    S = (A @ B.T).numpy()
    pairs, others = np.diagonal(S), S[~np.eye(23, dtype=bool)]
    infonce = [math.log(23) + np.mean(pairs - np.log(np.exp(T).sum(axis=1))) for T in (S, S.T)]
    expected = {
        "infonce": np.mean(infonce),
        "nwj": pairs.mean() - np.exp(others - 1).mean(),
        "dv": pairs.mean() - np.log(np.exp(others).mean()),
        "smile": pairs.mean() - np.log(np.exp(others.clip(-2, 2)).mean()),
        "js": pairs.mean() - np.exp(others).mean() + 1,
    }
    assert_allclose(_bounds.estimate(method, A, B, 2.0), expected[method], rtol=1e-6)
    monkeypatch.setattr(_bounds, "_CHUNK", 100)
    assert_allclose(_bounds.estimate(method, A, B, 2.0), expected[method], rtol=1e-6)


def test_losses_are_the_bounds_turned_round():
    A, B = 0.3 * torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for method, constant in (("infonce", math.log(40)), ("nwj", 0.0), ("dv", 0.0)):
        loss = float(_bounds.LOSSES[method](A, B))
        assert_allclose(constant - loss, _bounds.estimate(method, A, B), rtol=1e-6)
    S = (A @ B.T).numpy()
    others = S[~np.eye(40, dtype=bool)]
    expected = np.log1p(np.exp(-np.diagonal(S))).mean() + np.log1p(np.exp(others)).mean()
    assert_allclose(float(_bounds.LOSSES["js"](A, B)), expected)


def test_calibration_mends_a_critic_that_is_too_sure():
    rng = np.random.default_rng(0)
    groups = rng.integers(2, size=60)
    A, B = torch.tensor(rng.normal(size=(2, 60, 4)))
    A, B = 8 * A, B + A

    def bound(scale, offset):
        return in_groups(lambda A, B: _bounds.estimate("js", A, B, calibration=(scale, offset)), A, B, groups)

    scale, offset = _bounds.calibration(A, B, groups)
    others = [bound(s, c) for s in np.arange(0.1, 1.1, 0.1) for c in (offset - 0.3, offset, offset + 0.3)]
    assert bound(scale, offset) >= max(others) - 1e-9
    assert bound(scale, offset) > bound(1.0, 0.0)


def test_a_score_that_is_far_off_leaves_gradients_finite():
    A = torch.full((8, 2), 40.0, requires_grad=True)
    loss = _bounds.LOSSES["nwj"](A, torch.full((8, 2), 40.0))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(A.grad).all()
    assert _bounds.estimate("nwj", A, A) < -1e100


@pytest.mark.parametrize("method", CRITICS)
def test_the_best_critic_gives_the_truth(method):
    """Of two Gaussian variables it is a quadratic form, an inner product of four factors."""
    truth = 0.5
    x, y = (torch.tensor(Z) for Z in gaussians(truth, n=4000, d=1))
    rho2 = 1 - math.exp(-2 * truth)
    bias = [-rho2 / (2 * (1 - rho2)) * z**2 + truth / 2 for z in (x, y)]
    one = torch.ones_like(x)
    A = torch.cat([x, bias[0], one, one * (method == "nwj")], 1)
    B = torch.cat([y * math.sqrt(rho2) / (1 - rho2), one, bias[1], one], 1)
    assert abs(_bounds.estimate(method, A, B, 5.0) - truth) < 0.05


# --- groups ---------------------------------------------------------------------------------------------------------


def test_means_over_groups():
    groups = np.array([2, 0, 2, 5, 0, 2])
    A = np.arange(6.0)
    assert in_groups(lambda a, b: len(a) + a.sum(), A, A, groups) == (2 * (2 + 5) + 3 * (3 + 7)) / 5
    assert in_groups(lambda a, b: len(a), A, A, None) == 6
    order = shuffled(groups, 6, np.random.RandomState(0))
    assert_array_equal(groups[order], groups)
    assert sorted(order) == list(range(6))
    with pytest.raises(ValueError, match="single row"):
        in_groups(len, A, A, np.arange(6))


def test_conditioning_takes_away_what_the_label_explains():
    """x1 = x2 = y, uniform on 4: nothing is left when y is known, where negatives from all rows would find ln 4."""
    y = np.random.default_rng(0).integers(4, size=1200)
    X = np.eye(4)[y]
    options = dict(SMALL, learning_rate=0.01, max_epochs=30)
    assert abs(mutual_information(X, X, "infonce", **options) - math.log(4)) < 0.05
    assert abs(conditional_mutual_information(X, X, y, "infonce", **options)) < 0.01


@pytest.mark.parametrize("method", ["gaussian", "infonce", "dv"])
def test_conditional_information_of_gaussians(method):
    label = np.random.default_rng(1).integers(2, size=3000)
    X, Y = gaussians(1.0, n=3000, d=2)
    names = np.where(label == 1, "right", "left")
    shifted = [Z + 3.0 * label[:, None] for Z in (X, Y)]
    found = conditional_mutual_information(*shifted, names, method, n_permutations=19, return_details=True,
                                           **dict(SMALL, max_epochs=40))  # fmt: skip
    assert abs(found.mutual_information - 1.0) < (0.1 if method == "gaussian" else 0.25)
    assert found.pvalue == 0.05
    if method == "infonce":
        assert_allclose(found.ceiling, math.log(750), atol=0.05)
    independent = np.random.default_rng(2).permutation(3000)
    independent = independent[np.argsort(label[independent], kind="stable")]
    rows = np.argsort(label, kind="stable")
    nothing = conditional_mutual_information(shifted[0][rows], shifted[1][independent], names[rows], method,
                                             return_details=True, n_permutations=19, **SMALL)  # fmt: skip
    assert abs(nothing.mutual_information) < 0.1
    assert nothing.pvalue > 0.05


# --- the estimator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CRITICS)
def test_every_critic_learns_what_correlation_does_not_see(method):
    X, Y = folded()
    estimator = MutualInformation(method, batch_size=120, **dict(SMALL, learning_rate=0.01, max_epochs=40)).fit(
        X[:800], Y[:800]
    )
    found = estimator.estimate(X[800:], Y[800:], n_permutations=19, random_state=0)
    assert found.mutual_information > 0.7 > 0.1 > MutualInformation("gaussian").fit(X, Y).score(X, Y)
    assert found.pvalue == 0.05
    assert found.is_lower_bound == estimator.is_lower_bound_ == (method in ("infonce", "nwj", "js"))
    assert found.ceiling == (math.log(400) if method == "infonce" else math.inf)
    assert estimator.ceiling_ == (math.log(80) if method == "infonce" else math.inf)
    assert not found.saturated
    assert estimator.score(X[800:], Y[800:]) == found.mutual_information
    shuffled_rows = np.random.default_rng(0).permutation(400)
    nothing = estimator.estimate(X[800:][shuffled_rows], Y[800:], n_permutations=19, random_state=0)
    assert nothing.mutual_information < 0.1
    assert nothing.pvalue > 0.05


@pytest.mark.parametrize("method", CRITICS)
def test_the_epoch_is_chosen_by_a_bound(method):
    estimator = MutualInformation(method, **SMALL).fit(*folded())
    scores = estimator.validation_scores_
    assert scores[estimator.best_epoch_ - 1] >= max(scores) - SMALL.get("tol", 1e-4)
    if method in ("smile", "js"):
        assert max(scores) <= 0  # minus a logistic loss
    elif method == "infonce":
        assert_allclose(scores[estimator.best_epoch_ - 1], estimator.mutual_information_, atol=1e-5)


def test_saturation_is_told():
    X, _ = gaussians(1.0, n=600)
    estimator = MutualInformation(encoder="linear", learning_rate=0.01, max_epochs=40, random_state=0).fit(
        X[:500], X[:500]
    )
    found = estimator.estimate(X[500:], X[500:])
    assert found.saturated
    assert 0.9 * math.log(100) < found.mutual_information <= math.log(100)
    assert estimator.saturated_


def test_both_doors_and_all_kinds_of_rows():
    X, Y = folded(300)
    by_arrays = MutualInformation(**SMALL).fit(X, Y)
    by_views = MutualInformation(**SMALL).fit(Views(image=X, text=Y), np.arange(300))
    assert by_arrays.score(X, Y) == by_views.score(Views(text=Y, image=X))
    tensors = MutualInformation(**SMALL).fit(torch.tensor(X), torch.tensor(Y))
    assert_allclose(tensors.score(torch.tensor(X), torch.tensor(Y)), by_arrays.score(X, Y), rtol=1e-4)
    assert isinstance(by_arrays.score(X.astype(np.float32), Y.tolist()), float)


@pytest.mark.parametrize("method", ["infonce", "gaussian"])
def test_tools_of_scikit_learn(method):
    X, Y = folded(300)
    views = Views(image=X, text=Y)
    search = GridSearchCV(MutualInformation(method, **SMALL), {"n_neighbors": [3, 4]}, cv=2).fit(views)
    assert np.isfinite(search.best_score_)
    pipe = PerView({"image": StandardScaler()}).fit(views)
    estimator = clone(search.best_estimator_).fit(pipe.transform(views))
    again = pickle.loads(pickle.dumps(estimator))
    assert again.score(pipe.transform(views)) == estimator.score(pipe.transform(views))


def test_scores_of_the_critic_are_the_similarity():
    X, Y = folded(300)
    estimator = MutualInformation(**SMALL).fit(X, Y)
    A, B = estimator.transform(X, Y)
    assert A.shape == (300, SMALL["n_components"])
    S = estimator.similarity(X, Y)
    assert_allclose(S, A @ B.T, atol=1e-10)
    log_k = math.log(300)
    rows, columns = (np.diagonal(S) - np.log(np.exp(S).sum(axis=axis)) + log_k for axis in (0, 1))
    assert_allclose(estimator.score(X, Y), (rows.mean() + columns.mean()) / 2, atol=1e-4)


def test_closed_forms_leave_rows_as_they_are():
    X, Y = folded(50)
    estimator = MutualInformation("ksg").fit(X, Y)
    assert_array_equal(estimator.transform(X), X)
    assert estimator.mutual_information_ == estimator.score(X, Y)
    assert estimator.ceiling_ == math.inf


def test_without_rows_held_out():
    estimator = MutualInformation(early_stopping=False, **SMALL).fit(*folded(100))
    assert math.isnan(estimator.mutual_information_)
    assert math.isfinite(estimator.score(*folded(100, seed=1)))


def test_randomness_repeats_and_stays_at_home():
    X, Y = folded(200)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    found = [mutual_information(X, Y, **SMALL) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "mine"}, "method must be one of"),
        ({"n_components": 0}, "n_components"),
        ({"clip": 0.0}, "clip"),
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        MutualInformation(**parameters).fit(*folded(60))


@pytest.mark.parametrize("method", ["infonce", "gaussian", "ksg"])
def test_bad_rows(method):
    X, Y = folded(60)
    estimator = MutualInformation(method, **SMALL)
    with pytest.raises(ValueError, match="View 'y': Input contains NaN or infinity: 1 NaN"):
        estimator.fit(X, np.where(np.arange(120).reshape(60, 2) == 7, np.nan, Y))
    with pytest.raises(ValueError, match="that of two views"):
        estimator.fit(Views(a=X, b=Y, c=Y))
    with pytest.raises(ValueError, match="constant"):
        estimator.fit(X, np.ones((60, 2)))
    estimator.fit(X, Y)
    with pytest.raises(ValueError, match="3 features"):
        estimator.score(np.ones((60, 3)), Y)
    with pytest.raises(ValueError, match="fit was without groups, and this call is with"):
        estimator.estimate(X, Y, groups=np.arange(60) % 2)
    with pytest.raises(ValueError, match="n_permutations"):
        estimator.estimate(X, Y, n_permutations=-1)


def test_bad_calls():
    X, Y = folded(60)
    with pytest.raises(ValueError, match="test_size"):
        mutual_information(X, Y, test_size=1.0)
    with pytest.raises(ValueError, match="too few"):
        mutual_information(X[:5], Y[:5], "gaussian")
    for method in ("infonce", "gaussian"):  # all of them, on whichever side of the split they are
        with pytest.raises(ValueError, match="View 'y': Input contains NaN or infinity: 60 NaN"):
            mutual_information(X, np.where(np.median(Y) < Y, np.nan, Y), method)
    with pytest.raises(ValueError, match="3 rows are too few"):
        mutual_information(X[:3], Y[:3])
    with pytest.raises(ValueError, match="condition is None"):
        conditional_mutual_information(X, Y, None)
    with pytest.raises(ValueError, match="groups"):
        conditional_mutual_information(X, Y, np.zeros(59))
    fitted = MutualInformation("gaussian").fit(X, Y, groups=np.arange(60) % 2)
    with pytest.raises(ValueError, match="fit was with groups, and this call is without"):
        fitted.score(X, Y)
