"""Mutual information in one call: rows are split, a critic is trained on some and judged on the others."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state

from .._backend import to_numpy
from .._input import as_view, check_view
from .._net_aligner import group_numbers
from .._typing import ArrayLike, Score, Seed
from ..views import Views
from ._estimation import CRITICS
from ._mutual_information import MutualInformation
from ._nearest import standardized


def mutual_information(
    X: ArrayLike, Y: ArrayLike, method: Literal["infonce", "nwj", "dv", "smile", "js", "gaussian", "ksg"] = "infonce",
    *, test_size: float = 0.5, n_permutations: int = 0, random_state: Seed = None, return_details: bool = False,
    **options: Any,
) -> Score:  # fmt: skip
    """Mutual information of two views in nats.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, p) and (n_samples, q)
        Row i of both is one sample. One dimension is one column.
    method : {"infonce", "nwj", "dv", "smile", "js", "gaussian", "ksg"}, default="infonce"
        See `MutualInformation`. For views that are Gaussian take "gaussian", for few columns "ksg".
    test_size : float, default=0.5
        Share of the rows that the critic is not trained on and that the estimate is from; "gaussian" and "ksg", which
        train nothing, use all rows.
    n_permutations : int, default=0
        Permutations to test independence with.
    random_state : {None, int, RandomState}, default=None
        Of the split, the training and the permutations.
    return_details : bool, default=False
        Return the Bunch of `MutualInformation.estimate`.
    **options
        Parameters of `MutualInformation`.

    Returns
    -------
    float, or Bunch with
        mutual_information, is_lower_bound, ceiling, saturated, pvalue, n_samples.

    Raises
    ------
    ValueError
        For what `MutualInformation` refuses, and a share outside (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.information import mutual_information
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(5000, 3))
    >>> Y = X + rng.normal(size=(5000, 3))
    >>> print(f"{mutual_information(X, Y, 'gaussian'):.2f} of {1.5 * np.log(2):.2f} nats")
    1.02 of 1.04 nats
    """
    return _in_one_call(X, Y, None, method, test_size, n_permutations, random_state, return_details, options)


def conditional_mutual_information(
    X: ArrayLike, Y: ArrayLike, condition: ArrayLike,
    method: Literal["infonce", "nwj", "dv", "smile", "js", "gaussian", "ksg"] = "infonce", *, test_size: float = 0.5,
    n_permutations: int = 0, random_state: Seed = None, return_details: bool = False, **options: Any,
) -> Score:  # fmt: skip
    r"""What two views have in common beyond a discrete variable: I(X; Y | Z) in nats.

    The mean over the values of Z of the mutual information among the rows of that value. Critics see Z beside both
    views, are trained on all rows together, and have their negatives within the same value only: with negatives from
    all rows Z itself would count as shared.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, p) and (n_samples, q)
        Row i of both is one sample. One dimension is one column.
    condition : array-like of shape (n_samples,)
        The values of Z: numbers or strings. Rows that are alone with theirs are left out.
    method, test_size, n_permutations, random_state, return_details
        As for `mutual_information`. Permutations stay within the same value.
    **options
        Parameters of `MutualInformation`.

    Returns
    -------
    float, or Bunch
        As for `mutual_information`. The ceiling of "infonce" is the mean of the logarithms of the numbers of rows that
        have the same value.

    Raises
    ------
    ValueError
        For what `MutualInformation` refuses, a condition that is None, of another length or with missing values, and
        where every row is alone with its value.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.information import conditional_mutual_information, mutual_information
    >>> rng = np.random.default_rng(0)
    >>> label = rng.integers(2, size=4000)
    >>> X, Y = label[:, None] + 0.5 * rng.normal(size=(2, 4000, 2))
    >>> mutual_information(X, Y, "gaussian") > 0.25
    True
    >>> abs(conditional_mutual_information(X, Y, label, "gaussian")) < 0.01
    True
    """
    if condition is None:
        raise ValueError("condition is None: for what two views share as such take `mutual_information`.")
    return _in_one_call(X, Y, condition, method, test_size, n_permutations, random_state, return_details, options)


def _in_one_call(X, Y, condition, method, test_size, n_permutations, random_state, return_details, options):
    if not isinstance(test_size, Real) or not 0 < test_size < 1:
        raise ValueError(f"test_size must be a share in (0, 1), got {test_size!r}.")
    rng = check_random_state(random_state)
    views = Views(  # checked before the split, which would show a part of what is wrong, or show it after the training
        {name: check_view(as_view(Z), label=f"View {name!r}: ") for name, Z in (("x", X), ("y", Y))}
    )
    groups = group_numbers(condition, len(views))
    estimator = MutualInformation(method, random_state=rng.randint(2**31 - 1), **options)
    train = test = np.arange(len(views))
    if method in CRITICS:
        if len(views) < 4:
            raise ValueError(f"{len(views)} rows are too few: 2 are needed to train on, and 2 others to judge by.")
        n_test = min(max(round(float(test_size) * len(views)), 2), len(views) - 2)
        test, train = np.split(rng.permutation(len(views)), [n_test])
        if groups is not None:
            views = Views({name: _beside(view, groups) for name, view in views.items()})
    of = (lambda rows: None) if groups is None else (lambda rows: groups[rows])
    estimator.fit(views[train], groups=of(train))
    found = estimator.estimate(
        views[test], groups=of(test), n_permutations=n_permutations, random_state=rng.randint(2**31 - 1)
    )
    return found if return_details else found.mutual_information


def _beside(X, groups):
    """Standardised columns of a view, and the group as columns of 0 and 1 beside them."""
    return np.hstack([standardized(to_numpy(X)), np.eye(groups.max() + 1)[groups]])
