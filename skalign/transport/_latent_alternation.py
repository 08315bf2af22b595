"""Alternate a pairing of two collections with the map that carries the one to the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

from .._backend import to_device, to_numpy
from ._assignment import solve_assignment
from ._costs import PointCost, mean_cost
from ._geometry import moved
from ._plan import EntropicPlan
from ._sinkhorn import sinkhorn

_FIRST_REGULARIZATION = 0.3
_COOLING = 0.6
_ITERATIONS_A_LEVEL = 2  # at every regularisation but the last
_SINKHORN_TOL = 1e-3  # error of the marginals of a plan
_SWEEPS = 200  # at most; the next plan goes on from the potentials of the last


class Alignment(NamedTuple):
    """A pairing and a map that belong together.

    ``matches`` holds the partner of every row of X, -1 without one; ``costs`` what each row adds to the objective, NaN
    without a partner; ``objectives`` the course of the objective, whose last value is ``objective``.
    """

    map: object
    matches: np.ndarray
    costs: np.ndarray
    plan: object
    objective: float
    objectives: list
    converged: bool


def alternate_assignment(X, Y, start, fit_map, *, anchors=None, max_iter=100, tol=1e-6):
    r"""Descend on :math:`\sum_{ij} P_{ij} \lVert T(x_i) - y_j \rVert^2` over one-to-one pairings P and maps T in turn.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Rows that are mapped.
    Y : ndarray of shape (m, q)
        Rows that they are paired with. Of the larger collection some stay without a partner.
    start : callable
        The map to begin with.
    fit_map : callable
        ``fit_map(X, Y, weights, current)`` gives the best map for pairs of rows; it has ``penalty``, a term that it
        adds to the objective.
    anchors : pair of int arrays, default=None
        Rows of X and Y that are paired in any case.
    max_iter : int, default=100
        Largest number of pairings.
    tol : float, default=1e-6
        A fall of the objective by less than this part of the variance of Y ends it.

    Returns
    -------
    Alignment
        The objective is the mean over the pairs.

    Notes
    -----
    Both steps are exact where ``fit_map`` is, so the objective never rises.

    References
    ----------
    E. Grave, A. Joulin and Q. Berthet, "Unsupervised alignment of embeddings with Wasserstein Procrustes", AISTATS
    2019.
    """
    current, objectives, matched = start, [np.inf], None
    least = tol * float(Y.var(axis=0).sum())
    for _ in range(max_iter):
        before, (rows, columns) = matched, _assign(current(X), Y, anchors)
        matched = np.stack([rows, columns])
        if before is not None and np.array_equal(before, matched):
            return _assigned(X, Y, current, matched, objectives, True)
        current = fit_map(X[rows], Y[columns], None, current)
        objectives.append(float(_squares(current(X[rows]), Y[columns]).mean()) + current.penalty)
        if objectives[-2] - objectives[-1] <= least:
            return _assigned(X, Y, current, matched, objectives, True)
    return _assigned(X, Y, current, matched, objectives, False)


def _assign(Z, Y, anchors):
    costs = euclidean_distances(Z, Y, squared=True)
    if anchors is None:
        return solve_assignment(costs, maximize=False)
    rows, columns = (np.setdiff1d(np.arange(len(side)), known) for side, known in zip((Z, Y), anchors))
    free = solve_assignment(costs[np.ix_(rows, columns)], maximize=False)
    rows, columns = (np.append(side[found], known) for side, found, known in zip((rows, columns), free, anchors))
    order = np.argsort(rows)
    return rows[order], columns[order]


def _assigned(X, Y, current, matched, objectives, converged):
    rows, columns = matched
    matches, costs = np.full(len(X), -1), np.full(len(X), np.nan)
    matches[rows], costs[rows] = columns, _squares(current(X[rows]), Y[columns])
    return Alignment(current, matches, costs, None, objectives[-1], objectives[1:], converged)


def _squares(Z, Y):
    return ((Z - Y) ** 2).sum(axis=1)


def alternate_sinkhorn(
    X, Y, start, fit_map, *, regularization=0.01, anneal=True, anchors=None, max_iter=100, tol=1e-6, device=None
):  # fmt: skip
    """The same with entropic plans, in which every row of both collections has its share.

    Parameters
    ----------
    X, Y, start, fit_map, max_iter, tol
        As of `alternate_assignment`.
    regularization : float, default=0.01
        Of the last plans, relative to the mean cost.
    anneal : bool, default=True
        Begin with plans of regularisation 0.3, which see the collections as a whole, and lower it step by step.
    anchors : pair of int arrays, default=None
        Rows of X and Y that are a pair to the map in any case.
    device : str or None, default=None
        Where the plans are computed: rows go there and their images come back, never the costs. None is numpy.

    Returns
    -------
    Alignment
        The objective is the cost of the last plan, ``matches`` the column that has most of each row.

    Notes
    -----
    At one regularisation the sum of cost and entropy never rises. The potentials of one plan are where the next starts.
    """
    a, b = np.full(len(X), 1.0 / len(X)), np.full(len(Y), 1.0 / len(Y))
    level = max(_FIRST_REGULARIZATION, regularization) if anneal else regularization
    current, g, objectives, at_level, converged = start, None, [np.inf], 0, False
    least, targets_there = tol * float(Y.var(axis=0).sum()), to_device(Y, device)
    while True:
        final = level <= regularization
        cost = PointCost(to_device(current(X), device), targets_there)
        epsilon = max(level * mean_cost(cost, a, b), np.finfo(float).tiny)
        found = sinkhorn(cost, a, b, epsilon=epsilon, tol=_SINKHORN_TOL, max_iter=_SWEEPS, g=g)
        g, plan = found.g, EntropicPlan(cost, a, b, found.f, found.g, epsilon)
        carried = plan.toarray()
        costs = to_numpy((carried * cost.rows(slice(None))).sum(1)) / a
        if final:
            objectives.append(float(a @ costs) + getattr(current, "penalty", 0.0))
            converged = len(objectives) > 2 and abs(objectives[-2] - objectives[-1]) <= least
        if converged or len(objectives) > max_iter:
            matches, plan = to_numpy(carried.argmax(1)), plan if device is None else moved(plan, to_numpy)
            return Alignment(current, matches, costs, plan, objectives[-1], objectives[1:], converged)
        targets, weights = to_numpy(carried @ targets_there), to_numpy(carried.sum(1))
        targets /= weights[:, None]
        if anchors is not None:
            targets[anchors[0]] = Y[anchors[1]]
        current = fit_map(X, targets, weights, current)
        at_level += 1
        if not final and at_level == _ITERATIONS_A_LEVEL:
            level, at_level = max(level * _COOLING, regularization), 0
