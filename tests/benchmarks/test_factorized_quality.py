"""What lands in which block, and what that is worth to a classifier, beside plain contrastive learning.

Defaults but for the widths, and for fewer epochs where classifiers are compared; seeds draw data and weights.
"""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import Fuse, Views
from skalign.contrastive import ContrastiveAligner, FactorizedContrastiveAligner

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SEEDS = (6, 7, 8)  # none that settings were chosen on
N_TRAIN = 3000


def linear(rng):
    """A linear map of four latents to 20 columns."""
    W = rng.normal(size=(4, 20))
    return lambda L: L @ W


def mixed(rng):
    """A linear map of 20 random tanh units of four latents: they saturate, and no linear map leads back."""
    W, b, V = rng.normal(size=(4, 20)), rng.normal(size=20), rng.normal(size=(20, 20)) / np.sqrt(20)
    return lambda L: np.tanh(1.5 * L @ W + b) @ V


def make_latents(seed, view=linear, n=N_TRAIN + 1500):
    """Two views of 20 columns, each of two shared and two unique normal latents, with noise of 0.1.

    Labels are the signs of the first shared and of all unique latents: 32 classes.
    """
    rng = np.random.default_rng(seed)
    maps = [view(rng) for _ in range(2)]
    shared, own = rng.normal(size=(n, 2)), rng.normal(size=(2, n, 2))
    x, y = (show(np.hstack([shared, u])) + 0.1 * rng.normal(size=(n, 20)) for u, show in zip(own, maps))
    signs = np.hstack([shared[:, :1], *own]) > 0
    return Views(x=x, y=y), shared, dict(zip("xy", own)), signs @ 2 ** np.arange(5)


def decoded(Z, latent):
    """R2 of a linear probe on rows that nothing was trained on."""
    return Ridge(1e-3).fit(Z[:N_TRAIN], latent[:N_TRAIN]).score(Z[N_TRAIN:], latent[N_TRAIN:])


@pytest.mark.parametrize(("supervised", "least_unique"), [(False, 0.75), (True, 0.65)])
def test_blocks_hold_their_latents_alone(supervised, least_unique):
    for seed in SEEDS:
        views, shared, own, y = make_latents(seed)
        aligner = FactorizedContrastiveAligner(3, 3, supervised=supervised, random_state=seed)
        Z = aligner.fit(views[:N_TRAIN], y[:N_TRAIN]).transform(views)
        for view in "xy":
            blocks = Z[view][:, :3], Z[view][:, 3:]
            figures = [decoded(block, latent) for block in blocks for latent in (shared, own[view])]
            print(f"\nsupervised={supervised}, seed {seed}, view {view}: R2 of shared and unique latents from the "
                  f"shared block {figures[0]:.3f} {figures[1]:.3f}, from the unique one {figures[2]:.3f} "
                  f"{figures[3]:.3f}; epochs {aligner.best_epoch_}, {aligner.contributions_}")  # fmt: skip
            assert figures[0] > 0.85
            assert figures[1] < 0.1
            assert figures[2] < 0.1
            assert figures[3] > least_unique


def accuracy(aligner, train, test, y_train, y_test):
    pipe = make_pipeline(aligner, Fuse("concat"), StandardScaler(), LogisticRegression(max_iter=2000))
    return pipe.fit(train, y_train).score(test, y_test)


def compare(draw):
    """Accuracies by seed: factorised with labels, factorised without, InfoNCE, and no aligner at all."""
    rows = []
    for seed in range(5):
        data = draw(seed)
        options = {"max_epochs": 30, "random_state": seed}
        raw = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        joined = [np.hstack([view for _, view in part.items()]) for part in data[:2]]
        rows.append(
            [
                accuracy(FactorizedContrastiveAligner(8, 8, supervised=True, **options), *data),
                accuracy(FactorizedContrastiveAligner(8, 8, **options), *data),
                accuracy(ContrastiveAligner(16, **options), *data),
                raw.fit(joined[0], data[2]).score(joined[1], data[3]),
            ]
        )
        print(f"\nseed {seed}: factorised with labels {rows[-1][0]:.3f}, without {rows[-1][1]:.3f}, "
              f"InfoNCE {rows[-1][2]:.3f}, raw {rows[-1][3]:.3f}")  # fmt: skip
    return np.array(rows).T


@pytest.mark.parametrize("view", [linear, mixed])
def test_labels_of_what_is_unique(view):
    """Labels: 4 classes, the signs of the first unique latent of each view (`make_latents`).

    No aligner beats logistic regression on the columns themselves where views are linear.
    """

    def draw(seed):
        views, _, own, _ = make_latents(seed, view)
        y = 2 * (own["x"][:, 0] > 0) + (own["y"][:, 0] > 0)
        return views[:N_TRAIN], views[N_TRAIN:], y[:N_TRAIN], y[N_TRAIN:]

    labelled, unlabelled, contrastive, _ = compare(draw)
    for factorized in (labelled, unlabelled):
        gain = factorized - contrastive
        print(f"gain {gain.mean():.3f} +- {gain.std(ddof=1):.3f}")
        assert gain.mean() > 3 * gain.std(ddof=1)
        assert (gain > 0.05).all()


def test_halves_of_digits_gain_little():
    """Left and right half of a digit: each tells most of the label, so there is little that InfoNCE loses.

    What is gained over it is no more than the pixels themselves tell.
    """
    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    halves = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))

    def draw(seed):
        order = np.random.default_rng(seed).permutation(len(y))
        return halves[order[:1200]], halves[order[1200:]], y[order[:1200]], y[order[1200:]]

    labelled, unlabelled, contrastive, raw = compare(draw)
    for factorized in (labelled, unlabelled):
        assert abs((factorized - contrastive).mean()) < 0.05
        assert (factorized - raw).mean() < 0.01
