"""The Hilbert-Schmidt independence criterion and its test."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import gamma as gamma_distribution
from sklearn.utils import Bunch, check_random_state

from ..._backend import to_numpy
from ..._typing import ArrayLike, Metric, Score, Seed
from ..similarity import batches
from ._input import CHUNK, check_chunk_size, check_count, check_pair, report, two_of
from ._kernels import Kernel, check_kernel, cross_sums, kernel_sums, row_squares
from ._permuting import DenseProduct


def hsic(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    kernel: Metric | tuple[Metric, Metric] = "rbf",
    debiased: bool = True,
    gamma: float | None = None,
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Hilbert-Schmidt independence criterion: how far two sets of features are from independent.

    0 on average for independent samples and, with "rbf", above 0 for any dependence given enough samples. Its size
    depends on the kernels; `cka` is its scale-free form.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample. With a precomputed kernel (n_samples, n_samples), symmetric.
    kernel : str, callable or tuple of two, default="rbf"
        As for `cka`.
    debiased : bool, default=True
        The unbiased estimate [2]_, which may be negative. The biased one is tr(K H L H) / (n - 1)^2 [1]_.
    gamma : float, default=None
        As for `cka`.
    chunk_size : int, default=None
        Rows of the kernels in memory at a time; the value does not depend on it. None keeps a chunk at some 16 MB.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score, n_samples.

    Raises
    ------
    ValueError
        As `cka`.

    References
    ----------
    .. [1] A. Gretton, O. Bousquet, A. Smola, B. Schoelkopf, "Measuring statistical dependence with Hilbert-Schmidt
       norms", ALT 2005.
    .. [2] L. Song, A. Smola, A. Gretton, J. Bedo, K. Borgwardt, "Feature selection via dependence maximization",
       JMLR 13, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import hsic
    >>> x, noise = np.random.default_rng(0).normal(size=(2, 200, 1))
    >>> print(f"{hsic(x, x**2):.4f} {abs(hsic(x, noise)):.4f}")
    0.0120 0.0003
    """
    K, L, linear = _kernel_pair(X, Y, kernel, gamma, 4 if debiased else 2)
    n, chunk_size = K.n_samples, check_chunk_size(chunk_size)
    if linear and n > max(K.X.shape[1], L.X.shape[1]):
        sums = cross_sums(K.X, L.X, row_squares(K.X), row_squares(L.X), chunk_size=chunk_size)
    else:
        sums = kernel_sums(K, L, chunk_size)
    value = sums.hsic("xy", debiased) / (n * (n - 3) if debiased else (n - 1) ** 2)
    return report(value, return_details, n)


def hsic_test(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    kernel: Metric | tuple[Metric, Metric] = "rbf",
    gamma: float | None = None,
    method: Literal["permutation", "gamma"] = "permutation",
    n_permutations: int = 1000,
    random_state: Seed = None,
    chunk_size: int | None = None,
) -> Bunch:
    """Test whether two sets of features are independent.

    Parameters
    ----------
    X, Y, kernel, gamma
        As for `hsic`.
    method : {"permutation", "gamma"}, default="permutation"
        "permutation" is exact at any n and keeps both kernel matrices. "gamma" fits a gamma distribution to the null
        by its first two moments [1]_: one pass over the kernels in chunks, and good from some 100 samples on.
    n_permutations : int, default=1000
        Permutations; no p-value is below 1 / (n_permutations + 1).
    random_state : {None, int, RandomState}, default=None
        Of the permutations.
    chunk_size : int, default=None
        Rows of the kernels at a time where they are not kept.

    Returns
    -------
    Bunch with
        statistic (unbiased HSIC, or n times the biased one for "gamma"), pvalue, null of shape (n_permutations,)
        ("permutation" only), n_samples, method.

    Raises
    ------
    ValueError
        As `hsic`, for an unknown method, and for fewer than 6 samples with "gamma".

    References
    ----------
    .. [1] A. Gretton, K. Fukumizu, C. H. Teo, L. Song, B. Schoelkopf, A. Smola, "A kernel statistical test of
       independence", NIPS 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import hsic_test
    >>> x, noise = np.random.default_rng(0).normal(size=(2, 200, 1))
    >>> hsic_test(x, x**2, n_permutations=199, random_state=0).pvalue
    0.005
    >>> print(f"{hsic_test(x, noise, method='gamma').pvalue:.2f}")
    0.17
    """
    if method not in ("permutation", "gamma"):
        raise ValueError(f"method must be 'permutation' or 'gamma', got {method!r}.")
    check_count("n_permutations", n_permutations)
    K, L, _ = _kernel_pair(X, Y, kernel, gamma, 4 if method == "permutation" else 6)
    n, chunk_size = K.n_samples, check_chunk_size(chunk_size)
    if method == "gamma":
        statistic, pvalue = _gamma_test(K, L, chunk_size)
        return Bunch(statistic=statistic, pvalue=pvalue, n_samples=n, method=method)
    product, permuted = DenseProduct(u_centred(K.matrix())), u_centred(L.matrix())
    rng = check_random_state(random_state)
    statistic = product(permuted) / (n * (n - 3))
    null = np.array([product(permuted, rng.permutation(n)) for _ in range(n_permutations)]) / (n * (n - 3))
    tolerance = 1e-12 * max(abs(statistic), float(abs(null).max()))
    pvalue = (1 + np.count_nonzero(null >= statistic - tolerance)) / (n_permutations + 1)
    return Bunch(statistic=statistic, pvalue=float(pvalue), null=null, n_samples=n, method=method)


def u_centred(K):
    """`K` without its diagonal, centred so that the product of two such matrices sums to n (n - 3) HSIC.

    `K` is an array that may be written to.
    """
    n = K.shape[0]
    at = np.arange(n)
    K[at, at] = 0.0
    rows = K.sum(1)
    K -= rows[:, None] / (n - 2)
    K -= rows / (n - 2)
    K += rows.sum() / ((n - 1) * (n - 2))
    K[at, at] = 0.0
    return K


def _kernel_pair(X, Y, kernel, gamma, min_samples):
    kernels, gammas = two_of(kernel), two_of(gamma)
    for one in kernels:
        check_kernel(one)
    X, Y = check_pair(X, Y, by=kernels, min_samples=min_samples)
    linear = all(one in ("linear", "dot") for one in kernels)
    return *(Kernel(Z, one, g) for Z, one, g in zip((X, Y), kernels, gammas)), linear


def _gamma_test(K, L, chunk_size):
    n = K.n_samples
    sums = kernel_sums(K, L, chunk_size)
    means = [(r + d) / n for r, d in ((sums.rows_x, sums.diagonal_x), (sums.rows_y, sums.diagonal_y))]
    total, squares = 0.0, 0.0
    for part in batches(n, chunk_size or CHUNK // n):
        at = np.arange(n)[part]
        centred = []
        for kernel, mean in zip((K, L), means):
            block = to_numpy(kernel.rows(part))
            block -= mean
            block -= mean[part, None] - mean.mean()
            centred.append(block)
        product = centred[0] * centred[1]
        total += product.sum()
        product[at - at[0], at] = 0.0
        squares += (product**2).sum() / 36
    statistic = total / n
    variance = squares / n / (n - 1) * 72 * (n - 4) * (n - 5) / (n * (n - 1) * (n - 2) * (n - 3))
    # Mean of n HSIC under the null: (E k(x, x) - E k(x, x')) (E l(y, y) - E l(y, y')) / n, times n.
    mean = np.prod([
        d.mean() - r.sum() / (n * (n - 1)) for r, d in ((sums.rows_x, sums.diagonal_x), (sums.rows_y, sums.diagonal_y))
    ])  # fmt: skip
    # Variance here is of HSIC; n HSIC has n^2 of that.
    shape, scale = mean**2 / (n**2 * variance), n**2 * variance / mean
    return float(statistic), float(gamma_distribution.sf(statistic, shape, scale=scale))
