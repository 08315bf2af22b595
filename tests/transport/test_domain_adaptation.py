"""Labels of one collection used in another, from Domains to an ordinary classifier; target labels only judge."""

import warnings

import numpy as np
import pytest
from scipy.linalg import expm
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skalign import Domains, Fuse, OTAligner, PerView

SEEDS = (0, 1, 2)


def digits(seed):
    """Digits, and other digits whose pixels were rotated as vectors, rescaled and shifted."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    source, target = order[:600], order[600:1200]
    turn = rng.normal(size=(64, 64)) / 128**0.5
    return X[source], y[source], 2.0 * X[target] @ expm(turn - turn.T) + 10.0, y[target]


def moons(seed):
    """Two moons, and others turned by 40 degrees, rescaled and shifted."""
    angle = np.deg2rad(40)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    X, y = make_moons(300, noise=0.05, random_state=2 * seed)
    Z, z = make_moons(300, noise=0.05, random_state=2 * seed + 1)
    return X, y, 3.0 * Z @ turn.T - 5.0, z


def centered():
    """Takes shift and scale from a collection, and leaves rotation to the aligner."""
    return make_pipeline(StandardScaler(with_std=False), Normalizer())


DATA = {
    "digits": (digits, centered(), LogisticRegression(max_iter=300)),
    "moons": (moons, StandardScaler(), KNeighborsClassifier(5)),
}


def collect(data):
    """The pieces as Domains, labels in which those of the target are unknown, and all labels."""
    X, y, Z, z = data
    domains = Domains(source=X, target=Z)
    return domains, Domains.stack(source=y, target=np.full(len(z), -1)), Domains.stack(source=y, target=z)


def pipeline(aligner, step, classifier):
    # max_iter=0: rows of label -1 are left out, and no labels are guessed for them.
    return make_pipeline(
        PerView({"source": step, "target": step}),
        aligner,
        Fuse(),
        SelfTrainingClassifier(classifier, max_iter=0),
    )


def target_accuracy(model, domains, labels):
    rows = domains.rows("target")
    return accuracy_score(labels[rows], model.predict(domains)[rows])


def accuracies(make, step, classifier, aligner):
    found = []
    for seed in SEEDS:
        domains, known, labels = collect(make(seed))
        found.append(target_accuracy(pipeline(aligner, step, classifier).fit(domains, known), domains, labels))
    return np.array(found)


@pytest.mark.parametrize("data", list(DATA))
def test_adaptation_helps(data):
    """With each seed, by 5 of 100 at least."""
    without, adapted = (
        accuracies(*DATA[data], aligner)
        for aligner in ("passthrough", OTAligner(regularization=0.02, pairs_from_y=False))
    )
    assert (adapted >= without + 0.05).all(), (without, adapted)


@pytest.mark.parametrize("method", ["sinkhorn", "exact"])
@pytest.mark.parametrize("data", list(DATA))
def test_as_accurate_as_pot(data, method):
    """The same preparation, regularisation and classifier; fitted rows go to the same places but for convergence."""
    da = pytest.importorskip("ot").da
    make, step, classifier = DATA[data]
    X, y, Z, z = make(0)
    domains, known, labels = collect((X, y, Z, z))
    aligner = OTAligner(method=method, regularization=0.05, pairs_from_y=False)
    model = pipeline(aligner, step, classifier).fit(domains, known)
    X, Z = (clone(step).fit_transform(part) for part in (X, Z))
    epsilon = model.named_steps["otaligner"].epsilon_
    peer = da.EMDTransport() if method == "exact" else da.SinkhornTransport(reg_e=epsilon, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # POT warns where it stops at max_iter
        mapped = peer.fit(Xs=X, Xt=Z).transform(Xs=X)
    expected = accuracy_score(z, clone(classifier).fit(mapped, y).predict(Z))
    assert abs(target_accuracy(model, domains, labels) - expected) <= 0.01


def test_the_classifier_sees_source_rows_alone():
    domains, known, _ = collect(moons(0))
    model = pipeline(OTAligner(pairs_from_y=False), StandardScaler(), KNeighborsClassifier(5)).fit(domains, known)
    classifier = model[-1].estimator_
    assert set(classifier.classes_) == {0, 1}
    assert classifier.n_samples_fit_ == len(domains["source"])
    plain = make_pipeline(*(clone(step) for _, step in model.steps[:-1]), KNeighborsClassifier(5)).fit(domains, known)
    assert -1 in plain.classes_  # what an ordinary classifier alone takes the unknown for


def test_labels_are_no_pair_ids():
    domains, known, labels = collect(moons(0))
    aligner = OTAligner().set_params(pairs_from_y=True)
    with pytest.raises(ValueError, match="pairs_from_y=False"):
        pipeline(aligner, StandardScaler(), KNeighborsClassifier(5)).fit(domains, labels)
    pipeline(clone(aligner).set_params(pairs_from_y=False), StandardScaler(), KNeighborsClassifier(5)).fit(
        domains, known
    )


def known_target_accuracy(model, domains, y):
    """Over the rows of the target whose label is known, those that the model has not seen."""
    rows = domains.rows("target")
    rows = rows[y[rows] != -1]
    return accuracy_score(y[rows], model.predict(domains)[rows])


def test_search_with_a_few_target_labels():
    domains, known, labels = collect(moons(0))
    few = np.random.default_rng(0).choice(domains.rows("target"), size=60, replace=False)
    known[few] = labels[few]
    model = pipeline(OTAligner(pairs_from_y=False), StandardScaler(), KNeighborsClassifier(5))
    grid = {"otaligner__regularization": [0.005, 1.0], "selftrainingclassifier__estimator__n_neighbors": [5, 15]}
    cv = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, scoring=known_target_accuracy, cv=cv, n_jobs=2).fit(domains, known)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    judged = known.copy()
    judged[known == -1] = labels[known == -1]
    judged[few] = -1  # what the search has read is not judged by
    sharp = clone(model).set_params(otaligner__regularization=0.005).fit(domains, known)
    assert search.best_params_["otaligner__regularization"] == 1.0
    assert known_target_accuracy(search, domains, judged) > known_target_accuracy(sharp, domains, judged)


def test_lying_on_the_target_is_not_being_right():
    """Why a search wants some labels: the sharper plan covers the target better, and mixes up the moons."""
    domains, known, labels = collect(moons(0))
    fits = [
        pipeline(OTAligner(regularization=value, pairs_from_y=False), StandardScaler(), KNeighborsClassifier(5)).fit(
            domains, known
        )
        for value in (0.02, 1.0)
    ]
    sharp, soft = (model[:-2].score(domains) for model in fits)
    assert sharp > soft
    assert target_accuracy(fits[0], domains, labels) < target_accuracy(fits[1], domains, labels)


def test_target_labels_do_not_reach_the_fit():
    """Whatever is true of the target, the model is the same."""
    domains, known, _ = collect(digits(0))
    _, step, classifier = DATA["digits"]
    model = pipeline(OTAligner(pairs_from_y=False), step, classifier)
    shuffled = np.random.default_rng(0).permutation(len(domains))
    np.testing.assert_array_equal(
        clone(model).fit(domains, known).predict(domains)[shuffled],
        clone(model).fit(domains[shuffled], known[shuffled]).predict(domains[shuffled]),
    )
