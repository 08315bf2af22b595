"""How much views share: mutual information, and what of it is about a label."""

from ._decomposition import partial_information_decomposition
from ._functions import conditional_mutual_information, mutual_information
from ._mutual_information import MutualInformation
from ._redundancy import multiview_redundancy

__all__ = [
    "MutualInformation",
    "conditional_mutual_information",
    "multiview_redundancy",
    "mutual_information",
    "partial_information_decomposition",
]
