"""Dynamic time warping beside tslearn, aeon, dtaidistance and dtw-python: time, and memory."""

import numpy as np
import pytest

from skalign import DTWAligner, Views
from skalign.temporal import dtw

pytestmark = pytest.mark.slow
FAMILY = "warping"

C_PATH = "lambda a, b: dtw_ndim.warping_path(a, b, use_c=True)"
MAKE = """
def make(n):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 2)).cumsum(axis=0) for _ in range(2)]
"""


def walks(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).cumsum(axis=0), rng.normal(size=(n, d)).cumsum(axis=0)


def tslearn_path(module, a, b):
    path, distance = module.dtw_path(a, b, be="numpy")
    return distance, path


def aeon_path(module, a, b):
    path, cost = module.dtw_alignment_path(a.T, b.T)
    return cost**0.5, path


def dtaidistance_path(module, a, b):
    path, distance = module.warping_path(a, b, include_distance=True, use_c=True)
    return distance, path


def dtw_python_path(module, a, b):
    """Its matrix of distances is its own: the steps between equal costs may differ, the least cost does not."""
    from scipy.spatial.distance import cdist

    found = module.dtw(cdist(a, b, "sqeuclidean"), step_pattern="symmetric1")
    return found.distance**0.5, np.stack([found.index1, found.index2], axis=1)


def same_path(ours, theirs):
    np.testing.assert_allclose(ours.distance, theirs[0], rtol=1e-12)
    np.testing.assert_array_equal(ours.path, theirs[1])


def same_distance(ours, theirs):
    np.testing.assert_allclose(ours.distance, theirs[0], rtol=1e-12)


def test_path_twice_as_fast(bench, optional, pick):
    n = pick(5_000, 1_000)
    a, b = walks(n, 10)
    paths = {
        "tslearn": (tslearn_path, optional("tslearn.metrics")),
        "aeon": (aeon_path, optional("aeon.distances")),
        "dtaidistance": (dtaidistance_path, optional("dtaidistance.dtw_ndim")),
        "dtw-python": (dtw_python_path, optional("dtw")),
    }
    bench.compare(
        "dtw: path",
        lambda: dtw(a, b),
        {
            name: None if module is None else (lambda f=function, m=module: f(m, a, b))
            for name, (function, module) in paths.items()
        },
        size=f"{n:,} frames, 10 channels",
        same=dict.fromkeys(paths, same_path) | {"dtw-python": same_distance},
        bars=dict.fromkeys(paths, 2),
    )


def test_memory(bench, pick):
    n = pick(10_000, 2_000)
    size = f"{n:,} frames, 2 channels"
    ours = "from skalign.temporal import dtw"
    peers = {
        "tslearn": ("tslearn", "from tslearn.metrics import dtw_path", "lambda a, b: dtw_path(a, b, be='numpy')"),
        "aeon": ("aeon", "from aeon.distances import dtw_alignment_path", "lambda a, b: dtw_alignment_path(a.T, b.T)"),
        "dtaidistance": ("dtaidistance", "from dtaidistance import dtw_ndim", C_PATH),
    }
    bench.memory("dtw: path", (ours, "dtw"), peers, make=MAKE, n=n, size=size, at_most=110)
    distance = "lambda a, b: dtw(a, b, return_path=False)"
    bench.memory("dtw: distance alone", (ours, distance), {}, make=MAKE, n=n, size=size, at_most=5)


@pytest.mark.parametrize("as_list", [False, True])
def test_many_short_pairs_beside_a_bare_loop(as_list, bench, pick):
    from numba import njit

    @njit
    def bare(A, B):
        out = np.empty(len(A))
        for p in range(len(A)):
            a, b = A[p], B[p]
            row, previous = np.full(len(b) + 1, np.inf), np.full(len(b) + 1, np.inf)
            previous[0] = 0.0
            for i in range(len(a)):
                row[0] = np.inf
                for j in range(len(b)):
                    best = previous[j]
                    if previous[j + 1] < best:
                        best = previous[j + 1]
                    if row[j] < best:
                        best = row[j]
                    row[j + 1] = best + (a[i] - b[j]) ** 2
                row, previous = previous, row
            out[p] = previous[len(b)]
        return out

    n = pick(500, 100)
    A, B = np.random.default_rng(0).normal(size=(2, n, 100)).cumsum(axis=2)
    views = Views(a=list(A), b=list(B)) if as_list else Views(a=A, b=B)
    aligner = DTWAligner().fit(views)
    bench.compare(
        "DTWAligner.distances",
        lambda: aligner.distances(views),
        {"bare numba loop": lambda: bare(A, B)},
        size=f"{n} pairs of 100 frames, {'lists' if as_list else 'arrays'}",
        same=lambda ours, theirs: np.testing.assert_allclose(ours, np.sqrt(theirs), rtol=1e-12),
        bars={"bare numba loop": 1 / 1.2},
    )


def test_soft_dtw_beside_tslearn(bench, optional, pick):
    from skalign.temporal import soft_dtw

    metrics = optional("tslearn.metrics")
    n = pick(1_000, 300)
    a, b = walks(n, 3)
    bench.compare(
        "soft_dtw",
        lambda: float(soft_dtw(a, b, gamma=1.0)),
        {"tslearn": metrics and (lambda: metrics.soft_dtw(a, b, gamma=1.0))},
        size=f"{n:,} frames, 3 channels",
        same=lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-9),
    )


def test_wavefront_on_a_cpu_is_the_slower_one(bench, pick):
    """Why soft-DTW of CPU tensors runs the compiled kernel."""
    torch = pytest.importorskip("torch")
    from skalign.temporal import soft_dtw

    n = pick(200, 50)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(8, n, 3, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(2))

    def gradient(method):
        return torch.autograd.grad(soft_dtw(a, b, method=method).sum(), a)[0]

    bench.compare(
        "soft_dtw with its gradient, the compiled kernel",
        lambda: gradient("kernel"),
        {"wavefront": lambda: gradient("wavefront")},
        size=f"8 pairs of {n} frames, 3 channels",
        same=1e-9,
        bars={"wavefront": 1},
    )
