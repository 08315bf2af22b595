"""Figures are closed, and none may be shown."""

import pytest

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed_figures(monkeypatch):
    def show(*args, **kwargs):
        raise AssertionError("a display was shown")

    monkeypatch.setattr(plt, "show", show)
    monkeypatch.setattr("matplotlib.figure.Figure.show", show)
    yield
    plt.close("all")
