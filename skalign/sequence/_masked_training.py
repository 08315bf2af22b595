"""What the training of nets wants for masked prediction: batches with masked spans, and the loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .._training import Objective
from ._transcript_training import PaddedSequences


class MaskedSequences(PaddedSequences):
    """Batches of sequences with spans of frames set to zero, which is the mean of standardised frames.

    Parameters
    ----------
    frames, offsets
        As in `PaddedSequences`.
    units : list of ndarray of int
        One for each frame.
    probability : float
        Share of the frames where a span begins.
    length : int
        Frames of a span.
    """

    def __init__(self, frames, offsets, units, probability, length):
        super().__init__(frames, offsets, units, np.arange(len(units)))
        self.probability, self.length = probability, length

    def __getitem__(self, rows):
        batch, groups = super().__getitem__(rows)
        frames = batch["frames"]
        starts = (torch.rand(frames.shape[:2]) < self.probability).float().to(frames.device)
        padded = nn.functional.pad(starts[:, None], (self.length - 1, 0))
        masked = nn.functional.max_pool1d(padded, self.length, stride=1)[:, 0] > 0
        inside = torch.arange(frames.shape[1], device=frames.device) < batch["lengths"][:, None]
        batch["masked"] = masked & inside
        batch["frames"] = torch.where(masked[:, :, None], 0.0, frames)
        return batch, groups


class MaskedPrediction(Objective):
    """Cross-entropy of the units of masked frames.

    Parameters
    ----------
    n_features, n_units : int
        Width of the outputs of the net, and number of units.
    """

    def __init__(self, n_features, n_units):
        super().__init__()
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(n_features, n_units))

    def forward(self, outputs, views, groups=None):
        masked, units = views["masked"], views["labels"][:, : outputs["frames"].shape[1]]
        total = nn.functional.cross_entropy(self.head(outputs["frames"][masked]), units[masked], reduction="sum")
        return total / masked.sum().clamp(min=1)
