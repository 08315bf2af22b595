"""Discrete elements of two modalities that meet more often than by chance."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from scipy.stats import hypergeom
from sklearn.utils import Bunch, check_array

from ..._backend import is_tensor, to_numpy
from ..._typing import ArrayLike
from .._ranking import check_count

_CORRECTIONS = ("bh", "by")


def cooccurrence(
    X: ArrayLike, Y: ArrayLike, *, min_count: int = 1, alpha: float = 0.05, correction: Literal["bh", "by"] = "bh"
) -> Bunch:
    """Which elements of one modality go with which of another: words with kinds of pictures, genes with diseases.

    A sample holds some elements of each modality; how often it holds one does not count.

    Parameters
    ----------
    X, Y : sequences of n_samples collections, or {array, sparse matrix} of shape (n_samples, n_elements)
        What every sample holds of each modality: a list or set of elements, say of words; a single string or number is
        one element, so that a vector of labels will do. Or a table where element j is in sample i unless entry (i, j)
        is 0; its elements are called 0, 1, ...
    min_count : int, default=1
        Elements in fewer samples are left out, and take no part in the false-discovery control.
    alpha, correction
        As for `cooccurrence_from_counts`.

    Returns
    -------
    Bunch
        As that of `cooccurrence_from_counts`, and

        - x_names, y_names : ndarrays of the elements of rows and columns, sorted

    Raises
    ------
    ValueError
        For unequal numbers of samples, NaN or infinity, a single string in place of samples, a table of strings, and
        where no element is in `min_count` samples.

    See Also
    --------
    top_pairs : The strongest pairs by name.

    Examples
    --------
    >>> from skalign.metrics.association import cooccurrence, top_pairs
    >>> sounds = ["bark", "bark", "meow", "bark", "meow", "meow"] * 5
    >>> captions = ["a dog", "the dog", "a cat", "a dog", "the cat", "a cat"] * 5
    >>> found = cooccurrence(sounds, [caption.split() for caption in captions])
    >>> top_pairs(found, 2)
    [('bark', 'dog'), ('meow', 'cat')]
    >>> found.significant.tolist()  # columns are a, cat, dog, the
    [[False, False, True, False], [False, True, False, False]]
    """
    min_count = check_count("min_count", min_count)
    (x, x_names), (y, y_names) = (_incidence(Z, name, min_count) for Z, name in ((X, "X"), (Y, "Y")))
    if x.shape[0] != y.shape[0]:
        raise ValueError(f"Row i of X and of Y must be one sample, but X has {x.shape[0]} rows and Y {y.shape[0]}.")
    joint = (x.T @ y).toarray()
    x_counts, y_counts = (np.asarray(z.sum(axis=0)).ravel() for z in (x, y))
    found = cooccurrence_from_counts(joint, x_counts, y_counts, x.shape[0], alpha=alpha, correction=correction)
    return Bunch(**found, x_names=x_names, y_names=y_names)


def cooccurrence_from_counts(
    joint: ArrayLike,
    x_counts: ArrayLike,
    y_counts: ArrayLike,
    n_samples: int,
    *,
    alpha: float = 0.05,
    correction: Literal["bh", "by"] = "bh",
) -> Bunch:
    r"""Association of every pair of elements from how often they are in a sample, alone and together.

    Parameters
    ----------
    joint : array-like of shape (n_x, n_y)
        In how many samples both are.
    x_counts, y_counts : array-like of shape (n_x,) and (n_y,)
        In how many samples each is.
    n_samples : int
        Number of samples.
    alpha : float, default=0.05
        Share of false pairs that is allowed among those called significant.
    correction : {"bh", "by"}, default="bh"
        False-discovery control of Benjamini and Hochberg [3]_, right for pairs that depend on each other as these
        mostly do, or of Benjamini and Yekutieli, right whatever they do, and much stricter.

    Returns
    -------
    Bunch of ndarrays of shape (n_x, n_y)
        - counts : int, those given
        - expected : float, what independent elements would have
        - pmi : float, pointwise mutual information :math:`\log p(x, y) / p(x) p(y)` in nats; minus infinity for pairs
          that never meet
        - npmi : float, that divided by :math:`-\log p(x, y)` [1]_: -1 never together, 0 independent, 1 always
        - log_likelihood_ratio : float, G² of the 2 x 2 table [2]_, which unlike PMI is not large for every pair of
          rare elements; negative where they meet less often than expected
        - pvalue : float, the probability to meet at least as often by chance, by Fisher's exact test
        - qvalue : float, the least alpha at which a pair is significant
        - significant : bool

    Raises
    ------
    ValueError
        For counts that no samples can have, and an alpha outside (0, 1).

    References
    ----------
    .. [1] G. Bouma, "Normalized (pointwise) mutual information in collocation extraction", GSCL 2009.
    .. [2] T. Dunning, "Accurate methods for the statistics of surprise and coincidence", Computational Linguistics
       19(1), 1993.
    .. [3] Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal Statistical Society B
       57, 1995.

    Examples
    --------
    >>> from skalign.metrics.association import cooccurrence_from_counts
    >>> found = cooccurrence_from_counts([[8, 1]], [10], [10, 40], 100)
    >>> found.pmi.round(2).tolist(), found.significant.tolist()
    ([[2.08, -1.39]], [[True, False]])
    """
    if correction not in _CORRECTIONS:
        raise ValueError(f"correction must be one of {_CORRECTIONS}, got {correction!r}.")
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha must be a share in (0, 1), got {alpha!r}.")
    n = check_count("n_samples", n_samples)
    joint, x_counts, y_counts = _checked_counts(joint, x_counts, y_counts, n)
    x, y = x_counts[:, None], y_counts[None, :]
    expected = x * y / n
    with np.errstate(divide="ignore"):
        pmi = np.log(np.where(expected > 0, joint / np.where(expected > 0, expected, 1.0), 1.0))
        surprise = -np.log(joint / n)
    together = np.isfinite(surprise)
    # Two elements that are in all samples tell nothing of each other.
    everywhere = surprise == 0
    npmi = np.where(together & ~everywhere, pmi / np.where(together & ~everywhere, surprise, 1.0), 0.0)
    npmi = np.where(~together & (expected > 0), -1.0, npmi)
    cells = [(joint, expected), (x - joint, x - expected), (y - joint, y - expected)]
    cells.append((n - x - y + joint, n - x - y + expected))
    ratio = 2.0 * sum(_times_log_ratio(observed, mean) for observed, mean in cells)
    pvalue = np.ones(joint.shape)
    i, j = np.nonzero(joint)  # a pair meets at least 0 times for sure
    pvalue[i, j] = hypergeom.sf(joint[i, j] - 1, n, x_counts[i], y_counts[j])
    qvalue = _adjusted(pvalue.ravel(), correction).reshape(joint.shape)
    return Bunch(
        counts=joint,
        expected=expected,
        pmi=pmi,
        npmi=npmi,
        log_likelihood_ratio=np.where(joint < expected, -1.0, 1.0) * np.maximum(ratio, 0.0),
        pvalue=pvalue,
        qvalue=qvalue,
        significant=qvalue <= alpha,
    )


def top_pairs(
    found: Bunch, n_pairs: int = 10, by: Literal["log_likelihood_ratio", "pmi", "npmi"] = "log_likelihood_ratio"
) -> list[tuple[Any, Any]]:
    """Names of the pairs that are associated most.

    Parameters
    ----------
    found : Bunch
        What `cooccurrence` returned.
    n_pairs : int, default=10
        How many; fewer where fewer are significant.
    by : {"log_likelihood_ratio", "pmi", "npmi"}, default="log_likelihood_ratio"
        What orders them. PMI puts rare pairs first.

    Returns
    -------
    list of tuple (x_name, y_name)
        Significant pairs alone, the strongest first.
    """
    check_count("n_pairs", n_pairs)
    if by not in ("log_likelihood_ratio", "pmi", "npmi"):
        raise ValueError(f"by must be 'log_likelihood_ratio', 'pmi' or 'npmi', got {by!r}.")
    i, j = np.nonzero(found.significant)
    order = np.argsort(-found[by][i, j], kind="stable")[:n_pairs]
    return [(found.x_names[a], found.y_names[b]) for a, b in zip(i[order], j[order])]


def _incidence(Z, name, min_count):
    """A sparse table of 0 and 1 of the elements that are in enough samples, and their names."""
    if isinstance(Z, (str, bytes)) or not (sp.issparse(Z) or np.iterable(Z)):
        raise ValueError(f"{name} must hold a collection of elements for every sample, got {type(Z).__name__}.")
    Z = to_numpy(Z) if is_tensor(Z) else Z
    if sp.issparse(Z) or getattr(Z, "ndim", 1) == 2:
        table = check_array(Z, accept_sparse="csr", dtype=None, input_name=name)
        if table.dtype.kind not in "biuf":
            raise ValueError(f"{name} is a table of {table.dtype}, where 0 is what a sample does not hold: give lists.")
        if table.dtype.kind != "b" and table.min() < 0:
            raise ValueError(f"{name} has numbers below 0, but 0 is what a sample does not hold: pass X > 0, say.")
        table = sp.csr_matrix(table != 0, dtype=np.int64)
        names = np.arange(table.shape[1])
    else:
        Z = Z.tolist() if isinstance(Z, np.ndarray) else Z
        samples = [{z} if isinstance(z, (str, bytes)) or not np.iterable(z) else set(z) for z in Z]
        held = set().union(*samples)
        if any(element != element for element in held):
            raise ValueError(f"{name} holds NaN: leave what is missing out of the sample.")
        ordered = sorted(held, key=lambda element: (type(element).__name__, element))
        column = {element: j for j, element in enumerate(ordered)}
        columns = [sorted(column[z] for z in sample) for sample in samples]
        ends = np.cumsum([0, *map(len, columns)])
        flat = np.array([j for row in columns for j in row], dtype=np.int64)
        table = sp.csr_matrix((np.ones(len(flat), dtype=np.int64), flat, ends), shape=(len(samples), len(ordered)))
        names = np.fromiter(ordered, dtype=object, count=len(ordered))
    counts = np.asarray(table.sum(axis=0)).ravel()
    kept = np.flatnonzero(counts >= min_count)
    if not len(kept):
        raise ValueError(f"{name} has no element that is in min_count={min_count} samples.")
    return table[:, kept], names[kept]


def _checked_counts(joint, x_counts, y_counts, n):
    joint, x_counts, y_counts = (np.asarray(counts) for counts in (joint, x_counts, y_counts))
    if joint.ndim != 2 or joint.shape != (x_counts.size, y_counts.size) or x_counts.ndim != 1 or y_counts.ndim != 1:
        raise ValueError(
            f"joint must have a row for every x and a column for every y, got the shapes {joint.shape}, "
            f"{x_counts.shape} and {y_counts.shape}."
        )
    if not joint.size:
        raise ValueError(f"There is no pair: joint has the shape {joint.shape}.")
    for counts in (joint, x_counts, y_counts):
        if counts.dtype.kind not in "biuf" or not np.isfinite(counts).all() or (counts != np.floor(counts)).any():
            raise ValueError("Counts must be whole numbers.")
    joint, x_counts, y_counts = (counts.astype(np.int64) for counts in (joint, x_counts, y_counts))
    x, y = x_counts[:, None], y_counts[None, :]
    if (joint < np.maximum(0, x + y - n)).any() or (joint > np.minimum(x, y)).any() or max(x.max(), y.max()) > n:
        raise ValueError(f"The counts do not fit together: {n} samples cannot have them.")
    return joint, x_counts, y_counts


def _times_log_ratio(observed, mean):
    there = observed > 0
    return np.where(there, observed * np.log(np.where(there, observed, 1) / np.where(there, mean, 1.0)), 0.0)


def _adjusted(pvalues, correction):
    """The least level of false discoveries at which each would be called one."""
    m = len(pvalues)
    order = np.argsort(pvalues)
    harmonic = (1.0 / np.arange(1, m + 1)).sum() if correction == "by" else 1.0
    stepped = np.minimum.accumulate((pvalues[order] * m * harmonic / np.arange(1, m + 1))[::-1])[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
