"""What is done with warping paths: signals on a common axis, and how well paths agree with the truth."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._sequences import check_sequences, check_width


def check_pair_of_views(estimator, X, *, reset, equal_widths=False):
    """The two sequence views of paired data, by name and in the order of fit.

    Parameters
    ----------
    estimator : estimator
        What remembers names and widths, as ``view_names_in_`` and ``widths_``.
    X : Views
        Two views of sequences.
    reset : bool
        Whether to remember them (fit) or to compare with them.
    equal_widths : bool, default=False
        Whether their frames are to be compared.
    """
    owner = type(estimator).__name__
    if not reset:
        check_is_fitted(estimator, "view_names_in_")
    names = X.names if reset else estimator.view_names_in_
    if len(X.names) != 2 or set(names) != set(X.names):
        wanted = "two views of sequences" if reset or names is None else f"the views {names}"
        raise ValueError(f"{owner} aligns {wanted}; it was given {X.names}.")
    pair = {name: check_sequences(X[name], f"View {name!r}: ", owner) for name in names}
    widths = {name: sequences.width for name, sequences in pair.items()}
    if equal_widths and len(set(widths.values())) > 1:
        raise ValueError(
            f"Frames of different width cannot be compared; the views have {widths} features. CTWAligner learns a "
            "common space for them."
        )
    if reset:
        estimator.view_names_in_, estimator.widths_ = list(names), widths
    else:
        for name in names:
            check_width(widths[name], estimator.widths_[name], f"View {name!r}: ", owner)
    return pair


def matched_mean(path, length, values):
    """Mean of the values that a path matches with every frame of its target.

    Parameters
    ----------
    path : ndarray of int of shape (L, 2)
        Source and target frames.
    length : int
        Number of target frames.
    values : ndarray of shape (n_source, d)
        One row for every source frame.

    Returns
    -------
    ndarray of shape (length, d)
        Target frames that the path jumps over are interpolated; before its begin and after its end they take the
        value there.
    """
    source, target = path[:, 0], path[:, 1]
    counts = np.bincount(target, minlength=length)
    out = (
        np.stack([np.bincount(target, weights=column, minlength=length) for column in values[source].T], axis=1)
        / np.maximum(counts, 1)[:, None]
    )
    if not counts.all():
        places, known = np.arange(length), np.flatnonzero(counts)
        for column in out.T:
            column[:] = np.interp(places, known, column[known])
    return out


def along_path(path, frames, n_frames):
    """Frames of a signal (a column of `path`) at `n_frames` evenly spaced places along the path, interpolated."""
    places = np.linspace(0, len(path) - 1, n_frames)
    below = np.minimum(places.astype(np.int64), max(len(path) - 2, 0))
    share = (places - below)[:, None]
    above = np.minimum(below + 1, len(path) - 1)
    return (1 - share) * frames[path[below]] + share * frames[path[above]]


def mapping(path, n):
    """Mean frame of the second signal that a path gives each of the `n` frames of the first."""
    return matched_mean(path[:, ::-1], n, np.arange(path[:, 1].max() + 1.0)[:, None])[:, 0]


def check_truth(y, lengths, other_lengths):
    """True correspondences as one array for each pair: the frame of the second for frames of the first, else NaN.

    Parameters
    ----------
    y : sequence, one entry for each pair
        A path of shape (L, 2), of all or some frames, or an array with the frame of the second signal for every frame
        of the first; NaN where it is not known.
    lengths, other_lengths : ndarray of int of shape (n_pairs,)
        Lengths of the signals.
    """
    if not hasattr(y, "__len__"):
        raise ValueError(f"y has to hold the true correspondences of every pair, got {type(y).__name__}.")
    if len(y) != len(lengths):
        raise ValueError(f"y has {len(y)} true correspondences for {len(lengths)} pairs.")
    truths = []
    for p, (entry, n, m) in enumerate(zip(y, lengths, other_lengths)):
        entry = np.asarray(entry, dtype=np.float64)
        if entry.ndim == 2 and entry.shape[1] == 2 and len(entry):
            rows, columns = entry.T
            if not np.isfinite(entry).all() or rows.min() < 0 or rows.max() >= n or (rows != np.floor(rows)).any():
                raise ValueError(f"y[{p}]: a path holds frames of the first signal from 0 to {n - 1}.")
            truth = np.full(n, np.nan)
            rows = rows.astype(np.int64)
            counts = np.bincount(rows, minlength=n)
            known = counts > 0
            truth[known] = np.bincount(rows, weights=columns, minlength=n)[known] / counts[known]
        elif entry.ndim == 1 and len(entry) == n:
            truth = entry
        else:
            raise ValueError(
                f"y[{p}] is to be a path of shape (L, 2), or an array of {n} frames of the second signal, one for each "
                f"frame of the first; its shape is {entry.shape}. Labels are no correspondences: use score(views)."
            )
        known = truth[~np.isnan(truth)]
        if not len(known) or known.min() < 0 or known.max() > m - 1:
            found = f"from {known.min():g} to {known.max():g}" if len(known) else "nowhere"
            raise ValueError(f"y[{p}] must lead to frames of the second signal, from 0 to {m - 1}; it leads {found}.")
        truths.append(truth)
    return truths


def mean_absolute_error(mappings, truths, sampling_rate=None):
    """Mean over pairs of the mean error of their frames, in samples, or in seconds with a sampling rate in hertz."""
    errors = [np.nanmean(np.abs(found - truth)) for found, truth in zip(mappings, truths)]
    return float(np.mean(errors)) / (1.0 if sampling_rate is None else sampling_rate)


def correlation(a, b):
    """Mean over features of the correlation of two warped signals of shape (L, d); 0 for constant features."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    return float(((a * b).sum(axis=0) / np.where(scale > 0, scale, 1.0)).mean())


def check_sampling_rate(rate):
    """ValueError unless `rate` is None or a positive number."""
    if rate is not None and (not isinstance(rate, Real) or isinstance(rate, bool) or not 0 < rate < np.inf):
        raise ValueError(f"sampling_rate must be None or a positive number of samples a second, got {rate!r}.")
