"""Kernel CCA solvers against dense generalised eigenproblems, linear CCA, and each other."""

import numpy as np
import pytest
import scipy.linalg as sla
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics.pairwise import laplacian_kernel, linear_kernel, polynomial_kernel, rbf_kernel
from sklearn.preprocessing import KernelCenterer

from skalign.correlation._kernel_approximation import nystroem_map, rff_directions, rff_map
from skalign.correlation._kernel_solvers import center_kernel, center_rows, kernel_cca, kernel_eigen

KERNELS = {
    "linear": linear_kernel,
    "rbf": lambda X: rbf_kernel(X, gamma=0.5 / X.shape[1]),
    "polynomial": lambda X: polynomial_kernel(X, degree=2),
}


def make_views(n, widths, seed=0, duplicates=False):
    rng = np.random.RandomState(seed)
    shared = rng.normal(size=(n, 4))
    views = [np.tanh(shared @ rng.normal(size=(4, p))) + rng.normal(size=(n, p)) for p in widths]
    if duplicates:
        views = [np.concatenate([X[: n - n // 2], X[: n // 2]]) for X in views]
    return [X - X.mean(axis=0) for X in views]


def make_kernels(n, widths, kernel="rbf", **options):
    return [center_kernel(KERNELS[kernel](X))[0] for X in make_views(n, widths, **options)]


def correlations(kernels, weights):
    variates = [K @ a for K, a in zip(kernels, weights)]
    return np.array([(p * q).mean(axis=0) for i, p in enumerate(variates) for q in variates[i + 1 :]])


def dense_multiset(kernels, shrinkages, k, ridge=1e-13):
    """Top eigenvalues of the dual pencil as it stands; a tiny ridge makes the singular constraint definite."""
    n, m = len(kernels[0]), len(kernels)
    objective, constraint = np.zeros((m * n, m * n)), np.zeros((m * n, m * n))
    for i, (K, c) in enumerate(zip(kernels, shrinkages)):
        rows = slice(i * n, (i + 1) * n)
        regularised = (1 - c) * K @ K / n + c * np.trace(K) / n * K
        constraint[rows, rows] = regularised + ridge * np.linalg.norm(regularised) * np.eye(n)
        for j, other in enumerate(kernels):
            if j != i:
                objective[rows, j * n : (j + 1) * n] = K @ other / n
    values, vectors = sla.eigh(objective, constraint)
    top = vectors[:, ::-1][:, :k]
    return values[::-1][:k], [top[i * n : (i + 1) * n] for i in range(m)]


# --- centring -------------------------------------------------------------------------------------------------------


def test_centring_equals_scikit_learn():
    X, X_new = np.random.RandomState(0).normal(size=(2, 20, 3))
    K, K_new = rbf_kernel(X), rbf_kernel(X_new[:7], X)
    reference = KernelCenterer().fit(K)
    centered, means, grand = center_kernel(K)
    assert_allclose(centered, reference.transform(K), atol=1e-14)
    assert_allclose(center_rows(K_new, means, grand), reference.transform(K_new), atol=1e-14)
    assert_array_equal(K, rbf_kernel(X))


@pytest.mark.parametrize("constant", [0.1, 1e12])
def test_centred_constant_kernel_is_zero(constant):
    assert not center_kernel(np.full((7, 7), constant))[0].any()


# --- exact solvers against oracles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["eigen", "cholesky"])
@pytest.mark.parametrize("widths", [(3, 5), (4, 3, 5)])
@pytest.mark.parametrize("shrinkage", [0.01, 0.3, 1.0])
def test_equals_dense_generalised_eigenproblem(solver, widths, shrinkage):
    shrinkages = [shrinkage, shrinkage / 2, shrinkage][: len(widths)]
    kernels = make_kernels(25, widths)
    weights, values = kernel_cca(kernels, shrinkages, 3, solver=solver)
    expected, dual = dense_multiset(kernels, shrinkages, 3)
    assert_allclose(values, expected, rtol=1e-9)
    for K, a, b in zip(kernels, weights, dual):
        p, q = K @ a, K @ b
        assert_allclose(p.std(axis=0), 1.0, rtol=1e-10)
        assert_allclose(abs((p * q).mean(axis=0)) / q.std(axis=0), 1.0, rtol=1e-8)


@pytest.mark.parametrize("solver", ["eigen", "cholesky"])
@pytest.mark.parametrize("shrinkage", [1e-4, 0.2, 1.0])
def test_linear_kernel_equals_linear_ridge_cca(solver, shrinkage):
    X, Y = make_views(60, (4, 6))
    roots = []
    for V in (X, Y):
        C = V.T @ V / len(V)
        l, U = np.linalg.eigh((1 - shrinkage) * C + shrinkage * np.trace(C) * np.eye(len(C)))
        roots.append(U / np.sqrt(l) @ U.T)
    U, expected, Vt = np.linalg.svd(roots[0] @ (X.T @ Y / len(X)) @ roots[1])
    weights, values = kernel_cca([X @ X.T, Y @ Y.T], [shrinkage] * 2, 4, solver=solver)
    assert_allclose(values, expected[:4], rtol=1e-9)
    P, Q = X @ roots[0] @ U[:, :4], Y @ roots[1] @ Vt[:4].T
    assert_allclose(
        correlations([X @ X.T, Y @ Y.T], weights)[0],
        [np.corrcoef(p, q)[0, 1] for p, q in zip(P.T, Q.T)],
        rtol=1e-8,
    )


def test_no_shrinkage_is_ordinary_cca():
    X, Y = make_views(40, (3, 4))
    _, values = kernel_cca([X @ X.T, Y @ Y.T], [0.0, 0.0], 3)
    assert_allclose(values, np.cos(sla.subspace_angles(X, Y))[::-1], atol=1e-10)


# --- "cholesky" against "eigen" -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize(("n", "k"), [(5, 1), (12, 2), (60, 3), (300, 4)])
def test_solvers_agree(kernel, duplicates, n, k):
    kernels = make_kernels(n, (5, 6), kernel, duplicates=duplicates)
    for shrinkage in (1e-9, 1e-6, 1e-4, 1e-2, 0.1, 0.5, 0.9, 1.0):
        a, values = kernel_cca(kernels, [shrinkage, shrinkage], k, solver="cholesky")
        b, expected = kernel_cca(kernels, [shrinkage, shrinkage], k, solver="eigen")
        assert_allclose(values, expected, atol=1e-8)
        assert_allclose(correlations(kernels, a), correlations(kernels, b), atol=1e-8)


@pytest.mark.parametrize("widths", [(3, 4), (3, 4, 5)])
@pytest.mark.parametrize("shrinkage", [1e-3, 0.1, 1.0])
def test_the_iteration_itself_converges(monkeypatch, widths, shrinkage):
    kernels = make_kernels(400, widths)
    b, expected = kernel_cca(kernels, [shrinkage] * len(widths), 3, solver="eigen")

    def no_fallback(*args):
        raise AssertionError("went over to 'eigen'")

    monkeypatch.setattr("skalign.correlation._kernel_solvers._decompose", no_fallback)
    a, values = kernel_cca(kernels, [shrinkage] * len(widths), 3, solver="cholesky")
    assert_allclose(values, expected, atol=1e-10)
    signs = np.sign(np.sum((kernels[0] @ a[0]) * (kernels[0] @ b[0]), axis=0))
    for K, x, y in zip(kernels, a, b):
        assert_allclose(K @ x * signs, K @ y, atol=1e-6)


def test_equal_correlations_are_left_to_eigen():
    K = np.kron(np.eye(4), make_kernels(30, (3,))[0])  # every component comes four times
    for solver in ("cholesky", "eigen"):
        _, values = kernel_cca([K, K], [0.1, 0.1], 8, solver=solver)
        assert_allclose(values[:4], values[0], rtol=1e-9)
        assert_allclose(values[4:], values[4], rtol=1e-9)
        assert values[4] < 0.99 * values[0]


def test_view_that_has_no_part_has_zero_weights():
    rng = np.random.RandomState(0)
    Q = np.linalg.qr(np.c_[np.ones(50), rng.normal(size=(50, 6))])[0][:, 1:]
    X, Y, Z = Q[:, :2], Q[:, :2] * [1, 2], Q[:, 4:]
    weights, values = kernel_cca([V @ V.T for V in (X, Y, Z)], [0.1] * 3, 2)
    assert np.all(values > 0.1)
    assert not weights[2].any()
    assert weights[0].any(axis=0).all()


# --- invariances ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["eigen", "cholesky"])
@pytest.mark.parametrize("scales", [(1e12, 1e12), (1e-12, 1e12), (1e-12, 1e-12)])
def test_scale_of_the_kernel_does_not_matter(solver, scales):
    kernels = make_kernels(50, (3, 4))
    a, expected = kernel_cca(kernels, [0.1, 0.2], 3, solver=solver)
    b, values = kernel_cca([s * K for s, K in zip(scales, kernels)], [0.1, 0.2], 3, solver=solver)
    assert_allclose(values, expected, rtol=1e-9)
    for K, s, x, y in zip(kernels, scales, a, b):
        assert_allclose(abs(s * K @ y), abs(K @ x), atol=1e-8)


@pytest.mark.parametrize("solver", ["eigen", "cholesky"])
def test_order_of_rows_permutes_the_weights(solver):
    kernels = make_kernels(50, (3, 4))
    order = np.random.RandomState(1).permutation(50)
    a, expected = kernel_cca(kernels, [0.1, 0.2], 3, solver=solver)
    b, values = kernel_cca([K[np.ix_(order, order)] for K in kernels], [0.1, 0.2], 3, solver=solver)
    assert_allclose(values, expected, rtol=1e-9)
    for K, x, y in zip(kernels, a, b):
        assert_allclose(abs(K[np.ix_(order, order)] @ y), abs(K @ x)[order], atol=1e-8)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("solver", ["eigen", "cholesky"])
def test_tensors_stay_tensors_and_agree_with_numpy(m, solver):
    torch = pytest.importorskip("torch")
    raw = [KERNELS["rbf"](X) for X in make_views(60, (3, 4, 5)[:m])]
    tensors = [center_kernel(torch.asarray(K)) for K in raw]
    kernels = [center_kernel(K)[0] for K in raw]
    for (K, _, _), expected in zip(tensors, kernels):
        assert_allclose(K.numpy(), expected, atol=1e-14)
    weights, values = kernel_cca([K for K, _, _ in tensors], [0.1] * m, 3, solver=solver)
    expected_weights, expected = kernel_cca(kernels, [0.1] * m, 3, solver=solver)
    assert all(isinstance(x, torch.Tensor) for x in [*weights, values])
    assert_allclose(values.numpy(), expected, atol=1e-10)
    assert_allclose(
        correlations(kernels, [a.numpy() for a in weights]), correlations(kernels, expected_weights), atol=1e-10
    )
    rows = center_rows(torch.asarray(raw[0][:5]), *tensors[0][1:])
    assert_allclose(rows.numpy(), kernels[0][:5], atol=1e-14)


def test_float32_kernels_are_computed_in_float64():
    small = [K.astype(np.float32) for K in make_kernels(50, (3, 4))]
    weights, values = kernel_cca(small, [0.1, 0.1], 3)
    _, expected = kernel_cca([K.astype(np.float64) for K in small], [0.1, 0.1], 3)
    assert weights[0].dtype == np.float64
    assert_array_equal(values, expected)
    assert center_kernel(small[0])[0].dtype == np.float64


def test_cholesky_draws_only_from_rng():
    kernels = make_kernels(300, (3, 4))
    before = np.random.mtrand._rand.get_state()[1].copy()
    runs = [kernel_cca(kernels, [0.1, 0.1], 3, solver="cholesky", rng=np.random.default_rng(s))[0] for s in (0, 0, 1)]
    assert_array_equal(runs[0][0], runs[1][0])
    assert (runs[0][0] != runs[2][0]).any()
    assert_array_equal(np.random.mtrand._rand.get_state()[1], before)


def test_decompositions_at_hand_are_used():
    kernels = make_kernels(50, (3, 4))
    expected = kernel_cca(kernels, [0.1, 0.3], 3, solver="eigen")
    given = kernel_cca(kernels, [0.1, 0.3], 3, decompositions=[kernel_eigen(K) for K in kernels])
    assert_array_equal(given[0][0], expected[0][0])


# --- bad input ------------------------------------------------------------------------------------------------------


def test_constant_kernel_names_the_view():
    kernels = [make_kernels(20, (3,))[0], center_kernel(np.ones((20, 20)))[0]]
    with pytest.raises(ValueError, match="view 1 is constant"):
        kernel_cca(kernels, [0.1, 0.1], 2)


@pytest.mark.parametrize("solver", ["eigen", "cholesky"])
@pytest.mark.parametrize("shrinkage", [1e-5, 0.1, 1.0])
def test_more_components_than_rank(solver, shrinkage):
    with pytest.raises(ValueError, match=r"n_components=4 is more than 3, .* of view 1"):
        kernel_cca(make_kernels(300, (6, 3), "linear"), [shrinkage] * 2, 4, solver=solver)


def test_cholesky_needs_shrinkage():
    with pytest.raises(ValueError, match="needs shrinkage > 0"):
        kernel_cca(make_kernels(20, (3, 3)), [0.1, 0.0], 2, solver="cholesky")


# --- approximations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_nystroem_with_all_rows_is_the_kernel(kernel, scale):
    K = scale * KERNELS[kernel](make_views(40, (3,), duplicates=True)[0])
    features = K @ nystroem_map(K)
    assert features.shape[1] <= 20
    assert_allclose(features @ features.T, K, atol=1e-12 * abs(K).max())


def test_nystroem_features_give_the_projected_kernel():
    X = make_views(80, (3,))[0]
    K = KERNELS["rbf"](X)
    features = K[:, :15] @ nystroem_map(K[:15, :15])
    assert_allclose(features @ features.T, K[:, :15] @ np.linalg.solve(K[:15, :15], K[:15]), atol=1e-9)


def test_nystroem_of_a_zero_kernel():
    with pytest.raises(ValueError, match="no positive eigenvalue"):
        nystroem_map(np.zeros((4, 4)))


@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "exponential"])
@pytest.mark.parametrize("rng_type", [np.random.RandomState, np.random.default_rng])
def test_rff_error_falls_as_the_square_root(kernel, rng_type):
    X, gamma = make_views(30, (3,))[0], 0.4
    distances = np.sqrt(((X[:, None] - X) ** 2).sum(axis=-1))
    K = {
        "rbf": rbf_kernel(X, gamma=gamma),
        "laplacian": laplacian_kernel(X, gamma=gamma),
        "exponential": np.exp(-gamma * distances),
    }[kernel]
    rng = rng_type(0)

    def rms_error(n_directions):
        maps = [rff_map(X, rff_directions(3, n_directions, kernel, gamma, rng)) for _ in range(10)]
        return np.sqrt(np.mean([(Z @ Z.T - K) ** 2 for Z in maps]))

    coarse, fine = rms_error(100), rms_error(6400)
    assert coarse < 0.1
    assert_allclose(coarse / fine, 8.0, rtol=0.25)


def test_rff_of_a_tensor():
    torch = pytest.importorskip("torch")
    X = make_views(10, (3,))[0]
    W = rff_directions(3, 20, "laplacian", 0.5, np.random.RandomState(0))
    Z = rff_map(torch.asarray(X), W)
    assert_allclose(Z.numpy(), rff_map(X, W), atol=1e-13)
    assert_allclose((Z**2).sum(dim=1).numpy(), 1.0)


def test_rff_of_another_kernel():
    with pytest.raises(ValueError, match="not for 'polynomial'"):
        rff_directions(3, 10, "polynomial", 1.0, np.random.RandomState(0))
