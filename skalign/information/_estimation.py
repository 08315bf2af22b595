"""How `MutualInformation` estimates, and what it asks of the training of nets."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from .._backend import to_numpy
from .._encoder import ViewEncoder
from .._net_aligner import NetAlignerMixin
from ..correlation._canonical import check_choice
from ..metrics._ranking import check_count
from ._gaussian import gaussian_information
from ._groups import in_groups, shuffled
from ._nearest import neighbor_information

CRITICS = ("infonce", "nwj", "dv", "smile", "js")
METHODS = ("gaussian", "ksg", *CRITICS)
_LOWER_BOUNDS = ("infonce", "nwj", "js")
_SATURATED = 0.9  # of the ceiling


class RowsEncoder(ViewEncoder):
    """Rows of one view as they are, for the methods that train no critic."""

    def _encode(self, X):
        return X

    def _decode(self, Z):
        return Z


class EstimationMixin(NetAlignerMixin):
    """Estimates from rows, or from what the nets make of them, and the hooks of `NetAlignerMixin`."""

    def _as_taken(self, Z):
        """Rows, or outputs of the nets, as the estimates take them."""
        if self.method == "gaussian":
            return Z
        if self.method == "ksg":
            return to_numpy(Z)
        import torch

        return torch.as_tensor(Z).float()

    def _in_groups(self, A, B, groups):
        value, ceiling = in_groups(self._estimate, A, B, groups)
        return {
            "mutual_information": float(value),
            "is_lower_bound": self.method in _LOWER_BOUNDS,
            "ceiling": float(ceiling),
            "saturated": bool(value > _SATURATED * ceiling),
        }

    def _estimate(self, A, B):
        """The estimate and its ceiling."""
        if self.method == "gaussian":
            return np.array([gaussian_information(A, B), np.inf])
        if self.method == "ksg":
            return np.array([neighbor_information(A, B, self.n_neighbors), np.inf])
        from ._bounds import estimate

        ceiling = math.log(len(A)) if self.method == "infonce" else np.inf
        return np.array([estimate(self.method, A, B, self.clip, self._calibration), ceiling])

    def _keep(self, rows, groups):
        found = self._in_groups(*rows, groups)
        self.mutual_information_, self.ceiling_ = found["mutual_information"], found["ceiling"]
        self.is_lower_bound_, self.saturated_ = found["is_lower_bound"], found["saturated"]

    def _pvalue(self, A, B, groups, n_permutations, rng):
        """Share of random pairings, this one among them, that look as dependent."""
        if self.method in CRITICS:  # which rows the scores are compared with does not change, only which are pairs
            statistic = lambda B: float((A * B).sum(dim=1).double().mean())  # noqa: E731
        else:
            statistic = lambda B: in_groups(self._estimate, A, B, groups)[0]  # noqa: E731
        observed = statistic(B)
        at_least = sum(statistic(B[shuffled(groups, len(B), rng)]) >= observed for _ in range(n_permutations))
        return float((1 + at_least) / (1 + n_permutations))

    # --- what the training of nets asks for -------------------------------------------------------------------------

    def _objective(self, encoders):
        from ._critic import CriticObjective

        self._check_two(list(encoders))
        return CriticObjective(list(encoders), self.method)

    def _held_out_score(self, module, train, valid):
        self._held_out_groups = valid.groups  # `_finish` sees outputs alone
        return module.objective.bound(module.outputs(valid), valid.groups)

    def _finish(self, module, encoders, train, valid):
        self._calibration = 1.0, 0.0
        if valid is None:
            self.mutual_information_ = self.ceiling_ = float("nan")
            self.is_lower_bound_, self.saturated_ = self.method in _LOWER_BOUNDS, False
        else:
            groups = vars(self).pop("_held_out_groups")
            rows = list(valid.values())
            if self.method == "js":
                from ._bounds import calibration

                self._calibration = calibration(*rows, groups)
            self._keep(rows, groups)

    def _check_two(self, names):
        if len(names) != 2:
            raise ValueError(f"Mutual information is that of two views, these are {names}.")

    def _check_method(self):
        check_choice("method", self.method, METHODS)
        check_count("n_neighbors", self.n_neighbors)
        if not isinstance(self.clip, Real) or not self.clip > 0:
            raise ValueError(f"clip must be a number greater than 0, got {self.clip!r}.")
