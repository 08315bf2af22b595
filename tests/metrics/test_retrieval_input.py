import numpy as np
import pytest
import scipy.sparse as sp

from skalign.metrics import (
    match_ranks,
    mean_average_precision,
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
    retrieval_report,
)

SQUARE = np.eye(3)


@pytest.mark.parametrize("metric", [match_ranks, recall_at_k, median_rank, mean_reciprocal_rank, retrieval_report])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give two embeddings"),
        ({"Z_a": SQUARE}, "given as similarity="),
        ({"Z_a": SQUARE, "Z_b": SQUARE, "similarity": SQUARE}, "not both"),
        ({"Z_a": SQUARE, "Z_b": SQUARE[:, :2]}, "Z_a has 3 columns and Z_b has 2"),
        ({"Z_a": SQUARE, "Z_b": SQUARE[:2]}, "there are 3 and 2 rows; groups="),
        ({"Z_a": SQUARE, "Z_b": SQUARE * np.nan}, "Z_b contains NaN"),
        ({"similarity": SQUARE[:2]}, "there are 2 and 3 rows"),
        ({"similarity": SQUARE / np.where(SQUARE, 1, np.nan)}, "similarity contains NaN"),
        ({"similarity": np.full((2, 2), np.inf)}, "similarity contains infinity"),
        ({"similarity": np.zeros((0, 0))}, "0 sample"),
        ({"similarity": SQUARE[0]}, "1D array"),
        ({"similarity": SQUARE, "groups": [0, 1]}, "one label for each of 3 rows"),
        ({"similarity": SQUARE, "groups": [[0], [1], [2]]}, "one label for each of 3 rows"),
        ({"similarity": SQUARE, "groups": [0, 1, np.nan]}, "groups has missing labels"),
        ({"similarity": SQUARE, "groups": np.array(["a", None, "b"], dtype=object)}, "groups has missing labels"),
        ({"similarity": SQUARE, "groups": np.array(["a", 1, "b"], dtype=object)}, "labels of several kinds"),
        ({"similarity": SQUARE, "groups": [0, 1, 2], "groups_b": ["0", "1", "2"]}, "labels of one kind"),
        ({"similarity": SQUARE, "groups": [0, 1, 2], "groups_b": [0, 1, 1]}, "1 rows of a have no row of b"),
        ({"similarity": SQUARE, "groups_b": [0, 1, 1]}, "groups_b needs groups"),
        ({"similarity": SQUARE, "function": "cosin"}, "one of .*cosine"),
        ({"similarity": SQUARE, "direction": "ab"}, "direction must be one of .*a_to_b.*got 'ab'"),
        ({"similarity": SQUARE, "normalization": "softmax"}, "normalization must be one of"),
        ({"similarity": SQUARE, "n_neighbors": 0}, "n_neighbors must be an integer"),
        ({"similarity": SQUARE, "beta": -1.0}, "beta must be"),
        ({"similarity": SQUARE, "chunk_size": 2.5}, "chunk_size must be an integer"),
    ],
)
def test_bad_input(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(**arguments)


def test_more_bad_input():
    for k in (0, -1, 2.0, True, None):
        with pytest.raises(ValueError, match="k must be an integer"):
            recall_at_k(similarity=SQUARE, k=k)
    with pytest.raises(ValueError, match="every k in ks"):
        retrieval_report(similarity=SQUARE, ks=(1, 0))
    with pytest.raises(ValueError, match="direction"):
        match_ranks(similarity=SQUARE, direction="both")
    with pytest.raises(TypeError, match="dirction"):
        recall_at_k(similarity=SQUARE, dirction="both")
    with pytest.raises(TypeError, match="dense"):
        recall_at_k(similarity=sp.csr_matrix(SQUARE))
    with pytest.raises(ValueError, match="needs labels"):
        mean_average_precision(SQUARE, SQUARE)
    with pytest.raises(TypeError, match="takes labels, not groups"):
        mean_average_precision(SQUARE, SQUARE, [0, 1, 2], groups=[0, 1, 2])
    with pytest.raises(ValueError, match="similarity contains NaN or infinity"):
        recall_at_k(SQUARE, SQUARE, function=lambda X, Y: np.where(X @ Y.T, np.nan, 0))
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="similarity contains NaN or infinity"):
        recall_at_k(SQUARE * 1e300, SQUARE * 1e300, function="dot")


def test_one_row_and_zero_rows():
    assert recall_at_k([[1.0, 2.0]], [[3.0, 0.0]]) == 1
    assert median_rank(similarity=[[-5]]) == 1
    Z = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # the zero row has similarity 0 to everything
    np.testing.assert_array_equal(match_ranks(Z, Z), [2, 1, 1])


def test_long_rows_are_told_apart():
    rng = np.random.default_rng(0)
    Z_a = rng.normal(size=(20, 3))
    Z_b = Z_a + 0.5 * rng.normal(size=(20, 3))
    expected = match_ranks(Z_a, Z_b, function="dot")
    for unit in (1e-200, 1e200):
        np.testing.assert_array_equal(match_ranks(unit * Z_a, Z_b, function="dot"), expected)


def test_large_finite_similarities_are_no_error():
    assert recall_at_k(similarity=np.eye(4) * 1e308 + 7e307) == 1
