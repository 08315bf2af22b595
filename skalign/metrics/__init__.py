"""How well views are aligned: similarities, retrieval and segmentation metrics, and scorers for model selection."""

from . import association, representation
from ._energy import energy_distance
from ._foscttm import foscttm
from ._units import phone_normalized_mutual_info, phone_purity, unit_purity
from .report import RetrievalReport, retrieval_report
from .representation import permutation_calibrate
from .retrieval import (
    match_ranks,
    mean_average_precision,
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
)
from .scorers import alignment_scorer
from .segmentation import covering, f1_with_margin, hausdorff_distance, mean_boundary_error, rand_index
from .similarity import SIMILARITIES, pairwise_similarity

__all__ = [
    "SIMILARITIES",
    "RetrievalReport",
    "alignment_scorer",
    "association",
    "covering",
    "energy_distance",
    "f1_with_margin",
    "foscttm",
    "hausdorff_distance",
    "match_ranks",
    "mean_average_precision",
    "mean_boundary_error",
    "mean_reciprocal_rank",
    "median_rank",
    "pairwise_similarity",
    "permutation_calibrate",
    "phone_normalized_mutual_info",
    "phone_purity",
    "rand_index",
    "recall_at_k",
    "representation",
    "retrieval_report",
    "unit_purity",
]
