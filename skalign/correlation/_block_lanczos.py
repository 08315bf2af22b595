"""Leading eigenpairs of a large operator that is self-adjoint in an inner product of its own."""

from __future__ import annotations

import numpy as np
import scipy.linalg as sla

from .._backend import astype, eigh, is_numpy, namespace, to_numpy

_NEGLIGIBLE = 1e-12  # relative squared length under which what is new in a block is rounding
_ROUNDING = 1e-13  # residuals, relative to the first eigenvalue, that no further step can improve
_TINY_VALUE = 1e-8  # eigenvalues this far under the first may come from an operator of too low a rank


def top_eigh(A, k):
    """The k largest eigenvalues of a symmetric matrix, descending, and their eigenvectors."""
    if not is_numpy(A):
        values, vectors = eigh(A)
        return values[:k], vectors[:, :k]
    n = len(A)
    values, vectors = sla.eigh(A, subset_by_index=(max(n - k, 0), n - 1), check_finite=False)
    return values[::-1], vectors[:, ::-1]


def count(mask):
    """How many are true."""
    return int(namespace(mask).sum(astype(mask, namespace(mask).int64)))


def block_lanczos(metric, step, start, k, tol):
    r"""Find the top k eigenpairs of :math:`M = T S` from products alone, S positive semidefinite and T symmetric.

    M is self-adjoint in the inner product of S. The basis G of the block Krylov space is orthonormal in it, with full
    reorthogonalisation, and kept with its images ``P = S G``, so that ``G' S M G = P' T P``.

    Parameters
    ----------
    metric, step : callables
        Products of S and of T with a block of columns. The norm of either is about 1 at most.
    start : array of shape (n, width)
        Random block, wider than k if it can be: the gap to the first value left out sets the speed.
    k : int
        Number of eigenpairs.
    tol : float
        Error of ``S g``, relative to its norm, at which to stop.

    Returns
    -------
    values : array of shape (k,)
        Eigenvalues, descending.
    vectors : array of shape (n, k)
        Eigenvectors g.
    images : array of shape (n, k)
        ``S g``. In place of the three None, where a basis of 0.4 n columns would not do.
    """
    xp = namespace(start)
    n, width = start.shape
    G, P, H = start[:, :0], start[:, :0], start[:0, :0]
    W = step(metric(start))  # without what S makes negligible, which the basis could not get rid of
    values = rotation = None
    progress = []
    for steps_left in range(max(2 * n // (5 * width), 4), -1, -1):
        for _ in range(2):  # once leaves the rounding of what was removed
            W = W - G @ (P.T @ W)
        V = metric(W)
        gram = W.T @ V
        lengths, T = eigh((gram + gram.T) / 2)
        rank = count(lengths > _NEGLIGIBLE * (lengths[0] if values is None else values[0] ** 2))
        if values is not None:
            # M G y - value * G y is what is new in W times the part of y in the last block.
            last = rotation[-W.shape[1] :, :k]
            residuals = xp.sqrt(xp.clip(xp.sum(last * (gram @ last), axis=0), 0.0, None))
            errors = _errors(residuals, values, xp.linalg.vector_norm(P @ rotation[:, :k], axis=0))
            if rank == 0 or np.max(errors) <= tol:
                break
            progress.append(np.log(float(xp.max(residuals))))
            if len(progress) > 5:
                speed = (progress[-4] - progress[-1]) / 3
                if np.log(np.max(errors) / tol) > 2.5 * steps_left * speed:  # it gets faster, but not that much
                    return None
        elif rank == 0:
            return None
        T = T[:, :rank] / xp.sqrt(lengths[:rank])
        W, V = W @ T, V @ T
        overlap = P.T @ W  # division by small lengths has magnified what was left of the old basis
        G = xp.concat([G, W - G @ overlap], axis=1)
        P = xp.concat([P, V - P @ overlap], axis=1)
        W = step(P[:, -rank:])
        new = P.T @ W
        H = xp.concat([xp.concat([H, new[:-rank, :].T], axis=0), new], axis=1)
        values, rotation = top_eigh((H + H.T) / 2, width)
    else:
        return None

    if values.shape[0] < k or float(values[k - 1]) < _TINY_VALUE * float(values[0]):
        return None
    # One more multiplication gives g the part that S makes negligible, which is in no basis. Then trust nothing above.
    g = step(P @ rotation[:, :k]) / values[:k]
    images = metric(g)
    residuals = xp.linalg.vector_norm(step(images) - g * values[:k], axis=0)
    errors = _errors(residuals, values, xp.linalg.vector_norm(images, axis=0))
    return (values[:k], g, images) if np.max(errors) <= 10 * tol else None


def _errors(residuals, values, norms):
    """First-order errors of ``S g`` relative to its norm: residual over the gap to the neighbouring eigenvalues."""
    residuals, values, norms = to_numpy(residuals), to_numpy(values), to_numpy(norms)
    k = len(residuals)
    below = -np.diff(np.append(values, 0.0))[:k]
    gaps = np.minimum(below, np.append(np.inf, below[:-1]))
    errors = residuals / np.maximum(gaps * norms, np.finfo(float).tiny)
    return np.where(residuals <= _ROUNDING * values[0], 0.0, errors)
