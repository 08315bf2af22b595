"""Times of rival calls, taken in turn so that whatever else the machine does falls on all of them."""

from __future__ import annotations

import time

import numpy as np


def alternating_medians(*calls, repeats=15):
    """Median seconds of every call.

    Parameters
    ----------
    *calls : callables without parameters
        The rivals.
    repeats : int, default=15
        Rounds; each calls every rival once. One round before them warms up.

    Returns
    -------
    list of float
    """
    times = np.empty((repeats + 1, len(calls)))
    for row in times:
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call()
            row[i] = time.perf_counter() - start
    return np.median(times[1:], axis=0).tolist()
