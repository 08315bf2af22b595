"""Distances along the graph of nearest neighbours, within a collection and from new rows to it."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, shortest_path
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from .._backend import like, to_numpy
from .._typing import ArrayLike, Metric

_SHIFT_INVARIANT = ("euclidean", "l2", "sqeuclidean", "minkowski")  # those that scikit-learn takes from products


def geodesic_distances(
    X: ArrayLike,
    n_neighbors: int = 10,
    *,
    metric: Metric = "euclidean",
    mode: Literal["distance", "connectivity"] = "distance",
) -> np.ndarray:
    r"""Lengths of shortest paths on the graph that joins every row to its nearest neighbours.

    Distances along the sheet on which data lie, rather than straight through the space: what Gromov-Wasserstein
    compares where two modalities bend the same sheet differently.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    n_neighbors : int, default=10
        Neighbours of a row, itself not counted; two rows are joined if either is a neighbour of the other. n - 1
        where there are fewer rows.
    metric : str or callable, default="euclidean"
        A distance that scikit-learn knows.
    mode : {"distance", "connectivity"}, default="distance"
        "distance": an edge is as long as its ends are apart. "connectivity": every edge has length 1, so that a path
        counts its edges.

    Returns
    -------
    ndarray of shape (n, n)
        Symmetric, with zeros on the diagonal, finite; float32 for float32 rows.

    Raises
    ------
    ValueError
        If `n_neighbors` is below 1 or `mode` is another.

    Warns
    -----
    UserWarning
        Where the graph falls into parts. They are then joined by the shortest links that make it whole, the minimum
        spanning tree of the parts.

    References
    ----------
    J. B. Tenenbaum, V. de Silva, J. C. Langford, "A global geometric framework for nonlinear dimensionality reduction",
    Science 290, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.transport import geodesic_distances
    >>> corner = np.array([[0.0, 2.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    >>> geodesic_distances(corner, n_neighbors=1)[0]
    array([0., 1., 2., 3., 4.])
    """
    _check_mode(mode)
    (table,) = _about_the_mean(metric, to_numpy(X))
    graph = _neighbors(table, n_neighbors, metric, others=len(table) - 1).kneighbors_graph(mode="distance").tocoo()
    links = graph.row, graph.col, graph.data
    n_parts, part = _parts(links, len(table))
    if n_parts > 1:
        warnings.warn(
            f"The graph of {n_neighbors} neighbours falls into {n_parts} parts, which are joined by their shortest "
            "links. With more neighbours the data themselves would say how the parts lie.",
            stacklevel=2,
        )
        links = _joined(table, links, n_parts, part, metric)
    rows, columns, lengths = links
    if mode == "connectivity":
        lengths = np.ones_like(lengths)
    # Zeros that are stored are links of length 0: rows that occur twice.
    graph = sp.csr_matrix((lengths, (rows, columns)), shape=(len(table), len(table)))
    return like(shortest_path(graph, directed=False).astype(_float(table), copy=False), X)


def geodesic_to(
    X_new: ArrayLike,
    X: ArrayLike,
    geodesics: np.ndarray,
    n_neighbors: int = 10,
    *,
    metric: Metric = "euclidean",
    mode: Literal["distance", "connectivity"] = "distance",
) -> np.ndarray:
    r"""Distances of new rows along the graph of a collection.

    .. math:: d(x, j) = \min_{k \in N(x)} \; |x - x_k| + D_{kj}

    A row of the collection itself gets its own distances back.

    Parameters
    ----------
    X_new : array of shape (n_new, d)
        New rows.
    X : array of shape (n, d)
        The collection.
    geodesics : array of shape (n, n)
        Its distances, by `geodesic_distances`, in the same units: not rescaled.
    n_neighbors : int, default=10
        Rows N(x) of the collection by which a new row enters the graph; all where there are fewer.
    metric, mode
        Those of `geodesic_distances`.

    Returns
    -------
    ndarray of shape (n_new, n)
        In the dtype of the geodesics.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.transport import geodesic_distances, geodesic_to
    >>> line = np.array([[0.0], [1.0], [2.0]])
    >>> geodesic_to([[1.25]], line, geodesic_distances(line, 2), n_neighbors=2)
    array([[1.25, 0.25, 0.75]])
    """
    _check_mode(mode)
    table, new = _about_the_mean(metric, to_numpy(X), to_numpy(X_new))
    D = to_numpy(geodesics)
    lengths, nearest = _neighbors(table, n_neighbors, metric, others=len(table)).kneighbors(new)
    if mode == "connectivity":
        same = 16.0 * np.sqrt(np.finfo(_float(table)).eps) * lengths.max()  # what rounding leaves between equal rows
        lengths = np.where(lengths > same, 1.0, 0.0)
    lengths = lengths.astype(D.dtype, copy=False)
    shortest = np.full((len(lengths), len(table)), np.inf, dtype=D.dtype)
    for k in range(lengths.shape[1]):
        np.minimum(shortest, lengths[:, k, None] + D[nearest[:, k]], out=shortest)
    return like(shortest, geodesics)


def _check_mode(mode):
    if mode not in ("distance", "connectivity"):
        raise ValueError(f"mode must be 'distance' or 'connectivity', got {mode!r}.")


def _about_the_mean(metric, table, *others):
    """Rows less the mean of the first table, where distances stay the same: products of large numbers would cancel."""
    if metric not in _SHIFT_INVARIANT:
        return table, *others
    mean = table.mean(axis=0)
    return tuple(rows - mean for rows in (table, *others))


def _float(table):
    return np.float32 if table.dtype == np.float32 else np.float64


def _neighbors(table, n_neighbors, metric, others):
    if n_neighbors < 1 or others < 1:
        raise ValueError(f"A graph needs a neighbour for every row: {n_neighbors} asked for, {others} rows to be them.")
    return NearestNeighbors(n_neighbors=min(n_neighbors, others), metric=metric).fit(table)


def _parts(links, n):
    rows, columns, _ = links
    return connected_components(sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, n)), directed=False)


def _joined(table, links, n_parts, part, metric):
    """The links and the shortest ones that make the graph whole, by Boruvka's rounds: every part to the nearest."""
    while n_parts > 1:
        new = {}
        for p in range(n_parts):
            inside, outside = np.flatnonzero(part == p), np.flatnonzero(part != p)
            between = pairwise_distances(table[inside], table[outside], metric=metric)
            i, j = np.unravel_index(np.argmin(between), between.shape)
            new[min(inside[i], outside[j]), max(inside[i], outside[j])] = between[i, j]
        rows, columns = np.array(list(new)).T
        links = tuple(np.concatenate(both) for both in zip(links, (rows, columns, np.array(list(new.values())))))
        n_parts, part = _parts(links, len(table))
    return links
