"""Aligners whose encoders are nets: what they share of parameters, input, splits and training."""

from __future__ import annotations

from importlib.util import find_spec
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._backend import is_tensor, resolve_device
from ._bags import elements_of
from ._input import check_sample_shape, is_whole
from ._net_encoder import StoredNet
from ._training_options import TrainingOptionsMixin
from .base import PairedAlignerMixin
from .metrics._ranking import _check_groups
from .views._by_view import by_view

_ARCHITECTURE = ("hidden_layer_sizes", "activation", "dropout", "batch_norm", "input_noise")


class NetAlignerMixin(TrainingOptionsMixin, PairedAlignerMixin):
    """Training of one net a view through `skalign._training.train`.

    A subclass has the constructor parameters read here, ``_encoder_class``, and

    - ``_objective(encoders)``: the loss as an `Objective`;
    - ``_held_out_score(module, train, valid)``: what chooses the epoch, larger is better; gets `PairedRows`;
    - ``_finish(module, encoders, train, valid)``: what follows the training; gets outputs of the nets by view, and
      None for held-out rows that there are not.
    """

    _encoder_class: Any = None

    # --- fitting ----------------------------------------------------------------------------------------------------

    def _fit_nets(self, X, y, groups, *, max_epochs, go_on, validate=True):
        before = dict(vars(self))
        try:
            return self._train_nets(X, y, groups, max_epochs, go_on, validate)
        except Exception:  # rows that are refused leave the nets, and the door of the last fit, as they were
            vars(self).clear()
            vars(self).update(before)
            raise

    def _train_nets(self, X, y, groups, max_epochs, go_on, validate):
        require_packages(type(self).__name__)  # before anything imports them
        from ._nets import ViewNets
        from ._processes import current_processes
        from ._training import own_randomness, train

        self._check_options()
        tables, encoders = self._open_tables(X, y, self._encoder_class)
        self._check_architectures(list(tables))
        names, n_rows = list(tables), next(iter(tables.values())).shape[0]
        processes = current_processes()
        rng = processes.on_main(lambda: check_random_state(self.random_state))
        seed = int(rng.randint(2**31 - 1))
        earlier = self._earlier(encoders) if go_on else None
        self._set_input_scales(tables, encoders, earlier)
        groups = group_numbers(groups, n_rows)
        rows, held_out = self._split(n_rows, groups, rng) if validate else (np.arange(n_rows), np.arange(0))
        self._check_batches(len(rows), processes.size)
        table = elements_of(next(iter(tables.values())))
        device = str(table.device) if is_tensor(table) else None
        with own_randomness(seed):
            nets = self._build(encoders)
            module = ViewNets(nets, self._objective(encoders), self._frozen(names)).float()
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise ValueError("There is nothing to train: no encoder has weights that are not frozen.")
        if device is None:
            weights = sum(parameter.numel() for parameter in module.parameters())
            device = resolve_device(self.device, 6.0 * weights * len(rows) * max_epochs) or "cpu"
        train_rows = self._rows(tables, encoders, rows, groups, device)
        valid_rows = self._rows(tables, encoders, held_out, groups, device) if len(held_out) else None
        processes.check_same(train_rows.views)
        start = module.state_dict() if earlier is None else earlier["module"]
        options = self._options(seed, device, max_epochs, [tables, groups, start], processes)
        with own_randomness(seed, device):
            if earlier is None:
                self._before_training(module.to(device), train_rows, valid_rows)
            score = None if valid_rows is None else lambda net: self._held_out_score(net, train_rows, valid_rows)
            result = train(module, train_rows, options, score, earlier)
        outputs = module.outputs(train_rows)
        self._finish(module, encoders, outputs, None if valid_rows is None else module.outputs(valid_rows))
        for name, encoder in encoders.items():
            encoder.set_decoder(encoder._finish(outputs[name]), train_rows.views[name])
        # Last: a module of the user's own is kept, and goes back to the CPU, away from the rows.
        kinds, architectures = self._by_view("encoder", names), self._architectures(names)
        for name, net in zip(names, module.encoders):
            shape, n_outputs = encoders[name].sample_shape_, self._n_outputs()
            stored = StoredNet(net, kinds[name], shape, n_outputs, architectures[name])
            encoders[name].set_net(stored, n_outputs, self.device)
        self.encoders_ = encoders
        self._state = result.state
        self.loss_curve_ = (self.loss_curve_ if earlier else []) + result.losses
        self.validation_scores_ = (self.validation_scores_ if earlier else []) + result.scores
        self.n_iter_ = result.state["epochs"]
        self.best_epoch_ = len(self.loss_curve_) - len(result.losses) + result.best_epoch
        return self

    def _n_outputs(self):
        """Width of what the nets give."""
        return self.n_components

    def _build(self, encoders):
        from ._nets import build_encoder

        names = list(encoders)
        kinds, architectures = self._by_view("encoder", names), self._architectures(names)
        return {
            name: build_encoder(
                kinds[name], encoder.sample_shape_, self._n_outputs(), architectures[name], f"View {name!r}: "
            )
            for name, encoder in encoders.items()
        }

    def _earlier(self, encoders):
        """State of the nets fitted before, to go on from, or None."""
        if not hasattr(self, "_state"):
            return None
        if list(self.encoders_) != list(encoders):
            raise ValueError(f"Training goes on with the views {list(self.encoders_)}; these are {list(encoders)}.")
        for name, encoder in encoders.items():
            expected = self.encoders_[name].sample_shape_
            check_sample_shape(encoder.sample_shape_, expected, f"View {name!r}: ", type(self).__name__)
        return self._state

    def _set_input_scales(self, tables, encoders, earlier):
        for name, encoder in encoders.items():
            if earlier is None:
                encoder.set_input_scale(tables[name], self.standardize)
            else:
                encoder.center_, encoder.scale_ = self.encoders_[name].center_, self.encoders_[name].scale_

    def _rows(self, tables, encoders, rows, groups, device):
        import torch

        from ._training import PairedRows

        views = {}
        for name, table in tables.items():
            part = table if len(rows) == table.shape[0] else table[_index(rows, table)]
            views[name] = encoders[name].prepare(part, device)
        return PairedRows(views, None if groups is None else torch.as_tensor(groups[rows], device=device))

    def _before_training(self, module, train, valid):
        """A start other than random weights."""

    def _frozen(self, names):
        return ()

    # --- parameters -------------------------------------------------------------------------------------------------

    def _by_view(self, parameter, names):
        return by_view(getattr(self, parameter), names, parameter)

    def _architectures(self, names):
        values = {parameter: self._by_view(parameter, names) for parameter in _ARCHITECTURE}
        return {name: {parameter: values[parameter][name] for parameter in _ARCHITECTURE} for name in names}

    def _check_architectures(self, names):
        from ._nets import check_architecture

        kinds, architectures = self._by_view("encoder", names), self._architectures(names)
        for name in names:
            check_architecture(kinds[name], architectures[name], f"View {name!r}: ")

    def _check_batches(self, n_rows, n_processes):
        from ._training import batch_sizes

        least, why = self._smallest_batch()
        if n_processes > least:
            least, why = n_processes, f"Each of {n_processes} processes needs a row of every batch"
        smallest = min(batch_sizes(n_rows, self._batch_size()), default=0)
        if smallest < least:
            raise ValueError(
                f"{why}, but {n_rows} training rows in batches of batch_size={self._batch_size()} make batches of "
                f"{smallest}. Use larger batches, more rows, or fewer components."
            )

    def _smallest_batch(self):
        return 2, "A batch needs 2 rows"

    def _check_options(self):
        """Raise ValueError for parameters of training that mean nothing."""
        from ._training_callbacks import SCHEDULES

        widths = [name for name in ("n_components", "n_shared", "n_unique") if hasattr(self, name)]
        values = {name: getattr(self, name) for name in (*widths, "max_epochs", "n_iter_no_change")}
        for name, value in (values | {"batch_size": self._batch_size()}).items():
            least = 2 if name == "batch_size" else 1
            if not is_whole(value, least):
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        schedule = self.learning_rate_schedule
        wanted = {
            "learning_rate": (_is_number(self.learning_rate, above=0), "a number greater than 0"),
            "weight_decay": (_is_number(self.weight_decay), "a number of at least 0"),
            "tol": (_is_number(self.tol), "a number of at least 0"),
            "validation_fraction": (
                _is_number(self.validation_fraction, above=0) and self.validation_fraction < 1,
                "a number between 0 and 1",
            ),
            "encode_batch_size": (
                self.encode_batch_size is None or is_whole(self.encode_batch_size, 1),
                "None or a whole number of at least 1",
            ),
            "mixed_precision": (self.mixed_precision in (True, False, "bf16", "fp16"), "a bool, 'bf16' or 'fp16'"),
            "gradient_clip": (
                self.gradient_clip is None or _is_number(self.gradient_clip, above=0),
                "None or a number greater than 0",
            ),
            "early_stopping": (self.early_stopping in (True, False, "auto"), "a bool or 'auto'"),
            "standardize": (self.standardize in ("feature", "view", False), "'view', 'feature' or False"),
            "learning_rate_schedule": (callable(schedule) or schedule in SCHEDULES, f"a function or of {[*SCHEDULES]}"),
            "verbose": (isinstance(self.verbose, (Integral, np.bool_)) and self.verbose >= 0, "0, 1 or 2"),
        }
        for name, (good, what) in wanted.items():
            if not good:
                raise ValueError(f"{name} must be {what}, got {getattr(self, name)!r}.")
        if self.callbacks is not None and not isinstance(self.callbacks, (list, tuple)):
            raise ValueError(f"callbacks must be a list of skorch callbacks, got {self.callbacks!r}.")


def _is_number(value, above=None):
    """Whether `value` is a number of at least 0, or greater than `above`."""
    return isinstance(value, Real) and (value >= 0 if above is None else value > above)


def require_packages(owner):
    """Raise ImportError, which says what to install, unless nets can be trained."""
    if missing := [name for name in ("torch", "skorch") if find_spec(name) is None]:
        raise ImportError(f"{owner} trains nets and needs {' and '.join(missing)}: pip install 'skalign[deep]'.")


def group_numbers(groups, n_rows):
    """Any labels as whole numbers from 0, or None."""
    if groups is None:
        return None
    return np.unique(_check_groups(groups, "groups", n_rows), return_inverse=True)[1].reshape(-1)


def _index(rows, table):
    if not is_tensor(table):
        return rows
    import torch

    return torch.as_tensor(rows, device=table.device)
