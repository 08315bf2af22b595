"""Is a latent pairing the only one? Search for symmetries, and compare what they lead to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.stats import f, ortho_group
from sklearn.metrics import pairwise_distances_argmin_min

from .._backend import eigh
from ._latent_maps import AffineMap

_FLAT = 1e-10  # variance, relative to the largest, of axes without any
_ALIKE = 0.7  # ratio of variances of neighbouring axes from which a cloud may turn one into the other
_ALL_SIGNS = 5  # up to so many axes every combination of signs is tried, above it one or two at a time
_RANDOM_TURNS = 6
_LOOKED_AT = 1000  # rows that look for their neighbours

_MANY_ERRORS = 3.0  # standard errors that tell two objectives apart,
_FEW_TIMES = 1.1  # what a local search may miss the best objective by: nearer ones are never told apart
_MANY_TIMES = 2.0  # and so does a factor like this, or more where there are few residuals
_LEVEL = 1e-3  # at which the factor counts: that of an F test
_ANCHOR_ERRORS = 9.0  # squared error of anchors, in units of the objective, that refutes a map
_SAME_PAIRS = 0.05  # part of the rows with other partners that does not make another pairing
_SAME_MAP = 0.05  # squared distance of two maps, in units of their objectives, that does not either
_ROUNDING = 1e-9  # relative to the variance


def symmetry_starts(found, X, Y, rng, n_starts):
    """Maps that follow `found` by a rotation or reflection after which the mapped cloud lies on the target like before.

    Candidates turn over principal axes, swap those of similar variance, and turn the space of such axes at random.

    Parameters
    ----------
    found : AffineMap
        The map of a pairing.
    X, Y : ndarray of shape (n, p) and (m, q)
        The collections.
    rng : RandomState
        For the random turns.
    n_starts : int
        How many of the candidates to return.

    Returns
    -------
    list of AffineMap
        Those after which the rows of the smaller collection have the nearest neighbours in the other, in the mean.
    """
    Z = found(X)
    center = Z.mean(axis=0)
    Z = Z - center
    variances, axes = eigh(Z.T @ Z / len(Z))
    rank = max(int((variances > _FLAT * variances[0]).sum()), 1)
    turns = [
        np.eye(len(center)) + axes[:, :rank] @ (turn - np.eye(rank)) @ axes[:, :rank].T
        for turn in _turns(variances[:rank], rng)
    ]
    target = Y - center
    apart = [_apart(Z @ turn, target) for turn in turns]
    best = np.argsort(apart, kind="stable")[:n_starts]
    return [_followed(found, turns[i], center) for i in best]


def _turns(variances, rng):
    """Orthogonal matrices in the coordinates of the principal axes, leading axes first."""
    rank = len(variances)
    if rank <= _ALL_SIGNS:
        flips = [[k for k in range(rank) if code >> k & 1] for code in range(1, 2**rank)]
    else:
        flips = [[k] for k in range(rank)] + [[k, k + 1] for k in range(rank - 1)] + [list(range(rank))]
    for flipped in flips:
        yield np.diag(np.where(np.isin(np.arange(rank), flipped), -1.0, 1.0))
    alike = variances[1:] > _ALIKE * variances[:-1]
    for k in np.flatnonzero(alike):
        for quarter in ([[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]], [[0.0, -1.0], [1.0, 0.0]]):
            turn = np.eye(rank)
            turn[k : k + 2, k : k + 2] = quarter
            yield turn
    edges = np.append(np.flatnonzero(np.append(True, ~alike)), rank)
    for start, end in pairwise(edges):
        for _ in range(_RANDOM_TURNS if end - start > 1 else 0):
            turn = np.eye(rank)
            turn[start:end, start:end] = ortho_group.rvs(int(end - start), random_state=rng)
            yield turn


def _apart(Z, Y):
    """Mean squared distance from rows of the smaller collection to the nearest of the larger; of equal ones both."""
    pairs = [pair for pair in ((Z, Y), (Y, Z)) if len(pair[0]) <= len(pair[1])]
    return sum(float((pairwise_distances_argmin_min(a[:_LOOKED_AT], b)[1] ** 2).mean()) for a, b in pairs)


def _followed(found, turn, center):
    return AffineMap(found.coef @ turn, (found.intercept - center) @ turn + center)


def choose(alignments, X, Y, anchors=None):
    """The best of several alignments, and which of them are as good as it with another pairing.

    Parameters
    ----------
    alignments : list of Alignment
        What several starts led to.
    X, Y : ndarray of shape (n, p) and (m, q)
        The collections.
    anchors : pair of int arrays, default=None
        Rows that are known to be pairs: they choose among alignments before the objective does.

    Returns
    -------
    best : int
        Position of the best.
    rivals : list of int
        Positions of the others, each with a pairing unlike those of `best` and of the rivals before.

    Notes
    -----
    An alignment is a rival where all of this holds: its objective is at most 1.1 times the best, or it is at most twice
    the best (with few residuals such a factor that an F test would let pass) and the costs of its rows are not larger
    by three standard errors of their paired differences; more than one row in twenty has another partner; its map
    differs from the other by more than the residuals explain; its anchors, if there are some, are not off by three
    times the root of the objective.
    """
    order = np.argsort([found.objective for found in alignments], kind="stable")
    rounding = _ROUNDING * float(Y.var(axis=0).sum())
    if anchors is not None:
        errors = [float(((found.map(X[anchors[0]]) - Y[anchors[1]]) ** 2).sum(axis=1).mean()) for found in alignments]
        least = int(np.argmin(errors))
        allowed = _ANCHOR_ERRORS * max(errors[least], alignments[least].objective) + rounding
        order = [i for i in order if errors[i] <= allowed]
    best, *others = (int(i) for i in order)
    rivals = []
    for i in others:
        if _as_good(alignments[i], alignments[best], Y.shape[1], rounding) and all(
            _differ(alignments[i], alignments[j], X, rounding) for j in (best, *rivals)
        ):
            rivals.append(i)
    return best, rivals


def _as_good(other, best, width, rounding):
    more = other.costs - best.costs
    more = more[np.isfinite(more)]
    freedom = max(len(more) * width - width * (width + 1) // 2, 1)  # residuals less what a rigid map has
    times = max(_MANY_TIMES, float(f.isf(_LEVEL, freedom, freedom)))
    if other.objective <= _FEW_TIMES * best.objective + rounding:
        return True
    if other.objective > times * best.objective + rounding or not len(more):
        return False
    return more.mean() <= _MANY_ERRORS * more.std() / np.sqrt(len(more)) + rounding


def _differ(a, b, X, rounding):
    moved = float(((a.map(X) - b.map(X)) ** 2).sum(axis=1).mean())
    elsewhere = float((a.matches != b.matches).mean())
    return elsewhere > _SAME_PAIRS and moved > _SAME_MAP * (a.objective + b.objective) + rounding
