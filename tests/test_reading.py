"""Phrases are in `phrases.txt`, beside this."""

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import Query
from helpers.collection.filters import build_filter
from helpers.query.queries import AnyOf

TODAY = date(2026, 11, 28)
TABLE = Path(__file__).with_name("phrases.txt").read_text(encoding="utf-8").splitlines()
PHRASES = [[cell.strip() for cell in line.split("|")] for line in TABLE if "|" in line[1:]][1:]


def written(terms) -> str:
    """Return terms as the table has them."""
    each = [" / ".join(term.terms) if isinstance(term, AnyOf) else term for term in terms]
    return " + ".join(each)


def sides(query) -> tuple[list, list]:
    """Return the terms of what was read, for and against."""
    return (query.like, query.unlike) if isinstance(query, Query) else ([query], [])


def as_a_row(phrase: str) -> list[str]:
    """Return what was read as the table has it."""
    reading = Query.read(phrase, TODAY)
    like, unlike = map(written, sides(reading.query))
    dates = " .. ".join(day or "" for day in reading.where.get("taken", ())).strip()
    return [phrase, "=" if like == phrase else like, unlike, dates]


@pytest.mark.parametrize("row", PHRASES, ids=[row[0] for row in PHRASES])
def test_a_phrase_is_read_as_the_table_says(row):
    assert as_a_row(row[0]) == row


def test_what_is_read_says_what_became_of_it():
    reading = Query.read("a dog, not black, in the snow, winter 2019", TODAY)
    assert reading.query == Query(["a dog, in the snow"], ["black"])
    assert reading.where == {"taken": ("2019-12-01", "2020-02-29")}
    assert reading.parts == (
        ("not black", "unlike black", True),
        ("winter 2019", "taken from 2019-12-01 until 2020-02-29", True),
    )


@pytest.mark.parametrize(
    ("phrase", "typed", "meaning"),
    [
        ("a star or a fish", "a star or a fish", "either a star or a fish"),
        ("a man, no hat or glasses", "no hat or glasses", "unlike hat or glasses"),
        ("a dog -black", "-black", "unlike black"),
        ('a "no parking" sign', '"no parking"', '"no parking" as it stands'),
        ("a dog since 2019", "since 2019", "taken from 2019-01-01"),
        ("a dog until June 2019", "until June 2019", "taken until 2019-06-30"),
    ],
)
def test_a_part_is_as_typed_and_says_what_it_means(phrase, typed, meaning):
    assert Query.read(phrase, TODAY).parts == ((typed, meaning, True),)


def test_what_is_taken_off_is_plain_words_again_and_can_be_put_back():
    phrase = "a dog,  not black, winter 2019"
    reading = Query.read(phrase, TODAY, literal=("not black",))
    assert reading.query == "a dog, not black"
    assert [part.on for part in reading.parts] == [False, True]
    assert reading.parts[0].typed == "not black"
    none = Query.read(phrase, TODAY, [part.typed for part in reading.parts])
    assert (none.query, none.where) == ("a dog, not black, winter 2019", {})
    whole = Query.read(phrase, TODAY, [phrase])
    assert whole == ("a dog, not black, winter 2019", {}, ((phrase, "plain words", False),))
    assert Query.read("a cat", TODAY, literal=("not black", "", "a")).query == "a cat"


def test_a_text_is_literal_unless_it_is_read_and_one_text_stays_one():
    assert Query.read("a dog, in the snow", TODAY) == ("a dog, in the snow", {}, ())
    assert Query.read("", TODAY).query == Query.read(" \n", TODAY).query == ""


@pytest.mark.parametrize("blank", ["\u00a0", "\t", "\n", "   ", "\u200b \u200b", "\u3000"])
def test_any_blank_is_one_and_what_is_not_seen_is_nothing(blank):
    assert Query.read(f"a dog{blank}not{blank}black", TODAY).query == Query(["a dog"], ["black"])


def test_dates_count_from_today_unless_another_day_is_named():
    today = str(date.today())
    assert today in Query.read("a dog today").where["taken"] or today != str(date.today())
    assert Query.read("a dog today", date(2020, 2, 29)).where["taken"][0] == "2020-02-29"


@pytest.mark.parametrize(
    "phrase", ["a dog before 2018, since 2019", "a dog since 2019 until 2018", "in 2018, in 2019"]
)
def test_dates_that_contradict_each_other_are_refused_and_both_are_named(phrase):
    first, second = re.findall(r"(?:before|since|until|in) \d{4}", phrase)
    with pytest.raises(ValueError, match=rf"no date suits .*{first} .*and {second} "):
        Query.read(phrase, TODAY)


@pytest.mark.parametrize(
    ("taken", "both"),
    [
        (("2018", None), ("2019-01-01", "2019-12-31")),
        (("2019-06", "2020"), ("2019-06", "2019-12-31")),
        (("2019-06-15 14:30", None), ("2019-06-15 14:30", "2019-12-31")),
        ("2019-06", ("2019-06", "2019-06")),
        ((None, None), ("2019-01-01", "2019-12-31")),
    ],
)
def test_the_dates_of_words_and_of_boxes_hold_together(taken, both):
    reading = Query.read("a dog in 2019", TODAY)
    asked = {"label": ["dogs"], "taken": taken}
    assert reading.within(asked) == {"label": ["dogs"], "taken": both}
    assert build_filter(reading.within(asked))
    assert asked["taken"] == taken


def test_conditions_of_one_side_alone_stay_as_they_are():
    label = {"label": "dogs"}
    assert Query.read("a dog in 2019", TODAY).within(label) == {
        "label": "dogs",
        "taken": ("2019-01-01", "2019-12-31"),
    }
    assert Query.read("a dog", TODAY).within(label | {"taken": 2019}) == label | {"taken": 2019}
    assert Query.read("a dog", TODAY).within(None) == {}


def test_words_and_boxes_that_contradict_each_other_are_both_named():
    reading = Query.read("a dog until 2018", TODAY)
    with pytest.raises(ValueError, match=r"words \(until 2018-12-31\) and .*\(from 2019\)"):
        reading.within({"taken": ("2019", None)})


PIECES = """a dog|the cat|red|big|fish|people|snow|black|in|on the|with|of|not|no|without|except|but
or|nor|neither|either|and|,|;|-|--|-cat|(|)|.|"|'|“|”|2019|June|in 2018|since|last week|before|to|5
winter 2017|until 2020|between|nobody|that is|don't|dog's|é|日本|no parking|yes or no|-5"""
some_phrases = st.lists(st.sampled_from(re.split("[|\n]", PIECES)), max_size=12).map(" ".join)


def read(phrase: str, literal=()):
    """Return what is read, or None where dates contradict each other."""
    try:
        return Query.read(phrase, TODAY, literal)
    except ValueError as error:
        if "no date suits all" in str(error):
            return None
        raise


@settings(deadline=None)
@given(st.one_of(some_phrases, st.text()))
def test_any_text_can_be_read_and_what_is_read_can_be_searched(phrase):
    if reading := read(phrase):
        like, unlike = sides(reading.query)
        for term in [*like, *unlike]:
            texts = term.terms if isinstance(term, AnyOf) else [term]
            assert all(text.strip() for text in texts) or not phrase.strip() or not reading.parts
        assert len(like) + len(unlike) >= 1
        assert isinstance(reading.query, Query) == (len(like) + len(unlike) > 1 or bool(unlike))
        assert "taken" not in reading.where or build_filter(reading.where)


@settings(deadline=None)
@given(some_phrases)
def test_no_word_is_lost(phrase):
    if reading := read(phrase):
        like, unlike = sides(reading.query)
        kept = " ".join([written(like), written(unlike), *(part.typed for part in reading.parts)])
        assert set(re.findall(r"\w+", phrase)) <= set(re.findall(r"\w+", kept))


@settings(deadline=None)
@given(some_phrases)
def test_with_all_parts_taken_off_the_words_are_as_typed(phrase):
    if reading := read(phrase):
        none = read(phrase, [part.typed for part in reading.parts])
        assert (none.query, none.where) == (" ".join(phrase.split()), {})
        assert not any(part.on for part in none.parts)


def test_a_long_text_is_read_as_well():
    for words in ("not ", "a dog, ", "red or ", "and ", "that is ", '"', "2019 ", "- "):
        read(words * 300)
    assert len(Query.read("a dog" + " -black" * 500, TODAY).query.unlike) == 500
