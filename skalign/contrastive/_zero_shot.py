"""Classify one view by prompts of another."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .._backend import astype, is_tensor, like, namespace, to_numpy
from .._input import is_whole
from .._typing import Array, ArrayLike, Rows, Self
from ..metrics.similarity import unit_rows
from ._prefit import PrefitAligner, embed, rows_of

# Where CLIP's learned temperature starts, and the usual constant of InfoNCE.
_TEMPERATURE = 0.07
# A point this much shorter than what it is the mean of is rounding: its direction says nothing.
_CANCELLED = 1e-6


class ZeroShotClassifier(ClassifierMixin, BaseEstimator):
    r"""Classify rows of one view by their nearest class prompt in another, without a single labelled row.

    Stands on an aligner that is fitted already: what a class is called or described by ("a photo of a cat") is carried
    into the shared space, and a row belongs to the class it is most similar to there. For classes that come and go, or
    that have no labelled examples; with labels enough, a classifier on the aligned rows (`Fuse`) does better.

    Parameters
    ----------
    aligner : fitted aligner, or fitted Pipeline or search that holds one
        Needs ``encoders_``, a map of every view on its own. It is not fitted again. scikit-learn's tools clone what
        they are given, and a clone has lost its fit: hand them ``FrozenEstimator(aligner)``.
    view : str, default=None
        The view whose rows are classified. None is the first view of the aligner.
    prompt_view : str, default=None
        The view of the prompts. None is the other view where there are two. It may be the same as `view`: the
        prompts are then examples, and a class is the mean of its own.
    temperature : float, default=None
        What cosines are divided by for ``predict_proba``, greater than 0. None takes ``temperature_`` of the aligner,
        which a contrastive one learns on its training rows, and 0.07, at which CLIP's training starts, where it has
        none. An aligner trained on few pairs learns one that is too low for new rows, and the probabilities are too
        sure of themselves: choose it by the log loss on held-out rows, by a search say. Predicted classes do not
        depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    class_embeddings_ : ndarray or tensor of shape (n_classes, d)
        Points of length 1 in the shared space, in the order of ``classes_``.
    temperature_ : float
        The temperature in use.
    view_, prompt_view_ : str
        The views in use.
    encoder_ : Pipeline
        From rows of ``view_`` to the shared space.

    Raises
    ------
    NotFittedError
        For an aligner that is not fitted.
    ValueError
        For fewer than two classes, as many labels as prompts are not, unknown views, and prompts that say nothing:
        those that land on zero, and classes whose prompts cancel out.

    See Also
    --------
    CrossModalRetriever : The nearest rows of another view instead of a class.

    Notes
    -----
    The recipe is CLIP's [1]_: every prompt is encoded and brought to unit length, the prompts of a class (templates,
    synonyms) are averaged, and the mean is brought to unit length again. With the cosines c and the temperature t the
    probabilities are :math:`\operatorname{softmax}(c / t)`. A row that lands on zero is equally similar to all classes.

    A search over its parameters takes Views of both views with labels: the prompts are then the rows of the training
    part, and the rows of the other part are classified.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign import CCA, Views, ZeroShotClassifier
    >>> rng = np.random.default_rng(0)
    >>> text, camera = rng.normal(size=(300, 3)), rng.normal(size=(3, 5))
    >>> image = text @ camera + 0.1 * rng.normal(size=(300, 5))
    >>> aligner = CCA(n_components=3).fit(Views(image=image, text=text))
    >>> prompts = [[2.0, 0.0, 0.0], [2.0, 0.1, 0.0], [0.0, 2.0, 0.0]]
    >>> clf = ZeroShotClassifier(aligner).fit(prompts, ["cat", "cat", "dog"])
    >>> clf.predict(np.array([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0]]) @ camera).tolist()
    ['cat', 'dog']
    """

    def __init__(
        self,
        aligner: Any = None,
        *,
        view: str | None = None,
        prompt_view: str | None = None,
        temperature: float | None = None,
    ) -> None:
        self.aligner = aligner
        self.view = view
        self.prompt_view = prompt_view
        self.temperature = temperature

    def fit(self, X: Rows, y: ArrayLike) -> Self:
        """Embed the prompts of the classes.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_prompts, ...)
            Prompts, one or more of every class: rows of `prompt_view`, or Views with that view.
        y : array-like of shape (n_prompts,)
            The class of every prompt.

        Returns
        -------
        self
        """
        aligner = PrefitAligner(self.aligner, type(self).__name__)
        view = aligner.choose("view", self.view, default=aligner.names[0])
        prompt_view = aligner.choose("prompt_view", self.prompt_view, other_than=view)
        temperature = self._chosen_temperature(aligner.part)
        prompts, n_prompts = rows_of(X, prompt_view, "Prompts")
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None: the class of every prompt.")
        y = column_or_1d(to_numpy(y) if is_tensor(y) else y, warn=True)
        assert_all_finite(y, input_name="y")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # as many classes as prompts is what zero-shot is about
            check_classification_targets(y)
        if len(y) != n_prompts:
            raise ValueError(f"There are {n_prompts} prompts, but y holds the classes of {len(y)}.")
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(classes)} class in y.")
        Z = embed(aligner.encoder(prompt_view), prompts, "Prompts")
        self.class_embeddings_ = _class_means(Z, codes, classes)
        self.encoder_ = aligner.encoder(view)
        self.classes_, self.temperature_ = classes, temperature
        self.view_, self.prompt_view_ = view, prompt_view
        return self

    def _chosen_temperature(self, aligner):
        t = self.temperature
        if t is None:
            return float(getattr(aligner, "temperature_", _TEMPERATURE))
        if not isinstance(t, Real) or isinstance(t, bool) or not 0 < t < np.inf:
            raise ValueError(f"temperature must be None or a number greater than 0, got {t!r}.")
        return float(t)

    def _cosines(self, X):
        check_is_fitted(self)
        rows, _ = rows_of(X, self.view_, "The rows to classify")
        Z = unit_rows(embed(self.encoder_, rows, "Rows to classify"))
        return Z @ astype(like(self.class_embeddings_, Z), Z.dtype).T

    def decision_function(self, X: Rows) -> Array:
        """Cosine of every row with every class, in the shared space.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_samples, ...)
            Rows of `view`, or Views with that view; others are ignored.

        Returns
        -------
        array of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes, as everywhere in scikit-learn, one number a row: the cosine with the second class less
            that with the first.
        """
        cosines = self._cosines(X)
        return cosines[:, 1] - cosines[:, 0] if len(self.classes_) == 2 else cosines

    def predict_proba(self, X: Rows) -> Array:
        """Probabilities of the classes: the softmax of cosine / temperature.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_samples, ...)
            Rows of `view`, or Views with that view; others are ignored.

        Returns
        -------
        array of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._softmax(self._cosines(X))

    def _softmax(self, cosines):
        xp = namespace(cosines)
        P = xp.exp((cosines - xp.max(cosines, axis=1, keepdims=True)) / self.temperature_)
        return P / xp.sum(P, axis=1, keepdims=True)

    def predict(self, X: Rows) -> np.ndarray:
        """The most similar class of every row.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_samples, ...)
            Rows of `view`, or Views with that view; others are ignored.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels, in numpy for tensors too, as they may be strings. Between equals, the first in ``classes_``.
        """
        nearest = np.argmax(to_numpy(self._cosines(X)), axis=1)
        return self.classes_[nearest]

    def predict_top_k(self, X: Rows, k: int) -> tuple[np.ndarray, Array]:
        """The k most similar classes of every row, best first.

        Parameters
        ----------
        X : Views, or array-like or list of str of shape (n_samples, ...)
            Rows of `view`, or Views with that view; others are ignored.
        k : int
            How many; at most the number of classes.

        Returns
        -------
        labels : ndarray of shape (n_samples, k)
            Between equals, the first in ``classes_``.
        probabilities : array of shape (n_samples, k)
            Of these classes, among all of them.

        Raises
        ------
        ValueError
            For a `k` below 1 or above the number of classes.
        """
        cosines = self._cosines(X)
        n_classes = len(self.classes_)
        if not is_whole(k, 1) or k > n_classes:
            raise ValueError(f"k must be a whole number from 1 to the number of classes, {n_classes}; got {k!r}.")
        order = np.argsort(-to_numpy(cosines), axis=1, kind="stable")[:, :k]
        P = np.take_along_axis(to_numpy(self._softmax(cosines)), order, axis=1)
        return self.classes_[order], like(P, cosines)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _class_means(Z, codes, classes):
    """Unit means of unit rows by class."""
    xp = namespace(Z)
    Z = unit_rows(Z)
    names = classes.tolist()
    zero = np.flatnonzero(to_numpy(xp.all(Z == 0, axis=1)))
    if len(zero):
        raise ValueError(
            f"{len(zero)} of {len(codes)} prompts land on zero in the shared space and say nothing, the first at row "
            f"{zero[0]} (class {names[codes[zero[0]]]!r}): the aligner may not know their words."
        )
    members = np.zeros((len(classes), len(codes)))
    members[codes, np.arange(len(codes))] = 1.0 / np.bincount(codes)[codes]
    means = astype(like(members, Z), Z.dtype) @ Z
    short = np.flatnonzero(to_numpy(xp.linalg.vector_norm(means, axis=1)) < _CANCELLED)
    if len(short):
        raise ValueError(f"The prompts of class {names[short[0]]!r} cancel out: their mean has no direction.")
    return unit_rows(means)
