r"""Energies of entailment: how far row i of `A`, the specific one, is from lying below row j of `B`, the general one.

Every function takes tensors of shape (n, d) and (m, d) and gives (n, m); 0 or less means that the relation holds.
"""

from __future__ import annotations

import torch

GEOMETRIES = ("order", "hyperbolic")
CURVATURES = 0.1, 10.0  # between which it is learned (MERU)
_APERTURE = 0.1  # of the cones, which widen towards the origin
_WIDEST = 0.99  # sine of the widest opening: at 1, a half-space, its gradient is infinite and training erratic
_LARGEST_RADIUS = 15.0  # beyond it sums of hyperbolic functions lose even the digits of float64
_TINY = 1e-30  # under roots whose argument may be exactly 0, where their gradient is infinite
_BLOCK = 2**22  # numbers in a temporary array


def order_energy(A, B):
    r"""Order violation :math:`\lVert \max(0, b_j - a_i) \rVert^2` of points in the positive orthant.

    The origin is the most general point of all. Nothing is divided and no root is taken, so that gradients are finite
    where points coincide.

    References
    ----------
    Vendrov, I., Kiros, R., Fidler, S. and Urtasun, R. (2016). Order-embeddings of images and language. *ICLR*.
    """
    rows = max(1, _BLOCK // max(1, B.numel()))
    return torch.cat([torch.relu(B - part[:, None]).square().sum(2) for part in torch.split(A, rows)])


def cone_energy(A, B, curvature):
    r"""Angle by which a point lies outside the entailment cone of another, in radians, in float64.

    Rows are tangent vectors v at the origin of the hyperboloid of curvature -c, whose points
    :math:`\sinh(\sqrt c \lVert v \rVert)\, v / (\sqrt c \lVert v \rVert)` they stand for. Negative values are angles
    inside the cone. The published form takes an arc cosine of Lorentzian products, clamped to 1 - 1e-8, which is 1 in
    float32, and its gradient is then infinite. Here the angle at b is the arc tangent of the two sides

    .. math:: \sinh r_a \sin\theta, \qquad \sinh(r_a - r_b) - \cosh r_b \sinh r_a (1 - \cos\theta)

    with the radii r and the angle :math:`\theta` at the origin, where nothing cancels.

    References
    ----------
    Ganea, O., Bécigneul, G. and Hofmann, T. (2018). Hyperbolic entailment cones for learning hierarchical embeddings.
    *ICML*.
    Desai, K. et al. (2023). Hyperbolic image-text representations. *ICML*.
    """
    (radius_a, unit_a), (radius_b, unit_b) = _polar(A, curvature), _polar(B, curvature)
    rows = max(1, _BLOCK // max(1, B.numel()))
    # From differences of unit vectors: 1 - cos of their product would lose the digits of small angles.
    chord = torch.cat([(part[:, None] - unit_b).square().sum(2) for part in torch.split(unit_a, rows)])
    chord = (chord / 2).clamp(max=2.0)  # 1 - cos
    sine = (chord * (2.0 - chord) + _TINY).sqrt()
    radius_a, radius_b = radius_a[:, None], radius_b[None]
    across = torch.sinh(radius_a) * sine
    along = torch.sinh(radius_a - radius_b) - torch.cosh(radius_b) * torch.sinh(radius_a) * chord
    opening = torch.asin((2.0 * _APERTURE / torch.sinh(radius_b)).clamp(max=_WIDEST))
    return torch.atan2(across + _TINY, along) - opening


def lorentz_distance(A, B, curvature):
    """Hyperbolic distances of all rows of two sets of tangent vectors at the origin, in float64."""
    (radius_a, unit_a), (radius_b, unit_b) = _polar(A, curvature), _polar(B, curvature)
    chord = (unit_a[:, None] - unit_b).square().sum(2) / 2
    radius_a, radius_b = radius_a[:, None], radius_b[None]
    half = torch.sinh((radius_a - radius_b) / 2).square() + torch.sinh(radius_a) * torch.sinh(radius_b) * chord / 2
    return 2.0 * torch.asinh((half + _TINY).sqrt()) / torch.as_tensor(curvature, dtype=torch.float64).sqrt()


def energy(A, B, geometry, curvature):
    """The energy of a geometry, of all pairs of rows."""
    return order_energy(A, B) if geometry == "order" else cone_energy(A, B, curvature)


def _polar(A, curvature):
    """Hyperbolic radius in units of the curvature, and direction; the length at 0 has no gradient, so it gets one."""
    A = A.double()
    length = (A.square().sum(1) + _TINY).sqrt()
    radius = length * torch.as_tensor(curvature, dtype=A.dtype, device=A.device).sqrt()
    return radius.clamp(max=_LARGEST_RADIUS), A / length[:, None]
