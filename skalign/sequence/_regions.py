"""Parts of an image: grid patches and superpixels."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from scipy.ndimage import map_coordinates


@dataclass(frozen=True)
class Regions:
    """Regions of one image, which may overlap.

    Attributes
    ----------
    members : ndarray of int
        Pixels of all regions, region by region, as places in the flattened image.
    sizes : ndarray of int of shape (m,)
        Number of pixels of every region.
    boxes : ndarray of int of shape (m, 4)
        First row, first column, and those behind the last, of the smallest box around every region.
    labels : ndarray of int of shape (height, width)
        The region to draw at every pixel, -1 where there is none.
    """

    members: np.ndarray
    sizes: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray

    def mean(self, values):
        """Mean over every region of values of shape (n_pixels, k)."""
        return self._mean_of_members(values[self.members])

    def std(self, values):
        """Standard deviation over every region of values of shape (n_pixels, k)."""
        inside = values[self.members]
        deviations = inside - np.repeat(self._mean_of_members(inside), self.sizes, axis=0)
        return np.sqrt(self._mean_of_members(deviations**2))

    def _mean_of_members(self, inside):
        starts = np.cumsum(self.sizes) - self.sizes
        return np.add.reduceat(inside, starts, axis=0) / self.sizes[:, None]


def grid_regions(shape, patch_shape, stride):
    """Patches on a grid; a last one ends at the border where more would stay uncovered than between two patches.

    Parameters
    ----------
    shape, patch_shape, stride : pair of int
        Rows and columns of the image, of a patch, and between the beginnings of two patches.

    Returns
    -------
    Regions
        From left to right, then downwards. Where patches overlap, `labels` has the one whose centre is nearest.
    """
    starts = [_starts(*sides) for sides in zip(shape, patch_shape, stride)]
    places = np.arange(shape[0] * shape[1]).reshape(shape)
    windows = np.lib.stride_tricks.sliding_window_view(places, patch_shape)[np.ix_(*starts)]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 2)
    rows, columns = (_nearest(*sides) for sides in zip(shape, starts, patch_shape))
    labels = np.where((rows[:, None] < 0) | (columns < 0), -1, rows[:, None] * len(starts[1]) + columns)
    sizes = np.full(len(corners), patch_shape[0] * patch_shape[1])
    return Regions(windows.reshape(-1), sizes, np.hstack([corners, corners + patch_shape]), labels)


def _starts(length, size, stride):
    starts = np.arange(0, length - size + 1, stride)
    uncovered = length - size - starts[-1]
    return np.append(starts, length - size) if uncovered > max(stride - size, 0) else starts


def _nearest(length, starts, size):
    """For every pixel of a side the patch around it whose centre is nearest, -1 where there is none."""
    pixels = np.arange(length)[:, None]
    distances = np.abs(pixels - (starts + (size - 1) / 2))
    return np.where((distances <= (size - 1) / 2).any(axis=1), distances.argmin(axis=1), -1)


def slic_regions(image, n_segments, compactness, sigma):
    """Superpixels: pixels grouped by k-means on their colour and place, see `skimage.segmentation.slic`.

    Parameters
    ----------
    image : ndarray of shape (height, width, n_channels)
        Grey or RGB.
    n_segments : int
        About how many.
    compactness, sigma : float
        Weight of the place beside the colour, and the width of a blur before.

    Returns
    -------
    Regions
    """
    from skimage.segmentation import slic

    color = np.broadcast_to(image, (*image.shape[:2], 3))  # grey as RGB: its compactness then means the same
    labels = slic(color, n_segments=n_segments, compactness=compactness, sigma=sigma, start_label=0, channel_axis=2)
    return label_regions(np.unique(labels, return_inverse=True)[1].reshape(labels.shape))


def label_regions(labels):
    """The regions of a map of labels 0, 1, ..., all of which occur."""
    members = np.argsort(labels, axis=None, kind="stable")
    sizes = np.bincount(labels.ravel())
    starts = np.cumsum(sizes) - sizes
    places = np.stack(np.unravel_index(members, labels.shape), axis=1)
    first, last = (bound.reduceat(places, starts, axis=0) for bound in (np.minimum, np.maximum))
    return Regions(members, sizes, np.hstack([first, last + 1]), labels)


def require_skimage(owner):
    """Raise ImportError, which says what to install, unless there is scikit-image."""
    if find_spec("skimage") is None:
        raise ImportError(f"{owner} finds superpixels with scikit-image: pip install 'skalign[image]'.")


def cut_patches(image, regions, shape):
    """The box around every region, brought to one shape by linear interpolation: (m, height, width, n_channels)."""
    sides = []
    for axis, size in enumerate(shape):
        first, behind = regions.boxes[:, axis, None], regions.boxes[:, axis + 2, None]
        sides.append(first + (np.arange(size) + 0.5) * (behind - first) / size - 0.5)
    rows, columns = np.broadcast_arrays(sides[0][:, :, None], sides[1][:, None, :])
    channels = [
        map_coordinates(channel, [rows, columns], order=1, mode="nearest") for channel in np.moveaxis(image, 2, 0)
    ]
    return np.stack(channels, axis=-1)
