"""Batches encoded in parts: the gradient of the whole batch, whatever the parts, in little memory."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from skalign import ContrastiveAligner, DeepCCA, Views

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
from skorch.callbacks import Callback  # noqa: E402

from skalign._processes import OneProcess  # noqa: E402
from skalign._training_parts import encode_in_parts  # noqa: E402
from skalign.contrastive import _chunked, losses  # noqa: E402

QUIET = {"hidden_layer_sizes": (16,), "input_noise": 0.0, "early_stopping": False, "max_epochs": 3, "random_state": 0}
ALIGNERS = {
    "infonce": ContrastiveAligner(3, batch_size=51, **QUIET),
    "siglip": ContrastiveAligner(3, loss="siglip", batch_size=51, **QUIET),
    "cca": DeepCCA(3, **QUIET),
    "reconstruction": DeepCCA(3, objective="ey", reconstruction=1.0, **QUIET),
}


@pytest.fixture
def views():
    rng = np.random.default_rng(0)
    S = rng.normal(size=(101, 3))
    return Views(
        {name: S @ rng.normal(size=(3, p)) + 0.1 * rng.normal(size=(101, p)) for name, p in (("a", 6), ("b", 5))}
    )


def net(dropout=0.0):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 20), torch.nn.Tanh(), torch.nn.Dropout(dropout), torch.nn.Linear(20, 4)]
    return torch.nn.Sequential(*layers).double()


def gradients(encode, nets, X):
    Z = [torch.nn.functional.normalize(encode(f, X)) for f in nets]
    loss = losses.info_nce(*Z, 10.0)
    return [loss.detach(), *torch.autograd.grad(loss, [p for f in nets for p in f.parameters()])]


@pytest.fixture
def rng_untouched():
    with torch.random.fork_rng([]):
        yield


@pytest.mark.parametrize("rows_at_once", [1, 7, 32, 63, 64, 1000])
def test_gradient_is_that_of_the_whole_batch(rows_at_once, rng_untouched):
    nets, X = [net(), net()], torch.randn(64, 6, dtype=torch.float64)
    plain = gradients(lambda f, X: f(X), nets, X)
    parts = gradients(lambda f, X: encode_in_parts(f, X, rows_at_once, OneProcess()), nets, X)
    for mine, its in zip(parts, plain):
        torch.testing.assert_close(mine, its, rtol=1e-10, atol=1e-12)


def test_noise_is_the_same_on_the_way_back(rng_untouched):
    nets, X = [net(0.5), net(0.5)], torch.randn(64, 6, dtype=torch.float64)

    def seeded(encode, seed=3):
        torch.manual_seed(seed)
        return gradients(encode, nets, X)

    held = seeded(lambda f, X: torch.cat([f(part) for part in X.split(16)]))
    again = seeded(lambda f, X: encode_in_parts(f, X, 16, OneProcess()))
    for mine, its in zip(again, held):
        torch.testing.assert_close(mine, its, rtol=1e-10, atol=1e-12)
    other = seeded(lambda f, X: encode_in_parts(f, X, 16, OneProcess()), seed=4)
    assert not torch.allclose(other[0], held[0])


LOSSES = {
    "hinge": losses.hinge,
    "vse++": losses.vse_pp,
    "vse++ on the way": lambda A, B, positives: losses.vse_pp(A, B, hardness=0.5, positives=positives),
    "triplet": losses.triplet,
    "supcon": lambda A, B, positives: losses.supcon(A, B, 7.0, positives=positives),
    "dcl": lambda A, B, positives: losses.dcl(A, B, 7.0, positives=positives),
}


@pytest.mark.parametrize("groups", [None, np.arange(150) // 4, np.arange(150) % 3, np.zeros(150, int)])
@pytest.mark.parametrize("name", list(LOSSES))
def test_losses_of_large_batches_hold_a_few_rows_of_scores(name, groups, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    A, B = (torch.randn(150, 5, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    positives = None if groups is None else torch.as_tensor(groups)

    def step():
        loss = LOSSES[name](A, B, positives=positives)
        return loss.detach(), *torch.autograd.grad(loss, (A, B))

    whole = step()
    monkeypatch.setattr(_chunked, "_WHOLE_UP_TO", 100)
    monkeypatch.setattr(_chunked, "_CHUNK_AGAIN", 0)  # 64 rows, and 22 at last
    for mine, its in zip(step(), whole):
        torch.testing.assert_close(mine, its, rtol=1e-10, atol=1e-12)


class Gradients(Callback):
    def on_train_begin(self, net, **kwargs):
        self.steps = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.steps.append(torch.cat([p.grad.reshape(-1).double() for _, p in named_parameters if p.grad is not None]))


def trained(aligner, views, encode_batch_size):
    watch = Gradients()
    aligner = clone(aligner).set_params(encode_batch_size=encode_batch_size, callbacks=[watch]).fit(views)
    return watch.steps, aligner.loss_curve_, aligner.score(views)


@pytest.mark.parametrize("name", list(ALIGNERS))
def test_training_does_not_depend_on_the_parts(name, views):
    steps, curve, score = trained(ALIGNERS[name], views, None)
    for size in (1, 13, 500):
        others, other_curve, other_score = trained(ALIGNERS[name], views, size)
        for mine, its in zip(others, steps):
            assert float((mine - its).norm()) <= 1e-6 * float(its.norm())
        assert_allclose(other_curve, curve, rtol=1e-5)
        assert_allclose(other_score, score, rtol=1e-4)


class Counts(torch.nn.Module):
    """Remembers the most rows that it saw in training."""

    most = 0

    def __init__(self, shape, n_outputs):
        super().__init__()
        self.out = torch.nn.Linear(shape[0], n_outputs)

    def forward(self, X):
        if self.training:
            Counts.most = max(Counts.most, len(X))
        return self.out(X)


@pytest.mark.parametrize(("encode_batch_size", "most"), [(None, 51), (30, 26), (8, 8), (1, 1)])
def test_rows_that_a_net_holds(encode_batch_size, most, views):
    Counts.most = 0
    ContrastiveAligner(
        3, encoder={"a": Counts, "b": "mlp"}, batch_size=51, encode_batch_size=encode_batch_size, **QUIET
    ).fit(views)
    assert Counts.most == most


def test_bags_are_encoded_in_parts_too():
    rng = np.random.default_rng(0)
    bags = Views(a=[rng.normal(size=(m, 4)) for m in (1, 3, 2, 4) * 5], b=rng.normal(size=(20, 3)))
    curves = [ContrastiveAligner(3, encode_batch_size=size, **QUIET).fit(bags).loss_curve_ for size in (None, 6)]
    assert_allclose(*curves, rtol=1e-5)


def test_batch_normalisation_is_refused(views):
    with pytest.raises(ValueError, match="View 'a': batch normalisation needs the whole batch"):
        ContrastiveAligner(3, batch_norm=True, encode_batch_size=10, **QUIET).fit(views)
    fixed = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.BatchNorm1d(3))
    ContrastiveAligner(
        3, encoder={"a": fixed, "b": "mlp"}, frozen="a", encode_batch_size=10, **QUIET
    ).fit(views)  # statistics of a frozen net are fixed  # fmt: skip


@pytest.mark.parametrize("value", [0, -1, 2.5, "auto", True])
def test_bad_values_are_named(value, views):
    with pytest.raises(ValueError, match="encode_batch_size"):
        ContrastiveAligner(3, encode_batch_size=value).fit(views)


# --- half precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode_batch_size", [None, 20])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", list(ALIGNERS))
def test_half_precision_trains(name, precision, encode_batch_size, views):
    plain = clone(ALIGNERS[name]).set_params(max_epochs=30, learning_rate=0.01).fit(views)
    half = clone(plain).set_params(mixed_precision=precision, encode_batch_size=encode_batch_size).fit(views)
    assert half.loss_curve_ != plain.loss_curve_  # it did compute otherwise
    assert np.isfinite(half.loss_curve_).all()
    assert half.score(views) > 0.9 * plain.score(views)


def test_bfloat16_on_demand_only_where_there_is_no_gpu(views):
    curves = [
        ContrastiveAligner(3, device="cpu", mixed_precision=value, **QUIET).fit(views).loss_curve_
        for value in (False, True, "bf16")
    ]
    assert curves[0] == curves[1] != curves[2]
    with pytest.raises(ValueError, match="mixed_precision"):
        ContrastiveAligner(3, mixed_precision="fp8").fit(views)


def test_float16_scales_small_gradients_and_skips_steps_that_overflow(views):
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, **kwargs):
            self.before = net.module_.encoders[0].layers[-1].weight.detach().clone()
            if len(net.history) == 2:
                net.scaler.update(2.0**120)  # gradients overflow

        def on_batch_end(self, net, **kwargs):
            moved = not torch.equal(self.before, net.module_.encoders[0].layers[-1].weight)
            seen.append((moved, net.scaler.get_scale()))

    DeepCCA(3, objective="ey", mixed_precision="fp16", callbacks=[Watch()], **QUIET).fit(views)
    assert seen == [(True, 2.0**16), (False, 2.0**119), (False, 2.0**118)]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", list(ALIGNERS))
def test_half_precision_on_a_gpu(name, precision, views):
    plain = clone(ALIGNERS[name]).set_params(max_epochs=30, learning_rate=0.01, device="cpu").fit(views)
    half = clone(plain).set_params(mixed_precision=precision, encode_batch_size=40, device="cuda").fit(views)
    assert np.isfinite(half.loss_curve_).all()
    assert half.score(views) > 0.9 * plain.score(views)


# --- memory ---------------------------------------------------------------------------------------------------------

LARGE = """
import resource
import numpy as np, torch
torch.set_num_threads(1)
from skorch.callbacks import Callback
from skalign import ContrastiveAligner, Views

class Step(Callback):
    def on_batch_end(self, net, **kwargs):
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

rng = np.random.default_rng(0)
S = rng.standard_normal((32768, 8), dtype=np.float32)
views = Views({name: S @ rng.standard_normal((8, 64), dtype=np.float32) for name in "ab"})
ContrastiveAligner(
    512, batch_size=32768, encode_batch_size=1024, hidden_layer_sizes=(1024, 1024), max_epochs=1, early_stopping=False,
    callbacks=[Step()], random_state=0,
).fit(views)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit there")
def test_a_step_of_32768_pairs_takes_less_than_1500_mb():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 1.5e9
