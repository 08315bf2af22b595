"""Linear canonical correlation analysis."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._backend import astype, float_dtype, like, namespace, to_numpy
from .._encoder import Encoders
from .._typing import Array, ArrayLike, Device, PerViewValue, Rows, Seed, Self
from ..views import Views
from ._canonical import CanonicalMixin, check_rank, check_varies
from ._linear_encoder import LinearEncoder
from ._linear_solvers import check_solver, cross_blocks, sign_of_columns, top_components, whiten
from ._moments import SHRINKAGE_RULES, Moments, center_tables, chosen_shrinkage, column_squares, row_weights
from ._out_of_core import OutOfCoreMixin, any_lazy, layout_of, moments_of_row_blocks, same_layout
from ._significance import SignificanceMixin
from ._variates import Variates


class CCA(OutOfCoreMixin, SignificanceMixin, CanonicalMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Canonical correlation analysis: linear maps of two or more views whose outputs correlate most.

    Of all linear maps of the views, those whose k-th outputs (the canonical variates) have the largest correlation
    while being uncorrelated with those before. The first thing to try on paired data: a closed form, fast, and with
    ``shrinkage`` hard to beat on few samples of wide views. `KernelCCA` finds nonlinear relations.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None takes all: the least rank of the views.
    shrinkage : float, {"auto", "ledoit_wolf", "oas"}, mapping or ByView, default=0.0
        c of the regularised covariance :math:`(1-c)\,C + c\,\frac{\mathrm{tr} C}{p} I` of every view. 0 is CCA, 1 is
        partial least squares. The identity is scaled by the mean variance, so that c means the same in any unit of
        measurement of the view. "ledoit_wolf" (or "auto") and "oas" estimate it from the data so that the covariance
        matrix is estimated best; for the best correlations search it.
    solver : {"auto", "cholesky", "svd", "gram", "randomized"}, default="auto"
        "cholesky" works on covariance matrices, "svd" on the data (slower, exact for nearly collinear columns), "gram"
        on inner products of rows (more columns than rows; without shrinkage it is "svd"), "randomized" keeps the
        `randomized_rank` leading principal components of views that are wider than that. "auto" is "cholesky", or
        "gram" where a view has at least as many columns as rows, and goes over to "svd" where a scaled pivot falls
        under 1e-6, so that correlations are right to 1e-8.
    weighting : {"unit", "correlation"}, default="unit"
        Variance of the outputs: 1, or the squared canonical correlation, which is what retrieval by cosine wants.
    randomized_rank : int, default=200
        Principal components kept by "randomized".
    device : {None, "auto", "cpu", "cuda"} or str, default=None
        Where to compute on numpy input; None stays with numpy. "auto" takes a CUDA device where there is one and the
        data are large. Tensors are computed on where they are.
    random_state : int, RandomState instance or None, default=None
        For "randomized" only.

    Attributes
    ----------
    canonical_correlations_ : ndarray of shape (n_components,)
        Correlation of the variates of the training rows; averaged over pairs for three or more views.
    weights_ : dict of str to ndarray of shape (n_features, n_components)
        By view. The largest weight of the first view is positive.
    loadings_ : dict of str to ndarray of shape (n_features, n_components)
        Correlations of the columns with the variates of their view; 0 for constant columns.
    means_ : dict of str to ndarray of shape (n_features,)
        Means of the columns.
    explained_variance_ : dict of str to ndarray of shape (n_components,)
        Variance of the view, in its units squared, that a regression on each variate explains.
    explained_variance_ratio_ : dict of str to ndarray of shape (n_components,)
        The same as a part of the total variance.
    shrinkage_ : dict of str to float
        The shrinkage that was used.
    encoders_ : dict of str to LinearEncoder
        One-view transformers.
    n_samples_seen_ : int
        Number of training rows with a positive weight.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, more components than a view has rank, or Dask arrays with a
        solver that needs all rows at once.

    Warns
    -----
    UserWarning
        When the views together have as many columns as there are samples and nothing is shrunk: then any two views
        correlate perfectly.

    See Also
    --------
    KernelCCA : Nonlinear maps.
    ProcrustesAligner : Rotations only.

    Notes
    -----
    For three or more views the sum of all covariances between views is maximised while the sum of the regularised
    variances is fixed (multiset CCA [2]_); for two views this is CCA. Variances are of ddof 0, so that weights of 2
    are the same as repeated rows. Sparse views are made dense: put TruncatedSVD into `PerView` for wide text.

    Dask arrays need as much memory as some of their blocks. They are brought into the row chunks of the first view and
    solved by covariance matrices, as in ``partial_fit``; ``transform``, ``predict`` and ``inverse_transform`` of them
    are Dask arrays that wait to be computed.

    References
    ----------
    .. [1] H. Hotelling, "Relations between two sets of variates", Biometrika 28, 1936.
    .. [2] J. R. Kettenring, "Canonical analysis of several sets of variables", Biometrika 58(3), 1971.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skalign import CCA, Views
    >>> data = load_linnerud()
    >>> cca = CCA().fit(Views(exercise=data.data, body=data.target))
    >>> cca.canonical_correlations_.round(6).tolist()
    [0.795608, 0.200556, 0.07257]
    >>> cca.transform(Views(body=data.target))["body"].shape
    (20, 3)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        shrinkage: PerViewValue[float | Literal["auto", "ledoit_wolf", "oas"]] = 0.0,
        solver: Literal["auto", "cholesky", "svd", "gram", "randomized"] = "auto",
        weighting: Literal["unit", "correlation"] = "unit",
        randomized_rank: int = 200,
        device: Device = None,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.solver = solver
        self.weighting = weighting
        self.randomized_rank = randomized_rank
        self.device = device
        self.random_state = random_state

    def fit(self, X: Rows, y: Rows | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to paired views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two. Dask arrays are gone through once, block by block, on Dask's scheduler.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is labels, and ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; whole numbers are the same as repeated rows.

        Returns
        -------
        self
        """
        check_solver(self.solver, self.randomized_rank)
        tables, encoders = self._check_views(X, y, LinearEncoder)
        shrinkages = self._shrinkages(list(tables), SHRINKAGE_RULES)
        tables = self._move(tables)
        layout = layout_of(encoders)
        if any_lazy(tables):
            self._check_moments_do()
            quartics = any(c in ("auto", "ledoit_wolf") for c in shrinkages.values())
            moments = moments_of_row_blocks(tables, sample_weight, quartics=quartics)
            self._solve(encoders, shrinkages, moments)
            self._moments, self._layout = moments, layout
            return self
        weights = _weights_of(sample_weight, tables)
        centered, origins, shifts, weight, n_rows = center_tables(list(tables.values()), weights)
        narrow = all(X.shape[1] < X.shape[0] for X in centered) and self.solver != "randomized"
        moments = None
        if narrow or self.solver == "cholesky":
            moments = Moments.of(centered, origins, weight, n_rows, shifts)
        means = [origin + shift for origin, shift in zip(origins, shifts)]
        self._solve(encoders, shrinkages, moments, centered, means, weight, n_rows, weights)
        self._moments, self._layout = moments, layout
        return self

    def _check_moments_do(self):
        if self.solver not in ("auto", "cholesky"):
            raise ValueError(
                f"solver={self.solver!r} needs all rows in memory; Dask arrays are fitted by their covariance "
                "matrices: solver='auto'."
            )

    def partial_fit(self, X: Rows, y: Rows | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Go on with more rows: means and co-moments are updated exactly, in memory that does not grow.

        Until the rows seen determine `n_components` components the estimator is not fitted. A chunk that is refused
        changes nothing. Works on covariance matrices whatever `solver` is.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Rows of the same views as before; one row is enough.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self
        """
        before, state = getattr(self, "_moments", None), dict(self.__dict__)
        if before is None and hasattr(self, "encoders_"):
            raise ValueError(
                "This fit kept no co-moments, as a view had as many columns as rows: start with partial_fit."
            )
        try:
            check_solver(self.solver, self.randomized_rank)
            tables, encoders = self._check_views(X, y, LinearEncoder, min_samples=1)
            shrinkages = self._shrinkages(list(tables), ("oas",))
            layout = layout_of(encoders)
            if before is not None:
                layout = same_layout(layout, self._layout, type(self).__name__)
            if self.n_components is not None:
                check_rank(self.n_components, {name: width for name, (width, _) in layout.items()})
            order = list(layout)
            encoders = Encoders({name: encoders[name] for name in order})
            tables = self._move({name: tables[name] for name in order})
            if any_lazy(tables):
                moments = moments_of_row_blocks(tables, sample_weight)
            else:
                weights, origins = _weights_of(sample_weight, tables), None if before is None else before.origins
                centered, origins, shifts, weight, n_rows = center_tables(list(tables.values()), weights, origins)
                moments = Moments.of(centered, origins, weight, n_rows, shifts)
            if before is not None:
                moments = before.merged(moments)
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(state)
            raise
        self._moments, self._layout = moments, layout
        if moments.n_rows > max(self.n_components or 1, 1):
            try:
                self._solve(encoders, shrinkages, moments)
            except ValueError:  # the rows so far do not have the rank: later ones may
                self.__dict__.pop("encoders_", None)
        return self

    def _solve(
        self, encoders, shrinkages, moments, centered=None, means=None, weight=None, n_rows=None, weights=None
    ):  # fmt: skip
        """From moments alone, or from the centred rows and whatever moments there are."""
        names, rng = list(encoders), check_random_state(self.random_state)
        data = centered
        if centered is None:
            data, means, weight, n_rows = [None] * len(names), moments.means, moments.weight, moments.n_rows
        whitenings, traces, used = [], [], {}
        for i, name in enumerate(names):
            xp = namespace(means[i])
            C = moments.covariance(i, i) if moments is not None else None
            trace = moments.trace(i) if moments is not None else float(xp.sum(column_squares(data[i]))) / weight
            check_varies(name, trace)
            fourths = moments.quartics[i][1] if moments is not None and moments.quartics is not None else None
            c = used[name] = chosen_shrinkage(shrinkages[name], data[i], C, weight, weights, fourths)
            mu = trace / means[i].shape[0]
            traces.append(trace)
            whitenings.append(whiten(data[i], C, weight, c, mu, self.solver, self.randomized_rank, rng))
        ranks = {name: min(w.rank, n_rows - 1) for name, w in zip(names, whitenings)}
        k = check_rank(self.n_components, ranks)
        _warn_if_void(used, ranks, n_rows)
        blocks = cross_blocks(whitenings, centered, moments, weight)
        coefficients, values = top_components(blocks, [w.rank for w in whitenings], k)
        statistics = Variates(whitenings, coefficients, centered, moments, weight)
        signs = sign_of_columns(statistics.weights[0])

        self.shrinkage_ = used
        self.n_samples_seen_ = n_rows
        self.canonical_correlations_ = np.clip(statistics.correlations(), -1.0, 1.0)
        self._ranks, self._all_values = ranks, to_numpy(values)
        factors = self._factors(self.canonical_correlations_)
        self.weights_, self.loadings_, self.means_ = {}, {}, {}
        self.explained_variance_, self.explained_variance_ratio_, self._predictors = {}, {}, {}
        for i, (name, encoder) in enumerate(encoders.items()):
            encoder.mean_ = self.means_[name] = to_numpy(means[i])
            encoder.weights_ = self.weights_[name] = to_numpy(statistics.weights[i]) * signs
            own, spread = statistics.with_columns(i, i), statistics.column_spread(i)
            self.loadings_[name] = own * signs / np.where(spread > 0, spread, 1.0)[:, None]
            self.explained_variance_[name] = (own**2).sum(axis=0)
            self.explained_variance_ratio_[name] = self.explained_variance_[name] / traces[i]
            inverse = statistics.inverse_within(i, own)
            for j, other in enumerate(names):
                target = (own if j == i else statistics.with_columns(j, i)).T
                self._predictors[name, other] = signs[:, None] * (target if inverse is None else inverse @ target)
            encoder._set_variates(self._predictors[name, name], factors)
        self.encoders_ = encoders

    def predict(self, X: Rows) -> Array:
        """Predict the other views from one, by regression on its variates.

        Parameters
        ----------
        X : Views with one view, or array-like of shape (n_samples, n_features)
            A plain array is the first of two.

        Returns
        -------
        Views, or array of shape (n_samples, n_features_y)
            The other views, or the second of two.
        """
        check_is_fitted(self, "encoders_")
        if not isinstance(X, Views):
            self._need_two_arrays("predict")
            return self._predict_view("x", "y", X)
        if len(X.names) != 1:
            raise ValueError(f"predict takes one view and gives the others; it was given {X.names}.")
        ((name, view),) = X.items()
        self._encoder(name)
        return Views({other: self._predict_view(name, other, view) for other in self.encoders_ if other != name})

    def _predict_view(self, name, other, view):
        encoder = self.encoders_[name]
        X = encoder.check(view)
        Z = (astype(X, namespace(X).float64) - like(encoder.mean_, X)) @ like(encoder.weights_, X)
        Y = Z @ like(self._predictors[name, other], Z) + like(self.means_[other], Z)
        return astype(Y, float_dtype(X))


def _weights_of(sample_weight, tables):
    first = next(iter(tables.values()))
    return row_weights(sample_weight, first.shape[0], first)


def _warn_if_void(shrinkages, ranks, n_rows):
    free = sorted((ranks[name] for name, c in shrinkages.items() if c == 0), reverse=True)
    if (free and free[0] >= n_rows - 1) or sum(free[:2]) >= n_rows:
        warnings.warn(
            f"Without shrinkage, views of ranks {ranks} correlate perfectly on {n_rows} samples whatever they hold: "
            "the correlations mean nothing. Set shrinkage > 0, reduce the views (PCA in PerView), or get more samples.",
            UserWarning,
            stacklevel=4,
        )
