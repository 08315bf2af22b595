"""Collections of images: what users call one, checked, every image as an array of rows, columns and channels."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .._backend import is_tensor, like, namespace, to_numpy

_WHOLE_RANGE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(bool): 1.0}
_ROUNDING = 1e-6  # how far floats may lie beyond black and white


@dataclass(frozen=True)
class Images:
    """Checked images of as many channels each.

    Attributes
    ----------
    pixels : list of ndarray of float64 of shape (height_i, width_i, n_channels)
        The images; whole numbers are divided by the largest of their type.
    dtype : dtype
        float32 or float64, of results.
    stacked : bool
        Whether they came as one array.
    tensor : torch.Tensor or None
        One of them, where they were tensors.
    """

    pixels: list
    dtype: np.dtype
    stacked: bool
    tensor: object = None

    def __len__(self):
        return len(self.pixels)

    def __iter__(self):
        return iter(self.pixels)

    @property
    def n_channels(self):
        return self.pixels[0].shape[2]

    def dressed(self, array):
        """A result in the library that the images came from."""
        return array if self.tensor is None else like(array, self.tensor)

    def stack(self, arrays):
        """Results of one shape as one array where the images came as one, else the list."""
        return namespace(*arrays).stack(arrays) if self.stacked else arrays


def check_images(X, label="", estimator="This estimator"):
    """Images from what a user calls a collection of them.

    Parameters
    ----------
    X : array of shape (n, height, width) or (n, height, width, 3), or list of arrays of shape (height_i, width_i) or \
(height_i, width_i, 3)
        The images, all grey or all of three channels. Tensors will do.
    label : str
        Stands before every error, "View 'image': " say.
    estimator : str
        The name for errors.

    Raises
    ------
    TypeError
        For sparse data, and for a mixture of tensors and arrays.
    ValueError
        For a single image, an empty collection, other numbers of channels, images of less than 2 by 2 pixels, NaN or
        infinity (with the image, and how many), whole numbers whose range is unknown, and anything that is no image.
    """
    if sp.issparse(X):
        raise TypeError(f"{label}Sparse data was passed; {estimator} takes dense images. Use X.toarray().")
    if isinstance(X, (str, bytes, Mapping, Set)) or not hasattr(X, "__len__") or hasattr(X, "columns"):
        raise ValueError(f"{label}a {type(X).__name__} is no collection of images; a list of arrays is.")
    shape = tuple(getattr(X, "shape", ()))
    stacked = len(shape) > 1
    if stacked:
        _check_collection(shape, label)
    items = list(X)
    if not items:
        raise ValueError(f"{label}Found 0 image(s) while a minimum of 1 is required by {estimator}.")
    tensors = [item for item in items if is_tensor(item)]
    if 0 < len(tensors) < len(items):
        raise TypeError(f"{label}some images are tensors and the others are not: bring all into one library.")
    given = [_image(item, f"{label}image {i}: ") for i, item in enumerate(items)]
    channels = [image.shape[2] for image in given]
    if (other := next((i for i, n in enumerate(channels) if n != channels[0]), None)) is not None:
        raise ValueError(
            f"{label}image {other} has {channels[other]} channel(s) and image 0 has {channels[0]}: bring all to grey "
            "or all to colour."
        )
    _check_finite(given, label)
    small = all(image.dtype in (np.float32, np.float16) for image in given)
    pixels = [_as_floats(image, f"{label}image {i}: ") for i, image in enumerate(given)]
    return Images(pixels, np.dtype(np.float32 if small else np.float64), stacked, tensors[0] if tensors else None)


def _check_collection(shape, label):
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4)):
        raise ValueError(
            f"{label}an array of shape {shape} is one image, where a collection is needed: an array of shape "
            "(n, height, width) or (n, height, width, 3), or a list. A single image goes in as [image]. "
            "Reshape your data."
        )


def _image(item, label):
    try:
        array = to_numpy(item)
    except ValueError:
        raise ValueError(f"{label}is no array of numbers: its rows have unequal lengths.") from None
    if array.dtype.kind not in "buif":
        raise ValueError(f"{label}holds {array.dtype} values, where numbers are needed.")
    if array.dtype.kind in "ui" and array.dtype not in _WHOLE_RANGE:
        raise ValueError(
            f"{label}{array.dtype} does not say which value is white: use astype('uint8') for values from 0 to 255, or "
            "floats."
        )
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        hints = {4: " Drop the transparency: image[..., :3]."} if array.ndim == 3 else {}
        first = " Channels come last." if array.ndim == 3 and array.shape[0] in (1, 3) else ""
        raise ValueError(
            f"{label}has the shape {array.shape}, where (height, width), (height, width, 1) or (height, width, 3) is "
            f"needed.{hints.get(array.shape[-1], first)}"
        )
    if min(array.shape[:2]) < 2:
        raise ValueError(f"{label}has {array.shape[0]} by {array.shape[1]} pixels, where 2 by 2 is the least.")
    return array


def _check_finite(given, label):
    bad = [(i, np.isnan(image).sum(), np.isinf(image).sum()) for i, image in enumerate(given)]
    n_nan, n_inf = (sum(int(entry[k]) for entry in bad) for k in (1, 2))
    if n_nan or n_inf:
        where, own_nan, own_inf = next(entry for entry in bad if entry[1] or entry[2])
        raise ValueError(
            f"{label}Input contains NaN or infinity: {n_nan} NaN and {n_inf} inf, first in image {where} ({own_nan} "
            f"NaN and {own_inf} inf)."
        )


def _as_floats(image, label):
    """Values between 0, black, and 1, white."""
    values = image / _WHOLE_RANGE[image.dtype] if image.dtype in _WHOLE_RANGE else image.astype(np.float64)
    low, high = values.min(), values.max()
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ValueError(
            f"{label}has values from {low:.4g} to {high:.4g}, where floats between 0 (black) and 1 (white) are needed: "
            "divide by the value of white, or pass uint8."
        )
    return values
