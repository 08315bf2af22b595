r"""Losses that train a critic, and what a trained critic says of the mutual information of two views.

A critic scores pairs of rows, :math:`f(x_i, y_j) = a_i^\top b_j`. Paired rows are draws of the joint distribution p,
all other pairs of them draws of the product q of the marginals. Tensors `A` and `B` have shape (n, d).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from ..contrastive.losses import info_nce
from ._groups import in_groups

_SCALES = [i / 10 for i in range(1, 11)]  # of the scores of a critic that is too sure of itself
_CHUNK = 2**22  # scores in memory at a time
_LARGEST = 1.0  # logarithm from which the loss of NWJ is linear; that of the best critic is 0


def calibration(A, B, groups=None):
    """Factor and offset of the scores with which the bound of NWJ is largest on these rows.

    A critic that was trained to tell pairs from others is too sure of itself, and exponentials punish that.
    """

    def bound(scale):
        joint = in_groups(lambda A, B: scale * float((A * B).sum(dim=1).double().mean()), A, B, groups)
        others = in_groups(lambda A, B: _exp(_chunked_log_mean_exp(scale * A, B)), A, B, groups)
        return joint - math.log(others), scale, math.log(others)

    return max(bound(scale) for scale in _SCALES)[1:]


def infonce_loss(A, B):
    """Cross-entropy of finding the partner among the n rows, in both directions."""
    return info_nce(A, B, 1.0)


def dv_loss(A, B):
    """The bound of Donsker and Varadhan, turned round."""
    scores = A @ B.T
    return _log_mean_exp(scores) - scores.diagonal().mean()


def nwj_loss(A, B):
    """The bound of Nguyen, Wainwright and Jordan, turned round.

    Where the mean of the exponentials is large it goes on linearly in its logarithm: a single pair of rows could
    otherwise throw the nets anywhere.
    """
    scores = A @ B.T
    others = _log_mean_exp(scores) - 1.0
    small = others.clamp(max=_LARGEST)
    return small.exp() + math.exp(_LARGEST) * (others - small) - scores.diagonal().mean()


def js_loss(A, B):
    """Logistic loss of telling pairs from others: log 4 less twice a bound of the Jensen-Shannon divergence."""
    scores = A @ B.T
    return F.softplus(-scores.diagonal()).mean() + _mean_of_others(F.softplus(scores))


def _exp(x):
    return math.exp(min(x, 700.0))


LOSSES = {"infonce": infonce_loss, "nwj": nwj_loss, "dv": dv_loss, "smile": js_loss, "js": js_loss}


@torch.no_grad()
def estimate(method, A, B, clip=None, calibration=(1.0, 0.0)):
    """The mutual information by a trained critic, in nats, from rows that it was not trained on.

    Parameters
    ----------
    method : str
        A key of `LOSSES`.
    A, B : tensors of shape (n, d)
        Outputs of the nets.
    clip : float
        Of "smile": scores of other pairs count at most this, and at least its negative.
    calibration : tuple of two floats, default=(1.0, 0.0)
        Of "js": factor and offset of the scores.

    Returns
    -------
    float
    """
    if method == "infonce":
        return math.log(len(A)) - float(info_nce(A, B, 1.0))
    scale, offset = calibration if method == "js" else (1.0, float(method == "nwj"))  # the best critic of NWJ is 1 off
    A = scale * A
    joint = float((A * B).sum(dim=1).double().mean())
    if method == "smile":
        return joint - _chunked_log_mean_exp(A, B, clip)
    others = _chunked_log_mean_exp(A, B)
    if method == "dv":
        return joint - others
    return joint - offset + 1.0 - _exp(others - offset)


def _log_mean_exp(scores):
    n = len(scores)
    return scores.masked_fill(torch.eye(n, dtype=torch.bool, device=scores.device), -torch.inf).flatten().logsumexp(
        0
    ) - math.log(n * (n - 1))


def _mean_of_others(values):
    n = len(values)
    return (values.sum() - values.diagonal().sum()) / (n * (n - 1))


def _chunked_log_mean_exp(A, B, clip=math.inf):
    """Log of the mean of the exponentials of the scores of all pairs i != j, a few rows of them at a time."""
    n, total = len(A), A.new_full((), -torch.inf, dtype=torch.float64)
    step = max(1, _CHUNK // n)
    for start in range(0, n, step):
        scores = (A[start : start + step] @ B.T).clamp_(-clip, clip)
        scores.diagonal(start).fill_(-torch.inf)
        total = torch.logaddexp(total, scores.logsumexp(1).double().logsumexp(0))
    return float(total) - math.log(n * (n - 1))
