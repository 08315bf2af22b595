"""Every pair of models, or of embeddings, each prepared once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement, permutations
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ..._typing import ArrayLike, Metric, Seed
from ._calibration import calibrated_score, check_calibration
from ._input import check_count
from ._prepared import SYMMETRIC, check_sides, prepare


def layerwise_alignment(
    models: Mapping[str, Sequence[ArrayLike]], score: Metric = "mutual_knn", *, aggregate: Callable[..., Any] = max,
    n_permutations: int = 200, random_state: Seed = None, alpha: float = 0.05, maximum: float = 1.0,
    **options: Any,
) -> dict[tuple[str, str], Bunch]:  # fmt: skip
    """Alignment of the layers of models, for every pair of models, calibrated for the choice of the best layers.

    Parameters
    ----------
    models : mapping of str to list of {array-like, torch tensor} of shape (n_samples, p)
        Layers of each model over the same samples; widths may differ.
    score : str or callable, default="mutual_knn"
        What is called metric in `permutation_calibrate`; ``metric=`` is left to the distance among its options.
    aggregate : callable, default=max
        Makes one score of those of all pairs of layers, in the data and in each permutation.
    n_permutations : int, default=200
        Permutations, the same for all pairs of models.
    random_state : {None, int, RandomState}, default=None
        Of the permutations.
    alpha, maximum
        As for `permutation_calibrate`.
    **options
        Options of the metric; no tuples of one for X and one for Y, for every model is both.

    Returns
    -------
    dict of (str, str) to Bunch
        For each pair of different models what `permutation_calibrate` gives, and layers, the indices of the best
        pair of layers. A metric that is symmetric has each pair once, others and callables both ways.

    Raises
    ------
    ValueError
        As `permutation_calibrate`, and for fewer than two models or a model without layers.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import layerwise_alignment
    >>> rng = np.random.default_rng(0)
    >>> inputs, noise = rng.normal(size=(2, 100, 10))
    >>> models = {"a": [noise, inputs], "b": [inputs + 0.1 * noise]}
    >>> result = layerwise_alignment(models, k=5, random_state=0)["a", "b"]
    >>> result.layers, result.pvalue < 0.01
    ((1, 0), True)
    """
    if len(models) < 2:
        raise ValueError(f"Models are compared in pairs, but there is only {list(models)}.")
    for name, layers in models.items():
        if not isinstance(layers, (list, tuple)) or not len(layers):
            raise ValueError(f"Model {name!r} must be a list of its layers.")
    table = _Table(score, options, models, n_permutations, random_state, alpha, maximum)
    results = {}
    for pair in table.pairs(with_itself=False):
        result = table.compare(*pair, aggregate)
        result.layers = tuple(int(i) for i in np.unravel_index(np.argmax(result.scores), result.scores.shape))
        results[pair] = result
    return results


def alignment_matrix(
    embeddings: Mapping[str, ArrayLike], score: Metric = "mutual_knn", *, n_permutations: int = 200,
    random_state: Seed = None, alpha: float = 0.05, maximum: float = 1.0, **options: Any,
) -> Bunch:  # fmt: skip
    """Alignment of every pair of embeddings, each calibrated against random pairings.

    Parameters
    ----------
    embeddings : mapping of str to {array-like, torch tensor} of shape (n_samples, p)
        Features of the same samples, by model or modality. `Views` have ``items()`` and will do.
    score, n_permutations, random_state, alpha, maximum, **options
        As for `layerwise_alignment`.

    Returns
    -------
    Bunch
        - names : list of str
        - score, calibrated, pvalue, threshold : arrays of shape (n_embeddings, n_embeddings), row is X, column is Y
        - n_samples : int

    Raises
    ------
    ValueError
        As `layerwise_alignment`.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics.representation import alignment_matrix
    >>> X, noise = np.random.default_rng(0).normal(size=(2, 100, 10))
    >>> result = alignment_matrix({"a": X, "b": X + noise, "c": noise}, "cka", random_state=0)
    >>> print(result.score.round(2) + 0.0)
    [[1.   0.51 0.01]
     [0.51 1.   0.55]
     [0.01 0.55 1.  ]]
    """
    given = dict(embeddings.items())
    if len(given) < 2:
        raise ValueError(f"Embeddings are compared in pairs, but there is only {list(given)}.")
    table = _Table(score, options, {name: [X] for name, X in given.items()}, n_permutations, random_state, alpha,
                   maximum)  # fmt: skip
    names = list(given)
    fields = {field: np.empty((len(names),) * 2) for field in ("score", "calibrated", "pvalue", "threshold")}
    for a, b in table.pairs(with_itself=True):
        result = table.compare(a, b, None)
        i, j = names.index(a), names.index(b)
        for field, values in fields.items():
            values[i, j] = result[field]
            if table.symmetric:
                values[j, i] = result[field]
    return Bunch(names=names, n_samples=table.n_samples, **fields)


class _Table:
    """Models whose layers have been prepared, and how pairs of them are compared."""

    def __init__(self, metric, options, models, n_permutations, random_state, alpha, maximum):
        self.n_permutations = check_count("n_permutations", n_permutations)
        check_calibration(alpha, maximum)
        for name, value in options.items():
            if name in ("kernel", "metric", "gamma") and isinstance(value, tuple):
                raise ValueError(f"{name} must be one setting for all, because every model is compared both ways.")
        self.alpha, self.maximum = alpha, maximum
        self.symmetric = isinstance(metric, str) and metric in SYMMETRIC
        self.steps = prepare(metric, options)
        self.sides = {
            name: [self._side(layer, name, i, len(layers) > 1) for i, layer in enumerate(layers)]
            for name, layers in models.items()
        }
        self.n_samples = check_sides(self.steps, [side for sides in self.sides.values() for side in sides])
        self.seed = check_random_state(random_state).randint(2**31 - 1)

    def _side(self, layer, name, i, several):
        return self.steps.side(layer, f"{name!r}, layer {i}" if several else repr(name))

    def pairs(self, with_itself):
        names = list(self.sides)
        if self.symmetric:
            return [(a, b) for a, b in combinations_with_replacement(names, 2) if with_itself or a != b]
        return [*permutations(names, 2), *((a, a) for a in names if with_itself)]

    def compare(self, a, b, aggregate):
        return calibrated_score(
            self.steps, self.sides[a], self.sides[b], self.n_samples, self.n_permutations, aggregate, None, self.seed,
            self.alpha, self.maximum,
        )  # fmt: skip
