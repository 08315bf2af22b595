"""Kernel canonical correlation analysis."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_memory

from .._backend import astype, float_dtype, like, namespace, resident, to_numpy
from .._input import is_whole
from .._typing import Device, Metric, PerViewValue, Rows, Seed, Self
from ..views import Precomputed
from ..views._by_view import by_view
from ._canonical import CanonicalMixin, VariateEncoder, check_choice, check_rank
from ._kernel_features import DEFAULT_COMPONENTS, describe_variates, solve_features, warn_if_void
from ._kernel_maps import (
    FourierFeatures,
    KernelRows,
    NystroemFeatures,
    check_kernel,
    check_precomputed,
    in_blocks,
    resolve_gamma,
    training_kernel,
)
from ._kernel_solvers import center_kernel, kernel_cca, kernel_eigen
from ._out_of_core import OutOfCoreMixin, any_lazy, moments_of_row_blocks

_ROWS_FOR_RANK = 300
# Below this shrinkage the iterative solver tends to hand over to eigendecompositions, which are worth keeping.
_KEEP_EIGEN = 1e-4


class KernelEncoder(VariateEncoder):
    """A nonlinear map of one view: ``(features_(X) @ weights_ - offset_) * factors_``.

    Parameters
    ----------
    view, owner : str
        The view and the class of the aligner.

    Attributes
    ----------
    features_ : callable
        Kernel with the training rows, or approximate features.
    weights_ : ndarray of shape (n_features_out, n_components)
        Weights of those: dual weights for the exact kernel.
    offset_ : ndarray of shape (n_components,)
        What centres the variates of the training rows.
    factors_ : ndarray of shape (n_components,)
        1, or the canonical correlations with ``weighting="correlation"``.
    """

    _accept_sparse = True
    _accept_lazy = True
    _kernel = None
    rows_ = None

    def check(self, X, *, reset=False, min_samples=1):
        if reset:
            self.rows_ = X.rows if isinstance(X, Precomputed) else None
            self._fingerprint = X.fingerprint() if isinstance(X, Precomputed) else None
        elif isinstance(X, Precomputed) and X.fingerprint() != self._fingerprint:
            raise ValueError(
                f"View {self.view!r}: this Precomputed holds another matrix than at fit. New samples are passed as a "
                "plain rectangle k(new, training)."
            )
        if isinstance(X, Precomputed):
            X = X.against(self.rows_)
        return super().check(X, reset=reset, min_samples=min_samples)

    def _encode(self, X):
        Z = in_blocks(self._variates, X, self.weights_.shape[0])
        return astype(Z, float_dtype(X.data if sp.issparse(X) else X))

    def _variates(self, X):
        F = self.features_(X)
        return (F @ resident(self.weights_, F) - like(self.offset_, F)) * like(self.factors_, F)

    def _decode(self, Z):
        if self.decoder_ is None:
            raise ValueError(f"View {self.view!r} is known by its kernel alone: there are no rows to go back to.")
        return astype(self._unscaled(Z) @ like(self.decoder_, Z) + like(self.mean_, Z), float_dtype(Z))


class KernelCCA(OutOfCoreMixin, CanonicalMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Kernel canonical correlation analysis: nonlinear maps of two or more views whose outputs correlate most.

    CCA in the feature spaces of kernels. Strong where samples are hundreds to a few thousands and relations are not
    linear; ``approximation`` goes on to large numbers of samples.

    Parameters
    ----------
    n_components : int, default=None
        Number of components. None takes 10, or as many as the views have.
    kernel : str, callable, mapping or ByView, default="rbf"
        "linear", "polynomial", "rbf", "exponential" (of the Euclidean distance), "laplacian" (of the city block
        distance), "cosine", or a callable ``f(X, Y)`` that returns the whole matrix; see
        `skalign.metrics.pairwise_similarity`. A view that is `Precomputed` is its own kernel whatever stands here;
        "precomputed" takes a square array at fit and k(new, training) afterwards.
    gamma : float, {"scale", "median"}, None, mapping or ByView, default="scale"
        Scale of the kernel. "scale" is 1 / (n_features * X.var()), as in scikit-learn, and its counterpart for kernels
        of plain distances; "median" makes the median distance the unit; None is 1 / n_features.
    degree : float, mapping or ByView, default=3
        Power of the polynomial kernel.
    coef0 : float, mapping or ByView, default=1.0
        Constant of the polynomial kernel.
    shrinkage : float, mapping or ByView, default=1e-3
        c of the regularised variance :math:`a^\top [(1-c) K^2/n + c\,\kappa K] a` with :math:`\kappa = \mathrm{tr}K/n`,
        the total variance in feature space: c means the same at any scale of the kernel. 1e-5 to 1e-2 is the
        range to search; 0 makes any two views correlate perfectly and warns.
    approximation : {None, "nystroem", "rff"}, default=None
        None is exact and takes memory quadratic in the samples. "nystroem" (any kernel) and "rff" (random Fourier
        features for "rbf", "exponential" and "laplacian") are linear in them.
    n_landmarks : int, default=500
        Landmark rows for "nystroem", features for "rff".
    solver : {"auto", "cholesky", "eigen"}, default="auto"
        Of the exact problem: block Lanczos iteration over Cholesky factors, or full eigendecompositions.
    weighting : {"unit", "correlation"}, default="unit"
        Variance of the outputs: 1, or the squared canonical correlation, which is what retrieval by cosine wants.
    memory : str or object with the joblib.Memory interface, default=None
        Where to keep kernels and their eigendecompositions, so that a search over `shrinkage`, `n_components` or the
        other view's kernel does not compute them again. A callable kernel is computed every time.
    device : {None, "auto", "cpu", "cuda"} or str, default=None
        Where to compute on numpy input; None stays with numpy.
    random_state : int, RandomState instance or None, default=None
        Landmarks, Fourier features, and the rows for the median distance.

    Attributes
    ----------
    canonical_correlations_ : ndarray of shape (n_components,)
        Correlation of the variates of the training rows; averaged over pairs for three or more views.
    weights_ : dict of str to ndarray of shape (n_samples or n_landmarks, n_components)
        Dual weights, or weights of the approximate features. The largest training variate of the first view is
        positive in every component.
    gamma_ : dict of str to float or None
        The scale that was used.
    encoders_ : dict of str to KernelEncoder
        One-view transformers.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, a kernel that is not square and symmetric, or more components
        than a kernel has rank.

    See Also
    --------
    CCA : Linear maps.

    Notes
    -----
    With a linear kernel and shrinkage c this is `CCA` with shrinkage c' such that c'/(1-c') = p c/(1-c).
    ``inverse_transform`` regresses the view on its variates.

    Dask arrays are gone through block by block: for NaN and the variance of all entries or the rows of the median, for
    the landmarks, for the moments of the features, and for those of the variates. ``transform`` of them is a Dask array
    that waits to be computed.

    References
    ----------
    .. [1] D. R. Hardoon, S. Szedmak, J. Shawe-Taylor, "Canonical correlation analysis: An overview with application to
       learning methods", Neural Computation 16(12), 2004.
    .. [2] F. R. Bach, M. I. Jordan, "Kernel independent component analysis", JMLR 3, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import KernelCCA, Views
    >>> angle = np.random.default_rng(0).uniform(0, 2 * np.pi, size=(200, 1))
    >>> views = Views(angle=angle, point=np.hstack([np.cos(angle), np.sin(angle)]))
    >>> aligner = KernelCCA(n_components=2).fit(views[:150])
    >>> aligner.score(views[150:]) > 1.9
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        kernel: PerViewValue[Metric] = "rbf",
        gamma: PerViewValue[float | Literal["scale", "median"] | None] = "scale",
        degree: PerViewValue[float] = 3,
        coef0: PerViewValue[float] = 1.0,
        shrinkage: PerViewValue[float] = 1e-3,
        approximation: Literal["nystroem", "rff"] | None = None,
        n_landmarks: int = 500,
        solver: Literal["auto", "cholesky", "eigen"] = "auto",
        weighting: Literal["unit", "correlation"] = "unit",
        memory: Any = None,
        device: Device = None,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.shrinkage = shrinkage
        self.approximation = approximation
        self.n_landmarks = n_landmarks
        self.solver = solver
        self.weighting = weighting
        self.memory = memory
        self.device = device
        self.random_state = random_state

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Fit to paired views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two. Dask arrays need an `approximation`.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is labels, and ignored.

        Returns
        -------
        self
        """
        check_choice("solver", self.solver, ("auto", "cholesky", "eigen"))
        if self.approximation is not None:
            check_choice("approximation", self.approximation, ("nystroem", "rff"))
            if not is_whole(self.n_landmarks, 1):
                raise ValueError(f"n_landmarks must be a whole number of at least 1, got {self.n_landmarks!r}.")
        tables, encoders = self._check_views(X, y, KernelEncoder)
        shrinkages = list(self._shrinkages(list(tables)).values())
        rng = check_random_state(self.random_state)
        tables = self._move(tables)
        if any_lazy(tables):
            if self.approximation is None:
                raise ValueError(
                    "The exact kernel needs all rows in memory: Dask arrays take approximation='nystroem' or 'rff'."
                )
            moments_of_row_blocks(tables, pairs=[])  # before landmarks are drawn from them: NaN and infinity
        maps = self._feature_maps(tables, encoders, rng)
        if self.approximation is None:
            weights, offsets, variates = self._solve_exact(tables, maps, shrinkages)
        else:
            weights, offsets, variates = solve_features(tables, maps, shrinkages, self.n_components, self.n_landmarks)
        signs, correlations, means, decoders = describe_variates(tables, variates, maps)
        self.canonical_correlations_ = np.clip(correlations, -1.0, 1.0)
        factors = self._factors(self.canonical_correlations_)
        self.weights_ = {}
        for i, (name, encoder) in enumerate(encoders.items()):
            encoder.features_ = maps[name]
            encoder.weights_ = self.weights_[name] = to_numpy(weights[i]) * signs
            encoder.offset_ = to_numpy(offsets[i]) * signs
            encoder.mean_ = means[i]
            encoder._set_variates(decoders[i], factors)
        self.encoders_ = encoders
        return self

    def _feature_maps(self, tables, encoders, rng):
        names = list(tables)
        kernels = by_view(self.kernel, names, "kernel")
        gammas, degrees = by_view(self.gamma, names, "gamma"), by_view(self.degree, names, "degree")
        coef0s = by_view(self.coef0, names, "coef0")
        self.gamma_, maps = {}, {}
        for name, X in tables.items():
            kernel = "precomputed" if encoders[name].rows_ is not None else kernels[name]
            check_kernel(kernel, gammas[name], degrees[name], coef0s[name], name)
            if kernel == "precomputed":
                check_precomputed(X, name, self.approximation)
            gamma = None if kernel == "precomputed" else resolve_gamma(gammas[name], kernel, X, rng)
            if kernel not in ("linear", "cosine") and isinstance(gamma, float) and not 0 < gamma < np.inf:
                raise ValueError(
                    f"View {name!r}: its values are too small or too large for squares of them, which gamma="
                    f"{gammas[name]!r} is made of. Bring it to another unit."
                )
            self.gamma_[name] = gamma
            if self.approximation == "nystroem":
                maps[name] = NystroemFeatures(X, kernel, gamma, degrees[name], coef0s[name], self.n_landmarks, rng)
            elif self.approximation == "rff":
                maps[name] = FourierFeatures(X, kernel, gamma, self.n_landmarks, rng)
            else:
                maps[name] = KernelRows(X, kernel, gamma, degrees[name], coef0s[name])
        return maps

    def _solve_exact(self, tables, maps, shrinkages):
        n = next(iter(tables.values())).shape[0]
        memory = check_memory(self.memory)
        cached_kernel, eigen_of = (memory.cache(f) for f in (training_kernel, kernel_eigen))
        kernels, column_means = [], []
        for name, X in tables.items():
            # joblib knows a callable by its name only: after a change of its code it would return the old kernel.
            own = callable(maps[name].kernel)
            K, means = training_kernel(maps[name], X, name) if own else cached_kernel(maps[name], X)
            kernels.append(K)
            column_means.append(means)
            if not float(namespace(K).linalg.trace(K)) > 0:
                raise ValueError(f"View {name!r} is constant: nothing can be aligned with it.")
        k = self._default_components(kernels, n) if self.n_components is None else self.n_components
        check_rank(k, dict.fromkeys(tables, n - 1))
        decompositions = None
        keep = self.memory is not None and min(shrinkages) <= _KEEP_EIGEN
        if self.solver == "eigen" or min(shrinkages) == 0 or keep:
            decompositions = [eigen_of(K) for K in kernels] if self.solver != "cholesky" else None
        if decompositions is not None:
            ranks = {name: values.shape[0] for name, (values, _) in zip(tables, decompositions)}
            check_rank(k, ranks)
            if min(shrinkages) == 0:
                warn_if_void(shrinkages, ranks, n)
        weights, _ = kernel_cca(kernels, shrinkages, k, solver=self.solver, decompositions=decompositions)
        # Dual weights matter up to a constant only; without it new rows need no centring of their own.
        weights = [a - namespace(a).mean(a, axis=0) for a in weights]
        variates = [K @ a for K, a in zip(kernels, weights)]
        return weights, [means @ a for means, a in zip(column_means, weights)], variates

    @staticmethod
    def _default_components(kernels, n):
        """As many as the views certainly have: the rank of a kernel of some of the rows bounds that of all."""
        rows = np.unique(np.linspace(0, n - 1, min(n, _ROWS_FOR_RANK)).astype(int))
        ranks = [kernel_eigen(center_kernel(K[rows][:, rows])[0])[0].shape[0] for K in kernels]
        return max(1, min(DEFAULT_COMPONENTS, *ranks))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = isinstance(self.kernel, str) and self.kernel == "precomputed"
        return tags
