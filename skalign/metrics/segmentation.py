"""How near two segmentations are: change points of one signal against annotations, by one person or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Literal

import numpy as np

from .._input import is_whole
from .._typing import ArrayLike


def covering(y_true: ArrayLike, y_pred: ArrayLike, n_samples: int) -> float:
    """Share of the annotated segments that the predicted ones cover.

    Every annotated segment counts with its length and with the largest Jaccard index that a predicted segment has with
    it [1]_. The measure to start with: it needs no margin and forgives small shifts.

    Parameters
    ----------
    y_true : sequence of int, or sequence or mapping of them
        Annotated change points, interior first frames of new segments; or one such sequence per annotator.
    y_pred : sequence of int
        Predicted change points.
    n_samples : int
        Frames of the signal.

    Returns
    -------
    float
        Between 0 and 1, higher is better; the mean over annotators.

    Raises
    ------
    ValueError
        For change points that are not interior (0 and `n_samples` are none), not whole numbers or not one-dimensional.

    References
    ----------
    .. [1] G. J. J. van den Burg, C. K. I. Williams, "An evaluation of change point detection algorithms",
       arXiv:2003.06222, 2020.

    Examples
    --------
    >>> from skalign.metrics.segmentation import covering
    >>> covering([3], [3, 5], 6)
    0.8333333333333334
    >>> round(covering({"ann": [10, 20], "bob": [10]}, [10, 20], 45), 4)
    0.8889
    """
    annotations, y_pred = _check(y_true, y_pred, n_samples)
    return float(np.mean([_cover(_bounds(cps, n_samples), _bounds(y_pred, n_samples)) for cps in annotations]))


def _cover(true, pred):
    overlap = _overlaps(true, pred)
    union = np.diff(true)[:, None] + np.diff(pred) - overlap
    return (np.diff(true) * (overlap / union).max(axis=1)).sum() / true[-1]


def f1_with_margin(y_true: ArrayLike, y_pred: ArrayLike, n_samples: int, *, margin: int = 5) -> float:
    """Harmonic mean of precision and recall of change points, each allowed to be off by a margin.

    As in the Turing benchmark [1]_: precision is that against the change points of all annotators together, recall the
    mean over annotators, and the start of the signal counts as a change point that all know. Every prediction serves
    one annotated change point at most: in ascending order each takes the nearest that is left.

    Parameters
    ----------
    y_true : sequence of int, or sequence or mapping of them
        Annotated change points, or one such sequence per annotator.
    y_pred : sequence of int
        Predicted change points.
    n_samples : int
        Frames of the signal.
    margin : int, default=5
        Frames that a change point may be off, inclusive; 5 is the choice of the benchmark.

    Returns
    -------
    float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        As `covering`, and for a negative margin.

    References
    ----------
    .. [1] G. J. J. van den Burg, C. K. I. Williams, "An evaluation of change point detection algorithms",
       arXiv:2003.06222, 2020.

    Examples
    --------
    >>> from skalign.metrics.segmentation import f1_with_margin
    >>> f1_with_margin([10, 20], [12, 40], 50)
    0.6666666666666666
    """
    if not margin >= 0:
        raise ValueError(f"margin has to be at least 0 frames, got {margin}.")
    annotations, y_pred = _check(y_true, y_pred, n_samples)
    annotations = [np.r_[0, cps] for cps in annotations]
    y_pred = np.r_[0, y_pred]
    precision = _n_hits(np.unique(np.concatenate(annotations)), y_pred, margin) / len(y_pred)
    recall = np.mean([_n_hits(cps, y_pred, margin) / len(cps) for cps in annotations])
    return float(2 * precision * recall / (precision + recall))


def _n_hits(true, pred, margin):
    left, hits = pred.tolist(), 0
    for t in true:
        if left:
            nearest = min(left, key=lambda p: (abs(p - t), p))
            if abs(nearest - t) <= margin:
                left.remove(nearest)
                hits += 1
    return hits


def hausdorff_distance(y_true: ArrayLike, y_pred: ArrayLike, n_samples: int) -> float:
    """The farthest that a change point of either side is from the nearest of the other.

    Parameters
    ----------
    y_true : sequence of int, or sequence or mapping of them
        Annotated change points, or one such sequence per annotator.
    y_pred : sequence of int
        Predicted change points.
    n_samples : int
        Frames of the signal.

    Returns
    -------
    float
        In frames, LOWER is better; the mean over annotators. `n_samples` where just one side has change points, so
        that means over signals stay finite, and 0 where none has.

    Raises
    ------
    ValueError
        As `covering`.

    Examples
    --------
    >>> from skalign.metrics.segmentation import hausdorff_distance
    >>> hausdorff_distance([10, 50], [12], 100)
    38.0
    """
    annotations, y_pred = _check(y_true, y_pred, n_samples)
    return _mean_of_distances(annotations, y_pred, n_samples, lambda to, back: max(to.max(), back.max()))


def mean_boundary_error(
    y_true: ArrayLike, y_pred: ArrayLike, n_samples: int, *, direction: Literal["both", "true", "pred"] = "both"
) -> float:
    """Mean distance of change points to the nearest of the other side.

    Parameters
    ----------
    y_true : sequence of int, or sequence or mapping of them
        Annotated change points, or one such sequence per annotator.
    y_pred : sequence of int
        Predicted change points.
    n_samples : int
        Frames of the signal.
    direction : {"both", "true", "pred"}, default="both"
        "true": from every annotated change point to the nearest prediction, which too many predictions make small.
        "pred": the other way, which too few make small. "both" is the mean of the two.

    Returns
    -------
    float
        In frames, LOWER is better; the mean over annotators. `n_samples` where just one side has change points, and 0
        where none has.

    Raises
    ------
    ValueError
        As `covering`, and for an unknown direction.

    Examples
    --------
    >>> from skalign.metrics.segmentation import mean_boundary_error
    >>> mean_boundary_error([10, 50], [12], 100)
    11.0
    """
    means = {
        "both": lambda to, back: (to.mean() + back.mean()) / 2,
        "true": lambda to, back: to.mean(),
        "pred": lambda to, back: back.mean(),
    }
    if direction not in means:
        raise ValueError(f"direction has to be one of {list(means)}, got {direction!r}.")
    annotations, y_pred = _check(y_true, y_pred, n_samples)
    return _mean_of_distances(annotations, y_pred, n_samples, means[direction])


def _mean_of_distances(annotations, y_pred, n_samples, summary):
    values = []
    for cps in annotations:
        if len(cps) and len(y_pred):
            distances = np.abs(cps[:, None] - y_pred)
            values.append(summary(distances.min(axis=1), distances.min(axis=0)))
        else:
            values.append(0.0 if len(cps) == len(y_pred) else n_samples)
    return float(np.mean(values))


def rand_index(y_true: ArrayLike, y_pred: ArrayLike, n_samples: int) -> float:
    """Share of pairs of frames on which two segmentations agree: in one segment, or in different ones.

    Parameters
    ----------
    y_true : sequence of int, or sequence or mapping of them
        Annotated change points, or one such sequence per annotator.
    y_pred : sequence of int
        Predicted change points.
    n_samples : int
        Frames of the signal, at least 2.

    Returns
    -------
    float
        Between 0 and 1, higher is better; the mean over annotators. Not corrected for chance: with many segments most
        pairs are apart on both sides, whatever they are.

    Raises
    ------
    ValueError
        As `covering`.

    Examples
    --------
    >>> from skalign.metrics.segmentation import rand_index
    >>> rand_index([2], [1], 4)
    0.5
    """
    annotations, y_pred = _check(y_true, y_pred, n_samples)
    if n_samples < 2:
        raise ValueError("rand_index compares pairs of frames: n_samples has to be at least 2.")
    pred = _bounds(y_pred, n_samples)
    return float(np.mean([_rand(_bounds(cps, n_samples), pred, n_samples) for cps in annotations]))


def _rand(true, pred, n_samples):
    def pairs(counts):
        counts = counts.astype(np.float64)
        return (counts * (counts - 1) / 2).sum()

    together = pairs(_overlaps(true, pred))
    apart_in_one = pairs(np.diff(true)) + pairs(np.diff(pred)) - 2 * together
    return 1.0 - apart_in_one / (n_samples * (n_samples - 1) / 2)


def _overlaps(a, b):
    """Frames that each segment of one side shares with each of the other; bounds include both ends."""
    return np.maximum(np.minimum.outer(a[1:], b[1:]) - np.maximum.outer(a[:-1], b[:-1]), 0)


def _bounds(changepoints, n_samples):
    return np.r_[0, changepoints, n_samples]


def _check(y_true, y_pred, n_samples):
    """Sorted change points of every annotator, and the predicted ones."""
    if not is_whole(n_samples, 1):
        raise ValueError(f"n_samples has to be a positive number of frames, got {n_samples!r}.")
    annotations = annotators(y_true)
    if not annotations:
        raise ValueError("y_true holds no annotator; one without change points is [].")
    annotations = [as_changepoints(cps, n_samples, "y_true") for cps in annotations]
    return annotations, as_changepoints(y_pred, n_samples, "y_pred")


def annotators(y):
    """A list with the change points of every annotator, from one sequence of them or several."""
    if isinstance(y, Mapping):
        return list(y.values())
    try:
        y = list(y)
    except TypeError:
        raise ValueError(f"Change points of one signal are a sequence, got {y!r}.") from None
    several = y and isinstance(y[0], Iterable) and not isinstance(y[0], str) and getattr(y[0], "ndim", 1) > 0
    return y if several else [y]


def as_changepoints(changepoints, n_samples, name="change points"):
    """Sorted, distinct change points as an int array.

    Raises
    ------
    ValueError
        Unless they are whole numbers above 0 and below `n_samples`.
    """
    values = np.asarray(sorted(changepoints) if isinstance(changepoints, Set) else changepoints)
    if values.ndim != 1:
        raise ValueError(f"{name} has to be a sequence of change points, got an array of shape {values.shape}.")
    if not len(values):
        return np.empty(0, dtype=np.int64)
    if values.dtype.kind not in "iuf" or not np.all(values == np.floor(values)):
        raise ValueError(f"{name} has to hold whole numbers, the first frames of new segments; got {changepoints!r}.")
    values = np.unique(values)
    if values[0] <= 0 or values[-1] >= n_samples:
        raise ValueError(
            f"{name} has to lie above 0 and below n_samples={n_samples} (neither end of the signal is a change point), "
            f"got {values[0]} to {values[-1]}."
        )
    return values.astype(np.int64)
