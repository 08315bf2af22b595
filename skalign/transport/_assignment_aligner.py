"""One-to-one matching of the elements of two collections."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.metrics import pairwise_distances
from sklearn.utils.validation import check_is_fitted

from .._backend import is_tensor, like, to_numpy
from .._bags import read_bags
from .._encoder import ViewEncoder, wrap_output
from .._input import check_view
from .._typing import Array, Metric, Rows, Self
from ..base import ARRAY_NAMES
from ..metrics import pairwise_similarity
from ..metrics.similarity import check_similarity_name
from ..views import Domains, Views
from ._assignment import solve_assignment
from ._collections import Collections, UnpairedAlignerMixin, known_pairs
from ._costs import euclidean_costs


class AssignmentAligner(UnpairedAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Match elements one to one so that the sum of their similarities is largest: the assignment problem.

    For two collections in one space (the output of an aligner, say) in which every element has at most one partner:
    records to be linked, detections to be tracked, regions and words. Where elements have many partners, or a part of
    one, take optimal transport.

    Parameters
    ----------
    similarity : str, callable or "precomputed", default=None
        What is maximised: a name that `skalign.metrics.pairwise_similarity` knows, or a function of two arrays that
        gives the (n, m) matrix. "precomputed": ``fit`` takes that matrix, which may be sparse: the stored entries are
        then the pairs that may be matched.
    metric : str, callable or "precomputed", default=None
        What is minimised instead: a distance that `sklearn.metrics.pairwise_distances` knows, or such a function. One
        of the two may be given; with neither it is "euclidean".
    threshold : float, default=None
        A similarity (or distance) that a match must beat; elements without such a match stay unmatched, and those
        matched are chosen for what they are better by. None matches as many elements as can be.

    Attributes
    ----------
    matches_ : ndarray of shape (n,), or list of them
        For every element of the first collection the position of its partner in the second, -1 without one; a list
        with one array a sample after a fit on bags.
    row_ind_, col_ind_ : ndarray of shape (n_matches,), or list of them
        The matched pairs.
    total_ : float
        Sum of the similarities or distances of the matched pairs.

    Raises
    ------
    ValueError
        For NaN or infinity, collections of different width or with the same columns in another order, and when both
        `similarity` and `metric` are given.

    See Also
    --------
    CrossModalRetriever : The nearest elements, which several queries may share.

    Notes
    -----
    Three kinds of input: ``fit(X, Y)`` and ``fit(Domains)`` match the rows of two collections of any numbers.
    ``fit(Views)`` of two tables does the same, and their rows, a true pairing, are used by `score` alone. Views whose
    elements are bags, arrays of shape (m_i, d), are matched sample by sample. Nothing is learned: ``fit`` keeps the
    matches and the second collection, for `predict` and `transform` of new elements.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import AssignmentAligner
    >>> boys = np.array([[0.0], [1.0], [2.0]])
    >>> girls = np.array([[2.1], [0.9]])
    >>> AssignmentAligner().fit(boys, girls).matches_.tolist()
    [-1, 1, 0]
    >>> W = np.array([[0.9, 0.8], [0.8, 0.1]])
    >>> AssignmentAligner(similarity="precomputed").fit(W).matches_.tolist()  # not the greedy choice
    [1, 0]
    """

    _takes_bags = True

    def __init__(
        self, *, similarity: Metric | None = None, metric: Metric | None = None, threshold: float | None = None
    ) -> None:
        self.similarity = similarity
        self.metric = metric
        self.threshold = threshold

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Match.

        Parameters
        ----------
        X : Views, Domains, array-like of shape (n, d), or matrix of shape (n, m)
            Two collections, or the first of two; the matrix of weights where they are precomputed.
        y : array-like of shape (m, d), default=None
            The second collection; any number of rows. Beside Views and Domains it is not looked at.

        Returns
        -------
        self
        """
        matches, totals = self._match(X, y, reset=True)
        bags = isinstance(matches, list)
        pairs = [(np.flatnonzero(found >= 0), found[found >= 0]) for found in (matches if bags else [matches])]
        self.matches_ = matches
        parts: Any = ([rows for rows, _ in pairs], [c for _, c in pairs]) if bags else pairs[0]
        self.row_ind_, self.col_ind_ = parts
        self.total_ = float(np.sum(totals))
        return self

    def predict(self, X: Rows, y: Rows | None = None) -> Array:
        """Match new elements.

        Parameters
        ----------
        X : Views, Domains, array-like of shape (n, d), or matrix of shape (n, m)
            As in ``fit``; a plain array alone is matched with the second collection of ``fit``.
        y : array-like of shape (m, d), default=None
            The second collection.

        Returns
        -------
        ndarray of shape (n,), or list of them
            As ``matches_``.
        """
        check_is_fitted(self, "matches_")
        return self._match(X, y, reset=False)[0]

    def fit_predict(self, X: Rows, y: Rows | None = None) -> Array:
        """Match, and give ``matches_``.

        Parameters
        ----------
        X : Views, Domains, array-like of shape (n, d), or matrix of shape (n, m)
            As in ``fit``.
        y : array-like of shape (m, d), default=None
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n,), or list of them
        """
        return self.fit(X, y).matches_

    def transform(self, X: Rows) -> Array:  # type: ignore[override]  # partners are looked up, not mapped
        """Carry elements of the first collection to their partners in the second.

        Parameters
        ----------
        X : Views, Domains or array-like of shape (n, d)
            What `predict` takes.

        Returns
        -------
        Views, Domains or ndarray
            Domains with the first replaced by its partners, NaN where there is none. Views of bags come back with the
            matched elements of both, in pairs; Views of tables with the rows of the second in the order of the first.
            A plain array gives the partners out of the second collection of ``fit``.
        """
        check_is_fitted(self, "matches_")
        if self._weights_given():
            raise ValueError("transform needs the elements of the second collection; precomputed weights have none.")
        matches = self.predict(X)
        if isinstance(X, Views):
            first, second = X.names
            if isinstance(matches, list):
                kept = [(np.flatnonzero(found >= 0), found[found >= 0]) for found in matches]
                return Views(
                    {
                        first: [_in_the_library_of(b, to_numpy(b)[rows]) for b, (rows, _) in zip(X[first], kept)],
                        second: [
                            _in_the_library_of(b, to_numpy(b)[columns]) for b, (_, columns) in zip(X[second], kept)
                        ],
                    }
                )
            return Views({first: X[first], second: self._partners(X[second], matches, X[first])})
        if isinstance(X, Domains):
            first, second = X.names
            return X.replace(**{first: self._partners(X[second], matches, X[first])})
        return self._partners(self._target, matches, X)

    def _partners(self, elements, matches, original):
        partners = _in_the_library_of(original, _taken(to_numpy(elements), matches))
        return wrap_output(self, partners, original, self.get_feature_names_out)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """How good the matching of these elements is; larger is better.

        Parameters
        ----------
        X : Views, Domains, array-like of shape (n, d), or matrix of shape (n, m)
            What to match. Rows of Views of two tables are a true pairing.
        y : array-like, default=None
            The second collection after a plain array. Beside Views of bags: for every sample the true partners, in
            the form of ``matches_``. Beside Domains: pair ids in row order (`Domains.stack`), -1 unknown.

        Returns
        -------
        float
            Where the true partners are known, the share of the elements with one that were matched to it. Otherwise
            the mean similarity of the matched pairs, or minus their mean distance: it compares data, not parameters,
            as a threshold or another similarity changes what is summed.
        """
        check_is_fitted(self, "matches_")
        matches, totals = self._match(X, None if isinstance(X, (Views, Domains)) else y, reset=False)
        truth = self._truth(X, y, matches)
        if truth is None:
            found = np.concatenate(matches) if isinstance(matches, list) else matches
            n_matches = np.count_nonzero(found >= 0)
            return (1.0 if self._maximize() else -1.0) * float(np.sum(totals)) / max(n_matches, 1)
        found, right = (np.concatenate(part) if isinstance(part, list) else part for part in (matches, truth))
        known = right >= 0
        if not known.any():
            raise ValueError("y knows no partner of these elements: nothing can be scored.")
        return float((found[known] == right[known]).mean())

    # --- what is matched --------------------------------------------------------------------------------------------

    def _maximize(self):
        return self.similarity is not None

    def _truth(self, X, y, matches):
        if isinstance(X, Views) and not isinstance(matches, list):
            return np.arange(len(matches))
        if y is None or not isinstance(X, (Views, Domains)):
            return None
        if isinstance(X, Views):
            truth = [np.asarray(right) for right in y]
            if [len(right) for right in truth] != [len(found) for found in matches]:
                raise ValueError("y must hold, for every sample, the partner of every element of the first bag.")
            return truth
        truth = np.full(len(matches), -1)
        ix, iy = known_pairs(X, y)
        truth[ix] = iy
        return truth

    def _match(self, X, y, reset):
        self._check_parameters()
        if self._weights_given():
            return self._solve(self._check_weights(X, reset))
        if not reset and y is None and not isinstance(X, (Views, Domains)):
            self._need_two_arrays("predict")
            given = Collections("arrays", ARRAY_NAMES, X, self._target)
        else:
            given = self._open(X, y, reset=reset)
        if given.door == "bags":
            first, second = (self._bags(i, view, reset) for i, view in enumerate(given[2:]))
            self._check_widths(first.elements, second.elements)
            found = [self._of_pair(to_numpy(A), to_numpy(B)) for A, B in zip(first.unpack(), second.unpack())]
            matches, totals = ([part[i] for part in found] for i in range(2))
        else:
            first, second = (self._check_side(i, rows, reset=reset) for i, rows in enumerate(given[2:]))
            self._check_widths(first, second)
            if not callable(self.similarity or self.metric):
                self._check_columns()
            matches, totals = self._of_pair(to_numpy(first), to_numpy(second))
        if reset:
            self._target = None if given.door == "bags" else second
            self._n_features_out = 0 if given.door == "bags" else second.shape[1]
        return matches, totals

    def _bags(self, which, view, reset):
        bags = read_bags(view, f"View {list(self._sides)[which]!r}: ", type(self).__name__)
        self._check_side(which, bags.elements, reset=reset)
        return bags

    def _check_widths(self, first, second):
        if first.shape[1] != second.shape[1] and not callable(self.similarity or self.metric):
            names = list(self._sides)
            raise ValueError(
                f"Views {names[0]!r} and {names[1]!r} have {first.shape[1]} and {second.shape[1]} features: bring them "
                "into one space first, with CCA say."
            )

    def _weights_given(self):
        return "precomputed" in (self.similarity, self.metric)

    def _check_weights(self, X, reset):
        encoder = ViewEncoder(view="weights", owner=type(self).__name__)
        weights = check_view(X, label="The weights: ", owner=encoder, accept_sparse=True, estimator=encoder.owner)
        if reset:
            self._door, self._sides, self._target, self._n_features_out = "costs", {"weights": encoder}, None, 0
        return weights if sp.issparse(weights) else to_numpy(weights)

    def _of_pair(self, A, B):
        if callable(self.similarity or self.metric):
            weights = np.asarray((self.similarity or self.metric)(A, B), dtype=np.float64)
            if weights.shape != (len(A), len(B)):
                raise ValueError(f"The function must give a matrix of shape {(len(A), len(B))}, not {weights.shape}.")
        elif self.similarity is not None:
            weights = pairwise_similarity(A, B, self.similarity)
        elif self.metric in (None, "euclidean", "l2"):
            weights = euclidean_costs(A, B)
        elif self.metric == "cosine":  # scikit-learn's takes rows shorter than 2e-15 for zeros
            weights = 1.0 - pairwise_similarity(A, B, "cosine")
        else:
            weights = pairwise_distances(A, B, metric=self.metric)
        name = self.similarity or self.metric or "euclidean"
        if not callable(name) and not np.isfinite(weights).all():
            raise ValueError(f"{name!r} of these elements is not finite: they are too large for it.")
        return self._solve(weights)

    def _solve(self, weights):
        rows, columns = solve_assignment(weights, maximize=self._maximize(), threshold=self.threshold)
        matches = np.full(weights.shape[0], -1)
        matches[rows] = columns
        values = sp.csr_array(weights)[rows, columns] if sp.issparse(weights) else np.asarray(weights)[rows, columns]
        return matches, float(values.sum())

    def _check_parameters(self):
        if self.similarity is not None and self.metric is not None:
            raise ValueError("Give similarity=, which is maximised, or metric=, which is minimised, not both.")
        if self.similarity is not None and self.similarity != "precomputed":
            check_similarity_name(self.similarity)
        threshold = self.threshold
        if threshold is not None and (not isinstance(threshold, Real) or not np.isfinite(threshold)):
            raise ValueError(f"threshold must be None or a finite number, got {threshold!r}.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not self._weights_given()
        tags.input_tags.sparse = self._weights_given()
        tags.transformer_tags.preserves_dtype = ["float64"]  # partners keep the dtype of the second collection
        return tags


def _taken(rows, matches):
    out = np.full((len(matches), *rows.shape[1:]), np.nan, dtype=np.result_type(rows.dtype, np.float32))
    out[matches >= 0] = rows[matches[matches >= 0]]
    return out


def _in_the_library_of(given, rows):
    """`rows` as a tensor where `given` is one."""
    return like(rows, given) if is_tensor(given) else rows
