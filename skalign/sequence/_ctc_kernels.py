"""Dynamic programmes on label graphs, compiled; imported by what runs them, since numba takes long to load.

A label graph is a chain of states, each with the class that it emits. A path begins in one of the first `n_ends`
states, ends in one of the last `n_ends`, and from frame to frame it stays, goes on by one state, or by two where
`skips` says so. Both topologies, with blanks and without, are such chains.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.typed import Dict

# How many states a path went on, as back-pointers keep it.
STAY, NEXT, SKIP = 0, 1, 2


@njit(cache=True, nogil=True)
def _log_sum(a, b, c):
    largest = max(a, b, c)
    if largest == -np.inf:
        return -np.inf
    return largest + np.log(np.exp(a - largest) + np.exp(b - largest) + np.exp(c - largest))


@njit(cache=True, nogil=True)
def _log_add(a, b):
    return _log_sum(a, b, -np.inf)


@njit(cache=True, nogil=True)
def viterbi(log_probs, states, skips, n_ends, path):
    """Write the states of the best path; returns its log-probability.

    Parameters
    ----------
    log_probs : ndarray of float64 of shape (T, C)
        Log-probabilities of the classes.
    states : ndarray of int of shape (S,)
        Class of every state.
    skips : ndarray of bool of shape (S,)
        Whether a path may come from two states before.
    n_ends : int
        Number of states in which a path may begin, and end.
    path : ndarray of int of shape (T,)
        Filled.

    Returns
    -------
    float
        -inf where no path is possible; `path` is then void.
    """
    T, S = len(log_probs), len(states)
    steps = np.empty((T, S), np.int8)
    penalty = np.where(skips, 0.0, -np.inf)
    # Two slots of -inf before the first state spare the loop its borders.
    row, before = np.full(S + 2, -np.inf), np.full(S + 2, -np.inf)
    for s in range(min(n_ends, S)):
        row[s + 2] = log_probs[0, states[s]]
    for t in range(1, T):
        row, before = before, row
        for s in range(S):
            step, value = STAY, before[s + 2]
            if before[s + 1] > value:
                step, value = NEXT, before[s + 1]
            if before[s] + penalty[s] > value:
                step, value = SKIP, before[s] + penalty[s]
            row[s + 2] = value + log_probs[t, states[s]]
            steps[t, s] = step
    best = S - 1
    for s in range(max(0, S - n_ends), S - 1):
        if row[s + 2] > row[best + 2]:
            best = s
    score, s = row[best + 2], best
    if score > -np.inf:
        for t in range(T - 1, -1, -1):
            path[t] = s
            if t > 0:
                s -= steps[t, s]
    return score


@njit(cache=True, nogil=True)
def forward_backward(log_probs, states, skips, n_ends, occupancy):
    """Add the probability of every class at every frame to `occupancy`; returns the log-likelihood.

    Parameters
    ----------
    log_probs : ndarray of float64 of shape (T, C)
        Log-probabilities of the classes.
    states, skips, n_ends
        As for `viterbi`.
    occupancy : ndarray of float64 of shape (T, C)
        Zeros, to be filled.

    Returns
    -------
    float
        -inf where no path is possible; `occupancy` then stays as it is.
    """
    T, S = len(log_probs), len(states)
    penalty = np.where(skips, 0.0, -np.inf)
    alpha = np.full((T, S + 2), -np.inf)
    for s in range(min(n_ends, S)):
        alpha[0, s + 2] = log_probs[0, states[s]]
    for t in range(1, T):
        for s in range(S):
            total = _log_sum(alpha[t - 1, s + 2], alpha[t - 1, s + 1], alpha[t - 1, s] + penalty[s])
            alpha[t, s + 2] = total + log_probs[t, states[s]]
    likelihood = alpha[T - 1, S + 1]
    if n_ends == 2 and S > 1:
        likelihood = _log_add(likelihood, alpha[T - 1, S])
    if likelihood == -np.inf:
        return likelihood
    # `beta` is the log-probability of what follows; two slots behind the last state spare the borders.
    beta, after = np.full(S + 2, -np.inf), np.full(S + 2, -np.inf)
    for s in range(max(0, S - n_ends), S):
        beta[s] = 0.0
    onward = np.full(S + 2, -np.inf)  # whether the state two behind may be skipped to
    onward[: max(0, S - 2)] = penalty[2:]
    for t in range(T - 1, -1, -1):
        for s in range(S):
            occupancy[t, states[s]] += np.exp(alpha[t, s + 2] + beta[s] - likelihood)
        if t > 0:
            for s in range(S):
                after[s] = beta[s] + log_probs[t, states[s]]
            for s in range(S):
                beta[s] = _log_sum(after[s], after[s + 1], after[s + 2] + onward[s])
    return likelihood


@njit(cache=True, nogil=True)
def prefix_beam(log_probs, blank, width, penalty):
    """The most probable labelling among `width` prefixes, and its log-probability.

    Parameters
    ----------
    log_probs : ndarray of float64 of shape (T, C)
        Log-probabilities of the classes.
    blank : int
        Its class, or -1 where there is none: every frame then belongs to a label, and equal neighbours are one.
    width : int
        Prefixes to keep at every frame.
    penalty : float
        What every label but the first takes from a log-probability.

    Returns
    -------
    labels : ndarray of int
    log_probability : float
        Summed over the paths that the beam kept.
    """
    T, C = log_probs.shape
    # A prefix is a node of a tree: the prefix before it and the label that it adds.
    parents, labels = np.empty(T * width + 1, np.int64), np.empty(T * width + 1, np.int64)
    slot = np.full(T * width + 1, -1)  # where a prefix stands in the beam
    parents[0] = labels[0] = -1
    known = Dict.empty(types.int64, types.int64)  # a prefix that left the beam may come back
    n_nodes, n_beam = 1, 1
    nodes, next_nodes = np.zeros(width, np.int64), np.zeros(width, np.int64)
    # Log-probabilities of a prefix by how its paths end: in a blank, or in its last label.
    in_blank, in_label = np.full(width, -np.inf), np.full(width, -np.inf)
    in_blank[0] = 0.0
    slot[0] = 0
    totals = np.empty(width * (C + 1))
    stay_blank, stay_label = np.empty(width), np.empty(width)
    for t in range(T):
        n = n_beam * (C + 1)  # every prefix as it is, then with every class behind it
        for i in range(n_beam):
            total, last = _log_add(in_blank[i], in_label[i]), labels[nodes[i]]
            stay_blank[i] = total + log_probs[t, blank] if blank >= 0 else -np.inf
            stay_label[i] = in_label[i] + log_probs[t, last] if last >= 0 else -np.inf
            cost = penalty if last >= 0 else 0.0
            for c in range(C):
                source = in_blank[i] if c == last else total
                totals[n_beam + i * C + c] = -np.inf if c == blank else source + log_probs[t, c] - cost
        for i in range(n_beam):
            parent = parents[nodes[i]]
            if parent >= 0 and slot[parent] >= 0:  # the same prefix, reached from the one before it
                longer = n_beam + slot[parent] * C + labels[nodes[i]]
                stay_label[i] = _log_add(stay_label[i], totals[longer])
                totals[longer] = -np.inf
            totals[i] = _log_add(stay_blank[i], stay_label[i])
        order = np.argsort(-totals[:n], kind="mergesort")
        for i in range(n_beam):
            slot[nodes[i]] = -1
        size = 0
        for candidate in order[:width]:
            if totals[candidate] == -np.inf:
                break
            if candidate < n_beam:
                next_nodes[size] = nodes[candidate]
                in_blank[size], in_label[size] = stay_blank[candidate], stay_label[candidate]
            else:
                i, c = divmod(candidate - n_beam, C)
                key = nodes[i] * C + c
                if key not in known:
                    known[key] = n_nodes
                    parents[n_nodes], labels[n_nodes] = nodes[i], c
                    n_nodes += 1
                next_nodes[size] = known[key]
                in_blank[size], in_label[size] = -np.inf, totals[candidate]
            size += 1
        nodes, next_nodes = next_nodes, nodes
        n_beam = size
        if n_beam == 0:
            return np.empty(0, np.int64), -np.inf
        for i in range(n_beam):
            slot[nodes[i]] = i
    length, node = 0, nodes[0]
    while node > 0:
        node, length = parents[node], length + 1
    out, node = np.empty(length, np.int64), nodes[0]
    for k in range(length - 1, -1, -1):
        out[k], node = labels[node], parents[node]
    return out, _log_add(in_blank[0], in_label[0])


@njit(cache=True, nogil=True)
def switching_path(log_probs, penalty, path):
    """Write the best sequence of classes when every change of class costs `penalty`; returns its value."""
    T, C = log_probs.shape
    switched = np.zeros((T, C), np.bool_)
    sources, row = np.empty(T, np.int64), log_probs[0].copy()
    for t in range(1, T):
        sources[t] = np.argmax(row)
        switch = row[sources[t]] - penalty
        for c in range(C):
            switched[t, c] = switch > row[c]
            row[c] = max(switch, row[c]) + log_probs[t, c]
    best = np.argmax(row)
    value = row[best]
    for t in range(T - 1, -1, -1):
        path[t] = best
        if t > 0 and switched[t, best]:
            best = sources[t]
    return value


@njit(cache=True, nogil=True)
def edit_distance(a, b):
    """Least number of insertions, deletions and substitutions between two sequences of int."""
    row = np.arange(len(b) + 1)
    for i in range(len(a)):
        corner, row[0] = row[0], i + 1
        for j in range(len(b)):
            value = min(row[j] + 1, row[j + 1] + 1, corner + (a[i] != b[j]))
            corner, row[j + 1] = row[j + 1], value
    return row[-1]
