"""Every public name has a page in the reference, and a docstring that keeps to numpydoc."""

import ast
import importlib
import inspect
import re
from dataclasses import is_dataclass

import pytest

from ._public import listed, public, resolve

LISTED = listed()
CHECKS = {
    "GL03": "no double blank lines",
    "GL05": "no tabs",
    "GL06": "no section that numpydoc does not know",
    "GL07": "sections in numpydoc's order",
    "GL08": "a docstring",
    "GL09": "a deprecation where it belongs",
    "SS01": "a summary",
    "SS06": "on one line",
    "PR01": "every parameter documented",
    "PR02": "and none that there is not",
    "PR03": "in the order of the signature",
    "PR05": "types without a period",
    "PR06": "types by their names in Python",
    "PR09": "descriptions that end with a period",
    "PR10": "a space before the colon",
    "RT01": "what is returned",
    "RT05": "descriptions of it that end with a period",
    "YD01": "what is yielded",
}
# Nets share the paragraphs on their training, which stand together and not where the signature has them.
_ORDERED_BY_TOPIC = {
    "skalign.CTCAligner",
    "skalign.ContrastiveAligner",
    "skalign.DeepCCA",
    "skalign.FactorizedContrastiveAligner",
    "skalign.MutualInformation",
    "skalign.OrderAligner",
}


@pytest.mark.parametrize(("module", "name"), public())
def test_every_public_name_is_listed(module, name):
    thing = getattr(importlib.import_module(module), name)
    assert any(resolve(full) is thing for full in LISTED), f"{module}.{name} is not in docs/reference/index.rst"


def test_every_name_has_one_page():
    things = [id(resolve(full)) for full in LISTED]
    assert len(things) == len(set(things))


def _described():
    """Public classes and functions, and the methods that classes of the package define."""
    for full in LISTED:
        thing = resolve(full)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            yield full
        if inspect.isclass(thing):
            for name, member in inspect.getmembers(thing, callable):
                if not name.startswith("_") and (getattr(member, "__module__", None) or "").startswith("skalign"):
                    yield f"{full}.{name}"


@pytest.mark.parametrize("full", sorted(_described()))
def test_documented_defaults_are_those_of_the_signature(full):
    owner, name = full.rsplit(".", 1)
    thing = resolve(full) if full in LISTED else getattr(resolve(owner), name)
    documented = re.findall(r"^(\w[\w, ]*) : .*default=(.+)$", inspect.getdoc(thing) or "", re.MULTILINE)
    parameters = inspect.signature(thing).parameters if documented else {}
    for name, text in ((name, text) for names, text in documented for name in names.split(", ")):
        default = parameters[name].default
        try:
            expected = ast.literal_eval(text)
        except (ValueError, SyntaxError):  # the name of a function
            expected, default = text, getattr(default, "__name__", default)
        assert expected == default, f"{full}: {name} is documented as {text}, and is {default!r}"


def _exempt(full, code, found):
    is_method = full not in LISTED
    if code in ("PR01", "RT01") and is_method and "\n" not in found["docstring"].strip():
        return True  # a method that one sentence describes
    if code == "PR01" and not is_method and (hasattr(resolve(full), "_fields") or is_dataclass(resolve(full))):
        return True  # the fields of a record are documented as its attributes
    return code == "PR03" and full in _ORDERED_BY_TOPIC


@pytest.mark.parametrize("full", sorted(_described()))
def test_docstrings_keep_to_numpydoc(full):
    validate = pytest.importorskip("numpydoc.validate").validate
    found = validate(full)
    complaints = [f"{code} ({CHECKS[code]}): {text}" for code, text in found["errors"] if code in CHECKS]
    complaints = [text for text in complaints if not _exempt(full, text[:4], found)]
    assert not complaints, "\n".join(complaints)
