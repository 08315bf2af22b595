"""The measure by which alignments of single cells are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._backend import is_tensor
from .._typing import ArrayLike, Direction, Metric
from ._ranking import Ranking, mean_over
from .similarity import _squared_distances, _torch_distances


def foscttm(
    Z_a: ArrayLike | None = None, Z_b: ArrayLike | None = None, *, direction: Direction = "both",
    function: Metric | None = None, **options: Any,
) -> float:  # fmt: skip
    """Fraction of samples closer than the true match: the mean over the queries of (rank - 1) / (n_candidates - 1).

    The measure by which alignments of single cells are compared.

    Parameters
    ----------
    Z_a, Z_b : {array-like, torch tensor} of shape (n, d)
        Points in one space; row i of one matches row i of the other.
    direction : {"both", "a_to_b", "b_to_a"}, default="both"
        Which side asks; "both" is the mean of the two.
    function : str or callable, default=None
        Similarity of points, see `pairwise_similarity`; None is minus the Euclidean distance.
    **options
        The options of `match_ranks`.

    Returns
    -------
    float
        Between 0 and 1, LOWER is better, chance is 0.5. Of ties half count as closer.

    Raises
    ------
    ValueError
        As `match_ranks`, and for fewer than two candidates.

    References
    ----------
    J. Liu, Y. Huang, R. Singh, J.-P. Vert and W. S. Noble, "Jointly embedding multiple single-cell omics measurements",
    WABI 2019.

    Examples
    --------
    >>> from skalign.metrics import foscttm
    >>> round(foscttm([[0.0], [1.0], [2.0]], [[0.1], [1.1], [1.2]]), 3)
    0.083
    """
    ranking = Ranking(Z_a, Z_b, function=_nearness if function is None else function, **options)

    def closer(way):
        n_candidates = ranking.shape(way)[1]
        if n_candidates < 2:
            raise ValueError("With one candidate nothing can be closer than the true match: foscttm needs two.")
        return (ranking.ranks(way).mean_rank().mean() - 1.0) / (n_candidates - 1)

    return mean_over(direction, closer)


def _nearness(X, Y):
    return -_torch_distances(X, Y, p=2) if is_tensor(X) else -np.sqrt(_squared_distances(X, Y))
