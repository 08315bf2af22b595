"""What the reference lists, and what there is to list."""

import importlib
import re
from pathlib import Path

import skalign

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "index.rst"
MODULES = (
    *(f"skalign.{name}" for name in skalign.__all__ if name in skalign._MODULES),
    "skalign.contrastive.losses",
    "skalign.metrics.association",
    "skalign.metrics.representation",
    "skalign.temporal.changepoints",
)


def listed():
    """Full names in the tables of autosummary, of data and of modules, sorted."""
    names, module, in_table = [], None, False
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\.\. (py:module|currentmodule):: (\S+)", line):
            module = match[2]
            names += [module] if match[1] == "py:module" else []
        elif match := re.fullmatch(r"\.\. py:data:: (\S+)", line):
            names.append(f"{module}.{match[1]}")
        elif line.startswith(".. autosummary::"):
            in_table = True
        elif in_table and (match := re.fullmatch(r"   (\w+)", line)):
            names.append(f"{module}.{match[1]}")
        elif line and not line.startswith(" "):
            in_table = False
    return sorted(names)


def public():
    """(module, name) of everything public."""
    names = [("skalign", name) for name in skalign.__all__ if not name.startswith("__")]
    for module in MODULES:
        home = importlib.import_module(module)
        own = [name for name, thing in vars(home).items() if getattr(thing, "__module__", "") == module]
        names += [(module, name) for name in getattr(home, "__all__", own) if not name.startswith("_")]
    return names


def resolve(full):
    """The thing of a full name."""
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError:
        module, _, name = full.rpartition(".")
        return getattr(importlib.import_module(module), name)
