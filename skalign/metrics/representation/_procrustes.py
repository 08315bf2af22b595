"""How well a rotation brings one representation onto another."""

from __future__ import annotations

import numpy as np

from ..._backend import astype, is_numpy, namespace, svd
from ..._typing import ArrayLike, Score
from ..similarity import batches
from ._input import ROWS, check_chunk_size, check_pair, check_side, report
from ._kernels import centred_rows, mean_row


def procrustes_similarity(
    X: ArrayLike, Y: ArrayLike, *, chunk_size: int | None = None, return_details: bool = False
) -> Score:
    """Cosine between two representations after the rotation that makes it largest.

    1 for representations that are equal up to rotation, reflection, shift and scale; its arc cosine is a metric [1]_.
    Like every in-sample fit it is well above 0 for noise that is wide for its number of samples: calibrate it
    with `permutation_calibrate`.

    Parameters
    ----------
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q)
        Row i of both is the same sample. The widths may differ: the narrower is filled up with zeros.
    chunk_size : int, default=None
        Rows of centred copies in memory at a time; the score does not depend on it. None keeps a chunk at some 4 MB.
    return_details : bool, default=False
        Return a Bunch.

    Returns
    -------
    float, or Bunch with
        score in [0, 1], n_samples, angle (arc cosine of the score, in radians).

    Raises
    ------
    ValueError
        For NaN or infinity, unequal numbers of rows, fewer than 3 rows, and constant input.

    References
    ----------
    .. [1] A. H. Williams, E. Kunz, S. Kornblith, S. W. Linderman, "Generalized shape metrics on neural
       representations", NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import procrustes_similarity
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 5))
    >>> print(f"{procrustes_similarity(X, 3 * X[:, ::-1] + 1):.3f} {procrustes_similarity(X, Y):.3f}")
    1.000 0.174
    """
    X, Y = check_pair(X, Y)
    chunk_size = check_chunk_size(chunk_size)
    score = ProcrustesSide(X, chunk_size).similarity(ProcrustesSide(Y, chunk_size))
    return report(score, return_details, X.shape[0], angle=float(np.arccos(score)))


class ProcrustesSide:
    """One table, centred and made no wider than it is long, and its norm."""

    def __init__(self, X, chunk_size=None):
        xp = namespace(X)
        n, p = X.shape
        self.chunk_size, self.centre = chunk_size, mean_row(X, chunk_size)
        if p > n:  # a rotation into the span of the rows changes no product of two rows
            Z = centred_rows(X, self.centre, slice(None)).T
            R = np.linalg.qr(Z, mode="r") if is_numpy(Z) else xp.linalg.qr(Z, mode="r")[1]
            X, self.centre = R.T, 0.0
        self.X = X
        self.norm = float(np.sqrt(sum(float((block**2).sum()) for block in self._blocks())))

    def _blocks(self, permutation=None, width=1):
        n = self.X.shape[0]
        for rows in batches(n, self.chunk_size or max(256, ROWS // max(self.X.shape[1], width))):
            yield centred_rows(self.X, self.centre, rows if permutation is None else permutation[rows])

    def similarity(self, other, permutation=None):
        """Cosine after the best rotation, with the rows of `other` permuted."""
        cross = 0.0
        widths = self.X.shape[1], other.X.shape[1]
        for A, B in zip(self._blocks(width=widths[1]), other._blocks(permutation, widths[0])):
            cross = cross + A.T @ B
        values = np.linalg.svd(cross, compute_uv=False) if is_numpy(cross) else svd(cross)[1]
        return min(1.0, float(values.sum()) / self.norm / other.norm)


def procrustes_side(X, name, chunk_size=None):
    """`ProcrustesSide` of a table that has not been checked."""
    X = check_side(X, name)
    return ProcrustesSide(astype(X, namespace(X).float64), chunk_size)
