"""SplitColumns: one table into Views."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import Fuse, PerView, SplitColumns, Views

TABLE = np.arange(20.0).reshape(5, 4)
FRAME = pd.DataFrame(TABLE, columns=list("abcd"), index=list("vwxyz"))
WORDS = FRAME.assign(text=["one", "two", "one", "two", "three"])

COLUMNS = {
    "slice": (slice(1, 3), [1, 2]),
    "negative slice": (slice(-1, None), [3]),
    "all": (slice(None), [0, 1, 2, 3]),
    "every other": (slice(None, None, 2), [0, 2]),
    "positions": ([2, 0], [2, 0]),
    "negative position": ([-1], [3]),
    "mask": (np.array([True, False, False, True]), [0, 3]),
    "array": (np.array([1, 3]), [1, 3]),
}
NAMED = {
    "names": (["d", "a"], [3, 0]),
    "slice of names": (slice("b", "d"), [1, 2, 3]),
    "name array": (np.array(["a", "c"], dtype=object), [0, 2]),
    "index": (pd.Index(["c", "b"]), [2, 1]),
    "selector": (make_column_selector(pattern="[bd]"), [1, 3]),
    "callable": (lambda table: [c for c in table.columns if c > "b"], [2, 3]),
}


@pytest.mark.parametrize("key", COLUMNS)
@pytest.mark.parametrize(
    "table", [TABLE, FRAME, sp.csr_array(TABLE), torch.asarray(TABLE)], ids=lambda t: type(t).__name__
)
def test_columns_by_position(table, key):
    columns, positions = COLUMNS[key]
    split = SplitColumns({"some": columns, "first": [0]})
    out = split.fit_transform(table)
    assert isinstance(out, Views)
    assert out.names == ["some", "first"]
    assert type(out["some"]) is type(table)
    some = out["some"].toarray() if sp.issparse(table) else np.asarray(out["some"])
    assert_array_equal(some, TABLE[:, positions])
    letters = "abcd" if table is FRAME else ["x0", "x1", "x2", "x3"]
    assert split.get_feature_names_out().tolist() == [f"some__{letters[i]}" for i in positions] + [
        f"first__{letters[0]}"
    ]


@pytest.mark.parametrize("key", NAMED)
def test_columns_by_name(key):
    columns, positions = NAMED[key]
    split = SplitColumns({"some": columns})
    out = split.fit_transform(FRAME)["some"]
    assert out.columns.tolist() == ["abcd"[i] for i in positions]
    assert out.index.tolist() == list("vwxyz")
    assert_array_equal(out, TABLE[:, positions])
    assert split.get_feature_names_out().tolist() == [f"some__{'abcd'[i]}" for i in positions]


def test_one_name_or_position_gives_one_dimension():
    split = SplitColumns({"text": "text", "number": 1})
    out = split.fit_transform(WORDS)
    assert out["text"].tolist() == WORDS["text"].tolist()
    assert out["number"].tolist() == TABLE[:, 1].tolist()
    assert split.get_feature_names_out().tolist() == ["text__text", "number__b"]
    counts = PerView({"text": CountVectorizer()}).fit_transform(out)["text"]
    assert counts.shape == (5, 3)


def test_columns_may_overlap_and_be_left_out():
    out = SplitColumns({"one": [0, 1], "two": [1]}).fit_transform(TABLE)
    assert_array_equal(out["one"][:, 1], out["two"][:, 0])


def test_lists_are_tables_too():
    assert_array_equal(SplitColumns({"a": [1]}).fit_transform(TABLE.tolist())["a"], TABLE[:, [1]])


def test_callables_are_resolved_at_fit():
    split = SplitColumns({"numbers": make_column_selector(dtype_include=float)}).fit(WORDS)
    assert split.columns_ == {"numbers": list("abcd")}


@pytest.mark.parametrize("columns", [None, {}])
def test_no_columns_are_an_error(columns):
    with pytest.raises(ValueError, match="needs columns for each view"):
        SplitColumns(columns).fit(TABLE)


@pytest.mark.parametrize("key", [slice(4, 9), [], np.zeros(4, dtype=bool), lambda table: [], "a", ""])
def test_a_view_without_columns_is_an_error_that_names_it(key):
    with pytest.raises(ValueError, match="View 'empty'"):
        SplitColumns({"some": [0], "empty": key}).fit(TABLE)


@pytest.mark.parametrize("key", [["e"], "e", [4], 4, [-5]])
def test_columns_that_are_not_there_are_an_error(key):
    with pytest.raises(ValueError, match="column|features"):
        SplitColumns({"some": key}).fit(FRAME)


def test_names_of_views_are_checked():
    with pytest.raises(ValueError, match="double underscore"):
        SplitColumns({"a__b": [0]}).fit(TABLE)


def test_another_table_than_at_fit_is_an_error():
    split = SplitColumns({"some": [0]}).fit(TABLE)
    with pytest.raises(ValueError, match="X has 3 features, but SplitColumns is expecting 4"):
        split.transform(TABLE[:, :3])
    with pytest.raises(ValueError, match="feature names should match"):
        SplitColumns({"some": ["a"]}).fit(FRAME).transform(FRAME[list("badc")])
    with pytest.raises(NotFittedError):
        SplitColumns({"some": [0]}).transform(TABLE)


@pytest.mark.parametrize("bad", [TABLE[0], TABLE[None]])
def test_what_is_no_table_is_an_error(bad):
    with pytest.raises(ValueError, match="Expected a 2D table"):
        SplitColumns({"some": [0]}).fit(bad)


def test_set_output_leaves_the_views_of_the_kind_of_the_table():
    split = SplitColumns({"some": [0]}).set_output(transform="pandas")
    assert isinstance(split.fit_transform(TABLE)["some"], np.ndarray)
    assert isinstance(split.set_output(transform="default").fit_transform(FRAME)["some"], pd.DataFrame)


def test_clone_pickle_params_and_html():
    split = SplitColumns({"left": slice(0, 2), "right": [3]}).fit(TABLE)
    assert clone(split).columns == split.columns
    assert split.get_params() == {"columns": split.columns}
    back = pickle.loads(pickle.dumps(split)).transform(TABLE)
    assert_array_equal(back["left"], TABLE[:, :2])
    assert "SplitColumns" in estimator_html_repr(split)


def test_a_pipeline_from_one_table_scores_as_without_views():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.integers(2, size=60)
    X[:, 2] += y
    split = SplitColumns({"left": slice(0, 2), "right": slice(2, None)})
    pipe = make_pipeline(
        split, PerView({"left": StandardScaler(), "right": StandardScaler()}), Fuse("concat"), LogisticRegression()
    )
    plain = make_pipeline(StandardScaler(), LogisticRegression())
    assert cross_val_score(pipe, X, y).tolist() == cross_val_score(plain, X, y).tolist()


GIVES_VIEWS = "transform gives Views, which the check compares as one array"
CHECKS_LATER = "only columns are chosen here: the values are checked by the step that computes with them"
EXPECTED = {
    "check_complex_data": CHECKS_LATER,
    "check_estimators_empty_data_messages": CHECKS_LATER,
    "check_array_api_input": GIVES_VIEWS,
    "check_estimators_pickle": GIVES_VIEWS,
    "check_fit_idempotent": GIVES_VIEWS,
    "check_methods_sample_order_invariance": GIVES_VIEWS,
    "check_methods_subset_invariance": GIVES_VIEWS,
    "check_pipeline_consistency": GIVES_VIEWS,
    "check_transformer_data_not_an_array": GIVES_VIEWS,
    "check_transformer_general": GIVES_VIEWS,
    "check_transformer_preserve_dtypes": GIVES_VIEWS,
}


@parametrize_with_checks(
    [SplitColumns({"first": [0], "all": slice(None)})], expected_failed_checks=lambda _: EXPECTED, xfail_strict=True
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_a_sparse_format_without_columns():
    table = sp.coo_matrix(np.arange(12.0).reshape(3, 4))
    views = SplitColumns({"left": slice(0, 2), "right": [3]}).fit_transform(table)
    assert_array_equal(views["right"].toarray(), table.toarray()[:, [3]])


def test_what_is_no_table_and_no_mapping_is_an_error():
    with pytest.raises(TypeError, match="was given Views"):
        SplitColumns({"v": [0]}).fit(Views(a=np.zeros((3, 2)), b=np.zeros((3, 2))))
    with pytest.raises(TypeError, match="mapping of view to columns, not a list"):
        SplitColumns([("v", [0])]).fit(np.zeros((3, 2)))
