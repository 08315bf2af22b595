"""
A picture in four bytes: digits as tokens
=========================================

A `VectorQuantizer` with a net before and behind its codebooks (a VQ-VAE) writes every image as a few token ids, and
`inverse_transform` draws the image that the ids stand for. Beside it, k-means on blocks of pixels with as many bits.
"""

# %%
# Four codebooks of 256 codes each: 32 bits an image. Every codebook quantises what those before it have left over.
import matplotlib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skalign import VectorQuantizer

matplotlib.use("Agg")
import matplotlib.pyplot as plt

N_CODES, N_CODEBOOKS = 256, 4
train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
quantizer = VectorQuantizer(
    N_CODES,
    N_CODEBOOKS,
    encoder="mlp",
    hidden_layer_sizes=(512,),
    input_noise=0.5,
    batch_size=64,
    learning_rate_schedule="cosine",
    early_stopping=False,
    max_epochs=100,
    random_state=0,
).fit(train)
tokens = quantizer.transform(test)
print("tokens of the first image:", tokens[0].tolist())
print("codes in use, by codebook:", quantizer.usage_.round(3).tolist())

# %%
# The same bits spent otherwise: the four quarters of the image, each by one of 256 centres.
quarters = [half.ravel() for rows in np.split(np.arange(64).reshape(8, 8), 2) for half in np.split(rows, 2, axis=1)]
by_quarters = np.empty_like(test)
for quarter in quarters:
    kmeans = KMeans(N_CODES, n_init=1, random_state=0).fit(train[:, quarter])
    by_quarters[:, quarter] = kmeans.cluster_centers_[kmeans.predict(test[:, quarter])]

drawn = {"image": test, "four tokens": quantizer.inverse_transform(tokens), "four quarters": by_quarters}
errors = {name: ((test - rows) ** 2).sum(axis=1).mean() for name, rows in drawn.items()}
for name, error in errors.items():
    print(f"{name:<14} squared error {error:.3f}")

# %%
# Tokens of the whole image keep strokes together where quarters break them at their borders.
fig, axes = plt.subplots(len(drawn), 12, figsize=(9, 2.9), layout="constrained")
for row, (name, images) in zip(axes, drawn.items()):
    for ax, image in zip(row, images):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
    error = "" if name == "image" else f"\nerror {errors[name]:.2f}"
    row[0].set_ylabel(name + error, rotation=0, ha="right", va="center")
fig.savefig("image_tokens.png", dpi=90)
