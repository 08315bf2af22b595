"""Kernel CCA on approximate features, in memory or on Dask arrays, and the regression of the views on its variates."""

from __future__ import annotations

import warnings
from functools import partial, reduce

import numpy as np
import scipy.sparse as sp

from .._backend import astype, like, namespace, to_numpy
from .._lazy import reduce_row_blocks
from ._canonical import check_rank, variate_correlations
from ._kernel_maps import KernelRows, in_blocks
from ._linear_solvers import cross_blocks, sign_of_columns, top_components, whiten
from ._moments import Moments, center, center_tables, column_squares
from ._out_of_core import any_lazy, correlation_pairs, correlations_of_moments, moments_of_row_blocks
from ._variates import Variates

DEFAULT_COMPONENTS = 10


def solve_features(tables, maps, shrinkages, n_components, n_landmarks):
    """Linear CCA of the features of every view, with the penalty of kernel CCA.

    Parameters
    ----------
    tables : dict of str to array or dask.array.Array of shape (n, p_i)
        The views.
    maps : dict of str to callable
        Their feature maps.
    shrinkages : list of float
        c of every view.
    n_components : int or None
        Components to find; None finds at most `DEFAULT_COMPONENTS`.
    n_landmarks : int
        Inner width of the maps.

    Returns
    -------
    weights : list of arrays of shape (k_i, n_components)
        Of the features.
    offsets : list of arrays of shape (n_components,)
        Their products with the means of the features.
    variates : list of arrays or dask.array.Array of shape (n, n_components)
        Centred.
    """
    n, lazy = next(iter(tables.values())).shape[0], any_lazy(tables)
    if lazy:
        centered = None
        moments = moments_of_row_blocks(tables, expand=partial(_features, list(maps.values()), n_landmarks))
        means = moments.means
    else:
        centered, means = zip(*(center(in_blocks(maps[name], X, n_landmarks)) for name, X in tables.items()))
        narrow = all(F.shape[1] < n for F in centered)
        moments = Moments.of(centered, means, float(n), n) if narrow else None
    whitenings = []
    for i, (name, c) in enumerate(zip(tables, shrinkages)):
        F = None if lazy else centered[i]
        C = None if moments is None else moments.covariance(i, i)
        trace = moments.trace(i) if lazy else float(namespace(F).sum(column_squares(F))) / n
        if not trace > 0:
            raise ValueError(f"View {name!r} is constant: nothing can be aligned with it.")
        whitenings.append(whiten(F, C, float(n), c, trace, "auto", 0, None))
    ranks = {name: min(w.rank, n - 1) for name, w in zip(tables, whitenings)}
    k = check_rank(n_components, ranks)
    k = min(k, DEFAULT_COMPONENTS) if n_components is None else k
    warn_if_void(shrinkages, ranks, n)
    blocks = cross_blocks(whitenings, centered, moments, float(n))
    coefficients, _ = top_components(blocks, [w.rank for w in whitenings], k)
    weights = Variates(whitenings, coefficients, centered, moments, float(n)).weights
    offsets = [mean @ W for mean, W in zip(means, weights)]
    if not lazy:
        return weights, offsets, [F @ W for F, W in zip(centered, weights)]
    variates = [
        in_blocks(partial(_variates, maps[name], W, offset), X, n_landmarks)
        for (name, X), W, offset in zip(tables.items(), weights, offsets)
    ]
    return weights, offsets, variates


def _features(maps, n_landmarks, blocks):
    return [in_blocks(features, X, n_landmarks) for features, X in zip(maps, blocks)]


def _variates(features, weights, offset, X):
    return features(X) @ weights - offset


def describe_variates(tables, variates, maps):
    """What a fit says of its variates.

    Parameters
    ----------
    tables : dict of str to array or dask.array.Array of shape (n, p_i)
        The views.
    variates : list of arrays or dask.array.Array of shape (n, k)
        Their variates.
    maps : dict of str to callable
        Their feature maps.

    Returns
    -------
    signs : ndarray of shape (k,)
        What makes the largest variate of the first view positive in every component.
    correlations : ndarray of shape (k,)
        Averaged over pairs of views.
    means, decoders : list
        Mean of every view, and its regression on its variates times the signs, of shape (k, p_i); None where a view is
        known by its kernel alone.
    """
    if any_lazy(tables):
        return _describe_row_blocks(tables, variates)
    signs = sign_of_columns(variates[0])
    variates = [Z * like(signs, Z) for Z in variates]
    means, decoders = [], []
    for (name, X), Z in zip(tables.items(), variates):
        mean, decoder = None, None
        if not isinstance(maps[name], KernelRows) or maps[name].kernel != "precomputed":
            mean, decoder = _decoder(X, Z)
        means.append(mean)
        decoders.append(decoder)
    return signs, variate_correlations(variates), means, decoders


def _decoder(X, variates):
    """Means of the columns of a view, and their regression on its variates."""
    # In float64 before the mean, which float32 would blur.
    if sp.issparse(X):
        X, variates = X.astype(np.float64), to_numpy(variates)
    else:
        X = astype(X, namespace(X).float64)
    mean = np.ravel(to_numpy(X.mean(0)))
    total = to_numpy(X.T @ variates).T - to_numpy(variates.sum(0))[:, None] * mean
    return mean, np.linalg.lstsq(to_numpy(variates.T @ variates), total, rcond=None)[0]


def _describe_row_blocks(tables, variates):
    m = len(variates)
    pairs = correlation_pairs(m) + [(i, m + i) for i in range(m)]
    extremes, moments = reduce_row_blocks(partial(_description, pairs), _joined, [*variates, *tables.values()])
    signs = sign_of_columns(extremes)
    decoders = [
        np.linalg.lstsq(moments.blocks[i, i], moments.blocks[i, m + i], rcond=None)[0] * signs[:, None]
        for i in range(m)
    ]
    return signs, correlations_of_moments(moments, m), moments.means[m:], decoders


def _description(pairs, blocks, _):
    """The largest and least variates of the first view, and moments."""
    centered, origins, shifts, weight, n_rows = center_tables(blocks)
    moments = Moments.of(centered, origins, weight, n_rows, shifts, pairs)
    return np.stack([blocks[0].max(axis=0), blocks[0].min(axis=0)]), moments


def _joined(descriptions):
    extremes, moments = zip(*descriptions)
    return np.concatenate(extremes), reduce(Moments.merged, moments)


def warn_if_void(shrinkages, ranks, n):
    """Warn where a kernel of full rank is not shrunk."""
    if any(c == 0 and rank >= n - 1 for c, rank in zip(shrinkages, ranks.values())):
        warnings.warn(
            f"Without shrinkage a kernel of rank {max(ranks.values())} correlates perfectly with anything on {n} "
            "samples: the correlations mean nothing. Set shrinkage > 0.",
            UserWarning,
            stacklevel=4,
        )
