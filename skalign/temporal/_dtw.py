"""Dynamic time warping of two signals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._backend import astype, float_dtype, is_tensor, like, to_numpy
from .._typing import ArrayLike, Metric, StepPattern, Window
from ._costs import FUSED, check_costs
from ._costs import derivative as derivative_of
from ._sequences import check_sequences
from ._soft_dtw import soft_dtw, soft_solve
from ._warping import Warping, solve_one, unreachable


@dataclass(frozen=True)
class DTWResult:
    """How two signals match.

    Attributes
    ----------
    distance : float
        The root of `cost` where costs are squared Euclidean distances, else `cost`; the soft minimum for gamma > 0.
    cost : float
        Sum of the costs along the path, weighted as the step pattern says.
    path : ndarray of int of shape (L, 2) or None
        Frames of the first and of the second signal that match, both ends included. For gamma > 0 the most probable
        path, which is that of hard warping.
    accumulated_cost : ndarray of shape (n, m) or None
        Cost of the best path to every cell; infinite where none leads.
    expected_alignment : ndarray of shape (n, m) or None
        For gamma > 0: probability of every pair of frames to be matched.
    """

    distance: float
    cost: float
    path: np.ndarray | None = None
    accumulated_cost: np.ndarray | None = None
    expected_alignment: np.ndarray | None = None


def dtw(
    a: ArrayLike, b: ArrayLike | None = None, *, metric: Metric = FUSED, window: Window = None,
    step_pattern: StepPattern = "symmetric1", open_begin: bool = False, open_end: bool = False,
    subsequence: bool = False, derivative: bool = False, gamma: float = 0.0, return_path: bool = True,
    return_accumulated_cost: bool = False,
) -> DTWResult:  # fmt: skip
    r"""Dynamic time warping of two signals: which frame of one matches which frame of the other.

    The path through both signals, forwards only, along which frames differ least. For many pairs, templates and
    pipelines there is `DTWAligner`.

    Parameters
    ----------
    a : array or tensor of shape (n,) or (n, d)
        The first signal, or with ``metric="precomputed"`` the (n, m) costs of matching the frames.
    b : array or tensor of shape (m,) or (m, d), default=None
        The second; None for precomputed costs.
    metric : str or callable, default="sqeuclidean"
        Cost of matching two frames: a distance that scikit-learn or scipy knows by name, "precomputed", or a function
        that takes both signals, of shapes (n, d) and (m, d), and gives the (n, m) costs. Squared Euclidean distances
        are the default since then `distance` is the Euclidean distance of the warped signals, and no matrix of costs
        is stored.
    window : None, int, float or ("itakura", slope), default=None
        Where the path may go. An int is the radius of the Sakoe-Chiba band: the largest lag \|i - j\| in samples. A
        float in (0, 1] is that as a part of the longer signal. ``("itakura", 2.0)`` is the parallelogram in which
        neither signal runs more than twice as fast as the other, measured from both ends. None: anywhere.
    step_pattern : {"symmetric1", "symmetric2", "asymmetric"}, default="symmetric1"
        Steps and their weights, as in the R package dtw. "symmetric1": one frame on in either signal or in both, all
        of weight 1. "symmetric2": a step in both weighs 2, so that short cuts are not favoured. "asymmetric": one
        frame on in the first and none, one or two in the second; every frame of the first counts once.
    open_begin, open_end : bool, default=False
        Whether the path may begin after the first, and end before the last, frame of the **second** signal (swap the
        signals for the other). Among ends the least cost wins, under "symmetric2" the least cost divided by the sum
        of the lengths matched. "symmetric2" cannot begin openly.
    subsequence : bool, default=False
        Find where in the second signal the first occurs: both ends open.
    derivative : bool, default=False
        Match slopes instead of values [2]_: for signals with different offsets.
    gamma : float, default=0.0
        Above 0 soft-DTW [3]_: all paths count, with weights exp(-cost / gamma). In the unit of the costs. Needs closed
        ends and "symmetric1".
    return_path : bool, default=True
        False saves a byte for every pair of frames: memory is then that of a few rows.
    return_accumulated_cost : bool, default=False
        Whether to keep the matrix of accumulated costs, 8 bytes for every pair of frames.

    Returns
    -------
    DTWResult
        With `distance`, `cost`, `path`, `accumulated_cost` and `expected_alignment`. Of tensors in, tensors come out,
        and `distance` has a gradient where gamma > 0.

    Raises
    ------
    ValueError
        For NaN, empty signals, signals of different width, parameters that do not go together, and a window too
        narrow to reach the end.

    See Also
    --------
    DTWAligner : Many pairs; registration to a template.
    CTWAligner : Signals of different width.
    soft_dtw : Batches, and a loss for training.

    References
    ----------
    .. [1] H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE Trans.
       ASSP 26(1), 1978.
    .. [2] E. Keogh, M. Pazzani, "Derivative dynamic time warping", SDM 2001.
    .. [3] M. Cuturi, M. Blondel, "Soft-DTW: a differentiable loss function for time-series", ICML 2017.
    .. [4] T. Giorgino, "Computing and visualizing dynamic time warping alignments in R: the dtw package", JSS 31(7),
       2009.

    Examples
    --------
    >>> from skalign.temporal import dtw
    >>> result = dtw([0.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 2.0])
    >>> result.distance
    0.0
    >>> result.path.tolist()
    [[0, 0], [0, 1], [1, 2], [2, 3], [3, 3]]
    >>> dtw([1.0, 2.0], [5.0, 1.0, 2.0, 7.0], subsequence=True).path.tolist()
    [[0, 1], [1, 2]]
    """
    warping = Warping.check(
        metric, window, step_pattern, open_begin, open_end, subsequence, derivative, gamma, precomputed=True
    )
    tensor = a if is_tensor(a) else None
    A, B = _signals(a, b, metric)
    soft = {}
    if warping.gamma > 0:
        value, E = soft_solve(warping, A, B)
        soft = {"distance": value, "expected_alignment": E}
    if warping.derivative:
        A, B = derivative_of(A), derivative_of(B)
    cost, path, D = solve_one(warping, A, B, paths=return_path, accumulated=return_accumulated_cost)
    if np.isinf(cost):
        raise ValueError(unreachable(warping, len(A), A.shape[1] if B is None else len(B)))
    result = DTWResult(float(warping.distances(cost)), cost, path, D)
    result = replace(result, **soft)
    return result if tensor is None else _as_tensors(result, warping, a, b, tensor)


def _signals(a, b, metric):
    """Both signals as float64 of shape (T, d), or the matrix of costs and None."""
    if isinstance(metric, str) and metric == "precomputed":
        if b is not None:
            raise ValueError("metric='precomputed' takes the matrix of costs alone: dtw(costs, metric='precomputed').")
        costs = to_numpy(a).astype(np.float64)
        if costs.ndim != 2 or costs.size == 0:
            raise ValueError(f"Precomputed costs are a matrix of shape (n, m), not an array of shape {costs.shape}.")
        return check_costs(costs, "precomputed"), None
    if b is None:
        raise ValueError("dtw compares two signals, but the second is None. One is enough with metric='precomputed'.")
    if is_tensor(a) != is_tensor(b):
        raise TypeError("One signal is a tensor and the other is not: bring both into one library.")
    A, B = (check_sequences([x], f"signal {name!r}: ", "dtw") for name, x in (("a", a), ("b", b)))
    if A.width != B.width:
        raise ValueError(
            f"signal 'a' has {A.width} features and signal 'b' has {B.width}: frames of different width cannot be "
            "compared. CTWAligner learns a common space for them."
        )
    return A[0], B[0]


def _as_tensors(result, warping, a, b, tensor):
    if warping.gamma > 0:
        if warping.derivative:
            raise ValueError("derivative=True with gamma > 0 is for arrays, not for tensors.")
        distance = soft_dtw(a, b, warping.gamma, metric=warping.metric, window=warping.window)
    else:
        distance = astype(like(np.float64(result.distance), tensor), float_dtype(tensor))
    arrays = {
        name: None if array is None else like(array, tensor)
        for name, array in (
            ("path", result.path),
            ("accumulated_cost", result.accumulated_cost),
            ("expected_alignment", result.expected_alignment),
        )
    }
    return replace(result, distance=distance, **arrays)
