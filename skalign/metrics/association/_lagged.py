"""Dependence in time: at which delay one signal follows another."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from sklearn.utils import Bunch, check_random_state

from ..._backend import svd, to_numpy
from ..._input import as_view, is_whole
from ..._typing import ArrayLike, Seed
from .._ranking import check_count
from ..representation._input import check_equal_rows, check_side

_LEAST_PIVOT = 1e-10


def lagged_alignment(
    x: ArrayLike, y: ArrayLike, max_lag: int, *, n_permutations: int = 200, random_state: Seed = None
) -> Bunch:
    r"""Correlation of two signals at every delay, the best delay, and whether it is more than chance.

    Parameters
    ----------
    x, y : array-like of shape (n_times, p) and (n_times, q)
        Two signals, sampled at the same times. One dimension is one column. Widths may differ.
    max_lag : int
        Largest delay to look at, in samples.
    n_permutations : int, default=200
        Circular shifts of y to compare with, drawn from the n_times - 1 that there are.
    random_state : {None, int, RandomState}, default=None
        Of the shifts.

    Returns
    -------
    Bunch
        - lags : int ndarray of shape (2 max_lag + 1,), from -max_lag to max_lag
        - correlations : float ndarray, of x at time t and y at time t + lag: Pearson's for two signals of one column,
          else the first canonical correlation
        - best_lag : int, where the absolute correlation times the square root of the share of samples that overlap is
          largest; positive where y comes later than x
        - score : float, the correlation there
        - null : float ndarray of shape (n_permutations,), the largest such product over all lags for shifted y
        - pvalue : float, the share of shifts, none among them, that have as large a one

    Raises
    ------
    ValueError
        For NaN or infinity, unequal lengths, constant signals, and signals too short for their width or for `max_lag`.

    See Also
    --------
    skalign.DTWAligner : For delays that change along the signal.

    Notes
    -----
    Neighbouring samples of a signal are alike, and two smooth signals that have nothing to do with each other correlate
    strongly at some delay. A circular shift keeps each signal as it is and undoes only their relation in time, and the
    largest value over all delays is compared with the largest over all delays: the p-value holds for stationary
    signals, also for the best of many delays, and nearly so for the seam that a shift makes. Trends are not stationary:
    remove them first.

    Short shifts take part. Delays of 2 `max_lag` + 1 samples in n_times are only n_times / (2 `max_lag` + 1) windows
    that differ, and a best delay that lies in the best of them by chance lies there after a short shift too; without
    these, twice as many unrelated signals as there should be pass a level of 0.05. So the p-value of signals that do
    belong together is not small either where `max_lag` is a large part of n_times: take no larger one than is needed.
    The square root makes chance alike at all delays, and a shift that brings the right pairs back, but fewer of them,
    count less.

    A first canonical correlation [1]_ is larger than 0 by chance, the more so the wider and the shorter the signals
    are; the null tells by how much. At every delay it is that of the samples that overlap.

    References
    ----------
    .. [1] H. Hotelling, "Relations between two sets of variates", Biometrika 28, 1936.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.association import lagged_alignment
    >>> rng = np.random.default_rng(0)
    >>> source = rng.normal(size=520)
    >>> x = source[20:, None] + rng.normal(size=(500, 3))
    >>> y = source[13:513, None] * [1, -1] + rng.normal(size=(500, 2))
    >>> found = lagged_alignment(x, y, 30, random_state=0)
    >>> print(found.best_lag, round(found.pvalue, 3))
    7 0.01
    """
    if not is_whole(max_lag, 0):
        raise ValueError(f"max_lag must be a whole number of at least 0, got {max_lag!r}.")
    check_count("n_permutations", n_permutations)
    x, y = (to_numpy(check_side(as_view(z), name)) for z, name in ((x, "x"), (y, "y")))
    check_equal_rows(x, y)
    x, y = _white(x), _white(y)
    n, widths = len(x), (x.shape[1], y.shape[1])
    if n < 2 * max_lag + 2 or n - max_lag <= sum(widths) + 1:
        raise ValueError(
            f"{n} samples are too few for max_lag={max_lag} and signals of {widths[0]} and {widths[1]} columns: at "
            f"least {max(2 * max_lag + 2, max_lag + sum(widths) + 2)} are needed."
        )
    lags = np.arange(-max_lag, max_lag + 1)
    curve = _Curve(x, lags)
    correlations = curve(y)
    weights = np.sqrt(1.0 - np.abs(lags) / n)
    evidence = weights * np.abs(correlations)
    best = int(np.argmax(evidence))
    rng = check_random_state(random_state)
    shifts = 1 + rng.choice(n - 1, min(n_permutations, n - 1), replace=False)
    null = np.array([(weights * np.abs(curve(np.roll(y, shift, axis=0)))).max() for shift in shifts])
    at_least = np.count_nonzero(null >= evidence[best] * (1 - 1e-12))
    return Bunch(
        lags=lags,
        correlations=correlations,
        best_lag=int(lags[best]),
        score=float(correlations[best]),
        null=null,
        pvalue=float((1 + at_least) / (1 + len(null))),
    )


def _white(Z):
    """A signal in white coordinates; columns that are sums of others are gone. One column keeps its sign."""
    Z = Z.astype(np.float64)
    Z = Z - Z.mean(axis=0)
    norms = np.linalg.norm(Z, axis=0)
    Z = Z[:, norms > 0] / norms[norms > 0]
    if Z.shape[1] > 1:
        U, s, _ = svd(Z)
        Z = U[:, s > 10 * max(Z.shape) * np.finfo(np.float64).eps * s[0]]
    return Z * np.sqrt(len(Z))


class _Curve:
    """First canonical correlation of a signal and another at every lag, signed where both have one column.

    Sums over the samples that overlap are those over all samples less those at the ends, and products at all lags come
    from one Fourier transform of each column.
    """

    def __init__(self, x, lags):
        self.x, self.lags, self.n = x, lags, len(x)
        self.size = next_fast_len(self.n + lags[-1], real=True)
        self.transformed = rfft(x, self.size, axis=0)
        self.sums, self.inverse_root = self._ends(x, -lags)

    def __call__(self, y):
        sums, root = self._ends(y, self.lags)
        transformed = rfft(y, self.size, axis=0)
        products = np.stack(
            [
                irfft(column.conj()[:, None] * transformed, self.size, axis=0)[self.lags]
                for column in self.transformed.T
            ],
            axis=1,
        )
        overlap = (self.n - np.abs(self.lags))[:, None, None]
        cross = products - self.sums[:, :, None] * sums[:, None, :] / overlap
        whitened = self.inverse_root @ cross @ root.transpose(0, 2, 1)
        if whitened.shape[1:] == (1, 1):
            return np.clip(whitened[:, 0, 0], -1.0, 1.0)
        return np.minimum(np.linalg.svd(whitened, compute_uv=False)[:, 0], 1.0)

    def _ends(self, Z, lags):
        """Sums over the overlap at every lag, and what whitens the centred products; from sample max(lag, 0) on."""
        start, stop = np.maximum(lags, 0), self.n + np.minimum(lags, 0)
        longest = int(np.abs(lags).max())
        ends = (Z[:longest], start), (Z[::-1][:longest], self.n - stop)
        sums = Z.sum(axis=0) - sum(_heads(end)[count] for end, count in ends)
        squares = Z.T @ Z - sum(_heads(end[:, :, None] * end[:, None, :])[count] for end, count in ends)
        covariances = squares - sums[:, :, None] * sums[:, None, :] / (stop - start)[:, None, None]
        values, vectors = np.linalg.eigh(covariances)
        if (values[:, 0] <= _LEAST_PIVOT * self.n).any():
            raise ValueError("A signal is constant in the part that overlaps at some lag: take a smaller max_lag.")
        return sums, (vectors / np.sqrt(values)[:, None, :]).transpose(0, 2, 1)


def _heads(Z):
    """Sums of the first 0, 1, ..., all samples."""
    return np.concatenate([np.zeros((1, *Z.shape[1:])), np.cumsum(Z, axis=0)])
