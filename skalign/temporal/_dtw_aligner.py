"""Dynamic time warping as an estimator: pairs of sequences, or registration to a template."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._input import is_whole
from .._typing import Array, ArrayLike, Metric, Rows, Self, StepPattern, Window
from ..base import OutputMixin, wrap_output
from ..views import Views
from ._barycenter import dtw_barycenter, soft_barycenter
from ._costs import FUSED
from ._matching import as_template, distances, mappings, match, onto
from ._paths import (
    along_path,
    check_pair_of_views,
    check_sampling_rate,
    check_truth,
    correlation,
    mean_absolute_error,
)
from ._sequences import check_sequences, check_width, like_series
from ._warping import Warping


class DTWAligner(OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Dynamic time warping of pairs of sequences, or registration of many series to one template.

    On `Views` of two sequence views, row by row a pair: `align` gives the paths, `transform` both sequences on one
    time axis. On one collection `fit` learns a template, the barycenter under warping, and `transform` registers
    every series to it, so that an ordinary scaler and classifier can follow. There is no learning from pairs: search
    `window`, `step_pattern` or `gamma` with true correspondences as ``y`` of `score`, or in a pipeline by what
    follows. For sequences of different width there is `CTWAligner`.

    Parameters
    ----------
    metric : str or callable, default="sqeuclidean"
        Cost of matching two frames, see `dtw`. The default is the fastest and stores no cost matrix.
    window : None, int, float or ("itakura", slope), default=None
        Where a path may go: a largest lag in samples (int), as a part of the longer signal (float), or the Itakura
        parallelogram; None is anywhere. See `dtw`.
    step_pattern : {"symmetric1", "symmetric2", "asymmetric"}, default="symmetric1"
        Steps and their weights, see `dtw`.
    open_begin, open_end, subsequence : bool, default=False
        Free ends in the second view (or the template), see `dtw`.
    derivative : bool, default=False
        Match slopes instead of values.
    gamma : float, default=0.0
        Above 0 soft-DTW, in the unit of the costs: frames are averaged with the probabilities of their matches, and
        templates are soft barycenters. Paths are then the most probable ones, those of hard warping.
    output : "path", int or str, default="path"
        The axis of transformed Views. "path": both are warped to the path, of a length of its own for each pair. An
        int: both are resampled to that many frames along the path. The name of a view: the other is warped to its
        time axis, frames that match one of its frames being averaged. Ignored on one collection.
    template : array of shape (T,) or (T, d), default=None
        What to register one collection to; None learns it.
    max_iter : int, default=100
        Largest number of iterations for the template.
    tol : float, default=1e-5
        The template is learned when its mean cost falls by less than this part.
    sampling_rate : float, default=None
        Samples a second of the second view: `score` with correspondences is then in seconds, else in samples.
    n_jobs : int, default=None
        Threads over pairs. None means 1, -1 all processors.

    Attributes
    ----------
    distances_ : ndarray of shape (n_samples,)
        Of the training pairs, or of the training series to the template.
    template_ : ndarray of shape (T, d), or (T,) for univariate series
        After a fit on one collection.
    n_iter_ : int
        Iterations for the template; 0 where it was given.
    view_names_in_ : list of str or None
        The two views, the first one first; None after a fit on one collection.
    widths_ : dict of str to int
        Features of a frame, by view; after a fit on Views.

    Raises
    ------
    ValueError
        For NaN or infinity (with the view and the sequence), an empty sequence, views of different width, bad
        parameters, and a window too narrow to reach the end (with the pair and both lengths).

    Warns
    -----
    ConvergenceWarning
        When the template still changes at `max_iter`.

    See Also
    --------
    dtw : Two bare signals.
    CTWAligner : Sequences of different width.

    Notes
    -----
    Elements that are 1-D (the rows of a table, or a list of 1-D arrays) are univariate series, elements that are 2-D
    are sequences of frames. The template starts at the medoid of at most 30 series spread evenly over the collection;
    it is then averaged [2]_, or descended to [3]_ for gamma > 0.

    References
    ----------
    .. [1] H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE Trans.
       ASSP 26(1), 1978.
    .. [2] F. Petitjean, A. Ketterlin, P. Gancarski, "A global averaging method for dynamic time warping", Pattern
       Recognition 44(3), 2011.
    .. [3] M. Cuturi, M. Blondel, "Soft-DTW: a differentiable loss function for time-series", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import Views
    >>> from skalign.temporal import DTWAligner
    >>> score = [np.array([0.0, 1.0, 2.0, 0.0])]
    >>> sound = [np.array([0.0, 0.0, 1.0, 1.0, 2.0, 0.0])]
    >>> aligner = DTWAligner(output="sound").fit(Views(score=score, sound=sound))
    >>> aligner.align(Views(score=score, sound=sound))[0].tolist()
    [[0, 0], [0, 1], [1, 2], [1, 3], [2, 4], [3, 5]]
    >>> aligner.transform(Views(score=score, sound=sound))["score"][0].tolist()
    [0.0, 0.0, 1.0, 1.0, 2.0, 0.0]
    """

    def __init__(
        self, metric: Metric = FUSED, *, window: Window = None, step_pattern: StepPattern = "symmetric1",
        open_begin: bool = False, open_end: bool = False, subsequence: bool = False, derivative: bool = False,
        gamma: float = 0.0, output: str | int = "path", template: Array = None, max_iter: int = 100, tol: float = 1e-5,
        sampling_rate: float | None = None, n_jobs: int | None = None,
    ) -> None:  # fmt: skip
        self.metric = metric
        self.window = window
        self.step_pattern = step_pattern
        self.open_begin = open_begin
        self.open_end = open_end
        self.subsequence = subsequence
        self.derivative = derivative
        self.gamma = gamma
        self.output = output
        self.template = template
        self.max_iter = max_iter
        self.tol = tol
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Check pairs and note their distances, or learn the template of one collection.

        Parameters
        ----------
        X : Views of two sequence views, or array or list of series
            A view or collection is an array of shape (n_samples, T) or (n_samples, T, d), or a list of arrays of
            shape (T_i,) or (T_i, d).
        y : ignored
            Stays free, for labels or for the correspondences that `score` takes.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            For a second collection of series: pairs are Views of two.
        """
        warping = self._check_parameters(X)
        if isinstance(X, Views):
            A, B = self._pair(X, reset=True)
            self.distances_ = distances(warping, A, B, n_jobs=self.n_jobs)
            for name in ("template_", "n_iter_", "n_features_in_"):  # of an earlier fit on one collection
                self.__dict__.pop(name, None)
            return self
        series = check_sequences(X, "", type(self).__name__)
        if like_series(y):
            raise TypeError("fit learns a template of X alone, and y holds series too: pairs are Views(a=X, b=y).")
        if self.template is None:
            solve = soft_barycenter if warping.gamma > 0 else dtw_barycenter
            template, n_iter = solve(warping, series, max_iter=self.max_iter, tol=self.tol, n_jobs=self.n_jobs)
        else:
            given = check_sequences([self.template], "template: ", type(self).__name__)
            check_width(given.width, series.width, "template: ", "this collection")
            template, n_iter = given[0].copy(), 0
        self.__dict__.pop("widths_", None)  # of an earlier fit on Views
        self.view_names_in_, self._template, self._univariate, self.n_iter_ = None, template, series.univariate, n_iter
        self.n_features_in_ = int(series.lengths[0]) if series.univariate else series.width
        self.template_ = (template[:, 0] if series.univariate else template).astype(series.dtype)
        self.distances_ = distances(warping, series, as_template(template), n_jobs=self.n_jobs)
        return self

    def transform(self, X: Rows) -> Array:
        """Bring pairs onto one time axis, or register series to the template.

        Parameters
        ----------
        X : Views of two sequence views, or array or list of series
            As at fit.

        Returns
        -------
        Views, or array of shape (n_samples, T_template) or (n_samples, T_template, d)
            Views of the same names. A view is a list of arrays of shape (L, d), or (L,) where series are univariate;
            one array where all have one length by construction: with an int as `output`, or on the axis of a view
            that is an array.
        """
        check_is_fitted(self, "view_names_in_")
        warping = self._check_parameters(X)
        if not isinstance(X, Views):
            sequences = self._collection(X)
            registered = sequences.pack(
                onto(warping, sequences, as_template(self._template), n_jobs=self.n_jobs), stacked=True
            )
            return wrap_output(self, registered, X, self.get_feature_names_out) if registered.ndim == 2 else registered
        A, B = self._pair(X)
        names, output = self.view_names_in_, self.output
        if output == names[0]:
            warped = onto(warping, B, A, flip=True, n_jobs=self.n_jobs)
            return Views({names[0]: X[names[0]], names[1]: B.pack(warped, A.stacked)})
        if output == names[1]:
            warped = onto(warping, A, B, n_jobs=self.n_jobs)
            return Views({names[0]: A.pack(warped, B.stacked), names[1]: X[names[1]]})
        _, paths = match(warping, A, B, n_jobs=self.n_jobs)
        warped = {}
        for column, (name, sequences) in enumerate(zip(names, (A, B))):
            if output == "path":
                arrays = [sequences[i][path[:, column]] for i, path in enumerate(paths)]
            else:
                arrays = [along_path(path[:, column], sequences[i], output) for i, path in enumerate(paths)]
            warped[name] = sequences.pack(arrays, stacked=output != "path")
        return Views(warped)

    def align(self, X: Rows) -> list[np.ndarray]:
        """The warping paths.

        Parameters
        ----------
        X : Views of two sequence views, or array or list of series
            Pairs, or series to match with the template.

        Returns
        -------
        list of ndarray of int of shape (L, 2)
            Frames of the first and the second view (or of a series and the template), both ends included.
        """
        check_is_fitted(self, "view_names_in_")
        return match(self._check_parameters(X), *self._sides(X), n_jobs=self.n_jobs)[1]

    def distances(self, X: Rows) -> np.ndarray:
        """Distances of pairs, or of series to the template, without paths: in memory for a few rows.

        Parameters
        ----------
        X : Views of two sequence views, or array or list of series
            Pairs, or series.

        Returns
        -------
        ndarray of shape (n_samples,)
            See `skalign.temporal.DTWResult.distance`.
        """
        check_is_fitted(self, "view_names_in_")
        return distances(self._check_parameters(X), *self._sides(X), n_jobs=self.n_jobs)

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """How well pairs are aligned; higher is better.

        Parameters
        ----------
        X : Views of two sequence views, or array or list of series
            Held-out pairs, or series.
        y : sequence with one entry for each pair, default=None
            True correspondences: a path of shape (L, 2), of all frames or of a few landmarks, or an array with the
            frame of the second sequence for every frame of the first, NaN where unknown. Ignored on one collection.

        Returns
        -------
        float
            With `y` minus the mean absolute error of the frames that the path gives to frames of the first sequence,
            in samples or, with `sampling_rate`, in seconds. Without, the mean correlation of the warped sequences: a
            description, **no criterion for `window`, `step_pattern` or `gamma`**, since it rises when constraints
            loosen, right or wrong. On one collection minus the mean distance to the template, of which the same is
            true.
        """
        check_is_fitted(self, "view_names_in_")
        warping = self._check_parameters(X)
        A, B = self._sides(X)
        if not isinstance(X, Views):
            return -float(distances(warping, A, B, n_jobs=self.n_jobs).mean())
        if y is None:
            _, paths = match(warping, A, B, n_jobs=self.n_jobs)
            return float(np.mean([correlation(A[i][p[:, 0]], B[i][p[:, 1]]) for i, p in enumerate(paths)]))
        truths = check_truth(y, A.lengths, B.lengths)
        found = mappings(warping, A, B, n_jobs=self.n_jobs)
        return -mean_absolute_error(found, truths, self.sampling_rate)

    def _check_parameters(self, X):
        if isinstance(X, Views) and self.output != "path" and not isinstance(self.output, str):
            if not is_whole(self.output, 1):
                raise ValueError(
                    f"output must be 'path', a view, or a number of frames of at least 1, got {self.output!r}."
                )
        elif isinstance(X, Views) and self.output != "path" and self.output not in X:
            raise ValueError(f"output must be 'path', a number of frames or one of {X.names}, got {self.output!r}.")
        if not is_whole(self.max_iter, 1) or not self.tol >= 0:
            raise ValueError(f"max_iter must be at least 1 and tol at least 0, got {self.max_iter!r} and {self.tol!r}.")
        check_sampling_rate(self.sampling_rate)
        return Warping.check(
            self.metric, self.window, self.step_pattern, self.open_begin, self.open_end, self.subsequence,
            self.derivative, self.gamma,
        )  # fmt: skip

    def _pair(self, X, reset=False):
        if not reset and self.view_names_in_ is None:
            raise ValueError(f"{type(self).__name__} was fitted on one collection of series and is given {X!r}.")
        return check_pair_of_views(self, X, reset=reset, equal_widths=True).values()

    def _collection(self, X):
        if self.view_names_in_ is not None:
            raise ValueError(
                f"{type(self).__name__} was fitted on the views {self.view_names_in_}: it aligns them, but has no "
                "template to register one collection to."
            )
        sequences = check_sequences(X, "", type(self).__name__)
        check_width(sequences.width, self._template.shape[1], "", type(self).__name__)
        return sequences

    def _sides(self, X):
        return self._pair(X) if isinstance(X, Views) else (self._collection(X), as_template(self._template))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names ``dtwaligner0``, ... of the frames of the template, for univariate series.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "view_names_in_")
        if self.view_names_in_ is not None or not self._univariate:
            raise ValueError("Only univariate series that are registered to a template make a table with names.")
        return np.asarray([f"{type(self).__name__.lower()}{t}" for t in range(len(self._template))], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
