"""What the parameters of `OrderAligner` mean for its training, and what follows it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from numbers import Real

import numpy as np

from .._backend import is_tensor, namespace, to_numpy
from .._net_aligner import _ARCHITECTURE
from ..correlation._canonical import check_choice
from ..views import ByView

_ROWS_TO_CALIBRATE = 1000  # of which all pairs are looked at


class OrderTrainingMixin:
    """Reads the constructor parameters of `OrderAligner`, and judges energies."""

    def _check_options(self):
        from ._order_geometry import CURVATURES, GEOMETRIES

        super()._check_options()
        check_choice("geometry", self.geometry, GEOMETRIES)
        for name in ("shared_encoder", "learn_curvature"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}.")
        if self.shared_encoder:
            for name in ("encoder", *_ARCHITECTURE):
                if isinstance(getattr(self, name), (Mapping, ByView)):
                    raise ValueError(f"{name} differs between views, which have one net: shared_encoder=True.")
        for name, least, most in (("margin", 0.0, np.inf), ("curvature", *CURVATURES)):
            value = getattr(self, name)
            if not isinstance(value, Real) or isinstance(value, bool) or not least <= value <= most or value == np.inf:
                raise ValueError(f"{name}={value!r} is out of range: see the documentation.")

    def _objective(self, encoders):
        from ._order_objective import OrderObjective

        self._geometry = self.geometry  # that of the embeddings, whatever is set later
        for encoder in encoders.values():
            encoder.geometry_ = self.geometry
        return OrderObjective(list(encoders), self.geometry, self.margin, self.curvature, self.learn_curvature)

    def _build(self, encoders):
        if not self.shared_encoder:
            return super()._build(encoders)
        first = next(iter(encoders))
        return dict.fromkeys(encoders, super()._build({first: encoders[first]})[first])

    def _set_input_scales(self, tables, encoders, earlier):
        if not self.shared_encoder:
            super()._set_input_scales(tables, encoders, earlier)
            return
        shapes = {name: encoder.sample_shape_ for name, encoder in encoders.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"shared_encoder=True needs views whose samples have one shape; these have {shapes}.")
        first = next(iter(encoders))
        stacked = namespace(*tables.values()).concat(list(tables.values()))
        super()._set_input_scales({first: stacked}, {first: encoders[first]}, earlier)
        for encoder in encoders.values():
            encoder.center_, encoder.scale_ = encoders[first].center_, encoders[first].scale_

    def _rows(self, tables, encoders, rows, groups, device):
        from ._order_objective import RelatedRows

        plain = super()._rows(tables, encoders, rows, groups, device)
        related = self._rows_to_calibrate = RelatedRows(plain.views, self.shared_encoder)  # the held-out ones come last
        try:
            related.check()
        except ValueError as error:
            raise ValueError(
                f"{error} So it is among {len(rows)} of the rows; where these are the held-out ones, choose a larger "
                "validation_fraction or early_stopping=False."
            ) from None
        return related

    def _held_out_score(self, module, train, valid):
        objective = module.objective
        embeddings = {name: objective.embed(Z) for name, Z in module.outputs(valid).items()}
        return self._precision(embeddings, valid, float(objective.log_curvature.exp()))

    def _finish(self, module, encoders, train, valid):
        related = vars(self).pop("_rows_to_calibrate")
        objective = module.objective
        self.curvature_ = float(objective.log_curvature.detach().exp())
        rows = slice(None, None, -(-len(related) // _ROWS_TO_CALIBRATE))
        outputs = {name: Z[rows].double() for name, Z in (train if valid is None else valid).items()}
        self.threshold_, self.slope_ = calibrate(objective.energies(outputs).detach(), related.relation(rows))

    def _precision(self, embeddings, related, curvature):
        values = []
        for i, j in combinations(range(len(embeddings)), 2):
            A, B = (list(embeddings.values())[k] for k in (i, j))
            values.append(weighted_precision(-self._energy(A, B, curvature), related.between(i, j)))
        return float(np.mean(values))

    def _energy(self, A, B, curvature):
        import torch

        from ._order_geometry import energy

        A, B = (Z if is_tensor(Z) else torch.as_tensor(np.ascontiguousarray(Z)) for Z in (A, B))
        with torch.no_grad():
            return energy(A.double(), B.double().to(A.device), self._geometry, curvature)


def weighted_precision(scores, relation):
    """Average precision where the false pairs together weigh as much as the true ones.

    Parameters
    ----------
    scores : tensor of shape (n, m)
        Larger for relations that hold.
    relation : int tensor of shape (n, m)
        `TRUE`, `FALSE`, or `UNKNOWN`, which does not count.

    Returns
    -------
    float
        1 where the true ones come first, 0.5 by chance.

    Raises
    ------
    ValueError
        When none or all of them hold.
    """
    from sklearn.metrics import average_precision_score

    scores, holds = _decided(scores, relation)
    weight = holds.sum() / (~holds).sum()
    return float(average_precision_score(holds, scores, sample_weight=np.where(holds, 1.0, weight)))


def calibrate(E, relation):
    """Threshold and slope of the probability that a relation of energy E holds, true and false ones equally likely.

    Both are 0, and all probabilities one half, where relations that hold do not have the lower energies.
    """
    from sklearn.linear_model import LogisticRegression

    E, holds = _decided(E, relation)
    scale = E.std() or 1.0
    fit = LogisticRegression(class_weight="balanced", max_iter=1000).fit(E[:, None] / scale, holds)
    if fit.coef_[0, 0] >= 0:
        return 0.0, 0.0
    slope = -fit.coef_[0, 0] / scale
    return float(fit.intercept_[0] / slope), float(slope)


def _decided(values, relation):
    """Values of the pairs that are true or false, and which of them are true; there must be some of either."""
    from ._order_objective import ALL_HOLD, NONE_HOLDS, TRUE, UNKNOWN

    values, relation = to_numpy(values).ravel(), to_numpy(relation).ravel()
    holds = relation[relation != UNKNOWN] == TRUE
    if not holds.any() or holds.all():
        raise ValueError(ALL_HOLD if holds.any() else NONE_HOLDS)
    return values[relation != UNKNOWN], holds
