r"""Losses on a matrix of logits :math:`L = s A B^\top` and their gradients, a few rows of it at a time.

The matrix has as many entries as there are pairs, and writing it out, more than the products, is what a large batch
costs. Both losses work in a buffer of a few rows that stays in the cache. With :math:`G = \partial f / \partial L`,

.. math:: \frac{\partial f}{\partial A} = s G B, \qquad \frac{\partial f}{\partial B} = s G^\top A, \qquad
    \frac{\partial f}{\partial s} = \sum_{ij} A_{ij} (G B)_{ij} = \sum_{ij} B_{ij} (G^\top A)_{ij}.
"""

from __future__ import annotations

import math

import torch
from torch.utils.checkpoint import checkpoint

from .._derivatives import first_derivative_only
from .._input import is_whole

# Powers of 2 cost a third of powers of e in torch on CPUs, so logits are taken to base 2.
_LOG2_E = 1 / math.log(2)
# 2**x and sums and ratios of it are far from overflow and underflow in each type while |x| is below this.
_SAFE_EXPONENT = {torch.float32: 90.0, torch.float64: 900.0}

# Smaller matrices of scores stay in the cache and autograd on the whole of them is as fast as chunks. Embeddings wider
# than a quarter of the batch make the products dearer than the traffic, and chunks compute one product twice.
_CHUNKED_FROM = 512
# Numbers in a chunk (2 MB in float32, about a cache), and rows below which the products get slow.
_CHUNK = 2**19
_FEWEST_ROWS = 64
# Losses without a function of their own are differentiated by autograd: on the whole matrix up to this many rows, where
# it has 256 MB in float32, and beyond it in chunks of so many numbers, each computed again on the way back.
_WHOLE_UP_TO = 8192
_CHUNK_AGAIN = 2**22


def chunk_rows(chunk_size, n, d):
    """Rows to a chunk for n pairs of d numbers; None for the whole matrix at once."""
    if isinstance(chunk_size, str) and chunk_size == "auto":
        return None if n < max(_CHUNKED_FROM, 4 * d) else min(n, max(_FEWEST_ROWS, _CHUNK // n))
    if chunk_size is None:
        return None
    if is_whole(chunk_size, 1):
        return min(n, chunk_size)
    raise ValueError(f'chunk_size must be "auto", a positive int or None, got {chunk_size!r}.')


def _products(A, B):
    return A @ B.T


def both_ways(term, A, B, groups, compare=_products):
    """Sum of `by_rows` of A against B and of B against A, of shape (n,)."""
    if len(A) > _WHOLE_UP_TO:
        return by_rows(term, A, B, groups, compare) + by_rows(term, B, A, groups, compare)
    scores, same = compare(A, B), same_group(A, groups)
    return term(scores, same, 0) + term(scores.T, same, 0)


def by_rows(term, A, B, groups, compare=_products):
    """A function of the rows of a matrix of scores, of which only a part is held at a time where it is large.

    Parameters
    ----------
    term : callable
        ``term(scores, same, start)`` gives one number a row, from the scores of rows `start` and following, and which
        of them are positives.
    A, B : tensors of shape (n, d)
        What is compared.
    groups : int tensor of shape (n,) or None
        Group ids; None is one row a group.
    compare : callable
        Scores from rows of A and all of B.

    Returns
    -------
    tensor of shape (n,)
    """

    def of_part(rows, others, start):
        return term(compare(rows, others), same_group(A, groups, start, len(rows)), start)

    if len(A) <= _WHOLE_UP_TO:
        return of_part(A, B, 0)
    n_rows = max(_FEWEST_ROWS, _CHUNK_AGAIN // len(A))
    parts = [
        checkpoint(of_part, A[start : start + n_rows], B, start, use_reentrant=False, preserve_rng_state=False)
        for start in range(0, len(A), n_rows)
    ]
    return torch.cat(parts)


def same_group(A, groups, start=0, n_rows=None):
    """Who belongs with whom: for `n_rows` rows of A from `start` on, None for all, a bool row over all."""
    n_rows = len(A) if n_rows is None else n_rows
    if groups is not None:
        return groups[start : start + n_rows, None] == groups
    same = torch.zeros(n_rows, len(A), dtype=torch.bool, device=A.device)
    same.diagonal(start).fill_(True)
    return same


class InfoNCE(torch.autograd.Function):
    """Mean log-sum-exp of the rows and the columns of the logits, less `share` times the mean logit of the positives.

    Called as ``InfoNCE.apply(A, B, scale, groups, share, n_rows)``: a 0-d tensor, group ids or None for the diagonal,
    a float and the rows to a chunk. Backward computes every chunk again, which costs one product of four.
    """

    @staticmethod
    def forward(ctx, A, B, scale, groups, share, n_rows):
        ctx.groups, ctx.share, ctx.n_rows, ctx.scale = groups, share, n_rows, scale * _LOG2_E
        # While no logit can be extreme, one power, unshifted, serves the rows and the columns alike.
        bound = (ctx.scale * _largest_norm(A) * _largest_norm(B)).abs()
        ctx.shared = bool(bound < _SAFE_EXPONENT.get(A.dtype, 0.0))
        sums = _shared_sums if ctx.shared else _shifted_sums
        rows, cols, right = sums(A, B, ctx.scale, _Targets(groups), n_rows)
        ctx.save_for_backward(A, B, scale, rows, cols)
        if ctx.shared:
            rows, cols = rows.log2(), cols.log2()
        # Row by row, so that small losses are not differences of large means.
        return ((rows - share * right).mean() + (cols - share * right).mean()) / (2 * _LOG2_E)

    @staticmethod
    @first_derivative_only
    def backward(ctx, grad):
        A, B, scale, rows, cols = ctx.saved_tensors
        gradients, targets = _Gradients(A, B, ctx.needs_input_grad), _Targets(ctx.groups)
        spare = _buffer(A, B, ctx.n_rows)
        for part, L in _chunks(A, B, ctx.scale, ctx.n_rows):
            other = spare[: len(L)]
            if ctx.shared:
                torch.div(L.exp2_(), cols, out=other)  # a quotient of equals is 1, a product with an inverse is not
                L.div_(rows[part, None]).add_(other)
            else:
                torch.sub(L, cols, out=other).exp2_()
                L.sub_(rows[part, None]).exp2_().add_(other)
            # Before the products: once a batch is learned, little but rounding would be left of their difference.
            targets.subtract(L, part, 2 * ctx.share)
            gradients.add(part, L)
        return *gradients.finish(scale, grad / (2 * len(A))), None, None, None


def _shared_sums(A, B, scale, targets, n_rows):
    """Sums of ``2 ** L`` in rows and columns, for moderate L, and the mean L of the positives of every row."""
    rows, cols, right = A.new_empty(len(A)), A.new_zeros(len(B)), A.new_empty(len(A))
    ones = A.new_ones(n_rows)
    for part, L in _chunks(A, B, scale, n_rows):
        right[part] = targets.mean(L, part)
        torch.sum(L.exp2_(), 1, out=rows[part])
        cols.addmv_(L.T, ones[: len(L)])  # half the time of a sum over rows
    return rows, cols, right


def _shifted_sums(A, B, scale, targets, n_rows):
    """As `_shared_sums` but the logs to base 2 of the sums, for L of any size."""
    rows, cols, right = A.new_empty(len(A)), A.new_full((len(B),), -torch.inf), A.new_empty(len(A))
    spare = _buffer(A, B, n_rows)
    for part, L in _chunks(A, B, scale, n_rows):
        right[part] = targets.mean(L, part)
        sums = []
        for dim in (1, 0):
            top = L.amax(dim, keepdim=True)
            powers = torch.sub(L, top, out=spare[: len(L)]).exp2_()
            sums.append(powers.sum(dim).log2_().add_(top.squeeze(dim)))
        rows[part] = sums[0]
        cols = torch.logaddexp2(cols, sums[1])
    return rows, cols, right


class SigmoidSum(torch.autograd.Function):
    """Sum of ``log(1 + exp(L + bias))`` over the negatives and of ``log(1 + exp(-L - bias))`` over the positives.

    Called as ``SigmoidSum.apply(A, B, scale, bias, groups, n_rows)``, with 0-d tensors `scale` and `bias`. The
    derivative of a term depends on no other, so the forward pass leaves the gradients behind and backward is free.
    """

    @staticmethod
    def forward(ctx, A, B, scale, bias, groups, n_rows):
        gradients = _Gradients(A, B, ctx.needs_input_grad) if any(ctx.needs_input_grad) else None
        # One vector, not a list of scalars: small tensors that stay between large ones that go fragment the heap.
        totals, slopes, targets = A.new_empty(len(A)), A.new_empty(len(A)), _Targets(groups)
        spare = _buffer(A, B, n_rows)
        for part, L in _chunks(A, B, scale, n_rows):
            targets.negate(L.add_(bias), part)
            other = spare[: len(L)]
            # log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)): no overflow, and small values keep all their digits.
            torch.sum(torch.abs(L, out=other).mul_(-_LOG2_E).exp2_().log1p_(), 1, out=totals[part])
            totals[part] += torch.clamp(L, min=0, out=other).sum(1)
            if gradients is not None:
                targets.negate(L.sigmoid_(), part)
                torch.sum(L, 1, out=slopes[part])
                gradients.add(part, L)
        total = totals.sum()
        if gradients is not None:
            ctx.save_for_backward(*gradients.finish(scale), slopes.sum(), total)
        return total

    @staticmethod
    @first_derivative_only
    def backward(ctx, grad):
        *gradients, _ = ctx.saved_tensors
        return *(None if g is None else grad * g for g in gradients), None, None


class _Targets:
    """Which entries of a chunk of logits are positives."""

    def __init__(self, groups):
        self.groups = groups
        if groups is not None:
            _, group, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
            self.sizes = sizes[group]

    def _same(self, part):
        return self.groups[part, None] == self.groups

    def mean(self, L, part):
        """Mean of the positives of every row."""
        if self.groups is None:
            return L.diagonal(part.start)
        return torch.where(self._same(part), L, 0.0).sum(1) / self.sizes[part]

    def subtract(self, L, part, weight):
        """Subtract from every row a weight spread over its positives, in place."""
        if self.groups is None:
            L.diagonal(part.start).sub_(weight)
        else:
            L.sub_(self._same(part) / self.sizes[part, None].to(L.dtype), alpha=weight)

    def negate(self, L, part):
        """Negate the positives, in place."""
        if self.groups is None:
            L.diagonal(part.start).neg_()
        else:
            L.mul_(1 - 2 * self._same(part).to(L.dtype))


class _Gradients:
    """Gradients with respect to `A`, `B` and the scale, from the chunks of G. Omits products that nobody needs."""

    def __init__(self, A, B, needs):
        self.A, self.B = A, B
        self.for_scale = needs[2]
        self.for_A = torch.empty_like(A) if needs[0] or (needs[2] and not needs[1]) else None
        self.for_B = torch.zeros_like(B) if needs[1] else None

    def add(self, part, G):
        if self.for_A is not None:
            torch.mm(G, self.B, out=self.for_A[part])
        if self.for_B is not None:
            self.for_B.addmm_(G.T, self.A[part])

    def finish(self, scale, factor=1.0):
        by_scale = None
        if self.for_scale:
            by_scale = factor * ((self.A * self.for_A) if self.for_A is not None else (self.B * self.for_B)).sum()
        return *(None if g is None else g.mul_(scale * factor) for g in (self.for_A, self.for_B)), by_scale


def _chunks(A, B, scale, n_rows):
    """Slices of the rows of `A` with their logits, in a buffer that may be overwritten and is used again."""
    buffer = _buffer(A, B, n_rows)
    for start in range(0, len(A), n_rows):
        part = slice(start, min(start + n_rows, len(A)))
        yield part, torch.mm(A[part] * scale, B.T, out=buffer[: part.stop - start])


def _buffer(A, B, n_rows):
    return A.new_empty(n_rows, len(B))


def _largest_norm(Z):
    return torch.linalg.vector_norm(Z, dim=1).max()
