"""What a segment costs: how far its frames are from one model.

A cost is an object with ``fit(signal)``, where `signal` has shape (n_frames, n_channels), and ``error(start, end)``,
the cost of the frames ``start <= i < end``. Anything that has both can be handed to `ChangepointSegmenter`; it may set
``min_size``, the shortest segment it can judge (default 1). A cost should not rise when a segment is cut in two, or
PELT is not exact.

Here are those that compare frames with their mean, in some space; others are in `_model_costs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator

from ..._typing import ArrayLike, Self

# The same numbers as in the kernels, which are not imported here: numba takes long.
QUADRATIC, NORMAL, ABSOLUTE, REGRESSION, LINE, GRAM, STREAMED = 0, 1, 2, 3, 4, 5, 6
_MOST_FRAMES_OF_A_GRAM = 20_000  # 3.2 GB


def cumulated(values):
    """Sums of the rows before each row: shape (n + 1, ...)."""
    sums = np.zeros((len(values) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def pack(kind, P, Q=None, R=None, width=0, constant=0.0):
    Q = np.zeros((1, 1)) if Q is None else np.ascontiguousarray(Q)
    R = np.zeros((1, 1), np.int64) if R is None else R
    return kind, np.ascontiguousarray(P), Q, R, int(width), float(constant)


def channel_scales(signal):
    """Standard deviation of every channel, 1 for those that do not vary; and whether none does."""
    largest = np.abs(signal).max(axis=0)
    unit = np.where(largest > 0, largest, 1.0)  # squares of very large or small numbers would overflow or vanish
    scale = (signal / unit).std(axis=0)
    varies = scale > 1e-12
    return np.where(varies, scale * unit, 1.0), not varies.any()


class Cost(BaseEstimator):
    """What the costs here share: `error` from the tuple that the compiled searches read.

    Attributes
    ----------
    min_size : int
        The shortest segment that can be judged.
    data_ : tuple
        What the compiled searches read.
    n_params_ : int
        Parameters that a segment has, for the rules of penalties.
    """

    min_size = 1

    def fit(self, signal: ArrayLike) -> Self:
        """Prepare for a signal.

        Parameters
        ----------
        signal : ndarray of shape (n_frames, n_channels)
            The signal.

        Returns
        -------
        self
        """
        signal = np.asarray(signal, dtype=np.float64)
        signal = signal.reshape(len(signal), -1)
        self.n_frames_, self.n_channels_ = signal.shape
        self.n_params_ = self.n_channels_
        self._fit(signal)
        return self

    def error(self, start: int, end: int) -> float:
        """Cost of one segment.

        Parameters
        ----------
        start, end : int
            Its first frame, and the first one after it.

        Returns
        -------
        float
        """
        from ._kernels import segment_error

        if end - start < self.min_size:
            raise ValueError(f"{type(self).__name__} needs segments of at least {self.min_size} frames.")
        return float(segment_error(self.data_, start, end))

    @property
    def unit_(self) -> float:
        """What one parameter too many saves in pure noise: the unit of the rules of penalties."""
        return self.error(0, self.n_frames_) / (self.n_frames_ * self.n_channels_)


class L2Cost(Cost):
    """Squared distances to the mean: changes of level.

    Examples
    --------
    >>> from skalign.temporal.changepoints import L2Cost
    >>> L2Cost().fit([[0.0], [2.0], [4.0]]).error(0, 2)
    2.0
    """

    def _fit(self, signal):
        signal = signal - signal.mean(axis=0)  # large levels would cancel
        self.data_ = pack(QUADRATIC, cumulated(signal), cumulated((signal**2).sum(axis=1, keepdims=True)))


class CosineCost(Cost):
    """Squared distances to the mean of frames brought to length 1: changes of direction. Frames of zeros stay zero."""

    def _fit(self, signal):
        length = np.linalg.norm(signal, axis=1, keepdims=True)
        signal = signal / np.where(length > 0, length, 1.0)
        self.data_ = pack(QUADRATIC, cumulated(signal), cumulated((signal**2).sum(axis=1, keepdims=True)))


class MahalanobisCost(Cost):
    """Squared distances to the mean in a metric.

    Parameters
    ----------
    metric : array-like of shape (n_channels, n_channels), default=None
        Positive semidefinite. None takes the inverse covariance of the whole signal.
    """

    min_size = 2

    def __init__(self, metric: ArrayLike | None = None) -> None:
        self.metric = metric

    def _fit(self, signal):
        signal = signal - signal.mean(axis=0)
        if self.metric is None:
            metric = np.linalg.pinv(np.atleast_2d(np.cov(signal.T)), hermitian=True)
        else:
            metric = np.asarray(self.metric, dtype=np.float64)
            if metric.shape != (signal.shape[1],) * 2 or not np.allclose(metric, metric.T):
                raise ValueError(f"metric has to be a symmetric matrix of shape {(signal.shape[1],) * 2}.")
        signal = _carried(signal, metric)
        self.data_ = pack(QUADRATIC, cumulated(signal), cumulated((signal**2).sum(axis=1, keepdims=True)))


def _carried(signal, metric):
    """`signal` so that the metric becomes the Euclidean one."""
    values, vectors = np.linalg.eigh(metric)
    if values[0] < -1e-9 * max(abs(values[-1]), 1.0):
        raise ValueError("metric has to be positive semidefinite.")
    return signal @ (vectors * np.sqrt(np.maximum(values, 0.0)))


class RankCost(Cost):
    """Minus the squared length of the mean rank, whitened: changes of distribution that outliers do not sway [1]_.

    References
    ----------
    .. [1] A. Lung-Yut-Fong, C. Levy-Leduc, O. Cappe, "Homogeneity and change-point detection tests for multivariate
       data using rank statistics", Journal de la SFdS 156(4), 2015.
    """

    min_size = 2
    unit_ = 1.0  # whitened ranks have variance 1

    def _fit(self, signal):
        ranks = rankdata(signal, axis=0) - (len(signal) + 1) / 2
        covariance = np.atleast_2d(np.cov(ranks.T, bias=True))
        ranks = _carried(ranks, np.linalg.pinv(covariance, hermitian=True))
        self.data_ = pack(QUADRATIC, cumulated(ranks), np.zeros((len(ranks) + 1, 1)))


class RbfCost(Cost):
    """Variance of the frames in the feature space of a Gaussian kernel: any change of distribution [1]_.

    PELT and the known number of changes compute the kernel as they go, in memory that grows with n_frames; the other
    searches store it, which takes 8 n_frames**2 bytes.

    Parameters
    ----------
    gamma : float, default=None
        Of exp(-gamma ||x - y||^2). None takes 1 / the median squared distance (of 2000 frames spread over the signal).

    References
    ----------
    .. [1] S. Arlot, A. Celisse, Z. Harchaoui, "A kernel multiple change-point algorithm via model selection",
       JMLR 20(162), 2019.
    """

    def __init__(self, gamma: float | None = None) -> None:
        self.gamma = gamma

    def _fit(self, signal):
        if self.gamma is not None and not 0 < self.gamma < np.inf:
            raise ValueError(f"gamma has to be positive, got {self.gamma}.")
        self.signal_ = signal = signal - signal.mean(axis=0)  # large levels would cancel
        self.gamma_ = self.gamma
        if self.gamma is None:
            some = signal[:: -(-len(signal) // 2000)]
            distances = _squared_distances(some)[np.triu_indices(len(some), 1)]
            median = np.median(distances) if len(distances) else 0.0
            self.gamma_ = 1.0 / median if median > 0 else 1.0
        self.n_params_ = 1
        self._gram = None

    @property
    def data_(self) -> tuple[Any, ...]:
        """The kernel, summed in both directions."""
        if self._gram is None:
            n = len(self.signal_)
            if n > _MOST_FRAMES_OF_A_GRAM:
                raise ValueError(
                    f"The kernel of {n} frames does not fit into memory: search='pelt' or 'kernel' does not store it."
                )
            sums = np.zeros((n + 1, n + 1))
            sums[1:, 1:] = np.exp(-self.gamma_ * _squared_distances(self.signal_))
            np.cumsum(sums, axis=0, out=sums)
            np.cumsum(sums, axis=1, out=sums)
            self._gram = pack(GRAM, sums)
        return self._gram

    @property
    def streamed_(self) -> tuple[Any, ...]:
        """The signal and room for running sums of the kernel."""
        return pack(STREAMED, self.signal_, np.zeros((len(self.signal_) + 1, 1)), constant=self.gamma_)

    @property
    def unit_(self) -> float:
        """Variance in feature space, of at most 2000 frames spread over the signal."""
        some = self.signal_[:: -(-self.n_frames_ // 2000)]
        return 1.0 - np.exp(-self.gamma_ * _squared_distances(some)).mean()


def _squared_distances(X):
    squares = (X**2).sum(axis=1)
    D = np.maximum(squares[:, None] + squares - 2 * X @ X.T, 0.0)
    np.fill_diagonal(D, 0.0)
    return D
