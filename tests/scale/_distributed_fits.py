"""Fits for processes that train together; run by every one of them, and by the test in a single one."""

import os
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback

from skalign import ContrastiveAligner, DeepCCA, Views


class Steps(Callback):
    """Loss and gradients of every step."""

    def on_train_begin(self, net, **kwargs):
        self.losses, self.gradients = [], []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.gradients.append(
            {name: p.grad.double().numpy().copy() for name, p in named_parameters if p.grad is not None}
        )

    def on_batch_end(self, net, **kwargs):
        self.losses.append(net.history[-1, "batches", -1, "train_loss"])


def rows(n=101, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(n, 3))
    widths = {"a": 6, "b": 5, "c": 4}
    return {name: np.tanh(S @ rng.normal(size=(3, p))) + 0.1 * rng.normal(size=(n, p)) for name, p in widths.items()}


def bags(n=30, seed=0):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(n, 3))
    return Views(
        {
            name: [s @ W + 0.1 * rng.normal(size=(m, 4)) for s, m in zip(S, rng.integers(1, 5, n))]
            for name, W in (("a", rng.normal(size=(3, 4))), ("b", rng.normal(size=(3, 4))))
        }
    )


QUIET = {
    "hidden_layer_sizes": (16,), "input_noise": 0.0, "early_stopping": False, "max_epochs": 2, "batch_size": 51,
    "random_state": 0,
}  # fmt: skip
NOISY = QUIET | {"input_noise": 0.3, "dropout": 0.2, "early_stopping": True, "max_epochs": 6}
PAIR = Views({name: X for name, X in rows().items() if name != "c"})
GROUPS = np.arange(101) // 3
STEPS = {
    "infonce": (ContrastiveAligner(3, **QUIET), PAIR, ()),
    "three views": (ContrastiveAligner(3, **QUIET), Views(rows()), ()),
    "siglip": (ContrastiveAligner(3, loss="siglip", **QUIET), PAIR, ()),
    "vse++": (ContrastiveAligner(3, loss="vse++", positives="groups", **QUIET), PAIR, (GROUPS,)),
    "groups": (ContrastiveAligner(3, positives="groups", **QUIET), PAIR, (GROUPS,)),
    "bags": (ContrastiveAligner(3, **QUIET), bags(), ()),
    "in parts": (ContrastiveAligner(3, encode_batch_size=10, **QUIET), PAIR, ()),
    "clipped": (ContrastiveAligner(3, gradient_clip=1e-2, **QUIET), PAIR, ()),
    "cca": (DeepCCA(3, **QUIET), PAIR, ()),
    "cca of three": (DeepCCA(3, **QUIET), Views(rows()), ()),
    "ey": (DeepCCA(3, objective="ey", **QUIET), PAIR, ()),
    "reconstruction": (DeepCCA(3, reconstruction=1.0, **QUIET), PAIR, ()),
}


def steps(name):
    """Losses and gradients of a training, and its weights at the end."""
    aligner, views, more = STEPS[name]
    watch = Steps()
    aligner.set_params(callbacks=[watch]).fit(views, *more)
    return {"losses": watch.losses, "gradients": watch.gradients, "weights": weights(aligner)}


def weights(aligner):
    return {f"{name}.{key}": W for name, e in aligner.encoders_.items() for key, W in e.net_.weights.items()}


def course(aligner):
    return {
        "weights": weights(aligner),
        "best": aligner.best_epoch_,
        "losses": aligner.loss_curve_,
        "scores": aligner.validation_scores_,
    }


class Stop(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 4:
            raise RuntimeError("stop")


class Draws(torch.nn.Linear):
    """Keeps the random numbers and the rows that it saw in training."""

    def __init__(self, shape, n_outputs):
        super().__init__(shape[0], n_outputs)
        self.seen = []

    def forward(self, X):
        if self.training:
            self.seen.append((float(torch.rand(())), X.detach().numpy().copy()))
        return super().forward(X)


def draws():
    """Random numbers and rows of the net of one view, batch by batch."""
    aligner = ContrastiveAligner(3, encoder={"a": Draws, "b": "mlp"}, **QUIET).fit(PAIR)
    return aligner.encoders_["a"].net_.module("cpu")[1].seen


def in_thread(function):
    """What a function gives in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def error(aligner, *views):
    """Class and message of what a fit raises."""
    try:
        aligner.fit(*views)
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return "no error"


def run(folder):
    """Everything that a process does, and what came of it."""
    from skalign._processes import current_processes

    processes = current_processes()
    results = {"size": processes.size, "steps": {name: steps(name) for name in STEPS}, "draws": draws()}
    results["size in a thread"] = in_thread(lambda: current_processes().size)
    results["noisy"] = {
        aligner.__class__.__name__: course(aligner.fit(PAIR))
        for aligner in (ContrastiveAligner(3, **NOISY), DeepCCA(3, reconstruction=0.5, **NOISY))
    }
    results["any seed"] = course(ContrastiveAligner(3, **(NOISY | {"random_state": None})).fit(PAIR))

    checkpointed = ContrastiveAligner(3, checkpoint=folder / "checkpoints", **NOISY)
    results["stopped"] = error(checkpointed.set_params(callbacks=[Stop()]), PAIR)
    results["files"] = sorted(path.suffix for path in (folder / "checkpoints").iterdir())
    processes.on_main(lambda: None)  # all have looked
    results["resumed"] = course(checkpointed.set_params(callbacks=None).fit(PAIR))

    wrong = PAIR if processes.rank == 0 else Views({name: X[::-1] + 1 for name, X in PAIR.items()})
    results["other rows"] = error(ContrastiveAligner(3, **QUIET), wrong)
    results["batch_norm"] = error(ContrastiveAligner(3, batch_norm=True, **QUIET), PAIR)

    from skalign._training_checkpoint import Checkpoint

    write, Checkpoint._write = Checkpoint._write, full_disk if processes.rank == 0 else Checkpoint._write
    results["full disk"] = error(ContrastiveAligner(3, checkpoint=folder / "full", **QUIET), PAIR)
    Checkpoint._write = write
    results["after all"] = course(ContrastiveAligner(3, **QUIET | {"verbose": 1}).fit(PAIR))
    return results


def full_disk(self, net):
    raise OSError(28, "No space left on device", str(self.path))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["torch"]:
        torch.distributed.init_process_group("gloo")  # by the user, without accelerate
        found = steps("cca")
    else:
        found = run(folder)
    (folder / f"{os.environ['RANK']}.pkl").write_bytes(pickle.dumps(found))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
