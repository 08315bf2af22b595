"""Transcripts as chains of states, and log-probabilities of frames as users hand them in."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from .._backend import is_tensor, like, to_numpy
from .._input import is_whole

TOPOLOGIES = ("ctc", "hmm")


def label_graph(labels, topology, blank=0):
    """The chain of states that a transcript allows.

    Parameters
    ----------
    labels : ndarray of int of shape (L,)
        Classes of the transcript.
    topology : {"ctc", "hmm"}
        With a blank before, between and behind labels that may be left out but between equal ones, or labels alone.
    blank : int, default=0
        Class of the blank.

    Returns
    -------
    states, skips, n_ends
        As the kernels take them.
    """
    if topology == "hmm":
        return labels, np.zeros(len(labels), dtype=bool), 1
    states = np.full(2 * len(labels) + 1, blank, dtype=np.int64)
    states[1::2] = labels
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = labels[1:] != labels[:-1]
    return states, skips, 2


def check_feasible(n_frames, labels, topology, sample):
    """ValueError unless so many frames can hold a transcript; `sample` stands before it."""
    labels = list(labels)
    if topology == "hmm":
        if not labels:
            raise ValueError(
                f"{sample}the transcript is empty, but with topology='hmm' every frame belongs to a label. "
                "topology='ctc' has a blank for such frames."
            )
        if n_frames < len(labels):
            raise ValueError(
                f"{sample}{n_frames} frames are too few for {len(labels)} labels: topology='hmm' needs one frame a "
                "label."
            )
        return
    repeats = [b for a, b in pairwise(labels) if a == b]
    if n_frames < len(labels) + len(repeats):
        named = f" (of {', '.join(map(repr, dict.fromkeys(repeats)))})" if repeats else ""
        raise ValueError(
            f"{sample}{n_frames} frames are too few for {len(labels)} labels with {len(repeats)} adjacent "
            f"repeats{named}: CTC needs a frame for every label and a blank one between equal neighbours, "
            f"{len(labels) + len(repeats)} in all."
        )


def check_topology(topology):
    """ValueError for a topology that there is not."""
    if topology not in TOPOLOGIES:
        raise ValueError(f"topology must be one of {list(TOPOLOGIES)}, got {topology!r}.")


class LogProbs:
    """Checked log-probabilities of one sample or many.

    Parameters
    ----------
    log_probs : array or tensor of shape (T, C) or (B, T, C), or list of arrays of shape (T_i, C)
        The dimension of an element decides whether it is one.
    lengths : sequence of int, default=None
        Frames that count, of padded samples.

    Attributes
    ----------
    arrays : list of ndarray of float64 of shape (T_i, C)
        By sample.
    dtypes : list of dtype
        float32 or float64, of results.
    single : bool
        Whether it was one sample.
    tensor : torch.Tensor or None
        One of them, where they were tensors.
    """

    def __init__(self, log_probs, lengths=None):
        log_probs = to_numpy(log_probs) if hasattr(log_probs, "columns") else log_probs  # a DataFrame
        whole = is_tensor(log_probs) or isinstance(log_probs, np.ndarray)
        dimension = log_probs.ndim if whole and str(log_probs.dtype) != "object" else 3
        if dimension not in (2, 3) or isinstance(log_probs, (str, bytes, Mapping)) or not hasattr(log_probs, "__len__"):
            raise ValueError(
                "log_probs are an array of shape (T, C), a padded one of shape (B, T, C), or a list of arrays of shape "
                f"(T_i, C); got {f'an array of shape {tuple(log_probs.shape)}' if whole else type(log_probs).__name__}."
            )
        self.single = dimension == 2
        if self.single and lengths is not None:
            raise ValueError("lengths belong to padded samples; these log_probs are one sample.")
        items = [log_probs] if self.single else list(log_probs)
        self.tensor = next((item for item in items if is_tensor(item)), None)
        arrays = [to_numpy(item) for item in items]
        self.dtypes = [np.dtype(np.float32 if a.dtype in (np.float32, np.float16) else np.float64) for a in arrays]
        if lengths is not None:
            lengths = check_lengths(lengths, [len(array) for array in arrays], "lengths")
            arrays = [array[:length] for array, length in zip(arrays, lengths)]
        self.arrays = [_frames(array, self.where(i)) for i, array in enumerate(arrays)]

    def where(self, i):
        """What stands before errors of a sample."""
        return "" if self.single else f"sample {i}: "

    def transcripts(self, labels, label_lengths, topology, blank):
        """Transcripts as arrays of classes, one for each sample, all of them possible."""
        if self.single:
            labels = [labels]
        rows = [to_numpy(row) if is_tensor(row) else np.asarray(row) for row in labels]
        if len(rows) != len(self.arrays):
            raise ValueError(f"There are {len(rows)} transcripts for {len(self.arrays)} samples.")
        if label_lengths is not None:
            label_lengths = [label_lengths] if self.single else label_lengths
            rows = [r[:n] for r, n in zip(rows, check_lengths(label_lengths, list(map(len, rows)), "label_lengths"))]
        checked = []
        for i, (row, array) in enumerate(zip(rows, self.arrays)):
            if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
                raise ValueError(
                    f"{self.where(i)}labels are a sequence of classes, whole numbers; got {row.dtype} values of shape "
                    f"{row.shape}."
                )
            row = row.astype(np.int64)
            C = array.shape[1]
            if row.size and (row.min() < 0 or row.max() >= C):
                wrong = row[(row < 0) | (row >= C)][0]
                raise ValueError(f"{self.where(i)}label {wrong} is no class: log_probs have {C} classes.")
            if topology == "ctc" and (row == blank).any():
                raise ValueError(f"{self.where(i)}the transcript holds {blank}, the class of the blank.")
            check_feasible(len(array), row.tolist(), topology, self.where(i))
            checked.append(row)
        return checked

    def check_blank(self, blank, topology):
        """ValueError for a blank that is no class."""
        if topology == "ctc":
            least = min(array.shape[1] for array in self.arrays) if self.arrays else np.inf
            if not is_whole(blank, 0) or blank >= least:
                raise ValueError(f"blank must be a class, from 0 to {least - 1}, got {blank!r}.")

    def pack(self, i, kind, *values):
        """A result of a sample: as tensors if that is what came, and arrays of float in the precision that came."""
        packed = []
        for value in values:
            if isinstance(value, np.ndarray) or self.tensor is not None:
                value = np.asarray(value)
                value = value.astype(self.dtypes[i], copy=False) if value.dtype.kind == "f" else value
                value = value if self.tensor is None else like(value, self.tensor)
            packed.append(value)
        return kind(*packed)

    def results(self, results):
        """One result for one sample, else the list."""
        return results[0] if self.single else results


def impossible(where):
    """The error for log-probabilities that rule every path out."""
    return ValueError(
        f"{where}the log-probabilities rule every path out: at some frame all that it could pass is -inf."
    )


def check_lengths(lengths, limits, name):
    """Lengths as a list of int, each within its limit."""
    lengths = (to_numpy(lengths) if is_tensor(lengths) else np.asarray(lengths)).tolist()
    if len(lengths) != len(limits):
        raise ValueError(f"{name} has {len(lengths)} entries for {len(limits)} samples.")
    for i, (length, limit) in enumerate(zip(lengths, limits)):
        if not isinstance(length, int) or not 0 <= length <= limit:
            raise ValueError(f"{name}: sample {i} has {limit} places, so its length cannot be {length!r}.")
    return lengths


def _frames(array, where):
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ValueError(f"{where}log_probs need the shape (T, C), got {array.dtype} values of shape {array.shape}.")
    if 0 in array.shape:
        raise ValueError(f"{where}log_probs of shape {array.shape} have no frame or no class.")
    frames = np.ascontiguousarray(array, dtype=np.float64)
    if not frames.flags.writeable:  # a memmap of a worker, say: the kernels would be compiled again for its type
        frames = frames.copy()
    if not frames.max() < np.inf:
        bad = int(np.isnan(frames).sum()), int((frames == np.inf).sum())
        raise ValueError(f"{where}log_probs hold {bad[0]} NaN and {bad[1]} +inf; of these only -inf is a probability.")
    return frames
