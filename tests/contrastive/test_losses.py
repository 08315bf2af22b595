"""The losses against their definitions, pair by pair, and the chunked forms against autograd on the whole matrix."""

import math
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from skalign.contrastive import _chunked, losses  # noqa: E402

N = 5
GROUPS = {"partners": None, "groups": [3, 7, 3, 3, 0], "one group": [1] * N}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairs(n=N, d=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for _ in range(2)]


def number(value, dtype=torch.float64):
    return torch.tensor(value, dtype=dtype, requires_grad=True)


def gradients(loss, *parameters):
    return torch.autograd.grad(loss, parameters)


def assert_close(ours, theirs, rtol=1e-12):
    for mine, its in zip(ours, theirs):
        torch.testing.assert_close(mine, its, rtol=0, atol=rtol * max(1e-300, float(its.detach().abs().max())))


# Definitions, with loops over everything. `together(i, j)` tells whether rows i and j belong together.


def members(ids):
    together = (lambda i, j: i == j) if ids is None else (lambda i, j: ids[i] == ids[j])
    positives = [[j for j in range(N) if together(i, j)] for i in range(N)]
    return positives, [[j for j in range(N) if not together(i, j)] for i in range(N)]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def log_sum_exp(values):
    return torch.log(sum(torch.exp(v) for v in values))


def relu(value):
    return torch.clamp(value, min=0)


def brute_info_nce(A, B, s, ids, smoothing=0.0):
    P, _ = members(ids)
    total = 0
    for X, Y in ((A, B), (B, A)):
        for i in range(N):
            lse = log_sum_exp(s * (X[i] @ Y[k]) for k in range(N))
            for j in range(N):
                target = (1 - smoothing) * (j in P[i]) / len(P[i]) + smoothing / N
                total = total - target * (s * (X[i] @ Y[j]) - lse)
    return total / (2 * N)


def brute_siglip(A, B, s, b, ids):
    P, _ = members(ids)
    total = 0
    for i in range(N):
        for j in range(N):
            z = 1 if j in P[i] else -1
            total = total + torch.log(1 + torch.exp(-z * (s * (A[i] @ B[j]) + b)))
    return total / N


def brute_hinge(A, B, margin, ids, over=sum):
    P, Q = members(ids)
    total = (A + B).sum() * 0
    for X, Y in ((A, B), (B, A)):
        for i in range(N):
            if Q[i]:
                total = total + mean(over(relu(margin - X[i] @ Y[p] + X[i] @ Y[q]) for q in Q[i]) for p in P[i])
    return total / N


def brute_triplet(A, B, margin, ids):
    P, Q = members(ids)
    terms = [
        relu(margin + (X[i] - Y[p]).norm() - (X[i] - Y[q]).norm())
        for X, Y in ((A, B), (B, A))
        for i in range(N)
        for p in P[i]
        for q in Q[i]
    ]
    return mean(terms) if terms else (A + B).sum() * 0


def brute_supcon(A, B, s, ids):
    P, _ = members(ids)
    Z = torch.cat([A, B])
    total = 0
    for i in range(2 * N):
        others = [k for k in range(2 * N) if k != i]
        lse = log_sum_exp(s * (Z[i] @ Z[k]) for k in others)
        total = total - mean(s * (Z[i] @ Z[p]) - lse for p in others if p % N in P[i % N])
    return total / (2 * N)


def brute_dcl(A, B, s, ids):
    P, Q = members(ids)
    total = s * (A + B).sum() * 0
    for X, Y in ((A, B), (B, A)):
        for i in range(N):
            if Q[i]:
                lse = log_sum_exp(s * (X[i] @ Y[k]) for k in Q[i])
                total = total - mean(s * (X[i] @ Y[p]) - lse for p in P[i])
    return total / (2 * N)


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_info_nce(name, chunk_size, smoothing):
    (A, B), s = pairs(), number(2.5)
    ids = GROUPS[name]
    positives = None if ids is None else torch.tensor(ids)
    ours = losses.info_nce(A, B, s, positives=positives, label_smoothing=smoothing, chunk_size=chunk_size)
    theirs = brute_info_nce(A, B, s, ids, smoothing)
    assert_close([ours, *gradients(ours, A, B, s)], [theirs, *gradients(theirs, A, B, s)])


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_siglip(name, chunk_size):
    (A, B), s, b = pairs(), number(2.5), number(-1.5)
    ids = GROUPS[name]
    positives = None if ids is None else torch.tensor(ids)
    ours = losses.siglip(A, B, s, b, positives=positives, chunk_size=chunk_size)
    theirs = brute_siglip(A, B, s, b, ids)
    assert_close([ours, *gradients(ours, A, B, s, b)], [theirs, *gradients(theirs, A, B, s, b)])


def brute_vse_pp(A, B, margin, ids, hardness):
    hardest = brute_hinge(A, B, margin, ids, over=max)
    return hardness * hardest + (1 - hardness) * brute_hinge(A, B, margin, ids)


MARGINS = {
    "hinge": (losses.hinge, brute_hinge),
    "vse_pp": (losses.vse_pp, lambda *a: brute_vse_pp(*a, 1.0)),
    "vse_pp, mixed": (lambda *a, **k: losses.vse_pp(*a, hardness=0.3, **k), lambda *a: brute_vse_pp(*a, 0.3)),
    "triplet": (losses.triplet, brute_triplet),
}
SCALED = {"supcon": (losses.supcon, brute_supcon), "dcl": (losses.dcl, brute_dcl)}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("margin", [0.2, 1.5])
@pytest.mark.parametrize("loss", MARGINS)
def test_losses_with_a_margin(loss, margin, name):
    A, B = pairs()
    ids = GROUPS[name]
    function, definition = MARGINS[loss]
    ours = function(A, B, margin=margin, positives=None if ids is None else torch.tensor(ids))
    theirs = definition(A, B, margin, ids)
    assert_close([ours, *gradients(ours, A, B)], [theirs, *gradients(theirs, A, B)])


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("loss", SCALED)
def test_losses_with_a_scale(loss, name):
    (A, B), s = pairs(), number(2.5)
    ids = GROUPS[name]
    function, definition = SCALED[loss]
    ours = function(A, B, s, positives=None if ids is None else torch.tensor(ids))
    theirs = definition(A, B, s, ids)
    assert_close([ours, *gradients(ours, A, B, s)], [theirs, *gradients(theirs, A, B, s)])


def test_margin_losses_of_many_groups_agree_with_all_triples():
    A, B = pairs(n=60)
    ids = torch.arange(60) % 13
    same = ids[:, None] == ids
    terms = 0.4 - (A @ B.T)[:, :, None] + (A @ B.T)[:, None, :]  # anchor, positive, negative
    other = 0.4 - (B @ A.T)[:, :, None] + (B @ A.T)[:, None, :]
    triples = same[:, :, None] & ~same[:, None, :]
    sums = ((terms.clamp(min=0) + other.clamp(min=0)) * triples).sum((1, 2))
    theirs = (sums / same.sum(1)).mean()
    ours = losses.hinge(A, B, margin=0.4, positives=ids)
    assert_close([ours, *gradients(ours, A, B)], [theirs, *gradients(theirs, A, B)])


EVERY = {
    "info_nce": lambda A, B, s, **k: losses.info_nce(A, B, s, **k),
    "info_nce, smoothed": lambda A, B, s, **k: losses.info_nce(A, B, s, label_smoothing=0.1, **k),
    "info_nce, chunks": lambda A, B, s, **k: losses.info_nce(A, B, s, chunk_size=3, **k),
    "siglip": lambda A, B, s, **k: losses.siglip(A, B, s, -10.0, **k),
    "siglip, chunks": lambda A, B, s, **k: losses.siglip(A, B, s, -10.0, chunk_size=3, **k),
    "hinge": lambda A, B, s, **k: losses.hinge(A, B, **k),
    "vse_pp": lambda A, B, s, **k: losses.vse_pp(A, B, **k),
    "triplet": lambda A, B, s, **k: losses.triplet(A, B, **k),
    "supcon": losses.supcon,
    "dcl": losses.dcl,
}


def batches():
    generator = torch.Generator().manual_seed(1)
    Z = torch.nn.functional.normalize(torch.randn(2, 8, 4, generator=generator, dtype=torch.float64), dim=2)
    zero_rows = Z.clone()
    zero_rows[0, 2] = zero_rows[1, 5] = zero_rows[:, 6] = 0
    return {
        "all rows equal": Z[:1, :1].expand(2, 8, 4),
        "equal views": Z[:1].expand(2, 8, 4),
        "duplicates": torch.cat([Z, Z], 1),
        "zero rows": zero_rows,
        "all zero": torch.zeros_like(Z),
        "two rows": Z[:, :2],
        "long rows": 50 * Z,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("batch", batches())
@pytest.mark.parametrize("loss", EVERY)
def test_finite_with_a_finite_gradient(loss, batch, scale, dtype):
    A, B = (Z.clone().to(dtype).requires_grad_() for Z in batches()[batch])
    s = number(scale, dtype)
    for positives in (None, torch.arange(len(A)) // 2, torch.zeros(len(A), dtype=torch.int64)):
        value = EVERY[loss](A, B, s, positives=positives)
        assert value.shape == ()
        assert value.dtype == dtype
        assert torch.isfinite(value)
        for gradient in torch.autograd.grad(value, (A, B, s), allow_unused=True):
            assert gradient is None or torch.isfinite(gradient).all()


@pytest.mark.parametrize("loss", ["hinge", "vse_pp", "triplet", "dcl"])
def test_nothing_to_learn_without_negatives(loss):
    A, B = pairs()
    value = EVERY[loss](A, B, number(10.0), positives=torch.zeros(N, dtype=torch.int64))
    assert value == 0
    assert all((g == 0).all() for g in gradients(value, A, B))


@pytest.mark.parametrize("loss", EVERY)
def test_unique_ids_are_the_diagonal(loss):
    A, B = pairs(n=9)
    values = [EVERY[loss](A, B, number(3.0), positives=p) for p in (None, torch.arange(9).flip(0) * 4)]
    torch.testing.assert_close(*values, rtol=1e-12, atol=0)


@pytest.mark.parametrize("loss", EVERY)
def test_invariances(loss):
    A, B = pairs(n=9)
    ids = torch.tensor([0, 1, 2, 0, 1, 2, 3, 3, 4])
    order = torch.tensor([4, 2, 8, 0, 1, 7, 3, 6, 5])
    value = EVERY[loss](A, B, number(3.0), positives=ids)
    for other in (
        EVERY[loss](B, A, number(3.0), positives=ids),
        EVERY[loss](A[order], B[order], number(3.0), positives=ids[order]),
        EVERY[loss](A, B, number(3.0), positives=10 - ids),
    ):
        torch.testing.assert_close(other, value, rtol=1e-12, atol=0)


def test_hardness_zero_is_hinge():
    A, B = pairs(n=20)
    for positives in (None, torch.arange(20) // 3):
        assert losses.vse_pp(A, B, hardness=0, positives=positives) == losses.hinge(A, B, positives=positives)


def test_gradient_of_triplet_at_distance_zero():
    A, _ = pairs()
    B = A.detach().clone().requires_grad_()
    ours, theirs = losses.triplet(A, B, margin=2.0), brute_triplet(A, B, 2.0, None)
    assert_close([ours, *gradients(ours, A, B)], [theirs, *gradients(theirs, A, B)])
    # Distances from inner products would be wrong here: 1e-4 between rows of length 1, in single precision.
    A, noise = (torch.nn.functional.normalize(Z.detach()).float() for Z in pairs(n=40))
    A, B = (Z.requires_grad_() for Z in [A, A + 1e-4 * noise])
    gradient = gradients(losses.triplet(A, B, margin=3.0), A, B)
    exact = [Z.detach().double().requires_grad_() for Z in (A, B)]
    exact_gradient = gradients(losses.triplet(*exact, margin=3.0), *exact)
    assert_close([g.double() for g in gradient], exact_gradient, rtol=1e-4)


# The chunked forms


@pytest.mark.parametrize("positives", [None, [0, 1, 0, 0, 2]])
@pytest.mark.parametrize("scale", [0.7, 400.0])  # on both sides of the bound for unshifted exponentials
def test_gradcheck(scale, positives):
    A, B = (Z.detach() * math.sqrt(1 / scale) for Z in pairs())
    A, B = A * (30 if scale > 1 else 1), B * (30 if scale > 1 else 1)
    positives = None if positives is None else torch.tensor(positives)
    inputs = [A.requires_grad_(), B.requires_grad_(), number(scale), number(-0.3)]
    for smoothing in (0.0, 0.2):
        options = {"positives": positives, "label_smoothing": smoothing, "chunk_size": 2}
        torch.autograd.gradcheck(lambda *p, options=options: losses.info_nce(*p, **options), inputs[:3], atol=1e-4)
    torch.autograd.gradcheck(lambda *p: losses.siglip(*p, positives=positives, chunk_size=2), inputs, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 20.0, 2000.0])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("n", "chunk_size"), [(1, 32), (7, 32), (130, 32), (130, 1), (130, 500)])
def test_chunks_agree_with_the_whole_matrix(n, chunk_size, grouped, scale):
    A, B = (torch.nn.functional.normalize(Z.detach()).requires_grad_() for Z in pairs(n=n, d=16))
    s, b = number(scale), number(-3.0)
    positives = torch.arange(n) % 40 if grouped else None
    for smoothing in (0.0, 0.1):
        values = [
            losses.info_nce(A, B, s, positives=positives, label_smoothing=smoothing, chunk_size=c)
            for c in (chunk_size, None)
        ]
        ours, theirs = ([v, *gradients(v, A, B)] for v in values)
        size = max(1.0, scale / 10)  # losses and gradients are differences of terms this large
        for mine, its in zip(ours, theirs):
            torch.testing.assert_close(mine, its, rtol=1e-12, atol=1e-13 * size)
    values = [losses.siglip(A, B, s, b, positives=positives, chunk_size=c) for c in (chunk_size, None)]
    assert_close(*([v, *gradients(v, A, B, s, b)] for v in values))


def test_chunks_agree_with_two_products_in_single_precision():
    A, B = (torch.nn.functional.normalize(Z.detach()).requires_grad_() for Z in pairs(n=300, d=16, dtype=torch.float32))
    for scale in (10.0, 100.0):
        s = number(scale, torch.float32)
        theirs = torch.nn.functional.cross_entropy(s * A @ B.T, torch.arange(300)) / 2
        theirs = theirs + torch.nn.functional.cross_entropy(s * B @ A.T, torch.arange(300)) / 2
        ours = losses.info_nce(A, B, s, chunk_size=64)
        assert_close([ours, *gradients(ours, A, B, s)], [theirs, *gradients(theirs, A, B, s)], rtol=1e-5)


def test_gradients_are_equal_to_autograd_of_the_plain_form():
    A, B = (torch.nn.functional.normalize(Z.detach()).requires_grad_() for Z in pairs(n=257, d=24))
    for scale in (14.0, 100.0):
        s = number(scale)
        ours, theirs = (
            gradients(losses.info_nce(A, B, s, label_smoothing=0.1, chunk_size=c), A, B, s) for c in (50, None)
        )
        assert_close(ours, theirs)


def test_precision_after_all_is_learned():
    """Of the loss and gradients of well separated pairs no digit is lost to sums that cancel."""
    A, noise = (Z.detach() for Z in pairs(n=64, d=32))
    A, B = (torch.nn.functional.normalize(Z).requires_grad_() for Z in (A, A + 0.01 * noise))
    for scale in (50.0, 100.0, 500.0):
        ours, theirs = (losses.info_nce(A, B, scale, chunk_size=c) for c in (20, None))
        assert ours >= 0
        assert_close(gradients(ours, A, B), gradients(theirs, A, B), rtol=1e-5)
        ours, theirs = (losses.siglip(A, B, scale, -scale / 2, chunk_size=c) for c in (20, None))
        assert_close([ours, *gradients(ours, A, B)], [theirs, *gradients(theirs, A, B)])


def test_extreme_scores():
    """A hundred thousand in single precision, where no exponential of a score is a number."""
    A, B = (300 * torch.nn.functional.normalize(Z.detach()) for Z in pairs(n=40, dtype=torch.float32))
    whole, chunks = (losses.info_nce(A, B, 1.0, chunk_size=c) for c in (None, 16))
    torch.testing.assert_close(chunks, whole, rtol=1e-5, atol=0)
    whole, chunks = (losses.siglip(A, B, 1.0, -10.0, chunk_size=c) for c in (None, 16))
    torch.testing.assert_close(chunks, whole, rtol=1e-5, atol=0)
    # Columns whose best score is far below the best of every row still count.
    A, B = torch.eye(4) * 200, torch.eye(4) * torch.tensor([1.0, 1.0, 1e-3, 1e-3])
    B = B + 2 * torch.eye(4).roll(1, 1)
    whole, chunks = (losses.info_nce(A, B, 1.0, chunk_size=c) for c in (None, 1))
    torch.testing.assert_close(chunks, whole, rtol=1e-6, atol=0)


@pytest.mark.parametrize("frozen", ["A", "B", "scale", "all"])
def test_frozen_inputs(frozen):
    def losses_and_gradients(chunk_size):
        (A, B), s, b = pairs(n=9), number(3.0), number(-1.0)
        inputs = {"A": A, "B": B, "scale": s}
        for name, tensor in inputs.items():
            tensor.requires_grad_(frozen not in (name, "all"))
        free = [t for t in inputs.values() if t.requires_grad]
        for loss in (
            losses.info_nce(A, B, s, chunk_size=chunk_size),
            losses.siglip(A, B, s, b, chunk_size=chunk_size),
        ):
            yield loss.detach()
            yield from gradients(loss, *free) if free else ()

    assert_close(losses_and_gradients(4), losses_and_gradients(None))


def test_scale_may_be_a_number_or_a_parameter_of_any_type():
    A, B = pairs(dtype=torch.float32)
    parameter = torch.nn.Parameter(torch.tensor([5.0], dtype=torch.float64))
    for loss in (losses.supcon, losses.dcl, lambda A, B, s: losses.info_nce(A, B, s, chunk_size=2)):
        value = loss(A, B, parameter)
        assert value == loss(A, B, 5.0)
        assert gradients(value, parameter)[0].shape == (1,)


def test_auto_uses_chunks_for_large_batches(monkeypatch):
    used = []
    monkeypatch.setattr(losses.InfoNCE, "apply", lambda *p: used.append(p[-1]))
    A = torch.ones(_chunked._CHUNKED_FROM, 2)
    losses.info_nce(A[1:], A[1:], 1.0)
    assert used == []
    losses.info_nce(A, A, 1.0)
    assert used[0] > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda A, B: losses.hinge(A, B[1:]), "same shape"),
        (lambda A, B: losses.supcon(A[0], B[0], 1.0), "same shape"),
        (lambda A, B: losses.dcl(A[:0], B[:0], 1.0), "same shape"),
        (lambda A, B: losses.triplet(A, B, positives=torch.arange(N + 1)), "5 group ids"),
        (lambda A, B: losses.vse_pp(A, B, hardness=1.5), "hardness"),
        (lambda A, B: losses.info_nce(A, B, 1.0, chunk_size=0), "chunk_size"),
        (lambda A, B: losses.siglip(A, B, 1.0, 0.0, chunk_size="all"), "chunk_size"),
        (lambda A, B: losses.info_nce(A, B, 1.0, label_smoothing=2.0), "label_smoothing"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(*pairs())


@pytest.mark.parametrize("name", ["info_nce", "siglip", "hinge", "vse_pp", "triplet", "supcon", "dcl"])
def test_what_is_no_tensor(name):
    A, B = pairs()
    numbers = {"info_nce": (1.0,), "siglip": (1.0, 0.0), "supcon": (1.0,), "dcl": (1.0,)}.get(name, ())
    function = getattr(losses, name)
    with pytest.raises(TypeError, match="B must be a tensor, got ndarray"):
        function(A, B.detach().numpy(), *numbers)
    with pytest.raises(TypeError, match="positives must be a tensor, got list"):
        function(A, B, *numbers, positives=[0] * len(A))


@pytest.mark.slow
@pytest.mark.parametrize("call", ["info_nce(A, B, s)", "siglip(A, B, s, b)"])
def test_memory_of_a_large_batch(call):
    script = f"""
import resource
import torch
from skalign.contrastive.losses import info_nce, siglip
torch.set_num_threads(1)
s, b = torch.tensor(20.0, requires_grad=True), torch.tensor(-10.0, requires_grad=True)
def step(n):
    A, B = (torch.nn.functional.normalize(torch.randn(n, 128)).requires_grad_() for _ in "AB")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    {call}.backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
step(64)
print(step(12288))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    megabytes = np.array(done.stdout.split(), dtype=float)[0] / 1024  # kilobytes on Linux
    assert megabytes < 300, f"{megabytes:.0f} MB"


@pytest.mark.parametrize("call", ["info_nce(A, B, s, chunk_size=2)", "siglip(A, B, s, b, chunk_size=2)"])
def test_second_derivatives_of_chunks_are_refused(call):
    A, B = torch.randn(2, 5, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    names = vars(losses) | {"A": A, "B": B, "s": torch.tensor(3.0), "b": torch.tensor(-1.0)}
    gradients = torch.autograd.grad(eval(call, names), (A, B), create_graph=True)
    with pytest.raises(RuntimeError, match="first derivative only"):
        gradients[0].sum().backward()
    with pytest.raises(RuntimeError, match="first derivative only"):
        torch.autograd.functional.hessian(lambda x: eval(call, names | {"A": x}), A.detach())
    assert torch.autograd.functional.hessian(lambda x: eval(call.replace("2)", "None)"), names | {"A": x}), A).any()
