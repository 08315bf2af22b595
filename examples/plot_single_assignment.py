"""
One to one: the best matching is not the greedy one
===================================================

Five tasks for five people, and how well each suits each. To take the best pair that is left, again and again, ends with
pairs that nobody wanted. `AssignmentAligner` finds the matching whose weights have the largest sum.
"""

# %%
# The elements and their weights; any other number of either side would do too.
from itertools import permutations

import matplotlib
import numpy as np

from skalign import AssignmentAligner

matplotlib.use("Agg")
import matplotlib.pyplot as plt

people = ["Ada", "Ben", "Cleo", "Dan", "Eve"]
tasks = ["bake", "drive", "paint", "sing", "write"]
weights = np.array(
    [
        [9, 8, 2, 1, 3],
        [8, 3, 1, 2, 2],
        [2, 7, 6, 1, 5],
        [3, 2, 5, 4, 8],
        [1, 3, 2, 5, 7],
    ]
)


# %%
# Greedy: the largest weight, its row and column crossed out, the largest of what is left.
def greedy(weights):
    left = weights.astype(float)
    matches = np.full(len(weights), -1)
    for _ in range(min(weights.shape)):
        row, column = np.unravel_index(left.argmax(), left.shape)
        matches[row] = column
        left[row], left[:, column] = -np.inf, -np.inf
    return matches


# %%
# Optimal: one line. A `threshold` leaves those alone who suit nothing well enough.
aligner = AssignmentAligner(similarity="precomputed").fit(weights)
choosy = AssignmentAligner(similarity="precomputed", threshold=5).fit(weights)
matchings = {"greedy": greedy(weights), "optimal": aligner.matches_, "optimal, threshold 5": choosy.matches_}


def total(matches):
    return sum(weights[row, column] for row, column in enumerate(matches) if column >= 0)


for label, matches in matchings.items():
    pairs = [
        f"{people[row]} {tasks[column]} {weights[row, column]}" for row, column in enumerate(matches) if column >= 0
    ]
    print(f"{label + ':':<22}{', '.join(pairs)}; in sum {total(matches)}")

# %%
# There are 120 matchings of five and five, few enough to look at all.
totals = np.array([total(matches) for matches in permutations(range(5))])
assert aligner.total_ == totals.max()
print(
    f"all 120: {totals.min()} to {totals.max()}, in the mean {totals.mean():.1f}; "
    f"better than the greedy one: {(totals > total(matchings['greedy'])).sum()}, "
    f"as good as the best: {(totals == totals.max()).sum()}"
)

# %%
# The picture: every weight a line, the matched ones drawn over it with their numbers.
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for axis, (label, matches) in zip(axes, matchings.items()):
    for row, column in np.ndindex(weights.shape):
        axis.plot([0, 1], [row, column], color="0.6", alpha=0.7, linewidth=0.25 * weights[row, column], zorder=1)
    for row, column in enumerate(matches):
        if column >= 0:
            axis.plot([0, 1], [row, column], color="#D55E00", linewidth=3, zorder=2)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            height = row + 0.2 * (column - row)
            axis.text(0.2, height, weights[row, column], ha="center", va="center", fontsize=12, bbox=box, zorder=3)
    for side, names, align, gap in ((0, people, "right", -0.06), (1, tasks, "left", 0.06)):
        axis.plot(np.full(5, side), np.arange(5), "o", color="#0072B2", markersize=8, zorder=4)
        for place, name in enumerate(names):
            axis.text(side + gap, place, name, ha=align, va="center", fontsize=12)
    axis.set(xlim=(-0.35, 1.35), ylim=(4.4, -0.4), title=f"{label}: {total(matches)}")
    axis.set_axis_off()
figure.savefig("single_assignment.png", dpi=80)
print("\nSaved single_assignment.png")
