"""Every metric as two steps: what one representation alone decides, and what a pair adds to that.

The first is done once per representation, whatever number of permutations and partners follows.
"""

from __future__ import annotations

import inspect

import numpy as np

from ..._backend import astype, is_numpy, is_tensor, like, namespace, to_numpy
from ._cca_based import linear_predictivity, pwcca, svcca
from ._cka import cka, normalized
from ._cknna import KernelNeighbors, cknna, over_self
from ._hsic import hsic, u_centred
from ._input import check_chunk_size, check_count, check_neighbors, check_side, two_of
from ._kernels import Kernel, check_kernel, cross_sums, row_squares
from ._knn import any_hit, cycle_knn, edit_distance_knn, list_similarity, lookup, mutual_knn
from ._neighbors import check_metric, find_neighbors
from ._permuting import DenseProduct, SparseProduct
from ._procrustes import procrustes_side, procrustes_similarity
from ._rsa import check_options, compared_matrix, rsa

FUNCTIONS = {
    function.__name__: function
    for function in (
        cka, cknna, cycle_knn, edit_distance_knn, hsic, linear_predictivity, mutual_knn, procrustes_similarity, pwcca,
        rsa, svcca,
    )
}  # fmt: skip
# Those for which the order of the two representations makes no difference.
SYMMETRIC = {"cka", "cknna", "edit_distance_knn", "hsic", "mutual_knn", "procrustes_similarity", "rsa", "svcca"}
# Features are permuted rather than Gram matrices where their widths multiply to less than this many times n: the
# product of such matrices takes less time than gathering n * n entries.
_NARROW = 10
# Gram matrices of more samples than this are not kept where features can do their work.
_MANY = 8192


def check_metric_options(metric, options):
    """Raise unless `metric` is the name of a function here that has all `options`, and numbers are in their range."""
    if not isinstance(metric, str) or metric not in FUNCTIONS:
        raise ValueError(f"metric must be callable or one of {sorted(FUNCTIONS)}, got {metric!r}.")
    allowed = inspect.signature(FUNCTIONS[metric]).parameters.keys() - {"X", "Y", "return_details"}
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise TypeError(f"{metric!r} has no option {', '.join(unknown)}; it has {sorted(allowed)}.")
    check_count("k", options.get("k", 1))
    check_chunk_size(options.get("chunk_size"))


def prepare(metric, options):
    """The two steps of a metric: an object with ``side(X, name)`` and ``score(a, b, permutation=None)``.

    ``score`` is what the metric gives for X and for Y with its samples permuted, without repeating what `side` did.
    Callables, and the metrics that fit on a part of the samples, are computed anew.
    """
    if callable(metric):
        return _Recomputed(metric, options)
    check_metric_options(metric, options)
    if metric == "hsic":
        raise ValueError("HSIC has no scale of its own, so a threshold says nothing; use 'cka', or hsic_test.")
    if metric in _STEPS and not options.get("batch_size"):
        return _STEPS[metric](metric, options)
    return _Recomputed(FUNCTIONS[metric], options)


class _Steps:
    """Defaults of a metric with the options given; one object serves one metric."""

    def __init__(self, metric, options):
        parameters = inspect.signature(FUNCTIONS[metric]).parameters.values()
        self.options = {p.name: p.default for p in parameters if p.default is not p.empty} | options
        self.chunk_size = check_chunk_size(self.options["chunk_size"])
        self.check()

    def check(self):
        pass

    def setting(self, option, name):
        return two_of(self.options[option])[name == "Y"]

    def n_samples(self, side):
        return side.n_samples


class _Neighbors(_Steps):
    def check(self):
        for one in two_of(self.options["metric"]):
            check_metric(one)

    def side(self, X, name):
        metric = self.setting("metric", name)
        X = check_side(X, name, by=metric)
        return find_neighbors(X, metric, check_neighbors(self.options["k"], X.shape[0]), self.chunk_size)


class _MutualKnn(_Neighbors):
    def side(self, X, name):
        return SparseProduct(super().side(X, name))

    def score(self, a, b, permutation=None):
        if permutation is None:
            permutation = np.arange(a.n_samples)
        return a(b, permutation) / (a.n_samples * a.neighbors.k)


class _CycleKnn(_Neighbors):
    def score(self, a, b, permutation=None):
        rows, columns = b.rows, b.columns
        if permutation is not None:
            place = np.argsort(permutation)
            rows, columns = place[rows], place[columns]
        return float(any_hit(b, lookup(a, columns, rows)).mean())


class _EditDistance(_Neighbors):
    def score(self, a, b, permutation=None):
        return float(list_similarity(a, b if permutation is None else b.permuted(permutation)).mean())


class _Cknna(_Steps):
    def check(self):
        for one in two_of(self.options["kernel"]):
            check_kernel(one)

    def side(self, X, name):
        kernel = self.setting("kernel", name)
        X = check_side(X, name, by=kernel, min_samples=4)
        k = check_neighbors(self.options["k"], X.shape[0])
        if k < 2:
            raise ValueError(f"k must be at least 2, got {k}.")
        return KernelNeighbors(X, kernel, k, self.chunk_size)

    def score(self, a, b, permutation=None):
        return over_self(a.hsic(b, permutation)[0], a, b)


class _CkaSide:
    def __init__(self, kernel, debiased):
        self.kernel, self.debiased, self.n_samples = kernel, debiased, kernel.n_samples
        self._centred = self._product = self._squares = self._with_itself = None

    @property
    def width(self):
        """Number of features if the kernel is linear, else infinite."""
        return self.kernel.X.shape[1] if self.kernel.kernel in ("linear", "dot") else np.inf

    def centred(self):
        if self._centred is None:
            K = self.kernel.matrix()
            if self.debiased:
                u_centred(K)
            else:
                mean = K.mean(0)
                K -= mean
                K -= mean[:, None] - mean.mean()
            self._centred = K
        return self._centred

    def product(self):
        if self._product is None:
            self._product = DenseProduct(self.centred())
        return self._product

    def by_features(self, other):
        n = self.n_samples
        if max(self.width, other.width) >= n:
            return False
        return n > _MANY or self.width * other.width < _NARROW * n

    def squares(self):
        if self._squares is None:
            self._squares = row_squares(self.kernel.X)
        return self._squares

    def hsic_by_features(self, other, permutation=None, chunk_size=None):
        sums = cross_sums(self.kernel.X, other.kernel.X, self.squares(), other.squares(), permutation, chunk_size)
        return sums.hsic("xy", self.debiased)

    def with_itself(self):
        if self._with_itself is None:
            if self.width < self.n_samples:
                self._with_itself = self.hsic_by_features(self)
            else:
                self._with_itself = self.product()(self.centred())
        return self._with_itself


class _Cka(_Cknna):
    def side(self, X, name):
        kernel, debiased = self.setting("kernel", name), self.options["debiased"]
        X = check_side(X, name, by=kernel, min_samples=4 if debiased else 2)
        return _CkaSide(Kernel(X, kernel, self.setting("gamma", name)), debiased)

    def score(self, a, b, permutation=None):
        if a.by_features(b):
            inner = a.hsic_by_features(b, permutation, self.chunk_size)
        else:
            inner = a.product()(b.centred(), permutation)
        return float(normalized(a.with_itself(), inner, b.with_itself()))


class _Rsa(_Steps):
    def check(self):
        check_options(two_of(self.options["metric"]), self.options["compare"])

    def side(self, X, name):
        D = compared_matrix(X, self.setting("metric", name), self.options["compare"], name, self.chunk_size)
        return DenseProduct(D)

    def n_samples(self, side):
        return side.A.shape[0]

    def score(self, a, b, permutation=None):
        return a(b.A, permutation)


class _Procrustes(_Steps):
    def side(self, X, name):
        return procrustes_side(X, name, self.chunk_size)

    def n_samples(self, side):
        return side.X.shape[0]

    def score(self, a, b, permutation=None):
        return a.similarity(b, permutation)


class _Recomputed:
    """A function of two tables."""

    def __init__(self, function, options):
        self.function, self.options = function, options
        settings = [two_of(options[name]) for name in ("metric", "kernel") if name in options]
        self.precomputed = [any(isinstance(s[i], str) and s[i] == "precomputed" for s in settings) for i in (0, 1)]

    def side(self, X, name):
        by = "precomputed" if self.precomputed[name == "Y"] else self.function  # which looks at the rest itself
        X = check_side(X, name, by=by, min_samples=2)
        return astype(X, namespace(X).float64) if is_tensor(X) and X.dtype != namespace(X).float32 else X

    def n_samples(self, side):
        return side.shape[0]

    def score(self, a, b, permutation=None):
        if permutation is not None:
            p = permutation if is_numpy(b) else like(permutation, b)
            b = b[p][:, p] if self.precomputed[1] else b[p]
        value = self.function(a, b, **self.options)
        return float(to_numpy(value) if is_tensor(value) else value)


_STEPS = {
    "cka": _Cka,
    "cknna": _Cknna,
    "cycle_knn": _CycleKnn,
    "edit_distance_knn": _EditDistance,
    "mutual_knn": _MutualKnn,
    "procrustes_similarity": _Procrustes,
    "rsa": _Rsa,
}


def score_matrix(steps, first, second, permutation=None):
    """Scores of every side of `first` with every one of `second`, whose samples are permuted."""
    return np.array([[steps.score(a, b, permutation) for b in second] for a in first])


def check_sides(steps, sides):
    """The number of samples that all sides have."""
    numbers = {steps.n_samples(side) for side in sides}
    if len(numbers) > 1:
        raise ValueError(f"Row i of every representation must be one sample, but they have {sorted(numbers)} rows.")
    return numbers.pop()
