"""What the displays take from estimators: where rows lie in the shared space, and checked matrices."""

from __future__ import annotations

from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from .._backend import to_numpy
from .._input import check_view, is_whole
from ..base import ARRAY_NAMES
from ..temporal._sequences import check_sequences
from ..views import Views
from ..views._rows import n_rows, one_row_per_sample


def last_step(estimator, X, method, owner):
    """The estimator at the end of a fitted Pipeline or search, and `X` as it arrives there.

    Parameters
    ----------
    estimator : estimator
        What the user passed.
    X : Views, array-like, list or None
        Data for it, if any.
    method : str
        What the last step must be able to do.
    owner : str
        The display; stands in errors.

    Raises
    ------
    NotFittedError
        For an estimator that is not fitted.
    TypeError
        For one without the method.
    """
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        head = estimator[:-1]
        X = head.transform(X) if X is not None and len(head) else X
        return last_step(estimator[-1], X, method, owner)
    if not hasattr(estimator, method):
        raise TypeError(f"{owner} needs a fitted estimator with {method}; {type(estimator).__name__} has none.")
    return estimator, X


def embeddings(estimator, X, y, owner):
    """Points of the shared space by view, from Views or two arrays."""
    aligner, X = last_step(estimator, X, "transform", owner)
    if not isinstance(X, Views) and y is None:
        raise ValueError(f"{owner} needs two views: give Views as X, or arrays as X and y.")
    Z = aligner.transform(X) if isinstance(X, Views) else aligner.transform(X, y)
    if isinstance(Z, Views):
        return dict(Z.items())
    if isinstance(Z, tuple) and len(Z) == 2:
        return dict(zip(ARRAY_NAMES, Z))
    raise TypeError(
        f"{owner} needs points of every view in the shared space, but {type(aligner).__name__}.transform gives "
        f"{type(Z).__name__}. Take the part of the pipeline that ends in the aligner, before Fuse or a classifier."
    )


def check_points(views, owner):
    """Points by view as finite matrices of one shape, in numpy; two views or more."""
    if not hasattr(views, "items"):
        raise TypeError(f"{owner} takes Views, or a mapping of names to points, not a {type(views).__name__}.")
    points = {name: check_matrix(Z, f"View {name!r}: ", owner) for name, Z in views.items()}
    if len(points) < 2:
        raise ValueError(f"{owner} compares two views or more; these have only {list(points)}.")
    if len({Z.shape for Z in points.values()}) > 1:
        shapes = {name: Z.shape for name, Z in points.items()}
        raise ValueError(f"{owner} compares the same rows in one shared space, but the views have the shapes {shapes}.")
    return points


def check_matrix(values, label, owner):
    """A finite matrix in numpy."""
    return to_numpy(check_view(values, label=label, estimator=owner))


def check_names(names, owner):
    """Two names as a tuple."""
    if isinstance(names, str) or len(names) != 2:
        raise ValueError(f"{owner}: names must be those of two sides, got {names!r}.")
    return tuple(names)


def one_of(X, sample, owner):
    """The sample at a position, as a collection of one."""
    n = n_rows(one_row_per_sample(X, "X"))
    if not is_whole(sample, 0) or sample >= n:
        raise ValueError(f"{owner}: sample must be a position from 0 to {n - 1}, got {sample!r}.")
    return _safe_indexing(X, [int(sample)])


def only_series(X, owner):
    """The one series of a collection, in the form that it came in."""
    return check_sequences(X, "", owner).given[0]
