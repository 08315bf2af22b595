"""Emoji: small pictures and their names."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from ..views import Views
from ._files import data_file, description


def load_emoji() -> Bunch:
    """Load 1359 emoji, each a picture of 32 x 32 pixels and its Unicode name.

    A small stand-in for images and captions: real pictures, free text, one caption for each.

    Returns
    -------
    data : Bunch
        With the attributes

        names : list of str
            Unicode names in lower case.
        images : ndarray of shape (1359, 32, 32, 3), dtype uint8
            The pictures on white, RGB.
        views : Views
            ``image`` and ``name``.
        DESCR : str
            What the data are, their source and their licences.

    See Also
    --------
    load_color_names : Names and colours.

    Examples
    --------
    >>> from skalign.datasets import load_emoji
    >>> emoji = load_emoji()
    >>> emoji.views
    Views(n_samples=1359, image=ndarray (1359, 32, 32, 3), name=list)
    >>> emoji.names[833]
    'grinning face with smiling eyes'
    """
    with data_file("emoji.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        images, names = arrays["images"], arrays["names"].tolist()
    return Bunch(names=names, images=images, views=Views(image=images, name=names), DESCR=description("emoji"))
