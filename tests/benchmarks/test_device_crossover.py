"""A GPU beside the CPU and the floor, and the size from which it pays: wall seconds, since a GPU works aside.

The floor of a device is what no code can beat: the bytes that have to be read over its bandwidth, or the operations
over its rate, whichever is longer; both are measured here on the same device. Without a GPU the same code runs on CPU
tensors at small sizes. Beside a GPU the CPU has all its cores.
"""

import os
import time
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

torch = pytest.importorskip("torch")

from skalign import CCA, DeepCCA, KernelCCA, OTAligner, _backend  # noqa: E402
from skalign.contrastive import losses  # noqa: E402
from skalign.metrics.representation import mutual_knn  # noqa: E402
from skalign.temporal import soft_dtw  # noqa: E402
from skalign.transport import sinkhorn  # noqa: E402
from skalign.transport._costs import PointCost  # noqa: E402

pytestmark = pytest.mark.slow
FAMILY = "devices"

ITERATIONS, LENGTH, EPOCHS, LANDMARKS = 100, 256, 5, 2000


def table(n, p, device, dtype="float64", seed=0):
    """Two views of one normal matrix: numpy arrays where the device is None."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    views = X.astype(dtype), (X[:, ::-1] + rng.normal(size=(n, p))).astype(dtype)
    return views if device is None else tuple(torch.tensor(view, device=device) for view in views)


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(call, device, rounds):
    """The answer of a call, and its median wall seconds; the first call compiles and is not timed."""
    answer, times = call(), []
    for _ in range(rounds):
        wait(device)
        begun = time.perf_counter()
        call()
        wait(device)
        times.append(time.perf_counter() - begun)
    return answer, float(np.median(times))


@contextmanager
def all_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count())
    with threadpool_limits(os.cpu_count(), user_api="blas"):
        yield
    torch.set_num_threads(before)


def once_on_the_cpu(make, n, small, cores):
    """Answer and wall seconds of one call on numpy arrays, after a small one that compiled."""
    with cores():
        make(small, None)[0]()
        call = make(n, None)[0]
        begun = time.perf_counter()
        return call(), time.perf_counter() - begun


def floor(operations, read, dtype, device):
    """Seconds for so many operations and bytes at the rates of a product and of a copy on the device."""
    A = torch.ones(2048 if device == "cuda" else 512, dtype=getattr(torch, dtype), device=device).diag()
    _, product = seconds(lambda: A @ A, device, 5)
    B = torch.ones(2**27 if device == "cuda" else 2**23, dtype=torch.uint8, device=device)
    _, copy = seconds(B.clone, device, 5)
    return max(operations / (2 * len(A) ** 3 / product), read / (2 * len(B) / copy))


# --- what is timed: (call, operations, bytes) for a size and a device -------------------------------------------------


def cca(n, device):
    X, Y = table(n, 128, device)
    return lambda: CCA(8).fit(X, Y).canonical_correlations_, 4.0 * n * 128**2, 2 * n * 128 * 8


def kernel_cca(n, device):
    X, Y = table(n, 16, device)
    return lambda: KernelCCA(4).fit(X, Y).canonical_correlations_, 2 * n**3 / 3, 2 * n**2 * 8


def kernel_cca_nystroem(n, device):
    m = min(LANDMARKS, n // 4)
    X, Y = table(n, 64, device)
    aligner = KernelCCA(8, approximation="nystroem", n_landmarks=m, random_state=0)
    return lambda: aligner.fit(X, Y).canonical_correlations_, 4.0 * n * m * (64 + m) + 4.0 * n * m**2, 4 * n * m * 8


def sinkhorn_sweeps(n, device):
    X, Y = table(n, 8, device, "float32")

    def call():
        return sinkhorn(PointCost(X, Y), epsilon=1.0, tol=1e-12, max_iter=ITERATIONS).f

    return call, 4.0 * n**2 * ITERATIONS, 4 * n**2 * ITERATIONS


def soft_dtw_batch(n, device):
    a, b = (table(n, LENGTH, device, seed=seed)[0][:, :, None] for seed in (0, 1))
    method = "auto" if device is None else "wavefront"
    return lambda: soft_dtw(a, b, 1.0, method=method), 20.0 * n * LENGTH**2, 2 * n * LENGTH**2 * 8


def info_nce(n, device):
    A, B = (torch.nn.functional.normalize(Z).requires_grad_() for Z in table(n, 512, device or "cpu", "float32"))

    def call():
        value = losses.info_nce(A, B, torch.tensor(20.0, device=A.device))
        torch.autograd.grad(value, (A, B))
        return value

    return call, 6.0 * n**2 * 512, 4 * n * 512 * 4


def nearest(n, device):
    X, Y = table(n, 512, device, "float32")
    return lambda: mutual_knn(X, Y, k=10), 2.0 * n**2 * 512, 2 * n * 512 * 4


def deep_cca(n, device):
    X, Y = table(n, 128, device, "float32")
    aligner = DeepCCA(8, hidden_layer_sizes=(256, 256), max_epochs=EPOCHS, early_stopping=False, random_state=0)
    weights = 2 * (128 * 256 + 256 * 256 + 256 * 8)
    return lambda: aligner.fit(X, Y).score(X, Y), 6.0 * weights * n * EPOCHS, 2 * n * 128 * 4 * EPOCHS


# name: (what is timed, size on a GPU, size on the CPU, precision, largest relative difference of answers)
CASES = {
    "CCA": (cca, 50_000, 2000, "float64", 1e-8),
    "KernelCCA, exact": (kernel_cca, 20_000, 300, "float64", 1e-6),
    "KernelCCA, Nyström": (kernel_cca_nystroem, 50_000, 1000, "float64", 1e-6),
    "Sinkhorn, 100 sweeps": (sinkhorn_sweeps, 20_000, 300, "float32", 1e-2),
    "soft-DTW, batch": (soft_dtw_batch, 256, 4, "float64", 1e-8),
    "InfoNCE, with gradients": (info_nce, 32_768, 512, "float32", 1e-4),
    "mutual kNN": (nearest, 100_000, 500, "float32", 1e-4),
    "DeepCCA, 5 epochs": (deep_cca, 50_000, 1000, "float32", 5e-2),
}


def on_host(answer):
    return answer.detach().cpu().numpy() if isinstance(answer, torch.Tensor) else np.asarray(answer)


@pytest.mark.filterwarnings("ignore")  # a fixed number of sweeps and epochs is what is timed
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", CASES, ids=lambda name: name.split(",")[0] + "-" + str(len(name)))
def test_beside_the_cpu_and_the_floor(name, device, bench, quick):
    make, large, small, dtype, tolerance = CASES[name]
    n = small if quick or device == "cpu" else large
    call, operations, read = make(n, device)
    answer, spent = seconds(call, device, 3)
    on_gpu = device == "cuda"
    expected, on_cpu = once_on_the_cpu(make, n, small, all_cores if on_gpu else nullcontext)
    expected = on_host(expected)
    np.testing.assert_allclose(on_host(answer), expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max()))
    least = floor(operations, read, dtype, device)
    assert quick or least < 2 * spent  # else what is counted is more than is done
    bench.record(
        f"{name}, on {device} tensors, wall",
        spent,
        size=f"n = {n:,}",
        unit="s",
        peers={f"CPU, {os.cpu_count()} cores" if on_gpu else "CPU": on_cpu, "floor": least},
    )


@pytest.mark.gpu
def test_soft_dtw_beside_tslearn(bench, quick, optional):
    tslearn = optional("tslearn.metrics")
    if tslearn is None:
        pytest.skip("tslearn is not installed")
    n = 16 if quick else 256
    call, _, _ = soft_dtw_batch(n, "cuda")
    a, b = (table(n, LENGTH, "cuda", seed=seed)[0][:, :, None] for seed in (0, 1))
    theirs = tslearn.SoftDTWLossPyTorch(gamma=1.0)
    answer, ours = seconds(call, "cuda", 3)
    expected, spent = seconds(lambda: theirs(a, b), "cuda", 1)
    np.testing.assert_allclose(on_host(answer), on_host(expected).ravel(), rtol=1e-6)
    bench.record("soft-DTW, batch, on cuda tensors, wall", ours, size=f"n = {n}", unit="s", peers={"tslearn": spent})


# --- from which size on a GPU pays ------------------------------------------------------------------------------------

CROSSING = {
    "CCA": (CCA(8), 64, [300, 1000, 3000, 10_000, 30_000, 100_000], lambda n, p: 2.0 * n * p * p),
    "KernelCCA": (KernelCCA(4), 8, [300, 600, 1200, 2500, 5000], lambda n, p: 2.0 * n * p * p),
    "OTAligner": (OTAligner(max_iter=100), 4, [100, 300, 1000, 3000], lambda n, p: 100.0 * n * n),
}


def fitted(aligner, device, X, Y):
    return aligner.set_params(device=device).fit(X, Y).transform(X)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", CROSSING)
def test_crossover(name, device, bench, quick, monkeypatch):
    """The work, as the estimator estimates it, from which numpy input is quicker by way of the device.

    Without a GPU the way there and back leads to CPU tensors: it is walked, and no figure is kept.
    """
    aligner, p, sizes, work = CROSSING[name]
    if device == "cpu":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    pays = None
    for n in sizes[: 2 if quick or device == "cpu" else None]:
        X, Y = table(n, p, None)
        ways = None, "cuda" if device == "cuda" else "cpu:0"
        answers, spent = zip(*(seconds(partial(fitted, aligner, way, X, Y), device, 3) for way in ways))
        assert isinstance(answers[1], np.ndarray)
        np.testing.assert_allclose(answers[1], answers[0], rtol=0, atol=1e-5 * np.abs(answers[0]).max())
        pays = work(n, p) if pays is None and spent[1] < spent[0] else pays
    if device == "cuda":
        limit = {"what device='auto' takes for it": _backend._WORTH_A_GPU}
        bench.record(f"{name}: work from which a GPU pays", pays or np.inf, unit="operations", peers=limit)
