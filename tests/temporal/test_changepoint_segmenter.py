"""ChangepointSegmenter: what goes in, what comes out, scikit-learn's machinery around it, streams, and bad input."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import ChangepointSegmenter, PerView, Views
from skalign.metrics.segmentation import covering
from skalign.temporal.changepoints._costs import L2Cost, RbfCost
from skalign.temporal.changepoints._cutting import COSTS
from skalign.temporal.changepoints._search import SEARCHES

TCPD = Path(__file__).parents[3] / "shared" / "data" / "tcpd"


def annotated(n_series=6, seed=0, noise=1.0, d=None):
    """Ragged series of two levels and where they change."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for i in range(n_series):
        n, t = 60 + 3 * i, 20 + 4 * i
        level = np.where(np.arange(n) < t, 0.0, 4.0)
        X.append(noise * rng.normal(size=(n, d) if d else n) + (level[:, None] if d else level))
        y.append([t])
    return X, y


class PooledMean(FunctionTransformer):
    """One row per bag."""

    def __init__(self):
        super().__init__(lambda bags: np.array([[len(bag), bag.mean()] for bag in bags]))


def test_what_comes_out():
    X, y = annotated(d=2)
    segmenter = ChangepointSegmenter(pooling=("mean", "std", "slope")).fit(X)
    cuts = segmenter.predict(X)
    assert [len(cps) for cps in cuts] == [1] * 6
    assert all(abs(int(cps[0]) - t[0]) <= 2 for cps, t in zip(cuts, y))
    bags, labels, parts = segmenter.transform(X), segmenter.predict_labels(X), segmenter.segments(X)
    for x, cps, bag, label, part in zip(X, cuts, bags, labels, parts):
        t = cps[0]
        np.testing.assert_array_equal(label, np.arange(len(x)) >= t)
        np.testing.assert_array_equal(np.concatenate(part), x)
        assert bag.shape == (2, 6)
        np.testing.assert_allclose(bag[0, :2], x[:t].mean(axis=0))
        np.testing.assert_allclose(bag[1, 2:4], x[t:].std(axis=0))
        np.testing.assert_allclose(bag[0, 4:], np.polyfit(np.arange(t), x[:t], 1)[0])
    names = ["mean0", "mean1", "std0", "std1", "slope0", "slope1"]
    assert segmenter.get_feature_names_out().tolist() == names
    assert segmenter.n_features_in_ == 2
    assert segmenter.score(X, y) == pytest.approx(np.mean([covering(t, c, len(x)) for t, c, x in zip(y, cuts, X)]))


def test_the_dimension_of_an_element_decides():
    X, _ = annotated(d=None)
    x = np.array(X[0])
    expected = ChangepointSegmenter().fit_predict([x])[0]
    table = np.tile(x, (3, 1))
    for same in (table, table.tolist(), pd.DataFrame(table), table[:, :, None], [x[:, None]] * 3, [x, x, x]):
        for cps in ChangepointSegmenter().fit_predict(same):
            np.testing.assert_array_equal(cps, expected)
    one_signal = np.c_[x, x]
    assert len(ChangepointSegmenter().fit_predict([one_signal])) == 1
    ragged = np.empty(2, dtype=object)
    ragged[:] = X[:2]
    assert len(ChangepointSegmenter().fit_predict(ragged)) == 2
    frames = [pd.DataFrame(one_signal)]
    np.testing.assert_array_equal(ChangepointSegmenter().fit_predict(frames)[0], expected)


def test_callables_pool():
    X, _ = annotated()
    segmenter = ChangepointSegmenter(pooling=[len, lambda segment: segment[[0, -1], 0]]).fit(X)
    bag = segmenter.transform(X)[0]
    assert bag[:, 0].sum() == len(X[0])
    assert bag[0, 1] == X[0][0]
    assert segmenter.get_feature_names_out().tolist()[0] == "len0"
    with pytest.raises(ValueError, match="different numbers"):
        ChangepointSegmenter(pooling=lambda segment: segment[:, 0]).fit(X).transform(X)
    with pytest.raises(ValueError, match="vector or a number"):
        ChangepointSegmenter(pooling=lambda segment: segment).fit(X)


def test_dtypes_stay_and_inputs_are_not_altered():
    X, _ = annotated()
    single = [x.astype(np.float32) for x in X]
    before = [x.copy() for x in single]
    segmenter = ChangepointSegmenter().fit(single)
    assert {bag.dtype for bag in segmenter.transform(single)} == {np.dtype(np.float32)}
    assert {bag.dtype for bag in segmenter.transform(X)} == {np.dtype(np.float64)}
    for a, b in zip(single, before):
        np.testing.assert_array_equal(a, b)
    for x in X:
        x.flags.writeable = False
    ChangepointSegmenter("rbf", standardize=False).fit(X).transform(X)


def test_set_output():
    X, _ = annotated()
    segmenter = ChangepointSegmenter(pooling=("mean", "std")).set_output(transform="pandas").fit(X)
    assert segmenter.transform(X)[0].columns.tolist() == ["mean0", "std0"]
    assert segmenter.fit(Views(a=X)).transform(Views(a=X))["a"][0].columns.tolist() == ["mean0", "std0"]


def test_tensors_stay_tensors():
    torch = pytest.importorskip("torch")
    X, _ = annotated(d=2)
    tensors = [torch.tensor(x, dtype=torch.float32) for x in X]
    segmenter = ChangepointSegmenter().fit(tensors)
    bags = segmenter.transform(tensors)
    assert all(torch.is_tensor(bag) and bag.dtype == torch.float32 for bag in bags)
    np.testing.assert_allclose(bags[0].numpy(), segmenter.transform(X)[0], rtol=1e-5)
    assert torch.is_tensor(segmenter.segments(tensors)[0][0])


def test_views():
    X, y = annotated()
    views = Views(a=X, b=[2 * x[::-1].copy() for x in X])
    segmenter = ChangepointSegmenter().fit(views)
    assert segmenter.predict(views)["a"][0].tolist() == ChangepointSegmenter().fit_predict(X)[0].tolist()
    assert segmenter.transform(views).names == views.names
    assert segmenter.transform(views[["b"]])["b"][0].shape == (2, 1)
    assert segmenter.get_feature_names_out().tolist() == ["a__mean0", "b__mean0"]
    assert segmenter.score(views[["a"]], y) == pytest.approx(ChangepointSegmenter().fit(X).score(X, y))
    with pytest.raises(ValueError, match="'c'"):
        segmenter.predict(Views(c=X))
    with pytest.raises(ValueError, match="one collection"):
        segmenter.predict(X)
    with pytest.raises(TypeError, match="PerView"):
        ChangepointSegmenter(penalty_scale="learn").fit(views, y)
    with pytest.raises(ValueError, match="View 'b': .*1 NaN"):
        ChangepointSegmenter().fit(Views(a=X, b=[np.r_[np.nan, x] for x in X]))
    per_view = PerView({"a": ChangepointSegmenter()}).fit(views)
    assert len(per_view.transform(views)["a"]) == len(X)


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", SEARCHES)
def test_known_number(search):
    X, y = annotated(noise=0.3)
    segmenter = ChangepointSegmenter(search=search, n_changepoints=1, window=30)
    assert segmenter.fit(X).score(X, y) > 0.95
    assert [len(c) for c in ChangepointSegmenter(n_changepoints=0).fit_predict(X)] == [0] * 6


@pytest.mark.parametrize("cost", [*COSTS, "profile"])
def test_constant_series_have_no_change_points(cost):
    X = [np.full(60, 1e6), np.zeros(60), np.full(60, 0.1)]
    segmenter = ChangepointSegmenter(cost).fit(X)
    assert [len(cps) for cps in segmenter.predict(X)] == [0, 0, 0]
    assert all(np.isfinite(bag).all() for bag in segmenter.transform(X))
    assert [len(c) for c in ChangepointSegmenter(cost, n_changepoints=2).fit_predict(X)] == [0, 0, 0]
    if cost != "profile":
        (entry,) = segmenter.penalty_path(X, 1.0, 5.0)[0]
        assert len(entry.change_points) == 0


@pytest.mark.parametrize("cost", COSTS)
def test_units_do_not_matter(cost):
    X, _ = annotated(d=2)
    segmenter = ChangepointSegmenter(cost).fit(X)
    other = [x * np.array([1e-4, 1e3]) for x in X]
    for a, b in zip(segmenter.predict(X), segmenter.predict(other)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("search", ["pelt", "binseg", "window"])
@pytest.mark.parametrize("cost", [name for name in COSTS if name != "cosine"])  # which compares directions from zero
def test_levels_far_from_zero_do_not_matter(cost, search):
    X, _ = annotated(d=2)
    segmenter = ChangepointSegmenter(cost, search, window=30).fit(X)
    far = [1e-3 * x + 1e8 for x in X]
    for a, b in zip(segmenter.predict(X), segmenter.predict(far)):
        np.testing.assert_array_equal(a, b)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(4, 80), d=st.integers(1, 3), penalty=st.floats(0.1, 20))
def test_laws(seed, n, d, penalty):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).cumsum(axis=0)
    segmenter = ChangepointSegmenter(penalty=penalty).fit([x])
    cps = segmenter.predict([x])[0]
    assert np.all((cps > 0) & (cps < n))
    assert np.all(np.diff(np.r_[0, cps, n]) >= 2)
    np.testing.assert_array_equal(segmenter.predict([x * 3.0 + 7.0])[0], cps)
    np.testing.assert_array_equal(n - segmenter.predict([x[::-1]])[0][::-1], cps)
    fewer = ChangepointSegmenter(penalty=2 * penalty).fit_predict([x])[0]
    assert len(fewer) <= len(cps)
    scaled = ChangepointSegmenter(penalty=penalty / 2, penalty_scale=2.0).fit_predict([x])[0]
    np.testing.assert_array_equal(scaled, cps)


def test_cost_objects():
    X, _ = annotated()

    class Own:  # not an estimator: it is copied
        def fit(self, signal):
            self.inner = L2Cost().fit(signal)
            return self

        def error(self, start, end):
            return self.inner.error(start, end)

    own = Own()
    expected = ChangepointSegmenter().fit_predict(X)
    for a, b in zip(expected, ChangepointSegmenter(own).fit_predict(X)):
        np.testing.assert_array_equal(a, b)
    assert not hasattr(own, "inner")
    given_cost = RbfCost(gamma=0.5)
    segmenter = ChangepointSegmenter(given_cost).fit(X)
    segmenter.predict(X)
    assert not hasattr(given_cost, "signal_")
    assert segmenter.set_params(cost__gamma=2.0).cost.gamma == 2.0


def test_paths():
    X, _ = annotated()
    segmenter = ChangepointSegmenter().fit(X)
    for x, path in zip(X, segmenter.penalty_path(X, 1.0, 50.0)):
        for entry in path:
            middle = ChangepointSegmenter(penalty=(entry.low + entry.high) / 2).fit_predict([x])[0]
            np.testing.assert_array_equal(entry.change_points, middle)
    with pytest.raises(ValueError, match="no penalty"):
        ChangepointSegmenter("profile").fit(X).penalty_path(X, 1.0, 5.0)


# --- learning, searching, pipelines ---------------------------------------------------------------------------------


def test_a_scale_is_learnt_where_it_helps_on_series_left_out():
    rng = np.random.default_rng(0)
    walks = [rng.normal(size=120).cumsum() * 0.5 for _ in range(12)]  # annotated as one piece: the default cuts them
    y = [[] for _ in walks]
    segmenter = ChangepointSegmenter(penalty_scale="learn").fit(walks, y)
    report = segmenter.penalty_learning_
    assert segmenter.penalty_scale_ == report["learnt_scale"] > 1
    assert report["left_out_covering"] > report["default_covering"]
    assert segmenter.score(walks, y) > ChangepointSegmenter().fit(walks).score(walks, y)


def test_a_scale_that_does_not_help_elsewhere_is_not_taken():
    X, y = annotated()
    segmenter = ChangepointSegmenter(penalty_scale="learn").fit(X, y)
    assert segmenter.penalty_scale_ == 1.0
    rng = np.random.default_rng(1)
    y = [np.unique(rng.integers(1, len(x), 1 + i % 5)).tolist() for i, x in enumerate(X)]  # annotations at random
    assert ChangepointSegmenter(penalty_scale="learn").fit(X, y).penalty_scale_ == 1.0


def test_y_alone_teaches_nothing():
    X, y = annotated()
    plain = ChangepointSegmenter().fit(X)
    for labels in (y, list("abcabc"), np.arange(6), None):
        fitted = ChangepointSegmenter().fit(X, labels)
        assert fitted.penalty_scale_ == 1.0
        assert not hasattr(fitted, "penalty_learning_")
        np.testing.assert_array_equal(fitted.predict(X)[0], plain.predict(X)[0])


def test_learning_needs_annotations():
    X, y = annotated()
    learner = ChangepointSegmenter(penalty_scale="learn")
    with pytest.raises(ValueError, match="requires y"):
        learner.fit(X)
    with pytest.raises(ValueError, match="at least 3"):
        learner.fit(X[:2], y[:2])
    with pytest.raises(ValueError, match="sequence"):
        learner.fit(X, np.arange(6))  # class labels
    with pytest.raises(ValueError, match="5 series, but X holds 6"):
        learner.fit(X, y[:5])
    with pytest.raises(ValueError, match="y of series 2.*neither end"):
        learner.fit(X, [*y[:2], [0], *y[3:]])
    for other in (ChangepointSegmenter("profile"), ChangepointSegmenter(n_changepoints=2)):
        with pytest.raises(ValueError, match="needs a penalty"):
            other.set_params(penalty_scale="learn").fit(X, y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_the_penalty(n_jobs):
    X, y = annotated(9)
    grid = {"penalty": [0.01, 12.0, 1e4], "cost": ["l2", "l1"]}
    search = GridSearchCV(ChangepointSegmenter(), grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, y)
    assert search.best_params_["penalty"] == 12.0
    assert search.best_score_ > 0.9
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    several = [{"ann": t, "bob": [*t, 40]} for t in y]
    GridSearchCV(ChangepointSegmenter(), grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, several)


def test_in_a_pipeline_with_class_labels():
    X, _ = annotated(12)
    labels = np.array(["a", "b"] * 6)
    pipe = make_pipeline(ChangepointSegmenter(), PooledMean(), DummyClassifier())
    assert pipe.fit(X, labels).predict(X).shape == (12,)
    assert np.isfinite(cross_val_score(pipe, X, labels, cv=3, error_score="raise")).all()
    assert pipe[0].penalty_scale_ == 1.0
    X = np.array([x[:60] for x in X])
    assert pipe.fit(X, labels).predict(X).shape == (12,)
    assert pipe.fit(X[:, :, None], labels).predict(X[:, :, None]).shape == (12,)


def test_clone_and_pickle():
    X, _ = annotated()
    for segmenter in (ChangepointSegmenter(RbfCost(0.1), penalty=3.0), ChangepointSegmenter("normal", "binseg")):
        fitted = clone(segmenter).fit(X)
        again = pickle.loads(pickle.dumps(fitted))
        for a, b in zip(fitted.predict(X), again.predict(X)):
            np.testing.assert_array_equal(a, b)
        assert isinstance(segmenter, BaseEstimator)
        assert not hasattr(segmenter, "penalty_scale_")
    stream = ChangepointSegmenter().partial_fit(X)
    again = pickle.loads(pickle.dumps(stream)).partial_fit(X)
    assert len(again.change_points_) == len(X)


# --- streams --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"penalty": 20.0, "standardize": False},
        {"penalty": 20.0, "standardize": False, "jump": 3, "min_size": 5},
        {"penalty": "mbic", "search": "optimal"},
        {"penalty": "bic", "standardize": False, "penalty_scale": 2.0},
    ],
)
def test_a_stream_gives_what_the_whole_gives(options, d):
    rng = np.random.default_rng(d)
    steps = np.repeat(rng.normal(size=(8, d)) * 3, rng.integers(4, 60, 8), axis=0)
    signal = steps + rng.normal(size=steps.shape) + 1e3
    stream, seen = ChangepointSegmenter(**options), 0
    while seen < len(signal):
        size = int(rng.integers(1, 40))
        stream.partial_fit([signal[seen : seen + size]])
        seen = min(seen + size, len(signal))
        if seen >= 12:
            whole = ChangepointSegmenter(**options).fit_predict([signal[:seen]])[0]
            np.testing.assert_array_equal(stream.change_points_[0], whole)
    np.testing.assert_array_equal(stream.predict([signal])[0], stream.change_points_[0])


def test_streams_side_by_side_and_chunks_that_are_refused():
    X, _ = annotated(3)
    stream = ChangepointSegmenter(penalty=20.0, standardize=False)
    assert not hasattr(stream, "change_points_")
    stream.partial_fit([x[:1] for x in X])
    assert [len(cps) for cps in stream.change_points_] == [0, 0, 0]
    stream.partial_fit([x[1:30] for x in X])
    before = pickle.dumps([stream.change_points_, [s.n for s in stream._streams]])
    refused = [
        ([X[0][30:], np.r_[X[1][30:], np.nan], X[2][30:]], "1 NaN"),
        ([x[30:] for x in X[:2]], "3 streams"),
        ([np.c_[x, x] for x in X], "2 features"),
        ([X[0][30:], X[1][30:], []], "empty"),
    ]
    for chunk, match in refused:
        with pytest.raises(ValueError, match=match):
            stream.partial_fit(chunk)
    assert pickle.dumps([stream.change_points_, [s.n for s in stream._streams]]) == before
    stream.partial_fit([x[30:] for x in X])
    for cps, x in zip(stream.change_points_, X):
        np.testing.assert_array_equal(cps, ChangepointSegmenter(penalty=20.0, standardize=False).fit_predict([x])[0])
    assert not hasattr(stream.fit(X), "change_points_")  # fit starts anew


@pytest.mark.parametrize("options", [{"cost": "l1"}, {"search": "binseg"}, {"n_changepoints": 1}])
def test_streams_of_the_squared_error_only(options):
    with pytest.raises(ValueError, match="partial_fit needs"):
        ChangepointSegmenter(**options).partial_fit([np.arange(9.0)])
    ChangepointSegmenter(L2Cost()).partial_fit([np.arange(9.0)])
    with pytest.raises(TypeError, match="one collection of streams"):
        ChangepointSegmenter().partial_fit(Views(a=[np.arange(9.0)]))


# --- bad input ------------------------------------------------------------------------------------------------------

SERIES = [np.arange(10.0), np.arange(10.0)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"cost": "l3"}, "'l1', 'l2', 'normal'.*'profile'"),
        ({"search": "greedy"}, "'pelt', 'optimal', 'binseg'"),
        ({"search": "kernel", "cost": "l1"}, "'l2', 'cosine', 'rbf'"),
        ({"penalty": -1}, "at least 0"),
        ({"penalty": np.nan}, "at least 0"),
        ({"penalty": "aic"}, "'auto', 'bic', 'mbic'"),
        ({"penalty": None}, "number"),
        ({"penalty": True}, "number"),
        ({"penalty_scale": 0}, "positive"),
        ({"penalty_scale": "guess"}, "'learn'"),
        ({"n_changepoints": 5}, "n_changepoints=5 do not fit.*room for 4"),
        ({"n_changepoints": 2, "min_size": 4, "jump": 2}, "room for 1"),
        ({"n_changepoints": 1.5}, "n_changepoints"),
        ({"n_changepoints": -1}, "n_changepoints"),
        ({"min_size": 0}, "min_size"),
        ({"min_size": 6}, "sequence 0 has 10.*Lower min_size"),
        ({"jump": 0}, "jump"),
        ({"jump": 2.0}, "jump"),
        ({"window": 0}, "window"),
        ({"pooling": "max"}, "'mean', 'std', 'slope'"),
        ({"pooling": ()}, "pooling"),
        ({"pooling": None}, "pooling .*got None"),
    ],
)
def test_bad_settings(options, match):
    with pytest.raises(ValueError, match=match):
        ChangepointSegmenter(**options).fit(SERIES)


def test_costs_that_are_none():
    for cost in (L2Cost, 3, None, object()):
        with pytest.raises(TypeError, match="fit\\(signal\\) and error"):
            ChangepointSegmenter(cost).fit(SERIES)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        ([np.arange(5.0), [1, np.nan, 3, np.inf, np.nan]], "sequence 1 .2 NaN and 1 inf"),
        ([np.arange(5.0), []], "sequence 1 is empty"),
        ([np.arange(5.0), [1.0]], "sequence 1 has 1 frame"),
        ([np.arange(5.0), np.zeros((5, 2))], "all 1-D"),
        ([np.zeros((5, 3)), np.zeros((5, 2))], "one width"),
        ([], "0 sample"),
        (np.arange(5.0), "Reshape"),
        ([1.0, 2.0], "single values"),
        (np.zeros((2, 2, 2, 2)), "Reshape"),
        (np.zeros((50, 1)), "every row of a table is a series"),
        (np.zeros((50, 3)), r"too few to be cut.*one signal of several channels is \[a\]"),
        ([np.zeros((5, 0))], "0 feature"),
        ("signal", "collection"),
        (["abc", "def"], "single values"),
        ([["a", "b", "c", "d"]], "numbers"),
        ([np.zeros(9) + 1j], "Complex"),
        ([[[1, 2], [3]]], "unequal lengths"),
        (7, "collection"),
    ],
)
def test_bad_signals(X, match):
    with pytest.raises(ValueError, match=match):
        ChangepointSegmenter().fit(X)


def test_one_signal_that_is_handed_in_as_a_table():
    signal = np.random.default_rng(0).normal(size=(100, 5))
    with pytest.warns(UserWarning, match=r"100 series of 5 frames.*\[a\].*list\(a\)"):
        ChangepointSegmenter().fit(signal)
    for X in ([signal], list(signal), signal[:20], signal.T):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            segmenter = ChangepointSegmenter().fit(X)
    segmenter.fit([signal])
    with pytest.raises(ValueError, match=r"1 features, but .* expecting 5 features\..*one signal .* is \[a\]"):
        segmenter.predict(signal)


def test_other_channels_than_at_fit_and_bad_annotations():
    segmenter = ChangepointSegmenter().fit(SERIES)
    with pytest.raises(ValueError, match="2 features, but .* expecting 1"):
        segmenter.predict([np.zeros((9, 2))])
    with pytest.raises(ValueError, match="requires y"):
        segmenter.score(SERIES)
    with pytest.raises(ValueError, match="y of series 1"):
        segmenter.score(SERIES, [[3], [10]])
    with pytest.raises(ValueError, match="sequence"):
        segmenter.score(SERIES, [0, 1])


@pytest.mark.parametrize("cost", [*COSTS])
@pytest.mark.parametrize("unit", [1e-320, 1e-200, 1e200])
def test_units_whose_squares_are_no_numbers(cost, unit):
    X, _ = annotated(n_series=2)
    expected = ChangepointSegmenter(cost).fit_predict(X)
    for cps, same in zip(ChangepointSegmenter(cost).fit_predict([unit * x for x in X]), expected):
        if unit > 1e-300:  # below, few digits are left
            np.testing.assert_array_equal(cps, same)
    with pytest.raises(ValueError, match="cannot be squared"):
        ChangepointSegmenter(cost, standardize=False).fit_predict([unit * x for x in X])


def test_streams_refuse_what_cannot_be_squared():
    stream = ChangepointSegmenter().partial_fit([SERIES[0]])
    with pytest.raises(ValueError, match="cannot be squared"):
        stream.partial_fit([1e200 * SERIES[0]])
    assert stream._streams[0].n == 10


class WithoutReturn:
    """A cost of the least kind: ``fit`` returns nothing."""

    value = 1.0

    def fit(self, signal):
        self.signal = signal

    def error(self, start, end):
        return self.value * ((self.signal[start:end] - self.signal[start:end].mean(axis=0)) ** 2).sum()


def test_costs_of_users():
    X, _ = annotated()
    expected = ChangepointSegmenter().fit_predict(X)
    for cps, same in zip(ChangepointSegmenter(WithoutReturn()).fit_predict(X), expected):
        np.testing.assert_array_equal(cps, same)
    spoilt = WithoutReturn()
    spoilt.value = np.nan
    for search in ("pelt", "binseg", "bottomup", "window"):
        with pytest.raises(ValueError, match=r"WithoutReturn.error\(.*\) is NaN"):
            ChangepointSegmenter(spoilt, search).fit_predict(X)


def test_parameters_of_costs_are_checked_at_fit_and_those_set_later_at_predict():
    with pytest.raises(ValueError, match="gamma"):
        ChangepointSegmenter(RbfCost(gamma=-1.0)).fit(SERIES)
    segmenter = ChangepointSegmenter().fit(SERIES)
    with pytest.raises(ValueError, match="at least 0"):
        segmenter.set_params(penalty=np.nan).predict(SERIES)


@pytest.mark.parametrize("X", [{"a": SERIES[0]}, {1.0, 2.0}, (x for x in SERIES), None, np.array(None)])
def test_no_collection_of_signals(X):
    with pytest.raises(ValueError, match="no collection of sequences|Reshape"):
        ChangepointSegmenter().fit(X)
    with pytest.raises(ValueError, match="datetime64"):
        ChangepointSegmenter().fit([np.arange(9).astype("M8[D]")])


def test_a_range_of_penalties_is_checked_whatever_the_signal():
    for signal in (np.arange(9.0), np.ones(9)):
        with pytest.raises(ValueError, match="low <= high"):
            ChangepointSegmenter().fit([signal]).penalty_path([signal], 5, 1)


def test_annotations_by_name_are_not_in_the_order_of_the_series():
    segmenter = ChangepointSegmenter().fit(SERIES)
    with pytest.raises(ValueError, match="in order, got dict"):
        segmenter.score(SERIES, {"first": [3], "second": [4]})


def test_a_stream_forgets_what_was_learnt_before():
    X, y = annotated()
    segmenter = ChangepointSegmenter(penalty_scale="learn").fit(X, y).set_params(penalty_scale=1.0).partial_fit(X)
    assert not hasattr(segmenter, "penalty_learning_")


_LENGTH = "rows are series, and series of any length may come after the fit"
_BAGS = "transform gives bags of elements, a list of arrays"
_LABELS = "score compares with annotated change points, not with labels"
EXPECTED_FAILURES = {
    "check_n_features_in": _LENGTH,
    "check_n_features_in_after_fitting": _LENGTH,
    "check_transformer_data_not_an_array": _BAGS,
    "check_transformer_general": _BAGS,
    "check_transformer_preserve_dtypes": _BAGS,
    "check_array_api_input": _LABELS,
    "check_fit_score_takes_y": _LABELS,
    "check_pipeline_consistency": _LABELS,
}


@parametrize_with_checks(
    [ChangepointSegmenter(min_size=1)], expected_failed_checks=lambda _: EXPECTED_FAILURES, xfail_strict=True
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# --- real series ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_default_beats_no_change_and_ruptures_on_annotated_series():
    if not TCPD.exists():
        pytest.skip("needs the annotated series")
    rpt = pytest.importorskip("ruptures")
    annotations = json.loads((TCPD / "annotations.json").read_text())
    scores = []
    for name, y in annotations.items():
        raw = json.loads((TCPD / f"{name}.json").read_text())["series"][0]["raw"]
        x = pd.Series(raw, dtype=float).interpolate(limit_direction="both").to_numpy()
        n, z = len(x), x / x.std()
        cuts = [ChangepointSegmenter().fit_predict([x])[0], []]
        cuts += [rpt.Pelt("l2").fit(s).predict(3 * np.log(n))[:-1] for s in (z, x)]
        scores.append([covering(y, cps, n) for cps in cuts])
    ours, none, theirs, theirs_raw = np.mean(scores, axis=0)
    print(f"\ncovering {ours:.3f}, no change {none:.3f}, ruptures {theirs:.3f} (raw values {theirs_raw:.3f})")
    assert ours > max(none, theirs, theirs_raw)
