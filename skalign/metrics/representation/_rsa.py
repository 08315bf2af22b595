"""Representational similarity analysis."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.spatial.distance import num_obs_y, squareform

from ..._backend import astype, is_numpy, is_tensor, namespace, to_numpy
from ..._typing import ArrayLike, Metric, Score
from ..similarity import _squared_distances, _torch_distances, batches, unit_rows
from ._input import CHUNK, TIE, check_chunk_size, check_pair, check_side, report, two_of

METRICS = ("correlation", "cosine", "euclidean", "sqeuclidean", "precomputed")
COMPARISONS = ("pearson", "spearman", "cosine")


def rsa(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    metric: Metric | tuple[Metric, Metric] = "correlation",
    compare: Literal["pearson", "spearman", "cosine"] = "spearman",
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Correlation of the dissimilarities of all pairs of samples in one representation with those in the other.

    The comparison of neuroscience, for measurements that share nothing but the stimuli: cells, voxels, judgements,
    layers. Give dissimilarity matrices with ``metric="precomputed"``.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample. With a precomputed metric the dissimilarities: symmetric of shape
        (n_samples, n_samples), or the entries above the diagonal, row by row, of shape (n_samples (n_samples - 1)/2,).
    metric : {"correlation", "cosine", "euclidean", "sqeuclidean", "precomputed"}, callable or tuple of two
        Dissimilarity of samples, default "correlation", 1 - Pearson's r over the features. A callable is
        ``metric(A, B)``, called with some rows and all rows, and returns their matrix. A tuple gives X and Y one each.
    compare : {"pearson", "spearman", "cosine"}, default="spearman"
        How dissimilarities are compared. Ranks [2]_ ask for no linear relation between two instruments; "cosine" takes
        a dissimilarity of 0 seriously, where it means that samples cannot be told apart.
    chunk_size : int, default=None
        Samples compared with all others at a time; the score does not depend on it. None keeps a chunk at some 16 MB.
        Ranks need all n (n - 1) / 2 pairs in memory, the other comparisons a chunk.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score in [-1, 1], n_samples, n_pairs. Pairs share samples and are not independent: a p-value comes from
        `permutation_calibrate`, not from their number.

    Raises
    ------
    ValueError
        For NaN or infinity, unequal numbers of rows, fewer than 3 rows, constant input, a vector whose length is that
        of no triangle, and a matrix that is not square and symmetric.

    References
    ----------
    .. [1] N. Kriegeskorte, M. Mur, P. Bandettini, "Representational similarity analysis", Frontiers in Systems
       Neuroscience 2, 2008.
    .. [2] H. Nili, C. Wingfield, A. Walther, L. Su, W. Marslen-Wilson, N. Kriegeskorte, "A toolbox for
       representational similarity analysis", PLoS Computational Biology 10, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import rsa
    >>> X = np.random.default_rng(0).normal(size=(20, 5))
    >>> print(f"{rsa(X, 2 * X + 1):.3f}")
    1.000
    >>> print(f"{rsa([1.0, 2.0, 3.0], [1.0, 2.0, 9.0], metric='precomputed', compare='pearson'):.3f}")
    0.918
    """
    metrics = two_of(metric)
    check_options(metrics, compare)
    X, Y = (square_form(Z) if one == "precomputed" else Z for Z, one in zip((X, Y), metrics))
    X, Y = check_pair(X, Y, by=metrics)
    n, chunk_size = X.shape[0], check_chunk_size(chunk_size)
    first, second = (dissimilarities(Z, one) for Z, one in zip((X, Y), metrics))
    step = chunk_size or CHUNK // n
    if compare == "spearman":
        a, b = (ranks_of(upper_triangle(part, n, step)) for part in (first, second))
        score = _pearson(a, b)
    else:
        score = _in_chunks(first, second, n, step, centred=compare == "pearson")
    return report(score, return_details, n, n_pairs=n * (n - 1) // 2)


def check_options(metrics, compare):
    """Raise unless all are known."""
    for one in metrics:
        if not callable(one) and one not in METRICS:
            raise ValueError(f"metric must be callable or one of {METRICS}, got {one!r}.")
    if compare not in COMPARISONS:
        raise ValueError(f"compare must be one of {COMPARISONS}, got {compare!r}.")


def square_form(D):
    """A dissimilarity matrix of the entries above its diagonal; a matrix stays as it is."""
    if (D.ndim if hasattr(D, "ndim") else np.ndim(D)) != 1:
        return D
    values = to_numpy(D) if is_tensor(D) else np.asarray(D, dtype=float)
    try:
        num_obs_y(values)
    except ValueError:
        raise ValueError(f"{len(values)} dissimilarities are not n (n - 1) / 2 for any number n of samples.") from None
    square = squareform(values)
    return namespace(D).asarray(square, device=D.device) if is_tensor(D) else square


def dissimilarities(X, metric):
    """A function that gives the dissimilarities of some rows to all rows, in float64."""
    xp = namespace(X)
    if metric == "precomputed":
        return lambda rows: astype(X[rows], xp.float64)
    if callable(metric):
        return lambda rows: _checked(metric(X[rows], X), X[rows].shape[0], X.shape[0])
    X = astype(X, xp.float64)
    if metric in ("correlation", "cosine"):
        Z = unit_rows(X - xp.mean(X, axis=1, keepdims=True) if metric == "correlation" else X)
        return lambda rows: 1.0 - Z[rows] @ Z.T

    def distances(rows):
        if is_tensor(X):
            D = _torch_distances(X[rows], X, p=2)
            return D if metric == "euclidean" else D**2
        D = _squared_distances(X[rows], X)
        return np.sqrt(D, out=D) if metric == "euclidean" else D

    return distances


def _checked(D, *shape):
    D = D if is_tensor(D) else np.asarray(D, dtype=float)
    if tuple(D.shape) != shape or not bool(namespace(D).all(namespace(D).isfinite(D))):
        raise ValueError(f"metric must return a finite matrix of shape {shape}, got one of shape {tuple(D.shape)}.")
    return D


def upper_triangle(part, n, step):
    """All entries above the diagonal as a numpy vector."""
    out = np.empty(n * (n - 1) // 2)
    end = 0
    for rows in batches(n, step):
        block = to_numpy(part(rows))
        above = block[np.arange(n) > np.arange(n)[rows, None]]
        out[end : end + len(above)] = above
        end += len(above)
    return out


def ranks_of(values):
    """Ranks of the values; those that differ by no more than rounding share the mean of theirs."""
    order = np.argsort(values)
    ordered = values[order]
    tie = np.cumsum(np.diff(ordered, prepend=ordered[0]) > TIE * abs(ordered[[0, -1]]).max())
    size = np.bincount(tie)
    ranks = np.empty(len(values))
    ranks[order] = (np.cumsum(size) - (size - 1) / 2)[tie]
    return ranks


def check_varied(squares, scale, name):
    """Raise where dissimilarities vary by no more than rounding."""
    if squares <= (1e-14 * scale) ** 2 or squares == 0:
        raise ValueError(f"All dissimilarities of {name} are equal; there is nothing to correlate.")


def _pearson(a, b):
    a, b = a - a.mean(), b - b.mean()
    check_varied(a @ a, 0, "X")
    check_varied(b @ b, 0, "Y")
    return a @ b / np.sqrt(a @ a) / np.sqrt(b @ b)


def _in_chunks(first, second, n, step, centred):
    sums = np.zeros(5)
    shifts = None
    for rows in batches(n, step):
        blocks = [part(rows) for part in (first, second)]
        at = np.arange(n)[rows]
        if shifts is None:  # sums of squares of what is nearly centred lose no digits
            shifts = [float(block.sum()) / (block.shape[0] * n) if centred else 0.0 for block in blocks]
        for side, block in enumerate(blocks):
            block = block - shifts[side]
            block[at - at[0], at] = 0.0
            blocks[side] = block.reshape(-1)
        A, B = blocks
        sums += [float(A.sum()), float(B.sum()), float(A @ A), float(A @ B), float(B @ B)]
    a, b, aa, ab, bb = sums
    if centred:
        pairs = n * (n - 1)
        aa, ab, bb = aa - a * a / pairs, ab - a * b / pairs, bb - b * b / pairs
    check_varied(aa, n * shifts[0], "X")
    check_varied(bb, n * shifts[1], "Y")
    return ab / np.sqrt(aa) / np.sqrt(bb)


def compared_matrix(X, metric, compare, name, chunk_size=None):
    """The dissimilarities as a matrix of norm 1, such that the sum of a product of two is the score."""
    X = check_side(square_form(X) if metric == "precomputed" else X, name, by=metric)
    n = X.shape[0]
    part = dissimilarities(X, metric)
    if compare == "spearman":
        ranks = ranks_of(upper_triangle(part, n, chunk_size or CHUNK // n))
        D = squareform(ranks - ranks.mean())
    else:
        D = part(slice(None)) + 0.0
        at = np.arange(n)
        D[at, at] = 0.0
        if compare == "pearson":
            D -= D.sum() / (n * (n - 1))
            D[at, at] = 0.0
    squares = float((D * D).sum())
    check_varied(squares, 0, name)
    D /= np.sqrt(squares)
    if is_numpy(X):
        return D
    return D if is_tensor(D) else namespace(X).asarray(D, device=X.device)
