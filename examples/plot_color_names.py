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
import os
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
from skalign.metrics import alignment_scorer, pairwise_similarity, retrieval_report

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Linear CCA on wide text fits the training rows perfectly and warns of it; it stands here to show just that. The
# setting goes through the environment to reach the workers of the search too.
os.environ["PYTHONWARNINGS"] = "ignore:Without shrinkage"
warnings.filterwarnings("ignore", message="Without shrinkage")

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
    "ridge CCA": (CCA(3, weighting="correlation"), {"cca__shrinkage": [0.1, 0.5, 0.9, 0.99]}),
    "KernelCCA": (
        kernel_cca,
        {
            "perview__name__ngram_range": [(1, 3), (1, 4)],
            "kernelcca__kernel__color": ["rbf", "exponential"],
            "kernelcca__shrinkage": [1e-4, 1e-3],
        },
    ),
}


def retrieve(model, test):
    points = model.transform(views[test])
    return retrieval_report(points["name"], points["color"])


def evaluate(aligner, grid, make_folds, groups):
    """Reports on the outer test folds, those of the same models refitted on permuted pairs, and the choices made."""
    reports, controls, choices = [], [], []
    for fold, (train, test) in enumerate(make_folds(5).split(views, groups=groups)):
        inner = list(make_folds(3).split(train, groups=None if groups is None else groups[train]))
        scorer = alignment_scorer("mean_reciprocal_rank")
        search = GridSearchCV(pipeline(aligner), grid, scoring=scorer, cv=inner, n_jobs=2).fit(views[train])
        reports.append(retrieve(search.best_estimator_, test))
        choices.append(search.best_params_)
        mixed = train[np.random.default_rng(fold).permutation(len(train))]
        permuted = Views(name=views[train]["name"], color=views["color"][mixed])
        controls.append(retrieve(clone(search.best_estimator_).fit(permuted), test))
    return reports, controls, choices


# %%
# The table. "n>c" is names retrieving colours, "c>n" colours retrieving names; means over five folds.
def row(label, reports, pick):
    cells = []
    for direction in ("a_to_b", "b_to_a"):
        values = [pick(report, direction) for report in reports]
        cells += [np.mean([v[key] for v in values]) for key in ("recall_at_1", "recall_at_5", "recall_at_10")]
        cells.append(np.mean([v["median_rank"] for v in values]))
    return f"{label:<27}" + "".join(f"{c:>10.1f}" if i % 4 == 3 else f"{c:>10.3f}" for i, c in enumerate(cells))


def random_folds(n_splits):
    return KFold(n_splits, shuffle=True, random_state=0)


kinds = {"random folds": (random_folds, None), "folds grouped by last word": (GroupKFold, last_word)}
for title, (make_folds, groups) in kinds.items():
    header = "".join(f"{direction:>5} {m:>4}" for direction in ("n>c", "c>n") for m in ("R@1", "R@5", "R@10", "med"))
    print(f"\n{title}\n{'':<27}{header}")
    for name, (aligner, grid) in searches.items():
        reports, controls, choices = evaluate(aligner, grid, make_folds, groups)
        print(row(name, reports, lambda report, direction: report[direction]), flush=True)
    print(row("KernelCCA, permuted pairs", controls, lambda report, direction: report[direction]))
    print(row("chance", reports, lambda report, direction: report["chance"][direction]))
    print("chosen in the first fold:", choices[0])

# %%
# The picture: names from the last random test fold, and the eight colours that each retrieves, the best first. A dot
# marks the colour that belongs to the name.
train, test = next(random_folds(5).split(views))
model = clone(pipeline(kernel_cca)).set_params(kernelcca__shrinkage=1e-4, kernelcca__kernel__color="exponential")
model.fit(views[train])
points = model.transform(views[test])
similarity = pairwise_similarity(points["name"], points["color"])
queries = np.random.default_rng(5).choice(len(test), size=14, replace=False)
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
