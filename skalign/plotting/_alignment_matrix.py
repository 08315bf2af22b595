"""Alignment of every pair of models or embeddings, as a table of colours and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._backend import to_numpy
from .._typing import ArrayLike, Metric, Rows, Self
from ._style import ink_on, open_axes, require_matplotlib, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NOT_SIGNIFICANT = "n.s."


class AlignmentMatrixDisplay:
    """How far representations agree, pair by pair; scores that random pairings reach as well are marked "n.s.".

    Use `from_embeddings` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    scores : array of shape (n, m)
        Rows are X, columns Y; NaN where nothing was compared.
    names : list of str
        Of the rows.
    column_names : list of str, default=None
        Of the columns; None for those of the rows.
    pvalues : array of shape (n, m), default=None
        Of every pair by itself.
    alpha : float, default=0.05
        Scores with a p-value of at least this are marked.
    score_name : str, default="alignment"
        What is measured.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
    text_ : ndarray of object of shape (n, m)
        matplotlib Text of every cell, None where nothing was compared.
    colorbar_ : matplotlib Colorbar or None

    See Also
    --------
    skalign.metrics.representation.alignment_matrix : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skalign.plotting import AlignmentMatrixDisplay
    >>> X, noise = np.random.default_rng(0).normal(size=(2, 100, 10))
    >>> embeddings = {"a": X, "b": X + noise, "c": noise}
    >>> display = AlignmentMatrixDisplay.from_embeddings(embeddings, "cka", random_state=0)
    >>> [text.get_text() for text in display.text_[0]]
    ['1.00', '0.51', '0.01\\nn.s.']
    """

    def __init__(
        self,
        scores: ArrayLike,
        names: Sequence[str],
        *,
        column_names: Sequence[str] | None = None,
        pvalues: ArrayLike | None = None,
        alpha: float = 0.05,
        score_name: str = "alignment",
    ) -> None:
        self.scores = scores
        self.names = names
        self.column_names = column_names
        self.pvalues = pvalues
        self.alpha = alpha
        self.score_name = score_name

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = "viridis",
        colorbar: bool = True,
        values_format: str = ".2f",
        image_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure of the size that the table needs.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the scores, from 0 (or the lowest) to 1 (or the highest).
        colorbar : bool, default=True
            Whether to add a scale.
        values_format : str, default=".2f"
            Of the numbers in the cells.
        image_kw : dict, default=None
            Keywords of the image, for ``ax.imshow``.
        text_kw : dict, default=None
            Keywords of the numbers, for ``ax.text``.

        Returns
        -------
        AlignmentMatrixDisplay
            This one.
        """
        scores, pvalues, names = self._checked()
        n, m = scores.shape
        self.ax_, self.figure_ = open_axes(ax, type(self).__name__, (2.6 + 0.75 * m, 1.6 + 0.75 * n))
        from matplotlib import colormaps
        from matplotlib.image import AxesImage
        from matplotlib.text import Text

        limits = {"vmin": min(0.0, np.nanmin(scores)), "vmax": max(1.0, np.nanmax(scores))}
        colors = colormaps.get_cmap(cmap).with_extremes(bad="white")
        style = styled(AxesImage, image_kw, interpolation="nearest", cmap=colors)
        self.image_ = self.ax_.imshow(np.ma.masked_invalid(scores), **(limits | style))
        self.text_ = np.full(scores.shape, None, dtype=object)
        weak = np.zeros(scores.shape, dtype=bool) if pvalues is None else pvalues >= self.alpha
        for i, j in zip(*np.nonzero(~np.isnan(scores))):
            value = format(scores[i, j], values_format)
            value = value.lstrip("-") if not value.strip("-0.") else value  # -0.00 says no more than 0.00
            style = styled(Text, text_kw, ha="center", va="center", color=ink_on(self.image_, scores[i, j]))
            written = f"{value}\n{_NOT_SIGNIFICANT}" if weak[i, j] else value
            self.text_[i, j] = self.ax_.text(j, i, written, **style)
        self.colorbar_ = None
        if colorbar:
            note = f" ({_NOT_SIGNIFICANT}: p ≥ {self.alpha:g})" if weak.any() else ""
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=f"{self.score_name}{note}")
        self.ax_.set_yticks(range(n), names[0])
        self.ax_.set_xticks(range(m), names[1], rotation=45, ha="right", rotation_mode="anchor")
        return self

    def _checked(self):
        scores = to_numpy(self.scores).astype(np.float64)
        if scores.ndim != 2 or not scores.size or np.isnan(scores).all() or np.isinf(scores).any():
            raise ValueError(f"Scores are a matrix of finite numbers, NaN where there is none; shape {scores.shape}.")
        pvalues = None if self.pvalues is None else to_numpy(self.pvalues).astype(np.float64)
        if pvalues is not None and pvalues.shape != scores.shape:
            raise ValueError(f"There are p-values of shape {pvalues.shape} for scores of shape {scores.shape}.")
        if not isinstance(self.alpha, Real) or not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must be above 0 and at most 1, got {self.alpha!r}.")
        names = [list(self.names), list(self.names if self.column_names is None else self.column_names)]
        if [len(side) for side in names] != list(scores.shape):
            raise ValueError(f"{len(names[0])} names of rows and {len(names[1])} of columns do not fit {scores.shape}.")
        return scores, pvalues, names

    @classmethod
    def from_embeddings(
        cls,
        embeddings: Mapping[str, Rows],
        score: Metric = "mutual_knn",
        *,
        field: Literal["score", "calibrated"] = "score",
        alpha: float = 0.05,
        ax: Axes | None = None,
        plot_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Compare every pair of embeddings, and draw how far they agree.

        Parameters
        ----------
        embeddings : mapping of str to {array-like, torch tensor} of shape (n_samples, p)
            Of the same samples; Views will do.
        score : str or callable, default="mutual_knn"
            See `skalign.metrics.representation.permutation_calibrate`.
        field : {"score", "calibrated"}, default="score"
            What to draw: the score, or the part of it above the threshold of chance.
        alpha : float, default=0.05
            Scores with a p-value of at least this are marked.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        plot_options : dict, default=None
            Handed to `plot`.
        **options
            Those of `skalign.metrics.representation.alignment_matrix`: ``n_permutations``, ``random_state``, ``k``...

        Returns
        -------
        AlignmentMatrixDisplay

        Raises
        ------
        ValueError
            As `alignment_matrix`.
        """
        require_matplotlib(cls.__name__)
        from ..metrics.representation import alignment_matrix

        _check_field(field)
        result = alignment_matrix(embeddings, score, alpha=alpha, **options)
        name = score if isinstance(score, str) else getattr(score, "__name__", "alignment")
        return cls.from_predictions(result, field=field, alpha=alpha, score_name=name, ax=ax, **(plot_options or {}))

    @classmethod
    def from_predictions(
        cls, result: Any, names: Sequence[str] | None = None, *, column_names: Sequence[str] | None = None,
        pvalues: ArrayLike | None = None, field: Literal["score", "calibrated"] = "score", alpha: float = 0.05,
        score_name: str = "alignment", ax: Axes | None = None, **plot_options: Any,
    ) -> Self:  # fmt: skip
        """Draw scores that were computed.

        Parameters
        ----------
        result : Bunch of `alignment_matrix`, dict of `layerwise_alignment`, or array-like of shape (n, m)
            The scores. Of a dict with each pair of models once, the matrix is symmetric; a model is not compared with
            itself.
        names : list of str, default=None
            Of the rows of a plain matrix; for the others None keeps their own order, and a list sets it.
        column_names : list of str, default=None
            Of the columns of a plain matrix, where they are not those of the rows: layers of two models, say.
        pvalues : array-like of shape (n, m), default=None
            Of a plain matrix.
        field : {"score", "calibrated"}, default="score"
            What to draw of a Bunch or dict.
        alpha : float, default=0.05
            Scores with a p-value of at least this are marked.
        score_name : str, default="alignment"
            What is measured.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        AlignmentMatrixDisplay

        Raises
        ------
        ValueError
            For a matrix without names, names or p-values that do not fit it, and an unknown field.
        """
        _check_field(field)
        if isinstance(result, Mapping):
            own, table = _as_tables(result, field)
            names = own if names is None else list(names)
            if sorted(map(str, names)) != sorted(map(str, own)):
                raise ValueError(f"names must be those of the result, {own}, in any order; got {names}.")
            order = np.ix_(*[[own.index(name) for name in names]] * 2)
            scores, pvalues = table["score"][order], table["pvalue"][order]
        elif names is None:
            raise ValueError("A plain matrix has no names: give names, and column_names if they differ.")
        else:
            scores = result
        if field == "calibrated":
            score_name = f"{score_name}, above chance"
        display = cls(scores, names, column_names=column_names, pvalues=pvalues, alpha=alpha, score_name=score_name)
        return display.plot(ax, **plot_options)


def _check_field(field):
    if field not in ("score", "calibrated"):
        raise ValueError(f"field must be 'score' or 'calibrated', got {field!r}.")


def _as_tables(result, field):
    """Names, and tables of scores and p-values."""
    if "names" in result:
        return list(result["names"]), {"score": np.asarray(result[field]), "pvalue": np.asarray(result["pvalue"])}
    if not result or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in result):
        raise ValueError("A dict of results has pairs of names as keys, as layerwise_alignment gives it.")
    names = list(dict.fromkeys(name for pair in result for name in pair))
    table = {key: np.full((len(names),) * 2, np.nan) for key in ("score", "pvalue")}
    for (a, b), found in result.items():
        i, j = names.index(a), names.index(b)
        for key, values in table.items():
            values[i, j] = found[field if key == "score" else key]
            if (b, a) not in result:
                values[j, i] = values[i, j]
    return names, table
