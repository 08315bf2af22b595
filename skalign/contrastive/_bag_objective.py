"""The contrastive losses on views of bags."""

from __future__ import annotations

import torch

from .._backend import to_numpy
from .._bags import as_bags, on_elements
from .._derivatives import first_derivative_only
from ..transport._bag_costs import solve_bags
from ._bags import holds_any_bags
from ._objective import ContrastiveObjective

LOSSES = ("infonce", "siglip", "hinge", "vse++", "dcl")
_TOLERANCE, _MOST_SWEEPS = 1e-4, 200  # of plans in training: the value is off by the square of it
_LEAST_EPSILON = 1e-6  # in units of the squared length of elements: smaller costs are rounding in float32


class BagObjective(ContrastiveObjective):
    """A contrastive loss whose scores are the similarities of bags.

    Parameters
    ----------
    regularization : float
        Of transport, in units of the mean cost of the batch.
    *args
        Those of `ContrastiveObjective`.
    """

    def __init__(self, regularization, *args):
        super().__init__(*args)
        if self.loss not in LOSSES:
            raise ValueError(
                f"loss={self.loss!r} needs more than a similarity of every two bags of different views: for bags take "
                f"one of {list(LOSSES)}."
            )
        self.regularization = regularization

    def embed(self, Z):
        return on_elements(super().embed, Z)

    def comparable(self, A, B):
        if not holds_any_bags(A, B):
            return A, B
        # A bag is known by its similarities to all others: inner products with unit vectors are the entries themselves.
        S = bag_scores(as_bags(A), as_bags(B), self.regularization)
        return S, torch.eye(len(S), dtype=S.dtype, device=S.device)


def bag_scores(A, B, regularization):
    r"""Similarity of every two bags with the entropy of the plan, and its gradient.

    .. math:: \max_P \sum_{rs} P_{rs} \langle z_r, w_s \rangle - \varepsilon \, \mathrm{KL}(P \,|\, a b^\top)

    With the plan held fixed the gradient with respect to the embeddings is exact, as the plan is the maximum (the
    envelope theorem); so are regularisation and mean cost.

    Parameters
    ----------
    A, B : Bags of tensors
        Embeddings of n and n' bags.
    regularization : float
        :math:`\varepsilon` in units of the mean of half the squared distance of two elements.

    Returns
    -------
    tensor of shape (n, n')
    """
    squares = [Z.elements.square().sum(dim=1) / 2 for Z in (A, B)]
    # Half squared distances have the same plans as minus inner products, and are costs with a scale.
    costs = squares[0][:, None] + squares[1] - A.elements @ B.elements.T
    with torch.no_grad():
        weights = [torch.as_tensor(Z.weights, dtype=costs.dtype, device=costs.device) for Z in (A, B)]
        size = float(sum(w @ s for w, s in zip(weights, squares)))
        epsilon = max(regularization * float(weights[0] @ costs @ weights[1]), _LEAST_EPSILON * size) or 1.0
    first, second = (_bag_means(s, Z) for s, Z in zip(squares, (A, B)))
    return first[:, None] + second - _Transport.apply(costs, A.offsets, B.offsets, epsilon)


def _bag_means(values, bags):
    sums = values.new_zeros(len(bags)).index_add(0, _bag_of_element(bags.offsets, values.device), values)
    return sums / torch.as_tensor(bags.sizes, device=values.device)


def _bag_of_element(offsets, device):
    sizes = torch.as_tensor(offsets[1:] - offsets[:-1], device=device)
    return torch.repeat_interleave(torch.arange(len(sizes), device=device), sizes)


class _Transport(torch.autograd.Function):
    """Entropic transport cost of every two bags from the costs of all elements; its gradient is the plan.

    Called as ``_Transport.apply(costs, offsets_a, offsets_b, epsilon)``. Plans are found on the CPU, for bags of any
    sizes without padding, each for as long as it needs.
    """

    @staticmethod
    def forward(ctx, costs, offsets_a, offsets_b, epsilon):
        solved = solve_bags(to_numpy(costs), offsets_a, offsets_b, epsilon, _TOLERANCE, _MOST_SWEEPS, plans=True)
        values = torch.as_tensor(solved.values, dtype=costs.dtype, device=costs.device)
        ctx.save_for_backward(
            torch.as_tensor(solved.plan, device=costs.device),
            *(_bag_of_element(offsets, costs.device) for offsets in (offsets_a, offsets_b)),
            values,
        )
        return values

    @staticmethod
    @first_derivative_only
    def backward(ctx, grad):
        plan, rows, columns, _ = ctx.saved_tensors
        return plan * grad[rows][:, columns], None, None, None
