"""A net that predicts hidden units from the frames around them."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from .._backend import like, resolve_device, to_numpy
from .._input import is_whole
from .._net_aligner import require_packages
from .._net_encoder import NetEncoder, StoredNet, usable_device
from .._training_constraints import WHOLE
from .._typing import ArrayLike, Device, Rows, Seed, Self
from ..base import OutputMixin, wrap_output
from ..temporal._sequences import check_sequences, check_width

_POSITIVE = Interval(Real, 0, None, closed="neither")

CONSTRAINTS = {
    "n_components": [WHOLE],
    "hidden_layer_sizes": ["array-like"],
    "kernel_size": [WHOLE],
    "mask_probability": [Interval(Real, 0, 1, closed="right")],
    "mask_length": [WHOLE],
    "learning_rate": [_POSITIVE],
    "batch_size": [WHOLE],
    "max_epochs": [WHOLE],
    "device": [str, None],
    "random_state": ["random_state"],
}


class MaskedPredictionNet(OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Features of frames, learnt by predicting the units of masked spans from what is around them.

    The model of HuBERT [1]_ made small: convolutions over time in place of a transformer. Meant as the `model` of
    `HiddenUnitDiscretizer`; `transform` gives features that know the context of a frame.

    Parameters
    ----------
    n_components : int, default=32
        Number of features.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Channels of the convolutions.
    kernel_size : int, default=9
        Frames that a layer looks at, an odd number.
    mask_probability : float, default=0.08
        Share of the frames where a masked span begins.
    mask_length : int, default=10
        Frames of a span.
    learning_rate : float, default=1e-3
        Step size of AdamW.
    batch_size : int, default=16
        Sequences in a batch.
    max_epochs : int, default=50
        Passes through the sequences.
    device : {None, "auto", "cpu"} or str, default="auto"
        Where to train; "auto" takes a CUDA device where there is one and the work is worth it.
    random_state : int, RandomState or None, default=None
        Initial weights, batches and masks.

    Attributes
    ----------
    classes_ : ndarray
        The units.
    loss_curve_ : list of float
        Cross-entropy of the units of masked frames in nats, by epoch.
    n_features_in_ : int
        Features of a frame.

    References
    ----------
    .. [1] W.-N. Hsu, B. Bolte, Y.-H. H. Tsai, K. Lakhotia, R. Salakhutdinov, A. Mohamed, "HuBERT: self-supervised
       speech representation learning by masked prediction of hidden units", IEEE/ACM TASLP 29, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.sequence import MaskedPredictionNet
    >>> signal = np.random.default_rng(0).normal(size=(200, 3))
    >>> units = (signal[:, 0] > 0).astype(int)
    >>> net = MaskedPredictionNet(4, max_epochs=2, random_state=0).fit([signal], [units])
    >>> net.transform([signal])[0].shape
    (200, 4)
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self, n_components: int = 32, *, hidden_layer_sizes: tuple[int, ...] = (64, 64), kernel_size: int = 9,
        mask_probability: float = 0.08, mask_length: int = 10, learning_rate: float = 1e-3, batch_size: int = 16,
        max_epochs: int = 50, device: Device = "auto", random_state: Seed = None,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.kernel_size = kernel_size
        self.mask_probability = mask_probability
        self.mask_length = mask_length
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.device = device
        self.random_state = random_state

    def fit(self, X: Rows, y: Rows) -> Self:
        """Train the net.

        Parameters
        ----------
        X : list of arrays of shape (n_frames_i, n_features)
            Sequences.
        y : list of arrays of shape (n_frames_i,)
            The unit of every frame.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For sequences and units of unequal lengths, NaN or infinity, and no units.
        """
        owner = type(self).__name__
        require_packages(owner)
        from .._nets import ViewNets, build_encoder
        from .._training import TrainingOptions, own_randomness, train
        from ._masked_training import MaskedPrediction, MaskedSequences

        self._validate_params()
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that a frame is in the middle; got {self.kernel_size}.")
        if not all(is_whole(size, 1) for size in self.hidden_layer_sizes):
            raise ValueError(
                f"hidden_layer_sizes must be a tuple of whole numbers of at least 1, got {self.hidden_layer_sizes!r}."
            )
        sequences = check_sequences(X, "", owner)
        classes, codes = np.unique(np.concatenate(_units(y, sequences, owner)), return_inverse=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        encoder = NetEncoder(view="X", owner=owner)
        encoder.set_input_scale(sequences.frames, "view")
        architecture = {"hidden_layer_sizes": tuple(self.hidden_layer_sizes), "kernel_size": self.kernel_size}
        with own_randomness(seed):
            net = build_encoder("frame_convolutions", (sequences.width,), self.n_components, architecture)
            module = ViewNets({"frames": net}, MaskedPrediction(self.n_components, len(classes))).float()
        weights = sum(parameter.numel() for parameter in net.parameters())
        device = resolve_device(self.device, 6.0 * weights * len(sequences.frames) * self.max_epochs) or "cpu"
        rows = MaskedSequences(
            encoder.prepare(sequences.frames, device), sequences.offsets,
            np.split(codes, sequences.offsets[1:-1]), self.mask_probability, self.mask_length,
        )  # fmt: skip
        options = TrainingOptions(
            seed=seed, device=device, learning_rate=self.learning_rate, batch_size=self.batch_size,
            max_epochs=self.max_epochs,
        )  # fmt: skip
        with own_randomness(seed, device):
            self.loss_curve_ = train(module.to(device), rows, options).losses
        stored = StoredNet(net, "frame_convolutions", (sequences.width,), self.n_components, architecture)
        encoder.set_net(stored, self.n_components, self.device)
        self.classes_, self.n_features_in_, self._net = classes, sequences.width, encoder
        return self

    def transform(self, X: Rows) -> list[np.ndarray]:
        """Features of every frame.

        Parameters
        ----------
        X : as in `fit`
            Sequences of as many features.

        Returns
        -------
        list of arrays of shape (n_frames_i, n_components)
            float32 and tensors stay what they are; ``set_output`` makes every array a DataFrame.
        """
        check_is_fitted(self, "classes_")
        import torch

        sequences = check_sequences(X, "", type(self).__name__)
        check_width(sequences.width, self.n_features_in_, "", type(self).__name__)
        device = usable_device(self._net.device_)
        module = self._net.net_.module(device, torch.float64)
        results = []
        for own in sequences:
            with torch.no_grad():
                features = module(self._net.prepare(own, device, torch.float64)[None])[0]
            results.append(to_numpy(features).astype(sequences.dtype, copy=False))
        if sequences.tensor is not None:
            return [like(own, sequences.tensor) for own in results]
        return [wrap_output(self, own, own, self.get_feature_names_out) for own in results]

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "classes_")
        return np.asarray([f"{type(self).__name__.lower()}{i}" for i in range(self._net.n_components_)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


def _units(y, sequences, owner):
    """The unit of every frame as one array a sequence."""
    if y is None:
        raise ValueError(f"This {owner} estimator requires y to be passed, but the target y is None: it learns units.")
    check_consistent_length(sequences, y)
    arrays = [to_numpy(units) for units in y]
    for i, (length, units) in enumerate(zip(sequences.lengths, arrays)):
        if units.ndim != 1:
            raise ValueError(f"Sequence {i}: units are 1-D, one a frame; these have the shape {units.shape}.")
        if len(units) != length:
            raise ValueError(f"Sequence {i} has {length} frames, but {len(units)} units.")
        if (units != units).any():
            raise ValueError(f"Sequence {i}: {(units != units).sum()} of its units are NaN.")
    return arrays
