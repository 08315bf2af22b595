"""Scores of how many neighbours two representations share."""

from __future__ import annotations

import numpy as np

from ..._typing import ArrayLike, Metric, Score
from ..similarity import batches
from ._input import check_chunk_size, check_neighbors, check_pair, report, two_of
from ._neighbors import check_metric, find_neighbors


def mutual_knn(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 10,
    metric: Metric | tuple[Metric, Metric] = "cosine",
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Share of the k nearest neighbours of a sample that two representations have in common.

    The measure of the Platonic Representation Hypothesis [1]_. It asks for local geometry alone, and so finds alignment
    where kernels as wholes differ. For independent representations it is k / (n - 1) on average: compare scores at
    one n and k only, or calibrate them with `permutation_calibrate`.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample. With a precomputed metric (n_samples, n_samples), symmetric.
    k : int, default=10
        Neighbours, fewer than n_samples; 10 is the choice of the paper.
    metric : {"cosine", "euclidean", "precomputed"}, callable or tuple of two, default="cosine"
        Distance that decides who is near. "precomputed": X and Y are matrices of distances (small is near).
        A callable is ``metric(A, B)``, called with some rows and all rows, and returns their matrix of distances.
        A tuple gives X and Y one each.
    chunk_size : int, default=None
        Samples compared with all others at a time; the score does not depend on it. None keeps a chunk at some 16 MB.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score, n_samples, k, chance (k / (n - 1)), per_sample of shape (n_samples,).

    Raises
    ------
    ValueError
        For NaN or infinity, unequal numbers of rows, constant input, k not below n_samples, and precomputed distances
        that are not square and symmetric.

    Notes
    -----
    Where rows lie equally far away at the k-th place, each of them is a neighbour in part: the score is what it would
    be on average if such ties fell at random, in X and in Y apart. It does not depend on the order of rows, which
    decides ties in an ordinary sort, and its mean for independent representations stays k / (n - 1). A representation
    with such ties scores below 1 even with itself. A row is never its own neighbour, but its duplicates can be.

    References
    ----------
    .. [1] M. Huh, B. Cheung, T. Wang, P. Isola, "The Platonic Representation Hypothesis", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import mutual_knn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 5))
    >>> Y = X + 0.5 * rng.normal(size=X.shape)
    >>> result = mutual_knn(X, Y, k=10, return_details=True)
    >>> print(f"{result.score:.3f}, by chance {result.chance:.3f}, n = {result.n_samples}")
    0.382, by chance 0.050, n = 200
    """
    A, B = neighbor_pair(X, Y, k, metric, chunk_size)
    n = A.n_samples
    rows, both = shared(A, B)
    per_sample = np.bincount(rows, both, minlength=n) / k
    return report(both.sum() / (n * k), return_details, n, k=k, chance=k / (n - 1), per_sample=per_sample)


def cycle_knn(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 10,
    metric: Metric | tuple[Metric, Metric] = "cosine",
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Share of samples that come back to themselves: by a neighbour in Y and a neighbour of that one in X.

    The most lenient of the neighbour scores, one way back among k * k is enough. Not symmetric in X and Y.

    Parameters
    ----------
    X, Y, k, metric, chunk_size
        As for `mutual_knn`.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score, n_samples, k, per_sample of shape (n_samples,), the probability to come back.

    Raises
    ------
    ValueError
        As `mutual_knn`.

    Notes
    -----
    Ties at the k-th place fall at random, as in `mutual_knn`; the score is the exact mean over that.

    References
    ----------
    .. [1] M. Huh, B. Cheung, T. Wang, P. Isola, "The Platonic Representation Hypothesis", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import cycle_knn
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> print(f"{cycle_knn(X, X + 0.1, k=5):.3f} {cycle_knn(X, X[::-1], k=5):.3f}")
    1.000 0.120
    """
    A, B = neighbor_pair(X, Y, k, metric, chunk_size)
    back = lookup(A, B.columns, B.rows)
    per_sample = any_hit(B, back)
    return report(per_sample.mean(), return_details, A.n_samples, k=k, per_sample=per_sample)


def edit_distance_knn(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 10,
    metric: Metric | tuple[Metric, Metric] = "cosine",
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Likeness of the ordered lists of neighbours: 1 - edit distance / k, averaged over samples.

    Stricter than `mutual_knn`, for the neighbours must also come in the same order.

    Parameters
    ----------
    X, Y, k, metric, chunk_size
        As for `mutual_knn`.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score, n_samples, k, per_sample of shape (n_samples,).

    Raises
    ------
    ValueError
        As `mutual_knn`.

    Notes
    -----
    The Levenshtein distance: insertions, deletions and substitutions, 1 each. At a place where neighbours tie each of
    them stands with equal probability, and a substitution costs the probability that the two places differ; so the
    score does not depend on the order of rows. Without ties this is the ordinary distance.

    References
    ----------
    .. [1] M. Huh, B. Cheung, T. Wang, P. Isola, "The Platonic Representation Hypothesis", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import edit_distance_knn
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> print(f"{edit_distance_knn(X, 2 * X):.3f} {edit_distance_knn(X, X + 0.1):.3f}")
    1.000 0.607
    """
    A, B = neighbor_pair(X, Y, k, metric, chunk_size)
    per_sample = list_similarity(A, B)
    return report(per_sample.mean(), return_details, A.n_samples, k=k, per_sample=per_sample)


def neighbor_pair(X, Y, k, metric, chunk_size):
    """`Neighbors` of both sides, after all checks."""
    metrics = two_of(metric)
    for one in metrics:
        check_metric(one)
    X, Y = check_pair(X, Y, by=metrics)
    k, chunk_size = check_neighbors(k, X.shape[0]), check_chunk_size(chunk_size)
    return tuple(find_neighbors(Z, one, k, chunk_size) for Z, one in zip((X, Y), metrics))


def shared(A, B):
    """Rows of the pairs in both, and the probability that both have them."""
    at, found = _positions(_keys(A), _keys(B))
    return B.rows[found], A.weights[at[found]] * B.weights[found]


def lookup(A, rows, columns):
    """Weights of pairs in `A`, 0 where they are none."""
    at, found = _positions(_keys(A), rows * A.n_samples + columns)
    return np.where(found, A.weights[at], 0.0)


def _keys(A):
    return A.rows * A.n_samples + A.columns


def _positions(keys, wanted):
    """Where numbers stand among `keys`, and which are there at all."""
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return at, keys[at] == wanted


def any_hit(B, hit):
    """Probability that one neighbour at least hits, for each row of `B`, given the probability for each neighbour."""
    miss = 1.0 - hit
    sure = B.weights == 1.0
    missed = np.ones(B.n_samples)
    np.multiply.at(missed, B.rows[sure], miss[sure])
    rows, first, size = np.unique(B.rows[~sure], return_index=True, return_counts=True)
    starts, tied = B.start[~sure], miss[~sure]
    for row, at, number in zip(rows, first, size):
        missed[row] *= _mean_product(tied[at : at + number], B.k - starts[at])
    return 1.0 - missed


def _mean_product(values, m):
    """Mean of the product over all choices of `m` of the values."""
    # The elementary symmetric polynomial over the number of choices, one value at a time: mean[c] is the mean over
    # choices of c among those seen.
    mean = np.zeros(m + 1)
    mean[0] = 1.0
    counts = np.arange(1, m + 1)
    for seen, value in enumerate(values, start=1):
        share = np.minimum(counts / seen, 1.0)
        mean[1:] = share * value * mean[:-1] + (1 - share) * mean[1:]
    return mean[m]


def list_similarity(A, B):
    """1 - edit distance / k of the lists of neighbours of each row."""
    n, k = A.n_samples, A.k
    by_row = np.searchsorted(A.rows, np.arange(n + 1)), np.searchsorted(B.rows, np.arange(n + 1))
    out = np.empty(n)
    for rows in batches(n, 2**21 // k**2):
        first, second = (slice(edges[rows.start], edges[rows.stop]) for edges in by_row)
        out[rows] = 1 - _edit_distances(_agreement(A, B, first, second, rows)) / k
    return out


def _agreement(A, B, first, second, part):
    """Probability that place a of the list in A and place b of that in B hold the same row; (n_rows, k, k).

    `first` and `second` are the pairs of A and of B that belong to the rows `part`.
    """
    k = A.k
    agreement = np.zeros((part.stop - part.start, k, k))
    at, found = _positions(B.rows[second] * B.n_samples + B.columns[second],
                           A.rows[first] * A.n_samples + A.columns[first])  # fmt: skip
    at_a, at_b = first.start + np.flatnonzero(found), second.start + at[found]
    # Every member of a tie stands at each of its places with probability 1 / size; those after the k-th are not listed.
    places_a, places_b = (np.minimum(N.start[i] + N.size[i], k) - N.start[i] for N, i in ((A, at_a), (B, at_b)))
    pair = np.repeat(np.arange(len(at_a)), places_a * places_b)
    step = np.arange(len(pair)) - np.repeat(np.cumsum(places_a * places_b) - places_a * places_b, places_a * places_b)
    a, b = np.divmod(step, places_b[pair])
    at_a, at_b = at_a[pair], at_b[pair]
    where = (A.rows[at_a] - part.start, A.start[at_a] + a, B.start[at_b] + b)
    np.add.at(agreement, where, 1.0 / (A.size[at_a] * B.size[at_b]))
    return agreement


def _edit_distances(agreement):
    """Levenshtein distance of two lists of equal length whose places agree with some probability; shape (rows,)."""
    n, k = agreement.shape[:2]
    above = np.broadcast_to(np.arange(k + 1.0)[:, None], (k + 1, n)).copy()
    for i in range(k):
        current = np.empty_like(above)
        current[0] = i + 1
        for j in range(k):
            substitution = above[j] + 1 - agreement[:, i, j]
            current[j + 1] = np.minimum(np.minimum(above[j + 1], current[j]) + 1, substitution)
        above = current
    return above[k]
