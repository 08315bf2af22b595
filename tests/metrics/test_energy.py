"""The energy distance: its definition, closed forms, laws, and bad input."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance as of_one_dimension

from skalign.metrics._energy import energy_distance


def definition(X, Y):
    return 2 * cdist(X, Y).mean() - cdist(X, X).mean() - cdist(Y, Y).mean()


@pytest.mark.parametrize("kind", ["numpy", "list", "csr", "torch"])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (7, 4, 3), (40, 90, 12)])
def test_definition(n, m, d, kind):
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, d)), 1.5 * rng.normal(size=(m, d)) + 0.3
    make = {
        "numpy": np.asarray,
        "list": np.ndarray.tolist,
        "csr": sp.csr_array,
        "torch": lambda A: pytest.importorskip("torch").tensor(A),
    }[kind]
    across = 2 * cdist(X, Y).mean()
    assert energy_distance(make(X), make(Y)) == pytest.approx(definition(X, Y), abs=1e-12)
    assert energy_distance(make(X), make(Y), normalized=True) == pytest.approx(definition(X, Y) / across, abs=1e-12)


def test_many_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(150, 4)), rng.normal(size=(130, 4)) + 1
    monkeypatch.setattr("skalign.metrics._energy._CHUNK", 1000)
    assert energy_distance(X, Y) == pytest.approx(definition(X, Y), abs=1e-12)


def test_one_dimension_against_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.exponential(size=80)
    # scipy's is the root of the distance between the distribution functions, whose square is E / 2
    assert energy_distance(x[:, None], y[:, None]) == pytest.approx(of_one_dimension(x, y) ** 2, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**31))
def test_laws(n, m, d, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    energy = energy_distance(X, Y)
    assert energy > 0
    assert energy_distance(Y, X) == pytest.approx(energy, abs=1e-12)
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    assert energy_distance(X @ Q + 5, Y @ Q + 5) == pytest.approx(energy, abs=1e-10)
    assert energy_distance(3 * X, 3 * Y) == pytest.approx(3 * energy, abs=1e-10)
    ratio = energy_distance(X, Y, normalized=True)
    assert 0 < ratio <= 1
    assert energy_distance(1e6 * X, 1e6 * Y, normalized=True) == pytest.approx(ratio, abs=1e-10)
    repeated = X[rng.permutation(np.repeat(np.arange(n), 3))]
    assert energy_distance(X, repeated) == pytest.approx(0, abs=1e-12)


def test_far_from_the_origin_and_float32():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 3)), rng.normal(size=(50, 3)) + 0.2
    assert energy_distance(X + 1e8, Y + 1e8) == pytest.approx(definition(X, Y), rel=1e-5)
    found = energy_distance(X.astype(np.float32), Y.astype(np.float32))
    assert found == pytest.approx(definition(X, Y), rel=1e-5)
    assert energy_distance(np.zeros((3, 2)), np.zeros((4, 2)), normalized=True) == 0.0


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e160, 1e300])
def test_units_in_which_squares_overflow_or_vanish(unit):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(15, 3)) + 0.2
    assert energy_distance(unit * X, unit * Y) / unit == pytest.approx(energy_distance(X, Y))
    assert energy_distance(unit * X, unit * Y, normalized=True) == pytest.approx(energy_distance(X, Y, normalized=True))


def test_memory_is_that_of_a_chunk():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3000, 3)), rng.normal(size=(3000, 3))
    tracemalloc.start()
    energy_distance(X, Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # the matrix of distances has 72 MB


def test_bad_input():
    X = np.zeros((4, 2))
    with pytest.raises(ValueError, match="X has 2 columns and Y has 3"):
        energy_distance(X, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="NaN"):
        energy_distance(X, np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="0 sample"):
        energy_distance(X[:0], X)
