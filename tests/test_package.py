"""What `import skalign` gives, and what it leaves alone."""

import importlib
import inspect
import subprocess
import sys

import pytest

import skalign

HEAVY = ("matplotlib", "numba", "ot", "pandas", "skorch", "torch", "tslearn")
MODULES = ("skalign.correlation", "skalign.datasets", "skalign.metrics", "skalign.views")


def _in_new_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("imports", ["import skalign", *(f"import {module}" for module in MODULES)])
def test_import_is_light(imports):
    loaded = _in_new_process(f"{imports}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])")
    assert loaded == "[]"


def test_top_level_import_does_not_even_load_numpy():
    assert _in_new_process("import skalign, sys; print('numpy' in sys.modules)") == "False"


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


@pytest.mark.parametrize(("module", "name"), _public(), ids=".".join)
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
def test_public_lists_are_sorted_and_without_doubles(module):
    names = importlib.import_module(module).__all__
    assert len(names) == len(set(names))
    assert all(not name.startswith("_") for name in names)
