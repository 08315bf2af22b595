"""What all displays promise: they draw, on axes given or made, show nothing, and say what to install."""

import inspect
import io
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import skalign.plotting
from skalign import CCA, ChangepointSegmenter, CrossModalRetriever, DTWAligner, Views
from skalign.plotting import (
    AlignmentMatrixDisplay,
    CorrelationDisplay,
    RetrievalDisplay,
    SegmentationDisplay,
    SharedSpaceDisplay,
    SimilarityDisplay,
    TrainingDisplay,
    TransportPlanDisplay,
    WarpingPathDisplay,
    _style,
)


@pytest.fixture(scope="module")
def views():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(60, 3))
    image, text = (shared @ rng.normal(size=(3, 5)) + 0.3 * rng.normal(size=(60, 5)) for _ in range(2))
    return Views(image=image, text=text)


@pytest.fixture(scope="module")
def cca(views):
    return CCA(3).fit(views[:40])


def _correlation(views, cca, ax):
    return CorrelationDisplay.from_estimator(cca, views[:40], views[40:], ax=ax)


def _shared_space(views, cca, ax):
    return SharedSpaceDisplay.from_estimator(cca, views, labels=np.arange(60) % 3, ax=ax)


def _similarity(views, cca, ax):
    return SimilarityDisplay.from_estimator(cca, views[40:], ax=ax)


def _retrieval(views, cca, ax):
    album = CrossModalRetriever(cca, n_neighbors=3).fit(views[40:][["image"]])
    pictures = np.random.default_rng(0).random((20, 4, 4, 3))
    return RetrievalDisplay.from_estimator(
        album, views[40:44][["text"]], pictures, queries=list("abcd"), y=np.arange(4), ax=ax
    )


def _transport_plan(views, cca, ax):
    return TransportPlanDisplay.from_predictions(np.eye(4) / 4, np.eye(4)[:, :2], np.eye(4)[:, 2:], ax=ax)


def _warping_path(views, cca, ax):
    time = np.linspace(0, 1, 20)
    pair = Views(a=np.sin(6 * time)[None], b=np.sin(6 * time**2)[None])
    return WarpingPathDisplay.from_estimator(DTWAligner().fit(pair), pair, ax=ax)


def _segmentation(views, cca, ax):
    signal = np.repeat([0.0, 3.0, 1.0], 20)
    segmenter = ChangepointSegmenter().fit([signal])
    return SegmentationDisplay.from_estimator(segmenter, [signal], [{"ann": [20], "bob": [20, 41]}], ax=ax)


def _alignment_matrix(views, cca, ax):
    return AlignmentMatrixDisplay.from_embeddings(views, "cka", n_permutations=20, random_state=0, ax=ax)


def _training(views, cca, ax):
    return TrainingDisplay([3.0, 2.0, 1.0], [0.1, 0.3, 0.2], 2).plot(ax)


DRAWN = {
    AlignmentMatrixDisplay: _alignment_matrix,
    CorrelationDisplay: _correlation,
    RetrievalDisplay: _retrieval,
    SegmentationDisplay: _segmentation,
    SharedSpaceDisplay: _shared_space,
    SimilarityDisplay: _similarity,
    TrainingDisplay: _training,
    TransportPlanDisplay: _transport_plan,
    WarpingPathDisplay: _warping_path,
}
every_display = pytest.mark.parametrize("cls", DRAWN, ids=lambda cls: cls.__name__)


def test_every_display_is_drawn_here():
    assert [cls.__name__ for cls in DRAWN] == skalign.plotting.__all__


@every_display
def test_draws_to_a_buffer(cls, views, cca):
    display = DRAWN[cls](views, cca, None)
    assert type(display) is cls
    assert display.ax_.figure is display.figure_
    buffer = io.BytesIO()
    display.figure_.savefig(buffer, format="png")
    pixels = plt.imread(io.BytesIO(buffer.getvalue()))
    assert pixels.std() > 0.02  # something is there
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all((edge == 1).all() for edge in edges)  # and nothing is cut off at the edge
    assert len(plt.get_fignums()) == 1


@every_display
def test_draws_on_axes_of_the_user(cls, views, cca):
    figure, (left, right) = plt.subplots(1, 2)
    display = DRAWN[cls](views, cca, right)
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not left.lines
    assert not left.collections
    assert not left.images
    own = [display.ax_, *right.child_axes]
    assert right in own or display.ax_ in right.child_axes
    figure.savefig(io.BytesIO(), format="png")


@every_display
def test_draws_again_and_returns_itself(cls, views, cca):
    display = DRAWN[cls](views, cca, None)
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


@every_display
def test_the_constructor_only_assigns(cls, views, cca):
    display = DRAWN[cls](views, cca, None)
    names = list(inspect.signature(cls).parameters)
    given = {name: getattr(display, name) for name in names}
    again = cls(**given)
    assert vars(again).keys() == set(names)
    assert all(getattr(again, name) is given[name] for name in names)


@every_display
def test_axes_of_another_kind_are_refused(cls, views, cca):
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes or None, got ndarray"):
        DRAWN[cls](views, cca, plt.subplots(1, 2)[1])


@every_display
def test_without_matplotlib_the_extra_is_named(cls, views, cca, monkeypatch):
    display = DRAWN[cls](views, cca, None)
    monkeypatch.setattr(_style, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf"{cls.__name__} draws with matplotlib: pip install 'skalign\[plot\]'"):
        display.plot()


@every_display
def test_bad_data_leave_no_empty_figure(cls, views, cca):
    display = DRAWN[cls](views, cca, None)
    plt.close("all")
    first = next(iter(inspect.signature(cls).parameters))
    setattr(display, first, [[np.nan]])
    with pytest.raises((ValueError, TypeError)):
        display.plot()
    assert plt.get_fignums() == []


def test_importing_and_computing_do_not_load_matplotlib():
    code = """
import sys
import skalign.plotting
skalign.plotting.TrainingDisplay([1.0])
print("matplotlib" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_colors_differ_in_grey_or_come_with_marks():
    luminance = [np.dot(to_rgb(color), [0.299, 0.587, 0.114]) for color in _style.COLORS]
    assert max(luminance) < 0.7  # each stands out from white paper
    assert len(set(_style.MARKERS)) == len(_style.MARKERS) == len(_style.COLORS)


def test_aliases_of_style_keywords_do_not_clash(views, cca):
    display = CorrelationDisplay.from_estimator(
        cca, views[:40], views[40:], train_kw={"c": "black", "ls": ":"}, test_kw={"lw": 4}
    )
    assert display.train_line_.get_color() == "black"
    assert display.train_line_.get_linestyle() == ":"
    assert display.test_line_.get_linewidth() == 4
