"""Costs from known pairs, and where Gromov-Wasserstein descents start."""

from __future__ import annotations

import numpy as np
from array_api_compat import device as device_of
from sklearn.utils import check_random_state

from .._backend import like, namespace
from .._typing import Array, ArrayLike
from ._gromov_projection import project

_LEVELS = 32  # quantiles of the distances of a row
_RANDOM_PAIRS = 3
_SHARPNESS = 0.05  # regularisation of a start, relative to its mean cost
_TOL, _MAX_ITER = 1e-3, 200


def anchor_cost(
    D_x: Array, D_y: Array, ix: ArrayLike, iy: ArrayLike, *, scales: tuple[float, float] | None = None
) -> Array:
    r"""Costs between rows of two collections, from their distances to known pairs.

    .. math:: c_{ij} = \frac{1}{K} \sum_k \left( \frac{D^x_{i,ix_k}}{\bar D^x} - \frac{D^y_{j,iy_k}}{\bar D^y} \right)^2

    It is the linearised cost of Gromov-Wasserstein, but for a factor 2, at a plan that holds the known pairs and
    nothing else, and so of the same size as that: the two may be weighted alike in the fused form.

    Parameters
    ----------
    D_x : array of shape (n, n) or (n_new, n)
        Distances of rows of the first collection to all of those that were fitted.
    D_y : array of shape (m, m) or (m_new, m)
        Those of the second.
    ix, iy : int array of shape (K,)
        Rows of the first and of the second collection that are pairs.
    scales : pair of float, default=None
        The mean distances :math:`\bar D` of the fit, which new rows need; 1 for distances that are divided already.
        None takes them from `D_x` and `D_y`.

    Returns
    -------
    array of shape (n, m)

    Notes
    -----
    Ranks of the distances, or columns of mean 0 and variance 1, would forgive more, and tell less: with five pairs of
    single cells both were worse than division by the mean on each of three graphs.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.transport import anchor_cost
    >>> D = abs(np.subtract.outer([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]))
    >>> anchor_cost(D, D[::-1, ::-1], [0, 1], [3, 2]).argmin(axis=1)
    array([3, 2, 1, 0])
    """
    units = (float(namespace(D).mean(D)) or 1.0 for D in (D_x, D_y)) if scales is None else scales
    sides = zip((D_x, D_y), (ix, iy), units)
    R_x, R_y = (D[:, like(np.asarray(anchors), D)] / scale for D, anchors, scale in sides)
    return _squares(R_x, R_y) / R_x.shape[1]


def start_plans(problem, plan, n_init, random_state):
    """`plan`, and ``n_init - 1`` others: by distributions of distances, by eccentricity, by random pairs."""
    yield plan
    random = check_random_state(random_state)
    sides = (problem.D_x, problem.a), (problem.D_y, problem.b)
    for start in range(1, n_init):
        if start == 1:
            cost = _squares(*(_quantiles(*side) for side in sides))
        elif start == 2:
            cost = _squares(*(_eccentricity(*side) for side in sides))
        else:
            k = min(_RANDOM_PAIRS, *plan.shape)
            cost = anchor_cost(
                problem.D_x, problem.D_y, *(random.choice(size, k, replace=False) for size in plan.shape)
            )
        yield _soft_matching(problem, cost)


def _quantiles(D, weights):
    """Quantiles of the distances of every row to the others: equal for rows that an isometry matches."""
    xp = namespace(D)
    order = xp.argsort(D, axis=1)
    below = xp.cumulative_sum(weights[order], axis=1)
    levels = [(level + 0.5) / _LEVELS * float(xp.sum(weights)) for level in range(_LEVELS)]
    ranks = xp.stack([(below < level).sum(1).clip(max=D.shape[1] - 1) for level in levels], axis=1)
    rows = xp.arange(D.shape[0], device=device_of(D))[:, None]
    return D[rows, order[rows, ranks]]


def _eccentricity(D, weights):
    """Root mean square distance to the others, one column."""
    return namespace(D).sqrt((D * D) @ weights)[:, None]


def _squares(A, B):
    """Squared Euclidean distances between rows."""
    xp = namespace(A, B)
    squares = xp.sum(A * A, axis=1)[:, None] + xp.sum(B * B, axis=1)[None, :] - 2.0 * (A @ B.T)
    return xp.clip(squares, 0.0, None)


def _soft_matching(problem, cost):
    mean = float(problem.a @ (cost @ problem.b))
    if not mean > 0:  # nothing tells rows apart
        return problem.a[:, None] * problem.b[None, :]
    start = problem.xp.zeros_like(problem.b)
    return project(cost, problem.a, problem.b, _SHARPNESS * mean, start, _TOL, _MAX_ITER).plan
