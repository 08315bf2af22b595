"""Losses on a batch of paired embeddings: what pulls a pair together and pushes the others away.

Every function takes two tensors `A` and `B` of shape (n, d) whose rows are pairs, and gives a scalar tensor. Scores are
inner products; the caller normalises the rows if they should be cosines. All but `triplet` are on scores.

``positives=None`` means that row i of `A` belongs with row i of `B` alone. With several rows to a thing (captions of a
picture, a class), a vector of n group ids makes every two rows of the same group belong together.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ._chunked import InfoNCE, SigmoidSum, both_ways, by_rows, chunk_rows, same_group
from ._hinges import hardest_hinge, hinge_sums, mean_where


def info_nce(
    A: Tensor,
    B: Tensor,
    scale: float | Tensor,
    *,
    positives: Tensor | None = None,
    label_smoothing: float = 0.0,
    chunk_size: int | Literal["auto"] | None = "auto",
) -> Tensor:
    r"""Symmetric InfoNCE: cross-entropy of finding the partner among the batch, in both directions.

    .. math:: -\frac{1}{2n} \sum_i \Big[ \sum_j t_{ij} \log \frac{e^{s a_i^\top b_j}}{\sum_k e^{s a_i^\top b_k}}
        + \sum_j t_{ij} \log \frac{e^{s a_j^\top b_i}}{\sum_k e^{s a_k^\top b_i}} \Big]

    where the targets :math:`t_i` are uniform over the positives of row i.

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    scale : float or 0-d tensor
        Inverse temperature s; may require a gradient.
    positives : int tensor of shape (n,), optional
        Group ids. None: only partners are positive.
    label_smoothing : float, default=0.0
        Share of the target that is spread evenly over the batch, in [0, 1].
    chunk_size : "auto", int or None, default="auto"
        Rows of the matrix of scores to hold at a time. The answer does not depend on it. None holds the whole matrix
        and can be differentiated twice; "auto" does so for small batches.

    Returns
    -------
    tensor of shape ()

    References
    ----------
    van den Oord, A., Li, Y. and Vinyals, O. (2018). Representation learning with contrastive predictive coding.
    Radford, A. et al. (2021). Learning transferable visual models from natural language supervision. *ICML*.
    """
    _check_pairs(A, B, positives)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing!r}.")
    scale = _scalar(scale, A)
    n_rows = chunk_rows(chunk_size, *A.shape)
    if n_rows is None:
        scores = (scale * A) @ B.T
        targets = _uniform_targets(A, positives)
        both = [F.cross_entropy(S, targets, label_smoothing=label_smoothing) for S in (scores, scores.T)]
        return (both[0] + both[1]) / 2
    loss = InfoNCE.apply(A, B, scale, positives, 1.0 - label_smoothing, n_rows)
    return loss if label_smoothing == 0 else loss - label_smoothing * scale * (A.mean(0) @ B.mean(0))


def siglip(
    A: Tensor,
    B: Tensor,
    scale: float | Tensor,
    bias: float | Tensor,
    *,
    positives: Tensor | None = None,
    chunk_size: int | Literal["auto"] | None = "auto",
) -> Tensor:
    r"""Sigmoid loss: every one of the n² pairs is a two-class problem of its own.

    .. math:: \frac{1}{n} \sum_{ij} \log\big(1 + e^{-z_{ij} (s a_i^\top b_j + \beta)}\big)

    where :math:`z_{ij}` is 1 for positives and -1 for all others.

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    scale, bias : floats or 0-d tensors
        s and β; may require a gradient. The authors start at 10 and -10.
    positives : int tensor of shape (n,), optional
        Group ids. None: only partners are positive.
    chunk_size : "auto", int or None, default="auto"
        As for `info_nce`.

    Returns
    -------
    tensor of shape ()

    References
    ----------
    Zhai, X., Mustafa, B., Kolesnikov, A. and Beyer, L. (2023). Sigmoid loss for language image pre-training. *ICCV*.
    """
    _check_pairs(A, B, positives)
    scale, bias = _scalar(scale, A), _scalar(bias, A)
    n_rows = chunk_rows(chunk_size, *A.shape)
    if n_rows is None:
        signs = torch.where(same_group(A, positives), 1.0, -1.0).to(A.dtype)
        return -F.logsigmoid(signs * ((scale * A) @ B.T + bias)).sum() / len(A)
    return SigmoidSum.apply(A, B, scale, bias, positives, n_rows) / len(A)


def hinge(A: Tensor, B: Tensor, *, margin: float = 0.2, positives: Tensor | None = None) -> Tensor:
    r"""Sum of hinges: every negative should score less than the positive by a margin, in both directions.

    .. math:: \frac{1}{n} \sum_i \sum_{j \notin P_i} \big[\gamma - a_i^\top b_i + a_i^\top b_j\big]_+
        + \big[\gamma - a_i^\top b_i + a_j^\top b_i\big]_+

    With several positives in a row, the mean over them.

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    margin : float, default=0.2
        γ, in units of the scores.
    positives : int tensor of shape (n,), optional
        Group ids. None: only partners are positive.

    Returns
    -------
    tensor of shape ()

    References
    ----------
    Kiros, R., Salakhutdinov, R. and Zemel, R. S. (2014). Unifying visual-semantic embeddings with multimodal neural
    language models.
    """
    _check_pairs(A, B, positives)
    sums = both_ways(lambda S, same, start: hinge_sums(S, same, start, margin), A, B, positives)
    return (sums / _group_sizes(A, positives)).mean()


def vse_pp(
    A: Tensor, B: Tensor, *, margin: float = 0.2, positives: Tensor | None = None, hardness: float = 1.0
) -> Tensor:
    r"""VSE++: the hinge against the hardest negative of the batch alone, in both directions.

    .. math:: \frac{1}{n} \sum_i \max_{j \notin P_i} \big[\gamma - a_i^\top b_i + a_i^\top b_j\big]_+
        + \max_{j \notin P_i} \big[\gamma - a_i^\top b_i + a_j^\top b_i\big]_+

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    margin : float, default=0.2
        γ, in units of the scores.
    positives : int tensor of shape (n,), optional
        Group ids. None: only partners are positive. With several positives in a row, the mean over them.
    hardness : float, default=1.0
        Weight of this loss against that of `hinge`, in [0, 1]. Untrained nets collapse more easily under the hardest
        negatives; raising it from 0 to 1 over the first epochs avoids that.

    Returns
    -------
    tensor of shape ()

    References
    ----------
    Faghri, F., Fleet, D. J., Kiros, J. R. and Fidler, S. (2018). VSE++: improving visual-semantic embeddings with hard
    negatives. *BMVC*.
    """
    if not 0 <= hardness <= 1:
        raise ValueError(f"hardness must be in [0, 1], got {hardness!r}.")
    if hardness == 0:
        return hinge(A, B, margin=margin, positives=positives)
    _check_pairs(A, B, positives)
    hardest = both_ways(lambda S, same, start: hardest_hinge(S, same, margin), A, B, positives).mean()
    if hardness == 1:
        return hardest
    return hardness * hardest + (1 - hardness) * hinge(A, B, margin=margin, positives=positives)


def triplet(A: Tensor, B: Tensor, *, margin: float = 0.2, positives: Tensor | None = None) -> Tensor:
    r"""Triplet loss: mean over all anchors, positives and negatives of a hinge on Euclidean distances.

    .. math:: \operatorname{mean} \big[\gamma + \lVert x - y \rVert - \lVert x - z \rVert\big]_+

    over x in one view with y of its group and z of another group in the other view, in both directions.

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    margin : float, default=0.2
        γ, in units of the distances.
    positives : int tensor of shape (n,), optional
        Group ids. None: only partners are positive.

    Returns
    -------
    tensor of shape ()
        0 if there is no negative.

    References
    ----------
    Schroff, F., Kalenichenko, D. and Philbin, J. (2015). FaceNet: a unified embedding for face recognition and
    clustering. *CVPR*.
    """
    _check_pairs(A, B, positives)
    sums = both_ways(lambda S, same, start: hinge_sums(S, same, start, margin), A, B, positives, _minus_distances)
    sizes = _group_sizes(A, positives)
    n_triples = 2 * (sizes * (len(A) - sizes)).sum()
    return sums.sum() / n_triples.clamp(min=1)


def supcon(A: Tensor, B: Tensor, scale: float | Tensor, *, positives: Tensor | None = None) -> Tensor:
    r"""Supervised contrastive loss over both views as one set of 2n embeddings.

    .. math:: -\frac{1}{2n} \sum_i \frac{1}{|P_i|} \sum_{p \in P_i}
        \log \frac{e^{s z_i^\top z_p}}{\sum_{k \ne i} e^{s z_i^\top z_k}}

    Unlike `info_nce` it also compares embeddings of the same view. Without groups it is the loss of SimCLR.

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    scale : float or 0-d tensor
        Inverse temperature s; may require a gradient.
    positives : int tensor of shape (n,), optional
        Group ids: :math:`P_i` are all others of the group, in both views. None: only the partner.

    Returns
    -------
    tensor of shape ()

    References
    ----------
    Khosla, P. et al. (2020). Supervised contrastive learning. *NeurIPS*. Equation 2.
    Chen, T., Kornblith, S., Norouzi, M. and Hinton, G. (2020). A simple framework for contrastive learning of visual
    representations. *ICML*.
    """
    _check_pairs(A, B, positives)
    Z, ids = torch.cat([A, B]), torch.arange(len(A), device=A.device) if positives is None else positives

    def of_others(scores, same, start):
        own = torch.zeros_like(same)
        own.diagonal(start).fill_(True)
        return scores.masked_fill(own, -torch.inf).logsumexp(1) - mean_where(scores, same & ~own)

    return by_rows(of_others, _scalar(scale, A) * Z, Z, torch.cat([ids, ids])).mean()


def dcl(A: Tensor, B: Tensor, scale: float | Tensor, *, positives: Tensor | None = None) -> Tensor:
    r"""Decoupled contrastive loss: InfoNCE without the positives in the denominator, in both directions.

    .. math:: -\frac{1}{2n} \sum_i \Big[ \log \frac{e^{s a_i^\top b_i}}{\sum_{k \notin P_i} e^{s a_i^\top b_k}}
        + \log \frac{e^{s a_i^\top b_i}}{\sum_{k \notin P_i} e^{s a_k^\top b_i}} \Big]

    So a pair that is easy already still learns at full rate, which matters in small batches. Not bounded below.

    Parameters
    ----------
    A, B : tensors of shape (n, d)
        Embeddings, paired by row.
    scale : float or 0-d tensor
        Inverse temperature s; may require a gradient.
    positives : int tensor of shape (n,), optional
        Group ids. None: only partners are positive. With several positives in a row, the mean over them.

    Returns
    -------
    tensor of shape ()
        Rows without a negative count as 0.

    References
    ----------
    Yeh, C.-H. et al. (2022). Decoupled contrastive learning. *ECCV*.
    """
    _check_pairs(A, B, positives)
    alone = _group_sizes(A, positives) == len(A)

    def against_negatives(scores, same, start):
        # A row without a negative is not masked: the gradient of the log of an empty sum is not finite.
        hidden = same & ~alone[start : start + len(same), None]
        return scores.masked_fill(hidden, -torch.inf).logsumexp(1) - mean_where(scores, same)

    terms = both_ways(against_negatives, _scalar(scale, A) * A, B, positives)
    return terms.masked_fill(alone, 0.0).mean() / 2


def _minus_distances(A, B):
    # Distances from inner products are off by the root of the rounding error, and their gradients explode near 0.
    return -torch.cdist(A, B, compute_mode="donot_use_mm_for_euclid_dist")


def _group_sizes(A, positives):
    """How many positives every row has."""
    if positives is None:
        return torch.ones(len(A), dtype=torch.int64, device=A.device)
    _, group, sizes = torch.unique(positives, return_inverse=True, return_counts=True)
    return sizes[group]


def _uniform_targets(A, positives):
    """Targets of `torch.nn.functional.cross_entropy`: classes, or rows of probabilities."""
    if positives is None:
        return torch.arange(len(A), device=A.device)
    same = same_group(A, positives).to(A.dtype)
    return same / same.sum(1, keepdim=True)


def _scalar(value, A):
    """A number or a tensor of one element as a 0-d tensor beside `A`, with its gradient."""
    return torch.as_tensor(value, dtype=A.dtype, device=A.device).reshape(())


def _check_pairs(A, B, positives):
    for name, value in (("A", A), ("B", B), ("positives", positives)):
        if not (isinstance(value, Tensor) or (value is None and name == "positives")):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}.")
    if A.ndim != 2 or A.shape != B.shape or len(A) == 0:
        raise ValueError(f"A and B must have the same shape (n, d), got {tuple(A.shape)} and {tuple(B.shape)}.")
    if positives is not None and positives.shape != (len(A),):
        raise ValueError(f"positives must be {len(A)} group ids, got shape {tuple(positives.shape)}.")
