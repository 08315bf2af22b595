"""Rows that share the value of a discrete variable."""

from __future__ import annotations

import numpy as np

from .._backend import to_numpy


def parts_of(groups):
    """Rows of every group of two rows or more, as a list of int arrays."""
    groups = to_numpy(groups)
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [part for part in parts if len(part) > 1]


def in_groups(function, A, B, groups):
    """Mean over rows of what ``function(A, B)`` says of the rows of their own group; lone rows are left out.

    Raises
    ------
    ValueError
        When no group has two rows.
    """
    if groups is None:
        return function(A, B)
    parts = parts_of(groups)
    if not parts:
        raise ValueError("Every group has a single row: there is nothing to compare it with.")
    return sum(len(part) * function(A[part], B[part]) for part in parts) / sum(len(part) for part in parts)


def shuffled(groups, n_rows, rng):
    """A random order of the rows that leaves every one in its group."""
    if groups is None:
        return rng.permutation(n_rows)
    order = np.arange(n_rows)
    for part in parts_of(groups):
        order[part] = rng.permutation(part)
    return order
