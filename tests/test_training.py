"""Training of nets: repeatable, resumable, stopped in time, and told apart from what went wrong."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skalign import ContrastiveAligner, DeepCCA, Views

torch = pytest.importorskip("torch")
from skorch.callbacks import Callback  # noqa: E402

NETS = {
    "DeepCCA": DeepCCA(3, hidden_layer_sizes=(16,), max_epochs=8, dropout=0.2, input_noise=0.1, random_state=0),
    "Contrastive": ContrastiveAligner(
        3, hidden_layer_sizes=(16,), max_epochs=8, batch_size=64, dropout=0.2, input_noise=0.1, random_state=0
    ),
}


def make_views(n=300, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3))
    X = np.tanh(shared @ rng.normal(size=(3, 6))) + 0.1 * rng.normal(size=(n, 6))
    Y = shared @ rng.normal(size=(3, 5)) + 0.1 * rng.normal(size=(n, 5))
    return Views(a=X, b=Y)


@pytest.fixture
def views():
    return make_views()


@pytest.fixture(params=list(NETS))
def aligner(request):
    return clone(NETS[request.param])


def weights(aligner):
    return {
        f"{name}.{key}": W for name, encoder in aligner.encoders_.items() for key, W in encoder.net_.weights.items()
    }


def assert_same_weights(a, b):
    for (name, one), (other_name, other) in zip(weights(a).items(), weights(b).items()):
        assert name == other_name
        assert_array_equal(one, other)


# --- randomness -----------------------------------------------------------------------------------------------------


def test_repeats_bit_for_bit_and_leaves_global_generators_alone(aligner, views):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = clone(aligner).fit(views)
    assert_array_equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.manual_seed(6)
    assert_same_weights(first, clone(aligner).fit(views))
    torch.rand(7)
    first.transform(views)
    pickle.loads(pickle.dumps(first)).transform(views)
    assert not np.allclose(
        first.transform(views)["a"], aligner.set_params(random_state=1).fit(views).transform(views)["a"]
    )


# --- going on -------------------------------------------------------------------------------------------------------


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
import torch
torch.set_num_threads(1)
from test_training import NETS, make_views
from skorch.callbacks import Callback

class Kill(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == 5:
            os.kill(os.getpid(), signal.SIGKILL)

NETS[sys.argv[1]].set_params(checkpoint=sys.argv[2], callbacks=[Kill()]).fit(make_views())
"""


@pytest.mark.parametrize("stopping", [True, False])
@pytest.mark.parametrize("name", list(NETS))
def test_a_killed_fit_resumes_to_the_same_weights(name, stopping, views, tmp_path):
    code = KILLED if stopping else KILLED.replace("set_params(", "set_params(early_stopping=False, ")
    folder = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run([sys.executable, "-c", code, name, str(tmp_path), folder], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (saved,) = tmp_path.glob("*.pt")
    assert len(torch.load(saved, weights_only=False)["history"]) == 4
    aligner = clone(NETS[name]).set_params(early_stopping="auto" if stopping else False)
    unbroken = clone(aligner).fit(views)
    epochs = []

    class Count(Callback):
        def on_epoch_begin(self, net, **kwargs):
            epochs.append(len(net.history))

    resumed = clone(aligner).set_params(checkpoint=tmp_path, callbacks=[Count()]).fit(views)
    assert epochs == [5, 6, 7, 8]
    assert_same_weights(unbroken, resumed)
    assert_allclose(resumed.loss_curve_, unbroken.loss_curve_)
    assert resumed.best_epoch_ == unbroken.best_epoch_
    assert not list(tmp_path.iterdir())  # a fit that ended leaves nothing to resume


def test_other_parameters_or_data_do_not_resume(aligner, views, tmp_path):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        clone(aligner).set_params(checkpoint=tmp_path, callbacks=[Stop()]).fit(views)
    assert len(list(tmp_path.iterdir())) == 1
    other = clone(aligner).set_params(checkpoint=tmp_path, learning_rate=0.01)
    assert_same_weights(other.fit(views), clone(aligner).set_params(learning_rate=0.01).fit(views))
    new = make_views(seed=1)
    assert_same_weights(clone(aligner).set_params(checkpoint=tmp_path).fit(new), clone(aligner).fit(new))
    assert len(list(tmp_path.iterdir())) == 1


def test_warm_start_goes_on(aligner, views):
    aligner.set_params(warm_start=True, early_stopping=False).fit(views)
    first = aligner.loss_curve_
    aligner.fit(views)
    assert aligner.n_iter_ == 16
    assert aligner.loss_curve_[:8] == first
    assert np.mean(aligner.loss_curve_[8:]) < np.mean(first)
    assert clone(aligner).set_params(warm_start=False).fit(views).fit(views).n_iter_ == 8
    with pytest.raises(ValueError, match=r"goes on with the views \['a', 'b'\]"):
        aligner.fit(Views(a=views["a"], c=views["b"]))
    with pytest.raises(ValueError, match="View 'b'.*4 features.*expecting 5"):
        aligner.fit(Views(a=views["a"], b=views["b"][:, :4]))


def test_partial_fit_trains_an_epoch_at_a_time(aligner, views):
    for _ in range(30):
        for start in range(0, 300, 100):
            aligner.partial_fit(views[start : start + 100])
    assert aligner.n_iter_ == 90
    assert np.mean(aligner.loss_curve_[-9:]) < np.mean(aligner.loss_curve_[:9])
    before = weights(aligner)
    bad = Views(a=views["a"][:100], b=np.full((100, 5), np.nan))
    with pytest.raises(ValueError, match="View 'b'.*500 NaN"):
        aligner.partial_fit(bad)
    assert aligner.n_iter_ == 90
    for name, W in weights(aligner).items():
        assert_array_equal(W, before[name])


# --- stopping -------------------------------------------------------------------------------------------------------


def test_early_stopping_restores_the_best_epoch(aligner, views):
    aligner.set_params(max_epochs=200, n_iter_no_change=5, learning_rate=0.02).fit(views)
    assert aligner.n_iter_ < 200
    assert aligner.best_epoch_ <= aligner.n_iter_ - 5
    assert len(aligner.validation_scores_) == len(aligner.loss_curve_) == aligner.n_iter_
    shorter = clone(aligner).set_params(max_epochs=aligner.best_epoch_, n_iter_no_change=500).fit(views)
    assert_same_weights(aligner, shorter)


def test_early_stopping_auto_needs_rows(aligner, views):
    assert aligner.fit(views[:150]).validation_scores_ == []
    assert len(aligner.set_params(early_stopping=True).fit(views[:150]).validation_scores_) == 8


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_loss_that_is_not_finite_names_the_epoch(aligner, views):
    class Break(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                with torch.no_grad():
                    next(net.module_.parameters()).fill_(np.nan)

    with pytest.raises(FloatingPointError, match=r"nan in epoch 3.*learning_rate.*gradient_clip"):
        aligner.set_params(callbacks=[Break()]).fit(views)


def test_interruption_keeps_what_there_is_and_warns(aligner, views):
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 4:
                raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 4"):
        aligner.set_params(callbacks=[Interrupt()]).fit(views)
    assert aligner.n_iter_ == 4
    assert np.isfinite(aligner.score(views))


# --- options --------------------------------------------------------------------------------------------------------


def test_schedules_and_clipping_reach_the_optimizer(aligner, views):
    rates, norms = [], []

    class Watch(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

        def on_batch_end(self, net, **kwargs):
            norms.append(np.sqrt(sum(float((p.grad**2).sum()) for p in net.module_.parameters() if p.grad is not None)))

    watch = Watch()
    aligner.set_params(callbacks=[watch], learning_rate_schedule="cosine", gradient_clip=1e-3, max_epochs=4).fit(views)
    assert_allclose(sorted(set(rates), reverse=True), 1e-3 * 0.5 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    assert max(norms) <= 1.001e-3
    rates.clear()
    aligner.set_params(learning_rate_schedule=lambda progress: 0.5 - progress / 4).fit(views)
    assert_allclose(sorted(set(rates), reverse=True), 1e-3 * (0.5 - np.arange(4) / 16))


def test_batches_are_as_equal_as_can_be(views):
    from skalign._training import batch_sizes

    assert batch_sizes(257, 256) == [129, 128]
    assert batch_sizes(256, 256) == [256]
    for n in range(2, 60):
        for size in range(2, 60):
            sizes = batch_sizes(n, size)
            assert sum(sizes) == n
            assert max(sizes) <= size
            assert max(sizes) - min(sizes) <= 1


def test_verbose(aligner, views, capfd):
    aligner.set_params(max_epochs=2).fit(views)
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")
    aligner.set_params(verbose=1).fit(views)
    assert "held-out score" in capfd.readouterr().err
    aligner.set_params(verbose=2).fit(views)
    assert "valid_score" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0), ("max_epochs", 0), ("batch_size", 1), ("n_iter_no_change", 0), ("learning_rate", 0.0),
        ("weight_decay", -1.0), ("validation_fraction", 1.0), ("gradient_clip", 0.0), ("early_stopping", "maybe"),
        ("learning_rate_schedule", "step"), ("standardize", "yes"), ("encoder", "transformer"), ("encoder", 3),
        ("hidden_layer_sizes", (0,)), ("activation", "sin"), ("dropout", 1.0), ("input_noise", -0.1), ("tol", -1.0),
        ("validation_fraction", None), ("gradient_clip", "a"), ("verbose", None), ("verbose", -1), ("tol", "small"),
        ("callbacks", "log"), ("hidden_layer_sizes", {"a": (4,)}), ("encoder", {"a": "mlp", "b": "mlp", "c": "mlp"}),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(aligner, views, name, value):
    with pytest.raises(ValueError, match=name):
        aligner.set_params(**{name: value}).fit(views)


def test_rows_that_are_all_held_out(aligner, views):
    with pytest.raises(ValueError, match=r"holds out 2 of 2 rows.*early_stopping=False"):
        aligner.set_params(early_stopping=True).fit(views[:2])


def test_missing_packages_are_named(aligner, views, monkeypatch):
    monkeypatch.setattr("skalign._net_aligner.find_spec", lambda name: None if name == "skorch" else name)
    with pytest.raises(ImportError, match=r"needs skorch: pip install 'skalign\[deep\]'"):
        aligner.fit(views)


@pytest.mark.gpu
def test_training_on_a_gpu(aligner, views):
    on_cpu = clone(aligner).set_params(device="cpu").fit(views)
    aligner.set_params(device="cuda", mixed_precision=True, max_epochs=30).fit(views)
    assert aligner.score(views) > 0.8 * on_cpu.score(views)
    assert all(isinstance(W, np.ndarray) for W in weights(aligner).values())
    tensors = Views({name: torch.as_tensor(view, device="cuda") for name, view in views.items()})
    Z = aligner.fit(tensors).transform(tensors)
    assert Z["a"].device.type == "cuda"
    assert pickle.loads(pickle.dumps(aligner)).transform(views)["a"].shape == (300, 3)
