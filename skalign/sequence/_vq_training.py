"""Fitting a vector quantiser: moving averages over given features, and the training of an autoencoder."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from .._backend import is_tensor, resolve_device, to_numpy
from .._bags import elements_of
from .._input import check_sample_shape
from .._net_aligner import require_packages
from .._net_encoder import NetEncoder, usable_device
from .._training_constraints import TRAINING_CONSTRAINTS, WHOLE
from .._training_options import TrainingOptionsMixin
from ._codebook import check_enough, decode, learn_batch, quantize, residual_kmeans
from ._frame_tables import result_dtype

_ROWS_AT_START = 10  # a code, for k-means,
_LEAST_AT_START = 4096  # or as many
_ROUNDS_AT_START = 5  # of k-means, where it sees a part of the rows only
_LEAST_GAIN = 0.01  # of the passes that moving averages go back, relative
_DECODED_AT_ONCE = 8192
_ROWS_SCALED_AT_ONCE = 1024

_SHARE = Interval(Real, 0, 1, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
CONSTRAINTS = {
    "n_codes": [WHOLE],
    "n_codebooks": [WHOLE],
    "codebook": [StrOptions({"ema", "fsq"})],
    "levels": ["array-like"],
    "encoder": [StrOptions({"mlp", "conv"}), callable, None],
    "decoder": [callable, None],
    "n_components": [WHOLE],
    "decay": [_SHARE],
    "epsilon": [_POSITIVE],
    "dead_code_threshold": [_SHARE],
    "commitment": [_NOT_NEGATIVE],
    **TRAINING_CONSTRAINTS,
}


class Features:
    """Codebooks of rows as they are, standardised as a whole.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Rows that set the centre and the scale.
    """

    def __init__(self, rows):
        self.center = rows.mean(axis=0, dtype=np.float64)
        # float32 neither overflows nor vanishes between -1 and 1; by parts, which stay in the cache.
        parts = (rows[start : start + _ROWS_SCALED_AT_ONCE] for start in range(0, len(rows), _ROWS_SCALED_AT_ONCE))
        self.scale = max(float(np.abs(part - self.center).max()) for part in parts) or 1.0
        self.codes = self.counts = None

    def prepare(self, rows):
        """Standardised rows of float32: half the time of float64, and codes are means of many."""
        return ((rows - self.center) / self.scale).astype(np.float32, copy=False)

    def start(self, X, n_codes, n_codebooks, batch_size, rng):
        """Codebooks by k-means; tells whether it has seen all rows and is through."""
        n = min(len(X), max(_ROWS_AT_START * n_codes, _LEAST_AT_START))
        whole = n == len(X)
        sample = X if whole else X[rng.choice(len(X), n, replace=False)]
        codes, counts = residual_kmeans(sample, n_codes, n_codebooks, rng, 300 if whole else _ROUNDS_AT_START)
        self.codes, self.counts = codes, (counts * (batch_size / n)).astype(X.dtype)
        return whole

    def learn(self, X, batch_size, rng, **options):
        """One pass over the rows; the mean squared error that they had before the step of their batch."""
        order, error = rng.permutation(len(X)), 0.0
        for part in np.array_split(order, -(-len(X) // batch_size)):
            _, rest = learn_batch(
                X[part], self.codes, self.counts, lambda n, size: rng.randint(n, size=size), **options
            )
            error += float((rest * rest).sum())
        return error / len(X)

    def copy(self):
        twin = object.__new__(Features)
        vars(twin).update(vars(self), codes=self.codes.copy(), counts=self.counts.copy())
        return twin

    def encode(self, table):
        return quantize(self.prepare(to_numpy(table)), self.codes)

    def decode(self, ids, dtype):
        return decode(ids, self.codebook(np.float64)).astype(dtype)

    def codebook(self, dtype):
        codes = self.codes.astype(np.float64) * self.scale
        codes[0] += self.center
        return codes.astype(dtype)


class AutoencoderFeatures:
    """Tokens of a trained autoencoder.

    Parameters
    ----------
    scaling : NetEncoder
        How samples are standardised.
    net : StoredAutoencoder
        The net.
    device : str or None
        Where to compute.
    """

    def __init__(self, scaling, net, device):
        self.scaling, self.net, self.device = scaling, net, device

    def encode(self, table):
        import torch

        dtype = torch.float64 if result_dtype(table) == np.float64 and self.net.built_in else torch.float32
        device = table.device if is_tensor(table) else usable_device(self.device)
        module = self.net.module(device, dtype)
        with torch.no_grad():
            parts = [
                module.encode(self.scaling.prepare(table[start : start + _DECODED_AT_ONCE], device, dtype))
                for start in range(0, table.shape[0], _DECODED_AT_ONCE)
            ]
        return to_numpy(torch.cat(parts))

    def decode(self, ids, dtype):
        import torch

        device = usable_device(self.device)
        module = self.net.module(device, torch.float64 if dtype == np.float64 else torch.float32)
        with torch.no_grad():
            parts = [
                module.decode(torch.as_tensor(ids[start : start + _DECODED_AT_ONCE], device=device))
                for start in range(0, len(ids), _DECODED_AT_ONCE)
            ]
        return self.scaling._unprepare(to_numpy(torch.cat(parts)), np.empty(0, dtype))

    def codebook(self, dtype):
        import torch

        return to_numpy(self.net.module("cpu", torch.float32).quantizer.codes).astype(dtype)


class VectorTrainingMixin(TrainingOptionsMixin):
    """How codes are learnt, of given features or with a net."""

    _parameter_constraints = CONSTRAINTS
    _private_state: tuple[str, ...] = ("_coder", "_state")

    def _learn_features(self, rows, going_on, stream, label):
        rng = check_random_state(self.random_state)
        coder = self._coder.copy() if going_on else Features(rows)
        if going_on and coder.codes.shape[:2] != (self.n_codebooks, self.n_codes):
            raise ValueError(f"{label}The codebooks have the shape {coder.codes.shape[:2]}: fit anew to change it.")
        X, losses = coder.prepare(rows), []
        through = False if going_on else coder.start(X, self.n_codes, self.n_codebooks, self.batch_size, rng)
        options = {"decay": self.decay, "epsilon": self.epsilon, "threshold": self.dead_code_threshold}
        n_batches = -(-len(X) // self.batch_size)
        memory = math.ceil(1 / ((1 - self.decay) * n_batches))  # passes that moving averages go back
        for _ in range(0 if through else 1 if stream else self.max_epochs):
            losses.append(coder.learn(X, self.batch_size, rng, **options) * coder.scale**2)
            if len(losses) > memory and losses[-1] > (1 - _LEAST_GAIN) * losses[-1 - memory]:
                break
        return coder, losses, []

    def _learn_autoencoder(self, table, going_on, stream, label):
        require_packages(type(self).__name__)  # before anything imports them
        from .._nets import ViewNets
        from .._training import PairedRows, own_randomness, train
        from ._vq_net import Autoencoder, QuantizedReconstruction, StoredAutoencoder, build_autoencoder

        rng = check_random_state(self.random_state)
        seed, n = int(rng.randint(2**31 - 1)), table.shape[0]
        earlier = self._state if going_on else None
        if going_on:
            scaling = self._coder.scaling
            check_sample_shape(tuple(table.shape[1:]), self._coder.net.shape, label, type(self).__name__)
        else:
            scaling = NetEncoder(view="X", owner=type(self).__name__)
            scaling.set_input_scale(table, self.standardize)
        rows, held_out = (np.arange(n), np.arange(0)) if stream else self._split(n, None, rng)
        if not going_on and self.codebook == "ema":
            check_enough(len(rows), self.n_codes, "n_codes", label)
        shape, settings = tuple(table.shape[1:]), self._net_settings()
        with own_randomness(seed):
            own = build_autoencoder(self.encoder, self.decoder, shape, settings).float()
        module = ViewNets({"x": own.encoder}, QuantizedReconstruction(own.quantizer, own.decoder, self.commitment))
        max_epochs = 1 if stream else self.max_epochs
        if is_tensor(table):
            device = str(table.device)
        else:
            weights = sum(parameter.numel() for parameter in module.parameters())
            device = resolve_device(self.device, 6.0 * weights * n * max_epochs) or "cpu"
        X = scaling.prepare(table, device)
        data = PairedRows({"x": X[_places(rows, X)]})
        if not going_on:
            module.to(device)
            with own_randomness(seed, device):
                Z = to_numpy(module.outputs(data)["x"])
                n_start = max(_ROWS_AT_START * self.n_codes, _LEAST_AT_START)
                if len(Z) > n_start:
                    Z = Z[rng.choice(len(Z), n_start, replace=False)]
                own.quantizer.start(Z, min(self.batch_size, len(rows)), rng)
        score = None
        if len(held_out):
            judged = {"x": X[_places(held_out, X)]}
            score = lambda net: -float(net.objective(net(judged), judged))  # noqa: E731
        start = module.state_dict() if earlier is None else earlier["module"]
        options = self._options(seed, device, max_epochs, [to_numpy(X), start])
        with own_randomness(seed, device):
            result = train(module.to(device), data, options, score, earlier)
        module.outputs(data)  # says so if the last step spoilt the net
        own = Autoencoder(module.encoders[0], module.objective.quantizer, module.objective.decoder)
        stored = StoredAutoencoder(own, self.encoder, self.decoder, shape, settings)
        self._state, self.best_epoch_ = result.state, result.best_epoch
        return AutoencoderFeatures(scaling, stored, self.device), result.losses, result.scores

    def _net_settings(self):
        names = (
            "n_codes", "n_codebooks", "codebook", "n_components", "hidden_layer_sizes", "activation", "dropout",
            "input_noise", "decay", "epsilon", "dead_code_threshold",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"levels": list(self.levels)}

    def _learn(self, frames, going_on, stream, label):
        table = elements_of(frames)
        n_codes = self._n_codes
        if going_on and isinstance(self._coder, Features) != (self.encoder is None):
            earlier = "with" if self.encoder is None else "without"
            raise ValueError(f"{label}The last fit was {earlier} an encoder: fit anew with warm_start=False.")
        if not going_on:
            check_enough(table.shape[0], self.n_codes if self.codebook == "ema" else 2, "n_codes", label)
        if self.encoder is None:
            coder, losses, scores = self._learn_features(to_numpy(table), going_on, stream, label)
        else:
            coder, losses, scores = self._learn_autoencoder(table, going_on, stream, label)
        self._coder, self.n_codes_ = coder, n_codes
        ids = coder.encode(table)
        counts = np.stack([np.bincount(column, minlength=n_codes) for column in ids.T])
        error = _error(coder, ids, table)
        if going_on and stream:
            before = self.counts_[0].sum()
            error = (before * self.reconstruction_error_ + len(ids) * error) / (before + len(ids))
            counts += self.counts_
        self.counts_, self.reconstruction_error_ = counts, error
        self.codebook_ = coder.codebook(result_dtype(table))
        self.loss_curve_ = (self.loss_curve_ if going_on else []) + losses
        self.validation_scores_ = (self.validation_scores_ if going_on else []) + scores
        self.n_iter_ = len(self.loss_curve_)


def _error(coder, ids, table):
    """Mean squared distance of rows to what they are decoded to."""
    total = 0.0
    for start in range(0, len(ids), _DECODED_AT_ONCE):
        part = slice(start, start + _DECODED_AT_ONCE)
        rows = to_numpy(table[part]).astype(np.float64)
        total += float(((rows - coder.decode(ids[part], np.float64)) ** 2).sum())
    return total / len(ids)


def _places(rows, X):
    import torch

    return torch.as_tensor(rows, device=X.device)
