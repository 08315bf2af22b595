"""Views: one row index over several modalities."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing

from skalign import Domains, Precomputed, Views

N = 6
TABLE = np.arange(12.0).reshape(N, 2)
WORDS = ["zero", "one", "two", "three", "four", "five"]
KINDS = {
    "table": TABLE,
    "integers": np.arange(N),
    "images": np.arange(N * 12).reshape(N, 2, 3, 2),
    "csr": sp.csr_array(TABLE),
    "csr_matrix": sp.csr_matrix(TABLE),
    "coo": sp.coo_array(TABLE),
    "csc": sp.csc_array(TABLE),
    "frame": pd.DataFrame(TABLE, columns=["u", "v"], index=list("abcdef")),
    "series": pd.Series(WORDS, index=list("abcdef")),
    "torch": torch.arange(12.0).reshape(N, 2),
    "strings": WORDS,
    "tuple": tuple(WORDS),
    "ragged": [np.full((i + 1, 2), i) for i in range(N)],
    "kernel": Precomputed(TABLE @ TABLE.T),
}


def entry(view, i):
    """The `i`-th entry of a view, taken without skalign, as nested lists."""
    if sp.issparse(view):
        return view.tocsr()[[i]].toarray().tolist()[0]
    if isinstance(view, Precomputed):
        return view.matrix[view.rows[i]].tolist()
    value = view.iloc[i] if hasattr(view, "iloc") else view[i]
    return value.tolist() if hasattr(value, "tolist") else value


def entries(view):
    length = view.shape[0] if hasattr(view, "shape") else len(view)
    return [entry(view, i) for i in range(length)]


def both(kind):
    return Views({"kind": KINDS[kind], "number": np.arange(N)})


SELECTIONS = {
    "int": (2, [2]),
    "numpy int": (np.int64(2), [2]),
    "negative int": (-1, [5]),
    "slice": (slice(1, 4), [1, 2, 3]),
    "slice with step": (slice(None, None, 2), [0, 2, 4]),
    "backwards": (slice(None, None, -1), [5, 4, 3, 2, 1, 0]),
    "slice beyond the end": (slice(4, 99), [4, 5]),
    "empty slice": (slice(3, 3), []),
    "list": ([4, 0, 4], [4, 0, 4]),
    "empty list": ([], []),
    "int array": (np.array([-1, 1]), [5, 1]),
    "unsigned array": (np.array([5, 1], dtype=np.uint8), [5, 1]),
    "mask": (np.array([True, False, False, True, False, True]), [0, 3, 5]),
    "mask as list": ([True, False, False, True, False, True], [0, 3, 5]),
    "empty mask": (np.zeros(N, dtype=bool), []),
    "range": (range(4, 0, -2), [4, 2]),
    "tensor": (torch.tensor([3, 1]), [3, 1]),
    "rows and ellipsis": (([3, 1], ...), [3, 1]),
    "slice and ellipsis": ((slice(1, 3), ...), [1, 2]),
    "mask and colon": ((np.arange(N) > 3, slice(None)), [4, 5]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_rows_are_taken_from_every_kind_of_view(kind, selection):
    key, rows = SELECTIONS[selection]
    taken = both(kind)[key]
    assert isinstance(taken, Views)
    assert len(taken) == len(rows)
    assert taken["number"].tolist() == rows
    assert entries(taken["kind"]) == [entry(KINDS[kind], i) for i in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_is_what_was_put_in(kind):
    view = both(kind)["kind"]
    if kind == "tuple":  # scikit-learn would not take rows from a tuple
        assert view == WORDS
        assert type(view) is list
    elif kind in ("coo", "csc"):  # these formats have no fast rows
        assert view.format == "csr"
        assert_array_equal(view.toarray(), TABLE)
    else:
        assert view is KINDS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_keep_the_type_of_the_view(kind):
    views = both(kind)
    assert type(views[[1, 2]]["kind"]) is type(views["kind"])
    assert getattr(views[[1, 2]]["kind"], "dtype", None) == getattr(views["kind"], "dtype", None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_of_a_split_is_one_split(kind):
    twice = both(kind)[[5, 3, 1, 0]][[2, 0]]
    assert entries(twice["kind"]) == entries(both(kind)[[1, 5]]["kind"])


@pytest.mark.parametrize("kind", KINDS)
def test_safe_indexing_of_scikit_learn_takes_rows(kind):
    assert _safe_indexing(both(kind), np.array([4, 2]))["number"].tolist() == [4, 2]


def test_two_views_are_not_taken_for_two_rows():
    train, test = train_test_split(Views(a=TABLE, b=WORDS), test_size=2, random_state=0)
    assert (len(train), len(test)) == (4, 2)
    assert train.names == test.names == ["a", "b"]


def test_length_shape_and_names():
    views = Views(b=TABLE, a=WORDS, c=np.arange(N))
    assert len(views) == N
    assert views.shape == (N, 3)
    assert views.names == ["b", "a", "c"]
    assert [name for name, _ in views.items()] == ["b", "a", "c"]
    assert views["a"] is WORDS
    assert "a" in views
    assert "d" not in views


def test_keywords_and_mapping_are_the_same():
    assert Views(image=TABLE, text=WORDS).names == Views({"image": TABLE, "text": WORDS}).names
    mixed = Views({"with space": TABLE}, text=WORDS)
    assert mixed.names == ["with space", "text"]
    assert Views(views=TABLE).names == ["views"]


def test_a_list_of_names_gives_views_in_that_order():
    views = Views(a=TABLE, b=WORDS, c=np.arange(N))
    some = views[["c", "a"]]
    assert isinstance(some, Views)
    assert some.names == ["c", "a"]
    assert some["a"] is TABLE


@pytest.mark.parametrize("kind", ["table", "strings", "csr", "torch", "ragged", "frame", "kernel"])
@pytest.mark.parametrize("key", [N, -N - 1, [0, N], np.array([-N - 1]), (N, ...)])
def test_a_row_out_of_range_is_an_error(kind, key):
    with pytest.raises(IndexError, match="out of range for 6 rows"):
        both(kind)[key]


@pytest.mark.parametrize("kind", ["table", "strings", "csr", "torch"])
@pytest.mark.parametrize("length", [0, 1, N - 1, N + 1])
def test_a_mask_of_another_length_is_an_error(kind, length):
    with pytest.raises(IndexError, match=f"mask of {length} entries cannot select from 6 rows"):
        both(kind)[np.ones(length, dtype=bool)]


@pytest.mark.parametrize("key", [1.0, [0.5, 1.5], np.zeros((2, 2), dtype=int), (0, 1), (0, ..., 0), None, ["a", 1]])
def test_other_indices_are_errors(key):
    with pytest.raises(IndexError):
        both("table")[key]


def test_unknown_name_lists_the_names():
    views = Views(image=TABLE, text=WORDS)
    for key in ("txt", ["image", "txt"]):
        with pytest.raises(KeyError, match=r"'txt'.*\['image', 'text'\]"):
            views[key]


def test_unequal_lengths_name_both_views_and_their_lengths():
    with pytest.raises(ValueError, match="'image' has 6 rows and 'text' has 5"):
        Views(image=TABLE, other=WORDS, text=WORDS[:5])


def test_no_view_is_an_error():
    for empty in (lambda: Views(), lambda: Views({})):
        with pytest.raises(ValueError, match="at least one view"):
            empty()


@pytest.mark.parametrize("bad", ["a bare string", b"bytes", {"a": [1, 2]}, {1, 2}, None])
def test_a_string_or_mapping_is_no_view(bad):
    with pytest.raises(ValueError, match=f"View 'text' is a {type(bad).__name__}"):
        Views(text=bad)


@pytest.mark.parametrize("bad", [3, 2.5, np.float64(1.0), np.array(1.0), torch.tensor(1.0), iter([1, 2]), object()])
def test_a_thing_without_rows_is_no_view(bad):
    with pytest.raises(ValueError, match="View 'number' has no rows"):
        Views(number=bad)


@pytest.mark.parametrize("unnamed", [[TABLE, TABLE], (TABLE, TABLE), TABLE])
def test_views_without_names_are_an_error(unnamed):
    with pytest.raises(ValueError, match="Views are named"):
        Views(unnamed)


@pytest.mark.parametrize("name", ["a__b", "", 1])
def test_a_name_must_be_able_to_stand_in_a_parameter(name):
    with pytest.raises(ValueError, match="named by a non-empty string without a double underscore"):
        Views({name: TABLE})
    with pytest.raises(ValueError, match="named by a non-empty string without a double underscore"):
        Domains({name: TABLE})


@pytest.mark.parametrize("convert", [np.asarray, np.array, lambda v: np.asarray(v, dtype=float), np.mean])
def test_views_do_not_become_an_array(convert):
    with pytest.raises(TypeError, match=r"PerView before an ordinary transformer, Fuse after an aligner"):
        convert(both("table"))


def test_an_ordinary_estimator_says_what_to_use_instead():
    with pytest.raises(TypeError, match="use PerView"):
        StandardScaler().fit(Views(a=TABLE, b=TABLE))


@pytest.mark.parametrize("loop", [iter, list, tuple, lambda v: [*v], lambda v: dict(zip(v, v))])
def test_views_are_not_looped_over(loop):
    with pytest.raises(TypeError, match="cannot be looped over"):
        loop(both("table"))


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_keeps_every_view(kind):
    views = both(kind)
    back = pickle.loads(pickle.dumps(views))
    assert back.names == views.names
    assert back.shape == views.shape
    assert entries(back["kind"]) == entries(views["kind"])


def test_repr_tells_names_types_and_shapes():
    views = Views(image=np.zeros((2, 3, 3)), text=["a", "b"], sparse=sp.csr_array(np.eye(2)))
    assert repr(views) == "Views(n_samples=2, image=ndarray (2, 3, 3), text=list, sparse=csr_array (2, 2))"


def test_take_selects_rows():
    views = both("strings")
    assert views.take([2, 0])["kind"] == ["two", "zero"]
    assert views.take(np.array([1]), axis=0, out=None, mode="raise")["kind"] == ["one"]
    for wrong in ({"axis": 1}, {"out": np.empty(1)}, {"mode": "clip"}):
        with pytest.raises(ValueError, match="selects rows only"):
            views.take([0], **wrong)
    with pytest.raises(IndexError, match="out of range"):
        views.take([N])


@pytest.mark.parametrize("kind", KINDS)
def test_array_api_dispatch_splits_the_same_rows(kind):
    plain, _ = train_test_split(both(kind), random_state=3)
    with config_context(array_api_dispatch=True):
        dispatched, _ = train_test_split(both(kind), random_state=3)
        xp = both(kind).__array_namespace__()
        taken = xp.take(both(kind), np.array([2, 1]), axis=0)
    assert entries(dispatched["kind"]) == entries(plain["kind"])
    assert taken["number"].tolist() == [2, 1]
    assert both(kind).device == "cpu"


def test_a_read_only_memmap_is_neither_copied_nor_changed(tmp_path):
    path = tmp_path / "view.npy"
    np.save(path, TABLE)
    mapped = np.load(path, mmap_mode="r")
    views = Views(mapped=mapped, words=WORDS)
    assert views["mapped"] is mapped
    assert np.shares_memory(views[1:3]["mapped"], mapped)
    assert_array_equal(views[[5, 0]]["mapped"], TABLE[[5, 0]])
    assert_array_equal(np.load(path), TABLE)


def test_an_empty_selection_is_falsy_and_still_views():
    nothing = both("table")[[]]
    assert not nothing
    assert nothing["kind"].shape == (0, 2)


LEFT = pd.DataFrame({"id": ["a", "b", "c", "d"], "height": [1.0, 2.0, 3.0, 4.0]})
RIGHT = pd.DataFrame({"id": ["d", "x", "a", "c"], "name": ["dog", "none", "ant", "cow"]})


def test_join_matches_keys_in_the_order_of_the_first_table():
    views = Views.join({"left": LEFT, "right": RIGHT}, on="id")
    assert views["left"]["height"].tolist() == [1.0, 3.0, 4.0]
    assert views["right"]["name"].tolist() == ["ant", "cow", "dog"]
    assert views["left"].index.tolist() == views["right"].index.tolist() == ["a", "c", "d"]
    assert "id" not in views["left"].columns


def test_join_takes_the_index_as_key_and_more_than_two_tables():
    third = pd.DataFrame({"size": [4, 1]}, index=pd.Index(["d", "a"], name="id"))
    views = Views.join({"left": LEFT, "right": RIGHT, "third": third}, on="id")
    assert views["right"]["name"].tolist() == ["ant", "dog"]
    assert views["third"]["size"].tolist() == [1, 4]


def test_join_refuses_a_key_that_occurs_twice():
    twice = pd.concat([RIGHT, RIGHT.iloc[[2]]])
    with pytest.raises(ValueError, match=r"Table 'right' has more than one row with id = 'a'"):
        Views.join({"left": LEFT, "right": twice}, on="id")


def test_join_refuses_a_missing_key():
    holed = LEFT.assign(id=["a", None, "c", np.nan])
    with pytest.raises(ValueError, match="Table 'left' has 2 rows without a value of 'id'"):
        Views.join({"left": holed, "right": RIGHT}, on="id")


def test_join_refuses_a_table_without_the_key():
    with pytest.raises(ValueError, match=r"Table 'right' has no column 'id' to join on.*\['name'\]"):
        Views.join({"left": LEFT, "right": RIGHT[["name"]]}, on="id")


def test_join_refuses_tables_with_nothing_in_common():
    with pytest.raises(ValueError, match=r"No value of 'id' occurs in all of the tables \['left', 'right'\]"):
        Views.join({"left": LEFT, "right": RIGHT.iloc[[1]]}, on="id")
    with pytest.raises(ValueError, match=r"No value of 'id'.* Its types differ: {'left': '\w+', 'right': 'int64'}"):
        Views.join({"left": LEFT, "right": RIGHT.assign(id=range(len(RIGHT)))}, on="id")
    with pytest.raises(TypeError, match=r"one key: make \['id', 'name'\] one column"):
        Views.join({"left": LEFT, "right": RIGHT}, on=["id", "name"])
    with pytest.raises(ValueError, match="at least one table"):
        Views.join({}, on="id")


def test_huge_unsigned_positions_do_not_wrap_to_the_last_row():
    views = Views(a=np.arange(5))
    with pytest.raises(IndexError, match="Row 18446744073709551615 is out of range"):
        views[np.array([0], dtype=np.uint64) - np.uint64(1)]
