"""Search a gallery of one view with queries of another."""

from __future__ import annotations

from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._backend import astype, is_tensor, like, namespace, resident, resolve_device, to_device, to_numpy
from .._typing import Array, ArrayLike, Device, Metric, Rows, Self
from ..metrics._ranking import check_count
from ..metrics.retrieval import mean_reciprocal_rank
from ..metrics.similarity import check_similarity_name, unit_rows
from ..views import Views
from ._nearest import nearest
from ._prefit import PrefitAligner, embed, rows_of


class CrossModalRetriever(BaseEstimator):
    """Find the nearest rows of one view to rows of another: search images by text, say.

    Stands on an aligner that is fitted already. A gallery of one view is carried into its shared space once; queries
    of any view, the same one too, are then compared with all of it. The search is exact.

    Parameters
    ----------
    aligner : fitted aligner, or fitted Pipeline or search that holds one
        Needs ``encoders_``, a map of every view on its own. It is not fitted again. scikit-learn's tools clone what
        they are given, and a clone has lost its fit: hand them ``FrozenEstimator(aligner)``.
    similarity : str or callable, default="cosine"
        See `skalign.metrics.pairwise_similarity`. A callable gets some of the queries and some of the gallery, so it
        must treat each pair by itself.
    n_neighbors : int, default=5
        How many to return, unless a call says otherwise.
    gallery_view : str, default=None
        The view of the gallery. None is the only view of the Views that are given; for a plain array, the second view
        of an aligner of two.
    query_view : str, default=None
        The view of the queries. None is the view of the Views that are given; for a plain array, and for Views with
        the gallery's view and one other, it is that other one.
    chunk_size : int, default=None
        Queries compared at a time; results do not depend on it. None compares 512 with 4096 rows of the gallery at
        a time. The whole matrix of similarities is never held.
    device : {None, "auto", "cpu", "cuda"} or str, default=None
        Where to search a gallery of numpy arrays; None stays with numpy. "auto" takes a CUDA device where there is one
        and queries and gallery are many. The gallery is carried there once. One of tensors is searched where it is.

    Attributes
    ----------
    embeddings_ : ndarray or tensor of shape (n_gallery, d)
        The gallery in the shared space, at unit length for the cosine. A gallery of tensors stays on its device, and
        the search is done there.
    ids_ : ndarray of shape (n_gallery, ...)
        What ``retrieve`` returns: the `y` of fit, or the positions.
    gallery_view_ : str
        The view of the gallery.

    Raises
    ------
    NotFittedError
        For an aligner that is not fitted.
    ValueError
        For unknown views, as many ids as rows are not, more neighbours than the gallery has.

    See Also
    --------
    ZeroShotClassifier : Nearest classes instead of nearest rows.
    skalign.metrics.retrieval_report : How good a retrieval is.

    Notes
    -----
    Similarities within 4 units of rounding count as equal, and the lower position goes first, so that copies in a
    gallery come in their order, however the work is cut. Similarities have the precision of the gallery: a float32
    gallery halves the memory and the time.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import CCA, CrossModalRetriever, Views
    >>> rng = np.random.default_rng(0)
    >>> text = rng.normal(size=(300, 3))
    >>> image = text @ rng.normal(size=(3, 5)) + 0.1 * rng.normal(size=(300, 5))
    >>> aligner = CCA(n_components=3).fit(Views(image=image[:200], text=text[:200]))
    >>> names = [f"photo{i}.jpg" for i in range(200, 300)]
    >>> album = CrossModalRetriever(aligner, n_neighbors=2).fit(Views(image=image[200:]), names)
    >>> album.retrieve(Views(text=text[200:203]))[:, 0].tolist()
    ['photo200.jpg', 'photo201.jpg', 'photo202.jpg']
    >>> similarities, positions = album.kneighbors(text[200:203])
    >>> positions.shape, bool(similarities.min() > 0.9)
    ((3, 2), True)
    >>> album.score(text[200:], names) > 0.8
    True
    """

    def __init__(
        self,
        aligner: Any = None,
        *,
        similarity: Metric = "cosine",
        n_neighbors: int = 5,
        gallery_view: str | None = None,
        query_view: str | None = None,
        chunk_size: int | None = None,
        device: Device = None,
    ) -> None:
        self.aligner = aligner
        self.similarity = similarity
        self.n_neighbors = n_neighbors
        self.gallery_view = gallery_view
        self.query_view = query_view
        self.chunk_size = chunk_size
        self.device = device

    def fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Index a gallery.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_gallery, ...)
            Rows of one view.
        y : array-like of shape (n_gallery, ...), default=None
            An id of every row, or whatever ``retrieve`` is to return for it. None are the positions.

        Returns
        -------
        self
        """
        check_similarity_name(self.similarity)
        check_count("n_neighbors", self.n_neighbors)
        if self.chunk_size is not None:
            check_count("chunk_size", self.chunk_size)
        resolve_device(self.device)
        aligner = PrefitAligner(self.aligner, type(self).__name__)
        if self.query_view is not None:
            aligner.choose("query_view", self.query_view)
        view = self._view_of_gallery(aligner, X)
        Z, ids = self._indexed(self.similarity, aligner.encoder(view), view, X, y)
        self._function = self.similarity  # the gallery is of no use for another, should the parameter change
        self._encoders = {name: aligner.encoder(name) for name in aligner.names}
        self.embeddings_, self.ids_, self.gallery_view_ = Z, np.arange(Z.shape[0]) if ids is None else ids, view
        self._own_ids = ids is not None
        return self

    def _view_of_gallery(self, aligner, X):
        if self.gallery_view is not None or not isinstance(X, Views):
            default = aligner.names[-1] if len(aligner.names) == 2 else None
            return aligner.choose("gallery_view", self.gallery_view, default)
        if len(X.names) > 1:
            raise ValueError(f"gallery_view has to say which of the views {X.names} is the gallery.")
        return aligner.choose("gallery_view", X.names[0])

    def _indexed(self, function, encoder, view, X, y):
        rows, n = rows_of(X, view, "The gallery")
        ids = None if y is None else _as_ids(y)
        if ids is not None and len(ids) != n:
            raise ValueError(f"The gallery has {n} rows, but y holds {len(ids)} ids.")
        Z = embed(encoder, rows, "Gallery")
        return unit_rows(Z) if function == "cosine" else Z, ids

    def partial_fit(self, X: Rows, y: ArrayLike | None = None) -> Self:
        """Append rows to the gallery; without a gallery, the same as ``fit``.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_new, ...)
            More rows of the gallery's view.
        y : array-like of shape (n_new, ...), default=None
            Their ids, if and only if the gallery has ids.

        Returns
        -------
        self
        """
        if not hasattr(self, "embeddings_"):
            return self.fit(X, y)
        if (y is not None) != self._own_ids:
            raise ValueError(f"The gallery was fitted {'with' if self._own_ids else 'without'} ids; so must this part.")
        Z, ids = self._indexed(self._function, self._encoders[self.gallery_view_], self.gallery_view_, X, y)
        n_old = self.embeddings_.shape[0]
        ids = _joined(self.ids_, np.arange(n_old, n_old + Z.shape[0]) if ids is None else ids)
        Z = astype(like(Z, self.embeddings_), self.embeddings_.dtype)
        self.embeddings_, self.ids_ = namespace(Z).concat([self.embeddings_, Z]), ids
        return self

    def _queries(self, X):
        """Queries in the shared space and the gallery, where they are compared; and what the queries came in."""
        check_is_fitted(self, "embeddings_")
        view = self.query_view
        if view is None and isinstance(X, Views):
            names = [name for name in X.names if name != self.gallery_view_] or X.names
            if len(names) > 1:
                raise ValueError(f"query_view has to say which of the views {names} holds the queries.")
            view = names[0]
        elif view is None:
            others = [name for name in self._encoders if name != self.gallery_view_]
            if len(others) != 1:
                raise ValueError(f"query_view has to say which of the views {list(self._encoders)} an array holds.")
            view = others[0]
        if view not in self._encoders:
            raise ValueError(f"{view!r} is no view of the aligner; its views are {list(self._encoders)}.")
        rows, _ = rows_of(X, view, "Queries")
        found = embed(self._encoders[view], rows, "Queries")
        Z = astype(like(found, self.embeddings_), self.embeddings_.dtype)
        Z = unit_rows(Z) if self._function == "cosine" else Z
        Z = to_device(Z, resolve_device(self.device, 2.0 * Z.shape[0] * np.prod(self.embeddings_.shape)))
        return Z, resident(self.embeddings_, Z), found

    def kneighbors(self, X: Rows, n_neighbors: int | None = None, return_similarity: bool = True) -> Array:
        """The most similar rows of the gallery.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_queries, ...)
            Queries.
        n_neighbors : int, default=None
            How many, at most the size of the gallery; None is the parameter of the constructor.
        return_similarity : bool, default=True
            Whether to return the similarities too.

        Returns
        -------
        similarities : array of shape (n_queries, n_neighbors)
            Best first. Only with ``return_similarity``.
        positions : int array of shape (n_queries, n_neighbors)
            In the gallery. Tensors for queries that are tensors.
        """
        k = self._n_neighbors(n_neighbors)
        Z, gallery, found = self._queries(X)
        values, positions = nearest(Z, gallery, k, self._of_indexed(), self.chunk_size)
        positions = like(positions, found)
        return (like(values, found), positions) if return_similarity else positions

    def _of_indexed(self):
        """The similarity of what ``embeddings_`` holds: rows of unit length have their cosine as product."""
        return "dot" if self._function == "cosine" else self._function

    def _n_neighbors(self, value):
        check_is_fitted(self, "embeddings_")
        k = check_count("n_neighbors", self.n_neighbors if value is None else value)
        n = self.embeddings_.shape[0]
        if k > n:
            raise ValueError(f"n_neighbors={k} is more than the {n} rows of the gallery.")
        return k

    def retrieve(self, X: Rows, n_neighbors: int | None = None) -> np.ndarray:
        """The ids of the most similar rows of the gallery.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_queries, ...)
            Queries.
        n_neighbors : int, default=None
            How many, at most the size of the gallery; None is the parameter of the constructor.

        Returns
        -------
        ndarray of shape (n_queries, n_neighbors, ...)
            Best first: the `y` of the fit, or positions where there was none.
        """
        return self.ids_[to_numpy(self.kneighbors(X, n_neighbors, return_similarity=False))]

    def score(self, X: Rows, y: ArrayLike) -> float:
        """Mean reciprocal rank of the right row of the gallery.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_queries, ...)
            Queries.
        y : array-like of shape (n_queries,)
            The id of the right row, or its position where the gallery has no ids. Of several rows with one id the
            best counts.

        Returns
        -------
        float
            Between 0 and 1, higher is better. Comparable only for galleries of one size.
        """
        Z, gallery, _ = self._queries(X)
        if y is None:
            raise ValueError("score requires y, the id of the right row of the gallery for every query.")
        y = _as_ids(y)
        if self.ids_.ndim != 1 or y.ndim != 1:
            raise ValueError("score needs one id for each row, not a table of them.")
        if len(y) != Z.shape[0]:
            raise ValueError(f"There are {Z.shape[0]} queries, but y holds {len(y)} ids.")
        codes, queries = _codes(self.ids_, y)
        return mean_reciprocal_rank(
            Z,
            gallery,
            groups=queries,
            groups_b=codes,
            direction="a_to_b",
            function=self._of_indexed(),
        )


def _as_ids(y):
    """Ids as an array whose first axis is the rows."""
    if is_tensor(y) or hasattr(y, "__array__"):
        ids = to_numpy(y)
    elif isinstance(y, (str, bytes, Mapping, Set)):
        raise ValueError(f"y holds one id for each row; it is a {type(y).__name__}.")
    else:
        y = list(y)
        if all(isinstance(value, (Real, np.generic)) for value in y):
            ids = np.asarray(y)
            if ids.dtype.kind != "f" or not any(isinstance(value, Integral) for value in y):
                return ids
        ids = _as_objects(y)  # strings as they are: the longest would decide about the memory
    if ids.ndim == 0:
        raise ValueError("y holds one id for each row; it is a single value.")
    return ids


def _as_objects(values):
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects


def _joined(old, new):
    # Numbers would become strings, and whole numbers of different kinds floats, which round long ones.
    if old.dtype.kind != new.dtype.kind:
        old, new = (_as_objects(list(ids)) if ids.ndim == 1 else ids.astype(object) for ids in (old, new))
    return np.concatenate([old, new])


def _codes(ids, wanted):
    """Whole numbers for ids, the same for the same id, in the gallery and in what is looked for."""
    code_of = {}
    try:
        gallery = np.array([code_of.setdefault(value, len(code_of)) for value in ids.tolist()])
        found = [code_of.get(value) for value in wanted.tolist()]
    except TypeError:
        raise TypeError("score needs ids that can be looked up, such as strings or whole numbers.") from None
    if missing := found.count(None):
        first = wanted[found.index(None)]
        raise ValueError(f"{missing} of {len(found)} ids in y are not in the gallery; the first is {first!r}.")
    return gallery, np.array(found)
