"""Fitted encoders of one view that hold a trained net."""

from __future__ import annotations

import copy
import math

import numpy as np

from ._backend import astype, float_dtype, is_tensor, like, namespace, resolve_device, to_numpy
from ._encoder import ViewEncoder

_ROWS_AT_ONCE = 8192


class StoredNet:
    """A trained net as plain data, so that it pickles, and loads where there is no GPU.

    Parameters
    ----------
    module : Module
        The net.
    kind : str, Module or callable
        What it was built from. Nets of this library are kept as weights, a user's own as the module.
    shape : tuple of int
        Shape of one sample.
    n_outputs : int
        Width of the output.
    architecture : dict
        Arguments of `skalign._nets.MLP`.
    """

    def __init__(self, module, kind, shape, n_outputs, architecture):
        from ._nets import to_arrays

        self.kind = kind if isinstance(kind, str) else module.cpu()
        self.shape, self.n_outputs, self.architecture = shape, n_outputs, dict(architecture)
        self.weights = to_arrays(module.state_dict()) if isinstance(kind, str) else {}
        self._modules = {}

    def __getstate__(self):
        return dict(vars(self), _modules={})

    def module(self, device, dtype=None):
        """The net on `device`, ready to compute with; nets of this library in any precision, a user's in its own."""
        import torch

        from ._nets import build_encoder, to_tensors

        # One for each place and precision, none of which ever changes: threads may ask for different ones at a time,
        # and a user's module has to stay on the CPU, from where it pickles.
        dtype = dtype if isinstance(self.kind, str) else None
        key = str(device), dtype
        if key not in self._modules:
            if isinstance(self.kind, str):
                with torch.random.fork_rng([]):  # the initial weights are replaced at once
                    module = build_encoder(self.kind, self.shape, self.n_outputs, self.architecture)
                module.load_state_dict(to_tensors(self.weights))
            else:
                module = self.kind if str(device) == "cpu" else copy.deepcopy(self.kind)
            self._modules[key] = module.to(device=device, dtype=dtype).eval()
        return self._modules[key]


class NetEncoder(ViewEncoder):
    """A trained net over standardised input; a subclass may finish its outputs.

    Attributes
    ----------
    sample_shape_ : tuple of int
        Shape of one sample.
    net_ : StoredNet
        The net.
    center_, scale_ : ndarray or float
        What the input is centred and divided by.
    """

    _allow_nd = True

    def check(self, X, *, reset=False, min_samples=1):
        table = super().check(X, reset=reset, min_samples=min_samples)
        if is_tensor(table) and not type(table).__module__.startswith("torch"):
            raise TypeError(
                f"View {self.view!r}: nets take numpy arrays and torch tensors, not {type(table).__name__}."
            )
        return table

    def set_input_scale(self, table, standardize):
        """Remember how the input is centred and scaled.

        Every column is centred, or every channel of images, or else the whole view; the scale is that of each
        ("feature"), or of all of them together ("view").

        Raises
        ------
        ValueError
            When the whole view is constant.
        """
        axes = {1: (0,), 3: (0, *range(2, table.ndim))}.get(table.ndim - 1)
        center, spread, size = _mean_and_std(table, axes)
        varies = spread > (1e-6 if float_dtype(table) == namespace(table).float32 else 1e-12) * size
        if not np.any(varies):
            raise ValueError(f"View {self.view!r} is constant: nothing can be aligned with it.")
        if standardize == "feature":
            self.center_, self.scale_ = center, np.where(varies, spread, 1.0)
        elif standardize == "view":
            largest = spread.max()
            self.center_, self.scale_ = center, np.full(1, largest * np.sqrt(np.mean((spread / largest) ** 2)))
        else:
            self.center_, self.scale_ = np.zeros(1), np.ones(1)

    def prepare(self, X, device, dtype=None):
        """Rows as the net takes them: a tensor on `device`, standardised, of float32 unless `dtype` says otherwise.

        Raises
        ------
        ValueError
            When the numbers are beyond what float32 holds.
        """
        import torch

        parts = []
        for start in range(0, max(X.shape[0], 1), _ROWS_AT_ONCE):  # float64 for a moment, and never of the whole view
            part = X[start : start + _ROWS_AT_ONCE]
            part = part.detach().contiguous() if is_tensor(part) else np.array(part, order="C")
            T = torch.as_tensor(part, device=device).double()
            parts.append(((T - _broadcast(self.center_, T)) / _broadcast(self.scale_, T)).to(dtype or torch.float32))
        prepared = torch.cat(parts) if len(parts) > 1 else parts[0]
        if not bool(torch.isfinite(prepared.sum())) and not bool(torch.isfinite(prepared).all()):
            raise ValueError(f"View {self.view!r} holds numbers beyond the range of float32, in which nets compute.")
        return prepared

    def set_net(self, net, n_components, device):
        """Remember a trained net, as a `StoredNet`."""
        self.net_ = net
        self.n_components_ = n_components
        self.device_ = device

    def _encode(self, X):
        import torch

        device = X.device if is_tensor(X) else usable_device(self.device_)
        # float64 rows are computed on in float64: then a row comes out the same whatever rows are beside it.
        double = float_dtype(X) != namespace(X).float32 and isinstance(self.net_.kind, str)
        dtype = torch.float64 if double else torch.float32
        module = self.net_.module(device, dtype)
        with torch.no_grad():
            parts = [
                self._finish(module(self.prepare(X[start : start + _ROWS_AT_ONCE], device, dtype)))
                for start in range(0, max(X.shape[0], 1), _ROWS_AT_ONCE)
            ]
        Z = torch.cat(parts)
        return astype(Z if is_tensor(X) else to_numpy(Z), float_dtype(X))

    def _finish(self, Z):
        return Z

    def set_decoder(self, Z, table):
        """Remember the linear map that brings outputs `Z` back to prepared rows, by least squares."""
        import torch

        Z, T = Z.double(), table.reshape(table.shape[0], -1)
        self.decoder_center_ = to_numpy(Z.mean(dim=0))
        Zc = Z - Z.mean(dim=0)
        # The float32 rows are never copied to float64: one product with them is enough.
        cross = Zc.float().T @ (T - T.mean(dim=0))
        self.decoder_ = to_numpy(torch.linalg.pinv(Zc.T @ Zc, hermitian=True) @ cross.double())
        self.decoder_offset_ = to_numpy(T.mean(dim=0).double())

    def _decode(self, Z):
        rows = (to_numpy(Z).astype(np.float64) - self.decoder_center_) @ self.decoder_ + self.decoder_offset_
        return self._unprepare(rows.reshape(-1, *self.sample_shape_), Z)

    def _unprepare(self, rows, Z):
        rows = rows * _broadcast_array(self.scale_, rows.ndim) + _broadcast_array(self.center_, rows.ndim)
        if is_tensor(Z):
            import torch

            return torch.as_tensor(rows, dtype=float_dtype(Z), device=Z.device)
        return rows.astype(float_dtype(Z))


def _mean_and_std(table, axes):
    """Mean, standard deviation and largest size, over `axes` or over everything, whatever the scale of the numbers."""
    X = astype(table.detach() if is_tensor(table) else table, float_dtype(table))
    xp = namespace(X)
    size = to_numpy(astype(xp.max(xp.abs(X), axis=axes), xp.float64))
    unit = np.where(size > 0, size, 1.0)
    shape = [1 if axes is None or a in axes else X.shape[a] for a in range(X.ndim)]
    count = math.prod(X.shape) / unit.size

    def mean_of(function):
        sums = np.zeros(())
        for i in range(0, X.shape[0], _ROWS_AT_ONCE):
            part = astype(X[i : i + _ROWS_AT_ONCE], xp.float64)
            # By row: columns of a DataFrame would be summed in another order, and training magnifies the difference.
            part = part if is_tensor(part) else np.ascontiguousarray(part)
            sums = sums + to_numpy(xp.sum(function(part / like(unit.reshape(shape), part)), axis=axes))
        return sums / count

    mean = mean_of(lambda part: part)
    spread = np.sqrt(mean_of(lambda part: (part - like(mean.reshape(shape), part)) ** 2))
    return mean * unit, spread * unit, size


def _broadcast_array(values, ndim):
    """Columns of a table, or channels of images, against whole batches."""
    values = np.asarray(values, dtype=np.float64)
    return values.reshape(1, -1, *([1] * (ndim - 2)))


def _broadcast(values, T):
    import torch

    return torch.as_tensor(_broadcast_array(values, T.ndim), device=T.device)


def usable_device(device):
    """`device`, or the CPU where it is not there."""
    try:
        return resolve_device(device, np.inf) or "cpu"
    except ValueError:
        return "cpu"
