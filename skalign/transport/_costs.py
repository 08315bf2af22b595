"""Costs of carrying rows of one table to rows of another, read in blocks of rows."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin

from .._backend import astype, is_numpy, is_tensor, like, namespace
from ..metrics.similarity import _squared_distances, unit_rows

_BLOCK_ENTRIES = 2**17  # entries of a block of costs: about what the second level cache holds
_BLOCK_ENTRIES_ON_DEVICE = 2**26
_MOST_ROUNDING = 1e-3  # of the costs between tables, as a part of how they vary
_IN_NAMESPACE = ("sqeuclidean", "euclidean", "cosine")


class _OfReference:
    @property
    def dtype(self):
        return self.reference.dtype  # asked for: costs are carried from one library to another


class MatrixCost(_OfReference):
    """Costs that are a matrix already.

    Parameters
    ----------
    matrix : array of shape (n, m)
        The costs.
    """

    def __init__(self, matrix):
        self.matrix = matrix
        self.shape = tuple(matrix.shape)
        self.reference = matrix

    def rows(self, rows):
        """Costs of a slice of rows."""
        return self.matrix[rows, :]


class PointCost(_OfReference):
    """Costs between the rows of two tables, computed when they are asked for.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows that are carried.
    Y : array of shape (m, d)
        Rows that they are carried to.
    metric : str or callable, default="sqeuclidean"
        What `sklearn.metrics.pairwise_distances` knows, or a function of two tables that gives the matrix of costs. Of
        tensors the three most common are computed where they are: "sqeuclidean", "euclidean" and "cosine".
    """

    def __init__(self, X, Y, metric="sqeuclidean"):
        xp = namespace(X, Y)
        X, Y = (astype(table, xp.result_type(X.dtype, Y.dtype)) for table in (X, Y))
        self.metric = metric
        self.shape = (X.shape[0], Y.shape[0])
        self.reference = X
        self.points = X, Y
        self._X, self._Y = X, Y
        if metric == "cosine":
            self._X, self._Y = (unit_rows(table) for table in (X, Y))
        elif metric in _IN_NAMESPACE:
            center = xp.mean(Y, axis=0)  # far from the origin, products of large numbers would cancel
            self._X, self._Y = X - center, Y - center
            self._x2, self._y2 = (xp.sum(table * table, axis=1) for table in (self._X, self._Y))
            self._check_squares()
        elif isinstance(metric, str) and not is_numpy(X):
            raise ValueError(f"metric={metric!r} is not available for tensors: take one of {list(_IN_NAMESPACE)}.")

    def _check_squares(self):
        """Raise where squares vanish though points do not: all costs would be 0, and every plan as good.

        Warn where both tables lie so far from each other that rounding hides which rows are near.
        """
        xp = namespace(self._Y)
        some, limits = xp.concat([self._x2, self._y2]), xp.finfo(self.dtype)
        if float(xp.max(some)) > 1e3 * limits.smallest_normal:
            gap = float(xp.sum(xp.mean(self._X, axis=0) ** 2))
            spread = float(xp.mean(self._x2)) - gap + float(xp.mean(self._y2))
            if limits.eps * gap > _MOST_ROUNDING * spread and max(self.shape) > 1:
                warnings.warn(
                    f"The collections lie so far apart, beside their spread, that rounding in {limits.dtype} hides "
                    "which rows are near. Subtract the mean of each, if it means nothing.",
                    UserWarning,
                    stacklevel=4,
                )
            return
        if bool(xp.any(self._X != 0)) or bool(xp.any(self._Y != 0)):
            raise ValueError(
                f"The data are too small for squares of them in {limits.dtype}: bring them to another unit, or to "
                "float64."
            )

    def rows(self, rows):
        """Costs of a slice of rows."""
        X, Y, xp = self._X[rows, :], self._Y, namespace(self._Y)
        if self.metric == "cosine":
            return xp.clip(1.0 - X @ Y.T, 0.0, 2.0)
        if self.metric in _IN_NAMESPACE:
            squares = X @ Y.T
            squares *= -2.0
            squares += self._x2[rows][:, None]
            squares += self._y2[None, :]
            squares = xp.clip(squares, 0.0, None)
            return squares if self.metric == "sqeuclidean" else xp.sqrt(squares)
        if callable(self.metric):
            costs = xp.asarray(self.metric(X, Y), dtype=self.dtype)
            if tuple(costs.shape) != (X.shape[0], Y.shape[0]):
                raise ValueError(
                    f"The metric must give a matrix of shape {(X.shape[0], Y.shape[0])}, not {tuple(costs.shape)}."
                )
            return costs
        return xp.asarray(pairwise_distances(X, Y, metric=self.metric), dtype=self.dtype)


class MixedCost(_OfReference):
    """A weighted sum of costs.

    Parameters
    ----------
    parts : list of (weight, cost)
        Costs of one shape.
    """

    def __init__(self, parts):
        self.parts = parts
        self.shape, self.reference = parts[0][1].shape, parts[0][1].reference

    def rows(self, rows):
        """Costs of a slice of rows."""
        return sum(weight * cost.rows(rows) for weight, cost in self.parts)


def row_blocks(cost):
    """Slices of rows, each of which has few enough costs to be quick at hand."""
    n, m = cost.shape
    entries = _BLOCK_ENTRIES if is_numpy(cost.reference) else _BLOCK_ENTRIES_ON_DEVICE
    step = max(1, entries // max(m, 1))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def mean_cost(cost, a, b):
    """The cost of the plan that carries every row to all others alike: ``sum_ij a_i b_j c_ij``."""
    a, b = like_cost(a, cost), like_cost(b, cost)
    right = astype(b, cost.dtype)
    return sum(float(a[rows] @ astype(cost.rows(rows) @ right, a.dtype)) for rows in row_blocks(cost))


def as_cost(cost):
    """`cost`, an array or one of the above, as one of the above."""
    if isinstance(cost, (MatrixCost, PointCost, MixedCost)):
        return cost
    return MatrixCost(cost if is_tensor(cost) else np.asarray(cost, dtype=np.result_type(cost, np.float32)))


def like_cost(vector, cost):
    """A vector in float64, in the library and on the device of the costs."""
    vector = like(vector, cost.reference)
    return astype(vector, namespace(vector).float64)


def euclidean_costs(X, Y):
    """Euclidean distances of two numpy tables in float64, right however far from the origin both lie."""
    costs = _squared_distances(X, Y)
    return np.sqrt(costs, out=costs)


def nearest_rows(X, Y):
    """Position of the row of `Y` nearest to each row of `X`, by Euclidean distance."""
    center = Y.mean(axis=0)  # far from the origin, products of large numbers would cancel
    return pairwise_distances_argmin(X - center, Y - center)
