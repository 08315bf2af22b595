"""Plans that are read in blocks, and the maps that they extend to new points."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._backend import astype, namespace, to_numpy
from .._typing import Array
from ._costs import like_cost, nearest_rows, row_blocks


class EntropicPlan:
    """The plan ``a_i b_j exp((f_i + g_j - c_ij) / epsilon)``, computed when it is read.

    Parameters
    ----------
    cost : MatrixCost or PointCost
        Costs, shape (n, m).
    a, b : array of shape (n,) and (m,)
        Weights of both sides.
    f, g : array of shape (n,) and (m,)
        Potentials.
    epsilon : float
        Regularisation, in units of the cost.

    Attributes
    ----------
    shape : tuple of int
        ``(n, m)``.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import OTAligner
    >>> X = np.random.default_rng(0).normal(size=(3000, 2))
    >>> plan = OTAligner().fit(X, X + 1.0).plan_
    >>> plan
    EntropicPlan(shape=(3000, 3000))
    >>> plan[:2].shape, (plan @ X).shape, plan.sum(axis=1).shape
    ((2, 3000), (3000, 2), (3000,))
    """

    def __init__(self, cost: Any, a: Array, b: Array, f: Array, g: Array, epsilon: float) -> None:
        self._cost, self._epsilon = cost, epsilon
        self._a, self._b, self._f, self._g = (like_cost(vector, cost) for vector in (a, b, f, g))
        self.shape = cost.shape

    def __repr__(self):
        return f"EntropicPlan(shape={self.shape})"

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Rows of the plan, an array of shape (n_rows, m), or (m,) for one number."""
        if isinstance(rows, Integral):
            return self[rows : rows + 1 or None][0]
        costs = self._cost.rows(rows)
        xp = namespace(costs)
        logarithms = (self._f[rows][:, None] + self._g[None, :] - costs) / self._epsilon
        return astype(self._a[rows][:, None] * self._b[None, :] * xp.exp(logarithms), costs.dtype)

    def __matmul__(self, values):
        xp = namespace(values)
        return xp.concat([self[rows] @ values for rows in row_blocks(self._cost)])

    def sum(self, axis: int | None = None) -> Array:
        """Sums over one axis or both, which are the marginals and the mass."""
        xp = namespace(self._cost.reference)
        blocks = (self[rows] for rows in row_blocks(self._cost))
        if axis == 1:
            return xp.concat([xp.sum(block, axis=1) for block in blocks])
        columns = sum(xp.sum(block, axis=0) for block in blocks)
        return columns if axis == 0 else xp.sum(columns)

    def total(self, cost: Any) -> float:
        """Sum of the plan times `cost`."""
        parts = (self[rows] * cost.rows(rows) for rows in row_blocks(cost))
        return sum(float(namespace(part).sum(part)) for part in parts)

    def toarray(self) -> Array:
        """The whole plan, an array of shape (n, m)."""
        return self[slice(None)]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(to_numpy(self.toarray()), dtype=dtype)


def carry(cost, potential, weights, epsilon, values):
    r"""The entropic map: every row goes to the mean of `values` under the plan's distribution over the columns.

    .. math:: T(x) = \sum_j \operatorname{softmax}_j\Big(\frac{g_j - c(x, y_j)}{\varepsilon} + \log b_j\Big) \, y_j

    Parameters
    ----------
    cost : MatrixCost or PointCost
        Costs between rows, new or not, and the columns, shape (n, m).
    potential, weights : array of shape (m,)
        g and b of the columns.
    epsilon : float
        Regularisation.
    values : array of shape (m, d)
        What the columns stand for.

    Returns
    -------
    array of shape (n, d)

    References
    ----------
    A.-A. Pooladian and J. Niles-Weed, "Entropic estimation of optimal transport maps", arXiv 2109.12004, 2021.
    """
    shares = _shares(cost, potential, weights, epsilon)
    return namespace(values).concat([astype(share, values.dtype) @ values for share in shares])


def best_matches(cost, potential, weights, epsilon):
    """The column that has most of each row, the first of equals, int array of shape (n,); parameters as of `carry`."""
    xp = namespace(cost.reference)
    return xp.concat([_first_largest(xp, share) for share in _shares(cost, potential, weights, epsilon)])


def _first_largest(xp, share):
    rounding = float(xp.finfo(share.dtype).eps) ** 0.5
    largest = share >= (1.0 - rounding) * xp.max(share, axis=1, keepdims=True)
    return xp.argmax(astype(largest, xp.int8), axis=1)


def _shares(cost, potential, weights, epsilon):
    """The plan's distribution over the columns given a row, in blocks of rows.

    Far from all columns every logarithm is huge, which the subtraction of the largest takes care of.
    """
    xp = namespace(cost.reference)
    potential, weights = like_cost(potential, cost), like_cost(weights, cost)
    with np.errstate(divide="ignore"):
        prior = xp.log(weights)
    for rows in row_blocks(cost):
        costs = cost.rows(rows)
        logits = (potential[None, :] - costs) / epsilon + prior[None, :]
        largest = xp.max(logits, axis=1, keepdims=True)
        if not bool(xp.all(xp.isfinite(largest))):
            raise FloatingPointError("Costs of new rows are not finite: they lie too far away for their dtype.")
        share = xp.exp(logits - largest)
        yield share / xp.sum(share, axis=1, keepdims=True)


def carry_by_neighbor(rows, fitted, plan, of_plan):
    """What a plan without entropy says of rows that may be new: that of the nearest fitted rows that carry mass.

    The potentials of such a plan do not tell its entries from others at which they are tight too, so that they extend
    it to nothing; its rows do, as one-nearest-neighbour estimates [1]_.

    Parameters
    ----------
    rows : array of shape (n_new, d)
        Rows.
    fitted : array of shape (n, d)
        Rows of the fit.
    plan : array or sparse matrix of shape (n, m)
        The plan.
    of_plan : callable
        Gives one thing a row for rows of the plan, an ndarray or a sparse matrix.

    Returns
    -------
    ndarray of shape (n_new, ...)

    References
    ----------
    .. [1] T. Manole, S. Balakrishnan, J. Niles-Weed and L. Wasserman, "Plugin estimation of smooth optimal transport
       maps", Annals of Statistics 52(3), 2024.
    """
    plan = plan if sp.issparse(plan) else to_numpy(plan)
    carrying = np.flatnonzero(plan.sum(axis=1) > 0)
    nearest = nearest_rows(to_numpy(rows), to_numpy(fitted)[carrying])
    used, places = np.unique(nearest, return_inverse=True)  # the rows may be many more than those of the plan
    return of_plan(plan[carrying[used]])[places]


def barycenters(plan, values):
    """The mean of `values` under every row of a plan without entropy."""
    return (plan @ values) / plan.sum(axis=1)[:, None]


def largest_entries(plan):
    """The column that has most of each row of a plan without entropy."""
    return np.asarray(plan.argmax(axis=1)).ravel()
