"""scikit-learn's own checks on every estimator, through both doors."""

from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import CCA, Views

from ._instances import EXPECTED_FAILURES, PAIRED
