"""KernelCCA against CCA, against itself by another route, and on what it must refuse."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.gaussian_process.kernels import RBF
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split

from skalign import CCA, ByView, KernelCCA, Precomputed, Views


@pytest.fixture
def related():
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, size=(120, 2))
    X = np.hstack([np.sin(t), t[:, :1] ** 2]) + 0.1 * rng.normal(size=(120, 3))
    Y = np.hstack([t, t[:, :1] * t[:, 1:], np.cos(t)]) + 0.1 * rng.normal(size=(120, 5))
    return X, Y


def same_up_to_sign(A, B, atol=1e-7):
    assert_allclose(np.abs((A * B).sum(axis=0)), np.sqrt((A**2).sum(axis=0) * (B**2).sum(axis=0)), rtol=atol)


@pytest.mark.parametrize("c", [1e-4, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_linear_kernel_is_ridge_cca(related, c, shift):
    X, Y = related[0] + shift, related[1] - shift
    linear = {name: p * c / (p * c + 1 - c) for name, p in (("x", 3), ("y", 5))}  # c'/(1-c') = p c/(1-c)
    kernel = KernelCCA(3, kernel="linear", shrinkage=c).fit(X, Y)
    ridge = CCA(3, shrinkage=linear).fit(X, Y)
    assert_allclose(kernel.canonical_correlations_, ridge.canonical_correlations_, atol=1e-8)
    for a, b in zip(kernel.transform(X, Y), ridge.transform(X, Y)):
        same_up_to_sign(a, b)


def test_three_views_with_linear_kernels_are_multiset_cca(related):
    X, Y = related
    views = Views(a=X, b=Y[:, :3], c=X @ np.ones((3, 3)) + Y[:, 2:])  # of one width: else their constraints differ
    kernel = KernelCCA(2, kernel="linear", shrinkage=0.1).fit(views)
    ridge = CCA(2, shrinkage=0.3 / (0.3 + 0.9)).fit(views)
    assert_allclose(kernel.canonical_correlations_, ridge.canonical_correlations_, atol=1e-8)


def test_variates_are_white_and_correlate_as_stated(related):
    X, Y = related
    aligner = KernelCCA(4, shrinkage=0.01).fit(X, Y)
    Zx, Zy = aligner.transform(X, Y)
    assert_allclose(Zx.mean(axis=0), 0, atol=1e-8)
    assert_allclose(Zx.std(axis=0), 1)
    stated = [np.corrcoef(Zx[:, i], Zy[:, i])[0, 1] for i in range(4)]
    assert_allclose(stated, aligner.canonical_correlations_)
    weighted = KernelCCA(4, shrinkage=0.01, weighting="correlation").fit(X, Y)
    assert_allclose(weighted.transform(X), Zx * aligner.canonical_correlations_)


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "rbf", "exponential", "laplacian", "cosine", RBF(1.5)])
def test_precomputed_is_the_kernel_itself(related, kernel):
    from skalign.metrics import pairwise_similarity

    X, Y = related
    gamma = 0.3
    K = pairwise_similarity(X, function=kernel, gamma=gamma)
    direct = Views(x=X, y=Y)
    wrapped = Views(x=Precomputed(K), y=Y)
    settings = {"n_components": 3, "gamma": ByView(x=gamma, y="scale"), "shrinkage": 0.05}
    train, test = np.arange(0, 80), np.arange(80, 120)
    a = KernelCCA(kernel=ByView(x=kernel, y="rbf"), **settings).fit(direct[train])
    b = KernelCCA(kernel="rbf", **settings).fit(wrapped[train])
    assert_allclose(a.score(direct[test]), b.score(wrapped[test]), rtol=1e-6)
    rectangle = Views(x=K[test][:, train])
    assert_allclose(b.transform(rectangle)["x"], b.transform(wrapped[test])["x"])


def test_precomputed_cross_validates(related):
    X, Y = related
    K = rbf_kernel(X, gamma=0.3)
    direct = cross_val_score(KernelCCA(2, gamma=ByView(x=0.3, y="scale")), Views(x=X, y=Y), cv=4)
    assert_allclose(cross_val_score(KernelCCA(2), Views(x=Precomputed(K), y=Y), cv=4), direct, rtol=1e-6)


def test_precomputed_refuses_what_it_cannot_know(related):
    X, Y = related
    K = rbf_kernel(X)
    views = Views(x=Precomputed(K), y=Y)
    fitted = KernelCCA(2).fit(views[:80])
    with pytest.raises(ValueError, match="another matrix"):
        fitted.transform(Views(x=Precomputed(rbf_kernel(X, gamma=2.0))))
    with pytest.raises(ValueError, match="expecting 80"):
        fitted.transform(Views(x=K[80:, :70]))
    with pytest.raises(ValueError, match="kernel alone"):
        fitted.inverse_transform(fitted.transform(views[80:]))
    with pytest.raises(ValueError, match="nothing to approximate"):
        KernelCCA(2, approximation="nystroem").fit(views)
    both = ByView(x="precomputed", y="rbf")
    with pytest.raises(ValueError, match="Precomputed"):
        KernelCCA(2, kernel=both).fit(Views(x=K[:80], y=Y[:80]))
    with pytest.raises(ValueError, match="symmetric"):
        KernelCCA(2, kernel=both).fit(Views(x=np.triu(K), y=Y))


def test_sparse_is_dense(related):
    X, Y = related
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    for kernel in ("linear", "rbf", "cosine", "laplacian"):
        dense = KernelCCA(2, kernel=kernel, shrinkage=0.1).fit(X, Y)
        sparse = KernelCCA(2, kernel=kernel, shrinkage=0.1).fit(sp.coo_array(X), Y)
        assert_allclose(sparse.transform(sp.csr_array(X)), dense.transform(X), atol=1e-8)


def test_gamma_in_words(related):
    X, Y = related
    assert_allclose(KernelCCA(2).fit(X, Y).gamma_["x"], 1 / (3 * X.var()))
    distances = np.sqrt(((X[:, None] - X[None]) ** 2).sum(-1))[np.triu_indices(120, 1)]
    median = KernelCCA(2, gamma="median").fit(X, Y).gamma_["x"]
    assert_allclose(median, 1 / (2 * np.median(distances) ** 2))
    assert KernelCCA(2, gamma=None).fit(X, Y).gamma_["x"] is None
    units = KernelCCA(2, shrinkage=0.05)
    assert_allclose(units.fit(X * 1e9, Y * 1e-9).score(X * 1e9, Y * 1e-9), units.fit(X, Y).score(X, Y), rtol=1e-7)


def test_nystroem_with_every_row_is_exact(related):
    X, Y = related
    exact = KernelCCA(3, shrinkage=0.1).fit(X, Y)
    approximate = KernelCCA(3, shrinkage=0.1, approximation="nystroem", n_landmarks=120, random_state=0).fit(X, Y)
    assert_allclose(approximate.canonical_correlations_, exact.canonical_correlations_, atol=1e-6)


@pytest.mark.parametrize("approximation", ["nystroem", "rff"])
def test_approximations_come_near(related, approximation):
    X, Y = related
    exact = KernelCCA(3, shrinkage=0.1).fit(X[:80], Y[:80]).score(X[80:], Y[80:])
    near = KernelCCA(3, shrinkage=0.1, approximation=approximation, n_landmarks=400, random_state=0)
    assert abs(near.fit(X[:80], Y[:80]).score(X[80:], Y[80:]) - exact) < 0.1


def test_memory_changes_nothing(related, tmp_path):
    X, Y = related
    for c in (1e-5, 1e-2):
        plain = KernelCCA(3, shrinkage=c).fit(X, Y).transform(X)
        for _ in range(2):
            kept = KernelCCA(3, shrinkage=c, memory=str(tmp_path)).fit(X, Y)
            assert_allclose(np.abs(kept.transform(X)), np.abs(plain), atol=1e-6)


def test_torch_is_numpy(related):
    X, Y = related
    a = KernelCCA(3, shrinkage=0.1).fit(X, Y)
    b = KernelCCA(3, shrinkage=0.1).fit(torch.asarray(X), torch.asarray(Y))
    Z = b.transform(torch.asarray(X))
    assert isinstance(Z, torch.Tensor)
    assert_allclose(Z.numpy(), a.transform(X), atol=1e-7)
    assert_allclose(b.transform(X), a.transform(X), atol=1e-7)


def test_later_changes_of_the_input_do_not_matter(related):
    X, Y = related[0].copy(), related[1]
    fitted = KernelCCA(2).fit(X, Y)
    before = fitted.transform(related[0])
    X[:] = 0
    assert_allclose(fitted.transform(related[0]), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": "rbff"}, "kernel of view 'x'"),
        ({"gamma": -1.0}, "gamma of view 'x'"),
        ({"gamma": {"x": 1.0}}, "no value"),
        ({"kernel": {"z": "rbf"}}, "no views"),
        ({"shrinkage": 1.5}, "shrinkage of view"),
        ({"shrinkage": "auto"}, "shrinkage of view"),
        ({"solver": "qr"}, "solver"),
        ({"weighting": "mean"}, "weighting"),
        ({"approximation": "exact"}, "approximation"),
        ({"approximation": "rff", "kernel": "cosine"}, "rff"),
        ({"n_landmarks": 0, "approximation": "nystroem"}, "n_landmarks"),
        ({"n_components": 0}, "n_components"),
        ({"n_components": 500}, "n_components"),
        ({"n_components": 4, "kernel": "linear"}, "rank"),
        ({"kernel": "polynomial", "gamma": "median"}, "median"),
        ({"device": "cuda:99"}, "CUDA"),
    ],
)
def test_bad_settings_are_refused(related, settings, message):
    with pytest.raises(ValueError, match=message):
        KernelCCA(**settings).fit(*related)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (lambda A, B: np.full((len(A), len(B)), np.nan), "NaN"),
        (lambda A, B: A @ np.triu(np.ones((A.shape[1],) * 2)) @ np.ones((A.shape[1], B.shape[1])) @ B.T, "symmetric"),
        (lambda A, B: ((A[:, None, :2] - B[None, :, :2]) ** 2).sum(-1), "no kernel"),
    ],
)
def test_what_is_no_kernel_is_refused(related, kernel, message):
    with pytest.raises(ValueError, match=message):
        KernelCCA(2, kernel=kernel).fit(*related)


def test_no_shrinkage_warns(related):
    with pytest.warns(UserWarning, match="mean nothing"):
        KernelCCA(2, shrinkage=0.0).fit(*related)


def test_default_number_of_components_is_what_the_views_have(related):
    X, Y = related
    assert KernelCCA(kernel="linear").fit(X, Y).transform(X).shape[1] == 3
    assert KernelCCA().fit(X, Y).transform(X).shape[1] == 10


def test_tuned_on_digit_halves():
    """Settings chosen by cross-validation on the training rows; the sum of 10 correlations on 540 test rows."""
    X, y = load_digits(return_X_y=True)
    images = (X / 16).reshape(-1, 8, 8)
    views = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))
    train, test = train_test_split(views, test_size=540, stratify=y, random_state=0)
    grid = {"gamma": [0.2, 0.4, 0.6, 0.8], "shrinkage": [3e-5, 1e-4, 3e-4]}
    search = GridSearchCV(KernelCCA(10), grid, cv=3).fit(train)
    assert search.score(test) >= 8.75


def test_memory_does_not_keep_a_callable_kernel_whose_code_has_changed(related, tmp_path):
    def kernel_of_degree(degree):
        def kernel(X, Y):
            return (X @ Y.T) ** degree

        kernel.__qualname__ = "kernel"
        return kernel

    for degree in (1, 3):
        model = KernelCCA(2, kernel=kernel_of_degree(degree), memory=str(tmp_path)).fit(*related)
        expected = KernelCCA(2, kernel=kernel_of_degree(degree)).fit(*related)
        assert_allclose(model.canonical_correlations_, expected.canonical_correlations_)


@pytest.mark.parametrize("kernel", ["rbf", "exponential", "laplacian"])
def test_median_gamma_keeps_its_digits_where_the_mean_is_large(related, kernel):
    X = np.round(related[0] * 1024) / 1024  # exact beside the mean
    gammas = [KernelCCA(2, kernel=kernel, gamma="median").fit(X + m, related[1]).gamma_["x"] for m in (0.0, 2.0**30)]
    assert_allclose(*gammas, rtol=1e-6)


def test_bfloat16_tensors(related):
    X, Y = (torch.tensor(Z).bfloat16() for Z in related)
    assert KernelCCA(2).fit(X, Y).transform(X).dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "polynomial", "degree": 0}, "degree of view 'x' must be a number greater than 0"),
        ({"kernel": "polynomial", "degree": ByView(x=2, y=None)}, "degree of view 'y' must be a number greater than 0"),
        ({"kernel": "polynomial", "coef0": np.nan}, "coef0 of view 'x' must be a finite number"),
        ({"approximation": "nystroem", "n_landmarks": 2.5}, "n_landmarks must be a whole number"),
        ({"approximation": "rff", "n_landmarks": None}, "n_landmarks must be a whole number"),
    ],
)
def test_parameters_out_of_range(options, message):
    X = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(ValueError, match=message):
        KernelCCA(2, **options).fit(X, X**3)


@pytest.mark.parametrize("options", [{}, {"gamma": "median"}, {"approximation": "rff"}], ids=str)
@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_values_whose_squares_leave_float64_are_an_error(scale, options):
    X = np.random.default_rng(0).normal(size=(30, 3))
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="View 'x': its values are too small or too large"):
        KernelCCA(2, **options).fit(scale * X, scale * X)
