"""Transport by costs that are a matrix already."""

from __future__ import annotations

from .._backend import resolve_device, to_device
from .._encoder import ViewEncoder
from ..views import Domains, Views
from ._collections import Collections, weights_of
from ._geometry import Given
from ._solve import solve


class CostTransportMixin:
    """What `OTAligner` does with ``metric="precomputed"``."""

    def _fit_costs(self, X, y, sample_weight, anchors):
        if y is not None or anchors is not None:
            raise ValueError("fit takes precomputed costs alone, neither y nor anchors beside them.")
        if self.method in ("gromov", "fused"):
            raise ValueError(
                f"metric='precomputed' are costs across, and method={self.method!r} needs the rows of both "
                "collections, or the distances within them by structure_metric='precomputed'."
            )
        if isinstance(X, (Domains, Views)):
            raise TypeError(f"metric='precomputed' takes a matrix of costs, not {type(X).__name__}.")
        self._door, self._sides = "costs", {"costs": ViewEncoder(view="costs", owner=type(self).__name__)}
        self._n_features_out = 0
        self._source = costs = self._check_side(0, X, reset=True)
        weights = weights_of(Collections("costs", ("rows", "columns"), costs, costs.T), X, sample_weight)
        geometry = Given(to_device(costs, resolve_device(self.device, 100.0 * costs.shape[0] * costs.shape[1])))
        return self._keep(geometry, solve(geometry.cost(), *weights, self), weights, costs)
