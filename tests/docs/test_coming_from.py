"""The same task in another library and here: both blocks run, and the answers agree."""

import importlib.util
from pathlib import Path

import pytest

from ._snippets import run_page

PAGES = Path(__file__).parents[2] / "docs" / "coming_from"
NEEDS = {
    "cca_zoo": ["cca_zoo"],
    "open_clip": ["torch", "skorch"],  # the formulas of its losses, written out
    "pot": ["ot"],
    "ruptures": ["ruptures"],
    "scikit_learn": [],
    "tslearn": ["tslearn"],
}


def test_every_page_is_run():
    assert sorted(page.stem for page in PAGES.glob("*.md")) == sorted([*NEEDS, "index"])


SLOW = {"tslearn"}  # compiles its kernels in every process


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NEEDS])
def test_both_sides_agree(name, monkeypatch, tmp_path):
    missing = [module for module in NEEDS[name] if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    run_page(PAGES / f"{name}.md", monkeypatch, tmp_path)
