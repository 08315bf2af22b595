"""Entailment as the training of nets wants it: which rows entail which, and the loss."""

from __future__ import annotations

import math
from itertools import combinations

import torch
import torch.nn.functional as F

from .._training import Objective, PairedRows
from ._order_geometry import CURVATURES, energy

TRUE, UNKNOWN, FALSE = 1, 0, -1
NONE_HOLDS = "No row entails another thing than itself, and a thing and itself are no pair."
ALL_HOLD = "All rows entail all others: there is nothing to tell apart."


class RelatedRows(PairedRows):
    """Paired rows, and of every batch which of its rows entail which.

    Rows of equal content are one thing, in all views where one net encodes them all, else each view has its own. A
    thing entails what it was ever paired with in a later view. All other pairs of an earlier with a later view count
    as false; with one net all other pairs of different things do, those the other way round too. In place of the groups
    comes a matrix over the rows of the batch, those of the first view first.

    Parameters
    ----------
    views : dict of str to tensor
        Prepared rows.
    one_net : bool
        Whether views hold things of one kind.
    """

    def __init__(self, views, one_net):
        super().__init__(views)
        self.one_net = one_net
        tables = [X.reshape(len(X), -1) for X in views.values()]
        if one_net:
            ids = torch.unique(torch.cat(tables), dim=0, return_inverse=True)[1].split(len(self))
        else:
            ids, first = [], 0
            for X in tables:
                ids.append(first + torch.unique(X, dim=0, return_inverse=True)[1])
                first = int(ids[-1].max()) + 1
        self.ids = torch.stack(list(ids))
        self.n_things = int(self.ids.max()) + 1
        self.known = torch.cat([self._codes(a, b)[a != b] for a, b in combinations(self.ids, 2)]).unique()

    def __getitem__(self, rows):
        return {name: X[rows] for name, X in self.views.items()}, self.relation(rows)

    def check(self):
        """Raise ValueError unless some relations hold and others do not."""
        if len(self.known) == 0:
            raise ValueError(NONE_HOLDS)
        if self.one_net:
            possible = self.n_things * (self.n_things - 1)
        else:
            possible = sum(a * b for a, b in combinations([len(ids.unique()) for ids in self.ids], 2))
        if len(self.known) == possible:
            raise ValueError(ALL_HOLD)

    def relation(self, rows):
        """int8 matrix of `TRUE`, `UNKNOWN` and `FALSE`, over the `rows` of all views."""
        ids = self.ids[:, rows]
        relation = self._relation(ids.reshape(-1), ids.reshape(-1))
        if not self.one_net:
            view = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
            relation = relation * (view[:, None] < view)
        return relation

    def between(self, earlier, later):
        """The same for all rows of one view, by number, against all rows of a later one."""
        return self._relation(self.ids[earlier], self.ids[later])

    def _relation(self, a, b):
        relation = torch.where(self._is_known(a[:, None], b), TRUE, FALSE)
        return (relation * (a[:, None] != b)).to(torch.int8)  # things of different views have different numbers

    def _is_known(self, a, b):
        codes = self._codes(a, b)
        places = torch.searchsorted(self.known, codes).clamp(max=len(self.known) - 1)
        return self.known[places] == codes

    def _codes(self, a, b):
        return a * self.n_things + b


class OrderObjective(Objective):
    """Relations that hold cost their energy, others what their energy falls short of the margin; the mean of each.

    Parameters
    ----------
    names : list of str
        The views, from specific to general.
    geometry : {"order", "hyperbolic"}
        Of the energy.
    margin : float
        Least energy of relations that do not hold.
    curvature : float
        Initial value; its logarithm is trained where `learn_curvature` is set.
    """

    def __init__(self, names, geometry, margin, curvature, learn_curvature):
        super().__init__()
        self.names, self.geometry, self.margin = list(names), geometry, margin
        learn = learn_curvature and geometry == "hyperbolic"
        self.log_curvature = torch.nn.Parameter(torch.tensor(math.log(curvature)), requires_grad=learn)

    def forward(self, outputs, views, relation):
        E = self.energies(outputs)
        costs = F.relu(E[relation == TRUE]), F.relu(self.margin - E[relation == FALSE])
        return sum(cost.sum() / max(1, len(cost)) for cost in costs)  # a batch may have none of a kind

    def energies(self, outputs):
        """Energies of all rows of all views against each other."""
        Z = torch.cat([self.embed(outputs[name]) for name in self.names])
        return energy(Z, Z, self.geometry, self.log_curvature.exp())

    def embed(self, Z):
        return embed(Z, self.geometry)

    @torch.no_grad()
    def after_step(self):
        low, high = CURVATURES
        self.log_curvature.clamp_(math.log(low), math.log(high))


def embed(Z, geometry):
    """Outputs of the nets as points: in the positive orthant, or tangent vectors of the hyperboloid."""
    return Z.abs() if geometry == "order" else Z
