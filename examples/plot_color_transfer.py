"""
The colours of one photograph carried to another
================================================

Two photographs that scikit-learn ships: a temple under a blue sky, a dahlia in front of green leaves. Their pixels are
two clouds of colours that nobody paired. `OTAligner` finds what moves one cloud onto the other at the least cost, from
1,000 pixels of each, and its map then recolours all 273,280: those of the temple by ``transform``, those of the flower,
with the same plan read backwards, by ``inverse_transform``.

The exact plan sends every colour to one of the 1,000 that it has seen, and the sky breaks into patches. With entropy a
colour goes to a mean of several: smooth at a regularisation of 0.01, and duller the larger it is.
"""

# %%
# The pixels, as rows of red, green and blue between 0 and 1: 1,000 of each photograph to fit on, 2,000 others to judge.
import time
import tracemalloc

import matplotlib
import numpy as np
from sklearn.datasets import load_sample_image

from skalign import OTAligner
from skalign.metrics import energy_distance

matplotlib.use("Agg")
import matplotlib.pyplot as plt

photographs = {name: load_sample_image(f"{name}.jpg") / 255.0 for name in ("china", "flower")}
shape = photographs["china"].shape
pixels = {name: photograph.reshape(-1, 3) for name, photograph in photographs.items()}


def draw(seed):
    """Colours of both photographs to fit on, and others to judge by."""
    rng = np.random.default_rng(seed)
    drawn = {name: colors[rng.choice(len(colors), size=3_000, replace=False)] for name, colors in pixels.items()}
    return [drawn[name][:1_000] for name in drawn], [drawn[name][1_000:] for name in drawn]


# %%
# Three plans. What is measured: the energy distance between the mapped colours and those of the other photograph, both
# pixels that no fit has seen, as a share of their mean distance (0 is the same palette); how many different colours a
# photograph has after the map, in steps of 1/255; seconds of the processor; and the memory that the map of all pixels
# takes beside its result. Their costs to 1,000 colours would be 2.2 GB at once: they are computed in blocks of rows.
plans = {
    "exact": OTAligner(method="exact"),
    "entropic, 0.01": OTAligner(regularization=0.01),
    "entropic, 0.2": OTAligner(regularization=0.2),
}


def n_colors(colors):
    return len(np.unique(np.round(255 * colors).astype(int) @ [1, 256, 65_536]))


def judge(aligner, seed):
    """Seconds of the fit, and how far the palettes are after it, of pixels that it has not seen."""
    (china, flower), (other_china, other_flower) = draw(seed)
    begun = time.process_time()
    aligner.fit(china, flower)
    seconds = time.process_time() - begun
    there = energy_distance(aligner.transform(other_china), other_flower, normalized=True)
    back = energy_distance(aligner.inverse_transform(other_flower), other_china, normalized=True)
    return there, back, seconds


def recolor(aligner):
    """Both photographs in each other's colours; seconds and memory of the first."""
    begun = time.process_time()
    temple = aligner.transform(pixels["china"])
    seconds = time.process_time() - begun
    tracemalloc.start()
    aligner.transform(pixels["china"])
    extra = tracemalloc.get_traced_memory()[1] - temple.nbytes
    tracemalloc.stop()
    return (temple, aligner.inverse_transform(pixels["flower"])), seconds, extra / 2**20


_, (other_china, other_flower) = draw(0)
before = energy_distance(other_china, other_flower, normalized=True)
print(f"energy distance between the palettes: {before:.3f}; colours in the temple: {n_colors(pixels['china'])}")
print("\nenergy distances and the fit: mean (least to most) of 3 seeds; the map of all pixels: of the first")
titles = ("temple to flower", "flower to temple", "s to fit", "colours", "s to map", "extra MB")
print(" " * 14 + "".join(f"{title:>{26 if i < 3 else 10}}" for i, title in enumerate(titles)))
drawn = {}
for label, aligner in plans.items():
    values = np.array([judge(aligner, seed) for seed in (2, 1, 0)])
    drawn[label], seconds, extra = recolor(aligner)
    cells = [f"{v.mean():.{d}f} ({v.min():.{d}f} to {v.max():.{d}f})" for v, d in zip(values.T, (4, 4, 2))]
    whole = f"{n_colors(drawn[label][0]):>10}{seconds:>10.1f}{extra:>10.0f}"
    print(f"{label:<14}" + "".join(f"{cell:>26}" for cell in cells) + whole, flush=True)

# %%
# The picture: the photographs on the left, each with the other's colours beside them.
figure, axes = plt.subplots(2, 4, figsize=(12, 4.3), layout="constrained")
for row, name in enumerate(photographs):
    pictures = {"photograph": photographs[name]}
    pictures |= {label: colors[row].reshape(shape) for label, colors in drawn.items()}
    for axis, (label, picture) in zip(axes[row], pictures.items()):
        axis.imshow(picture[::2, ::2].clip(0, 1))
        axis.set_axis_off()
        if row == 0:
            axis.set_title(label)
figure.savefig("color_transfer.png", dpi=80)
print("\nSaved color_transfer.png")
