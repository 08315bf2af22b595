"""The two examples of emergent alignment show what their texts say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def output_of(example, folder):
    command = [sys.executable, str(ROOT / "examples" / example)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert not result.stderr, result.stderr
    return result.stdout


def numbers_of(output, label):
    """The numbers in the line that begins with `label`."""
    line = next(line for line in output.splitlines() if line.startswith(label))
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line[len(label) :])]


@pytest.mark.slow
def test_alignment_rises_with_competence(tmp_path):
    output = output_of("plot_emergent_alignment.py", tmp_path)
    assert (tmp_path / "emergent_alignment.png").stat().st_size > 10_000
    trained, mixed, random = (
        numbers_of(output, pair) for pair in ("classifier, classifier", "classifier, random", "random, random")
    )
    assert min(trained) > 0.75
    assert max(mixed + random) < 0.75
    courses = numbers_of(output, "with classifiers")
    assert courses[0] > 0.7
    assert min(courses[1:4]) > 0.9
    first, last = (numbers_of(output, f"classifier, 64 wide, epoch {epoch} ")[1] for epoch in (1, 150))
    assert first < 0.05
    assert last > 0.4
    grown = numbers_of(output, "random nets, mutual kNN")
    assert grown == sorted(grown)


@pytest.mark.slow
def test_names_and_colours_are_aligned_a_little_and_not_matched(tmp_path):
    output = output_of("plot_names_and_colors_alignment.py", tmp_path)
    assert (tmp_path / "names_and_colors_alignment.png").stat().st_size > 10_000
    score, chance, pvalue, *_ = numbers_of(output, "letters                  949  mutual kNN")
    assert chance < 0.02 < score < 0.3
    assert pvalue < 0.01
    share, error, matched, true, significant = numbers_of(output, "names and colours")
    assert share < 0.025 + 4 * error < 0.1
    assert matched > true
    assert significant > 0.9
