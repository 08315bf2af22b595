"""Change points of one signal under the settings of `ChangepointSegmenter`."""

from __future__ import annotations

import copy

import numpy as np
from sklearn.base import clone

from ..._input import is_whole
from ._costs import CosineCost, L2Cost, MahalanobisCost, RankCost, RbfCost, channel_scales
from ._model_costs import AutoregressiveCost, L1Cost, LinearCost, NormalCost
from ._penalties import PathSegmentation, check_penalty, check_range, penalty_of, penalty_path
from ._pooling import as_poolings
from ._profile_cost import ProfileCost
from ._search import SEARCHES, search_changepoints

COSTS = {
    "l1": L1Cost,
    "l2": L2Cost,
    "normal": NormalCost,
    "rbf": RbfCost,
    "linear": LinearCost,
    "cosine": CosineCost,
    "ar": AutoregressiveCost,
    "rank": RankCost,
    "mahalanobis": MahalanobisCost,
}
_KERNELS = ("l2", "cosine", "rbf")


def new_cost(cost):
    """A cost that no signal was fitted to, from a name or an object."""
    if isinstance(cost, str):
        return ProfileCost() if cost == "profile" else COSTS[cost]()
    return clone(cost) if hasattr(cost, "get_params") else copy.deepcopy(cost)


def fitted_cost(cost, signal):
    """A cost that a signal was fitted to; what ``fit`` returns does not matter."""
    fitted = new_cost(cost)
    fitted.fit(signal)
    return fitted


def check_cost(cost, signal, standardize):
    """Let the parameters of a cost that is an object be checked, by taking in a signal."""
    ready = scaled(signal, standardize)
    if is_profile(cost):
        new_cost(cost).check()
    elif ready is not None and not isinstance(cost, str):
        fitted_cost(cost, ready)


def is_profile(cost):
    """Whether a cost finds change points by itself."""
    return isinstance(cost, ProfileCost) or (isinstance(cost, str) and cost == "profile")


def shortest_segment(min_size, cost):
    """In frames: what is asked for, or more where the cost needs it."""
    return max(int(min_size), int(getattr(new_cost(cost), "min_size", 1)))


def scaled(signal, standardize):
    """The signal, at variance 1 if so wished; None where nothing in it changes."""
    scale, constant = channel_scales(signal)
    if constant:
        return None
    if standardize:
        return signal / scale
    check_magnitude(signal)
    return signal


def check_magnitude(signal, least=1e-125):
    """Raise ValueError for values whose squares would overflow or vanish."""
    largest = np.abs(signal).max()
    if not least <= largest <= 1e140:
        raise ValueError(f"Values of the size of {largest:.3g} cannot be squared: bring the signals to another unit.")


def cut_signal(signal, scale, *, cost, search, penalty, n_changepoints, min_size, jump, standardize, window):
    """Change points of a signal of shape (n_frames, n_channels), ascending.

    Parameters
    ----------
    signal : ndarray of shape (n_frames, n_channels)
        The signal. Where nothing changes there are no change points, whatever their number should be.
    scale : float
        Multiplies the penalty.
    cost, search, penalty, n_changepoints, min_size, jump, standardize, window
        As in `ChangepointSegmenter`.

    Returns
    -------
    ndarray of int
    """
    n = len(signal)
    signal = scaled(signal, standardize)
    if signal is None or n_changepoints == 0:
        return np.empty(0, dtype=np.int64)
    if is_profile(cost):
        return new_cost(cost).find(signal, n_changepoints, min_size)
    fitted = fitted_cost(cost, signal)
    options = {"min_size": shortest_segment(min_size, cost), "jump": jump, "width": window}
    if n_changepoints is None:
        price, length_weight = penalty_of(penalty, scale, fitted, n)
        return search_changepoints(fitted, n, search, penalty=price, length_weight=length_weight, **options)
    return search_changepoints(fitted, n, search, n_changepoints=n_changepoints, **options)


def path_of_signal(signal, low, high, *, cost, min_size, jump, standardize):
    """All segmentations of a signal that are the best for a penalty from `low` to `high`, see `penalty_path`."""
    check_range(low, high)
    ready = scaled(signal, standardize)
    if ready is None:
        return [PathSegmentation(low, high, np.empty(0, dtype=np.int64), 0.0)]
    shortest = shortest_segment(min_size, cost)
    return penalty_path(fitted_cost(cost, ready), len(signal), low, high, min_size=shortest, jump=jump)


def check_room(lengths, n_changepoints, min_size, jump, label=""):
    """Raise ValueError where a series has no room for so many change points."""
    step = -(-min_size // jump) * jump
    for i, n in enumerate(lengths):
        room = max((n - min_size) // step, 0)
        if n_changepoints is not None and n_changepoints > room:
            raise ValueError(
                f"{label}n_changepoints={n_changepoints} do not fit: series {i} of {n} frames has room for {room} with "
                f"min_size={min_size} and jump={jump}."
            )


def check_parameters(
    cost, search, penalty, penalty_scale, n_changepoints, min_size, jump, standardize, pooling, window
):  # fmt: skip
    """Raise ValueError or TypeError for settings that mean nothing."""
    names = [*COSTS, "profile"]
    if isinstance(cost, str):
        if cost not in names:
            raise ValueError(f"cost has to be an object or one of {names}, got {cost!r}.")
    elif isinstance(cost, type) or not (is_profile(cost) or (hasattr(cost, "fit") and hasattr(cost, "error"))):
        raise TypeError(f"cost has to be one of {names} or an object with fit(signal) and error(start, end): {cost!r}.")
    if search not in SEARCHES:
        raise ValueError(f"search has to be one of {list(SEARCHES)}, got {search!r}.")
    kernels = tuple(COSTS[name] for name in _KERNELS)
    if search == "kernel" and not (cost in _KERNELS if isinstance(cost, str) else isinstance(cost, kernels)):
        raise ValueError(f"search='kernel' goes with the costs {list(_KERNELS)}, not with {cost!r}.")
    check_penalty(penalty, penalty_scale)
    if n_changepoints is not None and not is_whole(n_changepoints, 0):
        raise ValueError(f"n_changepoints has to be None or a number of at least 0, got {n_changepoints!r}.")
    for name, value in (("min_size", min_size), ("jump", jump), ("window", window)):
        if not is_whole(value, 1):
            raise ValueError(f"{name} has to be a number of frames of at least 1, got {value!r}.")
    as_poolings(pooling)
    if penalty_scale == "learn" and (n_changepoints is not None or is_profile(cost)):
        raise ValueError("penalty_scale='learn' needs a penalty: a cost other than 'profile', n_changepoints=None.")
