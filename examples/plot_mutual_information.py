"""
How much two views share: estimates of mutual information against the truth
===========================================================================

Mutual information says in nats how much one view tells of the other. Between correlated Gaussians it is known, so that
every method of `MutualInformation` can be held against the truth, from 0 to 10 nats:

- **lower bounds** ("infonce", "nwj", "js") promise no more than the truth, on average. Contrast among K rows cannot
  give more than log K, a ceiling that is the lower the smaller the batch;
- **no bounds** ("gaussian", "ksg", "dv", "smile") may come nearer, and nothing says on which side they are.

A trained critic is worth more than the batch it was trained in: the same one, scored among thousands of rows, has a
much higher ceiling, and scoring is cheap. `saturated` tells an estimate near its ceiling, which is then no answer,
only "at least that much".

Five columns, so that nearest neighbours have a chance, and 4,000 rows to train with, so that a minute is enough. More
rows raise every critic; the guide on shared information has 20 columns, 10,000 rows and five seeds.
"""

# %%
# Two views of five columns. Each column has its share of the information and correlates with one of the other view.
import math
import time

import matplotlib
import numpy as np

from skalign.information import MutualInformation

matplotlib.use("Agg")
import matplotlib.pyplot as plt

N_TRAIN, N_SCORE, WIDTH, SMALL = 4000, 4000, 5, 128
TRUTH = [0, 2, 4, 6, 8, 10]


def gaussians(information, rng):
    rho = math.sqrt(1 - math.exp(-2 * information / WIDTH))
    X, noise = rng.normal(size=(2, N_TRAIN + N_SCORE, WIDTH))
    return X, rho * X + math.sqrt(1 - rho**2) * noise


# %%
# Every method is fitted to some rows and scored on others. The critic of InfoNCE is scored twice: among all of these,
# and in batches of 128.
started = time.process_time()
rng = np.random.default_rng(0)
found = {}
for truth in TRUTH:
    X, Y = gaussians(truth, rng)
    new = slice(N_TRAIN, None)
    for method in ("gaussian", "ksg", "infonce", "nwj", "dv", "smile", "js"):
        estimator = MutualInformation(method, batch_size=256, n_iter_no_change=5, random_state=0)
        estimate = estimator.fit(X[:N_TRAIN], Y[:N_TRAIN]).estimate(X[new], Y[new])
        found[method, truth] = estimate.mutual_information, estimate.saturated
        if method == "infonce":
            starts = range(N_TRAIN, N_TRAIN + N_SCORE - SMALL + 1, SMALL)
            batches = [estimator.estimate(X[i : i + SMALL], Y[i : i + SMALL]) for i in starts]
            value = np.mean([batch.mutual_information for batch in batches])
            found["small", truth] = value, value > 0.9 * batches[0].ceiling  # as `saturated` has it, of the mean

# %%
# A star marks what is saturated.
NAMES = {
    "infonce": f'"infonce", K = {N_SCORE:,}',
    "small": f'"infonce", K = {SMALL}',
    "nwj": '"nwj"',
    "js": '"js"',
    "gaussian": '"gaussian"',
    "ksg": '"ksg"',
    "dv": '"dv"',
    "smile": '"smile"',
}
print(f"{'true, nats':<22}" + "".join(f"{truth:7.0f} " for truth in TRUTH))
for key, name in NAMES.items():
    values = (found[key, truth] for truth in TRUTH)
    print(f"{name:<22}" + "".join(f"{value:7.2f}{'*' if saturated else ' '}" for value, saturated in values))
print(f"{time.process_time() - started:.0f} s")

# %%
# The picture: hollow markers are saturated, dotted lines the ceilings.
LOOK = {
    "infonce": ("#0072B2", "o"),
    "small": ("#56B4E9", "s"),
    "nwj": ("#D55E00", "^"),
    "js": ("#E69F00", "v"),
    "gaussian": ("#009E73", "o"),
    "ksg": ("#CC79A7", "s"),
    "dv": ("#D55E00", "^"),
    "smile": ("#0072B2", "v"),
}
PANELS = {
    "Lower bounds": ("infonce", "small", "nwj", "js"),
    "No bounds": ("gaussian", "ksg", "dv", "smile"),
}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), sharey=True, layout="constrained")
for axis, (title, keys) in zip(axes, PANELS.items()):
    axis.plot([0, 10], [0, 10], color="black", linewidth=1.2, label="truth")
    for key in keys:
        color, marker = LOOK[key]
        values, saturated = np.array([found[key, truth] for truth in TRUTH]).T
        axis.plot(TRUTH, values, color=color, linewidth=1.8, marker=marker, markersize=7, label=NAMES[key])
        full = saturated > 0
        axis.plot(
            np.array(TRUTH)[full], values[full], marker, markersize=7, markeredgewidth=1.8, color=color, mfc="white"
        )
    axis.set(title=title, xlabel="true mutual information, nats", xticks=TRUTH, xlim=(-0.3, 12.4), ylim=(-0.4, 10.5))
    axis.spines[["top", "right"]].set_visible(False)
for key, n_rows in (("infonce", N_SCORE), ("small", SMALL)):
    axes[0].hlines(math.log(n_rows), 0, 10.4, color=LOOK[key][0], linewidth=1.4, linestyle=":")
    axes[0].text(10.5, math.log(n_rows), f"log {n_rows:,}\n= {math.log(n_rows):.1f}", va="center", fontsize=10)
axes[0].plot([], [], "o", markersize=7, markeredgewidth=1.8, color="0.4", mfc="white", label="saturated")
for axis in axes:
    axis.legend(loc="lower right", frameon=False, fontsize=10)
axes[0].set_ylabel("estimate, nats")
figure.savefig("mutual_information.png", dpi=80)
print("\nSaved mutual_information.png")
