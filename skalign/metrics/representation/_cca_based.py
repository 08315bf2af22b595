"""Scores that learn a map between two representations on some samples and judge it on others."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import KFold

from ..._backend import astype, eigh, namespace, svd, to_numpy
from ..._typing import ArrayLike, Score, Seed
from ..similarity import batches
from ._input import ROWS, check_chunk_size, check_count, check_pair, report

_ROUNDING = 1e-14  # of sums of squares, relative


def svcca(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    variance: float = 0.99,
    n_components: int | None = None,
    cv: Any = 5,
    random_state: Seed = 0,
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Mean canonical correlation of the leading principal components, on samples that were not fitted.

    Invariant to all invertible linear maps up to what the principal components leave out. In-sample, this score is
    1.0 for any two representations at least as wide as there are samples; held out, it says what carries over.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample.
    variance : float, default=0.99
        Share of the variance of each side that its principal components keep, in (0, 1]; .99 is that of the paper.
    n_components : int, default=None
        At most so many principal components. There are never more than half as many as samples to fit on, for with
        more the canonical variates are not determined.
    cv : int, splitter or iterable of (train, test), default=5
        Samples to fit on and samples to score on. An int is so many folds of shuffled samples. Samples that belong
        together, frames of one video say, belong in one fold: give the splits of a `GroupKFold`.
    random_state : {None, int, RandomState}, default=0
        Of the shuffle for an int `cv`. The default gives all scores the same folds.
    chunk_size : int, default=None
        Rows of centred copies in memory at a time; the score does not depend on it. None keeps a chunk at some 4 MB.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score (mean over the folds), n_samples, fold_scores, n_components (per fold).

    Raises
    ------
    ValueError
        For NaN or infinity, unequal numbers of rows, constant input, and folds of fewer than 3 samples to fit or score.

    References
    ----------
    .. [1] M. Raghu, J. Gilmer, J. Yosinski, J. Sohl-Dickstein, "SVCCA: Singular vector canonical correlation analysis
       for deep learning dynamics and interpretability", NIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import svcca
    >>> rng = np.random.default_rng(0)
    >>> X, noise = rng.normal(size=(2, 300, 60))
    >>> print(f"{svcca(X, X @ rng.normal(size=(60, 60)), variance=1.0):.3f} {abs(svcca(X, noise)) < 0.1}")
    1.000 True
    """
    return _held_out_cca(X, Y, variance, n_components, cv, random_state, chunk_size, return_details, weighted=False)


def pwcca(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    variance: float = 0.99,
    n_components: int | None = None,
    cv: Any = 5,
    random_state: Seed = 0,
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Canonical correlations weighted by how much of X each canonical variate accounts for, held out.

    Like `svcca`, but directions that carry little of X count for little. Not symmetric in X and Y.

    Parameters
    ----------
    X, Y, variance, n_components, cv, random_state, chunk_size, return_details
        As for `svcca`.

    Returns
    -------
    float, or Bunch with
        score (mean over the folds), n_samples, fold_scores, n_components (per fold).

    Raises
    ------
    ValueError
        As `svcca`.

    References
    ----------
    .. [1] A. Morcos, M. Raghu, S. Bengio, "Insights on representational similarity in neural networks with canonical
       correlation", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import pwcca, svcca
    >>> X, noise = np.random.default_rng(0).normal(size=(2, 200, 4))
    >>> X = X * [10, 1, 1, 1]
    >>> Y = np.column_stack([X[:, 0], noise])
    >>> print(f"{pwcca(X, Y, variance=1.0):.2f} {svcca(X, Y, variance=1.0):.2f}")
    0.71 0.32
    """
    return _held_out_cca(X, Y, variance, n_components, cv, random_state, chunk_size, return_details, weighted=True)


def linear_predictivity(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    alphas: ArrayLike | None = None,
    statistic: Literal["r2", "pearson"] = "r2",
    cv: Any = 5,
    random_state: Seed = 0,
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """How well a ridge regression from X predicts Y on samples that were not fitted. Not symmetric.

    The usual score of models of the brain: X are the features of a model, Y what was recorded.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample; Y is predicted.
    alphas : sequence of float, default=None
        Penalties, relative to the mean eigenvalue of the covariance of X, greater than 0. Generalised cross-validation
        within the fitted part takes the best. None is 13 of them from 1e-6 to 1e6.
    statistic : {"r2", "pearson"}, default="r2"
        Share of the variance of Y that is predicted, over all columns together; it is negative where the mean of the
        fitted part would have done better. Or the mean over the columns of Pearson's r.
    cv, random_state, chunk_size, return_details
        As for `svcca`.

    Returns
    -------
    float, or Bunch with
        score (mean over the folds), n_samples, fold_scores, alphas (those taken, per fold).

    Raises
    ------
    ValueError
        As `svcca`, and for penalties that are not greater than 0.

    References
    ----------
    .. [1] M. Schrimpf et al., "Brain-Score: Which artificial neural network for object recognition is most
       brain-like?", bioRxiv 407007, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import linear_predictivity
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10))
    >>> Y = X @ rng.normal(size=(10, 3)) + rng.normal(size=(200, 3))
    >>> print(f"{linear_predictivity(X, Y):.2f}")
    0.91
    >>> linear_predictivity(rng.normal(size=(200, 10)), Y) < 0.05
    True
    """
    alphas = np.logspace(-6, 6, 13) if alphas is None else np.asarray(alphas, dtype=float)
    if alphas.ndim != 1 or not len(alphas) or not np.all((alphas > 0) & (alphas < np.inf)):
        raise ValueError(f"alphas must be numbers greater than 0, got {alphas!r}.")
    if statistic not in ("r2", "pearson"):
        raise ValueError(f"statistic must be 'r2' or 'pearson', got {statistic!r}.")
    X, Y = check_pair(X, Y, min_samples=6)
    chunk_size = check_chunk_size(chunk_size)
    scores, taken = [], []
    for train, test in _folds(X.shape[0], cv, random_state):
        axes = _Axes(X, train, chunk_size)
        centre = _mean(Y, train, chunk_size)
        cross = axes.cross(Y, centre, chunk_size)  # (rank, q), of columns of length 1
        total = sum(float((block**2).sum()) for block in _blocks(Y, centre, train, chunk_size))
        explained = to_numpy((cross**2).sum(1))
        n = len(train)
        errors = []
        values = to_numpy(axes.values)
        penalties = alphas * values.sum() / min(n, X.shape[1])
        for penalty in penalties:
            kept = values / (values + penalty)
            residual = max(total - explained @ (2 * kept - kept**2), 0.0)
            errors.append(residual / max(n - 1 - kept.sum(), 1e-3 * n) ** 2)
        best = int(np.argmin(errors))
        taken.append(float(alphas[best]))
        shrink = axes.values / (axes.values + float(penalties[best]))
        weights = axes.whitening @ (shrink[:, None] * cross)
        scores.append(_score(X, Y, axes.centre, centre, weights, test, chunk_size, statistic))
    return report(np.mean(scores), return_details, X.shape[0], fold_scores=np.array(scores), alphas=taken)


def _score(X, Y, centre_x, centre_y, weights, test, chunk_size, statistic):
    sums: Any = 0.0
    blocks = zip(_blocks(X, centre_x, test, chunk_size, Y.shape[1]), _blocks(Y, centre_y, test, chunk_size, X.shape[1]))
    for A, B in blocks:
        P = A @ weights
        terms = ((B - P) ** 2, B**2, P, B, P**2, P * B)
        sums = sums + np.stack([to_numpy(term.sum(0)) for term in terms])
    errors, squares, p, b, pp, pb = sums
    if statistic == "r2":
        if not squares.sum() > 0:
            raise ValueError("Y is constant in the scored part of a fold.")
        return 1.0 - errors.sum() / squares.sum()
    m = len(test)
    return float(np.mean(_correlations(pb - p * b / m, pp - p * p / m, squares - b * b / m, pp, squares)))


def _correlations(ab, aa, bb, size_a, size_b):
    """Correlation of centred sums of products; 0 where a side is constant beside its sums before centring."""
    flat = (aa <= _ROUNDING * size_a) | (bb <= _ROUNDING * size_b)
    aa, bb = (np.where(flat, 1.0, own) for own in (aa, bb))
    return np.where(flat, 0.0, ab) / np.sqrt(aa) / np.sqrt(bb)


def _held_out_cca(X, Y, variance, n_components, cv, random_state, chunk_size, return_details, weighted):
    if isinstance(variance, bool) or not 0 < variance <= 1:
        raise ValueError(f"variance must be a share in (0, 1], got {variance!r}.")
    if n_components is not None:
        check_count("n_components", n_components)
    X, Y = check_pair(X, Y, min_samples=6)
    chunk_size = check_chunk_size(chunk_size)
    scores, numbers = [], []
    for train, test in _folds(X.shape[0], cv, random_state):
        axes = [_Axes(Z, train, chunk_size).leading(variance, n_components) for Z in (X, Y)]
        cross = axes[0].cross(Y, axes[1].centre, chunk_size) @ axes[1].whitening
        U, _, Vt = svd(cross)
        # Canonical variates of the samples that were held out; numpy has few enough of them.
        Z = [
            np.concatenate([to_numpy(block @ map_) for block in _blocks(data, side.centre, test, chunk_size)])
            for data, side, map_ in ((X, axes[0], axes[0].whitening @ U), (Y, axes[1], axes[1].whitening @ Vt.T))
        ]
        a, b = (z - z.mean(axis=0) for z in Z)
        r = _correlations(*((c * d).sum(axis=0) for c, d in ((a, b), (a, a), (b, b), (Z[0], Z[0]), (Z[1], Z[1]))))
        # Inner products of the variates with the features of X: the whitened axes have those of the eigenvectors times
        # the square root of the eigenvalues.
        weights = to_numpy(abs((axes[0].whitening * axes[0].values) @ U).sum(0)) if weighted else np.ones(len(r))
        scores.append(np.average(r, weights=weights))
        numbers.append(len(r))
    return report(np.mean(scores), return_details, X.shape[0], fold_scores=np.array(scores), n_components=numbers)


class _Axes:
    """Principal axes of some rows of a table.

    Attributes
    ----------
    centre : array of shape (p,)
    values : array of shape (r,), squared singular values of the centred rows, largest first
    whitening : array of shape (p, r); the centred rows times it have orthonormal columns
    """

    def __init__(self, X, rows, chunk_size):
        xp = namespace(X)
        self.X, self.train = X, rows
        self.centre = _mean(X, rows, chunk_size)
        n, p = len(rows), X.shape[1]
        if n > p:
            C = 0.0
            for block in _blocks(X, self.centre, rows, chunk_size):
                C = C + block.T @ block
            values, vectors = eigh(C)
        else:
            _, s, Vt = svd(astype(X[rows], xp.float64) - self.centre)
            values, vectors = s**2, Vt.T
        if not float(values[0]) > 0:
            raise ValueError("A representation is constant in the fitted part of a fold.")
        eps = np.finfo(np.float64).eps
        rank = max(1, min(int((values > 8 * max(n, p) * eps * values[0]).sum()), n - 1))
        self.values = values[:rank]
        self.whitening = vectors[:, :rank] / xp.sqrt(self.values)

    def leading(self, variance, n_components):
        """Keep the axes of most variance."""
        shares = np.cumsum(to_numpy(self.values))
        number = int(np.searchsorted(shares, variance * shares[-1] * (1 - 1e-12))) + 1
        # Two subspaces of more dimensions than there are samples meet: correlations of 1 whatever the data, in
        # directions that rounding picks.
        number = min(number, n_components or number, len(shares), max(1, (len(self.train) - 1) // 2))
        self.values, self.whitening = self.values[:number], self.whitening[:, :number]
        return self

    def cross(self, Y, centre, chunk_size):
        """Products of the whitened rows with those of another table; shape (r, q)."""
        total = 0.0
        pairs = zip(
            _blocks(self.X, self.centre, self.train, chunk_size, Y.shape[1]),
            _blocks(Y, centre, self.train, chunk_size, self.X.shape[1]),
        )
        for A, B in pairs:
            total = total + (A @ self.whitening).T @ B
        return total


def _blocks(X, centre, rows, chunk_size, width=0):
    """Centred rows, some at a time; `width` is that of the table that is walked through beside this one."""
    xp = namespace(X)
    for part in batches(len(rows), chunk_size or max(256, ROWS // max(X.shape[1], width))):
        yield astype(X[rows[part]], xp.float64) - centre


def _mean(X, rows, chunk_size):
    return sum(block.sum(0) for block in _blocks(X, 0.0, rows, chunk_size)) / len(rows)


def _folds(n, cv, random_state):
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if not 2 <= cv <= n // 3:
            raise ValueError(f"cv={cv} folds need at least 2 folds and 3 samples in each, but n={n}.")
        cv = KFold(int(cv), shuffle=True, random_state=random_state)
    splits = cv.split(np.zeros((n, 1))) if hasattr(cv, "split") else cv
    splits = [tuple(np.asarray(part) for part in split) for split in splits]
    splits = [tuple(np.flatnonzero(part) if part.dtype == bool else part for part in split) for split in splits]
    if not splits:
        raise ValueError("cv gives no split.")
    for train, test in splits:
        if min(len(train), len(test)) < 3:
            raise ValueError(f"A fold has {len(train)} samples to fit and {len(test)} to score; both need at least 3.")
        if len(np.intersect1d(train, test)):
            raise ValueError("A fold scores samples that it was fitted on.")
    return splits
