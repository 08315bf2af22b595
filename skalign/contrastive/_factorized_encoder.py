"""Fitted encoders whose outputs are a shared and a unique block."""

from __future__ import annotations

import copy

import numpy as np

from .._backend import to_numpy
from .._net_encoder import NetEncoder

BLOCKS = ("both", "shared", "unique")
# Part of the largest squared canonical correlation with the partners, below which a direction is not shared.
_LEAST_TOLD = 0.5


class FactorizedEncoder(NetEncoder):
    """A trained net of one view, and a linear map after it that parts the blocks.

    Attributes
    ----------
    blocks_ : {"both", "shared", "unique"}
        Which blocks come out.
    n_shared_, n_unique_ : int
        Their widths; the shared one is first.
    shared_mean_ : ndarray of shape (n_shared,)
        Mean of the shared block.
    kept_ : ndarray of shape (n_shared, n_shared)
        Projects the shared block on the directions that partners tell.
    predicted_ : ndarray of shape (n_shared, n_unique)
        Least squares from these directions to the unique block.
    """

    def set_blocks(self, Z, n_shared, blocks, partners):
        """Remember the blocks, and the map that parts them.

        A net can keep a direction in its shared block that only this view knows: where it is small beside the noise of
        the critic it costs next to nothing, so that training does not end it. The partners tell little of it.

        Parameters
        ----------
        Z : tensor of shape (n, n_shared + n_unique)
            Outputs of the net.
        n_shared : int
            Width of the first block.
        blocks : str
            Which come out.
        partners : list of tensors of shape (n, n_shared)
            Shared blocks of the other views, for the same rows.
        """
        import torch

        self.blocks_, self.n_shared_, self.n_unique_ = blocks, n_shared, Z.shape[1] - n_shared
        shared, unique = Z.double()[:, :n_shared], Z.double()[:, n_shared:]
        U, scales, Vt = _principal(shared)
        V = _principal(torch.cat(partners, dim=1).double())[0]
        _, correlations, R = torch.linalg.svd(V.T @ U, full_matrices=False)
        told = correlations.square()
        R = R[told >= _LEAST_TOLD * told.max()]  # rows: canonical directions that are kept, as coefficients of U
        W = (Vt.T * torch.where(scales > 0, 1 / scales, 0.0)) @ R.T @ R
        self.shared_mean_ = to_numpy(shared.mean(dim=0))
        self.kept_ = to_numpy((W * scales) @ Vt)
        self.predicted_ = to_numpy(W @ (U.T @ unique))

    def giving(self, blocks):
        """The same encoder with other blocks, without the way back."""
        other = copy.copy(self)
        other.blocks_ = blocks
        other.n_components_ = len(other.get_feature_names_out())
        return other

    def set_net(self, net, n_components, device):
        super().set_net(net, len(self.get_feature_names_out()), device)  # the net is as wide as both blocks

    def _finish(self, Z):
        import torch

        shared, unique = Z[:, : self.n_shared_], Z[:, self.n_shared_ :]
        mean, kept, predicted = (torch.as_tensor(P).to(Z) for P in (self.shared_mean_, self.kept_, self.predicted_))
        shared, unique = mean + (shared - mean) @ kept, unique - (shared - mean) @ predicted
        return {"shared": shared, "unique": unique}.get(self.blocks_, torch.cat([shared, unique], dim=1))

    def get_feature_names_out(self, input_features=None):
        """Names ``shared0``, ..., ``unique0``, ... of the blocks that come out.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        widths = {"shared": self.n_shared_, "unique": self.n_unique_}
        kept = widths if self.blocks_ == "both" else [self.blocks_]
        return np.asarray([f"{block}{i}" for block in kept for i in range(widths[block])], dtype=object)


def _principal(Z):
    """SVD of a centred block, without the directions in which it does not vary."""
    import torch

    U, scales, Vt = torch.linalg.svd(Z - Z.mean(dim=0), full_matrices=False)
    varies = scales > 1e-6 * scales.max()
    return U * varies, scales * varies, Vt
