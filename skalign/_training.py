"""The one place where nets are trained: skorch with what paired views need.

skorch runs the loop, keeps the history, stops early and clips gradients. Added here are batches cut from tensors that
lie on the device already (a DataLoader takes half as long again), randomness that is a function of seed and epoch, so
that an interrupted training resumes to the same weights bit for bit, batches larger than memory or shared by several
processes, half precision, and errors in words.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, PassthroughScoring, PrintLog
from skorch.dataset import get_len

from ._bags import on_elements
from ._nets import to_arrays, to_tensors
from ._processes import OneProcess
from ._training_callbacks import BestEpoch, Course, HeldOutScore, Progress, seed_torch
from ._training_checkpoint import Checkpoint
from ._training_parts import check_rowwise, encode_in_parts, explains_memory


@dataclass
class TrainingOptions:
    """How to train; the estimators document what users set of it.

    Parameters
    ----------
    seed : int
        What all randomness follows from.
    encode_batch_size : int or None
        Rows of a batch that the nets hold at a time; None is all.
    mixed_precision : bool, "bf16" or "fp16"
        True is "bf16" on CUDA and nothing elsewhere.
    processes : OneProcess or Processes
        Which share every batch.
    checkpoint : Path or None
        File that is written after every epoch and removed at the end.
    """

    seed: int
    device: str = "cpu"
    learning_rate: float = 1e-3
    schedule: object = "constant"
    weight_decay: float = 0.0
    batch_size: int = 256
    encode_batch_size: int | None = None
    max_epochs: int = 100
    patience: int | None = None
    tol: float = 1e-4
    gradient_clip: float | None = None
    mixed_precision: bool | str = False
    verbose: int = 0
    callbacks: list = field(default_factory=list)
    checkpoint: Path | None = None
    processes: OneProcess = field(default_factory=OneProcess)

    @property
    def dtype(self):
        """What the nets compute in, or None for their own type."""
        chosen = ("bf16" if self.on_cuda else None) if self.mixed_precision is True else self.mixed_precision
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(chosen)

    @property
    def on_cuda(self):
        return str(self.device).startswith("cuda")


@dataclass
class Training:
    """What a training left.

    Parameters
    ----------
    state : dict
        Weights and the state of the optimizer, as numpy arrays, and the number of epochs behind them.
    losses, scores : list of float
        By epoch; scores are those on held-out rows, if there are any.
    best_epoch : int
        The epoch whose weights were kept, counted from 1.
    """

    state: dict
    losses: list
    scores: list
    best_epoch: int


class Objective(torch.nn.Module):
    """Base of losses of several views, which may have parameters and phases of their own.

    A subclass has ``forward(outputs, views, groups)``: the loss of one batch from outputs and inputs by view, and the
    groups of the rows or None.
    """

    def at_epoch(self, epoch):
        """Called before every epoch, counted from 0."""

    def after_step(self):
        """Called after every step of the optimizer."""


class PairedRows(torch.utils.data.Dataset):
    """Tensors or `Bags` of tensors by view, and groups of the rows or None."""

    def __init__(self, views, groups=None):
        self.views = views
        self.groups = groups

    def __len__(self):
        return next(iter(self.views.values())).shape[0]

    def __getitem__(self, rows):
        views = {name: X[rows] for name, X in self.views.items()}
        return views, torch.zeros(0) if self.groups is None else self.groups[rows]


def batch_sizes(n_rows, batch_size):
    """Sizes of the batches of one epoch: as few as `batch_size` allows, and as equal as can be.

    A short last batch would be noise in a contrastive loss and too few rows for a covariance matrix.
    """
    n_batches = -(-n_rows // batch_size)
    return [n_rows // n_batches + (i < n_rows % n_batches) for i in range(n_batches)]


class Batches:
    """Shuffled batches, cut from tensors where they lie."""

    def __init__(self, dataset, batch_size, shuffle=True):
        self.dataset = dataset
        self.sizes = batch_sizes(len(dataset), batch_size)

    def __iter__(self):
        if len(self.sizes) == 1:  # the order of rows within a batch means nothing
            yield self.dataset[:]
            return
        order = torch.randperm(len(self.dataset))
        order = order.to(next(iter(self.dataset.views.values())).device)
        for rows in torch.split(order, self.sizes):
            yield self.dataset[rows]


class AlignmentNet(NeuralNet):
    """skorch's net for modules that map views to outputs and hold their own loss.

    Its attributes `options`, the `TrainingOptions`, and `scaler`, which keeps small gradients from vanishing in
    float16, are set before it is trained.
    """

    @property
    def _default_callbacks(self):
        return [("train_loss", PassthroughScoring(name="train_loss", on_train=True))]

    def fit_loop(self, X, y=None, epochs=None, **kwargs):
        return super().fit_loop(X, y, epochs=self.max_epochs - len(self.history), **kwargs)  # a resumed one has some

    def _set_training(self, training=True):
        if self.module_.training != training:  # walking through all modules takes as long as a small step
            super()._set_training(training)

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        X, groups = batch
        outputs = self.infer(X)
        loss = self.get_loss(outputs, groups, X=X, training=True)
        self.scaler.scale(loss).backward()
        self.options.processes.average_gradients(self.module_.parameters())
        self.scaler.unscale_(self.optimizer_)  # now, as they may be clipped next
        return {"loss": loss, "y_pred": outputs}

    def _step_optimizer(self, step_fn):
        step_fn()
        self.scaler.step(self.optimizer_)
        self.scaler.update()

    def infer(self, X, **fit_params):
        dtype = self.options.dtype
        with nullcontext() if dtype is None else torch.autocast(torch.device(self.device).type, dtype=dtype):
            outputs = self._outputs(X)
        return {name: on_elements(torch.Tensor.float, Z) for name, Z in outputs.items()}  # losses need the digits

    def _outputs(self, X):
        rows_at_once, processes = self.options.encode_batch_size, self.options.processes
        if rows_at_once is None and processes.size == 1:
            return self.module_(X)
        encode = partial(encode_in_parts, rows_at_once=rows_at_once, processes=processes)
        with self._noise_of_share():
            return {
                name: on_elements(partial(encode, net), X[name])
                for name, net in zip(self.module_.names, self.module_.encoders)
            }

    def _noise_of_share(self):
        """Randomness that differs between processes, and leaves what they have in common to batches and losses."""
        processes = self.options.processes
        if processes.size == 1:
            return nullcontext()
        return own_randomness(int(torch.randint(2**31, ())) + processes.rank, self.device)

    def get_loss(self, outputs, groups, X=None, training=False):
        return self.module_.objective(outputs, X, groups if get_len(groups) else None)


def train(module, rows, options, score=None, state=None):
    """Train the nets of all views together.

    Parameters
    ----------
    module : ViewNets
        Trained in place.
    rows : PairedRows
        What to train on, on the device.
    options : TrainingOptions
        How.
    score : callable, default=None
        ``score(module)`` on held-out rows, larger is better: chooses the epoch whose weights are kept.
    state : dict, default=None
        `Training.state` to go on from.

    Returns
    -------
    Training

    Raises
    ------
    FloatingPointError
        When the loss is not finite.
    MemoryError
        When a batch does not fit.
    OSError
        When a checkpoint cannot be written or read.
    """
    done = 0 if state is None else state["epochs"]
    processes, stopping = options.processes, None
    if options.encode_batch_size is not None or processes.size > 1:
        check_rowwise(module)
    if score is not None:
        score = _on_main(score, processes)  # all have to stop in the same epoch
    if score is not None and options.patience is not None:
        stopping = BestEpoch(score, options.patience, options.tol)
    checkpoint = None if options.checkpoint is None else Checkpoint(options.checkpoint, stopping, processes)
    net = AlignmentNet(
        module,
        criterion=torch.nn.Identity,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,  # one pass through the weights of a step instead of six
        optimizer__weight_decay=options.weight_decay,
        optimizer__param_groups=[("*bias", {"weight_decay": 0.0}), ("objective.*", {"weight_decay": 0.0})],
        lr=options.learning_rate,
        max_epochs=options.max_epochs,
        batch_size=options.batch_size,
        iterator_train=Batches,
        train_split=None,
        callbacks=_callbacks(options, score, stopping, checkpoint, done),
        device=options.device,
        verbose=int(options.verbose > 1 and processes.rank == 0),
    )
    net.options = options
    net.scaler = torch.amp.GradScaler(torch.device(options.device).type, enabled=options.dtype == torch.float16)
    net.initialize()
    if processes.size > 1:
        state = processes.on_main(lambda: _state(net) if state is None else state)
    if state is not None:
        _restore(net, state)
    with explains_memory(options, net.history):
        net.partial_fit(rows)
    losses = [entry["train_loss"] for entry in net.history if "train_loss" in entry]
    if len(losses) < options.max_epochs and not (stopping is not None and stopping.stopped):
        warnings.warn(f"Training was interrupted in epoch {len(net.history)}.", ConvergenceWarning, stacklevel=5)
    elif checkpoint is not None:
        checkpoint.remove()
    module.eval()
    return Training(
        state=_state(net) | {"epochs": done + len(losses)},
        losses=losses,
        scores=[entry["valid_score"] for entry in net.history if "valid_score" in entry],
        best_epoch=len(losses) if stopping is None else stopping.best_epoch_,
    )


def _callbacks(options, score, stopping, checkpoint, done):
    callbacks = [Course(options, done)]
    if options.gradient_clip is not None:
        callbacks.append(GradientNormClipping(options.gradient_clip))
    if score is not None:
        callbacks.append(HeldOutScore(score))
    callbacks += options.callbacks
    if options.verbose and options.processes.rank == 0:
        callbacks.append(PrintLog() if options.verbose > 1 else Progress(options.max_epochs))
    if stopping is not None:
        callbacks.append(stopping)
    if checkpoint is not None:
        # After early stopping, which ends an epoch by an exception: the epoch that stopped is done again on resuming.
        callbacks.append(checkpoint)
    return callbacks


def _on_main(score, processes):
    return lambda module: processes.on_main(lambda: score(module))


def _state(net):
    return {"module": to_arrays(net.module_.state_dict()), "optimizer": to_arrays(net.optimizer_.state_dict())}


def _restore(net, state):
    try:
        net.module_.load_state_dict(to_tensors(state["module"]))
    except RuntimeError as error:
        raise ValueError(
            "Training cannot go on with nets of another form: leave n_components, the encoders and their layers as "
            "they were, or fit anew with warm_start=False."
        ) from error
    decays = [group["weight_decay"] for group in net.optimizer_.param_groups]  # as set now, not as then
    net.optimizer_.load_state_dict(to_tensors(state["optimizer"]))
    for group, decay in zip(net.optimizer_.param_groups, decays):
        group["weight_decay"] = decay


@contextmanager
def own_randomness(seed, device="cpu"):
    """Randomness of torch that follows from `seed`; its global generators are left as they were."""
    devices = [torch.device(device)] if str(device).startswith("cuda") else []
    with torch.random.fork_rng(devices):
        seed_torch(seed, device)
        yield
