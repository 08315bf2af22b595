"""Maps that tell the partner of a row from other rows, and what can be done with them."""

from ._contrastive import ContrastiveAligner
from ._factorized import FactorizedContrastiveAligner
from ._order import OrderAligner
from ._relative import RelativeAligner
from ._retriever import CrossModalRetriever
from ._zero_shot import ZeroShotClassifier

__all__ = [
    "ContrastiveAligner",
    "CrossModalRetriever",
    "FactorizedContrastiveAligner",
    "OrderAligner",
    "RelativeAligner",
    "ZeroShotClassifier",
]
