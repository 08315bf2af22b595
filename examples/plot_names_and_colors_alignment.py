"""
Do names know colours? From text to colour without a pair
=========================================================

People saw 949 colours and typed names for them. Nobody aligns anything here: names become vectors by the letters and
words in them, colours are points of CIELAB, where distance is near to what eyes see. Are names that look alike names of
colours that look alike?

They are, and a permutation test leaves no doubt of it. But the alignment is small, and most of it hangs on words such
as "green" that many names share. Above all it is no matching: who gets 40 names and 40 colours, and only the
similarities within each, pairs them hardly better than by chance. The pairing that fits the similarities best is simply
not the true one.
"""

# %%
# Names as text: letters (n-grams of 1 to 4 characters) or whole words, weighted by how rare they are and reduced to 100
# dimensions. No language model, and nothing that has seen a colour. For comparison the lengths of the names, and the
# names of two words or more without their last word, which is mostly the one that says the colour.
import time
import warnings

import matplotlib
import numpy as np
from scipy.optimize import quadratic_assignment
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skalign.datasets import load_color_names
from skalign.metrics.representation import permutation_calibrate

matplotlib.use("Agg")
import matplotlib.pyplot as plt

started = time.process_time()
colors = load_color_names()
names, lab = colors.names, colors.lab
SEEDS = range(3)


def letters(texts, seed=0):
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    return make_pipeline(vectors, TruncatedSVD(100, random_state=seed)).fit_transform(texts)


def words(texts, seed=0):
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(100, random_state=seed)).fit_transform(texts)


def lengths(texts, seed=0):
    return np.array([[len(text), text.count(" ")] for text in texts], dtype=float)


# %%
# Three measures, each against 500 random pairings, and the part of the score above them. Distances of colours are
# Euclidean, whatever those of the texts. The seeds are those of the reduced vectors.
several = np.flatnonzero([" " in name for name in names])
beginnings = [names[row].rsplit(" ", 1)[0] for row in several]
questions = {
    "letters": (letters, names, lab, "cosine"),
    "words": (words, names, lab, "cosine"),
    "letters, two words": (letters, [names[row] for row in several], lab[several], "cosine"),
    "letters, last word cut": (letters, beginnings, lab[several], "cosine"),
    "lengths of names": (lengths, names, lab, "euclidean"),
}


def measures(vectors, points, metric, random_state):
    options = {"n_permutations": 500, "random_state": random_state}
    return {
        "mutual kNN": permutation_calibrate(
            "mutual_knn", vectors, points, metric=(metric, "euclidean"), k=10, **options
        ),
        "CKA": permutation_calibrate("cka", vectors, points, **options),
        "RSA": permutation_calibrate("rsa", vectors, points, metric=(metric, "euclidean"), **options),
    }


print(f"{'names as':<24}{'n':>4}  {'measure':<11}{'score':>6}{'chance 95%':>12}{'p':>7}   calibrated, 3 seeds")
for title, (embed, texts, points, metric) in questions.items():
    found = [measures(embed(texts, seed), points, metric, seed) for seed in SEEDS]
    for measure, first in found[0].items():
        parts = [results[measure].calibrated for results in found]
        print(
            f"{title:<24}{len(texts):>4}  {measure:<11}{first.score:>6.3f}{first.threshold:>12.3f}{first.pvalue:>7.3f}"
            f"{np.mean(parts):>8.3f} ({min(parts):.3f} to {max(parts):.3f})"
        )

# %%
# Blind matching: 40 items of each side, shuffled, and nothing but the similarities within each side. The assignment
# that makes the two similarity matrices agree most is looked for from six starting points (a quadratic assignment
# problem). Three pairs of representations: names and colours; left and right halves of digits; and, as a case that
# works in part, two classifiers of digits that differ in nothing but their seed.
pixels, digit = load_digits(return_X_y=True)
train, test, train_digit, _ = train_test_split(pixels / 16, digit, test_size=600, stratify=digit, random_state=0)
nets = [MLPClassifier((64,), max_iter=150, n_iter_no_change=150, random_state=seed) for seed in (0, 1)]
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # 150 epochs, as in the example on emergent alignment
    nets = [net.fit(train, train_digit) for net in nets]
pairs = {
    "names and colours": (letters(names), lab),
    "halves of digits": tuple(test.reshape(-1, 8, 8)[:, :, side : side + 4].reshape(-1, 32) for side in (0, 4)),
    "two nets, two seeds": tuple(np.maximum(test @ net.coefs_[0] + net.intercepts_[0], 0) for net in nets),
}
N_ITEMS, N_DRAWS = 40, 20


def similarities(vectors):
    """Cosines after centring, themselves centred off the diagonal and of norm 1."""
    S = cosine_similarity(vectors - vectors.mean(axis=0))
    off = ~np.eye(len(S), dtype=bool)
    S = np.where(off, S - S[off].mean(), 0.0)
    return S / np.linalg.norm(S)


def match_blind(X, Y, seed):
    """Share of items that find their partner, agreement of the matrices as matched and as true, and a p-value."""
    rng = np.random.default_rng(seed)
    rows, shuffle = rng.choice(len(X), N_ITEMS, replace=False), rng.permutation(N_ITEMS)
    A, B = similarities(X[rows]), similarities(Y[rows])
    shuffled = B[np.ix_(shuffle, shuffle)]
    starts = [{"P0": "barycenter"}, *({"P0": "randomized", "rng": rng} for _ in range(5))]
    found = [quadratic_assignment(A, shuffled, options={"maximize": True, **start}) for start in starts]
    best = max(found, key=lambda result: result.fun)
    pvalue = permutation_calibrate("cka", X[rows], Y[rows], 200, random_state=seed).pvalue
    return np.mean(shuffle[best.col_ind] == np.arange(N_ITEMS)), best.fun, np.sum(A * B), pvalue


print(
    f"\n{N_ITEMS} items, {N_DRAWS} draws: share that finds its partner (chance {1 / N_ITEMS:.3f}), its standard error;"
)
print("agreement of the similarities as matched and as true; share of draws in which CKA is significant (p < .05)")
right = {}
for title, (X, Y) in pairs.items():
    shares, matched, true, pvalues = np.array([match_blind(X, Y, seed) for seed in range(N_DRAWS)]).T
    right[title] = shares
    error, significant = shares.std(ddof=1) / np.sqrt(N_DRAWS), np.mean(pvalues < 0.05)
    print(f"{title:<24}{shares.mean():.3f} ± {error:.3f}{matched.mean():>8.2f}{true.mean():>8.2f}{significant:>8.2f}")

# %%
# The picture. Left: some names and the colours of the ten names whose letters are nearest. Middle: the score and those
# of random pairings. Right: how many of 40 items find their partner blindly, for each draw.
figure, (swatches, null, blind) = plt.subplots(1, 3, figsize=(13, 4.6), width_ratios=(1.5, 1, 1), layout="constrained")
vectors = letters(names)
nearness = cosine_similarity(vectors) - 2 * np.eye(len(names))
asked = np.random.default_rng(0).choice(len(names), 12, replace=False)
for y, row in enumerate(asked):
    swatches.text(-1.35, y, names[row], ha="right", va="center", fontsize=10)
    for x, column in enumerate([row, *np.argsort(-nearness[row])[:10]]):
        swatches.add_patch(plt.Rectangle((x + (0 if x else -1.2), y - 0.42), 0.94, 0.84, color=colors.rgb[column]))
swatches.set(xlim=(-1.3, 11), ylim=(len(asked) - 0.5, -0.5), xticks=[], yticks=[])
swatches.set_title("its colour, and those of the 10 nearest names")
swatches.spines[:].set_visible(False)

result = measures(vectors, lab, "cosine", 0)["mutual kNN"]
null.hist(result.null, bins=25, color="#56B4E9", label="random pairings")
null.axvline(result.score, color="#D55E00", linewidth=2, label="names and colours")
null.set(xlim=(0, 0.2), xlabel="shared neighbours (k = 10)", ylabel="pairings")
null.set_title(f"p = {result.pvalue:.3f}, calibrated {result.calibrated:.2f}")
null.legend(loc="center")

for x, shares in enumerate(right.values()):
    spread = np.random.default_rng(x).uniform(-0.15, 0.15, size=N_DRAWS)
    blind.plot(x + spread, shares, "o", color="#0072B2", markersize=4)
    blind.plot([x - 0.25, x + 0.25], [shares.mean()] * 2, color="#D55E00", linewidth=2)
blind.axhline(1 / N_ITEMS, color="black", linestyle="--", linewidth=1, label="chance")
blind.set(xticks=range(3), ylim=(-0.03, 1), ylabel=f"share of {N_ITEMS} items matched blindly")
blind.set_xticklabels([title.replace(" ", "\n", 1) for title in right])
blind.set_title("matched by similarities alone")
blind.legend(loc="upper left")
figure.savefig("names_and_colors_alignment.png", dpi=75)
print(f"\nSaved names_and_colors_alignment.png after {time.process_time() - started:.0f} s")
