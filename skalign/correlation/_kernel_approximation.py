"""Feature maps whose inner products approximate a kernel: kernel methods in time and memory linear in the rows.

scikit-learn's Nystroem raises every eigenvalue to 1e-12, whatever the scale of the kernel, and so magnifies rounding up
to a million times; its RBFSampler covers one kernel of the three here. Neither takes tensors.
"""

from __future__ import annotations

import numpy as np

from .._backend import astype, like, namespace
from ._kernel_solvers import kernel_eigen


def nystroem_map(K_landmarks):
    r"""The whitening :math:`W` with which ``k(X, landmarks) @ W`` are features of the Nystroem approximation.

    With :math:`K_{mm} = U \Lambda U^\top`, :math:`W = U \Lambda^{-1/2}` on the numerical range of :math:`K_{mm}`, and
    inner products of features are :math:`K_{nm} K_{mm}^{+} K_{mn}`: the kernel itself where all rows are landmarks.

    Parameters
    ----------
    K_landmarks : array of shape (m, m)
        Kernel of the landmarks, not centred, positive semidefinite.

    Returns
    -------
    array of shape (m, r)
        r is the numerical rank of the kernel, at most m.

    Raises
    ------
    ValueError
        When the kernel has no positive eigenvalue.

    References
    ----------
    .. [1] C. K. I. Williams, M. Seeger, "Using the Nystroem method to speed up kernel machines", NIPS 2000.
    """
    xp = namespace(K_landmarks)
    values, vectors = kernel_eigen(K_landmarks)
    if values.shape[0] == 0:
        raise ValueError("The kernel of the landmarks has no positive eigenvalue.")
    return vectors / xp.sqrt(values * K_landmarks.shape[0])


def rff_directions(n_features_in, n_directions, kernel, gamma, rng):
    r"""Draw frequencies from the spectral density of a shift-invariant kernel.

    ============= ============================ =======================================================
    kernel        k(x, y)                      density of a frequency w
    ============= ============================ =======================================================
    "rbf"         exp(-gamma \|x - y\|_2^2)      normal, variance 2 gamma in every coordinate
    "laplacian"   exp(-gamma \|x - y\|_1)        independent Cauchy coordinates of scale gamma
    "exponential" exp(-gamma \|x - y\|_2)        multivariate Cauchy of scale gamma
    ============= ============================ =======================================================

    Parameters
    ----------
    n_features_in : int
        Columns p of the data.
    n_directions : int
        Frequencies D to draw; `rff_map` makes two features of each.
    kernel : {"rbf", "laplacian", "exponential"}
        Kernel to approximate.
    gamma : float
        Its scale.
    rng : numpy.random.RandomState or numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (p, D)
        Frequencies in the columns.

    Raises
    ------
    ValueError
        For another kernel.

    References
    ----------
    .. [1] A. Rahimi, B. Recht, "Random features for large-scale kernel machines", NIPS 2007.
    """
    shape = (n_features_in, n_directions)
    if kernel == "rbf":
        return (2 * gamma) ** 0.5 * rng.normal(size=shape)
    if kernel == "laplacian":
        return gamma * rng.standard_cauchy(size=shape)
    if kernel == "exponential":
        return gamma * rng.normal(size=shape) / np.abs(rng.normal(size=n_directions))
    raise ValueError(f"Random Fourier features exist for 'rbf', 'laplacian' and 'exponential', not for {kernel!r}.")


def rff_map(X, directions):
    r"""Random Fourier features: :math:`z(x) = [\cos(W^\top x), \sin(W^\top x)] / \sqrt{D}`.

    :math:`z(x)^\top z(y)` is the mean of :math:`\cos(w^\top (x - y))` over the frequencies, whose expectation is the
    kernel; its error falls as :math:`1/\sqrt{D}`. Pairs of cosine and sine give k(x, x) = 1 exactly and, near that, far
    less variance than one cosine of random phase.

    Parameters
    ----------
    X : array of shape (n, p)
        Rows to map.
    directions : ndarray of shape (p, D)
        As `rff_directions` drew them.

    Returns
    -------
    array of shape (n, 2 D)
        Features, in float64: Cauchy frequencies are large enough to leave nothing of the phase in float32.
    """
    xp = namespace(X)
    phases = astype(X, xp.float64) @ like(directions, X)
    return xp.concat([xp.cos(phases), xp.sin(phases)], axis=1) / directions.shape[1] ** 0.5
