"""Mutual information of two views, as an estimator."""

from __future__ import annotations

from typing import Any, Literal

from sklearn.base import BaseEstimator
from sklearn.utils import Bunch, check_random_state

from .._net_aligner import group_numbers
from .._net_encoder import NetEncoder
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
from ..metrics._ranking import check_count
from ._estimation import CRITICS, EstimationMixin, RowsEncoder


@documents_training
class MutualInformation(EstimationMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Mutual information of two views in nats, by a trained critic or in closed form.

    ``fit`` trains a critic, a net for each view whose outputs score how much likelier two rows are as a pair than by
    chance; ``score`` estimates the mutual information on rows that were held out. Critics see any dependence in views
    of any width. Most of them give lower bounds, and need many rows: from n of them no method can promise much more
    than log n nats. For views that are Gaussian "gaussian" is far more exact, and needs no training.

    Parameters
    ----------
    method : {"infonce", "nwj", "dv", "smile", "js", "gaussian", "ksg"}, default="infonce"
        =========== ============================================== =========== =========
        name        estimate                                       lower bound ceiling
        =========== ============================================== =========== =========
        "infonce"   log K - L, with the loss L of finding the      yes         log K
                    partner among K rows
        "nwj"       E[f] - E'[exp(f - 1)]                          yes         none
        "dv"        E[f] - log E'[exp f], as MINE                  as K grows  none
        "smile"     "dv" with f cut off in E' at `clip`            no          none
        "js"        E[f] - E'[exp f] + 1 of a critic that is       yes         none
                    trained to tell pairs from others,
                    f scaled and shifted on held-out rows
        "gaussian"  -1/2 sum log(1 - rho^2) over canonical         no          none
                    correlations, without bias
        "ksg"       from nearest neighbours                        no          none
        =========== ============================================== =========== =========

        E is the mean over pairs, E' over all other pairs of rows, K is the number of rows in ``score``. "infonce" is
        the one that varies least. "dv", a bound for infinitely many rows, takes the logarithm of a mean over a finite
        number, which is too low on average. "smile" is trained as "js". "ksg" is for few columns, 5 at most.
        The papers: "infonce" [1]_, "nwj" [2]_, "dv" [3]_, "smile" [4]_, "js" [5]_, "ksg" [6]_.
    n_components : int, default=64
        Outputs of the nets; the critic is their inner product.
    clip : float, default=5.0
        Of "smile".
    n_neighbors : int, default=3
        Of "ksg".
    {encoder}
    batch_size : int, default=512
        Largest number of rows in a batch; batches are as equal as can be. All pairs of rows of a batch are scored.
    {training}

    Attributes
    ----------
    mutual_information_ : float
        The estimate in nats on the rows that were held out in training; of "gaussian" and "ksg" on all rows, and NaN
        where nothing was held out.
    is_lower_bound_ : bool
        Whether the method gives, on average over held-out rows, no more than the truth.
    ceiling_ : float
        What `mutual_information_` cannot exceed; infinite for most methods.
    saturated_ : bool
        Whether `mutual_information_` is above 0.9 of its ceiling: then the views share at least that, and maybe much
        more.
    encoders_ : dict of str to NetEncoder
        By view. The inner product of two rows of their outputs is the score of the critic; it grows with
        log p(x, y) / p(x) p(y), and `similarity` gives it for all pairs.
    loss_curve_, validation_scores_ : list of float
        By epoch: the training loss, and the bound on the held-out rows that chooses the epoch.
    n_iter_, best_epoch_ : int
        Number of epochs trained, and the one whose weights were kept, from 1; 0 is the start.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, three views, and too few rows for the method.
    FloatingPointError
        When the loss is not finite; says in which epoch, and what to try.

    Warns
    -----
    UserWarning
        For "ksg" beyond 5 columns.

    See Also
    --------
    mutual_information : Splits the rows by itself.
    conditional_mutual_information : What is left when a discrete variable is known.

    Notes
    -----
    The critic is :math:`f(x, y) = g(x)^\top h(y)`: with enough outputs it comes near any function, and all
    :math:`K^2` pairs cost K passes through the nets. The epoch is chosen by a bound on the held-out rows, that of the
    method or, for "smile" and "js", of the Jensen-Shannon divergence: SMILE's own estimate has no upper limit, and
    the epoch where it is largest overshoots.

    With groups all scores are of pairs of the same group, and the estimate is that of I(X; Y | groups).

    References
    ----------
    .. [1] A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive predictive coding", 2018.
    .. [2] X. Nguyen, M. J. Wainwright and M. I. Jordan, "Estimating divergence functionals and the likelihood ratio by
       convex risk minimization", IEEE Transactions on Information Theory 56(11), 2010.
    .. [3] M. I. Belghazi et al., "Mutual information neural estimation", ICML 2018.
    .. [4] J. Song and S. Ermon, "Understanding the limitations of variational mutual information estimators",
       ICLR 2020.
    .. [5] B. Poole et al., "On variational bounds of mutual information", ICML 2019.
    .. [6] A. Kraskov, H. Stögbauer and P. Grassberger, "Estimating mutual information", Physical Review E 69, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.information import MutualInformation
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(4000, 2))
    >>> Y = np.abs(X) + 0.5 * rng.normal(size=(4000, 2))
    >>> for method in ("gaussian", "ksg", "infonce"):
    ...     estimator = MutualInformation(method, max_epochs=10, random_state=0).fit(X[:2000], Y[:2000])
    ...     print(f"{method} finds {max(estimator.score(X[2000:], Y[2000:]), 0):.1f} nats")
    gaussian finds 0.0 nats
    ksg finds 0.8 nats
    infonce finds 0.8 nats
    """

    def __init__(
        self,
        method: Literal["infonce", "nwj", "dv", "smile", "js", "gaussian", "ksg"] = "infonce",
        *,
        n_components: int = 64,
        clip: float = 5.0,
        n_neighbors: int = 3,
        encoder: PerViewValue[Encoder] = "mlp",
        hidden_layer_sizes: PerViewValue[tuple[int, ...]] = (256, 256),
        activation: PerViewValue[Metric] = "relu",
        dropout: PerViewValue[float] = 0.0,
        batch_norm: PerViewValue[bool] = False,
        input_noise: PerViewValue[float] = 0.0,
        standardize: Standardize = "view",
        learning_rate: float = 1e-3,
        learning_rate_schedule: Schedule = "constant",
        weight_decay: float = 1e-4,
        batch_size: int = 512,
        max_epochs: int = 200,
        early_stopping: Stopping = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
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
        self.method = method
        self.n_components = n_components
        self.clip = clip
        self.n_neighbors = n_neighbors
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

    _compared_by = "dot"
    _encoder_class: Any = NetEncoder

    def fit(self, X: Rows, y: Rows | None = None, groups: ArrayLike | None = None) -> Self:
        """Train the critic on paired rows of two views; "gaussian" and "ksg" have nothing to train.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two paired views, or the first of them.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is labels, and ignored.
        groups : array-like of shape (n_samples,), default=None
            A discrete variable to condition on.

        Returns
        -------
        self
        """
        self._check_method()
        if self.method in CRITICS:
            self._fit_nets(X, y, groups, max_epochs=self.max_epochs, go_on=self.warm_start)
        else:
            tables, encoders = self._open_tables(X, y, RowsEncoder)
            self._check_two(list(encoders))
            n_rows = next(iter(tables.values())).shape[0]
            for name, table in tables.items():
                encoders[name].n_components_ = table.shape[1]
                if bool((table[1:] == table[:1]).all()):
                    raise ValueError(f"View {name!r} is constant: it has no information about anything.")
            self._keep([self._as_taken(table) for table in tables.values()], group_numbers(groups, n_rows))
            self.encoders_ = encoders
        self.conditional_ = groups is not None
        return self

    def estimate(
        self,
        X: Rows,
        y: Rows | None = None,
        *,
        groups: ArrayLike | None = None,
        n_permutations: int = 0,
        random_state: Seed = None,
    ) -> Bunch:
        """The mutual information of these rows, and what the estimate is worth.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two paired views, or the first of them; rows that the critic was not trained on.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; ignored beside Views.
        groups : array-like of shape (n_samples,), default=None
            The discrete variable to condition on, needed after a fit with one.
        n_permutations : int, default=0
            Permutations of the rows of one view (within groups) to test independence with.
        random_state : {None, int, RandomState}, default=None
            Of the permutations.

        Returns
        -------
        Bunch
            - mutual_information : float, in nats
            - is_lower_bound : bool
            - ceiling : float, what the estimate cannot exceed
            - saturated : bool, whether it is above 0.9 of that
            - pvalue : float, of independence given the groups; None without permutations
            - n_samples : int

        Raises
        ------
        ValueError
            For groups after a fit without them, and the other way about.
        """
        embedded = self._embed_to_score(X, y)
        if self.conditional_ != (groups is not None):
            fitted, given = ("with", "without") if self.conditional_ else ("without", "with")
            raise ValueError(f"The fit was {fitted} groups, and this call is {given} them.")
        if set(embedded) != set(self.encoders_):
            raise ValueError(f"Both views {list(self.encoders_)} are needed, these are {list(embedded)}.")
        A, B = (self._as_taken(embedded[name]) for name in self.encoders_)
        groups = group_numbers(groups, len(A))
        found = self._in_groups(A, B, groups)
        pvalue = None
        if n_permutations:
            check_count("n_permutations", n_permutations)
            pvalue = self._pvalue(A, B, groups, n_permutations, check_random_state(random_state))
        return Bunch(**found, pvalue=pvalue, n_samples=len(A))

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """The estimate in nats on these rows; higher is better where the method gives a lower bound.

        Then settings that score higher have the better critic. "infonce" is limited by the logarithm of the number of
        rows: compare it on folds of one size. "smile" and "dv" may be high because they are wrong.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two paired views, or the first of them; rows that the critic was not trained on.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; ignored beside Views.

        Returns
        -------
        float
        """
        return self.estimate(X, y).mutual_information
