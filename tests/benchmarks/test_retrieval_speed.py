"""Ranks and neighbours beside sorting whole matrices and beside faiss."""

import numpy as np
import pytest

from skalign import CrossModalRetriever, ProcrustesAligner, Views
from skalign.metrics.retrieval import match_ranks

pytestmark = pytest.mark.slow
FAMILY = "retrieval"

MAKE = """
def make(n):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 32))
    return X, X + rng.normal(size=(n, 32))
"""

MAKE_WIDE = """
def make(n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 512), dtype=np.float32)
    return X, X + 4 * rng.standard_normal((n, 512), dtype=np.float32)
"""


def unit_pairs(n, d=32):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return [Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (X, X + rng.normal(size=(n, d)))]


def test_ranks_beside_sorting(bench, pick):
    n = pick(10_000, 2_000)
    X, Y = unit_pairs(n)

    def by_sorting():
        order = np.argsort(-(X @ Y.T), axis=1)
        return np.nonzero(order == np.arange(n)[:, None])[1] + 1

    bench.compare(
        "match_ranks",
        lambda: match_ranks(X, Y),
        {"argsort of the matrix": by_sorting},
        size=f"{n:,} × {n:,}, 32 wide",
        same=lambda ours, theirs: np.testing.assert_array_equal(np.asarray(ours), theirs),
    )


def test_neighbours_beside_faiss(bench, optional, pick):
    """Both get views as they are: maps and unit lengths are a part of the work."""
    faiss = optional("faiss")
    n, m = pick((2_000, 50_000), (500, 5_000))
    views = Views(dict(zip(("query", "gallery"), (Z.astype(np.float32) for Z in unit_pairs(m, 64)))))
    queries = views[["query"]][:n]
    aligner = ProcrustesAligner().fit(views)
    retriever = CrossModalRetriever(aligner, n_neighbors=10).fit(views[["gallery"]])

    def unit(one_view):
        Z = next(Z for _, Z in aligner.transform(one_view).items())
        return np.ascontiguousarray(Z / np.linalg.norm(Z, axis=1, keepdims=True), dtype=np.float32)

    if faiss is not None:
        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(64)
        index.add(unit(views[["gallery"]]))

    bench.compare(
        "CrossModalRetriever.kneighbors",
        lambda: retriever.kneighbors(queries),
        {"faiss IndexFlatIP": faiss and (lambda: index.search(unit(queries), 10))},
        size=f"{n:,} queries, {m:,} rows of width 64, float32",
        same=lambda ours, theirs: np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5),
    )


def test_memory_of_recall(bench, pick):
    n = pick(20_000, 5_000)
    for options in ("", ", normalization='csls'"):
        program = (
            "from skalign.metrics.retrieval import recall_at_k",
            f"lambda X, Y: recall_at_k(X, Y, k=10{options})",
        )
        size = f"{n:,} × {n:,}, 32 wide{', CSLS' if options else ''}"
        bench.memory("recall_at_k, both ways", program, {}, make=MAKE, n=n, size=size)


def test_memory_of_recall_of_100_000_rows(bench, pick):
    n = pick(100_000, 5_000)
    program = "from skalign.metrics.retrieval import recall_at_k", "lambda X, Y: recall_at_k(X, Y, k=10)"
    size = f"{n:,} × {n:,}, 512 wide, float32"
    bench.memory("recall_at_k, both ways", program, {}, make=MAKE_WIDE, n=n, size=size, at_most=600)
