"""A transport plan, as a matrix or as lines between points."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .._backend import to_numpy
from .._typing import ArrayLike, Rows, Self
from ..views import Domains, Views
from ._inputs import check_matrix, check_names, last_step
from ._style import COLORS, open_axes, require_matplotlib, styled, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TransportPlanDisplay:
    """What goes where: the mass that every element of one collection sends to every element of another.

    With points in the plane, lines between them, the wider and darker the more mass they carry; else the matrix.
    Points without mass, as partial transport leaves them, are hollow.

    Use `from_estimator` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    plan : array of shape (n, m)
        Mass, not negative.
    source : array of shape (n, 2), default=None
        Where the elements lie that give.
    target : array of shape (m, 2), default=None
        Where those lie that receive.
    names : pair of str, default=("source", "target")
        The two collections.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage or None
        The matrix.
    colorbar_ : matplotlib Colorbar or None
    lines_ : matplotlib LineCollection or None
        Lines between points.
    source_, target_ : matplotlib PathCollection or None
        The points.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skalign.plotting import TransportPlanDisplay
    >>> plan = [[0.5, 0.0, 0.0], [0.0, 0.25, 0.25]]
    >>> display = TransportPlanDisplay.from_predictions(plan, [[0, 0], [1, 0]], [[0, 1], [1, 1], [2, 1]])
    >>> len(display.lines_.get_segments())
    3
    """

    def __init__(
        self,
        plan: ArrayLike,
        *,
        source: ArrayLike | None = None,
        target: ArrayLike | None = None,
        names: Sequence[str] = ("source", "target"),
    ) -> None:
        self.plan = plan
        self.source = source
        self.target = target
        self.names = names

    def plot(
        self,
        ax: Axes | None = None,
        *,
        min_share: float = 0.01,
        cmap: Any = "Greys",
        colorbar: bool = True,
        image_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        min_share : float, default=0.01
            Lines for mass below this part of the largest are left out: entropic plans send some of it everywhere.
        cmap : str or matplotlib Colormap, default="Greys"
            Colours of the matrix.
        colorbar : bool, default=True
            Whether the matrix has a scale.
        image_kw : dict, default=None
            Keywords of the matrix, for ``ax.imshow``.
        line_kw : dict, default=None
            Keywords of the lines, a matplotlib LineCollection.

        Returns
        -------
        TransportPlanDisplay
            This one.
        """
        owner = type(self).__name__
        plan = check_matrix(self.plan, "The plan: ", owner)
        if (plan < 0).any():
            raise ValueError(f"The plan: mass cannot be negative, and {(plan < 0).sum()} entries are.")
        if not plan.any():
            raise ValueError("The plan: it moves no mass at all.")
        if not 0 <= min_share <= 1:
            raise ValueError(f"min_share must be between 0 and 1, got {min_share!r}.")
        if (self.source is None) != (self.target is None):
            raise ValueError("Points are needed of both collections, source and target, or of none.")
        points = None
        if self.source is not None:
            points = [
                _check_plane(Z, n, label, owner)
                for Z, n, label in zip((self.source, self.target), plan.shape, ("source", "target"))
            ]
        self.ax_, self.figure_ = open_axes(ax, owner)
        self.image_ = self.colorbar_ = self.lines_ = self.source_ = self.target_ = None
        if points is None:
            self._plot_matrix(plan, cmap, colorbar, image_kw)
        else:
            self._plot_points(plan, points, min_share, line_kw)
        return self

    def _plot_matrix(self, plan, cmap, colorbar, image_kw):
        from matplotlib.image import AxesImage

        style = styled(AxesImage, image_kw, cmap=cmap, interpolation="nearest")
        self.image_ = self.ax_.imshow(plan, **({"vmin": 0} | style))
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=f"mass (total {plan.sum():.3g})")
        self.ax_.set(xlabel=f"element of {self.names[1]}", ylabel=f"element of {self.names[0]}")
        whole_numbers(self.ax_.xaxis, self.ax_.yaxis)

    def _plot_points(self, plan, points, min_share, line_kw):
        from matplotlib.collections import LineCollection

        share = plan / plan.max()
        rows, columns = np.nonzero((share >= min_share) & (plan > 0))
        share = share[rows, columns]
        segments = np.stack([points[0][rows], points[1][columns]], axis=1)
        style = styled(LineCollection, line_kw, color="black", linewidths=0.3 + 2.2 * share, alpha=0.15 + 0.6 * share)
        self.lines_ = LineCollection(segments, zorder=1, **style)
        self.ax_.add_collection(self.lines_)
        scatters = []
        for Z, mass, name, color, marker in zip(points, (plan.sum(axis=1), plan.sum(axis=0)), self.names, COLORS, "o^"):
            given = mass > 1e-9 * mass.max()  # solvers leave rounding
            faces = np.where(given, color, "white")
            scatter = self.ax_.scatter(*Z.T, s=30, marker=marker, c=faces, edgecolors=color, label=name, zorder=2)
            scatters.append(scatter)
        self.source_, self.target_ = scatters
        self.ax_.set(xlabel="feature 0", ylabel="feature 1")
        self.ax_.set_aspect("equal", adjustable="datalim")
        self.ax_.legend()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows | None = None,
        y: Rows | None = None,
        *,
        sample: int | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw the plan that an estimator has found.

        Parameters
        ----------
        estimator : fitted estimator, or fitted Pipeline or search that ends in one
            Has `plan_`, of shape (n, m), or a list of them.
        X : Domains, Views, or array-like of shape (n, 2), default=None
            The data of the fit, to be drawn as points; None draws the matrix. Data of another width than 2 are drawn
            as the matrix too, with their names.
        y : array-like of shape (m, 2), default=None
            The second collection.
        sample : int, default=None
            Which plan, and which bags of the Views, where there are several.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        TransportPlanDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that has no `plan_`.
        ValueError
            For several plans without `sample`, and as `from_predictions`.
        """
        require_matplotlib(cls.__name__)
        last, X = last_step(estimator, X, "plan_", cls.__name__)
        sides, names = _sides(X, y)
        plan = last.plan_
        if isinstance(plan, (list, tuple)):
            if not isinstance(sample, Integral) or not 0 <= sample < len(plan):
                raise ValueError(f"There are {len(plan)} plans: sample must say which, from 0, got {sample!r}.")
            plan = plan[sample]
            sides = [None if Z is None else Z[sample] for Z in sides]
        if any(Z is None or np.ndim(Z) != 2 or np.shape(Z)[1] != 2 for Z in sides):
            sides = [None, None]
        return cls.from_predictions(plan, *sides, names=names, ax=ax, **plot_options)

    @classmethod
    def from_predictions(
        cls,
        plan: ArrayLike,
        source: ArrayLike | None = None,
        target: ArrayLike | None = None,
        *,
        names: Sequence[str] = ("source", "target"),
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a transport plan.

        Parameters
        ----------
        plan : array-like, sparse matrix or tensor of shape (n, m), or object with ``toarray()`` or ``__array__``
            Mass, not negative.
        source : array-like of shape (n, 2), default=None
            Points in the plane that give.
        target : array-like of shape (m, 2), default=None
            Points that receive.
        names : pair of str, default=("source", "target")
            The two collections.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        TransportPlanDisplay

        Raises
        ------
        ValueError
            For NaN or infinity, negative mass, a plan that moves none, points of one collection only, not in the
            plane, or not as many as the plan has rows and columns.
        """
        plan = plan.toarray() if hasattr(plan, "toarray") else plan
        return cls(plan, source=source, target=target, names=check_names(names, cls.__name__)).plot(ax, **plot_options)


def _check_plane(points, n, label, owner):
    points = check_matrix(points, f"{label}: ", owner)
    if points.shape != (n, 2):
        raise ValueError(f"{label}: points in the plane of shape ({n}, 2) go with this plan, not {points.shape}.")
    return points


def _sides(X, y):
    """Both collections, or None and None, and their names."""
    if X is None:
        return [None, None], ("source", "target")
    if isinstance(X, (Domains, Views)):
        if len(X.names) != 2:
            raise ValueError(f"A plan goes from one collection to another; these are {X.names}.")
        return [X[name] for name in X.names], X.names
    if y is None:
        raise ValueError("X holds one collection: give the second as y.")
    return [to_numpy(X), to_numpy(y)], ("source", "target")
