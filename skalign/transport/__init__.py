"""Which element goes with which."""

from ._assignment import solve_assignment
from ._assignment_aligner import AssignmentAligner
from ._bag_costs import bag_plans, bag_transport_costs
from ._geodesic import geodesic_distances, geodesic_to
from ._gromov import gromov_scale, gromov_wasserstein, linearized_cost
from ._gromov_starts import anchor_cost
from ._latent_pairing import LatentPairingAligner
from ._ot_aligner import OTAligner
from ._plan import EntropicPlan
from ._sinkhorn import sinkhorn

__all__ = [
    "AssignmentAligner",
    "EntropicPlan",
    "LatentPairingAligner",
    "OTAligner",
    "anchor_cost",
    "bag_plans",
    "bag_transport_costs",
    "geodesic_distances",
    "geodesic_to",
    "gromov_scale",
    "gromov_wasserstein",
    "linearized_cost",
    "sinkhorn",
    "solve_assignment",
]
