"""How much of what two views share is about a label, from data."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import column_or_1d

from .._backend import to_numpy
from .._input import as_view, check_view, is_whole
from .._typing import ArrayLike, Seed
from ..metrics._ranking import _check_groups, check_count
from ._decomposition import partial_information_decomposition, table_information
from ._functions import conditional_mutual_information, mutual_information


def multiview_redundancy(
    X1: ArrayLike, X2: ArrayLike, y: ArrayLike, *, classifier: Any = None, n_bins: int | None = None, cv: Any = 5,
    method: str = "infonce", n_permutations: int = 200, alpha: float = 0.05, random_state: Seed = None,
    **options: Any,
) -> Bunch:  # fmt: skip
    r"""How much two views and a label share: what both views say of it, what one alone says, what only both together.

    Contrastive learning keeps what views share. That is all a classifier needs where the views are redundant, and too
    little where one view alone, or only both together, tell the label.

    Parameters
    ----------
    X1, X2 : array-like of shape (n_samples, p) and (n_samples, q)
        Row i of both is one sample. One dimension is one column.
    y : array-like of shape (n_samples,)
        Labels, two different ones at least.
    classifier : classifier, default=None
        What predicts y from X1, from X2 and from both side by side, with ``predict_proba``. None is
        `HistGradientBoostingClassifier`.
    n_bins : int, default=None
        Into how many bins the predicted probabilities of each classifier are put; no information is then above
        log n_bins. None is 8, or twice the number of labels if that is more. Fine bins lose nothing; with n rows they
        feign about (n_bins - 1) (n_labels - 1) / 2n nats.
    cv : int, default=5
        Folds: every row is predicted by classifiers that have not seen it.
    method : str, default="infonce"
        Of `mutual_information`, for I(X1; X2) and I(X1; X2 | y).
    n_permutations : int, default=200
        Permutations within labels for the test of I(X1; X2 | y) = 0.
    alpha : float, default=0.05
        Level of that test.
    random_state : {None, int, RandomState}, default=None
        Of folds, bins, critics and permutations.
    **options
        Parameters of `MutualInformation`.

    Returns
    -------
    Bunch
        - redundancy, unique1, unique2, synergy : float, the split of I(X1, X2; y) in nats
        - information1, information2, information : float, I(X1; y), I(X2; y) and I(X1, X2; y)
        - label_entropy : float, the most that these can be
        - between : float, I(X1; X2)
        - between_given_label : float, I(X1; X2 | y)
        - pvalue : float, of I(X1; X2 | y) = 0
        - tenable : bool, whether that assumption is: the p-value is above alpha, which for few rows says little

    Raises
    ------
    ValueError
        For NaN or infinity, missing labels, unequal lengths, one label only, and labels on fewer rows than there are
        folds.

    See Also
    --------
    partial_information_decomposition : The same for a joint table of discrete variables.

    Notes
    -----
    The unique information of [1]_ depends on the distributions of :math:`(X_1, y)` and :math:`(X_2, y)` alone, and the
    predicted probabilities of a good classifier keep all that a view says of y. So these are put into bins by k-means,
    and the tables of bins and labels decomposed. Synergy is what a classifier of both views knows beyond that, no less
    than 0. All of it is limited by the classifiers: what they do not learn is not there. A split of this kind by bins
    of the features themselves is in [2]_.

    References
    ----------
    .. [1] N. Bertschinger, J. Rauh, E. Olbrich, J. Jost, N. Ay, "Quantifying unique information", Entropy 16, 2014.
    .. [2] P. P. Liang et al., "Quantifying and modeling multimodal interactions: an information decomposition
       framework", NeurIPS 2023.

    Examples
    --------
    Both views know one bit of the label, and the first view another bit:

    >>> import numpy as np
    >>> from skalign.information import multiview_redundancy
    >>> rng = np.random.default_rng(0)
    >>> shared, unique = rng.integers(2, size=(2, 2000))
    >>> X1 = np.column_stack([shared, unique]) + 0.1 * rng.normal(size=(2000, 2))
    >>> X2 = shared[:, None] + 0.1 * rng.normal(size=(2000, 2))
    >>> found = multiview_redundancy(X1, X2, 2 * shared + unique, method="gaussian", random_state=0)
    >>> print(", ".join(f"{found[part] / np.log(2):.1f}" for part in ("redundancy", "unique1", "unique2", "synergy")))
    1.0, 1.0, 0.0, 0.0
    """
    if n_bins is not None:
        check_count("n_bins", n_bins)
    check_count("n_permutations", n_permutations)
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha must be a share in (0, 1), got {alpha!r}.")
    if not is_whole(cv, 2):
        raise ValueError(f"cv must be a whole number of at least 2, got {cv!r}.")
    X1, X2 = (to_numpy(check_view(as_view(X), label=f"{name}: ")) for X, name in ((X1, "X1"), (X2, "X2")))
    y = column_or_1d(y)
    labels, y = np.unique(_check_groups(y, "y", len(y)), return_inverse=True)
    if not len(X1) == len(X2) == len(y):
        raise ValueError(f"Row i of all is one sample, but X1 has {len(X1)} rows, X2 {len(X2)} and y {len(y)}.")
    if len(labels) < 2:
        raise ValueError(f"y holds only the label {labels.tolist()[0]!r}: nothing can be said about it.")
    if np.bincount(y).min() < cv:
        raise ValueError(
            f"Every label needs cv={cv} rows, but {labels.tolist()[np.bincount(y).argmin()]!r} has fewer. A y that is "
            "continuous has to be put into bins first."
        )
    n_bins = max(8, 2 * len(labels)) if n_bins is None else n_bins
    rng = check_random_state(random_state)
    seed = rng.randint(2**31 - 1)
    classifier = HistGradientBoostingClassifier(random_state=seed) if classifier is None else classifier
    folds = StratifiedKFold(cv, shuffle=True, random_state=seed)
    tables = [_joint_table(X, y, classifier, folds, n_bins, seed) for X in (X1, X2, np.hstack([X1, X2]))]
    shares = np.bincount(y) / len(y)
    first, second, both = tables
    # One of the tables with these two marginals: which one does not matter to what is shared and unique.
    split = partial_information_decomposition(first[:, None, :] * second[None, :, :] / shares)
    synergy = max(0.0, table_information(both) - split.redundancy - split.unique1 - split.unique2)
    conditional = conditional_mutual_information(
        X1, X2, y, method, n_permutations=n_permutations, random_state=seed, return_details=True, **options
    )
    return Bunch(
        redundancy=split.redundancy,
        unique1=split.unique1,
        unique2=split.unique2,
        synergy=synergy,
        information1=split.information1,
        information2=split.information2,
        information=split.redundancy + split.unique1 + split.unique2 + synergy,
        label_entropy=float(-(shares * np.log(shares)).sum()),
        between=mutual_information(X1, X2, method, random_state=seed, **options),
        between_given_label=conditional.mutual_information,
        pvalue=conditional.pvalue,
        tenable=bool(conditional.pvalue > alpha),
    )


def _joint_table(X, y, classifier, folds, n_bins, seed):
    """Probabilities of bins of predicted probabilities, and labels; shape (n_bins, n_labels)."""
    predicted = cross_val_predict(clone(classifier), X, y, cv=folds, method="predict_proba")
    n_bins = min(n_bins, len(np.unique(predicted.round(9), axis=0)))
    bins = KMeans(n_bins, n_init=4, random_state=seed).fit_predict(predicted)
    table = np.zeros((n_bins, y.max() + 1))
    np.add.at(table, (bins, y), 1.0 / len(y))
    return table
