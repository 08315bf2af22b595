"""The one place where nets are trained: skorch with what paired views need.

skorch runs the loop, keeps the history, stops early and clips gradients. Added here are batches cut from tensors that
lie on the device already (a DataLoader takes half as long again), randomness that is a function of seed and epoch, so
that an interrupted training resumes to the same weights bit for bit, and errors in words.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, PassthroughScoring, PrintLog
from skorch.dataset import get_len

from ._bags import on_elements
from ._nets import to_arrays, to_tensors
from ._training_callbacks import BestEpoch, Checkpoint, Course, HeldOutScore, Progress, seed_torch


@dataclass
class TrainingOptions:
    """How to train; the estimators document what users set of it.

    Parameters
    ----------
    seed : int
        What all randomness follows from.
    checkpoint : Path or None
        File that is written after every epoch and removed at the end.
    """

    seed: int
    device: str = "cpu"
    learning_rate: float = 1e-3
    schedule: object = "constant"
    weight_decay: float = 0.0
    batch_size: int = 256
    max_epochs: int = 100
    patience: int | None = None
    tol: float = 1e-4
    gradient_clip: float | None = None
    mixed_precision: bool = False
    verbose: int = 0
    callbacks: list = field(default_factory=list)
    checkpoint: Path | None = None


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
    """skorch's net for modules that map views to outputs and hold their own loss."""

    mixed_precision = False

    @property
    def _default_callbacks(self):
        return [("train_loss", PassthroughScoring(name="train_loss", on_train=True))]

    def fit_loop(self, X, y=None, epochs=None, **kwargs):
        return super().fit_loop(X, y, epochs=self.max_epochs - len(self.history), **kwargs)  # a resumed one has some

    def _set_training(self, training=True):
        if self.module_.training != training:  # walking through all modules takes as long as a small step
            super()._set_training(training)

    def infer(self, X, **fit_params):
        on_gpu = self.mixed_precision and str(self.device).startswith("cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16) if on_gpu else nullcontext():
            outputs = self.module_(X)
        return {name: on_elements(torch.Tensor.float, Z) for name, Z in outputs.items()}  # losses need the digits

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
    """
    done = 0 if state is None else state["epochs"]
    stopping = None
    if score is not None and options.patience is not None:
        stopping = BestEpoch(score, options.patience, options.tol)
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
        callbacks=_callbacks(options, score, stopping, done),
        device=options.device,
        verbose=int(options.verbose > 1),
    )
    net.mixed_precision = options.mixed_precision
    net.initialize()
    if state is not None:
        _restore(net, state)
    net.partial_fit(rows)
    losses = [entry["train_loss"] for entry in net.history if "train_loss" in entry]
    if len(losses) < options.max_epochs and not (stopping is not None and stopping.stopped):
        warnings.warn(f"Training was interrupted in epoch {len(net.history)}.", ConvergenceWarning, stacklevel=5)
    elif options.checkpoint is not None:
        options.checkpoint.unlink(missing_ok=True)
    module.eval()
    return Training(
        state={
            "module": to_arrays(module.state_dict()),
            "optimizer": to_arrays(net.optimizer_.state_dict()),
            "epochs": done + len(losses),
        },
        losses=losses,
        scores=[entry["valid_score"] for entry in net.history if "valid_score" in entry],
        best_epoch=len(losses) if stopping is None else stopping.best_epoch_,
    )


def _callbacks(options, score, stopping, done):
    callbacks = [Course(options, done)]
    if options.gradient_clip is not None:
        callbacks.append(GradientNormClipping(options.gradient_clip))
    if score is not None:
        callbacks.append(HeldOutScore(score))
    callbacks += options.callbacks
    if options.verbose:
        callbacks.append(PrintLog() if options.verbose > 1 else Progress(options.max_epochs))
    if stopping is not None:
        callbacks.append(stopping)
    if options.checkpoint is not None:
        # After early stopping, which ends an epoch by an exception: the epoch that stopped is done again on resuming.
        callbacks.append(Checkpoint(options.checkpoint, stopping))
    return callbacks


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
