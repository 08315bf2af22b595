"""Fuse: one array from aligned Views."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import Domains, Fuse, Precomputed, Views

A = np.arange(8.0).reshape(4, 2)
B = A[::-1] * 3
C = np.ones((4, 2))


def views():
    return Views(a=A, b=B, c=C)


def test_mean_averages_the_views():
    assert_allclose(Fuse().fit_transform(views()), (A + B + C) / 3)


def test_mean_averages_the_views_that_are_there():
    fuse = Fuse("mean").fit(views())
    assert_allclose(fuse.transform(Views(c=C, a=A)), (A + C) / 2)
    assert_array_equal(fuse.transform(Views(b=B)), B)


def test_concat_is_in_the_order_of_fit():
    fuse = Fuse("concat").fit(views())
    assert_array_equal(fuse.transform(views()[["c", "b", "a"]]), np.hstack([A, B, C]))
    assert fuse.n_features_out_ == 6


def test_a_view_by_name_is_that_view():
    fuse = Fuse("b").fit(views())
    assert_array_equal(fuse.transform(views()), B)
    assert_array_equal(fuse.transform(Views(b=B)), B)


@pytest.mark.parametrize(("how", "named"), [("concat", r"\['b', 'c'\]"), ("b", r"\['b'\]")])
def test_a_missing_view_is_named(how, named):
    with pytest.raises(ValueError, match=rf"Fuse\('{how}'\) needs the views {named}, which are missing"):
        Fuse(how).fit(views()).transform(Views(a=A))


@pytest.mark.parametrize("how", ["mean", "concat", "a"])
def test_a_view_not_seen_at_fit_is_named(how):
    with pytest.raises(ValueError, match=r"has not seen the views \['d'\] at fit; it knows \['a', 'b', 'c'\]"):
        Fuse(how).fit(views()).transform(Views(a=A, d=A))


@pytest.mark.parametrize("how", ["average", "d", 3, None])
def test_a_wrong_how_names_the_views(how):
    with pytest.raises(ValueError, match=r"how must be 'mean', 'concat' or one of the views \['a', 'b', 'c'\]"):
        Fuse(how).fit(views())


def test_views_that_differ_in_width_cannot_be_averaged():
    uneven = Views(a=A, b=B[:, :1])
    with pytest.raises(ValueError, match=r"the widths are \{'a': 2, 'b': 1\}"):
        Fuse("mean").fit(uneven)
    assert_array_equal(Fuse("concat").fit_transform(uneven), np.hstack([A, B[:, :1]]))


@pytest.mark.parametrize("how", ["mean", "concat", "a"])
def test_another_width_than_at_fit_is_an_error(how):
    wide = Views(a=np.ones((4, 3)), b=np.ones((4, 3)), c=np.ones((4, 3)))
    with pytest.raises(ValueError, match="View 'a' has 3 columns; at fit it had 2"):
        Fuse(how).fit(views()).transform(wide)


@pytest.mark.parametrize("bad", [A.reshape(4, 2, 1), A[:, 0], ["a", "b", "c", "d"]])
def test_a_view_that_is_no_table_is_an_error(bad):
    with pytest.raises(ValueError, match="View 'b' is not a 2D table"):
        Fuse("concat").fit(Views(a=A, b=bad))


def test_a_kernel_is_no_table():
    with pytest.raises(TypeError, match="a matrix between samples"):
        Fuse("concat").fit(Views(a=A, b=Precomputed(A @ A.T)))


def test_set_output_does_not_rename_the_frame_that_passes_through():
    frame = pd.DataFrame(A, columns=["u", "v"], index=list("wxyz"))
    out = Fuse().set_output(transform="pandas").fit_transform(frame)
    assert frame.columns.tolist() == ["u", "v"]
    assert out.columns.tolist() == ["fuse0", "fuse1"]
    assert out.index.tolist() == list("wxyz")


@pytest.mark.parametrize("how", ["mean", "concat", "whatever"])
def test_an_array_passes_through(how):
    fuse = Fuse(how).fit(A)
    assert fuse.transform(A) is A
    assert fuse.get_feature_names_out().tolist() == ["fuse0", "fuse1"]
    assert fuse.view_names_in_ is None


def test_views_after_a_fit_on_an_array_are_an_error():
    with pytest.raises(ValueError, match=r"fitted on an array and is given the views \['a', 'b', 'c'\]"):
        Fuse().fit(A).transform(views())


def test_transform_before_fit_is_an_error():
    with pytest.raises(NotFittedError):
        Fuse().transform(views())


@pytest.mark.parametrize("how", ["mean", "concat"])
def test_sparse_views_stay_sparse(how):
    out = Fuse(how).fit_transform(Views(a=sp.csr_array(A), b=sp.coo_array(B)))
    assert sp.issparse(out)
    assert_array_equal(out.toarray(), Fuse(how).fit_transform(Views(a=A, b=B)))


def test_sparse_and_dense_go_side_by_side():
    out = Fuse("concat").fit_transform(Views(a=sp.csr_array(A), b=B))
    assert_array_equal(out.toarray(), np.hstack([A, B]))


@pytest.mark.parametrize("how", ["mean", "concat", "b"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_stay_tensors(how, dtype):
    out = Fuse(how).fit_transform(Views(a=torch.tensor(A, dtype=dtype), b=torch.tensor(B, dtype=dtype)))
    assert isinstance(out, torch.Tensor)
    assert out.dtype == dtype
    assert_allclose(out, Fuse(how).fit_transform(Views(a=A, b=B)))


@pytest.mark.parametrize("how", ["mean", "concat", "b"])
def test_float32_stays_float32(how):
    assert Fuse(how).fit_transform(Views(a=A.astype("f4"), b=B.astype("f4"))).dtype == np.float32


def test_inputs_are_not_changed():
    held = {name: view.copy() for name, view in views().items()}
    for view in held.values():
        view.flags.writeable = False
    Fuse("mean").fit_transform(Views(held))
    assert_array_equal(held["a"], A)


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("mean", ["fuse0", "fuse1"]),
        ("concat", ["a__fuse0", "a__fuse1", "b__fuse0", "b__fuse1", "c__fuse0", "c__fuse1"]),
        ("b", ["b__fuse0", "b__fuse1"]),
    ],
)
def test_feature_names_and_frames(how, names):
    fuse = Fuse(how).set_output(transform="pandas")
    out = fuse.fit_transform(views())
    assert isinstance(out, pd.DataFrame)
    assert out.columns.tolist() == fuse.get_feature_names_out().tolist() == names


def test_frames_of_the_views_give_arrays_or_frames():
    frames = Views(a=pd.DataFrame(A, columns=["u", "v"]), b=pd.DataFrame(B, columns=["s", "t"]))
    assert_allclose(Fuse().fit_transform(frames), (A + B) / 2)
    out = Fuse("a").set_output(transform="pandas").fit_transform(frames)
    assert out.columns.tolist() == ["a__fuse0", "a__fuse1"]


def test_the_index_of_the_frames_is_kept():
    index = list("wxyz")
    frames = Views(a=pd.DataFrame(A, index=index), b=pd.DataFrame(B, index=index))
    assert Fuse().set_output(transform="pandas").fit_transform(frames).index.tolist() == index


def test_domains_are_stacked_in_row_order_whatever_how_says():
    domains = Domains(source=A, target=B[:2])[[5, 0, 3, 1, 2, 4]]
    for how in ("mean", "target"):
        out = Fuse(how).fit_transform(domains)
        assert_array_equal(out[domains.rows("source")], domains["source"])
        assert_array_equal(out[domains.rows("target")], domains["target"])


def test_sparse_and_tensor_domains_are_stacked_too():
    plain = Fuse().fit_transform(Domains(source=A, target=B[:2])[::-1])
    sparse = Fuse().fit_transform(Domains(source=sp.csr_array(A), target=sp.csr_array(B[:2]))[::-1])
    tensor = Fuse().fit_transform(Domains(source=torch.asarray(A), target=torch.asarray(B[:2]))[::-1])
    assert_array_equal(sparse.toarray(), plain)
    assert isinstance(tensor, torch.Tensor)
    assert_array_equal(tensor, plain)


def test_domains_that_differ_in_width_are_an_error():
    with pytest.raises(ValueError, match="one width can be averaged or stacked"):
        Fuse("concat").fit(Domains(source=A, target=B[:, :1]))
    fuse = Fuse("concat").fit(Domains(source=A, target=B))
    assert fuse.get_feature_names_out().tolist() == ["fuse0", "fuse1"]
    assert fuse.n_features_out_ == 2
    with pytest.raises(ValueError, match="'target' has 1 columns; at fit it had 2"):
        fuse.transform(Domains(source=A, target=B[:, :1]))
    with pytest.raises(ValueError, match=r"has not seen the domains \['other'\]"):
        fuse.transform(Domains(source=A, other=B))


def test_clone_pickle_params_and_html():
    fuse = Fuse("concat").fit(views())
    assert clone(fuse).get_params() == {"how": "concat"}
    assert_array_equal(pickle.loads(pickle.dumps(fuse)).transform(views()), fuse.transform(views()))
    assert "Fuse" in estimator_html_repr(fuse)


@parametrize_with_checks([Fuse()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_mean_of_small_integers_does_not_overflow():
    views = Views(a=np.full((3, 2), 200, np.uint8), b=np.full((3, 2), 100, np.uint8))
    np.testing.assert_allclose(Fuse().fit_transform(views), 150.0)


def test_mean_of_a_sparse_matrix_and_an_array_is_an_array():
    fused = Fuse().fit_transform(Views(a=sp.csr_matrix(np.eye(3)), b=np.eye(3)))
    assert type(fused) is np.ndarray
    np.testing.assert_allclose(fused, np.eye(3))


@pytest.mark.parametrize("how", ["mean", "concat", "a"])
def test_columns_in_another_order_than_at_fit_are_an_error(how):
    table = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=["u", "v", "w"])
    fuse = Fuse(how).fit(Views(a=table, b=table))
    for other in (table[["w", "v", "u"]], table.rename(columns={"u": "z"})):
        with pytest.raises(ValueError, match=r"View 'a' has the columns .* at fit they were \['u', 'v', 'w'\]"):
            fuse.transform(Views(a=other, b=table))
    plain = Views(a=table.to_numpy(), b=table.to_numpy())
    assert_array_equal(fuse.transform(plain), fuse.transform(Views(a=table, b=table)))


@pytest.mark.parametrize("how", ["mean", "concat"])
def test_tensors_beside_others_are_an_error(how):
    views = Views(a=torch.ones((2, 3)), b=np.ones((2, 3)))
    with pytest.raises(TypeError, match="tensors, others are not"):
        Fuse(how).fit_transform(views)


def test_types_of_pandas_that_know_missing_values_are_numbers():
    table = pd.DataFrame({"u": [1.5, 2.5], "v": [3.0, 4.0]})
    fused = Fuse("concat").fit_transform(Views(a=table.astype("Float64"), b=table))
    assert fused.dtype == np.float64
    assert_array_equal(fused, np.hstack([table, table]))
    words = pd.DataFrame({"u": ["red", "blue"]})
    with pytest.raises(ValueError, match="Only numbers can be averaged"):
        Fuse().fit_transform(Views(a=words, b=words))
    with pytest.raises(ValueError, match="how must be"):
        Fuse(["a"]).fit(Views(a=table))
