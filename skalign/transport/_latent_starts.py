"""Where the search for a latent pairing begins: maps from what two collections have in common as clouds."""

from __future__ import annotations

import heapq

import numpy as np
from scipy.stats import ortho_group
from sklearn.metrics import pairwise_distances

from .._backend import svd
from ._assignment import solve_assignment
from ._gromov import gromov_wasserstein
from ._latent_maps import AffineMap, nearest_rotation

_N_QUANTILES = 100
_GROMOV_EPSILON = 5e-3  # where distances are 1 in the mean
_GROMOV_TOL = 1e-3  # the map only has to be near enough to go on from
_GROMOV_STEPS = 100


def pca_starts(X, Y, n_starts):
    """Rotations that carry the principal axes of the one cloud to those of the other.

    Axes are paired, with a sign, so that the Wasserstein distances between the distributions along them are least in
    sum. Further starts turn over the axes whose sign matters least to that sum, in order of what they add to it.

    Parameters
    ----------
    X, Y : ndarray of shape (n, d) and (m, d)
        Centred clouds.
    n_starts : int
        How many; fewer where there are no more signs.

    Returns
    -------
    list of ndarray of shape (d, d)
    """
    axes_x, axes_y = (_principal_axes(side) for side in (X, Y))
    levels = (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES
    A, B = (np.quantile(side @ axes, levels, axis=0) for side, axes in ((X, axes_x), (Y, axes_y)))
    sizes = (A * A).sum(axis=0)[:, None] + (B * B).sum(axis=0)
    straight, turned = sizes - 2.0 * A.T @ B, sizes + 2.0 * A.T @ B[::-1]
    first, second = solve_assignment(np.minimum(straight, turned), maximize=False)
    gains = (turned - straight)[first, second]
    signs = np.where(gains >= 0, 1.0, -1.0)
    turning = [axis for axis in np.argsort(np.abs(gains), kind="stable") if np.abs(A[:, first[axis]]).max() > 0]
    starts = []
    for axes in _cheapest_subsets(np.abs(gains)[turning], n_starts):
        chosen = signs.copy()
        chosen[[turning[i] for i in axes]] *= -1.0
        starts.append((axes_x[:, first] * chosen) @ axes_y[:, second].T)
    return starts


def _principal_axes(X):
    """All principal axes of a centred cloud as columns, those without variance too."""
    return np.linalg.svd(X, full_matrices=True)[2].T if len(X) < X.shape[1] else svd(X)[2].T


def _cheapest_subsets(costs, n_subsets):
    """Subsets of positions in the ascending `costs`, cheapest sums first, beginning with the empty one."""
    found, heap = [()][:n_subsets], [(costs[0], (0,))] if len(costs) else []
    while heap and len(found) < n_subsets:
        total, subset = heapq.heappop(heap)
        found.append(subset)
        last = subset[-1]
        if last + 1 < len(costs):
            heapq.heappush(heap, (total + costs[last + 1], (*subset, last + 1)))
            heapq.heappush(heap, (total - costs[last] + costs[last + 1], (*subset[:-1], last + 1)))
    return found


def random_starts(d, n_starts, rng):
    """Rotations and reflections drawn uniformly."""
    if d == 1:
        return [np.array([[sign]]) for sign in (1.0, -1.0)[:n_starts]]
    return list(ortho_group.rvs(d, size=n_starts, random_state=rng).reshape(n_starts, d, d))


def anchor_starts(X, Y, anchors, n_starts):
    """Rotations that carry known pairs on to each other, and where these leave a direction open are as `pca_starts`."""
    known = X[anchors[0]].T @ Y[anchors[1]]
    size = np.linalg.norm(known)
    if not size > 0:
        return pca_starts(X, Y, n_starts)
    return [nearest_rotation(known / size + 1e-3 * start)[0] for start in pca_starts(X, Y, n_starts)]


def gromov_start(X, Y, n_starts, rng):
    """The rotation of the plan that keeps the distances within both clouds best, the best plan of several starts."""
    D_x, D_y = (pairwise_distances(side) for side in (X, Y))
    found = gromov_wasserstein(
        D_x / D_x.mean(),
        D_y / D_y.mean(),
        epsilon=_GROMOV_EPSILON,
        n_init=n_starts,
        random_state=rng,
        tol=_GROMOV_TOL,
        max_iter=_GROMOV_STEPS,
    )
    return nearest_rotation(X.T @ (found.plan @ Y))[0]


def as_start(rotation, X, Y, scaling):
    """A rotation of centred clouds as the map to begin with, scaled to their sizes if the map may scale."""
    size_x, size_y = (float(np.sqrt((side * side).sum() / len(side))) for side in (X, Y))
    coef = rotation * (size_y / size_x) if scaling else rotation
    return AffineMap(coef, np.zeros(coef.shape[1]))
