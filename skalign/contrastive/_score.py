"""What the aligners that are made for retrieval are scored by."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..metrics import mean_reciprocal_rank

N_CANDIDATES = 100


def rank_score(embeddings, n_candidates, groups=None, function="cosine", compare=None):
    """Mean reciprocal rank among `n_candidates`, both ways, and the mean over all pairs of views.

    Parameters
    ----------
    embeddings : dict of str to array of shape (n_samples, d)
        By view, rows paired.
    n_candidates : int
        The right one and random others, in expectation.
    groups : array-like of shape (n_samples,), default=None
        Rows of the same group are right answers to each other.
    function : str
        Similarity of embeddings.
    compare : callable, default=None
        Gives the matrix of similarities of two embeddings instead.

    Returns
    -------
    float
    """
    options = {"groups": groups, "function": function, "n_candidates": n_candidates}

    def of_pair(A, B):
        if compare is not None:
            return mean_reciprocal_rank(similarity=compare(A, B), **options)
        return mean_reciprocal_rank(A, B, **options)

    return float(np.mean([of_pair(A, B) for A, B in combinations(embeddings.values(), 2)]))
