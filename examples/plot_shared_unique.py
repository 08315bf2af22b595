"""
What two views say of a label: shared, unique, and only together
================================================================

Contrastive learning keeps what two views share. That is enough where each of them tells the label by itself, and loses
what one alone knows, or what shows only when both are seen together. `multiview_redundancy` splits what two views know
of a label into these parts, in nats:

- **redundancy**: both views say it;
- **unique 1**, **unique 2**: one of them says it;
- **synergy**: neither says it, both together do. The exclusive or of two bits is all synergy.

Handwritten digits are cut into two views in several ways, which have no pixel in common, beside three made-up
pairs whose parts are known. Then `FactorizedContrastiveAligner` learns the parts apart, in blocks of their own.
"""

# %%
# Made-up pairs: bits, each of them on a column with some noise.
import time

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import Ridge

from skalign import ContrastiveAligner, FactorizedContrastiveAligner, Views
from skalign.information import multiview_redundancy

matplotlib.use("Agg")
import matplotlib.pyplot as plt

rng = np.random.default_rng(0)
a, b, c = rng.integers(2, size=(3, 1500))


def view(*bits):
    return np.column_stack(bits) + 0.1 * rng.normal(size=(len(a), len(bits)))


pairs = {
    "both see\na bit": (view(a), view(a), a),
    "each sees\nits own bit": (view(a), view(b), 2 * a + b),
    "exclusive or\nof two bits": (view(a), view(b), a ^ b),
}

# %%
# Real ones: 1797 digits of 8 x 8 pixels, and which of ten they are. Pixels that hardly vary are left out.
digits = load_digits()
images, label = digits.images, digits.target


def part(*where):
    pixels = images[(slice(None), *where)].reshape(len(images), -1)
    return pixels[:, pixels.std(axis=0) > 1]


left, right = part(slice(None), slice(0, 4)), part(slice(None), slice(4, 8))
pairs |= {
    "digits:\nleft | right": (left, right, label),
    "digits:\ntop | bottom": (part(slice(0, 4)), part(slice(4, 8)), label),
    "digits:\nleft | half a row": (left, part(slice(3, 4), slice(4, 8)), label),
    "digits: one\ncolumn | another": (part(slice(None), slice(2, 3)), part(slice(None), slice(5, 6)), label),
    "digits:\nleft | noise": (left, rng.normal(size=(len(label), 8)), label),
}

# %%
# The split. Classifiers say what a view knows of the label, on rows that they have not seen. What the views share
# beyond the label is tested within labels: that it is nothing is the assumption under which sharing is all that counts.
PARTS = ("redundancy", "unique1", "unique2", "synergy")
classifier = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=0)
found = {}
start = time.perf_counter()
print(f"{'nats':<30}" + "".join(f"{name:>12}" for name in (*PARTS, "label")) + "   I(X1; X2 | y) = 0")
for name, (X1, X2, y) in pairs.items():
    split = multiview_redundancy(X1, X2, y, classifier=classifier, method="gaussian", n_permutations=99, random_state=0)
    found[name] = split
    numbers = "".join(f"{abs(split[key]):12.2f}" for key in (*PARTS, "label_entropy"))
    print(f"{' '.join(name.split()):<30}{numbers}   {'tenable' if split.tenable else 'no'}, p = {split.pvalue:.2f}")
print(f"{time.perf_counter() - start:.0f} s")

# %%
# The picture: stacked parts of each pair; the line above a bar is the entropy of its label, which nothing can exceed.
LOOK = {
    "redundancy": ("#0072B2", "redundancy: both views say it"),
    "unique1": ("#E69F00", "unique to the first view"),
    "unique2": ("#F0E442", "unique to the second view"),
    "synergy": ("#CC79A7", "synergy: only both together say it"),
}
figure, axis = plt.subplots(figsize=(10, 4.6), layout="constrained")
places = np.arange(len(found))
bottom = np.zeros(len(found))
for key, (color, text) in LOOK.items():
    heights = np.array([split[key] for split in found.values()])
    axis.bar(places, heights, 0.62, bottom=bottom, color=color, edgecolor="white", linewidth=0.8, label=text)
    for place, low, height in zip(places, bottom, heights):
        if height > 0.09:
            ink = "white" if key == "redundancy" else "black"
            axis.text(place, low + height / 2, f"{height:.2f}", ha="center", va="center", fontsize=9, color=ink)
    bottom += heights
entropies = [split.label_entropy for split in found.values()]
axis.hlines(entropies, places - 0.4, places + 0.4, color="black", linewidth=1.5, label="entropy of the label")
axis.set_xticks(places, list(found), fontsize=9)
axis.set(ylabel="nats", ylim=(0, 2.75), title="What two views know of a label")
axis.axvline(2.5, color="0.7", linewidth=0.8, linestyle=":")
axis.legend(loc="upper left", frameon=False, fontsize=9)
axis.spines[["top", "right"]].set_visible(False)
figure.savefig("shared_and_unique.png", dpi=80)
print("\nSaved shared_and_unique.png")

# %%
# Learning the parts. Two views of 20 columns mix two numbers that both know with two that each has for itself. Plain
# contrastive learning keeps the first and loses the others. The factorized aligner has a block for either: a linear
# probe, on rows that nothing was trained on, reads each kind of number from the one block and not from the other.
n, n_train = 2000, 1500
shared, *own = rng.normal(size=(3, n, 2))
sound, image = (np.hstack([shared, alone]) @ rng.normal(size=(4, 20)) + 0.1 * rng.normal(size=(n, 20)) for alone in own)
views = Views(sound=sound, image=image)
start = time.perf_counter()
plain = ContrastiveAligner(4, max_epochs=40, random_state=0).fit(views[:n_train])
factorized = FactorizedContrastiveAligner(3, 3, max_epochs=40, random_state=0).fit(views[:n_train])
blocks = factorized.transform(views)["sound"]
embeddings = {
    "ContrastiveAligner": plain.transform(views)["sound"],
    "factorized:\nshared block": blocks[:, :3],
    "factorized:\nunique block": blocks[:, 3:],
}


def readable(Z, numbers):
    return max(0.0, Ridge(1e-3).fit(Z[:n_train], numbers[:n_train]).score(Z[n_train:], numbers[n_train:]))


latents = {"what both\nviews know": shared, "what sound\nalone knows": own[0]}
table = np.array([[readable(Z, numbers) for Z in embeddings.values()] for numbers in latents.values()])
print(f"\n{'R2 on new rows':<26}" + "".join(f"{' '.join(name.split()):>26}" for name in embeddings))
for name, row in zip(latents, table):
    print(f"{' '.join(name.split()):<26}" + "".join(f"{value:26.2f}" for value in row))
print(f"{time.perf_counter() - start:.0f} s")

figure, axis = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
axis.imshow(table, cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
for (i, j), value in np.ndenumerate(table):
    axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=12, color="white" if value > 0.6 else "black")
axis.set_xticks(range(len(embeddings)), list(embeddings))
axis.set_yticks(range(len(latents)), list(latents))
axis.set_title("What can be read from the embedding of sound (R²)")
axis.spines[:].set_visible(False)
figure.savefig("factorized_blocks.png", dpi=80)
print("\nSaved factorized_blocks.png")
