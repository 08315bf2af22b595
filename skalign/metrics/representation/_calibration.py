"""What an alignment score is worth beside that of shuffled samples and of untrained models."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ..._typing import ArrayLike, Metric, Seed
from ._input import check_count
from ._prepared import check_sides, prepare, score_matrix


def permutation_calibrate(
    metric: Metric,
    X: ArrayLike,
    Y: ArrayLike,
    /,
    n_permutations: int = 200,
    aggregate: Callable[..., Any] | None = None,
    baseline: Any = None,
    random_state: Seed = None,
    *,
    alpha: float = 0.05,
    maximum: float = 1.0,
    **options: Any,
) -> Bunch:
    """An alignment score, its distribution when samples are paired at random, and the part of it that is not chance.

    Scores have floors that depend on the number of samples, the widths and the neighbours, and a best pair of layers
    is the better the more layers were tried. Permuting samples keeps all that and breaks only the pairing.

    Parameters
    ----------
    metric : str or callable
        Name of a function of this module ("mutual_knn", "cka", "cknna", "cycle_knn", "edit_distance_knn", "rsa",
        "procrustes_similarity", "svcca", "pwcca", "linear_predictivity"), or ``metric(X, Y, **options) -> float``,
        higher is better. Neighbours, kernels and dissimilarities are computed once and then permuted; callables, and
        the last three names, which fit on part of the samples, are computed anew for each permutation.
    X, Y : {array-like, torch tensor} of shape (n_samples, p) and (n_samples, q), or lists of such
        What the metric takes. Lists are the layers of two models, and need `aggregate`.
    n_permutations : int, default=200
        Permutations; no p-value is below 1 / (n_permutations + 1).
    aggregate : callable, default=None
        Makes one score of those of all pairs of layers, `max` say, within each permutation as in the data.
    baseline : tuple (X0, Y0) or list of such, or float, default=None
        Features of the same samples by untrained models (several seeds in a list), of the same form as X and Y; or the
        score they have. Two networks with random weights preserve the geometry of their inputs and agree far beyond
        chance: the threshold is then no lower than the highest of their scores.
    random_state : {None, int, RandomState}, default=None
        Of the permutations.
    alpha : float, default=0.05
        Share of random pairings that may exceed the threshold.
    maximum : float, default=1.0
        Highest value of the metric.
    **options
        Options of the metric, ``k=5`` or ``metric="euclidean"`` say.

    Returns
    -------
    Bunch
        - score : float
        - null : array of shape (n_permutations,), the scores of permuted samples
        - threshold : float, their 1 - alpha quantile, or the score of the baseline if that is higher
        - pvalue : float, the share of random pairings, this one among them, that score as high
        - calibrated : float, ``max(0, (score - threshold) / (maximum - threshold))``: 0 is what chance or no training
          can do, 1 the maximum
        - scores : array of shape (n_layers_x, n_layers_y)
        - baseline : array of shape (n_baselines,), or None
        - n_samples : int

    Raises
    ------
    ValueError
        For what the metric raises, lists without `aggregate`, numbers out of their range, and "hsic", which has no
        maximum.

    Notes
    -----
    The p-value is exact if samples are exchangeable. Frames of one video are not: keep one of each.

    References
    ----------
    .. [1] B. Phipson, G. K. Smyth, "Permutation p-values should never be zero", Statistical Applications in Genetics
       and Molecular Biology 9, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import permutation_calibrate
    >>> rng = np.random.default_rng(0)
    >>> X, noise = rng.normal(size=(2, 100, 20))
    >>> result = permutation_calibrate("cka", X, noise, debiased=False, random_state=0)
    >>> print(f"{result.score:.2f}, calibrated {result.calibrated:.2f}")
    0.16, calibrated 0.00
    >>> result = permutation_calibrate("mutual_knn", [X, noise], [X + noise], aggregate=max, k=5, random_state=0)
    >>> print(f"{result.score:.2f} > {result.threshold:.2f}, p = {result.pvalue:.3f}")
    0.24 > 0.08, p = 0.005
    """
    check_count("n_permutations", n_permutations)
    check_calibration(alpha, maximum)
    steps = prepare(metric, options)
    first, second = _sides(steps, X, Y, aggregate)
    n = check_sides(steps, first + second)
    floors = None if baseline is None else _baseline_scores(steps, baseline, aggregate)
    seed = check_random_state(random_state).randint(2**31 - 1)
    return calibrated_score(steps, first, second, n, n_permutations, aggregate, floors, seed, alpha, maximum)


def check_calibration(alpha, maximum):
    """Raise unless both are in their range."""
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 < alpha < 1:
        raise ValueError(f"alpha must be a share in (0, 1), got {alpha!r}.")
    if not isinstance(maximum, Real) or isinstance(maximum, bool) or not np.isfinite(maximum):
        raise ValueError(f"maximum must be a finite number, got {maximum!r}.")


def calibrated_score(steps, first, second, n, n_permutations, aggregate, floors, seed, alpha, maximum):
    """The Bunch of `permutation_calibrate` for sides that have been prepared."""
    one = (lambda values: values[0]) if aggregate is None else aggregate
    scores = score_matrix(steps, first, second)
    score = float(one(scores.ravel()))
    rng = np.random.RandomState(seed)
    null = np.array([
        float(one(score_matrix(steps, first, second, rng.permutation(n)).ravel())) for _ in range(n_permutations)
    ])  # fmt: skip
    if not np.isfinite(score) or not np.isfinite(null).all():
        raise ValueError("The metric gives NaN or infinity.")
    # The quantile among the permutations and the data itself: no more than alpha of pairings exceed it.
    place = min(int(np.ceil((1 - alpha) * (n_permutations + 1))), n_permutations) - 1
    threshold = float(np.sort(null)[place])
    if floors is not None:
        threshold = max(threshold, float(floors.max()))
    tolerance = 1e-12 * max(abs(score), 1e-300)  # a sum in another order is no other score
    pvalue = (1 + np.count_nonzero(null >= score - tolerance)) / (n_permutations + 1)
    room = maximum - threshold
    return Bunch(
        score=score,
        null=null,
        threshold=threshold,
        pvalue=float(pvalue),
        calibrated=max(0.0, (score - threshold) / room) if room > 0 else 0.0,
        scores=scores,
        baseline=floors,
        n_samples=n,
    )


def _sides(steps, X, Y, aggregate):
    lists = [isinstance(Z, (list, tuple)) and len(Z) > 0 and _ndim(Z[0]) > 1 for Z in (X, Y)]
    if aggregate is None:
        if any(lists):
            raise ValueError("X and Y hold several layers; aggregate= says how to make one score of theirs, max say.")
        return [steps.side(X, "X")], [steps.side(Y, "Y")]
    if not callable(aggregate):
        raise ValueError(f"aggregate must be callable, as max is, got {aggregate!r}.")
    if not all(isinstance(Z, (list, tuple)) and len(Z) for Z in (X, Y)):
        raise ValueError("aggregate= needs lists of layers as X and Y.")
    return [steps.side(Z, "X") for Z in X], [steps.side(Z, "Y") for Z in Y]


def _ndim(Z):
    return Z.ndim if hasattr(Z, "ndim") else np.ndim(Z)


def _baseline_scores(steps, baseline, aggregate):
    if isinstance(baseline, Real):
        return np.array([float(baseline)])
    pairs = baseline if isinstance(baseline, list) else [baseline]
    scores = []
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError("baseline must be a tuple (X0, Y0), a list of such tuples, or a number.")
        first, second = _sides(steps, *pair, aggregate)
        check_sides(steps, first + second)
        values = score_matrix(steps, first, second).ravel()
        scores.append(float(values[0] if aggregate is None else aggregate(values)))
    return np.array(scores)
