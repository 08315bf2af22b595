"""What `import skalign` gives, and what it leaves alone."""

import importlib
import inspect
import subprocess
import sys

import pytest

import skalign

HEAVY = ("matplotlib", "numba", "ot", "pandas", "skorch", "torch", "tslearn")
MODULES = (
    "skalign.contrastive",
    "skalign.correlation",
    "skalign.datasets",
    "skalign.information",
    "skalign.metrics",
    "skalign.metrics.association",
    "skalign.metrics.representation",
    "skalign.plotting",
    "skalign.sequence",
    "skalign.temporal",
    "skalign.temporal.changepoints",
    "skalign.transport",
    "skalign.views",
)


def _in_new_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", MODULES)
def test_modules_load_nothing_heavy_that_scikit_learn_does_not(module):
    code = f"""
import sys
import sklearn.base  # recent versions load pandas where it is installed
before = set(sys.modules)
import {module}
print(sorted(set({HEAVY}) & (set(sys.modules) - before)))
"""
    assert _in_new_process(code) == "[]"


def test_top_level_import_loads_nothing_heavy():
    names = ("numpy", "sklearn", *HEAVY)
    assert _in_new_process(f"import sys, skalign; print([name for name in {names} if name in sys.modules])") == "[]"


def test_version():
    assert _in_new_process("import skalign; print(skalign.__version__)") == skalign.__version__ != ""


@pytest.mark.parametrize("name", skalign.__all__)
def test_public_names_import_from_the_top(name):
    assert getattr(skalign, name) is not None
    assert name in dir(skalign)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'DeepFake'"):
        _ = skalign.DeepFake


def _public():
    names = [("skalign", name) for name in skalign.__all__ if not name.startswith("__")]
    return names + [(module, name) for module in MODULES for name in importlib.import_module(module).__all__]


def _public_methods(cls):
    for name, member in vars(cls).items():
        if not name.startswith("_") and callable(getattr(member, "__func__", member)):
            yield name, getattr(member, "__func__", member)


@pytest.mark.parametrize(("module", "name"), _public())
def test_every_public_name_is_documented(module, name):
    thing = getattr(importlib.import_module(module), name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
        return  # a constant: its comment is in the source
    assert thing.__doc__
    assert thing.__doc__.strip()
    if inspect.isclass(thing):
        missing = [method for method, function in _public_methods(thing) if not inspect.getdoc(function)]
        assert not missing, f"{name} has public methods without a docstring: {missing}"


@pytest.mark.parametrize("module", MODULES)
def test_public_lists_hold_public_names_once(module):
    names = importlib.import_module(module).__all__
    assert len(names) == len(set(names))
    assert all(not name.startswith("_") for name in names)
