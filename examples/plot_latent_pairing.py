"""
Two clouds, and nobody knows which point is which
=================================================

The same 120 things seen in two coordinate systems, in another order, with noise. `LatentPairingAligner` finds the
rotation and the pairing together: the best pairing for a map is an assignment problem, the best map for a pairing is a
rotation, and several starts take turns at that.

It works where the cloud lies on its copy in one way alone. A symmetric cloud does so in several; the estimator looks
for them and says that its answer is ambiguous. A few known pairs choose among them.
"""

# %%
# A skewed cloud in three dimensions, turned at random and shuffled; ``truth[i]`` is the partner of row i.
import warnings

import matplotlib
import numpy as np

from skalign import AssignmentAligner, LatentPairingAligner

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def skewed(rng):
    return rng.gamma(1.0, size=(120, 3)) * [1.0, 2.0, 4.0]


def mirrored(rng):
    half = rng.gamma(1.0, size=(60, 3)) * [1.0, 2.0, 4.0]
    return np.vstack([half, -half])


def turned_copy(X, noise, rng):
    """The copy, where row i has gone, and the copy's place without turn and order."""
    truth = rng.permutation(len(X))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    seen = X + noise * X.std(axis=0).mean() * rng.normal(size=X.shape)
    Y = np.empty_like(X)
    Y[truth] = seen @ turn
    return Y, truth, seen[np.argsort(truth)]


rng = np.random.default_rng(0)
X = skewed(rng)
Y, truth, _ = turned_copy(X, 0.05, rng)
aligner = LatentPairingAligner(random_state=0).fit(X, Y)
print(f"skewed: {(aligner.matches_ == truth).mean():.2f} of the pairs found, ambiguous: {aligner.ambiguous_}")

# %%
# The cloud and its mirror image together look the same from both ends. Eight known pairs say which end is which.
warnings.filterwarnings("ignore", message=".*ambiguous")
M = mirrored(np.random.default_rng(1))
N, truth_of_mirrored, _ = turned_copy(M, 0.0, np.random.default_rng(2))
blind = LatentPairingAligner(random_state=0).fit(M, N)
known = np.arange(8)
told = LatentPairingAligner(random_state=0).fit(M, N, anchors=(known, truth_of_mirrored[known]))
for label, model in (("no pair known", blind), ("eight pairs known", told)):
    right = (model.matches_ == truth_of_mirrored).mean()
    print(f"mirrored, {label}: {right:.2f} of the pairs found, ambiguous: {model.ambiguous_}")

# %%
# How much noise does it stand? The share of pairs that is found, three seeds, beside what the true rotation would give.
noises = (0.0, 0.05, 0.1, 0.2, 0.4)
found = np.zeros((2, 3, len(noises)))
for seed in range(3):
    for column, noise in enumerate(noises):
        rng = np.random.default_rng(seed)
        A = skewed(rng)
        B, partners, back = turned_copy(A, noise, rng)
        found[0, seed, column] = (LatentPairingAligner(random_state=0).fit(A, B).matches_ == partners).mean()
        found[1, seed, column] = (AssignmentAligner(metric="sqeuclidean").fit(A, back).matches_ == partners).mean()
for label, means in zip(("found", "with the true rotation"), found.mean(axis=1)):
    print(f"{label:<24}" + "".join(f"{mean:>6.2f}" for mean in means))

# %%
# The picture: the cloud, its copy as it was given, and the cloud carried over, with a line from every point to its
# partner.
figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
colors = np.argsort(np.argsort(X[:, 2])) / len(X)
carried = aligner.transform(X)
right = aligner.matches_ == truth
axes[0].scatter(X[:, 2], X[:, 1], c=colors, cmap="viridis", s=16)
axes[1].scatter(Y[:, 2], Y[:, 1], color="0.45", s=16)
for start, end, good in zip(carried, Y[aligner.matches_], right):
    axes[2].plot([start[2], end[2]], [start[1], end[1]], color="black" if good else "#D55E00", linewidth=1.2)
axes[2].scatter(carried[:, 2], carried[:, 1], c=colors, cmap="viridis", s=16, zorder=3)
titles = ("the cloud", "its copy: turned, shuffled", f"carried over: {right.mean():.0%} right")
for axis, title in zip(axes, titles):
    axis.set(title=title, xticks=[], yticks=[])
    axis.set_aspect("equal", adjustable="datalim")
for values, color, style, label in (
    (found[1], "0.4", "o--", "true rotation"),
    (found[0], "#0072B2", "o-", "nothing known"),
):
    axes[3].plot(noises, values.mean(axis=0), style, color=color, label=label)
axes[3].set(xlabel="noise, in standard deviations", ylabel="pairs found", ylim=(0, 1.03), title="three seeds")
axes[3].legend(loc="upper right")
figure.savefig("latent_pairing.png", dpi=80)
print("\nSaved latent_pairing.png")
