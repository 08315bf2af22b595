"""The assignment problem: which element goes with which, one to one."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from .._typing import Array


def solve_assignment(
    weights: Array, *, maximize: bool = True, threshold: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    r"""Matching of rows and columns with the largest (or smallest) sum of weights, one to one.

    .. math:: \max_x \sum_{ij} w_{ij} x_{ij}, \quad \sum_j x_{ij} \le 1, \; \sum_i x_{ij} \le 1, \; x_{ij} \in \{0, 1\}

    Parameters
    ----------
    weights : array or sparse matrix of shape (n, m)
        Weights. Of a sparse matrix the stored entries, explicit zeros too, are the pairs that may be matched.
    maximize : bool, default=True
        Whether the sum is to be large, as of similarities, or small, as of costs.
    threshold : float, default=None
        A pair that is no better than this is not matched, and the sum is that of what pairs are better by: leaving two
        elements alone is worth as much as a match at the threshold. None matches as many as can be.

    Returns
    -------
    rows, columns : int arrays of shape (n_matches,)
        The pairs, by row.

    Notes
    -----
    Dense weights go to the Jonker-Volgenant algorithm of scipy, O(n³), sparse ones to its LAPJVsp.

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics 2, 1955.
    D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerospace and Electronic Systems
    52(4), 2016.
    """
    solve = _solve_sparse if sp.issparse(weights) else _solve_dense
    return solve(weights, 1.0 if maximize else -1.0, threshold)


def _solve_dense(weights, sign, threshold):
    gain = sign * np.asarray(weights, dtype=np.float64)
    if threshold is not None:
        gain = np.maximum(gain - sign * threshold, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    if threshold is not None:
        better = gain[rows, columns] > 0
        rows, columns = rows[better], columns[better]
    return rows, columns


def _solve_sparse(weights, sign, threshold):
    graph = sp.coo_array(weights)
    rows, columns, gain = graph.row, graph.col, sign * graph.data.astype(np.float64)
    if threshold is not None:
        gain = gain - sign * threshold
        rows, columns, gain = rows[gain > 0], columns[gain > 0], gain[gain > 0]
    n, m = graph.shape
    if not len(gain):
        return np.arange(0), np.arange(0)
    # A column of its own for every row makes a full matching of any graph. Without a threshold it costs more than all
    # matches together can differ by, so that as many rows as can be are matched.
    span = (gain.max() - gain.min() if threshold is None else gain.max()) or 1.0
    alone = 0.0 if threshold is not None else gain.min() - (min(n, m) + 1) * span
    # Stored zeros count as missing edges in scipy: all costs are shifted to be at least 1, in units that survive it.
    costs = np.concatenate([-gain, np.full(n, -alone)])
    costs = (costs - costs.min()) / span + 1.0
    edges = np.concatenate([rows, np.arange(n)]), np.concatenate([columns, m + np.arange(n)])
    matched, partners = min_weight_full_bipartite_matching(sp.csr_array((costs, edges), shape=(n, m + n)))
    order = np.argsort(matched)
    matched, partners = matched[order], partners[order]
    return matched[partners < m], partners[partners < m]
