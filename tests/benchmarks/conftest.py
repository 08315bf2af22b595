"""The timing helper as a fixture: test modules cannot import each other in importlib mode."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def alternating_medians():
    spec = importlib.util.spec_from_file_location("_timing", Path(__file__).with_name("_timing.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.alternating_medians
