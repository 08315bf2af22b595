r"""Regularised kernel CCA on centred kernel matrices, as functions on arrays.

With :math:`\tilde K = K / \mathrm{tr} K` and :math:`A = (1-c) \tilde K + c I`, a dual weight vector :math:`a` has the
regularised variance :math:`a^\top \tilde K A a` (up to the scale of the kernel), and with :math:`u = (\tilde K A)^{1/2}
a` the covariance of two views is :math:`u_x^\top S_x^{1/2} S_y^{1/2} u_y` where

.. math:: S = \tilde K A^{-1}, \qquad 0 \preceq S \preceq I.

Everything below works on the operators :math:`S` of the views. Stationary points obey, for every view :math:`i`,

.. math:: \lambda g_i = \sum_{j \ne i} p_j, \qquad p_j = S_j g_j, \qquad a_i = A_i^{-1} g_i,

and :math:`p_i = \tilde K_i a_i` are the variates.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .._backend import astype, cholesky, eigh, like, namespace, solve_triangular, svd
from ._block_lanczos import block_lanczos, count, top_eigh

_EPS = np.finfo(np.float64).eps
_LEAST_SHRINKAGE = 1e-6  # products with S have an error of about _EPS / c
_EXTRA = 5  # columns beyond n_components: the speed of the iteration is set by the gap to the first value left out


def center_kernel(K):
    """Centre a kernel matrix in feature space.

    Parameters
    ----------
    K : array of shape (n, n)
        Symmetric kernel of the training rows. Not altered.

    Returns
    -------
    centered : array of shape (n, n)
        ``H K H`` with ``H = I - 11'/n``, in float64. Exactly zero if nothing but rounding is left.
    column_means : array of shape (n,)
        Column means of `K`, for `center_rows`.
    grand_mean : float
        Mean of `K`, for `center_rows`.
    """
    xp = namespace(K)
    centered = xp.astype(K, xp.float64, copy=True)
    raw_trace = float(xp.sum(xp.abs(xp.linalg.diagonal(centered))))
    column_means = xp.mean(centered, axis=0)
    grand_mean = float(xp.mean(column_means))
    centered -= column_means[None, :]
    centered -= (column_means - grand_mean)[:, None]
    if not float(xp.linalg.trace(centered)) > 10 * _EPS * raw_trace:
        centered[...] = 0.0
    return centered, column_means, grand_mean


def center_rows(K_new, column_means, grand_mean):
    """Centre the kernel of new rows with the training rows as `center_kernel` centred the training kernel.

    Parameters
    ----------
    K_new : array of shape (n_new, n)
        Kernel of new rows with the training rows. Not altered.
    column_means : array of shape (n,)
        As `center_kernel` returned it.
    grand_mean : float
        As `center_kernel` returned it.

    Returns
    -------
    array of shape (n_new, n)
        Centred kernel, in float64.
    """
    xp = namespace(K_new)
    centered = xp.astype(K_new, xp.float64, copy=True)
    row_means = xp.mean(centered, axis=1)
    centered -= (column_means - grand_mean)[None, :]
    centered -= row_means[:, None]
    return centered


def kernel_eigen(K):
    """The part of the spectrum of a kernel matrix that is not rounding.

    Nothing here depends on the shrinkage, so that a search over it can keep the result.

    Parameters
    ----------
    K : array of shape (n, n)
        Centred positive semidefinite kernel.

    Returns
    -------
    values : array of shape (r,)
        Eigenvalues of ``K / n``, largest first, r the numerical rank (0 for a zero matrix).
    vectors : array of shape (n, r)
        Orthonormal eigenvectors.
    """
    xp = namespace(K)
    n = K.shape[0]
    values, vectors = eigh(astype(K, xp.float64))
    # Eigenvalues of a matrix with rounded entries are known to about n * eps times the largest. A larger tolerance
    # would be felt at small c, where S of an eigenvalue l is l / c.
    rank = count(values > max(float(values[0]), 0.0) * n * _EPS)
    return values[:rank] / n, xp.asarray(vectors[:, :rank], copy=True)


def kernel_cca(kernels, shrinkages, n_components, *, solver="auto", tol=1e-8, rng=None, decompositions=None):
    r"""Regularised kernel canonical correlation analysis of two or more views.

    For two views the top singular triplets of the whitened cross-covariance: the covariance :math:`a^\top K_x K_y b/n`
    is maximised where both views have regularised variance

    .. math:: a^\top \left[ (1-c) K^2 / n + c \, \kappa K \right] a = 1, \qquad \kappa = \mathrm{tr} K / n.

    :math:`\kappa` is the total variance in feature space, so c means the same at any scale of the kernel; c = 0 is
    kernel CCA without regularisation, c = 1 kernel partial least squares. For three or more views
    :math:`\sum_{i \ne j} a_i^\top K_i K_j a_j / n` is maximised where the sum of the regularised variances is fixed.

    Parameters
    ----------
    kernels : list of m arrays of shape (n, n)
        Centred positive semidefinite kernels (`center_kernel`), m >= 2. Not altered. Of an indefinite one "eigen"
        leaves out the negative part, "cholesky" does not.
    shrinkages : sequence of m floats
        c of each view, in [0, 1].
    n_components : int
        Number of components k.
    solver : {"auto", "cholesky", "eigen"}, default="auto"
        "eigen" decomposes each kernel. "cholesky" factors each :math:`A`, needs c > 0, and finds the leading
        components by block Lanczos iteration; where c is under 1e-6, or the correlations lie too close together for
        that to pay, it goes over to "eigen". "auto" is "cholesky" for n >= 20 (k + 5) rows and c >= 1e-6, else "eigen".
    tol : float, default=1e-8
        Error of the variates, relative to their norm, at which the iteration of "cholesky" stops. The objective values
        and the correlations are then far more exact.
    rng : numpy.random.RandomState or numpy.random.Generator, default=None
        Source of the start block of "cholesky"; None is a fixed one.
    decompositions : list of m pairs, default=None
        What `kernel_eigen` returns for each kernel, if it is at hand. Then "auto" is "eigen".

    Returns
    -------
    weights : list of m arrays of shape (n, k)
        Dual weights; the variates ``K @ a`` have variance 1 (ddof 0). For a singular kernel they are unique only up to
        its null space. A view with no part in a component (three or more views) has zero weights in it.
    values : array of shape (k,)
        Objective values, descending. For two views the singular values; for more the eigenvalues of the multiset
        problem, which are these for two.

    Raises
    ------
    ValueError
        When a view has a constant kernel, or its kernel a numerical rank below `n_components`, or when
        ``solver="cholesky"`` is asked for with c = 0.

    References
    ----------
    .. [1] D. R. Hardoon, S. Szedmak, J. Shawe-Taylor, "Canonical correlation analysis: An overview with application to
       learning methods", Neural Computation 16(12), 2004.
    .. [2] F. R. Bach, M. I. Jordan, "Kernel independent component analysis", JMLR 3, 2002.
    """
    xp = namespace(*kernels)
    kernels = [astype(K, xp.float64) for K in kernels]
    for index, K in enumerate(kernels):
        if not float(xp.linalg.trace(K)) > 0:
            raise ValueError(f"The kernel of view {index} is constant: nothing is left of it after centring.")
    if solver == "cholesky" and min(shrinkages) == 0:
        raise ValueError("solver='cholesky' needs shrinkage > 0 in every view; 'eigen' takes 0.")
    # Measured on one thread: the basis of the iteration grows to some 10 to 20 blocks, which must be fewer than n.
    many_rows = kernels[0].shape[0] >= 20 * (n_components + _EXTRA)
    if solver == "auto":
        solver = "cholesky" if many_rows and decompositions is None else "eigen"
    if solver == "cholesky" and min(shrinkages) >= _LEAST_SHRINKAGE:
        solution = _iterate(kernels, shrinkages, n_components, tol, rng)
        if solution is not None:
            return solution
    return _decompose(decompositions or [kernel_eigen(K) for K in kernels], shrinkages, n_components)


# --- by full decompositions -----------------------------------------------------------------------------------------


def _decompose(decompositions, shrinkages, n_components):
    """Whiten every view on the range of its kernel and decompose the cross-covariances."""
    xp = namespace(*(values for values, _ in decompositions))
    halves, spectra = [], []
    for index, ((values, vectors), c) in enumerate(zip(decompositions, shrinkages)):
        if values.shape[0] < n_components:
            raise ValueError(
                f"n_components={n_components} is more than {values.shape[0]}, the numerical rank of the centred kernel "
                f"of view {index}."
            )
        l = values / xp.sum(values)
        regularised = (1 - c) * l + c
        spectra.append((l, regularised))
        halves.append(vectors * xp.sqrt(l / regularised))  # U S^{1/2}
    values, parts = _top_components(halves, n_components)
    duals, variates = [], []
    for (l, regularised), u in zip(spectra, parts):
        duals.append(u / xp.sqrt(l * regularised)[:, None])  # in coordinates of the eigenvectors, as are the variates
        variates.append(l[:, None] * duals[-1])
    traces = [vectors.shape[0] * float(xp.sum(values)) for values, vectors in decompositions]
    duals = _to_unit_variance(duals, variates, traces, decompositions[0][1].shape[0])
    return [vectors @ a for (_, vectors), a in zip(decompositions, duals)], values


def _top_components(halves, k):
    """Top k components of the whitened cross-covariances ``halves[i].T @ halves[j]``: (values, vectors per view)."""
    if len(halves) == 2:
        U, values, Vt = svd(halves[0].T @ halves[1])
        return values[:k], [U[:, :k], Vt[:k].T]
    xp = namespace(*halves)
    edges = np.cumsum([0] + [half.shape[1] for half in halves])
    between = xp.concat(halves, axis=1)
    between = between.T @ between
    for a, b in pairwise(edges):
        between[a:b, a:b] = 0.0
    values, vectors = top_eigh(between, k)
    return values, [vectors[a:b] for a, b in pairwise(edges)]


def _to_unit_variance(duals, variates, traces, n):
    """Scale dual weights of unit-trace kernels so that the variates of the kernels themselves have variance 1."""
    xp = namespace(*duals)
    norms = xp.stack([xp.linalg.vector_norm(p, axis=0) for p in variates])
    part = norms > 1e-10 * xp.max(norms, axis=0)  # else the view has no part in the component, and its rest is rounding
    factors = xp.where(part, n**0.5 / xp.where(part, norms, 1.0), 0.0)
    return [a * (factor / trace) for a, factor, trace in zip(duals, factors, traces)]


# --- by Cholesky factors and block Lanczos iteration ----------------------------------------------------------------


def _iterate(kernels, shrinkages, n_components, tol, rng):
    """Find the leading components by block Lanczos iteration, or return None where "eigen" should be used."""
    xp = namespace(*kernels)
    n, m = kernels[0].shape[0], len(kernels)
    traces = [float(xp.linalg.trace(K)) for K in kernels]
    solves = [_regularised_solve(K, c, trace) for K, c, trace in zip(kernels, shrinkages, traces)]
    if any(solve is None for solve in solves):
        return None
    S = [_smoother(*view) for view in zip(kernels, shrinkages, traces, solves)]
    rng = np.random.RandomState(0) if rng is None else rng
    start = like(rng.normal(size=(n if m == 2 else m * n, min(n_components + _EXTRA, n))), kernels[0])

    def split(stacked):
        return [stacked[i * n : (i + 1) * n] for i in range(m)]

    def smooth_each(g):
        return xp.concat([S_i(g_i) for S_i, g_i in zip(S, split(g))], axis=0)

    def sum_others(p):
        parts = split(p)
        total = sum(parts)
        return xp.concat([total - part for part in parts], axis=0)

    # Two views: with the second eliminated, S_y S_x g_x = lambda^2 g_x, and g_y = p_x / lambda.
    metric, step = S if m == 2 else (smooth_each, sum_others)
    solution = block_lanczos(metric, step, start, n_components, tol)
    if solution is None:
        return None
    values, g, p = solution
    if m == 2:
        values = xp.sqrt(values)
        targets = [g, p / values]
    else:
        targets = split(g)
    duals = [solve(g) for solve, g in zip(solves, targets)]
    variates = [K @ a / trace for K, a, trace in zip(kernels, duals, traces)]
    return _to_unit_variance(duals, variates, traces, n), values


def _regularised_solve(K, c, trace):
    """Multiplication by the inverse of ``A = (1-c) K / tr K + c I``, or None if rounding makes `A` indefinite."""
    if c == 1:
        return lambda g: g
    A = K * ((1 - c) / trace)
    diagonal = np.arange(K.shape[0])
    A[diagonal, diagonal] += c
    L = cholesky(A.T)  # the transpose of a symmetric matrix is itself, but in the order that LAPACK wants
    if L is None:
        return None
    return lambda g: solve_triangular(L, solve_triangular(L, g), transpose=True)


def _smoother(K, c, trace, solve):
    """Multiplication by S."""
    if c > 0.5:
        return lambda g: K @ solve(g) / trace
    return lambda g: (g - c * solve(g)) / (1 - c)  # the same at half the price; would cancel where c is near 1
