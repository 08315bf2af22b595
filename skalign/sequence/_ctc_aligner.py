"""Connectionist temporal classification as an estimator."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._backend import like
from .._training_docs import documents_training
from .._typing import (
    ArrayLike,
    Checkpoint,
    Device,
    Encoder,
    Metric,
    Precision,
    Rows,
    Schedule,
    Seed,
    Self,
    Standardize,
    Stopping,
)
from ..base import OutputMixin, wrap_output
from ..correlation._canonical import check_choice
from ._label_graph import check_feasible
from ._spans import Span
from ._transcript_net import TranscriptNetMixin
from ._transcripts import check_transcripts, encode, label_error_rate


@documents_training
class CTCAligner(TranscriptNetMixin, OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Labels of frames, learnt from transcripts without times: reads new sequences, and finds where labels lie.

    A small net over time gives every frame log-probabilities of the labels; it is trained so that the transcripts of
    the training sequences become probable over all ways to spread them over the frames. Use ``topology="ctc"`` to read
    (`predict`) and ``topology="hmm"`` to find boundaries (`align`): nets trained with CTC put a label on a frame or two
    and the blank on all others. On strips of digits of unequal widths the CTC spans overlapped the true ones by
    .13 (intersection over union), those of "hmm" by .73; see the notes.

    Parameters
    ----------
    topology : {"ctc", "hmm"}, default="ctc"
        "ctc": a further class, the blank, takes frames between labels [1]_. "hmm": no blank, every label holds its
        frames until the next begins, as the states of a left-to-right hidden Markov model whose emissions are a net
        [2]_. Frames of a gap then belong to a label next to it; where gaps matter, write a label of their own into the
        transcripts. Of equal neighbours "hmm" decodes only one, and empty transcripts are an error.
    encoder : {"conv", "linear"}, Module or callable, default="conv"
        The net. "conv": convolutions over time, one a hidden layer. "linear": one linear map of `kernel_size` frames.
        A torch module is copied and trained on from its weights; a callable makes one,
        ``encoder(n_features, n_outputs)``. Both take tensors of shape (B, T, n_features) and give (B, T, n_outputs),
        scores of the columns of `transform` before the softmax. In training the shorter sequences of a batch have
        zeros behind them; later none has.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Channels of the layers of "conv".
    kernel_size : int, default=9
        Frames that a layer looks at, an odd number. Choose it so that `receptive_field_` covers about one label.
    activation : str or callable, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "silu" or "tanh", or what makes a module.
    dropout : float, default=0.0
        Share of the hidden units that are dropped in training.
    input_noise : float, default=0.3
        Standard deviation of the Gaussian noise that is added to the standardised frames in training.
    standardize : {"view", "feature"} or False, default="view"
        Every feature is centred; "view" divides all of them by one number, "feature" each by its own standard
        deviation, for features of different units.
    decode : {"greedy", "beam"}, default="greedy"
        How transcripts are read, see `ctc_decode`: along the best path, or by prefix beam search.
    beam_width : int, default=10
        Prefixes that "beam" keeps.
    switch_penalty : float or "auto", default="auto"
        For "hmm", what every change of label takes from a log-probability in decoding; the labels of frames flicker
        without it. "auto" takes the one of 0, 1, 2, 4, ... 32 nats with the fewest errors on held-out sequences, or on
        the training ones where none is held out.
    batch_size : int, default=16
        Largest number of sequences in a batch.
    {training}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted where they can be.
    receptive_field_ : int or None
        Number of frames that the outputs of one frame depend on, half of them on either side; None for a module.
    switch_penalty_ : float
        In use with "hmm".
    n_features_in_ : int
        Features of a frame.
    loss_curve_, validation_scores_ : list of float
        By epoch: minus the log-likelihood per label of the training transcripts, and the log-likelihood per label, in
        nats, of those held out. Early stopping watches the latter and not `score`, which stays at 0 for all the epochs
        in which a CTC net puts out blanks alone (16 on 360 strips of digits, 31 on 180).
    n_iter_, best_epoch_ : int
        Number of epochs trained, and the one whose weights were kept, from 1.

    Raises
    ------
    ValueError
        For NaN or infinity, empty sequences, transcripts that are no sequences, and a transcript longer than its frames
        can hold, with the sample, both numbers and the repeats. "ctc" needs as many frames as there are labels and one
        more for every label that equals the one before it.
    TypeError
        For labels that cannot be hashed, and for Views: transcripts belong to one collection. Pass one view, or give
        every view an aligner of its own in `PerView`.
    FloatingPointError
        When the loss is not finite; says in which epoch, and what to try.

    Warns
    -----
    ConvergenceWarning
        When training was interrupted.

    See Also
    --------
    skalign.sequence.forced_align, skalign.sequence.ctc_decode : The same on log-probabilities of any other net.
    ChangepointSegmenter : Cuts signals that have no transcript.

    Notes
    -----
    Both minimise :math:`-\log p(l)`, the sum over all paths of a transcript (see `ctc_posterior`). Held frames begin
    with five epochs in which the labels of a transcript share its frames evenly, the flat start of speech recognition:
    from random weights they often end in a poor optimum.

    Strips of 3 to 7 of scikit-learn's digits, every one stretched 1 to 3 times, with gaps; a frame is a column. Trained
    on 600 strips with the defaults, tested on 300 of other images; means of three seeds:

    ================================  ===========  =============  ========
    spans                             label error  centre inside  span IoU
    ================================  ===========  =============  ========
    equal parts                       --           0.80           0.57
    "ctc"                             0.04         1.00           0.13
    "ctc", ``boundaries="midpoint"``  0.04         0.93           0.68
    "hmm"                             0.14         0.92           0.73
    ================================  ===========  =============  ========

    Of the label error of "hmm", .08 is equal neighbours, which it reads as one label. Allowing a gap class between held
    labels brought the spikes of CTC back (IoU .14).

    References
    ----------
    .. [1] A. Graves, S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification: labelling
       unsegmented sequence data with recurrent neural networks", ICML 2006.
    .. [2] A. Zeyer, E. Beck, R. Schlüter, H. Ney, "CTC in the context of generalized full-sum HMM training",
       Interspeech 2017.

    Examples
    --------
    Two tones of unequal length in noise, and which of them were played.

    >>> import numpy as np
    >>> from skalign.sequence import CTCAligner
    >>> rng = np.random.default_rng(0)
    >>> def play(word):
    ...     tones = [np.tile([letter == "a", letter == "b"], (rng.integers(4, 9), 1)) for letter in word]
    ...     return np.concatenate(tones) + 0.1 * rng.normal(size=(sum(map(len, tones)), 2))
    >>> words = [["ab", "ba", "aba", "bab"][i] for i in rng.integers(4, size=60)]
    >>> X = [play(word) for word in words]
    >>> aligner = CTCAligner("hmm", max_epochs=20, random_state=0).fit(X, words)
    >>> aligner.score(X, words)
    1.0
    >>> new = np.repeat([[0.0, 1.0], [1.0, 0.0]], [5, 7], axis=0)
    >>> [(span.label, span.start, span.end) for span in aligner.align([new], ["ba"])[0]]
    [('b', 0, 5), ('a', 5, 12)]
    """

    def __init__(
        self, topology: Literal["ctc", "hmm"] = "ctc", *, encoder: Encoder = "conv",
        hidden_layer_sizes: tuple[int, ...] = (64, 64), kernel_size: int = 9, activation: Metric = "relu",
        dropout: float = 0.0, input_noise: float = 0.3, standardize: Standardize = "view",
        decode: Literal["greedy", "beam"] = "greedy", beam_width: int = 10,
        switch_penalty: float | Literal["auto"] = "auto", learning_rate: float = 1e-3,
        learning_rate_schedule: Schedule = "constant", weight_decay: float = 1e-4, batch_size: int = 16,
        max_epochs: int = 200, early_stopping: Stopping = "auto", validation_fraction: float = 0.1,
        n_iter_no_change: int = 30, tol: float = 1e-4, gradient_clip: float | None = None, warm_start: bool = False,
        mixed_precision: Precision = False, device: Device = "auto", callbacks: list[Any] | None = None,
        checkpoint: Checkpoint = None, verbose: int = 0, random_state: Seed = None,
    ) -> None:  # fmt: skip
        self.topology = topology
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.kernel_size = kernel_size
        self.activation = activation
        self.dropout = dropout
        self.input_noise = input_noise
        self.standardize = standardize
        self.decode = decode
        self.beam_width = beam_width
        self.switch_penalty = switch_penalty
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
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

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Train the net on sequences and their transcripts.

        Parameters
        ----------
        X : list of arrays of shape (n_frames_i, n_features), or array of shape (n_samples, n_frames, n_features)
            Sequences of frames. Elements of one dimension are univariate series.
        y : list of sequences of labels
            The transcript of every sequence, in order and without times. Labels are anything that can be hashed; a
            string is a sequence of its characters.

        Returns
        -------
        self
        """
        return self._fit_net(X, y)

    def transform(self, X: Rows) -> list[Any]:
        """Log-probabilities of the classes at every frame.

        Parameters
        ----------
        X : as in `fit`
            Sequences of as many features.

        Returns
        -------
        list of arrays of shape (n_frames_i, n_columns)
            Columns are `classes_`, with ``topology="ctc"`` behind one for the blank. float32 and tensors stay what
            they are; ``set_output`` makes every array a DataFrame.
        """
        sequences = self._sequences(X)
        arrays = self._net.log_posteriors(sequences)
        if sequences.tensor is not None:
            return [like(array, sequences.tensor) for array in arrays]
        return [wrap_output(self, array, array, self.get_feature_names_out) for array in arrays]

    def predict(self, X: Rows) -> list[list[Any]]:
        """The transcript of every sequence.

        Parameters
        ----------
        X : as in `fit`
            Sequences of as many features.

        Returns
        -------
        list of list of labels
        """
        return self._labels(self._decoded(self._log_posteriors(X)))

    def align(self, X: Rows, y: Rows, boundaries: Literal["viterbi", "midpoint"] = "viterbi") -> list[list[Span]]:
        """Where the labels of known transcripts lie.

        Parameters
        ----------
        X : as in `fit`
            Sequences of as many features.
        y : list of sequences of labels
            Their transcripts.
        boundaries : {"viterbi", "midpoint"}, default="viterbi"
            "viterbi": a span is the frames of the best path, which for "ctc" leaves most frames to the blank.
            "midpoint": cuts half-way between the middles of those spans, so that every frame is in one; the better
            boundaries for "ctc".

        Returns
        -------
        list of list of Span
            By sample, for every label of its transcript ``(label, start, end, log_prob)``, the end exclusive.
        """
        check_choice("boundaries", boundaries, ("viterbi", "midpoint"))
        log_posteriors = self._log_posteriors(X)
        transcripts = check_transcripts(y, log_posteriors, type(self).__name__)
        codes = encode(transcripts, self.classes_)
        for i, (own, labels) in enumerate(zip(log_posteriors, transcripts)):
            check_feasible(len(own), labels, self._topology, f"sample {i}: ")
        return self._spans(log_posteriors, codes, transcripts, boundaries)

    def predict_segments(self, X: Rows, boundaries: Literal["viterbi", "midpoint"] = "viterbi") -> list[list[Span]]:
        """Transcripts as `predict` finds them, and where their labels lie.

        Parameters
        ----------
        X : as in `fit`
            Sequences of as many features.
        boundaries : {"viterbi", "midpoint"}, default="viterbi"
            See `align`.

        Returns
        -------
        list of list of Span
        """
        check_choice("boundaries", boundaries, ("viterbi", "midpoint"))
        log_posteriors = self._log_posteriors(X)
        codes = self._decoded(log_posteriors)
        return self._spans(log_posteriors, codes, self._labels(codes), boundaries)

    def score(self, X: Rows, y: Rows) -> float:
        """One minus the label error rate of `predict`.

        Parameters
        ----------
        X : as in `fit`
            Sequences of as many features.
        y : list of sequences of labels
            Their transcripts. Labels not seen at fit count as errors.

        Returns
        -------
        float
            At most 1, and negative where there are more errors than labels. Errors are the fewest insertions,
            deletions and substitutions, all samples together.
        """
        log_posteriors = self._log_posteriors(X)
        transcripts = check_transcripts(y, log_posteriors, type(self).__name__)
        return 1.0 - label_error_rate(encode(transcripts, self.classes_, unknown=-1), self._decoded(log_posteriors))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns of `transform`: the labels, for "ctc" behind ``<blank>``.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "classes_")
        return np.asarray(["<blank>"] * self._n_blanks + [str(label) for label in self.classes_.tolist()], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
