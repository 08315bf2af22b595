"""
Names find colours, colours find names
======================================

In a survey people saw a colour and typed a name for it. From 949 such pairs we learn one space in which a name lies
near its colour: raw strings go through character n-grams, colours through a scaler, and `KernelCCA` aligns the two.
`GridSearchCV` chooses a parameter of the text side and two of the aligner in one call, on training rows alone.

Then names that the model has never seen retrieve colours it has never seen, and the other way round. We hold out rows
in two ways: at random, and grouped by the last word of the name, so that "light green" and "green" are never on both
sides. The second is the harder and the more honest question.
"""

# %%
# The pipeline: one transformer for each view, then the aligner.
import warnings

import matplotlib
import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import CCA, ByView, KernelCCA, PerView, Views
from skalign.datasets import load_color_names
from skalign.metrics import alignment_scorer, retrieval_report

matplotlib.use("Agg")
import matplotlib.pyplot as plt

views = load_color_names().views  # Views(name=list of strings, color=(949, 3))
last_word = np.array([name.split()[-1] for name in views["name"]])


def pipeline(aligner):
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    return make_pipeline(PerView({"name": characters, "color": StandardScaler()}), aligner)


# %%
# The search: n-grams of the names, the kernel of the colours, the shrinkage of both. It scores by mean reciprocal rank
# on inner folds of the training rows.
kernel_cca = KernelCCA(
    10, kernel=ByView(name="rbf", color="rbf"), gamma=ByView(name="scale", color=1.0), weighting="correlation"
)
searches = {
    "linear CCA": (CCA(3, weighting="correlation"), {}),
    "ridge CCA": (CCA(3, weighting="correlation"), {"cca__shrinkage": [0.1, 0.3, 0.6, 0.9]}),
    "KernelCCA": (
        kernel_cca,
        {
            "perview__name__ngram_range": [(1, 3), (1, 4)],
            "kernelcca__kernel__color": ["rbf", "exponential"],
            "kernelcca__shrinkage": [1e-4, 1e-3, 1e-2],
        },
    ),
}
searches["KernelCCA, permuted pairs"] = searches["KernelCCA"]


def evaluate(name, make_folds, groups):
    """Search and test `name` in every outer fold; report test retrieval and the parameters chosen."""
    aligner, grid = searches[name]
    reports, chosen = [], []
    for fold, (train, test) in enumerate(make_folds(5).split(views, groups=groups)):
        fitted_on = views[train]
        if "permuted" in name:
            order = np.random.default_rng(fold).permutation(len(train))
            fitted_on = Views(name=fitted_on["name"], color=fitted_on["color"][order])
        inner = list(make_folds(3).split(fitted_on, groups=None if groups is None else groups[train]))
        scorer = alignment_scorer("mean_reciprocal_rank")
        search = GridSearchCV(clone(pipeline(aligner)), grid, scoring=scorer, cv=inner)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Without shrinkage")  # linear CCA is there to show just that
            search.fit(fitted_on)
        points = search.best_estimator_.transform(views[test])
        reports.append(retrieval_report(points["name"], points["color"]))
        chosen.append(search.best_params_)
    return reports, chosen


# %%
# The table. "n>c" is names retrieving colours, "c>n" colours retrieving names; means over five folds.
def row(label, reports, pick):
    cells = []
    for direction in ("a_to_b", "b_to_a"):
        values = [pick(report, direction) for report in reports]
        cells += [np.mean([v[key] for v in values]) for key in ("recall_at_1", "recall_at_5", "recall_at_10")]
        cells.append(np.mean([v["median_rank"] for v in values]))
    return f"{label:<27}" + "".join(f"{c:>8.1f}" if i % 4 == 3 else f"{c:>8.3f}" for i, c in enumerate(cells))


def random_folds(n_splits):
    return KFold(n_splits, shuffle=True, random_state=0)


kinds = {"random folds": (random_folds, None), "folds grouped by last word": (GroupKFold, last_word)}
for title, (make_folds, groups) in kinds.items():
    print(f"\n{title}\n{'':<27}" + "".join(f"{d + ' ' + m:>8}" for d in ("n>c", "c>n") for m in ("R@1", "R@5", "R@10", "med")))
    for name in searches:
        reports, chosen = evaluate(name, make_folds, groups)
        print(row(name, reports, lambda report, direction: report[direction]), flush=True)
    print(row("chance", reports, lambda report, direction: report["chance"][direction]))

# %%
# The picture: names from the last random test fold, and the eight colours that each retrieves, the best first. A dot
# marks the colour that belongs to the name.
train, test = next(random_folds(5).split(views))
model = clone(pipeline(kernel_cca)).set_params(kernelcca__shrinkage=1e-4, kernelcca__kernel__color="exponential")
model.fit(views[train])
points = model.transform(views[test])
similarity = model[-1].similarity(
    Views(name=model[0].transform(views[test])["name"], color=model[0].transform(views[test])["color"])
)
queries = np.random.default_rng(0).choice(len(test), size=14, replace=False)
found = np.argsort(-similarity[queries], axis=1)[:, :8]

figure, axis = plt.subplots(figsize=(7.5, 6.2), layout="constrained")
colors = views["color"][test]
for y, (query, hits) in enumerate(zip(queries, found)):
    axis.text(-0.25, y, views["name"][test[query]], ha="right", va="center", fontsize=11)
    for x, hit in enumerate(hits):
        axis.add_patch(plt.Rectangle((x, y - 0.42), 0.92, 0.84, color=colors[hit]))
        if hit == query:
            dark = colors[hit] @ [0.299, 0.587, 0.114] < 0.5
            axis.plot(x + 0.46, y, "o", color="white" if dark else "black", markersize=7)
axis.set(xlim=(0, 8), ylim=(len(queries) - 0.5, -0.5), xticks=np.arange(8) + 0.46, yticks=[])
axis.set_xticklabels([str(rank) for rank in range(1, 9)])
axis.xaxis.tick_top()
axis.set_xlabel("colours that the name retrieves, the best first; a dot marks the right one")
axis.tick_params(length=0)
for side in axis.spines.values():
    side.set_visible(False)
figure.savefig("color_names.png", dpi=110)
print("\nSaved color_names.png")
