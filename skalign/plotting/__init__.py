"""Pictures in scikit-learn's Display form, drawn with matplotlib (extra ``plot``).

A class method computes and draws, ``from_estimator``, ``from_predictions`` or ``from_views``; what was computed and the
artists that were drawn are attributes, and ``plot`` draws again. Nothing is shown or saved: ``display.figure_`` is the
user's.
"""

from ._alignment_matrix import AlignmentMatrixDisplay
from ._correlation import CorrelationDisplay
from ._retrieval import RetrievalDisplay
from ._segmentation import SegmentationDisplay
from ._shared_space import SharedSpaceDisplay
from ._similarity import SimilarityDisplay
from ._training import TrainingDisplay
from ._transport_plan import TransportPlanDisplay
from ._warping_path import WarpingPathDisplay

__all__ = [
    "AlignmentMatrixDisplay",
    "CorrelationDisplay",
    "RetrievalDisplay",
    "SegmentationDisplay",
    "SharedSpaceDisplay",
    "SimilarityDisplay",
    "TrainingDisplay",
    "TransportPlanDisplay",
    "WarpingPathDisplay",
]
