"""CCA against a bare solver, scikit-learn and cca-zoo on the same data; answers are compared before times."""

import numpy as np
import pytest
import scipy.linalg as sla
from sklearn.cross_decomposition import CCA as NipalsCCA

from skalign import CCA

pytestmark = pytest.mark.slow


def related(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    shared = min(p, 50)
    Y = rng.normal(size=(n, p))
    Y[:, :shared] += X[:, :shared] * np.linspace(2.0, 0.2, shared)
    return X, Y


def bare(X, Y, k):
    """Covariances, Cholesky factors and a singular value decomposition, with no check of anything."""
    n = len(X)
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    Lx, Ly = sla.cholesky(X.T @ X / n, lower=True), sla.cholesky(Y.T @ Y / n, lower=True)
    half = sla.solve_triangular(Lx, X.T @ Y / n, lower=True)
    U, s, Vt = sla.svd(sla.solve_triangular(Ly, half.T, lower=True).T, full_matrices=False)
    Wx = sla.solve_triangular(Lx, U[:, :k], lower=True, trans=1)
    return s[:k], Wx, sla.solve_triangular(Ly, Vt[:k].T, lower=True, trans=1)


@pytest.mark.parametrize(("n", "p"), [(2_000, 50), (20_000, 50)])
def test_at_most_a_third_slower_than_a_bare_solver(n, p, alternating_medians):
    X, Y = related(n, p)
    np.testing.assert_allclose(CCA(10).fit(X, Y).canonical_correlations_, bare(X, Y, 10)[0], atol=1e-10)
    ours, theirs = alternating_medians(lambda: CCA(10).fit(X, Y), lambda: bare(X, Y, 10), repeats=101)
    assert ours <= 1.3 * theirs, f"{ours / theirs:.2f} times a bare solver"


def test_ten_times_faster_than_scikit_learn(alternating_medians):
    X, Y = related(2_000, 50)
    nipals = NipalsCCA(10, max_iter=5_000)
    Zx, Zy = nipals.fit(X, Y).transform(X, Y)
    theirs = [np.corrcoef(a, b)[0, 1] for a, b in zip(Zx.T, Zy.T)]
    np.testing.assert_allclose(CCA(10).fit(X, Y).canonical_correlations_, theirs, atol=1e-3)
    ours, theirs = alternating_medians(lambda: CCA(10).fit(X, Y), lambda: nipals.fit(X, Y), repeats=5)
    assert 10 * ours <= theirs, f"only {theirs / ours:.1f} times faster"


@pytest.mark.parametrize(("n", "p", "c"), [(200, 10, 0.0), (2_000, 50, 0.0), (20_000, 100, 0.0), (500, 2_000, 0.1)])
def test_faster_than_cca_zoo(n, p, c, alternating_medians):
    linear = pytest.importorskip("cca_zoo.linear")
    X, Y = related(n, p)
    X, Y = X / X.std(axis=0), Y / Y.std(axis=0)  # its penalty takes columns of variance 1 for granted
    k = 5
    peer = linear.CCA(k) if c == 0 else linear.RidgeCCA(k, shrinkage=c)
    ours = CCA(k, shrinkage=c)
    Zx, Zy = peer.fit([X, Y]).transform([X, Y])
    theirs = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(np.asarray(Zx).T, np.asarray(Zy).T)]
    np.testing.assert_allclose(ours.fit(X, Y).canonical_correlations_, theirs, atol=1e-6)
    mine, its = alternating_medians(lambda: ours.fit(X, Y), lambda: peer.fit([X, Y]), repeats=5)
    assert mine < its, f"{mine / its:.2f} times cca-zoo"
