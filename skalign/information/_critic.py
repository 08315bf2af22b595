"""The critic as the training of nets wants it."""

from __future__ import annotations

import torch

from .._training import Objective
from ._bounds import LOSSES, estimate
from ._groups import in_groups, parts_of


class CriticObjective(Objective):
    """The loss of a critic whose scores are products of what the nets of two views put out.

    Parameters
    ----------
    names : list of str
        The two views.
    method : str
        A key of `LOSSES`.
    """

    def __init__(self, names, method):
        super().__init__()
        self.names, self.method, self.loss = list(names), method, LOSSES[method]

    def forward(self, outputs, views, groups):
        A, B = (outputs[name] for name in self.names)
        if groups is not None and not parts_of(groups):
            return 0.0 * (A.sum() + B.sum())  # a batch without two rows of the same group says nothing
        return in_groups(self.loss, A, B, groups)

    @torch.no_grad()
    def bound(self, outputs, groups):
        """What chooses the epoch, on rows that were held out; larger is better.

        SMILE's own estimate rises where it is wrong, so that its critic and that of "js", which learn the same, are
        judged by their loss, a bound of the Jensen-Shannon divergence.
        """
        A, B = (outputs[name] for name in self.names)
        if self.method in ("smile", "js"):
            return -float(in_groups(self.loss, A, B, groups))
        return in_groups(lambda A, B: estimate(self.method, A, B), A, B, groups)
