"""What estimators that train nets say to `_training`: which rows are held out, and how to go about it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from joblib import hash as joblib_hash

_FEWEST_TO_VALIDATE = 20  # a score on fewer held-out rows is noise that would stop training at random
_MOST_TO_VALIDATE = 5000  # ranking more rows after every epoch would cost more than the epoch


class TrainingOptionsMixin:
    """The parameters of `_training_docs`, read by the training."""

    encode_batch_size: int | None = None  # of estimators without the parameter

    def _split(self, n_rows, groups, rng):
        """Rows to train on and rows to hold out: whole groups where there are many small ones, as of captions."""
        fraction = min(self.validation_fraction, _MOST_TO_VALIDATE / n_rows)
        n_held_out = 0 if not self.early_stopping else max(2, round(fraction * n_rows))  # one row has no score
        if self.early_stopping == "auto" and n_held_out < _FEWEST_TO_VALIDATE:
            n_held_out = 0
        if n_held_out == 0:
            return np.arange(n_rows), np.arange(0)
        if n_held_out >= n_rows:
            raise ValueError(
                f"early_stopping holds out {n_held_out} of {n_rows} rows, and none is left to train on: take more "
                "rows, a smaller validation_fraction, or early_stopping=False."
            )
        if groups is not None and (groups.max() + 1) * fraction >= _FEWEST_TO_VALIDATE:
            chosen = rng.permutation(groups.max() + 1)[: round(fraction * (groups.max() + 1))]
            held_out = np.isin(groups, chosen)
        else:
            held_out = np.zeros(n_rows, dtype=bool)
            held_out[rng.permutation(n_rows)[:n_held_out]] = True
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _options(self, seed, device, max_epochs, data, processes=None):
        from ._nets import to_arrays
        from ._processes import OneProcess
        from ._training import TrainingOptions

        checkpoint = None
        if self.checkpoint is not None:
            folder = Path(self.checkpoint)
            folder.mkdir(parents=True, exist_ok=True)
            settings = {k: v for k, v in self.get_params().items() if k not in ("checkpoint", "verbose", "callbacks")}
            # Addresses of functions change from process to process; what they make is in the weights at the start.
            content = [re.sub(r" at 0x[0-9a-f]+", "", repr(settings)), seed, to_arrays(data)]
            checkpoint = folder / f"{type(self).__name__.lower()}-{joblib_hash(content)}.pt"
        return TrainingOptions(
            seed=seed,
            device=device,
            learning_rate=self.learning_rate,
            schedule=self.learning_rate_schedule,
            weight_decay=self.weight_decay,
            batch_size=self._batch_size(),
            encode_batch_size=self.encode_batch_size,
            max_epochs=max_epochs,
            patience=self.n_iter_no_change if self.early_stopping else None,
            tol=self.tol,
            gradient_clip=self.gradient_clip,
            mixed_precision=self.mixed_precision,
            verbose=int(self.verbose),
            callbacks=list(self.callbacks or []),
            checkpoint=checkpoint,
            processes=processes or OneProcess(),
        )

    def _batch_size(self):
        return self.batch_size
