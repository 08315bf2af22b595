"""Alignment of two collections whose pairing is unknown while the map is learned."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._backend import astype, float_dtype, is_numpy, like, namespace, resolve_device, to_numpy
from .._input import check_view
from .._typing import Array, ArrayLike, Device, Rows, Seed, Self
from ..correlation._canonical import check_varies
from ..views import Domains, Views
from ._collections import UnpairedAlignerMixin, anchors_of
from ._costs import nearest_rows
from ._latent_checks import check_init, check_parameters, check_partners
from ._latent_search import search

_OF_SEARCH = ("map", "plan", "n_init", "scaling", "shrinkage", "regularization", "max_iter", "tol")
_OF_NETS = ("hidden_layer_sizes", "learning_rate", "max_epochs")


class LatentPairingAligner(UnpairedAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Learn the map between two collections and the pairing of their elements together, from no pairs or a few.

    For two clouds that are the same things seen by different coordinate systems, and nobody knows which point is
    which: embeddings of two languages or two models, neural populations of two days. Where both lie in one space
    already, `OTAligner` and `AssignmentAligner` need no map; where pairs are known, `ProcrustesAligner` and `CCA`.

    Parameters
    ----------
    map : {"orthogonal", "linear", "net"}, default="orthogonal"
        What carries the source over: a rotation or reflection, a ridge regression, or a small net beside a linear map.
        All of them have an intercept. The more a map can do, the better it fits wrong pairings too.
    plan : {"assignment", "sinkhorn"}, default="assignment"
        "assignment": pairs one to one; of the larger collection some elements stay without a partner. "sinkhorn":
        entropic transport plans, soft at first and hardened step by step, in which every element takes part.
    init : {"auto", "pca", "random", "gromov", "anchors"} or array of shape (n_features, n_target), default="auto"
        Where the search begins. "pca": principal axes are paired by the distributions along them; several starts
        differ in the signs of axes that these leave open. "random": random rotations. "anchors": known pairs,
        completed by principal axes. "gromov": the rotation that follows from entropic Gromov-Wasserstein transport,
        the best plan of `n_init`, beside starts of "pca". An array: a linear map between the centred collections,
        beside starts of "pca". "auto" is "anchors" where there are some, and "pca" otherwise.
    n_init : int, default=8
        Number of starts.
    scaling : bool, default=False
        Whether the orthogonal map scales by one number too. The other maps always may.
    shrinkage : float, default=1e-3
        Ridge penalty of the linear map, relative to the mean variance of the source's features.
    regularization : float, default=0.01
        Of the last "sinkhorn" plans, relative to the mean cost.
    hidden_layer_sizes : tuple of int, default=(64,)
        Layers of the net.
    learning_rate : float, default=1e-3
        Of the net.
    max_epochs : int, default=50
        Epochs of the net between two pairings.
    max_iter : int, default=100
        Largest number of pairings from one start.
    tol : float, default=1e-6
        The alternation ends when the objective falls by less than this part of the target's variance (1e-3 for nets).
    pairs_from_y : bool, default=True
        Whether y beside Domains holds pair ids, -1 unknown, whose pairs are anchors. Otherwise it is not looked at.
    device : {None, "auto", "cpu", "cuda"} or str, default=None
        Where to compute entropic plans and to train nets; None is the CPU. "auto" takes a CUDA device where there is
        one and the collections are large. Assignments and linear maps are worked out on the CPU in any case, and
        tensors are fetched for it.
    random_state : int, RandomState instance or None, default=None
        For random starts, turns of clouds with axes of equal variance, and nets.

    Attributes
    ----------
    matches_ : ndarray of shape (n,)
        For every element of the source the position of its partner in the target, -1 without one. With "sinkhorn" the
        one that has most of its mass.
    plan_ : EntropicPlan of shape (n, m)
        The plan, with "sinkhorn" alone; an array when given to ``numpy.asarray``.
    coef_ : ndarray of shape (n_features, n_features_target)
        The map, ``X @ coef_ + intercept_``; not for "net".
    intercept_ : ndarray of shape (n_features_target,)
        See there.
    objective_ : float
        Mean squared distance between mapped elements and their partners, in squared units of the target, and the
        ridge penalty of a linear map.
    objectives_ : ndarray
        Those of all starts: first the `n_init`, then those at symmetries of the best of these. With "net" they are
        those of the linear maps among which its start was chosen.
    objective_identity_ : float or None
        The same for the true pairing and its best map, where it is known. If it is above ``objective_``, a wrong
        pairing is better than the true one, and no search could find that.
    ambiguous_ : bool
        Whether another pairing is as good within the noise: then neither is to be trusted.
    n_solutions_ : int
        How many such pairings were found, the best with them.
    n_iter_, converged_ : int, bool
        Pairings until the best alignment, and whether these settled.

    Raises
    ------
    ValueError
        For NaN or infinity, constant collections, one row, anchors that are no pairs of rows, and ``init="anchors"``
        without any.

    Warns
    -----
    UserWarning
        When the pairing is ambiguous.
    ConvergenceWarning
        When the best alternation did not settle.

    See Also
    --------
    OTAligner : Transport between collections in one space, or between their inner distances.
    ProcrustesAligner : The rotation where pairs are known.

    Notes
    -----
    Pairing P and map T minimise

    .. math:: \sum_{ij} P_{ij} \, \lVert T(x_i) - y_j \rVert^2

    in turn [1]_: the best pairing for a map is an assignment problem or a transport plan, the best map for a pairing a
    regression. It is a local search, and all depends on its start. A collection that looks the same after a rotation or
    reflection has several solutions. They are looked for, by starting again from the best alignment followed by the
    reflections and rotations after which the mapped cloud still lies on the target; where one leads to another pairing
    whose objective is not larger by a tenth, or whose costs, row by row, are not larger by three standard errors, the
    result is called ambiguous. A few known pairs resolve it:
    they stay paired, and choose among solutions before the objective does.

    On skewed clouds of 200 rows and 5 columns, rotated and shuffled, over 99% of the pairs are found up to noise of 0.1
    standard deviations, of 300 rows and 20 columns up to 0.5: as many as the true map gives. Where a collection lacks
    what the other is shaped by, a wrong pairing may look unique: mind ``objective_`` beside the variance of the target.

    Collections of different width are compared in the space of the wider, the narrower with zeros appended. Where the
    source has fewer elements than the target, least squares can shrink it into the middle of the target; "linear",
    "net" and `scaling` are for "sinkhorn" then, where every element of the target takes part. For views that differ by
    a general linear map, whiten both before (a `PCA(whiten=True)` each in `PerView`): a rotation remains.

    References
    ----------
    .. [1] E. Grave, A. Joulin and Q. Berthet, "Unsupervised alignment of embeddings with Wasserstein Procrustes",
       AISTATS 2019.
    .. [2] D. Alvarez-Melis, S. Jegelka and T. Jaakkola, "Towards optimal transport with global invariances", AISTATS
       2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import LatentPairingAligner
    >>> X = np.random.default_rng(0).gamma(1.0, size=(50, 3)) * [1.0, 2.0, 4.0]
    >>> Y = X[::-1] @ [[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]] + 7.0
    >>> aligner = LatentPairingAligner().fit(X, Y)
    >>> bool((aligner.matches_ == np.arange(50)[::-1]).all()), aligner.ambiguous_
    (True, False)
    >>> (aligner.coef_.round(6) + 0.0).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(
        self, *, map: Literal["orthogonal", "linear", "net"] = "orthogonal",
        plan: Literal["assignment", "sinkhorn"] = "assignment",
        init: Literal["auto", "pca", "random", "gromov", "anchors"] | Array = "auto", n_init: int = 8,
        scaling: bool = False, shrinkage: float = 1e-3, regularization: float = 0.01,
        hidden_layer_sizes: tuple[int, ...] = (64,), learning_rate: float = 1e-3, max_epochs: int = 50,
        max_iter: int = 100, tol: float = 1e-6, pairs_from_y: bool = True, device: Device = None,
        random_state: Seed = None,
    ) -> None:  # fmt: skip
        self.map = map
        self.plan = plan
        self.init = init
        self.n_init = n_init
        self.scaling = scaling
        self.shrinkage = shrinkage
        self.regularization = regularization
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.max_iter = max_iter
        self.tol = tol
        self.pairs_from_y = pairs_from_y
        self.device = device
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Rows | None = None, *, anchors: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:  # fmt: skip
        """Find the pairing and the map.

        Parameters
        ----------
        X : Domains, Views, or array-like of shape (n, n_features)
            Two collections, or the source. Rows of Views are true pairs; only ``objective_identity_`` looks at them.
        y : array-like of shape (m, n_features_target), default=None
            The target after a plain array. Beside Domains, pair ids in row order (`Domains.stack`): -1 unknown, equal
            ids one pair. Beside Views it is not looked at.
        anchors : pair of int arrays, default=None
            Positions in the source and in the target of elements that are known to be pairs.

        Returns
        -------
        self
        """
        check_parameters(self)
        given = self._open(X, y)
        source, target = (
            to_numpy(self._check_side(which, rows, reset=True, min_samples=2)).astype(np.float64)
            for which, rows in enumerate((given.source, given.target))
        )
        for name, rows in zip(given.names, (source, target)):
            check_varies(name, np.square(np.ptp(rows, axis=0)).sum())
        anchors = check_partners(anchors_of(given, X, y, anchors, self.pairs_from_y))
        truth = (np.arange(len(source)),) * 2 if given.door == "views" else None
        if given.door == "domains" and anchors is not None and len(anchors[0]) == min(len(source), len(target)):
            truth = anchors
        mean_x, mean_y = source.mean(axis=0), target.mean(axis=0)
        found = search(
            source - mean_x,
            target - mean_y,
            init=check_init(self.init, (source.shape[1], target.shape[1]), anchors),
            net={name: getattr(self, name) for name in _OF_NETS},
            **{name: getattr(self, name) for name in _OF_SEARCH},
            rng=check_random_state(self.random_state),
            anchors=anchors,
            truth=truth,
            device=resolve_device(self.device, 100.0 * len(source) * len(target)),
        )
        self._keep(found, mean_x, mean_y, target)
        self._warn()
        return self

    def _keep(self, found, mean_x, mean_y, target):
        best = found.best
        for attribute in ("plan_", "coef_", "intercept_"):  # those of another fit
            vars(self).pop(attribute, None)
        self.matches_ = best.matches
        if best.plan is not None:
            self.plan_ = best.plan
        if self.map == "net":
            self._net, self._centers = best.map, (mean_x, mean_y)
        else:
            self.coef_ = best.map.coef
            self.intercept_ = best.map.intercept + mean_y - mean_x @ best.map.coef
        self.objective_, self.objectives_ = best.objective, found.objectives
        self.objective_identity_ = found.objective_identity
        self.n_solutions_ = found.n_solutions
        self.ambiguous_ = found.n_solutions > 1
        self.n_iter_, self.converged_ = len(best.objectives), best.converged
        self._target, self._n_features_out = target, target.shape[1]

    def _warn(self):
        if self.ambiguous_:
            warnings.warn(
                f"The pairing is ambiguous: {self.n_solutions_} clearly different ones are equally good within the "
                "noise, so that this one may be wrong altogether. The collections may be symmetric, or have too little "
                "in common. Some known pairs as anchors would decide.",
                UserWarning,
                stacklevel=3,
            )
        if not self.converged_:
            warnings.warn(
                f"Pairing and map had not settled after {self.n_iter_} iterations: raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def fit_predict(
        self, X: Rows, y: Rows | None = None, *, anchors: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Fit, and give ``matches_``.

        Parameters
        ----------
        X, y, anchors
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self.fit(X, y, anchors=anchors).matches_

    def predict(self, X: Rows) -> np.ndarray:
        """The element of the target nearest to every mapped element of the source.

        Several may share one, other than in ``matches_``, so that no answer depends on the other rows.

        Parameters
        ----------
        X : Domains, Views, or array-like of shape (n, n_features)
            Elements of the source; a plain array, after a fit on two, is compared with the target of ``fit``, and the
            rows of the others with the target beside them.

        Returns
        -------
        ndarray of shape (n,)
            Positions in the target.
        """
        check_is_fitted(self, "matches_")
        if isinstance(X, (Domains, Views)):
            given = self._open(X, None, reset=False)
            source, target = given.source, to_numpy(self._check_side(1, given.target))
        else:
            self._need_two_arrays("predict")
            source, target = X, self._target
        mapped = to_numpy(self._carry(self._check_side(0, source)))
        return nearest_rows(mapped, target)

    @available_if(lambda aligner: aligner.map != "net")
    def inverse_transform(self, X: Rows) -> Array:
        """Carry elements of the target's space back to the source, by the pseudo-inverse of the map.

        Exact where the target is no narrower than the source and the map has full rank; otherwise the rows nearest to
        the mean of the source that are mapped there, or as near as can be. Not for ``map="net"``.

        Parameters
        ----------
        X : Domains, Views, or array-like of shape (n, n_features_target)
            What ``transform`` gives: of Domains and Views the source is carried back.

        Returns
        -------
        Domains, Views or array of shape (n, n_features)
        """
        check_is_fitted(self, "matches_")
        source = next(iter(self._sides))
        if isinstance(X, Domains):
            return X.replace(**{source: self._carried_back(X[source])})
        if isinstance(X, Views):
            return Views({name: self._carried_back(view) if name == source else view for name, view in X.items()})
        self._need_two_arrays("inverse_transform")
        return self._carried_back(X)

    def _carried_back(self, Z):
        Z = check_view(Z, estimator=type(self).__name__)
        if Z.shape[1] != self._n_features_out:
            raise ValueError(f"X has {Z.shape[1]} columns, but the target has {self._n_features_out} features.")
        inverse = np.linalg.pinv(self.coef_)
        rows = (astype(Z, namespace(Z).float64) - like(self.intercept_, Z)) @ like(inverse, Z)
        return astype(rows, float_dtype(Z))

    def _carry(self, X):
        if self.map == "net":
            mean_x, mean_y = self._centers
            mapped = self._net(to_numpy(X).astype(np.float64) - mean_x) + mean_y
            return astype(mapped if is_numpy(X) else like(mapped, X), float_dtype(X))
        mapped = astype(X, namespace(X).float64) @ like(self.coef_, X) + like(self.intercept_, X)
        return astype(mapped, float_dtype(X))
