"""What a segment is like as a whole: one row of features for its frames."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np


def _slope(segment):
    """Least squares slope of every channel, per frame."""
    time = np.arange(len(segment)) - (len(segment) - 1) / 2
    return time @ segment / max((time**2).sum(), 1.0)


POOLINGS = {
    "mean": lambda segment: segment.mean(axis=0),
    "std": lambda segment: segment.std(axis=0),
    "slope": _slope,
}


def as_poolings(pooling):
    """Functions of a segment, by name, from a name, a callable or a sequence of them."""
    several = isinstance(pooling, Iterable) and not isinstance(pooling, str) and not callable(pooling)
    given = list(pooling) if several else [pooling]
    if not given:
        raise ValueError("pooling names nothing to pool segments by.")
    functions: dict[str, Any] = {}
    for entry in given:
        if callable(entry):
            name = getattr(entry, "__name__", type(entry).__name__)
            functions[name if name not in functions else f"{name}{len(functions)}"] = entry
        elif entry in POOLINGS:
            functions[entry] = POOLINGS[entry]
        else:
            raise ValueError(f"pooling has to be a callable or one of {list(POOLINGS)}, got {entry!r}.")
    return functions


def pool_segments(signal, changepoints, functions):
    """One row of features per segment of a signal."""
    bounds = [0, *(int(t) for t in changepoints), len(signal)]
    rows = [np.concatenate(pool_segment(signal[s:e], functions)) for s, e in pairwise(bounds)]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"pooling {list(functions)} gives segments different numbers of features.")
    return np.array(rows)


def pool_segment(segment, functions):
    """Features of a segment of shape (n_frames, n_channels), one vector per function."""
    pooled = [np.asarray(function(segment), dtype=np.float64) for function in functions.values()]
    for name, values in zip(functions, pooled):
        if values.ndim > 1:
            raise ValueError(f"pooling {name!r} has to give a vector or a number, got shape {values.shape}.")
    return [np.atleast_1d(values) for values in pooled]
