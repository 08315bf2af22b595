"""Held-out correlations of the two halves of handwritten digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from skalign import CCA, Views


@pytest.fixture(scope="module")
def halves():
    digits = load_digits()
    images = digits.images / 16
    views = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))
    return train_test_split(views, digits.target, test_size=540, stratify=digits.target, random_state=0)


def test_linear_cca_of_digit_halves(halves):
    train, test, _, _ = halves
    assert (len(train), len(test)) == (1257, 540)
    assert round(CCA(10).fit(train).score(test), 2) >= 4.78  # unregularised CCA has one answer: 4.7774


def test_ridge_cca_of_digit_halves(halves):
    train, test, y, _ = halves
    search = GridSearchCV(CCA(10), {"shrinkage": np.geomspace(1e-3, 0.9, 13)}, cv=5).fit(train, y)
    assert search.score(test) >= 5.75
