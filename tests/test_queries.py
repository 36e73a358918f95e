from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import Query, list_images
from helpers.encoding import unit_vectors
from helpers.query import queries
from helpers.query.chance import among_others
from helpers.query.queries import AnyOf, parse


def embed(query, encoder) -> np.ndarray:
    return among_others(parse(query).ways[0], encoder, None, np.empty((0, 0)), {}).vector


def as_code(query, image_dir=None) -> str:
    return parse(query).code(image_dir)


def cosine(encoder, query, term) -> float:
    return float(embed(query, encoder) @ embed(term, encoder))


texts = st.sampled_from(["a dog", "a beach", "grass", "red star", "two cats", "a photo"])
weights = st.floats(0.1, 5)
terms = st.lists(st.tuples(texts, weights), min_size=1, max_size=4, unique_by=lambda term: term[0])
relaxed = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(terms=terms, factor=st.floats(0.2, 5), seed=st.randoms())
def test_neither_the_order_of_terms_nor_a_common_factor_matters(encoder, terms, factor, seed):
    scaled = [(term, weight * factor) for term, weight in terms]
    seed.shuffle(scaled)
    assert np.allclose(
        embed(Query(like=terms), encoder), embed(Query(like=scaled), encoder), atol=1e-4
    )


@relaxed
@given(like=texts, unlike=texts, weight=st.floats(0.1, 0.9))
def test_unlike_lowers_the_similarity(encoder, like, unlike, weight):
    if like == unlike:
        return
    without = Query(like=[like], unlike=[(unlike, weight)])
    assert cosine(encoder, without, unlike) < cosine(encoder, like, unlike) + 1e-5


def test_a_term_of_unlike_alone_has_half_a_weight_and_a_weight_that_is_given_stays():
    weights = parse(Query(["a", ("b", 1)], ["c", ("d", 1), ("e", 0.5), ("f", 0.25)])).weights
    assert weights == (1, 1, -0.5, -1, -0.5, -0.25)
    assert parse(Query.of("a", unlike="b")).weights == (1, -0.5)
    moved = Query(["a"], ["b"]).with_feedback([Path("good.jpg")], [Path("bad.jpg")])
    assert parse(moved).weights == (1, 1, -0.5, -0.5)


@pytest.mark.parametrize("weight", [None, 1, 0.5, 2, 0.123456])
def test_code_and_title_of_unlike_say_what_was_asked(weight):
    query = Query(["a star"], ["red" if weight is None else ("red", weight)])
    again = eval(as_code(query, None), {"Query": Query})
    assert parse(again).weights == parse(query).weights
    bare = weight in (None, 0.5)
    assert parse(query).title == f"a star, unlike red{'' if bare else f' x {weight:g}'}"
    like = Query([("red", weight or 1), "a star"])
    assert parse(eval(as_code(like, None), {"Query": Query})).weights == parse(like).weights


def test_a_box_an_image_and_words_against_make_a_query():
    path = Path("dog.jpg").resolve()
    assert Query.of("", "dog.jpg", None, Path("/photos")) == Query([Path("/photos/dog.jpg")], [])
    assert Query.of(" a dog ") == Query(["a dog"], [])
    assert Query.of("a dog", path, " grass") == Query(["a dog", path], ["grass"])
    assert Query.of("", path) == Query.of(None, path, "  ") == Query([path], [])
    either = AnyOf("a dog", "a cat")
    assert Query.of(either, path) == Query([either, path], [])
    assert Query.of(Query(["a dog"], ["snow"]), path, "grass") == Query(
        ["a dog", path], ["snow", "grass"]
    )
    assert Query.of("", None, "grass") == Query([], ["grass"])
    for nothing in ("", "  ", None):
        with pytest.raises(ValueError, match="the query is blank: say what to look for"):
            parse(Query.of(nothing))


def test_good_thumbs_share_a_weight_however_many_they_are():
    good, bad = [Path(f"{n}.jpg") for n in range(3)], [Path("x.jpg")]
    query = Query.of("a star").with_feedback(good, bad)
    assert query == Query(["a star", *((path, 0.333) for path in good)], [(Path("x.jpg"), 0.5)])
    more = Query(["a star"], ["grass"]).with_feedback(good[:2], more=3, less=1)
    assert more == Query(["a star", (good[0], 1.5), (good[1], 1.5)], ["grass"])
    assert query.with_feedback() == query


def test_thumbs_need_no_words():
    good = [Path("a.jpg")]
    assert Query.of("").with_feedback(good) == Query([(good[0], 1)], [])
    assert Query.of(" ").with_feedback([], good) == Query([], [(good[0], 0.5)])
    with pytest.raises(ValueError, match="blank"):
        parse(Query.of("").with_feedback())


@given(good=st.integers(0, 400), bad=st.integers(0, 400))
def test_the_code_of_thumbs_is_exact(good, bad):
    paths = [Path(f"{number}.jpg") for number in range(good + bad)]
    query = Query(["a star"]).with_feedback(paths[:good], paths[good:])
    if paths:
        again = eval(as_code(query), {"Query": Query, "Path": Path})
        assert parse(again).weights == parse(query).weights
        assert as_code(again) == as_code(query)
    assert sum(weight for _, weight in query.like[1:]) == pytest.approx(int(good > 0), rel=5e-3)
    assert {weight for _, weight in query.unlike} <= {0.5}


def test_a_file_whose_vector_is_known_is_not_read(encoder):
    path, vector = Path("gone.jpg"), np.full(encoder.dim, encoder.dim**-0.5, np.float32)
    images = np.empty((0, 0))
    found = among_others(parse(path).ways[0], encoder, None, images, {path: vector}).vector
    assert np.allclose(found, vector, atol=1e-6)
    with pytest.raises(OSError, match=r"gone\.jpg"):
        among_others(
            parse(Query(["a dog", path])).ways[0], encoder, None, images, {Path("other"): vector}
        )


def test_one_more_kind_of_term_is_a_class_and_a_line(encoder, photos, monkeypatch):
    class Mean:
        """Several pictures that count as one."""

        kind, path, title = "image", None, "pictures"

        def __init__(self, paths):
            self.paths = paths

        def code(self, image_dir):
            return repr(self.paths)

        def vector(self, encoder, templates):
            return unit_vectors(encoder.encode_images(self.paths).mean(axis=0))

    monkeypatch.setattr(queries, "_KINDS", queries._KINDS | {frozenset: Mean})
    one = embed(frozenset(photos[:1]), encoder)
    assert np.allclose(one, embed(photos[0], encoder), atol=1e-6)
    mixed = Query(["a dog", (frozenset(photos), 0.5)], unlike=["grass"])
    assert parse(mixed).title == "a dog + pictures x 0.5, unlike grass"
    images = np.tile(encoder.encode_images(photos), (10, 1))
    chance = among_others(parse(mixed).ways[0], encoder, None, images, {})
    assert np.linalg.norm(chance.vector) == pytest.approx(1, abs=1e-5)
    assert len(chance.queries) == 100


def test_a_query_of_one_term_is_that_term(encoder, drawings):
    path = list_images(drawings)[0]
    assert np.allclose(embed(Query(like=[path]), encoder), embed(path, encoder), atol=1e-6)


def test_a_weight_may_be_as_small_as_one_likes(encoder):
    tiny = Query(like=[("a dog", 1e-9), ("a beach", 1e-9)])
    assert np.allclose(
        embed(tiny, encoder), embed(Query(like=["a dog", "a beach"]), encoder), atol=1e-6
    )


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("a dog", "a dog"),
        (Path("some/dog.jpg"), "dog.jpg"),
        (Image.new("RGB", (2, 2)), "image"),
        (np.ones(64), "vector"),
        (Query(like=["a dog"]), "a dog"),
        (Query(["a", ("b", 0.5)], [Path("x/y.jpg")]), "a + b x 0.5, unlike y.jpg"),
        (Query(unlike=["grass"]), "unlike grass"),
    ],
)
def test_a_query_has_a_title(query, title):
    assert parse(query).title == title


@pytest.mark.parametrize(
    "query",
    [
        'it\'s "odd" \\ \n',
        Path("a 'b'.jpg"),
        Query([Path("/photos/a b/c.jpg"), ("a dog", 0.5)], ["x", (Path("d.jpg"), 2)]),
    ],
)
def test_the_code_of_a_query_is_the_query(query):
    store = SimpleNamespace(image_dir=Path("/photos"))
    code = as_code(query, store.image_dir)
    assert eval(code, {"store": store, "Query": Query, "Path": Path}) == query
    assert "\n" not in code


def test_code_names_images_by_their_place_in_the_collection():
    path = Path("/photos/red star/1.jpg")
    assert as_code(path, Path("/photos")) == "store.image_dir / 'red star/1.jpg'"
    assert as_code(path, Path("/pho")) == "Path('/photos/red star/1.jpg')"
    assert as_code(Query([Image.new("L", (2, 2)), np.ones(3)])) == "Query(like=[image, vector])"


@pytest.mark.parametrize("invisible", ["\ufeff", "\u200b", "\u200e", "\u202e", "\u2060", "\xad"])
def test_what_cannot_be_seen_does_not_change_a_query(invisible, encoder):
    query = f"{invisible}a{invisible} star{invisible}"
    plain, typed = parse("a star"), parse(query)
    assert (typed.title, typed.code()) == (plain.title, plain.code())
    assert np.array_equal(embed(query, encoder), embed("a star", encoder))
    with pytest.raises(ValueError, match="blank"):
        parse(f" {invisible} ")
