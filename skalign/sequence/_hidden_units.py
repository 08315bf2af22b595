"""Frames turned into discrete units by k-means."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin

from .._bags import Bags, elements_of
from .._typing import Array, Metric, Rows, Seed
from ._codebook import check_codes, explained_variance, nearest
from ._frame_tables import FrameTablesMixin, join_codes, like_frames, result_dtype, rows_of, split_rows
from ._unit_learning import UnitLearningMixin, model_features


class HiddenUnitDiscretizer(
    UnitLearningMixin, FrameTablesMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    r"""Units for frames, found by k-means: continuous signals become tokens.

    The first step of HuBERT [1]_, and an encoder like scikit-learn's ``KBinsDiscretizer``, for whole rows. Fit it on a
    table, or on sequences, whose frames are the rows; what comes in is what goes out. Use it to give signals an
    alphabet: `transform` for features, `predict` for the tokens themselves. With ``max_iter`` above 1 the units are
    refined: a model learns to predict them, and its features are clustered in place of the frames.

    Parameters
    ----------
    n_units : int, default=100
        Number of units.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "cosine" brings every frame to length 1 first, and compares directions alone.
    encode : {"ordinal", "onehot", "onehot-dense", "centroid"}, default="ordinal"
        What `transform` gives: numbers of the units in one column, a sparse or a dense table with a column a unit, or
        the `codebook_` row of the unit.
    collapse_repeats : bool, default=False
        Keep the first of adjacent frames with the same unit, for sequences.
    solver : {"auto", "full", "minibatch"}, default="auto"
        scikit-learn's ``KMeans``, or ``MiniBatchKMeans`` with HuBERT's settings; "auto" takes the latter for more
        than `batch_size` rows.
    batch_size : int, default=10000
        Rows of a batch, also of `partial_fit`.
    n_init : int, default=20
        Starts, the best of which is kept. "minibatch" compares the starts, "full" runs k-means from each.
    max_iter : int, default=1
        Rounds: one of k-means on the frames, every further one with `model`.
    model : {"masked"} or estimator, default="masked"
        What predicts the units in further rounds. An estimator is cloned, fitted by ``fit(X, units)`` and has its
        features from ``transform(X)``, where X are all frames as one table, or the sequences for an estimator whose
        tag ``input_tags.three_d_array`` is set. "masked" is `MaskedPredictionNet` with its defaults.
    random_state : int, RandomState or None, default=None
        Starts, and the model's own randomness if it has a `random_state` of None.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_units, n_features)
        Centres where frames are compared with them: directions for "cosine", features of the model after refinement.
    codebook_ : ndarray of shape (n_units, n_features_in)
        What a unit stands for among the frames: the centre; for "cosine" and after refinement the mean of its frames.
    counts_ : ndarray of shape (n_units,)
        Frames of every unit at fit, all chunks of a stream together.
    perplexity_ : float
        Number of units of equal counts that would have the entropy of `counts_`; at most `n_units`.
    usage_ : float
        Share of the units with any frame.
    n_iter_ : int
        Number of rounds.
    model_ : estimator
        The last model, after refinement.
    views_ : dict of str to HiddenUnitDiscretizer
        After a fit on Views, which then has the attributes above.
    n_features_in_ : int
        Features of a frame; number of views after a fit on Views.

    Raises
    ------
    ValueError
        For fewer frames than units, NaN or infinity, numbers whose squares overflow, frames of zeros with "cosine",
        `collapse_repeats` on a table, and "masked" without sequences.

    See Also
    --------
    VectorQuantizer : Several codes a row, and codes that are learnt together with a net.
    skalign.metrics.phone_normalized_mutual_info : How much units say about phones.
    ChangepointSegmenter : Cuts signals without an alphabet.

    Notes
    -----
    A stream is clustered on its first chunk; each later row moves the centre of its unit by one over the count of the
    unit, so that centres are means of all rows that they were given.

    References
    ----------
    .. [1] W.-N. Hsu, B. Bolte, Y.-H. H. Tsai, K. Lakhotia, R. Salakhutdinov, A. Mohamed, "HuBERT: self-supervised
       speech representation learning by masked prediction of hidden units", IEEE/ACM TASLP 29, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.sequence import HiddenUnitDiscretizer
    >>> signal = np.array([[0.0, 0.1], [0.1, 0.0], [5.0, 5.1], [5.1, 5.0], [0.0, 0.0]])
    >>> units = HiddenUnitDiscretizer(2, random_state=0).fit([signal])
    >>> tokens = units.predict([signal])[0]
    >>> bool(tokens[0] == tokens[1] == tokens[4] != tokens[2] == tokens[3])
    True
    >>> len(units.set_params(collapse_repeats=True).predict([signal])[0])
    3
    """

    def __init__(
        self, n_units: int = 100, *, metric: Metric = "euclidean",
        encode: Literal["ordinal", "onehot", "onehot-dense", "centroid"] = "ordinal", collapse_repeats: bool = False,
        solver: Literal["auto", "full", "minibatch"] = "auto", batch_size: int = 10_000, n_init: int = 20,
        max_iter: int = 1, model: Any = "masked", random_state: Seed = None,
    ) -> None:  # fmt: skip
        self.n_units = n_units
        self.metric = metric
        self.encode = encode
        self.collapse_repeats = collapse_repeats
        self.solver = solver
        self.batch_size = batch_size
        self.n_init = n_init
        self.max_iter = max_iter
        self.model = model
        self.random_state = random_state

    # --- use --------------------------------------------------------------------------------------------------------

    def transform(self, X: Rows) -> Array:
        """The units of rows or frames, encoded.

        Parameters
        ----------
        X : as in `fit`
            A table or sequences of as many features, or Views of any of the views of the fit.

        Returns
        -------
        array of shape (n_samples, n_outputs), list of arrays of shape (n_frames_i, n_outputs), or Views
            One column of int64 for "ordinal", else `n_units` or `n_features_in_` of the dtype of the input. Tensors
            stay tensors; "onehot" is then dense.
        """
        self._check_parameters()
        encoded = self._each(X, self._encoded)
        if not isinstance(encoded, dict):
            return self._dressed(*encoded, X)
        views = X.items()  # type: ignore[attr-defined]
        return self._as_views({name: self._dressed(*encoded[name], view, name) for name, view in views})

    def _encoded(self, own, X):
        frames = own._read(X)
        self._check_collapse(frames)
        units = self._kept(own._units(frames), frames)
        codes = own.codebook_.astype(result_dtype(elements_of(frames)), copy=False)
        return [self._code(u, codes) for u in units] if isinstance(units, list) else self._code(units, codes), frames

    def _code(self, units, codes):
        if self.encode == "ordinal":
            return units[:, None]
        if self.encode == "centroid":
            return codes[units]
        ones = np.ones(len(units), dtype=codes.dtype)
        table = sp.csr_matrix((ones, (np.arange(len(units)), units)), shape=(len(units), len(codes)))
        return table if self.encode == "onehot" else table.toarray()

    def predict(self, X: Rows) -> Array:
        """The number of the unit of every row or frame.

        Parameters
        ----------
        X : as in `transform`
            A table, sequences or Views.

        Returns
        -------
        array of int64 of shape (n_samples,), or list of arrays of shape (n_frames_i,)
            For Views a mapping of them by name.
        """

        def units(own, view):
            frames = own._read(view)
            self._check_collapse(frames)
            return like_frames(self._kept(own._units(frames), frames), frames)

        self._check_parameters()
        return self._each(X, units)

    def inverse_transform(self, Z: Rows) -> Array:
        """The frames that units stand for, rows of `codebook_`.

        Parameters
        ----------
        Z : array of shape (n_samples, n_outputs) or (n_samples,), list of them by sequence, Views or mapping by view
            What `transform` gave, or what `predict` gave.

        Returns
        -------
        array of shape (n_samples, n_features), list of them, or Views
        """
        return self._each_decoded(Z, self._decoded)

    def _decoded(self, own, Z):
        codes, frames = join_codes(Z)
        rows = own.codebook_[self._numbers(codes, own.codebook_)]
        return like_frames(split_rows(rows, frames), frames)

    def _numbers(self, values, codes):
        """Numbers of the units that encoded values stand for."""
        if values.ndim == 1 or (self.encode == "ordinal" and values.shape[1] == 1):
            return check_codes(values.reshape(-1, 1), [len(codes)])[:, 0]
        width = {"ordinal": 1, "centroid": codes.shape[1]}.get(self.encode, len(codes))
        if values.ndim != 2 or values.shape[1] != width:
            raise ValueError(f"encode={self.encode!r} gives {width} columns; these have the shape {values.shape}.")
        if self.encode == "centroid":
            return nearest(values.astype(codes.dtype, copy=False), codes)
        return np.asarray(values.argmax(axis=1)).ravel()

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """Share of the variance of the rows that their units explain.

        Grows with `n_units` until they generalise badly, and falls with refinement, which serves another end. With
        labels of frames judge by `skalign.metrics.phone_normalized_mutual_info` of `predict`.

        Parameters
        ----------
        X : as in `transform`
            A table, sequences or Views.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        float
            At most 1; for Views the mean over views.
        """

        def explained(own, view):
            frames = own._read(view)
            return explained_variance(rows_of(frames), own.codebook_[own._units(frames)])

        scores = self._each(X, explained)
        return float(np.mean(list(scores.values()))) if isinstance(scores, dict) else scores

    def _units(self, frames):
        features = model_features(self.model_, frames) if hasattr(self, "model_") else rows_of(frames)
        points = self._points(features)
        # In the precision of the rows: a fit in float32 does not round rows of float64.
        return nearest(points, self.cluster_centers_.astype(points.dtype, copy=False))

    def _kept(self, units, frames):
        """Units by sequence, without repeats where they collapse; of a table as they are."""
        units = split_rows(units, frames)
        if not self.collapse_repeats:
            return units
        return [own[np.r_[True, own[1:] != own[:-1]]] for own in units]

    def _check_collapse(self, frames):
        if self.collapse_repeats and not isinstance(frames, Bags):
            raise ValueError("collapse_repeats drops frames of sequences; rows of a table have no neighbours.")

    def _output_names(self, view=None):
        own = self if view is None else self.views_[view]
        if self.encode == "ordinal":
            return [type(self).__name__.lower() + "0"]
        if self.encode == "centroid":
            return list(getattr(own, "feature_names_in_", [f"x{i}" for i in range(own.n_features_in_)]))
        return [f"unit{i}" for i in range(len(own.codebook_))]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = [] if self.encode == "ordinal" else ["float64", "float32"]
        return tags
