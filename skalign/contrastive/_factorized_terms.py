r"""Bounds of mutual information from a matrix of scores, and the critics that give the scores.

A matrix S of shape (n, n) holds the critic's score of every row of one view with every row of another; the diagonal
holds the pairs. ``among`` marks the pairs to compare with, the diagonal among them: all of them for I(X1;X2), those of
the same label for I(X1;X2|y). Taking them from the whole batch would estimate I(X1;X2) in both cases.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from .._nets import MLP

_LARGEST_SCORE = 15.0  # where a critic that has won levels off: the upper bound of deterministic relations is infinite


def nce(S, among):
    r"""InfoNCE, a lower bound of the information, in nats.

    .. math:: \frac{1}{2n} \sum_i \Big[ \log \frac{e^{S_{ii}}}{\frac{1}{m_i} \sum_{j \in M_i} e^{S_{ij}}}
        + \log \frac{e^{S_{ii}}}{\frac{1}{m_i} \sum_{j \in M_i} e^{S_{ji}}} \Big]

    Parameters
    ----------
    S : tensor of shape (n, n)
        Scores.
    among : symmetric bool tensor of shape (n, n)
        The :math:`M_i`, of :math:`m_i` rows: its logarithm is the largest value that row i can have.

    Returns
    -------
    tensor of shape ()
    """
    hidden = S.masked_fill(~among, -torch.inf)
    both = hidden.log_softmax(1).diagonal() + hidden.log_softmax(0).diagonal()
    return (both / 2 + among.sum(1).to(S.dtype).log()).mean()


def club(S, among):
    """CLUB with the critic of InfoNCE: the mean score of pairs less that of others, 0 where there are no others.

    An upper bound where the critic is the best there is. Means are of the rows that have others.

    Parameters
    ----------
    S, among : tensors of shape (n, n)
        As in `nce`.

    Returns
    -------
    tensor of shape ()

    References
    ----------
    Cheng, P. et al. (2020). CLUB: a contrastive log-ratio upper bound of mutual information. *ICML*.
    Liang, P. P. et al. (2023). Factorized contrastive learning: going beyond multi-view redundancy. *NeurIPS*.
    """
    others = among.to(S.dtype).fill_diagonal_(0)
    counts = others.sum(1)
    means = others / counts.clamp(min=1)[:, None]
    some = (counts > 0).to(S.dtype)
    return (S * (some.diag() - (means + means.T) / 2)).sum() / some.sum().clamp(min=1)


def label_bound(logits, labels, log_prior):
    """H(y) less the cross-entropy of a classifier: the limit of InfoNCE for a discrete view, without its ceiling."""
    return (F.log_softmax(logits, dim=1) - log_prior)[torch.arange(len(labels), device=labels.device), labels].mean()


def gaussian_scores(A, B):
    """-|a - b|^2 / 2 of all pairs of rows: the critic for which embeddings are the latents themselves."""
    return A @ B.T - A.square().sum(1)[:, None] / 2 - B.square().sum(1) / 2


def same_label(labels):
    """Pairs of rows of the same label."""
    return labels[:, None] == labels


def all_pairs(Z):
    """All pairs of the rows of `Z`."""
    return torch.ones((len(Z), len(Z)), dtype=torch.bool, device=Z.device)


def relation(unique, shared):
    """Squared correlations of the columns of two blocks: their sum, by the columns of the first."""
    A, B = (Z - Z.mean(dim=0) for Z in (unique, shared))
    A, B = (Z / (Z.square().sum(dim=0) + 1e-6).sqrt() for Z in (A, B))
    return (A.T @ B).square().sum() / A.shape[1]


class Critic(torch.nn.Module):
    """Scores of pairs as inner products of two small nets."""

    def __init__(self, n_a, n_b, width=64, n_factors=32):
        super().__init__()
        self.a, self.b = (MLP(n, n_factors, (width,)) for n in (n_a, n_b))
        self.scale = 1.0 / math.sqrt(n_factors)

    def forward(self, A, B):
        S = self.scale * self.a(A) @ self.b(B).T
        return _LARGEST_SCORE * torch.tanh(S / _LARGEST_SCORE)
