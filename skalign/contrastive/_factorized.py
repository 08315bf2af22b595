"""Contrastive learning that keeps what is shared apart from what is unique."""

from __future__ import annotations

from sklearn.base import BaseEstimator

from .._net_aligner import NetAlignerMixin
from .._training_docs import documents_training
from ._factorized_encoder import FactorizedEncoder
from ._factorized_training import FactorizedTrainingMixin


@documents_training
class FactorizedContrastiveAligner(FactorizedTrainingMixin, NetAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Factorised contrastive learning: one block of what views share, and one of what only this view knows.

    Contrastive learning keeps what the partner can tell, and drops the rest. Where a label depends on something that
    one view alone shows, that is a loss: here a unique block keeps it. Where views are redundant (each half of a
    digit shows most of it) it adds nothing, and `ContrastiveAligner` is simpler. Where labels alone are wanted, try a
    classifier of the columns of all views beside it: that loses nothing that is unique either.

    Parameters
    ----------
    n_shared : int, default=8
        Width of the shared block. Not much more than what is shared needs: what is left over is projected out.
    n_unique : int, default=8
        Width of the unique block of every view.
    blocks : {"both", "shared", "unique"}, default="both"
        Which blocks `transform` gives, the shared one first. `similarity` and `score` always use shared ones.
    supervised : bool, default=False
        Let labels, given as ``fit(views, y)``, say what the information in unique blocks should be about. Otherwise it
        is what survives `augmentations`.
    augmentations : callable, mapping of view to callable, or ByView, default=None
        Without labels: changes a tensor of standardised rows of a view into one of the same shape that means the same,
        with torch's random numbers if it needs some. None adds `input_noise` alone.
    upper_weight : float, default=0.01
        Weight of the terms that are taken off, see Notes. Large ones also press out of the shared block what labels do
        not tell.
    decorrelation : float, default=1.0
        Weight of the squared correlations of the unique block with the shared one.
    {encoder}
    batch_size : int, default=256
        Largest number of rows in a batch. Terms within a label need some rows of each label in it.
    {training}

    Attributes
    ----------
    encoders_ : dict of str to FactorizedEncoder
        By view, each a transformer of its own.
    contributions_ : dict
        In nats: ``"shared"`` is S, ``"unique"`` holds the U of every view by name. See Notes. Estimated when it is
        first asked for, which can take longer than a small fit.
    classes_ : ndarray of shape (n_classes,)
        The labels, where they supervise.
    loss_curve_, validation_scores_ : list of float
        By epoch: the training loss, and the lower bounds on the held-out rows that choose the epoch.
    n_iter_, best_epoch_ : int
        Number of epochs trained, and the one whose weights were kept, from 1; 0 is the start.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, labels that are missing or all the same, an augmentation that
        changes the shape, and parameters out of range.
    FloatingPointError
        When the loss is not finite; says in which epoch, and what to try.

    See Also
    --------
    ContrastiveAligner : Keeps what is shared alone.

    Notes
    -----
    With labels y the two quantities are

    .. math:: S = I(X_1; X_2) - I(X_1; X_2 | y), \qquad U_1 = I(X_1; y) - I(X_1; X_2) + I(X_1; X_2 | y).

    Shared blocks maximise a lower bound of the first term of S, InfoNCE, and minimise an upper one of the second, CLUB
    [2]_, with `upper_weight`. Unique blocks maximise a lower bound of the first term of U, the log-likelihood of a
    classifier, which sees the shared block too so that the unique one need not repeat it; and with `upper_weight` they
    minimise CLUB of the second term less InfoNCE of the third. Both have the one weight because only their difference
    is 0 for what labels do not tell: with a larger weight, the third fills unique blocks with that. Terms given y
    compare a row with rows of the same label alone; with the whole batch they would be unconditional ones. The critics
    of the upper bounds have an optimizer of their own.

    These losses do not separate the blocks by themselves. Correlations between the blocks are penalised (without labels
    mostly the unique one gives way). After training the shared block is projected on the directions that the other
    views' shared blocks tell, by canonical correlations: where the square is less than half the largest, a direction
    goes, which costs the critics next to nothing where it is short, so that training does not end it. Then the shared
    block has a lower rank than `n_shared`, and has lost what is shared weakly beside something strong. What is left of
    a linear dependence is taken from the unique block. Dependence that is not linear is left to CLUB. CLUB of two views
    that determine each other is infinite: larger weights than the default erode what is shared, also where labels do
    tell it.

    Without labels the condition is the original row, given which its augmented copies are independent across views.
    The conditional terms are then exactly 0 and are left out, and the copies :math:`X'` stand in for labels:
    :math:`S = I(X_1'; X_2')` and :math:`U_1 = I(X_1'; X_1'') - I(X_1'; X_2')`.

    ``contributions_`` are estimated from the outputs of the nets by critics that learn on the training rows, 5000 at
    most, and are read on the held-out ones (on the same, where none were held out, which is too high). With labels
    these are classifiers, by the chain rule :math:`S = I(X_1; y) + I(X_2; y) - I(X_1, X_2; y)`, which is negative where
    only both views together tell the label, and :math:`U_1 = I(X_1; y) - S`. Without labels they are InfoNCE bounds,
    none of which exceeds the logarithm of the number of rows compared, 2000 at most. Three or more views give means
    over pairs of views.

    References
    ----------
    .. [1] P. P. Liang et al., "Factorized contrastive learning: going beyond multi-view redundancy", NeurIPS 2023.
    .. [2] P. Cheng et al., "CLUB: a contrastive log-ratio upper bound of mutual information", ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import Views
    >>> from skalign.contrastive import FactorizedContrastiveAligner
    >>> rng = np.random.default_rng(0)
    >>> shared, own = rng.normal(size=(2, 1000, 1))
    >>> views = Views(image=np.hstack([shared, own]), sound=np.hstack([shared, rng.normal(size=(1000, 1))]))
    >>> aligner = FactorizedContrastiveAligner(1, 1, max_epochs=20, random_state=0).fit(views)
    >>> Z = aligner.transform(views)["image"]
    >>> bool(abs(np.corrcoef(Z[:, 0], shared[:, 0])[0, 1]) > 0.9), bool(abs(np.corrcoef(Z.T)[0, 1]) < 0.1)
    (True, True)
    >>> aligner.get_feature_names_out().tolist()
    ['image__shared0', 'image__unique0', 'sound__shared0', 'sound__unique0']
    """

    _encoder_class = FactorizedEncoder

    def __init__(
        self,
        n_shared=8,
        n_unique=8,
        *,
        blocks="both",
        supervised=False,
        augmentations=None,
        upper_weight=0.01,
        decorrelation=1.0,
        encoder="mlp",
        hidden_layer_sizes=(256, 256),
        activation="relu",
        dropout=0.0,
        batch_norm=False,
        input_noise=0.3,
        standardize="view",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        weight_decay=1e-4,
        batch_size=256,
        max_epochs=200,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=30,
        tol=1e-4,
        gradient_clip=None,
        warm_start=False,
        mixed_precision=False,
        device="auto",
        callbacks=None,
        checkpoint=None,
        verbose=0,
        random_state=None,
    ):
        self.n_shared = n_shared
        self.n_unique = n_unique
        self.blocks = blocks
        self.supervised = supervised
        self.augmentations = augmentations
        self.upper_weight = upper_weight
        self.decorrelation = decorrelation
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

    def fit(self, X, y=None):
        """Train on paired views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two. Samples of other shapes need a module as `encoder`.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is the labels with ``supervised=True``, one for every row (-1 is a label
            like others), else ignored.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, self._labels(X, y), max_epochs=self.max_epochs, go_on=self.warm_start)

    def partial_fit(self, X, y=None):
        """Train one epoch more on these rows.

        The first call fixes the views, how they are standardised, and the labels, which all have to be there in every
        call. Nothing is held out. What parts the blocks after the training is computed anew from the rows of the call:
        there should be many more than `n_shared`.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; beside Views it is as in ``fit``.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, self._labels(X, y), max_epochs=1, go_on=True, validate=False)

    def score(self, X, y=None):
        """How well rows find their partners in the other view, by their shared blocks.

        The mean reciprocal rank of the partner among 100 candidates, the mean of both directions, and of all pairs of
        views where there are three or more. Unique blocks do not count: what they are worth shows in the classifier
        that follows.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; ignored beside Views.

        Returns
        -------
        float
            Between 0 and 1, higher is better; chance is about 0.052.
        """
        return self._rank_score(X, y)
