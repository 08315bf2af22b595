"""What happens around epochs and batches of a training, as skorch callbacks."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping

SCHEDULES = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1.0 + np.cos(np.pi * progress)),
    "linear": lambda progress: 1.0 - progress,
}


class Course(Callback):
    """What follows from the number of the epoch: randomness, learning rate, and the phase of the objective."""

    def __init__(self, options, done):
        self.options, self.done = options, done

    def on_epoch_begin(self, net, **kwargs):
        epoch = len(net.history) - 1  # skorch has begun its entry for this one
        seeds = np.random.SeedSequence([self.options.seed, self.done + epoch])
        seed_torch(int(seeds.generate_state(1)[0]), self.options.device)
        schedule = self.options.schedule
        factor = (SCHEDULES[schedule] if isinstance(schedule, str) else schedule)(epoch / self.options.max_epochs)
        for group in net.optimizer_.param_groups:
            group["lr"] = self.options.learning_rate * float(factor)
        net.module_.objective.at_epoch(self.done + epoch)

    def on_batch_end(self, net, training=False, **kwargs):
        if not np.isfinite(net.history[-1, "batches", -1, "train_loss"]):
            raise FloatingPointError(
                f"The loss became {net.history[-1, 'batches', -1, 'train_loss']} in epoch {len(net.history)}. Try a "
                f"smaller learning_rate (it is {self.options.learning_rate:g}), gradient_clip=1.0, or a larger "
                "batch_size; look for extreme values in the views if standardize=False."
            )
        net.module_.objective.after_step()


class HeldOutScore(Callback):
    """The estimator's own score on held-out rows, after every epoch."""

    def __init__(self, score):
        self.score = score

    def on_epoch_end(self, net, **kwargs):
        net.module_.eval()
        with torch.no_grad():
            net.history.record("valid_score", float(self.score(net.module_)))


class BestEpoch(EarlyStopping):
    """Early stopping that knows how good the start was: a start from CCA, or from an earlier fit, may be the best."""

    def __init__(self, score, patience, tol):
        super().__init__(
            "valid_score", patience=patience, threshold=tol, threshold_mode="abs", lower_is_better=False, load_best=True
        )
        self.score = score

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        net.module_.eval()
        with torch.no_grad():
            self.dynamic_threshold_ = float(self.score(net.module_)) + self.threshold
        self.best_model_weights_ = deepcopy(net.module_.state_dict())

    @property
    def stopped(self):
        return self.misses_ >= self.patience

    @property
    def progress(self):
        """What has to be remembered to go on later."""
        names = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")
        return {name: getattr(self, name) for name in names}


class Progress(Callback):
    """One bar over the epochs."""

    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def on_train_begin(self, net, **kwargs):
        from tqdm.auto import tqdm

        self.bar = tqdm(total=self.max_epochs, initial=len(net.history), unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        last = net.history[-1]
        shown = {"loss": f"{last['train_loss']:.4g}"}
        if "valid_score" in last:
            shown["held-out score"] = f"{last['valid_score']:.4g}"
        self.bar.set_postfix(shown)
        self.bar.update()

    def on_train_end(self, net, **kwargs):
        self.bar.close()


def seed_torch(seed, device):
    torch.default_generator.manual_seed(seed)
    if str(device).startswith("cuda"):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
