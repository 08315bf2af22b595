"""
Labels of one collection for another
====================================

A classifier was trained on one instrument, and the next one shifts, rescales and rotates everything it measures. Nobody
labels the new data. `OTAligner` carries the labelled rows to where the new ones lie, and the classifier is trained
there. It is one pipeline on `Domains`: `PerView` takes shift and scale from each collection, the aligner carries the
source over, `Fuse` stacks both into one table.

Rows of the target have the label -1. `SelfTrainingClassifier`, scikit-learn's wrapper for labels that are only partly
known, leaves them out of the training with ``max_iter=0``; an ordinary classifier by itself would learn a class "-1".
Labels of the target are read once, by the scorer at the end.

Three pairs, three seeds. Transport helps where the change is large and both collections hold the same kinds in the same
proportions. Halves of 89 wines differ in these by chance, and a balanced plan carries the surplus to wines of another
kind: it does harm, the unbalanced one less.
"""

# %%
# Half of the rows is the source, the other half the target, rotated among all its features, rescaled and shifted.
import time
import warnings

import matplotlib
import numpy as np
import ot
from scipy.linalg import expm
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skalign import Domains, Fuse, OTAligner, PerView

matplotlib.use("Agg")
import matplotlib.pyplot as plt

warnings.filterwarnings("ignore", message="Sinkhorn did not converge")  # POT, where it stops at its limit


def halves(X, y, angle, seed):
    """Source and target with their labels; angle 1 turns a direction by about 60 degrees."""
    rng = np.random.default_rng(seed)
    order, d = rng.permutation(len(X)), X.shape[1]
    source, target = order[: len(X) // 2], order[len(X) // 2 :]
    turn = angle * rng.normal(size=(d, d)) / (2 * d) ** 0.5
    return X[source], y[source], 2.0 * X[target] @ expm(turn - turn.T) + 10.0, y[target]


def digits(seed):
    return halves(*load_digits(return_X_y=True), 1.0, seed)


def wines(seed):
    X, y = load_wine(return_X_y=True)
    return halves(X / X.std(axis=0), y, 0.5, seed)


def moons(seed):
    angle = np.deg2rad(40)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    X, y = make_moons(300, noise=0.05, random_state=2 * seed)
    Z, z = make_moons(300, noise=0.05, random_state=2 * seed + 1)
    return X, y, 3.0 * Z @ turn.T - 5.0, z


pairs = {
    "digits": (digits, make_pipeline(StandardScaler(with_std=False), Normalizer()), LogisticRegression(max_iter=500)),
    "moons": (moons, StandardScaler(), KNeighborsClassifier(5)),
    "wines": (wines, StandardScaler(), LogisticRegression(max_iter=500)),
}


# %%
# The pipeline, and the scorer that reads labels of the target. ``pairs_from_y=False`` tells the aligner that ``y`` are
# class labels, not ids of pairs.
def pipeline(step, aligner, classifier):
    return make_pipeline(
        PerView({"source": step, "target": step}),
        aligner,
        Fuse(),
        SelfTrainingClassifier(classifier, max_iter=0),
    )


def target_accuracy(model, domains, labels):
    rows = domains.rows("target")
    return accuracy_score(labels[rows], model.predict(domains)[rows])


aligners = {
    "no adaptation": "passthrough",
    "sinkhorn, 0.02": OTAligner(regularization=0.02, pairs_from_y=False),
    "sinkhorn, 0.05": OTAligner(regularization=0.05, pairs_from_y=False),
    "unbalanced": OTAligner(method="unbalanced", marginal_penalty=0.1, pairs_from_y=False),
    "exact": OTAligner(method="exact", pairs_from_y=False),
}


# %%
# POT's ot.da beside it: the same preparation, the same regularisation in units of the cost, the same classifier.
def with_pot(transport, step, classifier, X, y, Z, z):
    X, Z = (clone(step).fit_transform(part) for part in (X, Z))
    begun = time.process_time()
    mapped = transport.fit(Xs=X, Xt=Z).transform(Xs=X)
    seconds = time.process_time() - begun
    return accuracy_score(z, clone(classifier).fit(mapped, y).predict(Z)), seconds


results = {}
for name, (make, step, classifier) in pairs.items():
    for seed in range(3):
        X, y, Z, z = make(seed)
        domains = Domains(source=X, target=Z)
        known = Domains.stack(source=y, target=np.full(len(z), -1))
        labels = Domains.stack(source=y, target=z)
        unprepared = pipeline("passthrough", "passthrough", classifier).fit(domains, known)
        results.setdefault(("as they are", name), []).append((target_accuracy(unprepared, domains, labels), np.nan))
        for label, aligner in aligners.items():
            model = pipeline(step, aligner, classifier).fit(domains, known)
            seconds = np.nan
            if aligner != "passthrough":
                prepared = model[0].transform(domains)
                begun = time.process_time()
                clone(aligner).fit(prepared).transform(prepared)
                seconds = time.process_time() - begun
            results.setdefault((label, name), []).append((target_accuracy(model, domains, labels), seconds))
            if label == "sinkhorn, 0.05":
                epsilon = model[1].epsilon_
        peers = {
            "POT, 0.05": ot.da.SinkhornTransport(reg_e=epsilon, max_iter=300),
            "POT, EMD": ot.da.EMDTransport(),
        }
        for label, transport in peers.items():
            results.setdefault((label, name), []).append(with_pot(transport, step, classifier, X, y, Z, z))

print("accuracy on the target: mean (least to most) of 3 seeds; seconds of transport")
print(" " * 16 + "".join(f"{name:>34}" for name in pairs))
for label in dict.fromkeys(label for label, _ in results):
    cells = []
    for name in pairs:
        accuracy, seconds = np.transpose(results[label, name])
        clock = "" if np.isnan(seconds).any() else f"{seconds.mean():7.2f} s"
        cells.append(f"{accuracy.mean():.3f} ({accuracy.min():.3f} to {accuracy.max():.3f}){clock:>9}")
    print(f"{label:<16}" + "".join(f"{cell:>34}" for cell in cells), flush=True)

# %%
# How much entropy? `score`, without labels, is minus the energy distance between the mapped source and the target: it
# says whether one lies on the other, not whether the classes do, and always likes the least entropy best.
regularizations = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
curves = {}
print("\nregularisation" + "".join(f"{value:>14g}" for value in regularizations) + "   accuracy, minus energy distance")
for name, (make, step, classifier) in pairs.items():
    found = np.empty((3, len(regularizations), 2))
    for seed in range(3):
        X, y, Z, z = make(seed)
        domains = Domains(source=X, target=Z)
        known = Domains.stack(source=y, target=np.full(len(z), -1))
        labels = Domains.stack(source=y, target=z)
        for i, value in enumerate(regularizations):
            aligner = OTAligner(regularization=value, tol=1e-4, pairs_from_y=False)
            model = pipeline(step, aligner, classifier).fit(domains, known)
            found[seed, i] = target_accuracy(model, domains, labels), model[:-2].score(domains)
    curves[name] = found.mean(axis=0)
    print(f"{name:<14}" + "".join(f"{accuracy:>7.3f}{score:>7.3f}" for accuracy, score in curves[name]), flush=True)

# %%
# The picture: the moons before and after transport, and accuracy against regularisation.
X, y, Z, z = moons(0)
domains = PerView({"source": StandardScaler(), "target": StandardScaler()}).fit_transform(Domains(source=X, target=Z))
carried = OTAligner(regularization=0.05).fit_transform(domains)
figure, axes = plt.subplots(1, 3, figsize=(12, 4), width_ratios=(1, 1, 1.2), layout="constrained")
colors = np.array(["#0072B2", "#D55E00"])
for axis, shown, title in zip(axes, (domains, carried), ("each standardised", "the source transported")):
    axis.scatter(*shown["target"].T, s=14, color="0.7", label="target, labels unknown")
    axis.scatter(*shown["source"].T, s=10, color=colors[y], label="source, coloured by its labels")
    axis.set(title=title, xticks=[], yticks=[])
axes[0].legend(loc="upper left", fontsize=8)
marks = {"digits": ("o-", "#009E73"), "moons": ("s-", "#0072B2"), "wines": ("^-", "#D55E00")}
for name, (style, color) in marks.items():
    axes[2].plot(regularizations, curves[name][:, 0], style, color=color, markersize=5, label=name)
    without = np.mean([accuracy for accuracy, _ in results["no adaptation", name]])
    axes[2].axhline(without, color=color, linestyle="--", linewidth=1)
axes[2].set(xscale="log", xlabel="regularisation", ylabel="accuracy on the target")
axes[2].set_title("dashed: the same without transport")
axes[2].legend()
figure.savefig("domain_adaptation.png", dpi=90)
print("\nSaved domain_adaptation.png")
