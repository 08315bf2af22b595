"""Links between pages lead somewhere. The build checks them too; this needs no Sphinx."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"_build", "auto_examples", "generated"}
PAGES = sorted(
    [page for page in DOCS.glob("**/*.md") if not GENERATED & set(page.relative_to(DOCS).parts)]
    + [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _anchors(page):
    """The names that headings get: lower case, words joined by hyphens."""
    titles = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def _exists(page, target):
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if found == DOCS / "benchmarks.md" and DOCS in page.parents:
        return False  # no page of the site: measured.md shows it
    if found.parent == DOCS / "auto_examples":  # made from an example when the pages are built
        return found.stem == "index" or (ROOT / "examples" / f"{found.stem}.py").exists()
    if found.parent == DOCS / "auto_examples" / "images":
        example = re.fullmatch(r"sphx_glr_(plot_\w+)_\d{3}\.png", found.name)
        return bool(example) and (ROOT / "examples" / f"{example[1]}.py").exists()
    return found.exists() and (not anchor or anchor in _anchors(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    broken = [link for link in _LINK.findall(text) if not link.startswith("http") and not _exists(page, link)]
    assert not broken


def test_every_chapter_is_in_the_guide():
    index = (DOCS / "guide" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^.+ <(\w+)>$", index, re.MULTILINE))
    assert {page.stem for page in (DOCS / "guide").glob("*.md")} - {"index"} == listed
