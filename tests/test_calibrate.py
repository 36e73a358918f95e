"""The demo's threshold, as `data/demo/calibrate.py` sets it: on one list, judged on another."""

import json
import sys
from types import ModuleType

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from helpers import ClipEncoder, calibrate, draw_demo_images, search
from helpers.evaluation.calibration import pick_threshold
from helpers.query.chance import calibration_file

from .support.processes import ROOT

DEMO = ROOT / "data" / "demo"
FILES = ROOT / "helpers" / "demo"
CALIBRATION = json.loads((FILES / "tiny-clip.calibration.json").read_text())
QUERIES = pd.read_csv(FILES / "queries.csv")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(DEMO))
    try:
        import calibrate
    finally:
        sys.path.remove(str(DEMO))
    return calibrate


@pytest.fixture(scope="module")
def table(demo_images) -> pd.DataFrame:
    return draw_demo_images(demo_images)  # they are there: this only lists them


@pytest.fixture(scope="module")
def demo(demo_store):
    """The demo's encoder, in this machine's precision, and its collection."""
    return ClipEncoder("tiny"), demo_store


@pytest.fixture(scope="module")
def judged(demo) -> pd.DataFrame:
    """The queries, with their largest margins."""
    margins = [search(text, *demo).margin for text in QUERIES["text"]]
    return QUERIES.assign(margin=margins, present=QUERIES["kind"] == "present")


def test_the_committed_list_is_what_the_script_writes(script, table):
    pd.testing.assert_frame_equal(script.write_queries(table), QUERIES, check_dtype=False)


def test_the_two_lists_share_no_text_and_absent_means_absent(script, table):
    parts = {part: set(rows["text"]) for part, rows in QUERIES.groupby("part")}
    assert not parts["set"] & parts["judge"]
    for _, rows in QUERIES.groupby("part"):
        counts = rows["kind"].value_counts()
        assert counts["present"] == 2 * counts["absent class"] == 2 * counts["unseen word"]
    known = {*table["object"], *(script.plural(name) for name in table["object"])}
    shown = set(zip(table["object"], table["colour"], strict=True))
    for text in QUERIES["text"][QUERIES["kind"] == "absent class"]:
        words = text.split()
        (colour,) = set(words) & set(table["colour"])
        (thing,) = set(words) & known
        assert not {(name, colour) for name in {thing, thing[:-1], thing[:-3] + "y"}} & shown
    words = set(script.strange_words()[1]) | {"a", "an", "photo", "of"}
    for text in QUERIES["text"][QUERIES["kind"] == "unseen word"]:
        assert set(text.split()) <= words


def test_the_threshold_is_the_one_that_the_first_list_gives(judged):
    rows = judged[judged["part"] == "set"]
    picked = pick_threshold(rows["present"], rows["margin"])
    assert picked == pytest.approx(CALIBRATION["threshold"], abs=0.1)


def test_the_calibration_is_of_the_committed_checkpoint(demo):
    assert CALIBRATION["digest"] == demo[0].digest
    assert calibration_file(demo[0]) == FILES / "tiny-clip.calibration.json"


@pytest.mark.parametrize(
    ("kind", "area", "wrong"), [("absent class", 0.95, 0.3), ("unseen word", 0.99, 0.05)]
)
def test_margins_tell_what_is_there_from_what_is_not(judged, kind, area, wrong):
    rows = judged[(judged["part"] == "judge") & judged["kind"].isin(["present", kind])]
    assert roc_auc_score(rows["present"], rows["margin"]) > area
    matches = rows["margin"] >= CALIBRATION["threshold"]
    assert matches[~rows["present"]].mean() < wrong
    assert matches[rows["present"]].mean() > 0.94


def test_the_collection_of_the_demo_gets_a_threshold_of_its_own(demo):
    made = calibrate(*demo, keep=False)
    assert made.refusal == ""
    assert made.threshold == pytest.approx(CALIBRATION["threshold"], abs=0.5)
    assert made.errors.high < 0.6
    assert made.area.low > 0.9


def test_the_results_say_so_when_nothing_matches(demo):
    nothing = search("a zebra on a train", *demo)
    assert nothing.matches is False
    assert "Nothing here matches well: the best margin is" in nothing.summary
    assert "Nothing here matches well" in nothing.to_html()
    something = search("a red star", *demo)
    assert something.matches is True
    assert "matches" not in something.summary
    assert search("a red star", *demo, where={"label": "yellow kite"}).matches is False


def test_no_two_drawings_are_near_duplicates(demo):
    assert len(search("a star", *demo, limit=1000, unique=True)) == 1000
