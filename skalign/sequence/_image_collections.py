"""The door of `RegionSegmenter`: one collection of images, or Views of several."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from .._input import is_whole
from ..base import wrap_output
from ..temporal.changepoints._collections import in_the_form_given
from ..views import Views
from ._images import check_images


@dataclass(frozen=True)
class FittedView:
    """What is learnt from the images of one view."""

    n_channels: int
    encoder: object
    scaler: StandardScaler | None
    names: list


class ImageCollectionsMixin:
    """What is done to one collection is done to every view.

    The estimator checks its parameters in ``_check_parameters`` and keeps a `FittedView` by name in ``_fitted``.
    """

    def _open_to_fit(self, X):
        self._check_parameters()
        return {name: self._open(name, view) for name, view in _views(X).items()}

    def _open_as_fitted(self, X):
        check_is_fitted(self, "scaler_")
        opened = self._open_to_fit(X)  # parameters may have been set since the fit
        for name, images in opened.items():
            if name not in self._fitted:
                seen = [view for view in self._fitted if view is not None]
                what = "one collection" if name is None else f"the view {name!r}"
                raise ValueError(f"{type(self).__name__} was fitted on {seen or 'one collection'}, not on {what}.")
            if images.n_channels != (expected := self._fitted[name].n_channels):
                raise ValueError(
                    f"{label_of(name)}images have {images.n_channels} channel(s), but {type(self).__name__} is "
                    f"expecting {expected}."
                )
        return opened

    def _open(self, name, view):
        images = check_images(view, label_of(name), type(self).__name__)
        for i, image in enumerate(images):
            (height, width), patch = image.shape[:2], pair(self.patch_size)
            what = f"{label_of(name)}image {i} of {height} by {width} pixels"
            if self.method == "grid" and (height < patch[0] or width < patch[1]):
                raise ValueError(f"{what} is smaller than a patch of {patch[0]} by {patch[1]}.")
            if self.method == "slic" and height * width < self.n_segments:
                raise ValueError(f"{what} cannot have n_segments={self.n_segments} superpixels.")
        return images

    def _each(self, X, function):
        """``function(image)`` of all images, in the form and library that they came in; for Views by name."""
        return in_the_form_given(
            {
                name: self._packed(images, [images.dressed(function(image)) for image in images])
                for name, images in self._open_as_fitted(X).items()
            }
        )

    def _bags(self, opened, described):
        """Rows of features in the form and library of the images, dressed as ``set_output`` asks."""
        bags = {name: self._wrapped(images, described[name], name) for name, images in opened.items()}
        if None in bags:
            return bags[None]
        return Views(bags)

    def _wrapped(self, images, rows, view):
        bags = [images.dressed(own.astype(images.dtype, copy=False)) for own in rows]
        wrapped = [wrap_output(self, bag, bag, lambda: self._fitted[view].names) for bag in bags]
        return self._packed(images, bags) if wrapped[0] is bags[0] else wrapped

    def _packed(self, images, results):
        """One array for grids on images that came as one, whose results have one shape; otherwise the list."""
        return images.stack(results) if self.method == "grid" else results


def _views(X):
    """The views of X by name; a plain collection is called None."""
    return dict(X.items()) if isinstance(X, Views) else {None: X}


def label_of(name):
    return "" if name is None else f"View {name!r}: "


def pair(value):
    """Height and width from one number, or from two."""
    return (int(value), int(value)) if isinstance(value, Integral) else tuple(map(int, value))


def check_pair(name, value):
    """ValueError unless `value` is a number of pixels, or two."""
    sides = value if isinstance(value, (tuple, list)) else (value, value)
    if len(sides) != 2 or any(not is_whole(side, 1) for side in sides):
        raise ValueError(f"{name} must be a whole number of pixels of at least 1, or two of them, got {value!r}.")
