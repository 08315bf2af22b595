"""
Which words go with which colours, and which signal follows which?
==================================================================

Before anything is aligned: do two modalities belong together at all? Two questions, one picture each.

- **Co-occurrence.** 949 colours that people named in a survey. Which words of the names meet which kinds of colour more
  often than by chance? `cooccurrence` tests all pairs and keeps the share of false ones under control.
- **Delay.** Two made-up signals of several channels share a source, and one of them hears it later.
  `lagged_alignment` looks at every delay, and compares the best of them with the best that shifted signals reach.
"""

# %%
# The words, and twelve kinds of colour: clusters in CIELAB, where distances are those that eyes see.
import matplotlib
import numpy as np
from skimage.color import rgb2lab
from sklearn.cluster import KMeans

from skalign.datasets import load_color_names
from skalign.metrics.association import cooccurrence, lagged_alignment, top_pairs

matplotlib.use("Agg")
import matplotlib.pyplot as plt

data = load_color_names()
words = [name.split() for name in data.names]
kinds = KMeans(12, n_init=4, random_state=0).fit_predict(rgb2lab(data.rgb))
found = cooccurrence(kinds, words, min_count=8)
means = np.array([data.rgb[kinds == kind].mean(axis=0) for kind in range(12)])
print(f"{found.significant.sum()} of {found.significant.size} pairs are significant; the strongest:")
for kind, word in top_pairs(found, 5):
    print(f"  {word:<8} and the kind of colour around rgb {means[kind].round(2).tolist()}")

# %%
# Two signals: the second hears the source 7 steps later, turned upside down in one channel, and with noise of its own.
# Delays of up to 12 steps are looked at: a signal that is shifted by less still lies right at one of them, so the more
# delays there are, the higher is what chance reaches.
rng = np.random.default_rng(0)
source = np.convolve(rng.normal(size=700), np.ones(5) / 5, mode="valid")
x = source[20:620, None] + rng.normal(size=(600, 3)) * 0.5
y = source[13:613, None] * [1, -1] + rng.normal(size=(600, 2)) * 0.5
delay = lagged_alignment(x, y, 12, random_state=0)
print(f"\nbest delay {delay.best_lag}, canonical correlation {delay.score:.2f}, p = {delay.pvalue:.3f}")

# %%
# The picture. Left: normalised pointwise mutual information, 1 where word and kind always meet, a dot where the pair is
# significant. Right: the correlation at every delay, and the largest that 95 of 100 shifted signals stay below.
strongest = np.argsort(-np.where(found.significant, found.log_likelihood_ratio, -np.inf).max(axis=0))[:20]
order = np.argsort(found.npmi[:, strongest].argmax(axis=1), kind="stable")
npmi = np.where(found.counts > 0, found.npmi, np.nan)[np.ix_(order, strongest)]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=(1.6, 1))
image = left.imshow(npmi, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
left.plot(*np.nonzero(found.significant[np.ix_(order, strongest)].T), "o", color="black", markersize=4)
left.set_xticks(range(20), found.y_names[strongest], rotation=60, ha="right")
left.set_yticks([])
for row, kind in enumerate(order):
    left.add_patch(plt.Rectangle((-2.1, row - 0.45), 1.4, 0.9, color=means[kind], clip_on=False))
left.set(xlim=(-0.5, 19.5), title="words and kinds of colour")
left.set_ylabel("kinds of colour", labelpad=38)
figure.colorbar(image, ax=left, label="normalised PMI (blank: never together)")

right.plot(delay.lags, np.abs(delay.correlations), color="#0072B2")
right.axhline(np.quantile(delay.null, 0.95), color="0.4", linestyle="--", label="95 % of shifted signals")
right.plot(delay.best_lag, delay.score, "o", color="#D55E00", markersize=9, label=f"best delay: {delay.best_lag}")
right.set(xlabel="delay of the second signal", ylabel="canonical correlation", ylim=(0, 1), title="two signals")
right.legend(loc="upper left")
figure.savefig("association.png", dpi=80)
print("\nSaved association.png")
