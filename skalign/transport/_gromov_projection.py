"""Entropic projection on to the couplings of two marginals, for many costs in a row that differ little."""

from __future__ import annotations

from math import log
from typing import NamedTuple

from array_api_compat import device as device_of

from .._backend import cholesky, namespace, solve_triangular

_SWEEPS_A_STEP = 24  # a Newton step is taken where more than m / 24 sweeps seem to be left


class Projection(NamedTuple):
    """The plan ``a_i b_j exp((f_i + g_j - c_ij) / epsilon)``; its rows sum to a, its columns to b but for the error."""

    plan: object
    f: object
    g: object
    marginal_error: float
    n_iter: int


def project(cost, a, b, epsilon, g, tol, max_iter):
    r"""Entropic transport from potentials that are nearly right: sweeps, and Newton steps where sweeps are slow.

    Newton's method maximises the dual in g alone, :math:`f` being the best for it; its Hessian is that of the Schur
    complement, ``diag(P^T 1) - P^T diag(1/a) P``, an (m, m) matrix which takes less time than the gradient of a
    Gromov-Wasserstein objective does.

    Parameters
    ----------
    cost : array of shape (n, m)
        Costs; not altered.
    a, b : array of shape (n,) and (m,)
        Weights in the dtype of the costs, of equal sum.
    epsilon : float
        Regularisation, in units of the cost.
    g : array of shape (m,)
        Potentials to start from.
    tol : float
        Largest L1 error of the column sums.
    max_iter : int
        Largest number of sweeps and steps.
    """
    xp = namespace(cost)
    limit = 20.0 if cost.dtype == xp.float32 else 100.0  # logarithms of scalings beyond which sums lose what matters
    K, f, g = _kernel(xp, cost, epsilon, g, limit)
    v = xp.ones_like(b)
    error, rate, swept = float("inf"), 0.0, False
    for n_iter in range(1, max_iter + 1):
        rows = K @ (b * v)
        columns = v * ((a / rows) @ K)
        last, error = error, float(xp.sum(b * xp.abs(columns - 1.0)))
        if error <= tol or n_iter == max_iter:
            break
        rate = error / last if swept else rate
        slow = rate >= 1.0 or (rate > 0.0 and log(tol / error) / log(rate) > b.shape[0] / _SWEEPS_A_STEP)
        step = _newton_step(xp, K, a, b, v, rows, columns, limit) if slow else None
        swept = step is None
        v = v / columns if swept else v * xp.exp(step)
        if float(xp.max(xp.abs(xp.log(v)))) > limit:
            K, f, g = _kernel(xp, cost, epsilon, g + epsilon * xp.log(v), limit)
            v, swept = xp.ones_like(b), False
    plan = K * (a / rows)[:, None]
    plan *= (b * v)[None, :]
    return Projection(plan, f - epsilon * xp.log(rows), g + epsilon * xp.log(v), error, n_iter)


def _kernel(xp, cost, epsilon, g, limit):
    """``exp((f + g - cost) / epsilon)`` with a 1 in every row, and in no column nothing but zeros."""
    exponent = g[None, :] - cost
    f = -xp.max(exponent, axis=1)
    exponent += f[:, None]
    highest = xp.max(exponent, axis=0)
    lift = xp.where(highest < -limit * epsilon, -highest, xp.zeros_like(highest))
    if bool(xp.any(lift > 0)):
        g = g + lift
        exponent += lift[None, :]
    exponent /= epsilon
    return xp.exp(exponent, out=exponent), f, g


def _newton_step(xp, K, a, b, v, rows, columns, limit):
    """Change of log v that raises the dual, or None where none is found."""
    scaled = K * (xp.sqrt(a) / rows)[:, None]
    scaled *= (b * v)[None, :]
    mass = b * columns
    # Equal changes of all potentials change nothing: the outer product fixes their mean. The ridge is rounding's.
    hessian = mass[:, None] * mass[None, :] - scaled.T @ scaled
    ridge = 100.0 * float(xp.finfo(K.dtype).eps)
    diagonal = xp.arange(b.shape[0], device=device_of(b))
    hessian[diagonal, diagonal] += (1.0 + ridge) * mass
    L = cholesky(hessian)
    if L is None:
        return None
    slope = b - mass
    step = solve_triangular(L, solve_triangular(L, slope[:, None]), transpose=True)[:, 0]
    gain = float(slope @ step)
    length = min(1.0, limit / max(float(xp.max(xp.abs(step))), 1e-30))
    while length > 1e-2:
        raised = length * float(b @ step) - float(a @ xp.log((K @ (b * v * xp.exp(length * step))) / rows))
        if raised >= 1e-4 * length * gain:
            return length * step
        length /= 2.0
    return None
