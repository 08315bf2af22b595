"""Centred kernel alignment."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..._typing import ArrayLike, Metric, Score
from ..similarity import batches
from ._input import check_chunk_size, check_count, check_pair, report, two_of
from ._kernels import Kernel, check_kernel, default_gamma, feature_sums, kernel_sums

SOLVERS = ("auto", "features", "gram")


def cka(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    kernel: Metric | tuple[Metric, Metric] = "linear",
    debiased: bool = True,
    gamma: float | None = None,
    solver: Literal["auto", "features", "gram"] = "auto",
    batch_size: int | None = None,
    chunk_size: int | None = None,
    return_details: bool = False,
) -> Score:
    """Centred kernel alignment: the correlation of two kernels over the same samples.

    The usual choice for comparing layers of networks. 1 for representations that are equal up to rotation and scale;
    about 0, and as often below it as above, for independent ones.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample. With a precomputed kernel (n_samples, n_samples), symmetric.
    kernel : str, callable or tuple of two, default="linear"
        A name of `pairwise_similarity` ("linear", "rbf", "cosine", ...), a callable ``k(A, B)`` that returns the
        matrix, or "precomputed". A tuple gives X and Y one each.
    debiased : bool, default=True
        With the unbiased estimate of HSIC [2]_. The biased form [1]_ is about
        ``1 / sqrt((1 + n/p) (1 + n/q))`` for independent noise: the wider the layer, the more alike all things look.
        Values slightly below 0 are kept, because cutting them off would be a bias again.
    gamma : float, default=None
        Width of "rbf" (and scale of the other kernels that have one). None is, for "rbf", 1 over twice the mean
        squared distance, which makes the score independent of the scale of X and Y without a search for the median.
    solver : {"auto", "features", "gram"}, default="auto"
        "features" needs n p q operations and the linear kernel, "gram" n^2 (p + q); both give the same number. "auto"
        takes the features of linear kernels where n > max(p, q).
    batch_size : int, default=None
        Average HSIC over batches of so many consecutive rows, at least 4, as in minibatch CKA [3]_: time linear in n
        for any kernel. Shuffle rows that are sorted by class. Only the debiased form does not depend on the size on
        average. A remainder too small for a batch joins the last one.
    chunk_size : int, default=None
        Rows (of the features or the kernels) in memory at a time; the score does not depend on it. None keeps
        a chunk at some 10 MB.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score, n_samples, solver, n_batches.

    Raises
    ------
    ValueError
        For NaN or infinity, unequal numbers of rows, fewer than 4 rows (2 if biased), constant input, and
        a precomputed kernel that is not square and symmetric.

    See Also
    --------
    hsic_test : Is there any dependence?
    permutation_calibrate : What a score is worth beside that of shuffled samples.

    References
    ----------
    .. [1] S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of neural network representations revisited",
       ICML 2019.
    .. [2] L. Song, A. Smola, A. Gretton, J. Bedo, K. Borgwardt, "Feature selection via dependence maximization",
       JMLR 13, 2012.
    .. [3] T. Nguyen, M. Raghu, S. Kornblith, "Do wide and deep networks learn the same things?", ICLR 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import cka
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 100, 50))
    >>> print(f"{cka(X, 3 * X[:, ::-1]):.3f} {cka(X, Y):.3f} {cka(X, Y, debiased=False):.3f}")
    1.000 -0.053 0.302
    """
    kernels, gammas = two_of(kernel), two_of(gamma)
    for one in kernels:
        check_kernel(one)
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {SOLVERS}, got {solver!r}.")
    X, Y = check_pair(X, Y, by=kernels, min_samples=4 if debiased else 2)
    chunk_size, n = check_chunk_size(chunk_size), X.shape[0]
    linear = all(one in ("linear", "dot") for one in kernels)
    if solver == "features" and not linear:
        raise ValueError(f"solver='features' is for the linear kernel, not for {kernel!r}.")
    parts = _parts(n, batch_size)
    if len(parts) > 1:  # one width for all batches
        gammas = [default_gamma(Z, one) if g is None else g for Z, one, g in zip((X, Y), kernels, gammas)]
    long = n // len(parts) > max(X.shape[1], Y.shape[1])
    by_features = solver == "features" or (solver == "auto" and linear and long)
    hsic = np.zeros(3)
    for part in parts:
        if by_features:
            sums = feature_sums(X[part], Y[part], chunk_size)
        else:
            sides = (
                Kernel(Z[part, part] if one == "precomputed" else Z[part], one, g)
                for Z, one, g in zip((X, Y), kernels, gammas)
            )
            sums = kernel_sums(*sides, chunk_size)
        size = part.stop - part.start
        scale = size * (size - 3) if debiased else size**2
        hsic += [sums.hsic(which, debiased) / scale for which in ("xx", "xy", "yy")]
    score = normalized(*hsic)
    return report(score, return_details, n, solver="features" if by_features else "gram", n_batches=len(parts))


def normalized(xx, xy, yy):
    """HSIC over the geometric mean of those of each side with itself."""
    for value, name in ((xx, "X"), (yy, "Y")):
        if not value > 0:
            raise ValueError(
                f"HSIC of {name} with itself is estimated at {value:.2g}, and CKA divides by its root: the kernel "
                "hardly varies over these samples. Give more samples, or debiased=False."
            )
    return xy / np.sqrt(xx) / np.sqrt(yy)


def _parts(n, batch_size):
    if batch_size is None or check_count("batch_size", batch_size) >= n:
        return [slice(0, n)]
    if batch_size < 4:
        raise ValueError(f"batch_size must be at least 4, got {batch_size}.")
    parts = list(batches(n, batch_size))
    if parts[-1].stop - parts[-1].start < batch_size:  # equal weights need nearly equal batches
        last = parts.pop()
        parts[-1] = slice(parts[-1].start, last.stop)
    return parts
