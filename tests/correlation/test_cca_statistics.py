"""Tests of significance, and fitting in chunks."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_linnerud

from skalign import CCA, Views
from skalign.correlation import wilks_test


def related(n=60, p=4, q=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + 5
    return X, X[:, :q] + 2 * rng.normal(size=(n, q))


def two_components(n=150, seed=0):
    """Views of five columns with two relations of correlation about .8 and .6."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(2, n, 5))
    for k, r in enumerate((0.8, 0.6)):
        Y[:, k] = r * X[:, k] + np.sqrt(1 - r**2) * Y[:, k]
    return X @ rng.normal(size=(5, 5)), Y @ rng.normal(size=(5, 5))


# --- Wilks and permutations -----------------------------------------------------------------------------------------


def test_wilks_of_the_published_correlations():
    # 600 students, 3 psychological and 5 academic variables: UCLA's annotated canonical correlation output
    test = wilks_test([0.46408608, 0.16750915, 0.10399115], 600, 3, 5)
    np.testing.assert_allclose(test.statistic, [11.7157, 2.9445, 2.1646], atol=6e-5)
    np.testing.assert_allclose(test.df1, [15, 8, 3])
    np.testing.assert_allclose(test.df2, [1634.65, 1186, 594], atol=0.005)
    np.testing.assert_allclose(test.p_value, [0.0, 0.0029, 0.0911], atol=6e-5)
    np.testing.assert_allclose(test.wilks_lambda, [0.7543611, 0.9614300, 0.9891858], atol=1e-6)


def test_wilks_of_one_against_one_is_the_test_of_a_correlation():
    X, Y = related()
    r, p_value = stats.pearsonr(X[:, 0], Y[:, 0])
    cca = CCA().fit(X[:, :1], Y[:, :1])
    np.testing.assert_allclose(cca.canonical_correlations_, [abs(r)])
    np.testing.assert_allclose(cca.wilks_test().p_value, [p_value])


def test_wilks_of_one_against_many_is_the_f_test_of_a_regression():
    X, Y = related()
    y = Y[:, 0]
    design = np.column_stack([np.ones(60), X])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    F = ((y.var() - rest.var()) / 4) / (rest.var() / 55)
    for test in (CCA().fit(X, Y[:, :1]).wilks_test(), CCA().fit(Y[:, :1], X).wilks_test()):
        np.testing.assert_allclose([test.statistic[0], test.df1[0], test.df2[0]], [F, 4, 55])


def test_bartlett_is_close_to_rao_and_components_do_not_change_either():
    data = load_linnerud()
    rao = CCA(1).fit(data.data, data.target).wilks_test()
    bartlett = CCA().fit(data.data, data.target).wilks_test("bartlett")
    np.testing.assert_allclose(rao.p_value, bartlett.p_value, atol=0.03)
    np.testing.assert_allclose(rao.p_value, [0.0635, 0.9491, 0.7748], atol=6e-5)
    assert bartlett.statistic[0] == pytest.approx(-(20 - 1.5 - 3) * np.log(rao.wilks_lambda[0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilks_test([0.5], 20, 3, 3, method="pillai"), "method"),
        (lambda: wilks_test([0.5, 0.1, 0.0], 6, 3, 3), "too few"),
        (lambda: CCA().fit(Views(a=related()[0], b=related()[1], c=related()[1])).wilks_test(), "two views"),
    ],
)
def test_wilks_says_where_it_has_no_theory(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("params", [{}, {"shrinkage": 0.3}, {"solver": "svd"}])
def test_permutations_find_two_components_and_no_third(params):
    X, Y = two_components()
    test = CCA(3, **params).permutation_test(X, Y, n_permutations=199, random_state=0)
    assert (test.p_value[:2] < 0.05).all()
    assert test.p_value[2] > 0.05


def test_the_first_permutation_statistic_is_wilks():
    X, Y = two_components()
    test = CCA().permutation_test(Views(a=X, b=Y), n_permutations=9, random_state=0)
    np.testing.assert_allclose(test.statistic, -np.log(CCA().fit(X, Y).wilks_test().wilks_lambda))
    assert (np.diff(test.p_value) >= 0).all()


def test_permutation_p_values_are_uniform_when_nothing_is_related():
    rng = np.random.default_rng(0)
    p_values = [
        CCA(1, shrinkage=c).permutation_test(*rng.normal(size=(2, 30, 3)), n_permutations=39, random_state=i).p_value[0]
        for c in (0.0, 0.5)
        for i in range(150)
    ]
    assert stats.kstest(p_values, lambda p: np.floor(p * 40) / 40).pvalue > 0.01
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.05)


def test_the_second_component_keeps_its_level_beside_a_strong_first():
    p_values = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(2, 40, 3))
        Y[:, 0] += 5 * X[:, 0]
        p_values.append(CCA(2).permutation_test(X, Y, n_permutations=39, random_state=seed).p_value)
    first, second = np.transpose(p_values)
    assert (first == 1 / 40).all()
    assert 0.0 < np.mean(second <= 0.1) < 0.18


def test_permutations_of_wide_views_need_and_take_shrinkage():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 60))
    Y = X[:, :3] @ rng.normal(size=(3, 50)) + 0.5 * rng.normal(size=(40, 50))
    related_p = CCA(1, shrinkage=0.5).permutation_test(X, Y, n_permutations=99, random_state=0).p_value
    noise_p = (
        CCA(1, shrinkage=0.5).permutation_test(X, Y[rng.permutation(40)], n_permutations=99, random_state=0).p_value
    )
    assert related_p[0] == 0.01
    assert noise_p[0] > 0.05


# --- chunks ---------------------------------------------------------------------------------------------------------


def assert_equal_fits(a, b, atol=1e-10):
    np.testing.assert_allclose(a.canonical_correlations_, b.canonical_correlations_, atol=atol)
    for name in a.weights_:
        size = np.abs(b.weights_[name]).max()
        np.testing.assert_allclose(a.weights_[name], b.weights_[name], atol=10 * atol * size)
        np.testing.assert_allclose(a.means_[name], b.means_[name], rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(a.loadings_[name], b.loadings_[name], atol=10 * atol)
    assert a.n_samples_seen_ == b.n_samples_seen_


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.sets(st.integers(1, 59)), shrinkage=st.sampled_from([0.0, 0.2, "oas"]), mean=st.sampled_from([0, 1e4, 1e8])
)
@pytest.mark.filterwarnings("ignore:Without shrinkage")
def test_any_chunks_equal_one_fit(cuts, shrinkage, mean):
    X, Y = related()
    X, Y = X + mean, Y - mean
    cca = CCA(2, shrinkage=shrinkage)
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 60]):
        cca.partial_fit(X[a:b], Y[a:b])
    assert_equal_fits(cca, CCA(2, shrinkage=shrinkage).fit(X, Y))


@pytest.mark.filterwarnings("ignore:Without shrinkage")
def test_single_rows_weights_and_drift():
    X, Y = related()
    X += np.arange(60)[:, None]
    weights = np.random.default_rng(0).uniform(0.1, 2, size=60)
    cca = CCA(2)
    for i in range(60):
        cca.partial_fit(X[i : i + 1], Y[i : i + 1], sample_weight=weights[i : i + 1])
    assert_equal_fits(cca, CCA(2).fit(X, Y, sample_weight=weights))


def test_fit_then_partial_fit_goes_on_and_fit_starts_anew():
    X, Y = related()
    cca = CCA(2).fit(X[:40] + 1e8, Y[:40]).partial_fit(X[40:] + 1e8, Y[40:])
    assert_equal_fits(cca, CCA(2).fit(X + 1e8, Y))
    assert_equal_fits(cca.fit(X[:30], Y[:30]), CCA(2).fit(X[:30], Y[:30]), 0)


def test_chunks_of_named_views_in_any_order():
    X, Y = related(q=4)
    cca = CCA(2).partial_fit(Views(a=X[:30], b=Y[:30])).partial_fit(Views(b=Y[30:], a=X[30:]))
    assert_equal_fits(cca, CCA(2).fit(Views(a=X, b=Y)))
    three = (
        CCA(2).partial_fit(Views(a=X[:30], b=Y[:30], c=X[:30, :2])).partial_fit(Views(a=X[30:], b=Y[30:], c=X[30:, :2]))
    )
    assert_equal_fits(three, CCA(2).fit(Views(a=X, b=Y, c=X[:, :2])))


@pytest.mark.parametrize("before", [0, 40])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, Y: (np.where(np.isclose(X, X[3, 1], atol=0), np.nan, X), Y), "1 NaN"),
        (lambda X, Y: (X, np.where(np.isclose(Y, Y[0, 0], atol=0), np.inf, Y)), "1 inf"),
        (lambda X, Y: (X[:-1], Y), "(?s)19.*20"),
        (lambda X, Y: (X, Y.astype(str)), "strings"),
        (lambda X, Y: (X, Y, -np.ones(20)), "not negative"),
        (lambda X, Y: (X,), "y is None"),
    ],
)
def test_a_refused_chunk_changes_nothing(before, spoil, message):
    X, Y = related()
    cca = CCA(2)
    if before:
        cca.partial_fit(X[:40], Y[:40])
    state = pickle.dumps(cca)
    with pytest.raises(ValueError, match=message):
        cca.partial_fit(*spoil(X[40:], Y[40:]))
    assert pickle.dumps(cca) == state
    if before:
        assert_equal_fits(cca.partial_fit(X[40:], Y[40:]), CCA(2).fit(X, Y))


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (lambda X, Y: (X[:, :2], Y), "(?s)2.*4"),
        (lambda X, Y: (Views(a=X, b=Y),), r"\['a', 'b'\]; those before were"),
        (lambda X, Y: (Views(x=X, y=Y, z=Y),), r"'z'\]; those before were"),
    ],
)
def test_a_chunk_of_other_views_is_refused(chunk, message):
    X, Y = related()
    cca = CCA(2).partial_fit(X, Y)
    state = pickle.dumps(cca)
    with pytest.raises(ValueError, match=message):
        cca.partial_fit(*chunk(X, Y))
    assert pickle.dumps(cca) == state


def test_a_fit_without_co_moments_cannot_be_continued():
    X, Y = related(20, 30, 3)
    with pytest.raises(ValueError, match="start with partial_fit"):
        CCA(2, shrinkage=0.1).fit(X, Y).partial_fit(X, Y)


@pytest.mark.filterwarnings("ignore:Without shrinkage")
def test_too_few_rows_so_far_is_no_error():
    X, Y = related()
    cca = CCA(3)
    for i in range(3):
        assert not hasattr(cca.partial_fit(X[i : i + 1], Y[i : i + 1]), "encoders_")
    assert_equal_fits(cca.partial_fit(X[3:], Y[3:]), CCA(3).fit(X, Y))


def test_tensors_come_in_chunks_too():
    torch = pytest.importorskip("torch")
    X, Y = related()
    cca = CCA(2).partial_fit(torch.asarray(X[:30]), torch.asarray(Y[:30]))
    assert_equal_fits(cca.partial_fit(torch.asarray(X[30:]), torch.asarray(Y[30:])), CCA(2).fit(X, Y))


# --- memory ---------------------------------------------------------------------------------------------------------


def peak_of(call):
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("params", [{}, {"shrinkage": 0.1}, {"shrinkage": "auto"}, {"shrinkage": "oas"}])
def test_fit_makes_one_centred_copy(dtype, params):
    X, Y = (A.astype(dtype) for A in related(20_000, 20, 20))
    CCA(3).fit(X[:100], Y[:100])  # imports are not memory of the fit
    copy = 20_000 * 20 * 8
    assert peak_of(lambda: CCA(3, **params).fit(X, Y)) < 2.5 * copy  # two views


def test_wide_fit_makes_one_centred_copy():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(100, 20_000)), rng.normal(size=(100, 5))
    CCA(3, shrinkage=0.1).fit(X[:, :200], Y)
    assert peak_of(lambda: CCA(3, shrinkage=0.1).fit(X, Y)) < 1.6 * X.nbytes


def test_memory_of_partial_fit_does_not_grow():
    X, Y = related(10_000, 10, 10)
    cca = CCA(3).partial_fit(X[:100], Y[:100])
    size = len(pickle.dumps(cca))
    for i in range(100, 10_000, 100):
        cca.partial_fit(X[i : i + 100], Y[i : i + 100])
    assert len(pickle.dumps(cca)) <= size + 16
