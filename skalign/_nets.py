"""Encoders of one view as torch modules: what ``encoder="mlp"`` and its relatives mean."""

from __future__ import annotations

import copy
from numbers import Real

import numpy as np
import torch
from torch import nn

from ._bags import Bags, elements_of, on_elements
from ._input import is_whole

ENCODERS = ("linear", "mlp", "residual", "identity")
ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Noise(nn.Module):
    """Adds Gaussian noise of standard deviation `scale` in training."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, X):
        return X + self.scale * torch.randn_like(X) if self.training and self.scale else X


class MLP(nn.Module):
    """Layers of units, with a linear path beside them where ``skip`` is set.

    With the linear path the last layer starts at zero: the net starts linear and departs from it as the data ask for.
    Noise goes into the layers alone, so that it does not drown what a linear start found in faint columns.
    """

    def __init__(
        self, n_inputs, n_outputs, hidden_layer_sizes=(), activation="relu", dropout=0.0, batch_norm=False,
        input_noise=0.0, skip=False,
    ):  # fmt: skip
        super().__init__()
        layers, width = [Noise(input_noise)], n_inputs
        for size in hidden_layer_sizes:
            layers.append(nn.Linear(width, size))
            if batch_norm:
                layers.append(nn.BatchNorm1d(size))
            layers.append(_activation(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = size
        layers.append(nn.Linear(width, n_outputs))
        self.layers = nn.Sequential(*layers)
        self.skip = nn.Linear(n_inputs, n_outputs) if skip and hidden_layer_sizes else None
        if self.skip is not None:
            nn.init.zeros_(self.layers[-1].weight)
            nn.init.zeros_(self.layers[-1].bias)

    def forward(self, X):
        Z = self.layers(X)
        return Z if self.skip is None else Z + self.skip(X)

    @torch.no_grad()
    def start_linear(self, W, b):
        """Let the net start as ``X @ W + b``."""
        linear = self.layers[-1] if self.skip is None else self.skip
        linear.weight.copy_(torch.as_tensor(W.T))
        linear.bias.copy_(torch.as_tensor(b))


class FrameConvolutions(nn.Module):
    """Convolutions over time: (B, T, n_inputs) to (B, T, n_outputs), every frame from `receptive_field` around it.

    Frames beyond the ends count as zeros, of the input and nowhere else: a sequence then has the same outputs alone and
    padded in a batch. Without hidden layers it is a linear map of `kernel_size` frames.
    """

    def __init__(
        self, n_inputs, n_outputs, hidden_layer_sizes=(), kernel_size=9, activation="relu", dropout=0.0,
        input_noise=0.0,
    ):  # fmt: skip
        super().__init__()
        layers, width = [], n_inputs
        for size in hidden_layer_sizes:
            layers += [nn.Conv1d(width, size, kernel_size), _activation(activation)]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = size
        layers.append(nn.Conv1d(width, n_outputs, 1 if hidden_layer_sizes else kernel_size))
        self.noise, self.layers = Noise(input_noise), nn.Sequential(*layers)
        self.receptive_field = 1 + max(1, len(hidden_layer_sizes)) * (kernel_size - 1)

    def forward(self, X):
        margin = self.receptive_field // 2
        return self.layers(nn.functional.pad(self.noise(X).mT, (margin, margin))).mT


class ViewNets(nn.Module):
    """The encoders of all views, and what else is trained with them.

    Parameters
    ----------
    encoders : dict of str to Module
        By view. Kept in a list: a view may have any name, a submodule may not.
    objective : Module
        The loss, ``objective(outputs, views, groups)``, with its own parameters if it has some.
    frozen : sequence of str
        Views whose encoders stay as they are.
    """

    def __init__(self, encoders, objective, frozen=()):
        super().__init__()
        self.names = list(encoders)
        self.encoders = nn.ModuleList(encoders.values())
        self.objective = objective
        self.frozen = [name in frozen for name in self.names]
        for encoder, frozen in zip(self.encoders, self.frozen):
            if frozen:
                encoder.requires_grad_(False)

    def forward(self, views):
        return {name: on_elements(encode, views[name]) for name, encode in zip(self.names, self.encoders)}

    @torch.no_grad()
    def outputs(self, rows, batch_size=8192):
        """Outputs by view for `PairedRows`, without training anything."""
        self.eval()

        def in_parts(encode):
            return lambda table: torch.cat([encode(X) for X in torch.split(table, batch_size)])

        outputs = {
            name: on_elements(in_parts(encode), rows.views[name]) for name, encode in zip(self.names, self.encoders)
        }
        for name, Z in outputs.items():
            finite = torch.isfinite(elements_of(Z)).all()
            if not bool(finite):  # the last step of an epoch is behind the check of the loss
                raise FloatingPointError(
                    f"The net of view {name!r} puts out numbers that are not finite. Try a smaller learning_rate or "
                    "gradient_clip=1.0; look for extreme values in the views if standardize=False."
                )
        return outputs

    def train(self, mode=True):
        super().train(mode)
        for encoder, frozen in zip(self.encoders, self.frozen):
            if frozen:
                encoder.eval()  # statistics of a frozen net stay frozen
        return self


def build_encoder(encoder, shape, n_outputs, architecture, label=""):
    """The module that a user's ``encoder`` stands for.

    Parameters
    ----------
    encoder : str, Module, or callable
        A name out of `ENCODERS`; a module, which is copied; or ``factory(shape, n_outputs)``, which makes one.
    shape : tuple of int
        Shape of one sample.
    n_outputs : int
        Width of the output.
    architecture : dict
        Arguments of `MLP`.
    label : str
        Stands before every error.

    Raises
    ------
    ValueError
        For an unknown name, samples that a built-in encoder cannot take, or a module with another output.
    """
    if isinstance(encoder, str):
        if len(shape) != 1:
            raise ValueError(
                f"{label}The encoder {encoder!r} takes rows of numbers, but every sample has the shape {shape}: pass a "
                "torch module that takes such samples as encoder, or flatten them in PerView."
            )
        return _built_in(encoder, shape[0], n_outputs, architecture, label)
    try:
        module = copy.deepcopy(encoder) if isinstance(encoder, nn.Module) else encoder(shape, n_outputs)
    except Exception as error:
        raise ValueError(f"{label}The factory encoder{(shape, n_outputs)} failed: {error}") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{label}encoder{(shape, n_outputs)} gave a {type(module).__name__}, not a torch module.")
    _check_output(module.float(), shape, n_outputs, label)
    return nn.Sequential(Noise(architecture["input_noise"]), module)


def _activation(activation):
    return ACTIVATIONS[activation]() if isinstance(activation, str) else activation()


def _built_in(name, n_inputs, n_outputs, architecture, label):
    if name == "frame_convolutions":
        return FrameConvolutions(n_inputs, n_outputs, **architecture)
    if name == "identity":
        if n_inputs != n_outputs:
            raise ValueError(
                f"{label}The encoder 'identity' needs n_components={n_inputs}, the width of the view; "
                f"it is {n_outputs}."
            )
        return nn.Identity()
    architecture = dict(architecture)
    if name == "linear":
        architecture["hidden_layer_sizes"] = ()
    elif name == "residual":
        architecture["skip"] = True
    return MLP(n_inputs, n_outputs, **architecture)


def _check_output(module, shape, n_outputs, label):
    parameter = next(module.parameters(), None)
    uninitialised = isinstance(parameter, nn.parameter.UninitializedParameter)
    device = "cpu" if parameter is None or uninitialised else parameter.device
    was_training = module.training
    try:
        with torch.no_grad():
            Z = module.eval()(torch.zeros((2, *shape), dtype=torch.float32, device=device))
    except Exception as error:
        raise ValueError(f"{label}The encoder failed on samples of the shape {shape}: {error}") from error
    finally:
        module.train(was_training)
    if not isinstance(Z, torch.Tensor) or Z.shape != (2, n_outputs):
        got = tuple(Z.shape) if isinstance(Z, torch.Tensor) else type(Z).__name__
        raise ValueError(
            f"{label}The encoder must give {n_outputs} numbers a sample, a tensor of shape {(2, n_outputs)} for 2; "
            f"it gave {got}."
        )


def check_architecture(encoder, architecture, label):
    """Raise for an encoder or parameters that mean nothing."""
    known = encoder in ENCODERS if isinstance(encoder, str) else callable(encoder)  # modules and classes are callable
    if not known:
        raise ValueError(
            f"{label}encoder must be one of {list(ENCODERS)}, a torch module or a factory, got {encoder!r}."
        )
    sizes = architecture["hidden_layer_sizes"]
    if not (np.iterable(sizes) and all(is_whole(size, 1) for size in sizes)):
        raise ValueError(f"{label}hidden_layer_sizes must be a tuple of whole numbers of at least 1, got {sizes!r}.")
    activation = architecture["activation"]
    makes = callable(activation) and not isinstance(activation, nn.Module)
    known = activation in ACTIVATIONS if isinstance(activation, str) else makes
    if not known:
        raise ValueError(f"{label}activation must be one of {list(ACTIVATIONS)} or make a module, got {activation!r}.")
    if not (isinstance(architecture["dropout"], Real) and 0 <= architecture["dropout"] < 1):
        raise ValueError(f"{label}dropout must be in [0, 1), got {architecture['dropout']!r}.")
    noise = architecture["input_noise"]
    if not (isinstance(noise, Real) and noise >= 0):
        raise ValueError(f"{label}input_noise must be at least 0, got {noise!r}.")


def to_arrays(tree):
    """`tree` with numpy arrays for tensors: plain data that pickles, and loads where there is no GPU."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu().numpy().copy()
    if isinstance(tree, Bags):
        return to_arrays(vars(tree))
    if isinstance(tree, dict):
        return {key: to_arrays(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [to_arrays(value) for value in tree]
    return tree


def to_tensors(tree):
    """The inverse of `to_arrays`."""
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree.copy())
    if isinstance(tree, dict):
        return {key: to_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [to_tensors(value) for value in tree]
    return tree
