"""The bank of hard questions: whether what counts as right is right, and floors by kind."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import Query, draw_demo_images, search
from helpers.demo import questions
from helpers.demo.drawings import COUNTS, plural
from helpers.demo.questions import ABSENT, CHOOSING, HELD_OUT, hard_questions
from helpers.evaluation.judgements import Judgements, Pool, from_drawings, read_pool
from helpers.evaluation.measuring import Evaluation, by_kind, evaluate, nearest
from helpers.query.queries import AnyOf

KINDS = [*questions._KINDS]
FLOORS = {
    "plain": 0.97,
    "attribute": 0.97,
    "count": 0.65,
    "background": 0.97,
    "and, two": 0.9,
    "and, three": 0.75,
    "not a colour": 0.97,
    "not an object": 0.97,
    "not a background": 0.97,
    "and not": 0.95,
    "neither nor": 0.97,
    "not one of two": 0.97,
    "or": 0.97,
    "or, colours": 0.97,
    "or, but not": 0.97,
}
"""Of the mean R-precision as a query, a little below what was measured on the demo. There is none
for vague questions: the demo's model finds no more for them than chance."""
LOGIC = ["and, two", "not a colour", "not one of two", "or", "or, but not"]
SILENT = {"a", "an", "something", "thing", "things"}


@pytest.fixture(scope="module")
def rows(demo_images) -> pd.DataFrame:
    return draw_demo_images(demo_images)


@pytest.fixture(scope="module")
def asked(rows) -> dict[str, list]:
    """The questions about the demo's drawings, by kind."""
    every = hard_questions(rows)
    return {kind: [one for one in every if one.kind == kind] for kind in KINDS}


def shows(caption: str, term: str | tuple) -> bool:
    """Whether a drawing shows what a term says, by its caption."""
    if isinstance(term, tuple):
        return any(shows(caption, one) for one in term)
    things, tint = caption.removesuffix(" background").split(" on a", 1)
    term, _, ground = term.partition(" on a")
    if term.endswith("background"):
        term, ground = "something", term.removesuffix(" background").split(" ", 1)[1]
    ground = ground.removeprefix("n").removesuffix(" background").strip()
    known = {COUNTS[1], *things.split()} if things.startswith("a") else {*things.split()}
    known |= {one for one in questions.OBJECTS if plural(one) in known}
    return {*term.split()} - SILENT <= known and ground in ("", tint.removeprefix("n").strip())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_is_what_the_captions_say(rows, asked, kind):
    for one in asked[kind] if kind != "vague" else ():
        right = [
            place
            for place, caption in enumerate(rows["caption"])
            if all(shows(caption, term) for term in one.like)
            and not any(shows(caption, term) for term in one.unlike)
        ]
        assert list(one.wanted) == right, one


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_thirty_of_a_kind_or_all_that_there_are(asked, kind):
    fewer = {"plain": 20, "attribute": 12, "count": 4, "background": 12}
    assert len({one.words for one in asked[kind]}) == len(asked[kind]) == fewer.get(kind, 30)


@pytest.mark.parametrize("kind", KINDS)
def test_something_is_right_and_something_is_wrong(rows, asked, kind):
    for one in asked[kind]:
        assert (kind in ABSENT) != bool(one.wanted)
        assert len(one.wanted) < len(rows)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "not" in kind or "nor" in kind])
def test_what_is_not_wanted_would_be_right_else(rows, asked, kind):
    for one in asked[kind]:
        captions = [c for c in rows["caption"] if all(shows(c, term) for term in one.like)]
        for term in one.unlike:
            for part in term if isinstance(term, tuple) else (term,):
                assert any(shows(caption, part) for caption in captions), one


def test_a_seed_draws_the_same_questions_and_another_others(rows, asked):
    shuffled = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    same, other = (hard_questions(shuffled, each=3, seed=seed) for seed in (0, 1))
    first = [one for each in asked.values() for one in each[:3]]
    assert [one[:4] for one in same] == [one[:4] for one in first]
    assert len(other) == len(same) == 3 * len(KINDS)
    assert {one.words for one in other} != {one.words for one in same}


def test_no_weight_is_chosen_on_a_seed_that_is_held_out():
    assert len(CHOOSING) >= 3
    assert len(HELD_OUT) >= 3
    assert not {*CHOOSING} & {*HELD_OUT}


@pytest.fixture(scope="module")
def bank(demo_store) -> Judgements:
    """The hard questions as judgements, as queries."""
    return from_drawings(read_pool(demo_store))


@pytest.fixture(scope="module")
def found(bank, tiny) -> Evaluation:
    return evaluate(bank, tiny)


def by_kind_of(evaluation: Evaluation) -> pd.Series:
    return evaluation.values.groupby("kind")["R-precision"].mean()


@pytest.mark.parametrize("kind", FLOORS)
def test_the_demo_answers_a_kind_as_well_as_was_measured(found, kind):
    assert by_kind_of(found)[kind] >= FLOORS[kind]


def test_no_floor_holds_where_nothing_is_known(bank, tiny):
    """Among vectors drawn at random, and among those of other drawings."""
    bank = from_drawings(bank.pool, each=8)
    vectors, chance = bank.pool.vectors, np.random.default_rng(0)
    noise = chance.standard_normal(vectors.shape).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    for others in (noise, chance.permutation(vectors)):
        spoilt = evaluate(replace(bank, pool=replace(bank.pool, vectors=others)), tiny)
        assert (by_kind_of(spoilt)[[*FLOORS]] < pd.Series(FLOORS) - 0.1).all()


def test_a_typed_not_or_or_is_not_understood_and_a_query_is(bank, found, tiny):
    table = by_kind(evaluate(replace(bank, asked=()), tiny), found).table()
    assert [*table.index] == [kind for kind in KINDS if kind not in ABSENT]
    logic = [
        kind for kind in table.index if {*kind.replace(",", "").split()} & {"not", "nor", "or"}
    ]
    assert (table.loc[logic, "so as a query it is"] == "better").all()
    for same in ("plain", "attribute", "background", "vague"):
        assert table.loc[same, "typed"] == table.loc[same, "as a query"]
        assert table.loc[same, "so as a query it is"] == "no difference seen"


@pytest.mark.parametrize(
    "kind", ["and, two", "not a colour", "not one of two", "or", "or, but not"]
)
def test_an_evaluation_of_a_query_ranks_as_search_does(bank, found, tiny, demo_store, kind):
    number = [*bank.kinds].index(kind)
    hits = search(bank.asked[number], tiny, demo_store, limit=10)
    places = nearest(found, bank, number, 10)
    assert [hit.filepath for hit in hits] == [bank.pool.filepaths[place] for place in places]


def test_questions_become_queries_and_their_rows_places(bank, rows, asked):
    questions = [one for each in asked.values() for one in each]
    assert bank.kinds == [one.kind for one in questions]
    assert bank.queries == bank.groups == [one.words for one in questions]
    number = bank.kinds.index("not one of two")
    (thing,), ((one, other),) = questions[number].like, questions[number].unlike
    assert bank.asked[number] == Query([thing], [AnyOf(one, other)])
    assert bank.pool.filepaths != rows["filepath"].to_list()  # so that it matters
    for question, places in zip(questions, bank.relevant, strict=True):
        files = {bank.pool.filepaths[place] for place in places}
        assert files == set(rows.loc[list(question.wanted), "filepath"])


def test_what_is_no_drawing_is_wrong_for_all_questions(bank):
    pool = bank.pool
    mixed = Pool(["mine.jpg", *pool.filepaths], ["", *pool.labels], pool.vectors, pool.folder)
    before, after = (from_drawings(each, each=2).relevant for each in (pool, mixed))
    for places, others in zip(after, before, strict=True):
        assert (places == others + 1).all()


@pytest.mark.parametrize("listed", [None, "file,caption\na.jpg,a dog\n", '\xff\0\n"a'])
def test_of_other_photos_no_hard_question_is_known_and_it_says_so(tmp_path, listed):
    if listed:
        (tmp_path / "captions.csv").write_text(listed, encoding="latin-1")
    made = from_drawings(Pool(["a.jpg"], [""], np.eye(1, 8, dtype=np.float32), tmp_path))
    assert len(made) == 0
    assert "0 queries" in repr(made)
    assert "is known of the drawings alone" in repr(made)
