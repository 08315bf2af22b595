"""From two collections to a Gromov-Wasserstein plan, plain or fused."""

from __future__ import annotations

import warnings
from math import sqrt

from .._backend import astype, like, namespace
from ._costs import mean_cost
from ._geometry import AtPlan, Mixed, Within
from ._gromov import gromov_scale, gromov_wasserstein
from ._plan import EntropicPlan
from ._sinkhorn import sinkhorn
from ._solve import Solution, check_scale

_START = 0.05  # regularisation of the plan from anchors at which descent begins, relative to its mean cost


def solve_gromov(X, Y, linear, anchors, a, b, options):
    """Transport by "gromov" or "fused".

    Parameters
    ----------
    X, Y : array of shape (n, d) and (m, d')
        Both collections, or the distances within them if they are precomputed.
    linear : Geometry or None
        Where the costs across of "fused" come from.
    anchors : ToAnchors or None
        Known pairs; they say where to start.
    a, b : array of shape (n,) and (m,)
        Weights, each of sum 1.
    options : OTAligner
        ``structure_metric``, ``n_neighbors``, ``alpha``, ``regularization``, ``n_init``, ``random_state``, ``tol`` and
        ``max_iter``.

    Returns
    -------
    Geometry
        The costs linearised at the plan.
    Solution
        Its ``cost`` is 1 for the plan that matches all rows alike.
    """
    source, target = (
        Within(rows, weights, options.structure_metric, options.n_neighbors) for rows, weights in ((X, a), (Y, b))
    )
    distances = source.distances, target.distances
    # The linearised cost of a quadratic form is twice its value, which rounding may carry below 0.
    unit = check_scale(max(gromov_scale(*distances, a, b) / 2.0, 0.0))
    for side in (source, target):
        side.scale_by(sqrt(unit))
    alpha = 1.0 if linear is None else options.alpha
    if linear is not None:
        linear = Mixed([(1.0 / check_scale(mean_cost(linear.cost(), a, b)), linear)])
    start = None
    if anchors is None and linear is None:
        warnings.warn(
            "Gromov-Wasserstein compares shapes: a low cost_ does not mean that rows are matched rightly, as symmetric "
            "or similar parts may be exchanged. A few known pairs as anchors tell them apart, and score says how well.",
            stacklevel=4,
        )
    if anchors is not None:
        cost = anchors.cost()
        epsilon = _START * check_scale(mean_cost(cost, a, b))
        start = EntropicPlan(cost, a, b, *sinkhorn(cost, a, b, epsilon=epsilon, tol=1e-3)[:2], epsilon).toarray()
    epsilon = options.regularization * (1.0 + alpha)
    found = gromov_wasserstein(
        source.distances,
        target.distances,
        a,
        b,
        epsilon=epsilon,
        cost=None if linear is None else linear.cost().rows(slice(None)),
        alpha=alpha,
        plan=start,
        n_init=1 if start is not None else options.n_init,
        random_state=options.random_state,
        tol=options.tol,
        max_iter=options.max_iter,
    )
    xp = namespace(found.plan)
    error = sum(
        float(xp.sum(xp.abs(xp.sum(found.plan, axis=axis) - astype(like(weights, found.plan), found.plan.dtype))))
        for axis, weights in ((1, a), (0, b))
    )
    geometry = AtPlan(source, target, found.plan, alpha, linear)
    distance = sqrt(max(found.value, 0.0) * (unit if linear is None else 1.0))
    return geometry, Solution(
        found.plan, found.f, found.g, epsilon, found.value, distance, found.n_iter, found.converged, error
    )
