"""Changes of pattern: does a window look like those on its own side of a split?"""

from __future__ import annotations

import heapq
from numbers import Integral
from typing import Any, Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.stats import norm
from sklearn.base import BaseEstimator

from ..._input import is_whole

WIDTHS = ("suss", "fourier", "autocorrelation")
_NARROWEST = 10  # frames: below it a window has no shape


class ProfileCost(BaseEstimator):
    """Changes of pattern by a classification score profile, in the manner of ClaSP [1]_.

    Every window of the signal is told left or right of a possible change by the windows that correlate most with it.
    Where a change of pattern is, they tell right. The signal is split where they do best, as long as a rank sum test
    rejects that they guess, and its parts are split in turn. For signals that repeat (gestures, gaits, heart beats,
    machines), where neither mean nor variance changes. There is no error of a segment, so no search and no penalty
    apply.

    Parameters
    ----------
    width : {"suss", "fourier", "autocorrelation"} or int, default="suss"
        Frames of a window, which should hold about one repetition or part of it. "suss" takes the shortest windows
        whose mean, deviation and range resemble those of the whole signal [2]_, "fourier" half the period of the
        strongest frequency, "autocorrelation" half the lag of the highest autocorrelation. Of several channels the
        median.
    n_neighbors : int, default=3
        Windows that vote; the choice of the paper.
    p_value : float, default=1e-15
        The test's level; the choice of the paper. It is small as windows overlap and every split is tried.
    margin : float, default=5.0
        Shortest segment in units of the width.

    References
    ----------
    .. [1] A. Ermshaus, P. Schaefer, U. Leser, "ClaSP: parameter-free time series segmentation", Data Mining and
       Knowledge Discovery 37, 2023.
    .. [2] A. Ermshaus, P. Schaefer, U. Leser, "Window size selection in unsupervised time series analytics", 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.temporal.changepoints import ProfileCost
    >>> t = np.arange(600)
    >>> signal = np.where(t < 300, np.sin(t / 4), np.sign(np.sin(t / 4)))[:, None]
    >>> ProfileCost(width=25, p_value=1e-10).find(signal).shape
    (1,)
    """

    def __init__(
        self,
        width: int | Literal["suss", "fourier", "autocorrelation"] = "suss",
        *,
        n_neighbors: int = 3,
        p_value: float = 1e-15,
        margin: float = 5.0,
    ) -> None:
        self.width = width
        self.n_neighbors = n_neighbors
        self.p_value = p_value
        self.margin = margin

    def find(self, signal: np.ndarray, n_changepoints: int | None = None, min_size: int = 1) -> np.ndarray:
        """Change points of one signal.

        Parameters
        ----------
        signal : ndarray of shape (n_frames, n_channels)
            The signal.
        n_changepoints : int, default=None
            Their number, instead of the test; fewer where no more fit.
        min_size : int, default=1
            Shortest segment, where it is longer than `margin` windows.

        Returns
        -------
        ndarray of int
            First frames of new segments, ascending. None in a signal that is too short for two segments.
        """
        self.check()
        n = len(signal)
        width = self.width if not isinstance(self.width, str) else window_width(signal, self.width)
        margin = max(int(self.margin * width), min_size, width + self.n_neighbors)
        threshold = norm.isf(self.p_value / 2) if n_changepoints is None else -np.inf
        limit = n if n_changepoints is None else n_changepoints
        found: list[int] = []
        queue: list[Any] = []
        self._consider(signal, 0, n, width, margin, threshold, queue)
        while queue and len(found) < limit:
            _, split, start, end = heapq.heappop(queue)
            if any(abs(split - other) < margin for other in found):
                continue
            found.append(split)
            for bounds in ((start, split), (split, end)):
                self._consider(signal, *bounds, width, margin, threshold, queue)
        return np.array(sorted(found), dtype=np.int64)

    def _consider(self, signal, start, end, width, margin, threshold, queue):
        """Put the best split of a part into the queue, if it is sure enough."""
        if end - start < 2 * margin:
            return
        scores, statistics = profile(signal[start:end], width, self.n_neighbors, margin)
        split = int(np.argmax(scores))
        if scores[split] > -np.inf and abs(statistics[split]) >= threshold:
            heapq.heappush(queue, (-scores[split], start + split, start, end))

    def check(self) -> None:
        """Raise ValueError for parameters that mean nothing."""
        if isinstance(self.width, str):
            if self.width not in WIDTHS:
                raise ValueError(f"width has to be a number of frames or one of {list(WIDTHS)}, got {self.width!r}.")
        elif not is_whole(self.width, 2):
            raise ValueError(f"width has to be a rule or at least 2 frames, got {self.width!r}.")
        whole = isinstance(self.n_neighbors, Integral)
        if not whole or self.n_neighbors < 1 or not 0 < self.p_value < 1 or not 1 <= self.margin < np.inf:
            raise ValueError("n_neighbors and margin have to be at least 1, and p_value between 0 and 1.")


def profile(signal, width, n_neighbors=3, margin=None):
    """Score and rank sum statistic of a split before every window of a signal, see `ProfileCost`."""
    from ._profile_kernels import nearest_windows, score_profile

    X = np.ascontiguousarray((signal - signal.mean(axis=0)).T)
    sums, squares = (np.pad(np.cumsum(V, axis=1), ((0, 0), (1, 0))) for V in (X, X**2))
    means = (sums[:, width:] - sums[:, :-width]) / width
    variances = (squares[:, width:] - squares[:, :-width]) / width - means**2
    scales = np.sqrt(np.maximum(variances, 0.0))
    flat = scales <= 1e-3 * np.maximum(X.std(axis=1, keepdims=True), 1e-300)
    inverse = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, scales))  # a flat window correlates with nothing
    neighbours = nearest_windows(X, width, n_neighbors, means, inverse)
    return score_profile(neighbours, width, width if margin is None else margin)


def window_width(signal, rule="suss"):
    """Frames that a window should have; the median over the channels.

    Parameters
    ----------
    signal : ndarray of shape (n_frames, n_channels)
        The signal.
    rule : {"suss", "fourier", "autocorrelation"}, default="suss"
        See `ProfileCost`.

    Returns
    -------
    int
    """
    rules = {"suss": _suss, "fourier": _half_period, "autocorrelation": _half_lag}
    widths = [rules[rule](x) for x in signal.T if x.max() > x.min()]
    return max(int(np.median(widths)), 2) if widths else _NARROWEST


def _suss(x, threshold=0.89):
    """Summary statistics subsequence: the search doubles the width, then bisects."""
    x = (x - x.min()) / (x.max() - x.min())
    n = len(x)
    sums, squares = np.r_[0.0, np.cumsum(x)], np.r_[0.0, np.cumsum(x**2)]

    def unlikeness(width):
        mean = (sums[width:] - sums[:-width]) / width
        deviation = np.sqrt(np.maximum((squares[width:] - squares[:-width]) / width - mean**2, 0.0))
        shift = width // 2
        high = maximum_filter1d(x, width)[shift : shift + n - width + 1]
        low = minimum_filter1d(x, width)[shift : shift + n - width + 1]
        distance = np.sqrt((mean - x.mean()) ** 2 + (deviation - x.std()) ** 2 + (high - low - 1.0) ** 2)
        return distance.mean() / np.sqrt(width)

    most, least = unlikeness(1), unlikeness(n - 1)
    if n <= _NARROWEST or most == least:
        return min(_NARROWEST, n)

    def like(width):
        return 1.0 - (unlikeness(width) - least) / (most - least)

    upper = 16
    while upper < n - 1 and like(upper) <= threshold:
        upper *= 2
    lower, upper = max(_NARROWEST, upper // 2), min(upper + 1, n - 1)
    while lower <= upper:
        middle = (lower + upper) // 2
        if like(middle) < threshold:
            lower = middle + 1
        else:
            upper = middle - 1
    return lower


def _half_period(x, longest=1000):
    spectrum = np.abs(np.fft.rfft(x - x.mean()))[1:]
    periods = len(x) // np.arange(1, len(spectrum) + 1)
    fits = (periods >= _NARROWEST) & (periods < longest)
    return periods[fits][np.argmax(spectrum[fits])] // 2 if fits.any() else _NARROWEST


def _half_lag(x, longest=1000):
    x = x - x.mean()
    n = len(x)
    spectrum = np.fft.rfft(x, 2 * n)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: n // 2]
    lags = np.arange(1, len(correlation) - 1)
    peak = (correlation[lags] > correlation[lags - 1]) & (correlation[lags] > correlation[lags + 1])
    lags = lags[peak & (lags >= _NARROWEST) & (lags < longest)]
    return lags[np.argmax(correlation[lags])] // 2 if len(lags) else _NARROWEST
