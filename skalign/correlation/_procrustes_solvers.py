"""Orthogonal Procrustes problems: the rotations, and scales, that bring views on to each other."""

from __future__ import annotations

import warnings

import numpy as np
from array_api_compat import device as device_of
from sklearn.exceptions import ConvergenceWarning

from .._backend import like, namespace, svd
from ._linear_solvers import sign_of_columns

_EPS = np.finfo(np.float64).eps


def rotations_and_scales(names, views, k, *, scaling, reflection, max_iter, tol):
    """What carries centred views to the axes of the last.

    Parameters
    ----------
    names : list of str
        For the error alone.
    views : list of arrays of shape (n, p_i)
        At most k columns each; missing ones count as zero.
    k : int
        Width of the shared space.
    scaling, reflection, max_iter, tol
        As those of `ProcrustesAligner`.

    Returns
    -------
    rotations : list of arrays of shape (k, k)
    scales : list of float
    agreement : float
        Part of the variance of the carried views that their mean has.
    n_iter : int
    """
    xp = namespace(views[0])
    last = len(views) - 1
    identity = xp.eye(k, dtype=xp.float64, device=device_of(views[0]))
    pairs = [(i, j) for i in range(last) for j in range(i + 1, last + 1)]
    products = {(i, j): _padded(views[i].T @ views[j], k) for i, j in pairs}
    products |= {(j, i): products[i, j].T for i, j in pairs}
    sizes = np.array([float(xp.sum(view * view)) for view in views])
    scales, n_iter = np.ones(len(views)), 1
    rotations = [_rotation(products[i, last], sizes[i] ** 0.5 * sizes[last] ** 0.5, reflection) for i in range(last)]
    rotations.append(identity)
    if len(views) > 2:
        settings = {"scaling": scaling, "reflection": reflection, "max_iter": max_iter, "tol": tol}
        n_iter = _sweep(products, sizes, rotations, scales, **settings)
        rotations = [Q @ rotations[last].T for Q in rotations[:last]] + [identity]
        scales = scales / scales[last]
    elif scaling:
        scales[0] = _gram(products, sizes, rotations)[0, 1] / sizes[0]
    for name, s in zip(names, scales):
        if not s > 0:
            raise ValueError(f"No positive scale brings view {name!r} closer to the others: use scaling=False.")
    return rotations, scales.tolist(), 1.0 - _outside(_gram(products, sizes, rotations), scales), n_iter


def _sweep(products, sizes, rotations, scales, *, scaling, reflection, max_iter, tol):
    """Rotate every view on to the sum of the others until nothing moves; alters `rotations` and `scales`."""
    m = len(sizes)
    outside = np.inf
    for n_iter in range(1, max_iter + 1):
        for i in range(m):
            rest = [j for j in range(m) if j != i]
            target = sum(products[i, j] @ rotations[j] * float(scales[j]) for j in rest)
            size = sum(abs(scales[j]) * sizes[i] ** 0.5 * sizes[j] ** 0.5 for j in rest)
            rotations[i] = _rotation(target, float(size), reflection)
        gram = _gram(products, sizes, rotations)
        if scaling:  # the best scales for these rotations (ten Berge 1977)
            norms = sizes**0.5
            v = np.linalg.eigh(gram / norms[:, None] / norms)[1][:, -1]
            scales[:] = v / norms * (1.0 if v.sum() > 0 else -1.0)
            scales /= np.abs(scales).max()
        before, outside = outside, _outside(gram, scales)
        if before - outside <= tol:
            return n_iter
    warnings.warn(
        f"Generalised Procrustes analysis did not converge in {n_iter} sweeps: the last one still gained "
        f"{before - outside:.1e} of the variance. Raise max_iter or tol.",
        ConvergenceWarning,
        stacklevel=4,
    )
    return n_iter


def _rotation(M, size, reflection):
    """The orthogonal Q of largest ``trace(Q.T @ M)``, nearest to the identity where `M` leaves it open."""
    xp = namespace(M)
    U, values, Vt = svd(M)
    rank = int(xp.sum(values > M.shape[0] * _EPS * size))
    Q = U[:, :rank] @ Vt[:rank]
    weakest = U[:, -1:], Vt[-1:]
    if rank < M.shape[0]:
        left, right = U[:, rank:], Vt[rank:]
        A, _, Bt = svd(left.T @ right.T)
        left, right = left @ A, Bt @ right
        Q = Q + left @ right
        weakest = left[:, -1:], right[-1:]
    if not reflection and float(xp.linalg.det(Q)) < 0:
        Q = Q - 2.0 * weakest[0] @ weakest[1]
    return Q


def principal_axes(centered):
    """Principal axes of a centred view of shape (p, rank), leading ones first, and its rank."""
    _, values, axes = svd(centered)
    rank = int(namespace(values).sum(values > max(centered.shape) * _EPS * values[0]))
    axes = axes[:rank].T
    return axes * like(sign_of_columns(axes), axes), rank


def _padded(M, k):
    xp = namespace(M)
    padded = xp.zeros((k, k), dtype=M.dtype, device=device_of(M))
    padded[: M.shape[0], : M.shape[1]] = M
    return padded


def _gram(products, sizes, rotations):
    """Inner products of the rotated views."""
    gram = np.diag(sizes)
    for (i, j), M in products.items():
        gram[i, j] = float(namespace(M).sum(rotations[i] * (M @ rotations[j])))
    return gram


def _outside(gram, scales):
    """Part of the variance of the scaled views that their mean does not have."""
    return 1.0 - scales @ gram @ scales / (len(scales) * (scales**2 @ np.diag(gram)))
