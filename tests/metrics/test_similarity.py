import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import pairwise as sk

from skalign.metrics import SIMILARITIES, pairwise_similarity

torch = pytest.importorskip("torch")

NAMES = sorted(SIMILARITIES)
PARAMETERS = {"gamma": 0.3, "degree": 2, "coef0": 0.5}


def one_by_one(X, Y, function, gamma=0.3, degree=2, coef0=0.5):
    """The definitions, a pair at a time."""

    def g(x, y):
        if function == "cosine":
            lengths = np.linalg.norm(x) * np.linalg.norm(y)
            return x @ y / lengths if lengths else 0.0
        if function in ("dot", "linear"):
            return x @ y
        if function == "polynomial":
            return (gamma * (x @ y) + coef0) ** degree
        if function == "exponential":
            return np.exp(-gamma * np.sqrt(((x - y) ** 2).sum()))
        if function == "rbf":
            return np.exp(-gamma * ((x - y) ** 2).sum())
        return np.exp(-gamma * np.abs(x - y).sum())

    return np.array([[g(x, y) for y in Y] for x in X])


def two(dtype=float, d=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, d)).astype(dtype), rng.normal(size=(7, d)).astype(dtype)


@pytest.mark.parametrize("function", NAMES)
@pytest.mark.parametrize("kind", ["numpy", "list", "frame", "csr", "csc", "csr_array", "torch"])
def test_definition(function, kind):
    X, Y = two()
    X[2] = 0
    make = {
        "numpy": np.asarray,
        "list": np.ndarray.tolist,
        "frame": pd.DataFrame,
        "csr": sp.csr_matrix,
        "csc": sp.csc_matrix,
        "csr_array": sp.csr_array,
        "torch": torch.tensor,
    }[kind]
    S = pairwise_similarity(make(X), make(Y), function, **PARAMETERS)
    assert isinstance(S, torch.Tensor if kind == "torch" else np.ndarray)
    np.testing.assert_allclose(S, one_by_one(X, Y, function), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("function", NAMES)
@pytest.mark.parametrize("make", [np.asarray, torch.tensor, sp.csr_matrix])
def test_float32_stays_float32(function, make):
    X, Y = two(np.float32)
    S = pairwise_similarity(make(X), make(Y), function, **PARAMETERS)
    assert S.dtype == (torch.float32 if make is torch.tensor else np.float32)
    np.testing.assert_allclose(S, one_by_one(X.astype(float), Y.astype(float), function), rtol=3e-6, atol=3e-7)
    assert pairwise_similarity(X, Y.astype(float), function).dtype == np.float64
    assert pairwise_similarity(X.astype(int), Y.astype(int), function).dtype == np.float64


@pytest.mark.parametrize("function", ["rbf", "polynomial", "laplacian", "cosine", "linear"])
def test_agrees_with_sklearn_defaults(function):
    X, Y = two()
    expected = sk.pairwise_kernels(X, Y, metric={"polynomial": "poly"}.get(function, function))
    np.testing.assert_allclose(pairwise_similarity(X, Y, function), expected, rtol=1e-12)


def test_one_collection_with_itself():
    X, _ = two()
    for function in NAMES:
        np.testing.assert_allclose(
            pairwise_similarity(X, function=function),
            pairwise_similarity(X, X.copy(), function),
            rtol=1e-14,
            atol=1e-15,
        )


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, sp.csr_matrix])
@pytest.mark.parametrize("function", ["rbf", "exponential", "laplacian"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_have_similarity_one_exactly(make, function, dtype):
    X = 1e3 + np.random.default_rng(1).normal(size=(40, 60)).astype(dtype)
    Y = X[::-1].copy()  # not the same object, so nothing can be known without looking
    S = np.asarray(pairwise_similarity(make(X), make(Y), function, gamma=1e4))
    np.testing.assert_array_equal(np.diag(S[:, ::-1]), 1.0)
    assert (S == 1).sum() == 40


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
@pytest.mark.parametrize("function", ["rbf", "exponential"])
def test_large_mean_costs_no_digits(make, function):
    steps = np.random.default_rng(2).integers(-8, 8, size=(30, 4)) / 8  # exact next to 1e8
    near, far = (pairwise_similarity(make(steps + m), make(steps[:9] + m), function, gamma=2.0) for m in (0.0, 1e8))
    np.testing.assert_allclose(far, near, rtol=1e-12)


def test_close_pairs_far_from_the_centre():
    clusters = np.array([[1e4, 0.0], [-1e4, 0.0]])
    X = np.concatenate([clusters, clusters + 2.0**-10])
    S = pairwise_similarity(X, X.copy(), "exponential", gamma=1.0)
    np.testing.assert_allclose(S, one_by_one(X, X, "exponential", gamma=1.0), rtol=1e-13)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, sp.csr_matrix])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_cosine_at_any_scale(make, scale):
    X = np.array([[3.0, 4.0], [0.0, 0.0], [-4.0, 3.0]]) * scale
    S = pairwise_similarity(make(X), make(np.array([[3.0, 4.0]])), "cosine")
    np.testing.assert_allclose(S, [[1.0], [0.0], [0.0]], atol=1e-15)


def test_huge_distances_are_zero_similarity_not_nan():
    S = pairwise_similarity([[1e200, 0.0], [0.0, 0.0]], [[-1e200, 0.0], [0.0, 0.0]], "rbf")
    np.testing.assert_array_equal(S, [[0, 0], [0, 1]])


@given(arrays(float, (6, 3), elements=st.floats(-1e6, 1e6)))
def test_ranges_and_symmetry(X):
    for function, low in {"cosine": -1, "rbf": 0, "laplacian": 0, "exponential": 0}.items():
        S = pairwise_similarity(X, function=function)
        assert S.min() >= low
        assert S.max() <= 1
        np.testing.assert_allclose(S, S.T, rtol=1e-9, atol=1e-12)


def test_blocks_equal_the_whole(monkeypatch):
    X, Y = two()
    whole = {f: pairwise_similarity(X, Y, f) for f in NAMES}
    monkeypatch.setattr("skalign.metrics.similarity._BLOCK", 1)
    for function, S in whole.items():
        np.testing.assert_allclose(pairwise_similarity(X, Y, function), S, rtol=1e-14)


def test_callable_sees_whole_arrays_once():
    calls = []

    def hinge(X, Y):
        calls.append((X.shape, Y.shape))
        return np.maximum(0, X @ Y.T)

    X, Y = two()
    np.testing.assert_array_equal(pairwise_similarity(X, Y, hinge), np.maximum(0, X @ Y.T))
    assert calls == [((5, 3), (7, 3))]
    with pytest.raises(ValueError, match=r"shape \(5, 7\).*its shape is \(7, 5\)"):
        pairwise_similarity(X, Y, lambda X, Y: Y @ X.T)


def test_gradients_flow():
    X, Y = (torch.tensor(Z, requires_grad=True) for Z in two())
    for function in NAMES:
        pairwise_similarity(X, Y, function).sum().backward()
        assert torch.isfinite(X.grad).all()


def test_one_tensor_takes_the_other_along():
    X, Y = two()
    for a, b in [(X, torch.tensor(Y)), (torch.tensor(X), Y)]:
        S = pairwise_similarity(a, b, "rbf")
        assert isinstance(S, torch.Tensor)
        np.testing.assert_allclose(S, pairwise_similarity(X, Y, "rbf"), rtol=1e-13)
    with pytest.raises(TypeError, match="sparse matrix cannot be compared with a tensor"):
        pairwise_similarity(sp.csr_matrix(X), torch.tensor(Y))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": "gaussian"}, "one of .*cosine.*rbf.*got 'gaussian'"),
        ({"function": None}, "one of .*got None"),
        ({"function": "rbf", "gamma": 0}, "gamma must be a number greater than 0"),
        ({"function": "rbf", "gamma": "scale"}, "gamma must be"),
        ({"function": "rbf", "gamma": np.nan}, "gamma must be"),
        ({"function": "polynomial", "degree": None}, "degree must be"),
        ({"function": "polynomial", "degree": 2.5, "coef0": -9}, "no real power 2.5"),
        ({"function": "polynomial", "coef0": np.inf}, "coef0 must be a finite number"),
    ],
)
def test_bad_parameters(arguments, message):
    for make in (np.asarray, torch.tensor):
        with pytest.raises(ValueError, match=message):
            pairwise_similarity(*map(make, two()), **arguments)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 4)), "X has 4 columns and Y has 3"),
        (np.zeros(3), "1D array|two dimensions"),
        (np.zeros((0, 3)), "0 sample|at least one row"),
        (np.array([[0, np.nan, 0]]), "X contains NaN"),
        (np.array([[0, np.inf, 0]]), "X contains.* infinity"),
        (np.array([[1j, 0, 0]]), "[Cc]omplex"),
    ],
)
def test_bad_rows(make, X, message):
    with pytest.raises(ValueError, match=message):
        pairwise_similarity(make(X), make(np.ones((2, 3))))


def test_other_array_libraries_are_refused():
    xp = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match=r"numpy, scipy\.sparse, pandas and torch"):
        pairwise_similarity(xp.ones((2, 2)))
