"""ProcrustesAligner: closed forms, invariances, bad input."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group, special_ortho_group
from sklearn.exceptions import ConvergenceWarning

from skalign import ProcrustesAligner, Views


def centred(X):
    return X - X.mean(axis=0)


def rotated(rng, n=60, p=4, noise=0.0, m=2, spread=(1.0, 2.0, 3.0, 4.0)):
    """Views that are one configuration, rotated, scaled by 1, 2, ..., shifted, with noise."""
    base = rng.normal(size=(n, p)) * spread[:p]
    views, maps = [base], []
    for i in range(1, m):
        Q = ortho_group.rvs(p, random_state=rng)
        maps.append(Q)
        views.append((i + 1) * base @ Q + 10 * i + noise * rng.normal(size=(n, p)))
    return views, maps


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_two_views_equal_scipy(rng):
    X, Y = rng.normal(size=(30, 5)), rng.normal(size=(30, 5))
    aligner = ProcrustesAligner(scaling=True).fit(X, Y)
    Q, nuclear = orthogonal_procrustes(centred(X), centred(Y))
    assert_allclose(aligner.weights_["x"], Q, atol=1e-12)
    assert_allclose(aligner.weights_["y"], np.eye(5), atol=0)
    assert_allclose(aligner.scales_["x"], nuclear / (centred(X) ** 2).sum(), rtol=1e-12)
    assert_allclose(aligner.transform(X), aligner.scales_["x"] * centred(X) @ Q, atol=1e-12)


def test_rotation_scale_and_shift_are_recovered(rng):
    (X, Y), (Q,) = rotated(rng, n=2000, noise=0.05)
    aligner = ProcrustesAligner(scaling=True).fit(X, Y)
    assert_allclose(aligner.weights_["x"], Q, atol=0.01)
    assert_allclose(aligner.scales_["x"], 2, rtol=0.01)
    assert_allclose(aligner.means_["y"], aligner.encoders_["y"].inverse_transform(np.zeros((1, 4)))[0])
    assert_allclose(aligner.encoders_["y"].inverse_transform(aligner.transform(X)), Y, atol=0.5)
    (A, B), _ = rotated(np.random.default_rng(1))
    assert aligner.score(X, Y) > 0.99 > 0.5 > aligner.score(A, B)


def test_distances_within_a_view_are_kept(rng):
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 6))
    Z = ProcrustesAligner().fit_transform(X, Y)
    assert_allclose(np.linalg.norm(Z[0] - Z[1:], axis=1), np.linalg.norm(X[0] - X[1:], axis=1))


@pytest.mark.parametrize(("p", "q"), [(3, 5), (5, 3)])
def test_zero_padding_is_padding_by_hand(rng, p, q):
    X, Y = rng.normal(size=(40, p)), rng.normal(size=(40, q))

    def pad(A):
        return np.hstack([centred(A), np.zeros((40, 5 - A.shape[1]))])

    aligner = ProcrustesAligner().fit(X, Y)
    Zx, Zy = aligner.transform(X, Y)
    Q, _ = orthogonal_procrustes(pad(X), pad(Y))
    assert_allclose(Zy, pad(Y), atol=1e-12)
    assert_allclose(((Zx - Zy) ** 2).sum(), ((pad(X) @ Q - pad(Y)) ** 2).sum(), rtol=1e-10)
    assert_allclose(aligner.inverse_transform(Zx), X, atol=1e-12)


def test_pca_widths_rotate_principal_components(rng):
    X, Y = rng.normal(size=(50, 6)), rng.normal(size=(50, 4))
    aligner = ProcrustesAligner(n_components=2, widths="pca").fit(X, Y)
    Zx, Zy = aligner.transform(X, Y)
    U, s, _ = np.linalg.svd(centred(Y), full_matrices=False)
    assert_allclose(np.abs(Zy), np.abs(U[:, :2] * s[:2]), atol=1e-10)
    s_x = np.linalg.svd(centred(X), compute_uv=False)
    assert_allclose(np.linalg.svd(Zx, compute_uv=False), s_x[:2])
    assert_allclose(aligner.weights_["x"].T @ aligner.weights_["x"], np.eye(2), atol=1e-12)
    assert ProcrustesAligner(widths="pca").fit(X, Y).transform(X).shape == (50, 4)


def test_padding_to_fewer_components_reduces_only_wide_views(rng):
    X, Y = rng.normal(size=(50, 6)), rng.normal(size=(50, 2))
    Zx, Zy = ProcrustesAligner(n_components=3).fit(X, Y).transform(X, Y)
    assert Zx.shape == (50, 3)
    assert_allclose(Zy, np.hstack([centred(Y), np.zeros((50, 1))]), atol=1e-12)


def test_reflection_only_where_allowed(rng):
    X = rng.normal(size=(30, 3)) * [1, 2, 3]
    Y = X * [1, 1, -1]
    assert_allclose(ProcrustesAligner().fit(X, Y).weights_["x"], np.diag([1, 1, -1]), atol=1e-10)
    Q = ProcrustesAligner(reflection=False).fit(X, Y).weights_["x"]
    assert_allclose(np.linalg.det(Q), 1)
    losses = [((centred(X) @ R - centred(Y)) ** 2).sum() for R in special_ortho_group.rvs(3, 2000, random_state=0)]
    assert ((centred(X) @ Q - centred(Y)) ** 2).sum() <= min(losses)


def test_score_is_the_stated_formula_on_other_rows(rng):
    (X, Y), _ = rotated(rng, noise=2.0)
    aligner = ProcrustesAligner(scaling=True).fit(X[:40], Y[:40])
    Zx, Zy = aligner.transform(X[40:], Y[40:])
    expected = 1 - ((Zx - Zy) ** 2).sum() / (centred(Zy) ** 2).sum()
    assert_allclose(aligner.score(X[40:], Y[40:]), expected)
    views = Views(left=X[:40], right=Y[:40])
    swapped = Views(right=Y[40:], left=X[40:])
    assert_allclose(ProcrustesAligner(scaling=True).fit(views).score(swapped), expected)


def test_score_counts_what_principal_components_drop(rng):
    X = rng.normal(size=(50, 4))
    aligner = ProcrustesAligner(n_components=1, widths="pca").fit(X, X)
    values = np.linalg.svd(centred(X), compute_uv=False) ** 2
    assert_allclose(aligner.score(X, X), values[0] / values.sum())
    assert_allclose(ProcrustesAligner(widths="pca").fit(X, X).score(X, X), 1)
    three = ProcrustesAligner(n_components=1, widths="pca").fit(Views(a=X, b=X, c=X))
    assert_allclose(three.score(Views(a=X, b=X, c=X)), values[0] / values.sum())


def test_score_of_constant_and_single_rows(rng):
    X = rng.normal(size=(10, 2))
    aligner = ProcrustesAligner().fit(X, X)
    assert aligner.score(X[:3], X[[0, 0, 0]]) == 0
    with pytest.raises(ValueError, match="at least 2 samples"):
        aligner.score(X[:1], X[:1])
    with pytest.raises(ValueError, match="only"):
        aligner.score(Views(x=X))


def test_three_views_are_recovered(rng):
    views, (Q, R) = rotated(rng, m=3)
    aligner = ProcrustesAligner(scaling=True).fit(Views(zip_abc(views)))
    assert_allclose(aligner.weights_["c"], np.eye(4), atol=1e-12)
    assert_allclose(aligner.weights_["a"], R, atol=1e-6)
    assert_allclose(aligner.weights_["b"], Q.T @ R, atol=1e-6)
    assert_allclose(list(aligner.scales_.values()), [3, 1.5, 1], rtol=1e-6)
    assert_allclose(aligner.consensus_ratio_, 1)
    assert_allclose(aligner.score(Views(zip_abc(views))), 1)


def zip_abc(views):
    return dict(zip("abcdef", views))


def test_three_views_reach_a_stationary_point(rng):
    views, _ = rotated(rng, m=3, noise=4.0)
    aligner = ProcrustesAligner(tol=1e-14, max_iter=1000).fit(Views(zip_abc(views)))
    Z = dict(aligner.transform(Views(zip_abc(views))).items())
    for name in "abc":  # every view is the best rotation of itself on to the sum of the others
        others = sum(Z[other] for other in "abc" if other != name)
        assert_allclose(orthogonal_procrustes(Z[name], others)[0], np.eye(4), atol=1e-5)
    mean = sum(Z.values()) / 3
    assert_allclose(aligner.consensus_ratio_, 3 * (mean**2).sum() / sum((A**2).sum() for A in Z.values()))
    assert_allclose(aligner.consensus_ratio_, aligner.score(Views(zip_abc(views))))


def test_scales_of_three_views_beat_others(rng):
    views, _ = rotated(rng, m=3, noise=4.0)

    def ratio(scales):
        mean = sum(s * Z for s, Z in zip(scales, unit)) / 3
        return 3 * (mean**2).sum() / sum((s * s * Z**2).sum() for s, Z in zip(scales, unit))

    aligner = ProcrustesAligner(scaling=True, tol=1e-14, max_iter=1000).fit(Views(zip_abc(views)))
    scales = np.array(list(aligner.scales_.values()))
    Z = aligner.transform(Views(zip_abc(views)))
    unit = [Z[name] / s for name, s in zip("abc", scales)]
    assert_allclose(ratio(scales), aligner.consensus_ratio_)
    assert all(ratio(scales * np.exp(0.05 * rng.normal(size=3))) <= aligner.consensus_ratio_ for _ in range(50))


def test_unfinished_sweeps_warn(rng):
    views, _ = rotated(rng, m=3, noise=4.0)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        ProcrustesAligner(max_iter=1).fit(Views(zip_abc(views)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 1 < ProcrustesAligner().fit(Views(zip_abc(views))).n_iter_ < 100
        assert ProcrustesAligner().fit(*views[:2]).n_iter_ == 1


def test_fewer_samples_than_columns_stay_near_the_identity(rng):
    X = rng.normal(size=(5, 20))
    aligner = ProcrustesAligner().fit(X, X)
    assert_allclose(aligner.weights_["x"], np.eye(20), atol=1e-10)
    Y = rng.normal(size=(5, 20))
    Q = ProcrustesAligner().fit(X, Y).weights_["x"]
    assert_allclose(Q.T @ Q, np.eye(20), atol=1e-12)
    assert_allclose(ProcrustesAligner().fit(X[::-1], Y[::-1]).weights_["x"], Q, atol=1e-10)


def test_duplicate_and_constant_columns(rng):
    X = rng.normal(size=(30, 2))
    X = np.column_stack([X, X[:, 0], np.full(30, 7.0)])
    aligner = ProcrustesAligner().fit(X, X)
    assert_allclose(aligner.weights_["x"], np.eye(4), atol=1e-10)
    with pytest.raises(ValueError, match=r"rank 2 of view 'x'"):
        ProcrustesAligner(n_components=3, widths="pca").fit(X, X)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_units_do_not_matter(rng, factor):
    (X, Y), (Q,) = rotated(rng)
    aligner = ProcrustesAligner(scaling=True).fit(X * factor, Y)
    assert_allclose(aligner.weights_["x"], Q, atol=1e-10)
    assert_allclose(aligner.scales_["x"], 2 / factor)


def test_whole_weights_repeat_rows(rng):
    views, _ = rotated(rng, m=3, noise=1.0)
    counts = rng.integers(0, 4, size=60)
    weighted = ProcrustesAligner(scaling=True).fit(Views(zip_abc(views)), sample_weight=counts)
    repeated = ProcrustesAligner(scaling=True).fit(Views(zip_abc(views))[np.repeat(np.arange(60), counts)])
    for name in "abc":
        assert_allclose(weighted.weights_[name], repeated.weights_[name], atol=1e-8)
        assert_allclose(weighted.means_[name], repeated.means_[name])


@pytest.mark.parametrize("widths", ["pad", "pca"])
def test_torch_equals_numpy(rng, widths):
    torch = pytest.importorskip("torch")
    X, Y, W = rng.normal(size=(40, 3)), rng.normal(size=(40, 5)), rng.normal(size=(40, 4))
    views = Views(a=X, b=Y, c=W)
    tensors = Views({name: torch.from_numpy(view) for name, view in views.items()})
    expected = ProcrustesAligner(widths=widths).fit(views).transform(views)
    out = ProcrustesAligner(widths=widths).fit(tensors).transform(tensors)
    for name in "abc":
        assert isinstance(out[name], torch.Tensor)
        assert_allclose(out[name].numpy(), expected[name], atol=1e-8)


@pytest.mark.parametrize(
    "bad",
    [
        {"n_components": 0},
        {"n_components": 1.5},
        {"widths": "cut"},
        {"max_iter": 0},
        {"tol": -1.0},
        {"scaling": "yes"},
        {"reflection": None},
    ],
)
def test_bad_parameters_are_named(rng, bad):
    X = rng.normal(size=(10, 2))
    with pytest.raises(ValueError, match=next(iter(bad))):
        ProcrustesAligner(**bad).fit(X, X)


def test_bad_views_are_named(rng):
    X = rng.normal(size=(10, 2))
    with pytest.raises(ValueError, match="View 'y' is constant"):
        ProcrustesAligner().fit(X, np.full((10, 2), 3.1))
    with pytest.raises(ValueError, match="two views or more"):
        ProcrustesAligner().fit(Views(a=X))
    with pytest.raises(ValueError, match="No positive scale"):
        ProcrustesAligner(scaling=True, reflection=False).fit(X[:, :1], -X[:, :1])
