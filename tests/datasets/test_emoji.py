"""The emoji that ship with the package."""

import unicodedata

import numpy as np
import pytest

from skalign import Views
from skalign.datasets import load_emoji


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


def test_shapes_and_types(emoji):
    assert emoji.images.shape == (1359, 32, 32, 3)
    assert emoji.images.dtype == np.uint8
    assert len(set(emoji.names)) == 1359
    assert all(type(name) is str for name in emoji.names)


def test_views_hold_the_pairs(emoji):
    assert isinstance(emoji.views, Views)
    assert emoji.views.names == ["image", "name"]
    assert emoji.views["image"] is emoji.images
    assert emoji.views["name"] is emoji.names


def test_names_are_those_of_unicode_in_the_order_of_code_points(emoji):
    points = [_code_point(name) for name in emoji.names]
    known = [point for point in points if point is not None]
    assert known == sorted(known)
    assert len(known) > 1300  # older Pythons do not know the newest


def _code_point(name):
    try:
        return ord(unicodedata.lookup(name))
    except KeyError:
        return None


# "heavy black heart" is Unicode's name for the one that every font draws red.
@pytest.mark.parametrize(("name", "channel"), [("heavy black heart", 0), ("green heart", 1), ("blue heart", 2)])
def test_pictures_show_what_the_names_say(emoji, name, channel):
    image = emoji.images[emoji.names.index(name)].astype(float)
    drawn = image[image.min(axis=2) < 200]
    assert drawn.mean(axis=0).argmax() == channel


def test_every_picture_is_drawn_on_white(emoji):
    flat = emoji.images.reshape(1359, -1)
    assert np.all(flat.min(axis=1) < 230)
    assert np.all(flat.max(axis=1) == 255)


def test_no_two_pictures_in_a_thousand_are_alike(emoji):
    assert len(np.unique(emoji.images.reshape(1359, -1), axis=0)) >= 1340


def test_description_states_source_and_licences(emoji):
    assert all(word in emoji.DESCR for word in ("Noto Color Emoji", "Open Font License", "Unicode License"))
