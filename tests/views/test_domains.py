"""Domains: two collections behind one row index, y always with its rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold, train_test_split

from skalign import Domains, Fuse, PerView


def numbered(n_source=11, n_target=5):
    """Domains whose first column says which row it is, and a y that says the same."""
    source = np.c_[np.arange(n_source), np.zeros((n_source, 2))].astype(float)
    target = np.c_[100 + np.arange(n_target), np.ones(n_target)].astype(float)
    return Domains(source=source, target=target), Domains.stack(source=source[:, 0], target=target[:, 0])


def assert_y_is_with_its_rows(domains, y):
    assert len(domains) == len(y) == len(domains.domain)
    for name in domains.names:
        rows = domains.rows(name)
        assert_array_equal(domains[name][:, 0], y[rows])
        assert (domains.domain[rows] == name).all()
    assert sorted(np.concatenate([domains.rows(name) for name in domains.names])) == list(range(len(domains)))


@settings(max_examples=80, deadline=None)
@given(data=st.data(), n_source=st.integers(1, 12), n_target=st.integers(1, 12))
def test_y_stays_with_its_rows_under_any_permutation_and_selection(data, n_source, n_target):
    domains, y = numbered(n_source, n_target)
    for _ in range(3):
        n = len(domains)
        rows = data.draw(st.permutations(range(n)) | st.lists(st.integers(-n, n - 1), min_size=1, max_size=15))
        domains, y = domains[np.asarray(rows)], y[rows]
        assert_y_is_with_its_rows(domains, y)


@pytest.mark.parametrize(
    "rows",
    [slice(None, None, -1), slice(2, 9, 3), np.arange(16) % 3 == 0, range(15, 0, -4), [3, 3, 0], -1, ([1, 0], ...)],
)
def test_y_stays_with_its_rows_under_any_index(rows):
    domains, y = numbered()
    plain = rows[0] if isinstance(rows, tuple) else rows
    assert_y_is_with_its_rows(domains[rows], np.atleast_1d(y[plain]))


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_train_test_split_keeps_y_with_its_rows(seed, stratify, dispatch):
    domains, y = numbered()
    with config_context(array_api_dispatch=dispatch):
        train, test, y_train, y_test = train_test_split(
            domains, y, test_size=0.4, random_state=seed, stratify=domains.domain if stratify else None
        )
    assert_y_is_with_its_rows(train, y_train)
    assert_y_is_with_its_rows(test, y_test)
    assert sorted([*y_train, *y_test]) == sorted(y)
    if stratify:
        assert len(test["source"]) == pytest.approx(2 * len(test["target"]), abs=1)


@pytest.mark.parametrize(
    "splitter",
    [
        ShuffleSplit(5, random_state=0),
        KFold(4),
        KFold(4, shuffle=True, random_state=0),
        StratifiedKFold(4),
        GroupKFold(4),
    ],
    ids=lambda s: f"{type(s).__name__}-{getattr(s, 'shuffle', '')}",
)
def test_every_splitter_keeps_y_with_its_rows(splitter):
    domains, y = numbered(13, 7)
    groups = y // 2 if isinstance(splitter, GroupKFold) else None
    for train, test in splitter.split(domains, y > 50, groups=groups):
        for rows in (train, test):
            assert_y_is_with_its_rows(domains[rows], y[rows])


def test_pairs_are_held_out_whole_by_group_kfold_on_their_ids():
    domains, _ = numbered(8, 8)
    ids = Domains.stack(source=np.arange(8), target=np.arange(8)[::-1])
    for _, test in GroupKFold(4).split(domains, ids, groups=ids):
        held_out, held_out_ids = domains[test], ids[test]
        pairs = [set(held_out_ids[held_out.rows(name)]) for name in held_out.names]
        assert pairs[0] == pairs[1]
        assert len(pairs[0]) == 2


def test_domains_are_interleaved_in_proportion_to_their_sizes():
    domains, _ = numbered(60, 20)
    assert [(domains.domain[i : i + 8] == "target").sum() for i in range(0, 80, 8)] == [2] * 10


def test_unshuffled_folds_see_every_domain():
    domains, _ = numbered(40, 10)
    for train, test in KFold(5).split(domains):
        assert set(domains[train].domain) == set(domains[test].domain) == {"source", "target"}


def test_the_constructor_keeps_the_order_within_a_domain():
    domains, y = numbered(5, 3)
    assert_array_equal(domains["source"][:, 0], np.arange(5))
    assert_array_equal(y[domains.rows("target")], [100, 101, 102])


def test_length_shape_and_names():
    domains = Domains({"b": np.zeros((3, 2)), "a": ["x", "y"]})
    assert len(domains) == 5
    assert domains.shape == (5, 2)
    assert domains.names == ["b", "a"]
    assert "a" in domains
    assert "source" not in domains
    assert [name for name, _ in domains.items()] == ["b", "a"]
    assert repr(domains) == "Domains(n_rows=5, b=3, a=2)"


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        (["p", "q", "r"], lambda rows: rows[0] == "r"),
        (sp.coo_array(np.eye(3)), lambda rows: rows[[0]].toarray().tolist() == [[0, 0, 1]]),
        (pd.DataFrame({"u": [1, 2, 3]}, index=list("xyz")), lambda rows: rows.index.tolist() == ["z", "y", "x"]),
        (torch.arange(6.0).reshape(3, 2), lambda rows: rows[0].tolist() == [4.0, 5.0]),
        ([np.ones((i + 1, 2)) for i in range(3)], lambda rows: rows[0].shape == (3, 2)),
    ],
    ids=["strings", "sparse", "frame", "torch", "ragged"],
)
def test_a_domain_may_be_of_any_kind(rows, last):
    domains = Domains(source=np.arange(8.0).reshape(4, 2), target=rows)
    turned = domains[::-1]
    assert type(turned["target"]) is type(domains["target"])
    assert last(turned["target"])


def test_stack_is_in_row_order_for_labels_of_any_kind():
    source, target = ["s0", "s1", "s2"], ["t0"]
    domains = Domains(source=source, target=target)
    stacked = Domains.stack(source=source, target=target)
    assert stacked[domains.rows("source")].tolist() == source
    assert stacked[domains.rows("target")].tolist() == target
    wide = Domains.stack({"source": np.eye(3), "target": [[5, 5, 5]]})
    assert_array_equal(wide[domains.rows("source")], np.eye(3))


@pytest.mark.parametrize("sizes", [(3, 3), (4, 2), (5, 7)])
def test_stack_knows_domains_by_name_not_by_order(sizes):
    new, old = (np.arange(size) + 10 * i for i, size in enumerate(sizes))
    domains = Domains(new=new[:, None], old=old[:, None])
    for y in (Domains.stack(new=new, old=old), Domains.stack(old=old, new=new)):
        assert y[domains.rows("new")].tolist() == new.tolist()
        assert y[domains.rows("old")].tolist() == old.tolist()


def test_stack_wants_one_value_for_every_row():
    with pytest.raises(ValueError, match="one value for every row"):
        Domains.stack(source=[1, 2], target=-1)


def test_replace_exchanges_the_contents_and_keeps_the_rows():
    domains, y = numbered()
    shuffled, y = (rows[np.random.default_rng(0).permutation(16)] for rows in (domains, y))
    moved = shuffled.replace(source=shuffled["source"] + 1000)
    assert_array_equal(moved.domain, shuffled.domain)
    assert_array_equal(moved["source"][:, 0], y[moved.rows("source")] + 1000)
    assert moved["target"] is shuffled["target"]
    assert shuffled["source"][:, 0].max() < 1000


def test_replace_wants_as_many_rows():
    domains, _ = numbered()
    with pytest.raises(ValueError, match="Domain 'target' has 5 rows, not 4"):
        domains.replace(target=np.zeros((4, 2)))
    with pytest.raises(KeyError, match=r"'targte'.*\['source', 'target'\]"):
        domains.replace(targte=np.zeros((5, 2)))


def test_a_domain_may_be_empty_after_a_split():
    domains, y = numbered()
    only = domains[domains.rows("source")]
    assert only["target"].shape == (0, 2)
    assert only.rows("target").size == 0
    assert only.names == ["source", "target"]
    assert_y_is_with_its_rows(only, y[domains.rows("source")])
    fuse = Fuse().fit(only.replace(source=only["source"][:, :2]))
    assert_array_equal(fuse.transform(only.replace(source=only["source"][:, :2]))[:, 0], y[domains.rows("source")])


def test_unknown_names_list_the_names():
    domains, _ = numbered()
    for look_up in (lambda: domains["src"], lambda: domains.rows("src")):
        with pytest.raises(KeyError, match=r"'src'.*\['source', 'target'\]"):
            look_up()


def test_bad_domains_are_errors():
    with pytest.raises(ValueError, match="at least one domain"):
        Domains()
    with pytest.raises(ValueError, match="Domain 'source' is a str"):
        Domains(source="text", target=["a"])
    with pytest.raises(ValueError, match="Domain 'target' has no rows"):
        Domains(source=["text"], target=3)
    with pytest.raises(ValueError, match="double underscore"):
        Domains(a__b=["text"])


def test_rows_out_of_range_and_masks_of_another_length_are_errors():
    domains, _ = numbered()
    with pytest.raises(IndexError, match="out of range for 16 rows"):
        domains[16]
    with pytest.raises(IndexError, match="mask of 11 entries cannot select from 16 rows"):
        domains[np.ones(11, dtype=bool)]


def test_domains_do_not_become_an_array_and_are_not_looped_over():
    domains, _ = numbered()
    with pytest.raises(TypeError, match="rows belong to different domains"):
        np.asarray(domains)
    with pytest.raises(TypeError, match="cannot be looped over"):
        iter(domains)


def test_pickle_keeps_rows_and_order():
    domains, y = numbered()
    back = pickle.loads(pickle.dumps(domains[::-1]))
    assert_y_is_with_its_rows(back, y[::-1])


class Recorder(TransformerMixin, BaseEstimator):
    """Notes what it was fitted on."""

    def fit(self, X, y=None):
        self.seen_ = X[:, 0].copy()
        self.y_ = y
        return self

    def transform(self, X):
        return X[:, :1] + 1000


@pytest.mark.parametrize("seed", range(3))
def test_per_view_gives_each_domain_its_own_y(seed):
    domains, y = numbered()
    order = np.random.default_rng(seed).permutation(16)[:12]
    domains, y = domains[order], y[order]
    per_view = PerView({"source": Recorder(), "target": Recorder()})
    out = per_view.fit_transform(domains, y.tolist())
    for name, step in per_view.transformers_.items():
        assert_array_equal(step.seen_, step.y_)
        assert len(step.y_) == len(domains.rows(name))
    assert isinstance(out, Domains)
    assert_y_is_with_its_rows(out, y + 1000)
    assert_y_is_with_its_rows(per_view.transform(domains[::-1]), y[::-1] + 1000)


def test_a_supervised_step_on_one_domain_selects_as_it_would_alone():
    rng = np.random.default_rng(0)
    source, target, labels = rng.normal(size=(40, 6)), rng.normal(size=(25, 3)), rng.integers(2, size=40)
    source[:, 4] += 3 * labels
    domains, y = Domains(source=source, target=target), Domains.stack(source=labels, target=np.full(25, -1))
    order = rng.permutation(65)
    per_view = PerView({"source": SelectKBest(k=1)}).fit(domains[order], y[order])
    assert per_view.transformers_["source"].get_support().tolist() == [False] * 4 + [True, False]
    alone = SelectKBest(k=1).fit(source, labels)
    np.testing.assert_allclose(per_view.transformers_["source"].scores_, alone.scores_)


def test_per_view_without_y_gives_none():
    per_view = PerView({"source": Recorder()}).fit(numbered()[0])
    assert per_view.transformers_["source"].y_ is None


def test_per_view_cannot_drop_a_domain_and_knows_their_names():
    domains, _ = numbered()
    with pytest.raises(ValueError, match="cannot drop a domain"):
        PerView({"source": "drop"}).fit(domains)
    with pytest.raises(ValueError, match=r"\['src'\], which are no views; the views are \['source', 'target'\]"):
        PerView({"src": Recorder()}).fit(domains)
    fitted = PerView({"source": Recorder()}).fit(domains)
    with pytest.raises(ValueError, match=r"has not seen the views \['other'\]"):
        fitted.transform(Domains(source=domains["source"], other=domains["target"]))


def test_fuse_stacks_the_rows_in_row_order():
    domains, y = numbered()
    order = np.random.default_rng(0).permutation(16)
    same_width = Domains(source=domains["source"][:, :2], target=domains["target"])[order]
    fused = Fuse().fit_transform(same_width)
    assert fused.shape == (16, 2)
    assert_array_equal(fused[:, 0], y[order])


def test_replace_takes_what_a_domain_may_be():
    domains, _ = numbered()
    moved = domains.replace(source=sp.coo_array(np.eye(11)), target=tuple("abcde"))[::-1]
    assert moved["source"].format == "csr"
    assert moved["target"] == list("edcba")
    with pytest.raises(ValueError, match="Domain 'target' is a str"):
        domains.replace(target="abcde")


@pytest.mark.parametrize("domains", [[np.eye(3), np.eye(2)], np.eye(3)])
def test_domains_without_names(domains):
    with pytest.raises(ValueError, match="Domains are named"):
        Domains(domains)


def test_stack_keeps_long_ids_and_labels_that_are_words():
    long = 2**63 + 1
    ids = Domains.stack(source=np.array([long, long + 2], dtype=np.uint64), target=np.array([long, -1], dtype=object))
    assert sorted(ids.tolist()) == [-1, long, long, long + 2]
    ids = Domains.stack(source=np.array([long, long + 2], dtype=np.uint64), target=[-1, -1])
    assert sorted(ids.tolist()) == [-1, -1, long, long + 2]
    labels = Domains.stack(source=["cat", "dog"], target=[-1, -1])
    assert [label for label in labels.tolist() if label != -1] == ["cat", "dog"]
    assert Domains.stack(source=[1, 2], target=[0.5]).dtype == np.float64
    with pytest.raises(ValueError, match="at least one domain"):
        Domains.stack()
