"""Two collections that nobody paired: the doors of the aligners that carry one over to the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._backend import to_numpy
from .._encoder import OutputMixin, ViewEncoder, wrap_output
from .._input import as_view
from .._typing import Array, ArrayLike, Rows
from ..base import ARRAY_NAMES
from ..metrics import energy_distance, foscttm
from ..views import Domains, Views
from ..views._rows import n_rows
from ._bags import holds_bags


class Collections(NamedTuple):
    """What came in through one of the doors."""

    door: str  # "arrays", "domains", "views" (of tables) or "bags" (views of bags)
    names: tuple
    source: object
    target: object


class UnpairedAlignerMixin(OutputMixin, TransformerMixin, auto_wrap_output_keys=None):
    """``fit(X, Y)``, ``fit(Domains)`` and ``fit(Views)`` of an aligner that maps the first collection to the second.

    A subclass fits on what `_open` returns, tables checked by `_check_side`, and has ``_carry(X)``, which maps checked
    rows of the source into the space of the target, and ``_n_features_out``.
    """

    _takes_bags = False

    def _open(self, X, y, *, reset=True):
        """What was handed in, by its door. With ``reset=True`` the door and the names are remembered."""
        if isinstance(X, (Domains, Views)):
            names = tuple(X.names)
            if len(names) != 2:
                raise ValueError(f"{type(self).__name__} aligns two collections; these are {list(names)}.")
            source, target = X[names[0]], X[names[1]]
            door = "domains" if isinstance(X, Domains) else "views"
            if holds_bags(source) or holds_bags(target):
                if door == "domains" or not self._takes_bags:
                    raise ValueError(
                        f"{type(self).__name__} aligns rows of tables, but there are bags of elements in {list(names)}."
                    )
                for name, rows in zip(names, (source, target)):
                    if not holds_bags(rows):
                        raise ValueError(f"View {name!r} holds rows of a table, and the other view bags of elements.")
                door = "bags"
        elif y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None: fit(X, Y) "
                "takes two collections, or use Domains(source=X, target=Y)."
            )
        else:
            for name, rows in zip(ARRAY_NAMES, (X, y)):
                if isinstance(rows, (list, tuple)) and holds_bags(rows):
                    raise ValueError(f"View {name!r} is a list of bags: those come as Views(a=..., b=...).")
            door, names, source, target = "arrays", ARRAY_NAMES, X, as_view(y, warn=reset)
        if reset:
            self._door = door
            self._sides = {name: ViewEncoder(view=name, owner=type(self).__name__) for name in names}
        elif names != tuple(self._sides):
            raise ValueError(f"{type(self).__name__} was fitted on {list(self._sides)}, not on {list(names)}.")
        return Collections(door, names, source, target)

    def _check_side(self, which, rows, *, reset=False, min_samples=1):
        """Rows of the source (0) or the target (1) as a checked table."""
        if sp.issparse(rows):
            raise TypeError("Sparse data was passed, but dense data is required: reduce it first, by TruncatedSVD say.")
        table = list(self._sides.values())[which].check(rows, reset=reset, min_samples=min_samples)
        return table.detach() if hasattr(table, "detach") else table  # no gradient goes through a plan

    def _check_columns(self):
        """Raise where both tables have the same columns in different orders: rows are compared by position."""
        source, target = (list(getattr(side, "feature_names_in_", ())) for side in self._sides.values())
        if source != target and sorted(source) == sorted(target):
            raise ValueError(
                f"Views {list(self._sides)} have the same columns in different orders, {source} and {target}, but are "
                "compared column by column: bring both into one order."
            )

    def transform(self, X: Rows, y: Rows | None = None) -> Array:
        """Carry the first collection into the space of the second.

        Parameters
        ----------
        X : Domains, Views, or array-like of shape (n, d)
            What ``fit`` takes; rows of the source need not be those of ``fit``. Of Views one may be missing. A plain
            array is the source, and allowed after a fit on two arrays.
        y : array-like of shape (m, d_target), default=None
            Rows of the target; then a pair is returned.

        Returns
        -------
        Domains, Views, ndarray of shape (n, d_target), or a pair of arrays
            As the input: the source is mapped, the target as it was.
        """
        check_is_fitted(self, "_sides")
        if isinstance(X, (Domains, Views)):
            if y is not None and isinstance(X, Views):
                raise TypeError("transform(views) takes no second argument.")
            if self._door == "bags":
                return self._transform_bags(X)
            self._check_names(X)
            source = next(iter(self._sides))
            if isinstance(X, Domains):
                if source not in X.names:
                    return X
                some = n_rows(X[source]) > 0  # a fold may hold rows of the target alone
                return X.replace(**{source: self._carried(X[source]) if some else np.empty((0, self._n_features_out))})
            return Views({name: self._carried(view) if name == source else view for name, view in X.items()})
        self._need_two_arrays("transform", both=y is not None)
        mapped = self._carried(X)
        return mapped if y is None else (mapped, self._check_side(1, as_view(y)))

    def _check_names(self, X):
        unknown = [name for name in X.names if name not in self._sides]
        if unknown:
            raise ValueError(f"{type(self).__name__} was fitted on {list(self._sides)}, not on {unknown}.")

    def _carried(self, rows):
        return wrap_output(self, self._carry(self._check_side(0, rows)), rows, self.get_feature_names_out)

    def _need_two_arrays(self, what, both=False):
        if self._door == "costs":
            raise ValueError(f"{what} needs the rows of the target; precomputed costs have none.")
        if self._door != "arrays":
            kind, (source, target) = "Domains" if self._door == "domains" else "Views", self._sides
            rows = f"{source}=X, {target}=Y" if both else f"{source}=X"
            raise ValueError(
                f"{type(self).__name__} was fitted on {kind}, {list(self._sides)}: it cannot tell which one a plain "
                f"array is. Call {what}({kind}({rows}))."
            )

    def fit_transform(self, X: Rows, y: Rows | None = None, **fit_params: Any) -> Array:
        """Fit, and carry the first collection over.

        Parameters
        ----------
        X : Domains, Views, or array-like of shape (n, d)
            As in ``fit``.
        y : array-like, default=None
            As in ``fit``.
        **fit_params
            Handed to ``fit``.

        Returns
        -------
        Domains, Views or ndarray of shape (n, d_target)
            Of two arrays the first, so that a pipeline can go on with it.
        """
        return self.fit(X, y, **fit_params).transform(X)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """How well the source lies on the target once it is mapped; larger is better.

        Parameters
        ----------
        X : Views, Domains, or array-like of shape (n, d)
            Held-out rows. Rows of Views of two tables are true pairs.
        y : array-like, default=None
            Rows of the target after a plain array. Beside Domains, pair ids in row order (`Domains.stack`): -1 unknown,
            equal ids one pair. Beside Views it is not looked at.

        Returns
        -------
        float
            Where true pairs are known, 1 - FOSCTTM of the pairs: 1 is perfect, 0.5 chance. Pairs on Domains are held
            out whole by ``GroupKFold`` on their ids. Otherwise minus the energy distance between the mapped source and
            the target, divided by twice their mean distance: at best 0, free of units, yet not comparable where a step
            before changes the dimension of the target.

        Raises
        ------
        ValueError
            When ids are known on both sides and no two are equal.
        """
        check_is_fitted(self, "_sides")
        if self._door == "costs":
            self._need_two_arrays("score")
        given = self._open(X, y, reset=False)
        if given.door == "bags":
            return self._score_bags(given)
        source, target = self._check_side(0, given.source), self._check_side(1, given.target)
        mapped = self._carry(source)
        if given.door == "views":
            return 1.0 - foscttm(mapped, target)
        if given.door == "domains" and y is not None and self.pairs_from_y:
            ix, iy = known_pairs(X, y)
            if len(ix) > 1:
                return 1.0 - foscttm(mapped[ix], target[iy])
            if all(np.any(np.asarray(y)[X.rows(name)] != -1) for name in X.names):  # type: ignore[attr-defined]
                raise ValueError(
                    "y holds ids of both collections, and fewer than two pairs are whole: hold pairs out by GroupKFold "
                    "with groups=y. Class labels go with pairs_from_y=False."
                )
        return -energy_distance(mapped, target, normalized=True)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names such as ``otaligner0``, ``otaligner1``, ... of the features of the target.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "_sides")
        name = type(self).__name__.lower()
        return np.asarray([f"{name}{i}" for i in range(self._n_features_out)], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Width of the source, after a fit on two arrays."""
        return self._of_source("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Column names of the source, after a fit on two DataFrames."""
        return self._of_source("feature_names_in_")

    def _of_source(self, attribute):
        if getattr(self, "_door", None) not in ("arrays", "costs"):
            raise AttributeError(f"{type(self).__name__} has no {attribute}: it was not fitted on two arrays.")
        return getattr(next(iter(self._sides.values())), attribute)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False  # a collection is a table
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def known_pairs(domains, y):
    """Positions in the first and in the second domain of the rows whose ids in `y` are equal.

    Parameters
    ----------
    domains : Domains
        Two collections.
    y : array-like of shape (n_rows,)
        Pair ids in row order; -1 is unknown.

    Returns
    -------
    ix, iy : int arrays of shape (n_pairs,)

    Raises
    ------
    ValueError
        For a wrong length, and an id that both domains have and one of them has twice.
    """
    ids = np.asarray(y)
    if ids.shape != (len(domains),):
        raise ValueError(f"y holds an id for every row, shape {(len(domains),)}, not {ids.shape}.")
    found = []
    for name in domains.names:
        side = ids[domains.rows(name)]
        known = np.flatnonzero(side != -1)
        values, first, counts = np.unique(side[known], return_index=True, return_counts=True)
        found.append((values, known[first], counts))
    shared, *places = np.intersect1d(found[0][0], found[1][0], assume_unique=True, return_indices=True)
    for name, place, (_, _, counts) in zip(domains.names, places, found):
        twice = counts[place] > 1
        if twice.any():
            raise ValueError(
                f"y holds pair ids, and the id {shared[twice][0]} occurs {counts[place][twice][0]} times in domain "
                f"{name!r}. Class labels go with pairs_from_y=False."
            )
    return tuple(first[place] for place, (_, first, _) in zip(places, found))


def anchors_of(given, X, y, anchors, pairs_from_y):
    """Known pairs as two int arrays, from ``anchors=`` or from the ids in ``y`` beside Domains, or None."""
    if given.door == "domains" and y is not None and pairs_from_y:
        if anchors is not None:
            raise ValueError("Known pairs come as anchors=, or as ids in y beside Domains, not as both.")
        anchors = known_pairs(X, y)
        return anchors if len(anchors[0]) else None
    if anchors is None:
        return None
    pairs = tuple(np.asarray(side) for side in anchors) if np.iterable(anchors) else ()
    if len(pairs) != 2 or any(side.ndim != 1 or side.dtype.kind not in "iu" for side in pairs):
        raise ValueError("anchors must be two int arrays, rows of the source and rows of the target.")
    if len(pairs[0]) != len(pairs[1]) or not len(pairs[0]):
        raise ValueError(f"anchors must hold as many rows of either side, got {len(pairs[0])} and {len(pairs[1])}.")
    for name, side, rows in zip(given.names, pairs, (given.source, given.target)):
        if side.min() < 0 or side.max() >= n_rows(rows):
            raise ValueError(f"anchors name rows {side.min()} to {side.max()} of {name!r}, which has {n_rows(rows)}.")
    return pairs


def weights_of(given, X, sample_weight):
    """Weights of both collections, each of sum 1, from what a user calls ``sample_weight``."""
    sizes = n_rows(given.source), n_rows(given.target)
    pair = isinstance(sample_weight, (list, tuple)) and len(sample_weight) == 2
    if pair and all(part is None or np.ndim(part) == 1 for part in sample_weight):
        parts = sample_weight
    elif sample_weight is not None and given.door == "domains":
        weights = _check_weights(sample_weight, len(X))
        parts = tuple(weights[X.rows(name)] for name in given.names)
    else:
        parts = sample_weight, sample_weight
    return tuple(
        np.full(size, 1.0 / size) if part is None else _to_sum_one(_check_weights(part, size), name)
        for name, part, size in zip(given.names, parts, sizes)
    )


def _check_weights(weights, size):
    try:
        weights = np.asarray(to_numpy(weights), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}") from error
    if weights.shape != (size,):
        raise ValueError(f"sample_weight must have shape {(size,)} here, not {weights.shape}.")
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("sample_weight must hold finite numbers that are at least 0.")
    return weights


def _to_sum_one(weights, name):
    largest = weights.max()
    if not largest > 0:
        raise ValueError(f"All weights of {name!r} are zero.")
    weights = weights / largest  # their sum may overflow
    return weights / weights.sum()
