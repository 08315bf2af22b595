"""Embeddings that contrastive nets leave: the encoder of one view, and what a fit says of them."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._bags import elements_of
from .._net_encoder import NetEncoder

_COLLAPSED = 0.02  # how near, relatively, the loss of hardest negatives is to that of a single point


class EmbeddingEncoder(NetEncoder):
    """A trained net of one view, whose outputs are at unit length where they are compared by cosine."""

    def _finish(self, Z):
        if self.similarity_function_ == "dot":
            return Z
        import torch

        return torch.nn.functional.normalize(Z, dim=1)


class EmbeddingMixin:
    """Attributes of a fit that tell how well its embeddings are aligned and spread, and a word where they collapsed."""

    def _describe(self, embeddings, scale):
        """Set the attributes from embeddings by view; the bound of information only with an inverse temperature."""
        from ._diagnostics import information_bound, is_saturated, mean_over_pairs, modality_gap, uniformity

        Z = list(embeddings.values())
        self.mutual_information_lower_bound_ = self.mutual_information_ceiling_ = float("nan")
        self.mutual_information_saturated_ = False
        if scale is not None:
            bounds = [information_bound(*self._comparable(A, B), scale) for A, B in combinations(Z, 2)]
            self.mutual_information_lower_bound_, self.mutual_information_ceiling_ = np.mean(bounds, axis=0).tolist()
            self.mutual_information_saturated_ = any(is_saturated(*bound) for bound in bounds)
        self.modality_gap_ = mean_over_pairs(modality_gap, [elements_of(A) for A in Z])
        self.alignment_ = mean_over_pairs(self._distance_of_pairs, Z)
        self.uniformity_ = {name: uniformity(elements_of(A)) for name, A in embeddings.items()}

    def _warn_if_collapsed(self):
        n = len(self.encoders_)
        of_a_point = 2.0 * self.margin * n * (n - 1) / 2
        ends = self.loss_curve_[-1:]  # empty when interrupted in the first epoch
        if self.loss == "vse++" and ends and abs(ends[0] - of_a_point) <= _COLLAPSED * of_a_point:
            warnings.warn(
                f"The loss ended at {ends[0]:.3g}, which is 2·margin for each pair of views: all rows "
                "collapsed to one point, and the hardest negatives cannot part them. Try loss='hinge' or 'infonce', a "
                "smaller learning_rate, or larger batches.",
                ConvergenceWarning,
                stacklevel=3,
            )
