"""What aligners of nets share: tools of scikit-learn, containers, hard numbers, and fits that are refused."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skalign import ByView, ContrastiveAligner, DeepCCA, Fuse, PerView, Views, select_view

torch = pytest.importorskip("torch")

SMALL = {"hidden_layer_sizes": (16,), "learning_rate": 0.01, "max_epochs": 10, "random_state": 0}
ALIGNERS = {"DeepCCA": DeepCCA(3, **SMALL), "Contrastive": ContrastiveAligner(3, **SMALL)}


def make_data(n=300, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3))
    X, Y = (S @ rng.normal(size=(3, p)) + 0.1 * rng.normal(size=(n, p)) for S, p in ((shared, 6), (shared**3, 5)))
    return X, Y, (shared[:, 0] > 0).astype(int)


@pytest.fixture
def data():
    return make_data()


@pytest.fixture
def views(data):
    return Views(image=data[0], text=data[1])


@pytest.fixture(params=list(ALIGNERS))
def aligner(request):
    return clone(ALIGNERS[request.param])


class Net(torch.nn.Module):
    """A factory that workers and other processes can import or unpickle by value."""

    def __init__(self, shape, n_components):
        super().__init__()
        self.out = torch.nn.Linear(shape[0], n_components)

    def forward(self, X):
        return torch.tanh(self.out(X))


# --- tools of scikit-learn ------------------------------------------------------------------------------------------


def test_grid_search_over_nets_in_workers(aligner, views, data):
    name = type(aligner).__name__.lower()
    aligner.set_params(input_noise=ByView(image=0.1, text=0.2), max_epochs=3)
    pipe = make_pipeline(PerView({"image": PCA(4)}), aligner, Fuse("mean"), LogisticRegression())
    grid = {
        f"{name}__encoder": ["linear", ByView(image=torch.nn.Linear(4, 3), text="mlp"), {"image": "mlp", "text": Net}],
        f"{name}__input_noise__image": [0.0, 0.5],
        f"{name}__hidden_layer_sizes": [{"image": (8,), "text": (4, 4)}],
    }
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2, error_score="raise").fit(views, data[2])
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores.round(6))) > 2
    here = clone(pipe).set_params(**search.best_params_).fit(views, data[2])
    assert_array_equal(here.predict(views), search.predict(views))
    assert search.predict(views[["text"]]).shape == (300,)
    assert name in repr(search).lower()


def test_a_text_server_needs_the_text_alone(aligner, views, data, tmp_path):
    pipe = make_pipeline(PerView({"text": PCA(4)}), aligner, Fuse("mean"), LogisticRegression()).fit(views, data[2])
    server = select_view(pipe, "text")
    stored = pickle.dumps(server)
    assert len(stored) < len(pickle.dumps(pipe))
    (tmp_path / "s").write_bytes(pickle.dumps((stored, data[1])))
    code = (
        "import pickle, sys\nstored, Y = pickle.load(open(sys.argv[1], 'rb'))\n"
        "pickle.dump(pickle.loads(stored).predict_proba(Y), open(sys.argv[1] + 'out', 'wb'))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], check=True)
    expected = pipe.predict_proba(views[["text"]])
    assert_allclose(pickle.loads((tmp_path / "sout").read_bytes()), expected, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"encoder": "residual", "batch_norm": True}, {"reconstruction": 0.1}])
def test_skops_round_trip(aligner, views, options):
    sio = pytest.importorskip("skops.io")
    if not set(options) <= set(aligner.get_params()):
        pytest.skip("the other aligner has no reconstruction")
    aligner.set_params(**options).fit(views)
    stored = sio.dumps(aligner)
    unknown = sio.get_untrusted_types(data=stored)
    assert all(kind.startswith(("skalign.", "collections.OrderedDict")) for kind in unknown), unknown
    loaded = sio.loads(stored, trusted=unknown)
    for name in ("image", "text"):
        assert_array_equal(loaded.transform(views)[name], aligner.transform(views)[name])
    assert_array_equal(loaded.inverse_transform(loaded.transform(views))["text"],
                       aligner.inverse_transform(aligner.transform(views))["text"])  # fmt: skip
    a, b = (part.set_params(warm_start=True, max_epochs=2).fit(views) for part in (loaded, aligner))
    assert_array_equal(a.transform(views)["image"], b.transform(views)["image"])


def test_the_best_epoch_counts_from_the_first_fit(aligner, views):
    aligner.fit(views)
    first = len(aligner.loss_curve_)
    aligner.set_params(warm_start=True, max_epochs=2).fit(views)
    assert len(aligner.loss_curve_) == aligner.n_iter_ == first + 2
    assert aligner.best_epoch_ >= first


def test_parameters_that_are_modules(aligner, views):
    aligner.set_params(encoder={"image": torch.nn.Linear(6, 3), "text": torch.nn.Linear(5, 3)})
    copy = clone(aligner)
    assert copy.encoder["image"] is not aligner.encoder["image"]
    assert_array_equal(copy.fit(views).transform(views)["text"], aligner.fit(views).transform(views)["text"])
    assert "Linear" in repr(aligner)
    double = clone(aligner).set_params(encoder=lambda shape, n: torch.nn.Linear(shape[0], n).double()).fit(views)
    assert double.transform(views)["image"].dtype == np.float64


# --- containers and numbers -----------------------------------------------------------------------------------------


def test_sparse_frames_and_lists(aligner, data):
    pd = pytest.importorskip("pandas")
    X, Y, _ = data
    X = np.where(X > 0, X, 0.0)
    expected = clone(aligner).fit(Views(image=X, text=Y)).transform(Views(image=X))["image"]
    for A, B in ((sp.csr_matrix(X), Y.tolist()), (pd.DataFrame(X), pd.DataFrame(Y, columns=list("abcde")))):
        other = clone(aligner).fit(Views(image=A, text=B))
        assert_allclose(other.transform(Views(image=A))["image"], expected, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-30, 1e30, 1e200, 1e304])
@pytest.mark.parametrize("standardize", ["view", "feature"])
def test_scale_of_a_view_does_not_matter(aligner, data, scale, standardize):
    X, Y, _ = data
    aligner.set_params(standardize=standardize, max_epochs=3)
    expected = clone(aligner).fit(X, Y)
    scaled = aligner.fit(X * scale, Y)
    # Float32 rounds standardised rows of another scale otherwise, and training magnifies it.
    assert_allclose(scaled.transform(X * scale), expected.transform(X), atol=1e-3)
    back = scaled.inverse_transform(scaled.transform(X * scale)) / scale
    assert_allclose(back, expected.inverse_transform(expected.transform(X)), atol=1e-2)


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor])
def test_faint_variation_around_a_large_mean(aligner, data, make):
    X, Y, _ = data
    views = Views(image=make(1.0 + 1e-9 * X), text=make(Y))
    Z = aligner.fit(views).transform(views)["image"]
    assert type(Z) is type(make(X))
    assert_allclose(np.asarray(Z), clone(aligner).fit(X, Y).transform(X), atol=0.05)


def test_constant_and_duplicate_columns(aligner, data):
    X, Y, _ = data
    X = np.column_stack([X, X[:, :2], np.full(300, 7.1), np.zeros(300)])
    for standardize in ("view", "feature", False):
        aligner.set_params(standardize=standardize).fit(X, Y)
        assert np.isfinite(aligner.transform(X)).all()
        assert_allclose(aligner.inverse_transform(aligner.transform(X))[:, -2:], [[7.1, 0.0]] * 300, atol=0.5)


def test_tensors_with_a_graph_and_of_half_precision(aligner, data):
    X, Y, _ = data
    image, text = torch.as_tensor(X).requires_grad_(), torch.as_tensor(Y).bfloat16()
    Z = aligner.fit(Views(image=image, text=text)).transform(Views(image=image, text=text))
    assert (Z["image"].dtype, Z["text"].dtype) == (torch.float64, torch.float32)
    assert not Z["image"].requires_grad
    assert image.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_default_type_of_torch_does_not_matter(aligner, views, dtype):
    expected = clone(aligner).fit(views).transform(views)["text"]
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        Z = aligner.set_params(max_epochs=1).fit(views).transform(views)["text"]
    finally:
        torch.set_default_dtype(before)
    assert Z.shape == expected.shape
    assert np.isfinite(Z).all()


def test_names_of_views(aligner, data):
    X, Y, _ = data
    views = Views({"self": X, "x.y": Y, "keys": X, "views": Y, "y": X, "training": Y})
    aligner.fit(views)
    assert aligner.transform(views).names == views.names
    assert list(aligner.set_params(input_noise=dict.fromkeys(views.names, 0.1)).fit(views).encoders_) == views.names


# --- what must stay as it was ---------------------------------------------------------------------------------------


def test_nothing_outside_is_touched(aligner, data):
    X, Y, _ = data

    def outside():
        numpy_state = np.random.get_state()[1]  # noqa: NPY002
        return torch.get_num_threads(), torch.is_grad_enabled(), [*torch.get_rng_state(), *numpy_state]

    before = outside()
    threads, cells = threading.active_count(), (X.copy(), Y.copy())
    aligner.fit(torch.as_tensor(X), torch.as_tensor(Y)).transform(torch.as_tensor(X))
    assert outside() == before
    assert threading.active_count() == threads
    for table, cell in zip((X, Y), cells):
        assert_array_equal(table, cell)


def test_a_fitted_estimator_holds_no_rows(aligner):
    small, large = (
        len(pickle.dumps(clone(aligner).set_params(max_epochs=1).fit(*make_data(n)[:2]))) for n in (300, 6000)
    )
    assert large < small + 2000


def test_refused_rows_change_nothing(aligner, data):
    X, Y, _ = data
    aligner.fit(X, Y)
    expected, state = aligner.transform(X), dict(vars(aligner))
    for bad in (Views(x=X, y=Y * np.nan), Views(x=X, y=Y[:, :2]), Views(a=X, b=Y)):
        with pytest.raises(ValueError, match=r"NaN|features|goes on with the views"):
            aligner.partial_fit(bad)
    assert vars(aligner).keys() == state.keys()
    assert_array_equal(aligner.transform(X), expected)
    for change in ({"n_components": 2}, {"hidden_layer_sizes": (8,)}, {"encoder": "linear"}):
        with pytest.raises(ValueError, match="nets of another form.*n_components"):
            clone(aligner).fit(X, Y).set_params(**change).partial_fit(X, Y)


def test_a_step_that_blows_up_is_an_error(aligner, views):
    with pytest.raises(FloatingPointError, match="learning_rate"):
        aligner.set_params(learning_rate=1e38, max_epochs=1, early_stopping=False).fit(views)
    assert not hasattr(aligner, "encoders_")


def test_a_device_that_is_not_there(aligner, views):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match="device='cuda': torch sees no CUDA device here"):
        aligner.set_params(device="cuda").fit(views)
    assert np.isfinite(aligner.set_params(device="auto").fit(views).score(views))


def test_few_rows_held_out_on_demand(aligner, views):
    aligner.set_params(early_stopping=True)
    assert len(aligner.fit(views[:12]).validation_scores_) == 10  # 2 rows: one has no score
    with pytest.raises(ValueError, match="none is left to train on"):
        aligner.set_params(validation_fraction=0.99).fit(views[:12])


def test_checkpoints_tell_groups_and_weights_apart(views, tmp_path):
    from skorch.callbacks import Callback

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise RuntimeError("stop")

    def interrupted(groups, encoder):
        aligner = ContrastiveAligner(3, positives="groups", encoder=encoder, **SMALL, checkpoint=tmp_path)
        with pytest.raises(RuntimeError, match="stop"):
            aligner.set_params(callbacks=[Stop()]).fit(views, groups)
        return len(list(tmp_path.iterdir()))

    nets = [{"image": torch.nn.Linear(6, 3), "text": torch.nn.Linear(5, 3)} for _ in range(2)]
    groups = np.arange(300) // 3
    assert interrupted(groups, nets[0]) == 1
    assert interrupted(groups // 2, nets[0]) == 2
    assert interrupted(groups, nets[1]) == 3  # printed alike, trained before otherwise


def test_threads_may_ask_for_different_precisions(aligner, views, data):
    encoder = aligner.set_params(max_epochs=1).fit(views).encoders_["image"]
    rows = {np.dtype(dtype): data[0].astype(dtype) for dtype in (np.float32, np.float64)}
    expected = {dtype: encoder.transform(X) for dtype, X in rows.items()}
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda i: encoder.transform(list(rows.values())[i % 2]), range(100))
    for Z in results:
        assert_array_equal(Z, expected[Z.dtype])


def test_interruption_in_the_first_epoch(aligner, views):
    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            raise KeyboardInterrupt

    if isinstance(aligner, ContrastiveAligner):
        aligner.set_params(loss="vse++")
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 1"):
        aligner.set_params(callbacks=[Interrupt()]).fit(views)
    assert aligner.loss_curve_ == []
    assert np.isfinite(aligner.score(views))


@pytest.mark.gpu
def test_a_module_used_on_a_gpu_pickles_from_the_cpu(aligner, views):
    aligner.set_params(encoder={"image": Net, "text": "mlp"}, device="cuda").fit(views).transform(views)
    stored = aligner.encoders_["image"].net_
    assert {str(parameter.device) for parameter in stored.kind.parameters()} == {"cpu"}
