"""Soft-DTW: a minimum over paths with a gradient, and what it says about every pair of frames."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np

from .._backend import is_tensor, to_numpy
from .._typing import Array, ArrayLike, Metric, Window
from ._costs import FUSED, check_costs, check_metric, derivative, frame_costs
from ._warping import Warping, n_threads, unreachable


def soft_solve(warping, a, b, *, alignment=True):
    """Soft-DTW of two signals in numpy.

    Parameters
    ----------
    warping : Warping
        The settings, with ``gamma > 0``.
    a : ndarray of shape (n, d), or (n, m) for precomputed costs
        The first signal.
    b : ndarray of shape (m, d) or None
        The second.
    alignment : bool, default=True
        Whether the expected alignment is wanted.

    Returns
    -------
    value : float
        The soft minimum; it may be negative. Infinite where no path keeps to the window.
    E : ndarray of shape (n, m) or None
        Probability of every pair of frames to be matched.
    """
    from ._dtw_kernels import window_bounds
    from ._soft_dtw_kernels import expected_alignment, soft_costs

    if isinstance(warping.metric, str) and warping.metric == "precomputed":
        costs = check_costs(a, "precomputed")
    else:
        if warping.derivative:
            a, b = derivative(a), derivative(b)
        costs = frame_costs(warping.metric, a, b)
    lower, upper = window_bounds(*costs.shape, int(warping.radii(*costs.shape)), warping.slope())
    R = soft_costs(costs, warping.gamma, lower, upper)
    return float(R[-1, -1]), expected_alignment(R, warping.gamma, lower, upper) if alignment else None


def soft_pairs(warping, A, B, *, alignment=True, n_jobs=None):
    """`soft_solve` of all pairs of two collections, in order; one template stands for a whole collection.

    Yields
    ------
    value : float
    E : ndarray of shape (n, m) or None
    """

    def solve(p):
        a, b = A[p], B[0 if len(B) == 1 else p]
        value, E = soft_solve(warping, a, b, alignment=alignment)
        if np.isinf(value):
            raise ValueError(f"pair {p}: {unreachable(warping, len(a), len(b))}")
        return value, E

    n_workers = min(n_threads(n_jobs), len(A))
    if n_workers == 1:
        yield from map(solve, range(len(A)))
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(n_workers) as pool:
            block = 4 * n_workers  # no more matrices than these wait for being used
            for first in range(0, len(A), block):
                yield from pool.map(solve, range(first, min(first + block, len(A))))


def soft_dtw(
    a: ArrayLike,
    b: ArrayLike | None = None,
    gamma: float = 1.0,
    *,
    metric: Metric = FUSED,
    window: Window = None,
    lengths_a: ArrayLike | None = None,
    lengths_b: ArrayLike | None = None,
    method: Literal["auto", "kernel", "wavefront"] = "auto",
) -> Array:
    r"""Soft-DTW of signals, with a gradient for tensors: a loss for sequences that run at different speeds.

    The soft minimum :math:`-\gamma \log \sum_\pi \exp(-c(\pi)/\gamma)` over all paths replaces the minimum of DTW, so
    that the value is smooth in both signals. Of arrays it is the value alone; `dtw` gives the expected alignment too.
    There is no second derivative.

    Parameters
    ----------
    a : array or tensor of shape (n,), (n, d) or (batch, n, d)
        The first signal, or a batch of them, padded to one length. With ``metric="precomputed"`` the costs, of shape
        (n, m) or (batch, n, m).
    b : array or tensor of shape (m,), (m, d) or (batch, m, d), default=None
        The second.
    gamma : float, default=1.0
        Temperature, in the unit of the costs (here: of the signal, squared). The smaller, the closer to DTW.
    metric : {"sqeuclidean", "precomputed"} or callable, default="sqeuclidean"
        Cost of matching two frames. For tensors a callable takes tensors (.., n, d) and (.., m, d) and gives the
        costs (.., n, m), differentiably.
    window : None, int, float or ("itakura", slope), default=None
        See `dtw`.
    lengths_a, lengths_b : sequence of int of shape (batch,), default=None
        True lengths of padded signals; None means that nothing is padding.
    method : {"auto", "kernel", "wavefront"}, default="auto"
        "kernel" is a compiled loop on the CPU, "wavefront" works on whole anti-diagonals of the batch in torch.
        "auto" takes the wavefront for CUDA tensors alone: on a CPU it takes twice as long.

    Returns
    -------
    float, ndarray or tensor of shape () or (batch,)
        In the library, dtype and device of `a`.

    Raises
    ------
    ValueError
        For bad parameters, shapes that do not go together, values that are not finite, and a window that does not
        reach the end.

    References
    ----------
    .. [1] M. Cuturi, M. Blondel, "Soft-DTW: a differentiable loss function for time-series", ICML 2017.

    Examples
    --------
    >>> from skalign.temporal import soft_dtw
    >>> round(soft_dtw([0.0, 1.0, 2.0], [0.0, 2.0], gamma=0.1), 4)
    0.9307
    """
    if method not in ("auto", "kernel", "wavefront"):
        raise ValueError(f"method must be 'auto', 'kernel' or 'wavefront', got {method!r}.")
    check_metric(metric, precomputed=True)
    warping = Warping.check(metric, window, gamma=gamma, precomputed=True)
    if warping.gamma == 0:
        raise ValueError("soft_dtw needs gamma > 0; dtw is the limit at 0.")
    given = is_tensor(a)
    if not given and method == "wavefront":
        raise ValueError("method='wavefront' needs tensors.")
    if given:
        return _of_tensors(warping, a, b, lengths_a, lengths_b, method)
    a, b = (None if x is None else np.asarray(x) for x in (a, b))
    dtype = np.float32 if a.dtype in (np.float32, np.float16) else np.float64
    a, b = (None if x is None else x.astype(np.float64, copy=False) for x in (a, b))
    single = a.ndim < 3
    a, b, ns, ms = _batches(warping, a, b, lengths_a, lengths_b)
    values = []
    for p, (n, m) in enumerate(zip(ns, ms)):
        pair = (a[p, :n, :m], None) if b is None else (a[p, :n], b[p, :m])
        value, _ = soft_solve(warping, *pair, alignment=False)
        if np.isinf(value):
            raise ValueError(f"pair {p}: {unreachable(warping, n, m)}")
        values.append(value)
    return values[0] if single else np.array(values, dtype=dtype)


def _batches(warping, a, b, lengths_a, lengths_b):
    """Arrays or tensors as batches of shape (batch, T, d), or costs and None; and the true lengths of both sides."""
    precomputed = isinstance(warping.metric, str) and warping.metric == "precomputed"
    if precomputed and b is not None:
        raise ValueError("metric='precomputed' takes the costs alone.")
    if not precomputed and b is None:
        raise ValueError("soft_dtw compares two signals, but the second is None.")
    shapes = [tuple(x.shape) for x in (a, b) if x is not None]
    if any(0 in shape or not 1 + precomputed <= len(shape) <= 3 for shape in shapes):
        wanted = "costs have the shape (n, m) or (batch, n, m)" if precomputed else "signals have 1 to 3 dimensions"
        raise ValueError(f"{wanted}, and none is empty; got {' and '.join(map(str, shapes))}.")
    a, b = (x[:, None] if x is not None and x.ndim == 1 else x for x in (a, b))
    if b is not None and (a.ndim != b.ndim or a.shape[-1] != b.shape[-1] or a.shape[:-2] != b.shape[:-2]):
        raise ValueError(
            f"Two signals have one width, and two batches one number of signals; got {' and '.join(map(str, shapes))}."
        )
    a, b = (x[None] if x is not None and x.ndim == 2 else x for x in (a, b))
    checked = []
    for name, lengths, longest in (
        ("lengths_a", lengths_a, a.shape[1]),
        ("lengths_b", lengths_b, a.shape[2] if b is None else b.shape[1]),
    ):
        lengths = np.full(len(a), longest) if lengths is None else to_numpy(lengths)
        inside = lengths.shape == (len(a),) and ((lengths >= 1) & (lengths <= longest)).all()
        if not inside or (lengths != np.floor(lengths)).any():
            raise ValueError(f"{name} must hold {len(a)} whole numbers from 1 to {longest}.")
        checked.append(lengths.astype(np.int64))
    return a, b, *checked


def _of_tensors(warping, a, b, lengths_a, lengths_b, method):
    import torch

    if b is not None and not is_tensor(b):
        raise TypeError("The first signal is a tensor and the second is not: bring both into one library.")
    single = a.ndim < 3
    a, b, ns, ms = _batches(warping, a, b, lengths_a, lengths_b)
    if b is None:
        costs = a
    elif callable(warping.metric):
        costs = warping.metric(a[0], b[0])[None] if single else warping.metric(a, b)
    elif warping.metric == FUSED:
        costs = ((a[:, :, None, :] - b[:, None, :, :]) ** 2).sum(-1)
    else:
        raise ValueError(f"For tensors metric is 'sqeuclidean', 'precomputed' or a function, not {warping.metric!r}.")
    if b is not None and costs.shape != (len(a), a.shape[1], b.shape[1]):
        raise ValueError(
            f"metric must give the matrix of costs of {a.shape[1]} by {b.shape[1]} frames at once, but its result has "
            f"shape {tuple(costs.shape[single:])}."
        )
    costs = costs if costs.is_floating_point() else costs.double()
    if not bool(torch.isfinite(costs).all()):
        raise ValueError(f"{int((~torch.isfinite(costs)).sum())} costs of matching frames are NaN or infinite.")
    values = _soft_minimum().apply(
        costs, warping, ns, ms, method == "wavefront" or (method == "auto" and costs.is_cuda)
    )
    if bool(torch.isinf(values).any()):
        p = int(torch.isinf(values).nonzero()[0, 0])
        raise ValueError(f"pair {p}: {unreachable(warping, ns[p], ms[p])}")
    return values[0] if single else values


@lru_cache(maxsize=1)
def _soft_minimum():
    """The differentiable function of a batch of cost matrices; made on demand, as torch takes long to load."""
    import torch

    from .._derivatives import first_derivative_only

    class SoftMinimum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, costs, warping, ns, ms, wavefront):
            solve = _wavefront if wavefront else _by_kernel
            values, ctx.alignments = solve(costs.detach(), warping, ns, ms, ctx.needs_input_grad[0])
            ctx.save_for_backward(values)
            return values

        @staticmethod
        @first_derivative_only
        def backward(ctx, grad):
            return grad[:, None, None] * ctx.alignments, None, None, None, None

    return SoftMinimum


def _by_kernel(costs, warping, ns, ms, gradient):
    import torch

    D = costs.cpu().double().numpy()
    values = np.empty(len(D))
    E: Any = np.zeros_like(D) if gradient else None
    from ._dtw_kernels import window_bounds
    from ._soft_dtw_kernels import expected_alignment, soft_costs

    for p, (n, m) in enumerate(zip(ns, ms)):
        bounds = window_bounds(n, m, int(warping.radii(n, m)), warping.slope())
        R = soft_costs(np.ascontiguousarray(D[p, :n, :m]), warping.gamma, *bounds)
        values[p] = R[-1, -1]
        if gradient:
            E[p, :n, :m] = expected_alignment(R, warping.gamma, *bounds)
    as_given = {"dtype": costs.dtype, "device": costs.device}
    return torch.as_tensor(values).to(**as_given), torch.as_tensor(E).to(**as_given) if gradient else None


def _wavefront(costs, warping, ns, ms, gradient):
    """Values and expected alignments of padded cost matrices, one anti-diagonal of the whole batch at a time.

    Anti-diagonal t holds row i at place i + 1; place 0 and what lies outside of the window stay infinite.
    """
    import torch

    batch, n, m = costs.shape
    device, gamma = costs.device, warping.gamma
    lower, upper = (torch.as_tensor(bound, device=device)[:, :, None] for bound in _bounds(warping, ns, ms, n))
    columns = torch.arange(m, device=device)
    inside = (columns >= lower) & (columns < upper)
    D = costs.double()
    i = torch.arange(n, device=device)
    R = torch.full((n + m + 1, batch, n + 1), torch.inf, dtype=torch.float64, device=device)
    R[0, :, 0] = 0.0  # the cell before the first; anti-diagonal t is R[t + 2]
    for t in range(n + m - 1):
        lo, hi = max(0, t - m + 1), min(n, t + 1)
        r = i[lo:hi]
        before = torch.stack([R[t, :, lo:hi], R[t + 1, :, lo:hi], R[t + 1, :, lo + 1 : hi + 1]])
        soft = -gamma * torch.logsumexp(-before / gamma, dim=0)
        R[t + 2, :, lo + 1 : hi + 1] = torch.where(inside[:, r, t - r], D[:, r, t - r] + soft, torch.inf)
    rows = torch.arange(batch, device=device)
    last_n, last_m = torch.as_tensor(ns, device=device), torch.as_tensor(ms, device=device)
    values = R[last_n + last_m, rows, last_n]
    if not gradient:
        return values.to(costs.dtype), None
    E = torch.zeros_like(R)
    E[last_n + last_m, rows, last_n] = 1.0
    out = torch.zeros_like(D)
    for t in range(n + m - 2, -1, -1):
        lo, hi = max(0, t - m + 1), min(n, t + 1)
        r = i[lo:hi]
        before = torch.stack([R[t, :, lo:hi], R[t + 1, :, lo:hi], R[t + 1, :, lo + 1 : hi + 1]])
        mass = E[t + 2, :, lo + 1 : hi + 1]
        out[:, r, t - r] = mass
        share = torch.nan_to_num(torch.softmax(-before / gamma, dim=0), nan=0.0) * mass
        E[t, :, lo:hi] += share[0]
        E[t + 1, :, lo:hi] += share[1]
        E[t + 1, :, lo + 1 : hi + 1] += share[2]
    return values.to(costs.dtype), out.to(costs.dtype)


def _bounds(warping, ns, ms, n):
    """First columns inside of the window and those after the last, by pair and row; none in rows of padding."""
    from ._dtw_kernels import window_bounds

    bounds = np.zeros((2, len(ns), n), dtype=np.int64)
    for p, (own_n, own_m) in enumerate(zip(ns, ms)):
        bounds[:, p, :own_n] = window_bounds(own_n, own_m, int(warping.radii(own_n, own_m)), warping.slope())
    return bounds
