"""Constructor parameters that differ between views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._typing import Self


class ByView:
    """One value of a parameter for each view, by name, every one of which can be searched.

    Parameters
    ----------
    **values
        The value for each view.

    Notes
    -----
    A plain mapping does the same where nothing is searched. ``ByView`` has ``get_params`` and ``set_params``, so that
    scikit-learn's search classes reach inside: ``{"cca__shrinkage__image": [0.01, 0.1]}``.

    Examples
    --------
    >>> from skalign import CCA, ByView
    >>> cca = CCA(shrinkage=ByView(image=0.1, text=0.01))
    >>> cca.set_params(shrinkage__image=0.5).shrinkage
    ByView(image=0.5, text=0.01)
    """

    def __init__(self, /, **values: Any) -> None:
        self._values = values

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The values by view, and with ``deep`` the parameters of values that have some."""
        params = dict(self._values)
        if deep:
            for name, value in self._values.items():
                if hasattr(value, "get_params") and not isinstance(value, type):
                    params.update({f"{name}__{key}": inner for key, inner in value.get_params().items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Change the values of some views.

        Parameters
        ----------
        **params
            Values by view; ``image__n_components=5`` reaches into the value of a view.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a view that has no value yet: a misspelt name must not pass. For a parameter of a value that has none.
        """
        for key, value in params.items():
            name, _, inner = key.partition("__")
            if name not in self._values:
                raise ValueError(f"ByView has no view {name!r}; it has {list(self._values)}.")
            if inner:
                if not hasattr(self._values[name], "set_params"):
                    raise ValueError(f"The value of view {name!r}, {self._values[name]!r}, has no parameter {inner!r}.")
                self._values[name].set_params(**{inner: value})
            else:
                self._values[name] = value
        return self

    def __eq__(self, other):
        return isinstance(other, ByView) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self):
        return f"ByView({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


def by_view(value, names, parameter):
    """`value` for each view: the same for all, or matched by name from a mapping or `ByView`.

    Parameters
    ----------
    value : object, mapping or ByView
        What the user passed.
    names : list of str
        The views.
    parameter : str
        What to call it in an error.

    Returns
    -------
    dict of str to object

    Raises
    ------
    ValueError
        When a name is no view, or a view has no value.
    """
    if isinstance(value, ByView):
        value = value.get_params(deep=False)
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    if unknown := [name for name in value if name not in names]:
        raise ValueError(f"{parameter} names {unknown}, which are no views; the views are {list(names)}.")
    if missing := [name for name in names if name not in value]:
        raise ValueError(f"{parameter} has no value for the views {missing}.")
    return {name: value[name] for name in names}
