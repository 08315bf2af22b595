"""What every estimator that trains nets says of its parameters, in one place."""

from __future__ import annotations

import re
from functools import partial
from inspect import cleandoc, signature

_ENCODER = """
encoder : {"mlp", "linear", "residual", "identity"}, Module, callable, mapping or ByView, default="mlp"
    The net. "residual" is an MLP beside a linear map. A torch module is copied and trained on from its weights; a
    callable makes one, ``encoder(shape, n_components)`` with the shape of one sample. Those take samples of any
    shape, images say.
hidden_layer_sizes : tuple of int, mapping or ByView, default=(256, 256)
    Widths of the hidden layers of "mlp" and "residual".
activation : str, callable, mapping or ByView, default="relu"
    "relu", "leaky_relu", "elu", "gelu", "silu" or "tanh", or what makes a module.
dropout : float, mapping or ByView, default=0.0
    Share of the hidden units that are dropped in training.
batch_norm : bool, mapping or ByView, default=False
    Batch normalisation before every activation.
input_noise : float, mapping or ByView, default=0.3
    Standard deviation of the Gaussian noise that is added to the standardised input in training, though not on a
    linear path. The strongest regulariser on few samples; with many, try 0.
standardize : {"view", "feature"} or False, default="view"
    Every column (every channel of images) is centred; "view" divides all of them by one number, so that faint
    columns stay faint, "feature" each by its own standard deviation, for columns of different units.
"""

_ENCODE_BATCH_SIZE = """
encode_batch_size : int, default=None
    Rows of a batch that the nets hold activations of at a time. Batches then need no more memory for the nets than
    this many rows, for a second pass through them, and the gradient is that of the whole batch. Noise and dropout
    are drawn part by part, and so differently from None. Not with `batch_norm`.
"""

_TRAINING = """
learning_rate : float, default=1e-3
    Step size of AdamW.
learning_rate_schedule : {"constant", "cosine", "linear"} or callable, default="constant"
    Factor of the learning rate as a function of the part of `max_epochs` that is done.
weight_decay : float, default=1e-4
    Decoupled weight decay of AdamW; biases and parameters of the loss are exempt.
max_epochs : int, default=200
    Passes through the training rows.
early_stopping : bool or "auto", default="auto"
    Hold rows out, stop when `score` on them does not rise, and keep the weights of the best epoch. "auto" does so
    where at least 20 rows are held out.
validation_fraction : float, default=0.1
    Share of the rows to hold out, but no more than 5000; whole groups where there are many small ones.
n_iter_no_change : int, default=30
    Epochs without improvement to wait for.
tol : float, default=1e-4
    What counts as an improvement.
gradient_clip : float, default=None
    Largest norm of the gradient.
warm_start : bool, default=False
    Let ``fit`` go on from the weights of the last one.
mixed_precision : bool, "bf16" or "fp16", default=False
    Compute the nets in bfloat16, or in float16 with scaled gradients; losses stay in float32. True is "bf16" on CUDA
    and nothing on CPUs.
device : {None, "auto", "cpu"} or str, default="auto"
    Where to train. "auto" takes a CUDA device where there is one and the work is worth it.
callbacks : list of skorch callbacks, default=None
    Called in training, on the skorch net. The history has ``train_loss`` and ``valid_score``.
checkpoint : str or path, default=None
    Folder for checkpoints. A ``fit`` that was killed goes on from there when it is called again with the same
    parameters, an int as `random_state` and the same data, and ends with the same weights.
verbose : int, default=0
    1 shows a progress bar, 2 a line an epoch.
random_state : int, RandomState or None, default=None
    Initial weights, held-out rows, batches and noise. An int repeats bit for bit on one machine's CPU; torch's global
    generator is left alone.
"""


_NUMBER = re.compile(r"^(\w+)( : .*default=)([\d.e-]+)$", re.MULTILINE)


def documents_training(cls):
    """Class decorator: puts the shared parameters in the place of ``{encoder}`` and others in the docstring.

    Numbers behind ``default=`` become those of the class.
    """
    if cls.__doc__ is not None:  # python -OO strips it
        lines = cleandoc(cls.__doc__).split("\n")
        shared = {
            "{encoder}": _ENCODER, "{encode_batch_size}": _ENCODE_BATCH_SIZE, "{training}": _TRAINING,
        }  # fmt: skip
        text = "\n".join(cleandoc(shared[line]) if line in shared else line for line in lines)
        cls.__doc__ = _NUMBER.sub(partial(_own_default, signature(cls)), text)
    return cls


def _own_default(signature, found):
    name, between, number = found.groups()
    default = signature.parameters[name].default
    return found[0] if float(number) == default else f"{name}{between}{default}"
