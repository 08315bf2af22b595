r"""Regularised canonical correlation analysis of two or more views, as functions on arrays.

With the covariance :math:`C_i` of view :math:`i` and its regularised form

.. math:: K_i = (1-c_i)\, C_i + c_i\, \mu_i I,

every view is whitened by some :math:`T_i` with :math:`T_i^\top K_i T_i = I`. The weights are :math:`W_i = T_i A_i`,
where the columns of :math:`A_i` are singular vectors of :math:`T_x^\top C_{xy} T_y` for two views, and blocks of
eigenvectors of the matrix of all such cross blocks, with a zero diagonal, for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import array_api_compat as aac
import numpy as np

from .._backend import cholesky, eigh, is_numpy, namespace, solve_triangular, svd, to_numpy
from .._input import is_whole
from ._canonical import check_choice

_EPS = np.finfo(np.float64).eps
# The error of a correlation is about 10 eps over the least pivot of the scaled covariance matrix: 1e-9 at worst.
_LEAST_PIVOT = 1e-6
SOLVERS = ("auto", "cholesky", "svd", "gram", "randomized")


@dataclass
class Whitening:
    """One view made white.

    Parameters
    ----------
    rank : int
        Number of white coordinates r.
    apply : callable
        From a matrix B with p rows to ``T.T @ B``.
    back : callable
        From coefficients of shape (r, k) to weights ``T @ A`` of shape (p, k).
    scores : array of shape (n, r) or None
        ``X @ T`` where it is at hand.
    """

    rank: int
    apply: object
    back: object
    scores: object = None


def check_solver(solver, rank):
    """Raise unless `solver` and its `randomized_rank` are such as `CCA` documents."""
    check_choice("solver", solver, SOLVERS)
    if not is_whole(rank, 1):
        raise ValueError(f"randomized_rank must be a whole number of at least 1, got {rank!r}.")


def whiten_by_cholesky(C, c, mu, demanded=False):
    """Whiten by a Cholesky factor of the covariance, or return None where its pivots are too small to trust.

    Columns are brought to unit regularised variance first, so their units do not matter; the penalty is that of the
    columns as they came.
    """
    xp = namespace(C)
    K = (1 - c) * C
    diagonal = np.arange(C.shape[0])
    K[diagonal, diagonal] += c * mu
    d = xp.sqrt(xp.linalg.diagonal(K))
    if not bool(xp.all(d > 0)):
        return None
    L = cholesky(K / (d[:, None] * d[None, :]))
    least = 10 * C.shape[0] * _EPS if demanded else _LEAST_PIVOT
    if L is None or not float(xp.min(xp.linalg.diagonal(L))) ** 2 >= least:
        return None
    return Whitening(
        rank=C.shape[0],
        apply=lambda B: solve_triangular(L, B / d[:, None]),
        back=lambda A: solve_triangular(L, A, transpose=True) / d[:, None],
    )


def whiten_by_eigen(C, c, mu):
    """Whiten by the eigenvectors of the scaled covariance: for singular covariances without the data at hand."""
    xp = namespace(C)
    K = (1 - c) * C
    diagonal = np.arange(C.shape[0])
    K[diagonal, diagonal] += c * mu
    d = xp.sqrt(xp.linalg.diagonal(K))
    d = xp.where(d > 0, d, 1.0)
    values, vectors = eigh(K / (d[:, None] * d[None, :]))
    rank = _count(values > values[0] * 10 * C.shape[0] * _EPS)
    T = vectors[:, :rank] / xp.sqrt(values[:rank]) / d[:, None]
    return Whitening(rank, apply=lambda B: T.T @ B, back=lambda A: T @ A)


def whiten_by_svd(X, weight, c, mu):
    """Whiten by a singular value decomposition of the centred data: right where the covariance is (nearly) singular.

    With a penalty the data are decomposed as they are, where the penalty is the same in all directions; without one the
    columns are brought to unit length, where their units do not matter.
    """
    xp = namespace(X)
    d = xp.linalg.vector_norm(X, axis=0) if c == 0 else xp.ones(X.shape[1], dtype=xp.float64, device=aac.device(X))
    d = xp.where(d > 0, d, 1.0)
    U, s, Vt = svd(X / d)
    return _from_svd(U, s, Vt, d, weight, c, mu, max(X.shape))


def whiten_by_randomized_svd(X, weight, c, mu, rank, rng):
    """Whiten the span of the leading `rank` principal components, found by randomised range finding."""
    from sklearn.utils.extmath import randomized_svd

    xp = namespace(X)
    if is_numpy(X):
        U, s, Vt = randomized_svd(X, min(rank, *X.shape), random_state=rng)
    else:
        from .._backend import like

        basis = X @ like(rng.normal(size=(X.shape[1], min(rank + 10, *X.shape))), X)
        for _ in range(4):
            basis = xp.linalg.qr(X @ (X.T @ xp.linalg.qr(basis)[0]))[0]
        inner, s, Vt = svd(xp.linalg.qr(basis)[0].T @ X)
        U = (xp.linalg.qr(basis)[0] @ inner)[:, :rank]
        s, Vt = s[:rank], Vt[:rank]
    return _from_svd(U, s, Vt, xp.ones(X.shape[1], dtype=xp.float64, device=aac.device(X)), weight, c, mu, max(X.shape))


def _from_svd(U, s, Vt, d, weight, c, mu, size):
    xp = namespace(U)
    rank = _count(s > s[0] * size * _EPS)
    U, s, Vt = U[:, :rank], s[:rank], Vt[:rank]
    regularised = xp.sqrt((1 - c) * s**2 / weight + c * mu)
    T = (Vt / regularised[:, None]).T / d[:, None]
    return Whitening(rank, apply=lambda B: T.T @ B, back=lambda A: T @ A, scores=U * (s / regularised))


def whiten_by_gram(X, weight, c, mu):
    """Whiten a view with more columns than rows by its inner products; needs c > 0."""
    xp = namespace(X)
    values, U = eigh(X @ X.T / weight)
    rank = _count(values > values[0] * 10 * X.shape[0] * _EPS)
    values, U = values[:rank], U[:, :rank]
    regularised = (1 - c) * values + c * mu
    to_rows = U / xp.sqrt(weight * values * regularised)
    return Whitening(
        rank,
        apply=lambda B: to_rows.T @ (X @ B),
        back=lambda A: X.T @ (to_rows @ A),
        scores=U * xp.sqrt(weight * values / regularised),
    )


def _count(mask):
    return int(namespace(mask).sum(mask))


def whiten(X, C, weight, c, mu, solver, rank, rng):
    """Whiten one view by the route that its shape and its conditioning ask for.

    Parameters
    ----------
    X : array of shape (n, p) or None
        Centred data; None where only moments are known.
    C : array of shape (p, p) or None
        Covariance; None where p >= n.
    weight : float
        Sum of the weights of the rows.
    c, mu : float
        Shrinkage and the variance that the covariance is shrunk to.
    solver : str
        One of `SOLVERS`.
    rank, rng
        For "randomized".

    Returns
    -------
    Whitening
    """
    if X is None:
        return whiten_by_cholesky(C, c, mu) or whiten_by_eigen(C, c, mu)
    if solver == "randomized" and X.shape[1] > rank:
        return whiten_by_randomized_svd(X, weight, c, mu, rank, rng)
    if c > 1e-8 and (solver == "gram" or (solver in ("auto", "randomized") and C is None)):
        return whiten_by_gram(X, weight, c, mu)
    if C is not None and solver != "svd":
        found = whiten_by_cholesky(C, c, mu, demanded=solver == "cholesky")
        if found is not None:
            return found
        if solver == "cholesky":
            raise np.linalg.LinAlgError("A covariance matrix is singular: use solver='svd' or shrinkage.")
    return whiten_by_svd(X, weight, c, mu)


def cross_blocks(whitenings, centered, moments, weight):
    """The whitened cross-covariance of every pair of views i < j."""
    m = len(whitenings)
    blocks = {}
    for i in range(m):
        for j in range(i + 1, m):
            a, b = whitenings[i], whitenings[j]
            # Scores first: products of rows keep twice the digits that products of covariances do.
            if a.scores is not None and b.scores is not None:
                blocks[i, j] = a.scores.T @ b.scores / weight
            elif a.scores is not None:
                blocks[i, j] = b.apply(centered[j].T @ a.scores).T / weight
            elif b.scores is not None:
                blocks[i, j] = a.apply(centered[i].T @ b.scores) / weight
            else:
                blocks[i, j] = b.apply(a.apply(moments.covariance(i, j)).T).T
    return blocks


def top_components(blocks, ranks, k):
    """Coefficients of the leading k components in white coordinates.

    Returns
    -------
    coefficients : list of arrays of shape (r_i, k)
    values : array
        All singular values for two views; for more, eigenvalues of the multiset problem, which are these for two.
    """
    if len(ranks) == 2:
        U, values, Vt = svd(blocks[0, 1])
        return [U[:, :k], Vt[:k].T], values
    xp = namespace(*blocks.values())
    edges = np.cumsum([0, *ranks])
    some = next(iter(blocks.values()))
    whole = xp.zeros((int(edges[-1]), int(edges[-1])), dtype=some.dtype, device=aac.device(some))
    for (i, j), block in blocks.items():
        whole[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = block
        whole[edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = block.T
    values, vectors = eigh(whole)
    return [vectors[a:b, :k] for a, b in pairwise(edges)], values


def sign_of_columns(W):
    """Signs (+1, -1) that make the largest entry of every column positive.

    Of entries of the same size up to rounding the sum decides, so that the order of rows does not.
    """
    xp = namespace(W)
    size = xp.abs(W)
    largest = size >= xp.max(size, axis=0) * (1 - 1e-6)
    signs = np.sign(to_numpy(xp.where(largest, W, 0.0).sum(0)))
    return np.where(signs == 0, 1.0, signs)
