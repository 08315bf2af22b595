"""Bad input to representation metrics: each kind a ValueError that says what is wrong."""

import numpy as np
import pandas as pd
import pytest

from skalign.metrics.association import lagged_alignment
from skalign.metrics.representation import (
    cka,
    cknna,
    cycle_knn,
    edit_distance_knn,
    hsic,
    hsic_test,
    linear_predictivity,
    mutual_knn,
    procrustes_similarity,
    pwcca,
    rsa,
    svcca,
)

torch = pytest.importorskip("torch")

ALL = [cka, cknna, cycle_knn, edit_distance_knn, hsic, hsic_test, linear_predictivity, mutual_knn,
       procrustes_similarity, pwcca, rsa, svcca]  # fmt: skip
KERNEL = [cka, cknna, hsic, hsic_test]
DISTANCE = [mutual_knn, cycle_knn, edit_distance_knn, rsa]


def pair(n=30):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)), rng.normal(size=(n, 3))


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_what_is_wrong_is_said(function, make):
    X, Y = pair()
    holes = X.copy()
    holes[3, 2], holes[4, 1] = np.nan, np.inf
    with pytest.raises(ValueError, match="X: Input contains NaN or infinity: 1 NaN and 1 inf"):
        function(make(holes), make(Y))
    with pytest.raises(ValueError, match="Y: Input contains NaN or infinity"):
        function(make(Y), make(holes))
    with pytest.raises(ValueError, match="X has 30 rows and Y 29"):
        function(make(X), make(Y[:-1]))
    with pytest.raises(ValueError, match="X is constant"):
        function(make(np.full((30, 2), 0.1)), make(Y))
    with pytest.raises(ValueError, match="Y is constant"):
        function(make(X), make(np.zeros((30, 2))))
    with pytest.raises(ValueError, match="1 sample"):
        function(make(X[:1]), make(Y[:1]))
    with pytest.raises(ValueError, match="2D array"):
        function(make(X[:, 0]), make(Y))


@pytest.mark.parametrize("function", [*ALL, lambda X, Y: lagged_alignment(X, Y, 2)])
@pytest.mark.parametrize("unit", [1e-300, 1e-100, 1e100, 1e300])
def test_numbers_whose_products_overflow_or_vanish(function, unit):
    X, Y = pair()
    options = {"metric": "euclidean"} if function in DISTANCE else {"kernel": "linear"} if function in KERNEL else {}
    with pytest.raises(ValueError, match="has values of the size of .*another unit"):
        function(unit * X, Y, **options)
    with pytest.raises(ValueError, match="has values of the size of .*another unit"):
        function(X, unit * Y, **options)
    if options and function is not hsic_test:
        free = dict.fromkeys(options, "cosine")
        assert function(unit * X, Y, **free) == pytest.approx(function(X, Y, **free))


@pytest.mark.parametrize("function", ALL)
def test_strings_sizes_and_frames(function):
    X, Y = pair()
    with pytest.raises(ValueError, match="holds strings"):
        function([["a"]] * 30, Y)
    for chunk_size in (0, 1.5, True):
        with pytest.raises(ValueError, match="chunk_size must be an integer of at least 1"):
            function(X, Y, chunk_size=chunk_size)
    if function is not hsic_test:
        assert function(pd.DataFrame(X), Y) == pytest.approx(function(X, Y), abs=1e-12)


@pytest.mark.parametrize("function", KERNEL + DISTANCE)
def test_precomputed_matrices_are_checked(function):
    X, Y = pair()
    option = "kernel" if function in KERNEL else "metric"
    given = {option: "precomputed"}
    D = np.linalg.norm(X[:, None] - X[None], axis=2)
    with pytest.raises(ValueError, match=r"Y is said to be precomputed, so it must be square, .*\(30, 3\)"):
        function(D, Y, **given)
    skew = D.copy()
    skew[2, 5] += 0.1
    with pytest.raises(ValueError, match="X is said to be precomputed, so it must be symmetric, but entries differ by"):
        function(skew, D, **given)
    with pytest.raises(ValueError, match="all its entries off the diagonal are equal"):
        function(D, 1 - np.eye(30), **given)
    with pytest.raises(ValueError, match="one setting for X and one for Y"):
        function(X, Y, **{option: ("linear",) * 3})
    with pytest.raises(ValueError, match="must be callable or one of"):
        function(X, Y, **{option: "nearest"})


@pytest.mark.parametrize("function", [mutual_knn, cycle_knn, edit_distance_knn, cknna])
def test_neighbours_must_be_fewer_than_samples(function):
    X, Y = pair()
    with pytest.raises(ValueError, match="k=30 neighbours need more than 30 samples"):
        function(X, Y, k=30)
    for k in (0, 2.5, True):
        with pytest.raises(ValueError, match="k must be an integer of at least 1"):
            function(X, Y, k=k)
    assert -1 <= function(X, Y, k=29) <= 1
    if function is cknna:
        with pytest.raises(ValueError, match="k must be at least 2"):
            function(X, Y, k=1)


def test_options_of_cka():
    X, Y = pair()
    for n, debiased in ((3, True), (1, False)):
        with pytest.raises(ValueError, match=f"{n} sample"):
            cka(X[:n], Y[:n], debiased=debiased)
    assert cka(X[:2], Y[:2], debiased=False) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="solver must be one of"):
        cka(X, Y, solver="fast")
    with pytest.raises(ValueError, match="solver='features' is for the linear kernel"):
        cka(X, Y, kernel="rbf", solver="features")
    with pytest.raises(ValueError, match="batch_size must be at least 4"):
        cka(X, Y, batch_size=3)
    with pytest.raises(ValueError, match="gamma must be a number greater than 0"):
        cka(X, Y, kernel="rbf", gamma=-1)
    with pytest.raises(ValueError, match="must return a matrix of shape"):
        cka(X, Y, kernel=lambda A, B: A)


def test_options_of_the_others():
    X, Y = pair()
    with pytest.raises(ValueError, match="compare must be one of"):
        rsa(X, Y, compare="kendall")
    with pytest.raises(ValueError, match=r"5 dissimilarities are not n \(n - 1\) / 2"):
        rsa(np.arange(5.0), np.arange(5.0), metric="precomputed")
    with pytest.raises(ValueError, match="finite matrix of shape"):
        rsa(X, Y, metric=lambda A, B: A)
    with pytest.raises(ValueError, match="NaN or infinity"):
        mutual_knn(X, Y, metric=lambda A, B: np.full((len(A), len(B)), np.nan))
    with pytest.raises(ValueError, match="one row for each row"):
        mutual_knn(X, Y, metric=lambda A, B: A)
    with pytest.raises(ValueError, match="method must be"):
        hsic_test(X, Y, method="bootstrap")
    with pytest.raises(ValueError, match="n_permutations must be"):
        hsic_test(X, Y, n_permutations=0)
    for variance in (0, 1.5, True):
        with pytest.raises(ValueError, match="variance must be a share"):
            svcca(X, Y, variance=variance)
    for cv in (1, 11):
        with pytest.raises(ValueError, match=f"cv={cv} folds need"):
            svcca(X, Y, cv=cv)
    with pytest.raises(ValueError, match="2 samples to fit"):
        pwcca(X, Y, cv=[(np.arange(2), np.arange(2, 30))])
    with pytest.raises(ValueError, match="cv gives no split"):
        pwcca(X, Y, cv=[])
    with pytest.raises(ValueError, match="alphas must be"):
        linear_predictivity(X, Y, alphas=[0.0])
    with pytest.raises(ValueError, match="statistic must be"):
        linear_predictivity(X, Y, statistic="mse")
    constant = np.r_[np.zeros(15), np.arange(15.0)][:, None]
    with pytest.raises(ValueError, match="constant in the fitted part"):
        svcca(constant, Y, cv=[(np.arange(15), np.arange(15, 30))])


def test_rows_of_zero_are_as_far_from_all_as_from_one():
    X, Y = pair()
    X[4] = 0
    result = mutual_knn(X, Y, k=5, return_details=True)
    assert result.per_sample[4] == pytest.approx(5 / 29)
