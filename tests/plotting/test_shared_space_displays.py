"""Displays of a shared space: where artists stand, which numbers they show, and what is refused."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import CCA, CrossModalRetriever, Fuse, KernelCCA, PerView, Views
from skalign.plotting import CorrelationDisplay, RetrievalDisplay, SharedSpaceDisplay, SimilarityDisplay
from skalign.plotting._style import COLORS


@pytest.fixture(scope="module")
def views():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(80, 3))
    image, text = (shared @ rng.normal(size=(3, 5)) + 0.3 * rng.normal(size=(80, 5)) for _ in range(2))
    return Views(image=image, text=text)


@pytest.fixture(scope="module")
def cca(views):
    return CCA(3).fit(views[:50])


# --- CorrelationDisplay ---------------------------------------------------------------------------------------------


def test_correlations_are_those_of_the_columns(views, cca):
    display = CorrelationDisplay.from_estimator(cca, views[:50], views[50:])
    for values, line, rows in (
        (display.train, display.train_line_, slice(50)),
        (display.test, display.test_line_, slice(50, 80)),
    ):
        Z = cca.transform(views[rows])
        expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(Z["image"].T, Z["text"].T)]
        assert_allclose(values, expected)
        assert_allclose(line.get_ydata(), expected)
    assert_allclose(display.train, cca.canonical_correlations_)
    assert display.test.sum() == pytest.approx(cca.score(views[50:]))
    assert f"sum {cca.score(views[50:]):.2f}" in display.test_line_.get_label()
    assert display.train_line_.get_linestyle() != display.test_line_.get_linestyle()
    assert display.train_line_.get_marker() != display.test_line_.get_marker()


def test_the_noise_level_is_what_independent_rows_reach_five_times_in_a_hundred(views, cca):
    level = CorrelationDisplay.from_estimator(cca, views[:50], views[50:]).noise_level
    X, Y = np.random.default_rng(1).normal(size=(2, 20000, 30))
    r = ((X - X.mean(1, keepdims=True)) * (Y - Y.mean(1, keepdims=True))).mean(1) / X.std(1) / Y.std(1)
    assert np.mean(np.abs(r) > level) == pytest.approx(0.05, abs=0.006)


def test_correlations_of_two_arrays_a_pipeline_and_a_search(views):
    X, Y = views["image"], views["text"]
    display = CorrelationDisplay.from_estimator(CCA(2).fit(X[:50], Y[:50]), (X[:50], Y[:50]), (X[50:], Y[50:]))
    pipe = make_pipeline(PerView({"image": StandardScaler()}), CCA(2))
    search = GridSearchCV(pipe, {"cca__shrinkage": [0.0]}, cv=2).fit(views[:50])
    assert_allclose(CorrelationDisplay.from_estimator(search, views[:50], views[50:]).test, display.test)


def test_correlations_of_three_views_have_no_noise_level(views):
    three = Views(a=views["image"], b=views["text"], c=views["image"] + views["text"])
    cca = CCA(2).fit(three)
    display = CorrelationDisplay.from_estimator(cca, three, three)
    assert_allclose(display.train, cca.canonical_correlations_)
    assert display.noise_level is None
    assert display.noise_band_ is None


def test_correlations_of_kernel_cca_and_of_plain_variates(views):
    model = KernelCCA(2, kernel="rbf", shrinkage=0.1).fit(views[:50])
    display = CorrelationDisplay.from_estimator(model, views[:50], views[50:])
    assert display.test.sum() == pytest.approx(model.score(views[50:]))
    Z = [tuple(model.transform(part)[name] for name in part.names) for part in (views[:50], views[50:])]
    assert_allclose(CorrelationDisplay.from_predictions(*Z).test, display.test)


def test_negative_correlations_are_within_the_axes():
    display = CorrelationDisplay([0.9, 0.2], [0.5, -0.6]).plot()
    assert display.ax_.get_ylim()[0] < -0.6


def test_bad_input_of_correlations(views, cca):
    with pytest.raises(NotFittedError):
        CorrelationDisplay.from_estimator(CCA(), views, views)
    with pytest.raises(TypeError, match=r"Views or a tuple \(X, Y\), not a ndarray"):
        CorrelationDisplay.from_estimator(cca, views["image"], views)
    with pytest.raises(ValueError, match=r"two views or more; these have only \['text'\]"):
        CorrelationDisplay.from_estimator(cca, views, views[["text"]])
    fused = make_pipeline(CCA(2), Fuse("mean")).fit(views)
    with pytest.raises(TypeError, match="Fuse.transform gives ndarray.*before Fuse"):
        CorrelationDisplay.from_estimator(fused, views, views)
    with pytest.raises(TypeError, match="fitted estimator with transform; LogisticRegression has none"):
        CorrelationDisplay.from_estimator(LogisticRegression().fit([[0], [1]], [0, 1]), views, views)
    with pytest.raises(ValueError, match="View 'x': Input contains NaN or infinity: 1 NaN"):
        CorrelationDisplay.from_predictions(([[np.nan], [1]], [[1], [2]]), ([[1], [2]], [[1], [2]]))
    with pytest.raises(ValueError, match="one number for each component"):
        CorrelationDisplay([0.1, 0.2], [0.1]).plot()


# --- SharedSpaceDisplay ---------------------------------------------------------------------------------------------


def test_points_and_lines_are_where_transform_says(views, cca):
    display = SharedSpaceDisplay.from_estimator(cca, views, dims=(2, 0))
    Z = cca.transform(views)
    for name in views.names:
        assert_allclose(display.scatters_[name].get_offsets(), Z[name][:, [2, 0]])
    segments = np.array(display.lines_.get_segments())
    assert_allclose(segments, np.stack([Z["image"][:, [2, 0]], Z["text"][:, [2, 0]]], axis=1))
    assert display.ax_.get_xlabel() == "component 2 of the shared space"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == views.names
    assert display.ax_.get_aspect() == 1


def test_the_two_doors_show_the_same(views):
    X, Y = views["image"], views["text"]
    display = SharedSpaceDisplay.from_estimator(CCA(2).fit(X, Y), X, Y)
    expected = CCA(2).fit(views).transform(views)
    assert_allclose(display.points["x"], expected["image"])
    assert_allclose(display.points["y"], expected["text"])
    with pytest.raises(ValueError, match="needs two views: give Views as X, or arrays as X and y"):
        SharedSpaceDisplay.from_estimator(CCA(2).fit(X, Y), X)


def test_pca_of_all_points_together(views, cca):
    Z = cca.transform(views)
    display = SharedSpaceDisplay.from_views(Z, dims="pca")
    pca = PCA(2).fit(np.vstack([Z["image"], Z["text"]]))
    assert_allclose(display.points["text"], pca.transform(Z["text"]), atol=1e-12)
    assert f"({pca.explained_variance_ratio_[0]:.0%} of variance)" in display.ax_.get_xlabel()


def test_a_subsample_keeps_pairs_and_labels_together(views, cca):
    Z, labels = cca.transform(views), np.arange(80)
    display = SharedSpaceDisplay.from_views(Z, n_samples=10, labels=labels, random_state=3)
    rows = display.labels
    assert len(np.unique(rows)) == 10
    for name in views.names:
        assert_allclose(display.points[name], Z[name][rows, :2])
    again = SharedSpaceDisplay.from_views(Z, n_samples=10, labels=labels, random_state=3)
    assert_array_equal(again.labels, rows)
    assert len(SharedSpaceDisplay.from_views(Z, n_samples=1000).points["text"]) == 80


def test_labels_give_color_and_text(views, cca):
    labels = np.array(["b", "a"])[np.arange(80) % 2]
    display = SharedSpaceDisplay.from_estimator(cca, views, labels=labels)
    assert [text.get_text() for text in display.text_] == ["a", "b"]
    both = np.concatenate([Z[labels == "a"] for Z in display.points.values()])
    assert_allclose(display.text_[0].get_position(), np.median(both, axis=0))
    filled, hollow = (display.scatters_[name] for name in views.names)
    assert_allclose(filled.get_facecolors()[1, :3], to_rgba(COLORS[0])[:3])
    assert_allclose(hollow.get_edgecolors()[0, :3], to_rgba(COLORS[1])[:3])
    assert_allclose(hollow.get_facecolors()[0, :3], 1)  # white: the views differ in print


def test_numbers_as_labels_and_own_colors(views, cca):
    values = np.linspace(0, 1, 80)
    display = SharedSpaceDisplay.from_estimator(cca, views, labels=values)
    assert len(display.figure_.axes) == 2  # the colour scale
    assert display.text_ == []
    plain = SharedSpaceDisplay.from_estimator(cca, views, labels=values.tolist()).plot(colorbar=False)
    assert len(plain.figure_.axes) == 1
    rgb = np.random.default_rng(0).random((80, 3))
    display = SharedSpaceDisplay.from_estimator(cca, views, colors=rgb)
    assert_allclose(display.scatters_["image"].get_facecolors()[:, :3], rgb)


def test_many_classes_and_three_views(views):
    three = Views(a=views["image"], b=views["text"], c=views["image"] + views["text"])
    display = SharedSpaceDisplay.from_estimator(CCA(2).fit(three), three, labels=np.arange(80) % 20)
    assert len(display.text_) == 20
    assert np.array(display.lines_.get_segments()).shape == (80, 3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": (0, 3)}, r"dims must be two columns from 0 to 2 or 'pca', got \(0, 3\)"),
        ({"dims": 1}, "dims must be two columns or 'pca', got 1"),
        ({"dims": "tsne"}, "dims must be two columns"),
        ({"dims": (0, 1.5)}, "dims must be two columns"),
        ({"n_samples": 0}, "n_samples must be None or a whole number of at least 1, got 0"),
        ({"labels": [1, 2]}, "labels has 2 entries for 80 samples"),
        ({"labels": np.zeros((80, 2))}, r"labels must be one for each of 80 samples; their shape is \(80, 2\)"),
        ({"labels": np.full(80, np.nan)}, "labels must be finite"),
        ({"colors": np.full((80, 3), 2.0)}, r"colors must be RGB in \[0, 1\]"),
        ({"colors": np.zeros((80, 2))}, r"of shape \(80, 2\)"),
        ({"colors": ["red", "blue"] * 40}, "colors must be RGB .*names of classes are labels"),
        ({"colors": np.zeros((80, 3)), "labels": np.zeros(80)}, "labels or colors, not both"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_options_of_the_shared_space(views, cca, options, message):
    with pytest.raises(ValueError, match=message):
        SharedSpaceDisplay.from_estimator(cca, views, **options)


def test_bad_points():
    with pytest.raises(TypeError, match="takes Views, or a mapping of names to points, not a list"):
        SharedSpaceDisplay.from_views([np.eye(2)])
    with pytest.raises(ValueError, match=r"same rows in one shared space.*\(3, 2\).*\(2, 2\)"):
        SharedSpaceDisplay.from_views({"a": np.ones((3, 2)), "b": np.ones((2, 2))})
    with pytest.raises(ValueError, match="only \\['a'\\]"):
        SharedSpaceDisplay.from_views({"a": np.ones((3, 2))})
    with pytest.raises(ValueError, match="A plane needs 2 dimensions, but the shared space has 1"):
        SharedSpaceDisplay.from_views({"a": np.ones((3, 1)), "b": np.ones((3, 1))})
    with pytest.raises(ValueError, match="marks for 7 views, not for 8"):
        SharedSpaceDisplay.from_views({name: np.ones((3, 2)) for name in "abcdefgh"})


# --- SimilarityDisplay ----------------------------------------------------------------------------------------------


def test_similarities_and_marks(views, cca):
    display = SimilarityDisplay.from_estimator(cca, views[50:])
    S = cca.similarity(views[50:])
    assert_array_equal(display.image_.get_array(), S)
    best = S.argmax(axis=1) == np.arange(30)
    assert 0 < best.sum() < 30
    rows = np.flatnonzero(best)
    assert_array_equal(display.found_.get_offsets(), np.column_stack([rows, rows]))
    rows = np.flatnonzero(~best)
    assert_array_equal(display.beaten_.get_offsets(), np.column_stack([rows, rows]))
    assert display.found_.get_label().endswith(f": {best.sum()}")
    assert display.ax_.get_ylabel() == "row of image"
    assert display.ax_.get_xlabel() == "row of text"


def test_marks_of_given_pairs_stand_on_column_and_row():
    display = SimilarityDisplay.from_predictions([[0.0, 1.0, 0.5]], pairs=[[0, 2]])
    assert display.found_.get_offsets().tolist() == []
    assert display.beaten_.get_offsets().tolist() == [[2, 0]]


def test_a_similarity_pipeline_and_a_choice_of_views(views):
    three = Views(a=views["image"], b=views["text"], c=views["image"])
    pipe = make_pipeline(PerView({"a": StandardScaler()}), CCA(2)).fit(three)
    display = SimilarityDisplay.from_estimator(pipe, three, views=("c", "b"), function="rbf")
    expected = pipe[-1].similarity(pipe[:-1].transform(three), views=("c", "b"), function="rbf")
    assert_array_equal(display.image_.get_array(), expected)
    assert display.names == ("c", "b")
    with pytest.raises(ValueError, match="pass views="):
        SimilarityDisplay.from_estimator(pipe, three)


def test_similarities_of_tensors():
    torch = pytest.importorskip("torch")
    display = SimilarityDisplay.from_predictions(torch.eye(3))
    assert len(display.found_.get_offsets()) == 3


def test_bad_similarities(views, cca):
    with pytest.raises(ValueError, match=r"diagonal only of a square matrix, not of one of shape \(2, 3\)"):
        SimilarityDisplay.from_predictions(np.ones((2, 3)))
    with pytest.raises(ValueError, match="The similarities: Input contains NaN or infinity: 1 NaN"):
        SimilarityDisplay.from_predictions([[np.nan]])
    with pytest.raises(ValueError, match="names must be those of two sides"):
        SimilarityDisplay.from_predictions(np.eye(2), names=["image"])
    with pytest.raises(ValueError, match=r"within the matrix of shape \(2, 2\)"):
        SimilarityDisplay.from_predictions(np.eye(2), pairs=[[0, 2]])
    with pytest.raises(ValueError, match=r"whole numbers of shape \(n_pairs, 2\)"):
        SimilarityDisplay.from_predictions(np.eye(2), pairs=[0, 1])
    with pytest.raises(NotFittedError):
        SimilarityDisplay.from_estimator(CCA(), views)
    with pytest.raises(TypeError, match="fitted estimator with similarity; StandardScaler has none"):
        SimilarityDisplay.from_estimator(StandardScaler().fit(views["text"]), views)


# --- RetrievalDisplay -----------------------------------------------------------------------------------------------


def test_hits_are_those_of_the_retriever(views, cca):
    ids = np.array([f"photo{i}" for i in range(30)])
    album = CrossModalRetriever(cca, n_neighbors=4).fit(views[50:][["image"]], ids)
    queries = views[50:55][["text"]]
    display = RetrievalDisplay.from_estimator(album, queries, ids, queries=list("abcde"), y=ids[:5])
    similarities, positions = album.kneighbors(queries)
    written = [[cell.get_text() for cell in row] for row in display.cells_]
    assert written == [[query, *ids[row]] for query, row in zip("abcde", positions)]
    assert_array_equal(display.correct, positions == np.arange(5)[:, None])
    assert [text.get_text() for text in display.text_] == [f"{s:.2f}" for s in similarities.ravel()]
    widths = np.array([[frame.get_linewidth() for frame in row] for row in display.frames_])
    assert display.correct.any()
    assert widths[display.correct].min() > 2 * widths[~display.correct].max()


def test_queries_of_text_are_shown_as_they_are():
    names = [f"{shade} {hue}" for shade in ("pale", "dark", "warm") for hue in ("red", "blue", "green", "grey")]
    pictures = np.random.default_rng(0).random((12, 2, 2, 3))
    views = Views(name=names, picture=pictures.reshape(12, -1))
    search = make_pipeline(PerView({"name": CountVectorizer()}), CCA(2, shrinkage=0.5)).fit(views)
    album = CrossModalRetriever(search, n_neighbors=3).fit(views[["picture"]])
    display = RetrievalDisplay.from_estimator(album, views[:2], pictures, show_similarity=False)
    assert [cell.get_text() for cell in display.cells_[:, 0]] == names[:2]  # of both views the one that asks
    assert_array_equal(display.cells_[1, 1].get_array(), pictures[album.kneighbors(views[:2])[1][1, 0]])
    assert display.text_ == []
    assert len(RetrievalDisplay.from_estimator(album, names[:4], pictures, n_neighbors=1).cells_) == 4
    more = Views(name=names[:1], sound=[0])
    album.set_params(query_view="name")
    with pytest.raises(ValueError, match=r"what to show for each query: X holds the views \['name', 'sound'\]"):
        RetrievalDisplay.from_estimator(album, more, pictures)


def test_pictures_stand_where_ranks_are():
    pictures = np.random.default_rng(0).random((5, 4, 4, 3))
    display = RetrievalDisplay.from_predictions([[3, 1], [0, 2]], ["a", "b"], pictures, correct=[1, 0])
    assert_array_equal(display.cells_[0, 1].get_array(), pictures[3])
    assert_array_equal(display.correct, [[False, True], [True, False]])
    ticks = dict(zip((label.get_text() for label in display.ax_.get_xticklabels()), display.ax_.get_xticks()))
    assert list(ticks) == ["query", "1", "2"]
    left, right, bottom, top = display.cells_[1, 2].get_extent()
    assert left < ticks["2"] < right
    assert bottom > top > display.cells_[0, 2].get_extent()[2]  # rows run downwards


def test_pictures_keep_their_shape_and_colors_are_pictures():
    wide = np.zeros((4, 8))
    display = RetrievalDisplay.from_predictions([[0]], [np.full((1, 1, 3), 0.5)], [wide])
    left, right, bottom, top = display.cells_[0, 1].get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(2)
    assert display.cells_[0, 0].get_array().shape == (1, 1, 3)


def test_long_text_stays_in_its_cell():
    text = "a name that goes on and on " * 20
    display = RetrievalDisplay.from_predictions([[0]], ["short"], [text])
    display.figure_.canvas.draw()
    cell = display.cells_[0, 1].get_window_extent()
    frame = display.frames_[0, 0].get_window_extent()
    assert frame.x0 <= cell.x0
    assert cell.x1 <= frame.x1
    assert frame.y0 <= cell.y0
    assert cell.y1 <= frame.y1
    assert display.cells_[0, 1].get_text().endswith("…")


def test_pictures_of_one_channel_and_tensors():
    torch = pytest.importorskip("torch")
    display = RetrievalDisplay.from_predictions(torch.tensor([[1]]), ["q"], torch.zeros(2, 3, 3, 1))
    assert display.cells_[0, 1].get_array().shape == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], ["a", "b"], ["x", "y"]), r"indices must be whole numbers of shape \(n_queries, n_hits\)"),
        (([[0.5]], ["a"], ["x"]), "indices must be whole numbers"),
        (([[2]], ["a"], ["x", "y"]), "indices go from 2 to 2, but there are 2 items"),
        (([[-1]], ["a"], ["x", "y"]), "indices go from -1"),
        (([[0]], ["a", "b"], ["x"]), "There are 2 queries, and indices of 1"),
        (([[0]], "a", ["x"]), "queries is a str"),
        (([[0]], ["a"], np.zeros((1, 3, 8, 8))), r"channels last, not \(3, 8, 8\)"),
        (([[0]], ["a"], np.zeros((1, 8))), r"channels last, not \(8,\)"),
        (([[0]], ["a"], np.full((1, 2, 2, 3), 1.5)), "floats from 0 to 1"),
        (([[0]], ["a"], np.full((1, 2, 2), np.nan)), "finite numbers"),
        ((np.zeros((1, 0), dtype=int), ["a"], ["x"]), "at least one"),
    ],
    ids=range(11),
)
def test_bad_hits(arguments, message):
    with pytest.raises(ValueError, match=message):
        RetrievalDisplay.from_predictions(*arguments)


def test_bad_truth_and_retrievers(views, cca):
    with pytest.raises(ValueError, match="one position for each query, or a bool for each hit"):
        RetrievalDisplay.from_predictions([[0]], ["a"], ["x"], correct=[0, 1])
    with pytest.raises(ValueError, match=r"correct must have shape \(1, 1\), got \(1, 2\)"):
        RetrievalDisplay.from_predictions([[0]], ["a"], ["x"], correct=[[True, False]])
    with pytest.raises(ValueError, match=r"similarities must have shape \(1, 1\)"):
        RetrievalDisplay.from_predictions([[0]], ["a"], ["x"], similarities=[0.5])
    with pytest.raises(TypeError, match="fitted estimator with kneighbors; CCA has none"):
        RetrievalDisplay.from_estimator(cca, views, [])
    album = CrossModalRetriever(cca, n_neighbors=2).fit(views[["image"]])
    with pytest.raises(NotFittedError):
        RetrievalDisplay.from_estimator(CrossModalRetriever(cca), views[:2], [])
    with pytest.raises(ValueError, match="y must hold one id for each of 2 queries"):
        RetrievalDisplay.from_estimator(album, views[:2], views["image"], y=[0])
