"""Search for a latent pairing from several starts."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from ._latent_alternation import Alignment, alternate_assignment, alternate_sinkhorn
from ._latent_ambiguity import choose, symmetry_starts
from ._latent_maps import AffineMap, fit_linear, fit_orthogonal
from ._latent_starts import anchor_starts, as_start, gromov_start, pca_starts, random_starts

MAPS = ("orthogonal", "linear", "net")
PLANS = ("assignment", "sinkhorn")
INITS = ("auto", "pca", "random", "gromov", "anchors")
_SYMMETRIES = 8  # symmetries of the best alignment that are followed up
_ROUNDS = 3  # if one of them leads to a better one, its symmetries are, so many times
_BETTER = 0.05  # part by which an objective has to be lower for that
_NET_TOL = 1e-3  # a net never stops to improve


class Search(NamedTuple):
    """What a search found: the best alignment, the objectives of all, and how many pairings are as good as the best."""

    best: Alignment
    objectives: np.ndarray
    n_solutions: int
    objective_identity: float | None


def search(
    X, Y, *, map, plan, init, n_init, scaling, shrinkage, regularization, max_iter, tol, net, rng, anchors=None,
    truth=None, device=None,
):  # fmt: skip
    """Alternate pairings and maps of centred collections from several starts.

    Parameters
    ----------
    X, Y : ndarray of shape (n, p) and (m, q)
        Centred collections.
    map, plan, init, n_init, scaling, shrinkage, regularization, max_iter, tol
        As of `LatentPairingAligner`; ``init`` may be an array of shape (p, q).
    net : dict
        Options of the net.
    rng : RandomState
        For random starts, and turns of symmetric clouds.
    anchors : pair of int arrays, default=None
        Known pairs.
    truth : pair of int arrays, default=None
        The true pairs, for a report of their objective.
    device : str or None, default=None
        Where entropic plans and nets are computed; None is numpy, and the CPU.

    Returns
    -------
    Search
    """
    p, q = X.shape[1], Y.shape[1]
    widest = max(p, q)
    wide_X, wide_Y = (np.pad(side, ((0, 0), (0, widest - side.shape[1]))) for side in (X, Y))
    if map == "orthogonal":
        X, Y = wide_X, wide_Y
        fit_map = partial(fit_orthogonal, scaling=scaling)
    else:
        fit_map = partial(fit_linear, penalty=shrinkage * float(X.var(axis=0).mean()))
    options = dict(anchors=anchors, max_iter=max_iter, tol=tol)
    if plan == "assignment":
        go_on = go = partial(alternate_assignment, **options)
    else:
        go = partial(alternate_sinkhorn, regularization=regularization, device=device, **options)
        go_on = partial(go, anneal=False)
    rotations = _rotations(wide_X, wide_Y, init, n_init, anchors, rng)
    starts = [
        AffineMap(start.coef[: X.shape[1], : Y.shape[1]], np.zeros(Y.shape[1]))
        for start in (as_start(rotation, wide_X, wide_Y, scaling or map != "orthogonal") for rotation in rotations)
    ]
    alignments = [go(X, Y, start, fit_map) for start in starts]
    best, _ = choose(alignments, X, Y, anchors)
    for _ in range(_ROUNDS):
        before, turned = best, symmetry_starts(alignments[best].map, X, Y, rng, _SYMMETRIES)
        alignments += [go_on(X, Y, start, fit_map) for start in turned]
        best, rivals = choose(alignments, X, Y, anchors)
        if alignments[best].objective >= (1.0 - _BETTER) * alignments[before].objective:
            break
    found = alignments[best]
    if map == "net":
        from ._latent_net import NetFit

        linear, net = found.map, dict(net, seed=rng.randint(2**31 - 1), device=device or "cpu")
        found = go_on(X, Y, linear, NetFit(X, Y, linear, **net), tol=max(tol, _NET_TOL))
        fit_map = NetFit(X, Y, linear, **net)
    objectives = np.array([alignment.objective for alignment in alignments])
    identity = None if truth is None else _objective_of(X[truth[0]], Y[truth[1]], fit_map, len(found.objectives))
    if map == "orthogonal":
        found = found._replace(map=AffineMap(found.map.coef[:p, :q], found.map.intercept[:q]))
    return Search(found, objectives, 1 + len(rivals), identity)


def _rotations(X, Y, init, n_init, anchors, rng):
    if not isinstance(init, str):
        (rows, columns), (p, q) = init.shape, (X.shape[1], Y.shape[1])
        return [np.pad(init, ((0, p - rows), (0, q - columns))), *pca_starts(X, Y, n_init - 1)]
    if init == "auto":
        init = "pca" if anchors is None else "anchors"
    if init == "pca":
        return pca_starts(X, Y, n_init)
    if init == "random":
        return random_starts(X.shape[1], n_init, rng)
    if init == "anchors":
        return anchor_starts(X, Y, anchors, n_init)
    return [gromov_start(X, Y, n_init, rng), *pca_starts(X, Y, n_init - 1)]


def _objective_of(X, Y, fit_map, n_iter):
    """The objective of pairs of rows with the best map for them; a net is trained as often as it was in the search."""
    found = None
    for _ in range(n_iter):
        found = fit_map(X, Y, None, found)
    return float(((found(X) - Y) ** 2).sum(axis=1).mean()) + found.penalty
