"""scikit-learn's own checks on every estimator, through both doors."""

import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from skalign import CCA, Views

from ._instances import EXPECTED_FAILURES, PAIRED

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # void settings and 1-D views are what the checks try


class LinearAligner(CCA, auto_wrap_output_keys=None):
    """CCA under a name that scikit-learn has no special rules for."""


class ThroughViews(TransformerMixin, BaseEstimator):
    """Hands a table and its reversed columns to an aligner as Views: the checks then drive the other door."""

    def __init__(self, aligner=None):
        self.aligner = aligner

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=["float64", "float32"], ensure_min_samples=2)
        self.aligner_ = clone(self.aligner).fit(Views(a=X, b=X[:, ::-1]), y)
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=["float64", "float32"], reset=False)
        return self.aligner_.transform(Views(a=X, b=X[:, ::-1]))["a"]

    def get_feature_names_out(self, input_features=None):
        return self.aligner_.encoders_["a"].get_feature_names_out()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def expected_failures(estimator):
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


@parametrize_with_checks(
    [*PAIRED.values(), LinearAligner()], expected_failed_checks=expected_failures, xfail_strict=True
)
def test_two_arrays(estimator, check):
    check(estimator)


@parametrize_with_checks([ThroughViews(aligner) for aligner in PAIRED.values()], xfail_strict=True)
def test_views(estimator, check):
    check(estimator)
