import random

import numpy as np
import pytest
from PIL import Image

from helpers import ImageStore, Query, ingest, list_images, search
from helpers.query.margins import margins, match_threshold, random_queries
from helpers.query.mixing import scales
from helpers.query.queries import parse


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
    found = [
        margins(parse(word), tiny.encode_texts([word])[0], images, tiny, filled) for word in words
    ]
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
        question = parse(Query([word, (paths[8 * number], 0.5)], [(paths[-8 * number - 1], 0.5)]))
        ready = question.scaled(tiny, None, images)
        vector = ready.vector(tiny)
        found += margins(ready, vector, images, tiny, filled)
    assert abs(np.mean(found)) < 0.35
    assert 0.5 < np.std(found) < 1.5


def test_random_queries_are_on_the_scale_of_the_query(filled, tiny, drawings):
    """Computed here once more, term by term."""
    images = filled.sample(1000)
    query = Query(["a star", (list_images(drawings)[0], 0.5)])
    question = parse(query).scaled(tiny, None, images)
    words = tiny.encode_texts(random.Random(0).sample(tiny.common_words(), 100))
    text, image = scales(question.terms, tiny, None, images)
    others = images[(np.arange(100) + 7) % len(images)]
    expected = (words - text.centre) / text.spread + 0.5 * others / image.spread
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(random_queries(question, images, tiny, None), expected, atol=1e-5)


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
    strong = search(Query(["star"], [("red", 0.9)]), tiny, filled)
    weak = search(Query(["star"], [("red", 0.001)]), tiny, filled)
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
    vectors = np.array([row["vector"] for row in store.rows(["vector"])])
    cancelling = Query([folder / "0.png"], [folder / "1.png"])
    assert margins(parse(cancelling), vectors[0], vectors[:2], tiny, store) == [None, None]


def test_the_sample_follows_the_collection(tiny, store, drawings):
    ingest(drawings, tiny, store, limit=30, progress=False)
    few = search("a red star", tiny, store).margin
    ingest(drawings, tiny, store, progress=False)
    assert search("a red star", tiny, store).margin != few


def test_nobody_measured_other_models_collections_and_queries(tiny, filled, encoder, monkeypatch):
    assert match_threshold(parse("a star"), tiny, filled) is None
    assert search("a star", tiny, filled).matches is None
    monkeypatch.setattr(filled, "collection_name", "demo_collection")
    assert match_threshold(parse("a star"), tiny, filled) > 0
    assert match_threshold(parse(Query(["a star"])), tiny, filled) > 0
    for query in (Image.new("RGB", (9, 9)), Query(["a star", "a fish"]), Query(unlike=["a star"])):
        assert match_threshold(parse(query), tiny, filled) is None
    assert match_threshold(parse("a star"), tiny, filled, ["a photo of {}"]) is None
    assert match_threshold(parse("a star"), encoder, filled) is None
    monkeypatch.setattr(tiny, "digest", "of other weights")
    assert match_threshold(parse("a star"), tiny, filled) is None


def test_a_broken_calibration_says_which_file(tiny, filled, tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "path", tmp_path / "model.pt")
    (tmp_path / "model.calibration.json").write_text('{"threshold": 3}')
    with pytest.raises(ValueError, match=r"model.calibration.json is not a calibration"):
        search("a star", tiny, filled)


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
