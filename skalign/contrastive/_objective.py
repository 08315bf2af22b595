"""The contrastive losses as the training of nets wants them: with temperature, bias and phases."""

from __future__ import annotations

import math
from itertools import combinations

import torch

from .._training import Objective
from . import losses

_LARGEST_LOG_SCALE = math.log(100.0)  # temperatures below 0.01 make training unstable (CLIP)
SCALED = ("infonce", "siglip", "supcon", "dcl")
MARGINS = ("hinge", "vse++", "triplet")


class ContrastiveObjective(Objective):
    """A loss of all pairs of views, summed.

    Parameters
    ----------
    names : list of str
        The views.
    loss : str
        One of `SCALED` or `MARGINS`.
    similarity : {"cosine", "dot"}
        Whether outputs are normalised.
    temperature : float
        Initial value; its logarithm is trained where `learn_temperature` is set.
    bias : float
        Initial bias of "siglip".
    margin, label_smoothing : float
        Of the losses that have them.
    warmup : int
        Epochs in which "vse++" goes over from the sum to the hardest negative.
    """

    def __init__(self, names, loss, similarity, temperature, learn_temperature, bias, margin, label_smoothing, warmup):
        super().__init__()
        self.names, self.loss, self.similarity = list(names), loss, similarity
        self.margin, self.label_smoothing, self.warmup = margin, label_smoothing, warmup
        learn = learn_temperature and loss in SCALED
        self.log_scale = torch.nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learn)
        self.bias = torch.nn.Parameter(torch.tensor(float(bias)), requires_grad=loss == "siglip")
        self.hardness = 0.0 if warmup else 1.0
        self.after_step()

    def forward(self, outputs, views, groups):
        Z = [self.embed(outputs[name]) for name in self.names]
        return sum(self.of_pair(*self.comparable(A, B), groups) for A, B in combinations(Z, 2))

    def embed(self, Z):
        """Outputs as they are compared."""
        return torch.nn.functional.normalize(Z, dim=1) if self.similarity == "cosine" else Z

    def comparable(self, A, B):
        """Tensors of paired rows whose inner products are the scores of two views."""
        return A, B

    def of_pair(self, A, B, positives):
        """The loss of two views."""
        if self.loss == "infonce":
            smoothing = self.label_smoothing if self.training else 0.0
            return losses.info_nce(A, B, self.log_scale.exp(), positives=positives, label_smoothing=smoothing)
        if self.loss == "siglip":
            return losses.siglip(A, B, self.log_scale.exp(), self.bias, positives=positives)
        if self.loss == "supcon":
            return losses.supcon(A, B, self.log_scale.exp(), positives=positives)
        if self.loss == "dcl":
            return losses.dcl(A, B, self.log_scale.exp(), positives=positives)
        if self.loss == "hinge":
            return losses.hinge(A, B, margin=self.margin, positives=positives)
        if self.loss == "vse++":
            return losses.vse_pp(A, B, margin=self.margin, positives=positives, hardness=self.hardness)
        return losses.triplet(A, B, margin=self.margin, positives=positives)

    def at_epoch(self, epoch):
        self.hardness = min(1.0, epoch / self.warmup) if self.warmup else 1.0

    @torch.no_grad()
    def after_step(self):
        self.log_scale.clamp_(max=_LARGEST_LOG_SCALE)
