"""Nets that place what is specific below what is general."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator

from .._backend import is_tensor, like
from .._net_aligner import NetAlignerMixin
from .._net_encoder import NetEncoder
from .._training_docs import documents_training
from .._typing import (
    Array,
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
from ._order_training import OrderTrainingMixin


class OrderEncoder(NetEncoder):
    """A trained net of one view, whose outputs lie in the positive orthant, or are tangent vectors of the hyperboloid.

    Attributes
    ----------
    geometry_ : {"order", "hyperbolic"}
        Which of the two.
    """

    def _finish(self, Z):
        from ._order_objective import embed

        return embed(Z, self.geometry_)


@documents_training
class OrderAligner(OrderTrainingMixin, NetAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Order embeddings: every row of the first view is placed below its more general partner in the next.

    For relations that have a direction: a picture entails its caption, a dog is an animal. A symmetric similarity such
    as the cosine cannot say which of two things is the more general one; here a row is either inside the region that
    another one covers, or not. To find the nearest partner of equal rank, `ContrastiveAligner` is the better choice.

    Parameters
    ----------
    n_components : int, default=16
        Width of the shared space, and of the outputs of the nets.
    geometry : {"order", "hyperbolic"}, default="order"
        "order" is the partial order of coordinates in the positive orthant [1]_. "hyperbolic" uses entailment cones
        [2]_ in the Lorentz model [3]_, for trees that branch much in few dimensions.
    shared_encoder : bool, default=False
        One net for all views, which then hold things of one kind: words and their hypernyms. Only so can
        ``entails(a, b)`` be compared with ``entails(b, a)``.
    margin : float, default=0.05
        Least energy of relations that do not hold; radians in hyperbolic space.
    curvature : float, default=1.0
        Initial curvature c of hyperbolic space (which is -c), in [0.1, 10].
    learn_curvature : bool, default=True
        Train it too, within these limits.
    {encoder}
    batch_size : int, default=256
        Largest number of rows in a batch. The other rows of a batch are what a row does not entail.
    {training}

    Attributes
    ----------
    encoders_ : dict of str to OrderEncoder
        By view, each a transformer of its own.
    curvature_ : float
        The curvature at the end.
    threshold_, slope_ : float
        ``entails`` is 1 / (1 + exp(-slope (threshold - energy))); both are 0 where energies tell nothing.
    loss_curve_, validation_scores_ : list of float
        By epoch: the training loss, and the score of the held-out rows.
    n_iter_, best_epoch_ : int
        Number of epochs trained, and the one whose weights were kept, from 1; 0 is the start.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, rows that entail nothing or everything, views of different
        shape or parameters by view with one net, and parameters out of range.
    FloatingPointError
        When the loss is not finite; says in which epoch, and what to try.

    See Also
    --------
    ContrastiveAligner : Symmetric similarities.
    CrossModalRetriever : Keeps a gallery to search in.

    Notes
    -----
    Views go from specific to general: row i of the first entails row i of the second. With the embeddings a and b of
    the two the energy is

    .. math:: E(a, b) = \lVert \max(0, b - a) \rVert^2

    for ``geometry="order"``, and in hyperbolic space the angle by which a lies outside the cone that opens behind b,
    less than 0 inside. The loss is the mean of max(0, E) over relations that hold, plus the mean of
    max(0, margin - E) over those that do not: in expectation that of one random false relation for each true one. The
    sum over all false ones of a batch, as for captions in [1]_, gives them a weight that grows with the batch: on
    relations held out of the training rows of two hierarchies it told the direction better in 2 of 12 fits, with
    average precisions now higher, now lower.

    A batch takes as false all pairs of its rows, an earlier view against a later one, that are nowhere paired in the
    training data; equal rows are one thing. With one net these are all pairs of different things, also in the wrong
    direction. Relations are not chained: what follows from two pairs should be a pair of the training data too, or it
    may be taken for false. ``similarity`` is -E.

    What is general comes to lie near the origin, so that the length of embeddings alone tells the direction of a
    relation about as well as the energy does. What the length cannot tell is whether there is a relation.

    Embeddings in hyperbolic space are tangent vectors at the origin, which ordinary estimators can read. Their energies
    are computed in float64.

    References
    ----------
    .. [1] I. Vendrov, R. Kiros, S. Fidler and R. Urtasun, "Order-embeddings of images and language", ICLR 2016.
    .. [2] O. Ganea, G. Bécigneul and T. Hofmann, "Hyperbolic entailment cones for learning hierarchical embeddings",
       ICML 2018.
    .. [3] K. Desai, M. Nickel, T. Rajpurohit, J. Johnson and R. Vedantam, "Hyperbolic image-text representations",
       ICML 2023 (MERU).

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.contrastive import OrderAligner
    >>> parts = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]])
    >>> pairs = [(i, j) for i in range(7) for j in range(7) if i != j and (parts[i] >= parts[j]).all()]
    >>> specific, general = parts[np.array(pairs).T]
    >>> aligner = OrderAligner(4, shared_encoder=True, learning_rate=0.01, random_state=0).fit(specific, general)
    >>> aligner.entails([[1, 1, 0], [1, 0, 0]], [[1, 0, 0], [1, 1, 0]]).round().astype(int)
    array([[1, 1],
           [1, 0]])
    """

    _encoder_class = OrderEncoder

    def __init__(
        self,
        n_components: int = 16,
        *,
        geometry: Literal["order", "hyperbolic"] = "order",
        shared_encoder: bool = False,
        margin: float = 0.05,
        curvature: float = 1.0,
        learn_curvature: bool = True,
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
        batch_size: int = 256,
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
        self.geometry = geometry
        self.shared_encoder = shared_encoder
        self.margin = margin
        self.curvature = curvature
        self.learn_curvature = learn_curvature
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
        """Train on pairs of something specific and something more general.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Views from specific to general, or the specific one of two. Samples of other shapes need a module as
            `encoder`.
        y : array-like of shape (n_samples, n_features_y), default=None
            The general view. Beside Views it is labels, and ignored.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, None, max_epochs=self.max_epochs, go_on=self.warm_start)

    def partial_fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Train one epoch more on these rows.

        The first call fixes the views and how they are standardised. Nothing is held out, and only the pairs of these
        rows are known to be true.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Views from specific to general, or the specific one of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The general view.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, None, max_epochs=1, go_on=True, validate=False)

    def entails(self, X: Rows, y: Rows | None = None, *, views: tuple[str, str] | None = None) -> Array:
        """Probability that a row of the first entails a row of the second.

        As if true and false relations were equally frequent beforehand, by a logistic regression on the energies of
        the held-out rows of the fit (of all rows where none were held out).

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two views, or rows of the first.
        y : Views or array-like of shape (n_samples_y, n_features_y), default=None
            Rows of the second; any number.
        views : pair of str, default=None
            Which views to compare; needed when there are three or more.

        Returns
        -------
        array of shape (n_samples, n_samples_y)
            Rows entail columns.
        """
        S = self.similarity(X, y, views=views)
        if is_tensor(S):
            return (self.slope_ * (self.threshold_ + S)).sigmoid()
        from scipy.special import expit

        return expit(self.slope_ * (self.threshold_ + S))

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """Average precision of the relations that hold, among all pairs of rows.

        Row i entails what row i is paired with, and all partners of rows equal to it. With one net a thing and itself
        are no pair. As in `entails`, true and false relations weigh equally, so that collections of different size
        compare. The mean over all pairs of an earlier with a later view. It can be compared across all parameters.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the specific one of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The general view; ignored beside Views.

        Returns
        -------
        float
            Between 0 and 1, higher is better; chance is 0.5.

        Raises
        ------
        ValueError
            When none or all of the rows entail each other.
        """
        import torch

        from ._order_objective import RelatedRows

        given = self._open_to_score(X, y)
        embeddings = self._embed_to_score(given, None)
        names = [name for name in self.encoders_ if name in embeddings]  # from specific to general
        encoders = {name: self.encoders_[name] for name in names}
        rows = {name: e.prepare(e.check(given[name]), "cpu", torch.float64) for name, e in encoders.items()}
        related = RelatedRows(rows, self.shared_encoder)
        related.check()
        return self._precision({name: embeddings[name] for name in names}, related, self.curvature_)

    def _compare(self, A, B, function=None):
        if function is not None:
            return super()._compare(A, B, function)
        E = self._energy(A, B, self.curvature_)
        return -E if is_tensor(A) else -like(E.numpy().astype(np.result_type(A, B)), A)
