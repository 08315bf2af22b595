"""Cross-modal retrieval: does a row of one view find its partner in the other?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.special import gammaln

from .._typing import ArrayLike, Direction, Metric
from ._ranking import DIRECTIONS, Ranking, check_count, check_direction, mean_over
from ._ties import TiedRanks


def match_ranks(
    Z_a: ArrayLike | None = None, Z_b: ArrayLike | None = None, *, direction: Literal["a_to_b", "b_to_a"] = "a_to_b",
    similarity: ArrayLike | None = None, groups: ArrayLike | None = None, groups_b: ArrayLike | None = None,
    function: Metric = "cosine", normalization: Literal["csls", "inverted_softmax"] | None = None,
    n_neighbors: int = 10, beta: float = 30.0, chunk_size: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Rank of the right answer to each query, 1 being the best.

    Every row of one side is a query that ranks all rows of the other by similarity. The other retrieval metrics take
    the same options.

    Parameters
    ----------
    Z_a, Z_b : {array-like, sparse matrix, torch tensor} of shape (n_a, d) and (n_b, d)
        Embeddings in one space. Without `groups`, row i of one is the right answer to row i of the other.
    direction : {"a_to_b", "b_to_a"}, default="a_to_b"
        "a_to_b": rows of `Z_a` are queries, rows of `Z_b` the candidates. The metrics also take "both", their
        default, which is the mean of the two.
    similarity : {array-like, torch tensor} of shape (n_a, n_b), default=None
        Similarities computed elsewhere, higher is more similar, instead of `Z_a` and `Z_b`.
    groups : array-like of shape (n_a,), default=None
        Labels of the rows of side a (and of side b, where `groups_b` is None). All candidates of the query's group
        are right, and the rank is that of the first of them.
    groups_b : array-like of shape (n_b,), default=None
        Labels of the rows of side b, for sides of unequal numbers such as five captions per image.
    function : str or callable, default="cosine"
        Similarity of embeddings, see `pairwise_similarity`. A callable gets a part of one side and all of the other,
        so it must treat each pair of rows by itself. ``functools.partial(pairwise_similarity, function="rbf",
        gamma=0.1)`` sets parameters.
    normalization : {None, "csls", "inverted_softmax"}, default=None
        Correction for hubs, candidates that are near to every query. "csls" [1]_ subtracts the mean similarity to the
        `n_neighbors` nearest rows of the other side, "inverted_softmax" [2]_ normalises over the queries instead of
        the candidates. Both look at all queries together, which a system that answers one at a time cannot.
    n_neighbors : int, default=10
        Neighbours in "csls"; 10 is the choice of the paper.
    beta : float, default=30.0
        Inverse temperature of "inverted_softmax", in 1 / unit of the similarity; 30 is customary for cosines.
    chunk_size : int, default=None
        Queries compared with all candidates at a time; no result depends on it. None keeps a chunk of the similarity
        matrix at about 32 MB.

    Returns
    -------
    ndarray of shape (n_queries,)
        Ranks. Candidates that score the same stand in random order, and the rank is the expected one:
        ``1 + n_better + n_tied_wrong / (n_tied_right + 1)``.

    Raises
    ------
    ValueError
        For unequal numbers of rows without groups, a query without any right answer, NaN or infinite similarities,
        and options outside their range.

    Notes
    -----
    Similarities of embeddings are computed in float64, and differences within their rounding count as ties: 16 units
    of rounding, of the product of the lengths for "cosine" and "dot", of the similarity itself for the others. Entries
    of a `similarity` matrix are compared as they are. Memory is that of one chunk; time is that of the similarity
    and two comparisons, since nothing is sorted.

    References
    ----------
    .. [1] A. Conneau et al., "Word translation without parallel data", ICLR 2018.
    .. [2] S. L. Smith et al., "Offline bilingual word vectors, orthogonal transformations and the inverted softmax",
       ICLR 2017.

    Examples
    --------
    >>> from skalign.metrics import match_ranks
    >>> match_ranks([[1, 0], [0, 1], [1, 1]], [[1, 0], [1, 0], [1, 1]])
    array([1.5, 2.5, 1. ])
    """
    check_direction(direction, DIRECTIONS)
    options = dict(
        groups=groups,
        groups_b=groups_b,
        function=function,
        normalization=normalization,
        n_neighbors=n_neighbors,
        beta=beta,
        chunk_size=chunk_size,
    )
    return Ranking(Z_a, Z_b, similarity=similarity, **options).ranks(direction).mean_rank()


def recall_at_k(
    Z_a: ArrayLike | None = None, Z_b: ArrayLike | None = None, *, k: int = 1, direction: Direction = "both",
    **options: Any,
) -> float:  # fmt: skip
    """Share of queries with a right answer among the first `k` candidates.

    Parameters
    ----------
    Z_a, Z_b : {array-like, sparse matrix, torch tensor} of shape (n_a, d) and (n_b, d)
        Embeddings; row i of one matches row i of the other unless ``groups=`` says otherwise.
    k : int, default=1
        Length of the list that is looked at. With `k` of at least the number of candidates the recall is 1.
    direction : {"both", "a_to_b", "b_to_a"}, default="both"
        Which side asks; "both" is the mean of the two.
    **options
        ``similarity``, ``groups``, ``groups_b``, ``function``, ``normalization``, ``n_neighbors``, ``beta`` and
        ``chunk_size`` of `match_ranks`.

    Returns
    -------
    float
        Between 0 and 1, higher is better; chance is k / n_candidates. Under ties, the probability that a right answer
        is among the first `k` when equal candidates stand in random order.

    Raises
    ------
    ValueError
        As `match_ranks`, and for a `k` below 1.

    Examples
    --------
    >>> from skalign.metrics import recall_at_k
    >>> recall_at_k([[1, 0], [0, 1], [1, 1]], [[1, 0], [0, 1], [-1, 1]], k=1)
    0.6666666666666666
    >>> recall_at_k(similarity=[[0, 0, 0, 0]] * 4, k=3)
    0.75
    """
    k = check_count("k", k)
    return _mean_of_ranks(Z_a, Z_b, direction, options, lambda ranks: ranks.recall(k))


def median_rank(
    Z_a: ArrayLike | None = None, Z_b: ArrayLike | None = None, *, direction: Direction = "both", **options: Any,
) -> float:  # fmt: skip
    """Median over the queries of the rank of the right answer.

    Parameters
    ----------
    Z_a, Z_b : {array-like, sparse matrix, torch tensor} of shape (n_a, d) and (n_b, d)
        Embeddings; row i of one matches row i of the other unless ``groups=`` says otherwise.
    direction : {"both", "a_to_b", "b_to_a"}, default="both"
        Which side asks; "both" is the mean of the two.
    **options
        The options of `match_ranks`.

    Returns
    -------
    float
        At least 1, LOWER is better; chance is (n_candidates + 1) / 2. Under ties the rank is the expected one.

    Raises
    ------
    ValueError
        As `match_ranks`.

    Examples
    --------
    >>> from skalign.metrics import median_rank
    >>> median_rank([[1, 0], [0, 1], [1, 1]], [[1, 0], [0, 1], [-1, 1]])
    1.0
    """
    return _mean_of_ranks(Z_a, Z_b, direction, options, TiedRanks.median)


def mean_reciprocal_rank(
    Z_a: ArrayLike | None = None, Z_b: ArrayLike | None = None, *, direction: Direction = "both",
    n_candidates: int | None = None, **options: Any,
) -> float:  # fmt: skip
    r"""Mean over the queries of 1 / rank of the right answer.

    Parameters
    ----------
    Z_a, Z_b : {array-like, sparse matrix, torch tensor} of shape (n_a, d) and (n_b, d)
        Embeddings; row i of one matches row i of the other unless ``groups=`` says otherwise.
    direction : {"both", "a_to_b", "b_to_a"}, default="both"
        Which side asks; "both" is the mean of the two.
    n_candidates : int, default=None
        What it would be among so many candidates: the right answers to a query and others drawn at random, in
        expectation over the draws. Makes collections of different size comparable, which otherwise they are not.
        Where there are fewer, all are candidates.
    **options
        The options of `match_ranks`.

    Returns
    -------
    float
        Between 0 and 1, higher is better. Under ties, the expectation of 1 / rank when equal candidates stand in
        random order (not 1 / the expected rank).

    Raises
    ------
    ValueError
        As `match_ranks`.

    Notes
    -----
    If m of N wrong candidates score higher than the right one, and D of them are drawn, H of the drawn ones score
    higher, with a hypergeometric distribution, and

    .. math:: E\left[\frac{1}{1 + H}\right] = \frac{N + 1}{(m + 1)(D + 1)}
              \left[1 - \binom{N - m}{D + 1} \Big/ \binom{N + 1}{D + 1}\right].

    Examples
    --------
    >>> from skalign.metrics import mean_reciprocal_rank
    >>> mean_reciprocal_rank(similarity=[[0.9, 0.1], [0.8, 0.3]], direction="a_to_b")
    0.75
    """
    if n_candidates is None:
        return _mean_of_ranks(Z_a, Z_b, direction, options, TiedRanks.mean_reciprocal)
    n_candidates, ranking = check_count("n_candidates", n_candidates), Ranking(Z_a, Z_b, **options)
    ranks = ranking.ranks_by_way(direction)
    return float(np.mean([_sampled_reciprocal(ranking, way, own, n_candidates) for way, own in ranks.items()]))


def _sampled_reciprocal(ranking, way, ranks, n_candidates):
    """Mean reciprocal rank among the right answers and random others, `n_candidates` together."""
    n_right = ranking.n_right(way)
    values = np.empty(len(n_right))
    for right in np.unique(n_right):
        n_wrong = ranking.shape(way)[1] - right
        n_drawn = min(max(n_candidates - right, 0), n_wrong)
        queries = n_right == right
        values[queries] = ranks[queries].mean_of(lambda rank, N=n_wrong, D=n_drawn: _expected_reciprocal(rank, N, D))
    return values.mean()


def _expected_reciprocal(rank, n_wrong, n_drawn):
    """Expected 1 / rank when `n_drawn` of the `n_wrong` candidates are left, ``rank - 1`` of which come before."""
    worse = n_wrong - rank + 1
    log_none = gammaln(worse + 1) - gammaln(np.maximum(worse - n_drawn, 0.5)) + gammaln(n_wrong - n_drawn + 1)
    none = np.where(worse > n_drawn, np.exp(log_none - gammaln(n_wrong + 2)), 0.0)
    return (n_wrong + 1) / (rank * (n_drawn + 1)) * (1.0 - none)


def mean_average_precision(
    Z_a: ArrayLike | None = None, Z_b: ArrayLike | None = None, labels: ArrayLike | None = None,
    labels_b: ArrayLike | None = None, *, direction: Direction = "both", **options: Any,
) -> float:  # fmt: skip
    """Mean over the queries of the average precision with which candidates of the same label come first.

    Parameters
    ----------
    Z_a, Z_b : {array-like, sparse matrix, torch tensor} of shape (n_a, d) and (n_b, d)
        Embeddings.
    labels : array-like of shape (n_a,)
        Labels of the rows of `Z_a`, and of `Z_b` where `labels_b` is None.
    labels_b : array-like of shape (n_b,), default=None
        Labels of the rows of `Z_b`.
    direction : {"both", "a_to_b", "b_to_a"}, default="both"
        Which side asks; "both" is the mean of the two.
    **options
        ``similarity``, ``function``, ``normalization``, ``n_neighbors``, ``beta`` and ``chunk_size`` of `match_ranks`.

    Returns
    -------
    float
        Between 0 and 1, higher is better. Under ties, the expectation when equal candidates stand in random order
        [1]_, so the order of the rows does not matter.

    Raises
    ------
    ValueError
        As `match_ranks`; also without labels.

    References
    ----------
    .. [1] F. McSherry, M. Najork, "Computing information retrieval performance measures efficiently in the presence
       of tied scores", ECIR 2008.

    Examples
    --------
    >>> from skalign.metrics import mean_average_precision
    >>> S = [[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.3, 0.1, 0.2]]
    >>> round(mean_average_precision(similarity=S, labels=["cat", "dog", "cat"], direction="a_to_b"), 4)
    0.9444
    """
    if labels is None:
        raise ValueError("mean_average_precision needs labels, those of the rows of side a.")
    for name in options.keys() & {"groups", "groups_b"}:
        raise TypeError(f"mean_average_precision takes labels, not {name}.")
    ranking = Ranking(Z_a, Z_b, groups=labels, groups_b=labels_b, **options)
    return mean_over(direction, lambda way: ranking.average_precisions(way).mean())


def _mean_of_ranks(Z_a, Z_b, direction, options, metric):
    ranks = Ranking(Z_a, Z_b, **options).ranks_by_way(direction)
    return float(np.mean([metric(own) for own in ranks.values()]))
