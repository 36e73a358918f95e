"""The photos of the panel: what the page gets, and when."""

import base64
import io
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from helpers import ingest, search
from helpers.views import photos as photos_module
from helpers.views.photos import Photos, described


@pytest.fixture
def found(drawings, encoder, store, tmp_path):
    images = shutil.copytree(drawings, tmp_path / "images")
    ingest(images, encoder, store, progress=False)
    return search("a star", encoder, store, limit=12)


@pytest.fixture
def photos(found):
    failed: list[Exception] = []

    def attempt(does):
        try:
            does()
        except Exception as error:
            failed.append(error)

    photos = Photos({}, attempt)
    photos.failed = failed
    photos.sent = []

    def send(content):
        photos.sent.extend([content] if "done" not in content else [])

    photos.send = send
    photos.show(found, more=True)
    return photos


def ask(photos, name, **more):
    photos._handle_custom_msg({"ask": name, "number": photos.number, **more}, [])


def opened(address):
    jpeg = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    return Image.open(io.BytesIO(jpeg))


def test_thumbnails_are_sent_for_the_places_asked_for(photos, found):
    ask(photos, "thumbs", places=[3, 0], height=128)
    (content,) = photos.sent
    assert list(content["thumbs"]) == ["3", "0"]
    assert content["number"] == photos.number
    assert [opened(address).size for address in content["thumbs"].values()] == [(128, 128)] * 2


def test_the_first_thumbnails_come_unasked_in_the_size_of_the_last(photos, found):
    ask(photos, "thumbs", places=[0], height=128)
    found[1].path.write_bytes(b"no image")
    photos.show(found, more=True)
    photos.finish()
    assert [bool(address) for address in photos.first] == [True, False] + 10 * [True]
    assert opened(photos.first[0]).size == (128, 128)
    assert photos.height == 128


def test_photos_do_not_wait_long_for_their_thumbnails(photos, found, monkeypatch):
    go_on = threading.Event()
    drawn = photos_module.whole_jpeg

    def slow(path, *options, **more):
        go_on.wait()
        return drawn(path, *options, **more)

    monkeypatch.setattr(photos_module, "whole_jpeg", slow)
    photos.show(found, more=True)
    assert len(photos.photos) == 12
    assert photos.first == 12 * [None]
    go_on.set()
    photos.finish()
    assert all(photos.first)


def test_what_a_page_makes_up_changes_nothing(found, photos):
    """A visitor can send whatever a widget's page can."""
    photos = Photos({}, lambda does: does(), visitors=True)
    before = photos._esm, photos._css
    photos.set_state({"visitors": False, "height": 0, "_esm": "alert(1)", "_css": "* {}"})
    photos.set_state({"chosen": [1e300], "photos": "x", "judged": [], "first": {}, "more": 7})
    assert (photos._esm, photos._css) == before
    photos.show(found, more=False)
    photos.finish()
    assert not any(photo["path"] for photo in photos.photos)
    assert all(photos.first)
    sent = []
    photos.send = lambda content: sent.extend(content.get("thumbs", {}).values())
    for height in (0, 10**6):
        ask(photos, "thumbs", places=[0], height=height)
    assert [opened(address).height for address in sent] == [1, 256]


def test_what_is_judged_is_marked_wherever_it_comes(photos, found):
    photos.judge({found[1].path: 1, found[7].path: -2, Path("elsewhere.jpg"): 1})
    photos.show(replace(found, hits=found.hits[:6]), more=True)
    assert photos.judged == {"1": 1}
    photos.add(replace(found, hits=found.hits[6:]), 6, more=False)
    assert photos.judged == {"1": 1, "7": -2}


def test_photos_are_chosen_until_the_next_search(photos, found):
    ask(photos, "choose", places=[4, 1])
    ask(photos, "choose", places=[4])
    assert photos.get_state("chosen") == {"chosen": [1]}  # as a page that is opened later sees it
    photos.show(found, more=True)
    assert photos.chosen == []


def test_a_photo_is_sent_whole_and_large(photos, found):
    Image.new("RGB", (4000, 3000), "red").save(found[1].path)
    ask(photos, "photo", place=1)
    (content,) = photos.sent
    assert (content["photo"], content["number"]) == (1, photos.number)
    assert opened(content["address"]).size == (2133, 1600)


def test_a_photo_that_is_gone_is_an_empty_answer_and_the_others_come(photos, found):
    found[0].path.unlink()
    found[2].path.write_bytes(b"no image")
    ask(photos, "thumbs", places=[0, 1, 2], height=64)
    (content,) = photos.sent
    assert [bool(address) for address in content["thumbs"].values()] == [False, True, False]
    assert photos.failed == []


def test_more_photos_go_on_counting(photos, found):
    photos.add(found, 12, more=False)
    (content,) = photos.sent
    assert [photo["path"] for photo in content["add"]] == [str(hit.path) for hit in found]
    assert (content["first"], content["more"]) == (12, False)
    assert photos.more  # after those of the first page
    assert len(photos.photos) == 12  # those of the first page: a saved notebook keeps them
    ask(photos, "thumbs", places=[23], height=64)
    assert photos.sent[-1]["thumbs"]["23"]


def test_each_search_has_a_number_of_its_own(photos, found):
    number = photos.number
    photos.show(found, more=False)
    assert photos.number == number + 1


MADE_UP = [
    {"ask": "dance"},
    {"ask": ["thumbs"]},
    {"ask": "thumbs"},
    {"ask": "thumbs", "wrong": 1},
    {"ask": "thumbs", "places": [0], "height": "256"},
    {"ask": "thumbs", "places": [0], "height": 256.0},
    {"ask": "thumbs", "places": "0", "height": 256},
    {"ask": "choose", "places": [0, 12]},
    {"ask": "choose", "places": [-1]},
    {"ask": "choose", "places": [1.0]},
    {"ask": "choose", "places": [1e300]},
    {"ask": "choose", "places": [[0]]},
    {"ask": "choose", "places": 0},
    {"ask": "photo", "place": 12},
    {"ask": "photo", "place": -1},
    {"ask": "photo", "place": None},
    {"kind": "anywidget-command", "name": "x"},
    ["ask", "photo"],
    "photo",
    None,
]


def test_what_no_page_of_ours_asks_is_only_logged(photos, caplog):
    for content in MADE_UP:
        caplog.clear()
        number = {"number": photos.number}
        photos._hear(photos, content | number if isinstance(content, dict) else content, [])
        assert (photos.sent, photos.failed, photos.chosen) == ([], [], []), content
        assert "not heard: " in caplog.text, content


def test_a_log_keeps_only_the_beginning_of_a_long_message(photos, caplog):
    photos._hear(photos, {"ask": "x" * 10**6}, [])
    assert len(caplog.text) < 1000


def test_names_are_shown_in_the_order_in_which_they_are_written(found):
    """Also where the browser writes from right to left."""
    facts = {"filepath": "תמונה/photo\u202egpj.exe", "label": "תמונה 1", "camera": "a\u2066b"}
    path = Path("/photos/תמונה/photo\u202egpj.exe")
    hit = replace(found[0], facts={**found[0].facts, **facts}, path=path, alike=("x/א.jpg", "b"))
    shown = described(hit, found)
    assert shown["name"] == "photogpj.exe"
    assert shown["alt"] == "\u2068תמונה 1\u2069: photogpj.exe"
    assert shown["path"] == str(path)  # to be copied
    assert shown["facts"]["path"] == "/photos/\u2068תמונה\u2069/photogpj.exe"
    assert shown["facts"]["copies"] == "\u2068א.jpg\u2069, b"
    assert shown["facts"]["camera"] == "ab"


def test_a_photo_is_described_in_words(found):
    shown = described(found[0], found)
    assert shown["path"] == str(found[0].path)
    assert shown["alt"] == f"{found[0].label}: {found[0].path.name}"
    assert shown["facts"]["taken"].endswith(", 12:00")
    assert shown["facts"]["camera"] == "Pencil"
    assert shown["facts"]["match"] == found.explained(found[0])
    assert described(found[0], found, visitors=True)["path"] == ""


def test_very_wide_and_very_high_photos_leave_room_for_others(found):
    for size, ratio in {(4000, 20): 4, (20, 4000): 0.25, (400, 300): 1.333, (0, 0): 1}.items():
        facts = {**found[0].facts, "width": size[0], "height": size[1]}
        assert described(replace(found[0], facts=facts), found)["ratio"] == ratio


def test_the_page_is_one_file_of_each_kind_and_takes_nothing_from_elsewhere():
    for name in ("photos.js", "photos.css"):
        text = (Path(photos_module.__file__).with_name(name)).read_text("utf-8")
        assert "http" not in text.replace("over http", "").replace("http://www.w3.org/2000/svg", "")
        assert "import " not in text
