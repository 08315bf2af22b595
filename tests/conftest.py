"""Settings of the whole test run: threads, backends, markers."""

# ruff: noqa: E402
import os

# Before numpy is imported: BLAS reads these once. More threads than cores make small problems many times slower.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["SCIPY_ARRAY_API"] = "1"  # scikit-learn's array_api_dispatch asks for it before scipy is imported
os.environ["MPLBACKEND"] = "Agg"

import sys

import pytest


def _torch():
    """torch with one thread, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def pytest_collection_finish(session):
    """Pin torch's threads once the test modules have imported what they need."""
    if "torch" in sys.modules:
        _torch()


def pytest_runtest_setup(item):
    """Skip `gpu` tests where there is no CUDA device."""
    if item.get_closest_marker("gpu") is None:
        return
    torch = _torch()
    if torch is None or not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
