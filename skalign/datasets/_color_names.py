"""The XKCD colour survey: names that people typed, and the colours they saw."""

from __future__ import annotations

import csv

import numpy as np
from sklearn.utils import Bunch

from ..views import Views
from ._files import data_file, description

# Linear sRGB to CIE XYZ (IEC 61966-2-1), and the white point D65 that the same matrix gives to (1, 1, 1).
_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _XYZ_OF_RGB.sum(axis=1)


def load_color_names():
    """Load 949 colour names and the colours that go with them (XKCD colour survey).

    A small cross-modal retrieval task on raw text: given a name find the colour, given a colour find its name.

    Returns
    -------
    data : Bunch
        With the attributes

        names : list of str
            The names as they were typed.
        rgb : ndarray of shape (949, 3)
            sRGB, each channel in [0, 1].
        lab : ndarray of shape (949, 3)
            The same colours in CIELAB under the white D65, where distance is near to what eyes see: lightness in
            [0, 100], then green to red, then blue to yellow.
        views : Views
            ``name`` and ``color``, which is `rgb`.
        DESCR : str
            What the data are, their source and their licence (CC0).

    See Also
    --------
    load_emoji : Pictures and their names.

    References
    ----------
    Randall Munroe, "Color survey results", 2010. https://blog.xkcd.com/2010/05/03/color-survey-results/

    Examples
    --------
    >>> from skalign.datasets import load_color_names
    >>> colors = load_color_names()
    >>> colors.views
    Views(n_samples=949, name=list, color=ndarray (949, 3))
    >>> row = colors.names.index("cloudy blue")
    >>> (255 * colors.rgb[row]).round().astype(int).tolist(), colors.lab[row].round(1).tolist()
    ([172, 194, 217], [77.5, -2.6, -14.0])
    """
    with data_file("color_names.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["name"] for row in rows]
    rgb = np.array([list(bytes.fromhex(row["hex"].removeprefix("#"))) for row in rows]) / 255
    return Bunch(
        names=names,
        rgb=rgb,
        lab=_lab_of_rgb(rgb),
        views=Views(name=names, color=rgb),
        DESCR=description("color_names"),
    )


def _lab_of_rgb(rgb):
    """CIELAB (D65) of sRGB in [0, 1]."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ_OF_RGB.T / _WHITE
    # The cube root, made straight near black where its slope would be infinite.
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    return np.column_stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])
