"""Frames as units: k-means against its peer, every form of output, streams, refinement, and what is refused."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import PerView, Views
from skalign.metrics._units import phone_normalized_mutual_info
from skalign.sequence import HiddenUnitDiscretizer, MaskedPredictionNet

ENCODINGS = ("ordinal", "onehot", "onehot-dense", "centroid")


def make_blobs(n=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    return 6 * np.eye(4, 3)[labels] + rng.normal(size=(n, 3)) * 0.3 + 1, labels


def make_signals(n=8, seed=0, noise=0.1, width=4):
    """Sequences that hold one of five states for 5 to 11 frames each, and the states."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(5, width))
    X, y = [], []
    for _ in range(n):
        states = np.repeat(rng.integers(5, size=10), rng.integers(5, 12, size=10))
        X.append(means[states] + noise * rng.normal(size=(len(states), width)))
        y.append(states)
    return X, y


def make_units(n_units=4, **options):
    return HiddenUnitDiscretizer(n_units, **({"n_init": 3, "random_state": 0} | options))


# --- units ------------------------------------------------------------------------------------------------------------


def test_units_are_those_of_kmeans():
    X, labels = make_blobs()
    units = make_units().fit(X)
    peer = KMeans(4, n_init=3, random_state=0).fit(X)
    assert_allclose(sorted(units.cluster_centers_.tolist()), sorted(peer.cluster_centers_.tolist()))
    distances = ((X[:, None] - units.cluster_centers_) ** 2).sum(axis=2)
    assert_array_equal(units.predict(X), distances.argmin(axis=1))
    assert phone_normalized_mutual_info(labels, units.predict(X)) == pytest.approx(1)
    assert_allclose(units.score(X), 1 - peer.inertia_ / ((X - X.mean(axis=0)) ** 2).sum())


def test_cosine_compares_directions():
    rng = np.random.default_rng(0)
    X = np.eye(3)[np.arange(60) % 3] * rng.uniform(0.01, 100, size=(60, 1)) + 1e-4
    units = make_units(3, metric="cosine").fit(X)
    found = units.predict(X)
    assert len(set(zip(found.tolist(), (np.arange(60) % 3).tolist()))) == 3
    assert_allclose(np.linalg.norm(units.cluster_centers_, axis=1), 1)
    assert_array_equal(units.predict(1e3 * X), found)
    assert_allclose(units.codebook_, [X[found == unit].mean(axis=0) for unit in range(3)])
    with pytest.raises(ValueError, match="2 of 60 frames are zero"):
        units.fit(np.where(np.arange(60)[:, None] < 2, 0, X))


def test_counts_usage_perplexity():
    X, _ = make_blobs()
    units = make_units().fit(X)
    counts = np.bincount(units.predict(X), minlength=4)
    assert_array_equal(units.counts_, counts)
    p = counts / counts.sum()
    assert_allclose(units.perplexity_, np.exp(-(p * np.log(p)).sum()))
    assert units.usage_ == 1
    with pytest.warns(ConvergenceWarning):
        few = make_units(5).fit(np.repeat([[0.0], [1.0]], 5, axis=0))
    assert few.usage_ == 0.4
    assert_allclose(few.perplexity_, 2)


def test_minibatch():
    X, labels = make_blobs(2000)
    units = make_units(batch_size=200).fit(X)  # "auto", and more rows than a batch
    assert phone_normalized_mutual_info(labels, units.predict(X)) > 0.95
    assert_array_equal(units.cluster_centers_, make_units(batch_size=200, solver="minibatch").fit(X).cluster_centers_)
    full = make_units(batch_size=200, solver="full").fit(X)
    assert not np.array_equal(units.cluster_centers_, full.cluster_centers_)


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize("form", ["table", "list", "stacked"])
def test_output_mirrors_the_input(encode, form):
    table, _ = make_blobs()
    X = {"table": table, "list": [table[:50], table[50:51], table[51:]], "stacked": table.reshape(30, 10, 3)}[form]
    units = make_units(encode=encode).fit(X)
    ids, Z = units.predict(X), units.transform(X)
    width = {"ordinal": 1, "centroid": 3}.get(encode, 4)
    if form == "table":
        ids, Z, back = [ids], [Z], [units.inverse_transform(Z)]
        X = [X]
    else:
        assert isinstance(Z, list)
        back = units.inverse_transform(Z)
        assert_array_equal(units.inverse_transform(ids)[1], units.codebook_[ids[1]])
    for x, own, values, rows in zip(X, ids, Z, back):
        assert own.shape == (len(x),)
        assert values.shape == (len(x), width)
        assert sp.issparse(values) == (encode == "onehot")
        assert_array_equal(rows, units.codebook_[own])
        assert values.dtype == (np.int64 if encode == "ordinal" else np.float64)
    assert len(units.get_feature_names_out()) == width


def test_collapse_repeats():
    X, _ = make_signals()
    plain = make_units(5).fit(X)
    collapsed = clone(plain).set_params(collapse_repeats=True).fit(X)
    for whole, own in zip(plain.predict(X), collapsed.predict(X)):
        assert_array_equal(own, [u for i, u in enumerate(whole) if i == 0 or whole[i - 1] != u])
        assert 1 <= len(own) < len(whole)
    assert [z.shape for z in collapsed.transform(X)] == [(len(u), 1) for u in collapsed.predict(X)]
    with pytest.raises(ValueError, match="rows of a table have no neighbours"):
        collapsed.predict(X[0])


@pytest.mark.parametrize("encode", ENCODINGS)
def test_float32_and_tensors(encode):
    torch = pytest.importorskip("torch")
    X, _ = make_blobs()
    units = make_units(encode=encode).fit(X.astype(np.float32))
    assert units.cluster_centers_.dtype == np.float32
    Z = units.transform(X.astype(np.float32))
    assert Z.dtype == (np.int64 if encode == "ordinal" else np.float32)
    T = units.transform(torch.tensor(X, dtype=torch.float32))
    assert isinstance(T, torch.Tensor)
    assert_allclose(T.numpy(), Z.toarray() if sp.issparse(Z) else Z)
    assert isinstance(units.inverse_transform(T), torch.Tensor)
    (own,) = make_units(encode=encode).fit([torch.tensor(X)]).transform([torch.tensor(X)])
    assert isinstance(own, torch.Tensor)


def test_views_are_learnt_one_by_one():
    X, _ = make_signals()
    table, _ = make_blobs(len(X))
    views = Views(sound=X, row=table)
    units = make_units(3, encode="centroid").fit(views)
    assert list(units.views_) == ["sound", "row"]
    alone = make_units(3, encode="centroid").fit(table)
    Z = units.transform(views)
    assert isinstance(Z, Views)
    assert_array_equal(Z["row"], alone.transform(table))
    assert_array_equal(units.predict(Views(row=table))["row"], alone.predict(table))
    assert_array_equal(units.inverse_transform(Z)["row"], alone.inverse_transform(Z["row"]))
    assert units.get_feature_names_out()[0] == "sound__x0"
    assert 0 < units.score(views) < 1
    with pytest.raises(ValueError, match="fitted on the views .* not on one"):
        units.predict(table)
    with pytest.raises(ValueError, match=r"not on \['other'\]"):
        units.predict(Views(other=table))
    with pytest.raises(ValueError, match="View 'row': Input contains NaN"):
        units.fit(Views(sound=X, row=np.where(np.eye(len(X), 3) > 0, np.nan, table)))
    assert_array_equal(units.predict(Views(row=table))["row"], alone.predict(table))  # the last fit is still there
    assert PerView({"row": make_units(3)}).fit_transform(views)["row"].shape == (len(X), 1)


def test_set_output():
    pytest.importorskip("pandas")
    X, _ = make_blobs()
    frame = make_units(encode="onehot-dense").set_output(transform="pandas").fit(X).transform(X)
    assert frame.columns.tolist() == ["unit0", "unit1", "unit2", "unit3"]


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_stream(metric):
    X, labels = make_blobs(2000)
    units = make_units(metric=metric)
    for chunk in np.split(X, 10):
        units.partial_fit(chunk)
    assert units.counts_.sum() == 2000
    assert phone_normalized_mutual_info(labels, units.predict(X)) > 0.95
    assert_allclose(units.score(X), make_units(metric=metric).fit(X).score(X), atol=0.01)


def test_streamed_centres_are_running_means():
    X, _ = make_blobs(40)
    units = make_units(2).partial_fit(X[:30])
    centers, counts = units.cluster_centers_.copy(), units.counts_.copy()
    ids = units.predict(X[30:])
    units.partial_fit(X[30:])
    for i in range(2):
        total = centers[i] * counts[i] + X[30:][ids == i].sum(axis=0)
        assert_allclose(units.cluster_centers_[i], total / (counts[i] + (ids == i).sum()))
    assert units.partial_fit(X[:1]).counts_.sum() == 41  # goes on with a row


def test_a_refused_chunk_changes_nothing():
    X, _ = make_blobs()
    units = make_units()
    with pytest.raises(ValueError, match="n_samples=3 rows"):
        units.partial_fit(X[:3])
    with pytest.raises(NotFittedError):
        units.predict(X)
    before = pickle.dumps(units.partial_fit(X))
    for chunk, message in [(np.full((5, 3), np.nan), "NaN"), (X[:, :2], "2 features"), ([X[:2], X[:0]], "sample 1")]:
        with pytest.raises(ValueError, match=message):
            units.partial_fit(chunk)
        assert pickle.dumps(units) == before


# --- refinement -------------------------------------------------------------------------------------------------------


def test_refinement_by_an_estimator():
    table, labels = make_blobs()
    units = make_units(max_iter=2, model=LinearDiscriminantAnalysis()).fit(table)
    assert units.cluster_centers_.shape == (4, 3)
    features = units.model_.transform(table)
    assert_array_equal(
        units.predict(table), ((features[:, None] - units.cluster_centers_) ** 2).sum(axis=2).argmin(axis=1)
    )
    assert phone_normalized_mutual_info(labels, units.predict(table)) > 0.95
    assert_allclose(units.codebook_[0], table[units.predict(table) == 0].mean(axis=0))
    with pytest.raises(ValueError, match="refined cannot take in"):
        units.set_params(max_iter=1).partial_fit(table)
    with pytest.raises(ValueError, match="A stream is not refined"):
        make_units(max_iter=2, model=LinearDiscriminantAnalysis()).partial_fit(table)


@pytest.fixture(scope="module")
def refined():
    pytest.importorskip("skorch")
    X, y = make_signals(40, noise=0.8)
    return make_units(10, max_iter=2).fit(X), X, y


def test_masked_prediction_finds_units_that_say_more(refined):
    units, X, _ = refined
    new, labels = make_signals(20, seed=5, noise=0.8)
    plain = make_units(10).fit(X)
    before = phone_normalized_mutual_info(labels, plain.predict(new))
    after = phone_normalized_mutual_info(labels, units.predict(new))
    assert after > before + 0.05
    assert units.model_.loss_curve_[-1] < units.model_.loss_curve_[0]


def test_refined_units_repeat_pickle_and_do_not_depend_on_neighbours(refined):
    units, X, _ = refined
    again = make_units(10, max_iter=2).fit(X)
    assert_array_equal(again.predict(X)[0], units.predict(X)[0])
    assert_array_equal(units.predict(X[:1])[0], units.predict(X)[0])
    assert_array_equal(pickle.loads(pickle.dumps(units)).predict(X)[3], units.predict(X)[3])


def test_masks_cover_spans_and_padding_costs_nothing():
    torch = pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from skalign.sequence._masked_training import MaskedPrediction, MaskedSequences

    frames = torch.ones(50, 2)
    units = [np.zeros(40, dtype=int), np.ones(10, dtype=int)]
    rows = MaskedSequences(frames, np.array([0, 40, 50]), units, 0.2, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batch, _ = rows[:]
    masked = batch["masked"].numpy()
    assert 0 < masked.sum() < 50
    assert not masked[1, 10:].any()
    assert_array_equal((batch["frames"].numpy() == 0).all(axis=2)[0], masked[0])
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, masked[0].astype(int), 0])))[::2]
    assert runs[:-1].min() >= 4  # the last one may be cut off
    loss, Z = MaskedPrediction(3, 2), torch.randn(2, 40, 3)
    expected = torch.nn.functional.cross_entropy(loss.head(Z)[batch["masked"]], batch["labels"][batch["masked"]])
    assert_allclose(float(loss({"frames": Z}, batch).detach()), float(expected.detach()), rtol=1e-6)
    batch["masked"] = torch.zeros_like(batch["masked"])
    assert float(loss({"frames": Z}, batch).detach()) == 0


def test_masked_prediction_needs_sequences_and_one_unit_a_frame():
    pytest.importorskip("skorch")
    X, _ = make_blobs()
    with pytest.raises(ValueError, match="needs sequences, not a table"):
        make_units(max_iter=2).fit(X)
    with pytest.raises(ValueError, match="Sequence 0 has 300 frames, but 2 units"):
        MaskedPredictionNet().fit([X], [[0, 1]])
    with pytest.raises(ValueError, match="kernel_size must be odd"):
        MaskedPredictionNet(kernel_size=4).fit([X], [np.zeros(300)])
    with pytest.raises(ValueError, match="hidden_layer_sizes must be a tuple of whole numbers"):
        MaskedPredictionNet(hidden_layer_sizes=(0,)).fit([X], [np.zeros(300)])


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (None, "requires y to be passed"),
        ([3, 4], r"Sequence 0: units are 1-D, .* shape \(\)"),
        ([np.zeros(5), np.zeros((5, 1))], r"Sequence 1: units are 1-D, .* shape \(5, 1\)"),
        ([np.zeros(5), np.array([0, 1, np.nan, 1, 0])], "Sequence 1: 1 of its units are NaN"),
    ],
    ids=["none", "flat", "column", "nan"],
)
def test_masked_prediction_refuses_what_is_no_unit_a_frame(units, message):
    pytest.importorskip("skorch")
    X = list(np.random.default_rng(0).normal(size=(2, 5, 3)))
    with pytest.raises(ValueError, match=message):
        MaskedPredictionNet(max_epochs=1).fit(X, units)


def test_features_of_masked_prediction_have_names():
    pytest.importorskip("skorch")
    pytest.importorskip("pandas")
    X, y = make_signals(2)
    net = MaskedPredictionNet(2, max_epochs=1, random_state=0).set_output(transform="pandas").fit(X, y)
    assert net.get_feature_names_out().tolist() == ["maskedpredictionnet0", "maskedpredictionnet1"]
    assert [list(own.columns) for own in net.transform(X)] == [net.get_feature_names_out().tolist()] * 2


# --- refused, and among scikit-learn's tools --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1.0], [np.nan], [2.0], [3.0]]), "1 NaN and 0 inf"),
        ([np.ones((3, 2)), np.full((3, 2), np.inf)], "sample 1: .* 6 inf"),
        ([np.ones((3, 2)), np.ones((0, 2))], "sample 1"),
        ([np.ones((3, 2)), np.ones((3, 1))], "sample 1 have 1 features"),
        (np.ones((2, 3)), "n_samples=2 rows .* n_units=4"),
        (["a", "b"], "strings"),
        (np.ones(5), "2D array"),
        (None, "a NoneType is no table"),
        ({"a": np.ones((5, 2))}, "a dict is no table"),
        (np.array([[1e200], [2e200], [3e200], [0.0]]), "Frames reach 3e\\+200"),
        (np.arange(8.0, dtype=np.float32)[:, None] * np.float32(1e-30), "Frames reach 7e-30.*lose digits in float32"),
    ],
    ids=["nan", "inf", "empty", "width", "few", "text", "1d", "none", "dict", "overflow", "underflow"],
)
def test_bad_data(X, message):
    with pytest.raises(ValueError, match=message):
        make_units().fit(X)


@pytest.mark.parametrize(
    "options",
    [{"n_units": 0}, {"metric": "l1"}, {"encode": "binary"}, {"solver": "x"}, {"n_init": 0}, {"model": "bert"}],
    ids=str,
)
def test_bad_parameters(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        HiddenUnitDiscretizer(**({"n_units": 2} | options)).fit(np.ones((5, 2)))


def test_a_later_frame_may_be_as_small_as_it_likes():
    X = np.array([[0.0], [0.1], [1.0], [1.1], [2.0], [3.0]], dtype=np.float32)
    units = make_units().fit(X)
    assert units.predict(X[:1]) == units.predict(np.full((1, 1), 1e-30, dtype=np.float32))


def test_parameters_set_after_the_fit():
    X, _ = make_blobs()
    units = make_units(encode="onehot-dense").fit(X).set_params(n_units=7)
    assert units.transform(X).shape[1] == len(units.get_feature_names_out()) == 4
    with pytest.raises(ValueError, match="There are 4 units: fit anew for n_units=7"):
        units.partial_fit(X)


def test_a_series_of_sequences_with_an_index_of_its_own():
    pd = pytest.importorskip("pandas")
    X, _ = make_signals(3)
    series = pd.Series(X, index=[7, 8, 9])
    for own, expected in zip(make_units().fit(series).predict(series), make_units().fit(X).predict(X)):
        assert_array_equal(own, expected)


def test_units_of_views_as_predict_gives_them_can_be_decoded():
    X, _ = make_blobs()
    units = make_units().fit(Views(a=X, b=2 * X))
    decoded = units.inverse_transform(units.predict(Views(a=X, b=2 * X)))
    assert_array_equal(decoded["b"], units.views_["b"].codebook_[units.views_["b"].predict(2 * X)])


def test_models_with_sparse_features_and_models_that_lose_frames():
    X, _ = make_blobs(60)
    sparse = make_units(max_iter=2, model=FunctionTransformer(sp.csr_matrix)).fit(X)
    dense = make_units(max_iter=2, model=FunctionTransformer()).fit(X)
    assert_array_equal(sparse.predict(X), dense.predict(X))
    with pytest.raises(ValueError, match=r"one row of features for each of 60 frames; it gave \(30, 3\)"):
        make_units(max_iter=2, model=FunctionTransformer(_every_other)).fit(X)


def _every_other(X):
    return X[::2]


@pytest.mark.parametrize("codes", [[[4]], [[-1]], [[0.5]], [[np.nan]], [[0, 1]]], ids=str)
def test_bad_codes(codes):
    units = make_units().fit(make_blobs()[0])
    with pytest.raises(ValueError, match=r"[Cc]o(des|lumns)"):
        units.inverse_transform(np.array(codes))


def test_edges():
    assert make_units(1).fit(np.ones((1, 3))).predict(np.ones((1, 3))).tolist() == [0]
    constant = np.c_[make_blobs()[0], np.ones(300)]
    assert np.isfinite(make_units().fit(constant).score(constant))
    far = make_blobs()[0].astype(np.float32) + 1e4
    units = make_units().fit(far)
    assert_array_equal(units.predict(far), make_units().fit(far).predict(far))
    assert units.usage_ == 1
    X = make_blobs()[0]
    kept = X.copy()
    X.setflags(write=False)
    make_units().fit(X).partial_fit(X)
    assert_array_equal(X, kept)


def test_pipelines_and_searches():
    X, labels = make_blobs()
    pipe = make_pipeline(StandardScaler(), make_units(encode="onehot"), LogisticRegression())
    search = GridSearchCV(pipe, {"hiddenunitdiscretizer__n_units": [2, 6]}, n_jobs=2, error_score="raise")
    assert search.fit(X, labels).best_score_ > 0.9
    assert search.best_params_ == {"hiddenunitdiscretizer__n_units": 6}
    signals, _ = make_signals()
    own = GridSearchCV(make_units(), {"n_units": [2, 5]}, cv=2, n_jobs=2, error_score="raise").fit(signals)
    assert own.best_params_ == {"n_units": 5}


def test_pickle_in_a_fresh_process(tmp_path):
    X, _ = make_blobs()
    units = make_units().fit(X)
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "u.pkl").write_bytes(pickle.dumps(units))
    code = (
        "import pathlib, pickle, sys, numpy as np\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "u = pickle.loads((folder / 'u.pkl').read_bytes())\n"
        "np.save(folder / 'out.npy', u.predict(np.load(folder / 'x.npy')))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert_array_equal(np.load(tmp_path / "out.npy"), units.predict(X))


@parametrize_with_checks(
    [make_units(3), make_units(3, encode="centroid"), make_units(3, encode="onehot-dense", solver="minibatch")],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
