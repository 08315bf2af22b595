"""Codes of rows: moving averages and residuals by hand, streams, trained nets, and what is refused."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import Views
from skalign.sequence import VectorQuantizer
from skalign.sequence._codebook import (
    dead_codes,
    decode,
    explained_variance,
    learn_batch,
    moving_average,
    nearest,
    perplexity,
    quantize,
    totals,
)

NET = {"hidden_layer_sizes": (32,), "n_components": 6, "max_epochs": 10, "batch_size": 64, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:600] / 16.0


def make_rows(n=3000, d=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) + 3


def make_quantizer(n_codes=8, n_codebooks=1, **options):
    return VectorQuantizer(n_codes, n_codebooks, **({"random_state": 0} | options))


def make_net(n_codes=16, n_codebooks=2, **options):
    pytest.importorskip("skorch")
    return make_quantizer(n_codes, n_codebooks, **({"encoder": "mlp"} | NET | options))


def squared_error(a, b):
    return float(((a - b) ** 2).reshape(len(a), -1).sum(axis=1).mean())


# --- codebooks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1e4], ids=["near", "far"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_nearest_and_totals_by_brute_force(library, offset):
    X = make_rows(5000) + offset
    codes = X[:9] + 0.1
    ids = ((X[:, None] - codes) ** 2).sum(axis=2).argmin(axis=1)
    if library == "torch":
        torch = pytest.importorskip("torch")
        found = nearest(torch.tensor(X), torch.tensor(codes))
        counts, sums = totals(torch.tensor(X), found, 9)
    else:
        found = nearest(X, codes)
        counts, sums = totals(X, found, 9)
    assert_array_equal(found, ids)
    assert_array_equal(counts, np.bincount(ids, minlength=9))
    assert_allclose(sums, [X[ids == i].sum(axis=0) for i in range(9)])


def test_moving_averages_by_hand():
    """Sums and counts kept apart give the same as codes and counts."""
    rng = np.random.default_rng(0)
    decay, epsilon, k = 0.9, 1e-3, 4
    codes, counts = rng.normal(size=(k, 2)), rng.uniform(1, 5, size=k)

    def smooth(n):
        return (n + epsilon) / (n.sum() + k * epsilon) * n.sum()

    sums = codes * smooth(counts)[:, None]
    expected = counts
    for _ in range(5):
        X = rng.normal(size=(10, 2))
        ids = nearest(X, codes)
        new, batch_sums = totals(X, ids, k)
        codes, counts = moving_average(codes, counts, new, batch_sums, decay, epsilon)
        expected = decay * expected + (1 - decay) * new
        sums = decay * sums + (1 - decay) * batch_sums
        assert_allclose(counts, expected)
        assert_allclose(codes, sums / smooth(expected)[:, None])


def test_laplace_smoothing_keeps_codes_without_rows_finite():
    codes, counts = moving_average(np.ones((2, 1)), np.array([5.0, 0.0]), np.zeros(2), np.zeros((2, 1)), 0.0, 1e-5)
    assert np.isfinite(counts).all()
    codes, _ = moving_average(
        np.ones((2, 1)), np.array([5.0, 0.0]), np.array([3.0, 0]), np.array([[6.0], [0]]), 0.5, 1e-5
    )
    assert_allclose(codes[1], 1.0, rtol=1)
    assert np.isfinite(codes).all()


def test_dead_codes_become_rows_of_the_batch():
    X = make_rows(50)
    codes = np.stack([np.vstack([X[:3], np.full((2, 5), 1e3)])])
    counts = np.array([[10.0, 10.0, 10.0, 0.1, 0.1]])
    assert_array_equal(dead_codes(counts[0], 0.1), [3, 4])
    picked = []

    def pick(n, size):
        picked.extend(range(size))
        return np.arange(size)

    learn_batch(X, codes, counts, pick, decay=0.99, epsilon=1e-5, threshold=0.1)
    assert picked == [0, 1]
    assert_array_equal(codes[0, 3:], X[:2])
    assert counts[0, 3] == pytest.approx(counts[0].mean(), rel=0.5)
    codes[0, 4] = 1e3
    counts[0, 4] = 0.01
    learn_batch(X, codes, counts, pick, decay=0.99, epsilon=1e-5, threshold=0.0)  # switched off
    assert len(picked) == 2
    assert codes[0, 4].min() > 900


def test_residual_quantisation_by_hand():
    X, codes = make_rows(40), make_rows(12, seed=1).reshape(3, 4, 5)
    rest = X
    for i, column in enumerate(quantize(X, codes).T):
        assert_array_equal(column, ((rest[:, None] - codes[i]) ** 2).sum(axis=2).argmin(axis=1))
        rest = rest - codes[i][column]
    assert_allclose(X - decode(quantize(X, codes), codes), rest)


def test_perplexity():
    assert perplexity(np.array([5, 5, 0, 5, 5])) == pytest.approx(4)
    assert perplexity(np.array([7, 0])) == 1


# --- given features ---------------------------------------------------------------------------------------------------


def test_few_rows_are_k_means():
    X = make_rows(60)
    quantizer = make_quantizer().fit(X)
    peer = KMeans(8, n_init=1, random_state=0).fit(X)
    assert quantizer.n_iter_ == 0
    assert_allclose(quantizer.reconstruction_error_, peer.inertia_ / 60, rtol=0.1)
    ids = quantizer.predict(X)
    assert_allclose(quantizer.codebook_[0], [X[ids == i].mean(axis=0) for i in range(8)], rtol=1e-4)


def test_error_falls_and_ends_near_k_means():
    X = make_rows(12_000)
    quantizer = make_quantizer(16).fit(X)
    assert quantizer.n_iter_ >= 2
    assert quantizer.loss_curve_[-1] < quantizer.loss_curve_[0]
    assert quantizer.reconstruction_error_ < 1.05 * KMeans(16, n_init=3, random_state=0).fit(X).inertia_ / len(X)


@pytest.mark.parametrize("n_codebooks", [1, 3])
def test_attributes_follow_from_the_codes(n_codebooks):
    X = make_rows()
    quantizer = make_quantizer(8, n_codebooks).fit(X)
    ids = quantizer.transform(X)
    assert ids.shape == (3000, n_codebooks)
    assert ids.dtype == np.int64
    rows = quantizer.inverse_transform(ids)
    assert_allclose(rows, sum(quantizer.codebook_[i][ids[:, i]] for i in range(n_codebooks)))
    assert_allclose(quantizer.reconstruction_error_, squared_error(X, rows))
    assert_array_equal(quantizer.counts_, [np.bincount(column, minlength=8) for column in ids.T])
    assert_allclose(quantizer.perplexity_, [perplexity(counts) for counts in quantizer.counts_])
    assert_allclose(quantizer.usage_, 1)
    assert_allclose(quantizer.score(X), 1 - squared_error(X, rows) / X.var(axis=0).sum())
    if n_codebooks == 1:
        assert_array_equal(quantizer.predict(X), ids[:, 0])
        assert_array_equal(quantizer.inverse_transform(quantizer.predict(X)), rows)
    else:
        with pytest.raises(AttributeError, match="predict"):
            quantizer.predict(X)


def test_more_codebooks_say_more():
    X = make_rows()
    errors = [make_quantizer(8, n).fit(X).reconstruction_error_ for n in (1, 2, 3)]
    assert errors[0] > 1.5 * errors[1]
    assert errors[1] > 1.5 * errors[2]


@pytest.mark.parametrize("scale", [1e-150, 1e-5, 1e5, 1e150], ids=str)
def test_scale_and_place_of_the_rows_mean_nothing(scale):
    X = make_rows()
    plain = make_quantizer().fit(X)
    moved = make_quantizer().fit(scale * (X + 7))
    assert np.mean(moved.predict(scale * (X + 7)) == plain.predict(X)) > 0.99


@pytest.mark.parametrize(("scale", "dtype"), [(1e30, "f4"), (1e-30, "f4"), (1e-250, "f8")], ids=str)
def test_scores_of_rows_whose_squares_do_not_fit_their_type(scale, dtype):
    X = make_rows()
    plain = make_quantizer().fit(X)
    scaled = (scale * X).astype(dtype)
    assert make_quantizer().fit(scaled).score(scaled) == pytest.approx(plain.score(X), abs=1e-3)


def test_scores_of_constant_rows():
    X = np.full((10, 2), 0.1)
    assert explained_variance(X, X * (1 + 1e-9)) == 0.0
    assert explained_variance(X, 2 * X) == -np.inf


def test_a_stream():
    X = make_rows(6000)
    quantizer = make_quantizer(16, 2)
    for chunk in np.split(X, 12):
        quantizer.partial_fit(chunk)
    assert quantizer.counts_.sum() == 2 * 6000
    assert_allclose(quantizer.score(X), make_quantizer(16, 2).fit(X).score(X), atol=0.03)
    drifted = X + 50
    for chunk in np.split(drifted, 12) * 20:  # 480 batches: moving averages forget
        quantizer.partial_fit(chunk)
    assert quantizer.score(drifted) > 0.5


def test_a_refused_chunk_changes_nothing():
    X = make_rows()
    quantizer = make_quantizer()
    with pytest.raises(ValueError, match="n_samples=3 rows"):
        quantizer.partial_fit(X[:3])
    with pytest.raises(NotFittedError):
        quantizer.transform(X)
    before = pickle.dumps(quantizer.partial_fit(X))
    for chunk, message in [(np.full((5, 5), np.nan), "NaN"), (X[:, :2], "2 features"), ([X[:2], X[:0]], "sample 1")]:
        with pytest.raises(ValueError, match=message):
            quantizer.partial_fit(chunk)
        assert pickle.dumps(quantizer) == before
    quantizer.partial_fit(X[:1])
    with pytest.raises(ValueError, match="fit anew"):
        quantizer.set_params(n_codes=9).partial_fit(X)


def test_sequences_views_float32_tensors():
    torch = pytest.importorskip("torch")
    X = make_rows()
    parts = [X[:100], X[100:101], X[101:]]
    quantizer, alone = make_quantizer(8, 2).fit(parts), make_quantizer(8, 2).fit(X)
    assert_array_equal(quantizer.codebook_, alone.codebook_)
    ids = quantizer.transform(parts)
    assert_array_equal(np.concatenate(ids), alone.transform(X))
    assert_array_equal(quantizer.inverse_transform(ids)[2], alone.inverse_transform(ids[2]))
    views = Views(a=X, b=X[:, ::-1])
    both = make_quantizer(8, 2).fit(views)
    assert_array_equal(both.transform(views)["a"], alone.transform(X))
    assert_array_equal(both.inverse_transform(both.transform(views))["a"], alone.inverse_transform(alone.transform(X)))
    assert both.get_feature_names_out().tolist() == [f"{v}__vectorquantizer{i}" for v in "ab" for i in range(2)]
    small = make_quantizer(8, 2).fit(X.astype(np.float32))
    assert small.inverse_transform(small.transform(X)).dtype == np.float32
    tensor = torch.tensor(X)
    codes = alone.transform(tensor)
    assert isinstance(codes, torch.Tensor)
    assert_array_equal(codes, alone.transform(X))
    assert isinstance(alone.inverse_transform(codes), torch.Tensor)


def test_edges():
    assert make_quantizer(1).fit(np.ones((1, 3))).transform(np.ones((1, 3))).tolist() == [[0]]
    X = np.c_[make_rows(), np.ones(3000)]
    assert_allclose(make_quantizer().fit(X).inverse_transform([[0]])[0, -1], 1.0)
    exact = make_quantizer(60).fit(make_rows(60))
    assert_allclose(exact.inverse_transform(exact.transform(make_rows(60))), make_rows(60), rtol=1e-4, atol=1e-4)
    kept = X.copy()
    X.setflags(write=False)
    make_quantizer().fit(X).partial_fit(X)
    assert_array_equal(X, kept)


# --- nets -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(digits):
    return make_net(16, 2, max_epochs=40, early_stopping=False).fit(digits)


def test_autoencoder_reconstructs(trained, digits):
    rows = trained.inverse_transform(trained.transform(digits))
    assert rows.shape == digits.shape
    assert_allclose(squared_error(digits, rows), trained.reconstruction_error_, rtol=1e-6)
    assert trained.score(digits) > 0.4
    assert trained.loss_curve_[-1] < trained.loss_curve_[0]
    assert trained.codebook_.shape == (2, 16, 6)
    assert (trained.usage_ > 0.9).all()
    assert_array_equal(trained.transform(digits[:5]), trained.transform(digits)[:5])


def test_gradients_pass_straight_through():
    torch = pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from skalign.sequence._vq_net import AveragedCodes, ScalarCodes

    quantizer = AveragedCodes(2, 4, 3, 0.99, 1e-5, 0.1)
    quantizer.start(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), 10, np.random.RandomState(0))
    quantizer.eval()
    Z = torch.randn(10, 3, requires_grad=True)
    Q, gap = quantizer(Z)
    assert_allclose(Q.detach(), quantizer.decode(quantizer.encode(Z)).detach(), atol=1e-6)
    weights = torch.randn(10, 3)
    assert_array_equal(torch.autograd.grad((Q * weights).sum(), Z, retain_graph=True)[0], weights)
    assert_allclose(torch.autograd.grad(gap, Z)[0], (2 * (Z - Q) / 30).detach(), atol=1e-6)
    before = quantizer.codes.clone()
    quantizer.train()(Z)
    assert not torch.equal(quantizer.codes, before)
    scalars = ScalarCodes(2, [3, 4])
    Q, gap = scalars(torch.randn(10, 4, requires_grad=True))
    assert float(gap) == 0
    assert Q.requires_grad


def test_finite_scalars():
    torch = pytest.importorskip("torch")
    pytest.importorskip("skorch")
    from skalign.sequence._vq_net import ScalarCodes

    for levels in ([8, 6, 5], [4], [3, 3]):
        scalars = ScalarCodes(1, levels)
        n = int(np.prod(levels))
        book = scalars.decode(torch.arange(n)[:, None])
        assert len({tuple(row) for row in book.tolist()}) == n
        assert_allclose(scalars.codes[0], book)
        Z = torch.atanh(1.998 * torch.rand(20_000, len(levels)) - 0.999)
        assert_allclose(scalars(Z)[0], scalars.decode(scalars.encode(Z)), atol=1e-6)
        assert len(torch.unique(scalars.encode(Z))) == n  # every code can be reached


def test_fsq_uses_its_codes(digits):
    quantizer = make_net(codebook="fsq", levels=(4, 4), n_codebooks=3, early_stopping=False).fit(digits)
    assert quantizer.n_codes_ == 16
    assert quantizer.transform(digits).max() < 16
    assert (quantizer.usage_ > 0.5).all()
    assert quantizer.codebook_.shape == (3, 16, 2)
    assert quantizer.score(digits) > 0


def test_images(digits):
    images = digits.reshape(-1, 1, 8, 8)
    quantizer = make_net(encoder="conv", hidden_layer_sizes=(4, 8), max_epochs=30, early_stopping=False).fit(images)
    rows = quantizer.inverse_transform(quantizer.transform(images))
    assert rows.shape == images.shape
    assert quantizer.score(images) > 0.1
    odd = make_net(8, encoder="conv", hidden_layer_sizes=(4, 4), max_epochs=1).fit(
        images[:, :, :7, :5].repeat(3, axis=1)
    )
    assert odd.inverse_transform([[0, 1]]).shape == (1, 3, 7, 5)
    with pytest.raises(ValueError, match="takes images"):
        make_net(encoder="conv").fit(digits)


def test_modules(digits):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    quantizer = make_net(encoder=nn.Linear(64, 6), decoder=nn.Linear(6, 64)).fit(digits)
    assert quantizer.score(digits) > 0
    again = pickle.loads(pickle.dumps(quantizer))
    assert_array_equal(again.transform(digits), quantizer.transform(digits))
    made = make_net(encoder=lambda shape, n: nn.Linear(*shape, n), max_epochs=2).fit(digits)  # decoder: an MLP
    assert made.inverse_transform([[0, 0]]).shape == (1, 64)
    with pytest.raises(ValueError, match=r"must give \(2, 64\); it gave \(2, 9\)"):
        make_net(decoder=nn.Linear(6, 9)).fit(digits)
    with pytest.raises(ValueError, match="decoder failed"):
        make_net(decoder=nn.Linear(5, 64)).fit(digits)
    with pytest.raises(ValueError, match=r"6 numbers a sample"):
        make_net(encoder=nn.Linear(64, 5)).fit(digits)


def test_nets_repeat_and_leave_global_generators_alone(digits):
    torch = pytest.importorskip("torch")
    before, state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_net(max_epochs=3).fit(digits)
    assert_array_equal(torch.get_rng_state(), before)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    torch.manual_seed(1)
    assert_array_equal(make_net(max_epochs=3).fit(digits).transform(digits), first.transform(digits))
    assert not np.array_equal(make_net(max_epochs=3, random_state=1).fit(digits).codebook_, first.codebook_)


def test_early_stopping_warm_start_and_streams_of_nets(digits):
    stopped = make_net(max_epochs=60, n_iter_no_change=2, tol=0.05).fit(digits)
    assert stopped.n_iter_ < 60
    assert len(stopped.validation_scores_) == stopped.n_iter_
    warm = make_net(max_epochs=3, warm_start=True, early_stopping=False).fit(digits)
    first = warm.reconstruction_error_
    assert warm.fit(digits).n_iter_ == 6
    assert warm.reconstruction_error_ < first
    stream = make_net()
    for _ in range(3):
        stream.partial_fit(digits)
    assert stream.n_iter_ == 3
    assert stream.counts_.sum() == 3 * 2 * len(digits)
    with pytest.raises(ValueError, match="features"):
        stream.partial_fit(digits[:, :9])


def test_float32_and_tensors_through_nets(trained, digits):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(digits)
    codes = trained.transform(tensor)
    assert isinstance(codes, torch.Tensor)
    assert_array_equal(codes, trained.transform(digits))
    small = make_net(max_epochs=2).fit(digits.astype(np.float32))
    assert small.inverse_transform(small.transform(digits)).dtype == np.float32
    fitted = make_net(max_epochs=2).fit(tensor)
    assert_array_equal(fitted.transform(digits), make_net(max_epochs=2).fit(digits).transform(digits))


def test_sequences_through_nets(digits):
    parts = [digits[:100], digits[100:]]
    quantizer = make_net(max_epochs=2).fit(parts)
    alone = make_net(max_epochs=2).fit(digits)
    assert_array_equal(np.concatenate(quantizer.transform(parts)), alone.transform(digits))


def test_skops(trained, digits):
    io = pytest.importorskip("skops.io")
    dumped = io.dumps(trained)
    untrusted = io.get_untrusted_types(data=dumped)
    assert all(name.startswith("skalign") for name in untrusted), untrusted
    loaded = io.loads(dumped, trusted=untrusted)
    assert_array_equal(loaded.transform(digits), trained.transform(digits))


@pytest.mark.gpu
def test_trains_on_cuda(digits):
    import torch

    quantizer = make_net(max_epochs=20, device="cuda").fit(digits)
    assert quantizer.score(digits) > 0.2
    codes = quantizer.transform(torch.tensor(digits, device="cuda"))
    assert codes.device.type == "cuda"
    assert_array_equal(codes.cpu(), pickle.loads(pickle.dumps(quantizer)).transform(digits))


# --- refused, and among scikit-learn's tools --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1.0], [np.nan], [2.0], [3.0]]), "1 NaN and 0 inf"),
        ([np.ones((30, 2)), np.full((3, 2), np.inf)], "sample 1: .* 6 inf"),
        ([np.ones((30, 2)), np.ones((0, 2))], "sample 1"),
        ([np.ones((30, 2)), np.ones((3, 1))], "sample 1 have 1 features"),
        (np.ones((2, 3)), "n_samples=2 rows .* n_codes=8"),
        (np.ones((9, 3, 2, 2)), "dim"),
        (np.ones(5), "2D array"),
    ],
    ids=["nan", "inf", "empty", "width", "few", "images", "1d"],
)
def test_bad_data(X, message):
    with pytest.raises(ValueError, match=message):
        make_quantizer().fit(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_codes": 0}, "n_codes"),
        ({"n_codebooks": 0}, "n_codebooks"),
        ({"decay": 1.0}, "decay"),
        ({"codebook": "pq"}, "codebook"),
        ({"encoder": "rnn"}, "encoder"),
        ({"codebook": "fsq"}, "needs an encoder"),
        ({"decoder": len}, "A decoder needs an encoder"),
        ({"levels": (2, 3)}, "levels"),
        ({"encoder": "mlp", "activation": "sin"}, "activation"),
        ({"encoder": "mlp", "learning_rate_schedule": "step"}, "learning_rate_schedule"),
    ],
    ids=lambda value: next(iter(value)) + str(len(value)) if isinstance(value, dict) else "",
)
def test_bad_parameters(options, message):
    pytest.importorskip("skorch")
    with pytest.raises(ValueError, match=message):
        make_quantizer(**options).fit(make_rows(100))


@pytest.mark.parametrize("codes", [[[8]], [[-1]], [[0.5]], [[0, 1]], [["a"]]], ids=str)
def test_bad_codes(codes):
    quantizer = make_quantizer().fit(make_rows())
    with pytest.raises(ValueError, match="Codes"):
        quantizer.inverse_transform(np.array(codes))


def test_parameters_set_after_the_fit(digits):
    two = make_quantizer(8, 2).fit(digits).set_params(n_codebooks=1)
    assert not hasattr(two, "predict")  # rows still have two codes
    one = make_quantizer(8).fit(digits).set_params(n_codebooks=2)
    assert_array_equal(one.predict(digits), one.transform(digits)[:, 0])


@pytest.mark.parametrize(("first", "second"), [(None, "mlp"), ("mlp", None)], ids=["to net", "from net"])
def test_warm_starts_do_not_go_on_with_another_kind_of_encoder(first, second):
    rows = make_rows(60)
    quantizer = make_quantizer(4, encoder=first, max_epochs=1, warm_start=True).fit(rows).set_params(encoder=second)
    codes = quantizer.codebook_
    with pytest.raises(ValueError, match=f"The last fit was with{'' if first else 'out'} an encoder: fit anew"):
        quantizer.fit(rows)
    assert quantizer.codebook_ is codes


def test_codes_of_views_as_predict_gives_them_can_be_decoded():
    rows = make_rows(60)
    quantizer = make_quantizer(4).fit(Views(a=rows, b=-rows))
    ids = quantizer.predict(Views(b=-rows))
    assert_array_equal(quantizer.inverse_transform(ids)["b"], quantizer.views_["b"].inverse_transform(ids["b"]))


def test_pipelines_and_searches(digits):
    labels = load_digits().target[:600]
    pipe = make_pipeline(
        StandardScaler(),
        make_quantizer(16, 4),
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(max_iter=500),
    )
    search = GridSearchCV(pipe, {"vectorquantizer__n_codes": [2, 16]}, cv=3, n_jobs=2, error_score="raise")
    assert search.fit(digits, labels).best_score_ > 0.7
    assert search.best_params_ == {"vectorquantizer__n_codes": 16}
    own = GridSearchCV(make_quantizer(), {"n_codebooks": [1, 2]}, cv=2, n_jobs=2, error_score="raise").fit(make_rows())
    assert own.best_params_ == {"n_codebooks": 2}
    assert clone(own.best_estimator_).get_params()["n_codebooks"] == 2


@pytest.mark.parametrize("kind", ["features", "net"])
def test_pickle_in_a_fresh_process(tmp_path, trained, digits, kind):
    quantizer = trained if kind == "net" else make_quantizer(8, 2).fit(digits)
    np.save(tmp_path / "x.npy", digits)
    (tmp_path / "q.pkl").write_bytes(pickle.dumps(quantizer))
    code = (
        "import pathlib, pickle, sys, numpy as np\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "q = pickle.loads((folder / 'q.pkl').read_bytes())\n"
        "np.save(folder / 'out.npy', q.transform(np.load(folder / 'x.npy')))\n"
        + ("assert 'torch' not in sys.modules\n" * (kind != "net"))
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert_array_equal(np.load(tmp_path / "out.npy"), quantizer.transform(digits))


@parametrize_with_checks(
    [
        make_quantizer(3, 2),
        make_quantizer(3, encoder="mlp", **(NET | {"max_epochs": 2, "hidden_layer_sizes": (4,), "n_components": 2})),
    ],
    xfail_strict=True,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
