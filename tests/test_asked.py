"""A question of the panel: as a search, as chips, as parameters, as an address."""

import json
import shlex
from dataclasses import fields, replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import Query, ingest, list_images
from helpers.query.queries import BAD, GOOD, parse
from helpers.views.asked import Asked, suggestions


@pytest.fixture
def photos(drawings) -> list[Path]:
    return list_images(drawings)


@pytest.fixture
def whole(photos) -> Asked:
    """A question in which everything is set."""
    return Asked(
        query_text="a fish & chips, not salt, not 50 % off?",
        literal=("not 50 % off?",),
        query_image=photos[0],
        unlike="50 % off?",
        labels=("two red apples", "Café"),
        taken_from="2019-06",
        taken_to="2020",
        camera="Pen",
        name="red*1",
        sort_by="taken",
        templates=True,
        judged={photos[1]: 1.0, photos[2]: -0.5},
    )


def asks(asked: Asked) -> str:
    return parse(asked.query).code()


def test_everything_that_can_be_set_is_set_here(whole):
    assert all(getattr(whole, each.name) != each.default for each in fields(whole))


def test_a_question_becomes_one_search(drawings, encoder, store, photos):
    ingest(drawings, encoder, store, progress=False)
    label = photos[0].parent.name
    asked = Asked("a star", taken_from="2000", camera="enc", name=label, labels=(label,))
    found = asked.search(encoder, store, limit=20, offset=2)
    assert len(found) == 8
    assert {hit.label for hit in found} == {label}
    assert {hit.camera for hit in found} == {"Pencil"}
    assert len(Asked("a star", taken_to="1999").search(encoder, store, limit=10)) == 0
    newest = Asked("a star", sort_by="taken").search(encoder, store, limit=10)
    newest = [hit.taken for hit in newest]
    assert newest == sorted(newest, reverse=True)


def test_words_to_stay_away_from_have_half_a_weight_wherever_they_are_asked_again(drawings):
    asked = Asked("a star", unlike="red")
    parameters, address = asked.parameters(drawings), asked.address(drawings)
    again = [
        asked.query,
        eval(parse(asked.query).code(), {"Query": Query}),
        Query.of(parameters["query_text"], unlike=parameters["unlike"]),
        Asked.at(address, drawings).query,
        Asked.at("query_text=a+star&unlike=red", None).query,  # as earlier versions wrote it
    ]
    assert again == [Query(["a star"], ["red"])] * 5
    assert parse(again[0]).weights == (1, -0.5)
    assert asked.chips() == [{"id": "unlike", "text": "unlike red"}]


def test_words_pictures_and_thumbs_are_one_query(whole, photos):
    whole = replace(whole, query_text="a fish & chips")
    assert whole.query == Query(
        ["a fish & chips", photos[0], (photos[1], GOOD)], ["50 % off?", (photos[2], BAD / 2)]
    )
    judged = {photos[1]: 1.0, photos[2]: 2.0}
    assert Asked(judged=judged).query == Query([(photos[1], GOOD / 2), (photos[2], GOOD)], [])


def test_each_chip_can_be_taken_away_until_the_words_are_left(whole):
    whole = replace(whole, query_text="a fish & chips", literal=())
    chips = whole.chips()
    assert [chip["text"] for chip in chips][1:8] == [
        "unlike 50 % off?",
        "from 2019-06",
        "until 2020",
        "camera Pen",
        "name has red*1",
        "two red apples",
        "Café",
    ]
    assert [chip.get("weight") for chip in chips[8:]] == [1.0, 0.5, None]
    assert [bool(chip.get("picture")) for chip in chips].count(True) == 3
    assert len({chip["id"] for chip in chips}) == len(chips)
    asked = whole
    for number in range(len(chips), 0, -1):
        assert len(asked.chips()) == number
        asked = asked.without(asked.chips()[-1]["id"])
    assert asked == Asked("a fish & chips", templates=True)


def test_what_is_read_is_a_chip_and_plain_words_again_without_it_and_read_again_after_that():
    asked = Asked("a star, not red")
    assert asks(asked) == "Query(like=['a star'], unlike=['red'])"
    (chip,) = asked.chips()
    assert chip["text"] == "unlike red"
    assert not chip.get("off")
    plain = asked.without(chip["id"])
    assert asks(plain) == "'a star, not red'"
    assert (plain.query_text, plain.literal) == ("a star, not red", ("not red",))
    (again,) = plain.chips()
    assert again["off"]
    assert again["text"] == "not red"
    assert (again["id"], plain.without(again["id"])) == (chip["id"], asked)


def test_of_several_chips_each_is_taken_off_alone():
    asked = Asked("a star, not red, not black, since 2019")
    first, second, third = [chip["id"] for chip in asked.chips()]
    one = asked.without(second)
    assert [bool(chip.get("off")) for chip in one.chips()] == [False, True, False]
    assert one.without(first).without(second) == asked.without(first)
    none = asked.without(third).without(first).without(second)
    assert none == asked.without(first).without(second).without(third)
    assert asks(none) == asks(Asked.plainly(asked.query_text))
    assert asks(none) == repr(asked.query_text)


@pytest.mark.parametrize("label", ["no parking", "black or white", "not sure", "a star"])
def test_a_label_is_asked_as_it_is(label):
    assert asks(Asked.plainly(label)) == repr(label)


def test_dates_in_the_words_and_in_the_boxes_count_together(drawings, encoder, store):
    ingest(drawings, encoder, store, progress=False)
    found = Asked("a star, since 2010", taken_to="2020").search(encoder, store, limit=50)
    assert 0 < len(found) < 50
    assert all(2010 <= hit.taken.year <= 2020 for hit in found)
    assert found.question.title == "a star"
    with pytest.raises(ValueError, match=r"2010.*2000|2000.*2010"):
        Asked("a star, since 2010", taken_to="2000").search(encoder, store, limit=5)


def test_a_chip_says_nothing_about_where_a_photo_is(whole, drawings):
    assert str(drawings) not in str([chip | {"picture": ""} for chip in whole.chips()])


def test_a_picture_that_cannot_be_read_is_a_chip_without_one(tmp_path):
    (tmp_path / "gone.jpg").write_bytes(b"no image")
    (chip,) = Asked(query_image=tmp_path / "gone.jpg").chips()
    assert chip["text"] == "like gone.jpg"
    assert not chip["picture"]


def test_the_parameters_are_those_of_03_search(whole, drawings, photos):
    parameters = whole.parameters(drawings)
    assert parameters["query_image"] == photos[0].relative_to(drawings).as_posix()
    assert parameters["labels"] == ["two red apples", "Café"]
    assert parameters["literal"] == ["not 50 % off?"]
    assert {"camera", "name", "judged"}.isdisjoint(parameters)
    assert whole.parameters(Path("elsewhere"))["query_image"] == photos[0].as_posix()
    assert Asked().parameters(None) == {"query_text": ""}


def test_a_command_asks_the_same_or_says_that_none_does(whole):
    asked = Asked("it's 5 o'clock", taken_from="2019")
    command = asked.papermill(asked.parameters(None))
    *_, values = shlex.split(command)
    assert json.loads(values) == {"query_text": "it's 5 o'clock", "taken_from": "2019"}
    assert "no parameter for camera and name and judged" in whole.papermill({})


def test_an_address_says_the_same(whole, drawings):
    assert whole.literal
    assert Asked.at(whole.address(drawings), drawings) == whole
    assert Asked().address(drawings) == ""


texts = st.lists(st.text(min_size=1), unique=True).map(tuple)


@given(st.text(), texts, st.text(), texts)
def test_any_text_survives_an_address(words, literal, unlike, labels):
    asked = Asked(words, literal, unlike=unlike, labels=labels)
    assert Asked.at(asked.address(None), None) == asked


@pytest.mark.parametrize(
    "address",
    [
        urlencode({"query_image": "../../etc/passwd"}),
        urlencode({"query_image": "/etc/passwd"}),
        urlencode({"query_image": "gone.jpg"}),
        urlencode({"judged": "1 ../../etc/passwd"}),
        urlencode({"judged": "nan 1.jpg"}),
        urlencode({"judged": "inf two red apples/two-red-apples-01.jpg"}),
        urlencode({"judged": "0 two red apples/two-red-apples-01.jpg"}),
        urlencode({"query_image": "\0"}),
        "sort_by=size",
        "%ff&&==&query_image",
        "token=secret&theme=dark",
    ],
)
def test_an_address_that_somebody_made_up_leads_nowhere(address, drawings):
    assert Asked.at(address, drawings) == Asked()


def test_an_address_tells_nothing_of_an_image_elsewhere(whole):
    assert not {"query_image", "judged"} & set(parse_qs(whole.address(Path("elsewhere"))))


def test_a_chip_stays_the_same_when_another_goes(photos):
    """Clicks may wait for a busy kernel while the chips that were clicked are still to be seen."""
    asked = Asked("a fish", judged={photos[0]: 1, photos[1]: -1, photos[2]: 1})
    first, second, _ = [chip["id"] for chip in asked.chips()]
    assert asked.without(first).without(second).judged == {photos[2]: 1}
    weighed = asked.without(first).weighed(second, 2)
    assert weighed.judged == {photos[1]: -2, photos[2]: 1}
    assert weighed.weighed(first, 5) == weighed
    assert not any(str(photos[0].parent) in str(chip["id"]) for chip in asked.chips())


@pytest.mark.parametrize(
    ("labels", "suggested"),
    [
        ([f"blue_fish {i}" for i in range(100)], [f"blue fish {i}" for i in (0, 25, 50, 75)]),
        (["cats", "dogs"], ["cats", "dogs"]),
        (["2019", "2020", "Norway"], ["Norway"]),
        ([], ["people", "food", "a building", "outdoors"]),
        (["2019", "12"], ["people", "food", "a building", "outdoors"]),  # as flat as without
    ],
)
def test_what_to_begin_with_are_some_labels_that_are_words_or_else_general_texts(labels, suggested):
    assert suggestions(labels) == suggested
