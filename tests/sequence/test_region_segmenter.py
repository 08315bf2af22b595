"""RegionSegmenter: regions and features against brute force, forms in and out, encoders, photographs and emoji."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalign import AssignmentAligner, ContrastiveAligner, OTAligner, PerView, RegionSegmenter, Views
from skalign.datasets import load_color_names, load_emoji
from skalign.sequence._regions import grid_regions, label_regions


@pytest.fixture
def images():
    """Three colour images of unequal sizes."""
    rng = np.random.default_rng(0)
    return [rng.uniform(size=(*size, 3)) for size in ((16, 24), (20, 17), (8, 8))]


@pytest.fixture(scope="module")
def photographs():
    return load_sample_images().images


def raw(**settings):
    """A segmenter whose features keep their units."""
    return RegionSegmenter(standardize=False, **settings)


# --- regions --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(5, 14)] * 2),
    patch=st.tuples(*[st.integers(1, 5)] * 2),
    stride=st.tuples(*[st.integers(1, 7)] * 2),
)
def test_a_grid_covers_the_image_and_every_patch_is_drawn(shape, patch, stride):
    regions = grid_regions(shape, patch, stride)
    covered = np.zeros(shape, dtype=int)
    for top, left, bottom, right in regions.boxes:
        assert (bottom - top, right - left) == patch
        covered[top:bottom, left:right] += 1
    np.testing.assert_array_equal(np.bincount(regions.members, minlength=covered.size), covered.ravel())
    np.testing.assert_array_equal(regions.labels >= 0, covered > 0)
    assert set(regions.labels[regions.labels >= 0]) == set(range(len(regions.boxes)))
    for label, box in enumerate(regions.boxes):
        rows, columns = np.nonzero(regions.labels == label)
        assert box[0] <= rows.min() <= rows.max() < box[2]
        assert box[1] <= columns.min() <= columns.max() < box[3]
    if max(stride[0] - patch[0], stride[1] - patch[1]) <= 0:
        assert covered.all()


def test_overlapping_patches_are_drawn_where_their_centre_is_nearest():
    labels = raw(patch_size=4, stride=2).fit_predict([np.zeros((4, 9))])[0]
    assert labels[0].tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]  # centres 1.5, 3.5, 5.5 and, at the border, 6.5


def test_regions_of_a_map_of_labels():
    labels = np.array([[0, 0, 1], [2, 0, 1]])
    regions = label_regions(labels)
    assert regions.sizes.tolist() == [3, 2, 1]
    assert regions.boxes.tolist() == [[0, 0, 2, 2], [0, 2, 2, 3], [1, 0, 2, 1]]
    values = np.arange(6.0)[:, None]
    np.testing.assert_allclose(regions.mean(values)[:, 0], [5 / 3, 3.5, 3])
    np.testing.assert_allclose(regions.std(values)[:, 0], [np.std([0, 1, 4]), 1.5, 0])


def test_superpixels_are_those_of_scikit_image(photographs):
    segmentation = pytest.importorskip("skimage.segmentation")
    photograph = photographs[1][::4, ::4]
    found = raw(method="slic", n_segments=30, compactness=20.0, sigma=1.0).fit_predict([photograph])[0]
    expected = segmentation.slic(photograph, n_segments=30, compactness=20.0, sigma=1.0, start_label=0)
    np.testing.assert_array_equal(found, expected)
    grey = raw(method="slic", n_segments=30).fit_predict([photograph.mean(axis=2) / 255])[0]
    assert 15 <= grey.max() + 1 <= 40  # a compactness meant for colours would leave squares, or one region


# --- features -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_loops(channels):
    image = np.random.default_rng(1).uniform(size=(10, 12, channels))
    names = ["r", "g", "b"] if channels == 3 else ["v"]
    segmenter = raw(patch_size=(4, 5), stride=(3, 7), color_space="rgb").fit([image])
    bag = segmenter.transform([image])[0]
    assert segmenter.get_feature_names_out().tolist() == [
        *(f"color_mean_{name}" for name in names),
        *(f"color_std_{name}" for name in names),
        *("texture_0", "texture_45", "texture_90", "texture_135", "position_y", "position_x"),
    ]
    brightness = image @ [0.2126, 0.7152, 0.0722] if channels == 3 else image[..., 0]
    down, right = np.gradient(brightness)
    corners = [(top, left) for top in (0, 3, 6) for left in (0, 7)]
    assert len(bag) == len(corners)
    for row, (top, left) in zip(bag, corners):
        patch = image[top : top + 4, left : left + 5].reshape(-1, channels)
        textures = np.zeros(4)
        for y in range(top, top + 4):
            for x in range(left, left + 5):
                angle = np.degrees(np.arctan2(down[y, x], right[y, x])) % 180
                for k in range(4):
                    apart = min(abs(angle - 45 * k), 180 - abs(angle - 45 * k))
                    textures[k] += max(0, 1 - apart / 45) * np.hypot(down[y, x], right[y, x]) / 20
        expected = [patch.mean(axis=0), patch.std(axis=0), textures, [(top + 2) / 10, (left + 2.5) / 12]]
        np.testing.assert_allclose(row, np.concatenate(expected), atol=1e-12)


@pytest.mark.parametrize(("angle", "column"), [(0, 0), (45, 1), (90, 2), (135, 3)])
def test_stripes_show_in_their_orientation(angle, column):
    y, x = np.indices((32, 32))
    towards = np.cos(np.radians(angle)) * x + np.sin(np.radians(angle)) * y
    bag = raw(patch_size=16, features="texture").fit_transform([0.5 + 0.5 * np.sin(towards)])[0]
    assert (bag.argmax(axis=1) == column).all()
    assert (bag[:, column] > 0.85 * bag.sum(axis=1)).all()


def test_lab_is_that_of_scikit_image(images):
    color = pytest.importorskip("skimage.color")
    bag = raw(patch_size=1, features="color_mean").fit_transform(images[:1])[0]
    np.testing.assert_allclose(bag, color.rgb2lab(images[0]).reshape(-1, 3), atol=0.02)  # matrices of 4 and 7 digits
    grey = raw(patch_size=1, features="color_mean").fit(images[0][None, :, :, 0])
    assert grey.get_feature_names_out().tolist() == ["color_mean_L"]
    alike = color.rgb2lab(np.repeat(images[0][:, :, :1], 3, axis=2))
    np.testing.assert_allclose(grey.transform(images[0][None, :, :, 0])[0], alike.reshape(-1, 3)[:, :1], atol=0.02)


def test_standardised_over_all_regions_of_fit(images):
    segmenter = RegionSegmenter(patch_size=4).fit(images)
    rows = np.concatenate(segmenter.transform(images))
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), 1)
    plain = clone(segmenter).set_params(standardize=False).fit(images).transform(images[:1])[0]
    np.testing.assert_allclose(segmenter.scaler_.transform(plain), segmenter.transform(images[:1])[0])
    for bag, same in zip(segmenter.fit_transform(images), segmenter.transform(images)):
        np.testing.assert_array_equal(bag, same)
    flat = RegionSegmenter(patch_size=4).fit_transform([np.full((8, 8), 0.3)])[0]  # nothing to divide by
    np.testing.assert_allclose(flat[:, :-2], 0, atol=1e-6)


# --- forms in and out -----------------------------------------------------------------------------------------------


def test_a_list_gives_lists_and_an_array_an_array(images):
    segmenter = RegionSegmenter(patch_size=4).fit(images)
    assert [bag.shape for bag in segmenter.transform(images)] == [(24, 12), (25, 12), (4, 12)]
    assert [labels.shape for labels in segmenter.predict(images)] == [(16, 24), (20, 17), (8, 8)]
    assert [patches.shape for patches in segmenter.patches(images)] == [(24, 4, 4, 3), (25, 4, 4, 3), (4, 4, 4, 3)]
    stack = np.stack([images[0], images[0][::-1]])
    assert segmenter.transform(stack).shape == (2, 24, 12)
    assert segmenter.predict(stack).shape == (2, 16, 24)
    assert segmenter.patches(stack).shape == (2, 24, 4, 4, 3)
    assert isinstance(segmenter.transform(list(stack)), list)
    assert segmenter.n_features_in_ == 3
    ragged = np.empty(3, dtype=object)
    ragged[:] = images
    np.testing.assert_array_equal(segmenter.transform(ragged)[1], segmenter.transform(images)[1])


def test_whole_numbers_floats_and_grey_channels_agree():
    image = np.random.default_rng(2).integers(0, 256, size=(2, 8, 8), dtype=np.uint8)
    expected = raw(patch_size=4).fit_transform(image / 255)
    for same in (image, image.astype(np.uint16) * 257, image[..., None], image / 255):
        np.testing.assert_allclose(raw(patch_size=4).fit_transform(same), expected, atol=1e-12)
    black_and_white = image > 127
    np.testing.assert_allclose(
        raw(patch_size=4).fit_transform(black_and_white), raw(patch_size=4).fit_transform(black_and_white * 1.0)
    )


@pytest.mark.parametrize("method", ["grid", "slic"])
def test_dtypes_stay_and_inputs_are_not_altered(images, method):
    if method == "slic":
        pytest.importorskip("skimage")
    small = [image.astype(np.float32) for image in images]
    for image in small:
        image.flags.writeable = False
    segmenter = RegionSegmenter(method, n_segments=6).fit(small)
    assert {bag.dtype for bag in segmenter.transform(small)} == {np.dtype(np.float32)}
    assert {bag.dtype for bag in segmenter.transform(images)} == {np.dtype(np.float64)}


def test_tensors_stay_tensors(images):
    torch = pytest.importorskip("torch")
    stack = np.stack([images[0], images[0][::-1]]).astype(np.float32)
    tensor = torch.from_numpy(stack)
    segmenter = RegionSegmenter(patch_size=4).fit(tensor)
    for same in (tensor, list(tensor)):
        bags = segmenter.transform(same)
        assert all(isinstance(bag, torch.Tensor) and bag.dtype == torch.float32 for bag in bags)
        np.testing.assert_allclose(torch.stack(list(bags)), segmenter.transform(stack), atol=1e-6)
    assert isinstance(segmenter.predict(tensor), torch.Tensor)
    with pytest.raises(TypeError, match="some images are tensors"):
        segmenter.fit([tensor[0], stack[0]])


def test_views_are_cut_view_by_view(images):
    views = Views(day=images, night=[image[:, :, 0] for image in images])
    segmenter = RegionSegmenter(patch_size=4).fit(views, ["a label", "another", "a third"])
    bags, maps = segmenter.transform(views), segmenter.predict(views)
    assert isinstance(bags, Views)
    for name, own in views.items():
        alone = RegionSegmenter(patch_size=4).fit(own)
        np.testing.assert_array_equal(bags[name][1], alone.transform(own)[1])
        np.testing.assert_array_equal(maps[name][1], alone.predict(own)[1])
    assert segmenter.get_feature_names_out()[[0, -1]].tolist() == ["day__color_mean_L", "night__position_x"]
    assert segmenter.n_features_in_ == 2
    assert segmenter.transform(views[["night"]]).names == ["night"]
    with pytest.raises(ValueError, match=r"\['day', 'night'\], not on one collection"):
        segmenter.transform(images)
    with pytest.raises(ValueError, match="not on the view 'dusk'"):
        segmenter.transform(Views(dusk=images))


def test_set_output(images):
    segmenter = RegionSegmenter(patch_size=4).set_output(transform="pandas").fit(images)
    for form in (images, np.stack(images[:1])):
        frame = segmenter.transform(form)[0]
        assert isinstance(frame, pd.DataFrame)
        assert frame.columns.tolist() == segmenter.get_feature_names_out().tolist()


# --- encoders -------------------------------------------------------------------------------------------------------


def test_a_transformer_is_fitted_on_the_patches(images):
    pca = PCA(3, random_state=0)
    segmenter = raw(patch_size=4, encoder=pca).fit(images)
    patches = [patches.reshape(len(patches), -1) for patches in segmenter.patches(images)]
    expected = clone(pca).fit(np.concatenate(patches))
    for bag, own in zip(segmenter.transform(images), patches):
        np.testing.assert_allclose(bag, expected.transform(own))
    assert not hasattr(pca, "components_")
    assert segmenter.encoder_.n_components_ == 3
    assert segmenter.get_feature_names_out().tolist() == ["encoder0", "encoder1", "encoder2"]
    top, left = 4, 20  # row 1, column 5 of the grid
    np.testing.assert_array_equal(segmenter.patches(images)[0][11], images[0][top : top + 4, left : left + 4])


def test_a_frozen_encoder_stays_as_it_is(images):
    fitted = PCA(2).fit(np.random.default_rng(0).normal(size=(60, 48)))
    segmenter = clone(raw(patch_size=4, encoder=FrozenEstimator(fitted), features=("position", "encoder"))).fit(images)
    bag = segmenter.transform(images)[2]
    np.testing.assert_allclose(bag[:, 2:], fitted.transform(segmenter.patches(images)[2].reshape(4, -1)))
    assert segmenter.get_feature_names_out().tolist() == ["position_y", "position_x", "encoder0", "encoder1"]


def test_a_callable_sees_patches(images):
    seen = []

    def encoder(patches):
        seen.append(patches.shape)
        return patches.max(axis=(1, 2))

    bags = raw(patch_size=4, encoder=encoder).fit_transform(images)
    assert seen == [(53, 4, 4, 3)]
    np.testing.assert_array_equal(bags[2][0], images[2][:4, :4].max(axis=(0, 1)))
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 5))
    bags = raw(patch_size=4, encoder=lambda patches: net(torch.as_tensor(patches).float())).fit_transform(images)
    assert [bag.shape for bag in bags] == [(24, 5), (25, 5), (4, 5)]


def test_superpixels_are_brought_to_one_shape():
    pytest.importorskip("skimage")
    image = np.zeros((20, 20, 3))
    image[:, 10:] = 1.0
    patches = raw(method="slic", n_segments=4, patch_size=(3, 5)).fit([image]).patches([image])[0]
    assert patches.shape[1:] == (3, 5, 3)
    assert {0.0, 1.0} == set(patches.mean(axis=(1, 2, 3)))  # no region has both colours


def test_encoders_that_do_not_fit_their_task(images):
    for encoder, message in (
        (lambda patches: patches[:3, 0, 0], "gives 3 rows for 53 patches"),
        (lambda patches: np.full((len(patches), 2), np.nan), "output of the encoder: Input contains NaN"),
        (lambda patches: patches, "output of the encoder"),
    ):
        with pytest.raises(ValueError, match=message):
            raw(patch_size=4, encoder=encoder).fit(images)
    widths = iter([3, 2])
    segmenter = raw(patch_size=4, encoder=lambda patches: np.ones((len(patches), next(widths)))).fit(images)
    with pytest.raises(ValueError, match="2 features now and had 3 at fit"):
        segmenter.transform(images)


# --- scikit-learn's machinery ---------------------------------------------------------------------------------------


def test_searched_in_a_pipeline():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.uniform(0, 0.3, size=(40, 8, 8))
    images[labels == 1, :4, :4] += 0.4
    mean_region = FunctionTransformer(np.mean, kw_args={"axis": 1})
    pipe = make_pipeline(RegionSegmenter(features="color_mean"), mean_region, LogisticRegression())
    grid = {"regionsegmenter__patch_size": [4, 8], "regionsegmenter__features": ["texture", "color_mean"]}
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=2, error_score="raise").fit(images, labels)
    assert search.best_score_ == 1.0
    nested = RegionSegmenter(encoder=PCA(2)).set_params(encoder__n_components=1, patch_size=4)
    assert nested.fit(images).transform(images).shape == (40, 4, 1)


def test_clone_and_pickle_in_another_process(images, tmp_path):
    segmenter = RegionSegmenter(patch_size=4, encoder=PCA(2), features=("color", "encoder")).fit(images)
    with pytest.raises(NotFittedError):
        clone(segmenter).transform(images)
    (tmp_path / "given").write_bytes(pickle.dumps((segmenter, images)))
    code = (
        "import pickle, sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "segmenter, images = pickle.loads((folder / 'given').read_bytes())\n"
        "(folder / 'bags').write_bytes(pickle.dumps(segmenter.transform(images)))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    for bag, expected in zip(pickle.loads((tmp_path / "bags").read_bytes()), segmenter.transform(images)):
        np.testing.assert_allclose(bag, expected, atol=1e-12)


@parametrize_with_checks([RegionSegmenter()], xfail_strict=True)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# --- bad input ------------------------------------------------------------------------------------------------------

COLORED = np.full((2, 8, 8, 3), 0.5)


def spoilt(value):
    images = COLORED.copy()
    images[1, 0, :3, 0] = value
    return images


@pytest.mark.parametrize(
    ("X", "message"),
    [
        pytest.param(spoilt(np.nan), "3 NaN and 0 inf, first in image 1", id="NaN"),
        pytest.param(spoilt(np.inf), "0 NaN and 3 inf, first in image 1", id="inf"),
        pytest.param(spoilt(255.0), "image 1: has values from 0.5 to 255", id="floats above 1"),
        pytest.param(spoilt(-0.5), "image 1: has values from -0.5 to 0.5", id="floats below 0"),
        pytest.param((COLORED * 255).astype(int), "image 0: int64 does not say which value is white", id="int64"),
        pytest.param(COLORED[0, :, :, 0], r"is one image.*goes in as \[image\]", id="one grey image"),
        pytest.param(COLORED[0], r"is one image.*goes in as \[image\]", id="one image"),
        pytest.param(np.zeros((2, 8, 8, 4)), r"Drop the transparency", id="RGBA"),
        pytest.param(np.zeros((2, 3, 8, 8)), r"Channels come last", id="channels first"),
        pytest.param([COLORED[0], COLORED[0, :, :, 0]], r"image 1 has 1 channel\(s\) and image 0 has 3", id="mixed"),
        pytest.param([COLORED[0], COLORED[0, :5]], "image 1 of 5 by 8 pixels is smaller than a patch", id="small"),
        pytest.param([np.zeros((1, 30))], "1 by 30 pixels, where 2 by 2", id="one row"),
        pytest.param([], r"Found 0 image\(s\)", id="empty list"),
        pytest.param(COLORED[:0], r"Found 0 image\(s\)", id="empty array"),
        pytest.param(["a cat", "a dog"], "image 0: holds <U5 values", id="strings"),
        pytest.param([[[1, 2], [3]]], "rows have unequal lengths", id="ragged rows"),
        pytest.param("a cat", "a str is no collection of images", id="string"),
        pytest.param(pd.DataFrame(np.zeros((8, 8))), "a DataFrame is no collection", id="DataFrame"),
        pytest.param(None, "a NoneType is no collection", id="None"),
        pytest.param(np.zeros((2, 8, 8), dtype=complex), "holds complex128 values", id="complex"),
    ],
)
def test_what_is_no_collection_of_images(X, message):
    with pytest.raises(ValueError, match=message):
        RegionSegmenter().fit(X)
    if X is not None and not isinstance(X, (str, pd.DataFrame)) and len(X) == 2:
        with pytest.raises(ValueError, match=f"View 'image': .*{message}"):
            RegionSegmenter().fit(Views(image=X))


def test_other_images_than_at_fit():
    segmenter = RegionSegmenter(patch_size=4).fit(COLORED)
    with pytest.raises(ValueError, match=r"images have 1 channel\(s\), but RegionSegmenter is expecting 3"):
        segmenter.transform(COLORED[..., 0])
    with pytest.raises(ValueError, match="8 features now and had 12 at fit: fit again"):
        segmenter.set_params(features=("color", "position")).transform(COLORED)
    for other in ({"color_space": "rgb"}, {"features": ("position", "texture", "color")}):  # as many of another kind
        with pytest.raises(ValueError, match="View 'a': Regions have other features now"):
            RegionSegmenter(patch_size=4).fit(Views(a=COLORED)).set_params(**other).transform(Views(a=COLORED))
    with pytest.raises(TypeError, match="Sparse data"):
        segmenter.transform(pytest.importorskip("scipy.sparse").eye_array(8))


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "watershed"},
        {"color_space": "hsv"},
        {"patch_size": 0},
        {"patch_size": 2.5},
        {"patch_size": (4, 4, 4)},
        {"stride": 0},
        {"stride": "8"},
        {"n_segments": 0},
        {"compactness": 0.0},
        {"sigma": -1.0},
        {"sigma": np.nan},
        {"features": ()},
        {"features": None},
        {"features": "shape"},
        {"features": ("color", "color_mean")},
        {"features": "encoder"},
        {"encoder": PCA(2), "features": "color"},
        {"encoder": "resnet"},
    ],
    ids=str,
)
def test_parameters_out_of_range(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        RegionSegmenter(**settings).fit(COLORED)


def test_superpixels_need_pixels_and_scikit_image(monkeypatch):
    monkeypatch.setattr("skalign.sequence._regions.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'skalign\[image\]'"):
        RegionSegmenter("slic").fit(COLORED)
    monkeypatch.undo()
    pytest.importorskip("skimage")
    with pytest.raises(ValueError, match="image 0 of 8 by 8 pixels cannot have n_segments=100"):
        RegionSegmenter("slic").fit(COLORED)


# --- photographs and emoji ------------------------------------------------------------------------------------------


def test_regions_end_where_the_flower_ends(photographs):
    """The flower is a disc of about 137 pixels around (222, 305); a second one and its bud lie at the lower border."""
    pytest.importorskip("skimage")
    flower = photographs[1]
    y, x = np.indices(flower.shape[:2])
    radius = np.hypot(y - 222, x - 305)
    behind = (radius > 160) & ((y < 370) | (x < 270))
    segmenter = raw(method="slic", n_segments=100, features=("color_mean", "position")).fit([flower])
    labels, bag = segmenter.predict([flower])[0], segmenter.transform([flower])[0]
    reddish = bag[:, 1] > 0  # a of CIELAB: red against green
    assert reddish[labels][radius < 115].mean() > 0.99
    assert reddish[labels][behind].mean() < 0.01
    center = bag[labels[222, 305]]
    assert center[1] > 40  # deep orange: red, and yellow
    assert center[2] > 25
    np.testing.assert_allclose(center[3:], [222 / 427, 305 / 640], atol=0.1)


def test_superpixels_say_more_of_the_colours_than_as_many_patches(photographs):
    pytest.importorskip("skimage")

    photographs = [photograph[::2, ::2] for photograph in photographs]

    def explained(segmenter):
        segmenter.fit(photographs)
        shares = []
        for image, labels, bag in zip(photographs, segmenter.predict(photographs), segmenter.transform(photographs)):
            colors = raw(patch_size=1, features="color_mean").fit_transform([image])[0]
            left = ((colors - bag[labels.ravel()]) ** 2).sum()
            shares.append(1 - left / ((colors - colors.mean(axis=0)) ** 2).sum())
        return np.array(shares), max(map(len, segmenter.transform(photographs)))

    slic, n_regions = explained(raw(method="slic", features="color_mean"))
    grid, n_patches = explained(raw(patch_size=26, features="color_mean"))
    assert n_regions < n_patches
    assert (slic > grid + 0.03).all()


@pytest.mark.parametrize("method", ["grid", "slic"])
def test_regions_of_emoji_find_the_words_for_their_colours(method):
    """Hearts, circles and squares of one colour on white, and two words: that colour, and white."""
    if method == "slic":
        pytest.importorskip("skimage")
    emoji, colors = load_emoji(), load_color_names()
    lab = dict(zip(colors.names, colors.lab))
    hues = {"red", "orange", "yellow", "green", "blue", "purple", "brown"}
    words = [set(name.split()) for name in emoji.names]
    rows = [i for i, own in enumerate(words) if own & hues and own & {"heart", "circle", "square"}]
    names = [np.array([lab[(words[i] & hues).pop()], lab["white"]]) for i in rows]
    views = Views(image=emoji.images[rows], name=names)
    segmenter = raw(method=method, n_segments=12, features="color_mean")
    pipe = make_pipeline(PerView({"image": segmenter}), OTAligner()).fit(views)
    maps = segmenter.fit_predict(views["image"])
    word_at = [word[labels] for word, labels in zip(pipe.predict(views), maps)]
    assert len(rows) == 20
    assert np.mean([word[16, 16] == 0 for word in word_at]) == 1.0
    assert np.mean([word[0, 0] == 1 for word in word_at]) >= 0.95
    one_to_one = make_pipeline(PerView({"image": segmenter}), AssignmentAligner()).fit(views)
    chosen = [np.flatnonzero(match == 0)[0] for match in one_to_one.predict(views)]
    middles = [labels == region for labels, region in zip(maps, chosen)]
    colored = [(image[middle].std(axis=1) > 10).mean() for image, middle in zip(views["image"], middles)]
    assert np.mean(colored) > 0.9


class WordVectors(TransformerMixin, BaseEstimator):
    """Bags of word vectors by the letters of the words."""

    def fit(self, X, y=None):
        letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3))
        vectors = make_pipeline(letters, TruncatedSVD(32, random_state=0))
        self.vectors_ = vectors.fit(sorted({word for name in X for word in name.split()}))
        return self

    def transform(self, X):
        return [self.vectors_.transform(name.split()) for name in X]


def test_emoji_and_their_names_as_bags_train_nets():
    pytest.importorskip("skorch")
    emoji = load_emoji()
    train = np.random.default_rng(0).permutation(1359)[:200]
    bags = PerView({"image": RegionSegmenter(), "name": WordVectors()})
    pipe = make_pipeline(bags, ContrastiveAligner(16, max_epochs=10, random_state=0)).fit(emoji.views[train])
    paired = pipe.score(emoji.views[train])
    shuffled = pipe.score(Views(image=emoji.images[train], name=[emoji.names[i] for i in train[::-1]]))
    assert paired > shuffled + 0.04  # chance: 0.052
