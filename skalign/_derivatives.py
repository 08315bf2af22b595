"""Gradients that are worked out by hand, and have no derivative of their own."""

from __future__ import annotations

from functools import wraps

import torch


def first_derivative_only(backward):
    """Decorator of the backward pass of a Function: a second derivative is an error.

    torch's ``once_differentiable`` lets one pass where the incoming gradient is a constant, as that of a loss is, and
    takes the outgoing gradient for a constant too: second derivatives are then 0. Here it hangs on the saved tensors
    that require a gradient, so an input or the output has to be among them.
    """

    @wraps(backward)
    def wrapped(ctx, *gradients):
        with torch.no_grad():
            found = backward(ctx, *gradients)
        if not torch.is_grad_enabled():
            return found
        origins = [tensor for tensor in ctx.saved_tensors if tensor is not None and tensor.requires_grad]
        found = found if isinstance(found, tuple) else (found,)
        return tuple(None if gradient is None else _Final.apply(gradient, *origins) for gradient in found)

    return wrapped


class _Final(torch.autograd.Function):
    """A gradient that cannot be differentiated."""

    @staticmethod
    def forward(ctx, gradient, *origins):
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("There is a first derivative only: this gradient cannot be differentiated again.")
