"""Transcripts of frames of which none is known."""

from __future__ import annotations

from numbers import Real
from typing import Literal, NamedTuple

import numpy as np

from .._input import is_whole
from .._typing import ArrayLike
from ..correlation._canonical import check_choice
from ._label_graph import LogProbs, check_topology, impossible


class Decoding(NamedTuple):
    """A transcript.

    Attributes
    ----------
    labels : ndarray of int of shape (L,)
        Its classes.
    log_probability : float
        Of the best path with "greedy", of the paths that the beam kept with "beam".
    """

    labels: np.ndarray
    log_probability: float


def ctc_decode(
    log_probs: ArrayLike,
    method: Literal["greedy", "beam"] = "greedy",
    *,
    beam_width: int = 10,
    lengths: ArrayLike | None = None,
    blank: int = 0,
    topology: Literal["ctc", "hmm"] = "ctc",
    switch_penalty: float = 0.0,
) -> Decoding | list[Decoding]:
    """The transcript of frames, from log-probabilities of the classes.

    Parameters
    ----------
    log_probs : array or tensor of shape (T, C) or (B, T, C), or list of those of shape (T_i, C)
        Log-probabilities of C classes at every frame, of one sample or several. -inf is probability 0.
    method : {"greedy", "beam"}, default="greedy"
        "greedy" collapses the most probable path. "beam" is prefix beam search [1]_ for the most probable
        transcript, which sums over its paths: exact if `beam_width` is no less than the number of prefixes, and
        better than "greedy" where several paths share the probability.
    beam_width : int, default=10
        Prefixes that "beam" keeps at every frame.
    lengths : sequence of int of shape (B,), default=None
        Frames that count, where samples are padded at the end.
    blank : int, default=0
        Class of the blank; not used by "hmm".
    topology : {"ctc", "hmm"}, default="ctc"
        "ctc": labels are what is left of a path when repeats are merged and then blanks dropped. "hmm": repeats are
        merged, so that a transcript with equal neighbours cannot be found.
    switch_penalty : float, default=0.0
        For "hmm", what every change of label takes from a log-probability. Frames of a label tend to follow each
        other: -log of the odds of a change at a frame, times the number of labels it may go to.

    Returns
    -------
    Decoding or list of it
        With `labels` and `log_probability`, by sample; tensors if the input was one.

    Raises
    ------
    ValueError
        For NaN, parameters that mean nothing, and frames at which every class is impossible.

    See Also
    --------
    forced_align : Where the labels of a known transcript lie.

    References
    ----------
    .. [1] A. Hannun, A. Maas, D. Jurafsky, A. Ng, "First-pass large vocabulary continuous speech recognition using
       bi-directional recurrent DNNs", 2014.
    .. [2] A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification: labelling
       unsegmented sequence data with recurrent neural networks", ICML 2006.

    Examples
    --------
    The best path is blank, but most of the probability is with one label.

    >>> import numpy as np
    >>> from skalign.sequence import ctc_decode
    >>> log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> ctc_decode(log_probs).labels.tolist()
    []
    >>> best = ctc_decode(log_probs, "beam")
    >>> best.labels.tolist(), round(float(np.exp(best.log_probability)), 4)
    ([1], 0.64)
    """
    from ._ctc_kernels import prefix_beam

    check_topology(topology)
    check_choice("method", method, ("greedy", "beam"))
    if not is_whole(beam_width, 1):
        raise ValueError(f"beam_width must be a whole number of at least 1, got {beam_width!r}.")
    if not isinstance(switch_penalty, Real) or not 0 <= switch_penalty < np.inf:
        raise ValueError(f"switch_penalty must be a finite number of at least 0, got {switch_penalty!r}.")
    if switch_penalty and topology == "ctc":
        raise ValueError("switch_penalty is for topology='hmm': with blanks every label begins and ends anyway.")
    samples = LogProbs(log_probs, lengths)
    samples.check_blank(blank, topology)
    blank, penalty = int(blank) if topology == "ctc" else -1, float(switch_penalty)
    results = []
    for i, frames in enumerate(samples.arrays):
        if method == "beam":
            labels, value = prefix_beam(frames, blank, int(beam_width), penalty)
        else:
            labels, value = _best_path(frames, blank, penalty)
        if value == -np.inf:
            raise impossible(samples.where(i))
        results.append(samples.pack(i, Decoding, labels, value))
    return samples.results(results)


def _best_path(frames, blank, penalty):
    if penalty:
        from ._ctc_kernels import switching_path

        path = np.empty(len(frames), dtype=np.int64)
        value = switching_path(frames, penalty, path)
    else:
        path = frames.argmax(axis=1)
        value = float(frames.max(axis=1).sum())
    labels = path[np.r_[True, path[1:] != path[:-1]]]
    return labels[labels != blank], value
