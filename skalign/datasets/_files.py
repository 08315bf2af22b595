"""Files that ship beside the loaders."""

from __future__ import annotations

from importlib import resources


def data_file(name):
    """A data file of the package, as a path or something that opens like one."""
    return resources.files("skalign.datasets").joinpath("data", name)


def description(name):
    """The text that goes with a data set: what it is, its source, its licence."""
    return data_file(f"{name}.rst").read_text(encoding="utf-8")
