"""A matrix of similarities with the true pairs marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import ArrayLike, Metric, Rows, Self
from ..base import ARRAY_NAMES
from ..views import Views
from ._inputs import check_matrix, check_names, last_step
from ._style import legend_above, open_axes, outlined, require_matplotlib, styled, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 72.0  # in an inch


class SimilarityDisplay:
    """Similarity of every row of one view to every row of another, with the true pairs marked.

    A filled mark is a true pair that no other candidate of its row beats, an open one is a pair that is beaten: the
    share of filled ones is the recall at 1. A bright column is a hub, a candidate that is near to every query.

    Use `from_estimator` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    similarity : array of shape (n, m)
        Higher is more similar.
    pairs : array of int of shape (n_pairs, 2), default=None
        Row and column of the true pairs; None is the diagonal.
    names : pair of str, default=("x", "y")
        The views of the rows and of the columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
    found_, beaten_ : matplotlib PathCollection
        Marks of the true pairs.
    colorbar_ : matplotlib Colorbar or None

    See Also
    --------
    skalign.metrics.retrieval_report : The same in numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_linnerud
    >>> from skalign import CCA, Views
    >>> from skalign.plotting import SimilarityDisplay
    >>> data = load_linnerud()
    >>> views = Views(exercise=data.data, body=data.target)
    >>> display = SimilarityDisplay.from_estimator(CCA().fit(views), views)
    >>> len(display.found_.get_offsets()), len(display.beaten_.get_offsets())
    (4, 16)
    """

    def __init__(
        self, similarity: ArrayLike, *, pairs: ArrayLike | None = None, names: Sequence[str] = ARRAY_NAMES
    ) -> None:
        self.similarity = similarity
        self.pairs = pairs
        self.names = names

    def plot(
        self,
        ax: Axes | None = None,
        *,
        cmap: Any = "cividis",
        colorbar: bool = True,
        image_kw: dict[str, Any] | None = None,
        mark_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or matplotlib Colormap, default="cividis"
            Colours of the similarities.
        colorbar : bool, default=True
            Whether to add a scale.
        image_kw : dict, default=None
            Keywords of the image, for ``ax.imshow``.
        mark_kw : dict, default=None
            Keywords of the marks, for ``ax.scatter``.

        Returns
        -------
        SimilarityDisplay
            This one.
        """
        owner = type(self).__name__
        S = check_matrix(self.similarity, "The similarities: ", owner)
        pairs = _check_pairs(self.pairs, S.shape)
        self.ax_, self.figure_ = open_axes(ax, owner)
        from matplotlib.collections import PathCollection
        from matplotlib.image import AxesImage

        self.image_ = self.ax_.imshow(S, **styled(AxesImage, image_kw, cmap=cmap, interpolation="nearest"))
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label="similarity")
        rows, columns = pairs.T
        found = S[rows, columns] >= S.max(axis=1)[rows]
        box = self.ax_.get_window_extent()
        cell = min(box.width / S.shape[1], box.height / S.shape[0]) / self.figure_.dpi * _POINTS
        size = np.clip(0.45 * cell, 2.0, 12.0)
        marks = {}
        for name, members, face in (
            ("true, and the best of its row", found, "black"),
            ("true, but beaten", ~found, "white"),
        ):
            style = dict(s=size**2, marker="o", facecolor=face, edgecolor="black", linewidth=min(1.2, size / 4))
            label = f"{name}: {members.sum()}"
            marks[face] = self.ax_.scatter(
                columns[members], rows[members], **styled(PathCollection, mark_kw, label=label, **style)
            )
            marks[face].set_path_effects(outlined(width=style["linewidth"] + 1.5))
        self.found_, self.beaten_ = marks["black"], marks["white"]
        self.ax_.set(xlabel=f"row of {self.names[1]}", ylabel=f"row of {self.names[0]}")
        whole_numbers(self.ax_.xaxis, self.ax_.yaxis)
        legend_above(self.ax_, 2)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        y: Rows | None = None,
        *,
        views: tuple[str, str] | None = None,
        function: Metric | None = None,
        pairs: ArrayLike | None = None,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Compare two views in the shared space, and draw the similarities.

        Parameters
        ----------
        estimator : fitted aligner, or fitted Pipeline or search that ends in one
            Its `similarity` gives the matrix.
        X : Views, or array-like of shape (n, n_features)
            Two views, or rows of the first.
        y : array-like of shape (m, n_features_y), default=None
            Rows of the second; any number, if `pairs` says which belong together.
        views : pair of str, default=None
            Which views to compare; needed when there are three or more. The first are the rows.
        function : str or callable, default=None
            See `skalign.metrics.pairwise_similarity`; None is what the aligner compares by.
        pairs : array of int of shape (n_pairs, 2), default=None
            Row and column of the true pairs; None is the diagonal.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        SimilarityDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that has no `similarity`.
        ValueError
            For views that are missing, and as `from_predictions`.
        """
        require_matplotlib(cls.__name__)
        aligner, X = last_step(estimator, X, "similarity", cls.__name__)
        S = aligner.similarity(X, y, views=views, function=function)
        names = ARRAY_NAMES if not isinstance(X, Views) else X.names if views is None else views
        return cls.from_predictions(S, pairs=pairs, names=names, ax=ax, **plot_options)

    @classmethod
    def from_predictions(
        cls,
        similarity: ArrayLike,
        *,
        pairs: ArrayLike | None = None,
        names: Sequence[str] = ARRAY_NAMES,
        ax: Axes | None = None,
        **plot_options: Any,
    ) -> Self:
        """Draw a matrix of similarities.

        Parameters
        ----------
        similarity : array-like or tensor of shape (n, m)
            Higher is more similar.
        pairs : array of int of shape (n_pairs, 2), default=None
            Row and column of the true pairs; None is the diagonal of a square matrix.
        names : pair of str, default=("x", "y")
            The views of the rows and of the columns.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        SimilarityDisplay

        Raises
        ------
        ValueError
            For NaN or infinity, a matrix that is not square and has no `pairs`, and pairs outside the matrix.
        """
        return cls(similarity, pairs=pairs, names=check_names(names, cls.__name__)).plot(ax, **plot_options)


def _check_pairs(pairs, shape):
    if pairs is None:
        if shape[0] != shape[1]:
            raise ValueError(f"The true pairs are the diagonal only of a square matrix, not of one of shape {shape}.")
        return np.repeat(np.arange(shape[0])[:, None], 2, axis=1)
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"pairs must be whole numbers of shape (n_pairs, 2), got {pairs.dtype} of shape {pairs.shape}."
        )
    if (pairs < 0).any() or (pairs >= shape).any():
        raise ValueError(f"pairs has to lie within the matrix of shape {shape}.")
    return pairs
