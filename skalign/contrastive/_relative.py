"""Relative representations: a row is what it resembles among pairs that are known."""

from __future__ import annotations

from numbers import Real

import numpy as np
from array_api_compat import device as device_of
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from .._backend import astype, float_dtype, is_numpy, like, namespace, resident, resolve_device, to_device, to_numpy
from .._input import is_whole
from .._typing import Device, Metric, PerViewValue, Rows, Seed, Self
from ..base import PairedAlignerMixin, ViewEncoder
from ..correlation._moments import center as center_columns
from ..metrics.similarity import apply_similarity, batches, check_similarity_name, unit_rows
from ..views._by_view import by_view
from ._score import N_CANDIDATES, rank_score

_CHUNK = 2**21  # similarities computed at a time: 16 MB in float64
_MANY = 64  # whole exponents up to here are worked out by products, several times faster than a general power


class RelativeEncoder(ViewEncoder):
    """Similarities of the rows of one view to its anchors, the largest of them raised to a power, at unit length.

    Parameters
    ----------
    view, owner : str
        The view and the class of the aligner.

    Attributes
    ----------
    anchors_ : ndarray of shape (n_anchors, n_features)
        The anchors of this view, less ``mean_``; at unit length where they are compared by cosine.
    lengths_ : ndarray of shape (n_anchors, 1) or None
        What brings them back to their own lengths; None where they have them.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows, zeros without ``center``.
    n_components_ : int
        The number of anchors.
    """

    def _set_anchors(self, anchors, mean, options):
        self.function_, self.top_k_, self.exponent_, self.chunk_size_, self.device_ = options
        self.lengths_ = None
        if self.function_ == "cosine":
            xp = namespace(anchors)
            self.lengths_ = to_numpy(xp.linalg.vector_norm(anchors, axis=1, keepdims=True))
            anchors = unit_rows(anchors)
        self.anchors_, self.mean_ = to_numpy(anchors), to_numpy(mean)
        self.n_components_ = anchors.shape[0]
        return self

    def _encode(self, X):
        n, m = X.shape[0], self.n_components_
        xp, dtype = namespace(X), float_dtype(X)
        device = resolve_device(self.device_, 2.0 * n * m * X.shape[1])
        home = to_device(X[:1], device)
        anchors, mean = astype(resident(self.anchors_, home), float_dtype(home)), like(self.mean_, home)
        Z = xp.empty((n, m), dtype=dtype, device=device_of(X))
        for rows in batches(n, self.chunk_size_ or _CHUNK // m):
            part = to_device(X[rows], device)
            part = astype(astype(part, namespace(part).float64) - mean, anchors.dtype)
            Z[rows] = like(self._relative(part, anchors), X)
        return Z

    def _relative(self, X, anchors):
        if self.function_ == "cosine":
            S = apply_similarity(unit_rows(X), anchors, "dot")
        else:
            S = astype(apply_similarity(X, anchors, self.function_), anchors.dtype)
        xp = namespace(S)
        if not bool(xp.isfinite(xp.sum(S))) and not bool(xp.all(xp.isfinite(S))):
            raise ValueError(f"View {self.view!r}: the similarities to the anchors contain NaN or infinity.")
        # Divided by the largest of a row, which the length cancels, so that no power overflows or vanishes.
        S = _divide(S, xp.max(xp.abs(S), axis=1, keepdims=True))
        if self.top_k_ < S.shape[1]:
            least = _kth_largest(S, self.top_k_)
            S = xp.where(least <= S, S, 0.0)
        S = _signed_power(S, self.exponent_)
        return _divide(S, xp.linalg.vector_norm(S, axis=1, keepdims=True))

    def inverse_transform(self, Z):
        """The mean of the anchors, weighted by the positive coordinates.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_anchors)
            Relative coordinates, of this view or another.

        Returns
        -------
        array of shape (n_samples, n_features)
            Within the convex hull of the anchors; their plain mean where no coordinate is positive.
        """
        return super().inverse_transform(Z)

    def _decode(self, Z):
        xp = namespace(Z)
        weights = astype(Z, xp.float64)
        weights = xp.where(weights > 0, weights, 0.0)
        total = xp.sum(weights, axis=1, keepdims=True)
        weights = xp.where(total > 0, _divide(weights, total), 1.0 / Z.shape[1])
        anchors = self.anchors_.astype(np.float64)
        anchors = anchors if self.lengths_ is None else anchors * self.lengths_
        return astype(weights @ like(anchors, Z) + like(self.mean_, Z), float_dtype(Z))


class RelativeAligner(PairedAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Relative representations: every row is described by its similarities to paired anchors; nothing is trained.

    Row i of every view is an anchor of the same thing, so the similarities of an image to the anchor images and those
    of a text to the anchor texts live in one space, whatever the two encoders were. For good embeddings of each view
    on its own (two pretrained models, say) and any number of pairs: nothing is optimised, so a fit with other pairs
    costs nothing, and every coordinate reads as "like pair i". What resembles what must be alike in
    the views; where they have much that is not shared, `CCA` finds the part that is.

    Parameters
    ----------
    n_anchors : int, default=None
        Training pairs that serve as anchors, drawn at random; this is the width of the shared space. None takes all,
        the more the better and the slower [2]_.
    anchor_similarity : str, callable, mapping of view to these or ByView, default="cosine"
        Similarity of a row to the anchors of its view: a name that `skalign.metrics.pairwise_similarity` knows, or a
        function of two arrays. Cosines do not depend on the scale of a view [1]_. A callable gets some of the rows and
        all anchors, so it must treat each pair by itself.
    top_k : int or None, default=800
        Similarities kept in every row, the largest; the rest are 0, as a row tells nothing about pairs unlike itself.
        Those that tie with the last are kept too. Never more than there are anchors. 800 is the choice of [2]_ for
        anchors in the millions and 8 its exponent; None keeps all.
    exponent : float, default=8.0
        Power that similarities are raised to, greater than 0, their sign kept: more of it gives the nearest anchors
        more weight. 1 leaves them [1]_.
    center : bool, mapping of view to bool or ByView, default=True
        Subtract the mean of the training rows first. Embeddings often crowd in a narrow cone, where all cosines are
        nearly 1.
    chunk_size : int, default=None
        Rows compared with the anchors at a time; results do not depend on it. None keeps their similarities at 16 MB.
    random_state : int, RandomState instance or None, default=None
        Draws the anchors when `n_anchors` is given.
    device : {None, "auto", "cpu", "cuda"} or str, default=None
        Where to compute on numpy input; None stays with numpy. "auto" takes a CUDA device where there is one and the
        data are large. Tensors are computed on where they are.

    Attributes
    ----------
    anchor_indices_ : ndarray of shape (n_anchors,)
        Rows of the training data that are anchors, in order.
    encoders_ : dict of str to RelativeEncoder
        One-view transformers.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, more anchors than samples, and parameters out of range.

    See Also
    --------
    ProcrustesAligner : Rotates one view on to another instead.
    CrossModalRetriever : Finds the nearest rows of another view in the shared space.

    Notes
    -----
    With the anchors :math:`a_1, \dots, a_m` of a view a row x becomes

    .. math:: z_j \propto \operatorname{sign}(s_j)\, |s_j|^p, \qquad s_j = s(x, a_j)

    for the k largest :math:`s_j` and 0 for the others, with :math:`\lVert z \rVert = 1` (a row that is similar to no
    anchor at all becomes zero). The dot product of two rows from different views is then their similarity.

    On the halves of handwritten digits (1257 pairs all anchors, 540 held out) the defaults reach a mean reciprocal
    rank of 0.27; without ``center`` it is 0.14, and 0.07 with ``exponent=1`` and ``top_k=None``.

    Transforming n rows takes the time of a product with all anchors, and n times ``n_anchors`` numbers. Sparse views
    are made dense. ``inverse_transform`` gives the mean of the anchors of a view, weighted by the positive
    coordinates, also of rows that came from another view.

    References
    ----------
    .. [1] L. Moschella et al., "Relative representations enable zero-shot latent space communication", ICLR 2023.
    .. [2] A. Norelli et al., "ASIF: coupled data turns unimodal models to multimodal without training", NeurIPS 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import RelativeAligner, Views
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 5))
    >>> Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    >>> views = Views(image=X, text=3 * X @ Q + 1)  # the same, seen by another model
    >>> aligner = RelativeAligner(n_anchors=100, random_state=0).fit(views)
    >>> Z = aligner.transform(views)
    >>> Z["text"].shape, bool(np.allclose(Z["image"], Z["text"], atol=0.05))
    ((200, 100), True)
    >>> round(aligner.score(views), 2)
    1.0
    """

    def __init__(
        self,
        n_anchors: int | None = None,
        *,
        anchor_similarity: PerViewValue[Metric] = "cosine",
        top_k: int | None = 800,
        exponent: float = 8.0,
        center: PerViewValue[bool] = True,
        chunk_size: int | None = None,
        random_state: Seed = None,
        device: Device = None,
    ) -> None:
        self.n_anchors = n_anchors
        self.anchor_similarity = anchor_similarity
        self.top_k = top_k
        self.exponent = exponent
        self.center = center
        self.chunk_size = chunk_size
        self.random_state = random_state
        self.device = device

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Keep the anchors.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is labels, and ignored.

        Returns
        -------
        self
        """
        self._check_parameters()
        tables, encoders = self._open_tables(X, y, RelativeEncoder)
        functions = by_view(self.anchor_similarity, list(encoders), "anchor_similarity")
        centers = by_view(self.center, list(encoders), "center")
        n_samples = len(next(iter(tables.values())))
        n_anchors = n_samples if self.n_anchors is None else int(self.n_anchors)
        if n_anchors > n_samples:
            raise ValueError(f"n_anchors={n_anchors} is more than the {n_samples} training pairs there are.")
        indices = np.arange(n_samples)
        if n_anchors < n_samples:
            drawn = check_random_state(self.random_state).choice(n_samples, n_anchors, replace=False)
            indices = np.sort(drawn)
        top_k = n_anchors if self.top_k is None else min(int(self.top_k), n_anchors)
        for name, table in tables.items():
            _check_view_options(name, functions[name], centers[name])
            xp = namespace(table)
            centered, mean = center_columns(table)
            if not bool(xp.any(centered != 0)):
                raise ValueError(f"View {name!r} is constant: nothing can be aligned with it.")
            rows = like(indices, table)
            anchors = astype(centered[rows] if centers[name] else table[rows], float_dtype(table))
            mean = mean if centers[name] else xp.zeros_like(mean)
            options = functions[name], top_k, float(self.exponent), self.chunk_size, self.device
            encoders[name]._set_anchors(anchors, mean, options)
        self.anchor_indices_ = indices
        self.encoders_ = encoders
        return self

    def _check_parameters(self):
        for name in ("n_anchors", "top_k", "chunk_size"):
            value = getattr(self, name)
            if value is not None and not is_whole(value, 1):
                raise ValueError(f"{name} must be None or a whole number of at least 1, got {value!r}.")
        p = self.exponent
        if not isinstance(p, Real) or isinstance(p, bool) or not 0 < p < np.inf:
            raise ValueError(f"exponent must be a number greater than 0, got {p!r}.")
        resolve_device(self.device)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """How well rows find their partners in the other view, on held-out rows if they were held out.

        The mean reciprocal rank of the partner among 100 candidates, the mean of both directions, and of all pairs of
        views where there are three or more. In expectation over random choices of the other 99, so that folds of
        different size compare; fewer rows are all candidates. It can be compared across all parameters.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; ignored beside Views.

        Returns
        -------
        float
            Between 0 and 1, higher is better; chance is 0.052 among 100.
        """
        return rank_score(self._embed_to_score(X, y), N_CANDIDATES)


def _check_view_options(name, function, center):
    try:
        check_similarity_name(function)
    except ValueError as error:
        raise ValueError(f"anchor_similarity of view {name!r}: {error}") from None
    if not isinstance(center, (bool, np.bool_)):
        raise ValueError(f"center of view {name!r} must be True or False, got {center!r}.")


def _divide(X, by):
    return X / namespace(X).where(by > 0, by, 1.0)


def _kth_largest(S, k):
    """The k-th largest entry of each row, of shape (n, 1), less what rounding may have taken from equal ones."""
    if is_numpy(S):
        kth = np.partition(S, S.shape[1] - k, axis=1)[:, S.shape[1] - k, None]
    else:
        kth = S.topk(k, dim=1).values[:, -1:]
    return kth - 16 * float(namespace(S).finfo(S.dtype).eps)  # the largest of a row is 1


def _signed_power(S, p):
    """``sign(S) |S|^p``."""
    if p == 1:
        return S
    xp = namespace(S)
    base = xp.abs(S)
    if p != int(p) or p > _MANY:
        power = base**p
    else:
        power, p = None, int(p)
        while True:
            if p & 1:
                power = base if power is None else power * base
            p >>= 1
            if not p:
                break
            base = base * base
    return xp.where(S < 0, -power, power)
