"""From costs and weights to a plan, by the method that the user chose."""

from __future__ import annotations

import warnings
from math import sqrt
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._backend import astype, like
from ._costs import MatrixCost, mean_cost
from ._exact import exact_transport
from ._plan import EntropicPlan
from ._sinkhorn import sinkhorn

METHODS = ("sinkhorn", "exact", "partial", "unbalanced", "gromov", "fused")
_DENSE_PLAN = 2**22  # entries above which a plan is not written out: 32 MB in float64
_STORED_KERNEL = 2**25  # entries above which the kernel is not kept: 256 MB in float64


class Solution(NamedTuple):
    """A plan and what is known of it; see the attributes of `OTAligner`."""

    plan: object
    f: object
    g: object
    epsilon: float
    cost: float
    distance: float
    n_iter: int
    converged: bool
    marginal_error: float


def solve(cost, a, b, options):
    """Transport by ``options.method``, one of those that take a cost across.

    Parameters
    ----------
    cost : MatrixCost, PointCost or MixedCost
        Costs, shape (n, m).
    a, b : array of shape (n,) and (m,)
        Weights, each of sum 1.
    options : OTAligner
        ``method``, ``regularization``, ``mass``, ``marginal_penalty``, ``chunked``, ``tol`` and
        ``max_iter``.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        For costs that are not finite, or negative on the mean.
    FloatingPointError
        As the solvers.
    """
    scale = check_scale(mean_cost(cost, a, b))
    squared = getattr(cost, "metric", None) == "sqeuclidean"

    def distance(total):
        return sqrt(max(total, 0.0)) if squared else total

    if options.method in ("exact", "partial"):
        mass = options.mass if options.method == "partial" else None
        plan, f, g, total, *end = exact_transport(cost, a, b, mass, scale)
        if cost.shape[0] * cost.shape[1] <= _DENSE_PLAN:
            plan = astype(like(plan.toarray(), cost.reference), cost.dtype)
        f, g = like(f, cost.reference), like(g, cost.reference)
        return Solution(plan, f, g, 0.0, total, distance(total), 1, *end)
    epsilon = options.regularization * scale
    relaxation = options.marginal_penalty * scale if options.method == "unbalanced" else None
    n_entries = cost.shape[0] * cost.shape[1]
    chunked = n_entries > _STORED_KERNEL if options.chunked is None else options.chunked
    dense = n_entries <= _DENSE_PLAN
    if dense and not chunked:
        cost = MatrixCost(cost.rows(slice(None)))
    found = sinkhorn(
        cost,
        a,
        b,
        epsilon=epsilon,
        tol=options.tol,
        max_iter=options.max_iter,
        relaxation=relaxation,
        stored=not chunked,
    )
    plan = EntropicPlan(cost, a, b, found.f, found.g, epsilon)
    total = plan.total(cost)
    return Solution(
        plan.toarray() if dense else plan, epsilon=epsilon, cost=total, distance=distance(total), **found._asdict()
    )


def check_scale(scale):
    """The mean cost, which regularisation is in units of, 1 if all are 0; ValueError for what cannot be a unit."""
    if not np.isfinite(scale):
        raise ValueError("The costs are not finite: the data are too large for squares of them, or the metric fails.")
    if scale < 0:
        raise ValueError(
            f"The mean cost is {scale:.3g}, and regularization is in units of it: subtract the least cost, say."
        )
    return scale or 1.0


def report(solution, tol):
    """Warn unless `solution` converged; a plan without entropy comes from a solver that has warned."""
    if solution.epsilon and not solution.converged:
        warnings.warn(
            f"Transport did not converge in {solution.n_iter} iterations: its marginals are off by "
            f"{solution.marginal_error:.3g}, with tol={tol:.3g}. Raise max_iter, tol or regularization.",
            ConvergenceWarning,
            stacklevel=5,
        )
