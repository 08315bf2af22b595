"""What the contract tests run over. A new estimator adds a line here."""

from skalign import CCA, KernelCCA, ProcrustesAligner

# Aligners of paired views: at most 3 components on the data of these tests.
PAIRED = [
    CCA(),
    KernelCCA(kernel="rbf", shrinkage=0.1),
    ProcrustesAligner(),
    ProcrustesAligner(widths="pca", scaling=True),
]

# scikit-learn check -> reason, by class name.
EXPECTED_FAILURES = {}
