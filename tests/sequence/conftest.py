"""Strips of digits as a fixture: test modules cannot import each other in importlib mode."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def strips():
    spec = importlib.util.spec_from_file_location("_strips", Path(__file__).with_name("_strips.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
