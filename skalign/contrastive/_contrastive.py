"""Contrastive learning of one net a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sklearn.base import BaseEstimator

from .._backend import to_numpy
from .._net_aligner import NetAlignerMixin
from .._training_docs import documents_training
from .._typing import (
    ArrayLike,
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
from ._bags import BagsMixin, holds_any_bags
from ._embeddings import EmbeddingEncoder, EmbeddingMixin
from ._score import N_CANDIDATES, rank_score
from ._settings import SettingsMixin


@documents_training
class ContrastiveAligner(
    SettingsMixin, BagsMixin, EmbeddingMixin, NetAlignerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    r"""Nets trained so that every row finds its partner in the other view among many rows: CLIP and its relatives.

    One net a view maps into one space, where paired rows are pulled together and others pushed apart. For retrieval
    and zero-shot classification, and for many pairs of views that share much. On few pairs of wide views closed forms
    (`CCA` with shrinkage, `KernelCCA`) are hard to beat; ``init="cca"`` starts from there, and one wide layer with
    ``input_noise`` of 0.6 to 1 and no early stopping comes near.

    Parameters
    ----------
    n_components : int, default=64
        Width of the shared space, and of the outputs of the nets.
    loss : {"infonce", "siglip", "hinge", "vse++", "triplet", "supcon", "dcl"}, default="infonce"
        "infonce" is the symmetric cross-entropy of CLIP [1]_. "siglip" decides every pair of rows by itself [2]_, and
        depends less on the batch size. "hinge" sums max(0, margin - s\ :sup:`+` + s\ :sup:`-`) over negatives,
        "vse++" takes the hardest negative of the batch [3]_ after a first fifth of the epochs that goes over from the
        sum; "triplet" is a hinge on Euclidean distances, made for "cosine". "supcon" contrasts the rows of both views
        as one set [4]_, "dcl" leaves the positives out of the denominator [5]_. See `skalign.contrastive.losses`.
    similarity_function : {"cosine", "dot"}, default="cosine"
        How rows are compared: with "cosine" they are brought to unit length.
    temperature : float, default=0.07
        Initial temperature of "infonce", "siglip", "supcon" and "dcl", at least 0.01. Larger ones, 0.2 say, overfit
        later on few samples.
    learn_temperature : bool, default=True
        Train the temperature too; it is kept from falling below 0.01.
    bias : float or "auto", default="auto"
        Initial bias of "siglip"; it is trained. "auto" is -log(batch_size - 1), the log-odds of a pair among the
        negatives; the paper's -10 is meant for batches of tens of thousands.
    margin : float, default=0.2
        Margin of "hinge", "vse++" and "triplet", in units of the similarity (the distance for "triplet").
    label_smoothing : float, default=0.0
        Share of the target of "infonce" that is spread evenly over the batch.
    positives : {"diagonal", "groups"}, default="diagonal"
        Which rows belong together: only those paired, or all of the same group, as the captions of an image or the
        samples of a class. Groups are given to ``fit``.
    init : {"random", "cca"}, default="random"
        "cca" starts the nets at ridge CCA, its components weighted by their correlation, its shrinkage chosen on the
        held-out rows; "mlp" then has a linear path beside its layers. For few pairs of wide views.
    frozen : str or sequence of str, default=()
        Views whose encoders are not trained: 'identity', a trained torch module, or 'linear' with ``init="cca"``.
    n_candidates : int, default=100
        Number of candidates that `score`, and so early stopping, ranks among.
    bag_regularization : float, default=0.05
        Entropy of the transport plans between bags, in units of the mean cost of their elements; small ones pair
        elements one by one. Views of rows do not use it.
    {encoder}
    batch_size : int, default=256
        Largest number of rows in a batch; batches are as equal as can be. Every row of the batch is a negative of
        every other, so larger is better until memory ends; large ones are computed in chunks.
    {encode_batch_size}
    {training}

    Attributes
    ----------
    encoders_ : dict of str to EmbeddingEncoder
        By view, each a transformer of its own.
    temperature_ : float
        The temperature at the end.
    bias_ : float
        The bias of "siglip".
    shrinkage_ : float
        Chosen for ``init="cca"``.
    loss_curve_, validation_scores_ : list of float
        By epoch: the training loss, summed over pairs of views, and the score of the held-out rows.
    n_iter_, best_epoch_ : int
        Number of epochs trained, and the one whose weights were kept, from 1; 0 is the start.
    mutual_information_lower_bound_ : float
        log K - L in nats [6]_, with the InfoNCE loss L of the K held-out rows; the mean over pairs of views. NaN when
        nothing was held out, and with ``positives="groups"``, whose loss bounds nothing.
    mutual_information_ceiling_ : float
        log K, which the bound cannot exceed.
    mutual_information_saturated_ : bool
        Whether the bound is above 0.9 of its ceiling: then the views share at least that, and maybe much more.
    modality_gap_ : float
        Distance of the centres of two views on the unit sphere; like the next two of the held-out rows, if any.
    alignment_ : float
        Mean squared distance of paired rows (in bags, of elements that plans pair) on the unit sphere, lower is better.
    uniformity_ : dict of str to float
        By view, the logarithm of the mean Gaussian potential of two rows; lower is more even.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, or groups that are missing.
    FloatingPointError
        When the loss is not finite; says in which epoch, and what to try.

    Warns
    -----
    ConvergenceWarning
        When the hardest-negative loss collapsed, or training was interrupted.

    See Also
    --------
    CCA, KernelCCA : Closed forms, for few pairs.
    DeepCCA : Nets whose outputs correlate.
    RelativeAligner : Needs no training.
    ZeroShotClassifier : Classifies rows of one view by prompts of another.
    CrossModalRetriever : Keeps a gallery to search in.

    Notes
    -----
    With embeddings :math:`a_i, b_i` of unit length and temperature :math:`\tau` "infonce" is the mean over rows of

    .. math:: -\tfrac12 \log \frac{e^{a_i^T b_i / \tau}}{\sum_j e^{a_i^T b_j / \tau}}
              -\tfrac12 \log \frac{e^{a_i^T b_i / \tau}}{\sum_j e^{a_j^T b_i / \tau}}.

    Three or more views sum the loss over all pairs of views.

    **Bags.** A view may hold bags of elements instead of rows, the regions of an image or the words of its caption: a
    list of arrays of shape (m_i, d), or one array of shape (n_samples, m, d) with an encoder that is named here. The
    net sees elements, and `transform` gives bags of embeddings, which `OTAligner` pairs sample by sample. Which region
    goes with which word need not be known, only which bags belong together: two bags are as similar as their elements
    are on average under the entropic transport plan :math:`P` that pairs them best [7]_ [8]_,

    .. math:: s_{ij} = \max_P \sum_{rs} P_{rs} \, a_{ir}^T b_{js} - \varepsilon \, \mathrm{KL}(P \,|\, \text{uniform}),

    and these similarities go into the loss: "infonce", "siglip", "hinge", "vse++" or "dcl". Gradients hold the plan
    fixed, which is exact at the maximum. `score` ranks bags, by similarities without the entropy. Rows beside bags are
    bags of one element. A batch takes memory for all pairs of its elements. Steps of `PerView` do not see elements;
    prepare these beforehand.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.
    .. [2] X. Zhai et al., "Sigmoid loss for language image pre-training", ICCV 2023.
    .. [3] F. Faghri et al., "VSE++: improving visual-semantic embeddings with hard negatives", BMVC 2018.
    .. [4] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
    .. [5] C.-H. Yeh et al., "Decoupled contrastive learning", ECCV 2022.
    .. [6] A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive predictive coding", 2018.
    .. [7] A. Karpathy and L. Fei-Fei, "Deep visual-semantic alignments for generating image descriptions", CVPR 2015.
    .. [8] Y.-C. Chen et al., "UNITER: universal image-text representation learning", ECCV 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalign import ContrastiveAligner, Views
    >>> images = load_digits().images
    >>> halves = Views(left=images[:, :, :4].reshape(-1, 32), right=images[:, :, 4:].reshape(-1, 32))
    >>> aligner = ContrastiveAligner(n_components=16, max_epochs=20, random_state=0).fit(halves[:1500])
    >>> aligner.score(halves[1500:]) > 0.4
    True
    >>> aligner.transform(halves[1500:][["left"]])["left"].shape
    (297, 16)

    Bags of columns of pixels against bags of rows of pixels, and one plan for each image:

    >>> from sklearn.pipeline import make_pipeline
    >>> from skalign import OTAligner
    >>> bags = Views(columns=images[:60].transpose(0, 2, 1), rows=images[:60])
    >>> pipe = make_pipeline(ContrastiveAligner(n_components=4, max_epochs=2, random_state=0), OTAligner()).fit(bags)
    >>> len(pipe[-1].plan_), pipe[-1].plan_[0].shape
    (60, (8, 8))
    """

    _encoder_class = EmbeddingEncoder

    def __init__(
        self, n_components: int = 64, *,
        loss: Literal["infonce", "siglip", "hinge", "vse++", "triplet", "supcon", "dcl"] = "infonce",
        similarity_function: Literal["cosine", "dot"] = "cosine", temperature: float = 0.07,
        learn_temperature: bool = True, bias: float | Literal["auto"] = "auto", margin: float = 0.2,
        label_smoothing: float = 0.0, positives: Literal["diagonal", "groups"] = "diagonal",
        init: Literal["random", "cca"] = "random", frozen: str | Sequence[str] = (), n_candidates: int = N_CANDIDATES,
        bag_regularization: float = 0.05, encoder: PerViewValue[Encoder] = "mlp",
        hidden_layer_sizes: PerViewValue[tuple[int, ...]] = (256, 256), activation: PerViewValue[Metric] = "relu",
        dropout: PerViewValue[float] = 0.0, batch_norm: PerViewValue[bool] = False,
        input_noise: PerViewValue[float] = 0.3, standardize: Standardize = "view", learning_rate: float = 1e-3,
        learning_rate_schedule: Schedule = "constant", weight_decay: float = 1e-4, batch_size: int = 256,
        encode_batch_size: int | None = None, max_epochs: int = 200, early_stopping: Stopping = "auto",
        validation_fraction: float = 0.1, n_iter_no_change: int = 30, tol: float = 1e-4,
        gradient_clip: float | None = None, warm_start: bool = False, mixed_precision: Precision = False,
        device: Device = "auto", callbacks: list[Any] | None = None, checkpoint: Checkpoint = None, verbose: int = 0,
        random_state: Seed = None,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.loss = loss
        self.similarity_function = similarity_function
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.bias = bias
        self.margin = margin
        self.label_smoothing = label_smoothing
        self.positives = positives
        self.init = init
        self.frozen = frozen
        self.n_candidates = n_candidates
        self.bag_regularization = bag_regularization
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

    def fit(self, X: Rows, y: Rows | None = None, groups: ArrayLike | None = None) -> Self:
        """Train on paired views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two. Samples of other shapes need a module as `encoder`; for bags see Notes.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is the groups with ``positives="groups"``, else labels, and ignored.
        groups : array-like of shape (n_samples,), default=None
            Rows of the same group are positives of each other, with ``positives="groups"``.

        Returns
        -------
        self
        """
        groups = self._groups(X, y, groups)
        self._fit_nets(X, y, groups, max_epochs=self.max_epochs, go_on=self.warm_start)
        self._warn_if_collapsed()
        return self

    def partial_fit(self, X: Rows, y: Rows | None = None, groups: ArrayLike | None = None) -> Self:
        """Train one epoch more on these rows.

        The first call fixes the views and how they are standardised. Nothing is held out.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; beside Views it is as in ``fit``.
        groups : array-like of shape (n_samples,), default=None
            As in ``fit``.

        Returns
        -------
        self
        """
        return self._fit_nets(X, y, self._groups(X, y, groups), max_epochs=1, go_on=True, validate=False)

    @property
    def _compared_by(self):
        return self.similarity_function

    def _held_out_score(self, module, train, valid):
        return self._rank_score(module.outputs(valid), valid.groups)

    def _rank_score(self, embeddings, groups):
        groups = None if groups is None else to_numpy(groups)
        compare = self._compare if holds_any_bags(*embeddings.values()) else None
        return rank_score(embeddings, self.n_candidates, groups, self.similarity_function, compare)

    def _before_training(self, module, train, valid):
        if self.init == "cca":
            from ._cca_start import start_at_cca

            self.shrinkage_ = start_at_cca(module, train, valid, self._rank_score)

    def _finish(self, module, encoders, train, valid):
        for encoder in encoders.values():
            encoder.similarity_function_ = self.similarity_function
        scale = float(module.objective.log_scale.detach().exp())
        self.temperature_ = 1.0 / scale
        if self.loss == "siglip":
            self.bias_ = float(module.objective.bias.detach())
        Z = {name: module.objective.embed(A) for name, A in (train if valid is None else valid).items()}
        self._describe(Z, scale if valid is not None and self.positives == "diagonal" else None)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """How well rows find their partners in the other view, among `n_candidates`.

        The mean reciprocal rank of the partner (with ``positives="groups"`` and groups as `y` beside Views, of the
        first row of the group), the mean of both directions, and of all pairs of views where there are three or more.
        In expectation over random choices of `n_candidates` rows, so that folds of different size compare; fewer rows
        are all candidates.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views the groups, with ``positives="groups"``, else ignored.

        Returns
        -------
        float
            Between 0 and 1, higher is better; chance is about 0.052 among 100.
        """
        embeddings = self._embed_to_score(X, y)
        grouped = self.positives == "groups" and isinstance(X, Views) and y is not None
        return self._rank_score(embeddings, y if grouped else None)
