"""Processes that train one net together, each on its share of every batch.

Every process holds all rows and has the same batches. It encodes its share, gathers the outputs of all, and computes
the loss of the whole batch, so that negatives and covariances are those of one large batch; then gradients are
averaged. Started by ``accelerate launch`` or ``torchrun``, or by the user's own ``torch.distributed``.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from importlib.util import find_spec
from itertools import pairwise

import torch
import torch.distributed as dist

from ._bags import elements_of

_ROUNDING = 1e-6  # sums over the same rows may be added up otherwise on another machine


class OneProcess:
    """A process on its own: its share is everything."""

    rank, size = 0, 1

    def on_main(self, function):
        """What ``function()`` gives in the main process, or the exception that it raises there, in every process."""
        return function()

    def gather(self, Z, n_rows):
        """Outputs of all `n_rows` rows of a batch, with their gradient, from those of this process's share."""
        return Z

    def average_gradients(self, parameters):
        """Make gradients the mean over processes."""

    def check_same(self, views):
        """Raise ValueError in every process unless all hold the same tables, by view."""


class Processes(OneProcess):
    """The processes of torch.distributed's default group."""

    def __init__(self):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.device = torch.device("cuda" if "nccl" in str(dist.get_backend_config()) else "cpu")

    def on_main(self, function):
        box, failure = [None], None
        if self.rank == 0:
            try:
                box = [(function(), None)]
            except Exception as error:
                box, failure = [(None, error)], error
        dist.broadcast_object_list(box, src=0, device=self.device)
        result, told = box[0]
        if told is not None:
            raise failure or told
        return result

    def gather(self, Z, n_rows):
        return _Gather.apply(Z, [part.stop - part.start for part in shares(n_rows, self.size)], self)

    def average_gradients(self, parameters):
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = torch.cat([gradient.reshape(-1) for gradient in gradients]).to(self.device)  # one message for all
        dist.all_reduce(together)
        parts = torch.split(together.div_(self.size), [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts):
            gradient.copy_(part.view_as(gradient))

    def check_same(self, views):
        own = {name: (tuple(X.shape), _fingerprint(elements_of(X))) for name, X in views.items()}
        every = [None] * self.size
        dist.all_gather_object(every, own)
        for name, (shape, total) in every[0].items():
            others = [held.get(name, ((), 0.0)) for held in every]
            if any(other != shape or abs(size - total) > _ROUNDING * total for other, size in others):
                raise ValueError(
                    f"View {name!r}: the {self.size} processes hold different rows, of shapes "
                    f"{[other for other, _ in others]}. Give each of them all rows in the same order: every process "
                    "takes its share of every batch by itself."
                )


class _Gather(torch.autograd.Function):
    """Rows of all processes behind each other, from those of each, given how many each has.

    Every process computes the same loss from them and so knows the gradient of all rows. That of its own is multiplied
    by the number of processes, as the mean over processes divides what only one of them has.
    """

    @staticmethod
    def forward(ctx, Z, sizes, processes):
        start = sum(sizes[: processes.rank])
        ctx.own, ctx.n_processes = slice(start, start + len(Z)), processes.size
        padded = Z.new_zeros(max(sizes), *Z.shape[1:], device=processes.device)  # messages are of one size
        padded[: len(Z)] = Z
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, sizes)]).to(Z.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad[ctx.own] * ctx.n_processes, None, None


def _fingerprint(table):
    """A number that depends on all entries and on the order of the rows."""
    sizes = table.abs().flatten(1).sum(1).double()
    return float(sizes @ torch.linspace(1.0, 2.0, len(sizes), dtype=sizes.dtype, device=sizes.device))


def shares(n_rows, n_parts):
    """Slices of rows, one behind the other and as equal as can be."""
    bounds = [n_rows * i // n_parts for i in range(n_parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def current_processes():
    """The processes to train with: those launched together, or this one alone.

    A worker of a search, be it a process or a thread, trains alone: the others do not know of its fits.

    Raises
    ------
    ImportError
        When several were launched and accelerate, which connects them, is missing.
    """
    in_thread = threading.current_thread() is not threading.main_thread()
    if in_thread or not dist.is_available():
        return OneProcess()
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ
    if launched and multiprocessing.parent_process() is None and not dist.is_initialized():
        if find_spec("accelerate") is None:
            raise ImportError("Training in several processes needs accelerate: pip install 'skalign[scale]'.")
        from accelerate import PartialState

        PartialState()
    return Processes() if dist.is_initialized() and dist.get_world_size() > 1 else OneProcess()
