"""Are the canonical correlations more than chance?"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.linalg as sla
from scipy import stats
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted

from .._backend import to_numpy
from .._input import is_whole
from .._typing import ArrayLike, Rows, Seed
from ._canonical import VariateEncoder, check_rank, check_varies
from ._linear_solvers import whiten
from ._moments import SHRINKAGE_RULES, center, chosen_shrinkage, column_squares


def wilks_test(
    correlations: ArrayLike,
    n_samples: int,
    n_features_x: int,
    n_features_y: int,
    method: Literal["rao", "bartlett"] = "rao",
) -> Bunch:
    """Tests that the k-th and all later canonical correlations are zero, for every k.

    Parameters
    ----------
    correlations : array of shape (min(n_features_x, n_features_y),)
        All canonical correlations of an unregularised fit, largest first.
    n_samples : int
        Number of independent rows.
    n_features_x, n_features_y : int
        Ranks of the views.
    method : {"rao", "bartlett"}, default="rao"
        Rao's F, exact where a view has one or two columns, or Bartlett's chi-squared approximation.

    Returns
    -------
    Bunch
        Arrays ``wilks_lambda``, ``statistic`` (F or chi-squared), ``df1``, ``df2`` (infinite for "bartlett") and
        ``p_value``, one entry for each k. The p-values suppose normal data in at least one view.

    References
    ----------
    .. [1] M. S. Bartlett, "The general canonical correlation distribution", Annals of Mathematical Statistics 18, 1947.
    .. [2] C. R. Rao, "Linear Statistical Inference and Its Applications", 2nd ed., section 8c, 1973.

    Examples
    --------
    >>> wilks_test([0.795608, 0.200556, 0.072570], 20, 3, 3).p_value.round(4).tolist()
    [0.0635, 0.9491, 0.7748]
    """
    if method not in ("rao", "bartlett"):
        raise ValueError(f"method must be 'rao' or 'bartlett', got {method!r}.")
    r = np.asarray(correlations, dtype=np.float64)
    n, p, q = n_samples, n_features_x, n_features_y
    if n <= p + q:
        raise ValueError(f"n_samples={n} is too few: the test needs more rows than both views have columns ({p + q}).")
    k = np.arange(min(p, q))
    lambdas = np.cumprod((1.0 - np.minimum(r[: len(k)], 1.0) ** 2)[::-1])[::-1]
    a, b = p - k, q - k  # what is left of the views after k components
    df1 = (a * b).astype(float)
    m = n - 1.5 - (p + q) / 2
    with np.errstate(divide="ignore"):
        if method == "bartlett":
            statistic, df2 = -m * np.log(lambdas), np.full(len(k), np.inf)
            p_value = stats.chi2.sf(statistic, df1)
        else:
            square = a**2 + b**2 - 5
            s = np.where(square > 0, np.sqrt(np.maximum(a**2 * b**2 - 4, 0) / np.where(square > 0, square, 1)), 1.0)
            s = np.where(s > 0, s, 1.0)
            df2 = m * s - df1 / 2 + 1
            root = lambdas ** (1 / s)
            statistic = (1 - root) / root * df2 / df1
            p_value = stats.f.sf(statistic, df1, df2)
    return Bunch(wilks_lambda=lambdas, statistic=statistic, df1=df1, df2=df2, p_value=p_value)


class SignificanceMixin:
    """Parametric and permutation tests for two-view linear CCA."""

    def wilks_test(self, method: Literal["rao", "bartlett"] = "rao") -> Bunch:
        """Tests that the k-th and all later canonical correlations are zero (see `skalign.correlation.wilks_test`).

        Parameters
        ----------
        method : {"rao", "bartlett"}, default="rao"
            Rao's F or Bartlett's chi-squared approximation.

        Returns
        -------
        Bunch
            ``wilks_lambda``, ``statistic``, ``df1``, ``df2``, ``p_value``, each of shape (least rank of the views,).

        Raises
        ------
        ValueError
            After a fit with shrinkage, of three or more views, or of too few rows: no such theory exists there.
        """
        check_is_fitted(self, "encoders_")
        if len(self.encoders_) != 2 or any(self.shrinkage_.values()) or self.solver == "randomized":
            raise ValueError("Wilks' test is for two views without shrinkage; permutation_test has no such limits.")
        return wilks_test(self._all_values, self.n_samples_seen_, *self._ranks.values(), method=method)

    def permutation_test(
        self, X: Rows, y: Rows | None = None, n_permutations: int = 999, random_state: Seed = None
    ) -> Bunch:
        """p-values of every component by permuting the rows of the second view, for any shrinkage.

        Component k is tested in what the k - 1 before it leave over, and the p-values do not fall with k, which keeps
        the familywise error [1]_.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two paired views, or the first of two; the training rows, or others.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view.
        n_permutations : int, default=999
            Number of permutations; the least p-value is ``1 / (n_permutations + 1)``.
        random_state : int, RandomState instance or None, default=None
            Source of the permutations.

        Returns
        -------
        Bunch
            ``statistic`` and ``p_value``, each of shape (n_components,). The statistic is minus the log of Wilks'
            lambda without shrinkage; with it the largest singular value that is left (as Roy's largest root).

        References
        ----------
        .. [1] A. M. Winkler et al., "Permutation inference for canonical correlation analysis", NeuroImage 220, 2020.
        """
        if not is_whole(n_permutations, 1):
            raise ValueError(f"n_permutations must be a whole number of at least 1, got {n_permutations!r}.")
        rng = check_random_state(random_state)
        Zx, Zy, k, white = self._canonical_scores(X, y)
        observed = _remaining(Zx, Zy, k, white)
        at_least = np.ones(k)
        for _ in range(n_permutations):
            at_least += _remaining(Zx, Zy[rng.permutation(len(Zy))], k, white) >= observed * (1 - 1e-12)
        p_value = np.maximum.accumulate(at_least / (n_permutations + 1))
        return Bunch(statistic=observed, p_value=p_value)

    def _canonical_scores(self, X, y):
        """White scores of two views in the order of all components, how many to test, and whether unshrunk."""
        from sklearn.base import clone

        scratch = clone(self)
        tables, _ = scratch._check_views(X, y, VariateEncoder)
        if len(tables) != 2:
            raise ValueError(f"permutation_test compares two views; these are {list(tables)}.")
        shrinkages = scratch._shrinkages(list(tables), SHRINKAGE_RULES)
        rng, scores, white = check_random_state(self.random_state), [], True
        for name, table in scratch._move(tables).items():
            centered, _ = center(table)
            n, p = centered.shape
            C = centered.T @ centered / n if p < n and self.solver != "randomized" else None
            c = chosen_shrinkage(shrinkages[name], centered, C, n)
            mu = float(column_squares(centered).sum()) / n / p
            check_varies(name, mu)
            w = whiten(centered, C, n, c, mu, self.solver, self.randomized_rank, rng)
            scores.append(to_numpy(w.apply(centered.T).T if w.scores is None else w.scores))
            white = white and c == 0
        Zx, Zy = scores
        U, _, Vt = np.linalg.svd(Zx.T @ Zy / len(Zx))
        k = check_rank(self.n_components, dict(zip(tables, (Zx.shape[1], Zy.shape[1]))))
        return Zx @ U, Zy @ Vt.T, k, white


def _remaining(Zx, Zy, k, white):
    """The statistic of what is left when the first 0, ..., k - 1 coordinates are taken away, for each."""
    M = Zx.T @ Zy / len(Zx)
    left = [sla.svdvals(M[i:, i:], check_finite=False) for i in range(k)]
    if white:
        return np.array([-np.log1p(-(np.minimum(s, 1 - 1e-15) ** 2)).sum() for s in left])
    return np.array([s[0] for s in left])  # not correlations, and not below 1: there is no lambda
