"""
What was aligned? Nine pictures
===============================

`skalign.plotting` draws what aligners learn, in scikit-learn's Display form: a class method computes and draws, the
numbers and the artists are attributes of what it returns, and `ax=` takes axes of your own. Colours can be told apart
by colour-blind eyes, and marks and lines without any colour.
"""

# %%
# Two views of the same thing: the left and the right half of a handwritten digit.
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skalign import (
    CCA,
    ChangepointSegmenter,
    ContrastiveAligner,
    CrossModalRetriever,
    DTWAligner,
    OTAligner,
    PerView,
    Views,
)
from skalign.datasets import load_color_names, load_emoji
from skalign.plotting import (
    AlignmentMatrixDisplay,
    CorrelationDisplay,
    RetrievalDisplay,
    SegmentationDisplay,
    SharedSpaceDisplay,
    SimilarityDisplay,
    TrainingDisplay,
    TransportPlanDisplay,
    WarpingPathDisplay,
)

matplotlib.use("Agg")

digits = load_digits()
halves = Views(left=digits.images[:, :, :4].reshape(-1, 32), right=digits.images[:, :, 4:].reshape(-1, 32))
train, test, _, digit = train_test_split(halves, digits.target, train_size=300, random_state=0)
cca = CCA(20, shrinkage=0.01, weighting="correlation").fit(train)
displays = {}

# %%
# How many components hold on new rows? Where the dashed line enters the grey band, nothing is left but chance.
displays["correlation"] = CorrelationDisplay.from_estimator(cca, train, test)

# %%
# Do pairs come together? Short lines are pairs that do. The digits, which the aligner never saw, have places of their
# own: zeros, fours and ones far apart, those that look alike close together.
displays["shared_space"] = SharedSpaceDisplay.from_estimator(
    cca, test, labels=digit, dims="pca", n_samples=100, random_state=0
)

# %%
# Is a right half the nearest to its left half, of 40 candidates? A filled mark says so; an open one is beaten.
order = np.argsort(digit[:40], kind="stable")
displays["similarity"] = SimilarityDisplay.from_estimator(cca, test[order])

# %%
# What does a search find? Names of emoji that were not seen in training look for pictures that were not seen either.
emoji = load_emoji()
pixels = make_pipeline(
    FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255.0), PCA(60, random_state=0)
)
words = make_pipeline(TfidfVectorizer(sublinear_tf=True), TruncatedSVD(200, random_state=0))
search = make_pipeline(PerView({"image": pixels, "name": words}), CCA(30, shrinkage=0.3, weighting="correlation"))
known, new = train_test_split(np.arange(len(emoji.names)), test_size=200, random_state=0)
search.fit(emoji.views[known])
album = CrossModalRetriever(search, n_neighbors=8).fit(emoji.views[new][["image"]])
asked = np.arange(0, 200, 25)
displays["retrieval"] = RetrievalDisplay.from_estimator(
    album, emoji.views[new][asked][["name"]], emoji.images[new], y=asked
)

# %%
# What goes where? Light colours are carried to dark ones by their hue alone.
colors = load_color_names()
row = {name: i for i, name in enumerate(colors.names)}
hues = sorted({n[6:] for n in row if n.startswith("light ")} & {n[5:] for n in row if n.startswith("dark ")})
light, dark = (colors.lab[[row[f"{shade} {hue}"] for hue in hues], 1:] for shade in ("light", "dark"))
transport = OTAligner(regularization=0.02).fit(light, dark)
displays["transport_plan"] = TransportPlanDisplay.from_estimator(transport, light, dark)
displays["transport_plan"].ax_.set(xlabel="a* (green to red)", ylabel="b* (blue to yellow)")

# %%
# A strip of colours, scanned twice: every colour takes some frames, other ones each time, and the camera is noisy.
rng = np.random.default_rng(3)
strip = colors.rgb[rng.choice(len(colors.rgb), 9, replace=False)]


def scan():
    lengths = rng.integers(8, 40, size=len(strip))
    frames = np.repeat(strip, lengths, axis=0)
    return frames + 0.08 * rng.normal(size=frames.shape), np.cumsum(lengths)[:-1]


(first, first_cuts), (second, _) = scan(), scan()

# %%
# Which frame matches which? The path should keep to the light boxes, from corner to corner.
scans = Views(first=[first], second=[second])
displays["warping_path"] = WarpingPathDisplay.from_estimator(DTWAligner().fit(scans), scans)

# %%
# Where does the colour change? Dashed lines are the cuts that were found, triangles the true ones; a triangle without a
# line is a cut that was missed.
segmenter = ChangepointSegmenter(penalty_scale=0.3).fit([first])
displays["segmentation"] = SegmentationDisplay.from_estimator(segmenter, [first], [{"true cuts": first_cuts}])

# %%
# Which representations agree? Of 400 digits: raw pixels, their principal components, a net with random weights, a
# trained one, the two halves, and noise, which agrees with nothing.
rows = digits.data[-400:]
mlp = MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=0).fit(
    digits.data[:-400], digits.target[:-400]
)


def hidden(weights, intercepts):
    return np.maximum(rows @ weights + intercepts, 0)


representations = {
    "pixels": rows,
    "PCA": PCA(10, random_state=0).fit_transform(rows),
    "random net": hidden(rng.normal(size=(64, 64)) / 8, 0.0),
    "trained net": hidden(mlp.coefs_[0], mlp.intercepts_[0]),
    "left half": rows.reshape(-1, 8, 8)[:, :, :4].reshape(-1, 32),
    "right half": rows.reshape(-1, 8, 8)[:, :, 4:].reshape(-1, 32),
    "noise": rng.normal(size=(400, 16)),
}
displays["alignment_matrix"] = AlignmentMatrixDisplay.from_embeddings(representations, k=10, random_state=0)

# %%
# Was the training long enough, and which epoch was kept? The loss goes on falling after the score has had its best.
net = ContrastiveAligner(16, max_epochs=60, n_iter_no_change=10, random_state=0).fit(halves)
displays["training"] = TrainingDisplay.from_estimator(net)

for name, display in displays.items():
    display.figure_.savefig(f"display_{name}.png", dpi=110)
print(f"Saved {len(displays)} pictures: display_{', display_'.join(displays)}")
