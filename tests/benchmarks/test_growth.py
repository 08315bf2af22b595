"""Cost against size on log axes, one case for each estimator that computes much, and the exponent that theory has.

What grows is the number of rows n unless said otherwise. Iterative methods make a fixed number of steps, so that the
exponent is that of a step. Arrays stay below 32 MB where little else is done: larger ones are fetched anew from the
system at every call, which is a jump in the cost and no exponent.
"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances

import skalign
from skalign import Views
from skalign.metrics.representation import cka, mutual_knn
from skalign.metrics.retrieval import match_ranks
from skalign.sequence import ctc_posterior, forced_align
from skalign.temporal import dtw, soft_dtw

pytestmark = pytest.mark.slow

CASES = {}
CHANGES, TOKENS = "change points", "tokens and transcripts"
NETS = ("skorch",)
TRAINING = {"max_epochs": 2, "early_stopping": False, "random_state": 0}


def case(family, what, sizes, theory, interval, of="n", needs=()):
    """Register a function from a size to a call; `needs` are modules without which the case is skipped."""

    def register(make):
        CASES[f"{what}, {of}"] = (family, what, sizes, theory, interval, of, needs, make)
        return make

    return register


def doubled(first, count):
    return [first * 2**i for i in range(count)]


def pair(n, p, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p), dtype=dtype)
    return X, X + rng.standard_normal((n, p), dtype=dtype)


def steady(call):
    """The call without the warning that a fixed number of steps is not enough."""

    def quiet():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", UserWarning)
            return call()

    return quiet


# --- correlation -----------------------------------------------------------------------------------------------------


@case("correlation", "CCA.fit", doubled(4_000, 6), "1: moments of 50 + 50 columns", (0.85, 1.15))
def cca_rows(n):
    X, Y = pair(n, 50)
    return lambda: skalign.CCA(5).fit(X, Y)


@case("correlation", "CCA.fit", doubled(32, 6), "2 (moments) to 3 (factors)", (1.7, 3.1), of="columns")
def cca_columns(p):
    X, Y = pair(4_000, p)
    return lambda: skalign.CCA(5, shrinkage=0.1).fit(X, Y)


@case("correlation", "KernelCCA.fit, exact", doubled(125, 6), "3: factors of kernels; kernels are 2", (2.0, 3.1))
def kernel_cca(n):
    X, Y = pair(n, 10)
    return lambda: skalign.KernelCCA(5, kernel="rbf", shrinkage=0.1).fit(X, Y)


@case("correlation", "KernelCCA.fit, nystroem", doubled(2_000, 6), "1: 100 landmarks", (0.8, 1.15))
def kernel_cca_nystroem(n):
    X, Y = pair(n, 10)
    options = {"approximation": "nystroem", "n_landmarks": 100, "random_state": 0}
    return lambda: skalign.KernelCCA(5, kernel="rbf", shrinkage=0.1, **options).fit(X, Y)


@case("correlation", "DeepCCA.fit, 2 epochs", doubled(1_000, 5), "1: batches of 500", (0.75, 1.15), needs=NETS)
def deep_cca(n):
    X, Y = pair(n, 32, dtype=np.float32)
    return lambda: skalign.DeepCCA(5, batch_size=500, **TRAINING).fit(X, Y)


@case("correlation", "ProcrustesAligner.fit", doubled(4_000, 6), "1: one product, a 50 × 50 SVD", (0.8, 1.2))
def procrustes(n):
    X, Y = pair(n, 50)
    return lambda: skalign.ProcrustesAligner().fit(X, Y)


# --- contrast and retrieval ------------------------------------------------------------------------------------------


@case("contrast", "ContrastiveAligner.fit, 2 epochs", doubled(1_024, 6), "1: batches of 256", (0.75, 1.15), needs=NETS)
def contrastive(n):
    X, Y = pair(n, 32, dtype=np.float32)
    return lambda: skalign.ContrastiveAligner(16, batch_size=256, **TRAINING).fit(X, Y)


@case("contrast", "info_nce, with gradients", doubled(512, 5), "2: all pairs", (1.7, 2.2), "batch", ("torch",))
def info_nce(n):
    import torch

    from skalign.contrastive import losses

    views = [torch.from_numpy(Z).requires_grad_() for Z in pair(n, 64, dtype=np.float32)]
    return lambda: torch.autograd.grad(losses.info_nce(*views, torch.tensor(0.1)), views)


@case("contrast", "RelativeAligner.transform", doubled(2_000, 5), "1: 500 anchors", (0.8, 1.2))
def relative(n):
    aligner = skalign.RelativeAligner().fit(Views(a=pair(500, 32)[0], b=pair(500, 32)[1]))
    views = Views(a=pair(n, 32)[0])
    return lambda: aligner.transform(views)


@case("retrieval", "match_ranks", doubled(1_000, 5), "2: all pairs", (1.7, 2.2))
def ranks(n):
    X, Y = pair(n, 32)
    return lambda: match_ranks(X, Y)


@case("retrieval", "CrossModalRetriever.kneighbors", doubled(8_000, 5), "1: 200 queries", (0.75, 1.2), of="gallery")
def retriever(n):
    X, Y = pair(n, 32)
    aligner = skalign.ProcrustesAligner().fit(Views(a=X, b=Y))
    fitted = skalign.CrossModalRetriever(aligner).fit(Views(b=Y))
    queries = Views(a=X[:200])
    return lambda: fitted.kneighbors(queries)


# --- transport -------------------------------------------------------------------------------------------------------


@case("transport", "AssignmentAligner.fit", doubled(125, 5), "3 at worst; less on random weights", (1.8, 3.1))
def assignment(n):
    weights = np.random.default_rng(0).normal(size=(n, n))
    aligner = skalign.AssignmentAligner(similarity="precomputed")
    return lambda: aligner.fit(weights)


@case("transport", "OTAligner.fit, 20 sweeps", doubled(250, 5), "2: a sweep reads all pairs", (1.6, 2.25))
def sinkhorn(n):
    X, Y = pair(n, 5)
    return steady(lambda: skalign.OTAligner(regularization=0.02, max_iter=20, tol=1e-14).fit(X, Y))


@case("transport", "OTAligner.fit, exact", doubled(125, 5), "2 to 3: network simplex", (1.8, 3.1), needs=("ot",))
def exact(n):
    X, Y = pair(n, 5)
    return lambda: skalign.OTAligner(method="exact").fit(X, Y)


@case("transport", "OTAligner.fit, gromov, 5 steps", doubled(64, 5), "3 (gradient) and 2 (sweeps)", (1.7, 3.1))
def gromov(n):
    from skalign.transport._gromov import gromov_wasserstein

    D, E = (pairwise_distances(Z) for Z in pair(n, 3))
    D, E = D / D.mean(), E / E.mean()
    return steady(lambda: gromov_wasserstein(D, E, epsilon=0.05, tol=1e-14, max_iter=5))


@case("transport", "LatentPairingAligner.fit", doubled(50, 4), "2 to 3: assignments", (1.3, 3.2))
def latent(n):
    rng = np.random.default_rng(0)
    X = rng.gamma(1.0, size=(n, 4)) * [4.0, 3.0, 2.0, 1.0]
    Y = (X @ np.linalg.qr(rng.normal(size=(4, 4)))[0])[rng.permutation(n)]
    return steady(lambda: skalign.LatentPairingAligner(n_init=2, max_iter=20, random_state=0).fit(X, Y))


# --- warping and change points ---------------------------------------------------------------------------------------


def walks(n, d):
    return [Z.cumsum(axis=0) for Z in np.random.default_rng(0).normal(size=(2, n, d))]


@case("warping", "dtw: path", doubled(300, 5), "2: all pairs of frames", (1.75, 2.15), of="frames")
def warped_path(n):
    a, b = walks(n, 3)
    return lambda: dtw(a, b)


@case("warping", "dtw: path, window 50", doubled(1_000, 6), "1: a band", (0.75, 1.15), of="frames")
def banded_path(n):
    a, b = walks(n, 3)
    return lambda: dtw(a, b, window=50)


@case("warping", "soft_dtw", doubled(125, 5), "2: all pairs of frames", (1.75, 2.15), of="frames")
def soft(n):
    a, b = walks(n, 3)
    return lambda: soft_dtw(a, b)


@case("warping", "DTWAligner.distances", doubled(100, 6), "1: pairs of 100 frames", (0.8, 1.15), of="pairs")
def many_pairs(n):
    A, B = np.random.default_rng(0).normal(size=(2, n, 100)).cumsum(axis=2)
    views = Views(a=A, b=B)
    aligner = skalign.DTWAligner().fit(views)
    return lambda: aligner.distances(views)


@case("warping", "CTWAligner.fit, 5 turns", doubled(125, 6), "2: a path each turn", (1.4, 2.15), of="frames")
def canonical(n):
    t, rng = np.linspace(0, 1, n), np.random.default_rng(0)
    a, b = (np.stack([np.sin(f * 2 * np.pi * u) for f in (2, 3, 5)], axis=1) for u in (t, t**1.5))
    views = Views(a=[a @ rng.normal(size=(3, 5))], b=[b @ rng.normal(size=(3, 4))])
    return steady(lambda: skalign.CTWAligner(2, max_iter=5).fit(views))


@case(CHANGES, "ChangepointSegmenter, no change", doubled(2_000, 5), "2: nothing is pruned", (1.6, 2.15), of="frames")
def pelt_at_worst(n):
    signal = np.random.default_rng(0).normal(size=(n, 1))
    return lambda: skalign.ChangepointSegmenter().fit([signal]).predict([signal])


@case(CHANGES, "ChangepointSegmenter, changes", doubled(2_000, 7), "1: pruned", (0.75, 1.3), of="frames")
def pelt(n):
    rng = np.random.default_rng(0)
    signal = (rng.normal(size=n) + np.repeat(rng.choice([-5.0, 0.0, 5.0], size=-(-n // 100)), 100)[:n])[:, None]
    segmenter = skalign.ChangepointSegmenter(penalty=3 * np.log(n), standardize=False)
    return lambda: segmenter.fit([signal]).predict([signal])


@case(CHANGES, "ChangepointSegmenter('profile')", doubled(1_000, 5), "2: pairs of windows", (1.6, 2.2), of="frames")
def profile(n):
    t = np.arange(n)
    signal = np.where(t < n // 2, np.sin(t / 9), np.sign(np.sin(t / 9)))
    signal += 0.1 * np.random.default_rng(0).normal(size=n)
    segmenter = skalign.ChangepointSegmenter("profile").fit([signal[:500]])
    return lambda: segmenter.predict([signal])


# --- tokens and transcripts ------------------------------------------------------------------------------------------


def scores(n, n_classes=30):
    found = np.random.default_rng(0).normal(size=(n, n_classes))
    return found - np.log(np.exp(found).sum(axis=1, keepdims=True))


@case(TOKENS, "forced_align", doubled(500, 6), "2: labels are a tenth", (1.5, 2.15), of="frames")
def aligned(n):
    log_probs, labels = scores(n), np.random.default_rng(0).integers(1, 30, size=n // 10)
    return lambda: forced_align(log_probs, labels)


@case(TOKENS, "ctc_posterior", doubled(250, 5), "2: labels are a tenth", (1.5, 2.15), of="frames")
def posterior(n):
    log_probs, labels = scores(n), np.random.default_rng(0).integers(1, 30, size=n // 10)
    return lambda: ctc_posterior(log_probs, labels)


@case(TOKENS, "CTCAligner.fit, 2 epochs", doubled(50, 5), "1: 40 frames each", (0.75, 1.15), needs=NETS)
def transcripts(n):
    rng = np.random.default_rng(0)
    X = list(rng.normal(size=(n, 40, 8)))
    y = [rng.integers(5, size=4).tolist() for _ in range(n)]
    return lambda: skalign.CTCAligner(**TRAINING).fit(X, y)


@case(TOKENS, "VectorQuantizer.fit, 128 codes", doubled(10_000, 6), "1: each row to its code", (0.7, 1.25))
def codes(n):
    X = pair(n, 16)[0]
    return steady(lambda: skalign.VectorQuantizer(128, random_state=0).fit(X))


@case(TOKENS, "HiddenUnitDiscretizer.fit, 20 units", doubled(4_000, 6), "1: all to their units", (0.7, 1.3))
def units(n):
    """Clusters that are found in a few turns: how many turns noise takes is another question."""
    rng = np.random.default_rng(0)
    X = 20 * rng.normal(size=(20, 16))[rng.integers(20, size=n)] + rng.normal(size=(n, 16))
    return lambda: skalign.HiddenUnitDiscretizer(20, solver="full", n_init=1, random_state=0).fit(X)


# --- agreement of representations, information -----------------------------------------------------------------------


@case("emergent alignment", "mutual_knn", doubled(1_000, 5), "2: all pairs", (1.7, 2.2))
def neighbours(n):
    X, Y = pair(n, 128)
    return lambda: mutual_knn(X, Y)


@case("emergent alignment", "cka, linear", doubled(2_000, 6), "1: moments of 128 columns", (0.8, 1.2))
def linear_cka(n):
    X, Y = pair(n, 128)
    return lambda: cka(X, Y)


@case("emergent alignment", "cka, rbf", doubled(500, 5), "2: all pairs", (1.7, 2.2))
def kernel_cka(n):
    X, Y = pair(n, 128)
    return lambda: cka(X, Y, kernel="rbf")


@case("information", "mutual_information, gaussian", doubled(4_000, 5), "1: moments of 20 columns", (0.7, 1.2))
def gaussian_information(n):
    X, Y = pair(n, 20)
    return lambda: skalign.information.mutual_information(X, Y, "gaussian")


@case("information", "mutual_information, ksg", doubled(500, 5), "1 to 2: a tree of 6 columns", (0.95, 2.1))
def neighbour_information(n):
    X, Y = pair(n, 3)
    return lambda: skalign.information.mutual_information(X, Y, "ksg")


@pytest.mark.parametrize("name", CASES)
def test_cost_grows_as_theory_says(name, growth):
    family, what, sizes, theory, interval, of, needs, make = CASES[name]
    for module in needs:
        pytest.importorskip(module)
    growth(family, what, make, sizes, of=of, theory=theory, interval=interval)
