"""Cutting images into regions."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from .._input import is_whole
from .._typing import Array, ArrayLike, Rows, Self
from ..base import OutputMixin
from ..correlation._canonical import check_choice
from ..temporal.changepoints._collections import in_the_form_given
from ._image_collections import FittedView, ImageCollectionsMixin, check_pair, label_of, pair
from ._region_features import all_patches, check_features, describe, feature_groups, feature_names, flat
from ._regions import cut_patches, grid_regions, require_skimage, slic_regions


class RegionSegmenter(ImageCollectionsMixin, OutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Cut images into regions, and describe every region by a row of features: images in, bags of elements out.

    The counterpart of a sentence as a bag of words: `AssignmentAligner`, `OTAligner` and `ContrastiveAligner` match
    the regions of an image with words, with the regions of another image, or with segments of a sound. Take "grid" for
    small images, and in front of a net; take "slic" for photographs, where regions should end where things end. Regions
    are parts of one colour rather than whole objects.

    Parameters
    ----------
    method : {"grid", "slic"}, default="grid"
        "grid": rectangular patches. "slic": superpixels [1]_, connected groups of pixels of like colour, by
        scikit-image (``pip install 'skalign[image]'``).
    patch_size : int or (int, int), default=8
        Height and width of a patch, in pixels. With "slic" it is the size that regions are brought to for `encoder`.
    stride : int or (int, int), default=None
        Pixels from the beginning of one patch to that of the next, down and to the right; None is `patch_size`. A last
        patch ends at the border where pixels would stay uncovered otherwise. For "grid".
    n_segments : int, default=100
        About how many superpixels an image has. For "slic".
    compactness : float, default=30.0
        How much the place counts beside the colour: large values make superpixels square. Small ones are merged into
        their neighbours where things are textured: of 100 asked for on scikit-learn's two photographs 50 and 73 are
        left with scikit-image's default of 10, 88 and 92 with 30. For "slic".
    sigma : float, default=0.0
        Standard deviation in pixels of a Gaussian blur before. For "slic".
    features : {"auto", "color", "color_mean", "color_std", "texture", "position", "encoder"} or sequence of them, \
default="auto"
        What a region is described by. "auto" is colour, texture and position, or "encoder" where there is one.

        - "color_mean", "color_std": mean and standard deviation of every channel; "color" is both.
        - "texture": mean steepness of the brightness per pixel in four orientations. ``texture_0`` is high where
          brightness changes from left to right, as across vertical stripes.
        - "position": centre, as shares of height and width, downwards and to the right.
        - "encoder": what `encoder` gives.
    color_space : {"lab", "rgb"}, default="lab"
        "lab" is CIELAB, in which distances are near to what eyes see; values are sRGB. Grey images have lightness L
        alone. "rgb" leaves the values as they are, between 0 and 1.
    encoder : transformer or callable, default=None
        What makes a row of features of a patch. A transformer is cloned and fitted on the patches of ``fit``, as rows
        of (height * width * n_channels) numbers; one that was fitted before goes in as ``FrozenEstimator(encoder)``. A
        callable is used as it is, on an array (m, height, width, n_channels) of values between 0 and 1, and gives an
        array or tensor (m, k): a trained net, say. Superpixels are seen as the box around them.
    standardize : bool, default=True
        Bring every feature to mean 0 and variance 1 over all regions of ``fit``. False where the features meet those
        of another modality in their own units, as CIELAB colours and the colours that names stand for.

    Attributes
    ----------
    scaler_ : StandardScaler or None
        What was learnt of the features, the only thing beside `encoder_`; a mapping by name after a fit on Views.
    encoder_ : transformer, callable or None
        The fitted one; a mapping by name after a fit on Views.
    n_features_in_ : int
        Channels of the images; the number of views after a fit on Views.

    Raises
    ------
    ValueError
        For NaN or infinity, a single image in place of a collection, images smaller than a patch or with fewer pixels
        than `n_segments`, floats outside 0 to 1, channels that are neither 1 nor 3 or other than at fit, and parameters
        out of range.
    TypeError
        For sparse data, and for a mixture of tensors and arrays.
    ImportError
        For "slic" without scikit-image.

    See Also
    --------
    ChangepointSegmenter : The same for signals.

    Notes
    -----
    X is one collection of images: y is not looked at, and every view of Views is cut by itself. Beside other views,
    ``PerView({"image": RegionSegmenter()})`` cuts one of them. Two images of a collection may differ in size.

    References
    ----------
    .. [1] R. Achanta, A. Shaji, K. Smith, A. Lucchi, P. Fua, S. Süsstrunk, "SLIC superpixels compared to
       state-of-the-art superpixel methods", IEEE Trans. Pattern Analysis and Machine Intelligence 34(11), 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.sequence import RegionSegmenter
    >>> image = np.zeros((4, 8, 3))
    >>> image[:, :4, 0] = image[:, 4:, 2] = 1.0  # red beside blue
    >>> features = ("color_mean", "position")
    >>> segmenter = RegionSegmenter(patch_size=4, features=features, color_space="rgb", standardize=False)
    >>> segmenter.fit_transform([image])[0]
    array([[1.  , 0.  , 0.  , 0.5 , 0.25],
           [0.  , 0.  , 1.  , 0.5 , 0.75]])
    >>> segmenter.predict([image])[0][0]
    array([0, 0, 0, 0, 1, 1, 1, 1])
    """

    def __init__(
        self,
        method: Literal["grid", "slic"] = "grid",
        *,
        patch_size: int | tuple[int, int] = 8,
        stride: int | tuple[int, int] | None = None,
        n_segments: int = 100,
        compactness: float = 30.0,
        sigma: float = 0.0,
        features: str | Sequence[str] = "auto",
        color_space: Literal["lab", "rgb"] = "lab",
        encoder: Any = None,
        standardize: bool = True,
    ) -> None:
        self.method = method
        self.patch_size = patch_size
        self.stride = stride
        self.n_segments = n_segments
        self.compactness = compactness
        self.sigma = sigma
        self.features = features
        self.color_space = color_space
        self.encoder = encoder
        self.standardize = standardize

    def fit(self, X: Rows, y: Rows | None = None) -> Self:
        """Check parameters and images; learn the scale of the features, and fit the encoder where it is a transformer.

        Parameters
        ----------
        X : list of arrays of shape (height_i, width_i) or (height_i, width_i, 3), array of shape \
(n, height, width) or (n, height, width, 3), or Views
            Images, grey or RGB: uint8, uint16, bool, or floats between 0 and 1. A single image goes in as ``[image]``.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        self
        """
        self._fit_opened(self._open_to_fit(X))
        return self

    def fit_transform(self, X: Rows, y: Rows | None = None) -> Array:
        """Fit, and give the bags of the same images.

        Parameters
        ----------
        X : as in `fit`
            Images.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        As `transform`.
        """
        opened = self._open_to_fit(X)
        return self._bags(opened, self._fit_opened(opened))

    def transform(self, X: Rows) -> Array:
        """One row of features per region: a bag of elements per image.

        Parameters
        ----------
        X : as in `fit`
            Images of as many channels.

        Returns
        -------
        list of arrays of shape (m_i, n_features_out), array of shape (n, m, n_features_out), or Views of such
            The array for a grid on images that come as one array. float32 and tensors stay what they are;
            ``set_output`` makes every bag a DataFrame.
        """
        opened = self._open_as_fitted(X)
        return self._bags(opened, {name: self._described(name, images) for name, images in opened.items()})

    def predict(self, X: Rows) -> Array:
        """Maps of the regions, for drawing: which row of the bag every pixel belongs to.

        Parameters
        ----------
        X : as in `fit`
            Images of as many channels.

        Returns
        -------
        list of int arrays of shape (height_i, width_i), or int array of shape (n, height, width)
            The array for a grid on images that come as one array. -1 where patches leave a pixel out; where they
            overlap, the one whose centre is nearest. With ``values`` of shape (m, k), one row a region,
            ``values[region_map]`` paints them. For Views a mapping by name.
        """
        return self._each(X, lambda image: self._cut(image).labels)

    def fit_predict(self, X: Rows, y: Rows | None = None) -> Array:
        """Fit, and give the maps of the same images.

        Parameters
        ----------
        X : as in `fit`
            Images.
        y : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        As `predict`.
        """
        return self.fit(X).predict(X)

    def patches(self, X: Rows) -> Array:
        """The pixels of every region as an encoder sees them.

        Parameters
        ----------
        X : as in `fit`
            Images of as many channels.

        Returns
        -------
        list of arrays of shape (m_i, height, width, n_channels), or array of shape (n, m, height, width, n_channels)
            The array for a grid on images that come as one array. Height and width are `patch_size`, values between 0
            and 1. For Views a mapping by name.
        """
        return self._each(X, lambda image: cut_patches(image, self._cut(image), pair(self.patch_size)))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names such as ``color_mean_L``, ``texture_0``, ``position_y``; with the view before them for Views.

        Parameters
        ----------
        input_features : ignored
            For scikit-learn's pipelines.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self, "scaler_")
        prefixes = {view: "" if view is None else f"{view}__" for view in self._fitted}
        names = [prefixes[view] + name for view, learnt in self._fitted.items() for name in learnt.names]
        return np.asarray(names, dtype=object)

    # --- what is learnt ---------------------------------------------------------------------------------------------

    def _fit_opened(self, opened):
        """Learn, and give the standardised rows of the same images by view."""
        fitted, described = {}, {}
        for name, images in opened.items():
            regions = [self._cut(image) for image in images]
            encoder = self.encoder
            if hasattr(encoder, "fit"):
                table = flat(all_patches(images, regions, pair(self.patch_size)))
                encoder = clone(encoder).fit(table, None)  # FrozenEstimator wants a second argument
            rows = self._rows(images, regions, encoder)
            table = np.concatenate(rows)
            scaler = StandardScaler().fit(table) if self.standardize else None
            names = feature_names(self._groups(), images.n_channels, self.color_space, table.shape[1])
            fitted[name] = FittedView(images.n_channels, encoder, scaler, names)
            described[name] = _scaled(rows, scaler)
        self._fitted = fitted
        self.scaler_ = in_the_form_given({name: learnt.scaler for name, learnt in fitted.items()})
        self.encoder_ = in_the_form_given({name: learnt.encoder for name, learnt in fitted.items()})
        self.n_features_in_ = fitted[None].n_channels if None in fitted else len(fitted)
        return described

    def _described(self, name, images):
        learnt = self._fitted[name]
        rows = self._rows(images, [self._cut(image) for image in images], learnt.encoder)
        names = feature_names(self._groups(), learnt.n_channels, self.color_space, rows[0].shape[1])
        if names != learnt.names:
            what = "other" if len(names) == len(learnt.names) else f"{len(names)}"
            raise ValueError(
                f"{label_of(name)}Regions have {what} features now and had {len(learnt.names)} at fit: fit again after "
                "setting features or color_space."
            )
        return _scaled(rows, learnt.scaler)

    # --- one image --------------------------------------------------------------------------------------------------

    def _cut(self, image):
        if self.method == "slic":
            return slic_regions(image, self.n_segments, self.compactness, self.sigma)
        stride = self.patch_size if self.stride is None else self.stride
        return grid_regions(image.shape[:2], pair(self.patch_size), pair(stride))

    def _groups(self):
        return feature_groups(self.features, self.encoder)

    def _rows(self, images, regions, encoder):
        """Features of the regions of every image, before they are standardised."""
        return describe(images, regions, self._groups(), self.color_space, encoder, pair(self.patch_size))

    def _check_parameters(self):
        check_choice("method", self.method, ("grid", "slic"))
        check_choice("color_space", self.color_space, ("lab", "rgb"))
        check_pair("patch_size", self.patch_size)
        if self.stride is not None:
            check_pair("stride", self.stride)
        if not is_whole(self.n_segments, 1):
            raise ValueError(f"n_segments must be a whole number of at least 1, got {self.n_segments!r}.")
        for name, least in (("compactness", "above 0"), ("sigma", "of at least 0")):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= value < np.inf or (value == 0 and least == "above 0"):
                raise ValueError(f"{name} must be a number {least}, got {value!r}.")
        check_features(self.features, self.encoder)
        if self.method == "slic":
            require_skimage(type(self).__name__)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _scaled(rows, scaler):
    return rows if scaler is None else [scaler.transform(own) for own in rows]
