"""Canonical time warping: sequences of different width, aligned in a space in which they correlate."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._encoder import Encoders
from .._input import is_whole
from .._typing import ArrayLike, PerViewValue, Rows, Self, Window
from ..base import OutputMixin
from ..views import Views
from ._paths import (
    check_pair_of_views,
    check_sampling_rate,
    check_truth,
    correlation,
    mapping,
    mean_absolute_error,
)
from ._sequence_encoder import SequenceEncoder
from ._warping import Warping, solve_pairs


class CTWAligner(OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Canonical time warping: align sequences whose frames have different features.

    Motion capture and video, sound and score: DTW cannot compare their frames. This finds linear maps of both views
    and paths through every pair together, by turns: canonical correlation analysis of the frames that the paths
    match, then DTW in the space that it gives. Where both views have the same features, `DTWAligner` is faster and
    needs no training.

    Parameters
    ----------
    n_components : int, default=None
        Dimensions of the shared space. None takes all: the least rank of the views. A few are mostly better, as the
        last components are noise, which paths that are free to choose will make correlate.
    shrinkage : float, "ledoit_wolf", "oas", mapping or ByView, default=0.01
        Regularisation of the covariance matrices, see `CCA`. A little keeps a first, wrong path from being fitted
        perfectly. It is relative to the mean variance of a view: divide features of different units by their standard
        deviations over all frames first, or the small ones are drowned.
    window : None, int, float or ("itakura", slope), default=None
        Where paths may go, see `dtw`.
    max_iter : int, default=50
        Largest number of turns from each start.
    sampling_rate : float, default=None
        Samples a second of the second view: `score` with correspondences is then in seconds, else in samples.
    n_jobs : int, default=None
        Threads over pairs. None means 1, -1 all processors.

    Attributes
    ----------
    encoders_ : dict of str to SequenceEncoder
        One-view transformers of sequences.
    canonical_correlations_ : ndarray of shape (n_components,)
        Of the matched training frames.
    paths_ : list of ndarray of int of shape (L, 2)
        Paths of the training pairs.
    start_ : {"diagonal", "dtw"}
        The start that led to the higher mean canonical correlation: paths along the diagonal, or those of plain DTW,
        which is tried where both views have the same width.
    n_iter_ : int
        Turns from that start.
    view_names_in_ : list of str
        The two views.
    widths_ : dict of str to int
        Features of a frame, by view.

    Raises
    ------
    ValueError
        For NaN or infinity, an empty sequence, bad parameters, and a window too narrow to reach the end.

    Warns
    -----
    ConvergenceWarning
        When paths still change at `max_iter`.

    See Also
    --------
    DTWAligner : Sequences with the same features.
    CCA : The maps.

    Notes
    -----
    Components are weighted by their canonical correlation, in the shared space and so in the costs, unlike in [1]_:
    components that say little about time then cost little.

    `transform` maps frames and leaves every sequence on its own time axis, so that one view alone will do.
    ``make_pipeline(CTWAligner(), DTWAligner(output=...))`` then brings both onto one. The turns end in a local
    optimum; a `window` around a rough alignment helps most.

    References
    ----------
    .. [1] F. Zhou, F. De la Torre, "Canonical time warping for alignment of human behavior", NIPS 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import Views
    >>> from skalign.temporal import CTWAligner
    >>> t = np.linspace(0, 1, 60)
    >>> curve = lambda t: np.stack([np.sin(9 * t), np.cos(5 * t), t], axis=1)
    >>> views = Views(motion=[curve(t)], video=[curve(t**1.2) @ np.random.default_rng(0).normal(size=(3, 5))])
    >>> ctw = CTWAligner(n_components=2).fit(views)
    >>> bool(ctw.score(views) > 0.99)
    True
    >>> ctw.transform(views[["video"]])["video"][0].shape
    (60, 2)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        shrinkage: PerViewValue[float | Literal["ledoit_wolf", "oas"]] = 0.01,
        window: Window = None,
        max_iter: int = 50,
        sampling_rate: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.window = window
        self.max_iter = max_iter
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def fit(self, X: Views, y: Rows | None = None) -> Self:
        """Learn the maps and the paths of the training pairs.

        Parameters
        ----------
        X : Views of two sequence views
            A view is an array of shape (n_samples, T, d) or a list of arrays of shape (T_i, d); 1-D elements are
            univariate series.
        y : ignored
            Stays free, for labels or for the correspondences that `score` takes.

        Returns
        -------
        self
        """
        warping = self._check(X)
        pair = check_pair_of_views(self, X, reset=True)
        A, B = pair.values()
        starts = {"diagonal": [diagonal_path(n, m) for n, m in zip(A.lengths, B.lengths)]}
        if A.width == B.width:
            starts["dtw"] = self._solve(warping, A, B)
        best: Any = None
        for start, paths in starts.items():
            found = self._by_turns(warping, pair, paths)
            if best is None or found[0].canonical_correlations_.mean() > best[0].canonical_correlations_.mean():
                best, self.start_ = found, start
        cca, self.paths_, self.n_iter_, converged = best
        if not converged:
            warnings.warn(
                f"The paths still change after max_iter={self.max_iter} turns: raise it, or narrow the window.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.canonical_correlations_ = cca.canonical_correlations_
        self.encoders_ = self._encoders(cca)
        return self

    def _by_turns(self, warping, pair, paths):
        from ..correlation import CCA

        for turn in range(1, self.max_iter + 1):
            matched = {
                name: sequences.frames[
                    np.concatenate([path[:, side] + start for path, start in zip(paths, sequences.offsets)])
                ]
                for side, (name, sequences) in enumerate(pair.items())
            }
            cca = CCA(self.n_components, shrinkage=self.shrinkage, weighting="correlation").fit(Views(matched))
            encoders = self._encoders(cca)
            before, paths = paths, self._solve(warping, *(encoders[name].encoded(S) for name, S in pair.items()))
            if all(np.array_equal(old, new) for old, new in zip(before, paths)):
                return cca, paths, turn, True
        return cca, paths, self.max_iter, False

    def _encoders(self, cca):
        encoders = Encoders()
        for name, frame_encoder in cca.encoders_.items():
            encoder = encoders[name] = SequenceEncoder(view=name, owner=type(self).__name__)
            encoder.frame_encoder_ = frame_encoder
            encoder.n_components_, encoder.n_features_in_ = frame_encoder.n_components_, frame_encoder.n_features_in_
        return encoders

    def _check(self, X):
        if not isinstance(X, Views):
            raise TypeError(
                f"{type(self).__name__} takes Views of two sequence views, not a {type(X).__name__}: "
                "fit(Views(motion=A, video=B))."
            )
        if not is_whole(self.max_iter, 1):
            raise ValueError(f"max_iter must be at least 1, got {self.max_iter!r}.")
        check_sampling_rate(self.sampling_rate)
        return Warping.check(window=self.window)

    def _solve(self, warping, A, B):
        return solve_pairs(warping, A, B, np.arange(len(A)), np.arange(len(B)), n_jobs=self.n_jobs)[1]

    def _aligned(self, X):
        check_is_fitted(self, "encoders_")
        warping = self._check(X)
        pair = check_pair_of_views(self, X, reset=False)
        A, B = (self.encoders_[name].encoded(sequences) for name, sequences in pair.items())
        return A, B, self._solve(warping, A, B)

    def transform(self, X: Views) -> Views:
        """Carry frames into the shared space; every sequence stays on its own time axis.

        Parameters
        ----------
        X : Views
            Either view, or both.

        Returns
        -------
        Views
            Of the same names: sequences with `n_components` features.
        """
        check_is_fitted(self, "encoders_")
        self._check(X)
        if unknown := [name for name in X.names if name not in self.encoders_]:
            raise ValueError(f"{type(self).__name__} was fitted on the views {self.view_names_in_}, not on {unknown}.")
        return Views({name: self.encoders_[name].transform(view) for name, view in X.items()})

    def align(self, X: Views) -> list[np.ndarray]:
        """Paths of pairs, by DTW in the shared space.

        Parameters
        ----------
        X : Views of two sequence views
            Pairs, seen at fit or not.

        Returns
        -------
        list of ndarray of int of shape (L, 2)
            Frames of the first and of the second view, both ends included.
        """
        return self._aligned(X)[2]

    def score(self, X: Views, y: Rows | None = None) -> float:
        """How well held-out pairs are aligned; higher is better.

        Parameters
        ----------
        X : Views of two sequence views
            Held-out pairs.
        y : sequence with one entry for each pair, default=None
            True correspondences, see `DTWAligner.score`.

        Returns
        -------
        float
            Without `y` the mean over components of the correlation of the matched frames of all pairs. It falls as
            `n_components` grows and rises as `window` widens, so it chooses neither. With `y` minus the mean absolute
            error, in samples or, with `sampling_rate`, in seconds: a criterion for all parameters.
        """
        A, B, paths = self._aligned(X)
        if y is None:
            rows = [
                np.concatenate([path[:, side] + start for path, start in zip(paths, S.offsets)])
                for side, S in enumerate((A, B))
            ]
            return correlation(A.frames[rows[0]], B.frames[rows[1]])
        truths = check_truth(y, A.lengths, B.lengths)
        found = [mapping(path, n) for path, n in zip(paths, A.lengths)]
        return -mean_absolute_error(found, truths, self.sampling_rate)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names ``view__ctwaligner0``, ... of the features of frames, for both views.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "encoders_")
        names = [f"{view}__{f}" for view, encoder in self.encoders_.items() for f in encoder.get_feature_names_out()]
        return np.asarray(names, dtype=object)


def diagonal_path(n, m):
    """The straight path through signals of lengths `n` and `m`."""
    length = max(n, m)
    steps = np.arange(length) * (np.array([[n], [m]]) - 1) / max(length - 1, 1)
    return np.floor(steps + 0.5).astype(np.int64).T
