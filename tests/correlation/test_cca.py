"""CCA against brute force, and its two doors."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.linalg as sla
from sklearn import config_context
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf, oas
from sklearn.datasets import load_linnerud
from sklearn.linear_model import LinearRegression

from skalign import CCA, ByView, Views


def related(n=120, p=6, q=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + 3
    return X, X[:, :q] @ rng.normal(size=(q, q)) + 2 * rng.normal(size=(n, q))


def shrunk(X, c):
    C = np.atleast_2d(np.cov(X.T, bias=True))
    return (1 - c) * C + c * np.trace(C) / len(C) * np.eye(len(C))


def brute_force(views, shrinkages):
    """Leading eigenvectors of the (multiset) generalised eigenproblem, and its eigenvalues."""
    C = np.cov(np.hstack(views).T, bias=True)
    B = sla.block_diag(*(shrunk(X, c) for X, c in zip(views, shrinkages)))
    blocks = sla.block_diag(*(np.ones((X.shape[1], X.shape[1])) for X in views)) > 0
    values, vectors = sla.eigh(np.where(blocks, 0, C), B)
    edges = np.cumsum([X.shape[1] for X in views])[:-1]
    return values[::-1], [W[:, ::-1] for W in np.split(vectors, edges)]


def assert_same_directions(A, B, atol=1e-8):
    A, B = A / np.linalg.norm(A, axis=0), B / np.linalg.norm(B, axis=0)
    np.testing.assert_allclose(np.abs((A * B).sum(axis=0)), 1.0, atol=atol)


def assert_equal_fits(a, b, atol=1e-10):
    np.testing.assert_allclose(a.canonical_correlations_, b.canonical_correlations_, atol=atol)
    for name in a.weights_:
        np.testing.assert_allclose(a.weights_[name], b.weights_[name], atol=atol * np.abs(a.weights_[name]).max() * 10)
        np.testing.assert_allclose(a.means_[name], b.means_[name], atol=atol * (1 + np.abs(a.means_[name]).max()))


def test_linnerud_as_published():
    data = load_linnerud()
    cca = CCA().fit(data.data, data.target)
    np.testing.assert_allclose(cca.canonical_correlations_, [0.795608, 0.200556, 0.072570], atol=5e-7)


# --- shrinkage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.0, 1e-3, 0.3, (0.05, 0.9), 1.0])
@pytest.mark.parametrize("solver", ["auto", "cholesky", "svd", "gram", "randomized"])
def test_shrinkage_equals_the_generalised_eigenproblem(c, solver):
    X, Y = related()
    X = X * 10.0 ** np.arange(-2, 4)  # unequal units: scaling inside the solver must not reach the penalty
    c = np.broadcast_to(c, 2)
    cca = CCA(shrinkage={"x": c[0], "y": c[1]}, solver=solver).fit(X, Y)
    _, (Wx, Wy) = brute_force([X, Y], c)
    assert_same_directions(cca.weights_["x"], Wx[:, :4])
    assert_same_directions(cca.weights_["y"], Wy[:, :4])
    Zx, Zy = cca.transform(X, Y)
    np.testing.assert_allclose(np.r_[Zx.var(axis=0), Zy.var(axis=0)], 1.0)
    actual = [np.corrcoef(a, b)[0, 1] for a, b in zip(Zx.T, Zy.T)]
    np.testing.assert_allclose(cca.canonical_correlations_, actual, atol=1e-10)


def test_full_shrinkage_is_partial_least_squares():
    X, Y = related()
    cca = CCA(shrinkage=1.0).fit(X, Y)
    U, _, Vt = np.linalg.svd((X - X.mean(0)).T @ (Y - Y.mean(0)), full_matrices=False)
    assert_same_directions(cca.weights_["x"], U)
    assert_same_directions(cca.weights_["y"], Vt.T)


@pytest.mark.parametrize("solver", ["auto", "cholesky", "svd", "gram", "randomized"])
def test_more_columns_than_rows(solver):
    X, Y = related(30, 50, 40)
    cca = CCA(5, shrinkage=0.2, solver=solver).fit(X, Y)
    _, (Wx, Wy) = brute_force([X, Y], (0.2, 0.2))
    assert_same_directions(cca.weights_["x"], Wx[:, :5])
    assert_same_directions(cca.weights_["y"], Wy[:, :5])


def test_randomized_finds_what_a_wide_view_of_low_rank_holds():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(300, 4))
    X = latent @ rng.normal(size=(4, 400)) + 1e-3 * rng.normal(size=(300, 400))
    Y = latent @ rng.normal(size=(4, 20)) + rng.normal(size=(300, 20))
    found = CCA(4, shrinkage=0.1, solver="randomized", randomized_rank=30, random_state=0).fit(X, Y)
    exact = CCA(4, shrinkage=0.1).fit(X, Y)
    np.testing.assert_allclose(found.canonical_correlations_, exact.canonical_correlations_, atol=1e-4)
    again = CCA(4, shrinkage=0.1, solver="randomized", randomized_rank=30, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(found.weights_["x"], again.weights_["x"])


@pytest.mark.parametrize(("rule", "peer"), [("ledoit_wolf", ledoit_wolf), ("auto", ledoit_wolf), ("oas", oas)])
@pytest.mark.parametrize("shape", [(40, 6, 5), (30, 50, 5)])
def test_estimated_shrinkage_equals_scikit_learns(rule, peer, shape):
    X, Y = related(*shape)
    cca = CCA(2, shrinkage=rule).fit(X, Y)
    assert cca.shrinkage_ == pytest.approx({"x": peer(X)[1], "y": peer(Y)[1]}, rel=1e-10)


def test_shrinkage_by_view():
    X, Y = related()
    views = Views(image=X, text=Y)
    by_name = CCA(shrinkage={"text": 0.5, "image": 0.1}).fit(views)
    by_view = CCA(shrinkage=ByView(image=0.1, text=0.5)).fit(views)
    assert by_view.shrinkage_ == {"image": 0.1, "text": 0.5}
    assert_equal_fits(by_name, by_view, 0)
    assert clone(by_view).set_params(shrinkage__text=0.7).fit(views).shrinkage_["text"] == 0.7


# --- what is estimated ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.0, 0.2, 1.0])
def test_three_views_equal_the_multiset_eigenproblem(c):
    X, Y = related()
    Z = X[:, :3] + np.random.default_rng(1).normal(size=(120, 3))
    cca = CCA(shrinkage=c).fit(Views(a=X, b=Y, c=Z))
    _, weights = brute_force([X, Y, Z], [c] * 3)
    for W, expected in zip(cca.weights_.values(), weights):
        assert_same_directions(W, expected[:, :3])
    variates = [V / V.std(axis=0) for V in (A @ W for A, W in zip((X, Y, Z), cca.weights_.values()))]
    pairs = [
        [np.corrcoef(variates[i][:, k], variates[j][:, k])[0, 1] for k in range(3)] for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    np.testing.assert_allclose(cca.canonical_correlations_, np.mean(pairs, axis=0), atol=1e-10)


@pytest.mark.parametrize("c", [0.0, 0.3])
def test_two_views_equal_the_multiset_problem(c):
    X, Y = related()
    values, _ = brute_force([X, Y], [c, c])
    cca = CCA(shrinkage=c).fit(X, Y)
    np.testing.assert_allclose(cca._all_values, values[:4], atol=1e-10)


def test_signs_do_not_depend_on_the_order_of_rows_or_columns():
    X, Y = related()
    rng = np.random.default_rng(3)
    cca = CCA().fit(X, Y)
    W = cca.weights_["x"]
    assert (np.take_along_axis(W, np.abs(W).argmax(axis=0)[None], axis=0) > 0).all()
    assert (cca.canonical_correlations_ >= 0).all()
    for _ in range(5):
        rows, columns = rng.permutation(120), rng.permutation(6)
        other = CCA().fit(X[rows][:, columns], Y[rows])
        np.testing.assert_allclose(other.weights_["x"], W[columns], atol=1e-9)
        np.testing.assert_allclose(other.weights_["y"], cca.weights_["y"], atol=1e-9)


def test_loadings_and_explained_variance():
    X, Y = related()
    X = np.column_stack([X, np.full(120, 2.0)])
    cca = CCA(shrinkage=0.1).fit(X, Y)
    Z = cca.transform(X)
    expected = np.array([[np.corrcoef(x, z)[0, 1] for z in Z.T] for x in X.T[:6]])
    np.testing.assert_allclose(cca.loadings_["x"], np.vstack([expected, np.zeros(4)]), atol=1e-10)
    explained = [np.var(np.outer(z, z @ (X - X.mean(0)) / 120), axis=0).sum() for z in Z.T]
    np.testing.assert_allclose(cca.explained_variance_["x"], explained)
    np.testing.assert_allclose(cca.explained_variance_ratio_["x"], explained / X.var(axis=0).sum())
    full = CCA().fit(X, Y)  # four uncorrelated variates of a view of four columns explain all of it
    assert full.explained_variance_ratio_["y"].sum() == pytest.approx(1.0)
    assert full.explained_variance_["y"].sum() == pytest.approx(Y.var(axis=0).sum())


def test_weighting_by_correlation_scales_the_outputs_only():
    X, Y = related()
    unit, weighted = CCA().fit(X, Y), CCA(weighting="correlation").fit(X, Y)
    np.testing.assert_allclose(weighted.transform(X, Y)[1], unit.transform(X, Y)[1] * unit.canonical_correlations_)
    assert_equal_fits(unit, weighted, 0)
    np.testing.assert_allclose(
        weighted.inverse_transform(weighted.transform(X)), unit.inverse_transform(unit.transform(X))
    )
    assert weighted.score(X, Y) == pytest.approx(unit.score(X, Y))


@pytest.mark.parametrize("c", [0.0, 0.3])
def test_predict_of_full_rank_is_ordinary_least_squares(c):
    X, Y = related()
    X = X[:, :4]
    cca = CCA(shrinkage=c).fit(X, Y)
    np.testing.assert_allclose(cca.predict(X), LinearRegression().fit(X, Y).predict(X), atol=1e-8)
    named = CCA(shrinkage=c).fit(Views(image=X, text=Y)).predict(Views(text=Y))
    assert list(named.names) == ["image"]
    np.testing.assert_allclose(named["image"], LinearRegression().fit(Y, X).predict(Y), atol=1e-8)


@pytest.mark.parametrize("c", [0.0, 0.3])
def test_inverse_transform_of_full_rank_is_exact(c):
    X, Y = related()
    cca = CCA(shrinkage=c).fit(X[:, :4], Y)
    np.testing.assert_allclose(cca.inverse_transform(cca.transform(X[:, :4])), X[:, :4], atol=1e-8)
    one = CCA(1, shrinkage=c).fit(X, Y)
    z = one.transform(X)
    expected = LinearRegression().fit(z, X).predict(z)  # fewer components: the regression on them
    np.testing.assert_allclose(one.inverse_transform(z), expected, atol=1e-8)


def test_score_is_the_sum_of_held_out_correlations():
    X, Y = related()
    cca = CCA(3, shrinkage=0.1).fit(X[:80], Y[:80])
    Zx, Zy = cca.transform(X[80:], Y[80:])
    expected = sum(np.corrcoef(a, b)[0, 1] for a, b in zip(Zx.T, Zy.T))
    assert cca.score(X[80:], Y[80:]) == pytest.approx(expected)
    assert CCA(3).fit(X, Y).score(X, Y) == pytest.approx(CCA(3).fit(X, Y).canonical_correlations_.sum())


# --- doors and containers -------------------------------------------------------------------------------------------


def test_both_doors_give_the_same():
    X, Y = related()
    arrays, views = CCA(2).fit(X, Y), CCA(2).fit(Views(image=X, text=Y), np.arange(120))
    Z = views.transform(Views(text=Y, image=X))
    np.testing.assert_array_equal(arrays.transform(X), Z["image"])
    np.testing.assert_array_equal(arrays.transform(X, Y)[1], Z["text"])
    np.testing.assert_array_equal(views.transform(Views(text=Y))["text"], Z["text"])
    np.testing.assert_array_equal(arrays.fit_transform(X, Y), Z["image"])
    np.testing.assert_array_equal(views.fit_transform(Views(image=X, text=Y))["text"], Z["text"])
    assert arrays.score(X, Y) == views.score(Views(image=X, text=Y))
    S = arrays.similarity(X, Y[:7])
    assert S.shape == (120, 7)
    np.testing.assert_allclose(S, views.similarity(Views(image=X), Views(text=Y[:7])))
    assert list(arrays.get_feature_names_out()) == ["cca0", "cca1"]
    assert list(views.get_feature_names_out()) == ["image__cca0", "image__cca1", "text__cca0", "text__cca1"]
    assert arrays.n_features_in_ == 6
    assert not hasattr(views, "n_features_in_")


def test_an_encoder_works_alone():
    X, Y = related()
    cca = CCA(2).fit(Views(image=X, text=Y))
    encoder = pickle.loads(pickle.dumps(cca.encoders_))["text"]
    with pytest.raises(KeyError, match=r"no view is named 'sound': the views are \["):
        cca.encoders_["sound"]
    assert clone(cca.encoders_["text"]) is cca.encoders_["text"]
    np.testing.assert_array_equal(encoder.transform(Y), cca.transform(Views(text=Y))["text"])
    frame = encoder.set_output(transform="pandas").transform(Y)
    assert list(frame.columns) == ["cca0", "cca1"]


def test_data_frames_keep_their_index():
    X, Y = related()
    index = [f"row{i}" for i in range(120)]
    frame = pd.DataFrame(X, index=index, columns=list("abcdef"))
    cca = CCA(2).fit(frame, Y).set_output(transform="pandas")
    Z = cca.transform(frame)
    assert list(Z.index) == index
    assert list(Z.columns) == ["cca0", "cca1"]
    np.testing.assert_allclose(Z, CCA(2).fit_transform(X, Y))
    named = CCA(2).set_output(transform="pandas").fit_transform(Views(image=frame, text=Y))
    assert list(named["image"].columns) == ["image__cca0", "image__cca1"]
    with pytest.raises(ValueError, match="feature names"):
        cca.transform(frame[list("fedcba")])


def test_float32_stays_float32():
    X, Y = (A.astype(np.float32) for A in related())
    cca = CCA(2).fit(X, Y)
    assert cca.transform(X).dtype == cca.inverse_transform(cca.transform(X)).dtype == cca.predict(X).dtype == np.float32
    exact = CCA(2).fit(X.astype(float), Y.astype(float))
    np.testing.assert_allclose(cca.weights_["x"], exact.weights_["x"], atol=1e-12)


@pytest.mark.parametrize("params", [{}, {"shrinkage": "auto"}, {"solver": "svd"}, {"solver": "gram", "shrinkage": 0.1}])
@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_tensors_give_tensors(params, dispatch, device):
    torch = pytest.importorskip("torch")
    X, Y = related()
    tX, tY = torch.asarray(X, device=device), torch.asarray(Y, device=device)
    expected = CCA(3, **params).fit(X, Y)
    with config_context(array_api_dispatch=dispatch):
        cca = CCA(3, **params).fit(tX, tY)
        Z, (_, Zy) = cca.transform(tX), cca.transform(tX, tY)
        back, guess = cca.inverse_transform(Z), cca.predict(tX)
        score = cca.score(tX, tY)
    for tensor in (Z, Zy, back, guess):
        assert isinstance(tensor, torch.Tensor)
        assert tensor.device == tX.device
    np.testing.assert_allclose(Z.cpu().numpy(), expected.transform(X), atol=1e-10)
    np.testing.assert_allclose(guess.cpu().numpy(), expected.predict(X), atol=1e-10)
    assert score == pytest.approx(expected.score(X, Y))
    assert cca.transform(tX.to(torch.float32)).dtype == torch.float32
    assert pickle.loads(pickle.dumps(cca)).canonical_correlations_.shape == (3,)


def test_array_api_dispatch_with_numpy():
    X, Y = related()
    expected = CCA(2).fit_transform(X, Y)
    with config_context(array_api_dispatch=True):
        np.testing.assert_array_equal(CCA(2).fit_transform(X, Y), expected)
        np.testing.assert_array_equal(CCA(2).fit_transform(Views(a=X, b=Y))["a"], expected)


# --- sample weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"shrinkage": 0.2}, {"solver": "svd"}])
def test_sample_weights_are_repetitions(params):
    X, Y = related()
    weights = np.random.default_rng(0).integers(0, 4, size=120)
    weighted = CCA(3, **params).fit(X, Y, sample_weight=weights)
    repeated = CCA(3, **params).fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0))
    assert_equal_fits(weighted, repeated)
    assert weighted.n_samples_seen_ == (weights > 0).sum()
    assert_equal_fits(weighted, CCA(3, **params).fit(X, Y, sample_weight=weights * 7.3))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-8)
    spoilt = X.copy()
    spoilt[weights == 0] = 1e9  # a weight of zero takes the row out whatever it holds
    assert_equal_fits(weighted, CCA(3, **params).fit(spoilt, Y, sample_weight=weights))
