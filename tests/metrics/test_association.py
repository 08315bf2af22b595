"""Association of elements and of signals: closed forms, scipy's tests, planted pairs and delays, and bad input."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats as stats
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from skalign.datasets import load_emoji
from skalign.metrics.association import cooccurrence, cooccurrence_from_counts, lagged_alignment, top_pairs


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    X = rng.random((80, 5)) < [0.1, 0.3, 0.5, 0.7, 0.9]
    Y = rng.random((80, 4)) < 0.4
    Y[:, 0] = X[:, 1] ^ (rng.random(80) < 0.1)
    return X, Y


# --- co-occurrence --------------------------------------------------------------------------------------------------


def test_every_pair_against_scipy(tables):
    X, Y = tables
    found = cooccurrence(X.astype(int), Y.astype(int))
    for i in range(X.shape[1]):
        for j in range(Y.shape[1]):
            table = np.array([[np.sum((X[:, i] == a) & (Y[:, j] == b)) for b in (1, 0)] for a in (1, 0)])
            g, _, _, expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
            sign = np.sign(table[0, 0] - expected[0, 0])
            assert found.counts[i, j] == table[0, 0]
            assert_allclose(found.expected[i, j], expected[0, 0])
            assert_allclose(found.log_likelihood_ratio[i, j], sign * g, atol=1e-12)
            assert_allclose(found.pvalue[i, j], stats.fisher_exact(table, "greater").pvalue, rtol=1e-8)
            assert_allclose(found.pmi[i, j], np.log(table[0, 0] * 80 / table[0].sum() / table[:, 0].sum()))
            assert_allclose(found.npmi[i, j], found.pmi[i, j] / -np.log(table[0, 0] / 80))


@pytest.mark.parametrize("correction", ["bh", "by"])
def test_false_discovery_control_against_scipy(tables, correction):
    found = cooccurrence(*tables, correction=correction)
    if hasattr(stats, "false_discovery_control"):
        assert_allclose(found.qvalue.ravel(), stats.false_discovery_control(found.pvalue.ravel(), method=correction))
    assert found.significant.sum() == 1
    assert found.significant[1, 0]


def test_few_false_discoveries_without_association():
    rng = np.random.default_rng(0)
    wrong = [cooccurrence(*(rng.random((100, 20)) < 0.2 for _ in range(2))).significant.any() for _ in range(40)]
    assert np.mean(wrong) <= 0.1  # 0.05 is allowed, and Fisher's test is conservative


def test_pairs_that_always_or_never_meet():
    found = cooccurrence_from_counts([[5, 0], [10, 4]], [5, 20], [10, 4], 20)
    assert_allclose(found.npmi, [[np.log(2) / np.log(4), -1.0], [0.0, 0.0]], atol=1e-12)
    assert found.pmi[0, 1] == -np.inf
    assert found.pvalue[0, 1] == 1.0
    assert found.pvalue[1, 0] == pytest.approx(1.0)
    both = cooccurrence_from_counts([[7]], [7], [7], 7)  # in all samples
    assert (both.pmi, both.npmi, both.log_likelihood_ratio, both.pvalue) == (0, 0, 0, 1)
    assert_allclose(cooccurrence_from_counts([[3]], [3], [3], 9).npmi, 1.0)


def test_what_samples_may_hold(tables):
    X, Y = tables
    lists = [[f"e{j}" for j in np.flatnonzero(row)] * 2 for row in X]  # twice in a sample is once
    by_table, by_list = cooccurrence(X * 3.0, sp.csr_array(Y)), cooccurrence(lists, Y)
    assert_array_equal(by_table.counts, by_list.counts)
    assert by_list.x_names.tolist() == [f"e{j}" for j in range(5)]
    assert by_table.y_names.tolist() == [0, 1, 2, 3]
    labels = np.array([2, 1, 2, 1] * 20)
    found = cooccurrence(labels, ["even", "odd"] * 40)
    assert top_pairs(found) == [(1, "odd"), (2, "even")]
    assert top_pairs(found, 1, by="npmi") == [(1, "odd")]
    assert cooccurrence([{(0, 1)}, {(2, 3)}, {"a"}], [1, 2, "b"]).x_names.tolist() == ["a", (0, 1), (2, 3)]


def test_tensors_of_labels_and_tables(tables):
    torch = pytest.importorskip("torch")
    labels = torch.tensor([2, 1, 2, 1])
    assert_array_equal(
        cooccurrence(labels, ["a", "b"] * 2).counts, cooccurrence(labels.tolist(), ["a", "b"] * 2).counts
    )
    assert_array_equal(cooccurrence(*map(torch.tensor, tables)).counts, cooccurrence(*tables).counts)


def test_elements_that_are_rare_are_left_out(tables):
    X, Y = tables
    found = cooccurrence(X, Y, min_count=20)
    assert found.x_names.tolist() == np.flatnonzero(X.sum(axis=0) >= 20).tolist()
    with pytest.raises(ValueError, match="X has no element that is in min_count=81 samples"):
        cooccurrence(X, Y, min_count=81)


def test_words_that_go_with_families_of_emoji_come_out_on_top():
    emoji = load_emoji()
    pixels = emoji.images.reshape(len(emoji.names), -1).astype(float)
    families = KMeans(30, n_init=3, random_state=0).fit_predict(PCA(30, random_state=0).fit_transform(pixels))
    words = [name.split() for name in emoji.names]
    found = cooccurrence(families, words, min_count=3)
    top = [word for _, word in top_pairs(found, 12)]
    assert len({"face", "clock", "oclock", "arrow", "triangle", "heart", "cat"} & set(top)) >= 6
    family = families[emoji.names.index("clock face two oclock")]
    assert {(family, "clock"), (family, "oclock")} <= set(top_pairs(found, 12))
    shuffled = np.random.default_rng(0).permutation(families)
    assert not cooccurrence(shuffled, words, min_count=3).significant.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[3]], [2], [3], 10), "do not fit together"),
        (([[0]], [6], [6], 10), "do not fit together"),
        (([[1]], [2, 3], [3], 10), "a row for every x"),
        (([[1.5]], [2], [3], 10), "whole numbers"),
        (([[np.nan]], [2], [3], 10), "whole numbers"),
        (([[1]], [2], [3], 0), "n_samples"),
        ((np.zeros((0, 2)), [], [1, 2], 3), "no pair"),
    ],
)
def test_counts_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        cooccurrence_from_counts(*arguments)


def test_bad_arguments(tables):
    X, Y = tables
    for options, message in (
        ({"alpha": 0}, "alpha"),
        ({"alpha": "low"}, "alpha"),
        ({"correction": "holm"}, "correction"),
        ({"min_count": 0}, "min_count"),
    ):
        with pytest.raises(ValueError, match=message):
            cooccurrence(X, Y, **options)
    with pytest.raises(ValueError, match="80 rows and Y 79"):
        cooccurrence(X, Y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        cooccurrence(np.where(X, np.nan, 0.0), Y)
    with pytest.raises(ValueError, match="X has numbers below 0"):
        cooccurrence(np.where(X, 1, -1), Y)
    with pytest.raises(ValueError, match="Y holds NaN"):
        cooccurrence(X[:3], np.array([1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match="X must hold a collection .* got str"):
        cooccurrence("abc", "abc")
    with pytest.raises(ValueError, match="X must hold a collection .* got NoneType"):
        cooccurrence(None, ["a"])
    with pytest.raises(ValueError, match="X is a table of <U1"):
        cooccurrence(np.array([["a", "b"], ["a", "c"]]), [1, 2])
    with pytest.raises(ValueError, match="by must be"):
        top_pairs(cooccurrence(X, Y), by="counts")


# --- lagged alignment -----------------------------------------------------------------------------------------------


def delayed(delay, n=600, p=3, q=2, noise=1.0, seed=0):
    """Two noisy signals of one smooth source; the second is `delay` samples late."""
    rng = np.random.default_rng(seed)
    source = np.convolve(rng.normal(size=n + 200), np.ones(5) / np.sqrt(5), "same")
    x = source[100 : 100 + n, None] * rng.choice([-1, 1], size=p) + noise * rng.normal(size=(n, p))
    y = source[100 - delay : 100 - delay + n, None] * rng.choice([-1, 1], size=q) + noise * rng.normal(size=(n, q))
    return x, y


def largest_correlation(A, B):
    A, B = (np.linalg.qr(Z - Z.mean(axis=0))[0] for Z in (A, B))
    return np.linalg.svd(A.T @ B)[1][0]


@pytest.mark.parametrize("delay", [-17, 0, 9, 30])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_known_delay_between_signals_of_different_width_is_found(delay, seed):
    found = lagged_alignment(*delayed(delay, seed=seed), 30, n_permutations=99, random_state=seed)
    assert found.best_lag == delay
    assert found.pvalue <= 0.05  # short shifts leave the signals nearly aligned
    assert found.score > 2 * np.median(found.null)


def test_every_lag_is_the_canonical_correlation_of_the_overlap():
    x, y = delayed(4, n=60)
    found = lagged_alignment(x, y, 8, n_permutations=1)
    for lag, value in zip(found.lags, found.correlations):
        A, B = (x[: 60 - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[:lag])
        assert_allclose(value, largest_correlation(A, B), atol=1e-10)


def test_one_column_each_gives_signed_correlations():
    x, y = (z[:, 0] for z in delayed(3, n=50, noise=0.3))
    found = lagged_alignment(x, -y[:, None], 5, n_permutations=1)
    for lag, value in zip(found.lags, found.correlations):
        A, B = (x[: 50 - lag], -y[lag:]) if lag >= 0 else (x[-lag:], -y[:lag])
        assert_allclose(value, np.corrcoef(A, B)[0, 1], atol=1e-10)
    assert found.best_lag == 3
    assert found.score == found.correlations[8]


def test_invariances():
    x, y = delayed(6, n=200)
    rng = np.random.default_rng(0)
    found = lagged_alignment(x, y, 10, random_state=0)
    mapped = lagged_alignment(1e6 + 1e3 * x @ rng.normal(size=(3, 3)), np.hstack([y, y @ [[1.0], [2.0]]]), 10,
                              random_state=0)  # fmt: skip
    assert_allclose(mapped.correlations, found.correlations, atol=1e-8)
    assert mapped.pvalue == found.pvalue
    assert_allclose(lagged_alignment(y, x, 10).correlations, found.correlations[::-1], atol=1e-10)


def test_smooth_signals_that_are_independent_are_not_aligned():
    rng = np.random.default_rng(0)
    pvalues = []
    for _ in range(250):  # long shifts alone would pass 0.15 of these
        x, y = (np.convolve(rng.normal(size=409), np.ones(10), "valid") for _ in range(2))
        pvalues.append(lagged_alignment(x, y, 60, n_permutations=39, random_state=rng.integers(2**31)).pvalue)
    assert np.mean(np.array(pvalues) <= 0.05) <= 0.09
    assert 0.4 < np.mean(pvalues) < 0.6


def test_no_more_shifts_than_there_are():
    x, y = delayed(0, n=30, p=1, q=1)
    assert len(lagged_alignment(x, y, 10).null) == 29
    assert len(lagged_alignment(x, y, 0).null) == 29


def test_tensors_and_lists():
    torch = pytest.importorskip("torch")
    x, y = delayed(2, n=100)
    expected = lagged_alignment(x, y, 5, random_state=0).correlations
    assert_allclose(lagged_alignment(torch.tensor(x), y.tolist(), 5, random_state=0).correlations, expected)


def test_bad_signals():
    x, y = delayed(0, n=50)
    for options, message in (({"max_lag": -1}, "max_lag"), ({"max_lag": 2.5}, "max_lag"),
                             ({"max_lag": 5, "n_permutations": 0}, "n_permutations")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            lagged_alignment(x, y, **options)
    with pytest.raises(ValueError, match="x: Input contains NaN or infinity: 1 NaN"):
        lagged_alignment(np.where(np.arange(150).reshape(50, 3) == 7, np.nan, x), y, 3)
    with pytest.raises(ValueError, match="50 rows and Y 49"):
        lagged_alignment(x, y[:-1], 3)
    with pytest.raises(ValueError, match="y is constant"):
        lagged_alignment(x, np.ones(50), 3)
    with pytest.raises(ValueError, match="50 samples are too few for max_lag=25"):
        lagged_alignment(x, y, 25)
    with pytest.raises(ValueError, match="12 samples are too few for max_lag=2"):
        lagged_alignment(x[:12], np.random.default_rng(0).normal(size=(12, 29)), 2)
    with pytest.raises(ValueError, match="constant in the part that overlaps"):
        lagged_alignment(x, np.eye(50)[:1].T, 3)
