"""select_view: the ordinary one-view Pipeline inside a fitted multi-view one."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import CCA, Fuse, PerView, SplitColumns, Views, select_view

RNG = np.random.default_rng(3)
Y = RNG.integers(2, size=50)
IMAGE = RNG.normal(size=(50, 5)) + Y[:, None]
SOUND = RNG.normal(size=(50, 3)) - Y[:, None]
TEXT = [f"class{label} number{i % 3}" for i, label in enumerate(Y)]


def views():
    return Views(image=IMAGE, sound=SOUND)


def steps(how="mean"):
    return make_pipeline(
        PerView({"image": StandardScaler(), "sound": PCA(2)}), CCA(2, shrinkage=0.1), Fuse(how), LogisticRegression()
    )


@pytest.mark.parametrize("view", ["image", "sound"])
def test_the_output_is_that_of_the_whole_pipeline_from_that_view(view):
    model = steps().fit(views(), Y)
    alone = select_view(model, view)
    assert isinstance(alone, Pipeline)
    assert_allclose(alone.predict_proba(views()[view]), model.predict_proba(views()[[view]]))
    assert_array_equal(alone.predict(views()[view]), model.predict(views()[[view]]))


def test_only_what_does_something_for_the_view_is_left():
    model = steps().fit(views(), Y)
    assert [name for name, _ in select_view(model, "sound").steps] == ["perview", "cca", "logisticregression"]
    plain = steps().set_params(perview__sound="passthrough").fit(views(), Y)
    assert [name for name, _ in select_view(plain, "sound").steps] == ["cca", "logisticregression"]


def test_it_holds_nothing_of_the_other_view():
    text = Views(text=TEXT, image=np.hstack([IMAGE, RNG.normal(size=(50, 400))]))
    model = make_pipeline(
        PerView({"text": make_pipeline(CountVectorizer(), PCA(2)), "image": StandardScaler()}),
        CCA(1, shrinkage=0.5),
        Fuse(),
        LogisticRegression(),
    ).fit(text, Y)
    words, pictures = (pickle.dumps(select_view(model, view)) for view in ("text", "image"))
    assert b"class1" in words
    assert b"class1" not in pictures
    assert b"StandardScaler" not in words
    assert len(words) < 405 * 8 < len(pictures)
    assert_allclose(pickle.loads(words).predict_proba(TEXT), model.predict_proba(text[["text"]]))


def test_a_view_chosen_by_fuse_is_the_only_one_to_be_had():
    model = steps("image").fit(views(), Y)
    assert_allclose(select_view(model, "image").predict_proba(IMAGE), model.predict_proba(views()))
    with pytest.raises(ValueError, match=r"Fuse\('image'\) takes another view than 'sound'"):
        select_view(model, "sound")


def test_concat_needs_every_view():
    with pytest.raises(ValueError, match=r"Fuse\('concat'\) needs every view"):
        select_view(steps("concat").fit(views(), Y), "image")


def test_a_view_that_was_not_there_is_named():
    with pytest.raises(ValueError, match="PerView was fitted without a view 'text'"):
        select_view(steps().fit(views(), Y), "text")
    with pytest.raises(ValueError, match="'text'"):
        select_view(make_pipeline(Fuse(), LogisticRegression()).fit(Views(a=SOUND, b=SOUND), Y), "text")
    with pytest.raises(ValueError, match="'text'"):
        select_view(make_pipeline(PerView(), Fuse("concat")).fit(views()), "text")


def test_a_dropped_view_is_an_error():
    model = make_pipeline(PerView({"sound": "drop"}), Fuse(), LogisticRegression()).fit(views(), Y)
    with pytest.raises(ValueError, match="View 'sound' is dropped by step 'perview'"):
        select_view(model, "sound")
    assert_array_equal(select_view(model, "image").predict(IMAGE), model.predict(views()))


def test_a_step_that_cannot_be_cut_is_an_error():
    class Whole(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def transform(self, X):
            return X

    model = make_pipeline(Whole(), Fuse("concat"), LogisticRegression()).fit(views(), Y)
    with pytest.raises(TypeError, match="Whole takes Views as a whole"):
        select_view(model, "image")


def test_an_unfitted_pipeline_is_an_error():
    with pytest.raises(NotFittedError):
        select_view(steps(), "image")


def test_a_fitted_search_gives_its_best():
    search = GridSearchCV(steps(), {"cca__shrinkage": [0.01, 0.9]}, cv=3).fit(views(), Y)
    alone = select_view(search, "image")
    assert_allclose(alone.predict_proba(IMAGE), search.predict_proba(views()[["image"]]))


def test_passthrough_steps_are_skipped():
    model = steps().set_params(perview="passthrough").fit(views(), Y)
    model.steps.insert(1, ("nothing", None))
    assert [name for name, _ in select_view(model, "sound").steps] == ["cca", "logisticregression"]


def test_pipelines_within_pipelines_are_cut():
    inner = make_pipeline(PerView({"image": StandardScaler()}), CCA(2))
    model = make_pipeline(inner, Fuse(), LogisticRegression()).fit(views(), Y)
    assert_allclose(select_view(model, "image").predict_proba(IMAGE), model.predict_proba(views()[["image"]]))
    fused = make_pipeline(make_pipeline(CCA(2), Fuse()), StandardScaler(), LogisticRegression()).fit(views(), Y)
    assert_allclose(select_view(fused, "sound").predict_proba(SOUND), fused.predict_proba(views()[["sound"]]))


def test_after_split_columns_the_one_view_is_given_directly():
    table = np.hstack([IMAGE, SOUND])
    split = SplitColumns({"image": slice(0, 5), "sound": slice(5, 8)})
    model = make_pipeline(split, CCA(2), Fuse("sound"), LogisticRegression()).fit(table, Y)
    alone = select_view(model, "sound")
    assert_allclose(alone.predict_proba(SOUND), model.predict_proba(table))
    with pytest.raises(ValueError, match="SplitColumns was fitted without a view 'text'"):
        select_view(model, "text")


def test_an_aligner_alone_gives_its_encoder():
    cca = CCA(2).fit(views())
    assert_allclose(select_view(cca, "sound").transform(SOUND), cca.transform(views())["sound"])
