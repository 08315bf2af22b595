"""A warping path on the costs of the frames, with both series along the margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._backend import to_numpy
from .._typing import ArrayLike, Metric, PerViewValue, Rows, Self
from ..base import ARRAY_NAMES
from ..temporal._costs import derivative, frame_costs
from ..temporal._paths import check_sampling_rate
from ..temporal._sequences import check_sequences
from ..views import Views
from ..views._by_view import by_view
from ._inputs import check_matrix, check_names, last_step, one_of, only_series
from ._style import COLORS, open_axes, outlined, require_matplotlib, styled, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = ("-", "--", ":", "-.")
_MARGIN = 0.2  # of the axes, for either series
_PIXELS = {"interpolation": "nearest", "origin": "lower", "aspect": "auto"}


class WarpingPathDisplay:
    """Which frame of one series matches which of another: the path, on the cost of matching any two frames.

    The first series runs along the horizontal axis, the second along the vertical one. Where the path is flat, the
    first goes on while the second waits; where it is steep, the other way round. A good path keeps to a light valley.

    Use `from_estimator` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    path : array of int of shape (L, 2)
        Frames of the first and of the second series.
    x : array of shape (n,) or (n, d)
        The first series.
    y : array of shape (m,) or (m, e)
        The second.
    costs : array of shape (n, m), default=None
        Cost of matching every two frames.
    names : pair of str, default=("x", "y")
        The two series.
    sampling_rate : float or mapping of name to float, default=None
        Frames a second, of both series or of each: the axes are then in seconds.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The matrix, within the axes that were given.
    x_ax_, y_ax_ : matplotlib Axes
        The margins.
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage or None
        The costs.
    colorbar_ : matplotlib Colorbar or None
    line_ : matplotlib Line2D
        The path.
    x_lines_, y_lines_ : list of matplotlib Line2D
        The channels of the series; none where there are more than four.
    x_image_, y_image_ : matplotlib AxesImage or None
        More than four channels, a stripe for each, scaled to its range.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skalign import DTWAligner, Views
    >>> from skalign.plotting import WarpingPathDisplay
    >>> time = np.linspace(0, 1, 40)
    >>> views = Views(slow=np.sin(6 * time)[None], fast=np.sin(6 * time**2)[None])
    >>> display = WarpingPathDisplay.from_estimator(DTWAligner().fit(views), views)
    >>> display.path[0].tolist(), display.path[-1].tolist()
    ([0, 0], [39, 39])
    """

    def __init__(
        self,
        path: ArrayLike,
        x: ArrayLike,
        y: Rows,
        *,
        costs: ArrayLike | None = None,
        names: Sequence[str] = ARRAY_NAMES,
        sampling_rate: PerViewValue[float | None] = None,
    ) -> None:
        self.path = path
        self.x = x
        self.y = y
        self.costs = costs
        self.names = names
        self.sampling_rate = sampling_rate

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = "Greys",
        colorbar: bool = True,
        image_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Is divided into the matrix and two margins; None makes a figure.
        cmap : str or matplotlib Colormap, default="Greys"
            Colours of the costs.
        colorbar : bool, default=True
            Whether the costs have a scale.
        image_kw : dict, default=None
            Keywords of the matrix, for ``ax.imshow``.
        line_kw : dict, default=None
            Keywords of the path, for ``ax.plot``.

        Returns
        -------
        WarpingPathDisplay
            This one.
        """
        owner = type(self).__name__
        x, y = (_series(s, f"{name}: ", owner) for s, name in zip((self.x, self.y), self.names))
        path = _check_path(self.path, (len(x), len(y)))
        costs = self.costs
        if costs is not None:
            costs = check_matrix(costs, "The costs: ", owner)
            if costs.shape != (len(x), len(y)):
                raise ValueError(f"Series of {len(x)} and {len(y)} frames have no costs of shape {costs.shape}.")
        by_name = by_view(self.sampling_rate, list(self.names), "sampling_rate")
        rates = [by_name[name] for name in self.names]
        for rate in rates:
            check_sampling_rate(rate)
        per_second = np.array([rate or 1.0 for rate in rates])
        x_ends, y_ends = ((-0.5 / rate, (len(s) - 0.5) / rate) for s, rate in zip((x, y), per_second))
        host, self.figure_ = open_axes(ax, owner, (6.4, 5.6))
        from matplotlib.image import AxesImage
        from matplotlib.lines import Line2D

        host.set_axis_off()
        rest = 1 - _MARGIN
        self.ax_ = host.inset_axes([_MARGIN, _MARGIN, rest, rest])
        self.x_ax_ = host.inset_axes([_MARGIN, 0, rest, _MARGIN - 0.02], sharex=self.ax_)
        self.y_ax_ = host.inset_axes([0, _MARGIN, _MARGIN - 0.02, rest], sharey=self.ax_)
        self.image_ = self.colorbar_ = None
        if costs is not None:
            style = styled(AxesImage, image_kw, cmap=cmap, **_PIXELS)
            self.image_ = self.ax_.imshow(costs.T, extent=(*x_ends, *y_ends), **style)
            if colorbar:
                self.colorbar_ = self.figure_.colorbar(self.image_, ax=host, label="cost of matching two frames")
        style = styled(Line2D, line_kw, color=COLORS[1], linewidth=2, path_effects=outlined(width=3.5))
        (self.line_,) = self.ax_.plot(*(path / per_second).T, **style)
        self.x_lines_, self.x_image_ = _draw_series(self.x_ax_, x, x_ends, per_second[0])
        self.y_lines_, self.y_image_ = _draw_series(self.y_ax_, y, y_ends, per_second[1], upright=True)
        self.ax_.set(xlim=x_ends, ylim=y_ends)
        self.ax_.tick_params(labelbottom=False, labelleft=False)
        what = [f"frame of {name}" if rate is None else f"{name}: time in s" for name, rate in zip(self.names, rates)]
        self.x_ax_.set_xlabel(what[0])
        self.y_ax_.set_ylabel(what[1])
        self.y_ax_.invert_xaxis()  # values grow away from the matrix, as they do on a page turned by 90 degrees
        self.y_ax_.xaxis.tick_top()  # below, they would run into those of the other margin
        self.y_ax_.tick_params(axis="x", rotation=90)
        whole_numbers(*(axis for axis, rate in zip((self.ax_.xaxis, self.ax_.yaxis), rates) if rate is None))
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        sample: int = 0,
        sampling_rate: PerViewValue[float | None] = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Align a pair, or a series with the template, and draw the path.

        Parameters
        ----------
        estimator : fitted DTWAligner or CTWAligner, or fitted Pipeline or search that ends in one
            Its `align` gives the paths.
        X : Views of two sequence views, or array or list of series
            As `align` takes it; only the sample is aligned.
        sample : int, default=0
            Position of the pair or series.
        sampling_rate : float or mapping of name to float, default=None
            Frames a second, of both or by view; one series and its template are "series" and "template".
        ax : matplotlib Axes, default=None
            Is divided into the matrix and two margins; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        WarpingPathDisplay
            Its costs are those that were aligned by: in the shared space of a CTWAligner, of slopes with
            ``derivative=True``.

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that has no `align`.
        ValueError
            For a sample that there is not, and whatever `align` does not take.
        """
        require_matplotlib(cls.__name__)
        aligner, X = last_step(estimator, one_of(X, sample, cls.__name__), "align", cls.__name__)
        (path,) = aligner.align(X)
        if isinstance(X, Views):
            names = aligner.view_names_in_
            x, y = (only_series(X[name], cls.__name__) for name in names)
        else:
            names, x, y = ("series", "template"), only_series(X, cls.__name__), aligner.template_
        if hasattr(aligner, "encoders_"):
            Z = aligner.transform(X)
            costs = _costs("sqeuclidean", *(Z[name][0] for name in names))
        else:
            costs = _costs(aligner.metric, x, y, slopes=aligner.derivative)
        return cls(path, x, y, costs=costs, names=tuple(names), sampling_rate=sampling_rate).plot(ax, **plot_options)

    @classmethod
    def from_predictions(
        cls,
        path: ArrayLike,
        x: ArrayLike,
        y: Rows,
        *,
        metric: Metric = "sqeuclidean",
        costs: ArrayLike | None = None,
        names: Sequence[str] = ARRAY_NAMES,
        sampling_rate: PerViewValue[float | None] = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a path through two series.

        Parameters
        ----------
        path : array-like of int of shape (L, 2)
            Frames of the first and of the second series, as in `skalign.temporal.DTWResult.path`.
        x, y : array-like of shape (n,) or (n, d), and (m,) or (m, e)
            The series.
        metric : str or callable, default="sqeuclidean"
            Cost of matching two frames of one width, see `skalign.temporal.dtw`.
        costs : array-like of shape (n, m), default=None
            Costs computed elsewhere. Without them, series of different width are drawn without costs.
        names : pair of str, default=("x", "y")
            The two series.
        sampling_rate : float or mapping of name to float, default=None
            Frames a second, of both series or of each: the axes are then in seconds.
        ax : matplotlib Axes, default=None
            Is divided into the matrix and two margins; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        WarpingPathDisplay

        Raises
        ------
        ValueError
            For a path that leaves the series or runs backwards, NaN or infinity, and costs of another shape.
        """
        require_matplotlib(cls.__name__)
        names = check_names(names, cls.__name__)
        a, b = (_series(s, f"{name}: ", cls.__name__) for s, name in zip((x, y), names))
        if costs is None and a.shape[1] == b.shape[1]:
            costs = _costs(metric, a, b)
        return cls(path, x, y, costs=costs, names=names, sampling_rate=sampling_rate).plot(ax, **plot_options)


def _series(series, label, owner):
    """One series as frames of shape (T, d)."""
    return check_sequences([series], label, owner)[0]


def _costs(metric, x, y, slopes=False):
    a, b = (_series(s, "", "WarpingPathDisplay") for s in (x, y))
    return frame_costs(metric, *((derivative(a), derivative(b)) if slopes else (a, b)))


def _draw_series(ax, series, ends, rate, upright=False):
    """Channels along an axis of time: a line for each, or stripes of one image where lines would hide each other."""
    n_channels = series.shape[1]
    if n_channels <= len(_LINES):
        time = np.arange(len(series)) / rate
        return [
            ax.plot(*((channel, time) if upright else (time, channel)), color="black", linewidth=1.2, linestyle=line)[0]
            for channel, line in zip(series.T, _LINES)
        ], None
    span = np.ptp(series, axis=0)
    stripes = (series - series.min(axis=0)) / np.where(span > 0, span, 1.0)
    extent = (-0.5, n_channels - 0.5)
    image = ax.imshow(
        stripes if upright else stripes.T,
        cmap="Greys",
        extent=(*extent, *ends) if upright else (*ends, *extent),
        **_PIXELS,
    )
    (ax.set_xlabel if upright else ax.set_ylabel)("channel")
    whole_numbers(ax.xaxis if upright else ax.yaxis)
    return [], image


def _check_path(path, lengths):
    path = to_numpy(path)
    if path.ndim != 2 or path.shape[1] != 2 or not len(path) or path.dtype.kind not in "iu":
        raise ValueError(f"A path holds whole numbers, of shape (L, 2); this is {path.dtype} of shape {path.shape}.")
    if (path < 0).any() or (path >= lengths).any():
        raise ValueError(f"The path leaves the series, which have {lengths[0]} and {lengths[1]} frames.")
    if (np.diff(path, axis=0) < 0).any():
        raise ValueError("The path runs backwards.")
    return path
