"""How hidden units are learnt: k-means, streams, and rounds of refinement."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions

from .._backend import to_numpy
from .._bags import Bags
from .._training_constraints import WHOLE
from ._codebook import check_enough, kmeans, nearest, perplexity, totals
from ._frame_tables import rows_of, split_rows

CONSTRAINTS = {
    "n_units": [WHOLE],
    "metric": [StrOptions({"euclidean", "cosine"})],
    "encode": [StrOptions({"ordinal", "onehot", "onehot-dense", "centroid"})],
    "collapse_repeats": ["boolean"],
    "solver": [StrOptions({"auto", "full", "minibatch"})],
    "batch_size": [WHOLE],
    "n_init": [WHOLE],
    "max_iter": [WHOLE],
    "model": [StrOptions({"masked"}), HasMethods(["fit", "transform"])],
    "random_state": ["random_state"],
}


class UnitLearningMixin:
    """Learning of a `HiddenUnitDiscretizer`."""

    _parameter_constraints = CONSTRAINTS

    def _check_parameters(self):
        self._validate_params()

    def _learn(self, frames, going_on, stream, label):
        self._check_collapse(frames)
        if stream and self.max_iter > 1:
            raise ValueError(f"A stream is not refined: partial_fit needs max_iter=1, got {self.max_iter}.")
        rows = rows_of(frames)
        if going_on:
            self._take_in(rows, label)
        else:
            check_enough(len(rows), self.n_units, "n_units", label)
            self._cluster(frames, rows, label)
        self.perplexity_ = perplexity(self.counts_)
        self.usage_ = float(np.mean(self.counts_ > 0))

    def _cluster(self, frames, rows, label):
        rng = check_random_state(self.random_state)
        model, features, units = None, rows, None
        for iteration in range(self.max_iter):
            if iteration:
                model = self._fit_model(frames, units, rng, label)
                features = model_features(model, frames)
            points = self._points(features, label)
            _check_not_tiny(points, label)
            small = self.solver == "full" or (self.solver == "auto" and len(points) <= self.batch_size)
            batch_size = None if small else self.batch_size
            centers = kmeans(points, self.n_units, rng, n_init=self.n_init, batch_size=batch_size)
            if self.metric == "cosine":
                centers = _directions(centers)
            units = nearest(points, centers)
        counts, sums = totals(rows, units, self.n_units)
        self.cluster_centers_, self.counts_ = centers, counts.astype(np.int64)
        self.n_iter_ = self.max_iter
        if model is not None:
            self.model_ = model
        if self._codes_are_centers:
            self.codebook_ = centers
        else:  # a unit without frames stands for their mean
            means = sums / np.maximum(counts, 1)[:, None]
            self.codebook_ = np.where(counts[:, None] > 0, means, rows.mean(axis=0))

    def _take_in(self, rows, label):
        if hasattr(self, "model_"):
            raise ValueError("Units that were refined cannot take in more frames: fit anew.")
        if self.n_units != (seen := len(self.codebook_)):
            raise ValueError(f"{label}There are {seen} units: fit anew for n_units={self.n_units}.")
        points, dtype = self._points(rows, label), self.cluster_centers_.dtype
        centers, codebook, counts = self.cluster_centers_.copy(), self.codebook_.copy(), self.counts_.copy()
        for start in range(0, len(rows), self.batch_size):
            part = slice(start, start + self.batch_size)
            units = nearest(points[part].astype(dtype, copy=False), centers)
            new, sums = totals(rows[part], units, self.n_units)
            counts += new.astype(np.int64)
            total = np.maximum(counts, 1)[:, None]
            codebook += (sums - new[:, None] * codebook) / total
            if self.metric == "cosine":
                new, sums = totals(points[part], units, self.n_units)
                centers = _directions(centers + (sums - new[:, None] * centers) / total)
            else:
                centers = codebook
        self.cluster_centers_, self.codebook_, self.counts_ = centers, codebook, counts

    def _fit_model(self, frames, units, rng, label):
        if isinstance(self.model, str):
            from ._masked_prediction import MaskedPredictionNet

            model = MaskedPredictionNet()
        else:
            model = clone(self.model)
        if _takes_sequences(model) and not isinstance(frames, Bags):
            raise ValueError(
                f"{label}model={self.model!r} predicts frames from those around them: it needs sequences, not a table."
            )
        if model.get_params(deep=False).get("random_state", 0) is None:
            model.set_params(random_state=int(rng.randint(2**31 - 1)))
        if _takes_sequences(model):
            return model.fit(_sequences(frames), split_rows(units, frames))
        return model.fit(rows_of(frames), units)

    def _points(self, features, label=""):
        """Rows as they are compared."""
        if self.metric == "euclidean":
            largest, limit = max(features.max(), -features.min()), np.finfo(features.dtype).max / features.size
            if largest > np.sqrt(limit) / 2:
                raise ValueError(
                    f"{label}Frames reach {largest:.3g}, and squares of such numbers are not finite in "
                    f"{features.dtype}: scale the frames first."
                )
            return features
        zero = ~features.any(axis=1)
        if zero.any():
            raise ValueError(
                f"{label}{zero.sum()} of {len(zero)} frames are zero, and have no direction: metric='cosine' needs one."
            )
        return _directions(features)

    @property
    def _codes_are_centers(self):
        return self.metric == "euclidean" and not hasattr(self, "model_")


def _check_not_tiny(points, label):
    """ValueError where k-means would lose the digits of squares; a later frame may be as small as it likes."""
    largest, kind = np.abs(points).max(), np.finfo(points.dtype)
    if 0 < largest < np.sqrt(kind.tiny / kind.eps):
        raise ValueError(
            f"{label}Frames reach {largest:.3g}, and squares of such numbers lose digits in {points.dtype}: scale the "
            "frames first."
        )


def _directions(rows):
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1.0)  # squares of tiny numbers would vanish
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


def _takes_sequences(model):
    return get_tags(model).input_tags.three_d_array


def model_features(model, frames):
    """What a fitted model makes of all frames, as one table."""
    if _takes_sequences(model):
        return np.concatenate([to_numpy(own) for own in model.transform(_sequences(frames))])
    rows = rows_of(frames)
    features = model.transform(rows)
    features = features.toarray() if sp.issparse(features) else to_numpy(features)
    if features.ndim != 2 or len(features) != len(rows):
        raise ValueError(
            f"The model must give one row of features for each of {len(rows)} frames; it gave {features.shape}."
        )
    return features


def _sequences(frames):
    return split_rows(rows_of(frames), frames)
