"""Entropic transport between many small bags: one plan a sample, or one cost for every two bags."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._backend import to_numpy
from .._bags import read_bags
from .._typing import ArrayLike, Metric
from ._costs import PointCost, mean_cost

_BLOCK_ENTRIES = 2**21  # costs of elements that are held at a time: 16 MB in float64


class BagPlans(NamedTuple):
    """Plans of pairs of bags: the plans, the cost of each, epsilon, and how far the solver came with each pair."""

    plans: list
    costs: np.ndarray
    epsilon: float
    n_iter: np.ndarray
    marginal_error: np.ndarray
    converged: bool


class BagCosts(NamedTuple):
    """Costs of all pairs of bags, epsilon, and how far the solver came with each pair."""

    costs: np.ndarray
    epsilon: float
    n_iter: np.ndarray
    marginal_error: np.ndarray
    converged: bool


def bag_plans(
    bags_a: ArrayLike, bags_b: ArrayLike, *, metric: Metric = "sqeuclidean", regularization: float = 0.05,
    epsilon: float | None = None, tol: float = 1e-6, max_iter: int = 1000,
) -> BagPlans:  # fmt: skip
    r"""Entropic transport plans between bags, sample by sample: which word goes with which region?

    .. math:: \min_P \sum_{rs} P_{rs} c_{rs} + \varepsilon \, \mathrm{KL}(P \,|\, a b^\top)
        \quad \text{with} \quad P 1 = a, \; P^\top 1 = b

    where all elements of a bag weigh the same, and those of a bag 1 together.

    Parameters
    ----------
    bags_a, bags_b : array of shape (n, m, d), or list of n arrays of shape (m_i, d)
        Bags, paired by position.
    metric : str or callable, default="sqeuclidean"
        Cost of two elements: what `sklearn.metrics.pairwise_distances` knows, or a function of two tables that gives
        the matrix of costs.
    regularization : float, default=0.05
        :math:`\varepsilon` in units of the mean cost of all pairs, so that it means the same whatever the scale. It is
        one number for all pairs: costs of different pairs are then comparable.
    epsilon : float, default=None
        :math:`\varepsilon` itself, in units of the cost, that of an earlier call say. It goes before `regularization`.
    tol : float, default=1e-6
        Largest L1 error of the marginals of a plan.
    max_iter : int, default=1000
        Largest number of sweeps over both marginals, for each pair.

    Returns
    -------
    BagPlans
        ``plans``, a list of n arrays of shape (m_i, m'_i) that sum to 1, of the type of the bags; ``costs`` of shape
        (n,), what the plans cost without the entropy, in float64; ``epsilon``; ``n_iter`` and ``marginal_error`` of
        shape (n,); and ``converged``, whether all of them did.

    Raises
    ------
    ValueError
        For NaN or infinity, an empty bag, bags of different width or number, and parameters out of range.

    Warns
    -----
    ConvergenceWarning
        When the marginals of a pair are not within `tol`.

    References
    ----------
    M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.transport import bag_plans
    >>> regions = [np.array([[0.0], [5.0]]), np.array([[1.0], [2.0], [3.0]])]
    >>> words = [np.array([[5.1], [0.1]]), np.array([[2.0]])]
    >>> found = bag_plans(regions, words)
    >>> [plan.round(2).tolist() for plan in found.plans]
    [[[0.0, 0.5], [0.5, 0.0]], [[0.33], [0.33], [0.33]]]
    """
    A, B = _read(bags_a, bags_b, regularization, epsilon, metric)
    if len(A) != len(B):
        raise ValueError(f"Plans are found sample by sample, but there are {len(A)} and {len(B)} bags.")
    pairs = [(A[[i]], B[[i]]) for i in range(len(A))]
    tables = [PointCost(a.elements, b.elements, metric).rows(slice(None)) for a, b in pairs]
    epsilon = _epsilon(epsilon, regularization, lambda: np.mean([table.mean(dtype=np.float64) for table in tables]))
    found = [
        solve_bags(table, a.offsets, b.offsets, epsilon, tol, max_iter, plans=True)
        for table, (a, b) in zip(tables, pairs)
    ]
    costs, n_iter, errors = (
        np.array([getattr(one, name)[0, 0] for one in found]) for name in ("costs", "n_iter", "marginal_error")
    )
    return BagPlans([one.plan for one in found], costs, epsilon, n_iter, errors, _report(errors, tol))


def bag_transport_costs(
    bags_a: ArrayLike, bags_b: ArrayLike, *, metric: Metric = "sqeuclidean", regularization: float = 0.05,
    epsilon: float | None = None, tol: float = 1e-6, max_iter: int = 1000,
) -> BagCosts:  # fmt: skip
    r"""Cost of the entropic transport plan between every two bags: a distance of bags, for retrieval.

    Parameters
    ----------
    bags_a : array of shape (n, m, d), or list of n arrays of shape (m_i, d)
        Bags.
    bags_b : array of shape (n', m', d), or list of n' arrays of shape (m'_j, d)
        Bags of the same width; any number.
    metric : str or callable, default="sqeuclidean"
        Cost of two elements, see `bag_plans`.
    regularization : float, default=0.05
        :math:`\varepsilon` in units of the mean cost between the elements of all pairs of bags, every bag weighing the
        same. It is one number for all pairs, so that their costs are comparable.
    epsilon : float, default=None
        :math:`\varepsilon` itself, in units of the cost. It goes before `regularization`.
    tol : float, default=1e-6
        Largest L1 error of the marginals of a plan.
    max_iter : int, default=1000
        Largest number of sweeps over both marginals, for each pair.

    Returns
    -------
    BagCosts
        ``costs`` of shape (n, n'), what the plans cost without the entropy, in float64; ``epsilon``; ``n_iter`` and
        ``marginal_error`` of shape (n, n'); and ``converged``, whether all of them did.

    Raises
    ------
    ValueError
        For NaN or infinity, an empty bag, bags of different width, and parameters out of range.

    Warns
    -----
    ConvergenceWarning
        When the marginals of a pair are not within `tol`.

    Notes
    -----
    Every pair is solved by itself in float64, for as long as it needs: scalings, which are absorbed into the potentials
    before they grow out of range, and Newton steps of the dual between them where they are slow. That takes some 25
    sweeps at the default regularization, some hundred at 0.001; much below it, not every pair converges. The costs of
    elements are held for a few bags at a time.

    References
    ----------
    M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.
    B. Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems", SIAM J. Scientific
    Computing 41(3), 2019.
    C. Brauer, C. Clason, D. Lorenz and B. Wirth, "A Sinkhorn-Newton method for entropic optimal transport", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.transport import bag_transport_costs
    >>> A = [np.array([[0.0], [1.0]]), np.array([[4.0], [5.0], [6.0]])]
    >>> B = [np.array([[5.0]]), np.array([[1.0], [0.0]])]
    >>> bag_transport_costs(A, B).costs.round(2)
    array([[20.5 ,  0.13],
           [ 0.67, 20.53]])
    """
    A, B = _read(bags_a, bags_b, regularization, epsilon, metric)
    cost = PointCost(A.elements, B.elements, metric)
    epsilon = _epsilon(epsilon, regularization, lambda: mean_cost(cost, A.weights, B.weights))
    parts = [
        solve_bags(cost.rows(slice(*A.offsets[[first, last]])), A.offsets[first : last + 1], B.offsets, epsilon, tol,
                   max_iter)
        for first, last in _blocks(A.offsets, cost.shape[1])
    ]  # fmt: skip
    costs, n_iter, errors = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("costs", "n_iter", "marginal_error")
    )
    return BagCosts(costs, epsilon, n_iter, errors, _report(errors, tol))


class SolvedBags(NamedTuple):
    """What the solver leaves of every pair of bags: costs without and values with the entropy, and the plan or None."""

    costs: np.ndarray
    values: np.ndarray
    n_iter: np.ndarray
    marginal_error: np.ndarray
    plan: np.ndarray | None


def solve_bags(costs, offsets_a, offsets_b, epsilon, tol, max_iter, plans=False):
    """Entropic transport between every two bags, from the costs of all elements.

    Parameters
    ----------
    costs : ndarray of shape (n_elements, n_elements')
        Costs of elements.
    offsets_a, offsets_b : ndarray of int of shape (n + 1,) and (n' + 1,)
        Where bags begin among the rows and the columns; the first row need not be 0.
    epsilon, tol, max_iter
        As in `bag_transport_costs`.
    plans : bool, default=False
        Keep the plans.

    Returns
    -------
    SolvedBags
        Arrays of shape (n, n'), and ``plan`` like `costs`: block by block the plan of two bags.

    Raises
    ------
    FloatingPointError
        If a cost is not finite.
    """
    from ._bag_kernels import solve_pairs

    costs = np.ascontiguousarray(costs)
    shape = len(offsets_a) - 1, len(offsets_b) - 1
    plan = np.empty_like(costs) if plans else np.empty((0, 0), dtype=costs.dtype)
    solved = [np.empty(shape), np.empty(shape), np.empty(shape, dtype=np.int64), np.empty(shape)]
    starts = np.ascontiguousarray(offsets_a - offsets_a[0]), np.ascontiguousarray(offsets_b)
    solve_pairs(costs, *starts, float(epsilon), float(tol), int(max_iter), plan, *solved)
    if not np.isfinite(solved[1]).all():
        raise FloatingPointError("The potentials of transport are not finite: look for extreme costs.")
    return SolvedBags(*solved, plan if plans else None)


def _read(bags_a, bags_b, regularization, epsilon, metric):
    for name, value in (("regularization", regularization), ("epsilon", 1.0 if epsilon is None else epsilon)):
        if not isinstance(value, Real) or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a number greater than 0, got {value!r}.")
    A, B = (
        read_bags(bags, f"bags_{side}: ", "transport").map(to_numpy) for side, bags in (("a", bags_a), ("b", bags_b))
    )
    if A.elements.shape[1] != B.elements.shape[1] and not callable(metric):
        raise ValueError(
            f"Elements of bags_a have {A.elements.shape[1]} features and those of bags_b {B.elements.shape[1]}: bring "
            "them into one space first."
        )
    dtype = np.result_type(A.elements, B.elements)
    return A.map(lambda rows: rows.astype(dtype, copy=False)), B.map(lambda rows: rows.astype(dtype, copy=False))


def _epsilon(epsilon, regularization, mean):
    """Epsilon in units of the cost; anything will do where all costs are 0."""
    return epsilon if epsilon is not None else float(regularization * mean()) or 1.0


def _blocks(offsets, width):
    """Ranges of bags that have few enough costs to be held at a time, one bag at least."""
    first, n = 0, len(offsets) - 1
    while first < n:
        fitting = int(np.searchsorted(offsets, offsets[first] + _BLOCK_ENTRIES // width, side="right")) - 1
        last = max(fitting, first + 1)
        yield first, last
        first = last


def _report(errors, tol):
    converged = bool(errors.max() <= tol)
    if not converged:
        warnings.warn(
            f"Transport did not converge for {np.count_nonzero(errors > tol)} of {errors.size} pairs of bags: the "
            f"largest L1 error of the marginals is {errors.max():.2g}. Raise max_iter, regularization or tol.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return converged
