"""What every aligner of paired views must do, through both doors."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import Domains, Fuse, PerView, Views, select_view
from skalign.metrics import alignment_scorer

from ._instances import PAIRED, exempt, expected_similarity, feature_word, width_of


def make_data(n=60, seed=0):
    """Two views of widths 5 and 4 that share three directions, and labels."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3))
    X = shared @ rng.normal(size=(3, 5)) + 0.3 * rng.normal(size=(n, 5))
    Y = shared @ rng.normal(size=(3, 4)) + 0.3 * rng.normal(size=(n, 4))
    return X, Y, (shared[:, 0] > 0).astype(int)


@pytest.fixture
def data():
    return make_data()


@pytest.fixture(params=list(PAIRED))
def aligner(request):
    aligner = clone(PAIRED[request.param])
    return aligner.set_params(**{width_of(aligner): 3})


@pytest.fixture
def rounding(aligner):
    """How far equal results may lie apart: nets compute in float32."""
    return 1e-4 if hasattr(aligner, "encoder") else 1e-8


# --- the table of calls ---------------------------------------------------------------------------------------------


def test_both_doors_give_the_same(aligner, data):
    X, Y, _ = data
    arrays, views = clone(aligner).fit(X, Y), clone(aligner).fit(Views(x=X, y=Y))
    Zx, Zy = arrays.transform(X, Y)
    Z = views.transform(Views(x=X, y=Y))
    assert_array_equal(Zx, Z["x"])
    assert_array_equal(Zy, Z["y"])
    assert_array_equal(arrays.transform(X), Zx)
    assert arrays.score(X, Y) == views.score(Views(x=X, y=Y))
    assert_array_equal(arrays.similarity(X, Y), views.similarity(Views(x=X, y=Y)))
    assert_array_equal(arrays.inverse_transform(Zx), views.inverse_transform(Z)["x"])


def test_fit_returns_self_and_labels_stay_free(aligner, data):
    X, Y, labels = data
    views = Views(a=X, b=Y)
    assert aligner.fit(views, labels) is aligner
    expected = clone(aligner).fit(views).transform(views)["a"]
    assert_array_equal(aligner.transform(views)["a"], expected)
    assert_array_equal(clone(aligner).fit(views, ["label"] * 60).transform(views)["a"], expected)


def test_output_mirrors_input(aligner, data):
    X, Y, _ = data
    aligner.fit(X, Y)
    assert isinstance(aligner.transform(X), np.ndarray)
    assert [Z.shape for Z in aligner.transform(X[:7], Y[:9])] == [(7, 3), (9, 3)]
    Z = clone(aligner).fit_transform(X, Y)
    assert isinstance(Z, np.ndarray)
    assert_allclose(Z, aligner.transform(X), atol=1e-8)
    Z = clone(aligner).fit_transform(Views(b=Y, a=X))
    assert isinstance(Z, Views)
    assert Z.names == ["b", "a"]


def test_plain_array_needs_a_fit_on_arrays(aligner, data):
    X, Y, _ = data
    aligner.fit(Views(image=X, text=Y))
    for method in (aligner.transform, aligner.inverse_transform):
        with pytest.raises(ValueError, match=r"Views\(text=X\).*encoders_\['text'\]"):
            method(X)
    for method in (aligner.transform, aligner.similarity, aligner.score):
        with pytest.raises(ValueError, match=r"Call \w+\(Views\(image=X, text=Y\)\)\.$"):
            method(X, Y)


def test_one_view_is_enough_at_transform(aligner, data):
    X, Y, _ = data
    views = Views(image=X, text=Y)
    Z = aligner.fit(views).transform(Views(text=Y))
    assert Z.names == ["text"]
    assert_array_equal(Z["text"], aligner.transform(views)["text"])
    assert_array_equal(Z["text"], aligner.encoders_["text"].transform(Y))
    assert aligner.inverse_transform(Z)["text"].shape == Y.shape
    with pytest.raises(ValueError, match=r"\['image', 'text'\], not on 'sound'"):
        aligner.transform(Views(sound=Y))


def test_similarity(aligner, data):
    X, Y, _ = data
    aligner.fit(X, Y)
    S = aligner.similarity(X[:6], Y[:11])
    assert S.shape == (6, 11)
    assert_allclose(S, expected_similarity(aligner, *aligner.transform(X[:6], Y[:11])), atol=1e-10)
    check_direction(clone(aligner).fit(Views(a=X, b=Y)), Views(a=X, b=Y))


def test_similarity_of_three_views(aligner, data):
    if reason := exempt(aligner, "three views"):
        pytest.skip(reason)
    X, Y, _ = data
    three = clone(aligner).fit(Views(a=X, b=Y, c=X[:, ::-1]))
    with pytest.raises(ValueError, match=r"views=\(name, name\)"):
        three.similarity(Views(a=X, b=Y, c=X))
    check_direction(three, Views(a=X, b=Y))


def check_direction(aligner, views):
    """The similarity of b to a is that of a to b, unless it tells which of them is the more general one."""
    S, turned = aligner.similarity(views), aligner.similarity(views, views=("b", "a")).T
    if exempt(aligner, "symmetry"):
        assert not np.allclose(turned, S)
    else:
        assert_allclose(turned, S, atol=1e-10)


def test_score_is_a_float_that_falls_for_permuted_pairs(aligner, data):
    X, Y, _ = data
    X_new, Y_new = X[40:], Y[40:]
    aligner.fit(X[:40], Y[:40])
    score = aligner.score(X_new, Y_new)
    assert isinstance(score, float)
    assert score > aligner.score(X_new, np.roll(Y_new, 5, axis=0)) + 0.1


# --- scikit-learn's tools -------------------------------------------------------------------------------------------


def test_pipeline_predicts_from_one_view(aligner, data):
    X, Y, labels = data
    if hasattr(aligner, "n_anchors"):
        aligner.set_params(n_anchors=None)  # three rows drawn at random tell too little
    steps = PerView({"a": StandardScaler(), "b": PCA(3)}), aligner, Fuse("mean"), LogisticRegression()
    pipe = make_pipeline(*steps).fit(Views(a=X, b=Y), labels)
    assert exempt(aligner, "one place for a pair") or pipe.score(Views(a=X), labels) > 0.8  # chance: 0.5
    assert_array_equal(select_view(pipe, "b").predict(Y), pipe.predict(Views(b=Y)))


def test_pipeline_of_arrays(aligner, data):
    X, Y, _ = data
    pipe = make_pipeline(StandardScaler(), aligner).fit(X, Y)
    assert pipe.transform(X).shape == (60, 3)
    assert pipe.score(X, Y) == pipe[-1].score(pipe[0].transform(X), Y)


@pytest.mark.parametrize("door", ["arrays", "views"])
@pytest.mark.parametrize("scoring", [None, alignment_scorer("recall_at_k", k=5)])
def test_grid_search(aligner, data, door, scoring):
    X, Y, _ = data
    args = (X, Y) if door == "arrays" else (Views(x=X, y=Y),)
    search = GridSearchCV(aligner, {width_of(aligner): [1, 3]}, cv=3, scoring=scoring, n_jobs=2, error_score="raise")
    search.fit(*args)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_[width_of(aligner)] == 3
    assert search.best_estimator_.transform(args[0]) is not None
    best = search.cv_results_["mean_test_score"][search.best_index_]
    assert_allclose(cross_val_score(search.best_estimator_, *args, cv=3, scoring=scoring).mean(), best)


def test_clone_is_unfitted(aligner, data):
    X, Y, _ = data
    fresh = clone(aligner.fit(X, Y))
    assert repr(fresh.get_params()) == repr(aligner.get_params())
    for call in (fresh.transform, fresh.inverse_transform, fresh.similarity):
        with pytest.raises(NotFittedError):
            call(X)
    with pytest.raises(NotFittedError):
        fresh.score(X, Y)


def test_pickle_in_another_process(aligner, data, tmp_path):
    X, Y, _ = data
    aligner.fit(X, Y)
    parts = {"aligner": aligner, "encoder": aligner.encoders_["y"], "X": X, "Y": Y}
    for name, part in parts.items():
        (tmp_path / name).write_bytes(pickle.dumps(part))
    code = (
        "import pickle, sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "a, e, X, Y = (pickle.loads((folder / n).read_bytes()) for n in ('aligner', 'encoder', 'X', 'Y'))\n"
        "(folder / 'Z').write_bytes(pickle.dumps((*a.transform(X, Y), e.transform(Y))))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    Zx, Zy, from_encoder = pickle.loads((tmp_path / "Z").read_bytes())
    assert_allclose(Zx, aligner.transform(X), atol=1e-12)
    assert_allclose(Zy, aligner.transform(X, Y)[1], atol=1e-12)
    assert_array_equal(from_encoder, Zy)


def test_encoder_is_a_frozen_transformer(aligner, data):
    X, Y, _ = data
    encoder = aligner.fit(Views(a=X, b=Y)).encoders_["b"]
    assert clone(encoder) is encoder
    assert encoder.n_features_in_ == 4
    assert len(encoder.get_feature_names_out()) == 3
    assert_array_equal(make_pipeline(encoder).fit(Y).transform(Y), encoder.transform(Y))


# --- containers and dtypes ------------------------------------------------------------------------------------------


def test_float32_stays(aligner, data):
    X, Y, _ = data
    if exempt(aligner, "long fits in float32"):
        aligner.set_params(max_epochs=10)
    exact = clone(aligner).fit(X, Y).transform(X)
    Zx, Zy = aligner.fit(X.astype(np.float32), Y.astype(np.float32)).transform(X.astype(np.float32), Y)
    assert exact.dtype == np.float64
    assert Zx.dtype == np.float32
    assert Zy.dtype == np.float64
    assert_allclose(Zx, exact, atol=1e-3)
    assert aligner.inverse_transform(Zx).dtype == np.float32


@pytest.mark.parametrize("dispatch", [False, True])
def test_torch_in_torch_out(aligner, data, dispatch):
    torch = pytest.importorskip("torch")
    X, Y, _ = data
    tensors = Views(a=torch.from_numpy(X), b=torch.from_numpy(Y).float())
    expected = clone(aligner).fit(Views(a=X, b=Y.astype(np.float32))).transform(Views(a=X))["a"]
    with sklearn.config_context(array_api_dispatch=dispatch):
        Z = aligner.fit(tensors).transform(tensors)
        back = aligner.inverse_transform(Z)
        score = aligner.score(tensors)
    assert all(isinstance(view, torch.Tensor) for out in (Z, back) for _, view in out.items())
    assert (Z["a"].dtype, Z["b"].dtype) == (torch.float64, torch.float32)
    assert_allclose(Z["a"].numpy(), expected, atol=1e-6)
    assert isinstance(score, float)


def test_array_api_dispatch_searches_views(aligner, data):
    X, Y, _ = data
    search = GridSearchCV(aligner, {width_of(aligner): [2, 3]}, cv=3, error_score="raise")
    plain = clone(search).fit(Views(a=X, b=Y)).cv_results_["mean_test_score"]
    with sklearn.config_context(array_api_dispatch=True):
        assert_allclose(search.fit(Views(a=X, b=Y)).cv_results_["mean_test_score"], plain)


def test_data_frames_and_set_output(aligner, data, rounding):
    pd = pytest.importorskip("pandas")
    X, Y, _ = data
    index = [f"row{i}" for i in range(60)]
    A, B = pd.DataFrame(X, index, list("abcde")), pd.DataFrame(Y, index, list("pqrs"))
    expected = clone(aligner).fit(X, Y).transform(X)
    aligner.fit(A, B)
    assert_allclose(aligner.transform(A), expected, atol=rounding)  # pandas stores by column: sums round otherwise
    assert list(aligner.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        aligner.transform(A.rename(columns={"a": "z"}))
    Z = aligner.set_output(transform="pandas").transform(A)
    assert list(Z.columns) == list(aligner.get_feature_names_out())
    assert list(Z.index) == index
    both = clone(aligner).set_output(transform="pandas").fit_transform(Views(left=A, right=B))
    assert [c for _, Z in both.items() for c in Z.columns] == [
        f"{v}__{c}" for v in ("left", "right") for c in Z.columns
    ]


def test_feature_names(aligner, data):
    X, Y, _ = data
    word = feature_word(aligner)
    assert list(aligner.fit(X, Y).get_feature_names_out()) == [f"{word}{i}" for i in range(3)]
    names = aligner.fit(Views(a=X, b=Y)).get_feature_names_out()
    assert list(names) == [f"{view}__{word}{i}" for view in "ab" for i in range(3)]


def test_input_is_never_altered(aligner, data):
    X, Y, _ = data
    before = X.copy(), Y.copy()
    X.flags.writeable = Y.flags.writeable = False  # writing in place would raise
    for args in ((X, Y), (Views(a=X, b=Y),)):
        aligner.fit(*args)
        aligner.score(*args)
        aligner.similarity(*args)
        aligner.inverse_transform(aligner.transform(args[0]))
    assert_array_equal(X, before[0])
    assert_array_equal(Y, before[1])


def test_order_of_rows_does_not_matter(aligner, data):
    if hasattr(aligner, "encoder"):
        pytest.skip("batches, and which rows are held out, follow from the positions of the rows")
    if hasattr(aligner, "n_anchors"):
        pytest.skip("the coordinates are rows")
    X, Y, _ = data
    order = np.random.default_rng(1).permutation(60)
    expected = clone(aligner).fit(X, Y).transform(X, Y)
    for Z, other in zip(expected, aligner.fit(X[order], Y[order]).transform(X, Y)):
        assert_allclose(other, Z, atol=1e-6)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_names_the_view_and_counts(aligner, data, value):
    X, Y, _ = data
    bad = Y.copy()
    bad[:3, 0] = value
    counts = "3 NaN and 0 inf" if np.isnan(value) else "0 NaN and 3 inf"
    with pytest.raises(ValueError, match=f"View 'text'.*{counts}"):
        aligner.fit(Views(image=X, text=bad))
    aligner.fit(Views(image=X, text=Y))
    with pytest.raises(ValueError, match=f"View 'text'.*{counts}"):
        aligner.transform(Views(text=bad))


def test_wrong_width(aligner, data):
    X, Y, _ = data
    aligner.fit(X, Y)
    with pytest.raises(ValueError, match=r"View 'y'.*3 features.*expecting 4"):
        aligner.transform(X, Y[:, :3])
    with pytest.raises(ValueError, match=r"Z has 2 columns.*3 components"):
        aligner.inverse_transform(np.zeros((5, 2)))


def test_unequal_lengths(aligner, data):
    X, Y, _ = data
    with pytest.raises(ValueError, match="'x' has 60 rows and 'y' has 59"):
        aligner.fit(X, Y[:-1])


def test_strings(aligner, data):
    X, _, _ = data
    with pytest.raises(ValueError, match="View 'text': holds strings"):
        aligner.fit(Views(image=X, text=["a cat"] * 60))
    with pytest.raises(ValueError, match="labels go with Views"):
        aligner.fit(X, np.array(["cat"] * 60))


def test_domains_are_refused(aligner, data):
    X, Y, _ = data
    with pytest.raises(TypeError, match="Domains"):
        aligner.fit(Domains(source=X, target=Y))


def test_second_view_is_required(aligner, data):
    X, Y, _ = data
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        aligner.fit(X)
    with pytest.raises(TypeError, match="second argument is Views"):
        aligner.fit(X, Views(a=Y))
    with pytest.raises(ValueError, match="two views or more"):
        aligner.fit(Views(a=X))


def test_one_dimensional_view_warns(aligner, data):
    X, Y, _ = data
    aligner.set_params(**{width_of(aligner): 1})
    with pytest.warns(DataConversionWarning, match="second argument is a view; labels go with Views"):
        aligner.fit(X, Y[:, 0])
    assert aligner.transform(X, Y[:, 0])[1].shape == (60, 1)


def test_one_sample(aligner, data, rounding):
    X, Y, _ = data
    with pytest.raises(ValueError, match="minimum of 2"):
        aligner.fit(X[:1], Y[:1])
    aligner.fit(X, Y)
    assert_allclose(aligner.transform(X[:1]), aligner.transform(X)[:1], atol=rounding / 100)
    with pytest.raises(ValueError, match="at least 2 samples"):
        aligner.score(X[:1], Y[:1])


def test_constant_view_is_named(aligner, data):
    X, _, _ = data
    with pytest.raises(ValueError, match=r"constant|rank 0"):
        aligner.fit(Views(image=X, text=np.full((60, 4), 7.1)))


@pytest.mark.filterwarnings("ignore:Without shrinkage:UserWarning")
@pytest.mark.parametrize("case", ["constant column", "duplicate columns", "duplicate rows", "fewer rows than columns"])
def test_degenerate_data_give_finite_results(aligner, data, case):
    X, Y, _ = data
    if case == "constant column":
        X[:, 0] = 7.1
    elif case == "duplicate columns":
        X[:, 1] = X[:, 0]
    elif case == "duplicate rows":
        X, Y = np.tile(X[:10], (6, 1)), np.tile(Y[:10], (6, 1))
    else:
        rng = np.random.default_rng(0)
        X, Y = rng.normal(size=(10, 30)), rng.normal(size=(10, 25))
    for Z in aligner.fit(X, Y).transform(X, Y):
        assert np.isfinite(Z).all()
        assert Z.std(axis=0).max() > 0
    assert np.isfinite(aligner.score(X, Y))
