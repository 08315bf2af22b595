r"""What deep CCA minimises: plain functions of what the nets put out for the same rows of every view.

Every objective takes a list of tensors :math:`Z_1, \ldots, Z_m` of the same shape (batch, k) and returns one number.
Their covariance blocks :math:`C_{ij}` are formed in float64 whatever the nets compute in, as differences of nearly
equal numbers decide the rest; autograd hands gradients back in the nets' own type. With three or more views, terms of
two views are averaged over pairs and terms of one view over views, so that k perfectly aligned components are worth
the same whatever the number of views.

Nets produce what data rarely are: dead units, identical views, fewer rows than units. All objectives and their
gradients are finite on finite outputs that do not overflow.
"""

from __future__ import annotations

import torch

from .._derivatives import first_derivative_only

# A covariance plus this part of its mean variance is positive definite in spite of rounding.
_LEAST_RIDGE = 1e-12
# Variance of a unit that is zero but for rounding, relative to its squared mean: more than float64 sums leave behind.
_LEAST_ROUNDING = 1e-20
_TINY = 1e-30
# Canonical correlations below this are rounding: their directions are arbitrary, and no gradient should follow them.
_LEAST_CORRELATION = 1e-10
# Variances that the papers' own code adds before it takes roots.
_BARLOW_EPS = 1e-5
_VICREG_EPS = 1e-4


def _joined(outputs):
    """The views side by side in float64: a tensor of shape (batch, m * k)."""
    shape = outputs[0].shape
    if len(outputs) < 2 or len(shape) != 2 or any(Z.shape != shape for Z in outputs):
        got = [tuple(Z.shape) for Z in outputs]
        raise ValueError(f"Expected outputs of two or more views, all of the same shape (batch, k); got {got}.")
    return torch.cat(list(outputs), dim=1).to(torch.float64)


class _Covariance(torch.autograd.Function):
    """Covariance matrix of columns, divided by `weight`.

    Autograd on its own would multiply by the rows twice, once for each factor of the same product, and differentiate
    the mean, which cannot matter: centred columns sum to zero.
    """

    @staticmethod
    def forward(ctx, H, weight):
        centered = H - H.mean(dim=0)
        covariance = centered.T @ centered / weight
        ctx.save_for_backward(centered, covariance)
        ctx.weight = weight
        return covariance

    @staticmethod
    @first_derivative_only
    def backward(ctx, gradient):
        centered, _ = ctx.saved_tensors
        return centered @ ((gradient + gradient.T) / ctx.weight), None


def _blocks(H, m, ddof):
    """Covariance blocks of m views side by side, of shape (m, m, k, k)."""
    n, k = len(H), H.shape[1] // m
    return _Covariance.apply(H, n - ddof).reshape(m, k, m, k).transpose(1, 2)


def _within(blocks):
    """The covariance of every view, of shape (m, k, k)."""
    return torch.diagonal(blocks, dim1=0, dim2=1).permute(2, 0, 1)


def _between(blocks):
    """The cross-covariance of every pair of views i < j, of shape (pairs, k, k)."""
    i, j = _pairs(len(blocks), blocks.device)
    return blocks[i, j]


def _pairs(m, device):
    return torch.triu_indices(m, m, offset=1, device=device).unbind()


def _coherence(outputs, regularization):
    """Whitened cross-covariances, of shape (pairs, k, k); their singular values are canonical correlations."""
    m = len(outputs)
    H = _joined(outputs)
    blocks = _blocks(H, m, ddof=0)
    K = _within(blocks)
    variance = torch.diagonal(K, dim1=1, dim2=2)
    # Relative to what the view varies by, so that its scale does not matter.
    ridge = max(regularization, _LEAST_RIDGE) * variance.mean(dim=1, keepdim=True)
    # A unit that varies by no more than rounding is dead: without this, dead views would be whitened rounding errors.
    rounding = max(torch.finfo(outputs[0].dtype).eps ** 2, _LEAST_ROUNDING)
    floor = rounding * H.detach().mean(dim=0).reshape(m, -1) ** 2 + _TINY
    # Unchecked: a check would wait for the device, and outputs that are not finite still make the loss NaN.
    L = torch.linalg.cholesky_ex(K + torch.diag_embed(ridge + floor)).L
    i, j = _pairs(m, H.device)
    half = torch.linalg.solve_triangular(L[i], blocks[i, j], upper=False)
    return torch.linalg.solve_triangular(L[j].mT, half, upper=True, left=False)


def cca_loss(outputs, regularization=1e-4):
    r"""Minus the sum of squared canonical correlations, the mean over pairs of views.

    .. math:: -\|L_x^{-1} C_{xy} L_y^{-\top}\|_F^2, \qquad
              L_x L_x^\top = C_{xx} + r\, \tfrac{\operatorname{tr} C_{xx}}{k} I

    Squares of the correlations that [1]_ sums: they lead to the same subspaces with a smooth gradient and without a
    singular value decomposition. Needs batches of several times k rows: in smaller ones all correlate by chance.

    Parameters
    ----------
    outputs : list of tensors of shape (batch, k)
        One per view, two or more.
    regularization : float, default=1e-4
        Ridge r, relative to the mean variance of the outputs of each view.

    Returns
    -------
    tensor of shape (), float64
        Between -k, all components perfectly aligned, and 0.

    References
    ----------
    .. [1] Andrew, Arora, Bilmes, Livescu (2013). Deep canonical correlation analysis. ICML.
    """
    T = _coherence(outputs, regularization)
    return -(T**2).sum() / len(T)


def nuclear_loss(outputs, regularization=1e-4):
    r"""Minus the sum of canonical correlations, the mean over pairs of views.

    The objective of [1]_ as published, :math:`-\|L_x^{-1} C_{xy} L_y^{-\top}\|_*`. Compared with `cca_loss` weak
    components count for more.

    Parameters
    ----------
    outputs : list of tensors of shape (batch, k)
        One per view, two or more.
    regularization : float, default=1e-4
        Ridge, relative to the mean variance of the outputs of each view.

    Returns
    -------
    tensor of shape (), float64
        Between -k, all components perfectly aligned, and 0.

    References
    ----------
    .. [1] Andrew, Arora, Bilmes, Livescu (2013). Deep canonical correlation analysis. ICML.
    """
    T = _coherence(outputs, regularization)
    return -_NuclearNorm.apply(T) / len(T)


class _NuclearNorm(torch.autograd.Function):
    """Sum of the singular values of a stack of matrices.

    The derivative of an SVD divides by differences of singular values; that of their sum is U V^T and does not. Where
    some are zero this is the subgradient of least norm.
    """

    @staticmethod
    def forward(ctx, T):
        # The SVD raises an error on NaN, which here should come out as NaN, as in the other objectives.
        U, s, Vh = torch.linalg.svd(T.nan_to_num(0.0, 0.0, 0.0), full_matrices=False)
        total = s.sum() + 0.0 * T.sum()
        ctx.save_for_backward((U * (s > _LEAST_CORRELATION)[:, None, :]) @ Vh, total)
        return total

    @staticmethod
    @first_derivative_only
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0]


def eckart_young_loss(outputs, split=False):
    r"""The Eckart-Young loss: squared canonical correlations without inverting a covariance.

    .. math:: -2 \operatorname{tr} A + \|B\|_F^2, \qquad A = \frac{1}{m(m-1)} \sum_{i \ne j} C_{ij}, \quad
              B = \frac{1}{m} \sum_i C_{ii}

    The loss of [1]_, with means for its sums. Nothing is inverted, so batches may be smaller than k. Outputs that
    minimise it over linear maps of given data span the top k canonical variates, and its least value is
    :math:`-\sum_{i \le k} \rho_i^2`. For more than two views :math:`\rho_i = \max(0, \lambda_i) / (m - 1)` with
    :math:`\lambda_i` the eigenvalues of the cross-covariances of all views relative to their covariances.

    Parameters
    ----------
    outputs : list of tensors of shape (batch, k)
        One per view, two or more.
    split : bool, default=False
        Replace :math:`\|B\|_F^2` by the inner product of B in the even and in the odd rows, which is unbiased in small
        batches. Only for batches drawn anew at every step: on fixed rows this has no lower bound, as a net may put out
        large values in even rows for some units and in odd rows for others.

    Returns
    -------
    tensor of shape (), float64
        At least -k without `split`; 0 for constant outputs.

    References
    ----------
    .. [1] Chapman, Wells, Lawry Aguila (2024). Unconstrained stochastic CCA: unifying multiview and self-supervised
       learning. ICLR.
    """
    m = len(outputs)
    H = _joined(outputs)
    blocks = _blocks(H, m, ddof=1)
    A = _between(blocks).mean(dim=0)
    if split:
        B, other = (_within(_blocks(rows, m, ddof=1)).mean(dim=0) for rows in (H[::2], H[1::2]))
    else:
        B = other = _within(blocks).mean(dim=0)
    return (B * other).sum() - 2.0 * torch.trace(A)


def barlow_loss(outputs, off_diagonal=5e-3):
    r"""Barlow Twins: the correlation matrix of two views should be the identity; the mean over pairs of views.

    .. math:: \sum_i (1 - R_{ii})^2 + \lambda \sum_{i \ne j} R_{ij}^2

    Parameters
    ----------
    outputs : list of tensors of shape (batch, k)
        One per view, two or more.
    off_diagonal : float, default=5e-3
        Weight :math:`\lambda` of the correlations between different units.

    Returns
    -------
    tensor of shape (), float64
        At least 0; k for constant outputs.

    References
    ----------
    .. [1] Zbontar, Jing, Misra, LeCun, Deny (2021). Barlow twins: self-supervised learning via redundancy reduction.
       ICML.
    """
    m = len(outputs)
    blocks = _blocks(_joined(outputs), m, ddof=0)
    # Scaled as by batch normalisation, which is what the paper's code does.
    scale = torch.rsqrt(torch.diagonal(_within(blocks), dim1=1, dim2=2) + _BARLOW_EPS)
    i, j = _pairs(m, scale.device)
    R = blocks[i, j] * scale[i, :, None] * scale[j, None, :]
    own = torch.diagonal(R, dim1=1, dim2=2)
    others = (R**2).sum() - (own**2).sum()
    return (((1.0 - own) ** 2).sum() + off_diagonal * others) / len(R)


def vicreg_loss(outputs, invariance=25.0, variance=25.0, covariance=1.0):
    r"""VICReg: views agree, units vary by at least one and do not covary; the mean over pairs of views.

    .. math:: \lambda\, \tfrac{1}{nk} \|Z - Z'\|_F^2 + \mu\, (v(Z) + v(Z')) + \nu\, (c(Z) + c(Z'))

    with v the mean of :math:`\max(0, 1 - s_i)` over standard deviations :math:`s_i` of units and c the sum of squared
    covariances of different units, over k.

    Parameters
    ----------
    outputs : list of tensors of shape (batch, k)
        One per view, two or more.
    invariance, variance, covariance : float, default=25, 25, 1
        Weights :math:`\lambda, \mu, \nu`.

    Returns
    -------
    tensor of shape (), float64
        At least 0.

    Notes
    -----
    The formula is that of the paper [1]_; its authors' code halves the variance term.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun (2022). VICReg: variance-invariance-covariance regularization for self-supervised
       learning. ICLR.
    """
    m = len(outputs)
    H = _joined(outputs)
    i, j = _pairs(m, H.device)
    views = H.reshape(len(H), m, -1)
    difference = ((views[:, i] - views[:, j]) ** 2).mean()
    C = _within(_blocks(H, m, ddof=1))
    own = torch.diagonal(C, dim1=1, dim2=2)
    spread = torch.relu(1.0 - torch.sqrt(own + _VICREG_EPS)).mean()
    shared = ((C**2).sum() - (own**2).sum()) / own.numel()
    return invariance * difference + 2.0 * (variance * spread + covariance * shared)


OBJECTIVES = {
    "cca": cca_loss,
    "nuclear": nuclear_loss,
    "ey": eckart_young_loss,
    "barlow": barlow_loss,
    "vicreg": vicreg_loss,
}


def smallest_batch(name, k):
    """The least number of rows of a batch with which an objective says anything about k components.

    Parameters
    ----------
    name : str
        One of `OBJECTIVES`.
    k : int
        Number of outputs of each net.

    Returns
    -------
    int
        k + 2 for "cca" and "nuclear", as k + 1 centred rows always correlate perfectly; 2 for the others.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"Unknown objective {name!r}: expected one of {sorted(OBJECTIVES)}.")
    return k + 2 if name in ("cca", "nuclear") else 2
