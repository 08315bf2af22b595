"""Deep canonical correlation analysis."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from .._backend import to_numpy
from .._net_aligner import NetAlignerMixin
from .._net_encoder import NetEncoder
from .._training_docs import documents_training
from .._typing import (
    Checkpoint,
    Device,
    Encoder,
    Metric,
    PerViewValue,
    Precision,
    Rows,
    Schedule,
    Seed,
    Self,
    Standardize,
    Stopping,
)
from ..views import Views
from ._canonical import CanonicalMixin, VariateEncoder, check_choice
from ._cca import CCA

_OBJECTIVES = ("cca", "nuclear", "ey", "barlow", "vicreg")
_WHITENED = ("cca", "nuclear")  # these invert the covariance matrix of a batch
_AUTO_BATCH = {"cca": 1024, "nuclear": 1024}
_ROUNDING = 1e5  # weights that make so much of float32 outputs, relative to their spread, magnify rounding


class DeepVariateEncoder(NetEncoder, VariateEncoder):
    """A trained net of one view, and the linear map that makes its outputs canonical variates.

    Attributes
    ----------
    linear_ : LinearEncoder
        The linear map.
    net_decoder_ : StoredNet
        The way back, where one was trained.
    """

    def set_linear(self, linear, varies):
        """Remember the linear map, with variates of zero in the place of outputs that do not vary."""
        missing = len(varies) - linear.n_components_
        linear.weights_ = np.pad(linear.weights_, ((0, 0), (0, missing))) * varies
        decoder = np.pad(linear.decoder_, ((0, missing), (0, 0))) * varies[:, None]
        linear._set_variates(decoder, np.pad(linear.factors_, (0, missing)) * varies)
        self.linear_ = linear

    def _finish(self, Z):
        return self.linear_._encode(Z.double())

    def _decode(self, Z):
        if not hasattr(self, "net_decoder_"):
            return super()._decode(Z)
        import torch

        outputs = torch.as_tensor(self.linear_._decode(to_numpy(Z).astype(np.float64))).float()
        with torch.no_grad():
            rows = self.net_decoder_.module("cpu")(outputs)
        return self._unprepare(to_numpy(rows.double()).reshape(-1, *self.sample_shape_), Z)


@documents_training
class DeepCCA(NetAlignerMixin, CanonicalMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Deep canonical correlation analysis: nets whose outputs correlate most.

    One net a view is trained so that the canonical correlations of the outputs are large; a linear CCA of the outputs
    then makes canonical variates of them. `KernelCCA` finds nonlinear relations too, in closed form, and is the one to
    try first on up to a few thousand pairs; nets take over with more samples, and for views such as images that need
    an architecture of their own.

    Parameters
    ----------
    n_components : int, default=10
        Number of components, and width of the outputs of the nets.
    objective : {"cca", "nuclear", "ey", "barlow", "vicreg"}, default="cca"
        What is maximised. "cca" is the sum of squared canonical correlations of a batch, "nuclear" their plain sum;
        both need batches of many times `n_components` rows. "ey" is the Eckart-Young loss, which has the same optimum
        as "cca" but inverts nothing, for small batches. "barlow" and "vicreg" are the losses of self-supervised
        learning.
    shrinkage : float, default=1e-3
        Ridge of the covariance matrices of the outputs, relative to their mean variance: in the objectives "cca" and
        "nuclear", and in the linear CCA at the end.
    reconstruction : float, default=0.0
        Weight of the mean squared error of nets that reconstruct every (standardised) view from its outputs: deep
        canonically correlated autoencoders (DCCAE). Makes `inverse_transform` nonlinear.
    weighting : {"unit", "correlation"}, default="unit"
        Variance of the variates: 1, or the squared canonical correlation, which is what retrieval by cosine wants.
    {encoder}
    batch_size : int or "auto", default="auto"
        Largest number of rows in a batch; batches are as equal as can be. "auto" is 1024 for "cca" and "nuclear", and
        256 for the others.
    {encode_batch_size}
    {training}

    Attributes
    ----------
    encoders_ : dict of str to DeepVariateEncoder
        By view, each a transformer of its own.
    canonical_correlations_ : ndarray of shape (n_components,)
        On all rows that were fitted, held-out ones too.
    loss_curve_, validation_scores_ : list of float
        By epoch: the training loss, and the score of the held-out rows.
    n_iter_ : int
        Number of epochs trained.
    best_epoch_ : int
        The epoch whose weights were kept, from 1; 0 is the start.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, or batches too small for the objective.
    FloatingPointError
        When the loss is not finite; says in which epoch, and what to try.

    Warns
    -----
    ConvergenceWarning
        When the outputs collapsed to fewer than `n_components` directions, or training was interrupted.

    See Also
    --------
    CCA : Linear maps, in closed form.
    KernelCCA : Nonlinear maps, in closed form.
    ContrastiveAligner : Nets trained to tell pairs from other rows.

    Notes
    -----
    With batches B of the outputs and :math:`C` their covariance matrices, "cca" maximises
    :math:`\|L_x^{-1} C_{xy} L_y^{-T}\|_F^2` with :math:`L L^T = C + r \frac{\mathrm{tr} C}{k} I`, in float64. For three
    or more views it is the mean over pairs.

    References
    ----------
    .. [1] G. Andrew, R. Arora, J. Bilmes and K. Livescu, "Deep canonical correlation analysis", ICML 2013.
    .. [2] W. Wang, R. Arora, K. Livescu and J. Bilmes, "On deep multi-view representation learning", ICML 2015 (DCCAE).
    .. [3] J. Chapman, L. Wells and A. Lawry Aguila, "Unconstrained stochastic CCA: unifying multiview and
       self-supervised learning", ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalign import DeepCCA, Views
    >>> images = load_digits().images
    >>> halves = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))
    >>> deep = DeepCCA(n_components=5, max_epochs=20, random_state=0).fit(halves[:1500])
    >>> deep.score(halves[1500:]) > 3.5
    True
    >>> deep.transform(Views(right=images[:2, :, 4:].reshape(-1, 32)))["right"].shape
    (2, 5)
    """

    _encoder_class = DeepVariateEncoder

    def __init__(
        self,
        n_components: int = 10,
        *,
        objective: Literal["cca", "nuclear", "ey", "barlow", "vicreg"] = "cca",
        shrinkage: float = 1e-3,
        reconstruction: float = 0.0,
        weighting: Literal["unit", "correlation"] = "unit",
        encoder: PerViewValue[Encoder] = "mlp",
        hidden_layer_sizes: PerViewValue[tuple[int, ...]] = (256, 256),
        activation: PerViewValue[Metric] = "relu",
        dropout: PerViewValue[float] = 0.0,
        batch_norm: PerViewValue[bool] = False,
        input_noise: PerViewValue[float] = 0.3,
        standardize: Standardize = "view",
        learning_rate: float = 1e-3,
        learning_rate_schedule: Schedule = "constant",
        weight_decay: float = 1e-4,
        batch_size: int | Literal["auto"] = "auto",
        encode_batch_size: int | None = None,
        max_epochs: int = 200,
        early_stopping: Stopping = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 30,
        tol: float = 1e-4,
        gradient_clip: float | None = None,
        warm_start: bool = False,
        mixed_precision: Precision = False,
        device: Device = "auto",
        callbacks: list[Any] | None = None,
        checkpoint: Checkpoint = None,
        verbose: int = 0,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.objective = objective
        self.shrinkage = shrinkage
        self.reconstruction = reconstruction
        self.weighting = weighting
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.input_noise = input_noise
        self.standardize = standardize
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.encode_batch_size = encode_batch_size
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
        """Train on paired views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two. Samples of other shapes need a module as `encoder`.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is labels, and ignored.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, None, max_epochs=self.max_epochs, go_on=self.warm_start)

    def partial_fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Train one epoch more on these rows.

        The first call fixes the views and how they are standardised. Nothing is held out, and the final linear CCA is
        that of these rows: give chunks of many times `n_components` rows.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, None, max_epochs=1, go_on=True, validate=False)

    def _check_options(self):
        super()._check_options()
        check_choice("objective", self.objective, _OBJECTIVES)
        check_choice("weighting", self.weighting, ("unit", "correlation"))
        for name in ("shrinkage", "reconstruction"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= value < np.inf or (name == "shrinkage" and value > 1):
                raise ValueError(f"{name}={value!r} is out of range: see the documentation.")

    def _batch_size(self):
        return _AUTO_BATCH.get(self.objective, 256) if self.batch_size == "auto" else self.batch_size

    def _smallest_batch(self):
        from ._deep_objectives import smallest_batch

        least = smallest_batch(self.objective, self.n_components)
        return (
            least,
            f"objective={self.objective!r} with n_components={self.n_components} needs batches of {least} rows",
        )

    def _objective(self, encoders):
        from ._deep_training import CanonicalObjective

        shapes = {name: encoder.sample_shape_ for name, encoder in encoders.items()}
        return CanonicalObjective(
            self.objective, self.shrinkage, self.reconstruction, shapes, self.n_components,
            self._architectures(list(encoders)),
        )  # fmt: skip

    def _held_out_score(self, module, train, valid):
        fitted = self._linear(module.outputs(train))
        return fitted.score(Views(module.outputs(valid)))

    def _linear(self, outputs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few rows: early stopping and the user's own score judge
            views = Views({name: Z.double() for name, Z in outputs.items()})
            try:
                return CCA(shrinkage=self.shrinkage, weighting=self.weighting).fit(views)
            except ValueError as error:
                raise ValueError(
                    "The nets collapsed to constant outputs. Try a smaller learning_rate, a larger batch_size or "
                    f"standardize='feature'. ({error})"
                ) from error

    def _finish(self, module, encoders, train, valid):
        import torch

        outputs = train if valid is None else {name: torch.cat([train[name], valid[name]]) for name in train}
        linear = self._linear(outputs)
        missing = self.n_components - len(linear.canonical_correlations_)
        # With a ridge even directions in which the outputs only vary by rounding have weights, and those are huge.
        sizes = [
            np.linalg.norm(linear.weights_[name], axis=0) * float(Z.double().std(dim=0).norm())
            for name, Z in outputs.items()
        ]
        varies = np.pad((np.max(sizes, axis=0) < _ROUNDING) & (np.min(sizes, axis=0) > 0), (0, missing))
        if not varies.all():
            warnings.warn(
                f"The outputs of the nets vary in {varies.sum()} of n_components={self.n_components} directions: the "
                "other components are 0. Try fewer components, a larger batch_size or objective='cca'.",
                ConvergenceWarning,
                stacklevel=5,
            )
        self.canonical_correlations_ = np.pad(linear.canonical_correlations_, (0, missing)) * varies
        for name, encoder in encoders.items():
            encoder.set_linear(linear.encoders_[name], varies)
            if self.reconstruction:
                encoder.net_decoder_ = module.objective.stored_decoder(name)
