"""DTWAligner: pairs, templates, scores, and the tools of scikit-learn around it."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import Fuse, Views
from skalign.temporal import DTWAligner, dtw, soft_dtw
from skalign.temporal import _dtw_kernels as kernels


def curve(t):
    return np.stack([np.sin(9 * t), np.cos(5 * t)], axis=1)


@pytest.fixture(scope="module")
def pairs():
    """Ten pairs of curves, the second warped and noisy, and for every frame of the first its place in the second."""
    rng = np.random.default_rng(0)
    first, second, truth = [], [], []
    for i in range(10):
        n, m, power = 40 + i, 50 - i, rng.uniform(0.8, 1.25)
        first.append(curve(np.linspace(0, 1, n)))
        second.append(curve(np.linspace(0, 1, m) ** power) + 0.02 * rng.normal(size=(m, 2)))
        truth.append(np.linspace(0, 1, n) ** (1 / power) * (m - 1))
    return Views(a=first, b=second), truth


@pytest.fixture(scope="module")
def bumps():
    """Univariate series of two classes, bumps of one or two peaks that begin at any time."""
    rng = np.random.default_rng(1)
    t, y = np.arange(60), np.arange(40) % 2
    start = rng.integers(5, 30, size=40)
    X = np.exp(-(((t - start[:, None]) / 4) ** 2)) + y[:, None] * 0.8 * np.exp(-(((t - start[:, None] - 14) / 4) ** 2))
    return X + 0.02 * rng.normal(size=X.shape), y


# --- pairs ----------------------------------------------------------------------------------------------------------


def test_paths_and_distances_are_those_of_dtw(pairs):
    views, _ = pairs
    options = {"window": 12, "step_pattern": "symmetric2"}
    for n_jobs in (None, 2):
        aligner = DTWAligner(**options, n_jobs=n_jobs).fit(views)
        paths = aligner.align(views)
        for i, path in enumerate(paths):
            expected = dtw(views["a"][i], views["b"][i], **options)
            assert_array_equal(path, expected.path)
            assert aligner.distances_[i] == expected.distance
        assert_array_equal(aligner.distances(views), aligner.distances_)
        assert_array_equal(aligner.distances(views[3:5]), aligner.distances_[3:5])


@pytest.mark.parametrize("metric", ["cityblock", "sqeuclidean"])
@pytest.mark.parametrize("options", [{"open_end": True}, {"derivative": True}, {"gamma": 0.3}])
def test_options_reach_the_solver(pairs, metric, options):
    views = pairs[0][:3]
    aligner = DTWAligner(metric, **options).fit(views)
    for i, path in enumerate(aligner.align(views)):
        expected = dtw(views["a"][i], views["b"][i], metric=metric, **options)
        assert_allclose(aligner.distances_[i], expected.distance, rtol=1e-12)
        assert_array_equal(path, expected.path)


def test_output_path(pairs):
    views, _ = pairs
    aligner = DTWAligner().fit(views)
    warped = aligner.transform(views)
    for i, path in enumerate(aligner.align(views)):
        assert_array_equal(warped["a"][i], views["a"][i][path[:, 0]])
        assert_array_equal(warped["b"][i], views["b"][i][path[:, 1]])
    assert warped.names == ["a", "b"]


@pytest.mark.parametrize("gamma", [0.0, 0.01])
def test_output_view(pairs, gamma):
    views, _ = pairs
    onto_b = DTWAligner(output="b", gamma=gamma).fit(views).transform(views)
    onto_a = DTWAligner(output="a", gamma=gamma).fit(views).transform(views)
    for i in range(len(views)):
        assert_array_equal(onto_b["b"][i], views["b"][i])
        assert onto_b["a"][i].shape == views["b"][i].shape
        assert abs(onto_b["a"][i] - views["b"][i]).mean() < 0.05
        assert_array_equal(onto_a["a"][i], views["a"][i])
        assert abs(onto_a["b"][i] - views["a"][i]).mean() < 0.05
    path = DTWAligner().fit(views).align(views)[0]
    if gamma == 0:
        for frame in range(5):
            mean = views["a"][0][path[path[:, 1] == frame, 0]].mean(axis=0)
            assert_allclose(onto_b["a"][0][frame], mean)


def test_output_length_and_containers():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(4, 30))
    out = DTWAligner(output=25).fit_transform(Views(a=series, b=series[:, ::2]))
    assert out["a"].shape == out["b"].shape == (4, 25)
    assert Fuse("mean").fit_transform(out).shape == (4, 25)
    assert_allclose(out["a"][:, [0, -1]], series[:, [0, -1]])
    blocks = rng.normal(size=(4, 30, 3))
    views = Views(a=blocks, b=[x[: 20 + i] for i, x in enumerate(blocks)])
    assert DTWAligner(output=7).fit_transform(views)["b"].shape == (4, 7, 3)
    assert DTWAligner(output="a").fit_transform(views)["b"].shape == (4, 30, 3)
    assert isinstance(DTWAligner(output="b").fit_transform(views)["a"], list)
    one = Views(a=[series[0]], b=[series[1][:1]])
    assert DTWAligner(output=3).fit_transform(one)["b"].tolist() == [[series[1, 0]] * 3]
    assert DTWAligner(output=1).fit_transform(one)["a"].shape == (1, 1)


def test_frames_that_the_path_leaves_out_are_interpolated():
    b = np.arange(20.0)
    aligner = DTWAligner(output="b", step_pattern="asymmetric", subsequence=True)
    out = aligner.fit_transform(Views(a=[b[4:15:2]], b=[b]))["a"][0]
    assert out.tolist() == np.clip(b, 4, 14).tolist()


def test_float32_and_tensors(pairs):
    torch = pytest.importorskip("torch")
    views, _ = pairs
    small = Views(a=[x.astype(np.float32) for x in views["a"]], b=views["b"])
    out = DTWAligner(output=20).fit_transform(small)
    assert (out["a"].dtype, out["b"].dtype) == (np.float32, np.float64)
    tensors = Views({name: [torch.from_numpy(x) for x in view] for name, view in views.items()})
    for output in ("path", "a", 20):
        expected = DTWAligner(output=output).fit_transform(views)
        found = DTWAligner(output=output).fit_transform(tensors)
        for name in "ab":
            assert all(isinstance(x, torch.Tensor) for x in found[name])
            assert_array_equal(found[name][2], expected[name][2])
    series = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 12)))
    registered = DTWAligner(template=series[0]).fit_transform(series)
    assert isinstance(registered, torch.Tensor)
    assert_allclose(registered[0], series[0])


def test_score_with_correspondences(pairs):
    views, truth = pairs
    error = -DTWAligner().fit(views).score(views, truth)
    assert 0 < error < 1.5
    seconds = DTWAligner(sampling_rate=100.0).fit(views).score(views, truth)
    assert_allclose(seconds, -error / 100)
    assert DTWAligner(window=10).fit(views).score(views, truth) >= -3
    assert DTWAligner(gamma=0.01).fit(views).score(views, truth) > -1.5
    straight = [np.linspace(0, len(b) - 1, len(a)) for a, b in zip(views["a"], views["b"])]
    aligner = DTWAligner().fit(views)
    paths = aligner.align(views)
    assert aligner.score(views, paths) == 0  # its own paths are right
    assert aligner.score(views, straight) < aligner.score(views, truth)
    landmarks = [path[::7] for path in paths]
    assert aligner.score(views, landmarks) > -0.5  # one of several matches of a frame
    known = [np.where(np.arange(len(t)) % 5 == 0, t, np.nan) for t in truth]
    assert -2 < aligner.score(views, known) < 0
    table = Views(a=np.stack([x[:40, 0] for x in views["a"]]), b=np.stack([x[:40, 0] for x in views["a"]]))
    assert aligner.__class__().fit(table).score(table, np.tile(np.arange(40), (10, 1))) == 0


def test_score_without_correspondences_describes(pairs):
    views, _ = pairs
    aligner = DTWAligner().fit(views)
    assert 0.98 < aligner.score(views) <= 1
    shuffled = Views(a=views["a"], b=[np.random.default_rng(i).permutation(b) for i, b in enumerate(views["b"])])
    assert aligner.score(shuffled) < 0.8
    assert DTWAligner().fit(views).score(Views(a=[np.ones((3, 2))], b=[np.ones((4, 2))])) == 0


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([np.zeros(40)], "1 true correspondences for 2 pairs"),
        ([0, 1], "Labels are no correspondences"),
        ([np.zeros(40), np.zeros(3)], r"y\[1\].*shape is \(3,\)"),
        ([np.zeros(40), np.full(41, 49.0)], r"y\[1\].*from 0 to 48"),
        ([np.zeros(40), np.full(41, np.nan)], r"y\[1\] must lead.* it leads nowhere"),
        ([np.zeros(40), np.linspace(0, 99.5, 41)], r"y\[1\] must lead.* it leads from 0 to 99.5"),
        ([np.zeros(40), [[41, 0]]], r"y\[1\]: a path"),
        ([np.zeros(40), [[0.5, 0]]], r"y\[1\]: a path"),
    ],
)
def test_bad_correspondences(pairs, y, message):
    views = pairs[0][:2]
    with pytest.raises(ValueError, match=message):
        DTWAligner().fit(views).score(views, y)


def test_bad_views(pairs):
    views, _ = pairs
    nan = [x.copy() for x in views["b"]]
    nan[3][5:7] = np.nan
    with pytest.raises(ValueError, match="View 'b': .*4 NaN and 0 inf, first in sequence 3"):
        DTWAligner().fit(Views(a=views["a"], b=nan))
    with pytest.raises(ValueError, match="View 'b': sequence 1 is empty"):
        DTWAligner().fit(Views(a=views["a"][:2], b=[views["b"][0], views["b"][1][:0]]))
    with pytest.raises(ValueError, match=r"\{'a': 2, 'b': 1\} features. CTWAligner"):
        DTWAligner().fit(Views(a=views["a"], b=[x[:, :1] for x in views["b"]]))
    with pytest.raises(ValueError, match="sequence 1 has 1 features and sequence 0 has 2"):
        DTWAligner().fit(Views(a=[views["a"][0], views["a"][1][:, :1]], b=views["b"][:2]))
    with pytest.raises(ValueError, match="pair 0: the window 3 is too narrow.*40 and 50 frames"):
        DTWAligner(window=3).fit(views)
    with pytest.raises(ValueError, match=r"two views of sequences; it was given \['a', 'b', 'c'\]"):
        DTWAligner().fit(Views(a=views["a"], b=views["b"], c=views["b"]))
    with pytest.raises(ValueError, match="single signal goes in as"):
        DTWAligner().fit(Views(a=[1.0, 2.0], b=[1.0, 2.0]))
    with pytest.raises(ValueError, match="numbers are needed"):
        DTWAligner().fit(Views(a=[["a", "b"]], b=[["a"]]))
    with pytest.raises(ValueError, match="all 1-D"):
        DTWAligner().fit(Views(a=[np.zeros(3), np.zeros((3, 1))], b=[np.zeros(3)] * 2))
    for output in ("c", 0, 2.5, None):
        with pytest.raises(ValueError, match="output must be"):
            DTWAligner(output=output).fit(views)
    with pytest.raises(ValueError, match="metric must be"):
        DTWAligner("precomputed").fit(views)
    with pytest.raises(ValueError, match="sampling_rate"):
        DTWAligner(sampling_rate=-1.0).fit(views)
    fitted = DTWAligner().fit(views)
    with pytest.raises(ValueError, match=r"aligns the views \['a', 'b'\]; it was given \['a'\]"):
        fitted.transform(views[["a"]])
    with pytest.raises(ValueError, match="no template"):
        fitted.transform(views["a"])
    with pytest.raises(ValueError, match="View 'a': frames have 1 features.*expecting 2"):
        fitted.align(Views(a=[np.zeros(4)], b=[np.zeros(4)]))
    with pytest.raises(ValueError, match="table with names"):
        fitted.get_feature_names_out()
    with pytest.raises(NotFittedError):
        DTWAligner().align(views)


def test_length_one_is_legal():
    views = Views(a=[[1.0], [2.0, 3.0]], b=[[4.0, 5.0], [2.0]])
    aligner = DTWAligner().fit(views)
    assert [p.tolist() for p in aligner.align(views)] == [[[0, 0], [0, 1]], [[0, 0], [1, 0]]]
    assert_allclose(aligner.distances_, [5.0, 1.0])


def test_order_of_views_is_that_of_fit(pairs):
    views, _ = pairs
    aligner = DTWAligner().fit(views)
    swapped = Views(b=views["b"], a=views["a"])
    assert_array_equal(aligner.align(swapped)[0], aligner.align(views)[0])
    assert aligner.transform(swapped).names == ["a", "b"]


# --- one collection -------------------------------------------------------------------------------------------------


def test_template_is_a_barycenter(bumps):
    X, y = bumps
    X = X[y == 1]
    aligner = DTWAligner().fit(X)
    assert aligner.template_.shape == (60,)
    assert_allclose(aligner.distances_, [dtw(x, aligner.template_).distance for x in X], rtol=1e-10)
    cost = (aligner.distances_**2).sum()
    assert all(cost < (DTWAligner(template=x).fit(X).distances_ ** 2).sum() for x in X)  # better than any series
    barycenters = pytest.importorskip("tslearn.barycenters")
    peer = barycenters.dtw_barycenter_averaging(X[:, :, None], max_iter=50)
    assert cost <= 1.1 * (DTWAligner(template=peer[:, 0]).fit(X).distances_ ** 2).sum()


def test_registration(bumps):
    X, y = bumps
    aligner = DTWAligner().fit(X[y == 1])
    Z = aligner.transform(X[y == 1])
    assert Z.shape == (20, 60)
    assert Z.std(axis=0).mean() < 0.3 * X[y == 1].std(axis=0).mean()
    path = aligner.align(X[y == 1])[2]
    assert_allclose(Z[2, 30], X[y == 1][2][path[path[:, 1] == 30, 0]].mean())
    assert_allclose(aligner.score(X), -aligner.distances(X).mean())


def test_soft_template(bumps):
    X, _ = bumps
    X = X[:10]
    aligner = DTWAligner(gamma=0.1).fit(X)
    cost = sum(soft_dtw(x, aligner.template_, 0.1) for x in X)
    assert_allclose(aligner.distances_.sum(), cost)
    assert all(cost <= sum(soft_dtw(x, start, 0.1) for x in X) for start in X)
    assert aligner.transform(X).shape == (10, 60)
    rng = np.random.default_rng(0)
    for _ in range(5):  # a minimum
        moved = aligner.template_ + 0.05 * rng.normal(size=60)
        assert sum(soft_dtw(x, moved, 0.1) for x in X) > cost
    with pytest.raises(ValueError, match="needs metric='sqeuclidean'"):
        DTWAligner("cityblock", gamma=0.1).fit(X)


@pytest.mark.parametrize("unit", [1e-8, 1e6])
def test_a_soft_template_does_not_depend_on_the_unit(bumps, unit):
    X = bumps[0][:6]
    expected = DTWAligner(gamma=0.1).fit(X)
    scaled = DTWAligner(gamma=0.1 * unit**2).fit(unit * np.asarray(X))
    assert scaled.n_iter_ == expected.n_iter_ > 1
    assert_allclose(scaled.template_ / unit, expected.template_, rtol=1e-6, atol=1e-8)


def test_a_template_is_the_mean_under_the_weights_of_the_steps(bumps):
    X = bumps[0][:8]
    aligner = DTWAligner(step_pattern="symmetric2", tol=0.0).fit(X)
    total, weight = np.zeros_like(aligner.template_), np.zeros_like(aligner.template_)
    for x, path in zip(X, aligner.align(X)):
        weights = np.r_[1.0, np.diff(path.sum(axis=1))]  # a diagonal step counts twice
        np.add.at(total, path[:, 1], weights * x[path[:, 0]])
        np.add.at(weight, path[:, 1], weights)
    assert_allclose(aligner.template_, total / weight, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"step_pattern": "symmetric2"},
        {"step_pattern": "asymmetric"},
        {"metric": "cityblock"},
        {"derivative": True},
        {"window": 0.3},
        {"open_end": True},
        {"gamma": 0.5},
    ],
)
def test_a_template_is_never_worse_than_where_it_started(bumps, options):
    X = bumps[0][:8]
    started = DTWAligner(template=DTWAligner(max_iter=1, tol=1.0, **options).fit(X).template_, **options).fit(X)
    assert DTWAligner(**options).fit(X).distances_.mean() <= started.distances_.mean() + 1e-9


@pytest.mark.parametrize("X", [{"a": [1.0]}, {1.0, 2.0}, np.array(None), (x for x in [[1.0]]), 3, None])
def test_no_collection_of_sequences(X):
    with pytest.raises(ValueError, match="no collection of sequences|Reshape|NaN"):
        DTWAligner().fit(X)


@pytest.mark.parametrize("kind", [list, np.asarray], ids=["list", "array"])
def test_a_second_collection_is_no_label(bumps, kind):
    X = kind([series[:20] for series in bumps[0]])
    with pytest.raises(TypeError, match=r"Views\(a=X, b=y\)"):
        DTWAligner().fit(X, X)
    labels = np.arange(len(X)) % 2
    for y in (labels, labels.tolist(), labels[:, None], labels.astype(str), labels.astype(object)):
        DTWAligner(max_iter=1, tol=1.0, template=X[0]).fit(X, y)


def test_half_precision(pairs):
    torch = pytest.importorskip("torch")
    series = torch.ones((3, 4), dtype=torch.bfloat16)
    assert DTWAligner().fit_transform(series).dtype == torch.float32


def test_nothing_of_the_other_kind_of_fit_stays(pairs, bumps):
    aligner = DTWAligner().fit(pairs[0]).fit(bumps[0][:4])
    assert not hasattr(aligner, "widths_")
    aligner.fit(pairs[0])
    assert not hasattr(aligner, "template_")


def test_sampling_rates_and_correspondences_that_are_none(pairs):
    for rate in (np.inf, np.nan, "fast", True):
        with pytest.raises(ValueError, match="sampling_rate"):
            DTWAligner(sampling_rate=rate).fit(pairs[0])
    with pytest.raises(ValueError, match="y has to hold"):
        DTWAligner().fit(pairs[0]).score(pairs[0], 3)


def test_ragged_and_multivariate_series(pairs):
    views, _ = pairs
    aligner = DTWAligner().fit(views["b"])
    assert aligner.template_.ndim == 2
    assert aligner.transform(views["a"]).shape == (10, *aligner.template_.shape)
    ragged = [x[:, 0] for x in views["b"]]
    univariate = DTWAligner().fit(ragged)
    assert univariate.transform(ragged).shape == (10, len(univariate.template_))
    given = DTWAligner(template=np.zeros((7, 2))).fit(views["a"])
    assert given.transform(views["a"]).shape == (10, 7, 2)
    assert given.n_iter_ == 0
    with pytest.raises(ValueError, match="template: frames have 1 features"):
        DTWAligner(template=np.zeros(7)).fit(views["a"])
    with pytest.raises(ValueError, match="template and series 0: the window 2 is too narrow"):
        DTWAligner(template=np.zeros((7, 2)), window=2).fit(views["a"])
    with pytest.raises(ValueError, match="fitted on one collection"):
        given.transform(views)
    with pytest.raises(ValueError, match="frames have 1 features"):
        given.transform(ragged)


def test_not_converged(bumps):
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        DTWAligner(max_iter=1).fit(bumps[0])
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        DTWAligner(max_iter=1, gamma=1.0).fit(bumps[0][:5])
    with pytest.raises(ValueError, match="max_iter"):
        DTWAligner(max_iter=0).fit(bumps[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DTWAligner().fit(bumps[0][:3])


# --- scikit-learn's tools -------------------------------------------------------------------------------------------


def test_pipeline_after_registration(bumps):
    X, y = bumps
    pipe = make_pipeline(DTWAligner(template=X[1]), StandardScaler(), LogisticRegression(C=0.1))
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    registered = cross_val_score(pipe, X, y, cv=4).mean()
    assert registered > 0.95
    assert registered > cross_val_score(plain, X, y, cv=4).mean()
    search = GridSearchCV(
        make_pipeline(DTWAligner(), StandardScaler(), LogisticRegression()),
        {"dtwaligner__window": [None, 0.3], "dtwaligner__gamma": [0.0, 1.0]}, cv=2, n_jobs=2, error_score="raise",
    ).fit(X[::2], y[np.arange(0, 40, 2)] + (np.arange(20) % 2))  # fmt: skip
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_pipeline_names(bumps):
    pd = pytest.importorskip("pandas")
    X, _ = bumps
    aligner = DTWAligner(template=X[0]).set_output(transform="pandas")
    frame = aligner.fit_transform(pd.DataFrame(X, index=[f"s{i}" for i in range(40)]))
    assert list(frame.columns) == list(aligner.get_feature_names_out()) == [f"dtwaligner{t}" for t in range(60)]
    assert frame.index[3] == "s3"


def test_grid_search_over_views(pairs):
    views, truth = pairs
    grid = {"step_pattern": ["symmetric1", "symmetric2"], "window": [12, 0.5, None], "gamma": [0.0]}
    search = GridSearchCV(DTWAligner(), grid, cv=2, n_jobs=2, error_score="raise").fit(views, truth)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max() < 0
    assert_allclose(cross_val_score(search.best_estimator_, views, truth, cv=2).mean(), search.best_score_)
    assert len(search.best_estimator_.align(views)) == 10


def test_pickle_in_another_process(pairs, bumps, tmp_path):
    views, _ = pairs
    on_views, on_one = DTWAligner(window=0.4).fit(views), DTWAligner().fit(bumps[0][:6])
    (tmp_path / "in").write_bytes(pickle.dumps((on_views, views, on_one, bumps[0])))
    code = (
        "import pickle, sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "a, v, b, X = pickle.loads((folder / 'in').read_bytes())\n"
        "(folder / 'out').write_bytes(pickle.dumps((a.align(v), b.transform(X))))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    paths, Z = pickle.loads((tmp_path / "out").read_bytes())
    assert all(np.array_equal(p, q) for p, q in zip(paths, on_views.align(views)))
    assert_array_equal(Z, on_one.transform(bumps[0]))


def test_clone_and_parameters(bumps):
    aligner = DTWAligner("cityblock", window=("itakura", 2.0), template=bumps[0][0], gamma=0.5, n_jobs=2)
    fresh = clone(aligner.fit(bumps[0]))
    assert repr(fresh.get_params()) == repr(aligner.get_params())
    assert not hasattr(fresh, "template_")


def test_input_is_not_altered(pairs, bumps):
    views, _ = pairs
    X = bumps[0].copy()
    X.flags.writeable = False
    for x in (*views["a"], *views["b"]):
        x.flags.writeable = False
    for gamma in (0.0, 1.0):
        DTWAligner(gamma=gamma, output="b").fit(views).transform(views)
        DTWAligner(gamma=gamma, template=X[1]).fit(X[:4]).transform(X)
    assert len(kernels.solve_pairs.signatures) == 1  # read-only input does not make numba compile again


def test_fit_again_on_other_data(pairs, bumps):
    views, _ = pairs
    aligner = DTWAligner().fit(bumps[0][:4]).fit(views)
    assert not hasattr(aligner, "template_")
    assert not hasattr(aligner, "n_features_in_")
    assert_array_equal(aligner.fit(bumps[0][:4]).template_, DTWAligner().fit(bumps[0][:4]).template_)


_ANY_LENGTH = "series of any length are registered to one template"


@parametrize_with_checks(
    [DTWAligner(max_iter=1000, tol=1e-3)],
    expected_failed_checks=lambda estimator: {
        "check_n_features_in_after_fitting": _ANY_LENGTH,
        "check_transformer_general": _ANY_LENGTH,
    },
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
