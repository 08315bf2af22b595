"""What the parameters of training may be, for scikit-learn's validation."""

from __future__ import annotations

from numbers import Integral, Real
from os import PathLike

from sklearn.utils._param_validation import Interval, Options, StrOptions

WHOLE = Interval(Integral, 1, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")

TRAINING_CONSTRAINTS = {
    "standardize": [StrOptions({"view", "feature"}), Options(bool, {False})],
    "learning_rate": [_POSITIVE],
    "learning_rate_schedule": [str, callable],
    "weight_decay": [_NOT_NEGATIVE],
    "batch_size": [WHOLE],
    "encode_batch_size": [WHOLE, None],
    "max_epochs": [WHOLE],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [WHOLE],
    "tol": [_NOT_NEGATIVE],
    "gradient_clip": [_POSITIVE, None],
    "warm_start": ["boolean"],
    "mixed_precision": ["boolean", StrOptions({"bf16", "fp16"})],
    "device": [str, None],
    "callbacks": [list, tuple, None],
    "checkpoint": [str, PathLike, None],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
