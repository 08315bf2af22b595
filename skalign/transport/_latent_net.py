"""The map of a latent pairing as a small net."""

from __future__ import annotations

import numpy as np
import torch

from .._net_encoder import NetEncoder, StoredNet
from .._nets import ViewNets, build_encoder
from .._training import Objective, PairedRows, TrainingOptions, own_randomness, train

_KIND = "residual"  # a linear path beside the layers: the net starts as the linear map


class NetMap:
    """A trained net between centred collections.

    Parameters
    ----------
    encoder : NetEncoder
        Over the source.
    scale : float
        What its outputs are multiplied by.
    """

    penalty = 0.0

    def __init__(self, encoder, scale):
        self.encoder, self.scale = encoder, scale

    def __call__(self, X):
        return self.encoder._encode(X) * self.scale


class SquaredError(Objective):
    """Mean squared distance between the mapped rows of view "x" and their partners in view "y"."""

    def forward(self, outputs, views, groups):
        return ((outputs["x"] - outputs["y"]) ** 2).sum(dim=1).mean()


class NetFit:
    """Trains one net further whenever it is called with pairs; a ``fit_map`` of the alternation.

    Parameters
    ----------
    X, Y : ndarray of shape (n, p) and (m, q)
        Centred collections.
    start : AffineMap
        What the net is at first.
    hidden_layer_sizes, learning_rate, max_epochs
        As of the estimator; epochs of one call.
    seed : int
        What all randomness follows from.
    device : str
        Where it is trained.
    """

    def __init__(self, X, Y, start, *, hidden_layer_sizes, learning_rate, max_epochs, seed, device):
        self.encoder = NetEncoder(view="x", owner=None)
        self.encoder.check(X, reset=True)
        self.encoder.set_input_scale(X, "feature")
        self.scale = float(np.sqrt((Y * Y).mean()))
        self.shape, self.n_outputs = (X.shape[1],), Y.shape[1]
        self.architecture = dict(
            hidden_layer_sizes=tuple(hidden_layer_sizes),
            activation="gelu",
            dropout=0.0,
            batch_norm=False,
            input_noise=0.0,
        )
        self.options = TrainingOptions(seed=seed, learning_rate=learning_rate, max_epochs=max_epochs, device=device)
        self.state = None
        with own_randomness(seed):
            net = build_encoder(_KIND, self.shape, self.n_outputs, self.architecture)
            self.module = ViewNets({"x": net, "y": torch.nn.Identity()}, SquaredError()).float()
        inputs, center = self.encoder.scale_, self.encoder.center_
        net.start_linear(
            inputs[:, None] * start.coef / self.scale, (center @ start.coef + start.intercept) / self.scale
        )

    def __call__(self, X, Y, weights=None, current=None):
        device = self.options.device
        targets = torch.as_tensor(Y / self.scale, dtype=torch.float32, device=device)
        rows = PairedRows({"x": self.encoder.prepare(X, device), "y": targets})
        with own_randomness(self.options.seed, device):
            self.state = train(self.module, rows, self.options, state=self.state).state
        encoder = NetEncoder(view="x", owner=None)
        vars(encoder).update(vars(self.encoder))
        stored = StoredNet(self.module.encoders[0], _KIND, self.shape, self.n_outputs, self.architecture)
        encoder.set_net(stored, self.n_outputs, device)
        return NetMap(encoder, self.scale)
