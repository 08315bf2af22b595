"""Transport inside samples: one plan for each pair of bags."""

from __future__ import annotations

import numpy as np

from .._backend import like
from .._bags import read_bags
from ..metrics import foscttm
from ..views import Views
from ._bag_costs import bag_plans, bag_transport_costs


class BagTransportMixin:
    """What `OTAligner` does with Views of bags."""

    _takes_bags = True

    def _fit_bags(self, given, sample_weight, anchors):
        if sample_weight is not None or anchors is not None:
            raise ValueError("sample_weight and anchors are for rows of tables, not for bags.")
        if self.method != "sinkhorn":
            raise ValueError(f"Bags are aligned by method='sinkhorn', not by {self.method!r}.")
        source, target = (self._read_bags(i, view, reset=True) for i, view in enumerate(given[2:]))
        found = bag_plans(source, target, regularization=self.regularization, **self._bag_options())
        self._n_features_out = target[0].shape[1]
        self.plan_, self.epsilon_, self.converged_ = found.plans, found.epsilon, found.converged
        self.cost_ = float(np.mean(found.costs))
        self.n_iter_, self.marginal_error_ = int(found.n_iter.max()), float(found.marginal_error.max())
        return self

    def _bag_options(self):
        return {"metric": self.metric, "tol": self.tol, "max_iter": self.max_iter}

    def _read_bags(self, which, view, *, reset=False):
        """Checked bags of the source (0) or the target (1), of the width seen at fit."""
        side = list(self._sides.values())[which]
        bags = read_bags(view, f"View {side.view!r}: ", type(self).__name__)
        side.check(bags.elements, reset=reset)
        return bags.unpack()

    def _bag_plans_of(self, X, what):
        if not isinstance(X, Views) or tuple(X.names) != tuple(self._sides):
            raise ValueError(
                f"{what} of bags finds a plan for each sample, for which it needs both views, {list(self._sides)}."
            )
        source, target = (self._read_bags(i, view) for i, (_, view) in enumerate(X.items()))
        return bag_plans(source, target, epsilon=self.epsilon_, **self._bag_options()).plans, target

    def _transform_bags(self, X):
        plans, target = self._bag_plans_of(X, "transform")
        first, second = X.names
        mapped = [like(plan / plan.sum(axis=1, keepdims=True), bag) @ bag for plan, bag in zip(plans, target)]
        return Views({first: mapped, second: X[second]})

    def _predict_bags(self, X):
        return [plan.argmax(axis=1) for plan in self._bag_plans_of(X, "predict")[0]]

    def _score_bags(self, given):
        source, target = (self._read_bags(i, view) for i, view in enumerate(given[2:]))
        costs = bag_transport_costs(source, target, epsilon=self.epsilon_, **self._bag_options()).costs
        return 1.0 - foscttm(similarity=-costs)
