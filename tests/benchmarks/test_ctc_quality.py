"""Reading and cutting strips of digits of unequal widths, beside cutting them into equal parts.

The settings are the defaults, chosen on strips for training alone; strips for testing hold images that no strip for
training holds.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from skalign.sequence import CTCAligner

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def strips():
    path = Path(__file__).parents[1] / "sequence" / "_strips.py"
    spec = importlib.util.spec_from_file_location("_strips", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def results(strips, topology, boundaries):
    """Label error, and centre inside and span IoU of every way to cut, by seed."""
    rows = []
    for seed in SEEDS:
        X, y, _ = strips.make_strips(600, seed)
        X_test, y_test, true = strips.make_strips(300, 1000 + seed, train=False)
        aligner = CTCAligner(topology, random_state=seed).fit(X, y)
        cuts = [strips.frames_of(aligner.align(X_test, y_test, kind)) for kind in boundaries]
        cuts.append(strips.uniform_spans(X_test, y_test))
        rows.append([1 - aligner.score(X_test, y_test), *(q for c in cuts for q in strips.span_quality(c, true))])
        names = ["label error", *(f"{kind} {q}" for kind in (*boundaries, "uniform") for q in ("inside", "IoU"))]
        print(f"\n{topology}, seed {seed}: " + ", ".join(f"{n} {v:.3f}" for n, v in zip(names, rows[-1])))
    return np.array(rows)


def test_ctc_reads_but_does_not_cut(strips):
    error, inside, overlap, _, cut_overlap, _, uniform_overlap = results(strips, "ctc", ("viterbi", "midpoint")).T
    assert (error <= 0.10).all()
    assert (inside >= 0.95).all()
    assert (overlap <= 0.3).all()  # what the documentation says of CTC
    assert (cut_overlap > uniform_overlap + 0.05).all()


def test_hmm_cuts(strips):
    _, inside, overlap, uniform_inside, uniform_overlap = results(strips, "hmm", ("viterbi",)).T
    assert (overlap >= 0.68).all()
    assert (inside >= 0.88).all()
    assert (overlap > uniform_overlap + 0.05).all()
    assert (inside > uniform_inside + 0.05).all()
