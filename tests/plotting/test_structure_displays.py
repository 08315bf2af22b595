"""Displays of plans, paths, segments, tables and trainings: what they show, and what they refuse."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skalign import CCA, ChangepointSegmenter, CTWAligner, Domains, DTWAligner, PerView, Views
from skalign.metrics.representation import alignment_matrix, layerwise_alignment
from skalign.plotting import (
    AlignmentMatrixDisplay,
    SegmentationDisplay,
    TrainingDisplay,
    TransportPlanDisplay,
    WarpingPathDisplay,
)
from skalign.temporal import dtw

# --- TransportPlanDisplay -------------------------------------------------------------------------------------------

PLAN = np.array([[0.5, 0.0, 0.001], [0.1, 0.0, 0.4]])
SOURCE = np.array([[0.0, 0.0], [1.0, 0.0]])
TARGET = np.array([[0.0, 2.0], [1.0, 2.0], [2.0, 2.0]])


class Transport(BaseEstimator):
    """What an estimator of transport leaves."""

    def __init__(self, plan=None):
        self.plan = plan

    def fit(self, X=None, y=None):
        self.plan_ = self.plan
        return self


class _Lazy:
    """A plan that becomes an array when it is asked to."""

    def __init__(self, plan):
        self._plan, self.shape = plan, plan.shape

    def __len__(self):
        return len(self._plan)

    def __getitem__(self, rows):
        return self._plan[rows]

    def __array__(self, dtype=None, copy=None):
        return self._plan.astype(dtype or "float64")


def test_lines_carry_the_mass():
    display = TransportPlanDisplay.from_predictions(PLAN, SOURCE, TARGET)
    segments = np.array(display.lines_.get_segments())
    assert_array_equal(segments, [[SOURCE[0], TARGET[0]], [SOURCE[1], TARGET[0]], [SOURCE[1], TARGET[2]]])
    widths, alphas = display.lines_.get_linewidths(), display.lines_.get_alpha()
    assert_array_equal(np.argsort(widths), [1, 2, 0])
    assert_array_equal(np.argsort(alphas), [1, 2, 0])
    assert_allclose(display.source_.get_offsets(), SOURCE)
    filled = display.target_.get_facecolors()[:, :3].sum(axis=1) < 3
    assert_array_equal(filled, [True, False, True])  # nothing goes to the second
    assert len(display.plot(min_share=0).lines_.get_segments()) == 4


@pytest.mark.parametrize(
    "wrap", [np.asarray, sp.csr_array, np.ndarray.tolist, _Lazy, lambda plan: Bunch(toarray=lambda: plan)],
    ids=["array", "sparse", "list", "array interface", "toarray"],
)  # fmt: skip
def test_plans_of_any_kind_as_a_matrix(wrap):
    display = TransportPlanDisplay.from_predictions(wrap(PLAN), names=("a", "b"))
    assert_array_equal(display.image_.get_array(), PLAN)
    assert display.lines_ is None
    assert display.ax_.get_ylabel() == "element of a"
    assert "total 1" in display.colorbar_.ax.get_ylabel()


def test_the_plan_of_an_estimator_with_and_without_points():
    estimator = Transport(PLAN).fit()
    assert TransportPlanDisplay.from_estimator(estimator).image_ is not None
    assert TransportPlanDisplay.from_estimator(estimator, SOURCE, TARGET).lines_ is not None
    domains = Domains(old=SOURCE, new=TARGET)
    display = TransportPlanDisplay.from_estimator(estimator, domains)
    assert display.names == ("old", "new")
    assert_allclose(display.target_.get_offsets(), TARGET)
    wide = TransportPlanDisplay.from_estimator(estimator, np.ones((2, 5)), np.ones((3, 5)))
    assert wide.image_ is not None


def test_one_plan_of_several():
    estimator = Transport([PLAN, 2 * PLAN.T]).fit()
    bags = Views(a=[SOURCE, TARGET], b=[TARGET, SOURCE])
    display = TransportPlanDisplay.from_estimator(estimator, bags, sample=1)
    assert_allclose(display.source_.get_offsets(), TARGET)
    with pytest.raises(ValueError, match="There are 2 plans: sample must say which, from 0, got None"):
        TransportPlanDisplay.from_estimator(estimator)


def test_bad_plans():
    with pytest.raises(ValueError, match="mass cannot be negative, and 1 entries are"):
        TransportPlanDisplay.from_predictions([[1.0, -0.1]])
    with pytest.raises(ValueError, match="moves no mass at all"):
        TransportPlanDisplay.from_predictions([[0.0]])
    with pytest.raises(ValueError, match="The plan: Input contains NaN"):
        TransportPlanDisplay.from_predictions([[np.nan]])
    with pytest.raises(ValueError, match="of both collections, source and target, or of none"):
        TransportPlanDisplay.from_predictions(PLAN, SOURCE)
    with pytest.raises(
        ValueError, match=r"target: points in the plane of shape \(3, 2\) go with this plan, not \(2, 2\)"
    ):
        TransportPlanDisplay.from_predictions(PLAN, SOURCE, SOURCE)
    with pytest.raises(ValueError, match="min_share must be between 0 and 1"):
        TransportPlanDisplay.from_predictions(PLAN, min_share=2)
    with pytest.raises(NotFittedError):
        TransportPlanDisplay.from_estimator(Transport())
    with pytest.raises(TypeError, match="fitted estimator with plan_; DTWAligner has none"):
        TransportPlanDisplay.from_estimator(DTWAligner().fit(np.eye(3)))
    with pytest.raises(ValueError, match="X holds one collection: give the second as y"):
        TransportPlanDisplay.from_estimator(Transport(PLAN).fit(), SOURCE)
    with pytest.raises(ValueError, match=r"these are \['a'\]"):
        TransportPlanDisplay.from_estimator(Transport(PLAN).fit(), Views(a=SOURCE))


# --- WarpingPathDisplay ---------------------------------------------------------------------------------------------


@pytest.fixture
def pairs():
    time = np.linspace(0, 1, 30)
    slow = [np.sin(6 * time), np.cos(5 * time)]
    fast = [np.sin(6 * time[::2] ** 2), np.cos(5 * time[::2])]
    return Views(slow=slow, fast=fast)


def test_path_costs_and_series_of_a_pair(pairs):
    display = WarpingPathDisplay.from_estimator(DTWAligner(window=0.9).fit(pairs), pairs, sample=1)
    x, y = pairs["slow"][1], pairs["fast"][1]
    assert_array_equal(display.line_.get_xydata(), dtw(x, y, window=0.9).path)
    assert_allclose(display.image_.get_array(), ((x[:, None] - y) ** 2).T)
    assert_array_equal(display.x_lines_[0].get_xydata(), np.column_stack([np.arange(30), x]))
    assert_array_equal(display.y_lines_[0].get_xydata(), np.column_stack([y, np.arange(15)]))
    assert display.x_ax_.get_xlim() == display.ax_.get_xlim() == (-0.5, 29.5)
    assert display.y_ax_.get_ylim() == display.ax_.get_ylim() == (-0.5, 14.5)
    assert display.x_ax_.get_xlabel() == "frame of slow"
    assert display.y_ax_.get_ylabel() == "frame of fast"


def test_costs_are_those_that_were_aligned_by(pairs):
    x, y = pairs["slow"][0], pairs["fast"][0]
    city = WarpingPathDisplay.from_estimator(DTWAligner("cityblock").fit(pairs), pairs)
    assert_allclose(city.image_.get_array(), np.abs(x[:, None] - y).T)
    shifted = Views(slow=[x + 5], fast=[y])
    slopes = WarpingPathDisplay.from_estimator(DTWAligner(derivative=True).fit(shifted), shifted)
    assert slopes.costs.max() < 2  # the offset of 5 does not count
    assert_allclose(slopes.x_lines_[0].get_ydata(), x + 5)


def test_the_order_of_views_is_that_of_fit(pairs):
    aligner = DTWAligner().fit(pairs)
    display = WarpingPathDisplay.from_estimator(aligner, pairs[["fast", "slow"]])
    assert display.names == ("slow", "fast")
    assert len(display.x) == 30


def test_series_and_template_in_a_pipeline():
    time = np.linspace(0, 6, 25)
    X = np.stack([np.sin(time + s) for s in np.linspace(0, 1, 6)])
    pipe = make_pipeline("passthrough", DTWAligner()).fit(X)
    display = WarpingPathDisplay.from_estimator(pipe, X, sample=2)
    assert display.names == ("series", "template")
    assert_array_equal(display.path, pipe[-1].align(X[[2]])[0])
    assert_allclose(display.costs, (X[2][:, None] - pipe[-1].template_) ** 2)


def test_frames_of_different_width():
    rng = np.random.default_rng(0)
    a = [rng.normal(size=(40, 3)).cumsum(axis=0) for _ in range(3)]
    b = [x[::2] @ rng.normal(size=(3, 2)) for x in a]
    views = Views(a=a, b=b)
    aligner = CTWAligner(1).fit(views)
    display = WarpingPathDisplay.from_estimator(aligner, views)
    Z = aligner.transform(views[[0]])
    assert_allclose(display.costs, ((Z["a"][0][:, None] - Z["b"][0]) ** 2).sum(axis=2))
    assert len(display.x_lines_) == 3
    assert len({line.get_linestyle() for line in display.x_lines_}) == 3
    assert display.y_image_ is display.x_image_ is None
    bare = WarpingPathDisplay.from_predictions(display.path, a[0], b[0])
    assert bare.costs is None
    assert bare.image_ is None
    given = WarpingPathDisplay.from_predictions(display.path, a[0], b[0], costs=display.costs)
    assert_array_equal(given.image_.get_array(), display.costs.T)


def test_axes_in_seconds(pairs):
    aligner = DTWAligner().fit(pairs)
    display = WarpingPathDisplay.from_estimator(aligner, pairs, sampling_rate={"slow": 10, "fast": 5})
    assert_allclose(display.line_.get_xydata(), display.path / [10, 5])
    assert display.ax_.get_xlim() == pytest.approx((-0.05, 2.95))
    assert display.ax_.get_ylim() == pytest.approx((-0.1, 2.9))
    assert display.image_.get_extent() == pytest.approx([-0.05, 2.95, -0.1, 2.9])
    assert_allclose(display.x_lines_[0].get_xdata(), np.arange(30) / 10)
    assert_allclose(display.y_lines_[0].get_ydata(), np.arange(15) / 5)
    assert display.x_ax_.get_xlabel() == "slow: time in s"
    one = WarpingPathDisplay.from_estimator(aligner, pairs, sampling_rate={"slow": 10, "fast": None})
    assert one.y_ax_.get_ylabel() == "frame of fast"
    with pytest.raises(ValueError, match="sampling_rate"):
        WarpingPathDisplay.from_estimator(aligner, pairs, sampling_rate=0)
    with pytest.raises(ValueError, match="quick"):
        WarpingPathDisplay.from_estimator(aligner, pairs, sampling_rate={"slow": 1, "quick": 1})


def test_many_channels_are_stripes():
    x, y = np.random.default_rng(0).normal(size=(2, 20, 6)).cumsum(axis=1)
    x[:, 2] = 1.0
    display = WarpingPathDisplay.from_predictions(dtw(x, y).path, x, y)
    assert display.x_lines_ == display.y_lines_ == []
    stripes = display.x_image_.get_array()
    assert stripes.shape == (6, 20)
    assert_allclose(stripes[3], (x[:, 3] - x[:, 3].min()) / np.ptp(x[:, 3]))
    assert not stripes[2].any()
    assert_array_equal(display.y_image_.get_array()[:, 0].argmax(), y[:, 0].argmax())
    assert display.x_ax_.get_ylabel() == display.y_ax_.get_xlabel() == "channel"
    assert display.ax_.get_xlim() == (-0.5, 19.5)


def test_bad_paths(pairs):
    x, y = np.arange(3.0), np.arange(2.0)
    path = [[0, 0], [1, 0], [2, 1]]
    with pytest.raises(ValueError, match="The path leaves the series, which have 2 and 3 frames"):
        WarpingPathDisplay.from_predictions(path, y, x)
    with pytest.raises(ValueError, match="runs backwards"):
        WarpingPathDisplay.from_predictions(path[::-1], x, y)
    with pytest.raises(ValueError, match=r"of shape \(L, 2\); this is int64 of shape \(2,\)"):
        WarpingPathDisplay.from_predictions([0, 1], x, y)
    with pytest.raises(ValueError, match=r"Series of 3 and 2 frames have no costs of shape \(2, 3\)"):
        WarpingPathDisplay.from_predictions(path, x, y, costs=np.ones((2, 3)))
    with pytest.raises(ValueError, match="y: Input contains NaN"):
        WarpingPathDisplay.from_predictions(path, x, [0.0, np.nan])
    with pytest.raises(ValueError, match="metric must give the matrix of costs"):
        WarpingPathDisplay.from_predictions(path, x, y, metric=lambda a, b: np.ones(3))
    aligner = DTWAligner().fit(pairs)
    with pytest.raises(ValueError, match="sample must be a position from 0 to 1, got 2"):
        WarpingPathDisplay.from_estimator(aligner, pairs, sample=2)
    with pytest.raises(NotFittedError):
        WarpingPathDisplay.from_estimator(DTWAligner(), pairs)
    with pytest.raises(TypeError, match="fitted estimator with align; ChangepointSegmenter has none"):
        WarpingPathDisplay.from_estimator(ChangepointSegmenter().fit(np.eye(6)), pairs)


# --- SegmentationDisplay --------------------------------------------------------------------------------------------


@pytest.fixture
def signals():
    rng = np.random.default_rng(0)
    return [np.repeat(levels, 20) + 0.1 * rng.normal(size=60) for levels in ([0.0, 3.0, 1.0], [2.0, 2.0, -1.0])]


def test_cuts_segments_and_annotations(signals):
    segmenter = ChangepointSegmenter().fit(signals)
    display = SegmentationDisplay.from_estimator(segmenter, signals, [{"ann": [21], "bob": [19, 40]}, [40]])
    cuts = display.changepoint_lines_.get_segments()
    assert_array_equal([line[0, 0] for line in cuts], [19.5, 39.5])  # between the frames
    assert_array_equal(display.lines_[0].get_xydata(), np.column_stack([np.arange(60), signals[0]]))
    (shaded,) = display.segments_
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (19.5, 39.5)
    assert list(display.annotations_) == ["ann", "bob"]
    assert_array_equal(display.annotations_["bob"].get_xdata(), [18.5, 39.5])
    marks = [line.get_marker() for line in display.annotations_.values()]
    levels = [line.get_ydata()[0] for line in display.annotations_.values()]
    assert len(set(marks)) == 2
    assert signals[0].min() > levels[0] > levels[1] > display.ax_.get_ylim()[0]
    second = SegmentationDisplay.from_estimator(segmenter, signals, [[], [40]], sample=1)
    assert second.changepoints.tolist() == [40]
    assert list(second.annotations_) == ["annotated"]


def test_seconds_and_several_nameless_annotators():
    display = SegmentationDisplay.from_predictions(np.arange(40.0), [10], [[10], [12, 30]], sampling_rate=10)
    assert display.ax_.get_xlabel() == "time in s"
    assert display.lines_[0].get_xdata()[-1] == pytest.approx(3.9)
    assert display.changepoint_lines_.get_segments()[0][0, 0] == pytest.approx(0.95)
    assert list(display.annotations_) == ["annotator 0", "annotator 1"]


def test_no_cut_and_a_constant_series():
    display = SegmentationDisplay.from_predictions(np.ones(10), [])
    assert display.changepoint_lines_.get_segments() == []
    assert display.annotations_ == {}
    assert display.ax_.get_ylim()[0] < 1 < display.ax_.get_ylim()[1]


def test_channels_are_stacked():
    x = np.column_stack([np.arange(10.0), 1000 * np.arange(10.0) - 5, np.zeros(10)])
    display = SegmentationDisplay.from_predictions(x, [4])
    spans = [(line.get_ydata().min(), line.get_ydata().max()) for line in display.lines_]
    assert spans[0][0] > spans[1][1] > spans[1][0] > spans[2][1]
    assert spans[0][1] - spans[0][0] == pytest.approx(spans[1][1] - spans[1][0])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["0", "1", "2"]


def test_a_view_of_views_and_a_pipeline(signals):
    views = Views(a=signals, b=[-2 * s for s in signals])
    segmenter = make_pipeline(PerView({"a": "passthrough"}), ChangepointSegmenter()).fit(views)
    display = SegmentationDisplay.from_estimator(segmenter, views, view="b")
    assert display.ax_.get_ylabel() == "b: value"
    assert_allclose(display.x, -2 * signals[0])
    with pytest.raises(ValueError, match=r"view must be one of \['a', 'b'\], got None"):
        SegmentationDisplay.from_estimator(segmenter, views)
    with pytest.raises(ValueError, match="view='b' names a view, but X is a list"):
        SegmentationDisplay.from_estimator(ChangepointSegmenter().fit(signals), signals, view="b")


def test_tables_and_tensors_as_series(signals):
    torch = pytest.importorskip("torch")
    pd = pytest.importorskip("pandas")
    table = np.stack(signals)
    segmenter, aligner = ChangepointSegmenter().fit(table), DTWAligner().fit(Views(a=table, b=table[::-1]))
    for kind in (pd.DataFrame, torch.as_tensor):
        display = SegmentationDisplay.from_estimator(segmenter, kind(table), sample=1)
        assert_allclose(display.lines_[0].get_ydata(), table[1])
        assert display.changepoint_lines_.get_segments()[0][0, 0] == 39.5
        pairs = Views(a=kind(table), b=kind(table[::-1].copy()))
        display = WarpingPathDisplay.from_estimator(aligner, pairs, sample=1)
        assert_allclose(display.x_lines_[0].get_ydata(), table[1])
        assert_array_equal(display.line_.get_xydata(), dtw(table[1], table[0]).path)


def test_bad_segmentations(signals):
    segmenter = ChangepointSegmenter().fit(signals)
    with pytest.raises(ValueError, match="changepoints has to lie above 0 and below n_samples=5"):
        SegmentationDisplay.from_predictions(np.arange(5.0), [5])
    with pytest.raises(ValueError, match="annotations of ann has to hold whole numbers"):
        SegmentationDisplay.from_predictions(np.arange(5.0), [], {"ann": [1.5]})
    with pytest.raises(ValueError, match="Input contains NaN"):
        SegmentationDisplay.from_predictions([0.0, np.nan], [1])
    with pytest.raises(ValueError, match="sampling_rate must be None or a positive"):
        SegmentationDisplay.from_predictions(np.arange(5.0), [], sampling_rate=0)
    with pytest.raises(ValueError, match="y annotates 1 series, but X holds 2"):
        SegmentationDisplay.from_estimator(segmenter, signals, [[20]])
    with pytest.raises(ValueError, match="sample must be a position from 0 to 1, got -1"):
        SegmentationDisplay.from_estimator(segmenter, signals, sample=-1)
    with pytest.raises(NotFittedError):
        SegmentationDisplay.from_estimator(ChangepointSegmenter(), signals)


# --- AlignmentMatrixDisplay -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embeddings():
    X, noise = np.random.default_rng(0).normal(size=(2, 100, 10))
    return {"a": X, "b": X + noise, "c": noise}


def test_cells_hold_scores_and_the_weak_are_marked(embeddings):
    result = alignment_matrix(embeddings, "cka", random_state=0)
    display = AlignmentMatrixDisplay.from_predictions(result)
    assert_array_equal(display.image_.get_array(), result.score)
    for (i, j), text in np.ndenumerate(display.text_):
        assert text.get_position() == (j, i)
        assert text.get_text().split("\n")[0] == f"{abs(result.score[i, j]):.2f}"
        assert ("n.s." in text.get_text()) == (result.pvalue[i, j] >= 0.05)
    assert (result.pvalue >= 0.05).sum() == 2
    assert "n.s.: p ≥ 0.05" in display.colorbar_.ax.get_ylabel()
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["a", "b", "c"]
    plain = AlignmentMatrixDisplay.from_predictions(result.score, result.names, score_name="cka")
    assert plain.colorbar_.ax.get_ylabel() == "cka"  # nothing is known of chance
    assert plain.text_[0, 2].get_text() == f"{result.score[0, 2]:.2f}"


def test_from_embeddings_is_alignment_matrix(embeddings):
    options = {"n_permutations": 50, "random_state": 1, "k": 5}
    display = AlignmentMatrixDisplay.from_embeddings(
        embeddings, field="calibrated", alpha=0.2, plot_options={"values_format": ".3f"}, **options
    )
    result = alignment_matrix(embeddings, alpha=0.2, **options)
    assert_array_equal(display.scores, result.calibrated)
    assert display.text_[0, 1].get_text().startswith(f"{result.calibrated[0, 1]:.3f}")
    assert display.colorbar_.ax.get_ylabel().startswith("mutual_knn, above chance")


def test_names_set_the_order(embeddings):
    result = alignment_matrix(embeddings, "cka", random_state=0)
    display = AlignmentMatrixDisplay.from_predictions(result, ["c", "a", "b"])
    assert_array_equal(display.scores, result.score[np.ix_([2, 0, 1], [2, 0, 1])])
    assert_array_equal(display.pvalues, result.pvalue[np.ix_([2, 0, 1], [2, 0, 1])])
    with pytest.raises(ValueError, match="names must be those of the result"):
        AlignmentMatrixDisplay.from_predictions(result, ["a", "b"])


def test_layerwise_results(embeddings):
    models = {name: [X, X[:, :5]] for name, X in embeddings.items()}
    result = layerwise_alignment(models, "cka", n_permutations=20, random_state=0)
    display = AlignmentMatrixDisplay.from_predictions(result)
    assert np.isnan(np.diagonal(display.scores)).all()  # a model is not compared with itself
    assert display.text_[0, 0] is None
    assert display.scores[0, 1] == display.scores[1, 0] == result["a", "b"].score
    both_ways = layerwise_alignment(models, "cycle_knn", n_permutations=20, random_state=0, k=3)
    display = AlignmentMatrixDisplay.from_predictions(both_ways, field="calibrated")
    assert display.scores[0, 1] == both_ways["a", "b"].calibrated
    assert display.scores[1, 0] == both_ways["b", "a"].calibrated


def test_a_plain_matrix_of_layers():
    display = AlignmentMatrixDisplay.from_predictions(
        [[0.1, 0.9, -0.001]], ["last"], column_names=["one", "two", "three"], pvalues=[[0.5, 0.01, 0.9]]
    )
    assert [text.get_text() for text in display.text_[0]] == ["0.10\nn.s.", "0.90", "0.00\nn.s."]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["one", "two", "three"]
    colors = [text.get_color() for text in display.text_[0]]
    assert colors[:2] == ["white", "black"]  # readable on dark and on light


def test_bad_tables():
    with pytest.raises(ValueError, match="A plain matrix has no names"):
        AlignmentMatrixDisplay.from_predictions(np.eye(2))
    with pytest.raises(ValueError, match=r"3 names of rows and 3 of columns do not fit \(2, 2\)"):
        AlignmentMatrixDisplay.from_predictions(np.eye(2), list("abc"))
    with pytest.raises(ValueError, match=r"p-values of shape \(1, 2\) for scores of shape \(2, 2\)"):
        AlignmentMatrixDisplay.from_predictions(np.eye(2), list("ab"), pvalues=[[1, 1]])
    with pytest.raises(ValueError, match="field must be 'score' or 'calibrated', got 'p'"):
        AlignmentMatrixDisplay.from_predictions(np.eye(2), list("ab"), field="p")
    with pytest.raises(ValueError, match="alpha must be above 0"):
        AlignmentMatrixDisplay.from_predictions(np.eye(2), list("ab"), alpha=0)
    with pytest.raises(ValueError, match="matrix of finite numbers"):
        AlignmentMatrixDisplay.from_predictions([[np.inf]], ["a"])
    with pytest.raises(ValueError, match="matrix of finite numbers"):
        AlignmentMatrixDisplay.from_predictions([1.0], ["a"])
    with pytest.raises(ValueError, match="pairs of names as keys"):
        AlignmentMatrixDisplay.from_predictions({"a": 1})


# --- TrainingDisplay ------------------------------------------------------------------------------------------------


def test_the_course_of_a_training():
    display = TrainingDisplay([3.0, 2.0, 1.5, 1.2], [0.1, 0.4, 0.3, 0.2], 2).plot()
    assert_array_equal(display.loss_line_.get_xydata(), [[1, 3.0], [2, 2.0], [3, 1.5], [4, 1.2]])
    assert_array_equal(display.score_line_.get_ydata(), [0.1, 0.4, 0.3, 0.2])
    assert display.score_ax_ is not display.ax_
    assert display.loss_line_.get_linestyle() != display.score_line_.get_linestyle()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training loss", "score of held-out rows", "best epoch: 2"]


def test_a_training_without_scores_and_one_whose_start_was_best():
    plain = TrainingDisplay([3.0, 2.0]).plot()
    assert (plain.score_ax_, plain.score_line_, plain.best_line_) == (None, None, None)
    start = TrainingDisplay([3.0, 2.0], [0.1, 0.1], 0).plot()
    assert start.best_line_.get_xdata()[0] == 0
    assert start.best_line_.get_label() == "best: the start"


def test_the_training_of_a_net():
    pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from skalign import DeepCCA

    rng = np.random.default_rng(0)
    shared = rng.normal(size=(120, 2))
    views = Views(a=shared @ rng.normal(size=(2, 4)), b=shared @ rng.normal(size=(2, 3)))
    options = {"hidden_layer_sizes": (4,), "max_epochs": 4, "random_state": 0}
    net = make_pipeline("passthrough", DeepCCA(1, early_stopping=True, validation_fraction=0.3, **options)).fit(views)
    display = TrainingDisplay.from_estimator(net)
    assert display.losses == net[-1].loss_curve_
    assert display.scores == net[-1].validation_scores_
    assert display.best_epoch == net[-1].best_epoch_
    without = TrainingDisplay.from_estimator(DeepCCA(1, early_stopping=False, **options).fit(views))
    assert without.score_line_ is None
    assert without.best_line_ is None  # the last epoch, which nothing chose


def test_bad_trainings():
    with pytest.raises(ValueError, match=r"at least one, and no more scores than losses; the shapes are \(0,\)"):
        TrainingDisplay([]).plot()
    with pytest.raises(ValueError, match="no more scores than losses"):
        TrainingDisplay([1.0], [1.0, 2.0]).plot()
    with pytest.raises(ValueError, match="best_epoch must be a whole number from 0 to 1, got 2"):
        TrainingDisplay([1.0], [1.0], 2).plot()
    with pytest.raises(TypeError, match="fitted estimator with loss_curve_; CCA has none"):
        TrainingDisplay.from_estimator(CCA().fit(np.eye(6)[:, :2], np.eye(6)[:, 2:4]))
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(CCA())
