"""The course of a training."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import Self
from ._inputs import last_step
from ._style import COLORS, legend_above, open_axes, require_matplotlib, styled, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TrainingDisplay:
    """Loss of training, score of held-out rows, and the epoch whose weights were kept.

    A loss that falls while the score does not rise any more is overfitting; a score that still rises at the end asks
    for more epochs.

    Use `from_estimator`; the constructor takes what it reads.

    Parameters
    ----------
    losses : list of float
        Training loss by epoch.
    scores : list of float, default=()
        Score of the held-out rows by epoch; empty where none were held out. Fewer than losses are those of the first
        epochs.
    best_epoch : int, default=None
        The epoch that was kept, from 1; 0 is the start.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the loss.
    score_ax_ : matplotlib Axes or None
        With the score, over the same epochs.
    figure_ : matplotlib Figure
    loss_line_ : matplotlib Line2D
    score_line_ : matplotlib Line2D or None
    best_line_ : matplotlib Line2D or None
        At the best epoch.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skalign.plotting import TrainingDisplay
    >>> display = TrainingDisplay([3.0, 2.0, 1.5], [0.2, 0.5, 0.4], best_epoch=2).plot()
    >>> display.best_line_.get_xdata()
    [2, 2]
    """

    def __init__(self, losses: Sequence[float], scores: Sequence[float] = (), best_epoch: int | None = None) -> None:
        self.losses = losses
        self.scores = scores
        self.best_epoch = best_epoch

    def plot(
        self, ax: Axes | None = None, *, loss_kw: dict[str, Any] | None = None, score_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        loss_kw, score_kw : dict, default=None
            Keywords of the two lines, for ``ax.plot``.

        Returns
        -------
        TrainingDisplay
            This one.
        """
        losses, scores = (np.asarray(values, dtype=np.float64) for values in (self.losses, self.scores))
        if losses.ndim != 1 or scores.ndim != 1 or not len(losses) or len(scores) > len(losses):
            raise ValueError(
                "There must be a loss for every epoch, at least one, and no more scores than losses; the shapes are "
                f"{losses.shape} and {scores.shape}."
            )
        best = self.best_epoch
        if best is not None and (not isinstance(best, Integral) or not 0 <= best <= len(losses)):
            raise ValueError(f"best_epoch must be a whole number from 0 to {len(losses)}, got {best!r}.")
        self.ax_, self.figure_ = open_axes(ax, type(self).__name__)
        from matplotlib.lines import Line2D

        style = styled(Line2D, loss_kw, color=COLORS[0], linestyle="-", label="training loss")
        (self.loss_line_,) = self.ax_.plot(np.arange(1, len(losses) + 1), losses, **style)
        handles = [self.loss_line_]
        self.score_ax_ = self.score_line_ = self.best_line_ = None
        if len(scores):
            self.score_ax_ = self.ax_.twinx()
            style = styled(
                Line2D, score_kw, color=COLORS[1], linestyle="--", marker="^", markerfacecolor="white",
                markevery=max(1, len(scores) // 20), label="score of held-out rows",
            )  # fmt: skip
            (self.score_line_,) = self.score_ax_.plot(np.arange(1, len(scores) + 1), scores, **style)
            self.score_ax_.set_ylabel("score of held-out rows, higher is better (dashed)")
            handles.append(self.score_line_)
        if best is not None:
            label = f"best epoch: {best}" if best else "best: the start"
            self.best_line_ = self.ax_.axvline(best, color="0.3", linestyle=":", linewidth=1.5, label=label)
            handles.append(self.best_line_)
        self.ax_.set(xlabel="epoch", ylabel="training loss (solid)")
        whole_numbers(self.ax_.xaxis)
        legend_above(self.ax_, len(handles), handles=handles)
        return self

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, **plot_options: Any) -> Self:
        """Draw the training of a net.

        Parameters
        ----------
        estimator : fitted DeepCCA or ContrastiveAligner, or fitted Pipeline or search that ends in one
            Has `loss_curve_`; `validation_scores_` and `best_epoch_` are drawn if it has them.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that has no `loss_curve_`.
        """
        require_matplotlib(cls.__name__)
        trained, _ = last_step(estimator, None, "loss_curve_", cls.__name__)
        scores = getattr(trained, "validation_scores_", ())
        best = getattr(trained, "best_epoch_", None) if len(scores) else None  # else it is just the last
        return cls(list(trained.loss_curve_), list(scores), best).plot(ax, **plot_options)
