"""Tensors stay where they are, and numpy goes to a device and back: no table crosses unseen, and answers are equal.

Everything runs on CPU tensors, where a crossing costs nothing but is seen all the same; `gpu` tests repeat it on CUDA.
"""

import gc
import traceback
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from skalign import (
    CCA,
    ContrastiveAligner,
    CrossModalRetriever,
    CTCAligner,
    DeepCCA,
    DTWAligner,
    FactorizedContrastiveAligner,
    KernelCCA,
    LatentPairingAligner,
    MutualInformation,
    OrderAligner,
    OTAligner,
    ProcrustesAligner,
    RelativeAligner,
    VectorQuantizer,
    Views,
    _backend,
)
from skalign.metrics import energy_distance, foscttm, mean_reciprocal_rank, pairwise_similarity, recall_at_k
from skalign.metrics.representation import (
    cka,
    cknna,
    cycle_knn,
    hsic,
    linear_predictivity,
    mutual_knn,
    procrustes_similarity,
    pwcca,
    rsa,
    svcca,
)
from skalign.sequence import ctc_posterior
from skalign.temporal import soft_dtw
from skalign.transport import sinkhorn
from skalign.transport._costs import PointCost, mean_cost
from skalign.transport._geometry import moved

torch = pytest.importorskip("torch")
from torch.overrides import TorchFunctionMode  # noqa: E402

N = 257
G = np.arange(N) % 3
# Functions that may carry a table, and why.
ALLOWED = {
    "_kernel_maps.py:_keep": "training rows are a fitted attribute, kept on the host so that it loads without a GPU",
    "_kernel_maps.py:__call__": "the same rows on their way back, once a device",
    "_kernel_cca.py:fit": "dual weights are a fitted attribute",
    "_kernel_cca.py:_variates": "the same weights on their way back, once a device",
    "_kernel_solvers.py:_iterate": "the random start of the iteration is drawn on the host, whatever the device",
    "_relative.py:_set_anchors": "anchors are a fitted attribute",
    "_relative.py:_encode": "the same anchors on their way back, once a device",
    "_neighbors.py:_candidates": "k neighbours a row: ties among them are ranked on the host",
    "_nearest.py:_entries": "k neighbours a row: ties among them are ranked on the host",
    "_retriever.py:kneighbors": "the k neighbours found, on their way back",
    "_nets.py:to_arrays": "trained weights are a fitted attribute, plain numbers",
    "_order_training.py:_decided": "energies of training pairs: scikit-learn fits the probabilities to them",
    "_soft_dtw.py:_wavefront": "the window: two whole numbers a frame, worked out from the lengths",
    "_soft_dtw.py:<genexpr>": "the window: two whole numbers a frame, worked out from the lengths",
}
_CARRIERS = ("numpy", "cpu", "tolist", "__array__", "__dlpack__", "as_tensor", "asarray", "tensor", "from_numpy")


def _place():
    """The function of the library that is at work, those of the backend aside, as file:function."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if "skalign" in path.parts and path.name.startswith("_") and path.name != "_backend.py":
            return f"{path.name}:{frame.name}"
    return "?"


class Crossings(TorchFunctionMode):
    """Notes every array of two numbers a row or more that goes from torch to numpy or back, with the function."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, given = getattr(func, "__name__", ""), args[0] if args else None
        carries = isinstance(given, np.ndarray) or (isinstance(given, torch.Tensor) and not name.startswith("as"))
        if name in _CARRIERS and carries and np.prod(given.shape) >= 2 * N:
            self.seen[_place()] = f"{name} of {tuple(given.shape)}"
        return func(*args, **(kwargs or {}))

    def forbidden(self):
        return {place: what for place, what in self.seen.items() if place not in ALLOWED}


_NET = dict(max_epochs=2, random_state=0)


def data(dtype="float64"):
    rng = np.random.default_rng(0)
    X = rng.gamma(1.0, size=(N, 8))
    Y = X @ rng.normal(size=(8, 6)) + 0.5 * rng.normal(size=(N, 6))
    return X.astype(dtype), Y.astype(dtype)


def paired(aligner):
    def run(X, Y):
        fitted = clone(aligner).fit(X, Y)
        return [*fitted.transform(X, Y), fitted.similarity(X, Y), fitted.score(X, Y)]

    return run


def transported(same_space=True, **options):
    def run(X, Y):
        Y = X + 0.1 if same_space else Y
        fitted = OTAligner(tol=1e-9, **options).fit(X, Y)
        return [fitted.transform(X), fitted.score(X, Y) if same_space else fitted.cost_]

    return run


def paired_up(**options):
    return lambda X, Y: [LatentPairingAligner(random_state=0, **options).fit(X, X + 1.0).transform(X)]


def retrieved(X, Y):
    aligner = ProcrustesAligner().fit(X, Y)
    values, positions = CrossModalRetriever(aligner).fit(Views(y=Y)).kneighbors(Views(x=X))
    return [values, float(positions[:, 0].sum())]


def factorized(X, Y):
    fitted = FactorizedContrastiveAligner(2, **_NET).fit(X, Y)
    return [*fitted.transform(X, Y)]


def informed(X, Y):
    fitted = MutualInformation(n_components=4, hidden_layer_sizes=(8,), **_NET).fit(X, Y)
    return [fitted.score(X, Y), fitted.estimate(X, Y, n_permutations=9, random_state=0).pvalue]


def quantized(X, Y):
    fitted = VectorQuantizer(8, hidden_layer_sizes=(16,), **_NET).fit(X)
    return [fitted.inverse_transform(fitted.predict(X)), fitted.score(X)]


def transcribed(X, Y):
    frames, words = [X[:20], X[20:45], X[45:60]], [[0, 1], [1, 0], [0]]
    fitted = CTCAligner(hidden_layer_sizes=(8,), kernel_size=3, **_NET).fit(frames, words)
    return [*fitted.transform(frames), fitted.score(frames, words)]


def registered(X, Y):
    method = "auto" if is_array(X) else "wavefront"
    return [soft_dtw(X[:, :, None], Y[:, :, None], 0.5, method=method)]


def potentials(X, Y):
    found = sinkhorn(PointCost(X, X + 0.1), epsilon=5.0, tol=1e-9)
    return [found.f - found.f[0], found.g + found.f[0]]


# name: (what is computed of tensors or arrays, largest difference relative to the largest entry)
CASES = {
    "CCA": (paired(CCA(2)), 1e-9),
    "KernelCCA": (paired(KernelCCA(2)), 1e-7),
    "KernelCCA-eigen": (paired(KernelCCA(2, solver="eigen")), 1e-7),
    "KernelCCA-nystroem": (paired(KernelCCA(2, approximation="nystroem", n_landmarks=20, random_state=0)), 1e-7),
    "KernelCCA-rff": (paired(KernelCCA(2, approximation="rff", n_landmarks=20, random_state=0)), 1e-7),
    "KernelCCA-linear": (paired(KernelCCA(2, kernel="linear")), 1e-7),
    "ProcrustesAligner": (paired(ProcrustesAligner()), 1e-9),
    "RelativeAligner": (paired(RelativeAligner(60, random_state=0)), 1e-9),
    "DeepCCA": (paired(DeepCCA(2, **_NET)), 1e-5),
    "ContrastiveAligner": (paired(ContrastiveAligner(2, **_NET)), 1e-5),
    "FactorizedContrastiveAligner": (factorized, 1e-5),
    "OrderAligner": (paired(OrderAligner(2, **_NET)), 1e-5),
    "OTAligner": (transported(regularization=0.1), 1e-6),
    "OTAligner-unbalanced": (transported(method="unbalanced"), 1e-6),
    "OTAligner-gromov": (transported(False, method="gromov", regularization=0.05), 1e-5),
    "OTAligner-fused": (transported(method="fused", regularization=0.05), 1e-5),
    "CrossModalRetriever": (retrieved, 1e-9),
    "pairwise_similarity": (lambda X, Y: [pairwise_similarity(X, X + 0.1, "rbf")], 1e-9),
    "recall_at_k": (lambda X, Y: [recall_at_k(X, X**2, k=3), mean_reciprocal_rank(X, X**2), foscttm(X, X**2)], 1e-9),
    "MutualInformation": (informed, 1e-5),
    "MutualInformation-gaussian": (lambda X, Y: [MutualInformation("gaussian").fit(X, Y).score(X, Y)], 1e-9),
    "MutualInformation-groups": (
        lambda X, Y: [MutualInformation("gaussian").fit(X, Y, G).estimate(X, Y, groups=G).mutual_information],
        1e-9,
    ),
    "CTCAligner": (transcribed, 1e-5),
    "mutual_knn": (lambda X, Y: [mutual_knn(X, Y), cycle_knn(X, Y)], 1e-9),
    "cka": (lambda X, Y: [cka(X, Y), cka(X, Y, kernel="rbf"), hsic(X, Y)], 1e-9),
    "cknna": (lambda X, Y: [cknna(X, Y)], 1e-9),
    "svcca": (lambda X, Y: [svcca(X, Y), pwcca(X, Y)], 1e-9),
    "rsa": (lambda X, Y: [procrustes_similarity(X, Y), linear_predictivity(X, Y)], 1e-9),
    "energy_distance": (lambda X, Y: [energy_distance(X, X + 0.1)], 1e-9),
    "sinkhorn": (potentials, 1e-6),
    "soft_dtw": (registered, 1e-9),
}
# What is computed on the host by its nature: tensors are fetched, and what comes of it is carried back.
HOST = {
    "VectorQuantizer": quantized,
    "MutualInformation-ksg": lambda X, Y: [MutualInformation("ksg").fit(X, Y).score(X, Y)],
    "LatentPairingAligner": paired_up(),
    "LatentPairingAligner-sinkhorn": paired_up(plan="sinkhorn", n_init=1),
    "OTAligner-exact": transported(method="exact"),
    "DTWAligner": lambda X, Y: [DTWAligner().fit(X).transform(X)],
    "soft_dtw-kernel": lambda X, Y: [soft_dtw(X[:, :, None], Y[:, :, None], 0.5, method="kernel")],
    "rsa-rank": lambda X, Y: [rsa(X, Y)],
    "ctc_posterior": lambda X, Y: [ctc_posterior(normal(X), [1, 2, 3]).occupancy],
}  # fmt: skip


def is_array(X):
    return isinstance(X, np.ndarray)


def normal(X):
    if is_array(X):
        return X - np.log(np.exp(X).sum(axis=1, keepdims=True))
    return X.log_softmax(dim=1)


def on_host(value):
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def check_equal(expected, found, tolerance, device, dtype):
    assert len(expected) == len(found)
    for a, b in zip(expected, found):
        if np.ndim(a):
            assert isinstance(b, torch.Tensor)
            assert (b.device.type, b.dtype) == (device, getattr(torch, dtype))
        assert_allclose(on_host(b), a, rtol=0, atol=tolerance * max(1.0, np.abs(a).max()))


def run_on(device, run, dtype):
    tensors = [torch.tensor(table, device=device) for table in data(dtype)]
    with Crossings() as crossings:
        found = run(*tensors)
    return found, crossings


@pytest.mark.filterwarnings("ignore")  # few epochs and wide plans: what matters is that both say the same
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", CASES)
def test_tensors_stay_where_they_are(name, device):
    run, tolerance = CASES[name]
    found, crossings = run_on(device, run, "float64")
    assert not crossings.forbidden()
    check_equal(run(*data()), found, tolerance, device, "float64")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", ["CCA", "KernelCCA", "ProcrustesAligner", "RelativeAligner", "CrossModalRetriever",
                                  "mutual_knn", "cka"])  # fmt: skip
def test_float32_stays_float32(name, device):
    run, _ = CASES[name]
    found, crossings = run_on(device, run, "float32")
    assert not crossings.forbidden()
    check_equal(run(*data("float32")), found, 1e-3, device, "float32")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HOST)
def test_what_the_host_computes_comes_back_as_it_came(name):
    found, crossings = run_on("cpu", HOST[name], "float64")
    assert crossings.seen  # else it belongs to the others
    check_equal(HOST[name](*data()), found, 1e-9, "cpu", "float64")


def test_crossings_are_seen():
    X = torch.zeros(N, 3)
    for carry in (torch.Tensor.numpy, np.asarray, torch.Tensor.cpu, torch.Tensor.tolist, np.from_dlpack):
        with Crossings() as crossings:
            carry(X)
        assert list(crossings.forbidden()) == ["?"]
    with Crossings() as crossings:
        torch.as_tensor(np.zeros((N, 3)))
    assert crossings.forbidden()
    with Crossings() as crossings:
        (X + 1).sum().item(), X[:, 0].numpy(), torch.asarray(X)
    assert not crossings.seen


# --- numpy to a device and back --------------------------------------------------------------------------------------

DOOR = {
    "CCA": CCA(2),
    "KernelCCA": KernelCCA(2),
    "KernelCCA-nystroem": KernelCCA(2, approximation="nystroem", n_landmarks=20, random_state=0),
    "ProcrustesAligner": ProcrustesAligner(),
    "RelativeAligner": RelativeAligner(60, random_state=0),
    "DeepCCA": DeepCCA(2, **_NET),
    "ContrastiveAligner": ContrastiveAligner(2, **_NET),
    "OTAligner": OTAligner(tol=1e-9),
    "OTAligner-fused": OTAligner(method="fused", regularization=0.05, tol=1e-9),
    "LatentPairingAligner": LatentPairingAligner(plan="sinkhorn", n_init=1, random_state=0),
    "LatentPairingAligner-net": LatentPairingAligner(
        plan="sinkhorn", map="net", n_init=1, max_epochs=2, max_iter=3, random_state=0
    ),
}


@pytest.fixture
def door(monkeypatch):
    """A device that torch takes for the CPU, and the library for a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return "cpu:0"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DOOR)
def test_numpy_goes_to_a_device_and_comes_back(name, door):
    X, Y = data()
    X, Y = X[:80, :6], X[:80, :6] @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0] + 0.1 * Y[:80]
    here, there = (clone(DOOR[name]).set_params(device=device).fit(X, Y) for device in ("cpu", door))
    expected, found = here.transform(X), there.transform(X)
    assert type(found) is np.ndarray
    assert found.dtype == expected.dtype
    assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    tensors = [f"{name}: {value.device}" for name, value in vars(there).items() if isinstance(value, torch.Tensor)]
    assert not tensors


def test_retriever_goes_to_a_device(door):
    X, Y = data()
    here, there = (
        CrossModalRetriever(CCA(2).fit(X, Y), device=device).fit(Views(y=Y)) for device in (None, door)
    )  # fmt: skip
    for expected, found in zip(here.kneighbors(Views(x=X)), there.kneighbors(Views(x=X))):
        assert type(found) is np.ndarray
        assert_allclose(found, expected, atol=1e-12)
    assert type(there.embeddings_) is np.ndarray
    assert there.score(X, np.arange(N)) == pytest.approx(here.score(X, np.arange(N)), abs=1e-12)


@pytest.mark.parametrize("aligner", [CCA(), KernelCCA(), ProcrustesAligner(), RelativeAligner(), OTAligner(),
                                     LatentPairingAligner(), DeepCCA()], ids=lambda a: type(a).__name__)  # fmt: skip
def test_a_device_that_is_not_there(aligner, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    X, Y = data()
    with pytest.raises(ValueError, match="torch sees no CUDA device"):
        clone(aligner).set_params(device="cuda").fit(X, Y)


def test_retriever_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    X, Y = data()
    with pytest.raises(ValueError, match="torch sees no CUDA device"):
        CrossModalRetriever(CCA(2).fit(X, Y), device="cuda").fit(Views(y=Y))


def test_small_work_stays_on_the_cpu(door):
    least = _backend._WORTH_A_GPU
    assert _backend.resolve_device("auto", 0.9 * least) is None
    assert _backend.resolve_device("auto", 1.1 * least) == "cuda"
    assert _backend.resolve_device(None, np.inf) is None


def test_a_fitted_array_is_carried_once():
    x, there = np.ones((5, 2)), torch.empty(1, device="meta")
    first, before = _backend.resident(x, there), len(_backend._RESIDENT)
    assert first.device.type == "meta"
    assert _backend.resident(x, there) is first
    assert _backend.resident(x, torch.empty(1)).data_ptr() == x.ctypes.data  # nothing to carry
    assert _backend.resident(x, np.ones(1)) is x
    del x
    gc.collect()
    assert len(_backend._RESIDENT) == before - 1


def test_costs_that_were_moved_know_their_dtype():
    X, _ = data()
    there = PointCost(torch.tensor(X), torch.tensor(X) + 0.1)
    back = moved(there, _backend.to_numpy)
    weights = np.full(N, 1.0 / N)
    assert back.dtype == np.float64
    assert mean_cost(back, weights, weights) == pytest.approx(mean_cost(there, weights, weights), rel=1e-12)
