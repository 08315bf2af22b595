"""Do two modalities belong together at all? Which elements meet more often than by chance, and at which delay."""

from ._cooccurrence import cooccurrence, cooccurrence_from_counts, top_pairs
from ._lagged import lagged_alignment

__all__ = ["cooccurrence", "cooccurrence_from_counts", "lagged_alignment", "top_pairs"]
