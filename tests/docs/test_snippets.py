"""The code of the pages runs, and prints what it is said to print."""

from pathlib import Path

import pytest

from ._snippets import run_page

DOCS = Path(__file__).parents[2] / "docs"
NOT_HERE = {"_build", "auto_examples", "coming_from"}
NOT_RUN = {"scale"}  # they speak of several processes and machines
PAGES = sorted(
    page
    for page in DOCS.glob("**/*.md")
    if not NOT_HERE & set(page.relative_to(DOCS).parts)
    and page.stem not in NOT_RUN
    and "```python\n" in page.read_text(encoding="utf-8")
)
NEEDS = {
    "emergent": ["matplotlib"],
    "contrast": ["torch", "skorch"],
    "ctc": ["torch", "skorch"],
    "order": ["torch", "skorch"],
    "shared_and_unique": ["torch", "skorch"],
    "shared_information": ["torch", "skorch"],
    "paired_data": ["pandas"],
    "scale_devices": ["torch"],
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs(page, monkeypatch, tmp_path):
    for module in NEEDS.get(page.stem, []):
        pytest.importorskip(module)
    names = run_page(page, monkeypatch, tmp_path)
    CHECKS.get(page.stem, lambda names: None)(names)


def _check_emergent(names):
    assert names["best"].layers == (0, 1)  # the inputs, and the layer that holds them
    assert names["result"].threshold == max(names["result"].baseline)
    assert set(names["search"].best_params_) == {"n_components", "shrinkage"}
    assert names["display"].figure_ is not None


def _check_assignment(names):
    assert [matches.tolist() for matches in names["matched"]] == [[4, 3, 2, 1, 0], [2, 1, 0], [5, 4, 3, 2, 1, 0]]


def _check_latent_pairing(names):
    assert (names["order"][names["found"].matches_] == names["np"].arange(200)).mean() > 0.99


def _check_ctc(names):
    assert [len(own) for own in names["spans"]] == [3] * 20


# What a page says of its results in words.
CHECKS = {
    "assignment": _check_assignment,
    "ctc": _check_ctc,
    "emergent": _check_emergent,
    "latent_pairing": _check_latent_pairing,
}


def test_a_wrong_output_is_noticed(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\n>>> 1 + 1\n3\n\n```\n")
    with pytest.raises(AssertionError, match="Expected"):
        run_page(page, monkeypatch, tmp_path)
