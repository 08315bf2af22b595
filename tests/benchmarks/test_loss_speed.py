"""Losses in chunks against the matrix form that everyone writes."""

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from skalign.contrastive import losses  # noqa: E402

pytestmark = pytest.mark.slow
FAMILY = "contrast"

MAKE = """
import torch
torch.set_num_threads(1)
F = torch.nn.functional
def make(n):
    g = torch.Generator().manual_seed(0)
    return [F.normalize(torch.randn(n, 128, generator=g)).requires_grad_() for _ in range(2)]
def step(loss):
    return lambda A, B: torch.autograd.grad(loss(A, B), (A, B))
"""
PLAIN = {
    "info_nce": "lambda A, B: sum(F.cross_entropy(20.0 * S, torch.arange(len(A))) for S in (A @ B.T, B @ A.T)) / 2",
    "siglip": "lambda A, B: -F.logsigmoid((2 * torch.eye(len(A)) - 1) * (20.0 * A @ B.T - 10.0)).sum() / len(A)",
}
OURS = {
    "info_nce": "lambda A, B: losses.info_nce(A, B, torch.tensor(20.0))",
    "siglip": "lambda A, B: losses.siglip(A, B, torch.tensor(20.0), torch.tensor(-10.0))",
}


def inputs(n, scale, d=128):
    generator = torch.Generator().manual_seed(0)
    pair = [F.normalize(torch.randn(n, d, generator=generator)).requires_grad_() for _ in range(2)]
    return *pair, torch.tensor(scale, requires_grad=True), torch.tensor(-10.0, requires_grad=True)


def plain_info_nce(A, B, scale, bias):
    target = torch.arange(len(A))
    return (F.cross_entropy(scale * A @ B.T, target) + F.cross_entropy(scale * B @ A.T, target)) / 2


def plain_siglip(A, B, scale, bias):
    signs = 2 * torch.eye(len(A)) - 1
    return -F.logsigmoid(signs * (scale * A @ B.T + bias)).sum() / len(A)


LOSSES = {
    "info_nce": (lambda A, B, scale, bias: losses.info_nce(A, B, scale), plain_info_nce),
    "siglip": (losses.siglip, plain_siglip),
}


def same(ours, theirs):
    for mine, its in zip(ours, theirs):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-4 * float(its.abs().max()))


def compare(bench, loss, n, scale, bar):
    parameters = inputs(n, scale)

    def step(function):
        value = function(*parameters)
        return value.detach(), *torch.autograd.grad(value, parameters[:3])

    ours, plain = (lambda function=function: step(function) for function in LOSSES[loss])
    size = f"batch {n:,} × 128, scale {scale:g}"
    bench.compare(
        f"{loss}, with gradients", ours, {"plain form": plain}, size=size, same=same, bars={"plain form": bar}
    )


@pytest.mark.parametrize("scale", [20.0, 100.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_large_batches_take_two_thirds_of_the_time(loss, scale, bench, pick):
    compare(bench, loss, pick(4096, 1536), scale, 1.5)


@pytest.mark.parametrize("n", [128, 512, 1024, 2048])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_batch_is_much_slower(loss, n, bench, quick):
    if quick and n > 512:
        pytest.skip("in full runs alone")
    compare(bench, loss, n, 20.0, 1 / 1.3)


@pytest.mark.parametrize("loss", LOSSES)
def test_memory(loss, bench, pick):
    n = pick(12_288, 2_048)
    plain = {"plain form": ("torch", "", f"step({PLAIN[loss]})")}
    ours = ("from skalign.contrastive import losses", f"step({OURS[loss]})")
    size = f"batch {n:,} × 128"
    bench.memory(f"{loss}, with gradients", ours, plain, make=MAKE, n=n, small=2_048, size=size, at_most=300)
