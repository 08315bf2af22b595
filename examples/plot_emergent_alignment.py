"""
Are models aligned though nobody aligned them?
==============================================

Models that learn one thing apart from each other come to agree on which samples are alike, and the better they are, the
more they agree: so says the Platonic Representation Hypothesis (Huh, Cheung, Wang, Isola 2024). We look for it in the
representations of handwritten digits: pixels, principal and independent components, random nets, autoencoders and
classifiers of several widths, seeds and lengths of training.

Two nets with random weights share more than half of ten neighbours already, for both keep much of the geometry of the
pixels. Untrained nets of the same widths are therefore the floor that an alignment has to pass. Above this floor,
classifiers agree with other classifiers the more the more they have learned. Two warnings come with that:

- With an autoencoder, which knows no labels, classifiers agree more at first and less later, and it agrees best with
  plain pixels: what aligns is competence at one task, not training as such.
- Wide nets agree more than narrow ones even if they have learned nothing: raw scores of different widths do not
  compare.
"""

# %%
# All models learn from 1197 digits and are compared on 600 others.
import time
import warnings
from itertools import combinations, product

import matplotlib
import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from skalign.metrics.representation import alignment_matrix, cka, mutual_knn, permutation_calibrate
from skalign.plotting import AlignmentMatrixDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt

started = time.process_time()
pixels, digit = load_digits(return_X_y=True)
train, test, train_digit, test_digit = train_test_split(
    pixels / 16, digit, test_size=600, stratify=digit, random_state=0
)
SEEDS = range(3)
EPOCHS = (1, 2, 4, 8, 16, 32, 64, 150)
WIDTH, LAST = 64, EPOCHS[-1]


# %%
# A net is a function from digits to the activations of its hidden layer. The random ones have the weights with which
# scikit-learn's begin.
def hidden(weights, bias):
    return lambda rows: np.maximum(rows @ weights + bias, 0)


def random_net(seed, width=WIDTH, n_inputs=64):
    bound = np.sqrt(6 / (n_inputs + width))
    rng = np.random.default_rng([seed, width])
    return hidden(rng.uniform(-bound, bound, size=(n_inputs, width)), rng.uniform(-bound, bound, size=width))


def classifiers(seed, width=WIDTH, epochs=(LAST,), rows=train):
    """One net of one layer, looked at after some epochs."""
    model = MLPClassifier((width,), random_state=seed)
    nets = {}
    for epoch in range(1, max(epochs) + 1):
        model.partial_fit(rows, train_digit, classes=range(10))
        if epoch in epochs:
            nets[epoch] = hidden(model.coefs_[0].copy(), model.intercepts_[0].copy())
    return nets


def autoencoder(seed, rows=train):
    model = MLPRegressor(hidden_layer_sizes=(WIDTH,), random_state=seed, max_iter=LAST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as long as the classifiers, no longer
        model.fit(rows, rows)
    return hidden(model.coefs_[0], model.intercepts_[0])


nets = {
    ("classifier", WIDTH, epoch, seed): net for seed in SEEDS for epoch, net in classifiers(seed, epochs=EPOCHS).items()
}
nets |= {
    ("classifier", width, LAST, seed): classifiers(seed, width)[LAST] for width, seed in product((8, 16, 256), SEEDS)
}
nets |= {("random", width, 0, seed): random_net(seed, width) for width, seed in product((8, 16, 64, 256, 1024), SEEDS)}
nets |= {("autoencoder", WIDTH, LAST, seed): autoencoder(seed) for seed in SEEDS}
nets |= {("pixels", 64, 0, 0): lambda rows: rows, ("PCA", 16, 0, 0): PCA(16, random_state=0).fit(train).transform}
nets |= {
    ("ICA", 16, 0, seed): FastICA(16, max_iter=1000, tol=0.01, random_state=seed).fit(train).transform for seed in SEEDS
}
layers = {name: net(test) for name, net in nets.items()}


# %%
# Competence, measured alike for all: how many test digits a logistic regression on the representation names that has
# seen five labelled digits of each class, in the mean over ten draws of these.
def few_shot_accuracy(net):
    scaler = StandardScaler().fit(net(train))
    known, asked = scaler.transform(net(train)), scaler.transform(net(test))
    accuracies = []
    for draw in range(10):
        rng = np.random.default_rng(draw)
        rows = np.concatenate([rng.choice(np.flatnonzero(train_digit == c), 5, replace=False) for c in range(10)])
        model = LogisticRegression(max_iter=500).fit(known[rows], train_digit[rows])
        accuracies.append(model.score(asked, test_digit))
    return np.mean(accuracies)


accuracy = {name: few_shot_accuracy(net) for name, net in nets.items()}


# %%
# Raw scores: pairs of different seeds, nets of 64 hidden units after 150 epochs.
def family(kind, width=WIDTH, epoch=None):
    return [layer for (k, w, e, _), layer in layers.items() if (k, w) == (kind, width) and epoch in (None, e)]


def in_the_mean(pairs):
    pairs = list(pairs)
    return np.mean([[mutual_knn(a, b, k=10), cka(a, b)] for a, b in pairs], axis=0)


trained, untrained, coded = family("classifier", epoch=LAST), family("random"), family("autoencoder")
raw = {
    "classifier, classifier": in_the_mean(combinations(trained, 2)),
    "autoencoder, autoencoder": in_the_mean(combinations(coded, 2)),
    "classifier, autoencoder": in_the_mean(product(trained, coded)),
    "classifier, pixels": in_the_mean(product(trained, family("pixels", 64))),
    "classifier, random": in_the_mean(product(trained, untrained)),
    "random, random": in_the_mean(combinations(untrained, 2)),
}
print(f"{'pair':<28}{'mutual kNN':>12}{'CKA':>8}")
for pair, scores in raw.items():
    print(f"{pair:<28}{scores[0]:>12.3f}{scores[1]:>8.3f}")

# %%
# Calibrated scores: the part of the way from the floor to 1. The floor is the highest score of three pairs of untrained
# nets as wide as the two that are compared (64 where there is no net). References are three classifiers and three
# autoencoders that are not among the models.
references = {
    "classifiers": [classifiers(100 + seed)[LAST](test) for seed in SEEDS],
    "autoencoders": [autoencoder(100 + seed)(test) for seed in SEEDS],
}
NETS = ("classifier", "autoencoder", "random")


def calibrated(name, reference):
    width = name[1] if name[0] in NETS else WIDTH
    floor = [(random_net(200 + seed, width)(test), random_net(300 + seed)(test)) for seed in SEEDS]
    results = [
        permutation_calibrate("mutual_knn", layers[name], other, 50, baseline=floor, random_state=0, k=10)
        for other in references[reference]
    ]
    return np.mean([result.calibrated for result in results])


above = {reference: {name: calibrated(name, reference) for name in layers} for reference in references}
print(f"\n{'':<33}{'accuracy':>10}" + "".join(f"{'with ' + reference:>20}" for reference in references))
for kind in dict.fromkeys(name[:3] for name in layers):
    members = [name for name in layers if name[:3] == kind]
    label = f"{kind[0]}, {kind[1]} wide" + (f", epoch {kind[2]}" if kind[2] else "")
    cells = [np.mean([values[name] for name in members]) for values in (accuracy, *above.values())]
    print(f"{label:<33}{cells[0]:>10.3f}" + "".join(f"{cell:>20.3f}" for cell in cells[1:]))
print("\nrank correlation of accuracy and calibrated alignment")
for reference, values in above.items():
    course = [
        spearmanr(
            *zip(
                *[
                    (accuracy[name], values[name])
                    for name in layers
                    if name[:2] == ("classifier", WIDTH) and name[3] == seed
                ]
            )
        )[0]
        for seed in SEEDS
    ]
    everything = spearmanr([accuracy[name] for name in layers], [values[name] for name in layers])[0]
    print(f"with {reference:<14} all models {everything:.2f}; along the training of three seeds", np.round(course, 2))


# %%
# Two senses: one family of nets sees only the left halves, the other only the right ones. They share digits and labels,
# and no pixel. Trained nets agree a little more than random ones, but hardly more than the pixels themselves.
def half(rows, side):
    return rows.reshape(-1, 8, 8)[:, :, 4 * side : 4 * side + 4].reshape(-1, 32)


left, right = half(test, 0), half(test, 1)
halves = {"pixels": [mutual_knn(left, right)]}
halves["random nets"] = [
    mutual_knn(random_net(400 + seed, n_inputs=32)(left), random_net(500 + seed, n_inputs=32)(right)) for seed in SEEDS
]
for seed in SEEDS:
    nets_left = classifiers(seed, epochs=(16, LAST), rows=half(train, 0))
    nets_right = classifiers(10 + seed, epochs=(16, LAST), rows=half(train, 1))
    for epoch in (16, LAST):
        score = mutual_knn(nets_left[epoch](left), nets_right[epoch](right))
        halves.setdefault(f"classifiers, epoch {epoch}", []).append(score)
print(f"\nleft and right halves share neighbours (chance {10 / 599:.3f})")
for name, scores in halves.items():
    print(f"{name:<28}{np.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})")

# %%
# Width: nets that have learned nothing agree the more the wider they are, and biased CKA finds noise alike.
widths = (8, 16, 64, 256, 1024)
grown = {
    "random nets, mutual kNN": [
        np.mean([mutual_knn(a, b) for a, b in combinations(family("random", width), 2)]) for width in widths
    ]
}
for title, debiased in (("noise, biased CKA", False), ("noise, debiased CKA", True)):
    grown[title] = []
    for width in widths:
        noise = [np.random.default_rng([seed, width]).normal(size=(2, 600, width)) for seed in SEEDS]
        grown[title].append(np.mean([cka(a, b, debiased=debiased) for a, b in noise]))
print(f"\n{'width':<28}" + "".join(f"{width:>8}" for width in widths))
for title, scores in grown.items():
    print(f"{title:<28}" + "".join(f"{score:>8.3f}" for score in scores))

# %%
# The picture: every pair of some models, alignment against performance, and the growth with the width.
STYLES = {
    "classifier": ("o", "#0072B2"),
    "autoencoder": ("^", "#D55E00"),
    "random": ("x", "#000000"),
    "pixels": ("s", "#009E73"),
    "PCA": ("D", "#CC79A7"),
    "ICA": ("v", "#E69F00"),
}
shown = {
    "pixels": ("pixels", 64, 0, 0),
    "PCA": ("PCA", 16, 0, 0),
    "ICA": ("ICA", 16, 0, 0),
    "random a": ("random", 64, 0, 0),
    "random b": ("random", 64, 0, 1),
    "autoencoder a": ("autoencoder", 64, LAST, 0),
    "autoencoder b": ("autoencoder", 64, LAST, 1),
    "8 epochs": ("classifier", 64, 8, 0),
    "classifier a": ("classifier", 64, LAST, 0),
    "classifier b": ("classifier", 64, LAST, 1),
    "256 wide": ("classifier", 256, LAST, 0),
}
figure, ((matrix, first), (growth, second)) = plt.subplots(2, 2, figsize=(12.5, 11), layout="constrained")
result = alignment_matrix({label: layers[name] for label, name in shown.items()}, n_permutations=20, random_state=0)
AlignmentMatrixDisplay.from_predictions(result, score_name="mutual kNN", ax=matrix, text_kw={"fontsize": 7.5})
matrix.set_title("shared neighbours on 600 test digits")

for axis, (reference, values) in zip((first, second), above.items()):
    for kind, (marker, color) in STYLES.items():
        members = [name for name in layers if name[0] == kind]
        size = [18 + 12 * np.log2(name[1] / 8) for name in members]
        x, y = ([source[name] for name in members] for source in (accuracy, values))
        axis.scatter(x, y, size, color=color, marker=marker, label=kind, zorder=2)
    for seed in SEEDS:
        course = [("classifier", WIDTH, epoch, seed) for epoch in EPOCHS]
        axis.plot([accuracy[n] for n in course], [values[n] for n in course], color="#0072B2", linewidth=0.8, zorder=1)
    axis.set(xlabel="accuracy with 5 labels per class", ylabel=f"alignment with {reference}, above untrained nets")
    axis.set_title(f"alignment with {reference} against performance")
first.legend(title="larger is wider; lines: 1 to 150 epochs", loc="upper left")

for (title, scores), (style, color) in zip(grown.items(), (("o-", "#000000"), ("s--", "#D55E00"), ("^:", "#0072B2"))):
    growth.plot(widths, scores, style, color=color, label=title)
growth.set_xscale("log", base=2)
growth.set(xlabel="width", ylabel="score", xticks=widths, ylim=(-0.05, 1), title="scores of what has learned nothing")
growth.set_xticklabels(widths)
growth.legend(loc="upper left")
figure.savefig("emergent_alignment.png", dpi=68)
print(f"\nSaved emergent_alignment.png after {time.process_time() - started:.0f} s")
