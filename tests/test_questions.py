"""The bank of hard questions: what is asked, and whether what counts as right is right."""

import pandas as pd
import pytest

from helpers import draw_demo_images
from helpers.demo import questions
from helpers.demo.drawings import COUNTS, plural
from helpers.demo.questions import ABSENT, CHOOSING, HELD_OUT, hard_questions

KINDS = [*questions._KINDS]
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
    assert hard_questions(rows, seed=0) == [one for each in asked.values() for one in each]
    other = hard_questions(rows, each=3, seed=1)
    assert len(other) == 3 * len(KINDS)
    assert {one.words for one in other if one.kind == "not a colour"} != {
        one.words for one in asked["not a colour"][:3]
    }


def test_no_weight_is_chosen_on_a_seed_that_is_held_out():
    assert len(CHOOSING) >= 3
    assert len(HELD_OUT) >= 3
    assert not {*CHOOSING} & {*HELD_OUT}
