"""Factorised contrastive learning: bounds against formulas, toys with known contributions, and what users call."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skalign import Fuse, Views
from skalign.contrastive import FactorizedContrastiveAligner

torch = pytest.importorskip("torch")
from skalign.contrastive import _factorized_terms as terms  # noqa: E402
from skalign.contrastive._factorized_encoder import FactorizedEncoder  # noqa: E402
from skalign.contrastive._factorized_objective import FactorizedObjective  # noqa: E402

SMALL = {"hidden_layer_sizes": (16,), "learning_rate": 0.01, "max_epochs": 15, "random_state": 0}
LN2 = np.log(2)


def make_data(n=300, seed=0):
    rng = np.random.default_rng(seed)
    shared, own, other = rng.normal(size=(3, n, 1))
    X = np.hstack([shared, own]) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(n, 5))
    Y = np.hstack([shared, other]) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(n, 4))
    return X, Y, 2 * (shared[:, 0] > 0) + (own[:, 0] > 0)


# --- bounds ---------------------------------------------------------------------------------------------------------


def log_ratio(labels):
    """Best scores of two views that are both the label: log p(a, b) / p(a) p(b); -30 is for minus infinity."""
    return torch.where(labels[:, None] == labels, np.log(4), -30.0)


def test_the_condition_is_kept_by_comparing_within_labels():
    """x1 = x2 = y, uniform on four values: nothing is left given y, and the whole batch tells ln 4."""
    y = torch.arange(4).repeat(50)
    S, within, whole = log_ratio(y), terms.same_label(y), terms.all_pairs(y)
    assert float(terms.nce(S, within)) == pytest.approx(0, abs=1e-6)
    assert float(terms.club(S, within)) == pytest.approx(0, abs=1e-6)
    assert float(terms.nce(S, whole)) == pytest.approx(np.log(4), abs=1e-6)
    assert float(terms.club(S, whole)) > np.log(4)


def test_bounds_against_loops():
    rng = np.random.default_rng(0)
    S, y = rng.normal(size=(9, 9)), np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    nce, club = [], []
    for i in range(9):
        same = np.flatnonzero(y == y[i])
        others = same[same != i]
        for matrix in (S, S.T):
            nce.append(matrix[i, i] - np.log(np.mean(np.exp(matrix[i, same]))))
            club.append(matrix[i, i] - np.mean(matrix[i, others]))
    among = torch.tensor(y[:, None] == y)
    assert float(terms.nce(torch.tensor(S), among)) == pytest.approx(np.mean(nce))
    assert float(terms.club(torch.tensor(S), among)) == pytest.approx(np.mean(club))


def test_rows_alone_with_their_label_say_nothing():
    S, among = torch.randn(5, 5), torch.eye(5, dtype=torch.bool)
    assert float(terms.nce(S, among)) == pytest.approx(0, abs=1e-6)
    assert float(terms.club(S, among)) == 0


def test_bounds_lie_around_gaussian_information():
    rho, rng = 0.7, np.random.default_rng(0)
    a = rng.normal(size=1500)
    b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=1500)
    S = torch.tensor(-0.5 * (b - rho * a[:, None]) ** 2 / (1 - rho**2) + 0.5 * b**2)
    every, information = terms.all_pairs(S), -0.5 * np.log(1 - rho**2)
    assert float(terms.nce(S, every)) == pytest.approx(information, abs=0.05)
    assert float(terms.club(S, every)) == pytest.approx(rho**2 / (1 - rho**2), abs=0.15)  # closed form of CLUB


def test_label_bound_is_the_information_of_a_perfect_classifier():
    y = torch.tensor([0, 0, 0, 1])
    prior = (torch.bincount(y) / 4).log()
    logits = torch.nn.functional.one_hot(y) * 50.0
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(terms.label_bound(logits, y, prior)) == pytest.approx(entropy, abs=1e-6)
    assert float(terms.label_bound(prior.expand(4, 2), y, prior)) == pytest.approx(0, abs=1e-6)


def test_the_optimizer_of_encoders_does_not_see_the_opponents():
    objective = FactorizedObjective(["x", "y"], 2, 2, 4, 0.1, 1.0)
    seen = {id(p) for p in objective.parameters()}
    own = [p for critic in objective.opponents.critics.values() for p in critic.parameters()]
    assert own
    assert not seen & {id(p) for p in own}
    before = [p.detach().clone() for p in own]
    outputs = {name: torch.randn(8, 4, requires_grad=True) for name in "xy"}
    objective.train()(outputs, None, torch.arange(8) % 4)
    assert all(Z.grad is None for Z in outputs.values())
    assert any(not torch.equal(p, q) for p, q in zip(own, before))
    again = FactorizedObjective(["x", "y"], 2, 2, 4, 0.1, 1.0).double()  # they go where the module goes
    assert all(p.dtype == torch.float64 for critic in again.opponents.critics.values() for p in critic.parameters())
    again.load_state_dict(objective.state_dict())
    for p, q in zip(own, (p for critic in again.opponents.critics.values() for p in critic.parameters())):
        assert_array_equal(p.detach(), q.detach())


# --- toys with known contributions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toy", "shared", "unique"),
    [
        (lambda a, b: (2 * a + b, 2 * a + b, 2 * a + b), 2 * LN2, (0, 0)),
        (lambda a, b: (a, b, 2 * a + b), 0, (LN2, LN2)),
        (lambda a, b: (a, 2 * a + b, 2 * a + b), LN2, (0, LN2)),
    ],
    ids=["all the same", "a half each", "one knows all"],
)
def test_contributions_of_toys(toy, shared, unique):
    x1, x2, y = toy(*np.random.default_rng(0).integers(2, size=(2, 1000)))
    views = Views(x=np.eye(4)[x1], y=np.eye(4)[x2])
    contributions = FactorizedContrastiveAligner(2, 2, supervised=True, **SMALL).fit(views, y).contributions_
    assert contributions["shared"] == pytest.approx(shared, abs=0.05)
    assert list(contributions["unique"].values()) == pytest.approx(unique, abs=0.05)


def test_contributions_are_estimated_when_they_are_asked_for():
    X, Y, _ = make_data()
    aligner = FactorizedContrastiveAligner(1, 1, **SMALL | {"max_epochs": 2}).fit(X, Y)
    assert "contributions_" not in vars(aligner)
    kept = pickle.loads(pickle.dumps(aligner))
    assert kept.contributions_ == aligner.contributions_
    assert "contributions_" in vars(pickle.loads(pickle.dumps(aligner)))
    assert "contributions_" not in vars(aligner.fit(Y, X))
    assert not hasattr(clone(aligner), "contributions_")


def test_shared_blocks_lose_what_the_partners_do_not_tell():
    """Two outputs both views know, one that is their own and small; the unique block repeats some of all."""
    rng = np.random.default_rng(0)
    told, own, partner = rng.normal(size=(500, 2)), rng.normal(size=(500, 1)), rng.normal(size=(500, 1))
    shared = np.hstack([told, 0.01 * own]) @ rng.normal(size=(3, 3)) + 5
    unique = own + told[:, :1]
    encoder = FactorizedEncoder("x")
    encoder.set_blocks(torch.tensor(np.hstack([shared, unique])), 3, "both", [torch.tensor(np.hstack([told, partner]))])
    Z = encoder._finish(torch.tensor(np.hstack([shared, unique]))).numpy()
    assert_allclose(Z[:, :3].mean(axis=0), shared.mean(axis=0))
    assert np.linalg.matrix_rank(Z[:, :3] - Z[:, :3].mean(axis=0), tol=1e-6) == 2
    assert abs(np.corrcoef(Z.T)[:3, 3]).max() < 1e-10
    basis = np.hstack([told - told.mean(axis=0), np.ones((500, 1))])
    assert LinearRegression().fit(basis, Z[:, :3]).score(basis, Z[:, :3]) > 0.99
    assert LinearRegression().fit(Z[:, :3], told).score(Z[:, :3], told) > 0.99
    assert np.corrcoef(Z[:, 3], own[:, 0])[0, 1] > 0.99
    constant = torch.ones(10, 4, dtype=torch.float64)  # nets that died: nothing is told, and nothing divided by zero
    encoder.set_blocks(constant, 3, "both", [constant])
    assert_array_equal(encoder._finish(constant), constant)


# --- the estimator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("supervised", [False, True])
def test_blocks(supervised):
    X, Y, y = make_data()
    views = Views(image=X, text=Y)
    aligner = FactorizedContrastiveAligner(2, 3, supervised=supervised, **SMALL).fit(views, y)
    Z = aligner.transform(views)["image"]
    assert list(aligner.encoders_["image"].get_feature_names_out()) == [
        "shared0", "shared1", "unique0", "unique1", "unique2",
    ]  # fmt: skip
    for blocks, columns in (("shared", slice(2)), ("unique", slice(2, 5))):
        part = clone(aligner).set_params(blocks=blocks).fit(views, y)
        assert_allclose(part.transform(views)["image"], Z[:, columns], atol=1e-12)
        assert part.score(views) == aligner.score(views)
        assert_array_equal(part.similarity(views), aligner.similarity(views))
        assert part.inverse_transform(part.transform(views))["text"].shape == Y.shape
    cross = np.corrcoef(Z.T)[:2, 2:]
    assert abs(cross).max() < 0.2  # exactly 0 on the rows that were trained on


def test_labels():
    X, Y, y = make_data()
    views = Views(x=X, y=Y)
    aligner = FactorizedContrastiveAligner(2, 2, supervised=True, **SMALL)
    numbers = clone(aligner).fit(views, y)
    named = clone(aligner).fit(views, np.array(list("abcd"))[y])
    assert_array_equal(named.transform(views)["x"], numbers.transform(views)["x"])
    assert list(named.classes_) == list("abcd")
    with pytest.raises(ValueError, match="goes on with the labels"):
        numbers.partial_fit(views, y // 2)
    with pytest.raises(ValueError, match="goes on with the labels"):
        numbers.set_params(supervised=False).partial_fit(views)
    assert numbers.set_params(supervised=True).partial_fit(views, y).n_iter_ == len(numbers.loss_curve_)
    assert not hasattr(numbers, "_rows_of_fit")
    assert not hasattr(numbers.set_params(supervised=False).fit(views, y), "classes_")


def test_rare_labels():
    """Labels that one row has may be held out altogether."""
    X, Y, y = make_data()
    rare = np.where(np.arange(300) % 3 == 0, 10 + np.arange(300), y)
    aligner = FactorizedContrastiveAligner(2, 2, supervised=True, **SMALL | {"max_epochs": 1})
    contributions = aligner.fit(Views(x=X, y=Y), rare).contributions_
    assert np.isfinite([contributions["shared"], *contributions["unique"].values()]).all()


def test_augmentation_is_what_the_unique_block_forgets():
    X, Y, _ = make_data(1000)
    seen = []

    def flip(T):
        seen.append(tuple(T.shape))
        return T * (2 * torch.randint(2, (len(T), 1)) - 1)

    options = SMALL | {"input_noise": 0.0}
    aligner = FactorizedContrastiveAligner(2, 2, augmentations={"x": flip, "y": flip}, **options).fit(X, Y)
    assert {shape[1] for shape in seen} == {4, 5}
    assert np.isfinite(list(aligner.contributions_["unique"].values())).all()
    with pytest.raises(ValueError, match="View 'x': the augmentation of a tensor of shape"):
        clone(aligner).set_params(augmentations=lambda T: T[:, :2]).fit(X, Y)
    with pytest.raises(ValueError, match="View 'x' is not augmented"):
        clone(aligner).set_params(augmentations=None).fit(X, Y)


def test_tools_and_global_randomness():
    X, Y, y = make_data()
    views = Views(x=X, y=Y)
    pipe = make_pipeline(
        FactorizedContrastiveAligner(2, 2, supervised=True, **SMALL), Fuse("concat"), LogisticRegression()
    )
    grid = {"factorizedcontrastivealigner__blocks": ["both", "unique"]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2, error_score="raise").fit(views, y)
    assert search.best_score_ > 0.5  # chance: 0.25
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    aligner = FactorizedContrastiveAligner(2, 2, **SMALL).fit(views)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert_array_equal(pickle.loads(pickle.dumps(aligner)).transform(views)["x"], aligner.transform(views)["x"])
    assert_array_equal(clone(aligner).fit(views).transform(views)["x"], aligner.transform(views)["x"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"blocks": "all"}, "blocks must be one of"),
        ({"n_shared": 0}, "n_shared must be a whole number of at least 1, got 0"),
        ({"n_unique": 0}, "n_unique must be a whole number of at least 1, got 0"),
        ({"n_unique": "2"}, "n_unique must be a whole number of at least 1, got '2'"),
        ({"upper_weight": -1.0}, "upper_weight must be a number of at least 0"),
        ({"decorrelation": np.inf}, "decorrelation must be a number of at least 0"),
        ({"augmentations": "flip"}, "View 'x': augmentations must be functions"),
        ({"supervised": True}, r"fit\(X, Y\) has no place for them"),
    ],
)
def test_bad_parameters(parameters, message):
    X, Y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        FactorizedContrastiveAligner(**{"n_shared": 2, "n_unique": 2} | parameters, **SMALL).fit(X, Y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: None, "y is None"),
        (lambda y: np.zeros(300), "one label only"),
        (lambda y: y[:-1], "y must hold one label for each of 300 rows"),
        (lambda y: np.where(y == 0, np.nan, y), "y has missing labels"),
    ],
    ids=["none", "one class", "too few", "missing"],
)
def test_bad_labels(change, message):
    X, Y, y = make_data()
    with pytest.raises(ValueError, match=message):
        FactorizedContrastiveAligner(2, 2, supervised=True, **SMALL).fit(Views(x=X, y=Y), change(y))
