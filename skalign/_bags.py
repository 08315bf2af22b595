"""Collections of bags: all elements behind each other, and where every bag begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._backend import is_tensor, namespace, to_numpy
from ._input import check_view


@dataclass(frozen=True)
class Bags:
    """Bags of elements of one width, a table whose rows are bags.

    Attributes
    ----------
    elements : array or tensor of shape (n_elements, d)
        All bags behind each other.
    offsets : ndarray of int of shape (n_bags + 1,)
        Where they begin.
    stacked : bool
        Whether they came as one array of shape (n_bags, m, d).
    """

    elements: object
    offsets: np.ndarray
    stacked: bool = False

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, rows):
        """The bags of a slice or of an array of positions."""
        rows = to_numpy(rows) if is_tensor(rows) else rows
        starts, sizes = self.offsets[:-1][rows], self.sizes[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)
        if is_tensor(self.elements):
            positions = namespace(self.elements).asarray(positions, device=self.device)
        return Bags(self.elements[positions], offsets, self.stacked)

    @property
    def shape(self):
        return (len(self),)

    @property
    def device(self):
        return self.elements.device

    @property
    def sizes(self):
        """Number of elements of every bag."""
        return np.diff(self.offsets)

    @property
    def weights(self):
        """Weight of every element where all bags weigh the same, and all elements of a bag: they sum to 1."""
        return np.repeat(1.0 / (self.sizes * len(self)), self.sizes)

    def map(self, function):
        """The same bags with `function` applied to the table of all elements; it keeps the rows."""
        return replace(self, elements=function(self.elements))

    def unpack(self):
        """One array of shape (n_bags, m, d) where the bags came as one, else a list of arrays of shape (m_i, d)."""
        if self.stacked:
            return self.elements.reshape(len(self), -1, self.elements.shape[1])
        return [self.elements[start:stop] for start, stop in zip(self.offsets, self.offsets[1:])]


def read_bags(view, label="", estimator="This aligner"):
    """`Bags` from what a user calls them.

    Parameters
    ----------
    view : array or tensor of shape (n, m, d), list of arrays or tensors of shape (m_i, d), or Bags
        The bags; those that were read already are given back.
    label : str
        Stands before every error, "View 'text': " say.
    estimator : str
        The name for errors.

    Raises
    ------
    ValueError
        For an empty bag, NaN or infinity (with the sample, and how many), and bags of different width.
    """
    if isinstance(view, Bags):
        return view
    stacked = len(getattr(view, "shape", ())) == 3
    name = label.rstrip(": ")
    tables = [
        check_view(bag, label=f"{name}{', ' if name else ''}sample {i}: ", estimator=f"A bag for {estimator}")
        for i, bag in enumerate(view)
    ]
    if not tables:
        raise ValueError(f"{label}Found 0 bags while a minimum of 1 is required by {estimator}.")
    widths = [table.shape[1] for table in tables]
    if (other := next((i for i, width in enumerate(widths) if width != widths[0]), None)) is not None:
        raise ValueError(
            f"{label}the elements of sample {other} have {widths[other]} features, those of sample 0 have {widths[0]}."
        )
    if 0 < sum(map(is_tensor, tables)) < len(tables):
        raise TypeError(f"{label}some bags are tensors and the others are not: bring all into one library.")
    offsets = np.concatenate([[0], np.cumsum([table.shape[0] for table in tables])])
    return Bags(namespace(*tables).concat(tables), offsets, stacked)


def elements_of(table):
    """The elements of bags; any other table as it is."""
    return table.elements if isinstance(table, Bags) else table


def on_elements(function, table):
    """A function of a table applied to the elements of bags, which stay bags, or to any other table itself."""
    return table.map(function) if isinstance(table, Bags) else function(table)


def as_bags(table):
    """`table`, whose rows become bags of one element if it is no `Bags`."""
    return table if isinstance(table, Bags) else Bags(table, np.arange(table.shape[0] + 1))
