"""A trained net over the frames of sequences."""

from __future__ import annotations

import numpy as np

from .._backend import to_numpy
from .._net_encoder import NetEncoder, usable_device

_FRAMES_AT_ONCE = 65536


class FrameEncoder(NetEncoder):
    """A trained net that gives every frame of a sequence log-probabilities."""

    def log_posteriors(self, sequences):
        """Log-probabilities of the classes at every frame.

        Sequences of one length go through the net together, none is padded: what comes out for one does not depend on
        the others.

        Parameters
        ----------
        sequences : Sequences
            Checked sequences.

        Returns
        -------
        list of ndarray of shape (T_i, C)
            In the precision of the sequences.

        Raises
        ------
        FloatingPointError
            When they are not finite.
        """
        import torch

        device = usable_device(self.device_) if sequences.tensor is None else sequences.tensor.device
        double = sequences.dtype == np.float64 and isinstance(self.net_.kind, str)
        dtype = torch.float64 if double else torch.float32
        module, results, lengths = self.net_.module(device, dtype), [None] * len(sequences), sequences.lengths
        for length in np.unique(lengths):
            same = np.flatnonzero(lengths == length)
            for some in np.array_split(same, -(-len(same) * length // _FRAMES_AT_ONCE)):
                if not len(some):
                    continue
                frames = self.prepare(np.concatenate([sequences[i] for i in some]), device, dtype)
                with torch.no_grad():
                    log_posteriors = module(frames.reshape(len(some), length, -1)).log_softmax(dim=-1)
                if not bool(torch.isfinite(log_posteriors).all()):
                    raise FloatingPointError(
                        "The net puts out numbers that are not finite: are the frames far off those of fit?"
                    )
                for i, own in zip(some, to_numpy(log_posteriors).astype(sequences.dtype, copy=False)):
                    results[i] = own
        return results
