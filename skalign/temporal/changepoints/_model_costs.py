"""Costs of segments under a model of their frames: Gaussian, by median, linear, autoregressive."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..._input import is_whole
from ._costs import ABSOLUTE, LINE, NORMAL, REGRESSION, Cost, channel_scales, cumulated, pack


class NormalCost(Cost):
    """Length times log determinant of the covariance: changes of mean, variance or correlation of Gaussian frames.

    Minus twice the log likelihood up to constants. A ridge of 1e-6 of the variance of the whole signal keeps constant
    segments finite.
    """

    min_size = 2
    unit_ = 1.0

    def _fit(self, signal):
        d = signal.shape[1]
        scale = channel_scales(signal)[0]
        signal = (signal - signal.mean(axis=0)) / scale
        products = (signal[:, :, None] * signal[:, None, :]).reshape(len(signal), d * d)
        self.n_params_ = d + d * (d + 1) // 2
        constant = 2 * np.log(scale).sum()
        self.data_ = pack(NORMAL, cumulated(signal), cumulated(products), width=d, constant=constant)


class L1Cost(Cost):
    """Distances to the median, channel by channel: changes of level that outliers do not sway.

    Any segment takes a time of the order of log(n_frames), after a preparation of n_frames log(n_frames).
    """

    @property
    def unit_(self) -> float:
        """In Gaussian noise a median too many saves pi / 4 of the mean distance to it."""
        return np.pi / 4 * super().unit_

    def _fit(self, signal):
        n, d = signal.shape
        signal = signal - np.median(signal, axis=0)
        levels = max(int(np.ceil(np.log2(n))), 1)
        counts = np.zeros((d * levels, n + 1), np.int64)
        sums = np.zeros((d * (levels + 1), n + 1))
        for column in range(d):
            values = signal[:, column]
            sums[d * levels + column, 1:] = np.cumsum(values)
            ranks = np.empty(n, np.int64)
            ranks[np.argsort(values, kind="stable")] = np.arange(n)
            for level in range(levels):
                row = column * levels + level
                ones = (ranks >> (levels - 1 - level)) & 1
                np.cumsum(1 - ones, out=counts[row, 1:])
                np.cumsum(values * (1 - ones), out=sums[row, 1:])
                order = np.argsort(ones, kind="stable")
                ranks, values = ranks[order], values[order]
        self.data_ = pack(ABSOLUTE, np.sort(signal, axis=0), sums, counts, width=d)


class LinearCost(Cost):
    """Squared distances to a linear model: changes of trend, or of how one channel depends on the others.

    Parameters
    ----------
    covariates : {"time", "channels"}, default="time"
        "time" fits a straight line over time to every channel. "channels" regresses the first channel on the others,
        without an intercept (a channel of ones adds it).
    """

    min_size = 2

    def __init__(self, covariates: Literal["time", "channels"] = "time") -> None:
        self.covariates = covariates

    @property
    def unit_(self) -> float:
        """Mean squared residual of the whole signal."""
        return self.error(0, self.n_frames_) / (self.n_frames_ * self._n_responses)

    def _fit(self, signal):
        n, d = signal.shape
        if self.covariates not in ("time", "channels"):
            raise ValueError(f"covariates has to be 'time' or 'channels', got {self.covariates!r}.")
        if self.covariates == "channels":
            if d < 2:
                raise ValueError("LinearCost(covariates='channels') needs a signal of two channels or more.")
            self._n_responses, self.n_params_ = 1, d - 1
            z = np.roll(signal, -1, axis=1)  # the response comes last
            z = z / np.sqrt(np.maximum((z**2).mean(axis=0), 1e-300)) * np.r_[np.ones(d - 1), _length(z[:, -1])]
            self.data_ = pack(REGRESSION, cumulated(_products(z)), width=d)
        else:
            self._n_responses, self.n_params_ = d, 2 * d
            signal = signal - signal.mean(axis=0)
            time = np.arange(n)[:, None]
            sums = np.c_[cumulated(time * signal), cumulated((signal**2).sum(axis=1))]
            self.data_ = pack(LINE, cumulated(signal), sums, width=d)


def _length(column):
    return np.sqrt((column**2).mean())


def _products(z):
    return (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)


class AutoregressiveCost(Cost):
    """Squared errors of predicting a frame from those before it: changes of rhythm or persistence.

    Parameters
    ----------
    order : int, default=4
        Number of frames that a prediction looks back, in each channel by itself. With an intercept; the frames before
        the first `order` are taken to equal the first ones.
    """

    def __init__(self, order: int = 4) -> None:
        self.order = order

    @property
    def min_size(self) -> int:  # type: ignore[override]
        """Fewer frames than coefficients are always predicted exactly."""
        return max(5, self.order + 1)

    def _fit(self, signal):
        n, d = signal.shape
        if not is_whole(self.order, 1) or n <= self.order:
            raise ValueError(
                f"order={self.order} has to be a number of at least 1 and below the {n} frames of the signal."
            )
        signal = signal - signal.mean(axis=0)
        lags = np.lib.stride_tricks.sliding_window_view(signal, self.order, axis=0)[:-1]
        lags = np.concatenate([np.repeat(lags[:1], self.order, axis=0), lags])
        target = signal.copy()
        target[: self.order] = signal[self.order]
        scale = channel_scales(signal)[0]
        moments = []
        for j in range(d):
            z = np.c_[np.ones(n), lags[:, j] / scale[j], target[:, j]]
            moments.append(_products(z))
        self.n_params_ = d * (self.order + 1)
        self.data_ = pack(REGRESSION, cumulated(np.concatenate(moments, axis=1)), width=self.order + 2)
