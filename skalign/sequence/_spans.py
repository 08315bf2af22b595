"""Where the labels of a transcript lie."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ._ctc import forced_align


class Span(NamedTuple):
    """A label and its frames.

    Attributes
    ----------
    label : hashable
        The label.
    start, end : int
        Its first frame, and the one behind its last.
    log_prob : float
        Mean log-probability of the label at the frames that the best path gives it: how sure the net is.
    """

    label: Any
    start: int
    end: int
    log_prob: float


def find_spans(log_posteriors, columns, labels, topology, boundaries):
    """Spans of the labels of one transcript.

    Parameters
    ----------
    log_posteriors : ndarray of shape (T, C)
        Log-probabilities of the classes.
    columns : ndarray of int of shape (L,)
        Classes of the transcript; 0 is the blank of "ctc".
    labels : list of length L
        What the classes stand for.
    topology : {"ctc", "hmm"}
        See `forced_align`.
    boundaries : {"viterbi", "midpoint"}
        The frames of the best path, or everything between cuts half-way between the middles of those frames.

    Returns
    -------
    list of Span
    """
    positions = forced_align(log_posteriors, columns, topology=topology).positions
    inside = np.flatnonzero(positions >= 0)
    starts = inside[np.searchsorted(positions[inside], np.arange(len(labels)), side="left")]
    ends = inside[np.searchsorted(positions[inside], np.arange(len(labels)), side="right") - 1] + 1
    means = [float(log_posteriors[s:e, c].mean()) for s, e, c in zip(starts, ends, columns)]
    if boundaries == "midpoint" and labels:
        # Middles are a frame or more apart: no span becomes empty.
        cuts = [0, *((a + b + 1) // 2 for a, b in pairwise((starts + ends) / 2)), len(log_posteriors)]
        starts, ends = cuts[:-1], cuts[1:]
    return [Span(label, int(s), int(e), mean) for label, s, e, mean in zip(labels, starts, ends, means)]
