"""Unpaired data: collections with nothing in common but the wish to be aligned."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from typing import Any

import numpy as np

from .._typing import ArrayLike, Rows, Self
from ._rows import RowTable, n_rows, one_row_per_sample, select_rows
from ._views import check_view_names


class Domains(RowTable):
    """Collections that nobody paired, unequal in number, behind one row index.

    Every row is remembered as (domain, position), so that splitters, shuffles and subsets keep each row with its
    label in ``y``. The domains are interleaved in proportion to their sizes: a contiguous, unshuffled fold
    sees all of them.

    Parameters
    ----------
    domains : mapping of str to rows, optional
        The collections by name.
    **named_domains
        The same as keyword arguments, customarily ``source=`` and ``target=``. Any container that a view of `Views`
        may be; numbers of rows, widths and types may differ.

    Attributes
    ----------
    names : list of str
        Names of the domains, in the order given; the first is what aligners carry over to the second.
    domain : ndarray of shape (n_rows,)
        The name of the domain of every row.
    shape : tuple of int
        ``(n_rows, n_domains)``.

    See Also
    --------
    Views : Several modalities of the same samples.

    Notes
    -----
    ``y`` on Domains is either labels (-1 for unknown) or pair ids (-1 for unknown, equal ids are one pair), as the
    estimator says; `Domains.stack` puts one ``y`` per domain into the order of the rows. Pairs are held out whole by
    ``GroupKFold`` on their ids.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import Domains
    >>> domains = Domains(source=np.arange(4.0).reshape(4, 1), target=np.zeros((2, 3)))
    >>> domains.domain.tolist()
    ['source', 'target', 'source', 'source', 'target', 'source']
    >>> Domains.stack(source=[1, 2, 3, 4], target=[-1, -1]).tolist()
    [1, -1, 2, 3, -1, 4]
    >>> domains[::-1]["source"].ravel().tolist()
    [3.0, 2.0, 1.0, 0.0]
    """

    _not_an_array = (
        "its rows belong to different domains; use domains['name'] for one of them, or Fuse after an aligner that "
        "brought them into one space"
    )

    def __init__(self, domains: Mapping[str, Rows] | None = None, /, **named_domains: Rows) -> None:
        if domains is not None and not isinstance(domains, Mapping):
            raise ValueError(
                f"Domains are named: Domains(source=..., target=...) or a mapping, not a {type(domains).__name__}."
            )
        domains = {**(domains or {}), **named_domains}
        if not domains:
            raise ValueError("Domains needs at least one domain: Domains(source=..., target=...).")
        check_view_names(domains)
        self._rows = {name: one_row_per_sample(rows, f"Domain {name!r}") for name, rows in domains.items()}
        self._codes = _interleave({name: n_rows(rows) for name, rows in self._rows.items()})

    @classmethod
    def _of(cls, rows, codes):
        new = cls.__new__(cls)
        new._rows, new._codes = rows, codes
        return new

    @staticmethod
    def stack(domains: Mapping[str, ArrayLike] | None = None, /, **named_domains: ArrayLike) -> np.ndarray:
        """One ``y`` in row order from one ``y`` per domain.

        Parameters
        ----------
        domains : mapping of str to array of shape (n_domain_rows, ...), optional
            A label or pair id for every row of each domain, by the names given to `Domains`, in any order;
            ``numpy.full(len(B), -1)`` where nothing is known.
        **named_domains
            The same as keyword arguments.

        Returns
        -------
        ndarray of shape (n_rows, ...)
        """
        parts = {name: np.asarray(part) for name, part in {**(domains or {}), **named_domains}.items()}
        if not parts:
            raise ValueError("Domains.stack needs a y of at least one domain: Domains.stack(source=..., target=...).")
        if any(part.ndim == 0 for part in parts.values()):
            raise ValueError("Domains.stack takes one value for every row: numpy.full(len(B), -1) instead of -1.")
        order = np.argsort(_interleave({name: len(part) for name, part in parts.items()}), kind="stable")
        kinds, common = {part.dtype.kind for part in parts.values()}, np.result_type(*parts.values())
        if len(kinds) > 1 and (common.kind in "US" or (common.kind == "f" and kinds <= {"i", "u"})):
            common = np.dtype(object)  # -1 would become a string, and long ids floats that are no longer theirs
        stacked = np.concatenate([part.astype(common) for part in parts.values()])
        out = np.empty_like(stacked)
        out[order] = stacked
        return out

    @property
    def names(self) -> list[str]:
        return list(self._rows)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._codes), len(self._rows)

    @property
    def domain(self) -> np.ndarray:
        return np.asarray(self.names)[self._codes]

    def __len__(self) -> int:
        return len(self._codes)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            self._code(key)
            return self._rows[key]
        return super().__getitem__(key)

    def rows(self, name: str) -> np.ndarray:
        """Positions in this container of the rows of domain `name`, in the order of ``domains[name]``."""
        return np.flatnonzero(self._codes == self._code(name))

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and rows."""
        return self._rows.items()

    def replace(self, **named_domains: Rows) -> Self:
        """The same rows in the same order with the contents of some domains exchanged.

        Parameters
        ----------
        **named_domains
            New rows for a domain, as many as it has.

        Returns
        -------
        Domains
        """
        new = {name: one_row_per_sample(rows, f"Domain {name!r}") for name, rows in named_domains.items()}
        for name, rows in new.items():
            if n_rows(rows) != len(self.rows(name)):
                raise ValueError(f"Domain {name!r} has {len(self.rows(name))} rows, not {n_rows(rows)}.")
        return self._of({**self._rows, **new}, self._codes)

    def _code(self, name):
        if name not in self._rows:
            raise KeyError(f"No domain is named {name!r}; the domains are {self.names}.")
        return self.names.index(name)

    def _take_rows(self, rows):
        codes = self._codes[rows]
        selected = {}
        for code, (name, content) in enumerate(self._rows.items()):
            position = np.cumsum(self._codes == code) - 1  # of every row within this domain
            selected[name] = select_rows(content, position[rows][codes == code])
        return self._of(selected, codes)

    def __repr__(self):
        sizes = ", ".join(f"{name}={n_rows(rows)}" for name, rows in self._rows.items())
        return f"Domains(n_rows={len(self)}, {sizes})"


def _interleave(sizes):
    """Domain codes of all rows, each domain spread evenly over the whole; names settle who comes first, not order."""
    place = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes.values()])
    codes = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    alphabet = np.argsort(np.argsort(list(sizes)))
    return codes[np.lexsort((alphabet[codes], place))]
