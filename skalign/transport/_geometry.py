"""What the rows of two collections have to do with each other: where costs come from, for fitted rows and for new."""

from __future__ import annotations

import copy

import numpy as np

from .._backend import astype, is_tensor, like, namespace
from ._costs import MatrixCost, MixedCost, PointCost, mean_cost
from ._geodesic import geodesic_distances, geodesic_to
from ._gromov import linearized_cost
from ._plan import EntropicPlan
from ._solve import check_scale

_GRAPHS = {"geodesic": "distance", "hops": "connectivity"}  # structure metric -> length of an edge


def moved(thing, move):
    """A copy of a geometry, a plan or a tuple of them whose arrays went through `move`: to another device, say."""
    if isinstance(thing, np.ndarray) or is_tensor(thing):
        return move(thing)
    if isinstance(thing, (list, tuple)):
        return type(thing)(moved(part, move) for part in thing)
    if isinstance(thing, (Geometry, Within, MatrixCost, PointCost, MixedCost, EntropicPlan)):
        new = copy.copy(thing)
        vars(new).update({name: moved(part, move) for name, part in vars(thing).items()})
        return new
    return thing


class Geometry:
    """Costs across, in the form of `_costs`.

    A subclass has ``cost()``, from the fitted source to the fitted target, unless it is met after the fit alone;
    ``from_source(rows)``, from rows of the source, new or not, to the fitted target; and ``from_target(rows)``, from
    rows of the target to the fitted source, where new rows of that side can be.
    """


class Given(Geometry):
    """Costs that are a matrix; new rows are rows of such a matrix."""

    def __init__(self, matrix):
        self.matrix = matrix

    def cost(self):
        return MatrixCost(self.matrix)

    def from_source(self, rows):
        return MatrixCost(rows)


class Across(Geometry):
    """Costs by a metric that compares rows of one collection with rows of the other."""

    def __init__(self, X, Y, metric):
        if X.shape[1] != Y.shape[1] and not callable(metric):
            raise ValueError(
                f"The source has {X.shape[1]} features and the target {Y.shape[1]}, which metric={metric!r} cannot "
                "compare. Bring them into one space first (CCA, say), give anchors, or take method='gromov'."
            )
        self.X, self.Y, self.metric = X, Y, metric

    def cost(self):
        return self.from_source(self.X)

    def from_source(self, rows):
        return PointCost(rows, self.Y, self.metric)

    def from_target(self, rows):
        metric = self.metric
        return PointCost(rows, self.X, (lambda rows, X: metric(X, rows).T) if callable(metric) else metric)


class Within:
    """Distances within one collection, divided by their mean, and from new rows to it.

    Parameters
    ----------
    rows : array of shape (n, d)
        The collection; the distances themselves if they are precomputed.
    weights : array of shape (n,)
        Weights of the rows, of sum 1, by which the mean is taken.
    metric : str or callable
        What `PointCost` takes, "geodesic", "hops" or "precomputed".
    n_neighbors : int, default=None
        Of the graph of "geodesic" and "hops"; None is a tenth of the rows, at least 5.
    to : int array of shape (k,), default=None
        The rows that distances are wanted to. None are all.
    """

    def __init__(self, rows, weights, metric, n_neighbors=None, to=None):
        n = rows.shape[0]
        if metric == "precomputed" and rows.shape[1] != n:
            raise ValueError(f"Precomputed distances within a collection are a square matrix, not {tuple(rows.shape)}.")
        self.rows, self.metric = rows, metric
        self.n_neighbors = max(5, n // 10) if n_neighbors is None else n_neighbors
        self.geodesics = None
        if metric in _GRAPHS and n > 1:
            self.geodesics = geodesic_distances(rows, self.n_neighbors, mode=_GRAPHS[metric])
        self.to = to
        self.scale = 1.0
        self.distances = self._distances(rows)
        weights = astype(like(weights, rows), self.distances.dtype)
        ends = weights if to is None else namespace(rows).ones_like(self.distances[0, :]) / len(to)
        self.scale_by(float(weights @ self.distances @ ends) or 1.0)

    def scale_by(self, scale):
        """Divide all distances by `scale`, those to come too."""
        self.scale *= scale
        self.distances = self.distances / scale

    def of(self, rows):
        """Distances of new rows, in the dtype of the others."""
        return astype(self._distances(rows) / self.scale, self.distances.dtype)

    def _distances(self, rows):
        if self.metric == "precomputed":
            return rows if self.to is None else rows[:, self.to]
        if self.geodesics is not None:
            new = rows is not self.rows
            found = self._along_the_graph(rows) if new else self.geodesics
            return found if self.to is None else found[:, self.to]
        ends = self.rows if self.to is None else self.rows[self.to, :]
        return PointCost(rows, ends, "euclidean" if self.metric in _GRAPHS else self.metric).rows(slice(None))

    def _along_the_graph(self, rows):
        return geodesic_to(rows, self.rows, self.geodesics, self.n_neighbors, mode=_GRAPHS[self.metric])


class ToAnchors(Geometry):
    r"""Costs by how far rows are from known pairs, each from those of its own collection.

    .. math:: c_{ij} = \frac{1}{K} \sum_k \left(
        \frac{d(x_i, x_k)}{\bar d_x} - \frac{d(y_j, y_k)}{\bar d_y} \right)^2
    """

    def __init__(self, X, Y, anchors, weights, metric, n_neighbors):
        self.source, self.target = (
            Within(rows, mass, metric, n_neighbors, side) for rows, mass, side in zip((X, Y), weights, anchors)
        )

    def cost(self):
        return self._between(self.source.distances, self.target.distances)

    def from_source(self, rows):
        return self._between(self.source.of(rows), self.target.distances)

    def from_target(self, rows):
        return self._between(self.target.of(rows), self.source.distances)

    @staticmethod
    def _between(A, B):
        root = A.shape[1] ** 0.5
        return PointCost(A / root, B / root, "sqeuclidean")


class Mixed(Geometry):
    """A weighted sum of others."""

    def __init__(self, parts):
        self.parts = parts

    def cost(self):
        return MixedCost([(weight, part.cost()) for weight, part in self.parts])

    def from_source(self, rows):
        return MixedCost([(weight, part.from_source(rows)) for weight, part in self.parts])

    def from_target(self, rows):
        return MixedCost([(weight, part.from_target(rows)) for weight, part in self.parts])


class AtPlan(Geometry):
    """Costs of Gromov-Wasserstein, linearised at a plan."""

    def __init__(self, source, target, plan, alpha, linear=None):
        self.source, self.target, self.plan, self.alpha, self.linear = source, target, plan, alpha, linear

    def from_source(self, rows):
        linear = None if self.linear is None else self.linear.from_source(rows).rows(slice(None))
        new = self.source.of(rows)
        return MatrixCost(linearized_cost(new, self.target.distances, self.plan, cost=linear, alpha=self.alpha))

    def from_target(self, rows):
        linear = None if self.linear is None else self.linear.from_target(rows).rows(slice(None))
        new = self.target.of(rows)
        return MatrixCost(linearized_cost(new, self.source.distances, self.plan.T, cost=linear, alpha=self.alpha))


def costs_across(source, target, anchors, weights, options):
    """Where costs across come from.

    Parameters
    ----------
    source, target : array of shape (n, d) and (m, d')
        Both collections, or the distances within them if they are precomputed.
    anchors : pair of int arrays, or None
        Rows that are known to be pairs.
    weights : pair of arrays
        Of both collections, each of sum 1.
    options : OTAligner
        ``method``, ``metric``, ``structure_metric``, ``n_neighbors`` and ``anchor_weight``.

    Returns
    -------
    Geometry or None
        None for "gromov".
    ToAnchors or None
        The part of it that anchors have.
    """
    to_anchors = None
    if anchors is not None:
        to_anchors = ToAnchors(source, target, anchors, weights, options.structure_metric, options.n_neighbors)
    if options.method == "gromov":
        return None, to_anchors
    structure_given = options.structure_metric == "precomputed"
    one_space = callable(options.metric) or source.shape[1] == target.shape[1]
    if to_anchors is not None and (options.anchor_weight == 1 or not one_space or structure_given):
        return to_anchors, to_anchors
    if structure_given:
        raise ValueError("Precomputed distances within the collections say nothing of costs across: give anchors.")
    across = Across(source, target, options.metric)
    if to_anchors is None:
        return across, None
    parts = (1.0 - options.anchor_weight, across), (options.anchor_weight, to_anchors)
    return Mixed([(w / check_scale(mean_cost(part.cost(), *weights)), part) for w, part in parts]), to_anchors
