"""What discrete units say about labels of the same frames: phones, in speech."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics.cluster import contingency_matrix

from .._backend import is_tensor, to_numpy
from .._typing import ArrayLike


def phone_normalized_mutual_info(labels: ArrayLike, units: ArrayLike) -> float:
    r"""Share of the uncertainty about the label of a frame that its unit takes away.

    The measure by which discrete units of speech are judged [1]_. It never falls when units are split: compare numbers
    of units with that in mind, and by frames that were not in the fit.

    Parameters
    ----------
    labels : array of shape (n_frames,), or list of arrays of shape (n_frames_i,)
        Phones, say, of any sortable kind.
    units : array of shape (n_frames,), or list of arrays of shape (n_frames_i,)
        Units of the same frames.

    Returns
    -------
    float
        :math:`I(\text{label}; \text{unit}) / H(\text{label})`, between 0 and 1; 1 where there is only one label.

    Raises
    ------
    ValueError
        For no frames, and for unequal numbers of them (with the sequence).

    References
    ----------
    .. [1] W.-N. Hsu, B. Bolte, Y.-H. H. Tsai, K. Lakhotia, R. Salakhutdinov, A. Mohamed, "HuBERT: self-supervised
       speech representation learning by masked prediction of hidden units", IEEE/ACM TASLP 29, 2021.

    Examples
    --------
    >>> from skalign.metrics import phone_normalized_mutual_info
    >>> round(phone_normalized_mutual_info(["a", "a", "b", "b"], [0, 1, 2, 2]), 4)
    1.0
    >>> phone_normalized_mutual_info(["a", "a", "b", "b"], [0, 1, 0, 1])
    0.0
    """
    joint = _joint(labels, units)
    uncertainty = _entropy(joint.sum(axis=1))
    if uncertainty == 0:
        return 1.0
    shared = uncertainty + _entropy(joint.sum(axis=0)) - _entropy(joint)
    return float(np.clip(shared / uncertainty, 0.0, 1.0))


def phone_purity(labels: ArrayLike, units: ArrayLike) -> float:
    """Share of frames with the right label when every unit is read as its most frequent one.

    Parameters
    ----------
    labels, units : as in `phone_normalized_mutual_info`
        Labels and units of the same frames.

    Returns
    -------
    float
        Between 0 and 1; it never falls when units are split.

    Raises
    ------
    ValueError
        As `phone_normalized_mutual_info`.

    References
    ----------
    .. [1] W.-N. Hsu et al., "HuBERT: self-supervised speech representation learning by masked prediction of hidden
       units", IEEE/ACM TASLP 29, 2021.

    Examples
    --------
    >>> from skalign.metrics import phone_purity
    >>> phone_purity(["a", "a", "b", "b"], [0, 1, 1, 1])
    0.75
    """
    return float(_joint(labels, units).max(axis=0).sum())


def unit_purity(labels: ArrayLike, units: ArrayLike) -> float:
    """Share of frames with the right unit when every label is written as its most frequent one.

    The counterpart of `phone_purity`, "cluster purity" in the paper: it falls when units are split.

    Parameters
    ----------
    labels, units : as in `phone_normalized_mutual_info`
        Labels and units of the same frames.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        As `phone_normalized_mutual_info`.

    References
    ----------
    .. [1] W.-N. Hsu et al., "HuBERT: self-supervised speech representation learning by masked prediction of hidden
       units", IEEE/ACM TASLP 29, 2021.

    Examples
    --------
    >>> from skalign.metrics import unit_purity
    >>> unit_purity(["a", "a", "b", "b"], [0, 1, 2, 2])
    0.75
    """
    return float(_joint(labels, units).max(axis=1).sum())


def _joint(labels, units):
    """Joint distribution of labels (rows) and units."""
    labels, units = _sequences(labels), _sequences(units)
    if len(labels) != len(units):
        raise ValueError(f"There are labels of {len(labels)} sequences and units of {len(units)}.")
    for i, (a, b) in enumerate(zip(labels, units)):
        if len(a) != len(b):
            raise ValueError(f"Sequence {i} has {len(a)} labels, but {len(b)} units: there is one of each a frame.")
    labels, units = np.concatenate(labels), np.concatenate(units)
    if not len(labels):
        raise ValueError("There are no frames.")
    try:
        return contingency_matrix(labels, units) / len(labels)
    except TypeError:
        raise ValueError("Labels, and units, are numbers or strings throughout, and none is missing.") from None


def _sequences(values):
    values = to_numpy(values) if is_tensor(values) else values
    if not hasattr(values, "__len__"):
        raise ValueError(f"Labels and units are 1-D, or a list of 1-D arrays; got {values!r}.")
    first: Any = next(iter(values), None)
    nested = is_tensor(first) or (not isinstance(first, str) and np.ndim(first) == 1)
    arrays = [to_numpy(own) for own in values] if nested else [np.asarray(values)]
    for own in arrays:
        if own.ndim != 1:
            raise ValueError(f"Labels and units are 1-D, or a list of 1-D arrays; got shape {own.shape}.")
        if (own != own).any():
            raise ValueError(f"There are {(own != own).sum()} NaN among the labels or units.")
    return arrays


def _entropy(probabilities):
    p = probabilities[probabilities > 0]
    return float(-(p * np.log(p)).sum())
