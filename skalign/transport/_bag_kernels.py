"""Entropic transport between many small bags, compiled; imported by what runs it, since numba takes long to load."""

from __future__ import annotations

import numpy as np
from numba import njit

# Scalings beyond this are absorbed into the potentials: products of two of them and a cost are far from overflow.
_LARGEST_SCALING = 1e100
# Sweeps before the first Newton step and between two: a step costs as much as several sweeps, and pays where the
# error falls slowly.
_FIRST_NEWTON, _BETWEEN_NEWTON = 20, 3
_LONGEST_STEP = 10.0  # of the logarithm of a scaling


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def solve_pairs(costs, starts_a, starts_b, epsilon, tol, max_iter, plan, carried, values, n_iters, errors):
    """Entropic transport between every two bags, each on its own block of `costs`.

    Weights in a bag are equal and sum to 1. Filled are, by pair, the cost of the plan, the minimum with the entropy,
    the number of sweeps and the L1 error of the marginals; and `plan`, in blocks like `costs`, unless it is empty.
    """
    rows, columns = np.max(np.diff(starts_a)), np.max(np.diff(starts_b))
    K = np.empty((rows, columns))
    f, u, row_sums = np.empty(rows), np.empty(rows), np.empty(rows)
    g, v, column_sums = np.empty(columns), np.empty(columns), np.empty(columns)
    H, du, dv = np.empty((rows, rows)), np.empty(rows), np.empty(columns)
    for i in range(len(starts_a) - 1):
        r0, n = starts_a[i], starts_a[i + 1] - starts_a[i]
        for j in range(len(starts_b) - 1):
            c0, m = starts_b[j], starts_b[j + 1] - starts_b[j]
            _start(costs, r0, c0, n, m, f, g)
            _fill(costs, r0, c0, n, m, f, g, epsilon, K, u, v)
            a, b, sweep = 1.0 / n, 1.0 / m, 0
            while True:
                error = 0.0
                for r in range(n):
                    s = 0.0
                    for c in range(m):
                        s += K[r, c] * v[c]
                    row_sums[r] = s
                    error += abs(u[r] * s - a)
                if sweep and (error <= tol or sweep >= max_iter):  # the columns are exact after a sweep
                    break
                sweep += 1
                largest = 0.0
                column_sums[:m] = 0.0
                for r in range(n):
                    u[r] = a / row_sums[r]
                    largest = max(largest, u[r], 1.0 / u[r])
                    for c in range(m):
                        column_sums[c] += K[r, c] * u[r]
                for c in range(m):
                    v[c] = b / column_sums[c]
                    largest = max(largest, v[c], 1.0 / v[c])
                if largest > _LARGEST_SCALING:
                    for r in range(n):
                        f[r] += epsilon * np.log(u[r])
                    for c in range(m):
                        g[c] += epsilon * np.log(v[c])
                    _fill(costs, r0, c0, n, m, f, g, epsilon, K, u, v)
                if sweep >= _FIRST_NEWTON and (sweep - _FIRST_NEWTON) % _BETWEEN_NEWTON == 0 and sweep < max_iter:
                    _newton(K, u, v, n, m, H, du, dv, row_sums, column_sums)
            # The dual value: its error is of second order in that of the potentials, and its gradient is the plan.
            value, cost = epsilon * np.log(n) + epsilon * np.log(m), 0.0
            for c in range(m):
                value += b * (g[c] + epsilon * np.log(v[c]))
            for r in range(n):
                value += a * (f[r] + epsilon * np.log(u[r]))
                for c in range(m):
                    mass = u[r] * K[r, c] * v[c]
                    cost += mass * costs[r0 + r, c0 + c]
                    if plan.size:
                        plan[r0 + r, c0 + c] = mass
            carried[i, j], values[i, j], n_iters[i, j], errors[i, j] = cost, value, sweep, error


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _newton(K, u, v, n, m, H, du, dv, new_u, new_v):
    """A Newton step of the dual from scalings whose columns are exact, as long as the dual gains by it.

    The scalings change by exp(du) and exp(dv), with (diag(p) - m P P') du = a - p for the row sums p of the plan P.
    """
    a, b = 1.0 / n, 1.0 / m
    for r in range(n):
        p = 0.0
        for c in range(m):
            p += K[r, c] * v[c]
        p *= u[r]
        du[r] = a - p
        for k in range(r + 1):
            s = 0.0
            for c in range(m):
                s += K[r, c] * K[k, c] * v[c] * v[c]
            H[r, k] = -m * u[r] * u[k] * s
        H[r, r] += p
    du[n - 1] = 0.0  # potentials are free up to a constant
    for r in range(n - 1):  # Cholesky's factor of all rows but the last
        for k in range(r + 1):
            s = H[r, k]
            for q in range(k):
                s -= H[r, q] * H[k, q]
            if k < r:
                H[r, k] = s / H[k, k]
            else:  # next to nothing where the plan falls apart into blocks
                H[r, r] = np.sqrt(max(s, 1e-13 * a))
    for r in range(n - 1):
        for k in range(r):
            du[r] -= H[r, k] * du[k]
        du[r] /= H[r, r]
    for r in range(n - 2, -1, -1):
        for k in range(r + 1, n - 1):
            du[r] -= H[k, r] * du[k]
        du[r] /= H[r, r]
    slope, longest = 0.0, 0.0
    for c in range(m):
        s = 0.0
        for r in range(n):
            s += K[r, c] * u[r] * du[r]
        dv[c] = -m * v[c] * s
        slope += b * dv[c]
        longest = max(longest, abs(dv[c]))
    for r in range(n):
        slope += a * du[r]
        longest = max(longest, abs(du[r]))
    step = 1.0 if longest <= _LONGEST_STEP else _LONGEST_STEP / longest
    for _ in range(6):
        for c in range(m):
            new_v[c] = v[c] * np.exp(step * dv[c])
        mass = 0.0
        for r in range(n):
            s = 0.0
            for c in range(m):
                s += K[r, c] * new_v[c]
            new_u[r] = u[r] * np.exp(step * du[r])
            mass += s * new_u[r]
        if mass - 1.0 <= step * slope + 1e-14:  # the dual gains the slope and loses the mass
            u[:n] = new_u[:n]
            v[:m] = new_v[:m]
            return
        step *= 0.5


@njit(cache=True, nogil=True)
def _start(costs, r0, c0, n, m, f, g):
    """Potentials that are dual feasible: the kernel has a 1 in every row and in every column, and none can vanish."""
    for r in range(n):
        f[r] = np.inf
        for c in range(m):
            f[r] = min(f[r], costs[r0 + r, c0 + c])
    for c in range(m):
        g[c] = np.inf
        for r in range(n):
            g[c] = min(g[c], costs[r0 + r, c0 + c] - f[r])


@njit(cache=True, nogil=True)
def _fill(costs, r0, c0, n, m, f, g, epsilon, K, u, v):
    u[:n] = 1.0
    v[:m] = 1.0
    for r in range(n):
        for c in range(m):
            K[r, c] = np.exp((f[r] + g[c] - costs[r0 + r, c0 + c]) / epsilon)
