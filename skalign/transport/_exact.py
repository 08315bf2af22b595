"""Optimal transport without regularisation: the linear programme, whole or for a part of the mass."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from .._backend import to_numpy
from ._costs import PointCost

_DENSE_ENTRIES = 2**24  # above, costs are computed inside the simplex, where POT knows the metric
_LAZY_METRICS = ("sqeuclidean", "euclidean", "cityblock")
_MAX_ITER = 10_000_000


class ExactTransport(NamedTuple):
    """An optimal plan, sparse, its cost, and dual potentials: ``f_i + g_j <= c_ij``, equal where the plan has mass.

    ``converged`` is whether the simplex came to its end, ``marginal_error`` by how much the plan breaks constraints.
    """

    plan: sp.csr_array
    f: np.ndarray
    g: np.ndarray
    cost: float
    converged: bool
    marginal_error: float


def exact_transport(cost, a, b, mass=None, scale=1.0):
    r"""The plan of least cost by the network simplex of POT.

    .. math:: \min_P \sum_{ij} P_{ij} c_{ij} \quad \text{with} \quad P 1 = a, \; P^\top 1 = b

    Parameters
    ----------
    cost : MatrixCost or PointCost
        Costs, shape (n, m).
    a, b : array of shape (n,) and (m,)
        Weights of both sides, with the same sum.
    mass : float, default=None
        How much is to be carried, at most the sum of the weights: partial transport, :math:`P 1 \le a`,
        :math:`P^\top 1 \le b` and :math:`1^\top P 1 = m`. None carries all.
    scale : float, default=1.0
        The size of a cost, by which all are divided first: the simplex takes what is below 1e-9 or so for 0.

    Returns
    -------
    ExactTransport

    Raises
    ------
    FloatingPointError
        When the plan does not carry what it should.

    References
    ----------
    N. Bonneel, M. van de Panne, S. Paris and W. Heidrich, "Displacement interpolation using Lagrangian mass transport",
    ACM Trans. Graphics 30(6), 2011.
    L. Chapel, M. Z. Alaya and G. Gasso, "Partial optimal transport with applications on positive-unlabeled learning",
    NeurIPS 2020.
    """
    n, m = cost.shape
    a, b = (np.asarray(to_numpy(weights), dtype=np.float64) for weights in (a, b))
    b = b * (a.sum() / b.sum())  # to the last digit, which the simplex wants
    lazy = mass is None and n * m > _DENSE_ENTRIES and isinstance(cost, PointCost) and cost.metric in _LAZY_METRICS
    if lazy:
        plan, log = _lazily(cost, a, b, scale)
    else:
        plan, log = _of_matrix(to_numpy(cost.rows(slice(None))).astype(np.float64) / scale, a, b, mass)
    if log["warning"]:
        warnings.warn(f"Exact transport did not end: {log['warning']}", ConvergenceWarning, stacklevel=3)
    carried, due = plan.sum(), a.sum() if mass is None else mass
    if not abs(carried - due) <= 1e-6 * due:
        raise FloatingPointError(f"The plan carries a mass of {carried:.6g}, where {due:.6g} was to be carried.")
    return ExactTransport(
        plan,
        scale * log["u"][:n],
        scale * log["v"][:m],
        scale * float(log["cost"]),
        converged=not log["warning"],
        marginal_error=_broken(plan, a, b, mass),
    )


def _broken(plan, a, b, mass):
    over = np.concatenate([plan.sum(axis=1) - a, plan.sum(axis=0) - b])
    return float(np.abs(over).sum() if mass is None else np.maximum(over, 0.0).sum() + abs(plan.sum() - mass))


def _of_matrix(C, a, b, mass):
    from ot.lp import emd

    n, m = C.shape
    if mass is not None:
        # What is left on either side goes to a bin of the other at no cost; the two bins have nothing for each other.
        C = np.pad(C, ((0, 1), (0, 1)))
        C[n, m] = 2.0 * C.max() + 1.0
        a, b = np.append(a, b.sum() - mass), np.append(b, a.sum() - mass)
    plan, log = emd(a, b, C, numItermax=_MAX_ITER, log=True)
    return sp.csr_array(plan[:n, :m]), log


def _lazily(cost, a, b, scale):
    from ot.lp import emd2_lazy

    unit = scale**0.5 if cost.metric == "sqeuclidean" else scale
    X, Y = (np.ascontiguousarray(to_numpy(points), dtype=np.float64) / unit for points in cost.points)
    _, log = emd2_lazy(X, Y, a, b, metric=cost.metric, numItermax=_MAX_ITER, log=True, return_matrix=True)
    return sp.csr_array(log["G"]), log
