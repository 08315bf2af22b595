"""Colours as they are stored, and as they are seen."""

from __future__ import annotations

import numpy as np

# Linear sRGB to CIE XYZ (IEC 61966-2-1), and the white point D65 that the same matrix gives to (1, 1, 1).
_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _XYZ_OF_RGB.sum(axis=1)


def lab_of_rgb(rgb):
    """CIELAB (D65) of sRGB in [0, 1], row by row."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ_OF_RGB.T / _WHITE
    # The cube root, made straight near black where its slope would be infinite.
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    return np.column_stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])
