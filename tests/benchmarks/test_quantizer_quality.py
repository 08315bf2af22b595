"""Images from a few codes each, beside k-means on blocks of pixels with as many bits.

The settings were chosen on a part of the training rows of seed 0; the test rows had no part in it.
"""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skalign.sequence import VectorQuantizer

pytestmark = pytest.mark.slow
FAMILY = "tokens and transcripts"

N_CODES, N_CODEBOOKS = 256, 4  # 32 bits an image
SETTINGS = {
    "encoder": "mlp", "hidden_layer_sizes": (512,), "input_noise": 0.5, "batch_size": 64,
    "learning_rate_schedule": "cosine", "early_stopping": False,
}  # fmt: skip


def product_kmeans_error(train, test, blocks, seed):
    """Squared error on test rows when every block of pixels has k-means of its own."""
    error = 0.0
    for block in blocks:
        kmeans = KMeans(N_CODES, n_init=3, random_state=seed).fit(train[:, block])
        error += ((test[:, block] - kmeans.cluster_centers_[kmeans.predict(test[:, block])]) ** 2).sum(axis=1).mean()
    return error


def draw(path, images, reconstructions):
    """Images above their reconstructions, as one picture."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, len(images), figsize=(len(images), 2), squeeze=False)
    for row, pictures in zip(axes, (images, reconstructions)):
        for ax, picture in zip(row, pictures):
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
            ax.set_axis_off()
    fig.savefig(path)
    plt.close(fig)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits_below_product_kmeans_at_equal_bits(seed, tmp_path, bench):
    pytest.importorskip("skorch")
    train, test = train_test_split(load_digits().data / 16.0, test_size=0.25, random_state=seed)
    quantizer = VectorQuantizer(N_CODES, N_CODEBOOKS, random_state=seed, **SETTINGS).fit(train)
    rows = quantizer.inverse_transform(quantizer.transform(test))
    own = ((test - rows) ** 2).sum(axis=1).mean()
    pixels = np.arange(64).reshape(8, 8)
    squares = [half.ravel() for rows_ in np.split(pixels, 2) for half in np.split(rows_, 2, axis=1)]
    peers = {
        "rows": product_kmeans_error(train, test, np.split(np.arange(64), N_CODEBOOKS), seed),
        "squares": product_kmeans_error(train, test, squares, seed),
    }
    size = f"digits, {N_CODEBOOKS} of {N_CODES} codes, seed {seed}"
    usage = quantizer.usage_.min()
    bench.record("VectorQuantizer: share of codes in use", usage, size=size, bars={"above 0.9": usage > 0.9})
    bench.record(
        "VectorQuantizer: squared error",
        own,
        size=size,
        peers={f"k-means by {name}": error for name, error in peers.items()},
        bars={"below both": own < min(peers.values())},
    )
    pytest.importorskip("matplotlib")
    draw(tmp_path / "digits.png", test[:10].reshape(-1, 8, 8), rows[:10].reshape(-1, 8, 8))
    assert (tmp_path / "digits.png").stat().st_size > 1000
