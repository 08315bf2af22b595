"""The XKCD colour survey: names that people typed, and the colours they saw."""

from __future__ import annotations

import csv

import numpy as np
from sklearn.utils import Bunch

from .._color import lab_of_rgb
from ..views import Views
from ._files import data_file, description


def load_color_names() -> Bunch:
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
        lab=lab_of_rgb(rgb),
        views=Views(name=names, color=rgb),
        DESCR=description("color_names"),
    )
