"""Labels learnt from transcripts: what comes out, what is refused, and how it lives among scikit-learn's tools."""

import json
import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skalign import PerView, Views
from skalign.sequence import CTCAligner, Span, ctc_decode, ctc_posterior

torch = pytest.importorskip("torch")

TOPOLOGIES = ("ctc", "hmm")
SMALL = {"hidden_layer_sizes": (16,), "kernel_size": 7, "learning_rate": 0.02, "max_epochs": 60, "random_state": 0}


def play(word, rng):
    """Noisy frames of three features: one for each of the letters, none in the gaps before and behind."""
    parts = []
    for letter in word:
        parts += [np.zeros((rng.integers(0, 3), 3)), np.tile(np.eye(3)["abc".index(letter)], (rng.integers(3, 7), 1))]
    frames = np.concatenate([*parts, np.zeros((rng.integers(1, 3), 3))])
    return frames + 0.1 * rng.normal(size=frames.shape)


def make_words(n, seed=0, *, repeats=True):
    rng = np.random.default_rng(seed)
    words = []
    while len(words) < n:
        word = "".join(rng.choice(list("abc"), size=rng.integers(1, 5)))
        if repeats or all(a != b for a, b in pairwise(word)):
            words.append(word)
    return [play(word, rng) for word in words], [list(word) for word in words]


def make_aligner(topology="ctc", **options):
    return CTCAligner(topology, **(SMALL | options))


@pytest.fixture(scope="module", params=TOPOLOGIES)
def fitted(request):
    X, y = make_words(60, repeats=request.param == "ctc")
    return make_aligner(request.param).fit(X, y)


@pytest.fixture(scope="module")
def words():
    return make_words(40, seed=1, repeats=False)


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_reads_new_sequences(fitted, words):
    X, y = words
    assert fitted.score(X, y) > 0.95
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert fitted.n_features_in_ == 3
    assert fitted.receptive_field_ == 7
    beam = clone(fitted).set_params(decode="beam", max_epochs=1)
    vars(beam).update({name: value for name, value in vars(fitted).items() if name not in fitted.get_params()})
    assert beam.score(X, y) > 0.95


def test_log_posteriors_are_those_that_decoding_starts_from(fitted, words):
    X, _ = words
    arrays = fitted.transform(X)
    blanks = int(fitted.topology == "ctc")
    assert [array.shape for array in arrays] == [(len(x), 3 + blanks) for x in X]
    for array in arrays:
        assert_allclose(np.exp(array).sum(axis=1), 1)
    decoded = ctc_decode(arrays, topology=fitted.topology, switch_penalty=fitted.switch_penalty_)
    assert [[fitted.classes_[c - blanks] for c in one.labels] for one in decoded] == fitted.predict(X)
    names = fitted.get_feature_names_out().tolist()
    assert names == ["<blank>"] * blanks + ["a", "b", "c"]


def test_a_sequence_comes_out_the_same_alone(fitted, words):
    X, _ = words
    for x, together in zip(X, fitted.transform(X)):
        assert_allclose(fitted.transform([x])[0], together, rtol=1e-10, atol=1e-12)


def test_padding_changes_nothing_in_training():
    """The loss of a padded batch is that of its sequences one by one."""
    from skalign._nets import ViewNets
    from skalign.sequence._transcript_training import PaddedSequences, TranscriptLoss, build_frame_net

    X, y = make_words(7)
    columns = [np.array(["abc".index(letter) + 1 for letter in word]) for word in y]
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in X])])
    frames = torch.as_tensor(np.concatenate(X)).float()
    architecture = {"hidden_layer_sizes": (5, 5), "kernel_size": 5, "input_noise": 0.3}
    for topology in TOPOLOGIES:
        net = build_frame_net("frame_convolutions", 3, 4, architecture)
        module = ViewNets({"frames": net}, TranscriptLoss(topology)).eval()
        rows = PaddedSequences(frames, offsets, columns, np.arange(7))
        batch, _ = rows[:]
        together = module.objective.total(module(batch), batch)
        alone = [ctc_posterior(*one, topology=topology).log_likelihood for one in zip(map(net_out(net), X), columns)]
        assert_allclose(float(together.detach()), -sum(alone), rtol=1e-5)
        gradients = torch.autograd.grad(together, list(net.parameters()))
        parts = 0.0
        for i in range(7):
            batch, _ = rows[np.array([i])]
            parts = parts + torch.autograd.grad(module.objective.total(module(batch), batch), net.layers[0].weight)[0]
        assert_allclose(gradients[0], parts, rtol=1e-3, atol=1e-4)


def net_out(net):
    return lambda x: net(torch.as_tensor(x).float()[None]).log_softmax(-1)[0].detach().double().numpy()


@pytest.mark.parametrize("boundaries", ["viterbi", "midpoint"])
def test_spans(fitted, words, boundaries):
    X, y = words
    spans = fitted.align(X, y, boundaries)
    assert all(isinstance(span, Span) for own in spans for span in own)
    assert [[span.label for span in own] for own in spans] == y
    for x, own, log_posteriors in zip(X, spans, fitted.transform(X)):
        assert all(span.start < span.end for span in own)
        assert all(a.end <= b.start for a, b in pairwise(own))
        assert all(span.log_prob <= 0 for span in own)
        whole = fitted.topology == "hmm" or boundaries == "midpoint"
        if whole:
            assert own[0].start == 0
            assert own[-1].end == len(x)
            assert all(a.end == b.start for a, b in pairwise(own))
        if boundaries == "viterbi":
            column = [fitted.get_feature_names_out().tolist().index(span.label) for span in own]
            means = [log_posteriors[s.start : s.end, c].mean() for s, c in zip(own, column)]
            assert_allclose([span.log_prob for span in own], means)
    segments = fitted.predict_segments(X, boundaries)
    assert [[span.label for span in own] for own in segments] == fitted.predict(X)
    assert segments == fitted.align(X, fitted.predict(X), boundaries)


def test_spans_find_the_letters():
    X, y = make_words(60, repeats=False)
    rng = np.random.default_rng(5)
    x = np.repeat(np.eye(3)[[2, 0, 1]], [6, 3, 5], axis=0) + 0.1 * rng.normal(size=(14, 3))
    aligner = make_aligner("hmm").fit(X, y)
    cuts = [span.end for span in aligner.align([x], ["cab"])[0]]
    assert_allclose(cuts, [6, 9, 14], atol=1)


def test_equal_neighbours_are_told_apart():
    X, y = make_words(60)
    rng = np.random.default_rng(5)
    for topology in TOPOLOGIES:
        aligner = make_aligner(topology).fit(X, y)
        x = play("aab", rng)
        spans = aligner.align([x], ["aab"], "midpoint")[0]
        assert [span.label for span in spans] == ["a", "a", "b"]
        assert all(a.end <= b.start for a, b in pairwise(spans))


def test_score_counts_edits(fitted, words):
    X, _ = words
    predicted = fitted.predict(X)
    assert fitted.score(X, predicted) == 1.0
    worse = [["z", *word] for word in predicted]  # a label never seen, in every transcript
    total = sum(map(len, worse))
    assert_allclose(fitted.score(X, worse), 1 - len(X) / total)
    assert_allclose(fitted.score(X, [[] for _ in X]), 1 - sum(map(len, predicted)))


@pytest.mark.parametrize(
    "labels",
    [[10, 20, 30], ["x", "y", "z"], [(0, "x"), (0, "y"), (1, "x")], [None, 1, "one"], [0.5, 1.5, 2.5]],
    ids=["int", "str", "tuple", "mixed", "float"],
)
def test_labels_of_any_kind(labels):
    X, y = make_words(40)
    y = [[labels["abc".index(letter)] for letter in word] for word in y]
    aligner = make_aligner(max_epochs=30).fit(X, y)
    assert set(aligner.classes_.tolist()) == set(labels)
    assert {label for word in aligner.predict(X) for label in word} <= set(labels)
    assert aligner.score(X, y) > 0.5
    assert [[span.label for span in own] for own in aligner.align(X[:3], y[:3])] == y[:3]


def test_scalars_of_numpy_and_torch_are_the_labels_they_hold():
    X, _ = make_words(4)
    y = [[torch.tensor(1), torch.tensor(2)], [np.int64(1)], [1, 2], [np.float32(2.0)]]
    aligner = make_aligner(max_epochs=1).fit(X, y)
    assert aligner.classes_.tolist() == [1, 2]
    assert {type(label) for row in aligner.predict(X) for label in row} <= {int}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_topology_that_is_set_later_waits_for_the_next_fit(topology):
    X, y = make_words(8, repeats=False)
    aligner = make_aligner(topology, max_epochs=2).fit(X, y)
    before = aligner.predict(X), aligner.align(X, y), aligner.get_feature_names_out().tolist()
    other = TOPOLOGIES[topology == "ctc"]
    aligner.set_params(topology=other)
    assert (aligner.predict(X), aligner.align(X, y), aligner.get_feature_names_out().tolist()) == before
    assert ("<blank>" in aligner.fit(X, y).get_feature_names_out()) == (other == "ctc")


def test_views_go_through_perview():
    X, y = make_words(4)
    views = Views(sound=X, other=np.arange(4.0)[:, None])
    out = PerView({"sound": make_aligner(max_epochs=1)}).fit(views, y).transform(views)
    assert [len(own) for own in out["sound"]] == [len(own) for own in X]


def test_strings_arrays_and_tensors_as_transcripts():
    X, y = make_words(20)
    reference = make_aligner(max_epochs=2).fit(X, y).transform(X)
    for form in (["".join(word) for word in y], [tuple(word) for word in y], [np.array(word) for word in y]):
        assert_array_equal(make_aligner(max_epochs=2).fit(X, form).transform(X)[0], reference[0])
    codes = [["abc".index(letter) for letter in word] for word in y]
    aligner = make_aligner(max_epochs=2).fit(X, [torch.tensor(word) for word in codes])
    assert aligner.classes_.tolist() == [0, 1, 2]


# --- forms of sequences -----------------------------------------------------------------------------------------------


def test_float32_tensors_and_arrays(fitted, words):
    X, _ = words
    assert {a.dtype for a in fitted.transform(X)} == {np.dtype(np.float64)}
    small = fitted.transform([x.astype(np.float32) for x in X])
    assert {a.dtype for a in small} == {np.dtype(np.float32)}
    assert_allclose(small[0], fitted.transform(X)[0], atol=1e-3)
    tensors = fitted.transform([torch.as_tensor(x) for x in X])
    assert all(isinstance(a, torch.Tensor) and a.dtype == torch.float64 for a in tensors)
    assert_array_equal(tensors[0], fitted.transform(X)[0])
    stacked = np.stack([X[0][:3], X[1][:3]])
    assert_allclose(fitted.transform(stacked)[1], fitted.transform([X[1][:3]])[0])


def test_univariate_series():
    rng = np.random.default_rng(0)
    y = [rng.choice(list("ab"), size=3).tolist() for _ in range(40)]
    X = [np.repeat([1.0 if letter == "a" else -1.0 for letter in word], 4) * np.r_[0, [1] * 11] for word in y]
    aligner = make_aligner().fit(X, y)
    assert aligner.n_features_in_ == 1
    assert aligner.fit(np.stack(X), y).transform(np.stack(X))[0].shape == (12, 3)


def test_inputs_stay_as_they_are():
    X, y = make_words(20)
    kept, kept_y = [x.copy() for x in X], [list(word) for word in y]
    for x in X:
        x.setflags(write=False)
    make_aligner(max_epochs=2).fit(X, y).align(X, y)
    for a, b in zip(X, kept):
        assert_array_equal(a, b)
    assert y == kept_y


def test_set_output(fitted, words):
    pd = pytest.importorskip("pandas")
    frames = clone(fitted).set_params(max_epochs=1).set_output(transform="pandas").fit(*words).transform(words[0])
    assert all(isinstance(frame, pd.DataFrame) for frame in frames)
    assert frames[0].columns.tolist() == fitted.get_feature_names_out().tolist()


# --- nets -------------------------------------------------------------------------------------------------------------


class Recurrent(torch.nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.recurrent = torch.nn.GRU(n_features, 8, batch_first=True)
        self.out = torch.nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.out(self.recurrent(X)[0])


@pytest.mark.parametrize("encoder", ["linear", Recurrent, Recurrent(3, 4)], ids=["linear", "factory", "module"])
def test_encoders(encoder):
    X, y = make_words(60)
    aligner = make_aligner(encoder=encoder).fit(X, y)
    assert aligner.score(X, y) > 0.6
    assert aligner.receptive_field_ == (7 if encoder == "linear" else None)
    if isinstance(encoder, torch.nn.Module):
        assert all(parameter.device.type == "cpu" for parameter in encoder.parameters())
    again = pickle.loads(pickle.dumps(aligner))
    assert_array_equal(again.transform(X)[0], aligner.transform(X)[0])


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Recurrent(3, 9), r"must give \(2, 32, 4\).*blank of CTC included.*\(2, 32, 9\)"),
        (Recurrent(5, 4), "encoder failed on frames"),
        (lambda d, c: None, "gave a NoneType, not a torch module"),
        ("mlp", "'encoder' parameter"),
    ],
    ids=["outputs", "width", "nothing", "name"],
)
def test_encoders_that_do_not_fit(encoder, message):
    with pytest.raises(ValueError, match=message):
        make_aligner(encoder=encoder).fit(*make_words(10))


def test_linear_net_sees_its_kernel_and_no_more():
    X, y = make_words(20)
    aligner = make_aligner(encoder="linear", kernel_size=5, max_epochs=2).fit(X, y)
    x = np.zeros((15, 3))
    changed = x.copy()
    changed[7] += 5
    differs = (aligner.transform([x])[0] != aligner.transform([changed])[0]).any(axis=1)
    assert_array_equal(np.flatnonzero(differs), np.arange(5, 10))
    conv = make_aligner(hidden_layer_sizes=(4, 4), kernel_size=5, max_epochs=2).fit(X, y)
    assert conv.receptive_field_ == 9
    differs = (conv.transform([x])[0] != conv.transform([changed])[0]).any(axis=1)
    assert set(np.flatnonzero(differs)) <= set(range(3, 12))


# --- training ---------------------------------------------------------------------------------------------------------


def test_repeats_bit_for_bit_and_leaves_global_generators_alone():
    X, y = make_words(30)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = make_aligner(max_epochs=5).fit(X, y)
    assert_array_equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert_array_equal(make_aligner(max_epochs=5).fit(X, y).transform(X)[0], first.transform(X)[0])
    assert not np.allclose(make_aligner(max_epochs=5, random_state=1).fit(X, y).transform(X)[0], first.transform(X)[0])


def test_early_stopping_outlasts_the_plateau_of_blanks(strips):
    """A few steps an epoch: for many epochs nothing but blanks comes out, and no label is read."""
    from skorch.callbacks import Callback

    X, y, _ = strips.make_strips(60, 0)
    blanks = []

    class Read(Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            self.batch, _ = X[:]

        def on_epoch_end(self, net, **kwargs):
            best = net.module_.eval()(self.batch)["frames"].argmax(-1)
            inside = torch.arange(best.shape[1]) < self.batch["lengths"][:, None]
            blanks.append(float((best[inside] == 0).float().mean()))

    aligner = CTCAligner(
        hidden_layer_sizes=(32,), kernel_size=15, learning_rate=5e-3, max_epochs=60, early_stopping=True,
        validation_fraction=0.2, n_iter_no_change=10, callbacks=[Read()], random_state=0,
    ).fit(X, y)  # fmt: skip
    assert sum(share > 0.995 for share in blanks) > 10  # the patience
    assert aligner.score(X, y) > 0.5
    assert len(aligner.validation_scores_) == len(aligner.loss_curve_) == aligner.n_iter_


def test_held_frames_start_at_equal_shares():
    from skalign.sequence._transcript_training import PaddedSequences, TranscriptLoss

    log_probs = torch.randn(2, 7, 3).log_softmax(-1)
    rows = PaddedSequences(torch.zeros(12, 1), np.array([0, 7, 12]), [np.array([1, 0]), np.array([2])], np.arange(2))
    batch, _ = rows[:]
    objective = TranscriptLoss("hmm", flat_epochs=2)
    objective.at_epoch(1)
    shares = [
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 1),
        (0, 3, 1),
        (0, 4, 0),
        (0, 5, 0),
        (0, 6, 0),
        *((1, t, 2) for t in range(5)),
    ]
    expected = -sum(float(log_probs[place]) for place in shares) / 3
    assert_allclose(float(objective({"frames": log_probs}, batch)), expected, rtol=1e-5)
    objective.at_epoch(2)
    likelihoods = [
        ctc_posterior(log_probs[i, :n].double(), labels, topology="hmm").log_likelihood
        for i, (n, labels) in enumerate([(7, [1, 0]), (5, [2])])
    ]
    assert_allclose(float(objective({"frames": log_probs}, batch)), -float(sum(likelihoods)) / 3, rtol=1e-5)


def test_warm_start_goes_on():
    X, y = make_words(30)
    aligner = make_aligner(max_epochs=5, warm_start=True).fit(X, y)
    first = list(aligner.loss_curve_)
    aligner.fit(X, y)
    assert aligner.n_iter_ == 10
    assert aligner.loss_curve_[:5] == first
    assert np.mean(aligner.loss_curve_[5:]) < np.mean(first)
    with pytest.raises(ValueError, match="sample 0: the label 'q' was not seen at fit"):
        aligner.fit(X, [["q"] for _ in X])
    with pytest.raises(ValueError, match="2 features"):
        aligner.fit([x[:, :2] for x in X], y)


def test_a_checkpoint_resumes(tmp_path):
    from skorch.callbacks import Callback

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise RuntimeError("stop")

    X, y = make_words(30)
    with pytest.raises(RuntimeError, match="stop"):
        make_aligner(max_epochs=6, checkpoint=tmp_path, callbacks=[Stop()]).fit(X, y)
    (saved,) = tmp_path.iterdir()
    resumed = make_aligner(max_epochs=6, checkpoint=tmp_path).fit(X, y)
    assert not saved.exists()
    assert_array_equal(resumed.transform(X)[0], make_aligner(max_epochs=6).fit(X, y).transform(X)[0])


@pytest.mark.gpu
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_trains_on_cuda(topology):
    X, y = make_words(60, repeats=topology == "ctc")
    aligner = make_aligner(topology, device="cuda").fit(X, y)
    assert aligner.score(X, y) > 0.9
    tensors = aligner.transform([torch.as_tensor(x, device="cuda") for x in X])
    assert tensors[0].device.type == "cuda"
    assert_allclose(
        tensors[0].cpu(), pickle.loads(pickle.dumps(aligner)).set_params(device="cpu").transform(X)[0], atol=1e-6
    )


# --- among scikit-learn's tools ---------------------------------------------------------------------------------------


def test_grid_search_splits_and_pipelines():
    X, y = make_words(40)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    pipe = make_pipeline(FunctionTransformer(_halved), make_aligner(max_epochs=25))
    search = GridSearchCV(pipe, {"ctcaligner__topology": ["ctc", "hmm"]}, cv=2, n_jobs=2, error_score="raise")
    search.fit(X_train, y_train)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X_test, y_test) > 0.5
    assert len(search.predict(X_test)) == len(X_test)
    assert cross_val_score(make_aligner(max_epochs=5), X, y, cv=2).shape == (2,)


def _halved(X):
    return [x / 2 for x in X]


def test_clone_and_repr():
    aligner = make_aligner("hmm", device=None, switch_penalty=3.0)
    assert clone(aligner).get_params() == aligner.get_params()
    assert "topology='hmm'" in repr(aligner)
    assert not vars(aligner).keys() - aligner.get_params().keys()
    X, y = make_words(10, repeats=False)
    assert aligner.set_params(max_epochs=1).fit(X, y) is aligner
    assert aligner.switch_penalty_ == 3.0
    assert len(aligner.fit_transform(X, y)) == len(X)


LOAD = """
import json, pickle, sys
aligners, X = pickle.load(open(sys.argv[1], "rb"))
print(json.dumps([[a.tolist() for a in aligner.transform(X)] for aligner in aligners]))
"""


def test_pickle_in_a_fresh_process(words, tmp_path):
    X, y = words
    aligners = [make_aligner(topology, max_epochs=2).fit(X, y) for topology in TOPOLOGIES]
    path = tmp_path / "aligners.pkl"
    path.write_bytes(pickle.dumps((aligners, X[:3])))
    done = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for arrays, aligner in zip(json.loads(done.stdout), aligners):
        for a, b in zip(arrays, aligner.transform(X[:3])):
            assert_allclose(a, b, rtol=1e-12)


def test_skops_round_trip(fitted, words):
    sio = pytest.importorskip("skops.io")
    data = sio.dumps(fitted)
    loaded = sio.loads(data, trusted=sio.get_untrusted_types(data=data))
    assert loaded.predict(words[0]) == fitted.predict(words[0])


def test_importing_the_package_loads_no_torch():
    code = "import sys, skalign.sequence; print('torch' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- bad input --------------------------------------------------------------------------------------------------------


def test_transcripts_that_do_not_fit_are_refused():
    X, y = make_words(10, repeats=False)
    X[3], y[3] = X[3][:5], ["a", "a", "b", "b"]
    with pytest.raises(
        ValueError, match=r"^sample 3: 5 frames are too few for 4 labels with 2 adjacent repeats \(of 'a'"
    ):
        make_aligner().fit(X, y)
    X[3] = np.concatenate([X[3], X[3][:1]])
    aligner = make_aligner(max_epochs=1).fit(X, y)  # six frames hold four labels and two blanks
    with pytest.raises(ValueError, match="^sample 1: 2 frames are too few for 3 labels with 0"):
        aligner.align([X[0], X[1][:2]], [y[0], "abc"])
    y[5] = []
    aligner.fit(X, y)  # empty transcripts are legal
    assert aligner.align(X, y)[5] == []
    with pytest.raises(ValueError, match="^sample 5: the transcript is empty.*topology='hmm'"):
        make_aligner("hmm").fit(X, y)
    y[5], X[5], y[5] = ["a"], X[5][:2], list("abc")
    with pytest.raises(ValueError, match="^sample 5: 2 frames are too few for 3 labels: topology='hmm'"):
        make_aligner("hmm").fit(X, y)


def test_bad_sequences():
    X, y = make_words(10)
    bad = [x.copy() for x in X]
    bad[2][0, 0] = np.nan
    with pytest.raises(ValueError, match="1 NaN and 0 inf, first in sequence 2"):
        make_aligner().fit(bad, y)
    with pytest.raises(ValueError, match="sequence 4 is empty"):
        make_aligner().fit([*X[:4], X[4][:0], *X[5:]], y)
    with pytest.raises(ValueError, match="constant"):
        make_aligner().fit([np.ones_like(x) for x in X], y)
    aligner = make_aligner(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="2 features, but CTCAligner is expecting 3"):
        aligner.transform([x[:, :2] for x in X])
    with pytest.raises(ValueError, match="NaN"):
        aligner.predict(bad)


@pytest.mark.parametrize(
    ("transcripts", "error", "message"),
    [
        (None, ValueError, "requires y to be passed, but the target y is None"),
        ("abc", ValueError, "y is a str"),
        ([["a"]], ValueError, "inconsistent numbers of samples"),
        ([1, 2, 3, 4], ValueError, "sample 0: the transcript is 1, not a sequence"),
        ([["a"], [["b"]], ["a"], ["b"]], TypeError, "sample 1: labels must be hashable"),
        ([["a"], ["b"], [float("nan")], ["b"]], ValueError, "sample 2: the transcript holds NaN"),
        ([[], [], [], []], ValueError, "All transcripts are empty"),
    ],
    ids=["none", "str", "count", "flat", "unhashable", "nan", "empty"],
)
def test_bad_transcripts(transcripts, error, message):
    X, _ = make_words(4)
    with pytest.raises(error, match=message):
        make_aligner().fit(X, transcripts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topology": "rnn"}, "'topology' parameter"),
        ({"kernel_size": 4}, "kernel_size must be odd"),
        ({"kernel_size": 0}, "'kernel_size' parameter"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"activation": "step"}, "activation"),
        ({"standardize": True}, "'standardize' parameter"),
        ({"decode": "magic"}, "'decode' parameter"),
        ({"beam_width": 0}, "'beam_width' parameter"),
        ({"switch_penalty": -1}, "'switch_penalty' parameter"),
        ({"learning_rate": 0.0}, "'learning_rate' parameter"),
        ({"learning_rate_schedule": "steps"}, "learning_rate_schedule"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        make_aligner(**options).fit(*make_words(10))


def test_other_bad_calls():
    X, y = make_words(10)
    aligner = make_aligner(max_epochs=1)
    with pytest.raises(NotFittedError):
        aligner.predict(X)
    with pytest.raises(TypeError, match=r"Views of \['a', 'b'\]: .* Pass views\['a'\], or put CTCAligner into PerView"):
        aligner.fit(Views(a=X, b=X), y)
    aligner.fit(X, y)
    with pytest.raises(TypeError, match="takes one collection of sequences"):
        aligner.predict(Views(a=X))
    with pytest.raises(ValueError, match="boundaries must be one of"):
        aligner.align(X, y, boundaries="spikes")
    with pytest.raises(ValueError, match="sample 0: the label 'q' was not seen"):
        aligner.align(X, [["q"] for _ in X])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        aligner.score(X, y[:3])


def test_a_fit_that_is_refused_leaves_the_last_one(words):
    X, y = make_words(20)
    aligner = make_aligner(max_epochs=3).fit(X, y)
    expected = aligner.transform(X)[0]
    with pytest.raises(ValueError, match="too few"):
        aligner.fit(X, [["a"] * 99 for _ in X])
    with pytest.raises(FloatingPointError, match="smaller learning_rate"):
        aligner.set_params(learning_rate=1e30).fit(X, y)
    assert_array_equal(aligner.transform(X)[0], expected)


# --- the task ---------------------------------------------------------------------------------------------------------


def test_strips_of_digits(strips):
    """A small version of tests/benchmarks/test_ctc_quality.py."""
    X, y, _ = strips.make_strips(120, 0)
    X_test, y_test, true = strips.make_strips(60, 1000, train=False)
    uniform = strips.span_quality(strips.uniform_spans(X_test, y_test), true)
    options = {"hidden_layer_sizes": (32, 32), "learning_rate": 4e-3, "max_epochs": 50, "random_state": 0}
    ctc = CTCAligner(**options).fit(X, y)
    assert ctc.score(X_test, y_test) > 0.75
    peaky, cut = (
        strips.span_quality(strips.frames_of(ctc.align(X_test, y_test, b)), true) for b in ("viterbi", "midpoint")
    )
    hmm = CTCAligner("hmm", **options).fit(X, y)
    held = strips.span_quality(strips.frames_of(hmm.align(X_test, y_test)), true)
    print(f"\nuniform {uniform}, ctc {peaky}, midpoint {cut}, hmm {held}")
    assert peaky[1] < 0.3 < uniform[1]  # CTC says where, not from where to where
    assert cut[1] > uniform[1] + 0.02
    assert held[1] > uniform[1] + 0.08
    assert held[0] > uniform[0]
