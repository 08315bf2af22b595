"""Units beside labels: counts by hand, a peer, and what is refused."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from skalign.metrics import _units
from skalign.metrics._units import phone_normalized_mutual_info, phone_purity, unit_purity

METRICS = (phone_normalized_mutual_info, phone_purity, unit_purity)


def test_by_hand():
    labels, units = list("aabbbc"), [0, 0, 0, 1, 1, 2]
    assert phone_purity(labels, units) == pytest.approx(5 / 6)  # unit 0 reads a, unit 1 reads b, unit 2 reads c
    assert unit_purity(labels, units) == pytest.approx(5 / 6)
    entropy = -sum(p * np.log(p) for p in (2 / 6, 3 / 6, 1 / 6))
    left = 3 / 6 * -sum(p * np.log(p) for p in (2 / 3, 1 / 3))
    assert phone_normalized_mutual_info(labels, units) == pytest.approx((entropy - left) / entropy)


def test_mutual_information_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, units = rng.integers(5, size=300), rng.integers(9, size=300)
    entropy = mutual_info_score(labels, labels)
    assert phone_normalized_mutual_info(labels, units) == pytest.approx(mutual_info_score(labels, units) / entropy)


@pytest.mark.parametrize("metric", METRICS)
def test_sequences_are_one_long_one(metric):
    rng = np.random.default_rng(1)
    labels, units = rng.integers(3, size=30), rng.integers(4, size=30)
    whole = metric(labels, units)
    assert metric(np.split(labels, [4, 20]), np.split(units, [4, 20])) == whole
    assert metric([list(labels[:4]), list(labels[4:])], [units[:4], units[4:]]) == whole
    torch = pytest.importorskip("torch")
    assert metric(torch.tensor(labels), torch.tensor(units)) == whole


def test_splitting_units():
    rng = np.random.default_rng(2)
    labels, units = rng.integers(3, size=500), rng.integers(4, size=500)
    finer = units * 7 + rng.integers(7, size=500)
    assert phone_normalized_mutual_info(labels, finer) > phone_normalized_mutual_info(labels, units)
    assert phone_purity(labels, finer) >= phone_purity(labels, units)
    assert unit_purity(labels, finer) <= unit_purity(labels, units)
    assert phone_normalized_mutual_info(labels, labels) == 1
    assert phone_normalized_mutual_info(np.zeros(9), np.arange(9)) == 1  # nothing to know


@pytest.mark.parametrize("metric", METRICS)
def test_refused(metric):
    with pytest.raises(ValueError, match="Sequence 1 has 3 labels, but 2 units"):
        metric([[0, 1], [1, 1, 0]], [[0, 1], [1, 1]])
    with pytest.raises(ValueError, match="labels of 2 sequences and units of 1"):
        metric([[0, 1], [1, 1]], [[0, 1, 1, 1]])
    with pytest.raises(ValueError, match="no frames"):
        metric([], [])
    with pytest.raises(ValueError, match="1-D"):
        metric(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))


@pytest.mark.parametrize("metric", METRICS)
def test_series_and_what_is_no_sequence(metric):
    pd = pytest.importorskip("pandas")
    labels, units = ["a", "a", "b"], [0, 1, 1]
    assert metric(pd.Series(labels, index=[4, 5, 6]), pd.Series(units, index=[7, 8, 9])) == metric(labels, units)
    with pytest.raises(ValueError, match="1 NaN among"):
        metric([0.0, np.nan, 1.0], units)
    with pytest.raises(ValueError, match="none is missing"):
        metric(["a", None, "b"], units)
    with pytest.raises(ValueError, match="1-D, .* got None"):
        metric(None, units)


def test_public():
    assert all(metric.__doc__ and metric.__module__ == _units.__name__ for metric in METRICS)
