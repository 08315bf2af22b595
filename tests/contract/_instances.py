"""What the contract tests run over, and what of the contract has another form for a class.

A new estimator adds a line to `PAIRED`.
"""

import numpy as np
from scipy.spatial.distance import cdist

from skalign import (
    CCA,
    ContrastiveAligner,
    DeepCCA,
    FactorizedContrastiveAligner,
    KernelCCA,
    MutualInformation,
    OrderAligner,
    ProcrustesAligner,
    RelativeAligner,
)

# Small nets and few epochs: the checks fit hundreds of times.
_NET = {"hidden_layer_sizes": (16,), "max_epochs": 30, "learning_rate": 0.01, "random_state": 0}

# Aligners of paired views, by the name that the tests show.
PAIRED = {
    "CCA": CCA(),
    "KernelCCA": KernelCCA(),
    "DeepCCA": DeepCCA(1, **_NET),
    "DeepCCA-ey": DeepCCA(1, objective="ey", reconstruction=0.1, encoder="residual", **_NET),
    "Contrastive": ContrastiveAligner(1, **_NET),
    "Contrastive-siglip": ContrastiveAligner(1, loss="siglip", init="cca", **_NET),
    "Factorized": FactorizedContrastiveAligner(1, 1, blocks="shared", decorrelation=0.1, **_NET | {"max_epochs": 60}),
    "MutualInformation": MutualInformation(n_components=1, **_NET),
    "Order": OrderAligner(1, **_NET | {"max_epochs": 60}),  # which relations hold is told later than cosines
    "Order-hyperbolic": OrderAligner(1, geometry="hyperbolic", **_NET | {"max_epochs": 60}),
    "Procrustes": ProcrustesAligner(),
    "Procrustes-pca": ProcrustesAligner(widths="pca", scaling=True),
    "Relative": RelativeAligner(random_state=0),
}

_TUPLE = "scikit-learn expects of the name CCA that fit_transform gives a pair; here it gives the first view"

# Class name -> check -> reason. The same class under a name without special rules has no failure.
EXPECTED_FAILURES = {
    "CCA": {"check_transformer_data_not_an_array": _TUPLE, "check_transformer_general": _TUPLE},
}

# Class name -> part of the contract that it has in another form -> reason.
EXEMPT = {
    "MutualInformation": {"three views": "mutual information is that of two views"},
    "OrderAligner": {
        "symmetry": "a relation has a direction",
        "one place for a pair": "one member lies below the other, so that their mean is no place for either",
        "long fits in float32": "a hinge that rounding turns on or off sends the rest of the training elsewhere",
    },
}


def exempt(aligner, part):
    """Why this part of the contract is another for the class, or None."""
    return EXEMPT.get(type(aligner).__name__, {}).get(part)


def width_of(aligner):
    """The parameter that sets the width of what `transform` gives."""
    return next(name for name in ("n_anchors", "n_shared", "n_components") if hasattr(aligner, name))


def feature_word(aligner):
    """What the names of features start with."""
    return "shared" if hasattr(aligner, "n_shared") else type(aligner).__name__.lower()


def expected_similarity(aligner, Zx, Zy):
    """The similarity of rows of the shared space: cosines, where `_SIMILARITIES` does not say otherwise."""
    return _SIMILARITIES.get(type(aligner).__name__, _cosines)(aligner, Zx, Zy)


def _cosines(aligner, Zx, Zy):
    return Zx @ Zy.T / np.linalg.norm(Zx, axis=1)[:, None] / np.linalg.norm(Zy, axis=1)


def _order(aligner, Zx, Zy):
    if aligner.geometry == "order":
        return -(np.maximum(0, Zy - Zx[:, None]) ** 2).sum(axis=2)
    import torch

    from skalign.contrastive._order_geometry import cone_energy

    return -cone_energy(torch.as_tensor(Zx), torch.as_tensor(Zy), aligner.curvature_).numpy()


_SIMILARITIES = {
    "FactorizedContrastiveAligner": lambda aligner, Zx, Zy: np.exp(-cdist(Zx, Zy) / Zx.shape[1]),
    "MutualInformation": lambda aligner, Zx, Zy: Zx @ Zy.T,  # estimates, in nats
    "OrderAligner": _order,
}
