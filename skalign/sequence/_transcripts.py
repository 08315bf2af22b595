"""Transcripts: sequences of labels of any kind, their classes, and how far two of them are apart."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress

import numpy as np
from sklearn.utils import check_consistent_length

from .._backend import is_tensor


def check_transcripts(y, X, owner):
    """A list of labels for every sample.

    Parameters
    ----------
    y : sequence of sequences
        Lists, tuples, arrays or tensors of labels; a string is a sequence of characters.
    X : sized
        The samples.
    owner : str
        The name for errors.

    Raises
    ------
    ValueError
        For no transcripts, another number of them than of samples, flat labels, and NaN as a label.
    TypeError
        For labels that cannot be hashed.
    """
    if y is None:
        raise ValueError(
            f"This {owner} estimator requires y to be passed, but the target y is None: it learns from transcripts, "
            "one sequence of labels a sample."
        )
    if isinstance(y, (str, Mapping, Set)) or not hasattr(y, "__len__"):
        raise ValueError(f"y is a {type(y).__name__}; transcripts are a list with one sequence of labels a sample.")
    check_consistent_length(X, y)
    return [_labels(row, i) for i, row in enumerate(y)]


def _labels(row, i):
    if is_tensor(row) or isinstance(row, np.ndarray):
        row = row.tolist()
    if isinstance(row, (Mapping, Set)) or not hasattr(row, "__iter__"):
        raise ValueError(f"sample {i}: the transcript is {row!r}, not a sequence of labels.")
    # As in an array of them: a tensor equals no other by hash, and 1 is one label however it is stored.
    labels = [label.tolist() if is_tensor(label) or isinstance(label, np.generic) else label for label in row]
    for label in labels:
        try:
            hash(label)
        except TypeError as error:  # a list within a tuple, too
            raise TypeError(f"sample {i}: labels must be hashable, and {label!r} is not ({error}).") from None
        if label != label:
            raise ValueError(f"sample {i}: the transcript holds NaN, which is no label.")
    return labels


def find_classes(transcripts):
    """All labels, sorted where they have an order, else as they come; an array of object unless of one plain type."""
    found = list(dict.fromkeys(label for labels in transcripts for label in labels))
    with suppress(TypeError):
        found.sort()
    if any({*map(type, found)} == {kind} for kind in (str, int, float, bool)):
        return np.array(found)
    classes = np.empty(len(found), dtype=object)
    classes[:] = found
    return classes


def encode(transcripts, classes, unknown=None):
    """Transcripts as arrays of places in `classes`.

    Parameters
    ----------
    transcripts : list of list
        From `check_transcripts`.
    classes : ndarray
        From `find_classes`.
    unknown : int, default=None
        What a label of no class becomes; None raises ValueError.
    """
    places = {label: place for place, label in enumerate(classes.tolist())}
    if unknown is None:
        for i, labels in enumerate(transcripts):
            if strangers := [label for label in labels if label not in places]:
                raise ValueError(f"sample {i}: the label {strangers[0]!r} was not seen at fit.")
    return [np.array([places.get(label, unknown) for label in labels], dtype=np.int64) for labels in transcripts]


def label_error_rate(true, predicted):
    """Least number of insertions, deletions and substitutions, all samples together, relative to the true labels.

    Parameters
    ----------
    true, predicted : list of ndarray of int
        By sample.

    Returns
    -------
    float
        May exceed 1. Where there is no true label, the number of predicted ones.
    """
    from ._ctc_kernels import edit_distance

    edits = sum(edit_distance(a, b) for a, b in zip(true, predicted))
    return edits / max(1, sum(map(len, true)))
