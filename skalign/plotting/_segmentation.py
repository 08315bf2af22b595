"""A series, where it was cut, and where annotators say it changes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import ArrayLike, Rows, Self
from ..metrics.segmentation import annotators, as_changepoints
from ..temporal._paths import check_sampling_rate
from ..temporal._sequences import check_sequences
from ..views import Views
from ..views._rows import n_rows
from ._inputs import last_step, one_of, only_series
from ._style import COLORS, MARKERS, legend_above, open_axes, require_matplotlib, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.07  # of the height of the series, for the marks of an annotator


class SegmentationDisplay:
    """A series with its change points as lines, its segments shaded in turn, and a row of marks for each annotator.

    Several channels are drawn above each other, each scaled to its range.

    Use `from_estimator` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    x : array of shape (n_frames,) or (n_frames, n_channels)
        The series.
    changepoints : array of int
        First frames of new segments.
    annotations : dict of str to array of int, default=None
        Change points by annotator.
    sampling_rate : float, default=None
        Frames a second: the axis is then in seconds.
    name : str, default=None
        What the series is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        By channel.
    changepoint_lines_ : matplotlib LineCollection
    segments_ : list of matplotlib Patch
        Every other segment.
    annotations_ : dict of str to matplotlib Line2D
        Marks by annotator.

    See Also
    --------
    skalign.metrics.covering : How well the cuts agree with the annotations.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skalign import ChangepointSegmenter
    >>> from skalign.plotting import SegmentationDisplay
    >>> signal = np.r_[np.zeros(30), np.full(20, 4.0), np.ones(40)]
    >>> segmenter = ChangepointSegmenter().fit([signal])
    >>> SegmentationDisplay.from_estimator(segmenter, [signal], [[30, 51]]).changepoints.tolist()
    [30, 50]
    """

    def __init__(
        self,
        x: ArrayLike,
        changepoints: ArrayLike,
        *,
        annotations: Mapping[str, Any] | None = None,
        sampling_rate: float | None = None,
        name: str | None = None,
    ) -> None:
        self.x = x
        self.changepoints = changepoints
        self.annotations = annotations
        self.sampling_rate = sampling_rate
        self.name = name

    def plot(
        self,
        ax: Axes | None = None,
        *,
        line_kw: dict[str, Any] | None = None,
        changepoint_kw: dict[str, Any] | None = None,
        annotation_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            Keywords of the series, for ``ax.plot``.
        changepoint_kw : dict, default=None
            Keywords of the change points, for ``ax.vlines``.
        annotation_kw : dict, default=None
            Keywords of the marks, for ``ax.plot``.

        Returns
        -------
        SegmentationDisplay
            This one.
        """
        owner = type(self).__name__
        series = check_sequences([self.x], "", owner)[0]
        n, n_channels = series.shape
        cps = as_changepoints(self.changepoints, n, "changepoints")
        named = {
            name: as_changepoints(found, n, f"annotations of {name}")
            for name, found in _by_annotator(self.annotations).items()
        }
        check_sampling_rate(self.sampling_rate)
        rate = self.sampling_rate or 1.0
        self.ax_, self.figure_ = open_axes(ax, owner, (8, 3.2))
        from matplotlib.collections import LineCollection
        from matplotlib.lines import Line2D

        levels = np.arange(n_channels)[::-1]
        if n_channels > 1:
            low, span = series.min(axis=0), np.ptp(series, axis=0)
            series = 0.85 * (series - low) / np.where(span > 0, span, 1.0) + levels
        low, high = series.min(), series.max()
        height = (high - low) or 1.0
        floor = low - _ROW * height * (len(named) + 0.5)
        frames = np.arange(n)
        bounds = np.r_[0, cps, n] - 0.5  # between the frames, where the cut is
        self.segments_ = [
            self.ax_.axvspan(start / rate, end / rate, color="0.92", linewidth=0, zorder=0)
            for start, end in list(pairwise(bounds))[1::2]
        ]
        style = styled(Line2D, line_kw, color="0.25", linewidth=0.9)
        self.lines_ = [self.ax_.plot(frames / rate, channel, **style)[0] for channel in series.T]
        style = styled(LineCollection, changepoint_kw, colors=COLORS[1], linewidths=1.6, linestyles="--")
        top = high + 0.05 * height
        label = f"change points: {len(cps)}"
        self.changepoint_lines_ = self.ax_.vlines((cps - 0.5) / rate, floor, top, label=label, **style)
        self.annotations_ = {}
        for i, (name, found) in enumerate(named.items()):
            level = np.full(len(found), low - _ROW * height * (i + 0.9))
            marker = MARKERS[1:][i % (len(MARKERS) - 1)]
            style = styled(Line2D, annotation_kw, color=COLORS[0], marker=marker, markersize=6, linestyle="")
            (self.annotations_[name],) = self.ax_.plot(
                (found - 0.5) / rate, level, label=f"{name}: {len(found)}", **style
            )
        self.ax_.set(xlim=(-0.5 / rate, (n - 0.5) / rate), ylim=(floor, top))
        self.ax_.set_xlabel("frame" if self.sampling_rate is None else "time in s")
        if n_channels > 1:
            self.ax_.set_yticks(levels + 0.42, np.arange(n_channels))
        what = "channel (each scaled to its range)" if n_channels > 1 else "value"
        self.ax_.set_ylabel(what if self.name is None else f"{self.name}: {what}")
        legend_above(self.ax_, len(named) + 1)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        sample: int = 0,
        view: str | None = None,
        sampling_rate: float | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Cut a series, and draw it.

        Parameters
        ----------
        estimator : fitted ChangepointSegmenter, or fitted Pipeline or search that ends in one
            Its `predict` gives the change points.
        X : list of arrays, array or Views
            Series, as the segmenter takes them; only the sample is cut.
        y : list with one entry for each series, default=None
            Annotated change points: a sequence of int, or a mapping or list of them, one per annotator.
        sample : int, default=0
            Position of the series.
        view : str, default=None
            Which of the Views to draw; may be left out where there is one.
        sampling_rate : float, default=None
            Frames a second: the axis is then in seconds.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        SegmentationDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that has no `predict`.
        ValueError
            For a sample or view that there is not, as many annotations as series are not, and as `from_predictions`.
        """
        owner = cls.__name__
        require_matplotlib(owner)
        if y is not None and len(y) != n_rows(X):
            raise ValueError(f"y annotates {len(y)} series, but X holds {n_rows(X)}.")
        segmenter, one = last_step(estimator, one_of(X, sample, owner), "predict", owner)
        found = segmenter.predict(one)
        if isinstance(one, Views):
            if view is None and len(one.names) == 1:
                view = one.names[0]
            if view not in one:
                raise ValueError(f"{owner} draws one view: view must be one of {one.names}, got {view!r}.")
            one, found = one[view], found[view]
        elif view is not None:
            raise ValueError(f"view={view!r} names a view, but X is a {type(X).__name__}; only Views have names.")
        annotations = None if y is None else y[sample]
        return cls.from_predictions(
            only_series(one, owner),
            found[0],
            annotations,
            sampling_rate=sampling_rate,
            name=view,
            ax=ax,
            **plot_options,
        )

    @classmethod
    def from_predictions(
        cls,
        x: ArrayLike,
        changepoints: ArrayLike,
        annotations: Any = None,
        *,
        sampling_rate: float | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a series and its change points.

        Parameters
        ----------
        x : array-like of shape (n_frames,) or (n_frames, n_channels)
            The series.
        changepoints : sequence of int
            First frames of new segments; neither 0 nor `n_frames`.
        annotations : sequence of int, or sequence or mapping of them, default=None
            Annotated change points, or those of several annotators; the keys of a mapping are their names.
        sampling_rate : float, default=None
            Frames a second: the axis is then in seconds.
        name : str, default=None
            What the series is called, a view say.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        SegmentationDisplay

        Raises
        ------
        ValueError
            For NaN or infinity, and change points that are not interior or not whole numbers.
        """
        found = _by_annotator(annotations) or None
        display = cls(x, changepoints, annotations=found, sampling_rate=sampling_rate, name=name)
        return display.plot(ax, **plot_options)


def _by_annotator(annotations):
    if annotations is None:
        return {}
    if isinstance(annotations, Mapping):
        return {str(name): found for name, found in annotations.items()}
    several = annotators(annotations)
    return {"annotated" if len(several) == 1 else f"annotator {i}": found for i, found in enumerate(several)}
