"""A signal that arrives in chunks, cut as it would be if it had come at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import Rows, Self
from ...views import Views
from ._costs import QUADRATIC, L2Cost, pack
from ._cutting import check_magnitude, shortest_segment
from ._input import as_signals
from ._penalties import penalty_of
from ._search import PeltState


class L2Stream:
    """Cumulative sums of a signal, and PELT on them.

    With a fixed penalty on the raw signal every frame is taken in once. A rule for the penalty, or standardising,
    changes with every frame the price of all change points before; then PELT starts again on the sums when asked.

    Parameters
    ----------
    n_channels : int
        Channels of the signal.
    """

    def __init__(self, n_channels):
        self.n = 0
        self.origin = None
        self.sums = np.zeros((64, n_channels))
        self.squares = np.zeros((64, n_channels))
        self.state = self.settings = None

    def append(self, frames):
        """Take in frames of shape (n_frames, n_channels)."""
        if self.origin is None:
            self.origin = frames.mean(axis=0)  # large levels would cancel
        end = self.n + len(frames)
        if end >= len(self.sums):
            room = ((0, 2 * end + 1 - len(self.sums)), (0, 0))
            self.sums, self.squares = np.pad(self.sums, room), np.pad(self.squares, room)
        frames = frames - self.origin
        for total, values in ((self.sums, frames), (self.squares, frames**2)):
            total[self.n + 1 : end + 1] = total[self.n] + np.cumsum(values, axis=0)
        self.n = end

    def changepoints(self, penalty, scale, min_size, jump, standardize):
        """Of the frames so far."""
        from ._kernels import pelt

        n = self.n
        if n < 2 * min_size:
            return np.empty(0, dtype=np.int64)
        mean = self.sums[n] / n
        variance = np.maximum(self.squares[n] / n - mean**2, 0.0)
        varies = variance > (1e-12 * (np.abs(self.origin) + np.sqrt(self.squares[n] / n))) ** 2
        if not varies.any():
            return np.empty(0, dtype=np.int64)
        if standardize:
            spread = np.where(varies, np.sqrt(variance), 1.0)
            sums, squares = self.sums[: n + 1] / spread, self.squares[: n + 1] / spread**2
        else:
            sums, squares = self.sums[: n + 1], self.squares[: n + 1]
        data = pack(QUADRATIC, sums, squares.sum(axis=1, keepdims=True))
        price, length_weight = penalty_of(penalty, scale, _Whole(data, n), n)
        settings = (price, length_weight, min_size, jump)
        if standardize or length_weight or settings != self.settings:
            self.state, self.settings = PeltState(n), settings
        if self.state.seen < n:
            self.state.advance(pelt, data, n, *settings)
        return self.state.changepoints(n)


class _Whole:
    """What the rules of penalties ask an `L2Cost`."""

    def __init__(self, data, n):
        P, Q = data[1], data[2]
        self.n_params_ = P.shape[1]
        self.unit_ = (Q[n, 0] - Q[0, 0] - ((P[n] - P[0]) ** 2).sum() / n) / (n * P.shape[1])


class StreamMixin:
    """`partial_fit`, and the change points so far."""

    def partial_fit(self, X: Rows, y: Any = None) -> Self:
        """Go on with the next frames of streams; `change_points_` is then that of a batch run on all frames so far.

        For the cost "l2", exact searches and a penalty (`n_changepoints` None). Memory grows with the stream. With a
        number as `penalty` and ``standardize=False`` every frame is searched once, otherwise `change_points_` searches
        all frames when asked. A chunk that is refused changes nothing.

        Parameters
        ----------
        X : list of arrays of shape (n_frames_i, n_channels), or array of shape (n_series, n_frames, n_channels)
            The next frames of every stream; ``[chunk]`` for one.
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        exact = self.search in ("pelt", "optimal", "kernel") and self.n_changepoints is None
        squared = isinstance(self.cost, L2Cost) or (isinstance(self.cost, str) and self.cost == "l2")
        if not squared or not exact or self.penalty_scale == "learn":
            raise ValueError("partial_fit needs cost='l2', an exact search, a penalty and a scale that is a number.")
        if isinstance(X, Views):
            raise TypeError("partial_fit goes on with one collection of streams: a segmenter for each view, please.")
        streams = getattr(self, "_streams", None)
        n_channels = None if streams is None else self.n_features_in_
        chunks = as_signals(X, owner=type(self).__name__, n_channels=n_channels)
        check_magnitude(chunks.frames, least=0.0)
        if streams is None:
            self._layouts = {None: self._layout(chunks)}
            self._streams = [L2Stream(chunks.width) for _ in chunks]
            self.n_features_in_ = chunks.width
            vars(self).pop("penalty_learning_", None)  # of an earlier fit
        elif len(chunks) != len(streams):
            raise ValueError(f"There are {len(streams)} streams, but this is the next chunk of {len(chunks)}.")
        self.penalty_scale_ = float(self.penalty_scale)
        for stream, chunk in zip(self._streams, chunks):
            stream.append(chunk)
        return self

    @property
    def change_points_(self) -> list[np.ndarray]:
        """Of the streams so far, after `partial_fit`."""
        if getattr(self, "_streams", None) is None:
            raise AttributeError("change_points_ is there after partial_fit; predict gives those of any collection.")
        settings = (
            self.penalty,
            self.penalty_scale_,
            shortest_segment(self.min_size, self.cost),
            self.jump,
            self.standardize,
        )
        return [stream.changepoints(*settings) for stream in self._streams]
