import random
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import ImageStore, Query, ingest, list_images, search
from helpers.encoding import unit_vectors
from helpers.query.chance import FEWEST, Scale, among_others, match_threshold, random_texts, scales
from helpers.query.queries import IMAGE, TEXT, AnyOf, parse


@pytest.fixture(scope="module")
def filled(tmp_path_factory, drawings, tiny):
    with ImageStore(tmp_path_factory.mktemp("filled") / "milvus.db") as store:
        ingest(drawings, tiny, store, progress=False)
        yield store


def test_a_margin_is_the_mean_of_two_standard_scores(filled, tiny):
    """Computed here once more from the definition, image by image and query by query."""
    images = np.array([row["vector"] for row in filled.rows(["vector"])])
    query = tiny.encode_texts(["a star"])[0]
    words = tiny.encode_texts(random.Random(0).sample(tiny.common_words(), 100))
    expected = []
    for hit in search("a star", tiny, filled, limit=3):
        image = tiny.encode_images([hit.path])[0]
        among_images = (query @ image - np.mean(images @ query)) / np.std(images @ query)
        among_queries = (query @ image - np.mean(words @ image)) / np.std(words @ image)
        expected.append((among_images + among_queries) / 2)
    found = [hit.margin for hit in search("a star", tiny, filled, limit=3)]
    assert found == pytest.approx(expected, abs=1e-3)


def test_what_is_asked_at_random_has_margins_about_zero(filled, tiny):
    images = np.array([row["vector"] for row in filled.rows(["vector"])])
    words = ["budget", "harbour", "seventeen", "jazz", "meeting", "oxygen", "carpet", "lawyer"]
    asked = [parse(word).ways[0] for word in words]
    found = [among_others(each, tiny, None, images, {}).margins(images) for each in asked]
    assert abs(np.mean(found)) < 0.35
    assert 0.5 < np.std(found) < 1.5


def test_what_is_shown_stands_above_what_is_not(filled, tiny, drawings):
    labels = sorted({path.parent.name for path in list_images(drawings)})
    shown = [search(label, tiny, filled).margin for label in labels]
    absent = [search(f"a {word}", tiny, filled).margin for word in ("banana", "zebra", "train")]
    assert min(shown) > max(absent)


def test_every_kind_of_query_has_margins_but_bare_vectors(filled, tiny, drawings):
    path, other = list_images(drawings)[0], list_images(drawings)[-1]
    for query in (
        path,
        Image.open(path),
        Query([path, "a star"], ["a fish"]),
        AnyOf(path, "a fish"),
        Query([path, other]),
        Query(["a star"], ["a fish"]),
    ):
        found = search(query, tiny, filled)
        assert all(np.isfinite(hit.margin) for hit in found)
        assert found.margin >= found[0].margin > 1
    vector = tiny.encode_images([path])[0]
    assert [hit.margin for hit in search(vector, tiny, filled, limit=2)] == [None, None]
    assert np.isfinite(search(Query([vector], unlike=["a fish"]), tiny, filled).margin)


def test_what_is_mixed_at_random_has_margins_about_zero(filled, tiny, drawings):
    """Its random queries are mixed in the same way: else pictures or words would stand out."""
    paths = list_images(drawings)
    images = filled.sample(1000)
    found = []
    for number, word in enumerate(["budget", "harbour", "jazz", "oxygen", "carpet", "lawyer"]):
        query = Query([word, (paths[8 * number], 0.5)], [(paths[-8 * number - 1], 0.5)])
        found += among_others(parse(query).ways[0], tiny, None, images, {}).margins(images)
    assert abs(np.mean(found)) < 0.35
    assert 0.5 < np.std(found) < 1.5


def test_random_queries_are_on_the_scale_of_the_query(filled, tiny, drawings):
    """Computed here once more, term by term."""
    images = filled.sample(1000)
    query = Query(["a star", (list_images(drawings)[0], 0.5)])
    words = tiny.encode_texts(random.Random(0).sample(tiny.common_words(), 100))
    text, image = scales(words, images).values()
    others = images[(np.arange(100) + 7) % len(images)]
    expected = (words - text.centre) / text.spread + 0.5 * others / image.spread
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    drawn = among_others(parse(query).ways[0], tiny, None, images, {}).queries
    assert np.allclose(drawn, expected, atol=1e-5)


def test_the_margin_is_no_matter_of_how_many_are_asked_for(filled, tiny):
    found = [search(word, tiny, filled) for word in ("fish", "star", "two", "red", "white")]
    assert any(results.margin > results[0].margin for results in found)
    for results in found:
        alone = search(results.query, tiny, filled, limit=1)
        assert (len(alone), alone.margin) == (1, results.margin)


def test_templates_and_weights_count_for_the_random_queries_too(filled, tiny):
    plain = search("star", tiny, filled)[0]
    phrased = search("a photo of a star", tiny, filled, templates=["{} with a {}"])[0]
    assert phrased.margin != plain.margin
    strong = search(Query(["star", ("red", 0.9)]), tiny, filled)
    weak = search(Query(["star", ("red", 0.001)]), tiny, filled)
    assert weak.margin == pytest.approx(search("star", tiny, filled).margin, abs=0.05)
    assert strong.margin != pytest.approx(weak.margin, abs=0.05)


@pytest.mark.filterwarnings("error")
def test_a_handful_of_images_or_equal_ones_have_no_margins(tiny, store, tmp_path):
    folder = tmp_path / "same"
    folder.mkdir()
    for index in range(25):
        Image.new("RGB", (30, 30), "red").save(folder / f"{index}.png")
    ingest(folder, tiny, store, limit=5, progress=False)
    assert search("a star", tiny, store).margin is None
    ingest(folder, tiny, store, progress=False)
    found = search("a star", tiny, store)
    assert found.margin is None
    assert "· margin" not in found.to_html()
    assert found.to_frame().margin.isna().all()
    mixed = Query([folder / "0.png", ("a star", 0.1)], unlike=[folder / "1.png"])
    assert search(mixed, tiny, store).margin is None


def test_the_sample_follows_the_collection(tiny, store, drawings):
    ingest(drawings, tiny, store, limit=30, progress=False)
    few = search("a red star", tiny, store).margin
    ingest(drawings, tiny, store, progress=False)
    assert search("a red star", tiny, store).margin != few


def test_nobody_measured_other_models_collections_and_queries(tiny, filled, encoder, monkeypatch):
    def threshold(query, encoder=tiny, templates=None):
        return match_threshold(parse(query), encoder, filled, templates)

    assert threshold("a star") is None
    assert search("a star", tiny, filled).matches is None
    monkeypatch.setattr(filled, "collection_name", "demo_collection")
    assert threshold("a star") > 0
    assert threshold(Query(["a star"])) > 0
    for query in (Image.new("RGB", (9, 9)), Query(["a star", "a fish"]), Query(unlike=["a star"])):
        assert threshold(query) is None
    assert threshold("a star", templates=["a photo of {}"]) is None
    assert threshold("a star", encoder) is None
    monkeypatch.setattr(type(tiny), "digest", "of other weights")
    assert threshold("a star") is None


def test_a_broken_calibration_says_which_file(tiny, filled, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "path", tmp_path / "model.pt")
    (tmp_path / "model.calibration.json").write_text('{"threshold": 3}')
    with pytest.raises(ValueError, match=r"model.calibration.json is not a calibration"):
        search("a star", tiny, filled)


def test_random_words_are_drawn_once_a_search(filled, tiny, drawings, monkeypatch):
    drawn, words = [], tiny.common_words()
    monkeypatch.setattr(tiny, "common_words", lambda: drawn.append(1) or words)
    path = list_images(drawings)[0]
    for query, times in (("a star", 1), (Query(["a star", "red", path], ["a fish"]), 1), (path, 0)):
        drawn.clear()
        assert search(query, tiny, filled).margin is not None
        assert len(drawn) == times


def test_many_phrasings_cost_no_more_than_four(filled, tiny, monkeypatch):
    encoded = []
    encode = tiny.encode_texts

    def spy(texts, templates=("{}",)):
        encoded.append(len(texts) * len(templates))
        return encode(texts, templates)

    monkeypatch.setattr(tiny, "encode_texts", spy)
    many = [f"{{}} in picture {number}" for number in range(80)]
    assert search("a star", tiny, filled, templates=many).margin > 0
    assert sorted(encoded) == [80, 400]


DIM = 16
OFFSET = unit_vectors(np.eye(DIM)[0] + np.eye(DIM)[1])  # what all texts share


class Gap(SimpleNamespace):
    """An encoder whose texts share so much that their own part is hard to see."""

    dim, share = DIM, 9.0

    def encode_texts(self, texts, templates=("{}",)):
        own = [
            np.random.default_rng([len(text), *text.encode()]).normal(size=DIM) for text in texts
        ]
        return unit_vectors(unit_vectors(own) + self.share * OFFSET)

    def common_words(self):
        return [f"word {number}" for number in range(300)]


def drawn(number: int, seed: int = 0) -> np.ndarray:
    """Return unit vectors around a mean, as those of images are."""
    return unit_vectors(np.random.default_rng(seed).normal(size=(number, DIM)) + np.eye(DIM)[2])


def vector_of(query: Query, known: Mapping = {}, images=None, encoder=None) -> np.ndarray:
    images = np.empty((0, DIM)) if images is None else images
    return among_others(parse(query).ways[0], encoder or Gap(), None, images, known).vector


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.lists(st.text("abcdefgh", min_size=1), min_size=1, max_size=4, unique=True)


@relaxed
@given(like=words)
def test_texts_alone_are_summed_as_ever_to_the_last_bit(like):
    query = Query([(word, 0.7) for word in like])
    assert np.array_equal(vector_of(query, images=drawn(50)), vector_of(query))


def test_pictures_alone_are_summed_as_ever_to_the_last_bit(encoder, photos):
    images = encoder.encode_images(photos * 10)
    for query in (photos[0], Query(photos[:2], photos[2:3]), Query([(photos[0], 0.3), photos[1]])):
        mixed, plain = (vector_of(query, {}, some, encoder) for some in (images, images[:3]))
        assert np.array_equal(mixed, plain)


def test_who_mixes_texts_and_pictures_is_told_from_who_does_not():
    path, vector = Path("a.jpg"), np.ones(DIM)
    assert parse(Query(["a", path])).ways[0].mixes
    for query in ("a", Query(["a"], [path]), Query([path, Path("b.jpg")]), Query(["a", vector])):
        assert not parse(query).ways[0].mixes
    assert not parse(Query(["a", path, vector])).ways[0].mixes


def test_with_few_images_or_equal_ones_or_a_vector_the_sum_is_plain():
    path = Path("a.jpg")
    query, vectors = Query(["a", path]), {path: drawn(1)[0]}
    plain = vector_of(query, vectors)
    for images in (drawn(FEWEST - 1), np.repeat(drawn(1), 50, axis=0)):
        assert np.array_equal(vector_of(query, vectors, images), plain)
    assert not np.allclose(vector_of(query, vectors, drawn(FEWEST)), plain, atol=1e-2)
    three = Query(["a", path, drawn(1, seed=7)[0]])
    assert np.array_equal(vector_of(three, vectors, drawn(50)), vector_of(three, vectors))


def test_a_spread_is_how_far_terms_move_the_cosines_of_images():
    """Computed here once more from the definition, pair by pair."""
    images = drawn(60)
    text, image = scales(random_texts(Gap(), None), images).values()
    cosines = images @ images.T
    around = cosines - cosines.mean(axis=0) - cosines.mean(axis=1)[:, None] + cosines.mean()
    assert image.spread == pytest.approx(np.sqrt(np.mean(around**2)), rel=1e-4)
    assert np.all(image.centre == 0)
    assert text.spread < image.spread / 3
    assert abs(text.centre @ OFFSET) > 0.9


def test_on_one_scale_texts_and_pictures_have_an_equal_say():
    images = drawn(200)
    text, image = scales(random_texts(Gap(), None), images).values()
    texts = text(Gap().encode_texts([f"thing {number}" for number in range(200)]))
    moved = [np.std(vectors @ images.T, axis=1).mean() for vectors in (texts, image(images))]
    assert moved[0] == pytest.approx(moved[1], rel=0.15)


def test_the_words_are_heard_beside_a_picture_however_far_away_texts_are():
    images, path = drawn(300), Path("a.jpg")
    closeness = []
    for number in range(20):
        query, vectors = Query([f"thing {number}", path]), {path: images[number]}
        own = Gap(share=0).encode_texts([f"thing {number}"])[0]
        each = vector_of(query, vectors, images), vector_of(query, vectors)
        closeness.append([np.corrcoef(images @ vector, images @ own)[0, 1] for vector in each])
    scaled, plain = np.mean(closeness, axis=0)
    assert scaled > 0.5 > 2 * plain


def test_the_order_in_which_milvus_returns_images_does_not_matter(tiny, drawings):
    paths = list_images(drawings)
    images = tiny.encode_images(paths)
    query = Query(["a star", paths[0]], [paths[9]])
    one, other = (vector_of(query, {}, some, tiny) for some in (images, images[::-1]))
    assert np.allclose(one, other, atol=1e-6)


def test_a_scale_that_is_none_leaves_every_bit():
    vectors = drawn(5)
    assert np.array_equal(Scale()(vectors), vectors)
    assert {TEXT, IMAGE} == {term.kind for term in parse(Query(["a", Path("b")])).terms}
