"""The array namespace that code is written against, and the door to another device.

Solvers are written once. numpy arrays go to scipy's LAPACK; tensors stay tensors, on the device where
they are. Nothing here imports torch unless a tensor is met or a device is asked for.
"""

from __future__ import annotations

import weakref

import array_api_compat as aac
import array_api_compat.numpy as np_compat
import numpy as np
import scipy.linalg as sla

# Floating point operations below which carrying data to a GPU and back costs more than it saves.
_WORTH_A_GPU = 5e9
# Copies of fitted arrays on other devices, by array and device.
_RESIDENT: dict = {}


def is_tensor(x) -> bool:
    """Whether `x` is an array of another library than numpy that computes by itself (a torch tensor, say)."""
    if type(x) is np.ndarray or not hasattr(x, "dtype"):  # containers of rows have a namespace, but no dtype
        return False
    return aac.is_array_api_obj(x) and not aac.is_numpy_array(x) and not aac.is_pydata_sparse_array(x)


def namespace(*arrays):
    """The array namespace that all `arrays` share."""
    if all(type(a) is np.ndarray for a in arrays):  # the general way costs more than many a small computation
        return np_compat
    return aac.array_namespace(*arrays)


def is_numpy(*arrays) -> bool:
    """Whether all `arrays` are numpy arrays."""
    return all(type(a) is np.ndarray or aac.is_numpy_array(a) for a in arrays)


def to_numpy(x) -> np.ndarray:
    """`x` as a numpy array, fetched from its device if it lies on one."""
    if aac.is_torch_array(x):
        x = x.detach().cpu()
        return (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()  # numpy has no bfloat16
    return np.asarray(x)


def like(x, reference):
    """`x` in the namespace and on the device of `reference`; its dtype stays as it is."""
    if is_numpy(reference):
        return to_numpy(x)
    return namespace(reference).asarray(x, device=aac.device(reference))


def resident(x, reference):
    """As `like`, for a fitted numpy array that nobody alters: it is carried to an accelerator once.

    The copy goes with the array. It is no part of it, so that what was fitted pickles, and loads without a GPU.
    """
    if not is_numpy(x) or is_numpy(reference) or str(aac.device(reference)) == "cpu":
        return like(x, reference)  # nothing is carried: the memory is shared
    key = id(x), str(aac.device(reference))
    if key not in _RESIDENT:
        _RESIDENT[key] = like(x, reference)
        weakref.finalize(x, _RESIDENT.pop, key, None)
    return _RESIDENT[key]


def float_dtype(x):
    """The dtype of results for `x`: float32 stays float32, half precision becomes it, all else float64."""
    xp = namespace(x)
    # a list: numpy dtypes equal their types but hash differently
    small = [getattr(xp, name) for name in ("float32", "float16", "bfloat16") if hasattr(xp, name)]
    return xp.float32 if x.dtype in small else xp.float64


def astype(x, dtype):
    """`x` as `dtype`, without a copy when it is that already."""
    return namespace(x).astype(x, dtype, copy=False)


# --- linear algebra that the array standard lacks, or that scipy does better ---------------------------------------


def cholesky(A):
    """The lower Cholesky factor of `A`, or None when `A` is not positive definite."""
    try:
        if is_numpy(A):
            if A.dtype == np.float64:
                L, info = sla.lapack.dpotrf(A, lower=1, clean=1)
                return L if info == 0 else None
            return sla.cholesky(A, lower=True, check_finite=False)
        return namespace(A).linalg.cholesky(A)
    except (np.linalg.LinAlgError, RuntimeError):  # torch's LinAlgError is a RuntimeError
        return None


def solve_triangular(L, B, *, transpose=False):
    """``inv(L) @ B`` for a lower triangular `L`, or ``inv(L.T) @ B`` with ``transpose=True``."""
    if is_numpy(L, B):
        if L.dtype == B.dtype == np.float64:  # LAPACK itself: scipy's wrapper takes longer than a small solve
            return sla.lapack.dtrtrs(L, B, lower=1, trans=int(transpose))[0]
        return sla.solve_triangular(L, B, lower=True, trans=int(transpose), check_finite=False)
    xp = namespace(L, B)
    A = L.T if transpose else L
    if aac.is_torch_array(L):
        return xp.linalg.solve_triangular(A, B, upper=transpose)
    return xp.linalg.solve(A, B)


def svd(A):
    """The thin singular value decomposition ``(U, s, Vt)``, largest values first."""
    if is_numpy(A):
        try:
            return np.linalg.svd(A, full_matrices=False)  # the same LAPACK as scipy's, in a thinner wrapper
        except np.linalg.LinAlgError:  # divide and conquer can fail to converge where the slower driver does not
            return sla.svd(A, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    return tuple(namespace(A).linalg.svd(A, full_matrices=False))


def eigh(A):
    """Eigenvalues and eigenvectors of a symmetric `A`, largest values first."""
    if is_numpy(A):
        values, vectors = sla.eigh(A, check_finite=False, driver="evd")
        return values[::-1], vectors[:, ::-1]
    xp = namespace(A)
    values, vectors = xp.linalg.eigh(A)
    return xp.flip(values), xp.flip(vectors, axis=1)


# --- devices --------------------------------------------------------------------------------------------------------


def resolve_device(device, work=0.0):
    """Where numpy input is to be computed on: a torch device name, or None to stay with numpy.

    Parameters
    ----------
    device : {None, "auto", "cpu"} or str
        None and "cpu" stay with numpy. "auto" takes a CUDA device when torch sees one and `work` is worth the trip.
        Any other name ("cuda", "cuda:1") is a demand.
    work : float
        Floating point operations, by order of magnitude.

    Raises
    ------
    ValueError
        When the device asked for is not there.
    """
    if device is None or device == "cpu" or (device == "auto" and work < _WORTH_A_GPU):
        return None
    try:
        import torch
    except ImportError as error:
        if device == "auto":
            return None
        raise ValueError(f"device={device!r} needs torch, which is not installed.") from error
    if torch.cuda.is_available():
        return "cuda" if device == "auto" else device
    if device == "auto":
        return None
    raise ValueError(f"device={device!r}: torch sees no CUDA device here. device='auto' uses one if present.")


def to_device(x, device):
    """`x` on `device` as a torch tensor; tensors, and anything when `device` is None, stay as they are."""
    if device is None or is_tensor(x):
        return x
    import torch

    return torch.as_tensor(x, device=device)
