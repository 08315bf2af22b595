"""Quantisers and autoencoders as torch modules."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import nn

from .._nets import MLP, _activation, build_encoder, to_arrays, to_tensors
from .._training import Objective
from ._codebook import decode, learn_batch, quantize, residual_kmeans


class AveragedCodes(nn.Module):
    """Residual quantisation with codes that are moving averages of what they stand for.

    Parameters
    ----------
    n_codebooks, n_codes, width : int
        Shape of the codebooks.
    decay, epsilon, threshold : float
        See `skalign.sequence._codebook`.
    """

    def __init__(self, n_codebooks, n_codes, width, decay, epsilon, threshold):
        super().__init__()
        self.register_buffer("codes", torch.zeros(n_codebooks, n_codes, width))
        self.register_buffer("counts", torch.zeros(n_codebooks, n_codes))
        self.options = {"decay": decay, "epsilon": epsilon, "threshold": threshold}

    def start(self, Z, batch_size, rng):
        """Begin with k-means of outputs of the encoder, a numpy array."""
        codes, counts = residual_kmeans(Z, self.codes.shape[1], self.codes.shape[0], rng, max_iter=10)
        self.codes.copy_(torch.as_tensor(codes))
        self.counts.copy_(torch.as_tensor(counts * (batch_size / len(Z))))

    def forward(self, Z):
        """What `Z` becomes, with the gradient of `Z` itself; and the mean square of the difference."""
        with torch.no_grad():
            if self.training:

                def pick(n, size):
                    return torch.randint(n, (size,), device=Z.device)

                _, rest = learn_batch(Z.detach(), self.codes, self.counts, pick, **self.options)
                Q = Z - rest
            else:
                Q = self.decode(self.encode(Z))
        return Z + (Q - Z).detach(), nn.functional.mse_loss(Z, Q)

    def encode(self, Z):
        return quantize(Z, self.codes)

    def decode(self, ids):
        return decode(ids, self.codes)


class ScalarCodes(nn.Module):
    """Every number is rounded to one of a few levels: no codebook is learnt, and none can collapse.

    Parameters
    ----------
    n_codebooks : int
        Codes of a row.
    levels : sequence of int
        Levels of every number of a code; their product is the number of codes.
    """

    def __init__(self, n_codebooks, levels):
        super().__init__()
        L = torch.tensor(levels * n_codebooks, dtype=torch.float32)
        self.shape = (n_codebooks, len(levels))
        self.register_buffer("bound", (L - 1) / 2 * (1 + 1e-3), persistent=False)  # the last level can be reached
        self.register_buffer("offset", torch.where(L % 2 == 0, 0.5, 0.0), persistent=False)
        self.register_buffer("width", torch.floor(L / 2), persistent=False)
        self.register_buffer("base", torch.tensor(np.cumprod([1, *levels[:-1]])), persistent=False)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)

    def start(self, Z, batch_size, rng):
        """Nothing is learnt from data."""

    def _rounded(self, Z):
        bounded = torch.tanh(Z + torch.atanh(self.offset / self.bound)) * self.bound - self.offset
        return bounded, torch.round(bounded)

    def forward(self, Z):
        """What `Z` becomes, with the gradient of the bounded `Z`; and no commitment, which it does not need."""
        bounded, Q = self._rounded(Z)
        return (bounded + (Q - bounded).detach()) / self.width, Z.new_zeros(())

    def encode(self, Z):
        digits = (self._rounded(Z)[1] + self.width).long().reshape(-1, *self.shape)
        return (digits * self.base).sum(dim=-1)

    def decode(self, ids):
        digits = (ids[:, :, None] // self.base) % self.levels
        return digits.reshape(len(ids), -1).to(self.width.dtype) / self.width - 1

    @property
    def codes(self):
        """All codes of every codebook."""
        ids = torch.arange(int(self.levels.prod()), device=self.levels.device)
        book = (((ids[:, None] // self.base) % self.levels).to(self.width.dtype)) / self.width[: self.shape[1]] - 1
        return book.expand(self.shape[0], -1, -1)


class ImageEncoder(nn.Sequential):
    """Convolutions with stride 2 and a linear layer: images of shape (c, h, w) to rows of `n_outputs`."""

    def __init__(self, shape, n_outputs, channels, activation, dropout):
        layers = []
        for before, after in zip([shape[0], *channels], channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), _activation(activation)]
        h, w = image_sizes(shape, channels)[-1]
        n_flat = [shape[0], *channels][-1] * h * w
        # Without the normalisation the outputs grow faster than moving averages follow, and most codes die.
        last = [nn.Linear(n_flat, n_outputs), nn.BatchNorm1d(n_outputs, affine=False)]
        super().__init__(*layers, nn.Flatten(), nn.Dropout(dropout), *last)


class ImageDecoder(nn.Sequential):
    """The way back: every layer doubles the size and convolves."""

    def __init__(self, shape, n_inputs, channels, activation):
        sizes = image_sizes(shape, channels)
        h, w = sizes[-1]
        top = [shape[0], *channels][-1]
        layers = [nn.Linear(n_inputs, top * h * w), nn.Unflatten(1, (top, h, w))]
        for i in reversed(range(len(channels))):
            after = channels[i - 1] if i else shape[0]
            layers += [_activation(activation), nn.Upsample(size=sizes[i]), nn.Conv2d(channels[i], after, 3, padding=1)]
        super().__init__(*layers)


def image_sizes(shape, channels):
    """Height and width before and behind every layer of stride 2."""
    sizes = [tuple(shape[1:])]
    for _ in channels:
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return sizes


class Autoencoder(nn.Module):
    """An encoder, a quantiser of its outputs, and the way back."""

    def __init__(self, encoder, quantizer, decoder):
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder

    def encode(self, X):
        return self.quantizer.encode(self.encoder(X))

    def decode(self, ids):
        return self.decoder(self.quantizer.decode(ids))


class QuantizedReconstruction(Objective):
    """Mean squared error of the reconstruction, and the commitment of the encoder to the codes."""

    def __init__(self, quantizer, decoder, commitment):
        super().__init__()
        self.quantizer, self.decoder, self.commitment = quantizer, decoder, commitment

    def forward(self, outputs, views, groups=None):
        Q, gap = self.quantizer(outputs["x"])
        return nn.functional.mse_loss(self.decoder(Q), views["x"]) + self.commitment * gap


def build_autoencoder(encoder, decoder, shape, settings):
    """The untrained net that the parameters of a `VectorQuantizer` stand for.

    Parameters
    ----------
    encoder : {"mlp", "conv"}, Module or callable
        See `VectorQuantizer`.
    decoder : Module, callable or None
        The same; None is the counterpart of the encoder.
    shape : tuple of int
        Shape of one sample.
    settings : dict
        The other parameters.

    Raises
    ------
    ValueError
        For modules that do not fit the samples, and "conv" on samples that are no images.
    """
    if settings["codebook"] == "fsq":
        quantizer = ScalarCodes(settings["n_codebooks"], settings["levels"])
        width = settings["n_codebooks"] * len(settings["levels"])
    else:
        width, names = settings["n_components"], ("n_codebooks", "n_codes", "n_components", "decay", "epsilon")
        quantizer = AveragedCodes(*(settings[name] for name in names), settings["dead_code_threshold"])
    return Autoencoder(
        _build_encoder(encoder, shape, width, settings),
        quantizer,
        _build_decoder(encoder, decoder, shape, width, settings),
    )


def _build_encoder(encoder, shape, width, settings):
    architecture = {name: settings[name] for name in ("hidden_layer_sizes", "activation", "dropout", "input_noise")}
    if encoder != "conv":
        return build_encoder(encoder, shape, width, architecture)
    if len(shape) != 3:
        raise ValueError(f"encoder='conv' takes images of shape (channels, height, width); a sample has shape {shape}.")

    def make(shape, n_outputs):
        return ImageEncoder(
            shape, n_outputs, list(settings["hidden_layer_sizes"]), settings["activation"], settings["dropout"]
        )

    return build_encoder(make, shape, width, architecture)


def _build_decoder(encoder, decoder, shape, width, settings):
    hidden, activation = list(settings["hidden_layer_sizes"]), settings["activation"]
    if decoder is None:
        if encoder == "conv":
            return ImageDecoder(shape, width, hidden, activation)
        mlp = MLP(width, math.prod(shape), hidden[::-1], activation, settings["dropout"])
        return nn.Sequential(mlp, nn.Unflatten(1, tuple(shape)))
    module = copy.deepcopy(decoder) if isinstance(decoder, nn.Module) else decoder(width, shape)
    if not isinstance(module, nn.Module):
        raise ValueError(f"decoder({width}, {shape}) gave a {type(module).__name__}, not a torch module.")
    try:
        with torch.no_grad():
            X = module.float().eval()(torch.zeros(2, width))
    except Exception as error:
        raise ValueError(f"The decoder failed on rows of {width} numbers: {error}") from error
    if not isinstance(X, torch.Tensor) or X.shape != (2, *shape):
        got = tuple(X.shape) if isinstance(X, torch.Tensor) else type(X).__name__
        raise ValueError(f"For 2 rows of {width} numbers the decoder must give {(2, *shape)}; it gave {got}.")
    return module


class StoredAutoencoder:
    """A trained autoencoder as plain data, so that it pickles, and loads where there is no GPU.

    Parameters
    ----------
    module : Autoencoder
        The net.
    encoder, decoder : str, Module, callable or None
        What it was built from. Nets of this library are kept as weights, those with modules of a user's as they are.
    shape : tuple of int
        Shape of one sample.
    settings : dict
        See `build_autoencoder`.
    """

    def __init__(self, module, encoder, decoder, shape, settings):
        self.encoder = encoder if isinstance(encoder, str) else None
        self.shape, self.settings = tuple(shape), dict(settings)
        self.built_in = isinstance(encoder, str) and decoder is None
        self.net = to_arrays(module.state_dict()) if self.built_in else module.cpu()
        self._modules = {}

    def __getstate__(self):
        return dict(vars(self), _modules={})

    def module(self, device, dtype):
        """The net on `device`, ready to compute with; nets of this library in any precision, others in float32."""
        dtype = dtype if self.built_in else torch.float32
        key = str(device), str(dtype)
        if key not in self._modules:
            if self.built_in:
                with torch.random.fork_rng([]):  # the initial weights are replaced at once
                    module = build_autoencoder(self.encoder, None, self.shape, self.settings)
                module.load_state_dict(to_tensors(self.net))
            else:
                module = copy.deepcopy(self.net)
            self._modules[key] = module.to(device=device, dtype=dtype).eval()
        return self._modules[key]
