"""Batches larger than a net can take at once: encoded in parts, in one process or in several.

The outputs of all rows are together before the loss is computed. Parts that do not fit beside each other are computed
again on the way back, with the same noise, and only one of them is held at a time (Gao et al., "Scaling deep
contrastive learning batch size under memory limited setup", RepL4NLP 2021).
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ._processes import shares


def encode_in_parts(net, rows, rows_at_once, processes):
    """Outputs of a net for all rows of a batch, with their gradient.

    Parameters
    ----------
    net : Module
        Treats every row by itself.
    rows : tensor of shape (n, ...)
        The whole batch.
    rows_at_once : int or None
        Rows of which activations are held at a time; None is all of this process.
    processes : OneProcess or Processes
        Which share the rows.

    Returns
    -------
    tensor of shape (n, k), float32 or float64
    """
    own = rows[shares(len(rows), processes.size)[processes.rank]]
    if rows_at_once is None or len(own) <= rows_at_once:
        Z = net(own)
    else:
        parts = shares(len(own), -(-len(own) // rows_at_once))
        Z = torch.cat([checkpoint(net, own[part], use_reentrant=False) for part in parts])
    return processes.gather(Z.to(torch.promote_types(Z.dtype, torch.float32)), len(rows))


def check_rowwise(module):
    """Raise ValueError for trained encoders that normalise batches, as parts of one have other statistics."""
    for name, encoder, frozen in zip(module.names, module.encoders, module.frozen):
        if not frozen and any(isinstance(layer, _BatchNorm) for layer in encoder.modules()):
            raise ValueError(
                f"View {name!r}: batch normalisation needs the whole batch at once, but encode_batch_size and training "
                "in several processes take it in parts. Set batch_norm=False, or normalise layers instead."
            )


@contextmanager
def explains_memory(options, history):
    """Turn the many ways in which memory ends into a MemoryError that says what would take less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        smaller = options.batch_size if options.encode_batch_size is None else options.encode_batch_size
        resumes = ""
        if options.checkpoint is not None and options.checkpoint.exists():
            resumes = f" The checkpoint {options.checkpoint} is intact."
        raise MemoryError(
            f"Memory ended in epoch {len(history)} with batches of {options.batch_size} rows. Set encode_batch_size "
            f"below {smaller} where the aligner has it, which computes the same with fewer rows at a time, or take a "
            f"smaller batch_size; what was fitted before is as it was.{resumes} ({_first_line(error)})"
        ) from error


def _is_out_of_memory(error):
    # torch has a class of errors for devices alone.
    told = ("can't allocate memory", "not enough memory")
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or any(part in str(error) for part in told)


def _first_line(error):
    return str(error).strip().split("\n")[0] or type(error).__name__
