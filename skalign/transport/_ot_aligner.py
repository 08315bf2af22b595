"""Optimal transport between two collections: soft matching, many to many."""

from __future__ import annotations

from numbers import Real
from typing import ClassVar, Literal

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._backend import astype, is_tensor, like, namespace, resolve_device, to_device, to_numpy
from .._training_constraints import WHOLE
from .._typing import Array, ArrayLike, Device, Metric, Rows, Seed, Self
from ..views import Domains, Views
from ._collections import UnpairedAlignerMixin, anchors_of, weights_of
from ._geometry import costs_across, moved
from ._ot_bags import BagTransportMixin
from ._ot_costs import CostTransportMixin
from ._plan import barycenters, best_matches, carry, carry_by_neighbor, largest_entries
from ._solve import METHODS, report, solve
from ._solve_gromov import solve_gromov

_POSITIVE = Interval(Real, 0, None, closed="neither")
_SHARE = Interval(Real, 0, 1, closed="both")
_COSTS_AT_ONCE = 2**20  # of new rows, in one go: 8 MB in float64


class OTAligner(BagTransportMixin, CostTransportMixin, UnpairedAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Match two collections softly, many to many, at the least cost: optimal transport.

    For collections that nobody paired, of any numbers of rows: cells measured by two assays, the pixels of two
    photographs, samples before and after a change of instrument. Every row of the source spreads its weight over the
    target so that the whole costs least, and new rows follow the map that this implies. Where each element has at most
    one partner, take `AssignmentAligner`; where pairs are known for most rows, `CCA` or a net.

    .. math:: \min_P \sum_{ij} P_{ij} \, c(x_i, y_j) + \varepsilon \, \mathrm{KL}(P \,|\, a b^\top)
        \quad \text{with} \quad P 1 = a, \; P^\top 1 = b

    Parameters
    ----------
    method : {"sinkhorn", "exact", "partial", "unbalanced", "gromov", "fused"}, default="sinkhorn"
        - "sinkhorn": with entropy, as above; quick, smooth, and on a GPU if there is one.
        - "exact": without, by the network simplex of POT (``pip install 'skalign[transport]'``); the plan is sparse.
        - "partial": exact, and only the share `mass` of the weight is carried, where it costs least.
        - "unbalanced": with entropy, and weights may be missed at the price `marginal_penalty`; for collections in
          which kinds of things occur in different proportions, or outliers.
        - "gromov": Gromov-Wasserstein, which compares distances within the collections, for widths that differ.
        - "fused": both, in the proportion `alpha`.
    metric : str or callable, default="sqeuclidean"
        The cost c across: a distance that `sklearn.metrics.pairwise_distances` knows, or a function of two tables that
        gives the matrix, to which widths may differ. "precomputed": ``fit`` takes the (n, m) matrix of costs.
    structure_metric : str or callable, default="euclidean"
        Distances within a collection, for "gromov", "fused" and anchors. "geodesic" are the shortest paths along a
        graph of `n_neighbors` nearest neighbours, "hops" the numbers of its edges on the way, which forgive more.
        "precomputed": ``fit`` takes the two square matrices.
    regularization : float, default=0.05
        :math:`\varepsilon` in units of the mean cost :math:`\sum_{ij} a_i b_j c_{ij}`, so that it means the same at
        every scale of the data. Smaller is sharper and slower.
    alpha : float, default=0.5
        Share of the structure in "fused", between 0 and 1; the rest is the cost across. Both are divided by their mean.
    anchor_weight : float, default=0.5
        Share of the anchors in the cost across, where pairs are known; 1 where widths differ and no other cost is.
    n_neighbors : int, default=None
        Neighbours in the graph of "geodesic" and "hops"; None is a tenth of the rows, at least 5.
    mass : float, default=0.8
        Share of the weight that "partial" carries.
    marginal_penalty : float, default=1.0
        What "unbalanced" pays for a unit of weight missed, as a Kullback-Leibler divergence, in units of the mean cost.
    n_init : int, default=3
        Starts of "gromov" and "fused", whose problem is not convex; the one of least objective is kept. The first three
        are the independent plan and two from the distributions of distances, further ones are random. With anchors
        there is one start, from them.
    tol : float, default=1e-6
        Largest error of the plan's marginals, summed over rows and columns; the weights sum to 1. In float32 2e-6 is
        the least that is asked for.
    max_iter : int, default=5000
        Largest number of sweeps.
    chunked : bool, default=None
        Compute costs at every sweep, in blocks of rows, instead of keeping a kernel of shape (n, m): three to
        four times slower, in the memory of a block. None does so above 33 million entries, 256 MB in float64.
    pairs_from_y : bool, default=True
        Whether ``y`` beside Domains are pair ids. False where they are class labels, which this estimator does not look
        at, and both collections have some.
    random_state : int, RandomState instance or None, default=None
        For the starts of "gromov" and "fused".
    device : {None, "auto", "cpu"} or str, default=None
        Where arrays are worked on; "auto" takes a GPU for large ones. Tensors stay where they are.

    Attributes
    ----------
    plan_ : ndarray of shape (n, m), sparse matrix, EntropicPlan, or list of ndarrays
        How much of each source row goes to each target row; all entries sum to 1, or to `mass`. Of more than four
        million entries an `EntropicPlan`, which computes rows when they are read (``plan_[rows]``, ``plan_ @ values``,
        ``plan_.toarray()``), or a sparse matrix for "exact" and "partial". After a fit on bags a list, one plan a
        sample.
    potentials_ : tuple of arrays of shape (n,) and (m,)
        Dual potentials f and g of rows and columns. Not after a fit on bags.
    cost_ : float
        What the plan costs, :math:`\sum P_{ij} c_{ij}`, the mean of that for bags; for "gromov" and "fused" their
        objective without the entropy, in units of what it is for the plan that matches all rows alike.
    wasserstein_distance_ : float
        The distance that this cost stands for: its square root for "sqeuclidean" (2-Wasserstein), the cost itself for
        other metrics (1-Wasserstein). With entropy it is that of the plan found, not less than the exact one. For
        "fused" it is the root of ``cost_``, for "gromov" that of the objective where both structures are divided by
        their mean distance. Not after a fit on bags.
    epsilon_ : float
        The regularisation in units of the cost; 0 for "exact" and "partial".
    n_iter_ : int
        Sweeps made; 1 for the simplex.
    converged_ : bool
        Whether `tol` was met.
    marginal_error_ : float
        L1 error of the marginals, the largest of all samples for bags; for "unbalanced" how far from a fixed point the
        potentials are, for "partial" by how much marginals exceed the weights and the mass is not the one asked for.
    n_features_in_, feature_names_in_
        Width and column names of the source, after a fit on two arrays.

    Raises
    ------
    ValueError
        For NaN or infinity, costs that overflow or are negative on the mean, widths that the metric cannot compare, and
        parameters out of range.
    FloatingPointError
        When potentials stop being finite or a plan has lost mass, and for new rows so far that their costs overflow.
    ImportError
        For "exact" and "partial" without POT.

    Warns
    -----
    ConvergenceWarning
        When marginals are not within `tol` after `max_iter` sweeps.
    UserWarning
        For "gromov" without anchors: a low objective does not mean that rows are matched rightly. Over 25
        settings of a graph of single cells the correlation of objective and accuracy was -0.21, and the plan with the
        least objective was not the best.

    See Also
    --------
    AssignmentAligner : One to one.
    LatentPairingAligner : Learns a linear map together with the pairing.

    Notes
    -----
    New rows x go to :math:`T(x) = \sum_j \operatorname{softmax}_j((g_j - c(x, y_j)) / \varepsilon + \log b_j) \, y_j`,
    the entropic map [3]_, which on the rows of ``fit`` is the mean of the plan's row; it is computed by log-sum-exp and
    is finite however far x lies. For "gromov" and "fused" the cost is linearised at the plan. Without entropy, for
    "exact" and "partial", x goes where the nearest row of ``fit`` goes that carries mass, by Euclidean distance.

    A fit on Views of two tables takes their rows for true pairs in `score` alone. Views of bags, whose elements are
    arrays of shape (m_i, d), get one plan a sample. A few known pairs are given as ``anchors=(ix, iy)`` to
    ``fit(X, Y)``, or as ids in ``y`` beside Domains: then every row is also described by its distances to the anchors
    of its own side.

    References
    ----------
    .. [1] G. Peyré and M. Cuturi, "Computational optimal transport", Foundations and Trends in Machine Learning 11,
       2019.
    .. [2] N. Courty, R. Flamary, D. Tuia and A. Rakotomamonjy, "Optimal transport for domain adaptation", IEEE Trans.
       Pattern Analysis and Machine Intelligence 39(9), 2017.
    .. [3] A.-A. Pooladian and J. Niles-Weed, "Entropic estimation of optimal transport maps", arXiv 2109.12004, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import OTAligner
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> Y = X[::-1] + [5.0, 5.0]
    >>> aligner = OTAligner(regularization=0.01).fit(X, Y)
    >>> aligner.predict(X)
    array([2, 1, 0])
    >>> aligner.transform([[0.9, 0.1]]).round(2)
    array([[5.82, 5.  ]])
    >>> round(float(aligner.wasserstein_distance_), 3)  # all went 5 to the right and 5 up
    7.077
    """

    _parameter_constraints: ClassVar[dict] = {
        "method": [StrOptions(set(METHODS))],
        "metric": [str, callable],
        "structure_metric": [str, callable],
        "regularization": [_POSITIVE],
        "alpha": [_SHARE],
        "anchor_weight": [_SHARE],
        "n_neighbors": [WHOLE, None],
        "mass": [Interval(Real, 0, 1, closed="right")],
        "marginal_penalty": [_POSITIVE],
        "n_init": [WHOLE],
        "tol": [_POSITIVE],
        "max_iter": [WHOLE],
        "chunked": ["boolean", None],
        "pairs_from_y": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, None],
    }

    def __init__(
        self, *, method: Literal["sinkhorn", "exact", "partial", "unbalanced", "gromov", "fused"] = "sinkhorn",
        metric: Metric = "sqeuclidean", structure_metric: Metric = "euclidean", regularization: float = 0.05,
        alpha: float = 0.5, anchor_weight: float = 0.5, n_neighbors: int | None = None, mass: float = 0.8,
        marginal_penalty: float = 1.0, n_init: int = 3, tol: float = 1e-6, max_iter: int = 5000,
        chunked: bool | None = None, pairs_from_y: bool = True, random_state: Seed = None,
        device: Device = None,
    ) -> None:  # fmt: skip
        self.method = method
        self.metric = metric
        self.structure_metric = structure_metric
        self.regularization = regularization
        self.alpha = alpha
        self.anchor_weight = anchor_weight
        self.n_neighbors = n_neighbors
        self.mass = mass
        self.marginal_penalty = marginal_penalty
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.chunked = chunked
        self.pairs_from_y = pairs_from_y
        self.random_state = random_state
        self.device = device

    def fit(
        self, X: Rows, y: Rows | None = None, *, sample_weight: ArrayLike | None = None,
        anchors: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:  # fmt: skip
        """Find the plan.

        Parameters
        ----------
        X : Domains, Views, array-like of shape (n, d), or matrix of shape (n, m)
            Two collections, the first of two, or the costs where they are precomputed.
        y : array-like of shape (m, d_target), default=None
            The second collection, of any number of rows. Beside Domains, pair ids in row order: -1 unknown, equal ids
            of the two domains are a known pair. Beside Views it is not looked at.
        sample_weight : array-like of shape (n_rows,), or pair of arrays of shape (n,) and (m,), default=None
            Weights, of which only the proportions within a collection count. One array is for the rows of Domains, or
            for both collections if they are equal in number.
        anchors : pair of int arrays of shape (n_pairs,), default=None
            Positions in the source and in the target of rows that are known to belong together.

        Returns
        -------
        self
        """
        self._validate_params()
        for attribute in ("_geometry", "_source", "_target", "potentials_", "wasserstein_distance_"):
            self.__dict__.pop(attribute, None)  # not every door has them
        if self.metric == "precomputed":
            return self._fit_costs(X, y, sample_weight, anchors)
        given = self._open(X, y)
        if given.door == "bags":
            return self._fit_bags(given, sample_weight, anchors)
        source, target = (self._check_side(i, rows, reset=True) for i, rows in enumerate(given[2:]))
        if self.method != "gromov" and not callable(self.metric):
            self._check_columns()
        if is_tensor(source) != is_tensor(target):
            raise TypeError("One collection is a tensor and the other is not: bring both into one library.")
        dtype = namespace(source, target).result_type(source.dtype, target.dtype)
        source, target = astype(source, dtype), astype(target, dtype)
        given = given._replace(source=source, target=target)
        weights = weights_of(given, X, sample_weight)
        anchors = anchors_of(given, X, y, anchors, self.pairs_from_y)
        self._source, self._target, self._n_features_out = source, target, target.shape[1]
        device = resolve_device(self.device, 100.0 * len(source) * len(target))
        tables = [to_device(table, device) for table in (source, target)]
        across, to_anchors = costs_across(*tables, anchors, weights, self)
        if self.method in ("gromov", "fused"):
            return self._keep(*solve_gromov(*tables, across, to_anchors, *weights, self), weights, source)
        return self._keep(across, solve(across.cost(), *weights, self), weights, source)

    def _keep(self, geometry, found, weights, kind):
        report(found, self.tol)
        everything = geometry, found.plan, found.f, found.g
        self._geometry, self.plan_, *potentials = moved(everything, lambda array: like(array, kind))
        self.potentials_, (self._a, self._b) = tuple(potentials), weights
        self.cost_, self.wasserstein_distance_, self.epsilon_ = found.cost, found.distance, found.epsilon
        self.n_iter_, self.converged_, self.marginal_error_ = found.n_iter, found.converged, found.marginal_error
        return self

    def _carry(self, rows):
        if self.epsilon_ == 0:
            target = to_numpy(self._target)
            means = carry_by_neighbor(rows, self._source, self.plan_, lambda plan: barycenters(plan, target))
        else:
            means = self._of_new(self._geometry.from_source, rows, carry, self.potentials_[1], self._b, self._target)
        return astype(like(means, rows), rows.dtype)

    def _of_new(self, costs_of, rows, function, potential, weights, *values):
        """A `function` of the costs of rows that may be many more than those of ``fit``, a part of them at a time."""
        rows, step = like(rows, self._source), max(1, _COSTS_AT_ONCE // max(self._source.shape[0], len(weights)))
        parts = (costs_of(rows[start : start + step, :]) for start in range(0, rows.shape[0], step))
        return namespace(rows).concat([function(part, potential, weights, self.epsilon_, *values) for part in parts])

    def predict(self, X: Rows) -> Array:
        """The best match of every row of the source: the row of the target of ``fit`` that gets most of it.

        Parameters
        ----------
        X : Domains, Views, array-like of shape (n, d), or matrix of shape (n, m)
            Rows of the source, new or not, alone or beside the target; costs where they are precomputed.

        Returns
        -------
        int ndarray of shape (n,), or list of them for bags
        """
        check_is_fitted(self, "plan_")
        if self._door == "bags":
            return self._predict_bags(X)
        if isinstance(X, (Domains, Views)):
            self._check_names(X)
            X = X[next(iter(self._sides))]
        elif self._door != "costs":
            self._need_two_arrays("predict")
        rows = self._check_side(0, X)
        if self.epsilon_ == 0:
            found = carry_by_neighbor(rows, self._source, self.plan_, largest_entries)
        else:
            found = self._of_new(self._geometry.from_source, rows, best_matches, self.potentials_[1], self._b)
        return like(found, rows)

    def inverse_transform(self, Y: Rows) -> Array:
        """Carry rows of the target back to the source.

        Parameters
        ----------
        Y : array-like of shape (m, d_target)
            Rows of the target, new or not.

        Returns
        -------
        array of shape (m, d)
        """
        check_is_fitted(self, "plan_")
        if self._door in ("bags", "costs"):
            raise ValueError("inverse_transform needs a fit on two collections of points.")
        rows = self._check_side(1, Y)
        if self.epsilon_ == 0:
            source = to_numpy(self._source)
            back = carry_by_neighbor(rows, self._target, self.plan_.T, lambda plan: barycenters(plan, source))
        else:
            back = self._of_new(self._geometry.from_target, rows, carry, self.potentials_[0], self._a, self._source)
        return astype(like(back, rows), rows.dtype)
