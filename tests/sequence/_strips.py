"""Strips of handwritten digits: signals of columns with transcripts, and where every digit truly lies.

The recipe: three to seven of scikit-learn's digit images side by side, every one stretched by repeating each of its
columns one to three times, empty columns before, between and behind them, whose number is geometric. A frame is a
column, eight numbers. Images of even index are for training, of odd index for testing.
"""

from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits


def make_strips(n_strips, seed, *, train=True, stretch=3, gap=1.0):
    """Strips, transcripts and true spans.

    Parameters
    ----------
    n_strips : int
        Their number.
    seed : int
        Of which digits, stretches and gaps.
    train : bool, default=True
        Whether to draw from the images for training.
    stretch : int, default=3
        Largest stretch.
    gap : float, default=3.0
        Mean number of empty columns at a place.

    Returns
    -------
    X : list of ndarray of shape (n_frames_i, 8)
    y : list of list of int
    spans : list of list of (start, end)
        First frame of a digit and the one behind its last.
    """
    images, targets = load_digits(return_X_y=True)
    own = slice(0 if train else 1, None, 2)
    images, targets = images[own].reshape(-1, 8, 8), targets[own]
    rng = np.random.default_rng(seed)

    def empty():
        return np.zeros((rng.geometric(1 / (1 + gap)) - 1, 8))

    X, y, spans = [], [], []
    for _ in range(n_strips):
        chosen = rng.integers(len(images), size=rng.integers(3, 8))
        parts, own_spans = [empty()], []
        for image in images[chosen]:
            start = sum(map(len, parts))
            parts.append(np.repeat(image.T, rng.integers(1, stretch + 1), axis=0))
            own_spans.append((start, start + len(parts[-1])))
            parts.append(empty())
        X.append(np.concatenate(parts))
        y.append(targets[chosen].tolist())
        spans.append(own_spans)
    return X, y, spans


def uniform_spans(X, y):
    """Every strip cut into as many equal parts as it has labels."""
    bounds = [np.linspace(0, len(x), len(labels) + 1) for x, labels in zip(X, y)]
    return [list(pairwise(cuts)) for cuts in bounds]


def frames_of(spans):
    """First frame and the one behind the last of the spans of an aligner."""
    return [[(span.start, span.end) for span in own] for own in spans]


def span_quality(found, true):
    """Share of the spans whose centre lies inside the true one, and mean intersection over union."""
    pairs = [(f, t) for fs, ts in zip(found, true) for f, t in zip(fs, ts)]
    inside = np.mean([t[0] <= (f[0] + f[1]) / 2 < t[1] for f, t in pairs])
    overlaps = [max(0, min(f[1], t[1]) - max(f[0], t[0])) for f, t in pairs]
    unions = [(f[1] - f[0]) + (t[1] - t[0]) - o for (f, t), o in zip(pairs, overlaps)]
    return float(inside), float(np.mean(np.array(overlaps) / unions))
