"""Fitting a net of frames to transcripts: parameters, splits and training."""

from __future__ import annotations

from functools import partial
from numbers import Real

from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._backend import resolve_device
from .._net_aligner import require_packages
from .._net_encoder import StoredNet
from .._training_constraints import TRAINING_CONSTRAINTS, WHOLE
from .._training_options import TrainingOptionsMixin
from ..correlation._canonical import check_choice
from ..temporal._sequences import check_sequences, check_width
from ..views import Views
from ._decode import ctc_decode
from ._frame_encoder import FrameEncoder
from ._label_graph import TOPOLOGIES, check_feasible
from ._spans import find_spans
from ._transcripts import check_transcripts, encode, find_classes, label_error_rate

_BUILT_IN = "frame_convolutions"  # what both built-in encoders are, with hidden layers and without

_FLAT_EPOCHS = 5
_SWITCH_PENALTIES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # in nats

CONSTRAINTS = {
    "topology": [StrOptions(set(TOPOLOGIES))],
    "encoder": [StrOptions({"conv", "linear"}), callable],
    "kernel_size": [WHOLE],
    "decode": [StrOptions({"greedy", "beam"})],
    "beam_width": [WHOLE],
    "switch_penalty": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    **TRAINING_CONSTRAINTS,
}


class TranscriptNetMixin(TrainingOptionsMixin):
    """Training of a net of frames on sequences and transcripts through `skalign._training.train`."""

    _parameter_constraints = CONSTRAINTS

    def _fit_net(self, X, y):
        owner = type(self).__name__
        require_packages(owner)  # before anything imports them
        self._check_net_parameters()
        sequences = self._read(X)
        transcripts = check_transcripts(y, sequences, owner)
        for i, (length, labels) in enumerate(zip(sequences.lengths, transcripts)):
            check_feasible(length, labels, self.topology, f"sample {i}: ")
        earlier = self._state if self.warm_start and hasattr(self, "_state") else None
        classes = find_classes(transcripts) if earlier is None else self.classes_
        if not len(classes):
            raise ValueError("All transcripts are empty: there is no label to learn.")
        n_blanks = int(self.topology == "ctc")
        columns = [codes + n_blanks for codes in encode(transcripts, classes)]
        if earlier is not None:
            check_width(sequences.width, self.n_features_in_, "", owner)
        encoder, result, judges = self._train(sequences, columns, len(classes) + n_blanks, earlier)
        switch_penalty = self._choose_switch_penalty(encoder, sequences, columns, judges)
        # Only here, when nothing can fail any more: data that are refused leave the last fit as it was.
        self.classes_, self.n_features_in_, self._net = classes, sequences.width, encoder
        self._topology = self.topology  # what the columns of the net mean, whatever is set later
        self.receptive_field_ = getattr(encoder.net_.module("cpu"), "receptive_field", None)
        self.switch_penalty_ = switch_penalty
        self._state = result.state
        self.loss_curve_ = (self.loss_curve_ if earlier else []) + result.losses
        self.validation_scores_ = (self.validation_scores_ if earlier else []) + result.scores
        self.n_iter_, self.best_epoch_ = result.state["epochs"], result.best_epoch
        return self

    def _read(self, X):
        owner = type(self).__name__
        if isinstance(X, Views):
            raise TypeError(
                f"{owner} takes one collection of sequences, and X are Views of {X.names}: transcripts belong to one "
                f"of them. Pass views[{X.names[0]!r}], or put {owner} into PerView({{{X.names[0]!r}: ...}})."
            )
        return check_sequences(X, "", owner)

    def _sequences(self, X):
        check_is_fitted(self, "classes_")
        sequences = self._read(X)
        check_width(sequences.width, self.n_features_in_, "", type(self).__name__)
        return sequences

    def _log_posteriors(self, X):
        sequences = self._sequences(X)  # says so if there is no net yet
        return self._net.log_posteriors(sequences)

    def _decoded(self, log_posteriors):
        """Transcripts as places in `classes_`."""
        options = {"beam_width": self.beam_width, "topology": self._topology, "switch_penalty": self.switch_penalty_}
        return [found.labels - self._n_blanks for found in ctc_decode(log_posteriors, self.decode, **options)]

    def _labels(self, codes):
        classes = self.classes_.tolist()
        return [[classes[place] for place in own] for own in codes]

    def _spans(self, log_posteriors, codes, transcripts, boundaries):
        return [
            find_spans(own, places + self._n_blanks, labels, self._topology, boundaries)
            for own, places, labels in zip(log_posteriors, codes, transcripts)
        ]

    def _train(self, sequences, columns, n_outputs, earlier):
        import torch

        from .._nets import ViewNets
        from .._training import own_randomness, train
        from ._transcript_training import PaddedSequences, TranscriptLoss, build_frame_net, held_out_likelihood

        rng = check_random_state(self.random_state)
        seed = int(rng.randint(2**31 - 1))
        rows, held_out = self._split(len(sequences), None, rng)
        encoder = FrameEncoder(view="X", owner=type(self).__name__)
        if earlier is None:
            encoder.set_input_scale(sequences.frames, self.standardize)
        else:
            encoder.center_, encoder.scale_ = self._net.center_, self._net.scale_
        kind, architecture = self._architecture()
        # CTC finds its spikes by itself; held frames from random weights often end in a poor optimum.
        flat_epochs = _FLAT_EPOCHS if self.topology == "hmm" else 0
        with own_randomness(seed):
            net = build_frame_net(kind, sequences.width, n_outputs, architecture)
            module = ViewNets({"frames": net}, TranscriptLoss(self.topology, flat_epochs)).float()
        weights = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        if not weights:
            raise ValueError("There is nothing to train: the encoder has no weights that are not frozen.")
        if sequences.tensor is not None:
            device = str(sequences.tensor.device)
        else:
            work = 6.0 * weights * len(sequences.frames) * self.max_epochs
            device = resolve_device(self.device, work) or "cpu"
        frames = encoder.prepare(sequences.frames, device)
        data = [PaddedSequences(frames, sequences.offsets, columns, part) for part in (rows, held_out) if len(part)]
        start = module.state_dict() if earlier is None else earlier["module"]
        # All that the result follows from, for the name of a checkpoint.
        followed = [sequences.frames, sequences.offsets, columns, start]
        options = self._options(seed, device, self.max_epochs, followed)
        score = None
        if len(held_out):
            score = partial(held_out_likelihood, rows=data[1], batch_size=self.batch_size)
        with own_randomness(seed, device):
            result = train(module.to(device), data[0], options, score, earlier)
        if not all(bool(torch.isfinite(weight).all()) for weight in module.parameters()):  # the last step is behind
            raise FloatingPointError("The weights are not finite. Try a smaller learning_rate, or gradient_clip=1.0.")
        stored = StoredNet(module.encoders[0], kind, (sequences.width,), n_outputs, architecture)
        encoder.set_net(stored, n_outputs, self.device)
        return encoder, result, held_out if len(held_out) else rows

    def _check_net_parameters(self):
        from .._nets import check_architecture
        from .._training_callbacks import SCHEDULES

        self._validate_params()
        check_architecture("linear", dict(self._architecture()[1], hidden_layer_sizes=self.hidden_layer_sizes), "")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that a frame is in the middle; got {self.kernel_size}.")
        if isinstance(self.learning_rate_schedule, str):
            check_choice("learning_rate_schedule", self.learning_rate_schedule, tuple(SCHEDULES))

    def _architecture(self):
        """What the net is built from."""
        architecture = {
            "hidden_layer_sizes": () if self.encoder == "linear" else self.hidden_layer_sizes,
            "kernel_size": self.kernel_size,
            "activation": self.activation,
            "dropout": self.dropout,
            "input_noise": self.input_noise,
        }
        return _BUILT_IN if isinstance(self.encoder, str) else self.encoder, architecture

    @property
    def _n_blanks(self):
        return int(self._topology == "ctc")

    def _choose_switch_penalty(self, encoder, sequences, columns, rows):
        """The penalty with which decoding errs least on some of the sequences."""
        if self.topology == "ctc":
            return 0.0
        if self.switch_penalty != "auto":
            return float(self.switch_penalty)
        log_posteriors = encoder.log_posteriors(sequences)
        true, judged = [columns[i] for i in rows], [log_posteriors[i] for i in rows]

        def error(penalty):
            found = ctc_decode(judged, topology=self.topology, switch_penalty=penalty)
            return label_error_rate(true, [one.labels for one in found])

        return min(reversed(_SWITCH_PENALTIES), key=error)  # the largest of equals: sequences fitted need less
