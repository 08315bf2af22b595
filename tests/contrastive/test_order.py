"""Order embeddings: energies against formulas, who is a negative of whom, and what users call."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import Views
from skalign.contrastive import OrderAligner

torch = pytest.importorskip("torch")
from skalign.contrastive import _order_geometry as geometry  # noqa: E402
from skalign.contrastive._order_objective import FALSE, TRUE, UNKNOWN, OrderObjective, RelatedRows  # noqa: E402
from skalign.contrastive._order_training import calibrate, weighted_precision  # noqa: E402

SMALL = {"hidden_layer_sizes": (16,), "learning_rate": 0.01, "max_epochs": 30, "random_state": 0}
PARTS = np.array([[(i >> k) & 1 for k in range(4)] for i in range(1, 16)], dtype=float)


def subset_pairs():
    """Pairs of sets, the larger first."""
    pairs = [(a, b) for a in PARTS for b in PARTS if (a >= b).all() and (a != b).any()]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


# --- energies -------------------------------------------------------------------------------------------------------


def test_order_energy_is_the_sum_of_violations():
    rng = np.random.default_rng(0)
    A, B = rng.random((5, 3)), rng.random((4, 3))
    expected = [[sum(max(0.0, b - a) ** 2 for a, b in zip(x, y)) for y in B] for x in A]
    assert_allclose(geometry.order_energy(torch.tensor(A), torch.tensor(B)), expected)


def published_cone_energy(A, B, c):
    """The form of the paper, by Lorentzian products, in float64."""

    def lift(V):
        r = np.sqrt(c) * np.linalg.norm(V, axis=1, keepdims=True)
        return np.sinh(r) / r * V

    A, B = lift(A), lift(B)
    time_a, time_b = (np.sqrt(1 / c + (Z**2).sum(axis=1)) for Z in (A, B))
    product = c * (B @ A.T - np.outer(time_b, time_a))
    length = np.linalg.norm(B, axis=1)[:, None]
    exterior = np.arccos((time_a + time_b[:, None] * product) / (length * np.sqrt(product**2 - 1)))
    return (exterior - np.arcsin(np.minimum(1, 0.2 / (np.sqrt(c) * length)))).T


@pytest.mark.parametrize("c", [0.1, 1.0, 10.0])
def test_cone_energy_is_that_of_the_paper(c):
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(6, 3)) + 0.5, rng.normal(size=(5, 3)) + 0.5
    energy = geometry.cone_energy(torch.tensor(A), torch.tensor(B), c)
    assert_allclose(energy, published_cone_energy(A, B, c), atol=1e-7)


def test_cones_lie_inside_each_other():
    """What lies in the cone of a point in the cone of a third lies in that of the third."""
    rng = np.random.default_rng(0)
    Z = torch.tensor(rng.normal(size=(300, 2)))
    inside = (geometry.cone_energy(Z, Z, 1.0) < -1e-9).numpy() & (Z.norm(dim=1) > np.arcsinh(0.2)).numpy()
    np.fill_diagonal(inside, False)
    chained = inside.astype(int) @ inside > 0
    assert chained.sum() > 100
    assert inside[chained].all()


def test_hyperbolic_distance():
    V = torch.tensor([[0.3, 0.4], [-0.6, -0.8], [0.3, 0.4]])
    D = geometry.lorentz_distance(V, V, 1.0)
    assert_allclose(D[0], [0.0, 1.5, 0.0], atol=1e-6)  # a line through the origin
    assert_allclose(D, D.T)


@pytest.mark.parametrize("function", [geometry.order_energy, lambda A, B: geometry.cone_energy(A, B, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_at_ties_and_at_the_origin_are_finite(function, dtype):
    Z = torch.tensor([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0], [2.0, 4.0], [1e3, 1e3]], dtype=dtype, requires_grad=True)
    E = function(Z, Z)
    E.sum().backward()
    assert torch.isfinite(E).all()
    assert torch.isfinite(Z.grad).all()


def test_the_published_clamp_is_void_in_float32():
    x = torch.tensor([1.0], dtype=torch.float32, requires_grad=True)
    torch.acos(x.clamp(max=1 - 1e-8)).sum().backward()
    assert not torch.isfinite(x.grad).all()


# --- who entails whom -----------------------------------------------------------------------------------------------


def test_relations_of_a_batch():
    a, b, c, d = torch.eye(4)
    rows = RelatedRows({"specific": torch.stack([a, a, b]), "general": torch.stack([b, c, d])}, one_net=True)
    names = "aabbcd"  # the rows of the first view, then of the second
    known = {"ab", "ac", "bd"}
    expected = [[UNKNOWN if x == y else TRUE if x + y in known else FALSE for y in names] for x in names]
    assert_array_equal(rows.relation(slice(None)), expected)
    apart = RelatedRows(rows.views, one_net=False)
    expected = [[FALSE if i < 3 <= j else UNKNOWN for j in range(6)] for i in range(6)]
    for i, j in ((0, 3), (0, 4), (1, 3), (1, 4), (2, 5)):
        expected[i][j] = TRUE
    assert_array_equal(apart.relation(slice(None)), expected)
    assert_array_equal(apart.between(0, 1), [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    assert_array_equal(rows.between(0, 1), [[1, 1, -1], [1, 1, -1], [0, -1, 1]])
    # Pairs outside of the batch are known to it: row 1 pairs a with c.
    assert rows.relation(torch.tensor([0]))[0, 1] == TRUE


def test_loss_by_hand():
    objective = OrderObjective(["x", "y"], "order", 0.5, 1.0, False)
    outputs = {"x": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "y": torch.tensor([[1.0, 0.2], [0.0, 0.4]])}
    relation = torch.tensor([[0, 0, 1, -1], [0, 0, -1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    # Energies: 0.04 and 0 of the true ones, 0.16 and 1 of the false ones.
    assert float(objective(outputs, None, relation)) == pytest.approx(0.04 / 2 + (0.5 - 0.16) / 2)
    assert float(objective(outputs, None, relation.clamp(min=0))) == pytest.approx(0.04 / 2)  # none that is false
    assert float(objective(outputs, None, relation.clamp(max=0))) == pytest.approx((0.5 - 0.16) / 2)


def test_precision_does_not_depend_on_the_number_of_rows():
    rng = np.random.default_rng(0)

    def precision(n):
        return weighted_precision(rng.normal(size=(n, n)) + 2 * np.eye(n), 2 * np.eye(n) - 1)

    few, many = np.mean([precision(100) for _ in range(20)]), np.mean([precision(400) for _ in range(3)])
    assert few == pytest.approx(many, abs=0.03)
    assert weighted_precision(np.zeros((50, 50)), 2 * np.eye(50) - 1) == pytest.approx(0.5)


def test_calibration_finds_the_threshold():
    E = np.random.default_rng(0).normal(size=(200, 200))
    holds = np.random.default_rng(1).random((200, 200)) < 1 / (1 + np.exp(-3 * (0.5 - E)))
    relation = np.where(holds, TRUE, FALSE)
    threshold, slope = calibrate(E, relation)
    assert slope == pytest.approx(3, rel=0.1)
    prior = np.log(holds.mean() / (1 - holds.mean()))  # true and false ones are made equally frequent
    assert threshold == pytest.approx(0.5 - prior / 3, abs=0.05)
    assert calibrate(-E, relation) == (0.0, 0.0)  # the wrong way round: energies that tell nothing


# --- the estimator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", geometry.GEOMETRIES)
def test_direction_and_probabilities(kind):
    X, Y = subset_pairs()
    aligner = OrderAligner(
        4, geometry=kind, shared_encoder=True, **SMALL | {"max_epochs": 500, "input_noise": 0.0}
    ).fit(X, Y)
    forth, back = np.diag(aligner.similarity(X, Y)), np.diag(aligner.similarity(Y, X))
    assert np.mean(forth > back) > 0.95
    P = aligner.entails(X, Y)
    assert ((P >= 0) & (P <= 1)).all()
    assert_allclose(P, 1 / (1 + np.exp(-aligner.slope_ * (aligner.threshold_ + aligner.similarity(X, Y)))))
    assert np.diag(P).mean() > 0.8
    assert np.diag(aligner.entails(Y, X)).mean() < 0.2
    assert aligner.score(X, Y) > 0.9


def test_one_net_encodes_all_views_alike():
    X, Y = subset_pairs()
    aligner = OrderAligner(3, shared_encoder=True, **SMALL).fit(Views(a=X, b=Y, c=Y))
    Z = [encoder.transform(X) for encoder in aligner.encoders_.values()]
    assert_array_equal(Z[0], Z[1])
    assert_array_equal(Z[0], Z[2])
    assert (Z[0] >= 0).all()
    assert not np.array_equal(*OrderAligner(3, **SMALL).fit(X, Y).transform(X, X))


def test_score_goes_by_the_order_of_the_fit():
    X, Y = subset_pairs()
    aligner = OrderAligner(3, shared_encoder=True, **SMALL).fit(Views(a=X, b=Y))
    assert aligner.score(Views(b=Y, a=X)) == aligner.score(Views(a=X, b=Y))
    assert aligner.score(Views(a=X, b=Y)) > aligner.score(Views(a=Y, b=X))


def test_the_geometry_is_that_of_the_fit():
    X, Y = subset_pairs()
    aligner = OrderAligner(3, **SMALL).fit(X, Y)
    P, score = aligner.entails(X, Y), aligner.score(X, Y)
    aligner.set_params(geometry="hyperbolic")
    assert_array_equal(aligner.entails(X, Y), P)
    assert aligner.score(X, Y) == score


@pytest.mark.parametrize("kind", geometry.GEOMETRIES)
def test_tools_and_containers(kind):
    X, Y = subset_pairs()
    aligner = OrderAligner(2, geometry=kind, **SMALL)
    search = GridSearchCV(make_pipeline(StandardScaler(), aligner), {"orderaligner__n_components": [1, 3]}, cv=3)
    assert np.isfinite(search.fit(X, Y).cv_results_["mean_test_score"]).all()
    fitted = clone(aligner).fit(X, Y)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).entails(X, Y), fitted.entails(X, Y))
    tensors = Views(x=torch.tensor(X), y=torch.tensor(Y))
    P = clone(aligner).fit(tensors).entails(tensors)
    assert isinstance(P, torch.Tensor)
    assert_allclose(P, fitted.entails(X, Y), atol=1e-6)
    assert fitted.similarity(X.astype(np.float32), Y.astype(np.float32)).dtype == np.float32
    assert 0.1 <= fitted.curvature_ <= 10
    assert "_rows_to_calibrate" not in vars(fitted)
    fitted.partial_fit(X, Y)
    assert fitted.n_iter_ == len(fitted.loss_curve_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"geometry": "spherical"}, "geometry must be one of"),
        ({"margin": -1.0}, "margin=-1.0 is out of range"),
        ({"curvature": 0.0}, "curvature=0.0 is out of range"),
        ({"curvature": np.inf}, "curvature=inf is out of range"),
        ({"shared_encoder": "yes"}, "shared_encoder must be True or False"),
        ({"learn_curvature": None}, "learn_curvature must be True or False"),
        ({"shared_encoder": True, "encoder": {"x": "mlp", "y": "linear"}}, "encoder differs between views"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        OrderAligner(**parameters, **SMALL).fit(*subset_pairs())


def test_bad_input():
    X, Y = subset_pairs()
    with pytest.raises(ValueError, match="samples have one shape"):
        OrderAligner(shared_encoder=True, **SMALL).fit(X, Y[:, :3])
    with pytest.raises(ValueError, match="View 'y'.*1 NaN"):
        OrderAligner(**SMALL).fit(X, np.where(np.arange(Y.size).reshape(Y.shape) == 0, np.nan, Y))


def test_relations_that_leave_nothing_to_learn():
    X, Y = subset_pairs()
    everything = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
    with pytest.raises(ValueError, match="nothing to tell apart"):
        OrderAligner(**SMALL).fit(*everything)
    with pytest.raises(ValueError, match="nothing to tell apart"):  # a cycle of two
        OrderAligner(shared_encoder=True, **SMALL).fit(X[[0, -1]], X[[-1, 0]])
    with pytest.raises(ValueError, match="a thing and itself are no pair"):
        OrderAligner(shared_encoder=True, **SMALL).fit(X, X)
    aligner = OrderAligner(shared_encoder=True, **SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="a thing and itself are no pair"):
        aligner.score(X, X)
    one_parent = np.r_[np.repeat(Y[:1], len(Y) - 1, axis=0), Y[-1:]]
    with pytest.raises(ValueError, match="nothing to tell apart.*early_stopping=False"):
        OrderAligner(early_stopping=True, **SMALL).fit(X, one_parent)
    # Some batches hold no relation, or only such as hold.
    kept = np.arange(len(X)) % 3 == 0
    half = OrderAligner(shared_encoder=True, batch_size=2, **SMALL | {"max_epochs": 3})
    assert np.isfinite(half.fit(X, np.where(kept[:, None], Y, X)).loss_curve_).all()


@pytest.mark.parametrize("kind", geometry.GEOMETRIES)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scales_do_not_matter(kind, scale):
    X, Y = subset_pairs()
    aligner = OrderAligner(3, geometry=kind, **SMALL)
    expected = clone(aligner).fit(X, Y).entails(X, Y)
    dtype = np.float32
    P = aligner.fit((scale * X).astype(dtype), (scale * Y).astype(dtype)).entails(scale * X, scale * Y)
    assert_allclose(P, expected, atol=0.02)
    far = aligner.entails(1e6 * scale * X, 1e6 * scale * Y)
    assert ((far >= 0) & (far <= 1)).all()


@pytest.mark.parametrize("kind", geometry.GEOMETRIES)
def test_learning_that_fails_gives_even_odds(kind):
    X, Y = subset_pairs()
    P = OrderAligner(3, geometry=kind, **SMALL | {"learning_rate": 1000.0}).fit(X, Y).entails(X, Y)
    assert ((P >= 0) & (P <= 1)).all()
    assert P.mean() == pytest.approx(0.5, abs=0.2)
