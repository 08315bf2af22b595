"""The colour names that ship with the package."""

import numpy as np
import pytest
from matplotlib.colors import XKCD_COLORS, to_rgb
from numpy.testing import assert_allclose, assert_array_equal

from skalign import Views
from skalign._color import lab_of_rgb
from skalign.datasets import load_color_names


@pytest.fixture(scope="module")
def colors():
    return load_color_names()


def test_shapes_and_types(colors):
    assert colors.rgb.shape == colors.lab.shape == (949, 3)
    assert colors.rgb.dtype == colors.lab.dtype == np.float64
    assert colors.rgb.min() == 0
    assert colors.rgb.max() == 1
    assert len(set(colors.names)) == 949
    assert all(type(name) is str for name in colors.names)


def test_views_hold_the_pairs(colors):
    assert isinstance(colors.views, Views)
    assert colors.views.names == ["name", "color"]
    assert colors.views["name"] == colors.names
    assert_array_equal(colors.views["color"], colors.rgb)


def test_every_pair_is_that_of_the_survey_as_matplotlib_has_it(colors):
    expected = {name.removeprefix("xkcd:"): color for name, color in XKCD_COLORS.items()}
    for name, rgb in zip(colors.names, colors.rgb):
        assert_allclose(rgb, to_rgb(expected[name]), atol=1e-12)


def test_names_that_differ_by_a_slash_are_kept(colors):
    assert "yellow/green" in colors.names
    assert "yellow green" in colors.names


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (100, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0, 0)),
        ((1 / 255, 1 / 255, 1 / 255), (0.27, 0, 0)),  # the straight piece near black
    ],
)
def test_cielab_of_known_colors(rgb, lab):
    assert_allclose(lab_of_rgb(np.array([rgb], dtype=float))[0], lab, atol=0.01)


def test_greys_have_no_hue():
    grey = np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1)
    lab = lab_of_rgb(grey)
    assert_allclose(lab[:, 1:], 0, atol=1e-10)
    assert np.all(np.diff(lab[:, 0]) > 0)


def test_each_call_gives_its_own_copy(colors):
    load_color_names().rgb[:] = 7
    assert load_color_names().rgb.max() == 1


def test_description_states_source_and_licence(colors):
    assert "XKCD" in colors.DESCR
    assert "CC0" in colors.DESCR
