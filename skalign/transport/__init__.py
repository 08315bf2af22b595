"""Which element goes with which."""

from ._assignment import solve_assignment
from ._assignment_aligner import AssignmentAligner
from ._bag_costs import bag_plans, bag_transport_costs
from ._ot_aligner import OTAligner
from ._plan import EntropicPlan
from ._sinkhorn import sinkhorn

__all__ = [
    "AssignmentAligner",
    "EntropicPlan",
    "OTAligner",
    "bag_plans",
    "bag_transport_costs",
    "sinkhorn",
    "solve_assignment",
]
