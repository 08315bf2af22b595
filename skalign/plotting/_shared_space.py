"""Several views in one plane, with lines between the points of one sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from .._input import is_whole
from .._typing import ArrayLike, Rows, Seed, Self
from ._inputs import check_points, embeddings
from ._style import COLORS, MARKERS, open_axes, outlined, require_matplotlib, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..views import Views


class SharedSpaceDisplay:
    """The shared space in two dimensions: a mark for each view of a sample, and a line between them.

    Short lines are pairs that the aligner brings together. Views differ by their marks, so that colour is free for
    `labels` or for `colors` of the samples.

    Use `from_estimator` or `from_views`; the constructor takes what they compute.

    Parameters
    ----------
    points : dict of str to array of shape (n_samples, 2)
        By view.
    axis_labels : pair of str
        What the two dimensions are.
    labels : array of shape (n_samples,), default=None
        Classes, written beside their points as well; floats become a colour scale.
    colors : array of shape (n_samples, 3) or (n_samples, 4), default=None
        Colours of the samples, RGB in [0, 1].

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    scatters_ : dict of str to matplotlib PathCollection
        By view.
    lines_ : matplotlib LineCollection
        One line for each sample, through its points in the order of the views.
    text_ : list of matplotlib Text
        The classes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_linnerud
    >>> from skalign import CCA, Views
    >>> from skalign.plotting import SharedSpaceDisplay
    >>> data = load_linnerud()
    >>> views = Views(exercise=data.data, body=data.target)
    >>> display = SharedSpaceDisplay.from_estimator(CCA().fit(views), views)
    >>> len(display.lines_.get_segments()), list(display.scatters_)
    (20, ['exercise', 'body'])
    """

    def __init__(
        self,
        points: Mapping[str, Any],
        axis_labels: tuple[str, str],
        *,
        labels: ArrayLike | None = None,
        colors: ArrayLike | None = None,
    ) -> None:
        self.points = points
        self.axis_labels = axis_labels
        self.labels = labels
        self.colors = colors

    def plot(
        self,
        ax: Axes | None = None,
        *,
        scatter_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        colorbar: bool = True,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        scatter_kw : dict, default=None
            Keywords of the marks, for ``ax.scatter``.
        line_kw : dict, default=None
            Keywords of the lines, a matplotlib LineCollection.
        colorbar : bool, default=True
            Whether labels that are floats get a colour scale.

        Returns
        -------
        SharedSpaceDisplay
            This one.
        """
        points = check_points(self.points, type(self).__name__)
        first = next(iter(points.values()))
        if first.shape[1] != 2:
            raise ValueError(f"Points in the plane have 2 coordinates, not {first.shape[1]}; from_views chooses them.")
        if len(points) > len(MARKERS):
            raise ValueError(f"There are marks for {len(MARKERS)} views, not for {len(points)}.")
        rows, named, scale = _row_colors(self.labels, self.colors, len(first))
        self.ax_, self.figure_ = open_axes(ax, type(self).__name__)
        from matplotlib.collections import LineCollection, PathCollection
        from matplotlib.lines import Line2D

        if scale is not None:
            rows = scale.to_rgba(np.asarray(self.labels))
        segments = np.stack(list(points.values()), axis=1)
        colors = "0.55" if rows is None else rows
        self.lines_ = LineCollection(
            segments, **styled(LineCollection, line_kw, colors=colors, linewidths=0.8, alpha=0.6)
        )
        self.ax_.add_collection(self.lines_)
        self.scatters_, handles = {}, []
        for i, (name, Z) in enumerate(points.items()):
            color = COLORS[i] if rows is None else rows
            style = styled(PathCollection, scatter_kw, color=color, marker=MARKERS[i], s=28, alpha=0.9, zorder=2.5)
            if i % 2:  # hollow, for print
                style = {"facecolor": "white", "edgecolor": style.pop("color")} | style
            self.scatters_[name] = self.ax_.scatter(*Z.T, **style)
            ink = COLORS[i] if rows is None else "0.2"
            handles.append(
                Line2D([], [], color=ink, marker=MARKERS[i], linestyle="", label=name,
                       markerfacecolor="white" if i % 2 else ink)
            )  # fmt: skip
        self.text_ = []
        for label, members in named.items():
            x, y = np.median(segments[members].reshape(-1, 2), axis=0)
            text = self.ax_.text(x, y, label, ha="center", va="center", fontweight="bold", zorder=4)
            text.set_path_effects(outlined(width=3.5))
            self.text_.append(text)
        if scale is not None and colorbar:
            self.figure_.colorbar(scale, ax=self.ax_, label="label")
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        self.ax_.set_aspect("equal", adjustable="datalim")  # so that the length of a line is a distance
        self.ax_.autoscale_view()
        self.ax_.legend(handles=handles)
        return self

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Rows, y: Rows | None = None, *, ax: Axes | None = None, **options: Any
    ) -> Self:
        """Transform paired views, and draw them.

        Parameters
        ----------
        estimator : fitted aligner, or fitted Pipeline or search that ends in one
            Its `transform` gives points of every view in one space.
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **options
            Those of `from_views`.

        Returns
        -------
        SharedSpaceDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that gives no points of every view.
        ValueError
            As `from_views`.
        """
        require_matplotlib(cls.__name__)
        return cls.from_views(embeddings(estimator, X, y, cls.__name__), ax=ax, **options)

    @classmethod
    def from_views(
        cls, views: Views | Mapping[str, Any], *, dims: tuple[int, int] | Literal["pca"] = (0, 1),
        n_samples: int | None = None, labels: ArrayLike | None = None, colors: ArrayLike | None = None,
        random_state: Seed = None, ax: Axes | None = None, **plot_options: Any,
    ) -> Self:  # fmt: skip
        """Draw points of a shared space.

        Parameters
        ----------
        views : Views, or mapping of str to array of shape (n_samples, d)
            Points of every view, row by row those of one sample.
        dims : pair of int, or "pca", default=(0, 1)
            Which two columns to draw, or the two directions of most variance of all points together.
        n_samples : int, default=None
            Draw so many samples, chosen at random; None draws all.
        labels, colors
            One entry for each row of the views; see the class.
        random_state : int, RandomState instance or None, default=None
            Chooses the samples.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        SharedSpaceDisplay

        Raises
        ------
        ValueError
            For views of different shape, NaN or infinity, fewer than two views or dimensions, dimensions that there
            are not, and labels of another number.
        """
        require_matplotlib(cls.__name__)
        points = check_points(views, cls.__name__)
        n, width = next(iter(points.values())).shape
        per_row = {"labels": labels, "colors": colors}
        for name, values in per_row.items():
            if values is not None and len(values) != n:
                raise ValueError(f"{name} has {len(values)} entries for {n} samples.")
        points, axis_labels = _plane(points, dims, width)
        if n_samples is not None:
            if not is_whole(n_samples, 1):
                raise ValueError(f"n_samples must be None or a whole number of at least 1, got {n_samples!r}.")
            rows = np.sort(check_random_state(random_state).permutation(n)[:n_samples])
            points = {name: Z[rows] for name, Z in points.items()}
            per_row = {name: None if values is None else np.asarray(values)[rows] for name, values in per_row.items()}
        return cls(points, axis_labels, **per_row).plot(ax, **plot_options)


def _plane(points, dims, width):
    """Two coordinates of every point, and what they are called."""
    if width < 2:
        raise ValueError(f"A plane needs 2 dimensions, but the shared space has {width}.")
    if isinstance(dims, str) and dims == "pca":
        pca = PCA(2, svd_solver="full").fit(np.concatenate(list(points.values())))
        names = [f"principal component {i} ({r:.0%} of variance)" for i, r in enumerate(pca.explained_variance_ratio_)]
        return {name: pca.transform(Z) for name, Z in points.items()}, names
    try:
        first, second = dims
    except (TypeError, ValueError):
        raise ValueError(f"dims must be two columns or 'pca', got {dims!r}.") from None
    for column in (first, second):
        if not is_whole(column, 0) or column >= width:
            raise ValueError(f"dims must be two columns from 0 to {width - 1} or 'pca', got {dims!r}.")
    names = [f"component {column} of the shared space" for column in (first, second)]
    return {name: Z[:, [first, second]] for name, Z in points.items()}, names


def _row_colors(labels, colors, n):
    """Colours of the rows or None, the rows of every class by name, and the colour scale of floats or None."""
    if labels is not None and colors is not None:
        raise ValueError("Give labels or colors, not both.")
    if colors is not None:
        colors = np.asarray(colors)
        numbers = colors.dtype.kind in "biuf" and np.all(colors >= 0) and np.all(colors <= 1)
        if colors.shape not in ((n, 3), (n, 4)) or not numbers:
            raise ValueError(
                f"colors must be RGB in [0, 1], of shape ({n}, 3) or ({n}, 4); these are {colors.dtype} of shape "
                f"{colors.shape}. Numbers and names of classes are labels."
            )
        return colors.astype(np.float64), {}, None
    if labels is None:
        return None, {}, None
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(f"labels must be one for each of {n} samples; their shape is {labels.shape}.")
    require_matplotlib("SharedSpaceDisplay")
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgb

    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise ValueError("labels must be finite numbers.")
        return None, {}, ScalarMappable(Normalize(labels.min(), labels.max()), colormaps["viridis"])
    classes, codes = np.unique(labels, return_inverse=True)
    few = len(classes) <= len(COLORS)
    palette = [to_rgb(c) for c in COLORS] if few else colormaps["viridis"](np.linspace(0, 0.95, len(classes)))
    return np.array(palette)[codes], {str(label): codes == i for i, label in enumerate(classes)}, None
