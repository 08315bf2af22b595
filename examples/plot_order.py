"""
Which thing is a kind of which?
===============================

A terrier is a dog and a dog is an animal, but an animal need not be a dog. Similarity is the same both ways and cannot
say so. `OrderAligner` gives every thing a place such that what is general covers what is specific. Here are things of
every day, known by nothing but their relations, and relations that follow from others and were never seen.
"""

# %%
# Things, each with what it is a kind of.
import matplotlib
import numpy as np
from sklearn.metrics import average_precision_score

from skalign import ContrastiveAligner, OrderAligner

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PARENTS = {
    "animal": "thing", "artefact": "thing", "plant": "thing",
    "mammal": "animal", "bird": "animal", "fish": "animal",
    "dog": "mammal", "cat": "mammal", "horse": "mammal", "eagle": "bird", "owl": "bird", "duck": "bird",
    "salmon": "fish", "shark": "fish", "terrier": "dog", "poodle": "dog", "siamese": "cat", "pony": "horse",
    "vehicle": "artefact", "tool": "artefact", "furniture": "artefact",
    "car": "vehicle", "boat": "vehicle", "aircraft": "vehicle", "hammer": "tool", "saw": "tool",
    "chair": "furniture", "table": "furniture", "taxi": "car", "lorry": "car", "canoe": "boat", "glider": "aircraft",
    "chainsaw": "saw", "armchair": "chair", "desk": "table",
    "tree": "plant", "flower": "plant", "herb": "plant", "oak": "tree", "pine": "tree",
    "rose": "flower", "tulip": "flower", "mint": "herb",
}  # fmt: skip
names = sorted({*PARENTS, *PARENTS.values()})
number = {name: i for i, name in enumerate(names)}


def ancestors(name):
    return [PARENTS[name], *ancestors(PARENTS[name])] if name in PARENTS else []


def rows_of(pairs):
    return np.eye(len(names))[np.array([[number[name] for name in pair] for pair in pairs])].transpose(1, 0, 2)


# %%
# Direct relations are all seen in training. Of those that follow from them, a quarter is kept back.
direct = list(PARENTS.items())
follows = [(name, above) for name in PARENTS for above in ancestors(name)[1:]]
kept_back = np.random.default_rng(0).permutation(len(follows)) < len(follows) // 4
seen = direct + [pair for pair, kept in zip(follows, kept_back) if not kept]
held_out = [pair for pair, kept in zip(follows, kept_back) if kept]
specific, general = rows_of(seen)

settings = dict(encoder="linear", input_noise=0.0, learning_rate=0.01, early_stopping=False, random_state=0)
order = OrderAligner(shared_encoder=True, **settings).fit(specific, general)
contrast = ContrastiveAligner(16, **settings).fit(specific, general)

# %%
# Held-out relations against all pairs that are no relation, and their direction. Contrastive nets put a thing beside
# what it is a kind of; which of the two is the more general one they do not say.
everything = np.eye(len(names))
contrasted = contrast.encoders_["x"].transform(everything)
scores = {
    "OrderAligner, minus the energy": order.similarity(everything, everything),
    "ContrastiveAligner, cosine": contrasted @ contrasted.T,
}
known = {(number[a], number[b]) for a, b in seen} | {(i, i) for i in range(len(names))}
test = [(i, j) for i in range(len(names)) for j in range(len(names)) if (i, j) not in known]
relations = {(number[a], number[b]) for a, b in held_out}
true = [pair in relations for pair in test]
print(f"{len(seen)} relations seen, {len(held_out)} held out among {len(test)} pairs: chance {np.mean(true):.3f}")
for title, S in scores.items():
    precision = average_precision_score(true, [S[pair] for pair in test])
    forth, back = (np.array([S[pair[::way]] for pair in relations]) for way in (1, -1))
    print(
        f"{title}: average precision {precision:.2f}, direction {np.mean((forth > back) + 0.5 * (forth == back)):.2f}"
    )

# %%
# The picture: the probability that a row is a kind of a column, and the cosines, which are the same both ways. Things
# stand in the order of the tree; dots are true, rings those held out.
by_tree = sorted(names, key=lambda name: [*ancestors(name)[::-1], name])
at = [number[name] for name in by_tree]
place = {name: i for i, name in enumerate(by_tree)}
panels = {
    "OrderAligner: P(row is a kind of column)": (order.entails(everything, everything), 0),
    "ContrastiveAligner: cosine": (scores["ContrastiveAligner, cosine"], -1),
}
figure, axes = plt.subplots(1, 2, figsize=(13, 6.6), layout="constrained", sharey=True)
for axis, (title, (matrix, low)) in zip(axes, panels.items()):
    image = axis.imshow(matrix[np.ix_(at, at)], cmap="Blues" if low == 0 else "RdBu_r", vmin=low, vmax=1)
    for pairs, look in ((seen, {"marker": ".", "markersize": 3}), (held_out, {"marker": "o", "markersize": 5})):
        rows, columns = np.array([[place[name] for name in pair] for pair in pairs]).T
        axis.plot(columns, rows, linestyle="", color="black" if low else "#E69F00", markerfacecolor="none", **look)
    axis.set_xticks(range(len(names)), by_tree, rotation=90, fontsize=8)
    axis.set(title=title, xlabel="general")
    figure.colorbar(image, ax=axis, shrink=0.7)
axes[0].set_yticks(range(len(names)), by_tree, fontsize=8)
axes[0].set_ylabel("specific")
figure.savefig("order.png", dpi=80)
print("Saved order.png")
