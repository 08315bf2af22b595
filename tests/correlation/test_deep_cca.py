"""Deep CCA: nets that find what linear CCA cannot, against CCA where they are linear, and what users get wrong."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skalign import CCA, ByView, DeepCCA, Views

torch = pytest.importorskip("torch")

SMALL = {"hidden_layer_sizes": (32,), "learning_rate": 0.01, "max_epochs": 60, "random_state": 0}
PLAIN = {"input_noise": 0.0, "weight_decay": 0.0, "early_stopping": False}
OBJECTIVES = ("cca", "nuclear", "ey", "barlow", "vicreg")


def curved_views(n=1200, names="ab", seed=0):
    """Views that share two directions: the first in lines, the others in squares and products, uncorrelated to it."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(n, 2))
    squares = np.column_stack([u**2 - 1, u[:, 0] * u[:, 1]])
    views = {names[0]: u @ rng.normal(size=(2, 5))}
    views |= {name: squares @ rng.normal(size=(3, 6)) for name in names[1:]}
    return Views({name: X + 0.1 * rng.normal(size=X.shape) for name, X in views.items()})


def linear_views(n=400, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 3)) * [3.0, 1.0, 0.6]
    return Views(
        a=shared @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5)),
        b=shared @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)),
    )


def image_views(n=200, seed=0):
    """Pictures of two channels whose spots lie where the other view says."""
    rng = np.random.default_rng(seed)
    where = rng.integers(0, 6, size=n)
    images = 0.1 * rng.normal(size=(n, 2, 6, 6))
    images[np.arange(n), 0, where] += 1
    return Views(image=images, text=np.eye(6)[where] + 0.1 * rng.normal(size=(n, 6)))


class Conv(torch.nn.Module):
    """A user's own encoder of images, which is its own factory too."""

    def __init__(self, shape=(2, 6, 6), n_components=3):
        super().__init__()
        self.conv = torch.nn.Conv2d(shape[0], 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.out = torch.nn.Linear(4 * shape[1] * shape[2], n_components)

    def forward(self, X):
        return self.out(torch.relu(self.norm(self.conv(X))).flatten(1))


# --- quality --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_finds_what_linear_cca_cannot(objective):
    views = curved_views()
    train, test = views[:900], views[900:]
    linear = CCA(2).fit(train).score(test)
    deep = DeepCCA(2, objective=objective, **SMALL).fit(train)
    assert linear < 0.5
    assert deep.score(test) > 1.6  # of 2
    assert np.mean(deep.loss_curve_[-5:]) < np.mean(deep.loss_curve_[:2])


def test_three_views():
    views = curved_views(names="abc")
    deep = DeepCCA(2, **SMALL).fit(views[:900])
    assert deep.score(views[900:]) > 1.6
    assert deep.score(views[900:][["b", "c"]]) > 1.6
    assert deep.transform(views[["c"]])["c"].shape == (1200, 2)
    assert_allclose(deep.canonical_correlations_.sum(), deep.score(views[:900]), atol=1e-6)


@pytest.mark.parametrize("objective", ["cca", "nuclear", "ey"])
def test_linear_nets_converge_to_cca(objective):
    views = linear_views()
    expected = CCA(3).fit(views).canonical_correlations_
    deep = DeepCCA(3, objective=objective, encoder="linear", shrinkage=0.0, **PLAIN)
    deep.set_params(learning_rate=0.03, learning_rate_schedule="cosine", max_epochs=400, random_state=0).fit(views)
    assert_allclose(deep.canonical_correlations_, expected, atol=1e-2)
    for a, b in zip(CCA(3).fit_transform(views)["a"].T, deep.transform(views)["a"].T):
        assert abs(np.corrcoef(a, b)[0, 1]) > 0.97


def test_quality_on_digit_halves():
    digits = load_digits()
    images = digits.images / 16
    views = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))
    train, test = train_test_split(views, test_size=540, stratify=digits.target, random_state=0)
    assert DeepCCA(10, random_state=0).fit(train).score(test) >= 8.5  # linear CCA on this split: 4.8, with ridge 5.75


# --- outputs --------------------------------------------------------------------------------------------------------


def test_outputs_are_canonical_variates():
    views = curved_views(400)
    deep = DeepCCA(3, shrinkage=1e-6, early_stopping=False, **SMALL).fit(views)
    Za, Zb = (Z for _, Z in deep.transform(views).items())
    for Z in (Za, Zb):
        assert_allclose(Z.mean(axis=0), 0.0, atol=1e-5)
        assert_allclose(Z.T @ Z / 400, np.eye(3), atol=1e-3)
    assert_allclose(Za.T @ Zb / 400, np.diag(deep.canonical_correlations_), atol=1e-3)
    assert (np.diff(deep.canonical_correlations_) <= 0).all()


def test_score_is_the_sum_of_correlations():
    views = curved_views(400)
    deep = DeepCCA(2, **SMALL).fit(views[:300])
    Z = deep.transform(views[300:])
    expected = sum(np.corrcoef(a, b)[0, 1] for a, b in zip(Z["a"].T, Z["b"].T))
    assert_allclose(deep.score(views[300:]), expected, atol=1e-10)


def test_weighting_scales_by_the_correlation():
    views = curved_views(400)
    unit = DeepCCA(2, **SMALL).fit(views)
    weighted = clone(unit).set_params(weighting="correlation").fit(views)
    assert_allclose(
        weighted.transform(views)["b"], unit.transform(views)["b"] * unit.canonical_correlations_, atol=1e-8
    )
    assert_allclose(weighted.score(views), unit.score(views))


def test_reconstruction_brings_rows_back():
    views = curved_views()
    train, test = views[:1000], views[1000:]
    deep = DeepCCA(4, reconstruction=1.0, **SMALL | {"input_noise": 0.0, "max_epochs": 150}).fit(train)
    plain = clone(deep).set_params(reconstruction=0.0).fit(train)
    for name in "ab":
        error, linear, chance = (
            np.mean((back - test[name]) ** 2)
            for back in (
                deep.inverse_transform(deep.transform(test))[name],
                plain.inverse_transform(plain.transform(test))[name],
                train[name].mean(axis=0),
            )
        )
        assert error < 0.7 * min(linear, chance), name
    assert deep.score(test) > 1.6
    Z = deep.transform(test)["a"].astype(np.float32)
    back = pickle.loads(pickle.dumps(deep.encoders_["a"])).inverse_transform(Z)
    assert back.dtype == np.float32
    assert_array_equal(back, deep.encoders_["a"].inverse_transform(Z))
    tensor = deep.encoders_["a"].inverse_transform(torch.as_tensor(Z))
    assert_array_equal(tensor.numpy(), back)


# --- images and modules of users ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoder", [{"image": Conv(), "text": "mlp"}, {"image": Conv, "text": "mlp"}, ByView(image=Conv, text="linear")]
)
def test_images_through_a_users_net(encoder, tmp_path):
    pd = pytest.importorskip("pandas")
    views = image_views()
    deep = DeepCCA(3, encoder=encoder, **SMALL | {"max_epochs": 20}).fit(views[:150])
    assert deep.score(views[150:]) > 2.0
    Z = deep.transform(views[["image"]])["image"]
    assert Z.shape == (200, 3)
    assert deep.inverse_transform(Views(image=Z))["image"].shape == (200, 2, 6, 6)
    table = deep.set_output(transform="pandas").transform(views[["image"]])["image"]
    assert isinstance(table, pd.DataFrame)
    assert_array_equal(table.to_numpy(), Z)
    with pytest.raises(ValueError, match=r"View 'image'.*samples of shape \(2, 6, 5\).*expecting samples.*\(2, 6, 6\)"):
        deep.transform(Views(image=views["image"][..., :5]))


def test_a_net_of_images_pickles_into_another_process(tmp_path):
    views = image_views()
    flat = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.Flatten(), torch.nn.Linear(48, 3))
    encoder = DeepCCA(3, encoder={"image": flat, "text": "mlp"}, **SMALL).fit(views).encoders_["image"]
    (tmp_path / "X").write_bytes(pickle.dumps((encoder, views["image"])))
    code = "import pickle, sys; p = sys.argv[1]; e, X = pickle.load(open(p, 'rb'))\n"
    code += "pickle.dump(e.transform(X), open(p + 'Z', 'wb'))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "X")], check=True)
    assert_allclose(pickle.loads((tmp_path / "XZ").read_bytes()), encoder.transform(views["image"]), atol=1e-6)


def test_the_users_module_stays_as_it_was():
    views, module = image_views(), Conv()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    deep = DeepCCA(3, encoder={"image": module, "text": "mlp"}, **SMALL | {"max_epochs": 3}).fit(views)
    assert module.training
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])
    copy = clone(deep)
    assert copy.encoder["image"] is not module
    assert "Conv" in repr(copy)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Conv(n_components=4), r"View 'image'.*3 numbers a sample.*\(2, 3\).*gave \(2, 4\)"),
        (torch.nn.Conv2d(7, 1, 3), r"View 'image'.*failed on samples of the shape \(2, 6, 6\)"),
        (lambda shape, n: "a net", r"View 'image'.*gave a str, not a torch module"),
        (lambda shape: Conv(shape), r"View 'image'.*factory"),
        ("mlp", r"View 'image'.*'mlp' takes rows of numbers.*\(2, 6, 6\)"),
    ],
)
def test_encoders_that_do_not_fit(encoder, message):
    with pytest.raises(ValueError, match=message):
        DeepCCA(3, encoder={"image": encoder, "text": "mlp"}).fit(image_views())


def test_nothing_to_train_is_an_error():
    views = linear_views()
    with pytest.raises(ValueError, match="nothing to train"):
        DeepCCA(4, encoder="identity").fit(Views(a=views["a"][:, :4], b=views["b"]))


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["cca", "nuclear"])
def test_batches_that_are_too_small(objective):
    views = linear_views(60)
    deep = DeepCCA(4, objective=objective, batch_size=5)
    with pytest.raises(ValueError, match=r"n_components=4 needs batches of 6 rows.*[Uu]se larger batches, more rows"):
        deep.fit(views)
    with pytest.raises(ValueError, match="needs batches of 6 rows"):
        deep.set_params(batch_size="auto").fit(views[:5])
    deep.set_params(objective="ey", batch_size=5, max_epochs=2).fit(views)


@pytest.mark.parametrize("shrinkage", [0.0, 1e-3, 0.5])
def test_outputs_that_collapse_warn(shrinkage):
    class Flat(torch.nn.Module):
        def __init__(self, shape, n):
            super().__init__()
            self.out = torch.nn.Linear(shape[0], 1)

        def forward(self, X):
            return self.out(X).repeat(1, 3)

    with pytest.warns(ConvergenceWarning, match=r"vary in 1 of n_components=3 directions"):
        deep = DeepCCA(3, encoder=Flat, shrinkage=shrinkage, max_epochs=2, random_state=0).fit(linear_views())
    assert deep.canonical_correlations_.shape == (3,)
    Z = deep.transform(linear_views())["a"]
    assert Z.shape == (400, 3)
    assert_array_equal(Z[:, 1:], 0.0)
    assert np.isfinite(deep.score(linear_views()))


@pytest.mark.parametrize("early_stopping", [True, False])
def test_constant_outputs_are_an_error(early_stopping):
    class Dead(torch.nn.Module):
        def __init__(self, shape, n):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(n))

        def forward(self, X):
            return self.bias.expand(len(X), -1)

    deep = DeepCCA(3, encoder={"a": Dead, "b": "mlp"}, max_epochs=2, early_stopping=early_stopping)
    with pytest.raises(ValueError, match=r"collapsed to constant outputs.*learning_rate"):
        deep.fit(linear_views())


@pytest.mark.parametrize(
    ("name", "value"),
    [("objective", "mse"), ("weighting", "variance"), ("shrinkage", 1.5), ("shrinkage", "oas"),
     ("reconstruction", -1.0), ("shrinkage", np.nan), ("reconstruction", np.nan),
     ("batch_size", "all"), ("hidden_layer_sizes", 16)],
)  # fmt: skip
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        DeepCCA(2, **{name: value}).fit(linear_views())


def test_no_warning_on_good_data():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DeepCCA(2, **SMALL | {"max_epochs": 3}).fit(linear_views())
