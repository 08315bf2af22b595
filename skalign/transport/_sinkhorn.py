"""Entropic optimal transport by Sinkhorn's scaling: in kernel space, potentials absorbed, over-relaxed."""

from __future__ import annotations

from math import ceil, isfinite, log2, sqrt
from typing import NamedTuple

import array_api_compat as aac

from .._backend import astype, namespace
from .._typing import Array
from ._costs import as_cost, like_cost, mean_cost, row_blocks

_FIRST_STAGE = 0.25  # of the mean cost
_STAGE_TOL = 0.1
_LOOKS = 1.5  # ratio of the numbers of sweeps at which an over-relaxed iteration is tried without


class Potentials(NamedTuple):
    """Dual potentials of an entropic plan ``a_i b_j exp((f_i + g_j - c_ij) / epsilon)``, and how they were found.

    ``marginal_error`` is the sum over all rows and columns of what the plan's marginals are off by.
    """

    f: object
    g: object
    n_iter: int
    converged: bool
    marginal_error: float


def sinkhorn(
    cost: Array, a: Array = None, b: Array = None, *, epsilon: float, tol: float = 1e-6, max_iter: int = 5000,
    g: Array = None, relaxation: float | None = None, stored: bool = True, over_relax: bool = True,
) -> Potentials:  # fmt: skip
    r"""Entropic optimal transport between two weighted collections.

    .. math:: \min_P \sum_{ij} P_{ij} c_{ij} + \varepsilon \, \mathrm{KL}(P \,|\, a b^\top)
        \quad \text{with} \quad P 1 = a, \; P^\top 1 = b

    Parameters
    ----------
    cost : array of shape (n, m)
        What it costs to carry a unit from i to j: an array, a tensor, or an object of this package that computes it.
    a, b : array of shape (n,) and (m,), default=None
        Weights of both sides, of equal sum. None are equal weights that sum to 1.
    epsilon : float
        Regularisation, in units of the cost.
    tol : float, default=1e-6
        Largest L1 error of the marginals, rows and columns together. In float32 2e-6 is the least that is asked for.
    max_iter : int, default=5000
        Largest number of sweeps over both marginals, of which two are always made.
    g : array of shape (m,), default=None
        Potentials to start from, of a similar problem. None comes from larger regularisations, each half the one
        before, to which a sweep or a few are enough.
    relaxation : float, default=None
        Unbalanced transport: the constraints are replaced by ``relaxation * KL(P 1 | a)`` and the same of b, in units
        of the cost. The error is then how far the potentials are from being a fixed point, in the same norm.
    stored : bool, default=True
        Keep the kernel, an (n, m) array. Otherwise it is computed in blocks at every sweep.
    over_relax : bool, default=True
        Lengthen the steps by a factor that follows from how fast the error falls.

    Returns
    -------
    Potentials
        ``f`` and ``g`` in float64, ``n_iter``, ``converged``, ``marginal_error``. The marginal of columns is exact.

    Raises
    ------
    FloatingPointError
        If costs are not finite, or potentials stop being so.

    Notes
    -----
    A sweep reads every block of the kernel once: its rows are scaled, and go into the sums of the columns while they
    are still in the cache. The kernel ``exp((f + g - c) / epsilon)`` is taken around potentials that are dual feasible
    at the start and follow the iteration, so that no row of it can vanish, in float32 neither.

    References
    ----------
    M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013.
    B. Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems", SIAM J. Scientific
    Computing 41(3), 2019.
    A. Thibault, L. Chizat, C. Dossal and N. Papadakis, "Overrelaxed Sinkhorn-Knopp algorithm for regularized optimal
    transport", Algorithms 14(5), 2021.
    L. Chizat, G. Peyré, B. Schmitzer and F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport
    problems", Mathematics of Computation 87, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.transport import sinkhorn
    >>> C = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> f, g, *_ = sinkhorn(C, epsilon=0.5)
    >>> (0.25 * np.exp((f[:, None] + g - C) / 0.5)).round(3)
    array([[0.44, 0.06],
           [0.06, 0.44]])
    """
    cost = as_cost(cost)
    xp = namespace(cost.reference)
    tol = max(tol, 16.0 * float(xp.finfo(cost.dtype).eps))
    a, b = (_weights(cost, part, size) for part, size in zip((a, b), cost.shape))
    kernel = _Kernel(cost, stored)
    n_before = 0
    for stage in _stages(epsilon, cost, a, b) if g is None else ():
        left = max_iter - n_before - 2
        if left < 2:
            break
        found = _iterate(kernel, a, b, stage, max(tol, _STAGE_TOL), left, g, relaxation, over_relax)
        g, n_before = found.g, n_before + found.n_iter
    found = _iterate(kernel, a, b, epsilon, tol, max_iter - n_before, g, relaxation, over_relax)
    return found._replace(n_iter=n_before + found.n_iter)


def _stages(epsilon, cost, a, b):
    """Larger regularisations to come from, each half the one before."""
    stage = _FIRST_STAGE * mean_cost(cost, a, b)
    if not isfinite(stage):
        raise FloatingPointError("The costs of transport are not finite.")
    n_stages = ceil(log2(stage / epsilon)) if stage > 1.5 * epsilon else 0
    return (stage / 2**i for i in range(n_stages))


def _iterate(kernel, a, b, epsilon, tol, max_iter, g, relaxation, over_relax):
    xp = kernel.xp
    kernel.epsilon = epsilon
    f, g = kernel.start(xp.zeros_like(b) if g is None else like_cost(g, kernel.cost))
    kernel.absorb(f, g)
    shrink = 1.0 if relaxation is None else relaxation / (relaxation + epsilon)
    pace = _Pace(over_relax)
    closed = False  # whether g is the best for f, so that the columns' marginals are exact
    look = 0.0
    for n_iter in range(1, max(max_iter, 2) + 1):
        kernel.follow(f, g)
        best_f, new_f, best_g = _sweep(kernel, a, b, f, pace.omega, shrink)
        rows_off = _off(xp, a, (f - best_f) / epsilon)
        if not isfinite(rows_off):
            raise FloatingPointError("The potentials of transport are not finite any more: look for extreme costs.")
        if closed and (rows_off <= tol or n_iter >= max_iter):
            return Potentials(f, g, n_iter, rows_off <= tol, rows_off)
        off = rows_off + _off(xp, b, (g - best_g) / epsilon)
        # Long steps keep up parts of the error that a plain one puts out at once, and hide that the end is reached.
        closed = pace.omega == 1.0 or off <= tol or n_iter >= min(look, max_iter - 1)
        if closed:
            look = _LOOKS * n_iter
        f, g = new_f, best_g if closed else _beyond(xp, g, best_g, pace.omega, epsilon)
        pace.learn(off)


def _weights(cost, weights, size):
    xp = namespace(cost.reference)
    if weights is None:
        return like_cost(xp.ones(size) / size, cost)
    return like_cost(weights, cost)


def _sweep(kernel, a, b, f, omega, shrink):
    """The best f for the g of the kernel's right side, f moved towards it, and the best g for that."""
    xp, epsilon, dtype = kernel.xp, kernel.epsilon, kernel.cost.dtype
    best_f, new_f, columns = xp.empty_like(f), xp.empty_like(f), xp.zeros_like(b)
    weights = astype(b * kernel.g_scale, dtype)
    for rows in kernel.blocks:
        K = kernel[rows]
        best_f[rows] = shrink * (kernel.f0[rows] - epsilon * xp.log(astype(K @ weights, f.dtype)))
        new_f[rows] = _beyond(xp, f[rows], best_f[rows], omega, epsilon)
        scaled = a[rows] * xp.exp((new_f[rows] - kernel.f0[rows]) / epsilon)
        columns += astype(astype(scaled, dtype) @ K, b.dtype)
    return best_f, new_f, shrink * (kernel.g0 - epsilon * xp.log(columns))


def _beyond(xp, now, best, omega, epsilon):
    """`now` moved towards and beyond `best`, by the factor omega where the dual objective gains from that, else by 1.

    With d = (best - now) / epsilon, a row of weight w has a mass of w exp(-d) now, and the step adds
    w (omega d - exp((omega - 1) d) + exp(-d)) to the objective: no step of a potential makes it fall.
    """
    if omega == 1.0:
        return best
    d = xp.clip((best - now) / epsilon, -50.0, 50.0)
    gain = omega * d - xp.exp((omega - 1.0) * d) + xp.exp(-d)
    return now + xp.where(gain > 0, omega, 1.0) * (best - now)


def _off(xp, weights, logarithms):
    return float(weights @ xp.abs(xp.expm1(xp.clip(logarithms, None, 50.0))))


class _Kernel:
    """``exp((f0_i + g0_j - c_ij) / epsilon)`` in blocks of rows, around potentials f0 and g0.

    Stored, it is filled anew when the potentials have moved far from those; otherwise they are those of the moment.
    """

    def __init__(self, cost, stored):
        self.cost, self.epsilon = cost, None
        self.xp = namespace(cost.reference)
        self.blocks = row_blocks(cost)
        # So far may potentials move, in units of epsilon, before sums of e^±limit lose what matters.
        self.limit = 20.0 if cost.dtype == self.xp.float32 else 100.0
        self._stored = (
            self.xp.empty(cost.shape, dtype=cost.dtype, device=aac.device(cost.reference)) if stored else None
        )

    def start(self, g):
        """The best f without entropy, and g: the kernel has a 1 in every row, and in no column nothing but zeros."""
        xp = self.xp
        f = xp.empty(self.cost.shape[0], dtype=g.dtype, device=aac.device(g))
        best_g = xp.full_like(g, xp.inf)
        for rows in self.blocks:
            costs = self.cost.rows(rows)
            f[rows] = xp.min(costs - g, axis=1)
            best_g = xp.minimum(best_g, xp.min(costs - f[rows][:, None], axis=0))
        return f, xp.where(best_g - g > self.limit * self.epsilon, best_g, g)

    def absorb(self, f, g):
        self.f0, self.g0 = f, g
        self.g_scale = self.xp.ones_like(g)
        if self._stored is not None:
            for rows in self.blocks:
                self._stored[rows, :] = self._exponential(rows)

    def follow(self, f, g):
        xp = self.xp
        moved = float(xp.max(xp.abs(f - self.f0))) + float(xp.max(xp.abs(g - self.g0)))
        if self._stored is None or moved > self.limit * self.epsilon:
            self.absorb(f, g)
        else:
            self.g_scale = xp.exp((g - self.g0) / self.epsilon)

    def __getitem__(self, rows):
        return self._exponential(rows) if self._stored is None else self._stored[rows, :]

    def _exponential(self, rows):
        costs = self.cost.rows(rows)
        exponent = self.g0[None, :] - costs  # in float64: what is rounded off here is divided by epsilon
        exponent += self.f0[rows][:, None]
        exponent /= self.epsilon
        exponent = astype(exponent, costs.dtype)
        return self.xp.exp(exponent, out=exponent)


class _Pace:
    r"""The factor of over-relaxation, from how fast the error falls.

    Near the solution, sweeps with the factor :math:`\omega` reduce the error by a rate :math:`\mu` that obeys Young's
    relation :math:`(\mu + \omega - 1)^2 = \mu \, \omega^2 \rho`, where :math:`\rho` is the rate of plain sweeps, and
    :math:`2 / (1 + \sqrt{1 - \rho})` is the best factor. The rate seen grows while fast parts of the error die out, and
    the factor with it; where the error does not fall, the factor goes half the way back to 1.
    """

    def __init__(self, active):
        self.omega = 1.0
        self._active, self._errors = active, []

    def learn(self, error):
        if not self._active:
            return
        self._errors.append(error)
        window = 4 + ceil(2.0 / (2.0 - self.omega))  # momentum needs about so many sweeps to show what it does
        if len(self._errors) <= 2 * window:
            return
        omega, rate = self.omega, (self._errors[-1] / self._errors[-1 - window]) ** (1.0 / window)
        self._errors = self._errors[-window:]
        if not rate < 1.0:
            omega = (1.0 + omega) / 2.0
        elif rate > omega - 1.0:  # a rate of omega - 1 is that of a factor which is large enough
            plain = (rate + omega - 1.0) ** 2 / (rate * omega**2)
            better = 2.0 / (1.0 + sqrt(max(1.0 - plain, 1e-8)))
            omega = better if better > omega + 0.05 * (2.0 - omega) else omega
        if omega != self.omega:
            self.omega, self._errors = omega, []
