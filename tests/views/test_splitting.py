"""scikit-learn's own splitting, searching and composing, driven with Views as X."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils import estimator_html_repr

from skalign import CCA, Fuse, PerView, Views, select_view

N = 90
RNG = np.random.default_rng(7)
Y = RNG.integers(3, size=N)
GROUPS = RNG.integers(12, size=N)
LEFT = RNG.normal(size=(N, 6)) + 0.7 * Y[:, None]
RIGHT = RNG.normal(size=(N, 4)) - 0.5 * Y[:, None]
PLAIN = np.hstack([LEFT, RIGHT])


def flat(X):
    """Any kind of the left view as the table it was made from."""
    if sp.issparse(X):
        return X.toarray()
    if isinstance(X, list) and isinstance(X[0], str):
        return np.asarray([[float(number) for number in row.split()] for row in X])
    return np.asarray([np.ravel(row)[:6] for row in (X if isinstance(X, list) else np.asarray(X))])


KINDS = {
    "table": LEFT,
    "images": LEFT.reshape(N, 2, 3),
    "sparse": sp.coo_array(LEFT),
    "frame": pd.DataFrame(LEFT, columns=list("abcdef"), index=np.arange(N)[::-1]),
    "torch": torch.asarray(LEFT),
    "strings": [" ".join(map(repr, row.tolist())) for row in LEFT],
    "ragged": [np.vstack([row.reshape(1, 6), np.ones((i % 3, 6))]) for i, row in enumerate(LEFT)],
}


def kinds(function):
    return pytest.mark.parametrize("kind", KINDS)(function)


def views(kind="table"):
    return Views(left=KINDS[kind], right=RIGHT)


def pipe(last=None):
    """Over both views; equal to `plain` on the views side by side."""
    left = make_pipeline(FunctionTransformer(flat), StandardScaler())
    return make_pipeline(
        PerView({"left": left, "right": StandardScaler()}), Fuse("concat"), last or LogisticRegression()
    )


def plain(last=None):
    return make_pipeline(StandardScaler(), last or LogisticRegression())


SPLITTERS = [
    ShuffleSplit(4, test_size=0.3, random_state=0),
    KFold(4),
    KFold(4, shuffle=True, random_state=0),
    StratifiedKFold(4),
    StratifiedKFold(4, shuffle=True, random_state=0),
    GroupKFold(4),
]


def name_of(splitter):
    return f"{type(splitter).__name__}{'-shuffled' if getattr(splitter, 'shuffle', False) else ''}"


@kinds
@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_train_test_split_takes_the_same_rows_of_every_view(kind, stratified, dispatch):
    stratify = Y if stratified else None
    with config_context(array_api_dispatch=dispatch):
        train, test, y_train, y_test = train_test_split(views(kind), Y, stratify=stratify, random_state=1)
    X_train, X_test, yp_train, yp_test = train_test_split(PLAIN, Y, stratify=stratify, random_state=1)
    for part, X, got, expected in ((train, X_train, y_train, yp_train), (test, X_test, y_test, yp_test)):
        assert_array_equal(np.hstack([flat(part["left"]), part["right"]]), X)
        assert_array_equal(got, expected)


@kinds
@pytest.mark.parametrize("splitter", SPLITTERS, ids=name_of)
def test_scores_over_a_splitter_are_those_on_one_array(kind, splitter):
    groups = GROUPS if isinstance(splitter, GroupKFold) else None
    got = cross_val_score(pipe(), views(kind), Y, groups=groups, cv=splitter, error_score="raise")
    assert_allclose(got, cross_val_score(plain(), PLAIN, Y, groups=groups, cv=splitter))
    assert got.mean() > 0.5


@kinds
def test_cross_val_predict_is_in_row_order(kind):
    got = cross_val_predict(
        pipe(), views(kind), Y, method="predict_proba", cv=StratifiedKFold(3, shuffle=True, random_state=0)
    )
    expected = cross_val_predict(
        plain(), PLAIN, Y, method="predict_proba", cv=StratifiedKFold(3, shuffle=True, random_state=0)
    )
    assert_allclose(got, expected, atol=1e-6)


def test_rows_in_another_order_give_other_scores():
    # So that the comparisons of this file would notice a view whose rows were taken wrongly.
    wrong = Views(left=LEFT[::-1], right=RIGHT)
    assert cross_val_score(pipe(), wrong, Y).mean() < cross_val_score(pipe(), views(), Y).mean() - 0.05


@kinds
def test_learning_curve_is_that_on_one_array(kind):
    options = {"train_sizes": [0.4, 1.0], "cv": 3, "shuffle": True, "random_state": 0, "error_score": "raise"}
    for got, expected in zip(
        learning_curve(pipe(), views(kind), Y, **options), learning_curve(plain(), PLAIN, Y, **options)
    ):
        assert_allclose(got, expected)


GRID = {"logisticregression__C": [0.01, 1.0], "perview__right__with_mean": [True, False]}


@kinds
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_is_that_on_one_array(kind, n_jobs):
    search = GridSearchCV(pipe(), GRID, cv=3, n_jobs=n_jobs, error_score="raise").fit(views(kind), Y)
    reference = GridSearchCV(plain(), {"logisticregression__C": [0.01, 1.0]}, cv=3).fit(PLAIN, Y)
    with_mean = search.cv_results_["param_perview__right__with_mean"].astype(bool)
    assert_allclose(search.cv_results_["mean_test_score"][with_mean], reference.cv_results_["mean_test_score"])
    assert_array_equal(search.predict(views(kind)), search.best_estimator_.predict(views(kind)))


class ReadOnly(StandardScaler):
    """A scaler of the first columns that insists on a view which must not be written to."""

    def fit(self, X, y=None):
        assert not X.flags.writeable
        return super().fit(X[:, :4], y)

    def transform(self, X):
        return super().transform(X[:, :4])


def first_four(X):
    return X[:, :4]


def test_views_over_a_megabyte_come_back_unchanged_from_workers():
    wide = [np.hstack([half[:, :4], np.zeros((N, 2000))]) for half in (LEFT, RIGHT)]
    big = Views(left=wide[0], right=wide[1])
    assert min(half.nbytes for half in wide) > 2**20
    expected = np.hstack([StandardScaler().fit_transform(half[:, :4]) for half in wide])
    read_only = PerView({"left": ReadOnly(), "right": ReadOnly()}, n_jobs=2)
    assert_allclose(Fuse("concat").fit_transform(read_only.fit_transform(big)), expected)

    cut = make_pipeline(FunctionTransformer(first_four), StandardScaler())
    model = make_pipeline(PerView({"left": cut, "right": cut}), Fuse("concat"), LogisticRegression())
    grid = {"logisticregression__C": [0.01, 1.0]}
    got = GridSearchCV(model, grid, cv=3, n_jobs=2, error_score="raise").fit(big, Y)
    reference = GridSearchCV(plain(), grid, cv=3).fit(np.hstack([half[:, :4] for half in wide]), Y)
    assert_allclose(got.cv_results_["mean_test_score"], reference.cv_results_["mean_test_score"])
    assert_array_equal(big["left"][:, :4], LEFT[:, :4])
    assert not big["left"][:, 4:].any()


def test_read_only_memmaps_give_the_scores_of_arrays(tmp_path):
    np.save(tmp_path / "left.npy", LEFT)
    mapped = Views(left=np.load(tmp_path / "left.npy", mmap_mode="r"), right=RIGHT)
    assert_allclose(cross_val_score(pipe(), mapped, Y, error_score="raise"), cross_val_score(plain(), PLAIN, Y))
    assert_array_equal(np.load(tmp_path / "left.npy"), LEFT)


@kinds
def test_halving_grid_search_is_that_on_one_array(kind):
    options = {"cv": 3, "random_state": 0, "min_resources": 40, "error_score": "raise"}
    grid = {"logisticregression__C": [1e-4, 0.01, 1.0]}
    got = HalvingGridSearchCV(pipe(), grid, **options).fit(views(kind), Y)
    expected = HalvingGridSearchCV(plain(), grid, **options).fit(PLAIN, Y)
    assert_allclose(got.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert got.best_params_ == expected.best_params_


def test_randomized_search_exchanges_a_whole_step():
    choice = {"perview__right": [StandardScaler(), MinMaxScaler(), "drop"]}
    search = RandomizedSearchCV(pipe(), choice, n_iter=3, cv=3, random_state=0, error_score="raise").fit(views(), Y)
    scores = {
        str(p["perview__right"]): s for p, s in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"])
    }
    assert scores["StandardScaler()"] == pytest.approx(cross_val_score(plain(), PLAIN, Y, cv=3).mean())
    assert scores["drop"] == pytest.approx(cross_val_score(plain(), LEFT, Y, cv=3).mean())
    assert len(scores) == 3


@kinds
@pytest.mark.parametrize("ensemble", [StackingClassifier, VotingClassifier])
def test_ensembles_predict_as_on_one_array(kind, ensemble):
    def members(make):
        return [("weak", make(LogisticRegression(C=0.01))), ("strong", make(LogisticRegression()))]

    got = ensemble(members(pipe)).fit(views(kind)[:60], Y[:60])
    expected = ensemble(members(plain)).fit(PLAIN[:60], Y[:60])
    assert_array_equal(got.predict(views(kind)[60:]), expected.predict(PLAIN[60:]))


@kinds
def test_clone_and_pickle_predict_the_same(kind):
    fitted = pipe().fit(views(kind), Y)
    expected = plain().fit(PLAIN, Y).predict_proba(PLAIN)
    assert_allclose(fitted.predict_proba(views(kind)), expected, atol=1e-6)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(views(kind)), fitted.predict(views(kind)))
    assert_array_equal(clone(fitted).fit(views(kind), Y).predict(views(kind)), fitted.predict(views(kind)))


FITS = []


class Counts(StandardScaler):
    def fit(self, X, y=None):
        FITS.append(len(X))
        return super().fit(X, y)


def test_pipeline_memory_knows_views_again_by_their_contents(tmp_path):
    FITS.clear()
    cached = make_pipeline(PerView({"left": Counts()}), Fuse("concat"), LogisticRegression(), memory=str(tmp_path))
    first = cached.fit(views(), Y).predict(views())
    again = clone(cached).fit(Views(left=LEFT.copy(), right=RIGHT.copy()), Y).predict(views())
    assert FITS == [N]
    assert_array_equal(first, again)
    clone(cached).fit(Views(left=LEFT + 1, right=RIGHT), Y)
    assert FITS == [N, N]
    clone(cached).fit(views()[::-1], Y)
    assert FITS == [N, N, N]


@kinds
def test_array_api_dispatch_changes_no_score(kind):
    with config_context(array_api_dispatch=True):
        got = cross_val_score(pipe(), views(kind), Y, cv=3, error_score="raise")
        search = GridSearchCV(pipe(), GRID, cv=3, error_score="raise").fit(views(kind), Y)
    assert_allclose(got, cross_val_score(plain(), PLAIN, Y, cv=3))
    assert search.best_score_ >= got.mean()


def test_html_repr_shows_the_whole_pipeline():
    for estimator in (pipe(), pipe().fit(views(), Y), GridSearchCV(pipe(), GRID)):
        html = estimator_html_repr(estimator)
        for word in ("PerView", "left", "right", "FunctionTransformer", "Fuse", "LogisticRegression"):
            assert word in html


def test_set_output_and_names_go_through_the_whole_pipeline():
    steps = make_pipeline(PerView({"left": PCA(2), "right": PCA(2)}), Fuse("mean")).set_output(transform="pandas")
    frame = steps.fit_transform(views("frame"))
    assert frame.columns.tolist() == steps.get_feature_names_out().tolist() == ["fuse0", "fuse1"]
    assert frame.index.tolist() == list(range(N))[::-1]
    assert_allclose(frame, (PCA(2).fit_transform(LEFT) + PCA(2).fit_transform(RIGHT)) / 2)
    before = make_pipeline(PerView({"left": PCA(2), "right": PCA(2)}), Fuse("concat")).fit(views())
    assert before[0].get_feature_names_out().tolist() == ["left__pca0", "left__pca1", "right__pca0", "right__pca1"]
    assert before.get_feature_names_out().tolist() == ["left__fuse0", "left__fuse1", "right__fuse0", "right__fuse1"]


def test_text_and_numbers_in_one_search():
    words = [f"class{label} word{i % 5}" for i, label in enumerate(Y)]
    data = Views(number=RIGHT, text=words)
    text = make_pipeline(CountVectorizer(), TruncatedSVD(2, random_state=0))
    model = make_pipeline(PerView({"text": text}), Fuse("concat"), LogisticRegression())
    grid = {"perview__text__truncatedsvd__n_components": [1, 5]}
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(data, Y)
    by_hand = np.hstack([RIGHT, np.eye(3)[Y]])
    assert search.best_score_ == pytest.approx(cross_val_score(LogisticRegression(), by_hand, Y, cv=3).mean(), abs=0.05)


# --- an aligner in the middle ---------------------------------------------------------------------------------------


def aligned():
    steps = PerView({"left": StandardScaler(), "right": PCA(3)})
    return make_pipeline(steps, CCA(n_components=2, shrinkage=0.1), Fuse("mean"), LogisticRegression())


def test_an_aligned_pipeline_predicts_from_either_view_alone():
    model = aligned().fit(views()[:60], Y[:60])
    test, chance = views()[60:], np.bincount(Y[60:]).max() / 30
    for some in (["left"], ["right"], ["right", "left"]):
        assert model.score(test[some], Y[60:]) > chance + 0.05
    assert_allclose(model.predict_proba(test[["right", "left"]]), model.predict_proba(test))


def test_both_views_are_the_mean_of_each():
    steps = aligned().fit(views(), Y)[:-1]
    each = [steps.transform(views()[[name]]) for name in ("left", "right")]
    assert_allclose(steps.transform(views()), (each[0] + each[1]) / 2)


def test_an_aligned_pipeline_is_searched_through_every_step():
    grid = {"perview__right__n_components": [2, 3], "cca__shrinkage": [0.01, 0.5]}
    search = GridSearchCV(aligned(), grid, cv=3, n_jobs=2, error_score="raise").fit(views(), Y)
    by_hand = [
        cross_val_score(aligned().set_params(**p), views(), Y, cv=3).mean() for p in search.cv_results_["params"]
    ]
    assert_allclose(search.cv_results_["mean_test_score"], by_hand)


def test_names_and_frames_go_through_the_aligner():
    model = aligned().fit(views(), Y)
    assert model[:2].get_feature_names_out().tolist() == ["left__cca0", "left__cca1", "right__cca0", "right__cca1"]
    frame = aligned()[:-1].set_output(transform="pandas").fit_transform(views("frame"))
    assert frame.columns.tolist() == ["fuse0", "fuse1"]
    assert frame.index.tolist() == list(range(N))[::-1]


LOAD = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
np.save(sys.argv[3], model.predict_proba(np.load(sys.argv[2])))
"""


def test_one_view_of_it_loads_and_predicts_in_a_fresh_process(tmp_path):
    model = aligned().fit(views(), Y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(select_view(model, "right")))
    np.save(tmp_path / "right.npy", RIGHT)
    paths = [str(tmp_path / name) for name in ("model.pkl", "right.npy", "out.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *paths], check=True)
    assert_allclose(np.load(paths[2]), model.predict_proba(Views(right=RIGHT)))
