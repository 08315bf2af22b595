"""Canonical correlations, of training rows against held-out ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from .._typing import ArrayLike, Self
from ..base import ARRAY_NAMES
from ..correlation._canonical import variate_correlations
from ..views import Views
from ._inputs import check_points, embeddings
from ._style import COLORS, open_axes, require_matplotlib, styled, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class CorrelationDisplay:
    """Correlation of every component on training and on held-out rows.

    How many components hold on new data? Training correlations cannot say: they rise with the width of the views.
    Components whose held-out correlation lies in the grey band are no better than independent ones.

    Use `from_estimator` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    train, test : array of shape (n_components,)
        Correlations on training and on held-out rows.
    noise_level : float, default=None
        What the absolute correlation of independent variates stays under on the held-out rows, 95 times in 100.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    train_line_, test_line_ : matplotlib Line2D
    noise_band_ : matplotlib Patch or None

    See Also
    --------
    skalign.CCA.score : The sum of the held-out correlations.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skalign import CCA, Views
    >>> from skalign.plotting import CorrelationDisplay
    >>> images = load_digits().images
    >>> halves = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))
    >>> cca = CCA(shrinkage=1e-3).fit(halves[:200])
    >>> display = CorrelationDisplay.from_estimator(cca, halves[:200], halves[200:])
    >>> bool(display.train[0] > display.test[0] > display.noise_level)
    True
    """

    def __init__(self, train: ArrayLike, test: ArrayLike, *, noise_level: float | None = None) -> None:
        self.train = train
        self.test = test
        self.noise_level = noise_level

    def plot(
        self, ax: Axes | None = None, *, train_kw: dict[str, Any] | None = None, test_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        train_kw, test_kw : dict, default=None
            Keywords of the two lines, for ``ax.plot``.

        Returns
        -------
        CorrelationDisplay
            This one.
        """
        from_rows = {"train": self.train, "test": self.test}
        values = {name: np.asarray(correlations, dtype=np.float64) for name, correlations in from_rows.items()}
        shapes = {name: array.shape for name, array in values.items()}
        if shapes["train"] != shapes["test"] or len(shapes["train"]) != 1 or not len(values["train"]):
            raise ValueError(
                f"Both rows of correlations need one number for each component; their shapes are {shapes}."
            )
        self.ax_, self.figure_ = open_axes(ax, type(self).__name__)
        from matplotlib.lines import Line2D

        self.noise_band_ = None
        if self.noise_level is not None:
            low = -self.noise_level if (values["test"] < 0).any() else 0.0
            self.noise_band_ = self.ax_.axhspan(
                low, self.noise_level, color="0.85", linewidth=0, label="95% of independent variates, held out"
            )
        look = {
            "train": dict(label="training", color=COLORS[0], marker="o", linestyle="-"),
            "test": dict(label="held out", color=COLORS[1], marker="^", linestyle="--", markerfacecolor="white"),
        }
        lines = {}
        for (name, style), given in zip(look.items(), (train_kw, test_kw)):
            style["label"] += f", sum {values[name].sum():.2f}"
            (lines[name],) = self.ax_.plot(values[name], **styled(Line2D, given, **style))
        self.train_line_, self.test_line_ = lines["train"], lines["test"]
        self.ax_.set(xlabel="component", ylabel="correlation between the views")
        self.ax_.set_ylim(min(0.0, *values["train"], *values["test"]) - 0.03, 1.03)
        whole_numbers(self.ax_.xaxis)
        self.ax_.legend()
        return self

    @classmethod
    def from_estimator(
        cls, estimator: Any, train: Any, test: Any, *, ax: Axes | None = None, **plot_options: Any
    ) -> Self:
        """Transform training and held-out rows, and draw how well every component correlates.

        Parameters
        ----------
        estimator : fitted aligner, or fitted Pipeline or search that ends in one
            `CCA`, `KernelCCA`, `DeepCCA`, or anything whose `transform` gives components that belong together.
        train, test : Views or pair of arrays
            The rows of the fit, and rows that it has not seen.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        CorrelationDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For data that are neither Views nor a pair, and an estimator that gives no points of every view.
        ValueError
            For fewer than two views.
        """
        require_matplotlib(cls.__name__)
        pairs = ((X, None) if isinstance(X, Views) else _two(X) for X in (train, test))
        Z_train, Z_test = (embeddings(estimator, X, y, cls.__name__) for X, y in pairs)
        return cls.from_predictions(Z_train, Z_test, ax=ax, **plot_options)

    @classmethod
    def from_predictions(cls, train: Any, test: Any, *, ax: Axes | None = None, **plot_options: Any) -> Self:
        """Draw how well the components of transformed views correlate.

        Parameters
        ----------
        train, test : Views, mapping of str to array of shape (n_samples, n_components), or pair of such arrays
            Variates. For three or more views the correlation is the mean over pairs.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        CorrelationDisplay

        Raises
        ------
        ValueError
            For views of different shape, NaN or infinity.
        """
        require_matplotlib(cls.__name__)
        sides = (Z if hasattr(Z, "items") else dict(zip(ARRAY_NAMES, _two(Z))) for Z in (train, test))
        train, test = (list(check_points(Z, cls.__name__).values()) for Z in sides)
        n = len(test[0])
        noise = None
        if len(test) == 2 and n > 2:  # the mean over several pairs has another distribution
            t = stats.t.ppf(0.975, n - 2)
            noise = float(t / np.sqrt(n - 2 + t**2))
        display = cls(variate_correlations(train), variate_correlations(test), noise_level=noise)
        return display.plot(ax, **plot_options)


def _two(data):
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(f"Training and held-out rows are Views or a tuple (X, Y), not a {type(data).__name__}.")
    return data
