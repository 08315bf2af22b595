"""Paths of a transcript through frames: the best one, and how probable all of them are."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .._typing import ArrayLike
from ._label_graph import LogProbs, check_topology, impossible, label_graph


class ForcedAlignment(NamedTuple):
    """The best path of a transcript.

    Attributes
    ----------
    labels : ndarray of int of shape (T,)
        Class of every frame, blanks included.
    positions : ndarray of int of shape (T,)
        Which label of the transcript a frame belongs to, from 0; -1 in blanks. Tells equal neighbours apart.
    score : float
        Log-probability of the path.
    """

    labels: np.ndarray
    positions: np.ndarray
    score: float


class CTCPosterior(NamedTuple):
    """How probable a transcript is, and where.

    Attributes
    ----------
    log_likelihood : float
        Log-probability of all paths of the transcript together.
    occupancy : ndarray of shape (T, C)
        Probability of every class at every frame, given the transcript: rows sum to 1. The gradient of
        `log_likelihood` with respect to the log-probabilities.
    """

    log_likelihood: float
    occupancy: np.ndarray


def forced_align(
    log_probs: ArrayLike,
    labels: ArrayLike,
    *,
    lengths: ArrayLike | None = None,
    label_lengths: ArrayLike | None = None,
    blank: int = 0,
    topology: Literal["ctc", "hmm"] = "ctc",
) -> ForcedAlignment | list[ForcedAlignment]:
    r"""The best path of a known transcript through frames: which frame belongs to which label.

    Exact Viterbi search over all paths, in O(T L) time and bytes. Where paths tie, the one wins that stays longer in
    later states. For sequences and labels of any kind there is `CTCAligner.align`.

    Parameters
    ----------
    log_probs : array or tensor of shape (T, C) or (B, T, C), or list of those of shape (T_i, C)
        Log-probabilities of C classes at every frame, of one sample or several; they need not be normalised. -inf is
        probability 0.
    labels : sequence of int of shape (L,), or one for each sample
        The transcript, as classes. Several transcripts may be a padded array of shape (B, L).
    lengths : sequence of int of shape (B,), default=None
        Frames that count, where samples are padded at the end.
    label_lengths : sequence of int of shape (B,), default=None
        Labels that count, where transcripts are padded at the end.
    blank : int, default=0
        Class of the blank; not used by "hmm".
    topology : {"ctc", "hmm"}, default="ctc"
        "ctc": frames of a blank may lie before, between and behind labels, and must between equal ones. "hmm": no
        blank, every label holds its frames until the next begins.

    Returns
    -------
    ForcedAlignment or list of it
        With `labels`, `positions` and `score`, by sample; tensors if the input was one.

    Raises
    ------
    ValueError
        For NaN, labels that are no classes, a transcript longer than its frames can hold (with the sample, both
        numbers and the repeats), an empty one under "hmm", and log-probabilities that leave no path.

    See Also
    --------
    ctc_posterior : All paths instead of the best one.
    ctc_decode : The transcript, where it is not known.

    Notes
    -----
    A transcript fits when there are at least as many frames as labels, and for "ctc" one more for every label that
    equals the one before it. Paths of nets trained with CTC stay in the blank but for a frame or two a label: they
    say where a label is, not where it begins and ends.

    References
    ----------
    .. [1] A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification: labelling
       unsegmented sequence data with recurrent neural networks", ICML 2006.
    .. [2] L. R. Rabiner, "A tutorial on hidden Markov models and selected applications in speech recognition",
       Proceedings of the IEEE 77(2), 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.sequence import forced_align
    >>> probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.8, 0.15, 0.05], [0.1, 0.2, 0.7]])
    >>> path = forced_align(np.log(probabilities), [1, 2])
    >>> path.labels.tolist()
    [0, 1, 0, 2]
    >>> round(float(np.exp(path.score)), 4)
    0.2352
    >>> forced_align(np.log(probabilities), [1, 2], topology="hmm").positions.tolist()
    [0, 0, 0, 1]
    """
    from ._ctc_kernels import viterbi

    samples, transcripts = _opened(log_probs, labels, lengths, label_lengths, blank, topology)
    results = []
    for i, (frames, own) in enumerate(zip(samples.arrays, transcripts)):
        graph, path = label_graph(own, topology, blank), np.empty(len(frames), dtype=np.int64)
        score = viterbi(frames, *graph, path)
        if score == -np.inf:
            raise impossible(samples.where(i))
        positions = path if topology == "hmm" else np.where(path % 2 == 1, path // 2, -1)
        results.append(samples.pack(i, ForcedAlignment, graph[0][path], positions, score))
    return samples.results(results)


def ctc_posterior(
    log_probs: ArrayLike,
    labels: ArrayLike,
    *,
    lengths: ArrayLike | None = None,
    label_lengths: ArrayLike | None = None,
    blank: int = 0,
    topology: Literal["ctc", "hmm"] = "ctc",
) -> CTCPosterior | list[CTCPosterior]:
    r"""How probable a transcript is over all its paths, and every class at every frame given the transcript.

    The forward-backward algorithm in log space, O(T L) in time and memory.

    Parameters
    ----------
    log_probs : array or tensor of shape (T, C) or (B, T, C), or list of those of shape (T_i, C)
        Log-probabilities of C classes at every frame, of one sample or several; they need not be normalised. -inf is
        probability 0.
    labels : sequence of int of shape (L,), or one for each sample
        The transcript, as classes. Several transcripts may be a padded array of shape (B, L).
    lengths : sequence of int of shape (B,), default=None
        Frames that count, where samples are padded at the end.
    label_lengths : sequence of int of shape (B,), default=None
        Labels that count, where transcripts are padded at the end.
    blank : int, default=0
        Class of the blank; not used by "hmm".
    topology : {"ctc", "hmm"}, default="ctc"
        As in `forced_align`.

    Returns
    -------
    CTCPosterior or list of it
        With `log_likelihood` and `occupancy`, by sample; tensors if the input was one, without a graph of gradients.

    Raises
    ------
    ValueError
        As `forced_align`.

    See Also
    --------
    forced_align : The best path alone.

    Notes
    -----
    With paths :math:`\pi` that collapse to the transcript :math:`l`,

    .. math:: \log p(l) = \log \sum_\pi \prod_t p_t(\pi_t), \qquad
              \frac{\partial \log p(l)}{\partial \log p_t(c)} = P(\pi_t = c \mid l),

    the occupancy. ``torch.nn.functional.ctc_loss`` has the same value, but the gradient that it hands on is
    :math:`p_t(c) - P(\pi_t = c \mid l)`, right only behind a log-softmax that is part of the graph.

    References
    ----------
    .. [1] A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification: labelling
       unsegmented sequence data with recurrent neural networks", ICML 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.sequence import ctc_posterior
    >>> posterior = ctc_posterior(np.log(np.full((2, 2), 0.5)), [1])  # three paths of four: (1, 1), (0, 1), (1, 0)
    >>> round(float(np.exp(posterior.log_likelihood)), 4)
    0.75
    >>> posterior.occupancy.round(4).tolist()
    [[0.3333, 0.6667], [0.3333, 0.6667]]
    """
    from ._ctc_kernels import forward_backward

    samples, transcripts = _opened(log_probs, labels, lengths, label_lengths, blank, topology)
    results = []
    for i, (frames, own) in enumerate(zip(samples.arrays, transcripts)):
        occupancy = np.zeros(frames.shape)
        likelihood = forward_backward(frames, *label_graph(own, topology, blank), occupancy)
        if likelihood == -np.inf:
            raise impossible(samples.where(i))
        results.append(samples.pack(i, CTCPosterior, likelihood, occupancy))
    return samples.results(results)


def _opened(log_probs, labels, lengths, label_lengths, blank, topology):
    check_topology(topology)
    samples = LogProbs(log_probs, lengths)
    samples.check_blank(blank, topology)
    return samples, samples.transcripts(labels, label_lengths, topology, blank)
