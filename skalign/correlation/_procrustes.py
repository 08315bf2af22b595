"""Orthogonal Procrustes analysis: views are rotated on to each other."""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator

from .._backend import astype, float_dtype, like, namespace, resolve_device, to_device, to_numpy
from .._input import is_whole
from .._typing import ArrayLike, Device, Rows, Self
from ..base import PairedAlignerMixin, ViewEncoder
from ._canonical import check_choice, check_rank, check_varies
from ._moments import center, column_squares, row_weights
from ._procrustes_solvers import principal_axes, rotations_and_scales

_EPS = np.finfo(np.float64).eps


class RotationEncoder(ViewEncoder):
    """A rotation of one view: ``(X - mean_) @ weights_ * scale_``.

    Parameters
    ----------
    view, owner : str
        The view and the class of the aligner.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    weights_ : ndarray of shape (n_features, n_components)
        Orthonormal rows, or orthonormal columns where the view is wider than the shared space.
    scale_ : float
        1 without ``scaling``.
    n_components_ : int
        Width of the shared space.
    """

    def _centered(self, X):
        return astype(X, namespace(X).float64) - like(self.mean_, X)

    def _encode(self, X):
        return astype(self._centered(X) @ like(self.weights_ * self.scale_, X), float_dtype(X))

    def _decode(self, Z):
        X = astype(Z, namespace(Z).float64) @ like(self.weights_.T / self.scale_, Z) + like(self.mean_, Z)
        return astype(X, float_dtype(Z))


class ProcrustesAligner(PairedAlignerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Orthogonal Procrustes analysis: rotate one view on to another, keeping all distances within it.

    For views that are the same configuration seen from elsewhere: embeddings of two models or two languages, landmarks
    of two shapes, neural recordings of two animals. The map cannot stretch or drop directions, so it hardly overfits;
    `CCA` is the choice where only some directions are shared.

    Parameters
    ----------
    n_components : int, default=None
        Width of the shared space. None is the widest view with ``widths="pad"``, and the least rank of the views with
        ``widths="pca"``.
    scaling : bool, default=False
        Scale every view but the last by one number too.
    reflection : bool, default=True
        Allow reflections; False gives proper rotations, of determinant 1.
    widths : {"pad", "pca"}, default="pad"
        How views come to a common width. "pad" appends columns of zeros to those that are narrower and takes the
        leading principal components of those that are wider; "pca" takes the leading principal components of all.
    max_iter : int, default=100
        Sweeps over the views when there are three or more.
    tol : float, default=1e-8
        They end when the part of the variance outside the consensus falls by less than this.
    device : {None, "auto", "cpu", "cuda"} or str, default=None
        Where to compute on numpy input; None stays with numpy. "auto" takes a CUDA device where there is one and the
        data are large. Tensors are computed on where they are.

    Attributes
    ----------
    weights_ : dict of str to ndarray of shape (n_features, n_components)
        The orthogonal map of every view; that of the last is the identity, padded, or its principal axes. Square where
        a view is as wide as the shared space.
    scales_ : dict of str to float
        Scale of every view; that of the last is 1.
    means_ : dict of str to ndarray of shape (n_features,)
        Means of the columns.
    consensus_ratio_ : float
        Part of the variance of the aligned training views that their mean has; 1 is a perfect match.
    n_iter_ : int
        Sweeps done; 1 for two views, which have a closed form.
    encoders_ : dict of str to RotationEncoder
        One-view transformers.

    Raises
    ------
    ValueError
        For NaN or infinity, one sample, a constant view, more components than a view has rank with ``widths="pca"``,
        or when ``scaling`` finds no positive scale.

    Warns
    -----
    ConvergenceWarning
        When three or more views have not settled after `max_iter` sweeps.

    See Also
    --------
    CCA : General linear maps.

    Notes
    -----
    For two centred views the orthogonal Q and the scale s (1 without ``scaling``) of least

    .. math:: \lVert s\,X Q - Y \rVert_F^2

    are :math:`Q = U V^\top` and :math:`s = \mathrm{tr}(Q^\top X^\top Y) / \lVert X \rVert_F^2` with the singular value
    decomposition :math:`X^\top Y = U \Sigma V^\top` [1]_. The first view is carried to the second: the shared space is
    the second view, centred. Three or more views are rotated in turn on to the mean of the others [2]_, with the best
    scales for the rotations in every sweep, and then all together to the axes and the scale of the last view; what is
    found is a local optimum. Where the data leave a rotation open (fewer samples than columns, constant columns), it
    is the one nearest to the identity. The work is of the order of the cube of the width: take ``widths="pca"`` for
    very wide views. Sparse views are made dense.

    References
    ----------
    .. [1] P. H. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31(1), 1966.
    .. [2] J. C. Gower, "Generalized Procrustes analysis", Psychometrika 40(1), 1975.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import ProcrustesAligner
    >>> X = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    >>> Y = 3 * X @ [[0.0, 1.0], [-1.0, 0.0]] + 5
    >>> aligner = ProcrustesAligner(scaling=True).fit(X, Y)
    >>> aligner.weights_["x"].round(6).tolist(), round(aligner.scales_["x"], 6)
    ([[0.0, 1.0], [-1.0, 0.0]], 3.0)
    >>> bool(np.allclose(aligner.encoders_["y"].inverse_transform(aligner.transform(X)), Y))
    True
    """

    def __init__(
        self, n_components: int | None = None, *, scaling: bool = False, reflection: bool = True,
        widths: Literal["pad", "pca"] = "pad", max_iter: int = 100, tol: float = 1e-8, device: Device = None,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.scaling = scaling
        self.reflection = reflection
        self.widths = widths
        self.max_iter = max_iter
        self.tol = tol
        self.device = device

    def fit(self, X: Rows, y: Rows | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to paired views.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view. Beside Views it is labels, and ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; whole numbers are the same as repeated rows.

        Returns
        -------
        self
        """
        self._check_parameters()
        tables, encoders = self._open_tables(X, y, RotationEncoder)
        work = sum(float(np.prod(table.shape)) * table.shape[1] for table in tables.values())
        device = resolve_device(self.device, work)
        tables = [to_device(table, device) for table in tables.values()]
        weights = row_weights(sample_weight, tables[0].shape[0], tables[0])
        centered, means = zip(*(center(table, weights) for table in tables))
        for name, table in zip(encoders, centered):
            check_varies(name, float(namespace(table).sum(column_squares(table))))
        bases = self._bases(encoders, centered)
        reduced = [table if basis is None else table @ basis for table, basis in zip(centered, bases)]
        settings = {name: getattr(self, name) for name in ("scaling", "reflection", "max_iter", "tol")}
        rotations, scales, self.consensus_ratio_, self.n_iter_ = rotations_and_scales(
            list(encoders), reduced, self._width, **settings
        )

        self.weights_, self.scales_, self.means_ = {}, {}, {}
        parts = zip(encoders.items(), reduced, bases, rotations, scales, means)
        for (name, encoder), table, basis, rotation, s, mean in parts:
            Q = rotation[: table.shape[1]]
            encoder.weights_ = self.weights_[name] = to_numpy(Q if basis is None else basis @ Q)
            encoder.scale_ = self.scales_[name] = s
            encoder.mean_ = self.means_[name] = to_numpy(mean)
            encoder.n_components_ = self._width
        self.encoders_ = encoders
        return self

    def _check_parameters(self):
        check_choice("widths", self.widths, ("pad", "pca"))
        if self.n_components is not None and not is_whole(self.n_components, 1):
            raise ValueError(f"n_components must be None or a whole number of at least 1, got {self.n_components!r}.")
        if not is_whole(self.max_iter, 1):
            raise ValueError(f"max_iter must be a whole number of at least 1, got {self.max_iter!r}.")
        for name in ("scaling", "reflection"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}.")
        if not isinstance(self.tol, Real) or not self.tol >= 0:
            raise ValueError(f"tol must be a number of at least 0, got {self.tol!r}.")

    def _bases(self, names, centered):
        """Leading principal axes of the views that are to be reduced, None for the others; sets the common width."""
        widest = max(table.shape[1] for table in centered)
        k = self.n_components or widest
        if self.widths == "pad":
            axes = [None if table.shape[1] <= k else principal_axes(table)[0] for table in centered]
        else:
            axes, ranks = zip(*(principal_axes(table) for table in centered))
            k = check_rank(self.n_components, dict(zip(names, ranks)))
        self._width = k
        return [None if basis is None else basis[:, :k] for basis in axes]

    def score(self, X: Rows, y: Rows | None = None) -> float:
        r"""How well the views coincide on these rows, on held-out rows if they were held out; higher is better.

        For two views
        :math:`1 - \sum \lVert z_x - z_y \rVert^2 / \sum \lVert z_y - \bar z_y \rVert^2` in the shared space: 1 where
        the first lands on the second, 0 where the mean of the second would do as well, negative where it is worse. For
        three or more, the part of the variance that their mean has: 1 at best, and one part in their number for views
        that have nothing to do with each other. What principal components leave out of a view counts as an error, so
        that scores can be compared across `n_components` and `widths`.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Paired views, or the first of two.
        y : array-like of shape (n_samples, n_features_y), default=None
            The second view; ignored beside Views.

        Returns
        -------
        float
            At most 1; 0 where the reference is constant on these rows.
        """
        views = self._open_to_score(X, y)
        names = [name for name in self.encoders_ if name in views]
        points, left_out, total, size = [], [], [], 0.0
        for name in [*names, *(name for name in views.names if name not in names)]:
            encoder = self._encoder(name)
            centered = encoder._centered(encoder.check(views[name])) * encoder.scale_
            points.append(centered @ like(encoder.weights_, centered))
            size += _sum_of_squares(centered)
            left_out.append(max(_sum_of_squares(centered) - _sum_of_squares(points[-1]), 0.0))
            total.append(_sum_of_squares(centered - centered.mean(0)))
        points = [like(Z, points[-1]) for Z in points]
        if len(self.encoders_) == 2:
            error, variance = _sum_of_squares(points[0] - points[1]) + left_out[1], total[1]
        else:
            mean = sum(points) / len(points)
            error, variance = sum(_sum_of_squares(Z - mean) for Z in points) + sum(left_out), sum(total)
        constant = variance <= (len(views) * _EPS) ** 2 * size
        return 0.0 if constant else float(1.0 - error / variance)


def _sum_of_squares(A):
    return float(namespace(A).sum(A * A))
