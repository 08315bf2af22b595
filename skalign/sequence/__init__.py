"""Many frames to one label, and signals turned into tokens."""

from ._ctc import CTCPosterior, ForcedAlignment, ctc_posterior, forced_align
from ._ctc_aligner import CTCAligner
from ._decode import Decoding, ctc_decode
from ._spans import Span

__all__ = [
    "CTCAligner",
    "CTCPosterior",
    "Decoding",
    "ForcedAlignment",
    "Span",
    "ctc_decode",
    "ctc_posterior",
    "forced_align",
]
