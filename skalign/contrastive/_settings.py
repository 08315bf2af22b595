"""What the parameters of contrastive training mean: checked, and made into an objective."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from ..correlation._canonical import check_choice
from ..metrics._ranking import check_count
from ..views import Views
from ._bags import BagEncoder

_LOSSES = ("infonce", "siglip", "hinge", "vse++", "triplet", "supcon", "dcl")


class SettingsMixin:
    """Reads the constructor parameters of `ContrastiveAligner`."""

    def _groups(self, X, y, groups):
        check_choice("positives", self.positives, ("diagonal", "groups"))
        if self.positives == "diagonal":
            if groups is not None:
                raise ValueError('groups= says which rows are positives of each other: set positives="groups".')
            return None
        if groups is None and isinstance(X, Views):
            groups = y
        if groups is None:
            raise ValueError('positives="groups" needs groups: fit(X, Y, groups=g), or fit(views, g).')
        return groups

    def _check_options(self):
        super()._check_options()
        check_choice("loss", self.loss, _LOSSES)
        check_choice("similarity_function", self.similarity_function, ("cosine", "dot"))
        check_choice("init", self.init, ("random", "cca"))
        for name, least, most in (
            ("temperature", 0.01, np.inf), ("margin", 0.0, np.inf), ("label_smoothing", 0.0, 1.0),
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, Real) or not least <= value < most:
                raise ValueError(f"{name}={value!r} is out of range: see the documentation.")
        check_count("n_candidates", self.n_candidates)
        regularization = self.bag_regularization
        if not isinstance(regularization, Real) or not 0 < regularization < np.inf:
            raise ValueError(f"bag_regularization must be a number greater than 0, got {regularization!r}.")
        if self.bias != "auto" and not isinstance(self.bias, Real):
            raise ValueError(f"bias must be 'auto' or a number, got {self.bias!r}.")

    def _objective(self, encoders):
        from ._bag_objective import BagObjective
        from ._objective import ContrastiveObjective

        bias = -math.log(max(self.batch_size - 1, 1)) if self.bias == "auto" else self.bias
        warmup = self.max_epochs // 5 if self.loss == "vse++" else 0
        settings = (
            list(encoders), self.loss, self.similarity_function, self.temperature, self.learn_temperature, bias,
            self.margin, self.label_smoothing, warmup,
        )  # fmt: skip
        if not any(isinstance(encoder, BagEncoder) for encoder in encoders.values()):
            return ContrastiveObjective(*settings)
        if self.init == "cca":
            raise ValueError("init='cca' needs rows that are paired one by one, and views of bags are not.")
        return BagObjective(self.bag_regularization, *settings)

    def _frozen(self, names):
        frozen = (self.frozen,) if isinstance(self.frozen, str) else tuple(self.frozen)
        if unknown := [name for name in frozen if name not in names]:
            raise ValueError(f"frozen names {unknown}, which are no views; the views are {names}.")
        kinds = self._by_view("encoder", names)
        for name in frozen:
            if kinds[name] in ("mlp", "residual") or (kinds[name] == "linear" and self.init != "cca"):
                raise ValueError(
                    f"View {name!r} is frozen, but encoder={kinds[name]!r} starts at random: freeze 'identity', a "
                    "trained module, or 'linear' with init='cca'."
                )
        return frozen

    def _architectures(self, names):
        skip = {"skip": True} if self.init == "cca" else {}  # what starts as CCA has to be linear
        return {name: options | skip for name, options in super()._architectures(names).items()}
