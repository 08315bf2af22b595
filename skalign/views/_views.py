"""Paired data: one table whose columns are modalities."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from typing import Any

import numpy as np

from .._typing import Rows, Self
from ._rows import RowTable, n_rows, one_row_per_sample, select_rows


def check_view_names(names):
    """Raise unless every name can stand in ``step__parameter__name``."""
    for name in names:
        if not isinstance(name, str) or not name or "__" in name:
            raise ValueError(f"A view is named by a non-empty string without a double underscore, not by {name!r}.")


class Views(RowTable):
    """Several modalities of the same samples, behind one row index.

    A table whose columns are modalities and whose rows are samples. scikit-learn splits it like any array, so it
    passes through ``train_test_split``, every splitter, ``GridSearchCV`` and ``Pipeline`` as ``X``, and ``y`` stays
    free for labels or groups.

    Parameters
    ----------
    views : mapping of str to view, optional
        The views by name.
    **named_views
        The same as keyword arguments. A view is whatever holds one entry per sample: an array of any dimension, a
        sparse matrix, a DataFrame, a torch tensor, a list of strings, a list of arrays of different lengths, or a
        `Precomputed` kernel. Nothing is copied or converted.

    Attributes
    ----------
    names : list of str
        Names of the views, in the order given.
    shape : tuple of int
        ``(n_samples, n_views)``.

    Raises
    ------
    ValueError
        When the views differ in length (both are named), when there is none, or when one is a bare string or mapping.

    See Also
    --------
    Domains : Two collections that nobody paired.
    PerView : Preprocess every view in its own way.

    Notes
    -----
    ``views["text"]`` is the view itself, ``views[["text", "image"]]`` and ``views[rows]`` are Views. A single int
    gives one row. ``numpy.asarray(views)`` and looping raise TypeError, because any answer would be wrong silently.
    scikit-learn's Bagging, ``Stacking*(passthrough=True)``, ``ColumnTransformer`` and ``permutation_importance`` need
    one array and do not take Views.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import train_test_split
    >>> from skalign import Views
    >>> views = Views(image=np.zeros((4, 3, 3)), text=["a cat", "a dog", "a cow", "an owl"])
    >>> views.shape, views.names
    ((4, 2), ['image', 'text'])
    >>> views[2:]["text"]
    ['a cow', 'an owl']
    >>> train, test = train_test_split(views, test_size=1, random_state=0)
    >>> test
    Views(n_samples=1, image=ndarray (1, 3, 3), text=list)
    """

    _not_an_array = (
        "use PerView before an ordinary transformer, Fuse after an aligner, or views['name'] for one of them; "
        "otherwise this tool does not take Views"
    )

    def __init__(self, views: Mapping[str, Rows] | None = None, /, **named_views: Rows) -> None:
        if views is not None and not isinstance(views, Mapping):
            raise ValueError(f"Views are named: Views(image=..., text=...) or a mapping, not a {type(views).__name__}.")
        views = {**(views or {}), **named_views}
        if not views:
            raise ValueError("Views needs at least one view: Views(image=..., text=...).")
        check_view_names(views)
        self._views = {name: one_row_per_sample(view, f"View {name!r}") for name, view in views.items()}
        lengths = {name: n_rows(view) for name, view in self._views.items()}
        first, n_samples = next(iter(lengths.items()))
        for name, length in lengths.items():
            if length != n_samples:
                raise ValueError(
                    f"Views must hold the same samples, but {first!r} has {n_samples} rows and {name!r} has {length}. "
                    "Views.join matches tables by a key; Domains holds collections that are not paired; one recording "
                    f"of each is Views({first}=[a], {name}=[b])."
                )
        self._n_samples = n_samples

    @classmethod
    def join(cls, tables: Mapping[str, Any], on: str) -> Self:
        """Views from DataFrames whose rows are keyed instead of ordered.

        Parameters
        ----------
        tables : mapping of str to DataFrame or Series
            One pandas DataFrame for each view, or a Series with the key as its index. Text vectorizers want the
            Series: ``texts.set_index("id")["text"]``.
        on : str
            The column, or the name of the index, that identifies a sample in every table.

        Returns
        -------
        Views
            The samples found in all tables, in the order of the first. The key becomes the index of every view.

        Raises
        ------
        ValueError
            When a key is missing or occurs twice within a table, or when no key is in all tables.
        TypeError
            When `tables` is no mapping, or `on` a list.

        Examples
        --------
        >>> import pandas as pd
        >>> from skalign import Views
        >>> left = pd.DataFrame({"id": ["a", "b", "c"], "height": [1.0, 2.0, 3.0]})
        >>> right = pd.DataFrame({"id": ["c", "a"], "name": ["cow", "ant"]})
        >>> Views.join({"measure": left, "label": right}, on="id")["label"]["name"].tolist()
        ['ant', 'cow']
        """
        if not isinstance(tables, Mapping):
            raise TypeError(f"Views.join takes a dict of tables by view name, not a {type(tables).__name__}.")
        if isinstance(on, list):
            raise TypeError(f"Views.join matches by one key: make {on} one column, of tuples say.")
        keyed = {}
        for name, table in tables.items():
            table = table if table.index.name == on else _index_by(table, on, name)
            if table.index.hasnans:
                raise ValueError(f"Table {name!r} has {table.index.isna().sum()} rows without a value of {on!r}.")
            if not table.index.is_unique:
                twice = table.index[table.index.duplicated()][0]
                raise ValueError(f"Table {name!r} has more than one row with {on} = {twice!r}; a sample has one.")
            keyed[name] = table
        if not keyed:
            raise ValueError("Views.join needs at least one table.")
        first, *others = (table.index for table in keyed.values())
        shared = first[np.logical_and.reduce([first.isin(index) for index in others], initial=True)]
        if len(shared) == 0:
            types = {name: str(table.index.dtype) for name, table in keyed.items()}
            hint = f" Its types differ: {types}." if len(set(types.values())) > 1 else ""
            raise ValueError(f"No value of {on!r} occurs in all of the tables {list(keyed)}.{hint}")
        return cls({name: table.loc[shared] for name, table in keyed.items()})

    @property
    def names(self) -> list[str]:
        return list(self._views)

    @property
    def shape(self) -> tuple[int, int]:
        return self._n_samples, len(self._views)

    def __len__(self) -> int:
        return self._n_samples

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._views:
                raise KeyError(f"No view is named {key!r}; the views are {self.names}.")
            return self._views[key]
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            return Views({name: self[name] for name in key})
        return super().__getitem__(key)

    def _take_rows(self, rows):
        return Views({name: select_rows(view, rows) for name, view in self._views.items()})

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and view."""
        return self._views.items()

    def __repr__(self):
        views = ", ".join(f"{name}={_describe(view)}" for name, view in self._views.items())
        return f"Views(n_samples={len(self)}, {views})"


def _index_by(table, on, name):
    if not hasattr(table, "columns"):
        raise ValueError(
            f"Table {name!r} has no columns, so its index has to be named {on!r}: it is the key to join on."
        )
    if on not in table.columns:
        raise ValueError(f"Table {name!r} has no column {on!r} to join on; its columns are {list(table.columns)}.")
    return table.set_index(on)


def _describe(view):
    shape = getattr(view, "shape", None)
    return type(view).__name__ if shape is None else f"{type(view).__name__} {tuple(shape)}"
