"""Precomputed: a kernel keeps the meaning of its columns when its rows are split."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from sklearn.gaussian_process.kernels import RBF
from sklearn.model_selection import KFold, train_test_split

from skalign import Precomputed, Views

X = np.random.default_rng(0).normal(size=(12, 3))
K = RBF()(X)


@pytest.mark.parametrize("xp", [np.asarray, torch.asarray])
def test_splits_give_the_right_square_and_rectangle(xp):
    views = Views(kernel=Precomputed(xp(K)), row=X)
    train, test = train_test_split(views, random_state=0)
    np.testing.assert_allclose(train["kernel"].square(), RBF()(train["row"]))
    np.testing.assert_allclose(test["kernel"].against(train["kernel"].rows), RBF()(test["row"], train["row"]))


def test_splits_of_splits_keep_the_ids_of_the_first_rows():
    view = Precomputed(K)[[7, 5, 3, 1]][[3, 0, 0]]
    assert view.rows.tolist() == [1, 7, 7]
    assert_array_equal(view.square(), K[np.ix_([1, 7, 7], [1, 7, 7])])
    assert view.matrix is K


def test_every_fold_sees_its_own_rows():
    view = Precomputed(K)
    for train, test in KFold(3, shuffle=True, random_state=0).split(view):
        assert_array_equal(view[test].against(view[train].rows), K[np.ix_(test, train)])


def test_length_and_shape_are_those_of_the_rows_against_all():
    view = Precomputed(K)
    assert len(view) == 12
    assert view.shape == (12, 12)
    assert view[2:5].shape == (3, 12)
    assert repr(view[2:5]) == "Precomputed(n_rows=3, of=12)"


def test_lists_are_taken_and_arrays_not_copied(tmp_path):
    assert_array_equal(Precomputed([[1, 2], [2, 5]]).square(), [[1, 2], [2, 5]])
    np.save(tmp_path / "kernel.npy", K)
    mapped = np.load(tmp_path / "kernel.npy", mmap_mode="r")
    assert Precomputed(mapped).matrix is mapped
    assert_array_equal(Precomputed(mapped)[[3]].against([0, 1]), K[[3], :2])


@pytest.mark.parametrize("matrix", [K[:5], K[0], K[None], 3.0])
def test_only_a_square_matrix_will_do(matrix):
    with pytest.raises(ValueError, match="square matrix between all samples"):
        Precomputed(matrix)


def test_a_kernel_is_no_array_of_features():
    view = Precomputed(K)
    with pytest.raises(TypeError, match="a matrix between samples"):
        np.asarray(view)
    with pytest.raises(TypeError, match="cannot be looped over"):
        iter(view)


def test_rows_out_of_range_and_masks_of_another_length_are_errors():
    for key in (12, [0, -13], np.ones(11, dtype=bool)):
        with pytest.raises(IndexError):
            Precomputed(K)[key]


def test_fingerprint_tells_matrices_apart_and_not_their_rows():
    other = K.copy()
    other[3, 3] += 1e-9
    assert Precomputed(K)[2:].fingerprint() == Precomputed(K.copy()).fingerprint()
    assert Precomputed(torch.asarray(K)).fingerprint() == Precomputed(K).fingerprint()
    for different in (other, K[:11, :11], K.astype(np.float32)):
        assert Precomputed(different).fingerprint() != Precomputed(K).fingerprint()


def test_pickle_keeps_matrix_and_rows():
    back = pickle.loads(pickle.dumps(Precomputed(K)[[4, 2]]))
    assert back.rows.tolist() == [4, 2]
    assert_array_equal(back.square(), K[np.ix_([4, 2], [4, 2])])


def test_a_sparse_matrix_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="dense matrix"):
        Precomputed(sp.eye_array(3, format="csr"))
