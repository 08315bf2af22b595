"""What is no table: an error that names the view and says what it is."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skalign import CCA, OTAligner, Views

A, B = np.random.default_rng(0).normal(size=(2, 20, 3))


@pytest.mark.parametrize("make", [np.matrix, lambda X: sp.csr_matrix(X).todense()], ids=["matrix", "todense"])
@pytest.mark.parametrize("aligner", [CCA(), OTAligner()], ids=lambda aligner: type(aligner).__name__)
def test_matrices_are_refused(aligner, make):
    with pytest.raises(TypeError, match=r"View 'x': np.matrix is not supported"):
        aligner.fit(make(A), B)


@pytest.mark.parametrize(
    ("view", "error", "message"),
    [
        ([np.ones((n, 2)) for n in range(1, 21)], ValueError, "View 'a': .*Put a transformer into PerView"),
        ([np.ones(n) for n in range(1, 21)], ValueError, "View 'a': .*Put a transformer into PerView"),
        (pd.DataFrame({"u": [{}] * 20}), TypeError, "View 'a': .*dict"),
    ],
    ids=["ragged", "ragged rows", "dicts"],
)
def test_what_holds_no_numbers(view, error, message):
    with pytest.raises(error, match=message):
        CCA().fit(Views(a=view, b=B))


def test_columns_in_another_order_than_at_fit():
    frame = pd.DataFrame(A, columns=list("uvw"))
    cca = CCA().fit(Views(a=frame, b=B))
    with pytest.raises(ValueError, match="View 'a': The feature names should match"):
        cca.transform(Views(a=frame[["v", "u", "w"]]))


@pytest.mark.parametrize("y", [3.0, {"u": 1}, (row for row in B), "words"], ids=["number", "dict", "generator", "str"])
def test_a_second_argument_that_is_no_table(y):
    with pytest.raises(ValueError, match=f"View 'y' is a {type(y).__name__}, where a table"):
        CCA().fit(A, y)
