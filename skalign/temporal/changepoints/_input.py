"""What `ChangepointSegmenter` takes: a collection of signals, and annotations of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from .._sequences import check_sequences, check_width

# A table of so few columns, and over four times as many rows, is more likely one signal than many series.
_MANY_CHANNELS = 32


def as_signals(X, label="", owner="ChangepointSegmenter", *, min_frames=1, n_channels=None):
    """`Sequences` that are long enough to be cut.

    Parameters
    ----------
    X : 3-D or 2-D array, DataFrame, tensor, or list of 1-D or 2-D arrays
        The collection, see `check_sequences`.
    label, owner : str
        For errors, see `check_sequences`.
    min_frames : int, default=1
        Fewer are an error.
    n_channels : int, default=None
        The number at fit.

    Raises
    ------
    ValueError
        For anything that is not such a collection of finite numbers.

    Warns
    -----
    UserWarning
        At fit, for a table of few columns and many rows, which looks like one signal of several channels.
    """
    signals = check_sequences(X, label, owner)
    lengths = signals.lengths
    table = signals.univariate and signals.stacked
    if table and lengths[0] < 2:
        raise ValueError(
            f"{label}1 feature(s) (shape={tuple(X.shape)}) while a minimum of 2 is required: every row of a table is a "
            "series. One series of many frames is [x], one signal of several channels [a]."
        )
    form = " Every row of a table is a series; one signal of several channels is [a]." if table else ""
    if n_channels is not None:
        check_width(signals.width, n_channels, label, owner, form)
    elif table and lengths[0] <= _MANY_CHANNELS and len(signals) > 4 * lengths[0]:
        warnings.warn(
            f"{label}this table is read as {len(signals)} series of {lengths[0]} frames. If it is one signal of "
            f"{lengths[0]} channels, pass [a]; list(a) says that series are meant.",
            UserWarning,
            stacklevel=5,
        )
    if (short := np.flatnonzero(lengths < min_frames)).size:
        i = int(short[0])
        raise ValueError(
            f"{label}sequence {i} has {lengths[i]} frame(s) (of shape={signals[i].shape}), too few to be cut: segments "
            f"of at least {min_frames // 2} frames need {min_frames}. Lower min_size, or leave it out.{form}"
        )
    return signals


def check_annotations(y, lengths):
    """Per series, the change points of every annotator.

    Raises
    ------
    ValueError
        Unless there is one entry per series, and each holds interior change points.
    """
    from ...metrics.segmentation import annotators, as_changepoints

    if y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None: annotations are a list of change points per series."
        )
    try:
        n_annotated = len(y) if not isinstance(y, Mapping) else None
    except TypeError:
        n_annotated = None
    if n_annotated is None:
        raise ValueError(f"y has to hold the change points of every series, in order, got {type(y).__name__}.")
    if n_annotated != len(lengths):
        raise ValueError(f"y annotates {n_annotated} series, but X holds {len(lengths)}.")
    entries = [y.iloc[i] if hasattr(y, "iloc") else y[i] for i in range(n_annotated)]
    return [
        [as_changepoints(cps, n, f"y of series {i}") for cps in annotators(entry)]
        for i, (entry, n) in enumerate(zip(entries, lengths))
    ]
