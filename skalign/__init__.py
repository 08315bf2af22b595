"""skalign: multimodal alignment as ordinary scikit-learn estimators."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public name -> the module that holds it; imported when first asked for, so that `import skalign` stays light.
_HOMES = {
    "AssignmentAligner": "skalign.transport",
    "CCA": "skalign.correlation",
    "CTCAligner": "skalign.sequence",
    "ChangepointSegmenter": "skalign.temporal",
    "CTWAligner": "skalign.temporal",
    "ContrastiveAligner": "skalign.contrastive",
    "CrossModalRetriever": "skalign.contrastive",
    "DTWAligner": "skalign.temporal",
    "DeepCCA": "skalign.correlation",
    "FactorizedContrastiveAligner": "skalign.contrastive",
    "HiddenUnitDiscretizer": "skalign.sequence",
    "KernelCCA": "skalign.correlation",
    "LatentPairingAligner": "skalign.transport",
    "MutualInformation": "skalign.information",
    "OTAligner": "skalign.transport",
    "OrderAligner": "skalign.contrastive",
    "ProcrustesAligner": "skalign.correlation",
    "RegionSegmenter": "skalign.sequence",
    "RelativeAligner": "skalign.contrastive",
    "VectorQuantizer": "skalign.sequence",
    "ZeroShotClassifier": "skalign.contrastive",
    "ByView": "skalign.views",
    "Domains": "skalign.views",
    "Fuse": "skalign.views",
    "PerView": "skalign.views",
    "Precomputed": "skalign.views",
    "SplitColumns": "skalign.views",
    "Views": "skalign.views",
    "select_view": "skalign.views",
    "show_versions": "skalign._show_versions",
}
_MODULES = (
    "contrastive",
    "correlation",
    "datasets",
    "information",
    "metrics",
    "plotting",
    "sequence",
    "temporal",
    "transport",
    "views",
)

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"skalign.{name}")
    raise AttributeError(f"module 'skalign' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
