"""What is right: by class folders, captions, and tables of judged queries, whoever wrote them."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from helpers import ImageStore
from helpers.evaluation.judgements import (
    NothingJudgedError,
    from_captions,
    from_csv,
    from_labels,
    judged_csv,
    judgements_of,
    read_pool,
)

from .support.rows import MODEL, row

IMAGES = {
    "red_star/1.jpg": "red_star",
    "red_star/2.jpg": "red_star",
    "blue fish/1.jpg": "blue fish",
    "Café/é.jpg": "Café",
    "5.jpg": "",
}
NAMES = list(IMAGES)


@pytest.fixture
def store(store, tmp_path) -> ImageStore:
    """Five images, each vector another axis."""
    store.open_for(MODEL, tmp_path / "images")
    vectors = np.eye(8, dtype=np.float32)
    store.upsert([row(n, vectors[i], label=label) for i, (n, label) in enumerate(IMAGES.items())])
    return store


@pytest.fixture
def write(tmp_path):
    def write_(text: str, name: str = "list", **options) -> Path:
        path = tmp_path / name
        path.write_text(text, **{"encoding": "utf-8"} | options)
        return path

    return write_


def found(judgements) -> dict[str, set[str]]:
    names = judgements.pool.filepaths
    return {
        query: {names[place] for place in places}
        for query, places in zip(judgements.queries, judgements.relevant, strict=True)
    }


def test_the_pool_is_what_the_collection_holds(store, tmp_path):
    pool = read_pool(store)
    assert dict(zip(pool.filepaths, pool.labels, strict=True)) == IMAGES
    assert pool.vectors.dtype == np.float32
    for name, vector in zip(pool.filepaths, pool.vectors, strict=True):
        assert vector.argmax() == NAMES.index(name)
    assert pool.paths([0]) == [tmp_path / "images" / pool.filepaths[0]]


def test_labels_are_asked_as_words(store):
    judgements = from_labels(store)
    assert found(judgements) == {
        "Café": {NAMES[3]},
        "blue fish": {NAMES[2]},
        "red star": {NAMES[0], NAMES[1]},
    }
    assert "1 image without a label" in judgements.note
    assert "red fox" in from_labels(store, {"red_star": "red fox"}).queries
    assert "class folders: 3 queries, 5 images" in judgements._repr_html_()
    assert "blue fish/1.jpg" in repr(judgements)


def test_labels_with_the_same_words_are_one_class(store):
    merged = from_labels(store, {"Café": "red star"})
    assert len(found(merged)["red star"]) == 3


def test_without_anything_that_is_right_the_error_says_what_to_write(tmp_path):
    with ImageStore(tmp_path / "flat.db") as store:
        store.open_for(MODEL, tmp_path)
        store.upsert([row("1.jpg"), row("2.jpg")])
        with pytest.raises(NothingJudgedError, match="judge some of its answers") as raised:
            judgements_of(store)
    lines = [line.strip() for line in str(raised.value).splitlines()]
    start = lines.index("query,filepath,relevant")
    assert lines[start : start + 3] == [lines[start], "my cat,2.jpg,1", "my cat,1.jpg,0"]
    assert raised.value._render_traceback_() == [str(raised.value)]


def test_a_caption_finds_its_own_photo(store, write):
    lines = [
        {"file": NAMES[0], "captions": ["a star", " red "]},
        {"file": NAMES[2], "captions": []},
    ]
    lines += [{"file": NAMES[3], "captions": ["a star"], "license": "any"}]
    path = write("\ufeff" + "\n\n".join(map(json.dumps, lines)))
    judgements = judgements_of(store, captions=path)
    assert list(judgements.queries) == ["a star", "red", "a star"]
    names = [judgements.pool.filepaths[int(place[0])] for place in judgements.relevant]
    assert names == [NAMES[0], NAMES[0], NAMES[3]]
    assert len(set(judgements.groups)) == 2


@pytest.mark.parametrize(
    "written",
    ["{}", "images/{}", "./{}", "{absolute}", "{backslashes}", "{nfd}", "up/../{}", "link/{}"],
    ids=[
        "as it is",
        "below the list",
        "from here",
        "absolute",
        "as Windows",
        "as a Mac",
        "up and down",
        "by a link",
    ],
)
def test_files_are_found_however_they_are_written(store, write, tmp_path, written):
    import unicodedata

    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    name = written.format(
        NAMES[3],
        absolute=tmp_path / "images" / NAMES[3],
        backslashes=NAMES[3].replace("/", "\\"),
        nfd=unicodedata.normalize("NFD", NAMES[3]),
    )
    path = write(json.dumps({"file": name, "captions": ["a café"]}))
    assert found(from_captions(store, path)) == {"a café": {NAMES[3]}}


@pytest.fixture
def find(tmp_path, write):
    """Return a function that gives the image which a file of captions means by a name, or None."""

    def find_(name: str, *rows: str) -> str | None:
        with ImageStore(tmp_path / "other.db") as other:
            other.open_for(MODEL, tmp_path / "images")
            other.upsert([row(each) for each in (*rows, "sure.jpg")])
            lines = [{"file": each, "captions": [each]} for each in (name, "sure.jpg")]
            path = write("\n".join(map(json.dumps, lines)))
            return next(iter(found(from_captions(other, path)).get(name, [])), None)

    return find_


NFD, NFC = "Cafe\u0301/e\u0301.jpg", "Caf\u00e9/\u00e9.jpg"


@pytest.mark.parametrize(
    ("name", "rows", "meant"),
    [
        ("790.jpg", ["2019/790.jpg", "2019/1790.jpg"], 0),
        ("summer/a.jpg", ["2019/summer/a.jpg", "2020/a.jpg"], 0),
        ("/home/me/Photos/a.jpg", ["a.jpg", "b/a.jpg"], 0),
        ("/home/me/Photos/b/a.jpg", ["a.jpg", "b/a.jpg"], 1),
        ("images/a.jpg", ["a.jpg"], 0),
        ("C:\\Users\\me\\b\\a.jpg", ["a.jpg", "b/a.jpg"], 1),
        ("b\\a.jpg", ["2019/b/a.jpg"], 0),
        (NFD, [f"2019/{NFC}"], 0),
        (NFC, [f"2019/{NFD}"], 0),
        (f"/home/{NFD}", [NFC], 0),
        ("a.jpg", ["b/a.jpg", "a.jpg"], 1),
        ("b/a.jpg", ["c/b/a.jpg", "a.jpg"], 0),
        ("a.jpg", ["2019/a.jpg", "2020/a.jpg"], None),
        ("c/a.jpg", ["b/a.jpg"], None),
        ("a.jpg", ["aa.jpg", "b/aa.jpg"], None),
        ("b/", ["b/a.jpg", "a.jpg"], None),
    ],
)
def test_a_name_means_the_only_image_that_ends_so_or_whose_path_it_ends_in(find, name, rows, meant):
    assert find(name, *rows) == (None if meant is None else rows[meant])


def test_files_that_are_not_here_or_not_clear_are_counted_with_an_example(store, write):
    names = [NAMES[4], "gone.jpg", "1.jpg", "gone too.jpg", "gone.jpg"]
    lines = [{"file": name, "captions": ["a star"]} for name in names]
    note = from_captions(store, write("\n".join(map(json.dumps, lines)))).note
    assert note.startswith("list names 4 files; 2 not in the collection, such as gone.jpg (there ")
    assert any(f"(there are {name}" in note for name in NAMES)
    assert "; 1 not clear, such as 1.jpg (is it " in note
    a, b = NAMES[0], NAMES[2]
    assert f"{a} or {b}?" in note or f"{b} or {a}?" in note
    with pytest.raises(ValueError, match=r"no query: list names 1 file; 1 not in .* gone\.jpg"):
        from_captions(store, write(json.dumps(lines[1])))


def test_a_table_of_judged_queries_finds_its_files_likewise(store, write):
    text = "query,filepath,relevant\nit,/home/me/5.jpg,1\nit,é.jpg,0\nit,1.jpg,1\n"
    judgements = from_csv(store, write(text))
    assert found(judgements) == {"it": {"5.jpg"}}
    assert [judgements.pool.filepaths[place] for place in judgements.wrong[0]] == ["Café/é.jpg"]
    assert "1 not clear, such as 1.jpg" in judgements.note


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"file": "a.jpg"}',
        '{"file": 3, "captions": []}',
        '{"file": "a.jpg", "captions": "a dog"}',
        '{"file": "a.jpg", "captions": [3]}',
        '{"file": "a.jpg", "captions": ["\\ud800"]}',
        "[" * 100_000,
    ],
)
def test_a_line_of_captions_that_cannot_be_read_is_named(store, write, line):
    good = json.dumps({"file": NAMES[0], "captions": ["a star"]})
    with pytest.raises(ValueError, match="line 2: expected an object like"):
        from_captions(store, write(f"{good}\n{line}\n"))


def test_an_empty_file_is_said_to_be_empty(store, write):
    with pytest.raises(ValueError, match="it is empty"):
        from_captions(store, write(""))
    with pytest.raises(ValueError, match="it is empty"):
        from_csv(store, write("query,filepath,relevant\n"))


@pytest.mark.parametrize("comma", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_judged_queries_are_read_as_any_editor_writes_them(store, write, comma, end):
    rows = ["Query,Filepath,Relevant,note", 'a star,red_star/1.jpg,1,"so, ""yes"""']
    rows += [
        "a star,red_star/2.jpg,Yes,",
        "a star,5.jpg,0,",
        "a zebra,,0,",
        ",,,",
        "a star,5.jpg,no,",
    ]
    text = end.join(rows).replace(",", comma)
    path = write("\ufeff" + text, newline="")
    judgements = judgements_of(store, judged=path)
    assert found(judgements) == {"a star": {NAMES[0], NAMES[1]}, "a zebra": set()}
    assert [judgements.pool.filepaths[place] for place in judgements.wrong[0]] == ["5.jpg"]
    assert len(judgements.wrong[1]) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a star,red_star/1.jpg,perhaps", "line 3: expected a query, a filepath, and 1 or 0"),
        ("a star,red_star/1.jpg,nan", "line 3: expected"),
        (",red_star/1.jpg,1", "line 3: expected"),
        ("a star,red_star/1.jpg", "line 3: expected"),
        ("a star,,1", "line 3: which image is relevant for 'a star'"),
        ("\u200b,5.jpg,1", "line 3: expected"),
        ('"a star,5.jpg,0', "line 3: unexpected end of data"),
        ("a star,,0\na star,red_star/1.jpg,1", "line 4: no image shows 'a star' by one line"),
        ("a dog,gone.jpg,1\na dog,,0", "line 4: no image shows 'a dog' by one line"),
        ("a star,5.jpg,1", "line 3: 5.jpg is relevant for 'a star' in one line, and not"),
    ],
)
def test_a_judgement_that_cannot_be_read_is_named(store, write, line, message):
    with pytest.raises(ValueError, match=message):
        from_csv(store, write(f"query,filepath,relevant\na star,5.jpg,0\n{line}\n"))


MARKS = [("WAHR", "FALSCH"), ("VRAI", "FAUX"), ("ja", "nein"), ("Oui", "Non"), ("sí", "no")]
MARKS += [("DOĞRU", "YANLIŞ"), ("ИСТИНА", "ЛОЖЬ"), ("TRUE", "FALSE"), ("1.0", "0.0")]
MARKS += [("1,0", "0,0"), ("✓", "✗"), ("✔\ufe0f", "❌"), ("☑", "☐"), ("○", "×"), ("x", "")]
MARKS += [("X", "0"), ("х", ""), ("1", ""), ("ja", ""), ("ＴＲＵＥ", "０"), ("si\u0301", "no")]


@pytest.mark.parametrize(("yes", "no"), MARKS)
def test_right_and_wrong_may_be_marked_as_spreadsheets_do(store, write, yes, no):
    rows = [f"a star;5.jpg;{no}", f"a star;red_star/1.jpg;{yes}", f"a zebra;;{no}"]
    judgements = from_csv(store, write("\n".join(["query;filepath;relevant", *rows])))
    assert found(judgements) == {"a star": {NAMES[0]}, "a zebra": set()}
    assert [judgements.pool.filepaths[place] for place in judgements.wrong[0]] == ["5.jpg"]
    assert judgements.note == "" if no else "2 empty cells count as wrong"


@pytest.mark.parametrize(
    ("marks", "line", "mark"),
    [
        (["1", "0", ""], 4, ""),  # perhaps nobody judged it
        (["", "", ""], 2, ""),
        (["✓", "x", "✓"], 3, "x"),  # perhaps a cross
        (["x", "1", ""], 2, "x"),
        (["x", "?", ""], 3, "?"),
        (["nan", "1", "0"], 2, "nan"),
        (["null", "1", "0"], 2, "null"),
    ],
)
def test_a_mark_that_may_mean_two_things_is_named(store, write, marks, line, mark):
    rows = [f"it,{name},{each}" for name, each in zip(NAMES, marks, strict=False)]
    with pytest.raises(ValueError, match=f"line {line}: expected .*, '{re.escape(mark)}'\\]"):
        from_csv(store, write("\n".join(["query,filepath,relevant", *rows])))


def test_the_disk_is_asked_once_a_folder_and_not_once_a_file(store, write, monkeypatch):
    """As a table of 100,000 photos of which few are here."""
    asked = []
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda *a, **b: asked.append(a) or real(*a, **b))
    rows = [f"it,2019/gone {number}.jpg,0" for number in range(500)]
    note = from_csv(store, write("\n".join(["query,filepath,relevant", "it,5.jpg,1", *rows]))).note
    assert "500 not in the collection" in note
    assert len(asked) < 20


def test_a_link_to_a_photo_means_that_photo(store, write, tmp_path):
    (tmp_path / "images" / "red_star").mkdir(parents=True)
    (tmp_path / "images" / NAMES[0]).touch()
    (tmp_path / "chosen.jpg").symlink_to(tmp_path / "images" / NAMES[0])
    text = "query,filepath,relevant\na star,chosen.jpg,1\n"
    assert found(from_csv(store, write(text))) == {"a star": {NAMES[0]}}


def test_an_empty_collection_has_an_empty_pool(tmp_path):
    with ImageStore(tmp_path / "new.db") as new:
        assert len(read_pool(new)) == 0


def test_a_table_without_the_columns_says_which_it_has(store, write):
    with pytest.raises(ValueError, match=r"must name the columns query, filepath, relevant.*text"):
        from_csv(store, write("text,file\na,b\n"))
    with pytest.raises(ValueError, match="not in UTF-8"):
        from_csv(store, write("query,filepath,relevant\ncafé,5.jpg,1", encoding="latin-1"))
    with pytest.raises(FileNotFoundError):
        from_csv(store, "gone.csv")


def test_a_query_whose_images_are_not_here_is_not_one_that_nothing_shows(store, write):
    text = "query,filepath,relevant\na dog,gone.jpg,1\na star,5.jpg,1\na cat,other.jpg,0\n"
    judgements = from_csv(store, write(text))
    assert judgements.queries == ["a star"]
    assert "list names 3 files; 2 not in the collection, such as gone.jpg" in judgements.note


def test_that_nothing_shows_a_query_is_more_than_that_some_images_do_not(store, write):
    text = "query,filepath,relevant\na zebra,5.jpg,0\na zebra,,0\na cat,5.jpg,0\n"
    judgements = from_csv(store, write(text))
    assert list(map(len, judgements.wrong)) == [0, 1]
    assert found(judgements) == {"a zebra": set(), "a cat": set()}


def test_excel_names_its_delimiter_in_a_line_of_its_own(store, write):
    text = "sep=;\nquery;filepath;relevant\nred, or a star;5.jpg;1\n"
    assert found(from_csv(store, write(text))) == {"red, or a star": {"5.jpg"}}
    with pytest.raises(ValueError, match="line 4: expected"):
        from_csv(store, write(text + "a star;5.jpg;perhaps\n"))


def test_a_comma_in_a_heading_does_not_split_columns(store, write):
    text = "query;filepath;relevant;who, when\na star;5.jpg;1;me\n"
    assert found(from_csv(store, write(text))) == {"a star": {"5.jpg"}}


def test_what_nobody_sees_is_no_query(store, write):
    judgements = from_labels(store, {"Café": "_\u200b", "red_star": "red\u200b star"})
    assert judgements.queries == ["blue fish", "red star"]
    assert "2 images without a label" in judgements.note
    line = json.dumps({"file": NAMES[0], "captions": ["a\u200b star", "\ufeff"]})
    assert from_captions(store, write(line)).queries == ["a star"]


ODD = ["-x.jpg", "=1+1.jpg", "'=x.jpg", "''y.jpg", "@a/+b.jpg", "a;=1.jpg", "＝1.jpg"]
ODD += ["\tx.jpg", "x\r=y.jpg", "x\r\n=y.jpg"]


@pytest.mark.parametrize("query", ["=1+1", "'=1+1", "'a", "-2", "+ + +", "@home; -truck"])
def test_judged_texts_that_a_spreadsheet_would_compute_come_back(tmp_path, query):
    folder = tmp_path / "images"
    with ImageStore(tmp_path / "odd.db") as store:
        store.open_for(MODEL, folder)
        store.upsert([row(name) for name in ODD])
        judged = {folder / name: place % 2 == 0 for place, name in enumerate(ODD)}
        text = judged_csv(query, judged, folder)
        (tmp_path / "judged.csv").write_text(text, encoding="utf-8", newline="")
        read = from_csv(store, tmp_path / "judged.csv")
        assert found(read) == {query: set(ODD[::2])}
        assert {read.pool.filepaths[place] for place in read.wrong[0]} == set(ODD[1::2])


def test_judged_texts_without_the_apostrophe_are_read_as_before(store, write):
    text = "query,filepath,relevant\n=1+1,5.jpg,1\n-2,5.jpg,1\n'a,5.jpg,1\n"
    assert found(from_csv(store, write(text))) == {
        query: {"5.jpg"} for query in ("=1+1", "-2", "'a")
    }


def test_what_nobody_judged_is_neither_right_nor_wrong(store, write):
    judgements = from_csv(store, write(f"query,filepath,relevant\nit,{NAMES[0]},1\nit,5.jpg,0\n"))
    places = map(judgements.pool.filepaths.index, [NAMES[0], "5.jpg", NAMES[1]])
    assert [judgements.verdict(0, place) for place in places] == ["right", "wrong", "not judged"]
    by_label = from_labels(store)
    assert by_label.verdict(0, by_label.pool.filepaths.index("5.jpg")) == "wrong"
