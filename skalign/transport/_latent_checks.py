"""Checks of what users ask of a latent pairing."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .._input import is_whole
from ._latent_search import INITS, MAPS, PLANS


def check_parameters(aligner):
    """Raise ValueError for parameters of a `LatentPairingAligner` that mean nothing."""
    choices = {"map": MAPS, "plan": PLANS} | ({} if np.ndim(aligner.init) == 2 else {"init": INITS})
    for name, allowed in choices.items():
        value = getattr(aligner, name)
        if not (isinstance(value, str) and value in allowed):
            raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}.")
    for name in ("n_init", "max_iter", "max_epochs"):
        value = getattr(aligner, name)
        if not is_whole(value, 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    for name in ("shrinkage", "tol", "regularization", "learning_rate"):
        value, zero = getattr(aligner, name), name in ("shrinkage", "tol")
        if not isinstance(value, Real) or not (0 < value < np.inf or (zero and value == 0)):
            raise ValueError(f"{name} must be a finite number {'of at least' if zero else 'above'} 0, got {value!r}.")
    for name in ("scaling", "pairs_from_y"):
        if not isinstance(getattr(aligner, name), (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False, got {getattr(aligner, name)!r}.")
    sizes = aligner.hidden_layer_sizes
    if not (np.iterable(sizes) and all(is_whole(size, 1) for size in sizes)):
        raise ValueError(f"hidden_layer_sizes must be a tuple of whole numbers of at least 1, got {sizes!r}.")


def check_init(init, shape, anchors):
    """A name, or an array of that shape."""
    if isinstance(init, str):
        if init == "anchors" and anchors is None:
            raise ValueError("init='anchors' needs anchors=, or pair ids in y beside Domains.")
        return init
    start = np.asarray(init, dtype=np.float64)
    if start.shape != shape or not np.isfinite(start).all():
        raise ValueError(f"init must be a finite array of shape {shape}, got shape {start.shape}.")
    return start


def check_partners(anchors):
    """Raise ValueError when an element is in two of the known pairs."""
    for name, side in zip(("source", "target"), anchors or ()):
        if len(np.unique(side)) < len(side):
            raise ValueError(f"anchors name a row of the {name} twice, but an element has one partner.")
    return anchors
