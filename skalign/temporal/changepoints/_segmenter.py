"""Cutting signals into segments."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..._backend import is_tensor, like
from ..._typing import Array, ArrayLike, Rows, Self
from ...base import OutputMixin, wrap_output
from ...views import Views
from ._collections import CollectionsMixin, in_the_form_given
from ._cutting import check_cost, check_parameters, cut_signal, is_profile, path_of_signal
from ._input import check_annotations
from ._penalties import learn_scale
from ._pooling import as_poolings, pool_segments
from ._stream import StreamMixin

# What it takes to cut one signal.
_SETTINGS = ("cost", "search", "penalty", "n_changepoints", "min_size", "jump", "standardize", "window")


class ChangepointSegmenter(
    StreamMixin, CollectionsMixin, OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Cut signals where they change, and pool every segment: signals in, bags of elements out.

    The segments of a signal are those with the least summed cost plus a penalty per change point. Start with the
    default, PELT on squared errors, for changes of level; ``cost="normal"`` sees changes of variance, "rbf" any change
    of distribution, "linear" of trend, "ar" of rhythm, and "profile" changes of pattern in signals that repeat. A
    change point is the first frame of a new segment; neither 0 nor the end of the signal is one. What `fit` learns is
    at most the scale of the penalty: `predict` cuts any collection.

    Parameters
    ----------
    cost : {"l1", "l2", "normal", "rbf", "linear", "cosine", "ar", "rank", "mahalanobis", "profile"} or object, \
default="l2"
        What a segment costs. Objects of `skalign.temporal` (``RbfCost(gamma=0.1)``) set parameters, which can then be
        searched as ``cost__gamma``; any object with ``fit(signal)`` and ``error(start, end)`` will do. "profile"
        (`ProfileCost`) finds pattern changes by itself: with it `search` and `penalty` are not used.
    search : {"pelt", "optimal", "binseg", "bottomup", "window", "kernel"}, default="pelt"
        "pelt" is exact, in a time that grows linearly when changes are many [1]_; "optimal" is the same without
        pruning, for costs of your own that may rise when a segment is cut. "kernel" is "pelt" for the kernels "l2",
        "cosine" and "rbf". The others are greedy: "binseg" splits, "bottomup" merges, "window" takes peaks of what a
        cut saves within a window. With `n_changepoints` the exact ones all are dynamic programming.
    penalty : float or {"auto", "bic", "mbic"}, default="auto"
        What a change point has to save. A number is added to the summed cost (for "l2" the sum of squares, in units of
        the variance of the signal when standardised). "auto" is (p + 2) log(n_frames), where p is the number of
        parameters of a segment, times what one parameter too many saves in noise of the variance of the signal: 3 log n
        for "l2" and one channel. "bic" has (p + 1) in its place, "mbic" adds the logarithms of the relative lengths of
        the segments to "auto" [2]_. The noise is not estimated from differences: frames that depend on those before
        would be cut to pieces.
    penalty_scale : float or "learn", default=1.0
        Multiplies the penalty. "learn" takes the scale that covers annotated series best, if it also does on series
        left out; nothing but this word makes `fit` use `y`.
    n_changepoints : int, default=None
        Their number, in every series, in place of the penalty. The greedy searches may find fewer.
    min_size : int, default=2
        Shortest segment in frames; no less than the cost needs.
    jump : int, default=1
        Change points are multiples of it; the time falls with its square.
    standardize : bool, default=True
        Bring every channel of every series to variance 1 first, so that penalties mean the same in any unit.
    pooling : {"mean", "std", "slope"}, callable or sequence of them, default="mean"
        What `transform` makes of a segment, an array of shape (n_frames, n_channels): one vector. Several are joined.
        "slope" is per frame.
    window : int, default=100
        Frames that ``search="window"`` compares; half of them on either side.

    Attributes
    ----------
    penalty_scale_ : float
        The scale in use.
    penalty_learning_ : dict
        After a fit with "learn": the covering at every scale, the learnt scale, and the covering on series left out.
    change_points_ : list of ndarray of int
        After `partial_fit`: of the streams so far.
    n_features_in_ : int
        Channels of the signals; the number of views after a fit on Views.

    Notes
    -----
    The rules of the penalty take the variance of the whole signal, its changes included, for that of the noise. They
    miss small steps beside large ones; `penalty_path` shows what there is at other penalties.

    References
    ----------
    .. [1] R. Killick, P. Fearnhead, I. A. Eckley, "Optimal detection of changepoints with a linear computational
       cost", JASA 107(500), 2012.
    .. [2] N. R. Zhang, D. O. Siegmund, "A modified Bayes information criterion with applications to the analysis of
       comparative genomic hybridization data", Biometrics 63(1), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import ChangepointSegmenter
    >>> signal = np.r_[np.zeros(30), np.full(20, 4.0), np.ones(40)]
    >>> segmenter = ChangepointSegmenter().fit([signal])
    >>> segmenter.predict([signal])
    [array([30, 50])]
    >>> segmenter.transform([signal])[0].ravel()
    array([0., 4., 1.])
    """

    def __init__(
        self, cost: Any = "l2", search: Literal["pelt", "optimal", "binseg", "bottomup", "window", "kernel"] = "pelt",
        penalty: float | Literal["auto", "bic", "mbic"] = "auto", *, penalty_scale: float | Literal["learn"] = 1.0,
        n_changepoints: int | None = None, min_size: int = 2, jump: int = 1, standardize: bool = True,
        pooling: Any = "mean", window: int = 100,
    ) -> None:  # fmt: skip
        self.cost = cost
        self.search = search
        self.penalty = penalty
        self.penalty_scale = penalty_scale
        self.n_changepoints = n_changepoints
        self.min_size = min_size
        self.jump = jump
        self.standardize = standardize
        self.pooling = pooling
        self.window = window

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Check the parameters and the signals; with ``penalty_scale="learn"``, learn the scale of the penalty.

        Parameters
        ----------
        X : list of arrays of shape (n_frames_i, n_channels), array of shape (n_series, n_frames, n_channels) or Views
            Signals. Elements of one dimension (the rows of a table, a list of 1-D arrays) are univariate series. One
            signal of several channels is ``[a]``.
        y : list of sequences of int, default=None
            Change points of every series, or a list (or mapping) of them, one per annotator. Used with
            ``penalty_scale="learn"`` only; in a pipeline it may be class labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For settings that mean nothing, NaN or infinity, empty series, series too short for two segments of
            `min_size` or for `n_changepoints`; with "learn", without annotations of 3 series or more.
        """
        opened = self._open_to_fit(X)
        for signals in opened.values():
            check_cost(self.cost, signals[0], self.standardize)
        return self._fit_opened(opened, y)

    def _open_to_fit(self, X):
        self._check_parameters()
        views = self._views(X)
        if self.penalty_scale == "learn" and None not in views:
            raise TypeError("penalty_scale='learn' learns from one view: put this segmenter into PerView.")
        return {name: self._open(view, name) for name, view in views.items()}

    def _fit_opened(self, opened, y):
        learning = self.penalty_scale == "learn"
        layouts = {name: self._layout(signals) for name, signals in opened.items()}
        if learning:
            signals = opened[None]
            scale, report = learn_scale(
                lambda i, scale: self._cut(signals[i], scale), check_annotations(y, signals.lengths), signals.lengths
            )
        for name in ("_streams", "penalty_learning_"):
            self.__dict__.pop(name, None)
        self._layouts = layouts
        self.n_features_in_ = layouts[None][0] if None in layouts else len(layouts)
        self.penalty_scale_ = scale if learning else float(self.penalty_scale)
        if learning:
            self.penalty_learning_ = report
        return self

    def predict(self, X: Rows) -> Array:
        """Change points of every series.

        Parameters
        ----------
        X : as in `fit`
            Signals, of as many channels.

        Returns
        -------
        list of ndarray of int
            First frames of new segments, ascending; for Views a mapping of such lists by name.
        """
        return self._each(X, self._cuts)

    def fit_predict(self, X: Rows, y: Rows | None = None) -> Array:
        """Fit, and give the change points of the same series."""
        opened = self._open_to_fit(X)  # looked at once: that takes as long as a small search
        self._fit_opened(opened, y)
        return in_the_form_given({name: self._cuts(signals) for name, signals in opened.items()})

    def predict_labels(self, X: Rows) -> Array:
        """The number of its segment for every frame.

        Parameters
        ----------
        X : as in `fit`
            Signals.

        Returns
        -------
        list of ndarray of int, of shape (n_frames_i,)
            For Views a mapping of such lists by name.
        """

        def labels(signals):
            cuts = zip(self._cuts(signals), signals.lengths)
            return [np.searchsorted(cps, np.arange(n), side="right") for cps, n in cuts]

        return self._each(X, labels)

    def segments(self, X: Rows) -> Array:
        """The parts of every series, as they were given.

        Parameters
        ----------
        X : as in `fit`
            Signals.

        Returns
        -------
        list of list of arrays
            For Views a mapping of such lists by name.
        """

        def parts(signals):
            bounds = [[0, *cps.tolist(), n] for cps, n in zip(self._cuts(signals), signals.lengths)]
            arrays = [x if is_tensor(x) else np.asarray(x) for x in signals.given]
            return [[x[s:e] for s, e in pairwise(cut)] for x, cut in zip(arrays, bounds)]

        return self._each(X, parts)

    def transform(self, X: Rows) -> Array:
        """One row of pooled features per segment: a bag of elements per series.

        Parameters
        ----------
        X : as in `fit`
            Signals.

        Returns
        -------
        list of arrays of shape (n_segments_i, n_features_out), or Views of such lists
            Of the values before standardising; float32 and tensors stay what they are, ``set_output`` makes every bag a
            DataFrame.
        """
        bags = self._each(X, self._pooled)
        if not isinstance(bags, dict):
            return self._wrapped(bags)
        return Views({name: self._wrapped(own, name) for name, own in bags.items()})

    def _wrapped(self, bags, view=None):
        """Every bag in the container that ``set_output`` asked for."""
        return [wrap_output(self, bag, bag, lambda: self._layouts[view][1]) for bag in bags]

    def _pooled(self, signals):
        functions, bags = as_poolings(self.pooling), []
        for signal, cps, original in zip(signals, self._cuts(signals), signals.given):
            bag = pool_segments(signal, cps, functions)
            small = str(getattr(original, "dtype", "")).endswith(("float32", "float16"))
            bag = bag.astype(np.float32 if small else np.float64, copy=False)
            bags.append(like(bag, original) if is_tensor(original) else bag)
        return bags

    def score(self, X: Rows, y: Rows | None = None) -> float:
        """Mean covering of the annotated segments by the predicted ones (see `skalign.metrics.covering`).

        Comparable across every parameter but a change of the series themselves.

        Parameters
        ----------
        X : as in `fit`
            Signals.
        y : list of sequences of int
            Change points of every series, or a list (or mapping) of them, one per annotator.

        Returns
        -------
        float
            Between 0 and 1, higher is better; for Views the mean over views that share the annotations.
        """
        from ...metrics.segmentation import covering

        def cover(signals):
            lengths = signals.lengths
            annotations = check_annotations(y, lengths)
            return float(np.mean([covering(a, c, n) for a, c, n in zip(annotations, self._cuts(signals), lengths)]))

        scores = self._each(X, cover)
        return float(np.mean(list(scores.values()))) if isinstance(scores, dict) else scores

    def penalty_path(self, X: Rows, low: float, high: float) -> Array:
        """Every segmentation that is the best for a penalty in a range, by PELT whatever `search` is.

        Parameters
        ----------
        X : as in `fit`
            Signals.
        low, high : float
            The range of penalties per change point, before `penalty_scale`, which does not apply.

        Returns
        -------
        list of list of PathSegmentation
            Per series, from most change points to fewest: ``low``, ``high``, ``change_points``, ``cost``.
        """
        if is_profile(self.cost):
            raise ValueError("cost='profile' has no penalty.")
        settings = {name: getattr(self, name) for name in ("cost", "min_size", "jump", "standardize")}
        return self._each(X, lambda signals: [path_of_signal(s, low, high, **settings) for s in signals])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names such as ``mean0``, ``mean1``, ``std0``; with the view before them after a fit on Views.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "penalty_scale_")
        prefixes = {view: "" if view is None else f"{view}__" for view in self._layouts}
        names = [prefixes[view] + name for view, (_, own) in self._layouts.items() for name in own]
        return np.asarray(names, dtype=object)

    def _check_parameters(self):
        check_parameters(penalty_scale=self.penalty_scale, pooling=self.pooling, **self._settings())

    def _cut(self, signal, scale):
        return cut_signal(signal, scale, **self._settings())

    def _cuts(self, signals):
        return [self._cut(signal, self.penalty_scale_) for signal in signals]

    def _settings(self):
        return {name: getattr(self, name) for name in _SETTINGS}  # get_params takes as long as a small search

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
