"""Many frames to one label, and signals turned into tokens."""

from ._ctc import CTCPosterior, ForcedAlignment, ctc_posterior, forced_align
from ._ctc_aligner import CTCAligner
from ._decode import Decoding, ctc_decode
from ._hidden_units import HiddenUnitDiscretizer
from ._masked_prediction import MaskedPredictionNet
from ._region_segmenter import RegionSegmenter
from ._spans import Span
from ._vector_quantizer import VectorQuantizer

__all__ = [
    "CTCAligner",
    "CTCPosterior",
    "Decoding",
    "ForcedAlignment",
    "HiddenUnitDiscretizer",
    "MaskedPredictionNet",
    "RegionSegmenter",
    "Span",
    "VectorQuantizer",
    "ctc_decode",
    "ctc_posterior",
    "forced_align",
]
