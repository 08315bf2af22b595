"""Rows turned into a few codes each, of given features or of a net that learns them along."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if

from .._bags import elements_of
from .._input import is_whole
from .._training_docs import documents_training
from .._typing import Array, Checkpoint, Device, Encoder, Metric, Precision, Rows, Schedule, Seed, Standardize, Stopping
from ..correlation._canonical import check_choice
from ._codebook import check_codes, explained_variance, perplexity
from ._frame_tables import FrameTablesMixin, join_codes, like_frames, rows_of, split_rows
from ._vq_training import VectorTrainingMixin


def _has_one_codebook(estimator):
    n_codebooks = len(estimator.codebook_) if hasattr(estimator, "codebook_") else estimator.n_codebooks
    if n_codebooks > 1:
        raise AttributeError(f"A row has {n_codebooks} codes, one a codebook: transform gives them.")
    return True


@documents_training
class VectorQuantizer(
    VectorTrainingMixin, FrameTablesMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    r"""Codes for rows: k-means with moving averages, in several codebooks, and with a net if wanted (VQ-VAE).

    ``encoder=None`` quantises the features that are given, in one pass after another or from a stream. With an encoder
    and its decoder the features are learnt along, such that their codes reconstruct the rows: a VQ-VAE [1]_. Rows are
    those of a table, the frames of sequences, or images. Use several codebooks where one code a row is too coarse: each
    quantises what those before left over [2]_, and `n_codebooks` codes of ``log2(n_codes)`` bits say much more than one
    of as many bits could be learnt to say.

    Parameters
    ----------
    n_codes : int, default=256
        Codes of a codebook.
    n_codebooks : int, default=1
        Codes of a row.
    codebook : {"ema", "fsq"}, default="ema"
        "ema": codes are moving averages of what they stand for. "fsq": finite scalar quantisation [3]_, the outputs of
        the encoder are rounded to `levels`; there is no codebook that could collapse, and it needs an encoder.
    levels : sequence of int, default=(8, 6, 5)
        Levels of the numbers that make up a code with "fsq": their product, here 240, takes the place of `n_codes`, and
        their number times `n_codebooks` that of `n_components`.
    encoder : {None, "mlp", "conv"}, Module or callable, default=None
        What the codes are of. None: the rows. "mlp": layers of units. "conv": convolutions for images, which come as
        arrays of shape (n, channels, height, width). A torch module is copied and trained on from its weights; a
        callable makes one, ``encoder(shape, n_components)`` with the shape of one sample.
    decoder : Module, callable or None, default=None
        The way back, from `n_components` numbers to a sample; ``decoder(n_components, shape)`` for a callable. None is
        the counterpart of "conv", or else an MLP.
    n_components : int, default=32
        Outputs of the encoder, which are quantised.
    hidden_layer_sizes : tuple of int, default=(256,)
        Widths of the hidden layers of "mlp", or channels of "conv", each of which halves the size of an image. The
        decoder has them in reverse.
    activation : str or callable, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "silu" or "tanh", or what makes a module.
    dropout : float, default=0.0
        Share of the hidden units that are dropped in training.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise that is added to the standardised input of the encoder in training; the
        decoder still has to give the rows without it. Helps where rows are few.
    standardize : {"view", "feature"} or False, default="view"
        For an encoder: every column (every channel of images) is centred; "view" divides all of them by one number,
        "feature" each by its own standard deviation.
    decay : float, default=0.99
        Of the moving averages, per batch.
    epsilon : float, default=1e-5
        Rows that every code has beforehand (Laplace smoothing).
    dead_code_threshold : float, default=0.1
        A code whose moving average of rows falls below this part of the mean becomes a random row of the batch; 0 lets
        codes die.
    commitment : float, default=0.25
        Weight of the squared distance between the outputs of the encoder and their codes.
    batch_size : int, default=512
        Largest number of rows in a batch. Nets on a few thousand rows learn more with 64.
    {training}

    Attributes
    ----------
    codebook_ : ndarray of shape (n_codebooks, n_codes, n_features)
        The codes; their sum over the codebooks is what a row becomes. With an encoder they lie among its outputs.
    n_codes_ : int
        Codes of a codebook.
    counts_ : ndarray of shape (n_codebooks, n_codes)
        Rows of every code at fit; all chunks of a stream together, each as it was coded when it came.
    perplexity_ : ndarray of shape (n_codebooks,)
        Number of codes of equal counts that would have the entropy of `counts_`.
    usage_ : ndarray of shape (n_codebooks,)
        Share of the codes with any row.
    reconstruction_error_ : float
        Mean over the rows of fit of the squared distance to what their codes reconstruct.
    loss_curve_, validation_scores_ : list of float
        By epoch. Without an encoder the mean squared distance of the rows, each before its batch was learnt; with one
        the loss, and minus the loss of held-out rows, which early stopping watches.
    n_iter_ : int
        Number of epochs; 0 where the k-means of the start has seen all rows and nothing was left to do.
    best_epoch_ : int
        With an encoder, the epoch whose weights were kept, from 1.
    views_ : dict of str to VectorQuantizer
        After a fit on Views, which then has the attributes above.
    n_features_in_ : int
        Features of a row; number of views after a fit on Views.

    Raises
    ------
    ValueError
        For fewer rows than codes, NaN or infinity, "fsq" without an encoder, and modules that do not fit the rows.
    FloatingPointError
        When the loss is not finite.

    Warns
    -----
    ConvergenceWarning
        When training was interrupted, and when there are fewer distinct rows than codes.

    See Also
    --------
    HiddenUnitDiscretizer : Plain k-means, one-hot codes, and units refined by prediction.

    Notes
    -----
    Codebooks start with k-means of 10 rows a code, or 4096. Of given features the moving averages follow, in passes
    until they gain less than 1% in the time that the averages go back, ``1 / (1 - decay)`` batches, or for
    `max_epochs`; learning_rate and the other parameters of nets have no part in it. Given features are computed on in
    float32, standardised as a whole.

    The gradient of the decoder goes to the encoder as if nothing were between them ("straight through").

    References
    ----------
    .. [1] A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural discrete representation learning", NeurIPS 2017; with
       A. Razavi, A. van den Oord, O. Vinyals, "Generating diverse high-fidelity images with VQ-VAE-2", NeurIPS 2019.
    .. [2] N. Zeghidour, A. Luebs, A. Omran, J. Skoglund, M. Tagliasacchi, "SoundStream: an end-to-end neural audio
       codec", IEEE/ACM TASLP 30, 2021.
    .. [3] F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite scalar quantization: VQ-VAE made simple",
       ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalign.sequence import VectorQuantizer
    >>> X = load_digits().data
    >>> coarse = VectorQuantizer(16, random_state=0).fit(X)
    >>> coarse.predict(X).shape, coarse.usage_
    ((1797,), array([1.]))
    >>> fine = VectorQuantizer(16, 3, random_state=0).fit(X)
    >>> fine.transform(X).shape, fine.inverse_transform(fine.transform(X)).shape
    ((1797, 3), (1797, 64))
    >>> fine.reconstruction_error_ < coarse.reconstruction_error_
    True
    """

    def __init__(
        self, n_codes: int = 256, n_codebooks: int = 1, *, codebook: Literal["ema", "fsq"] = "ema",
        levels: Sequence[int] = (8, 6, 5), encoder: Encoder | None = None, decoder: Callable[..., Any] | None = None,
        n_components: int = 32, hidden_layer_sizes: tuple[int, ...] = (256,), activation: Metric = "relu",
        dropout: float = 0.0, input_noise: float = 0.0, standardize: Standardize = "view", decay: float = 0.99,
        epsilon: float = 1e-5, dead_code_threshold: float = 0.1, commitment: float = 0.25, batch_size: int = 512,
        learning_rate: float = 1e-3, learning_rate_schedule: Schedule = "constant", weight_decay: float = 1e-4,
        max_epochs: int = 200, early_stopping: Stopping = "auto", validation_fraction: float = 0.1,
        n_iter_no_change: int = 30, tol: float = 1e-4, gradient_clip: float | None = None, warm_start: bool = False,
        mixed_precision: Precision = False, device: Device = "auto", callbacks: list[Any] | None = None,
        checkpoint: Checkpoint = None, verbose: int = 0, random_state: Seed = None,
    ) -> None:  # fmt: skip
        self.n_codes = n_codes
        self.n_codebooks = n_codebooks
        self.codebook = codebook
        self.levels = levels
        self.encoder = encoder
        self.decoder = decoder
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_noise = input_noise
        self.standardize = standardize
        self.decay = decay
        self.epsilon = epsilon
        self.dead_code_threshold = dead_code_threshold
        self.commitment = commitment
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.gradient_clip = gradient_clip
        self.warm_start = warm_start
        self.mixed_precision = mixed_precision
        self.device = device
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.verbose = verbose
        self.random_state = random_state

    @property
    def perplexity_(self) -> np.ndarray:
        return np.array([perplexity(own) for own in self.counts_])

    @property
    def usage_(self) -> np.ndarray:
        return (self.counts_ > 0).mean(axis=1)

    def transform(self, X: Rows) -> Array:
        """The codes of rows, frames or images.

        Parameters
        ----------
        X : as in `fit`
            Samples of the same shape.

        Returns
        -------
        array of int64 of shape (n_samples, n_codebooks), list of arrays of shape (n_frames_i, n_codebooks), or Views
            Tensors stay tensors.
        """
        ids = self._each(X, lambda own, view: own._coded(view))
        if not isinstance(ids, dict):
            return self._dressed(*ids, X)
        views = X.items()  # type: ignore[attr-defined]
        return self._as_views({name: self._dressed(*ids[name], view, name) for name, view in views})

    @available_if(_has_one_codebook)
    def predict(self, X: Rows) -> Array:
        """The one code of every row, for a single codebook.

        Parameters
        ----------
        X : as in `fit`
            Samples of the same shape.

        Returns
        -------
        array of int64 of shape (n_samples,), or list of arrays of shape (n_frames_i,)
            For Views a mapping of them by name.

        Raises
        ------
        AttributeError
            For several codebooks.
        """

        def codes(own, view):
            ids, frames = own._coded(view)
            return like_frames([one[:, 0] for one in ids] if isinstance(ids, list) else ids[:, 0], frames)

        return self._each(X, codes)

    def inverse_transform(self, Z: Rows) -> Array:
        """The rows that codes reconstruct.

        Parameters
        ----------
        Z : array of int of shape (n_samples, n_codebooks), list of them by sequence, Views or mapping by view
            What `transform` gave; or what `predict` gave.

        Returns
        -------
        array of shape (n_samples, n_features) or (n_samples, ...), list of them, or Views
            In the precision of the rows of fit.
        """

        def rows(own, view):
            codes, frames = join_codes(view)
            codes = codes.reshape(-1, 1) if codes.ndim == 1 else codes
            ids = check_codes(codes, [own.n_codes_] * own.codebook_.shape[0])
            decoded = own._coder.decode(ids, own.codebook_.dtype)
            return like_frames(split_rows(decoded, frames), frames)

        return self._each_decoded(Z, rows)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """Share of the variance of the rows that their codes reconstruct.

        Comparable across all parameters; more codes explain more until they generalise badly.

        Parameters
        ----------
        X : as in `fit`
            Samples of the same shape.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        float
            At most 1; for Views the mean over views.
        """

        def explained(own, view):
            frames = own._read(view)
            rows, decoded = rows_of(frames), own._coder.decode(own._coder.encode(elements_of(frames)), np.float64)
            return explained_variance(rows.reshape(len(rows), -1), decoded.reshape(len(rows), -1))

        scores = self._each(X, explained)
        return float(np.mean(list(scores.values()))) if isinstance(scores, dict) else scores

    def _coded(self, X):
        frames = self._read(X)
        return split_rows(self._coder.encode(elements_of(frames)), frames), frames

    @property
    def _allow_nd(self):
        return self.encoder is not None

    @property
    def _n_codes(self):
        return math.prod(self.levels) if self.codebook == "fsq" else self.n_codes

    def _check_parameters(self):
        self._validate_params()
        levels = list(self.levels)
        if not levels or not all(is_whole(level, 3) for level in levels):
            raise ValueError(f"levels must be whole numbers of at least 3, got {self.levels!r}.")
        if self.encoder is None:
            if self.codebook == "fsq":
                raise ValueError("codebook='fsq' learns nothing of given features: it needs an encoder, 'mlp' say.")
            if self.decoder is not None:
                raise ValueError("A decoder needs an encoder.")
            return
        from .._nets import check_architecture
        from .._training_callbacks import SCHEDULES

        architecture = {
            name: getattr(self, name) for name in ("hidden_layer_sizes", "activation", "dropout", "input_noise")
        }
        check_architecture("mlp", architecture, "")
        if isinstance(self.learning_rate_schedule, str):
            check_choice("learning_rate_schedule", self.learning_rate_schedule, tuple(SCHEDULES))

    def _output_names(self, view=None):
        own = self if view is None else self.views_[view]
        return [f"{type(self).__name__.lower()}{i}" for i in range(own.codebook_.shape[0])]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags
