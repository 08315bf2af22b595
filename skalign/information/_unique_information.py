r"""How much two sources have in common about a target: the convex programme of unique information.

Among all tables q[x1, x2, y] that have the marginals of p over (x1, y) and over (x2, y), the one of least

.. math:: f(q) = \sum q \log \frac{q(x_1, x_2, y)}{q(x_1, x_2)}

has as little synergy as these marginals allow. It is found by Newton steps on :math:`f - \mu \sum \log q`, with a
:math:`\mu` that falls: at its minimum f is no more than N :math:`\mu` above the least value, with N entries of q.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sla

_FIRST_BARRIER, _FALL = 1e-2, 0.2
_NEWTON_STEPS = 60
_FITS = 100
_REFINEMENTS = 4
_DRIFT = 1e-6


def least_synergy(p, tol=1e-9):
    """The table with the marginals of `p` over (x1, y) and (x2, y) that has the least synergy.

    Parameters
    ----------
    p : ndarray of shape (n1, n2, ny)
        Joint probabilities.
    tol : float, default=1e-9
        By how many nats it may miss the least value.

    Returns
    -------
    ndarray of shape (n1, n2, ny)
    """
    first, second = p.sum(axis=1), p.sum(axis=0)
    target = first.sum(axis=0)
    q = first[:, None, :] * second[None, :, :] / np.where(target > 0, target, 1.0)
    inside = q > 0
    barrier, last = _FIRST_BARRIER / inside.sum(), tol / inside.sum()
    while barrier > last:
        barrier = max(barrier * _FALL, last)
        q = _with_marginals(_minimum(q, inside, barrier), first, second)
    return q


def _with_marginals(q, first, second):
    """The table nearest to `q` that has the marginals exactly: Newton steps leave them by rounding."""
    for _ in range(_FITS):
        q = q * _ratio(second, q.sum(axis=0))[None, :, :]
        factors = _ratio(first, q.sum(axis=1))
        q = q * factors[:, None, :]
        if np.abs(factors - 1.0).max() < 1e-14:
            break
    return q


def _ratio(a, b):
    return np.where(b > 0, a, 1.0) / np.where(b > 0, b, 1.0)


def _minimum(q, inside, barrier):
    """The minimum of f less `barrier` times the sum of logarithms, from a table with the right marginals."""
    safe = np.where(inside, q, 1.0)
    value = _objective(safe, inside, barrier)
    for _ in range(_NEWTON_STEPS):
        gradient = np.where(inside, np.log(safe / _pairs(safe, inside)) - barrier / safe, 0.0)
        step, decrement = _newton_step(safe, inside, gradient, barrier)
        moved = max(np.abs(step.sum(axis=axis)).max() for axis in (0, 1))
        if moved > _DRIFT * np.abs(step).max():  # too near the edge to be solved for
            break
        shrinking = inside & (step < 0)
        length = min(1.0, 0.99 * float((safe[shrinking] / -step[shrinking]).min(initial=np.inf)))
        while True:
            candidate = np.where(inside, safe + length * step, 1.0)
            found = _objective(candidate, inside, barrier)
            if found <= value - 0.1 * length * decrement or length < 1e-10:
                break
            length /= 2
        if length < 1e-10:  # rounding is all that is left
            break
        safe, value = candidate, found
        if decrement < 1e-3 * barrier:
            break
    return np.where(inside, safe, 0.0)


def _pairs(q, inside):
    """Probabilities of (x1, x2), to divide by."""
    total = np.where(inside, q, 0.0).sum(axis=2, keepdims=True)
    return np.where(total > 0, total, 1.0)


def _objective(q, inside, barrier):
    logs = np.log(q)
    return float((np.where(inside, q * (logs - np.log(_pairs(q, inside))) - barrier * logs, 0.0)).sum())


def _newton_step(q, inside, gradient, barrier):
    """The Newton step that keeps both marginals, and how much of the objective it promises.

    The Hessian is diagonal but for one term of rank one in every pair (x1, x2), and its inverse is of the same form.
    """
    D = np.where(inside, q**2 / (q + barrier), 0.0)  # inverse of the diagonal
    rest = np.where(inside, q * barrier / (q + barrier), 0.0).sum(axis=2)  # the probability of a pair less the sum of D
    share = 1.0 / np.where(rest > 0, rest, np.inf)

    def inverse(v):
        return D * v + D * (share * (D * v).sum(axis=2))[:, :, None]

    n1, n2, ny = q.shape
    whole = np.zeros(((n1 + n2) * ny, (n1 + n2) * ny))
    edge = n1 * ny
    weighted = share[:, :, None] * D
    for a in range(n1):
        rows = slice(a * ny, (a + 1) * ny)
        whole[rows, rows] = np.diag(D[a].sum(axis=0)) + weighted[a].T @ D[a]
    for b in range(n2):
        rows = slice(edge + b * ny, edge + (b + 1) * ny)
        whole[rows, rows] = np.diag(D[:, b].sum(axis=0)) + weighted[:, b].T @ D[:, b]
    between = np.einsum("aby,abz->aybz", weighted, D)
    y = np.arange(ny)
    between[:, y, :, y] += D.transpose(2, 0, 1)
    whole[:edge, edge:] = between.reshape(edge, -1)
    whole[edge:, :edge] = whole[:edge, edge:].T
    solve = _solver(whole)
    step = -inverse(gradient)
    for _ in range(_REFINEMENTS):  # the first brings the marginals back, the others what rounding left of them
        left = np.concatenate([step.sum(axis=1).ravel(), step.sum(axis=0).ravel()])
        multipliers = solve(left)
        back = multipliers[:edge].reshape(n1, 1, ny) + multipliers[edge:].reshape(1, n2, ny)
        step = step - inverse(np.where(inside, back, 0.0))
    return step, float(-(gradient * step).sum())


def _solver(S):
    """Least solutions of S x = b for a positive semidefinite S whose rows may differ in scale by far."""
    d = np.sqrt(np.diagonal(S))
    d = np.where(d > 0, d, 1.0)
    values, vectors = sla.eigh(S / d[:, None] / d, check_finite=False)
    kept = values > 1e-13 * len(S)
    V = vectors[:, kept] / np.sqrt(values[kept])
    return lambda b: V @ (V.T @ (b / d)) / d
