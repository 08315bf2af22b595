"""Contrast of bags: which picture goes with which word is learned from bags of both whose order nobody knows."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from skalign import ContrastiveAligner, OTAligner, Views, select_view
from skalign.base import PairedAlignerMixin
from skalign.metrics import mean_reciprocal_rank
from skalign.transport import bag_plans, bag_transport_costs

torch = pytest.importorskip("torch")
from skalign._bags import Bags, read_bags  # noqa: E402
from skalign.contrastive._bag_objective import bag_scores  # noqa: E402
from skalign.contrastive._bags import bag_similarity  # noqa: E402

CHANCE = sum(1 / rank for rank in range(1, 101)) / 100  # mean reciprocal rank among 100
SEEDS = (0, 1, 2)
LINEAR = {"n_components": 16, "encoder": "linear", "learning_rate": 0.01, "max_epochs": 30, "batch_size": 128}
SMALL = {"n_components": 4, "encoder": "linear", "learning_rate": 0.01, "max_epochs": 3, "random_state": 0}


def bags_of_digits(images, labels, n, words, rng):
    """Sets of 3 to 6 digits, and of the noisy vectors of their labels in another order; labels of both."""
    pictures, vectors, of_pictures, of_vectors = [], [], [], []
    for _ in range(n):
        chosen = rng.choice(len(images), rng.integers(3, 7), replace=False)
        order = rng.permutation(chosen)
        pictures.append(images[chosen])
        vectors.append(words[labels[order]] + 0.1 * rng.normal(size=(len(order), words.shape[1])))
        of_pictures.append(labels[chosen])
        of_vectors.append(labels[order])
    return Views(image=pictures, label=vectors), of_pictures, of_vectors


def digit_task(seed, n_train=300, n_test=150):
    """Bags to train on and bags of other pictures to test with."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
    words = rng.normal(size=(10, 10))
    train = bags_of_digits(X_train, y_train, n_train, words, rng)[0]
    return train, *bags_of_digits(X_test, y_test, n_test, words, rng)


def small_views(n=30, seed=0, dtype=np.float64):
    """Bags whose elements are noisy linear images of the same few points."""
    rng = np.random.default_rng(seed)
    points = [rng.normal(size=(rng.integers(1, 5), 3)) for _ in range(n)]
    maps = rng.normal(size=(3, 5)), rng.normal(size=(3, 6))
    a, b = ([(rng.permutation(u) @ W).astype(dtype) for u in points] for W in maps)
    return Views(a=a, b=b)


def pooled(views):
    return Views({name: np.array([bag.mean(axis=0) for bag in bags]) for name, bags in views.items()})


def right_partners(plans, of_pictures, of_vectors):
    """Share of pictures whose heaviest partner has their label."""
    found = [words[plan.argmax(axis=1)] == digits for plan, digits, words in zip(plans, of_pictures, of_vectors)]
    return np.concatenate(found).mean()


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed{seed}")
def learned(request):
    task = digit_task(request.param)
    return request.param, *task, ContrastiveAligner(**LINEAR, random_state=request.param).fit(task[0])


# --- digits and the vectors of their labels ------------------------------------------------------------------------


def test_true_pairs_cost_less_than_shuffled_ones(learned):
    *_, test, _, _, aligner = learned
    Z = aligner.transform(test)
    costs = bag_transport_costs(Z["image"], Z["label"]).costs
    true, shuffled = np.diag(costs), costs[~np.eye(len(costs), dtype=bool)]
    assert true.mean() < 0.5 * shuffled.mean()
    assert np.mean(true[:, None] < costs, where=~np.eye(len(costs), dtype=bool)) > 0.98


def test_bags_are_found(learned):
    seed, train, test, _, _, aligner = learned
    score = aligner.score(test)
    baseline = ContrastiveAligner(**LINEAR, random_state=seed).fit(pooled(train)).score(pooled(test))
    assert baseline > 5 * CHANCE
    assert score > baseline + 0.2
    assert score > 0.85


def test_partners_inside_bags_are_found(learned):
    *_, test, of_pictures, of_vectors, aligner = learned
    Z = aligner.transform(test)
    plans = bag_plans(Z["image"], Z["label"]).plans
    at_random = np.concatenate([(d[:, None] == w).mean(axis=1) for d, w in zip(of_pictures, of_vectors)]).mean()
    assert at_random < 0.4
    assert right_partners(plans, of_pictures, of_vectors) > 0.95


def test_pipeline_with_transport():
    train, test, of_pictures, of_vectors = digit_task(0)
    pipe = make_pipeline(ContrastiveAligner(**LINEAR, random_state=0), OTAligner()).fit(train)
    assert [plan.shape for plan in pipe[-1].plan_] == [(len(a), len(b)) for a, b in zip(train["image"], train["label"])]
    found = pipe.predict(test)
    right = [words[partners] == digits for partners, digits, words in zip(found, of_pictures, of_vectors)]
    assert np.concatenate(right).mean() > 0.95
    assert pipe.score(test) > 0.95  # 0.5 by chance


# --- similarity of bags ---------------------------------------------------------------------------------------------


def random_bags(sizes, width=4, seed=0):
    rng = np.random.default_rng(seed)
    return read_bags([rng.normal(size=(size, width)) for size in sizes])


@pytest.mark.parametrize("function", ["cosine", "dot"])
def test_similarity_is_that_of_the_plan(function):
    A, B = random_bags([2, 1, 4], seed=1), random_bags([3, 2, 1], seed=2)
    S = bag_similarity(A, B, function, 0.1)
    if function == "cosine":
        A, B = (Z.map(lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)) for Z in (A, B))
    assert_allclose(np.diag(S)[1:], np.diag(bag_similarity(A[[1, 2]], B[[1, 2]], function, 0.1)), atol=0.05)
    costs = bag_transport_costs(A, B, regularization=0.1)
    for i, a in enumerate(A.unpack()):
        for j, b in enumerate(B.unpack()):
            plan = bag_plans([a], [b], epsilon=costs.epsilon).plans[0]
            assert_allclose(S[i, j], (plan * (a @ b.T)).sum(), atol=1e-5)


def test_bags_of_one_element_compare_as_rows():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 20, 3))
    S = bag_similarity(Bags(X, np.arange(21)), Y, "dot", 0.05)
    assert_allclose(S, X @ Y.T, atol=1e-10)


def test_gradient_of_bag_scores():
    A, B = (random_bags(sizes, seed=i).map(torch.tensor) for i, sizes in enumerate([[2, 1, 3], [3, 2]]))
    weights = torch.tensor(np.random.default_rng(2).normal(size=(3, 2)))
    rows = A.elements.clone().requires_grad_()

    def value(elements, regularization):
        return (weights * bag_scores(Bags(elements, A.offsets), B, regularization)).sum()

    value(rows, 0.3).backward()
    for r, c in [(0, 0), (3, 2), (5, 1)]:
        step = torch.zeros_like(rows)
        step[r, c] = 1e-4
        values = []
        for moved in (A.elements + step, A.elements - step):
            # The gradient is that at a fixed epsilon, which is relative to a mean that moves too.
            means = [mean_half_square(Bags(Z, A.offsets), B) for Z in (A.elements, moved)]
            values.append(float(value(moved, 0.3 * means[0] / means[1])))
        assert_allclose(float(rows.grad[r, c]), (values[0] - values[1]) / 2e-4, rtol=2e-3, atol=1e-5)


def mean_half_square(A, B):
    costs = torch.cdist(A.elements, B.elements).square().numpy() / 2
    return A.weights @ costs @ B.weights


def test_training_on_bags_of_one_element_is_training_on_rows():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 5)), rng.normal(size=(40, 6))
    aligner = ContrastiveAligner(**SMALL)
    of_rows = clone(aligner).fit(Views(a=X, b=Y))
    of_bags = clone(aligner).fit(Views(a=list(X[:, None]), b=Y[:, None]))
    assert_allclose(of_bags.loss_curve_, of_rows.loss_curve_, rtol=1e-4)
    assert_allclose(
        np.concatenate(of_bags.transform(Views(a=X[:, None]))["a"]), of_rows.transform(Views(a=X))["a"], atol=1e-4
    )
    for name in ("modality_gap_", "alignment_", "temperature_"):
        assert_allclose(getattr(of_bags, name), getattr(of_rows, name), rtol=1e-3)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("loss", ["infonce", "siglip", "hinge", "vse++", "dcl"])
def test_every_loss_on_bags_learns(loss, similarity):
    views = small_views(120)
    aligner = ContrastiveAligner(**SMALL, loss=loss, similarity_function=similarity, batch_size=40)
    aligner.set_params(max_epochs=25, **({"temperature": 1.0, "margin": 1.0} if similarity == "dot" else {}))
    assert aligner.fit(views[:80]).score(views[80:]) > 3 * sum(1 / rank for rank in range(1, 41)) / 40


def test_score_and_diagnostics():
    views = small_views(250)
    aligner = ContrastiveAligner(**SMALL).set_params(max_epochs=10).fit(views[:200])
    Z = aligner.transform(views[200:])
    costs = bag_transport_costs(Z["a"], Z["b"]).costs
    assert_allclose(aligner.score(views[200:]), mean_reciprocal_rank(similarity=-costs, n_candidates=100))
    assert aligner.best_epoch_ > 0  # 20 bags were held out
    assert_allclose(aligner.mutual_information_ceiling_, np.log(20), rtol=1e-6)
    assert 0 < aligner.mutual_information_lower_bound_ < aligner.mutual_information_ceiling_
    assert 0 < aligner.alignment_ < 2
    assert set(aligner.uniformity_) == {"a", "b"}


def test_groups_of_bags():
    views = small_views(40)
    twice = Views({name: bags + bags for name, bags in views.items()})
    groups = np.tile(np.arange(40), 2)
    aligner = ContrastiveAligner(**SMALL, positives="groups").set_params(max_epochs=20).fit(twice, groups)
    assert aligner.score(twice, groups) > 0.5


# --- forms of bags --------------------------------------------------------------------------------------------------


def test_output_mirrors_the_input():
    views = small_views()
    aligner = ContrastiveAligner(**SMALL).fit(views)
    Z = aligner.transform(views)
    assert isinstance(Z["a"], list)
    assert [bag.shape for bag in Z["b"]] == [(len(bag), 4) for bag in views["b"]]
    assert_allclose(np.linalg.norm(np.concatenate(Z["a"]), axis=1), 1.0)
    stacked = np.ones((4, 3, 5)) + np.arange(5)
    out = aligner.transform(Views(a=stacked))["a"]
    assert out.shape == (4, 3, 4)
    assert_allclose(out, aligner.encoders_["a"].transform(list(stacked)))
    assert_array_equal(select_view(aligner, "a").transform(views["a"])[2], Z["a"][2])
    back = aligner.inverse_transform(Z)
    assert [bag.shape for bag in back["a"]] == [bag.shape for bag in views["a"]]
    assert aligner.set_output(transform="pandas").transform(views)["a"][0].shape == Z["a"][0].shape


def test_two_lists():
    views = small_views()
    aligner = ContrastiveAligner(**SMALL)
    first = aligner.fit_transform(views["a"], views["b"])
    expected = clone(aligner).fit(views).transform(views)
    assert_array_equal(first[3], expected["a"][3])
    pair = aligner.transform(views["a"], views["b"])
    assert_array_equal(pair[1][3], expected["b"][3])
    assert aligner.score(views["a"], views["b"]) == clone(aligner).fit(views).score(views)


@pytest.mark.skipif(not hasattr(PairedAlignerMixin, "_compare"), reason="similarity has no door for it yet")
def test_similarity():
    views = small_views()
    aligner = ContrastiveAligner(**SMALL).fit(views)
    S = aligner.similarity(views)
    assert S.shape == (30, 30)
    assert_allclose(aligner.score(views), mean_reciprocal_rank(similarity=S, n_candidates=100))
    assert aligner.similarity(Views(a=views["a"][:4]), Views(b=views["b"])).shape == (4, 30)
    with pytest.raises(ValueError, match="Bags are compared by 'cosine'"):
        aligner.similarity(views, function="rbf")


def test_rows_beside_bags():
    """A whole picture against the words of its caption."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 4))
    words = [row @ rng.normal(size=(4, 5)) + 0.1 * rng.normal(size=(rng.integers(1, 4), 5)) for row in rows]
    views = Views(image=rows, words=words)
    aligner = ContrastiveAligner(**SMALL).fit(views)
    assert aligner.transform(views)["image"].shape == (60, 4)
    assert isinstance(aligner.transform(views)["words"], list)
    assert 0 < aligner.score(views) <= 1


def test_arrays_for_a_net_of_ones_own_are_samples():
    rng = np.random.default_rng(0)
    views = Views(image=rng.normal(size=(20, 4, 3)), text=rng.normal(size=(20, 5)))

    def flat(shape, n_components):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), n_components))

    aligner = ContrastiveAligner(**SMALL).set_params(encoder={"image": flat, "text": "linear"})
    assert clone(aligner).fit(views).transform(views)["image"].shape == (20, 4)
    bags = Views(image=list(views["image"]), text=views["text"])
    assert clone(aligner).fit(bags).transform(bags)["image"][0].shape == (4, 4)


def test_tensors_and_float32():
    views = small_views(dtype=np.float32)
    aligner = ContrastiveAligner(**SMALL).fit(views)
    assert aligner.transform(views)["a"][0].dtype == np.float32
    tensors = Views({name: [torch.tensor(bag) for bag in bags] for name, bags in views.items()})
    Z = clone(aligner).fit(tensors).transform(tensors)
    assert Z["a"][0].dtype == torch.float32
    assert_allclose(Z["a"][5].numpy(), aligner.transform(views)["a"][5], atol=1e-5)
    assert_allclose(aligner.score(tensors), aligner.score(views))


# --- contract -------------------------------------------------------------------------------------------------------


def test_same_seed_same_weights_and_pickle():
    views = small_views()
    aligner = ContrastiveAligner(**SMALL)
    state = torch.random.get_rng_state()
    Z = aligner.fit(views).transform(views)
    assert torch.equal(torch.random.get_rng_state(), state)
    again = clone(aligner).fit(views)
    loaded = pickle.loads(pickle.dumps(aligner))
    for other in (again, loaded):
        assert_array_equal(np.concatenate(other.transform(views)["b"]), np.concatenate(Z["b"]))
        assert other.score(views) == aligner.score(views)


def test_training_goes_on():
    views = small_views()
    aligner = ContrastiveAligner(**SMALL, warm_start=True).fit(views)
    assert aligner.fit(views).n_iter_ == 6
    assert aligner.partial_fit(views).n_iter_ == 7
    assert len(aligner.loss_curve_) == 7


def test_checkpoint(tmp_path):
    views = small_views()
    expected = ContrastiveAligner(**SMALL).fit(views).loss_curve_
    assert ContrastiveAligner(**SMALL, checkpoint=tmp_path).fit(views).loss_curve_ == expected
    assert not list(tmp_path.iterdir())


def test_grid_search():
    views = small_views(40)
    pipe = make_pipeline(ContrastiveAligner(**SMALL), OTAligner())
    grid = {"contrastivealigner__bag_regularization": [0.02, 0.2], "contrastivealigner__n_components": [2, 4]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2).fit(views)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(np.unique(search.cv_results_["mean_test_score"])) > 1


def test_inputs_stay_as_they_are():
    views = small_views()
    before = [bag.copy() for bag in views["a"]]
    for bag in views["a"]:
        bag.setflags(write=False)
    ContrastiveAligner(**SMALL).fit(views).transform(views)
    for bag, copy in zip(views["a"], before):
        assert_array_equal(bag, copy)


# --- bad input ------------------------------------------------------------------------------------------------------


def replaced(views, bag, at=2):
    return Views(a=views["a"][:at] + [bag] + views["a"][at + 1 :], b=views["b"])


@pytest.mark.parametrize(
    ("bag", "message"),
    [
        (np.empty((0, 5)), r"View 'a', sample 2: .*0 sample"),
        (np.array([[0.0, 1.0, np.nan, np.inf, 0.0]]), r"View 'a', sample 2: .*1 NaN and 1 inf in shape \(1, 5\)"),
        (np.ones((2, 4)), "View 'a': the elements of sample 2 have 4 features, those of sample 0 have 5"),
        (np.ones(5), "View 'a', sample 2: "),
    ],
)
def test_bad_bags(bag, message):
    views = small_views()
    with pytest.raises(ValueError, match=message):
        ContrastiveAligner(**SMALL).fit(replaced(views, bag))
    aligner = ContrastiveAligner(**SMALL).fit(views)
    with pytest.raises(ValueError, match=message):
        aligner.transform(replaced(views, bag)[["a"]])


def test_other_bad_input():
    views = small_views()
    aligner = ContrastiveAligner(**SMALL)
    with pytest.raises(ValueError, match="30 and|30 .* 29|29"):
        aligner.fit(views["a"], views["b"][:29])
    with pytest.raises(ValueError, match="Found 1 bag"):
        aligner.fit(views[:1])
    with pytest.raises(ValueError, match="is constant"):
        aligner.fit(Views(a=[np.ones((2, 3))] * 30, b=views["b"]))
    aligner.fit(views)
    with pytest.raises(ValueError, match="was fitted on bags of elements"):
        aligner.transform(Views(a=np.ones((3, 5))))
    with pytest.raises(ValueError, match="X has 4 features, but .*5 features"):
        aligner.transform(Views(a=[np.ones((3, 4))]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "supcon"}, "loss='supcon' needs more"),
        ({"loss": "triplet"}, "loss='triplet' needs more"),
        ({"init": "cca"}, "init='cca' needs rows"),
        ({"bag_regularization": 0.0}, "bag_regularization must be"),
        ({"bag_regularization": "small"}, "bag_regularization must be"),
    ],
)
def test_parameters_that_bags_refuse(parameters, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveAligner(**SMALL).set_params(**parameters).fit(small_views())
