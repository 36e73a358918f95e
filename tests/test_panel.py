import html
import io
import os
import re
import shutil
import struct
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
from PIL import Image

from helpers import ImageStore, Query, SearchPanel, ingest, list_images, search
from helpers.query.chance import WAYS
from helpers.views import panel as panel_module
from helpers.views.asked import Asked


@pytest.fixture
def filled(drawings, encoder, store):
    ingest(drawings, encoder, store, progress=False)
    return store


@pytest.fixture
def panel(encoder, filled, tmp_path):
    return SearchPanel(encoder, filled, upload_dir=tmp_path / "uploads")


@pytest.fixture
def sent(panel, monkeypatch) -> list:
    """What the page gets as messages."""
    messages: list = []

    def send(content, _buffers=None):
        messages.extend([content] if {"done", "thumbs"}.isdisjoint(content) else [])

    monkeypatch.setattr(panel.results, "send", send)
    return messages


def names(panel) -> list[str]:
    return [photo["name"] for photo in panel.results.photos]


def ask(panel, name: str, /, **more) -> None:
    """Do what the page does at a click."""
    content = {"ask": name, "number": panel.results.number, **more}
    panel.results._handle_custom_msg(content, more.pop("buffers", []))


def upload(panel, name: str, content: bytes, piece: int = 1000) -> None:
    """Do what the page does with a file: send it in pieces."""
    for start in range(0, len(content) or 1, piece):
        where = {"first": start == 0, "last": start + piece >= len(content)}
        asked = {"ask": "upload", "name": name, "number": panel.results.number, **where}
        panel.results._handle_custom_msg(asked, [memoryview(content[start : start + piece])])


def png(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_click_shows_as_many_pictures_as_asked_for(panel):
    panel.query.value = "a red star"
    panel.limit.value = 7
    panel.button.click()
    assert len(names(panel)) == 7
    assert "a red star: 7 images in" in panel.results.status


def test_enter_searches_again_if_something_has_changed(panel):
    panel.query.value = "a fish"
    number = panel.results.number
    ask(panel, "enter")
    assert panel.results.number == number
    ask(panel, "judge", place=1, sign=1)
    ask(panel, "enter")
    assert panel.results.number == number + 1


def test_enter_in_the_box_searches(panel):
    assert names(panel) == []
    panel.query.value = "a fish"  # what the browser sends at Enter
    assert len(names(panel)) == 50
    assert not panel.query.continuous_update


def test_all_parts_make_one_query(panel, encoder, filled, drawings):
    path = list_images(drawings)[4]
    panel.image = path
    panel.form.unlike.value = "a fish"
    panel.form.templates.value = True
    panel.labels = (path.parent.name,)
    panel.query.value = "a star"
    expected = panel.asked.search(encoder, filled, limit=50)
    assert panel.found.hits == expected.hits
    assert panel.found.code == expected.code
    assert {hit.label for hit in panel.found} == {path.parent.name}


def test_more_like_this_takes_the_picture_as_the_query(panel, encoder, filled):
    panel.query.value, panel.form.unlike.value = "a fish", "a star"
    chosen = panel.found[2]
    ask(panel, "like", place=2)
    assert panel.asked == Asked(query_image=chosen.path)
    assert panel.found.hits == search(chosen.path, encoder, filled, limit=50).hits
    assert panel.results.chips[0]["text"] == f"like {chosen.path.name}"
    assert panel.results.chips[0]["picture"].startswith("data:image/jpeg")
    panel.query.value = "a fish"
    assert panel.found.query == Query(["a fish", chosen.path], [])
    ask(panel, "drop", id="query_image")
    assert panel.found.query == Query(["a fish"], [])
    assert panel.results.chips == []


def test_labels_are_typed_and_each_is_taken_once(panel, drawings):
    labels = sorted({path.parent.name for path in list_images(drawings)})
    assert list(panel.form.label.options) == labels
    panel.query.value = "a fish"
    for label in (labels[1], labels[3], labels[1]):
        panel.form.label.value = label
    assert panel.labels == (labels[1], labels[3])
    assert panel.form.label.value in ("", labels[1])
    assert {hit.label for hit in panel.found} == {labels[1], labels[3]}
    panel.form.label.value = "nothing"
    assert "no photo has the label 'nothing'" in html.unescape(panel.message.value)
    ask(panel, "drop", id=f"labels:{labels[1]}")
    assert {hit.label for hit in panel.found} == {labels[3]}


@pytest.fixture
def named(encoder, store, drawings, tmp_path):
    """Four photos with labels that are not typed as they are."""
    labels = ["Blue Bird", "red_star ", "two\nfish", "Möwe", "straße\u200f"]
    for label, path in zip(labels, list_images(drawings)[::9], strict=False):
        (tmp_path / "images" / label).mkdir(parents=True)
        shutil.copy(path, tmp_path / "images" / label)
    ingest(tmp_path / "images", encoder, store, progress=False)
    return store


LABELS = {
    "blue bird": "Blue Bird",
    "  BLUE\u00a0 BIRD": "Blue Bird",
    "\u200eblue bird": "Blue Bird",
    "red star": "red_star ",
    "red_star": "red_star ",
    "two fish": "two\nfish",
    "mo\u0308we": "Möwe",
    "STRASSE": "straße\u200f",
}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_a_label_is_found_whatever_its_capitals_and_blanks(encoder, named):
    panel = SearchPanel(encoder, named, query_text="a fish")
    for typed, label in LABELS.items():
        panel.labels = ()
        panel.form.label.value = typed
        assert (panel.labels, panel.form.label.value, panel.message.value) == ((label,), "", "")
        assert {hit.label for hit in panel.found} == {label}
        address = urlencode({"query_text": "a fish", "labels": typed})
        assert SearchPanel(encoder, named, address=address).found.hits == panel.found.hits
        panel.labels = ()
        ask(panel, "visit", address=address)
        assert panel.labels == (label,)


def test_a_label_that_came_after_the_panel_is_found(encoder, store, drawings, tmp_path):
    shutil.copytree(drawings / "red star", tmp_path / "images" / "red star")
    ingest(tmp_path / "images", encoder, store, progress=False)
    panel = SearchPanel(encoder, store, query_text="a fish")
    panel.form.label.value = "blue bird"
    assert "no photo has the label 'blue bird'" in html.unescape(panel.message.value)
    shutil.copytree(drawings / "blue bird", tmp_path / "images" / "blue bird")
    ingest(tmp_path / "images", encoder, store, progress=False)
    panel.form.label.value = "Blue bird"
    assert panel.labels == ("blue bird",)
    assert {hit.label for hit in panel.found} == {"blue bird"}


def test_labels_that_differ_in_capitals_are_both_meant_unless_one_is_typed(panel, monkeypatch):
    monkeypatch.setattr(panel._store, "labels", lambda: ["Dog", "dog", "cat"])
    panel.form.label.value = "DOG"
    assert panel.labels == ("Dog", "dog")
    panel.labels = ()
    panel.form.label.value = "dog"
    assert panel.labels == ("dog",)


def test_more_goes_on_where_the_first_ones_end(panel, sent, encoder, filled):
    panel.limit.value = 7
    panel.query.value = "a fish"
    assert panel.results.more
    ask(panel, "more", first=7)
    (added,) = sent
    expected = search("a fish", encoder, filled, limit=50)
    assert names(panel) + [photo["name"] for photo in added["add"]] == [
        Path(hit.filepath).name for hit in expected
    ]
    assert not added["more"]
    ask(panel, "more", first=7)  # another page, which has seven as well
    assert sent[-1] == added


def test_more_may_be_none_though_photos_are_chosen(panel, sent):
    """Nobody knows that 50 of 50 are all, until one asks."""
    panel.query.value = "a fish"
    assert panel.results.more
    ask(panel, "choose", places=[1])
    ask(panel, "more", first=50)
    assert (sent[-1]["add"], sent[-1]["first"], sent[-1]["more"]) == ([], 50, False)


def test_more_belongs_to_the_question_that_was_asked(panel, sent, encoder, filled):
    """Not to what stands in the boxes since."""
    panel.limit.value = 7
    panel.query.value = "a fish"
    panel._settling = True
    panel.query.value = "a star"
    ask(panel, "more", first=7)
    expected = search("a fish", encoder, filled, limit=43, offset=7)
    assert [photo["path"] for photo in sent[0]["add"]] == [str(hit.path) for hit in expected]


def test_thumbs_are_chips_until_the_next_search_takes_them(panel, encoder, filled):
    panel.query.value = "a fish"
    good, bad = panel.found[1].path, panel.found[2].path
    before = panel.found
    ask(panel, "judge", place=1, sign=1)
    ask(panel, "judge", place=2, sign=-1)
    assert panel.found is before
    assert [chip["text"] for chip in panel.results.chips] == [
        f"more like {good.name}",
        f"less like {bad.name}",
    ]
    assert "Search again" in panel.results.status
    panel.button.click()
    assert panel.found.hits == panel.asked.search(encoder, filled, limit=50).hits
    assert panel.found.hits != before.hits
    judged = {panel.found[int(place)].path: sign for place, sign in panel.results.judged.items()}
    assert judged == {good: 1, bad: -1}
    ask(panel, "weigh", id=panel.results.chips[1]["id"], weight=2)
    assert panel.judged == {good: 1, bad: -2}
    ask(panel, "judge", place=names(panel).index(good.name), sign=1)  # again: no longer
    assert panel.judged == {bad: -2}
    panel.query.value = ""
    ask(panel, "drop", id=panel.results.chips[0]["id"])  # nothing is left to search for
    assert panel.results.judged == {}


def test_judged_photos_become_a_file_that_05_reads(panel, sent, filled, tmp_path):
    from helpers.evaluation.judgements import from_csv

    panel.query.value = 'a "fish", or not'
    good, bad = panel.found[1], panel.found[2]
    ask(panel, "judge", place=1, sign=1)
    ask(panel, "judge", place=2, sign=-1)
    panel.form.save_thumbs.click()
    (tmp_path / "judged.csv").write_text(sent[-1]["text"], encoding="utf-8", newline="")
    read = from_csv(filled, tmp_path / "judged.csv")
    assert read.queries == ['a "fish", or not']
    found = [read.pool.filepaths[places[0]] for places in (read.relevant[0], read.wrong[0])]
    assert found == [good.filepath, bad.filepath]


def test_what_was_read_is_a_chip_that_can_be_taken_off_and_is_in_the_way_of_no_other_words(panel):
    panel.query.value = "a star, not red"
    read = panel.found
    assert read.question.title == "a star, unlike red"
    (chip,) = panel.results.chips
    assert chip["text"] == "unlike red"
    ask(panel, "drop", id=chip["id"])
    assert panel.query.value == "a star, not red"
    assert panel.literal == ("not red",)
    assert panel.found.question.title == "a star, not red"
    panel.query.value = "a blue star, not red"  # the phrase is still there
    assert panel.found.question.title == "a blue star, not red"
    panel.query.value = "a star"
    panel.query.value = "a star, not red"
    assert panel.found.hits == read.hits
    panel.form.back.click()
    panel.form.back.click()
    assert panel.found.question.title == "a blue star, not red"
    assert panel.results.chips[0]["off"]
    ask(panel, "drop", id=panel.results.chips[0]["id"])
    assert panel.found.question.title == "a blue star, unlike red"


def test_the_lines_and_the_address_know_what_was_taken_off(panel, encoder, filled):
    panel.query.value = "a star, not red, not blue, since 2000"
    ask(panel, "drop", id=panel.results.chips[1]["id"])
    assert panel.parameters["query_text"] == "a star, not red, not blue, since 2000"
    assert panel.parameters["literal"] == ["not blue"]
    given = {"search": search, "Query": Query, "encoder": encoder, "store": filled}
    assert eval(panel.found.code, given).hits == panel.found.hits
    other = SearchPanel(encoder, filled, visitors=True, address=panel.results.address)
    assert other.asked == panel.asked
    assert other.found.hits == panel.found.hits
    ask(other, "visit", address="query_text=a+star&literal=not+blue")
    assert other.asked == Asked("a star")
    assert parse_qs(other.results.address) == {"query_text": ["a star"]}


def test_dates_that_contradict_each_other_are_said_and_the_pictures_stay(panel):
    panel.query.value = "a star, since 2010"
    before = names(panel)
    panel.form.taken_to.value = "2000"
    assert {"2010", "2000"} <= set(re.findall(r"\d{4}", panel.message.value))
    assert names(panel) == before
    ask(panel, "drop", id=panel.results.chips[0]["id"])
    assert "2010" not in panel.message.value
    assert panel.found.question.title == "a star, since 2010"
    panel.form.taken_to.value = ""
    panel.query.value = "a star, since 2012, before 2003"
    assert {"2012", "2003"} <= set(re.findall(r"\d{4}", panel.message.value))
    assert panel.found.question.title == "a star, since 2010"


def test_a_suggestion_is_asked_as_it_is_even_if_it_could_be_read(encoder, filled, monkeypatch):
    monkeypatch.setattr(panel_module, "suggestions", lambda labels: ["not sure", "no parking"])
    panel = SearchPanel(encoder, filled, visitors=True)
    assert panel.found.question.title == "not sure"
    _, tries, _ = panel.form.widget.children
    tries.children[2].click()
    assert panel.found.question.title == panel.query.value == "no parking"
    panel.query.value = "not sure"  # typed
    assert panel.found.question.title == "unlike sure"


def test_one_goes_back_and_forward_through_the_questions(panel):
    panel.query.value = "a fish"
    panel.form.unlike.value = "a star"
    ask(panel, "like", place=0)
    asked = panel.asked
    back, forward = panel.form.back, panel.form.forward
    assert (back.disabled, forward.disabled) == (False, True)
    back.click()
    assert panel.asked == Asked("a fish", unlike="a star")
    back.click()
    assert panel.asked == Asked("a fish")
    assert "a fish: " in panel.results.status
    back.click()
    assert (back.disabled, forward.disabled) == (True, False)
    forward.click()
    forward.click()
    assert panel.asked == asked
    back.click()
    panel.query.value = "a heart"  # from here on there is another way forward
    assert (back.disabled, forward.disabled) == (False, True)


def test_the_address_asks_the_same_question(panel, encoder, filled, tmp_path):
    panel.query.value = "a fish & chips"
    panel.form.taken_from.value = "2000"
    ask(panel, "judge", place=1, sign=1)
    panel.button.click()
    address = panel.results.address
    assert parse_qs(address)["query_text"] == ["a fish & chips"]
    other = SearchPanel(encoder, filled, visitors=True, address=address)
    assert other.asked == panel.asked
    assert other.found.hits == panel.found.hits
    ask(other, "visit", address="query_text=a+star")
    assert other.asked == Asked("a star")
    ask(other, "visit", address="")  # where the page was when it was opened
    assert other.asked == panel.asked


def test_an_uploaded_image_is_the_query_and_can_be_asked_for_again(panel, tmp_path):
    upload(panel, "my dog's <b>.png", png())
    kept = panel.image
    assert kept.parent == tmp_path / "uploads"
    assert kept.read_bytes() == png()
    assert panel.found.query == Query([kept], [])
    assert panel.parameters["query_image"] == kept.as_posix()
    assert panel.parameters["query_text"] == ""
    upload(panel, "other.png", png(1), piece=10**6)
    assert panel.image.read_bytes() == png(1)
    upload(panel, "my dog's <b>.png", png())
    assert panel.image == kept


@pytest.mark.parametrize("name", ["../../evil.png", "a/b\\c:d?.png", "\0.png", "x" * 300, "😀"])
def test_an_uploads_name_leads_nowhere_else(panel, tmp_path, name):
    upload(panel, name, png())
    assert panel.image.parent == tmp_path / "uploads"
    assert len(panel.found) == 50


@pytest.mark.parametrize("content", [b"no image at all", b""])
def test_an_upload_that_is_no_image_is_refused_and_the_pictures_stay(panel, tmp_path, content):
    panel.query.value = "a fish"
    before = names(panel)
    upload(panel, "words.txt", content)
    says = "words.txt: the file is empty" if not content else "cannot be read as an image"
    assert says in panel.message.value
    assert names(panel) == before
    assert panel.image is None
    assert list((tmp_path / "uploads").iterdir()) == []


def png_of(width: int, pixels: bytes, checksum: int = 0) -> bytes:
    """Return a PNG that says that it is so wide and high."""
    content = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data) ^ (checksum if kind == b"IDAT" else 0))
    return content


@pytest.mark.filterwarnings("ignore::RuntimeWarning:PIL")  # as `pictures` does
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (png_of(60_000, b""), "it has too many pixels"),
        (png_of(15_000, b""), "it has too many pixels"),
        (png_of(4, b"1" * 52, checksum=5), "it is damaged"),
    ],
    ids=["bomb", "small bomb", "damaged"],
)
def test_an_upload_is_refused_in_words_of_who_sent_it(panel, content, says):
    upload(panel, "my photo.png", content, piece=10**6)
    assert f"my photo.png: cannot be read as an image ({says}" in panel.message.value
    for words in ("DOS", "exceeds limit", "checksum", "Errno"):
        assert words not in panel.message.value


def test_an_upload_that_ended_too_early_is_forgotten(panel, tmp_path):
    where = {"name": "lost.png", "first": True, "last": False}
    panel.results._handle_custom_msg({"ask": "upload", **where}, [memoryview(png(1)[:100])])
    upload(panel, "a.png", png())
    assert [path.read_bytes() for path in (tmp_path / "uploads").iterdir()] == [png()]


def test_the_way_to_ask_that_the_collection_keeps_is_said(panel, filled, monkeypatch):
    way = {"name": [*WAYS][-1], "words": "texts in another way: +0.04 on 60 queries"}
    monkeypatch.setattr(type(filled), "way", way)
    panel.query.value = "a green tree"
    panel.button.click()
    assert way["words"] in panel.message.value
    assert panel.found.way == way["words"]


def test_an_error_is_shown_and_the_pictures_stay(panel):
    panel.query.value = "a fish"
    before = names(panel)
    panel.query.value = "  "
    assert "the query is blank" in panel.message.value
    assert panel.results.said in html.unescape(panel.message.value)
    assert names(panel) == before
    assert not panel.results.busy
    panel.query.value = "a star"
    assert panel.message.value == ""


@pytest.mark.parametrize(
    ("part", "typed", "says"),
    [
        ("taken_from", "june", "'june' is not a date"),
        ("taken_to", "2019-13", "not a date"),
        ("limit", 0, "at least 1"),
        ("limit", 20_000, "16,384"),
        ("limit", 3.7, "3.7"),
        ("limit", float("nan"), "nan"),
        ("limit", 1e300, "1e+300"),
    ],
)
def test_what_is_typed_and_cannot_be_is_said(panel, part, typed, says):
    panel.query.value = "a fish"
    before = names(panel)
    getattr(panel.form, part).value = typed
    assert says in html.unescape(panel.message.value)
    assert names(panel) == before


def test_what_the_page_itself_finds_wrong_is_said(panel):
    ask(panel, "say", text="1.5: Please enter a valid value")
    assert "1.5: Please enter a valid value" in panel.message.value


def test_an_answer_that_fails_is_seen(panel, monkeypatch):
    def fail():
        raise LookupError("no more")

    panel.results._answers["enter"] = fail
    ask(panel, "enter")
    assert "no more" in panel.message.value
    assert panel.results.said == "no more"


MADE_UP = [
    ("judge", {"place": 0, "sign": 1e300}),
    ("judge", {"place": 0, "sign": float("nan")}),
    ("judge", {"place": 0, "sign": 0}),
    ("judge", {"place": 50, "sign": 1}),
    ("judge", {"place": 0.5, "sign": 1}),
    ("judge", {"place": 0}),
    ("like", {"place": -1}),
    ("weigh", {"id": "judged", "weight": 1e300}),
    ("weigh", {"id": "judged", "weight": float("nan")}),
    ("weigh", {"id": "judged", "weight": 0}),
    ("weigh", {"id": "judged", "weight": "2"}),
    ("weigh", {"id": "gone", "weight": 2}),
    ("weigh", {"id": ["judged"], "weight": 2}),
    ("drop", {"id": "query"}),
    ("drop", {"id": "__class__"}),
    ("drop", {"id": None}),
    ("more", {"first": 1e300}),
    ("more", {"first": -3}),
    ("more", {"first": 10**9}),
    ("visit", {"address": 5}),
    ("visit", {"address": {"query_text": "a star"}}),
    ("say", {"text": None}),
    ("say", {"text": "x", "failed": "yes"}),
    ("upload", {"name": "x.png", "first": True, "last": True}),
    ("upload", {"name": "x.png", "first": True, "last": True, "content": "text"}),
    ("upload", {"name": 5, "first": 1, "last": 1, "content": [1]}),
]


def test_what_no_page_of_ours_asks_is_only_logged(panel, caplog):
    panel.query.value = "a fish"
    ask(panel, "judge", place=3, sign=1)
    (chip,) = panel.results.chips
    before = panel.asked, panel.results.number, panel.message.value
    for name, content in MADE_UP:
        caplog.clear()
        chosen = {"id": chip["id"]} if content.get("id") == "judged" else {}
        ask(panel, name, **content | chosen)
        assert (panel.asked, panel.results.number, panel.message.value) == before, (name, content)
        assert "not heard: " in caplog.text, (name, content)
    panel.button.click()
    assert panel.message.value == ""


def test_a_message_about_photos_that_are_gone_is_not_heard(panel, sent):
    panel.query.value = "a fish"
    panel.results._handle_custom_msg(
        {"ask": "thumbs", "number": panel.results.number - 1, "places": [0], "height": 256}, []
    )
    assert sent == []


@pytest.mark.parametrize(("typed", "number"), [(3.0, 3), (1e1, 10), ("7", 7)])
def test_a_number_of_photos_may_be_written_in_any_way(panel, typed, number):
    panel.query.value = "a fish"
    panel.limit.value = typed
    assert len(names(panel)) == number
    assert panel.parameters["limit"] == number


def test_what_is_typed_is_only_text(panel):
    panel.query.value = "<script>alert(1)</script>"
    panel.form.unlike.value = "</code><script>alert(2)</script>"
    for part in (panel.message, panel.code):
        assert "<script>" not in part.value
    assert "&lt;script&gt;" in panel.code.value


def test_an_empty_collection_says_what_to_do(encoder, store):
    panel = SearchPanel(encoder, store, query_text="a star")
    assert "run 02_ingestion" in panel.message.value
    assert names(panel) == []


def test_a_filter_that_leaves_nothing_says_so(panel):
    panel.labels = ("gone",)
    panel.query.value = "a fish"
    assert "No image has the label" in panel.message.value
    assert names(panel) == []
    panel.labels = ()
    panel.form.name.value = "no such name"
    assert "No image passes these filters" in panel.message.value


def test_any_failure_is_seen(panel, store):
    store.close()
    panel.query.value = "a star"
    assert "was closed" in panel.message.value


def test_a_picture_that_is_gone_is_in_the_way_of_nothing(encoder, store, drawings, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(drawings, images)
    ingest(images, encoder, store, progress=False)
    panel = SearchPanel(encoder, store, query_text="a fish")
    gone, judged = panel.found[2], panel.found[3]
    ask(panel, "judge", place=3, sign=1)
    for hit in (gone, judged):
        hit.path.unlink()
    before = names(panel)
    ask(panel, "like", place=2)
    assert f"{gone.path.name} is gone" in html.unescape(panel.message.value)
    assert (panel.image, panel.query.value, names(panel)) == (None, "a fish", before)
    panel.query.value = "a star"
    assert f"{judged.path.name} is gone" in html.unescape(panel.message.value)
    assert "a star: 50 images" in panel.results.status
    assert panel.judged == {}
    panel.query.value = "a heart"
    assert panel.message.value == ""
    panel.query.value, panel.image = "", judged.path
    panel.button.click()
    assert f"{judged.path.name} is gone" in html.unescape(panel.message.value)
    assert "a heart: 50 images" in panel.results.status


def test_there_is_nothing_after_the_last_that_milvus_gives(panel, monkeypatch):
    monkeypatch.setattr(panel_module, "MAX_LIMIT", 50)
    panel.query.value = "a fish"
    assert len(names(panel)) == 50
    assert not panel.results.more


def test_more_that_fails_can_be_asked_for_again(panel, sent, monkeypatch):
    panel.limit.value = 7
    panel.query.value = "a fish"
    with monkeypatch.context() as patch:
        patch.setattr(panel_module.Asked, "search", lambda *_, **__: 1 / 0)
        ask(panel, "more", first=7)
    assert "division by zero" in panel.message.value
    ask(panel, "more", first=7)
    assert len(sent[-1]["add"]) == 43


def test_a_form_that_changes_is_answered_by_the_page(panel, monkeypatch):
    answers: list = []
    monkeypatch.setattr(
        panel.results, "send", lambda content, _buffers=None: answers.append(content)
    )
    ask(panel, "ping")
    assert answers == [{"done": "ping"}]


def test_a_label_that_is_chosen_already_is_only_taken_out_of_its_box(panel):
    label = panel.form.label.options[0]
    panel.query.value = "a fish"
    for _ in range(2):
        panel.form.label.value = label
    assert (panel.labels, panel.form.label.value, panel.message.value) == ((label,), "", "")


def test_nothing_matches_well_is_said(tmp_path):
    """With the demo's model; that its threshold is for another 1,000 drawings does not matter."""
    from helpers import ClipEncoder, ImageStore, draw_demo_images

    encoder = ClipEncoder("tiny")
    draw_demo_images(tmp_path / "images", n=50)
    with ImageStore(tmp_path / "milvus.db", "demo_collection") as store:
        ingest(tmp_path / "images", encoder, store, progress=False)
        panel = SearchPanel(encoder, store, query_text="a zebra on a train")
        assert "Nothing here matches well" in panel.message.value
        assert len(names(panel)) == 50


def test_a_query_given_at_first_is_searched_at_once(encoder, filled):
    panel = SearchPanel(encoder, filled, limit=3, query_text="a star")
    assert len(names(panel)) == 3


def test_the_lines_to_copy_ask_the_same_again(panel, encoder, filled, drawings):
    panel.image = list_images(drawings)[4]
    panel.form.unlike.value = 'it\'s a "fish"'
    panel.limit.value = 4
    panel.query.value = "a star"
    given = {"search": search, "Query": Query, "encoder": encoder, "store": filled}
    assert eval(panel.found.code, given).hits == panel.found.hits
    assert "store.image_dir / " in panel.found.code
    shown = html.unescape(panel.code.value)
    assert panel.found.code in shown
    assert panel.asked.papermill(panel.parameters) in shown


def test_photos_are_saved_copied_and_chosen(panel, sent, tmp_path):
    panel.query.value = "a fish"
    panel.form.save.click()
    assert len(sent[-1]["text"].splitlines()) == 51
    ask(panel, "choose", places=[2, 0])
    panel.form.save.click()
    lines = sent[-1]["text"].splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["a fish", "1", panel.found[0].filepath],
        ["a fish", "3", panel.found[2].filepath],
    ]
    panel.form.paths.click()
    assert sent[-1]["copy"] == f"{panel.found[0].path}\n{panel.found[2].path}"
    panel.form.folder.value = str(tmp_path / "copies")
    panel.form.copy.click()
    copied = {path.name for path in (tmp_path / "copies").iterdir()}
    assert copied == {panel.found[0].path.name, panel.found[2].path.name}
    assert "2 photos are in" in panel.message.value
    (tmp_path / "file").touch()
    panel.form.folder.value = str(tmp_path / "file")
    panel.form.copy.click()
    assert "File exists" in panel.message.value
    assert "[Errno" not in panel.message.value


def test_photos_that_are_gone_are_named_and_the_others_are_copied(
    encoder, store, drawings, tmp_path
):
    ingest(shutil.copytree(drawings, tmp_path / "images"), encoder, store, progress=False)
    panel = SearchPanel(encoder, store, limit=3, query_text="a star")

    def copy(folder: str) -> str:
        panel.form.folder.value = str(tmp_path / folder)
        panel.form.copy.click()
        return panel.results.said

    panel.found[1].path.unlink()
    said = copy("copies")
    assert f"2 of 3 images are in {tmp_path / 'copies'}, the others not" in said
    assert f"{panel.found[1].path} (No such file" in said
    for hit in (panel.found[0], panel.found[2]):
        hit.path.unlink()
    assert "0 of 3 images are in" in copy("others")


def test_there_is_nothing_to_take_away_before_the_first_search(panel):
    for button in (panel.form.save, panel.form.paths, panel.form.copy):
        panel._say("")
        button.click()
        assert "there are no photos yet" in panel.message.value
    assert panel.form.back.disabled
    assert panel.form.forward.disabled
    assert panel.form.save_thumbs.disabled


def test_the_numbers_are_shown_on_demand(panel):
    panel.form.numbers.value = True
    assert "numbers" in panel.widget._dom_classes
    panel.form.numbers.value = False
    assert "numbers" not in panel.widget._dom_classes


def test_visitors_see_no_path_and_no_command(encoder, filled, drawings, monkeypatch):
    panel = SearchPanel(encoder, filled, query_text="a fish", visitors=True)
    shown = str(panel.results.get_state())
    assert str(drawings) not in shown
    assert "papermill" not in str([widget.value for widget in (panel.code, panel.message)])
    assert panel.code not in panel.widget.children
    assert {panel.form.copy, panel.form.paths}.isdisjoint(panel.form.widget.children[-1].children)

    def fail(*_, **__):
        raise OSError(f"cannot read {drawings}")

    monkeypatch.setattr(panel_module.Asked, "search", fail)
    panel.query.value = "a star"
    assert str(drawings) not in panel.message.value
    assert "this did not work" in panel.message.value


PATHS = [
    "/home/anna/x.jpg",
    "cannot read '/srv/my photos/x.jpg'",
    "[Errno 2] No such file: 'C:\\\\Users\\\\anna'",
    "D:/photos is not there",
    "\\\\nas\\photos is not there",
    "see ~/.cache/model.pt and ~anna/x",
    "../photos/x.jpg: gone",
    "./data",
    "data/milvus.db is locked",
    "a photo/x.jpg cannot be read",
    'File "/usr/lib/python3/x.py", line 3',
    "file:///mnt/x",
    "http://milvus:19530 does not answer",
    "MILVUS_URI=/var/milvus.db",
    "/.hidden",
]


@pytest.fixture
def visitors(encoder, filled):
    return SearchPanel(encoder, filled, query_text="a fish", visitors=True)


def test_no_error_tells_visitors_a_path_whatever_they_typed(visitors, monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError(says)

    monkeypatch.setattr(panel_module.Asked, "search", fail)
    for says in PATHS:
        caplog.clear()
        for typed in ("a star", "/", "\\", "x", says[:3]):
            visitors.form.camera.value = typed
            visitors.button.click()
            assert "this did not work" in visitors.message.value, (says, typed)
            assert visitors.results.said in visitors.message.value
        assert says in caplog.text
        assert "Traceback" in caplog.text


def test_visitors_are_told_what_is_wrong_with_what_they_typed(visitors):
    own = ["/2019", "x/2/2019", "a /x", "/home/anna", "C:\\x", "\\\\x\\y", "~/x", "../x", "a/b.jpg"]
    for typed in [*own, "1 /2 /3"]:
        visitors.form.taken_from.value = typed
        assert f"{typed!r} is not a date" in html.unescape(visitors.message.value)
        visitors.form.label.value = typed
        assert f"no photo has the label {typed!r}" in html.unescape(visitors.message.value)


def test_a_warning_tells_visitors_no_path(visitors, monkeypatch):
    search = panel_module.Asked.search

    def warn(*given, **more):
        warnings.warn("something is odd in /usr/lib/x.py", stacklevel=1)
        return search(*given, **more)

    monkeypatch.setattr(panel_module.Asked, "search", warn)
    visitors.query.value = "a star"
    assert "/usr" not in visitors.message.value + visitors.results.said
    assert "a star: " in visitors.results.status


def test_what_a_page_makes_up_leaves_no_traceback_in_it(encoder, filled, monkeypatch, caplog):
    """The kernel's shell would show it there, with the paths in it."""
    shown = []
    shell = SimpleNamespace(showtraceback=lambda: shown.append(1))
    monkeypatch.setattr(panel_module, "get_ipython", lambda: shell)
    monkeypatch.setattr("ipywidgets.widgets.widget.get_ipython", lambda: shell)
    panel = SearchPanel(encoder, filled, visitors=True)
    for state in ({"value": "many"}, {"value": None}, {"layout": 5}, 7):
        panel.limit._handle_msg({"content": {"data": {"method": "update", "state": state}}})
    panel.form.sort_by._handle_msg(
        {"content": {"data": {"method": "update", "state": {"index": 99}}}}
    )
    panel.results._handle_msg({"content": {}})
    assert shown == []
    assert caplog.text.count("not heard:") == 6
    assert panel.message.value == ""


def test_texts_from_right_to_left_stand_apart_from_ours(panel, monkeypatch):
    text = "\u2068תמונה 12\u2069"
    panel.query.value = "תמונה 12"
    assert f"{text}: 50 images" in panel.results.status
    assert f"{text}: 50 images" in panel.results.said
    panel.form.camera.value = "\u202bתמונה 12\u202c"  # pasted
    assert panel.asked.camera == "תמונה 12"
    assert panel.results.chips == [{"id": "camera", "text": f"camera {text}"}]
    panel.form.label.value = "תמונה 12"
    assert "the label <bdi>&#x27;תמונה 12&#x27;</bdi>" in panel.message.value
    ask(panel, "say", text="<b>\u202eevil")
    assert ">&lt;b&gt;evil<" in panel.message.value


def test_a_name_with_a_faked_ending_is_shown_as_it_is(encoder, store, drawings, tmp_path):
    fake = tmp_path / "images" / "photo\u202egpj.exe.jpg"
    fake.parent.mkdir()
    shutil.copy(list_images(drawings)[0], fake)
    ingest(fake.parent, encoder, store, progress=False)
    panel = SearchPanel(encoder, store, query_text="a fish")
    ask(panel, "like", place=0)
    said = f"{panel.results.status}{panel.results.said}{panel.results.chips}{panel.found.to_html()}"
    assert "\u202e" not in said
    assert said.count("photogpj.exe.jpg") == 7
    fake.unlink()
    ask(panel, "like", place=0)
    assert "photogpj.exe.jpg is gone" in panel.message.value


def test_visitors_cannot_copy_files(encoder, filled, tmp_path):
    panel = SearchPanel(encoder, filled, query_text="a fish", visitors=True)
    panel.form.folder.value = str(tmp_path / "stolen")
    panel.form.copy.click()
    assert not (tmp_path / "stolen").exists()


def test_a_notebook_shows_the_panel_as_a_widget_and_a_page_its_pictures(panel):
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()
    assert "text/html" not in panel._repr_mimebundle_()
    panel.limit.value = 10
    panel.query.value = "a fish"
    assert panel._repr_mimebundle_()["text/html"].count("<img ") == 10


def test_the_parameters_lead_to_the_same_model_and_collection_but_hold_no_password(
    panel, encoder, filled, checkpoint, monkeypatch
):
    found = panel.parameters
    assert found["model_name"] == str(checkpoint)
    assert found["collection_name"] == filled.collection_name
    assert ImageStore(found["milvus_uri"]).count() == 50
    monkeypatch.setattr(filled._connection, "uri", "http://root:secret@far:19530")
    assert "secret" not in str(panel.parameters)


def test_a_text_that_is_cut_is_said_to_be(panel):
    panel.query.value = "a star " * 600
    assert "longer than the model&#x27;s 77 tokens" in panel.message.value
    for said in (panel.message.value, panel.results.status, panel.results.said):
        assert len(said) < 300  # the box has all of it
    assert len(names(panel)) == 50
    panel.query.value = "a star"
    assert panel.message.value == ""


def test_what_is_typed_is_the_question_without_blanks_around_it(panel):
    panel.query.value, panel.form.unlike.value = "a star", "  a fish "
    panel.form.taken_from.value = "2019"
    assert panel.asked == Asked("a star", unlike="a fish", taken_from="2019")


def test_a_question_fills_the_boxes_and_empties_the_others(panel):
    asked = Asked("a fish", camera="Canon", sort_by="taken", templates=True)
    panel.form.unlike.value = "a star"
    panel.asked = asked
    assert panel.asked == asked


def test_each_box_and_the_button_search(panel):
    panel.query.value = "a fish"
    number = panel.results.number
    for name, box in panel.form.fields.items():
        own = {"query_text": "a star", "templates": True, "sort_by": "taken"}
        box.value = own.get(name, "2019")
    panel.limit.value = 3
    panel.button.click()
    assert panel.results.number == number + len(panel.form.fields) + 2


def test_all_but_the_search_box_is_folded_away_until_it_is_asked_for(panel):
    form = panel.form
    head, fold = form.widget.children
    assert form.query in head.children
    assert fold.layout.display == "none"
    form.options.value = True
    assert fold.layout.display == "flex"
    assert {form.unlike, form.label, form.taken_from, form.folder} <= set(fold.children)


def test_every_box_has_a_name(panel):
    form = panel.form
    for box in (*form.fields.values(), form.limit, form.label, form.folder):
        assert box.description or box.placeholder


def test_visitors_begin_with_a_few_suggestions(ingested, encoder):
    panel = SearchPanel(encoder, ingested, visitors=True)
    _, tries, _ = panel.form.widget.children
    label, *buttons = tries.children
    texts = [button.description for button in buttons]
    assert label.value == "Try"
    assert {text.replace(" ", "_") for text in texts} | set(texts) >= {*ingested.labels()[:4]}
    assert panel.found.question.title == panel.query.value == texts[0]
    buttons[1].click()
    assert panel.found.question.title == panel.query.value == texts[1]
    assert len(SearchPanel(encoder, ingested).form.widget.children) == 2
