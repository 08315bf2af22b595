"""CCA on badly scaled, degenerate and wrong input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.linalg as sla
import scipy.sparse as sp
import torch
from sklearn.exceptions import DataConversionWarning, NotFittedError

from skalign import CCA, Domains, ProcrustesAligner, Views


def white_basis(X):
    """Orthonormal basis of the centred columns, by SVD in float64."""
    X = np.asarray(X, dtype=np.float64)
    X = X - X[0]
    X = X - X.mean(axis=0)
    norms = np.linalg.norm(X, axis=0)
    U, s, _ = sla.svd(X / np.where(norms > 0, norms, 1.0), full_matrices=False)
    return U[:, s > s[0] * max(X.shape) * np.finfo(float).eps]


def reference(X, Y):
    """Canonical correlations by SVD of the data."""
    return np.clip(sla.svd(white_basis(X).T @ white_basis(Y), compute_uv=False), 0, 1)


def related(n=200, p=6, q=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    Y = rng.normal(size=(n, q))
    shared = min(p, q)
    Y[:, :shared] += X[:, :shared] * np.linspace(1.5, 0.2, shared)
    return X, Y


def hard_cases():
    X, Y = related()
    rng = np.random.default_rng(1)
    scales = 10.0 ** np.linspace(-8, 8, 6)
    wide_X, wide_Y = related(40, 60, 5, seed=2)
    yield "plain", X, Y, 1e-12
    yield "duplicate columns", X[:, [0, 1, 2, 3, 4, 5, 0, 2]], Y, 1e-12
    yield "constant column", np.column_stack([X, np.full(200, 0.1)]), Y, 1e-12
    yield "column scales 1e-8..1e8", X * scales, Y * scales[:5], 1e-12
    yield "scale 1e12", X * 1e12, Y * 1e12, 1e-12
    yield "scale 1e-12", X * 1e-12, Y * 1e-12, 1e-12
    yield "mean 1e8", X + 1e8, Y - 1e8, 1e-12
    yield "float32 of mean 1e4", (X + 1e4).astype(np.float32), (Y + 1e4).astype(np.float32), 1e-12
    yield "p > n", wide_X, wide_Y, 1e-12
    yield "n = p + 1", wide_X[:, :39], wide_Y, 1e-11
    for gap, tolerance in ((1e-3, 1e-8), (1e-4, 1e-11), (1e-5, 1e-10), (1e-6, 1e-9)):
        near = X.copy()
        near[:, 5] = X[:, 0] + X[:, 1] + gap * (rng.normal(size=200) + Y[:, 0])
        near_Y = Y.copy()
        near_Y[:, 4] = Y[:, 1] - Y[:, 2] + gap * X[:, 5]
        yield f"nearly collinear {gap:g}", near, near_Y, tolerance


CASES = list(hard_cases())


@pytest.mark.parametrize(("name", "X", "Y", "tolerance"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.filterwarnings("ignore:Without shrinkage")
def test_hard_input_equals_the_svd_reference(name, X, Y, tolerance):
    expected = reference(X, Y)
    cca = CCA().fit(X, Y)
    k = len(cca.canonical_correlations_)
    assert k == min(np.linalg.matrix_rank(white_basis(X)), np.linalg.matrix_rank(white_basis(Y)))
    np.testing.assert_allclose(cca.canonical_correlations_, expected[:k], rtol=0, atol=tolerance)
    Zx, Zy = (Z.astype(np.float64) for Z in cca.transform(X, Y))
    loose = 1e-4 if X.dtype == np.float32 else max(100 * tolerance, 1e-7 if "mean" in name else 0)
    np.testing.assert_allclose(np.r_[Zx.var(axis=0), Zy.var(axis=0)], 1.0, atol=loose)
    actual = [np.corrcoef(a, b)[0, 1] for a, b in zip(Zx.T, Zy.T)]
    np.testing.assert_allclose(actual, expected[:k], atol=loose)


@pytest.mark.parametrize("solver", ["auto", "svd", "gram"])
@pytest.mark.filterwarnings("ignore:Without shrinkage")
def test_constant_and_duplicate_columns_by_every_solver(solver):
    X, Y = related(60)
    messy = np.column_stack([X, np.ones(60), X[:, 1]])
    cca = CCA(solver=solver).fit(messy, Y)
    np.testing.assert_allclose(cca.canonical_correlations_, reference(X, Y), atol=1e-10)
    assert (cca.loadings_["x"][6] == 0).all()


@pytest.mark.parametrize("solver", ["auto", "svd", "gram"])
def test_no_component_stands_for_a_column_that_is_constant_in_training(solver):
    """Its variance there is rounding, and new rows in which the column varies would come out at 1e30."""
    X, Y = related(60)
    messy = np.column_stack([X, np.ones((60, 2))])
    cca = CCA(n_components=None, shrinkage=0.01, solver=solver).fit(messy, np.column_stack([Y, np.ones((60, 4))]))
    new = messy + np.random.default_rng(0).normal(size=messy.shape)
    assert np.abs(cca.transform(new)).max() < 1e4


def test_cholesky_refuses_what_it_cannot_do():
    X, Y = related()
    with pytest.raises(np.linalg.LinAlgError, match="solver='svd'"):
        CCA(solver="cholesky").fit(X[:, [0, 1, 0]], Y)


def test_one_outlying_row_does_not_spoil_the_mean():
    X, Y = related()
    X[0] += 1e7
    np.testing.assert_allclose(CCA().fit(X, Y).canonical_correlations_, reference(X, Y), atol=1e-9)


def test_nan_is_counted_and_its_view_named():
    X, Y = related()
    Y[3, 1] = Y[4, 2] = np.nan
    Y[5, 0] = np.inf
    with pytest.raises(ValueError, match=r"View 'text': .*2 NaN and 1 inf"):
        CCA().fit(Views(image=X, text=Y))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X, Y: CCA().fit(X[:1], Y[:1]), "minimum of 2"),
        (lambda X, Y: CCA().fit(X, np.ones_like(Y)), "View 'y' is constant"),
        (lambda X, Y: CCA().fit(X, Y[:-1]), "(?s)x.*200.*y.*199"),
        (lambda X, Y: CCA().fit(X, np.full(Y.shape, "a")), "strings"),
        (lambda X, Y: CCA(6).fit(X, Y), "n_components=6 is more than the rank 5 of view 'y'"),
        (lambda X, Y: CCA(0).fit(X, Y), "n_components"),
        (lambda X, Y: CCA(1.5).fit(X, Y), "n_components"),
        (lambda X, Y: CCA(True).fit(X, Y), "n_components"),
        (lambda X, Y: CCA(shrinkage=1.1).fit(X, Y), "shrinkage of view 'x'"),
        (lambda X, Y: CCA(shrinkage=-1e-3).fit(X, Y), "shrinkage of view 'x'"),
        (lambda X, Y: CCA(shrinkage="best").fit(X, Y), "'ledoit_wolf'"),
        (lambda X, Y: CCA(shrinkage={"x": 0.1, "z": 0.2}).fit(X, Y), "z"),
        (lambda X, Y: CCA(solver="qr").fit(X, Y), "solver must be one of"),
        (lambda X, Y: CCA(weighting="none").fit(X, Y), "weighting must be one of"),
        (lambda X, Y: CCA().fit(X), "requires y to be passed, but the target y is None"),
        (lambda X, Y: CCA().fit(Views(image=X)), "two views or more"),
        (lambda X, Y: CCA().fit(X, Y, sample_weight=np.ones(3)), "sample_weight has shape"),
        (lambda X, Y: CCA().fit(X, Y, sample_weight=-np.ones(len(X))), "not negative"),
        (lambda X, Y: CCA().fit(X, Y, sample_weight=np.zeros(len(X))), "not negative"),
        (lambda X, Y: CCA().fit(X, Y).transform(X[:, :3]), "X has 3 features, but CCA is expecting 6"),
        (lambda X, Y: CCA().fit(X, Y).inverse_transform(X), "6 columns, but CCA has 5 components"),
        (lambda X, Y: CCA().fit(Views(image=X, text=Y)).transform(X), r"Views\(text=X\).*encoders_\['text'\]"),
        (lambda X, Y: CCA().fit(Views(image=X, text=Y)).transform(Views(sound=X)), "not on 'sound'"),
        (lambda X, Y: CCA().fit(X, Y).score(Views(x=X)), "only"),
        (lambda X, Y: CCA().fit(X, Y).score(X[:1], Y[:1]), "at least 2 samples"),
        (lambda X, Y: CCA().fit(Views(a=X, b=Y)).predict(Views(a=X, b=Y)), "one view"),
        (lambda X, Y: CCA().fit(Views(a=X, b=Y, c=X[:, :2])).similarity(Views(a=X, b=Y, c=X[:, :2])), "views="),
        (lambda X, Y: CCA(shrinkage=0.1).fit(X, Y).wilks_test(), "without shrinkage"),
        (lambda X, Y: CCA().fit(X, Y).permutation_test(X, Y, n_permutations=0), "n_permutations"),
    ],
)
def test_wrong_input_gets_a_clear_error(make, message):
    with pytest.raises(ValueError, match=message):
        make(*related())


def test_domains_are_not_pairs_and_nothing_works_before_fit():
    X, Y = related()
    with pytest.raises(TypeError, match="learns from pairs"):
        CCA().fit(Domains(source=X, target=Y))
    with pytest.raises(NotFittedError):
        CCA().transform(X)
    with pytest.raises(TypeError, match="first is not"):
        CCA().fit(X, Views(a=X, b=Y))


def test_a_second_argument_of_one_dimension_warns():
    X, Y = related()
    with pytest.warns(DataConversionWarning, match="labels go with Views"):
        cca = CCA().fit(X, Y[:, 0])
    assert cca.weights_["y"].shape == (1, 1)


def test_a_void_setting_warns_and_shrinkage_makes_it_valid():
    X, Y = related(11)
    with pytest.warns(UserWarning, match="correlate perfectly"):
        CCA().fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CCA(shrinkage=0.5).fit(X, Y)
        CCA().fit(*related(13))


def test_sparse_lists_and_integers_are_taken():
    rng = np.random.default_rng(0)
    X, Y = rng.poisson(2, size=(50, 4)), rng.poisson(2, size=(50, 3))
    expected = CCA().fit(X.astype(float), Y.astype(float))
    for convert in (sp.csr_array, sp.csc_matrix, np.ndarray.tolist, lambda A: A.astype(np.int8)):
        cca = CCA().fit(convert(X), convert(Y))
        np.testing.assert_allclose(cca.canonical_correlations_, expected.canonical_correlations_, atol=1e-12)
        np.testing.assert_allclose(cca.transform(convert(X)), expected.transform(X), atol=1e-12)


@pytest.mark.parametrize("solver", ["auto", "svd", "gram", "randomized"])
def test_read_only_input_is_not_altered(solver):
    X, Y = related(p=30)
    before = X.copy(), Y.copy()
    X.flags.writeable = Y.flags.writeable = False
    cca = CCA(3, shrinkage=0.1, solver=solver, randomized_rank=10).fit(X, Y, sample_weight=np.arange(200.0))
    cca.transform(X, Y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_views_of_different_libraries_are_refused():
    X = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(TypeError, match=r"\['b'\] are tensors"):
        CCA(2).fit(Views(a=X, b=torch.asarray(X)))


@pytest.mark.parametrize("aligner", [CCA(), CCA(shrinkage=0.1), CCA(shrinkage="auto"), ProcrustesAligner()], ids=repr)
@pytest.mark.parametrize(("scale", "word"), [(1e-160, "small"), (1e160, "large")])
def test_values_whose_squares_leave_float64_are_an_error(aligner, scale, word):
    X, Y = related()
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=f"View 'x': its values are too {word} for squares"):
        aligner.fit(scale * X, scale * Y)


def test_a_chunk_with_its_columns_in_another_order_changes_nothing():
    X, Y = (pd.DataFrame(rows).add_prefix("c") for rows in related())
    aligner = CCA().partial_fit(X[:100], Y[:100])
    with pytest.raises(
        ValueError, match="View 'x': this chunk has the columns .*'c5', 'c4'.* those before: .*'c0', 'c1'"
    ):
        aligner.partial_fit(X.iloc[100:, ::-1], Y[100:])
    aligner.partial_fit(X.to_numpy()[100:], Y.to_numpy()[100:]).partial_fit(X, Y)  # without names in between
    with pytest.raises(ValueError, match="View 'y': this chunk has the columns"):
        aligner.partial_fit(X, Y.iloc[:, ::-1])
    assert aligner.n_samples_seen_ == 2 * len(X)
    whole = CCA().fit(np.vstack([X, X]), np.vstack([Y, Y]))
    np.testing.assert_allclose(aligner.canonical_correlations_, whole.canonical_correlations_, atol=1e-12)


@pytest.mark.parametrize("rank", [0, 2.5, True, "all", None])
def test_what_is_no_number_of_principal_components(rank):
    with pytest.raises(ValueError, match="randomized_rank must be a whole number"):
        CCA(solver="randomized", randomized_rank=rank).fit(*related())
    with pytest.raises(ValueError, match="n_permutations must be a whole number"):
        CCA().permutation_test(*related(), n_permutations=rank)
