"""Contrast of bags: nets see their elements, and two bags are as similar as optimal transport can make them."""

from __future__ import annotations

import numpy as np

from .._backend import like, to_numpy
from .._bags import Bags, as_bags, on_elements, read_bags
from .._encoder import OutputMixin
from ..metrics.similarity import unit_rows
from ..transport._bag_costs import bag_plans, bag_transport_costs
from ..transport._bags import holds_bags
from ..views._by_view import by_view
from ._embeddings import EmbeddingEncoder


class BagEncoder(OutputMixin, EmbeddingEncoder, auto_wrap_output_keys=None):
    """A trained net of one view, applied to the elements of bags; bags in, bags out.

    Parameters
    ----------
    view, owner : str
        The view and the class of the aligner.
    """

    def check(self, X, *, reset=False, min_samples=1):
        """The view as checked `Bags`."""
        label = f"View {self.view!r}: "
        if not holds_bags(X):
            raise ValueError(
                f"{label}{self.owner} was fitted on bags of elements, arrays of shape (m_i, {self.n_features_in_}); "
                "these are none. A single bag goes in as [bag]."
            )
        bags = read_bags(X, label, self.owner)
        if len(bags) < min_samples:
            raise ValueError(f"{label}Found {len(bags)} bag(s) while a minimum of {min_samples} is required.")
        check_elements = super().check
        return bags.map(lambda elements: check_elements(elements, reset=reset))

    def transform(self, X):
        """Carry bags of this view into the shared space, element by element.

        Parameters
        ----------
        X : array of shape (n_samples, m, d), or list of arrays of shape (m_i, d)
            Bags.

        Returns
        -------
        array of shape (n_samples, m, n_components), or list of arrays of shape (m_i, n_components)
        """
        return super().transform(X).unpack()

    def inverse_transform(self, Z):
        """The bags that bags of the shared space stand for, by least squares.

        Parameters
        ----------
        Z : array of shape (n_samples, m, n_components), or list of arrays of shape (m_i, n_components)
            Bags of points of the shared space.

        Returns
        -------
        array of shape (n_samples, m, d), or list of arrays of shape (m_i, d)
        """
        return read_bags(Z, f"View {self.view!r}: ", self.owner).map(super().inverse_transform).unpack()

    def set_input_scale(self, table, standardize):
        super().set_input_scale(table.elements, standardize)

    def prepare(self, X, device, dtype=None):
        prepare_elements = super().prepare
        return on_elements(lambda elements: prepare_elements(elements, device, dtype), X)

    def set_decoder(self, Z, table):
        super().set_decoder(Z.elements, table.elements)

    def _encode(self, X):
        return X.map(super()._encode)

    def _finish(self, Z):
        return on_elements(super()._finish, Z)


class BagsMixin:
    """Views of bags for an aligner of embeddings; views of rows go their usual way.

    The aligner has ``similarity_function`` and ``bag_regularization``.
    """

    def _open_tables(self, X, y, encoder, min_samples=2):
        views = self._open(X, y, reset=False)
        kinds = by_view(self.encoder, views.names, "encoder")
        on_bags = {name for name, view in views.items() if takes_bags(view, kinds[name])}
        return super()._open_tables(
            X, y, lambda view, owner: (BagEncoder if view in on_bags else encoder)(view=view, owner=owner), min_samples
        )

    def _transform_view(self, name, view, prefix=""):
        encoder = self._encoder(name)
        if isinstance(encoder, BagEncoder):
            return encoder.transform(view)  # bags are no table, which `set_output` could dress
        return super()._transform_view(name, view, prefix)

    def _compare(self, A, B, function=None):
        """Similarity of every row of `A` to every row of `B`, either of which may be `Bags`."""
        if not holds_any_bags(A, B):
            return super()._compare(A, B, function)
        if function not in (None, self.similarity_function):
            raise ValueError(f"Bags are compared by {self.similarity_function!r}, as they were in training.")
        return bag_similarity(A, B, self.similarity_function, self.bag_regularization)

    def _comparable(self, A, B):
        """Tensors of paired rows whose inner products are the similarities of two embeddings."""
        if not holds_any_bags(A, B):
            return A, B
        import torch

        S = torch.as_tensor(self._compare(A, B))
        return S, torch.eye(len(S), dtype=S.dtype, device=S.device)

    def _distance_of_pairs(self, A, B):
        """Mean squared distance of pairs on the unit sphere: of rows, or of the elements that a plan pairs."""
        if holds_any_bags(A, B):
            first, second = (as_bags(Z).map(_unit) for Z in (A, B))
            return float(bag_plans(first, second, regularization=self.bag_regularization).costs.mean())
        from ._diagnostics import alignment

        return alignment(A, B)


def takes_bags(view, encoder):
    """Whether the encoder of a view sees the elements of bags: of a list of them, or of one array of three dimensions.

    A user's own net takes such an array as before, as samples of that shape.
    """
    return holds_bags(view) and (isinstance(encoder, str) or isinstance(view, (list, tuple)))


def holds_any_bags(*tables):
    """Whether one of the tables is `Bags`."""
    return any(isinstance(table, Bags) for table in tables)


def bag_similarity(A, B, function, regularization):
    r"""Mean similarity of the elements of two bags under the plan that pairs them best, for every two bags.

    .. math:: \sum_{rs} P_{rs} \langle z_r, w_s \rangle

    with the entropic plan P. For elements of unit length it is 1 less the transport cost under the cosine distance, and
    for bags of one element the similarity of these.

    Parameters
    ----------
    A, B : Bags, or array of shape (n, d)
        Embeddings; rows are bags of one element.
    function : {"cosine", "dot"}
        Whether elements are brought to unit length.
    regularization : float
        In units of the mean cost, see `skalign.transport.bag_transport_costs`.

    Returns
    -------
    array of shape (n, n')
    """
    bags = [as_bags(Z).map(_unit if function == "cosine" else to_numpy) for Z in (A, B)]
    costs = bag_transport_costs(*bags, regularization=regularization).costs
    first, second = (_mean_squares(Z) for Z in bags)
    return like((first[:, None] + second - costs) / 2.0, as_bags(A).elements)


def _unit(elements):
    return unit_rows(to_numpy(elements))


def _mean_squares(bags):
    """Mean squared length of the elements of every bag."""
    squares = np.sum(np.square(bags.elements, dtype=np.float64), axis=1)
    return np.add.reduceat(squares, bags.offsets[:-1]) / bags.sizes
