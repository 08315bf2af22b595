"""Paths of transcripts beside a loop over frames in numpy, and beside torch."""

import numpy as np
import pytest

from skalign.sequence import ctc_posterior, forced_align

pytestmark = pytest.mark.slow
FAMILY = "tokens and transcripts"

T, L, C = 1000, 100, 50
SIZE = f"{T:,} frames, {L} labels, {C} classes"


def make_case(seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(T, C))
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return log_probs, rng.integers(1, C, size=L)


def loop_over_frames(log_probs, labels):
    """Viterbi with all states of a frame at once in numpy: the best path without compiling anything."""
    states = np.zeros(2 * len(labels) + 1, dtype=int)
    states[1::2] = labels
    skips = np.full(len(states), -np.inf)
    skips[3::2] = np.where(labels[1:] != labels[:-1], 0.0, -np.inf)
    row = np.full(len(states), -np.inf)
    row[:2] = log_probs[0, states[:2]]
    steps = np.zeros((len(log_probs), len(states)), dtype=np.int8)
    for t in range(1, len(log_probs)):
        sources = np.full((3, len(states)), -np.inf)
        sources[0], sources[1, 1:], sources[2, 2:] = row, row[:-1], row[:-2]
        sources[2] += skips
        steps[t] = sources.argmax(axis=0)
        row = sources.max(axis=0) + log_probs[t, states]
    s = len(states) - 1 - int(row[-2] > row[-1])
    score, path = row[s], np.empty(len(log_probs), dtype=int)
    for t in range(len(log_probs) - 1, -1, -1):
        path[t] = states[s]
        s -= int(steps[t, s])
    return path, score


def loop_over_cells(log_probs, labels):
    """The same a cell at a time."""
    states = [0]
    for label in labels.tolist():
        states += [label, 0]
    rows, S = log_probs.tolist(), len(states)
    row = [rows[0][c] if s < 2 else -np.inf for s, c in enumerate(states)]
    for frame in rows[1:]:
        new = []
        for s in range(S):
            value = row[s]
            if s and row[s - 1] > value:
                value = row[s - 1]
            if s > 1 and states[s] and states[s] != states[s - 2] and row[s - 2] > value:
                value = row[s - 2]
            new.append(value + frame[states[s]])
        row = new
    return max(row[-2:])


@pytest.mark.usefixtures("quick")
def test_forced_align_under_15_ms_and_faster_than_loops(bench):
    log_probs, labels = make_case()

    def same_path(ours, theirs):
        path, score = theirs
        np.testing.assert_allclose(ours.score, score)
        np.testing.assert_allclose(log_probs[np.arange(T), path].sum(), score)

    bench.compare(
        "forced_align",
        lambda: forced_align(log_probs, labels),
        {
            "numpy by frame": lambda: loop_over_frames(log_probs, labels),
            "Python by cell": lambda: loop_over_cells(log_probs, labels),
        },
        size=SIZE,
        same={
            "numpy by frame": same_path,
            "Python by cell": lambda ours, score: np.testing.assert_allclose(ours.score, score),
        },
        bars={"numpy by frame": 10},
        at_most=0.015,
    )


@pytest.mark.usefixtures("quick")
def test_posterior_beside_torch(bench, optional):
    torch = optional("torch")
    log_probs, labels = make_case()
    if torch is not None:
        tensor = torch.tensor(log_probs[:, None], requires_grad=True)
        targets, lengths = torch.tensor(labels)[None], (torch.tensor([T]), torch.tensor([L]))

    def by_torch():
        loss = torch.nn.functional.ctc_loss(tensor, targets, *lengths, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, tensor)
        return float(loss.detach()), gradient

    def same(ours, theirs):
        loss, gradient = theirs
        np.testing.assert_allclose(-ours.log_likelihood, loss)
        np.testing.assert_allclose(np.exp(log_probs) - ours.occupancy, gradient[:, 0], atol=1e-10)

    bench.compare(
        "ctc_posterior, beside value and gradient",
        lambda: ctc_posterior(log_probs, labels),
        {"torch": torch and by_torch},
        size=SIZE,
        same=same,
        bars={"torch": 1 / 3},
    )
