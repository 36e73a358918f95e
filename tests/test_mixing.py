from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import Query, list_images
from helpers.encoding import unit_vectors
from helpers.query.mixing import FEWEST, IMAGE, TEXT, Scale, mixes, scales
from helpers.query.queries import Question, parse

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


def asked(*queries, images=None, encoder=None) -> list[np.ndarray]:
    return [vector_of(parse(query), encoder or Gap(), images) for query in queries]


def known(query: Query, vectors: dict[Path, np.ndarray], images=None) -> np.ndarray:
    return vector_of(parse(query).knowing(vectors), Gap(), images)


def vector_of(question: Question, encoder, images=None) -> np.ndarray:
    ready = question if images is None else question.scaled(encoder, None, images)
    return ready.vector(encoder)


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.lists(st.text("abcdefgh", min_size=1), min_size=1, max_size=4, unique=True)


@relaxed
@given(like=words, unlike=words)
def test_texts_alone_are_summed_as_ever_to_the_last_bit(like, unlike):
    query = Query([(word, 0.7) for word in like], unlike)
    if like == unlike:
        return
    mixed, plain = asked(query, images=drawn(50)) + asked(query)
    assert np.array_equal(mixed, plain)


def test_pictures_alone_are_summed_as_ever_to_the_last_bit(encoder, photos):
    images = encoder.encode_images(photos * 10)
    for query in (photos[0], Query(photos[:2], photos[2:3]), Query([(photos[0], 0.3), photos[1]])):
        mixed, plain = (vector_of(parse(query), encoder, some) for some in (images, None))
        assert np.array_equal(mixed, plain)


def test_who_mixes_texts_and_pictures_is_told_from_who_does_not():
    path, vector = Path("a.jpg"), np.ones(DIM)
    assert parse(Query(["a", path])).mixes
    assert parse(Query(["a"], [path])).mixes
    for query in ("a", Query(["a"], ["b"]), Query([path], [Path("b.jpg")]), Query(["a", vector])):
        assert not parse(query).mixes
    assert not mixes(parse(Query(["a", path, vector])).terms)


def test_with_few_images_or_equal_ones_or_a_vector_the_sum_is_plain():
    path = Path("a.jpg")
    query, vectors = Query(["a", path]), {path: drawn(1)[0]}
    plain = known(query, vectors)
    for images in (drawn(FEWEST - 1), np.repeat(drawn(1), 50, axis=0)):
        assert np.array_equal(known(query, vectors, images), plain)
    assert not np.allclose(known(query, vectors, drawn(FEWEST)), plain, atol=1e-2)
    three = Query(["a", path, drawn(1, seed=7)[0]])
    assert np.array_equal(known(three, vectors, drawn(50)), known(three, vectors))


def test_a_spread_is_how_far_terms_move_the_cosines_of_images():
    """Computed here once more from the definition, pair by pair."""
    images = drawn(60)
    text, image = scales(parse(Query(["a", Path("a.jpg")])).terms, Gap(), None, images)
    cosines = images @ images.T
    around = cosines - cosines.mean(axis=0) - cosines.mean(axis=1)[:, None] + cosines.mean()
    assert image.spread == pytest.approx(np.sqrt(np.mean(around**2)), rel=1e-4)
    assert np.all(image.centre == 0)
    assert text.spread < image.spread / 3
    assert abs(text.centre @ OFFSET) > 0.9


def test_on_one_scale_texts_and_pictures_have_an_equal_say():
    images = drawn(200)
    text, image = scales(parse(Query(["a", Path("a.jpg")])).terms, Gap(), None, images)
    texts = text(Gap().encode_texts([f"thing {number}" for number in range(200)]))
    moved = [np.std(vectors @ images.T, axis=1).mean() for vectors in (texts, image(images))]
    assert moved[0] == pytest.approx(moved[1], rel=0.15)


def test_the_words_are_heard_beside_a_picture_however_far_away_texts_are():
    images, path = drawn(300), Path("a.jpg")
    closeness = []
    for number in range(20):
        query, vectors = Query([f"thing {number}", path]), {path: images[number]}
        own = Gap(share=0).encode_texts([f"thing {number}"])[0]
        each = known(query, vectors, images), known(query, vectors)
        closeness.append([np.corrcoef(images @ vector, images @ own)[0, 1] for vector in each])
    scaled, plain = np.mean(closeness, axis=0)
    assert scaled > 0.5 > 2 * plain


def test_the_order_in_which_milvus_returns_images_does_not_matter(tiny, drawings):
    paths = list_images(drawings)
    images = tiny.encode_images(paths)
    query = parse(Query(["a star", paths[0]], [paths[9]]))
    one, other = (vector_of(query, tiny, some) for some in (images, images[::-1]))
    assert np.allclose(one, other, atol=1e-6)


def test_a_scale_that_is_none_leaves_every_bit():
    vectors = drawn(5)
    assert np.array_equal(Scale()(vectors), vectors)
    assert {TEXT, IMAGE} == {term.kind for term in parse(Query(["a", Path("b")])).terms}
