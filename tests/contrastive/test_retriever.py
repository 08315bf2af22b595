"""CrossModalRetriever: brute force, ids, pipelines with strings, bad input."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skalign import CCA, CrossModalRetriever, Domains, PerView, ProcrustesAligner, Views
from skalign.metrics import mean_reciprocal_rank, pairwise_similarity


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def views(rng):
    shared = rng.normal(size=(150, 4))
    image, text = (shared + 0.2 * rng.normal(size=(150, 4)) for _ in range(2))
    return Views(image=image @ rng.normal(size=(4, 6)) + 3, text=text @ rng.normal(size=(4, 5)))


@pytest.fixture
def aligner(views):
    return CCA(4, shrinkage=0.01).fit(views[:80])


def brute_force(S, k):
    """Best first; of equals the lower position."""
    order = np.argsort(-S, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(S, order, axis=1), order


@pytest.mark.parametrize("similarity", ["cosine", "dot", "rbf", lambda X, Y: X @ Y.T])
def test_kneighbors_by_hand(aligner, views, similarity):
    retriever = CrossModalRetriever(aligner, similarity=similarity).fit(views[["image"]][80:])
    Z = aligner.transform(views)
    expected, order = brute_force(pairwise_similarity(Z["text"][:30], Z["image"][80:], similarity), 5)
    values, positions = retriever.kneighbors(views["text"][:30])
    assert_allclose(values, expected, atol=1e-10)
    assert_array_equal(positions, order)
    assert_array_equal(retriever.kneighbors(views[["text"]][:30], return_similarity=False), order)
    assert_array_equal(retriever.retrieve(views[:30], 3), order[:, :3])  # the other view is the query
    for size in (1, 7):
        retriever.set_params(chunk_size=size)
        assert_array_equal(retriever.kneighbors(views["text"][:30])[1], order)


def test_views_and_doors(aligner, views):
    image, text = views["image"], views["text"]
    expected = CrossModalRetriever(aligner).fit(views[["image"]]).retrieve(text)
    named = CrossModalRetriever(aligner, gallery_view="image")
    assert_array_equal(named.fit(image).retrieve(text), expected)
    assert_array_equal(named.fit(views).retrieve(views), expected)
    assert CrossModalRetriever(aligner).fit(text).gallery_view_ == "text"  # the second of two
    same = CrossModalRetriever(aligner).fit(views[["image"]])
    assert_array_equal(same.retrieve(views[["image"]], 1)[:, 0], np.arange(150))  # queries of the same view
    assert_array_equal(same.set_params(query_view="image").retrieve(image, 1)[:, 0], np.arange(150))
    arrays = CCA(4, shrinkage=0.01).fit(image[:80], text[:80])
    assert_array_equal(CrossModalRetriever(arrays, gallery_view="x").fit(image).retrieve(text), expected)
    three = ProcrustesAligner().fit(Views(a=image, b=text, c=text))
    with pytest.raises(ValueError, match=r"gallery_view has to say which of the views \['a', 'b', 'c'\]"):
        CrossModalRetriever(three).fit(text)
    retriever = CrossModalRetriever(three).fit(Views(b=text))
    with pytest.raises(ValueError, match=r"query_view has to say which of the views \['a', 'b', 'c'\]"):
        retriever.kneighbors(text)
    with pytest.raises(ValueError, match=r"query_view has to say which of the views \['a', 'c'\]"):
        retriever.kneighbors(Views(a=image, c=text))
    assert retriever.retrieve(Views(a=image, b=text)).shape == (150, 5)


@pytest.mark.parametrize("kind", ["list of str", "array of str", "int", "tuples", "dicts", "table", "series"])
def test_ids(aligner, views, kind):
    n = 70
    ids = {
        "list of str": [f"i{i}" for i in range(n)],
        "array of str": np.array([f"i{i}" for i in range(n)]),
        "int": list(range(500, 500 + n)),
        "tuples": [("page", i) for i in range(n)],
        "dicts": [{"page": i} for i in range(n)],
        "table": np.arange(2 * n).reshape(n, 2),
    }
    ids["series"] = pytest.importorskip("pandas").Series(ids["list of str"], index=range(9, 9 + n))
    y = ids[kind]
    retriever = CrossModalRetriever(aligner).fit(views[["image"]][80:], y)
    found = retriever.retrieve(views["text"][80:], 2)
    positions = retriever.kneighbors(views["text"][80:], 2)[1]
    rows = list(y)
    assert found.shape[:2] == (70, 2)
    assert all(np.all(found[i, j] == rows[positions[i, j]]) for i in range(70) for j in range(2))
    if kind == "table":
        with pytest.raises(ValueError, match="one id for each row"):
            retriever.score(views["text"][80:], y)
    elif kind == "dicts":
        with pytest.raises(TypeError, match="can be looked up"):
            retriever.score(views["text"][80:], y)
    else:
        assert retriever.score(views["text"][80:], y) > 0.5


def test_score_is_the_mean_reciprocal_rank(aligner, views):
    Z = aligner.transform(views[80:])
    expected = mean_reciprocal_rank(Z["text"], Z["image"], direction="a_to_b")
    retriever = CrossModalRetriever(aligner).fit(views[["image"]][80:])
    assert retriever.score(views["text"][80:], np.arange(70)) == pytest.approx(expected)
    order = np.random.default_rng(1).permutation(70)
    assert retriever.score(views["text"][80:][order], order) == pytest.approx(expected)
    assert retriever.score(views["text"][80:], np.roll(np.arange(70), 9)) < expected / 3
    groups = np.arange(70) % 7  # several right rows
    expected = mean_reciprocal_rank(Z["text"], Z["image"], groups=groups, direction="a_to_b")
    assert retriever.fit(views[["image"]][80:], groups).score(views[80:], groups) == pytest.approx(expected)


def test_partial_fit_appends(aligner, views):
    names = [f"photo {i}" for i in range(70)]
    gallery = views[["image"]][80:]
    whole = CrossModalRetriever(aligner).fit(gallery, names)
    parts = CrossModalRetriever(aligner).partial_fit(gallery[:10], names[:10]).partial_fit(gallery[10:], names[10:])
    assert_array_equal(parts.retrieve(views["text"]), whole.retrieve(views["text"]))
    assert_array_equal(CrossModalRetriever(aligner).fit(gallery).partial_fit(gallery).ids_, np.arange(140))
    mixed = CrossModalRetriever(aligner).fit(gallery, np.arange(70)).partial_fit(gallery[:2], np.array(["a", "b"]))
    assert mixed.ids_[[0, 69, 70]].tolist() == [0, 69, "a"]
    before = parts.embeddings_, parts.ids_
    for X, y, match in [
        (gallery[:2], None, "fitted with ids"),
        (gallery[:2], ["a"], "2 rows, but y holds 1 ids"),
        (views["image"][:2] * np.nan, ["a", "b"], "12 NaN"),
        (views[["text"]][:2], ["a", "b"], "rows of view 'image'"),
        (gallery[:2], np.ones((2, 2)), "dimension"),
    ]:
        with pytest.raises(ValueError, match=match):
            parts.partial_fit(X, y)
    assert parts.embeddings_ is before[0]
    assert parts.ids_ is before[1]


def test_a_new_fit_of_the_aligner_leaves_the_index_alone(aligner, views):
    retriever = CrossModalRetriever(aligner).fit(views[["image"]])
    expected = retriever.retrieve(views["text"])
    aligner.set_params(n_components=1).fit(views)
    retriever.set_params(similarity="rbf")
    assert_array_equal(retriever.retrieve(views["text"]), expected)


def test_strings_through_a_pipeline(tmp_path):
    texts = [f"a {a} {b}" for a in ("red", "blue", "green", "black") for b in ("cat", "dog", "cow")]
    image = np.hstack([np.repeat(np.eye(4), 3, axis=0), np.tile(np.eye(3), (4, 1))])
    text = make_pipeline(TfidfVectorizer(), TruncatedSVD(6, random_state=0))
    data = Views(image=np.tile(image, (3, 1)), text=texts * 3)
    pipe = make_pipeline(PerView({"text": text}), CCA(5, shrinkage=0.1)).fit(data)
    album = CrossModalRetriever(FrozenEstimator(pipe), n_neighbors=1).fit(Views(image=image), texts)
    assert album.retrieve(["a green cow", "one red dog"]).tolist() == [["a green cow"], ["a red dog"]]
    assert CrossModalRetriever(pipe).fit(texts).retrieve(image, 1)[:, 0].tolist() == list(range(12))
    with pytest.raises(ValueError, match="str"):
        album.retrieve("a green cow")
    (tmp_path / "in").write_bytes(pickle.dumps(album))
    code = (
        "import pickle, sys, pathlib; f = pathlib.Path(sys.argv[1])\n"
        "r = pickle.loads((f / 'in').read_bytes()); (f / 'out').write_bytes(pickle.dumps(r.retrieve(['a black dog'])))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert pickle.loads((tmp_path / "out").read_bytes()).tolist() == [["a black dog"]]


def test_clone_and_search(aligner, views):
    with pytest.raises(NotFittedError, match=r"FrozenEstimator\(aligner\)"):
        clone(CrossModalRetriever(aligner)).fit(views[["image"]])
    retriever = CrossModalRetriever(FrozenEstimator(aligner), gallery_view="image")
    assert clone(retriever).fit(views).retrieve(views).shape == (150, 5)
    every = np.arange(150)
    search = GridSearchCV(retriever, {"similarity": ["cosine", "dot"]}, cv=[(every, every)], error_score="raise")
    assert search.fit(views, every).best_score_ > 0.5


def test_float32_and_tensors(aligner, views):
    torch = pytest.importorskip("torch")
    image, text = views["image"], views["text"]
    expected, order = CrossModalRetriever(aligner).fit(views[["image"]]).kneighbors(text)
    small = CrossModalRetriever(aligner).fit(Views(image=image.astype(np.float32)))
    assert small.embeddings_.dtype == small.kneighbors(text)[0].dtype == np.float32
    assert_allclose(small.kneighbors(text)[0], expected, atol=1e-4)
    for gallery in (image, torch.from_numpy(image)):
        retriever = CrossModalRetriever(aligner).fit(Views(image=gallery[:100])).partial_fit(Views(image=gallery[100:]))
        assert type(retriever.embeddings_) is type(gallery)
        values, positions = retriever.kneighbors(torch.from_numpy(text))
        assert isinstance(values, torch.Tensor)
        assert_allclose(values.numpy(), expected, atol=1e-10)
        assert_array_equal(positions.numpy(), order)
        assert_array_equal(retriever.kneighbors(text)[1], order)
        assert isinstance(retriever.retrieve(torch.from_numpy(text)), np.ndarray)
        assert retriever.score(torch.from_numpy(text), torch.arange(150)) > 0.5


def test_bad_input(aligner, views):
    gallery = views[["image"]][:4]
    for params, match in [
        ({"similarity": "cosin"}, "function must be callable or one of"),
        ({"n_neighbors": 0}, "n_neighbors must be an integer of at least 1"),
        ({"chunk_size": 0}, "chunk_size must be an integer of at least 1"),
        ({"gallery_view": "sound"}, "gallery_view='sound' is no view of the aligner"),
        ({"query_view": "sound"}, "query_view='sound' is no view of the aligner"),
    ]:
        with pytest.raises(ValueError, match=match):
            CrossModalRetriever(aligner, **params).fit(gallery)
    for X, y, match in [
        (views, None, r"gallery_view has to say which of the views \['image', 'text'\]"),
        (Views(sound=views["image"]), None, "'sound' is no view"),
        (gallery, ["a", "b"], "The gallery has 4 rows, but y holds 2 ids"),
        (gallery, "abcd", "one id for each row; it is a str"),
        (gallery, np.array(3), "a single value"),
        (Views(image=views["text"]), None, "5 features.*expecting 6"),
        (views["text"][:0], None, "minimum of 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            CrossModalRetriever(aligner).fit(X, y)
    with pytest.raises(TypeError, match="not Domains"):
        CrossModalRetriever(aligner).fit(Domains(image=views["image"], text=views["text"]))
    with pytest.raises(TypeError, match="needs a fitted aligner"):
        CrossModalRetriever().fit(gallery)
    with pytest.raises(NotFittedError):
        CrossModalRetriever(aligner).kneighbors(views)
    retriever = CrossModalRetriever(aligner, n_neighbors=4).fit(gallery, list("abcd"))
    for call, match in [
        (lambda: retriever.kneighbors(views, 5), "n_neighbors=5 is more than the 4 rows of the gallery"),
        (lambda: retriever.kneighbors(views, 1.5), "n_neighbors must be an integer"),
        (lambda: retriever.kneighbors(views["image"]), "6 features.*expecting 5"),
        (lambda: retriever.kneighbors(Views(sound=views["image"])), "'sound' is no view of the aligner"),
        (lambda: retriever.score(views[:2], None), "score requires y"),
        (lambda: retriever.score(views[:2], ["a"]), "There are 2 queries, but y holds 1 ids"),
        (lambda: retriever.score(views[:2], ["a", "z"]), "1 of 2 ids in y are not in the gallery; the first is 'z'"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    broken = CrossModalRetriever(aligner, similarity=lambda X, Y: np.full((len(X), len(Y)), np.nan)).fit(gallery)
    with pytest.raises(ValueError, match="NaN or infinity"):
        broken.kneighbors(views, 1)


def test_ids_of_different_kinds_stay_what_they_are(aligner, views):
    long = 2**63 + 1  # a hash, beyond the whole numbers that floats know
    gallery = views[["image"]]
    for first, more in [
        ([1, 2], [long, long + 2]),
        (np.array([long, long + 2], dtype=np.uint64), [1, 2]),
        ([2**53 + 1, 2], [0.5, 1.5]),
        ([True, False], ["a", "b"]),
        (np.array(["2020-01-01", "2020-01-02"], dtype="M8[ns]"), [7, 8]),
    ]:
        retriever = CrossModalRetriever(aligner, n_neighbors=1).fit(gallery[:2], first).partial_fit(gallery[2:4], more)
        assert list(retriever.ids_) == [*first, *more]
    assert CrossModalRetriever(aligner).fit(gallery[:3], [-1, long, long + 2]).ids_.tolist() == [-1, long, long + 2]
    with pytest.raises(ValueError, match="it is a set"):
        CrossModalRetriever(aligner).fit(gallery[:2], {"b", "a"})
