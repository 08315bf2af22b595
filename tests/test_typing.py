"""Public signatures are annotated, and type checkers see them."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import matplotlib.axes
import pytest

import skalign

from .test_package import _public

ROOT = Path(skalign.__file__).parent.parent
# What annotations name that is imported for type checkers alone.
NAMES = {"Axes": matplotlib.axes.Axes, "ByView": skalign.ByView, "Views": skalign.Views}
# Modules whose classes are not annotated yet.
OPEN = (
    "skalign.contrastive._factorized",
    "skalign.contrastive._factorized_training",
)


def _functions(thing):
    """Of a public name: itself, or the constructor, public methods and properties of a class and of its bases here."""
    if inspect.isroutine(thing):
        yield inspect.unwrap(thing)
    elif inspect.isclass(thing):
        for base in thing.__mro__:
            if not base.__module__.startswith("skalign."):
                continue
            for name, member in vars(base).items():
                for wrapper in ("fget", "__func__", "fn"):  # property, classmethod, scikit-learn's available_if
                    member = getattr(member, wrapper, member)
                if inspect.isfunction(member) and (name == "__init__" or not name.startswith("_")):
                    yield inspect.unwrap(member)


FUNCTIONS = {
    f"{function.__module__}.{function.__qualname__}": function
    for module, name in _public()
    for function in _functions(getattr(importlib.import_module(module), name))
    if function.__module__ not in OPEN
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_public_signature_is_annotated(name):
    function = FUNCTIONS[name]
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    missing = [p.name for p in parameters if p.annotation is p.empty]
    assert not missing, f"{name} has parameters without a type: {missing}"
    assert signature.return_annotation is not signature.empty, f"{name} does not say what it returns"
    typing.get_type_hints(function, localns=NAMES)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_defaults_are_of_the_type_that_is_named(name):
    hints = typing.get_type_hints(FUNCTIONS[name], localns=NAMES)
    for parameter in inspect.signature(FUNCTIONS[name]).parameters.values():
        if parameter.default is not parameter.empty:
            assert _holds(hints[parameter.name], parameter.default), parameter


def _holds(hint, value):
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is typing.Any or isinstance(hint, typing.TypeVar):
        return True
    if origin is typing.Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if arguments and origin in (typing.Union, type(int | str)):
        return any(_holds(one, value) for one in arguments)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def test_type_checkers_see_the_public_names():
    tree = ast.parse((ROOT / "skalign" / "__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: f"skalign.{node.module}" for node in imports if node.module for alias in node.names}
    modules = {alias.name for node in imports if not node.module for alias in node.names}
    assert homes == skalign._HOMES
    assert modules == set(skalign._MODULES)
    assert all(alias.asname == alias.name for node in imports for alias in node.names)  # so they are exported


def test_the_marker_for_type_checkers_is_there():
    assert (ROOT / "skalign" / "py.typed").exists()


SCRIPT = """
import numpy as np

import skalign
from skalign import ByView, Domains, DTWAligner, Fuse, OTAligner, PerView, ProcrustesAligner, Views
from skalign.metrics import recall_at_k
from skalign.temporal import dtw

X, Y = np.zeros((8, 3)), np.zeros((8, 2))
views = Views(image=X, words=["a"] * 8)
names: list[str] = views.names
shape: tuple[int, int] = views.shape

aligner: ProcrustesAligner = ProcrustesAligner(n_components=2, widths="pca").fit(X, Y)
value: float = aligner.score(X, Y)
recall: float = recall_at_k(X, X, k=5, direction="both")
distance: float = dtw(X, Y, window=("itakura", 2.0)).distance
plan = OTAligner(method="exact").set_output(transform="pandas").fit(Domains(source=X, target=Y))
scaled: Views = PerView({"image": "passthrough"}, n_jobs=2).fit_transform(views)
fused = Fuse("concat").fit_transform(views)
skalign.show_versions()

ProcrustesAligner(widths="crop")  # error: arg-type
ProcrustesAligner(n_component=2)  # error: call-arg
ProcrustesAligner().fit(3, Y)  # error: arg-type
DTWAligner(open_end="yes")  # error: arg-type
recall_at_k(X, X, direction="up")  # error: arg-type
dtw(X, Y).path_length  # error: attr-defined
text: str = views.shape  # error: assignment
Domains(source=X).frobnicate()  # error: attr-defined
PerView([("image", "drop")])  # error: arg-type
skalign.Procustes  # error: attr-defined
"""


def test_a_typed_script(tmp_path):
    pytest.importorskip("mypy")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--follow-imports=silent"]
    command += ["--ignore-missing-imports", "--no-pretty", f"--cache-dir={tmp_path / 'cache'}", str(script)]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout
    found = {int(line): code for line, code in re.findall(r"script\.py:(\d+): error: .*\[([\w-]+)\]$", out, re.M)}
    lines = enumerate(SCRIPT.splitlines(), start=1)
    assert found == {i: line.split("# error: ")[1] for i, line in lines if "# error: " in line}, out
