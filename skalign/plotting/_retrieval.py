"""Queries and what they retrieve, as pictures or text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing

from .._backend import is_tensor, to_numpy
from .._typing import ArrayLike, Rows, Self
from ..views import Views
from ..views._rows import n_rows, one_row_per_sample
from ._inputs import last_step
from ._style import COLORS, open_axes, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PICTURE, _TEXT = (1.0, 1.0), (1.9, 0.5)  # width and height of a cell
_GAP = 0.14
_LETTER = 0.62  # width of a letter in units of the font size, with room to spare


class RetrievalDisplay:
    """A row for each query: the query, and its hits with the best first; right ones have a thick frame.

    Use `from_estimator` or `from_predictions`; the constructor takes what they compute.

    Parameters
    ----------
    queries : list of {str, array}
        What was looked for. Arrays of shape (height, width), (height, width, 3) or (height, width, 4) are pictures,
        RGB in [0, 1] or integers to 255; a colour is a picture of one pixel, of shape (1, 1, 3). All else is written.
    hits : list of list of {str, array}
        What was found, by query.
    correct : array of bool of shape (n_queries, n_hits), default=None
        Which hits are right.
    similarities : array of shape (n_queries, n_hits), default=None
        Written below the hits.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    cells_ : ndarray of object of shape (n_queries, 1 + n_hits)
        matplotlib AxesImage or Text of every query and hit.
    frames_ : ndarray of object of shape (n_queries, n_hits)
        matplotlib Rectangle around every hit.
    text_ : list of matplotlib Text
        The similarities.

    See Also
    --------
    skalign.CrossModalRetriever : Finds the hits.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skalign.plotting import RetrievalDisplay
    >>> names = ["a cat", "a dog", "a cow"]
    >>> display = RetrievalDisplay.from_predictions([[1, 0], [2, 0]], ["bark", "miaow"], names, correct=[1, 0])
    >>> display.correct.tolist()
    [[True, False], [False, True]]
    """

    def __init__(
        self,
        queries: Sequence[Any],
        hits: Sequence[Sequence[Any]],
        *,
        correct: ArrayLike | None = None,
        similarities: ArrayLike | None = None,
    ) -> None:
        self.queries = queries
        self.hits = hits
        self.correct = correct
        self.similarities = similarities

    def plot(self, ax: Axes | None = None, *, fontsize: float = 9, image_cmap: Any = "gray") -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure of the size that the rows need.
        fontsize : float, default=9
            In points.
        image_cmap : str or matplotlib Colormap, default="gray"
            For pictures of one channel, each scaled to its own range.

        Returns
        -------
        RetrievalDisplay
            This one.
        """
        rows, correct, similarities = self._checked()
        pictured = [all(_is_picture(row[0]) for row in rows)]
        pictured += [any(_is_picture(item) for row in rows for item in row[1:])] * (len(rows[0]) - 1)
        widths = np.array([_PICTURE[0] if picture else _TEXT[0] for picture in pictured])
        height = _PICTURE[1] if any(pictured) else _TEXT[1]
        pitch = height + _GAP + (0.0 if similarities is None else 0.22)
        left = np.concatenate([[0.0], np.cumsum(widths + _GAP)[:-1]])
        left[1:] += 2 * _GAP  # the query stands apart
        total = np.array([left[-1] + widths[-1], len(rows) * pitch])
        self.ax_, self.figure_ = open_axes(ax, type(self).__name__, total * 0.9 + [0.3, 0.6])
        from matplotlib.patches import Rectangle

        self.ax_.set(xlim=(-_GAP, total[0] + _GAP), ylim=(total[1], -_GAP))
        self.ax_.set_aspect("equal")
        unit = self._points_per_unit(total)
        self.cells_ = np.empty((len(rows), len(rows[0])), dtype=object)
        self.frames_ = np.empty((len(rows), len(rows[0]) - 1), dtype=object)
        self.text_ = []
        for i, row in enumerate(rows):
            top = i * pitch
            for j, (item, x, width) in enumerate(zip(row, left, widths)):
                self.cells_[i, j] = self._cell(item, x, top, width, height, unit, fontsize, image_cmap)
                if j == 0:
                    continue
                right = correct is not None and correct[i, j - 1]
                frame = dict(color=COLORS[0], linewidth=3) if right else dict(color="0.7", linewidth=0.6)
                self.frames_[i, j - 1] = Rectangle(
                    (x, top), width, height, fill=False, zorder=3, clip_on=False, **frame
                )
                self.ax_.add_patch(self.frames_[i, j - 1])
                if similarities is not None:
                    score = self.ax_.text(x + width / 2, top + height + 0.03, f"{similarities[i, j - 1]:.2f}")
                    score.set(ha="center", va="top", fontsize=0.85 * fontsize, color="0.25")
                    self.text_.append(score)
        self.ax_.set(xticks=left + widths / 2, yticks=[])
        self.ax_.set_xticklabels(["query", *range(1, len(rows[0]))])
        self.ax_.xaxis.tick_top()
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        if correct is not None:
            self.ax_.set_xlabel("hits, the best first; a thick frame marks the right ones")
        return self

    def _checked(self):
        """Rows of query and hits, the right ones and the similarities."""
        rows = [[query, *hits] for query, hits in zip(self.queries, self.hits)]
        if len(self.queries) != len(self.hits) or not rows:
            raise ValueError(f"There are {len(self.queries)} queries and hits of {len(self.hits)}.")
        n_hits = len(rows[0]) - 1
        if n_hits < 1 or any(len(row) != n_hits + 1 for row in rows):
            raise ValueError("Every query needs the same number of hits, at least one.")
        tables = []
        for name, dtype in (("correct", bool), ("similarities", np.float64)):
            table = getattr(self, name)
            table = None if table is None else to_numpy(table).astype(dtype)
            if table is not None and table.shape != (len(rows), n_hits):
                raise ValueError(f"{name} must have shape {(len(rows), n_hits)}, got {table.shape}.")
            tables.append(table)
        return [[_checked_item(item) for item in row] for row in rows], *tables

    def _points_per_unit(self, total):
        """Size in points of a unit of the axes, which keeps its shape."""
        box = self.ax_.get_window_extent()
        return min(box.width / (total[0] + 2 * _GAP), box.height / (total[1] + _GAP)) / self.figure_.dpi * 72

    def _cell(self, item, x, top, width, height, unit, fontsize, cmap):
        if _is_picture(item):
            scale = min(width / item.shape[1], height / item.shape[0])
            w, h = item.shape[1] * scale, item.shape[0] * scale
            x, y = x + (width - w) / 2, top + (height - h) / 2
            limits = self.ax_.get_xlim(), self.ax_.get_ylim()  # imshow sets those of its own picture
            extent = (x, x + w, y + h, y)
            image = self.ax_.imshow(item, extent=extent, cmap=cmap, interpolation="nearest", aspect="equal")
            self.ax_.set(xlim=limits[0], ylim=limits[1])
            return image
        per_line = max(4, int(width * unit / (_LETTER * fontsize)))
        n_lines = max(1, int(height * unit / (1.25 * fontsize)))
        lines = textwrap.wrap(item, per_line, max_lines=n_lines, placeholder="…") or [""]
        return self.ax_.text(
            x + width / 2, top + height / 2, "\n".join(lines), ha="center", va="center", fontsize=fontsize
        )

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Rows, items: ArrayLike, *, queries: ArrayLike | None = None, y: Rows | None = None,
        n_neighbors: int | None = None, show_similarity: bool = True, ax: Axes | None = None, **plot_options: Any,
    ) -> Self:  # fmt: skip
        """Search a gallery, and draw queries and hits.

        Parameters
        ----------
        estimator : fitted CrossModalRetriever, or fitted Pipeline or search that ends in one
            Its `kneighbors` gives the hits.
        X : Views, or array-like or list of str of shape (n_queries, ...)
            Queries; a few.
        items : array or list of length n_gallery
            What to show for every row of the gallery, in its order.
        queries : array or list of length n_queries, default=None
            What to show for every query. None shows `X`, or the one view of it that is not the gallery's.
        y : array-like of shape (n_queries,), default=None
            The id of the right row of the gallery, or its position where there are no ids, as in the retriever's
            `score`. Equal ids are all right.
        n_neighbors : int, default=None
            Number of hits; None is that of the retriever.
        show_similarity : bool, default=True
            Whether to write the similarity below every hit.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        RetrievalDisplay

        Raises
        ------
        NotFittedError
            For an estimator that is not fitted.
        TypeError
            For an estimator that has no `kneighbors`.
        ValueError
            As `from_predictions`.
        """
        require_matplotlib(cls.__name__)
        given = X
        retriever, X = last_step(estimator, X, "kneighbors", cls.__name__)
        similarities, positions = (to_numpy(part) for part in retriever.kneighbors(X, n_neighbors))
        if queries is None:
            queries = _shown(given, getattr(retriever, "gallery_view_", None))
        correct = None
        if y is not None:
            y = to_numpy(y)
            if y.shape != (len(positions),):
                raise ValueError(f"y must hold one id for each of {len(positions)} queries; its shape is {y.shape}.")
            correct = retriever.ids_[positions] == y[:, None]
        scores = similarities if show_similarity else None
        return cls.from_predictions(
            positions, queries, items, correct=correct, similarities=scores, ax=ax, **plot_options
        )

    @classmethod
    def from_predictions(
        cls, indices: ArrayLike, queries: ArrayLike, items: ArrayLike, *, correct: ArrayLike | None = None,
        similarities: ArrayLike | None = None, ax: Axes | None = None, **plot_options: Any,
    ) -> Self:  # fmt: skip
        """Draw queries and the items at the positions that they retrieved.

        Parameters
        ----------
        indices : array-like of int of shape (n_queries, n_hits)
            Positions among `items`, the best first.
        queries : array or list of length n_queries
            What to show for every query, see the class.
        items : array or list of length n_items
            What to show for every item.
        correct : array of int of shape (n_queries,), or of bool of shape (n_queries, n_hits), default=None
            The position of the right item, or which hits are right.
        similarities : array-like of shape (n_queries, n_hits), default=None
            Written below the hits.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **plot_options
            Handed to `plot`.

        Returns
        -------
        RetrievalDisplay

        Raises
        ------
        ValueError
            For positions that there are not, tables of another shape, and pictures that are none.
        """
        indices = to_numpy(indices)
        if indices.ndim != 2 or indices.dtype.kind not in "iu":
            raise ValueError(
                f"indices must be whole numbers of shape (n_queries, n_hits), got {indices.dtype} of shape "
                f"{indices.shape}."
            )
        queries, items = (one_row_per_sample(rows, name) for rows, name in ((queries, "queries"), (items, "items")))
        if indices.size and (indices.min() < 0 or indices.max() >= n_rows(items)):
            raise ValueError(
                f"indices go from {indices.min()} to {indices.max()}, but there are {n_rows(items)} items."
            )
        if n_rows(queries) != len(indices):
            raise ValueError(f"There are {n_rows(queries)} queries, and indices of {len(indices)}.")
        if correct is not None:
            correct = to_numpy(correct)
            if correct.dtype != bool:
                if correct.shape != (len(indices),) or not isinstance(correct.flat[0], Integral):
                    raise ValueError(
                        "correct must hold one position for each query, or a bool for each hit; it is "
                        f"{correct.dtype} of shape {correct.shape}."
                    )
                correct = indices == correct[:, None]
        hits = [list(_safe_indexing(items, row)) for row in indices]
        queries = list(_safe_indexing(queries, np.arange(len(indices))))
        return cls(queries, hits, correct=correct, similarities=similarities).plot(ax, **plot_options)


def _shown(X, gallery_view):
    """What stands for the queries: the rows themselves."""
    if not isinstance(X, Views):
        return X
    names = [name for name in X.names if name != gallery_view] or X.names
    if len(names) > 1:
        raise ValueError(f"queries has to say what to show for each query: X holds the views {names}.")
    return X[names[0]]


def _is_picture(item):
    return isinstance(item, np.ndarray)


def _checked_item(item):
    """A picture as an array, everything else as a string."""
    if is_tensor(item):
        item = to_numpy(item)
    if not isinstance(item, np.ndarray) or item.ndim == 0:
        return str(item)
    if item.ndim == 3 and item.shape[2] == 1:
        item = item[:, :, 0]
    if item.ndim != 2 and (item.ndim != 3 or item.shape[2] not in (3, 4)):
        raise ValueError(
            "A picture has the shape (height, width), (height, width, 3) or (height, width, 4), channels last, not "
            f"{item.shape}. Give strings for what is no picture."
        )
    top = 1.0 if item.dtype.kind == "f" else 255
    if not np.isfinite(item).all() or (item.ndim == 3 and not (item.min() >= 0 and item.max() <= top)):
        raise ValueError("A picture holds finite numbers; in colour, floats from 0 to 1 or whole numbers to 255.")
    return item
