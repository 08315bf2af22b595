"""What the regions of an image look like, and where they are: one row of features for each."""

from __future__ import annotations

import numpy as np

from .._backend import to_numpy
from .._color import lab_of_rgb
from .._input import check_view
from ._regions import cut_patches

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # how bright red, green and blue look (ITU-R BT.709)
_ORIENTATIONS = (0, 45, 90, 135)  # degrees
_CHANNELS = {("lab", 3): "Lab", ("lab", 1): "L", ("rgb", 3): "rgb", ("rgb", 1): "v"}


def _colors(image, color_space):
    """The pixels as a table of channels."""
    values = image.reshape(-1, image.shape[2])
    if color_space == "rgb":
        return values
    return lab_of_rgb(np.broadcast_to(values, (len(values), 3)))[:, : image.shape[2]]  # grey has no a and b


def color_mean(image, regions, color_space):
    """Mean of every colour channel."""
    return regions.mean(_colors(image, color_space))


def color_std(image, regions, color_space):
    """Standard deviation of every colour channel."""
    return regions.std(_colors(image, color_space))


def texture(image, regions, color_space):
    """Mean steepness of the brightness by orientation, that of a pixel shared by the two orientations next to it."""
    brightness = image @ _LUMA if image.shape[2] == 3 else image[:, :, 0]
    down, right = np.gradient(brightness)
    place = np.arctan2(down, right).ravel() % np.pi / (np.pi / 4)
    steepness = np.hypot(down, right).ravel()
    lower = np.floor(place).astype(int)
    by_orientation = np.zeros((len(steepness), 4))
    for orientation, share in ((lower, 1 - (place - lower)), (lower + 1, place - lower)):
        by_orientation[np.arange(len(steepness)), orientation % 4] += share * steepness
    return regions.mean(by_orientation)


def position(image, regions, color_space):
    """Centre of every region as shares of height and width."""
    places = np.indices(image.shape[:2]).reshape(2, -1).T
    return (regions.mean(places) + 0.5) / image.shape[:2]


FEATURES = {
    "color_mean": color_mean,
    "color_std": color_std,
    "texture": texture,
    "position": position,
}


def feature_names(groups, n_channels, color_space, width):
    """Names of all columns, whose number is `width`; what the others leave is the encoder's."""
    channels = _CHANNELS[color_space, n_channels]
    names = {
        "color_mean": [f"color_mean_{channel}" for channel in channels],
        "color_std": [f"color_std_{channel}" for channel in channels],
        "texture": [f"texture_{angle}" for angle in _ORIENTATIONS],
        "position": ["position_y", "position_x"],
    }
    n_others = sum(len(names[group]) for group in groups if group != "encoder")
    names["encoder"] = [f"encoder{i}" for i in range(width - n_others)]
    return [name for group in groups for name in names[group]]


def check_features(features, encoder):
    """ValueError unless `features` names groups that there are, and "encoder" just where there is an encoder."""
    allowed = ["color", *FEATURES, "encoder"]
    groups = feature_groups(features, encoder) if isinstance(features, (str, tuple, list)) else []
    if not groups or any(group not in allowed for group in groups) or len({*groups}) < len(groups):
        raise ValueError(f"features must be 'auto', or some of {allowed}, each once; got {features!r}.")
    if ("encoder" in groups) != (encoder is not None):
        raise ValueError("features='encoder' needs an encoder, and an encoder is of use with features='encoder' only.")
    if encoder is not None and not (callable(encoder) or hasattr(encoder, "transform")):
        raise ValueError(f"encoder must be a transformer or a callable, got {encoder!r}.")


def feature_groups(features, encoder):
    """Groups of features as a list, without short names for several."""
    if isinstance(features, str) and features == "auto":
        return list(FEATURES) if encoder is None else ["encoder"]
    groups = [features] if isinstance(features, str) else list(features)
    return [part for group in groups for part in (("color_mean", "color_std") if group == "color" else (group,))]


def describe(images, regions, groups, color_space, encoder, patch_shape):
    """Rows of features of the regions of every image.

    Parameters
    ----------
    images : Images
        The images.
    regions : list of Regions
        Theirs.
    groups : list of str
        Of `FEATURES`, and "encoder".
    color_space : {"lab", "rgb"}
        For colours.
    encoder : fitted transformer, callable or None
        See `encode`.
    patch_shape : pair of int
        What it sees.

    Returns
    -------
    list of ndarray of shape (m_i, d)
    """
    columns = []
    for group in groups:
        if group == "encoder":
            columns.append(encode(images, regions, encoder, patch_shape))
        else:
            columns.append([FEATURES[group](image, own, color_space) for image, own in zip(images, regions)])
    return [np.hstack(parts) for parts in zip(*columns)]


def encode(images, regions, encoder, patch_shape):
    """What an encoder makes of the patches of all images, image by image."""
    patches = all_patches(images, regions, patch_shape)
    given = encoder.transform(flat(patches)) if hasattr(encoder, "transform") else encoder(patches)
    rows = to_numpy(check_view(given, label="The output of the encoder: ", estimator="RegionSegmenter"))
    if len(rows) != len(patches):
        raise ValueError(f"The encoder gives {len(rows)} rows for {len(patches)} patches; one for each is needed.")
    return np.split(rows, np.cumsum([len(own.sizes) for own in regions])[:-1])


def all_patches(images, regions, patch_shape):
    """The patches of all images behind each other, of shape (n_patches, height, width, n_channels)."""
    return np.concatenate([cut_patches(image, own, patch_shape) for image, own in zip(images, regions)])


def flat(patches):
    """Patches as rows of a table."""
    return patches.reshape(len(patches), -1)
