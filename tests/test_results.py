import ast
import codecs
import copy
import csv
import errno
import io
import json
import os
import pickle
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import helpers
from helpers import Query, SearchResults, list_images, search
from helpers.query.results import as_written, safe_csv

from .support.processes import ROOT

COMPUTED = tuple("=+-@\t\r\n＝＋－＠")
# Many of what matters, and some of everything that can be written to a file.
TEXTS = st.text(st.sampled_from("=+-@\t\r\n＝'\" ;,ab") | st.characters(codec="utf-8"))


@pytest.fixture
def found(ingested, encoder):
    return search("a red star", encoder, ingested, limit=3)


def test_results_are_a_sequence_a_table_a_grid_and_a_text(ingested, encoder):
    results = search("a red star", encoder, ingested, limit=3)
    assert isinstance(results, SearchResults)
    assert [hit.filepath for hit in results] == results.to_frame().filepath.tolist()
    assert [hit.score for hit in results[:2]] == results.to_frame().score[:2].tolist()
    assert results.to_html().count("<img") == 3
    assert repr(results).splitlines()[1].endswith(results[0].filepath)
    assert (
        json.loads(results.to_frame().to_json(orient="records", date_format="iso"))[0]["width"]
        == 256
    )


@pytest.mark.parametrize(("limit", "counted"), [(1, "1 image in"), (2, "2 images in")])
def test_the_number_of_images_is_said_in_words(limit, counted, ingested, encoder):
    assert f"a star: {counted}" in search("a star", encoder, ingested, limit=limit).summary


def test_the_results_know_how_to_ask_again(ingested, encoder, drawings):
    asked = {"limit": 3, "offset": 1, "where": {"width": (10, None)}, "unique": False}
    query = Query(like=[list_images(drawings)[0], ("a star", 0.5)], unlike=["a fish"])
    results = search(query, encoder, ingested, **asked, templates=["a photo of {}"])
    assert "offset=1" in results.code
    assert "unique" not in results.code
    names = {"search": search, "Query": Query, "encoder": encoder, "store": ingested}
    assert eval(results.code, names).hits == results.hits
    assert search("x", encoder, ingested).code == "search('x', encoder, store)"


def test_the_hits_are_written_as_csv(ingested, encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = search('a "red" star, é', encoder, ingested, limit=3, offset=2)
    assert results.to_csv("hits.csv") == tmp_path / "hits.csv"
    assert (tmp_path / "hits.csv").read_bytes().startswith(codecs.BOM_UTF8)  # or Excel reads Ã©
    table = pd.read_csv(tmp_path / "hits.csv")
    assert table["query"].tolist() == ['a "red" star, é'] * 3
    assert table["rank"].tolist() == [3, 4, 5]
    assert table.score.tolist() == [hit.score for hit in results]
    assert table.filepath.tolist() == [hit.filepath for hit in results]


@pytest.mark.parametrize("begins", COMPUTED)
def test_no_text_of_a_table_is_computed_by_a_spreadsheet(found, tmp_path, begins):
    link = f'{begins}HYPERLINK("http://example.org","x")'
    facts = {"camera": link, "label": f" {begins}1", "filepath": f"{begins}x.jpg"}
    facts |= {"latitude": -16.85, "longitude": -3.0, "taken": datetime(2019, 5, 4, 12)}
    odd = replace(found, hits=(replace(found[0], facts={**found[0].facts, **facts}, score=-0.5),))
    path = odd.to_csv(tmp_path / "hits.csv")
    read = pd.read_csv(path, parse_dates=["taken"]).iloc[0]
    assert read[["camera", "label", "filepath"]].tolist() == [
        f"'{link}",
        f"' {begins}1",
        f"'{begins}x.jpg",
    ]
    assert as_written(read.camera) == link == odd.to_frame().camera[0]
    assert (read.score, read.latitude, read.longitude) == (-0.5, -16.85, -3.0)
    assert (read["rank"], read.taken) == (1, datetime(2019, 5, 4, 12))


def test_a_query_that_a_spreadsheet_would_compute_is_guarded(ingested, encoder):
    text = search("=1+1", encoder, ingested, limit=2).csv([1])
    assert next(iter(csv.DictReader(io.StringIO(text))))["query"] == "'=1+1"


@given(st.lists(TEXTS, min_size=1))
@example(["=1+1", "-x.jpg", "'=1", "''", "'", "' \t'=", "a;=1", "a\t\t-1;;+1", "x\r=1", "\n\n- a"])
def test_every_text_comes_back_from_a_safe_table(texts):
    written = safe_csv(pd.DataFrame({"text": texts, "number": -1.5}))
    rows = list(csv.reader(io.StringIO(written, newline="")))[1:]
    assert [as_written(text) for text, _ in rows] == texts
    assert {number for _, number in rows} == {"-1.5"}


@given(st.lists(TEXTS, min_size=1))
@example(["a;=1", "a\t=1", "a\r=1", "a;\xa0=1", "a; '=1", 'a;"=1&"', '\r"=1&"', '"=1'])
def test_no_cell_is_computed_whatever_the_program_takes_for_the_end_of_one(texts):
    written = safe_csv(pd.DataFrame({"text": texts, "more": texts}))
    rows = {
        delimiter: list(csv.reader(io.StringIO(written, newline=""), delimiter=delimiter))
        for delimiter in ",;\t"
    }
    assert not [cell for row in rows[","] for cell in row if cell.startswith(COMPUTED)]
    begins = [cell.lstrip() for each in rows.values() for row in each for cell in row]
    begins += [piece.lstrip() for piece in re.split(r"[;\t\r\n]", written)]
    assert not [cell for cell in begins if cell.startswith(COMPUTED)]


def test_all_tables_are_written_in_one_place_but_the_demos_own():
    writers = {
        path.name
        for path in Path(helpers.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and re.search(r"\b(to_csv|csv\.writer|DictWriter)$", ast.unparse(call.func))
    }
    assert writers == {"results.py", "drawings.py"}
    notebooks = [path.read_text(encoding="utf-8") for path in ROOT.glob("notebooks/*.ipynb")]
    written = re.findall(r"(\w*\.to_csv|DictWriter|csv\.writer)", "".join(notebooks))
    assert set(written) == {"results.to_csv"}


def test_the_demos_own_tables_hold_nothing_to_compute(drawings):
    for path in (drawings / "captions.csv", Path(helpers.__file__).parent / "demo" / "queries.csv"):
        table = pd.read_csv(path, keep_default_na=False)
        assert safe_csv(table) == table.to_csv(index=False, lineterminator="\r\n")


def test_a_hit_has_the_facts_that_are_shown_and_no_others(ingested, encoder):
    hit = search("a star", encoder, ingested, limit=1)[0]
    assert (hit.width, hit.height) == (256, 256)
    assert hit.label == hit.filepath.split("/")[0]
    with pytest.raises(AttributeError, match="a hit has no 'colour'"):
        _ = hit.colour
    for again in (copy.copy(hit), pickle.loads(pickle.dumps(hit))):
        assert again == hit


def test_photos_are_copied_and_nothing_is_written_over(found, tmp_path):
    folder = tmp_path / "deep" / "copies"
    copies = found.copy_to(folder)
    assert [path.read_bytes() for path in copies] == [hit.path.read_bytes() for hit in found]
    assert found.copy_to(folder) == copies  # the same files are there already
    copies[0].write_bytes(b"another photo")
    again = found.copy_to(folder)
    assert again[0].name == f"{copies[0].stem} (2){copies[0].suffix}"
    assert copies[0].read_bytes() == b"another photo"
    assert again[0].read_bytes() == found[0].path.read_bytes()
    assert again[0].stat().st_mtime == pytest.approx(found[0].path.stat().st_mtime)


@pytest.fixture
def three(found, tmp_path):
    """What was found, as three photos of one name in three folders, the second of them gone."""
    hits = []
    for number, hit in enumerate(found):
        path = tmp_path / str(number) / "photo.jpg"
        path.parent.mkdir()
        shutil.copy2(hit.path, path)
        hits.append(replace(hit, path=path))
    hits[1].path.unlink()
    return replace(found, hits=tuple(hits))


def test_a_photo_that_is_gone_is_named_and_the_others_are_copied(three, tmp_path):
    folder = tmp_path / "copies"
    gone = re.escape(str(three[1].path))
    said = rf"^2 of 3 images are in .*copies, the others not: {gone} \(No such file or directory\)$"
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=said):
            three.copy_to(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["photo (2).jpg", "photo.jpg"]
    with pytest.raises(FileNotFoundError, match=r"^0 of 1 images"):
        replace(three, hits=(three[1],)).copy_to(tmp_path / "none")
    assert list((tmp_path / "none").iterdir()) == []


def test_of_many_photos_that_are_gone_ten_are_named(three, tmp_path):
    hits = [replace(three[0], path=tmp_path / f"{number}.jpg") for number in range(99)]
    with pytest.raises(FileNotFoundError, match=r"^1 of 100 .*/9\.jpg \(No such file[^,]*$"):
        replace(three, hits=(*hits, three[0])).copy_to(tmp_path / "copies")


@pytest.mark.parametrize("taken", ["a dangling link", "a link in a circle", "a folder", "a queue"])
def test_a_name_that_is_taken_by_something_else_is_left_as_it_is(taken, three, tmp_path):
    target = tmp_path / "copies" / "photo.jpg"
    target.parent.mkdir()
    if taken == "a folder":
        target.mkdir()
    elif taken == "a queue":
        getattr(os, "mkfifo", os.mkdir)(target)
    else:
        target.symlink_to(target if "circle" in taken else tmp_path / "gone.jpg")
    before = target.lstat()
    assert replace(three, hits=three[:1]).copy_to(target.parent) == [
        target.with_name("photo (2).jpg")
    ]
    assert target.lstat() == before
    assert not (tmp_path / "gone.jpg").exists()


def test_a_file_in_the_place_of_the_folder_is_said_in_words(three, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=r"^0 of 3 .*file\w*(/below)? \((File ex|Not a)"):
            three.copy_to(folder)


def test_no_half_photo_stays_where_the_disk_is_full(three, tmp_path, monkeypatch):
    def fill(source, copy):
        copy.write(source.read(10))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", fill)
    with pytest.raises(OSError, match=r"^0 of 2 .*No space left on device"):
        replace(three, hits=three[::2]).copy_to(tmp_path / "copies")
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_disk_that_keeps_no_times_is_no_reason_not_to_copy(three, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(shutil, "copystat", refuse)
    assert len(replace(three, hits=three[::2]).copy_to(tmp_path / "copies")) == 2


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u732b"])
def test_a_name_too_long_for_a_number_is_cut(letter, three, tmp_path):
    name = letter * (250 // len(letter.encode())) + ".jpg"
    hits = [replace(hit, path=hit.path.rename(hit.path.with_name(name))) for hit in three[::2]]
    first, second = replace(three, hits=tuple(hits)).copy_to(tmp_path / "copies")
    assert first.name == name
    assert second.name.endswith(f"{letter} (2).jpg")
    assert second.read_bytes() == hits[1].path.read_bytes()


def test_another_file_of_the_same_size_and_time_is_not_taken_for_the_photo(three, tmp_path):
    photo = replace(three, hits=three[:1])
    (copy,) = photo.copy_to(tmp_path / "copies")
    assert photo.copy_to(tmp_path / "copies") == [copy]
    before = copy.stat()
    copy.write_bytes(bytes(before.st_size))
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert photo.copy_to(tmp_path / "copies") == [copy.with_name("photo (2).jpg")]


def test_photos_copied_into_their_own_folder_stay_as_they_are(three):
    photo = replace(three, hits=three[:1])
    assert photo.copy_to(three[0].path.parent) == [three[0].path]
    assert [*three[0].path.parent.iterdir()] == [three[0].path]


def test_score_and_margin_are_said_in_words(found):
    hit = replace(found[0], score=0.25, margin=4.1)
    told = replace(found, threshold=3.4)
    assert told.explained(hit) == (
        "a match: 4.1 above chance, and matches begin at 3.4; cosine 0.250"
    )
    assert "probably no match" in told.explained(replace(hit, margin=3.39))
    assert "standard deviations" in replace(found, threshold=None).explained(hit)
    assert told.explained(replace(hit, margin=None)) == "cosine 0.250"
