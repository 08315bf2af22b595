"""Partial information decomposition: published gates, linear programmes as certificates, and estimates from data."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skalign.information import multiview_redundancy, partial_information_decomposition
from skalign.information._unique_information import least_synergy

PARTS = ("redundancy", "unique1", "unique2", "synergy")


def gate(function, n_bits=(1, 1, 0)):
    """Joint table of sources that see own bits and shared bits, all fair; the target is a function of all of them."""
    first, second, shared = (list(product((0, 1), repeat=n)) for n in n_bits)
    rows = [((a, s), (b, s), function(a, b, s)) for a in first for b in second for s in shared]
    values = [sorted(set(column)) for column in zip(*rows)]
    p = np.zeros([len(v) for v in values])
    for row in rows:
        p[tuple(v.index(x) for v, x in zip(values, row))] += 1 / len(rows)
    return p


# In bits, from Bertschinger et al. (2014), table 1, and what follows from the definition.
GATES = {
    "RDN": (gate(lambda a, b, s: s, (0, 0, 1)), (1, 0, 0, 0)),
    "UNIQUE": (gate(lambda a, b, s: a), (0, 1, 0, 0)),
    "COPY": (gate(lambda a, b, s: (a, b)), (0, 1, 1, 0)),
    "XOR": (gate(lambda a, b, s: a[0] ^ b[0]), (0, 0, 0, 1)),
    "AND": (gate(lambda a, b, s: a[0] & b[0]), (0.311278, 0, 0, 0.5)),
    "SUM": (gate(lambda a, b, s: a[0] + b[0]), (0.5, 0, 0, 1)),
    "RDNXOR": (gate(lambda a, b, s: (a[0] ^ b[0], s), (1, 1, 1)), (1, 0, 0, 1)),
    "RDNUNQXOR": (gate(lambda a, b, s: (a[0] ^ b[0], a[1], b[1], s), (2, 2, 1)), (1, 1, 1, 1)),
}


def random_table(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(2, 6, size=3)
    p = rng.poisson(1.0, size=shape) + 0.0 if seed % 3 == 0 else rng.gamma((1.0, 0.2)[seed % 2], size=shape)
    return p / p.sum()


@pytest.mark.parametrize("name", GATES)
def test_published_gates(name):
    p, bits = GATES[name]
    split = partial_information_decomposition(p)
    assert_allclose([split[part] for part in PARTS], np.multiply(bits, np.log(2)), atol=4e-7)
    assert_allclose(sum(split[part] for part in PARTS), split.information, atol=1e-12)


@pytest.mark.parametrize("seed", range(9))
def test_no_table_with_these_marginals_has_less_synergy(seed):
    """The objective is convex: no feasible point is lower than its linearisation allows, a linear programme."""
    p = random_table(seed)
    q = least_synergy(p)
    assert_allclose(q.sum(axis=0), p.sum(axis=0), atol=1e-12)
    assert_allclose(q.sum(axis=1), p.sum(axis=1), atol=1e-12)
    gradient = np.log(np.where(q > 0, q, 1.0) / np.where(q > 0, q.sum(axis=2, keepdims=True), 1.0))
    gap = 0.0
    for y in range(p.shape[2]):
        i, j = np.flatnonzero(p[:, :, y].sum(axis=1)), np.flatnonzero(p[:, :, y].sum(axis=0))
        cost = gradient[np.ix_(i, j)][:, :, y]
        sums = np.vstack([np.kron(np.eye(len(i)), np.ones(len(j))), np.kron(np.ones(len(i)), np.eye(len(j)))])
        marginals = np.concatenate([p[i, :, y].sum(axis=1), p[:, j, y].sum(axis=0)])
        gap += (cost * q[np.ix_(i, j)][:, :, y]).sum() - linprog(cost.ravel(), A_eq=sums, b_eq=marginals).fun
    assert gap < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_laws(seed):
    p = random_table(seed)
    split = partial_information_decomposition(p)
    assert min(split[part] for part in PARTS) > -1e-7
    assert_allclose(split.redundancy + split.unique1, split.information1, atol=1e-12)
    assert_allclose(split.redundancy + split.unique2, split.information2, atol=1e-12)
    swapped = partial_information_decomposition(p.transpose(1, 0, 2))
    assert_allclose([swapped[part] for part in PARTS],
                    [split[part] for part in ("redundancy", "unique2", "unique1", "synergy")], atol=1e-7)  # fmt: skip
    again = partial_information_decomposition(split.table)
    assert_allclose(again.synergy, 0.0, atol=1e-7)
    for factor in (1000, 1e306 / p.max()):
        assert_allclose(partial_information_decomposition(factor * p).redundancy, split.redundancy, atol=1e-12)


def test_the_table_is_not_altered():
    p = random_table(1)
    before = p.copy()
    partial_information_decomposition(p)
    assert (p == before).all()


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (np.ones((2, 2)), "three dimensions"),
        (np.zeros((2, 2, 2)), "not all zero"),
        (-np.ones((2, 2, 2)), "not negative"),
        (np.full((2, 2, 2), np.nan), "finite"),
        (1j * np.ones((2, 2, 2)), "Complex"),
    ],
)
def test_tables_that_are_none(p, message):
    with pytest.raises(ValueError, match=message):
        partial_information_decomposition(p)


# --- from data ------------------------------------------------------------------------------------------------------


def bits(seed=0, n=1500):
    rng = np.random.default_rng(seed)
    return rng.integers(
        2, size=(3, n)
    ), lambda *columns: np.column_stack(columns) + 0.1 * rng.normal(size=(n, len(columns)))


def redundancy(X1, X2, y, **options):
    classifier = DecisionTreeClassifier(min_samples_leaf=20, random_state=0)
    options = {"classifier": classifier, "method": "gaussian", "n_permutations": 39, "random_state": 0} | options
    found = multiview_redundancy(X1, X2, y, **options)
    return found, np.array([found[part] for part in PARTS]) / np.log(2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_shared_and_what_is_unique(seed):
    (a, b, _), noisy = bits(seed)
    found, split = redundancy(noisy(a, b), noisy(a), 2 * a + b)
    assert_allclose(split, [1, 1, 0, 0], atol=0.05)
    assert_allclose([found.information1, found.information2], np.log([4, 2]), atol=0.05)
    assert_allclose(found.label_entropy, np.log(4), atol=0.01)
    assert found.between > 0.5
    assert abs(found.between_given_label) < 0.05


def test_synergy_breaks_the_assumption():
    (a, b, c), noisy = bits()
    found, split = redundancy(noisy(a, c), noisy(b, c), a ^ b)
    assert split[:3].max() < 0.05
    assert split[3] > 0.8
    assert found.pvalue == 1 / 40
    assert found.tenable is False
    assert type(found.pvalue) is float


def test_views_that_share_no_more_than_the_label():
    (a, _, _), noisy = bits()
    labels = np.where(a == 1, "yes", "no")
    tenable = [redundancy(noisy(a), noisy(a), labels, random_state=seed)[0].tenable for seed in range(5)]
    assert sum(tenable) >= 4
    _, split = redundancy(noisy(a), noisy(a), labels, classifier=LogisticRegression())
    assert_allclose(split, [1, 0, 0, 0], atol=0.05)


def test_bins_are_enough_for_many_labels():
    y = np.arange(1200) % 12
    X1, X2 = np.eye(12)[y] + 0.01 * np.random.default_rng(0).normal(size=(2, 1200, 12))
    _, split = redundancy(X1, X2, y)
    assert_allclose(split, [np.log2(12), 0, 0, 0], atol=1e-6)
    _, coarse = redundancy(X1, X2, y, n_bins=8)
    assert coarse.sum() <= 3.0 + 1e-6


def test_labels_that_nobody_knows():
    _, noisy = bits()
    y = np.random.default_rng(9).integers(2, size=1500)
    _, split = redundancy(noisy(np.zeros(1500)), noisy(np.zeros(1500)), y)
    assert np.abs(split).max() < 0.03


def test_bad_data():
    (a, b, _), noisy = bits(n=100)
    X = noisy(a, b)
    for arguments, message in (
        ((X, X[:-1], a), "X1 has 100 rows, X2 99 and y 100"),
        ((X, np.where(X > 0.9, np.nan, X), a), "X2: Input contains NaN or infinity"),
        ((X, X, np.zeros(100)), "only the label 0.0"),
        ((X, X, np.arange(100) > 1), "needs cv=5 rows"),
        ((X, X, np.where(a, np.nan, 1.0)), "y has missing labels"),
    ):
        with pytest.raises(ValueError, match=message):
            multiview_redundancy(*arguments)
    for options, message in (
        ({"alpha": 2}, "alpha"),
        ({"alpha": "x"}, "alpha"),
        ({"cv": None}, "cv must be"),
        ({"cv": 1}, "cv must be"),
        ({"n_bins": 0}, "n_bins"),
        ({"method": "nice"}, "method"),
    ):
        with pytest.raises(ValueError, match=message):
            redundancy(X, X, a, **options)
