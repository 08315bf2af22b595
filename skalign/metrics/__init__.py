"""How well views are aligned: similarities, retrieval metrics, and scorers for model selection."""

from .report import RetrievalReport, retrieval_report
from .retrieval import (
    match_ranks,
    mean_average_precision,
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
)
from .scorers import alignment_scorer
from .similarity import SIMILARITIES, pairwise_similarity

__all__ = [
    "SIMILARITIES",
    "RetrievalReport",
    "alignment_scorer",
    "match_ranks",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "median_rank",
    "pairwise_similarity",
    "recall_at_k",
    "retrieval_report",
]
