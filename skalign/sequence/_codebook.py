"""Codebooks: the nearest code, k-means, and moving averages. Arrays of numpy or tensors alike."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from .._backend import is_numpy, namespace

_ROWS_AT_ONCE = 4096  # their distances to a few hundred codes stay in the cache


def nearest(X, codes):
    """The nearest code of every row, by Euclidean distance.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    codes : array of shape (n_codes, d)
        Codes, of the same dtype.

    Returns
    -------
    array of int64 of shape (n,)
    """
    xp = namespace(X, codes)
    center = xp.mean(codes, axis=0)  # far from the origin, digits would be lost in the products
    codes = codes - center
    squares = xp.sum(codes * codes, axis=1)
    parts = []
    for start in range(0, X.shape[0], _ROWS_AT_ONCE):
        distances = (X[start : start + _ROWS_AT_ONCE] - center) @ (-2 * codes.T)  # up to a constant of the row
        distances += squares
        parts.append(xp.argmin(distances, axis=1))
    return xp.concat(parts) if len(parts) > 1 else parts[0]


def totals(X, ids, n_codes):
    """Number of rows of every code, and their sum.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    ids : array of int of shape (n,)
        Their codes.

    Returns
    -------
    counts, sums : arrays of shape (n_codes,) and (n_codes, d)
        Of the dtype of `X`.
    """
    if is_numpy(X):
        from ._codebook_kernels import add_rows

        counts, sums = np.zeros(n_codes, dtype=X.dtype), np.zeros((n_codes, X.shape[1]), dtype=X.dtype)
        add_rows(np.ascontiguousarray(X), ids, counts, sums)
        return counts, sums
    counts, sums = X.new_zeros(n_codes), X.new_zeros(n_codes, X.shape[1])
    return counts.index_add_(0, ids, X.new_ones(len(ids))), sums.index_add_(0, ids, X)


def moving_average(codes, counts, new_counts, sums, decay, epsilon):
    """Codes after a batch: moving averages of the rows of every code.

    Parameters
    ----------
    codes : array of shape (n_codes, d)
        Codes before.
    counts : array of shape (n_codes,)
        Moving averages of the rows a batch.
    new_counts, sums : arrays of shape (n_codes,) and (n_codes, d)
        `totals` of the batch.
    decay : float
        Weight of what was before.
    epsilon : float
        Rows that every code has beforehand (Laplace smoothing), so that one without any is not divided by zero.

    Returns
    -------
    codes, counts : arrays
    """
    after = decay * counts + (1 - decay) * new_counts
    weighted = decay * _smooth(counts, epsilon)[:, None] * codes + (1 - decay) * sums
    return weighted / _smooth(after, epsilon)[:, None], after


def _smooth(counts, epsilon):
    xp = namespace(counts)
    total = xp.sum(counts)
    return (counts + epsilon) / (total + epsilon * counts.shape[0]) * total


def dead_codes(counts, threshold):
    """Places of the codes that have less than `threshold` times the mean count."""
    xp = namespace(counts)
    return xp.nonzero(counts < threshold * xp.mean(counts))[0]


def learn_batch(X, codes, counts, pick, *, decay, epsilon, threshold):
    """One step of all codebooks, in place, on the rows of a batch.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    codes, counts : arrays of shape (n_codebooks, n_codes, d) and (n_codebooks, n_codes)
        The codebooks and the moving averages of their counts.
    pick : callable
        ``pick(n, size)`` gives places of random rows, for codes that died.
    decay, epsilon, threshold : float
        See `moving_average` and `dead_codes`.

    Returns
    -------
    ids : array of int64 of shape (n, n_codebooks)
        Codes of the rows, before the step.
    residual : array of shape (n, d)
        What they left over.
    """
    columns, n_codes = [], codes.shape[1]
    for i in range(len(codes)):
        ids = nearest(X, codes[i])
        columns.append(ids)
        rest = X - codes[i][ids]
        book, after = moving_average(codes[i], counts[i], *totals(X, ids, n_codes), decay, epsilon)
        dead = dead_codes(after, threshold)
        if len(dead):
            book[dead] = X[pick(X.shape[0], len(dead))]
            after[dead] = namespace(after).mean(after)
        codes[i], counts[i] = book, after
        X = rest
    return namespace(X).stack(columns, axis=1), X


def quantize(X, codes):
    """Residual quantisation: every codebook takes the nearest code of what those before left over.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    codes : array of shape (n_codebooks, n_codes, d)
        The codebooks.

    Returns
    -------
    array of int64 of shape (n, n_codebooks)
    """
    columns = []
    for book in codes:
        columns.append(nearest(X, book))
        X = X - book[columns[-1]]
    return namespace(X).stack(columns, axis=1)


def decode(ids, codes):
    """The sums of the codes that the columns of `ids` name, the inverse of `quantize`."""
    return sum(book[ids[:, i]] for i, book in enumerate(codes))


def kmeans(X, n_codes, rng, *, n_init=1, max_iter=300, batch_size=None):
    """Centres of scikit-learn's k-means.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows, no fewer than `n_codes`.
    rng : RandomState
        Where the starts come from.
    n_init, max_iter : int
        Starts, and iterations of each.
    batch_size : int, default=None
        Rows of a batch of `MiniBatchKMeans`, which then goes without the reassignment of small clusters and waits for
        100 batches without improvement, as HuBERT does; None takes all rows at once.

    Returns
    -------
    ndarray of shape (n_codes, d)
    """
    options = {"n_init": n_init, "max_iter": max_iter, "random_state": rng}
    if batch_size is None:
        return KMeans(n_codes, **options).fit(X).cluster_centers_
    # The labels of all rows are found by the caller in less time.
    options |= {"max_no_improvement": 100, "reassignment_ratio": 0.0, "compute_labels": False}
    return MiniBatchKMeans(n_codes, batch_size=batch_size, **options).fit(X).cluster_centers_


def residual_kmeans(X, n_codes, n_codebooks, rng, max_iter):
    """Codebooks of shape (n_codebooks, n_codes, d) by k-means of what is left over, and the rows of every code."""
    books, counts = [], []
    for _ in range(n_codebooks):
        book = kmeans(X, n_codes, rng, max_iter=max_iter)
        ids = nearest(X, book)
        books.append(book)
        counts.append(np.bincount(ids, minlength=n_codes))
        X = X - book[ids]
    return np.stack(books), np.stack(counts)


def perplexity(counts):
    """Number of codes of equal counts that would have the entropy of these."""
    p = counts[counts > 0] / counts.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def check_enough(n_rows, n_codes, name, label=""):
    """ValueError unless there is a row for every code."""
    if n_rows < n_codes:
        raise ValueError(f"{label}n_samples={n_rows} rows (or frames) are fewer than {name}={n_codes}.")


def explained_variance(rows, quantized):
    """One minus the squared error relative to that of the mean; 0 for constant rows that come out right."""
    spread, error = rows - rows.mean(axis=0, dtype=np.float64), rows - quantized
    size, unit = np.abs(rows).max(), np.abs(spread).max()
    if unit <= 4 * np.finfo(spread.dtype).eps * size:
        return 0.0 if np.abs(error).max() <= 1e-6 * size else -np.inf
    # In this unit squares neither overflow nor vanish.
    return float(1.0 - ((error / unit) ** 2).sum(dtype=np.float64) / ((spread / unit) ** 2).sum())


def check_codes(codes, sizes):
    """Numbers of codes as int64, a column for every codebook.

    Raises
    ------
    ValueError
        For another number of columns, and numbers that are no codes.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != len(sizes):
        raise ValueError(f"Codes have {len(sizes)} column(s), one a codebook; these have the shape {codes.shape}.")
    if codes.dtype.kind not in "biuf" or not np.isfinite(codes).all() or (codes != np.floor(codes)).any():
        raise ValueError("Codes are whole numbers.")
    if (codes < 0).any() or (codes >= np.asarray(sizes)).any():
        raise ValueError(f"Codes are from 0 to {[size - 1 for size in sizes]}; these reach {codes.max()}.")
    return codes.astype(np.int64)
