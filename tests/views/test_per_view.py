"""PerView: a transformer of its own for every view."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils import estimator_html_repr

from skalign import Fuse, PerView, Precomputed, Views

RNG = np.random.default_rng(0)
LABELS = RNG.integers(2, size=30)
IMAGE = RNG.normal(size=(30, 5)) + LABELS[:, None]
TEXT = [f"word{label} word{i % 4}" for i, label in enumerate(LABELS)]
FRAME = pd.DataFrame(IMAGE, columns=list("abcde"), index=[f"row{i}" for i in range(30)])


def views():
    return Views(image=IMAGE, text=TEXT)


def per_view():
    return PerView({"image": PCA(2, random_state=0), "text": TfidfVectorizer()})


def test_each_view_goes_through_its_own_transformer():
    out = per_view().fit_transform(views())
    assert isinstance(out, Views)
    assert out.names == ["image", "text"]
    assert_allclose(out["image"], PCA(2, random_state=0).fit_transform(IMAGE))
    assert_array_equal(out["text"].toarray(), TfidfVectorizer().fit_transform(TEXT).toarray())


def test_transform_uses_what_was_fitted():
    fitted = per_view().fit(views()[:20])
    out = fitted.transform(views()[20:])
    assert_allclose(out["image"], PCA(2, random_state=0).fit(IMAGE[:20]).transform(IMAGE[20:]))
    assert_array_equal(out["text"].toarray(), TfidfVectorizer().fit(TEXT[:20]).transform(TEXT[20:]).toarray())


def test_fit_and_fit_transform_agree():
    fitted = per_view()
    out = fitted.fit_transform(views())
    assert_allclose(per_view().fit(views()).transform(views())["image"], out["image"])
    assert_allclose(fitted.transform(views())["image"], out["image"])


def test_any_fitted_view_alone_will_do_and_the_order_is_that_of_the_input():
    fitted = per_view().fit(views())
    alone = fitted.transform(Views(text=TEXT[:3]))
    assert alone.names == ["text"]
    assert_array_equal(alone["text"].toarray(), fitted.transform(views())["text"].toarray()[:3])
    assert fitted.transform(views()[["text", "image"]]).names == ["text", "image"]


def test_the_order_of_the_transformers_does_not_matter():
    turned = PerView({"text": TfidfVectorizer(), "image": PCA(2, random_state=0)}).fit(views())
    assert list(turned.get_feature_names_out()) == list(per_view().fit(views()).get_feature_names_out())


@pytest.mark.parametrize("step", [{}, {"image": "passthrough"}])
@pytest.mark.parametrize(
    "view",
    [
        IMAGE,
        IMAGE.reshape(30, 5, 1),
        sp.csr_array(IMAGE),
        FRAME,
        torch.asarray(IMAGE),
        TEXT,
        [np.ones((i + 1, 2)) for i in range(30)],
        Precomputed(IMAGE @ IMAGE.T),
        np.arange(30),
    ],
    ids=["table", "images", "sparse", "frame", "torch", "strings", "ragged", "kernel", "1-D"],
)
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_views_that_are_not_named_and_passthrough_come_through_as_they_are(view, step, output):
    out = (
        PerView({**step, "text": TfidfVectorizer()})
        .set_output(transform="default")
        .fit_transform(Views(image=view, text=TEXT))
    )
    assert out["image"] is view
    fitted = PerView({**step}).set_output(transform=output).fit(Views(image=view, text=TEXT))
    came = fitted.transform(Views(image=view))["image"]
    if output == "pandas" and isinstance(view, (np.ndarray, pd.DataFrame)) and view.ndim == 2:
        assert_array_equal(came.to_numpy(), IMAGE)
        assert list(came.columns) == (list("abcde") if view is FRAME else ["x0", "x1", "x2", "x3", "x4"])
        assert list(came.index) == (list(FRAME.index) if view is FRAME else list(range(30)))
    else:
        assert came is view


def test_set_output_does_not_rename_the_frames_that_were_put_in():
    for columns in (list("abcde"), range(5)):
        frame = FRAME.set_axis(columns, axis=1)
        PerView().set_output(transform="pandas").fit_transform(Views(image=frame))
        assert list(frame.columns) == list(columns)


def test_drop_drops_at_fit_and_at_transform():
    fitted = PerView({"text": "drop"})
    assert fitted.fit_transform(views()).names == ["image"]
    assert fitted.transform(views()).names == ["image"]
    assert list(fitted.get_feature_names_out()) == [f"image__x{i}" for i in range(5)]
    with pytest.raises(ValueError, match=r"drops all of the views \['text'\]"):
        fitted.transform(Views(text=TEXT))
    with pytest.raises(ValueError, match="PerView drops every view"):
        PerView({"text": "drop", "image": "drop"}).fit(views())


def test_a_misspelt_key_is_an_error_at_fit():
    with pytest.raises(ValueError, match=r"\['imgae'\], which are no views; the views are \['image', 'text'\]"):
        PerView({"imgae": PCA(2)}).fit(views())


def test_a_view_not_seen_at_fit_is_an_error_at_transform():
    fitted = PerView({"text": TfidfVectorizer()}).fit(views())
    with pytest.raises(ValueError, match=r"has not seen the views \['sound'\] at fit; it knows \['image', 'text'\]"):
        fitted.transform(Views(text=TEXT, sound=IMAGE))


@pytest.mark.parametrize("bad", [None, "pca", LogisticRegression(), 3])
def test_a_step_that_is_no_transformer_is_an_error(bad):
    with pytest.raises(TypeError, match="step of view 'image' must be a transformer, 'passthrough' or 'drop'"):
        PerView({"image": bad}).fit(views())


@pytest.mark.parametrize("data", [IMAGE, [IMAGE, IMAGE], {"image": IMAGE}, FRAME])
def test_only_views_and_domains_are_taken(data):
    with pytest.raises(TypeError, match="PerView takes Views or Domains"):
        PerView({"image": PCA(2)}).fit(data)
    with pytest.raises(TypeError, match="PerView takes Views or Domains"):
        per_view().fit(views()).transform(data)


def test_transform_before_fit_is_an_error():
    with pytest.raises(NotFittedError):
        per_view().transform(views())


@pytest.mark.parametrize("name", ["n_jobs", "transformers"])
def test_a_view_named_like_a_parameter_is_an_error(name):
    with pytest.raises(ValueError, match="conflict with constructor arguments"):
        PerView({name: PCA(2)}).fit(Views({name: IMAGE}))


def test_the_given_transformers_stay_unfitted_and_inputs_unchanged():
    given = per_view()
    image = IMAGE.copy()
    image.flags.writeable = False
    given.fit_transform(Views(image=image, text=TEXT))
    assert not hasattr(given.transformers["image"], "components_")
    assert hasattr(given.transformers_["image"], "components_")
    assert_array_equal(image, IMAGE)


def test_y_reaches_supervised_steps():
    fitted = PerView({"image": SelectKBest(k=2)}).fit(views(), LABELS)
    assert_array_equal(fitted.transformers_["image"].scores_, SelectKBest(k=2).fit(IMAGE, LABELS).scores_)


def test_a_transformer_with_fit_and_transform_only_will_do():
    class Plain(BaseEstimator):
        def fit(self, X, y=None):
            self.mean_ = X.mean()
            return self

        def transform(self, X):
            return X - self.mean_

    assert_allclose(PerView({"image": Plain()}).fit_transform(views())["image"], IMAGE - IMAGE.mean())


def test_parameters_are_reached_by_the_name_of_the_view():
    given = per_view()
    assert given.get_params()["image__n_components"] == 2
    assert given.get_params(deep=False).keys() == {"transformers", "n_jobs"}
    given.set_params(image__n_components=3, text__lowercase=False, n_jobs=2)
    assert given.transformers["image"].n_components == 3
    assert not given.transformers["text"].lowercase
    assert given.n_jobs == 2
    given.set_params(image="drop")
    assert given.fit_transform(views()).names == ["text"]
    given.set_params(transformers={"image": PCA(1)})
    assert given.fit_transform(views())["image"].shape == (30, 1)


def test_set_params_refuses_views_without_a_transformer():
    with pytest.raises(ValueError, match="Invalid parameter 'imgae'"):
        per_view().set_params(imgae__n_components=3)
    with pytest.raises(ValueError, match="Invalid parameter 'imgae'"):
        per_view().set_params(imgae=PCA(3))


def test_clone_is_unfitted_and_shares_nothing():
    given = per_view().fit(views())
    copy = clone(given)
    assert not hasattr(copy, "transformers_")
    copy.set_params(image__n_components=4)
    assert given.transformers["image"].n_components == 2
    assert clone(per_view().set_output(transform="pandas")).set_params(text="drop").fit_transform(views())[
        "image"
    ].columns.tolist() == ["pca0", "pca1"]


def test_pickle_transforms_the_same():
    fitted = per_view().fit(views())
    assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).transform(views())["image"], fitted.transform(views())["image"]
    )


def test_n_jobs_changes_nothing():
    one, two = (per_view().set_params(n_jobs=n).fit_transform(views()) for n in (1, 2))
    assert_array_equal(one["image"], two["image"])
    assert_array_equal(one["text"].toarray(), two["text"].toarray())


def test_feature_names_name_view_and_feature():
    fitted = PerView({"image": PCA(2), "text": CountVectorizer()}).fit(Views(plain=FRAME, image=IMAGE, text=TEXT))
    words = [f"text__word{i}" for i in range(4)]
    expected = [*(f"plain__{c}" for c in "abcde"), "image__pca0", "image__pca1", *words]
    assert fitted.get_feature_names_out().tolist() == expected


@pytest.mark.parametrize("view", [TEXT, IMAGE.reshape(30, 5, 1), Precomputed(IMAGE @ IMAGE.T)])
def test_what_is_no_table_has_no_feature_names(view):
    with pytest.raises(AttributeError, match="View 'text' passes through and is no table"):
        PerView().fit(Views(image=IMAGE, text=view)).get_feature_names_out()


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("when", ["before", "after", "global"])
def test_set_output_gives_frames_of_every_dense_view(container, when):
    frames = pytest.importorskip(container)
    given = PerView({"image": PCA(2), "text": TfidfVectorizer()})
    data = Views(image=FRAME, text=TEXT, plain=IMAGE[:, :2])
    with config_context(transform_output=container if when == "global" else "default"):
        if when == "before":
            given.set_output(transform=container)
        given.fit(data)
        if when == "after":
            given.set_output(transform=container)
        out = given.transform(data)
    assert sp.issparse(out["text"])
    assert isinstance(out["image"], frames.DataFrame)
    assert list(out["image"].columns) == ["pca0", "pca1"]
    assert list(out["plain"].columns) == ["x0", "x1"]
    if container == "pandas":
        assert out["image"].index.equals(FRAME.index)


def test_set_output_none_leaves_it_as_it_is():
    given = PerView({"image": PCA(2)}).set_output(transform="pandas").set_output(transform=None)
    assert isinstance(given.fit_transform(Views(image=IMAGE))["image"], pd.DataFrame)
    given.set_output(transform="default")
    assert isinstance(given.fit_transform(Views(image=IMAGE))["image"], np.ndarray)


@pytest.mark.parametrize(
    "output", [sp.csr_array, sp.coo_array, pd.DataFrame, torch.asarray, lambda X: [row for row in X]]
)
def test_outputs_of_any_kind_are_views(output):
    out = PerView({"image": FunctionTransformer(output)}).fit_transform(views())
    last = out[[29]]["image"]
    last = last.toarray() if sp.issparse(last) else np.asarray(last)
    assert_array_equal(last, IMAGE[[29]])


class Shortens(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:-1]


def test_a_step_that_loses_rows_is_an_error():
    with pytest.raises(ValueError, match="'image' has 29 rows and 'text' has 30"):
        PerView({"image": Shortens()}).fit_transform(views())


def pipeline():
    return make_pipeline(
        PerView({"image": PCA(2), "text": make_pipeline(CountVectorizer(), TruncatedSVD(2))}),
        Fuse("concat"),
        LogisticRegression(),
    )


def test_search_reaches_the_steps_of_every_view():
    grid = {"perview__image__n_components": [1, 3], "perview__text__truncatedsvd__n_components": [1, 2]}
    search = GridSearchCV(pipeline(), grid, cv=3, error_score="raise").fit(views(), LABELS)
    best = search.best_estimator_[0].transformers_
    assert best["image"].n_components_ == search.best_params_["perview__image__n_components"]
    assert best["text"][-1].components_.shape[0] == search.best_params_["perview__text__truncatedsvd__n_components"]


def test_search_exchanges_a_whole_step():
    steps = [StandardScaler(), MinMaxScaler(), "passthrough", "drop"]
    search = RandomizedSearchCV(
        pipeline(), {"perview__image": steps}, n_iter=4, cv=3, random_state=0, error_score="raise"
    ).fit(views(), LABELS)
    scores = {
        str(p["perview__image"]): s for p, s in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"])
    }
    assert scores.keys() == {str(step) for step in steps}
    alone = make_pipeline(PerView({"image": "drop", "text": pipeline()[0].transformers["text"]}), *pipeline()[1:])
    single = GridSearchCV(alone, {}, cv=3).fit(views(), LABELS)
    assert scores["drop"] == single.best_score_
    assert not hasattr(steps[0], "mean_")


def test_html_repr_shows_the_step_of_every_view():
    for given in (per_view(), per_view().fit(views()), PerView(), PerView({"image": "drop"})):
        for html in (estimator_html_repr(given), estimator_html_repr(make_pipeline(given, Fuse()))):
            assert "PerView" in html
            for name, step in (given.transformers or {}).items():
                assert name in html
                assert step.__class__.__name__ in html or step in html
    assert "TfidfVectorizer" in pipeline().set_params(perview__text=TfidfVectorizer())._repr_html_()


def test_text_repr_shows_the_steps():
    assert repr(PerView({"image": PCA(2)})) == "PerView(transformers={'image': PCA(n_components=2)})"


def test_a_key_that_is_no_string_is_no_view():
    with pytest.raises(ValueError, match=r"PerView names \[1\], which are no views"):
        PerView({1: StandardScaler()}).fit(Views(a=np.eye(3)))
