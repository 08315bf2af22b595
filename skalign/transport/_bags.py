"""Bags: samples that are collections of elements themselves."""

from __future__ import annotations

import numpy as np

from .._backend import is_tensor


def holds_bags(view):
    """Whether the elements of a view are bags of shape (m_i, d), and not rows of a table."""
    shape = getattr(view, "shape", None)
    if shape is not None and not (isinstance(view, np.ndarray) and view.dtype == object):
        return len(shape) == 3
    return len(view) > 0 and (np.ndim(view[0]) == 2 if not is_tensor(view[0]) else view[0].ndim == 2)
