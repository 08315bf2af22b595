"""
Regions of a photograph and words for their colours
===================================================

A photograph has no words, and a list of words no pixels. `RegionSegmenter` turns the photograph into a bag of
superpixels, each described by its mean colour in CIELAB; the colour names that people typed (XKCD survey) say where
words lie in the same space. Then both sides are collections of points, of unequal numbers, and aligners match them.

- `AssignmentAligner` gives every word one region, no two the same, so that the sum of distances is smallest.
- `OTAligner` spreads all regions over the words, and here lies a trap: the default carries just as much to every word
  as it is given, and with equal shares "peach" and "rust" get a part of the dark leaves, as the flower is no
  half of the photograph. ``method="unbalanced"`` lets the shares go where they cost too much.
"""

# %%
# The photographs are scikit-learn's. The words are chosen by hand, for what can be seen.
import matplotlib
import numpy as np
from sklearn.datasets import load_sample_images

from skalign import AssignmentAligner, OTAligner, RegionSegmenter
from skalign.datasets import load_color_names

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patheffects import withStroke

photographs = load_sample_images().images
words = [["light blue", "light grey", "dark olive", "brick"], ["peach", "rust", "dark teal", "black"]]
survey = load_color_names()
lab, rgb = dict(zip(survey.names, survey.lab)), dict(zip(survey.names, survey.rgb))

# %%
# Regions as bags. Nothing is standardised, as both sides are in the units of CIELAB.
segmenter = RegionSegmenter("slic", n_segments=150, features="color_mean", standardize=False)
bags, maps = segmenter.fit_transform(photographs), segmenter.predict(photographs)


# %%
# The matches. A region weighs as much as it has pixels, and all words weigh the same. Beside the share of the
# photograph that a word gets, the share whose nearest colour it is.
def match(bag, labels, colors):
    sizes = np.bincount(labels.ravel())
    weights = sizes, np.ones(len(colors))
    words_of = {
        "equal shares": OTAligner().fit(bag, colors, sample_weight=weights).predict(bag),
        "unbalanced": OTAligner(method="unbalanced").fit(bag, colors, sample_weight=weights).predict(bag),
        "nearest": np.linalg.norm(bag[:, None] - colors, axis=2).argmin(axis=1),
    }
    shares = {title: np.bincount(own, sizes, len(colors)) / sizes.sum() for title, own in words_of.items()}
    return AssignmentAligner().fit(colors, bag).matches_, words_of, shares


figure, axes = plt.subplots(2, 3, figsize=(13.5, 8.2), layout="constrained")
for photograph, own_words, bag, labels, (one_to_one, *many) in zip(photographs, words, bags, maps, axes):
    matches, words_of, shares = match(bag, labels, np.array([lab[word] for word in own_words]))
    print(f"{len(bag)} regions, share of the photograph by" + "".join(f"{title:>14}" for title in shares))
    for k, word in enumerate(own_words):
        print(f"{word:>42}" + "".join(f"{share[k]:>14.2f}" for share in shares.values()))

    edges = (np.diff(labels, axis=0, prepend=labels[:1]) != 0) | (np.diff(labels, axis=1, prepend=labels[:, :1]) != 0)
    one_to_one.imshow(np.where(edges[..., None], 255, photograph))
    one_to_one.set_title("AssignmentAligner: one region a word")
    for word, region in zip(own_words, matches):
        y, x = (places.mean() for places in np.nonzero(labels == region))
        one_to_one.contour(labels == region, [0.5], colors="white", linewidths=3)
        one_to_one.contour(labels == region, [0.5], colors="black", linewidths=1.2)
        beside = x + (70 if x < 320 else -70), y + (-45 if y > 210 else 45)
        outline = [withStroke(linewidth=3, foreground="white")]
        one_to_one.annotate(
            word, (x, y), beside, ha="center", va="center", fontsize=11, weight="bold", path_effects=outline,
            arrowprops={"arrowstyle": "-", "path_effects": [withStroke(linewidth=3.5, foreground="white")]},
        )  # fmt: skip
    painted = np.array([rgb[word] for word in own_words])
    for axis, title in zip(many, ("equal shares", "unbalanced")):
        axis.imshow(painted[words_of[title]][labels])
        axis.set_title(f"OTAligner, {title}")
        for k, word in enumerate(own_words):
            axis.plot([], [], "s", color=rgb[word], markersize=9, label=f"{word} {100 * shares[title][k]:.0f}%")
        legend = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "ncols": 2, "frameon": False, "fontsize": 9}
        axis.legend(handletextpad=0, columnspacing=0.6, borderaxespad=0.2, **legend)
for axis in axes.ravel():
    axis.set_axis_off()
figure.get_layout_engine().set(hspace=0.08)
figure.savefig("regions_and_words.png", dpi=75)
print("Saved regions_and_words.png")
