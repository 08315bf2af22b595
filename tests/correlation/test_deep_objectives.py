"""Objectives of deep CCA against closed forms and plain autograd, and on what nets put out when they go wrong."""

import numpy as np
import pytest
import scipy.linalg as sla

from skalign import CCA

torch = pytest.importorskip("torch")
objectives = pytest.importorskip("skalign.correlation._deep_objectives")
OBJECTIVES, smallest_batch = objectives.OBJECTIVES, objectives.smallest_batch
cca_loss, nuclear_loss = objectives.cca_loss, objectives.nuclear_loss
ey_loss, barlow_loss, vicreg_loss = objectives.eckart_young_loss, objectives.barlow_loss, objectives.vicreg_loss


def split_ey(outputs):
    return ey_loss(outputs, split=True)


ALL = {**OBJECTIVES, "ey, split": split_ey}
WHITENED = [cca_loss, nuclear_loss]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def related(n=60, k=4, m=2, seed=0):
    """Views that share more in their first columns, each turned and shifted."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, k)) * np.linspace(2, 0.3, k)
    return [(shared + rng.normal(size=(n, k))) @ rng.normal(size=(k, k)) + rng.normal(size=k) for _ in range(m)]


def tensors(views, dtype=torch.float64, requires_grad=False):
    return [torch.tensor(Z, dtype=dtype, requires_grad=requires_grad) for Z in views]


def white(n, k, seed=0):
    Z = np.random.default_rng(seed).normal(size=(n, k))
    return np.linalg.qr(Z - Z.mean(axis=0))[0] * np.sqrt(n)


def rotation(k, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(k, k)))[0]


def loss_and_gradients(loss, views, dtype=torch.float64):
    Z = tensors(views, dtype, requires_grad=True)
    value = loss(Z)
    return value.detach(), torch.autograd.grad(value, Z)


def correlations(X, Y):
    return CCA(n_components=min(X.shape[1], Y.shape[1])).fit(X, Y).canonical_correlations_


# --- closed forms ---------------------------------------------------------------------------------------------------


def test_cca_and_nuclear_are_sums_of_canonical_correlations():
    X, Y = related()
    rho = correlations(X, Y)
    assert float(cca_loss(tensors([X, Y]), 0.0)) == pytest.approx(-(rho**2).sum(), abs=1e-8)
    assert float(nuclear_loss(tensors([X, Y]), 0.0)) == pytest.approx(-rho.sum(), abs=1e-8)


def test_regularization_is_a_ridge_relative_to_mean_variance():
    X, Y = related()
    r = 0.3
    C = np.cov(np.hstack([X, Y]).T, bias=True)
    Kx, Ky = (C[s, s] + r * np.trace(C[s, s]) / 4 * np.eye(4) for s in (slice(4), slice(4, 8)))
    T = sla.sqrtm(np.linalg.inv(Kx)) @ C[:4, 4:] @ sla.sqrtm(np.linalg.inv(Ky))
    assert float(cca_loss(tensors([X, Y]), r)) == pytest.approx(-np.sum(T**2), abs=1e-10)
    assert float(nuclear_loss(tensors([X, Y]), r)) == pytest.approx(-np.linalg.norm(T, "nuc"), abs=1e-10)


def test_barlow_and_vicreg_as_published():
    X, Y = related()
    k = X.shape[1]
    R = np.corrcoef(X.T, Y.T)[:k, k:]
    off = ~np.eye(k, dtype=bool)
    expected = np.sum((1 - np.diag(R)) ** 2) + 0.1 * np.sum(R[off] ** 2)
    assert float(barlow_loss(tensors([X, Y]), off_diagonal=0.1)) == pytest.approx(expected, rel=1e-4)

    X, Y = X / 3, Y / 3  # so that some units vary by less than one
    spread = [np.maximum(0, 1 - np.sqrt(Z.var(axis=0, ddof=1) + 1e-4)).mean() for Z in (X, Y)]
    assert min(spread) > 0
    shared = [np.sum(np.cov(Z.T)[off] ** 2) / k for Z in (X, Y)]
    expected = 2 * np.mean((X - Y) ** 2) + 3 * sum(spread) + 5 * sum(shared)
    assert float(vicreg_loss(tensors([X, Y]), 2, 3, 5)) == pytest.approx(expected, rel=1e-12)


def test_ey_as_published():
    X, Y = related()
    C = np.cov(np.hstack([X, Y]).T)
    Cxx, Cyy, Cxy = C[:4, :4], C[4:, 4:], C[:4, 4:]
    B = (Cxx + Cyy) / 2
    assert float(ey_loss(tensors([X, Y]))) == pytest.approx(np.sum(B**2) - 2 * np.trace(Cxy), rel=1e-12)
    even, odd = ((np.cov(X[s::2].T) + np.cov(Y[s::2].T)) / 2 for s in (0, 1))
    assert float(split_ey(tensors([X, Y]))) == pytest.approx(np.sum(even * odd) - 2 * np.trace(Cxy), rel=1e-12)


def test_split_ey_is_unbiased():
    """Over all batches of four rows, against the covariances that they are drawn from."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 4))
    C = np.cov(rows.T, bias=True)
    B = (C[:2, :2] + C[2:, 2:]) / 2
    expected = np.sum(B**2) - 2 * np.trace(C[:2, 2:])
    draws = np.stack(np.meshgrid(*[range(5)] * 4), axis=-1).reshape(-1, 4)
    batches = [torch.tensor(rows[i]) for i in draws]
    split = [float(split_ey([b[:, :2], b[:, 2:]])) for b in batches]
    assert np.mean(split) == pytest.approx(expected, abs=1e-10)
    assert np.mean([float(ey_loss([b[:, :2], b[:, 2:]])) for b in batches]) > expected + 0.1


def minimise(loss, views, k, seed=0):
    """Linear maps of fixed data to k outputs that minimise an objective, and its value."""
    g = torch.Generator().manual_seed(seed)
    data = [torch.tensor(X) for X in views]
    maps = [torch.randn(X.shape[1], k, generator=g, dtype=torch.float64).mul_(0.3).requires_grad_() for X in views]
    optimizer = torch.optim.LBFGS(
        maps,
        max_iter=2000,
        tolerance_grad=1e-10,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
        history_size=30,
    )

    def closure():
        optimizer.zero_grad()
        value = loss([X @ W for X, W in zip(data, maps)])
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        outputs = [X @ W for X, W in zip(data, maps)]
        return float(loss(outputs)), [Z.numpy() for Z in outputs]


@pytest.mark.parametrize("k", [1, 3])
def test_ey_over_linear_maps_finds_the_top_canonical_variates(k):
    X, Y = related(n=300, k=6)
    cca = CCA(n_components=6).fit(X, Y)
    rho = cca.canonical_correlations_
    value, outputs = minimise(ey_loss, [X, Y], k)
    assert value == pytest.approx(-np.sum(rho[:k] ** 2), abs=1e-8)
    for Z, data, weights in zip(outputs, (X, Y), cca.weights_.values()):
        variates = (data - data.mean(axis=0)) @ weights[:, :k]
        cosines = np.cos(sla.subspace_angles(Z - Z.mean(axis=0), variates))
        np.testing.assert_allclose(cosines, 1.0, atol=1e-6)


def test_ey_of_three_views_is_the_multiset_eigenproblem():
    views = related(n=300, k=5, m=3)
    C = np.cov(np.hstack(views).T)
    D = sla.block_diag(*(C[i : i + 5, i : i + 5] for i in (0, 5, 10)))
    rho = sla.eigvalsh(C - D, D)[::-1] / 2
    value, _ = minimise(ey_loss, views, 2)
    assert value == pytest.approx(-np.sum(rho[:2] ** 2), abs=1e-8)


@pytest.mark.parametrize("loss", WHITENED)
def test_whitened_objectives_over_linear_maps_reach_the_top_correlations(loss):
    X, Y = related(n=200, k=6)
    rho = correlations(X, Y)[:2]
    value, _ = minimise(lambda outputs: loss(outputs, 0.0), [X, Y], 2)
    assert value == pytest.approx(-np.sum(rho**2 if loss is cca_loss else rho), abs=1e-6)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_k_aligned_components_are_worth_k_for_any_number_of_views(m):
    Z = white(50, 3)
    turned = tensors([Z @ rotation(3, seed) for seed in range(m)])
    assert float(cca_loss(turned, 0.0)) == pytest.approx(-3, abs=1e-10)
    assert float(nuclear_loss(turned, 0.0)) == pytest.approx(-3, abs=1e-10)
    same = tensors([Z * np.sqrt(49 / 50)] * m)
    assert float(ey_loss(same)) == pytest.approx(-3, abs=1e-10)
    assert float(barlow_loss(same)) == pytest.approx(0, abs=1e-8)
    assert float(vicreg_loss(same)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("name", ["cca", "nuclear", "barlow", "vicreg"])
def test_more_views_are_averaged_over_pairs(name):
    Z = tensors(related(m=3))
    pairs = [OBJECTIVES[name]([Z[i], Z[j]]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert float(OBJECTIVES[name](Z)) == pytest.approx(float(sum(pairs)) / 3, rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_order_of_rows_and_views_and_shifts_do_not_matter(name):
    views = related(m=3)
    value = float(OBJECTIVES[name](tensors(views)))
    rows = np.random.default_rng(0).permutation(60)
    assert float(OBJECTIVES[name](tensors([Z[rows] for Z in views[::-1]]))) == pytest.approx(value, rel=1e-10)
    assert float(OBJECTIVES[name](tensors([Z + 7 for Z in views]))) == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("loss", WHITENED)
def test_whitened_objectives_are_invariant_to_invertible_maps(loss):
    rng = np.random.default_rng(5)
    views = related()
    mapped = [Z @ rng.normal(size=(4, 4)) + rng.normal(size=4) for Z in views]
    assert float(loss(tensors(mapped), 0.0)) == pytest.approx(float(loss(tensors(views), 0.0)), abs=1e-9)
    assert float(loss(tensors(mapped))) == pytest.approx(float(loss(tensors(views))), abs=0.1)
    # Of turns and scales of whole views they are exactly so, whatever the regularization.
    turned = [scale * Z @ rotation(4) for scale, Z in zip((1e-6, 1e6), views)]
    assert float(loss(tensors(turned), 0.1)) == pytest.approx(float(loss(tensors(views), 0.1)), abs=1e-9)


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("name", ALL)
def test_gradients_are_right(name, m):
    assert torch.autograd.gradcheck(
        lambda *Z: ALL[name](list(Z)), tensors(related(n=9, k=3, m=m), requires_grad=True), atol=1e-6
    )


def test_nuclear_gradient_is_that_of_the_singular_values():
    views = related()

    def plain(outputs):
        X, Y = (Z - Z.mean(dim=0) for Z in outputs)
        Lx, Ly = (torch.linalg.cholesky(Z.T @ Z + 0.2 * (Z**2).sum() / 4 * torch.eye(4, dtype=Z.dtype)) for Z in (X, Y))
        half = torch.linalg.solve_triangular(Lx, X.T @ Y, upper=False)
        T = torch.linalg.solve_triangular(Ly, half.T, upper=False).T
        return -torch.linalg.svd(T)[1].sum()

    value, gradients = loss_and_gradients(lambda Z: nuclear_loss(Z, 0.2), views)
    expected, wanted = loss_and_gradients(plain, views)
    assert float(value) == pytest.approx(float(expected), abs=1e-12)
    for got, want in zip(gradients, wanted):
        torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-9)


def test_nuclear_gradient_leaves_dead_units_alone():
    """Singular vectors of zero correlations are arbitrary: following them would be noise."""
    X, Y = related()
    X[:, 1] = 0.3
    _, (gradient, _) = loss_and_gradients(nuclear_loss, [X, Y])
    assert gradient[:, 1].abs().max() < 1e-8 * gradient.abs().max()


@pytest.mark.parametrize("name", ALL)
def test_gradients_come_back_in_the_type_of_the_outputs(name):
    views = [Z.astype(np.float32) for Z in related()]
    value, gradients = loss_and_gradients(ALL[name], views, torch.float32)
    expected, wanted = loss_and_gradients(ALL[name], views)
    assert value.dtype == torch.float64
    assert value.ndim == 0
    assert float(value) == pytest.approx(float(expected), rel=1e-10)
    for got, want in zip(gradients, wanted):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-7)


# --- what nets put out ----------------------------------------------------------------------------------------------


def hard(case, n=24, k=4):
    X, Y = related(n, k)
    Z = white(n, k)
    rng = np.random.default_rng(9)
    return {
        "a dead unit": lambda: [X * [1, 1, 0, 1] + 0.1, Y],
        "a dead unit in both": lambda: [X * [1, 1, 0, 1] + 0.1, Y * [0, 1, 1, 1] - 2.7],
        "a dead view": lambda: [np.full((n, k), 0.1), Y],
        "a view of zeros": lambda: [np.zeros((n, k)), Y],
        "all dead": lambda: [np.full((n, k), 0.1), np.full((n, k), -1234.567)],
        "all zeros": lambda: [np.zeros((n, k))] * 2,
        "dead but for rounding": lambda: [0.1 + 1e-17 * X, 1e6 * (1 + 1e-16 * Y)],
        "white and identical": lambda: [Z, Z],
        "exactly white and identical": lambda: [sla.hadamard(16)[:, 1:5].astype(float)] * 2,
        "white and turned": lambda: [Z, Z @ rotation(k)],
        "white and unrelated": lambda: list(np.hsplit(white(n, 2 * k), 2)),
        "identical": lambda: [X, X],
        "opposite": lambda: [X, -X],
        "duplicated rows": lambda: [np.repeat(X[: n // 4], 4, axis=0), np.repeat(Y[: n // 4], 4, axis=0)],
        "one row, repeated": lambda: [np.repeat(X[:1], n, axis=0), np.repeat(Y[:1], n, axis=0)],
        "duplicated columns": lambda: [X[:, [0, 0, 1, 1]], Y[:, [0, 0, 0, 0]]],
        "four rows": lambda: [X[:4], Y[:4]],
        "fewer rows than units": lambda: list(rng.normal(size=(2, 5, 12))),
        "huge": lambda: [1e6 * X, 1e6 * Y],
        "tiny": lambda: [1e-6 * X, 1e-6 * Y],
        "huge and tiny": lambda: [1e6 * X, 1e-6 * Y],
        "mixed columns": lambda: [X * np.logspace(-4, 4, k), Y * np.logspace(4, -4, k)],
        "far from the origin": lambda: [X + 1e6, Y - 1e6],
        "one output": lambda: [X[:, :1], Y[:, :1]],
    }[case]()


CASES = """a dead unit; a dead unit in both; a dead view; a view of zeros; all dead; all zeros; dead but for rounding
white and identical; exactly white and identical; white and turned; white and unrelated; identical; opposite
duplicated rows; one row, repeated; duplicated columns; four rows; fewer rows than units; huge; tiny; huge and tiny
mixed columns; far from the origin; one output"""
CASES = [case.strip() for line in CASES.splitlines() for case in line.split(";")]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ALL)
def test_losses_and_gradients_are_finite(name, case, dtype):
    views = hard(case)
    k = views[0].shape[1]
    for outputs in (views, [*views, views[0]]):
        value, gradients = loss_and_gradients(ALL[name], outputs, dtype)
        assert torch.isfinite(value)
        assert all(torch.isfinite(g).all() for g in gradients)
        if name in ("cca", "nuclear"):
            assert -k - 1e-6 <= float(value) <= 0
            # Rounding errors must not be whitened and followed.
            spread = max(float(np.std(Z, axis=0).max()) for Z in outputs)
            if spread < 1e-9:
                assert float(value) > -1e-6


@pytest.mark.parametrize("loss", WHITENED)
@pytest.mark.parametrize(
    "case", ["duplicated columns", "four rows", "fewer rows than units", "a dead unit", "all zeros"]
)
def test_whitened_objectives_without_regularization_survive_singular_covariances(loss, case):
    value, gradients = loss_and_gradients(lambda Z: loss(Z, 0.0), hard(case))
    assert torch.isfinite(value)
    assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("loss", WHITENED)
def test_dead_units_change_nothing_for_the_others(loss):
    X, Y = related()
    dead = np.full((60, 4), 0.1)
    value = float(loss(tensors([X, Y]), 1e-8))
    assert float(loss(tensors([np.hstack([X, dead]), np.hstack([Y, dead])]), 1e-8)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_not_finite_show(name, bad):
    X, Y = related()
    X[3, 1] = bad
    assert not torch.isfinite(ALL[name](tensors([X, Y])))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_outputs_that_do_not_match_are_refused(name):
    X, Y = tensors(related())
    for outputs in ([X], [X, Y[:, :2]], [X, Y[:5]], [X[:, 0], Y[:, 0]]):
        with pytest.raises(ValueError, match="two or more views"):
            OBJECTIVES[name](outputs)


# --- the least batch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", WHITENED)
def test_smallest_batch_is_the_least_where_not_all_correlates(loss):
    name = "cca" if loss is cca_loss else "nuclear"
    k = 3
    n = smallest_batch(name, k)
    rng = np.random.default_rng(0)
    assert float(loss(tensors(rng.normal(size=(2, n - 1, k))), 0.0)) == pytest.approx(-k, abs=1e-6)
    assert float(loss(tensors(rng.normal(size=(2, n, k))), 0.0)) > -k + 1e-3


@pytest.mark.parametrize("name", OBJECTIVES)
def test_smallest_batch_gives_gradients(name):
    rng = np.random.default_rng(0)
    value, gradients = loss_and_gradients(OBJECTIVES[name], rng.normal(size=(2, smallest_batch(name, 5), 5)))
    assert torch.isfinite(value)
    assert all(torch.isfinite(g).all() and g.abs().max() > 1e-8 for g in gradients)


def test_smallest_batch_of_an_unknown_objective():
    with pytest.raises(ValueError, match="Unknown objective 'ccca'"):
        smallest_batch("ccca", 2)


@pytest.mark.parametrize("objective", [cca_loss, nuclear_loss, ey_loss, barlow_loss, vicreg_loss])
def test_second_derivatives_are_refused(objective):
    X, Y = torch.randn(2, 20, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    with pytest.raises(RuntimeError, match="first derivative only|differentiate twice"):
        torch.autograd.functional.hessian(lambda Z: objective([Z, Y]), X)
