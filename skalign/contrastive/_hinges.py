"""Sums over the negatives of every row of a matrix of scores, as the losses on batches of pairs need them."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def hinge_sums(scores, same, start, margin):
    """For every row, the sum of [margin - positive + negative]+ over all its positives and negatives."""
    n_positives = int(same.sum(1).max())
    if n_positives == 1:
        return F.relu(margin - scores.diagonal(start)[:, None] + scores).masked_fill(same, 0.0).sum(1)
    # The sum is linear in the scores between its kinks: a score counts as often as it takes part in a violation. Two
    # sorted lists tell how often without going through all triples.
    with torch.no_grad():
        far = torch.full_like(scores, torch.inf)
        lowest = torch.where(same, scores - margin, far).sort(1).values[:, :n_positives].contiguous()
        negatives = torch.where(same, far, scores).sort(1).values
        below = torch.searchsorted(lowest, scores.contiguous())
        up_to = torch.searchsorted(negatives, (scores - margin).contiguous(), right=True)
        above = (~same).sum(1, keepdim=True) - up_to
        weights = torch.where(same, -above, below).to(scores.dtype)
        n_violations = torch.where(same, above, 0).sum(1).to(scores.dtype)
    return (weights * scores).sum(1) + margin * n_violations


def hardest_hinge(scores, same, margin):
    """For every row, the mean over its positives of [margin - positive + highest negative]+; 0 without a negative."""
    highest = scores.masked_fill(same, -torch.inf).amax(1, keepdim=True)
    return mean_where(F.relu(margin - scores + highest), same)


def mean_where(values, mask):
    """Mean of the marked entries of every row."""
    return values.masked_fill(~mask, 0.0).sum(1) / mask.sum(1)
