"""Not and or: how images rank, and that a search keeps to it whatever else it is asked for."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import AnyOf, Query, draw_demo_images, list_images, retrieval, search
from helpers.collection import store as store_module
from helpers.demo.drawings import with_article
from helpers.encoding import unit_vectors
from helpers.query.logic import Logic
from helpers.query.queries import parse

DIM = 6
RED_STARS = Query(["a star"], ["red"])


class Axes(SimpleNamespace):
    """An encoder for which "0" is the first axis; other texts are random."""

    dim = DIM

    def encode_texts(self, texts: Sequence[str], templates: object = ()) -> np.ndarray:
        known = np.eye(DIM, dtype=np.float32)
        draw = np.random.default_rng(3)
        return unit_vectors(
            [known[int(t)] if t.isdigit() else draw.normal(size=DIM) for t in texts]
        )

    def common_words(self) -> list[str]:
        return [f"word {number}" for number in range(100)]


def images(number: int = 200, seed: int = 0) -> np.ndarray:
    return unit_vectors(np.random.default_rng(seed).normal(size=(number, DIM)))


def logic(query: object, among: np.ndarray | None = None) -> Logic:
    return Logic.of(parse(query), Axes(), None, images() if among is None else among, {})


def standings(text: str) -> np.ndarray:
    """Return what images rank by as one of a text or itself."""
    return logic(AnyOf(text, text)).ranking(images())


def test_or_is_the_larger_of_the_standings():
    either = logic(AnyOf("0", "1")).ranking(images())
    assert np.allclose(either, np.maximum(standings("0"), standings("1")), atol=1e-5)
    nested = logic(AnyOf("0", AnyOf("1"))).ranking(images())
    assert np.array_equal(either, nested)


def test_and_goes_with_each_choice_of_an_or():
    both = logic(Query([AnyOf("0", "1"), "2"])).ranking(images())
    ways = [logic(AnyOf(vector, vector)).ranking(images()) for vector in np.eye(DIM)[:2]]
    assert len(parse(Query([AnyOf("0", "1"), AnyOf("2", "3", "4")])).ways) == 6
    best = images()[both.argmax()]
    assert best[2] > 0
    assert max(best[:2]) > 0
    assert not np.allclose(both, np.maximum(*ways), atol=0.1)


@pytest.mark.parametrize("weight", [0.25, 0.5, 2])
def test_not_takes_nothing_from_what_is_not_there_and_its_weight_from_what_is(weight):
    alone, left = standings("0"), logic(Query(["0"], [("1", weight)])).ranking(images())
    away = standings("1")
    assert (left <= alone + 1e-6).all()
    assert np.allclose(left[away < -1], alone[away < -1], atol=1e-5)
    clear = (away > 1) & (abs(alone) < 1)
    assert clear.sum() > 5
    assert np.allclose((alone - left)[clear], weight * away[clear], atol=0.5 * weight)


def test_of_several_to_stay_away_from_the_one_that_takes_most_counts():
    both = logic(Query(["0"], ["1", "2"])).ranking(images())
    each = [logic(Query(["0"], [text])).ranking(images()) for text in "12"]
    assert np.allclose(both, np.minimum(*each), atol=1e-5)
    assert np.allclose(both, logic(Query(["0"], [AnyOf("1", "2")])).ranking(images()), atol=1e-5)


def test_what_looks_alike_in_both_does_not_count_against():
    """A picture of a red star to stay away from leaves the other stars."""
    star, red = np.eye(DIM, dtype=np.float32)[:2]
    among = unit_vectors(np.concatenate([images() + 2 * star, images(seed=1)]))
    query = Query([star], [unit_vectors(star + red)])
    rank = logic(query, among).ranking(unit_vectors([star, star + red, -red, star - red]))
    assert rank[0] > rank[1]
    assert rank[3] > rank[2]
    assert rank[3] > rank[1]


def test_only_what_to_stay_away_from_puts_its_opposite_first():
    vectors = np.eye(DIM, dtype=np.float32)
    asked = logic(Query(unlike=["0"]))
    assert asked.ranking(np.concatenate([vectors, -vectors])).argmax() == DIM
    assert asked.ranking(images()).argmax() == (images() @ asked.vectors()[0]).argmax()
    two = logic(Query(unlike=["0", ("1", 2)]))
    order = np.argsort(two.ranking(images()))
    assert np.array_equal(order, np.argsort(images() @ two.vectors()[0]))


@pytest.mark.parametrize("weight", [0.1, 0.5, 3])
def test_the_same_for_and_against_is_refused_whatever_its_weight(weight):
    with pytest.raises(ValueError, match="cancels itself out"):
        logic(Query(["0"], [("0", weight)]))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (AnyOf(), "AnyOf is empty"),
        (AnyOf("a", " "), "blank"),
        (Query([AnyOf(*"abcdefghi"), AnyOf(*"abcdefgh")]), "72 ways to take one of each AnyOf: 64"),
    ],
)
def test_an_or_of_nothing_or_of_too_much_is_refused(query, error):
    with pytest.raises(ValueError, match=error):
        parse(query)


def test_an_or_of_what_is_no_term_is_refused():
    with pytest.raises(TypeError, match="cannot search for"):
        parse(AnyOf("a", 3))


def test_code_and_title_of_an_or_say_what_was_asked():
    query = Query([AnyOf("a star", "a fish"), "white"], [AnyOf("red", "blue")])
    question = parse(query)
    assert eval(question.code(), {"Query": Query, "AnyOf": AnyOf}) == query
    assert question.title == "a star or a fish + white, unlike red or blue"
    alone = parse(AnyOf("a star", "a fish"))
    assert alone.code() == "AnyOf('a star', 'a fish')"
    assert not alone.is_one_text
    assert parse(AnyOf("a star")).is_one_text


@pytest.mark.parametrize("few", [0, 5])
def test_few_images_are_ranked_among_themselves_and_have_no_margins(few):
    made = logic(Query(["0"], ["1"]), images(few))
    assert np.isfinite(made.ranking(images(5))).all()
    assert made.margins(images(5)) == [None] * 5
    assert made.ranking(np.repeat(images(1), 4, axis=0)).tolist() == pytest.approx(
        [0] * 4, abs=1e-4
    )
    assert np.isfinite(logic(Query(unlike=["1"]), images(few)).vectors()).all()


@settings(deadline=None, max_examples=30)
@given(
    like=st.lists(st.lists(st.sampled_from("0123"), min_size=1, max_size=3), max_size=2),
    unlike=st.lists(st.sampled_from("45"), max_size=2, unique=True),
    nearest=st.integers(1, 60),
)
def test_what_is_not_among_the_nearest_ranks_no_higher_than_is_said(like, unlike, nearest):
    if not like:
        return
    made, everything = logic(Query([AnyOf(*each) for each in like], unlike)), images(300, seed=5)
    near = [np.argsort(-everything @ vector)[:nearest] for vector in made.vectors()]
    seen = np.unique(near)
    bound = made.highest_unseen(everything[seen], nearest)
    unseen = np.delete(everything, seen, axis=0)
    if made.is_sum or not len(unseen):
        return
    assert made.ranking(unseen).max() <= bound + 1e-4


QUERIES = [RED_STARS, AnyOf("a star", "a fish"), Query(unlike=["red"]), Query(["a star"], ["a"])]


@pytest.fixture(params=range(len(QUERIES)), ids=["not", "or", "only not", "vague not"])
def query(request) -> object:
    return QUERIES[request.param]


def names(found) -> list[str]:
    return [hit.filepath for hit in found]


def test_a_search_ranks_all_images_as_logic_does(query, demo_store, tiny):
    found = search(query, tiny, demo_store, limit=1000)
    rows = {row["filepath"]: row["vector"] for row in demo_store.rows(["filepath", "vector"])}
    vectors = np.array([*rows.values()], np.float32)
    made = Logic.of(parse(query), tiny, None, demo_store.sample(1000), {})
    ranking = dict(zip(rows, made.ranking(vectors), strict=True))
    assert len(found) == len(rows) == 1000
    assert np.allclose([ranking[name] for name in names(found)], sorted(ranking.values())[::-1])
    assert [hit.margin for hit in found] == pytest.approx([ranking[n] for n in names(found)])
    scores = dict(zip(rows, made.scores(vectors), strict=True))
    assert [hit.score for hit in found] == pytest.approx(
        [scores[n] for n in names(found)], abs=1e-5
    )
    assert found.note == found.verdict == ""
    assert found.threshold is None


def test_pages_are_parts_of_the_whole(query, demo_store, tiny):
    whole = names(search(query, tiny, demo_store, limit=60))
    pages = [search(query, tiny, demo_store, limit=20, offset=start) for start in (0, 20, 40)]
    assert [name for page in pages for name in names(page)] == whole


def test_filters_groups_and_copies_come_after_ranking(query, demo_store, tiny, monkeypatch):
    monkeypatch.setattr(retrieval, "_ALIKE", 0.7)
    labels = demo_store.labels()[:7]
    within = search(query, tiny, demo_store, limit=1000, where={"label": labels})
    everything = search(query, tiny, demo_store, limit=1000)
    assert names(within) == [hit.filepath for hit in everything if hit.label in labels]
    grouped = search(query, tiny, demo_store, limit=30, group_by="label")
    best = {hit.label: hit.filepath for hit in reversed(everything)}
    assert names(grouped) == [best[hit.label] for hit in grouped]
    assert len({hit.label for hit in grouped}) == 30
    unique = search(query, tiny, demo_store, limit=20, unique=True)
    assert names(unique) == [name for name in names(everything) if name in names(unique)]
    assert any(hit.alike for hit in unique)
    dated = search(query, tiny, demo_store, limit=50, sort_by="taken")
    assert [hit.taken for hit in dated] == sorted((hit.taken for hit in dated), reverse=True)
    assert {*names(dated)} <= {*names(everything[:200])}


def test_results_say_where_more_may_suit_than_was_compared(demo_store, tiny, monkeypatch):
    monkeypatch.setattr(store_module, "_COMPARED", (1, 1))
    query = Query(["a star"], [("red", 3), ("blue", 3), ("green", 3)])
    few = search(query, tiny, demo_store, limit=12)
    assert "Only the nearest 48 images were compared: others may suit as well" in few.summary
    sure = search(AnyOf("a star", "a fish"), tiny, demo_store, limit=12)
    assert sure.note == ""


def test_an_answer_too_large_for_a_server_comes_in_pages(demo_store, tiny, monkeypatch):
    query = Query([AnyOf("a star", "a fish")], ["red"])
    whole = search(query, tiny, demo_store, limit=70)
    asked = []
    ask = demo_store._ask
    monkeypatch.setattr(store_module, "_ANSWER", 60 * 1500)
    monkeypatch.setattr(demo_store, "_ask", lambda *a, **k: asked.append(k) or ask(*a, **k))
    assert names(search(query, tiny, demo_store, limit=70)) == names(whole)
    assert sum("limit" in each and "search_params" in each for each in asked) > 3
    vector = tiny.encode_texts(["a star"])[0]
    pages = demo_store.search(vector, 1000, output_fields=["vector"])
    monkeypatch.undo()
    assert [row["id"] for row in pages] == [row["id"] for row in demo_store.search(vector, 1000)]


def test_code_asks_it_again(query, demo_store, tiny):
    found = search(query, tiny, demo_store, limit=5)
    known = {"search": search, "Query": Query, "AnyOf": AnyOf, "encoder": tiny}
    assert names(eval(found.code, known | {"store": demo_store})) == names(found)


@pytest.fixture(scope="module")
def pool(demo_images, demo_store):
    """A table of the demo's drawings, and their vectors, in the same order."""
    rows = draw_demo_images(demo_images)
    stored = {row["filepath"]: row["vector"] for row in demo_store.rows(["filepath", "vector"])}
    return rows, np.array([stored[name] for name in rows["filepath"]], np.float32)


@pytest.mark.parametrize("weight", [None, 0.25, 1])
@pytest.mark.parametrize("shown", ["colour", "object"])
def test_a_picture_for_or_against_is_better_asked_than_not(pool, tiny, shown, weight):
    """An object in any colour but one, where a picture shows one of the two."""
    rows, vectors = pool
    pairs = rows[["object", "colour"]].drop_duplicates().sample(40, random_state=0)
    gains = []
    for thing, colour in pairs.itertuples(index=False):
        same = (rows["object"] == thing).to_numpy()
        right = same & (rows["colour"] != colour).to_numpy()
        picture = vectors[np.flatnonzero(same & ~right)[0]]
        like, away = (picture, colour) if shown == "object" else (with_article(thing), picture)
        asked = AnyOf(like, like), Query([like], [away if weight is None else (away, weight)])
        made = [Logic.of(parse(each), tiny, None, vectors, {}).ranking(vectors) for each in asked]
        if right.any():
            gains.append([right[np.argsort(-each)[: right.sum()]].mean() for each in made])
    alone, unlike = np.mean(gains, axis=0)
    print(f"{shown} by a picture, weight {weight}: alone {alone:.3f}, unlike {unlike:.3f}")
    assert unlike > alone + 0.02


def test_pictures_of_the_collection_are_not_encoded_again(
    demo_store, demo_images, tiny, monkeypatch
):
    paths = list_images(demo_images)[:2]
    monkeypatch.setattr(tiny, "encode_images", None)
    assert len(search(AnyOf(*paths), tiny, demo_store)) == 10
    assert len(search(Query(["a star"], paths), tiny, demo_store)) == 10


def test_a_second_request_is_made_only_if_the_first_is_not_sure(demo_store, tiny, monkeypatch):
    asked = []
    find = demo_store._search
    monkeypatch.setattr(demo_store, "_search", lambda *a, **k: asked.append(a[2]) or find(*a, **k))
    search(RED_STARS, tiny, demo_store)
    assert asked == [100]
    strict = Query(["a star"], [(colour, 9) for colour in ("red", "blue", "green", "yellow")])
    asked.clear()
    found = search(strict, tiny, demo_store, limit=40)
    assert asked == [160, 1000]
    monkeypatch.setattr(store_module, "_COMPARED", (1000, 1000))
    assert names(search(strict, tiny, demo_store, limit=40)) == names(found)
