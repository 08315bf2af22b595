"""What the training of nets wants to learn from transcripts: padded batches, and the loss."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from .._nets import Noise, build_encoder
from .._training import Objective, PairedRows
from ._ctc_kernels import forward_backward
from ._label_graph import label_graph

_PROBE = 32  # frames


class PaddedSequences(PairedRows):
    """Sequences and transcripts as batches, zeros behind the shorter ones.

    Parameters
    ----------
    frames : Tensor of shape (n_frames, d)
        All sequences behind each other.
    offsets : ndarray of int of shape (n_sequences + 1,)
        Where they begin.
    transcripts : list of ndarray of int
        Columns of the labels in the outputs.
    rows : ndarray of int
        Which sequences to take.
    """

    def __init__(self, frames, offsets, transcripts, rows):
        super().__init__({"frames": frames})
        counts = [len(transcripts[i]) for i in rows]
        labels = np.zeros((len(rows), max(counts)), dtype=np.int64)
        for own, i in zip(labels, rows):
            own[: len(transcripts[i])] = transcripts[i]
        self.starts, self.lengths, self.labels, self.label_lengths = (
            torch.as_tensor(array, device=frames.device)
            for array in (offsets[rows], np.diff(offsets)[rows], labels, np.array(counts))
        )

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, rows):
        frames, lengths, label_lengths = self.views["frames"], self.lengths[rows], self.label_lengths[rows]
        times = torch.arange(int(lengths.max()), device=frames.device)
        inside = times < lengths[:, None]
        places = torch.where(inside, self.starts[rows][:, None] + times, 0)
        batch = {
            "frames": torch.where(inside[:, :, None], frames[places], 0.0),
            "lengths": lengths,
            "labels": self.labels[rows],
            "label_lengths": label_lengths,
        }
        return batch, torch.zeros(0)


class LogLikelihoods(torch.autograd.Function):
    """Log-likelihoods of transcripts without blanks, with the occupancies as their gradient."""

    @staticmethod
    def forward(ctx, log_probs, batch):
        frames = log_probs.detach().double().cpu().numpy()
        lengths, counts = batch["lengths"].tolist(), batch["label_lengths"].tolist()
        occupancy, values = np.zeros(frames.shape), np.empty(len(frames))
        for i, (length, labels) in enumerate(zip(lengths, batch["labels"].cpu().numpy())):
            graph = label_graph(labels[: counts[i]], "hmm")
            values[i] = forward_backward(frames[i, :length], *graph, occupancy[i, :length])
        ctx.save_for_backward(torch.as_tensor(occupancy, dtype=log_probs.dtype, device=log_probs.device))
        return torch.as_tensor(values, dtype=log_probs.dtype, device=log_probs.device)

    @staticmethod
    def backward(ctx, gradient):
        (occupancy,) = ctx.saved_tensors
        return gradient[:, None, None] * occupancy, None


class TranscriptLoss(Objective):
    """Minus the log-likelihood of the transcripts of a batch, per label.

    Parameters
    ----------
    topology : {"ctc", "hmm"}
        See `skalign.sequence.forced_align`.
    flat_epochs : int, default=0
        Epochs to begin with in which labels are taken to share the frames evenly.
    """

    def __init__(self, topology, flat_epochs=0):
        super().__init__()
        self.topology, self.flat_epochs = topology, flat_epochs
        self.flat = False

    def at_epoch(self, epoch):
        self.flat = epoch < self.flat_epochs

    def forward(self, outputs, views, groups=None):
        total = self._evenly_shared if self.flat else self.total
        return total(outputs, views) / views["label_lengths"].sum().clamp(min=1)

    def _evenly_shared(self, outputs, batch):
        """Minus the log-probability of all frames when every label has as many."""
        log_probs, lengths = outputs["frames"].log_softmax(dim=-1), batch["lengths"][:, None]
        times = torch.arange(log_probs.shape[1], device=lengths.device)
        positions = (times * batch["label_lengths"][:, None] // lengths).clamp(max=batch["labels"].shape[1] - 1)
        chosen = log_probs.gather(2, batch["labels"].gather(1, positions)[:, :, None])[:, :, 0]
        return -torch.where(times < lengths, chosen, 0.0).sum()

    def total(self, outputs, batch):
        """Minus the log-likelihood of all transcripts together."""
        log_probs = outputs["frames"].log_softmax(dim=-1)
        if self.topology == "hmm":
            return -LogLikelihoods.apply(log_probs, batch).sum()
        return nn.functional.ctc_loss(
            log_probs.transpose(0, 1), batch["labels"], batch["lengths"], batch["label_lengths"], reduction="sum"
        )


@torch.no_grad()
def held_out_likelihood(module, rows, batch_size):
    """Log-likelihood of held-out transcripts per label."""
    total = 0.0
    for some in torch.split(torch.arange(len(rows), device=rows.starts.device), batch_size):
        batch, _ = rows[some]
        total -= float(module.objective.total(module(batch), batch))
    return total / max(1, int(rows.label_lengths.sum()))


def build_frame_net(encoder, width, n_outputs, architecture):
    """The net of frames that a user's ``encoder`` stands for.

    Parameters
    ----------
    encoder : str, Module, or callable
        A name that `build_encoder` knows; a module, which is copied; or ``factory(width, n_outputs)``.
    width : int
        Numbers in a frame.
    n_outputs : int
        Classes.
    architecture : dict
        Arguments of the net.

    Raises
    ------
    ValueError
        For a module that does not give every frame `n_outputs` numbers.
    """
    if isinstance(encoder, str):
        return build_encoder(encoder, (width,), n_outputs, architecture)
    module = copy.deepcopy(encoder) if isinstance(encoder, nn.Module) else encoder(width, n_outputs)
    if not isinstance(module, nn.Module):
        raise ValueError(f"encoder({width}, {n_outputs}) gave a {type(module).__name__}, not a torch module.")
    module = module.float().eval()
    try:
        with torch.no_grad():
            Z = module(torch.zeros(2, _PROBE, width))
    except Exception as error:
        raise ValueError(f"The encoder failed on frames of the shape {(2, _PROBE, width)}: {error}") from error
    if not isinstance(Z, torch.Tensor) or Z.shape != (2, _PROBE, n_outputs):
        got = tuple(Z.shape) if isinstance(Z, torch.Tensor) else type(Z).__name__
        raise ValueError(
            f"For frames of the shape {(2, _PROBE, width)} the encoder must give {(2, _PROBE, n_outputs)}: every frame "
            f"one number a class, the blank of CTC included. It gave {got}."
        )
    return nn.Sequential(Noise(architecture["input_noise"]), module)
