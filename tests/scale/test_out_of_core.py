"""Dask arrays: fits, scores and transforms by blocks against the same in memory."""

import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_val_score

from skalign import CCA, KernelCCA, ProcrustesAligner, Views
from skalign.correlation._moments import Moments, center_tables, row_quartics

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

RULES = [0.0, 0.1, {"x": 0.3, "y": "oas"}, "oas", "ledoit_wolf", "auto"]


def related(n=600, seed=0, mean=1e3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)) @ rng.normal(size=(5, 5)) + mean
    return X, X[:, :3] - mean + 2 * rng.normal(size=(n, 3))


def blocks(*tables, rows=100):
    return [da.from_array(table, chunks=(rows, table.shape[1])) for table in tables]


def assert_same_fit(a, b, atol=1e-10):
    assert_allclose(a.canonical_correlations_, b.canonical_correlations_, atol=atol)
    assert a.n_samples_seen_ == b.n_samples_seen_
    for attribute in ("means_", "weights_", "loadings_", "explained_variance_", "explained_variance_ratio_"):
        ours, theirs = getattr(a, attribute), getattr(b, attribute)
        assert list(ours) == list(theirs)
        for name in ours:
            assert_allclose(ours[name], theirs[name], rtol=0, atol=atol * np.abs(theirs[name]).max())
    assert_allclose(list(a.shrinkage_.values()), list(b.shrinkage_.values()), atol=atol)


# --- equal to the fit in memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shrinkage", RULES, ids=str)
def test_every_shrinkage_rule(shrinkage):
    X, Y = related()
    assert_same_fit(CCA(shrinkage=shrinkage).fit(*blocks(X, Y)), CCA(shrinkage=shrinkage).fit(X, Y))


@pytest.mark.parametrize("shrinkage", [0.0, "oas", "ledoit_wolf"])
def test_weights_are_repeated_rows(shrinkage):
    X, Y = related()
    weights = np.random.default_rng(0).integers(0, 3, size=600)
    weights[100:200] = 0  # a whole block
    repeated = CCA(shrinkage=shrinkage).fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0))
    for given_weights in (weights, da.from_array(weights, chunks=70)):
        ours = CCA(shrinkage=shrinkage).fit(*blocks(X, Y), sample_weight=given_weights)
        assert_allclose(ours.canonical_correlations_, repeated.canonical_correlations_, atol=1e-10)
        assert_allclose(list(ours.shrinkage_.values()), list(repeated.shrinkage_.values()), atol=1e-12)
        assert ours.n_samples_seen_ == (weights > 0).sum()
    assert_same_fit(ours, CCA(shrinkage=shrinkage).fit(X, Y, sample_weight=weights))


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.sets(st.integers(1, 119)),
    other=st.sets(st.integers(1, 119)),
    column=st.integers(1, 5),
    mean=st.sampled_from([0.0, 1e8]),
)
def test_any_chunks(cuts, other, column, mean):
    X, Y = related(120, mean=mean)
    rows = [tuple(np.diff([0, *sorted(c), 120]).tolist()) for c in (cuts, other)]
    dX, dY = da.from_array(X, chunks=(rows[0], column)), da.from_array(Y, chunks=(rows[1], 2))
    with dask.config.set(scheduler="synchronous"):
        assert_same_fit(CCA(2, shrinkage="auto").fit(dX, dY), CCA(2, shrinkage="auto").fit(X, Y))


@pytest.mark.parametrize("value", [0.1, 1e6 / 3, 7.7e-9])
def test_a_constant_column_stays_constant_whatever_the_blocks(value):
    X, Y = related(200, mean=0.0)
    X = np.column_stack([X, np.full(200, value)])
    whole, chunked = CCA().fit(X, Y), CCA()
    assert_same_fit(CCA().fit(*blocks(X, Y, rows=37)), whole)
    for start in range(0, 200, 37):
        chunked.partial_fit(X[start : start + 37], Y[start : start + 37])
    assert_same_fit(chunked, whole)


def test_three_views_by_name():
    X, Y = related()
    views = Views(a=X, b=Y, c=X[:, :2] ** 2)
    lazy = Views(dict(zip("abc", blocks(*(view for _, view in views.items())))))
    assert_same_fit(CCA(2).fit(lazy), CCA(2).fit(views))
    assert CCA(2).fit(lazy).score(lazy) == pytest.approx(CCA(2).fit(views).score(views), abs=1e-10)


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.astype(np.float32),
        lambda X: np.round(X).astype(np.int16),
        lambda X: np.asfortranarray(X),
        lambda X: sp.csr_array(np.where(X > 1e3, X, 0.0)),
    ],
    ids=["float32", "int16", "fortran", "sparse"],
)
def test_kinds_of_blocks(change):
    X, Y = related()
    X = change(X)
    dense = X.toarray() if sp.issparse(X) else X
    lazy = da.from_array(dense, chunks=(100, 5))
    if sp.issparse(X):
        lazy = lazy.map_blocks(sp.csr_array, dtype=float, meta=sp.csr_array((0, 0)))
    ours, theirs = CCA(2).fit(lazy, blocks(Y)[0]), CCA(2).fit(dense, Y)
    assert_same_fit(ours, theirs)
    Z = ours.transform(lazy)
    assert Z.dtype == theirs.transform(dense).dtype == Z.compute().dtype
    assert_allclose(Z.compute(), theirs.transform(dense), atol=1e-3 if Z.dtype == np.float32 else 1e-9)


def test_quartics_of_merged_rows():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(90, 4)) + 5, rng.uniform(0.5, 2, size=90)

    def moments(rows):
        centered, origins, shifts, weight, n_rows = center_tables([X[rows]], w[rows])
        found = Moments.of(centered, origins, weight, n_rows, shifts)
        found.quartics = [row_quartics(centered[0], w[rows])]
        return found

    cubes, fourths = moments(slice(0, 20)).merged(moments(slice(20, 90))).quartics[0]
    D = X - np.average(X, axis=0, weights=w)
    squares = (D**2).sum(axis=1)
    assert_allclose(cubes, (w * squares) @ D, atol=1e-10)
    assert fourths == pytest.approx((w * squares**2).sum(), rel=1e-12)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_schedulers(scheduler):
    X, Y = related()
    with dask.config.set(scheduler=scheduler, num_workers=2):
        assert_same_fit(CCA(shrinkage="auto").fit(*blocks(X, Y)), CCA(shrinkage="auto").fit(X, Y))


def test_two_workers_of_a_cluster(client):
    X, Y = related()
    params = {"n_components": 2, "approximation": "nystroem", "n_landmarks": 30, "random_state": 0}
    dX, dY = blocks(X, Y)
    cca, kernel = CCA().fit(dX, dY), KernelCCA(**params).fit(dX, dY)
    Z = cca.transform(dX).compute()
    assert_same_fit(cca, CCA().fit(X, Y))
    assert_allclose(Z, CCA().fit(X, Y).transform(X), atol=1e-9)
    assert_allclose(kernel.canonical_correlations_, KernelCCA(**params).fit(X, Y).canonical_correlations_, atol=1e-10)


@pytest.mark.parametrize("approximation", ["nystroem", "rff"])
@pytest.mark.parametrize("gamma", ["scale", "median", 0.05])
def test_kernel_approximations(approximation, gamma):
    X, Y = related(mean=0.0)
    aligner = KernelCCA(
        3, approximation=approximation, gamma=gamma, n_landmarks=40, random_state=0, weighting="correlation"
    )
    theirs = aligner.fit(X, Y)
    Zx, Zy = theirs.transform(X, Y)
    expected = vars(theirs).copy()
    score, back = theirs.score(X, Y), theirs.inverse_transform(Zx)
    dX, dY = blocks(X, Y, rows=130)
    ours = aligner.fit(dX, dY)
    assert_allclose(ours.canonical_correlations_, expected["canonical_correlations_"], atol=1e-10)
    assert ours.gamma_ == pytest.approx(expected["gamma_"], rel=1e-12)
    for Z, lazy in zip((Zx, Zy), ours.transform(dX, dY)):
        assert isinstance(lazy, da.Array)
        assert_allclose(lazy.compute(), Z, atol=1e-9)
    assert ours.score(dX, dY) == pytest.approx(score, abs=1e-9)
    assert_allclose(ours.inverse_transform(ours.transform(dX)).compute(), back, atol=1e-9)


# --- chunk after chunk ----------------------------------------------------------------------------------------------


def test_partial_fit_goes_on_from_blocks_and_with_blocks():
    X, Y = related()
    dX, dY = blocks(X, Y)
    whole = CCA(2).fit(X, Y)
    assert_same_fit(CCA(2).fit(dX[:300], dY[:300]).partial_fit(X[300:], Y[300:]), whole)
    assert_same_fit(CCA(2).partial_fit(X[:300], Y[:300]).partial_fit(dX[300:], dY[300:]), whole)


def test_memory_maps_chunk_by_chunk(tmp_path):
    X, Y = related()
    for name, table in (("x", X), ("y", Y)):
        np.save(tmp_path / f"{name}.npy", table)
    maps = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy"]
    cca = CCA(2)
    for start in range(0, 600, 70):
        cca.partial_fit(*(table[start : start + 70] for table in maps))
    assert_same_fit(cca, CCA(2).fit(X, Y))
    assert_same_fit(CCA(2).fit(*blocks(*maps)), CCA(2).fit(X, Y))


# --- laziness and memory --------------------------------------------------------------------------------------------


def counting(table, seen, rows=100):
    """Blocks that note when they are computed."""

    def load(block, block_info=None):
        seen.append(block_info[0]["chunk-location"][0])
        return block

    return da.from_array(table, chunks=(rows, table.shape[1])).map_blocks(load, dtype=table.dtype, meta=table[:0])


@pytest.mark.parametrize("params", [None, {"approximation": "rff", "n_landmarks": 20}], ids=["linear", "kernel"])
def test_transform_waits(params):
    X, Y = related()
    aligner = (CCA(2) if params is None else KernelCCA(2, random_state=0, **params)).fit(Views(a=X, b=Y))
    seen = []
    lazy = Views(a=counting(X, seen))
    Z = aligner.transform(lazy)["a"]
    assert isinstance(Z, da.Array)
    assert (Z.shape, Z.chunks[0], Z.dtype, seen) == ((600, 2), (100,) * 6, np.float64, [])
    assert_allclose(Z[350:360].compute(scheduler="synchronous"), aligner.transform(Views(a=X))["a"][350:360], atol=1e-9)
    assert set(seen) == {3}
    assert aligner.transform(Views(a=lazy["a"].astype(np.float32)))["a"].dtype == np.float32


def test_predict_and_inverse_transform_wait():
    X, Y = related()
    cca = CCA(2).fit(X, Y)
    seen = []
    lazy = counting(X, seen)
    predicted, back = cca.predict(lazy), cca.inverse_transform(cca.transform(lazy))
    assert not seen
    assert_allclose(predicted.compute(), cca.predict(X), atol=1e-9)
    assert_allclose(back.compute(), cca.inverse_transform(cca.transform(X)), atol=1e-9)


def test_every_block_is_read_once():
    seen = []
    dX = counting(related()[0], seen)
    CCA(2, shrinkage="auto").fit(dX, dX[:, :3] ** 2)
    assert sorted(seen) == list(range(6))


def test_memory_is_that_of_some_blocks():
    def table(block_info=None):
        first, last = block_info[None]["array-location"][0]
        return np.random.default_rng(first).normal(size=(last - first, 16))

    lazy = [da.map_blocks(table, chunks=((2_000,) * 40, (16,)), dtype=float, meta=np.empty((0, 0))) for _ in range(2)]
    small = [X[:4_000] for X in lazy]
    with dask.config.set(scheduler="synchronous"):
        CCA(2).fit(*small)
        tracemalloc.start()
        CCA(2).fit(*lazy)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    block = 2_000 * 16 * 8
    assert peak < 12 * block  # of 80


def test_cross_validation_by_blocks():
    X, Y = related()
    scores = cross_val_score(CCA(2), Views(a=X, b=Y), cv=3)
    lazy = Views(dict(zip("ab", blocks(X, Y))))
    assert_allclose(cross_val_score(CCA(2), lazy, cv=3), scores, atol=1e-9)


def test_others_take_the_whole_into_memory():
    X, Y = related()
    ours = ProcrustesAligner().fit(*blocks(X, Y))
    assert_array_equal(ours.transform(X), ProcrustesAligner().fit(X, Y).transform(X))
    assert isinstance(ours.transform(blocks(X)[0]), np.ndarray)


def test_dask_is_not_imported():
    code = """
        import sys
        import numpy as np
        from skalign import CCA, KernelCCA, Views
        X = np.random.default_rng(0).normal(size=(50, 3))
        CCA().fit(Views(a=X, b=X + 1)).score(Views(a=X, b=X))
        sys.exit(any(name.split(".")[0] in ("dask", "distributed") for name in sys.modules))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aligner", [CCA(), KernelCCA(approximation="nystroem")], ids=["linear", "kernel"])
@pytest.mark.parametrize("view", ["x", "y"])
def test_nan_and_infinity_are_counted_over_all_blocks(aligner, view):
    X, Y = related()
    bad = X if view == "x" else Y
    bad[[3, 417], 1], bad[599, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match="NaN") as in_memory:
        aligner.fit(X, Y)
    with pytest.raises(ValueError, match=f"View '{view}': .*: 2 NaN and 1 inf in shape") as by_blocks:
        aligner.fit(*blocks(X, Y))
    assert str(by_blocks.value) == str(in_memory.value)


def test_nan_in_transform_is_found_in_its_block():
    X, Y = related()
    cca = CCA().fit(X, Y)
    X[417, 1] = np.nan
    Z = cca.transform(blocks(X)[0])
    assert np.isfinite(Z[:400].compute()).all()
    with pytest.raises(ValueError, match=r"View 'x': .*1 NaN and 0 inf in shape \(100, 5\)"):
        Z.compute()


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda X, Y: CCA().fit(X, Y.compute()), r"\['x'\] are Dask arrays and the others are not"),
        (lambda X, Y: CCA().fit(X[X[:, 0] > 1e3], Y), "View 'x' is a Dask array whose chunks have unknown sizes"),
        (lambda X, Y: CCA().fit(Views(a=X[X[:, 0] > 1e3], b=Y)), "View 'a' is a Dask array whose chunks"),
        (lambda X, Y: CCA(solver="svd").fit(X, Y), "solver='svd' needs all rows in memory"),
        (lambda X, Y: CCA().fit(X, Y[:-1]), "'x' has 600 rows and 'y' has 599"),
        (lambda X, Y: CCA().fit(X.reshape(600, 5, 1), Y), "View 'x': Expected 2D array, got 3D"),
        (lambda X, Y: CCA().fit(X + 1j, Y), "View 'x': Complex data not supported"),
        (lambda X, Y: CCA().fit(X.astype(str), Y), "View 'x': holds entries of dtype <U"),
        (lambda X, Y: CCA().fit(X[:1], Y[:1]), "a minimum of 2"),
        (lambda X, Y: CCA().fit(X, Y * 0 + 3), "View 'y' is constant"),
        (lambda X, Y: CCA(4).fit(X, Y), "n_components=4 is more than the rank 3 of view 'y'"),
        (lambda X, Y: CCA().fit(X, Y, sample_weight=np.ones(5)), r"sample_weight has shape \(5,\)"),
        (lambda X, Y: CCA().fit(X, Y).transform(Y), "X has 3 features, but CCA is expecting 5"),
        (lambda X, Y: KernelCCA().fit(X, Y), "approximation='nystroem' or 'rff'"),
        (lambda X, Y: KernelCCA(approximation="rff").fit(X, Y * 0 + 3), "View 'y' is constant"),
    ],
)
def test_errors(fit, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(*blocks(*related()))


def test_blocks_and_arrays_do_not_mix():
    X, Y = related()
    lazy = blocks(X)[0]
    with pytest.raises(TypeError, match="bring all into one library"):
        CCA().fit(lazy, Y)
    with pytest.raises(TypeError, match="bring all into one library"):
        CCA().fit(X, Y).score(lazy, Y)


# --- size -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_five_million_rows_within_one_gigabyte():
    code = """
        import resource
        import dask
        import dask.array as da
        from skalign import CCA
        n, rows = 5_000_000, 50_000
        rng = da.random.default_rng(0)
        shared = rng.normal(size=(n, 1), chunks=(rows, 1))
        X, Y = (shared + rng.normal(size=(n, 64), chunks=(rows, 64)) for _ in range(2))
        with dask.config.set(scheduler="threads", num_workers=2):
            first, second = CCA(2).fit(X, Y).canonical_correlations_
        assert abs(first - 64 / 65) < 1e-4, first
        assert second < 0.01, second
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
    assert int(done.stdout) * 1024 < 1e9  # the data are 5.1e9
