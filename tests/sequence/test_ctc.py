"""Paths of transcripts: equal to enumeration of all paths, and to torch."""

from itertools import groupby, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skalign.sequence import ctc_decode, ctc_posterior, forced_align

TOPOLOGIES = ("ctc", "hmm")


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def random_log_probs(rng, T, C):
    return log_softmax(2 * rng.normal(size=(T, C)))


def collapse(path, topology):
    merged = [c for c, _ in groupby(path)]
    return tuple(merged) if topology == "hmm" else tuple(c for c in merged if c != 0)


def hmm_paths(T, labels):
    """Every way to cut T frames into one stretch a label, as positions."""
    for positions in product(range(len(labels)), repeat=T):
        if positions[0] == 0 and positions[-1] == len(labels) - 1 and set(np.diff(positions)) <= {0, 1}:
            yield positions


def all_paths(log_probs, labels, topology):
    """Classes of every path of a transcript, and its log-probability."""
    T, C = log_probs.shape
    if topology == "hmm":
        paths = [[labels[p] for p in positions] for positions in hmm_paths(T, labels)]
    else:
        paths = [path for path in product(range(C), repeat=T) if collapse(path, "ctc") == tuple(labels)]
    return np.array(paths), np.array([log_probs[np.arange(T), path].sum() for path in paths])


def cases(topology, n=140, seed=0):
    """Feasible random cases; repeats and empty transcripts are among them."""
    rng = np.random.default_rng(seed)
    while n:
        T, C, L = rng.integers(1, 7), rng.integers(2, 5), rng.integers(0, 4)
        labels = rng.integers(1 if topology == "ctc" else 0, C, size=L)
        repeats = int((np.diff(labels) == 0).sum())
        if L + repeats * (topology == "ctc") <= T and (L or topology == "ctc"):
            n -= 1
            yield random_log_probs(rng, T, C), labels.tolist()


# --- all paths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_posterior_and_best_path_equal_enumeration(topology):
    kinds = {"empty": 0, "repeats": 0}
    for log_probs, labels in cases(topology):
        kinds["empty"] += not labels
        kinds["repeats"] += any(a == b for a, b in pairwise(labels))
        paths, values = all_paths(log_probs, labels, topology)
        likelihood = np.logaddexp.reduce(values)
        weights = np.exp(values - likelihood)
        occupancy = np.stack([(weights[:, None] * (paths == c)).sum(axis=0) for c in range(log_probs.shape[1])], axis=1)
        posterior = ctc_posterior(log_probs, labels, topology=topology)
        assert_allclose(posterior.log_likelihood, likelihood, rtol=0, atol=1e-12)
        assert_allclose(posterior.occupancy, occupancy, rtol=0, atol=1e-12)
        found = forced_align(log_probs, labels, topology=topology)
        assert_allclose(found.score, values.max(), rtol=0, atol=1e-12)
        assert_array_equal(found.labels, paths[values.argmax()])
        own = found.positions[found.positions >= 0]
        assert_array_equal(np.array(labels, dtype=int)[own], found.labels[found.positions >= 0])
        assert_array_equal(np.unique(own), np.arange(len(labels)))
        assert (np.diff(own) >= 0).all()
    assert kinds["repeats"] > 10
    assert kinds["empty"] > 10 or topology == "hmm"


@pytest.mark.parametrize("blank", [0, 2, 4])
def test_equals_torch_in_value_and_gradient(blank):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(blank)
    classes = [c for c in range(5) if c != blank]
    scores = torch.tensor(rng.normal(size=(6, 12, 5)), requires_grad=True)
    lengths, label_lengths = [12, 11, 10, 12, 3, 12], [4, 3, 5, 0, 1, 5]
    labels = rng.choice(classes, size=(6, 5))
    labels[0, :2] = labels[0, 0]
    log_probs = scores.log_softmax(-1)
    losses = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), torch.tensor(labels), torch.tensor(lengths), torch.tensor(label_lengths),
        blank=blank, reduction="none",
    )  # fmt: skip
    losses.sum().backward()
    found = ctc_posterior(log_probs.detach().numpy(), labels, lengths=lengths, label_lengths=label_lengths, blank=blank)
    assert_allclose([-one.log_likelihood for one in found], losses.detach(), rtol=1e-12)
    for i, one in enumerate(found):
        gradient = np.exp(log_probs[i, : lengths[i]].detach().numpy()) - one.occupancy
        assert_allclose(scores.grad[i, : lengths[i]], gradient, atol=1e-12)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_occupancy_is_the_gradient(topology):
    rng = np.random.default_rng(0)
    log_probs, labels = random_log_probs(rng, 9, 4), [1, 2, 2, 3]
    occupancy = ctc_posterior(log_probs, labels, topology=topology).occupancy
    for t, c in product(range(9), range(4)):
        step = np.zeros((9, 4))
        step[t, c] = 1e-5
        up, down = (ctc_posterior(log_probs + s, labels, topology=topology).log_likelihood for s in (step, -step))
        assert_allclose((up - down) / 2e-5, occupancy[t, c], atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 6), st.sampled_from(TOPOLOGIES))
def test_laws(seed, T, C, topology):
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, T, C)
    labels = rng.integers(1, C, size=rng.integers(1, T + 1))[: T // 2 + 1]
    if len(labels) + (np.diff(labels) == 0).sum() > T:
        labels = labels[:1]
    posterior = ctc_posterior(log_probs, labels, topology=topology)
    assert_allclose(posterior.occupancy.sum(axis=1), 1, rtol=1e-9)
    found = forced_align(log_probs, labels, topology=topology)
    assert found.score <= posterior.log_likelihood + 1e-9
    assert_allclose(found.score, log_probs[np.arange(T), found.labels].sum(), rtol=1e-10)
    # Another constant at every frame changes no path.
    shift = rng.normal(size=(T, 1))
    assert_allclose(
        ctc_posterior(log_probs + shift, labels, topology=topology).occupancy, posterior.occupancy, atol=1e-9
    )


def test_long_signals_neither_underflow_nor_drift():
    rng = np.random.default_rng(0)
    log_probs, labels = random_log_probs(rng, 5000, 40) - 50, rng.integers(1, 40, size=300)
    posterior = ctc_posterior(log_probs, labels)
    assert posterior.log_likelihood < -1e5
    assert_allclose(posterior.occupancy.sum(axis=1), 1, rtol=1e-8)


# --- decoding ---------------------------------------------------------------------------------------------------------


def best_labelling(log_probs, topology):
    totals = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        value = log_probs[np.arange(len(path)), path].sum()
        labels = collapse(path, topology)
        totals[labels] = np.logaddexp(totals.get(labels, -np.inf), value)
    return max(totals.items(), key=lambda item: item[1])


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_full_beam_finds_the_most_probable_transcript(topology):
    rng = np.random.default_rng(0)
    better = 0
    for _ in range(60):
        log_probs = log_softmax(0.5 * rng.normal(size=(rng.integers(1, 7), rng.integers(2, 5))))
        labels, value = best_labelling(log_probs, topology)
        found = ctc_decode(log_probs, "beam", beam_width=5000, topology=topology)
        assert tuple(found.labels) == labels
        assert_allclose(found.log_probability, value, rtol=0, atol=1e-12)
        greedy = ctc_decode(log_probs, topology=topology)
        assert tuple(greedy.labels) == collapse(log_probs.argmax(axis=1), topology)
        assert_allclose(greedy.log_probability, log_probs.max(axis=1).sum())
        better += tuple(greedy.labels) != labels
    assert better > 5  # else the beam has nothing to do


def textbook_beam(log_probs, width):
    """Prefix beam search over a dict of prefixes."""
    beam = {(): (0.0, -np.inf)}
    for frame in log_probs:
        new = {}

        def add(prefix, value, in_label, new=new):
            pair = list(new.get(prefix, (-np.inf, -np.inf)))
            pair[in_label] = np.logaddexp(pair[in_label], value)
            new[prefix] = tuple(pair)

        for prefix, (in_blank, in_label) in beam.items():
            total = np.logaddexp(in_blank, in_label)
            add(prefix, total + frame[0], 0)
            if prefix:
                add(prefix, in_label + frame[prefix[-1]], 1)
            for c in range(1, len(frame)):
                add((*prefix, c), (in_blank if prefix and prefix[-1] == c else total) + frame[c], 1)
        beam = dict(sorted(new.items(), key=lambda item: -np.logaddexp(*item[1]))[:width])
    prefix, pair = next(iter(beam.items()))
    return prefix, np.logaddexp(*pair)


@pytest.mark.parametrize("width", [1, 2, 3, 8, 50])
def test_a_narrow_beam_is_the_textbook_one(width):
    rng = np.random.default_rng(1)
    for _ in range(15):
        log_probs = log_softmax(rng.normal(size=(15, 4)))
        found = ctc_decode(log_probs, "beam", beam_width=width)
        labels, value = textbook_beam(log_probs, width)
        assert tuple(found.labels) == labels
        assert_allclose(found.log_probability, value)
        assert value <= ctc_posterior(log_probs, labels).log_likelihood + 1e-9


@pytest.mark.parametrize("penalty", [0.3, 1.0, 4.0])
def test_switching_path_equals_enumeration(penalty):
    rng = np.random.default_rng(2)
    for _ in range(30):
        log_probs = log_softmax(rng.normal(size=(rng.integers(1, 7), 3)))
        paths = np.array(list(product(range(3), repeat=len(log_probs))))
        values = log_probs[np.arange(len(log_probs)), paths].sum(axis=1)
        values -= penalty * (np.diff(paths, axis=1) != 0).sum(axis=1)
        found = ctc_decode(log_probs, topology="hmm", switch_penalty=penalty)
        assert_allclose(found.log_probability, values.max())
        assert tuple(found.labels) == collapse(paths[values.argmax()], "hmm")


def test_the_penalty_counts_in_the_beam_too():
    rng = np.random.default_rng(3)
    for _ in range(30):
        log_probs = log_softmax(rng.normal(size=(5, 3)))
        totals = {}
        for path in product(range(3), repeat=5):
            labels = collapse(path, "hmm")
            value = log_probs[np.arange(5), path].sum() - 0.7 * (len(labels) - 1)
            totals[labels] = np.logaddexp(totals.get(labels, -np.inf), value)
        found = ctc_decode(log_probs, "beam", beam_width=500, topology="hmm", switch_penalty=0.7)
        assert tuple(found.labels) == max(totals, key=totals.get)
        assert_allclose(found.log_probability, max(totals.values()))


# --- forms of input ---------------------------------------------------------------------------------------------------


def test_lists_padded_arrays_and_single_samples_agree():
    rng = np.random.default_rng(0)
    samples = [random_log_probs(rng, T, 4) for T in (7, 5, 9)]
    labels = [[1, 2], [3], [1, 1, 2]]
    padded, padded_labels = np.full((3, 9, 4), np.nan), np.full((3, 3), -7)
    for i, (own, row) in enumerate(zip(samples, labels)):
        padded[i, : len(own)] = own
        padded_labels[i, : len(row)] = row
    lengths = {"lengths": [7, 5, 9], "label_lengths": [2, 1, 3]}
    for function in (forced_align, ctc_posterior):
        one_by_one = [function(own, row) for own, row in zip(samples, labels)]
        for batch in (function(samples, labels), function(padded, padded_labels, **lengths)):
            for a, b in zip(batch, one_by_one):
                for x, y in zip(a, b):
                    assert_array_equal(x, y)
    for method in ("greedy", "beam"):
        for a, own in zip(ctc_decode(padded, method, lengths=[7, 5, 9]), samples):
            assert_array_equal(a.labels, ctc_decode(own, method).labels)


def test_tensors_in_tensors_out_and_inputs_stay():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    array = random_log_probs(rng, 8, 4)
    kept = array.copy()
    tensor = torch.tensor(array, requires_grad=True)
    for name, found, expected in (
        ("align", forced_align(tensor, torch.tensor([1, 2])), forced_align(array, [1, 2])),
        ("posterior", ctc_posterior(tensor, [1, 2]), ctc_posterior(array, [1, 2])),
        ("decode", ctc_decode(tensor), ctc_decode(array)),
    ):
        for a, b in zip(found, expected):
            assert isinstance(a, torch.Tensor), name
            assert_array_equal(a, b)
    assert ctc_posterior(tensor.float(), [1]).log_likelihood.dtype == torch.float32
    assert ctc_posterior(array.astype(np.float32), [1]).occupancy.dtype == np.float32
    assert_array_equal(array, kept)
    array.setflags(write=False)
    forced_align(array, [1])


# --- bad input --------------------------------------------------------------------------------------------------------


UNIFORM = np.log(np.full((4, 3), 1 / 3))


@pytest.mark.parametrize("function", [forced_align, ctc_posterior])
def test_transcripts_that_do_not_fit_are_refused(function):
    function(UNIFORM, [1, 1, 2])  # exactly fits: three labels and one repeat
    with pytest.raises(ValueError, match=r"^4 frames are too few for 3 labels with 2 adjacent repeats \(of 1\).*5 in"):
        function(UNIFORM, [1, 1, 1])
    with pytest.raises(ValueError, match=r"^sample 1: 4 frames are too few for 5 labels with 0 adjacent repeats: "):
        function([UNIFORM, UNIFORM], [[1], [1, 2, 1, 2, 1]])
    function(UNIFORM, [1, 1, 1, 1], topology="hmm")
    with pytest.raises(ValueError, match="^4 frames are too few for 5 labels: topology='hmm'"):
        function(UNIFORM, [1] * 5, topology="hmm")
    with pytest.raises(ValueError, match="transcript is empty.*topology='ctc' has a blank"):
        function(UNIFORM, [], topology="hmm")
    assert function(UNIFORM, []) is not None


@pytest.mark.parametrize("function", [forced_align, ctc_posterior])
@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([3], {}, "label 3 is no class: log_probs have 3"),
        ([-1], {}, "label -1 is no class"),
        ([0, 1], {}, "transcript holds 0, the class of the blank"),
        (["a"], {}, "whole numbers"),
        ([1.0], {}, "whole numbers"),
        ([[1]], {}, r"shape \(1, 1\)"),
        ([1], {"blank": 3}, "blank must be a class, from 0 to 2"),
        ([1], {"blank": True}, "blank must be a class"),
        ([1], {"topology": "tree"}, r"topology must be one of \['ctc', 'hmm'\]"),
        ([1], {"lengths": [4]}, "lengths belong to padded samples"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_labels_and_parameters(function, labels, options, message):
    with pytest.raises(ValueError, match=message):
        function(UNIFORM, labels, **options)


def test_bad_log_probs():
    nan = UNIFORM.copy()
    nan[1, 1] = np.nan
    with pytest.raises(ValueError, match="sample 1: log_probs hold 1 NaN and 0 "):
        forced_align([UNIFORM, nan], [[1], [1]])
    with pytest.raises(ValueError, match="0 NaN and 4 "):
        ctc_decode(np.where([True, False, False], np.inf, UNIFORM))
    for bad in (np.zeros(3), np.zeros((2, 2, 2, 2))):
        with pytest.raises(ValueError, match="an array of shape"):
            ctc_decode(bad)
    with pytest.raises(ValueError, match="no frame or no class"):
        ctc_decode(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="2 transcripts for 1 samples"):
        forced_align([UNIFORM], [[1], [1]])
    with pytest.raises(ValueError, match="sample 0 has 4 places, so its length cannot be 9"):
        forced_align([UNIFORM], [[1]], lengths=[9])


@pytest.mark.parametrize("function", [forced_align, ctc_posterior])
def test_impossible_log_probs_are_refused_and_possible_zeros_taken(function):
    log_probs = UNIFORM.copy()
    log_probs[:, 1] = -np.inf
    with pytest.raises(ValueError, match="sample 1: the log-probabilities rule every path out"):
        function([UNIFORM, log_probs], [[1], [1]])
    log_probs[2] = [-np.inf, 0, -np.inf]
    found = function(log_probs, [1])
    assert all(np.isfinite(value).all() for value in found)


def test_a_dataframe_is_one_sample_and_a_mapping_none():
    pd = pytest.importorskip("pandas")
    log_probs = random_log_probs(np.random.default_rng(0), 4, 3)
    table = pd.DataFrame(log_probs, columns=["<blank>", "a", "b"])
    assert forced_align(table, [1, 2]).score == forced_align(log_probs, [1, 2]).score
    for wrong in ({"a": log_probs}, "abc"):
        with pytest.raises(ValueError, match="log_probs are an array of shape"):
            forced_align(wrong, [1])


def test_decoding_refuses():
    dead = UNIFORM.copy()
    dead[2] = -np.inf
    for method in ("greedy", "beam"):
        with pytest.raises(ValueError, match="rule every path out"):
            ctc_decode(dead, method)
    for options, message in (
        ({"method": "magic"}, "method"),
        ({"beam_width": 0}, "beam_width"),
        ({"switch_penalty": -1.0, "topology": "hmm"}, "switch_penalty"),
        ({"switch_penalty": 1.0}, "is for topology='hmm'"),
    ):
        with pytest.raises(ValueError, match=message):
            ctc_decode(UNIFORM, **options)
