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
FAMILY = "tokens and transcripts"

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
    return np.array(rows)


def record(bench, what, values, bars, uniform=None):
    """The mean stands in the table; bars hold for every seed."""
    peers = None if uniform is None else {"equal parts": uniform.mean()}
    bench.record(what, values.mean(), size=f"{len(SEEDS)} seeds", peers=peers, bars=bars)


def test_ctc_reads_but_does_not_cut(strips, bench):
    error, inside, overlap, _, cut_overlap, _, uniform = results(strips, "ctc", ("viterbi", "midpoint")).T
    record(bench, "CTCAligner('ctc'): label error", error, {"at most 0.10": (error <= 0.10).all()})
    record(bench, "CTCAligner('ctc'): centre inside", inside, {"at least 0.95": (inside >= 0.95).all()})
    # What the documentation says of CTC:
    record(bench, "CTCAligner('ctc'): span IoU", overlap, {"at most 0.3": (overlap <= 0.3).all()}, uniform)
    better = {"0.05 above equal parts": (cut_overlap > uniform + 0.05).all()}
    record(bench, "CTCAligner('ctc'): span IoU, cut half-way", cut_overlap, better, uniform)


def test_hmm_cuts(strips, bench):
    error, inside, overlap, uniform_inside, uniform = results(strips, "hmm", ("viterbi",)).T
    record(bench, "CTCAligner('hmm'): label error", error, {})
    for name, values, least, parts in (
        ("span IoU", overlap, 0.68, uniform),
        ("centre inside", inside, 0.88, uniform_inside),
    ):
        bars = {
            f"at least {least}": (values >= least).all(),
            "0.05 above equal parts": (values > parts + 0.05).all(),
        }
        record(bench, f"CTCAligner('hmm'): {name}", values, bars, parts)
