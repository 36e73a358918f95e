"""What a run works with: its settings, the parameters of its notebooks, where its paths lead."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers import ImageStore, Settings
from helpers.settings import (
    _MADE,
    YesNoAll,
    check_flags,
    check_whole,
    project_root,
    read_parameters,
    resolve_path,
    without_password,
)

from .support.processes import ROOT


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGE_SEARCH_DATA_DIR", str(tmp_path))


def test_a_profile_gives_every_value(tmp_path):
    settings = Settings.resolve("demo")
    assert (settings.model_name, settings.query_text) == ("tiny", "a red star")
    assert settings.image_dir == tmp_path / "demo" / "images"
    assert settings.milvus_uri == str(tmp_path / "milvus.db")
    tutorial = Settings.resolve("tutorial")
    assert (tutorial.model_name, tutorial.query_text) == ("ViT-B/32", "a white dog")
    assert tutorial.collection_name == "image_collection"


def test_a_parameter_comes_before_the_environment_and_that_before_the_profile(monkeypatch):
    monkeypatch.setenv("MILVUS_URI", "http://from-environment:19530")
    assert Settings.resolve("demo").milvus_uri == "http://from-environment:19530"
    given = Settings.resolve("demo", milvus_uri="http://from-parameter:19530")
    assert given.milvus_uri == "http://from-parameter:19530"
    assert given.sources["milvus_uri"] == "parameter"


def test_the_profile_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("IMAGE_SEARCH_PROFILE", "demo")
    assert Settings.resolve().profile == "demo"
    assert Settings.resolve("tutorial").profile == "tutorial"


def test_auto_is_what_was_prepared_and_else_the_tutorial():
    assert Settings.resolve("auto").profile == "tutorial"
    Settings.resolve("demo").remember()
    assert Settings.resolve().profile == "demo"


@pytest.mark.parametrize("content", ["", "[]", '{"profile": "other"}', '{"profile": [1]}'])
def test_a_broken_note_of_what_was_prepared_is_as_none(content, tmp_path):
    (tmp_path / "prepared.json").write_text(content)
    assert Settings.resolve("auto").profile == "tutorial"


def test_an_unknown_profile_or_parameter_is_refused():
    with pytest.raises(ValueError, match="'prod'; known: tutorial, demo, auto"):
        Settings.resolve("prod")
    with pytest.raises(TypeError, match="unexpected keyword argument 'img_dir'"):
        Settings.resolve("demo", img_dir="x")


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.resolve("demo").profile = "tutorial"


def test_the_token_and_a_password_in_the_address_are_never_shown(monkeypatch):
    monkeypatch.setenv("MILVUS_TOKEN", "geheim-token")
    settings = Settings.resolve("demo", milvus_uri="https://root:geheim/w@ort-geheim@host:19530")
    for shown in (repr(settings), settings._repr_html_(), str(settings)):
        assert "geheim" not in shown
    assert "set, not shown" in settings._repr_html_()
    assert settings.milvus_uri == "https://root:geheim/w@ort-geheim@host:19530"


def test_the_table_escapes_what_it_shows():
    settings = Settings.resolve("demo", query_text="<script>alert(1)</script>")
    assert "<script>" not in settings._repr_html_()


def test_the_parameters_of_the_notebooks_may_be_given_in_their_order(tmp_path):
    settings = Settings.resolve("demo", "tiny", tmp_path, "http://host:1", "photos")
    assert (settings.model_name, settings.image_dir) == ("tiny", tmp_path)
    assert (settings.milvus_uri, settings.collection_name) == ("http://host:1", "photos")
    assert settings.given("image_dir")
    assert not settings.given("query_text")


def test_a_notebook_is_read_by_the_types_that_it_declares():
    kinds = {"profile": str, "collection_name": str, "query_text": str, "limit": int}
    notebook = {"profile": "demo", "collection_name": 2024, "query_text": "", "limit": "5"}
    notebook |= {"__annotations__": kinds, "model_name": "no parameter"}
    settings = Settings.read(notebook)
    assert (settings.profile, settings.collection_name) == ("demo", "2024")
    assert (settings.query_text, settings.model_name) == ("a red star", "tiny")
    assert (notebook["query_text"], notebook["limit"]) == ("", 5)


def test_a_parameter_that_cannot_be_read_stops_a_notebook():
    notebook = {"profile": "demo", "prune": "flase", "__annotations__": {"prune": bool}}
    with pytest.raises(ValueError, match="prune is yes or no"):
        Settings.read(notebook)


def test_switching_the_profile_keeps_what_was_given(tmp_path):
    settings = Settings.resolve("auto", collection_name="mine").switch("demo")
    assert (settings.profile, settings.collection_name) == ("demo", "mine")
    assert settings.auto
    assert settings.model_name == "tiny"
    assert settings.sources["profile"] == "auto"
    assert "left'>auto</td>" in settings._repr_html_()


def test_the_note_of_what_was_prepared_is_plain_json(tmp_path):
    Settings.resolve("demo").remember()
    assert json.loads((tmp_path / "prepared.json").read_text()) == {"profile": "demo"}
    assert [p.name for p in tmp_path.iterdir()] == ["prepared.json"]


def test_a_number_for_a_name_is_its_digits():
    settings = Settings.resolve("demo", query_text=7, collection_name=2024)
    assert (settings.query_text, settings.collection_name) == ("7", "2024")


def read(kind: type, value: object) -> object:
    """Read one parameter as a notebook does that declares its type."""
    namespace = {"__annotations__": {"name": kind}, "name": value}
    read_parameters(namespace)
    return namespace["name"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("NO", "NO"),
        ("1e3", "1e3"),
        ("", ""),
        ("  a  ", "  a  "),
        ("[a]", "[a]"),
        ("nan", "nan"),
        ("~", "~"),
        ("2019.0", "2019.0"),
        (42, "42"),
        (2.5, "2.5"),
        (2019.0, "2019"),
        (np.int64(2019), "2019"),
        (np.float32(2019), "2019"),
        (Decimal("2019.0"), "2019"),
        (np.str_("a"), "a"),
        (date(2019, 6, 15), "2019-06-15"),
        (datetime(2019, 6, 15, 14, 30), "2019-06-15 14:30:00"),
        (Path("a/b"), str(Path("a/b"))),
        (Path("weights-1.0"), "weights-1.0"),
    ],
)
def test_a_text_stays_a_text(value, text):
    assert read(str, value) == text


@given(st.text())
def test_any_text_stays_as_it_was_typed(text):
    assume(text.strip().lower() not in ("none", "null", "<na>"))
    assert read(str, text) == text


EMPTY = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, Decimal("nan"), "None", "null"]
EMPTY += ["NULL", "<NA>", " None "]


@pytest.mark.parametrize("value", EMPTY, ids=repr)
@pytest.mark.parametrize("kind", [str, list, int])
def test_an_empty_cell_and_the_words_of_programs_for_nothing_are_none(kind, value):
    assert read(kind, value) is None
    assert read(bool, value) is False


def test_an_empty_cell_is_no_value_of_the_settings():
    settings = Settings.resolve("demo", query_text=float("nan"), collection_name="None")
    assert (settings.query_text, settings.collection_name) == ("a red star", "demo_collection")
    assert not settings.given("query_text")


@pytest.mark.parametrize("value", [False, True, np.False_, [False], ["a", True]])
def test_a_word_that_yaml_took_for_yes_or_no_is_to_be_quoted(value):
    """`query_text: no` and `labels: [no, yes]`."""
    with pytest.raises(ValueError, match=r"name is a text, not .* in quotes, or use -r"):
        read(list if isinstance(value, list) else str, value)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, None),
        ("", None),
        ([], None),
        ("[]", None),
        ("a dog", ["a dog"]),
        ("2019", ["2019"]),
        (2019, ["2019"]),
        ([2025, "b"], ["2025", "b"]),
        (("a", "b"), ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", None], dtype=object), ["a"]),
        (np.array([2019, 2020]), ["2019", "2020"]),
        ({"a"}, ["a"]),
        (frozenset("a"), ["a"]),
        ({"a": 1}.keys(), ["a"]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (pd.Series(["b", "a", "b"], index=[2, 3, 4]), ["b", "a", "b"]),
        (pd.Series(["a", None], dtype="string"), ["a"]),
        (pd.Series([2019.0, np.nan]), ["2019"]),
        (pd.Series([2019, pd.NA], dtype="Int64"), ["2019"]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
        (["a", None, np.nan, pd.NA, pd.NaT, "<NA>", ""], ["a"]),
        (["a\n", " b "], ["a", "b"]),
        (["None", "null"], ["None", "null"]),
        ("a\n", ["a"]),
        ("~", None),
        ("[None, a]", ["a"]),
        (Path("a"), ["a"]),
        (Decimal("2019.0"), ["2019"]),
        ([date(2019, 6, 15)], ["2019-06-15"]),
        ("2019 2020", ["2019 2020"]),
        ("Paris (France), IMG(1), (2019)", ["Paris (France)", "IMG(1)", "(2019)"]),
        ('["it\'s", "b"]', ["it's", "b"]),
        ("a, b", ["a", "b"]),
        ("[2019, phone]", ["2019", "phone"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("['a', 'b']", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("dog's bed", ["dog's bed"]),
        ('say "x"', ['say "x"']),
        ("a photo of {}", ["a photo of {}"]),
        ("[{}, a photo of {}]", ["{}", "a photo of {}"]),
    ],
)
def test_a_list_may_come_as_a_list_as_one_value_or_as_text(value, texts):
    assert read(list, value) == texts


@given(st.text())
def test_no_text_is_too_odd_for_a_list(text):
    assume(not re.search(_MADE, text))
    assert read(list, text) is None or all(read(list, text))


@pytest.mark.parametrize(
    "value",
    [
        ("red", "blue"),
        ("red",),
        ("a (1)", "b"),
        {"red"},
        frozenset(["red"]),
        {"red": 1}.keys(),
        (2019, 2020),
        {2019},
        set(),
        np.array(["red", "blue"]),
        np.array(["red", None], dtype=object),
        np.array([2019, 2020]),
        np.array([2019.0, 2020.0]),
        np.array([["red", "blue"]]),
        np.arange(2000).astype(str),
        tuple(np.array(["red"])),
        {np.int64(2019)},
        pd.Index(["red", "blue"]),
        pd.Index([2019, 2020]),
        range(2018, 2020),
        iter(["red"]),
        b"red",
        bytearray(b"red"),
        [("red", 1)],
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
def test_the_text_that_python_makes_of_several_values_is_no_label(value):
    """So papermill hands on what is no list, number or text."""
    with pytest.raises(ValueError, match="name is no list, but the text"):
        read(list, str(value))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        ("5", 5),
        (" 5 ", 5),
        (5.0, 5),
        ("5.0", 5),
        ("-2", -2),
        ("1e3", 1000),
        (np.int64(5), 5),
        (np.float64(5), 5),
        (Decimal("5"), 5),
        ("~", None),
        ("", None),
    ],
)
def test_a_whole_number_may_come_as_text(value, number):
    assert read(int, value) == number


LANGUAGES = [
    ("TRUE", "FALSE"),
    ("WAHR", "FALSCH"),
    ("VRAI", "FAUX"),
    ("VERDADERO", "FALSO"),
    ("VERO", "FALSO"),
    ("VERDADEIRO", "FALSO"),
    ("WAAR", "ONWAAR"),
    ("PRAWDA", "FAŁSZ"),
    ("ИСТИНА", "ЛОЖЬ"),
    ("DOĞRU", "YANLIŞ"),
    ("SANT", "FALSKT"),
    ("Ja", "Nein"),
    ("oui", "non"),
    ("sí", "no"),
    ("Sim", "Não"),
    ("evet", "hayır"),
    ("EVET", "HAYIR"),
    ("да", "нет"),
    ("tak", "nie"),
    ("はい", "いいえ"),
    ("1.0", "0.0"),
]


@pytest.mark.parametrize(("yes", "no"), LANGUAGES)
def test_words_for_yes_and_no_may_be_of_the_language_of_a_spreadsheet(yes, no):
    assert (read(bool, yes), read(bool, no)) == (True, False)


@pytest.mark.parametrize(
    "value", [True, 1, "true", "True", " YES ", "y", "on", "1", 1.0, np.True_, np.float64(1)]
)
def test_the_usual_words_for_yes_are_yes(value):
    assert read(bool, value) is True


@pytest.mark.parametrize(
    "value", [False, None, 0, "false", "FALSE", "No", "n", "off", "0", "None", " "]
)
def test_the_usual_words_for_no_are_no(value):
    assert read(bool, value) is False


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bool, "maybe"),
        (bool, "flase"),
        (bool, 2),
        (bool, [False]),
        (bool, {}),
        (bool, "true false"),
        (int, "ten"),
        (int, True),
        (int, 2.5),
        (bool, "x"),
        (bool, np.array([True, False])),
        (int, "inf"),
        (int, [5]),
        (str, ["a"]),
        (str, {"a": 1}),
        (list, {"a": 1}),
        (list, [["a"]]),
        (list, np.array([["a"]])),
        (list, pd.DataFrame({"label": ["a"]})),
        (list, b"a"),
        (list, [b"a"]),
        (list, iter(["a"])),
        (str, b"a"),
        (str, np.array(["a"])),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
def test_what_cannot_be_read_is_named_and_nothing_is_changed(kind, value):
    kinds = {"first": int, "name": kind}
    namespace = {"__annotations__": kinds, "first": "5", "name": value}
    with pytest.raises(ValueError, match="name is "):
        read_parameters(namespace)
    assert namespace["first"] == "5"


@pytest.mark.parametrize(("value", "number"), [("None", 10), (float("nan"), 10), ("5", 5)])
def test_none_for_the_number_of_hits_is_what_the_notebook_has(value, number):
    cells = json.loads((ROOT / "notebooks" / "03_search.ipynb").read_text(encoding="utf-8"))[
        "cells"
    ]
    parameters, settings = ("".join(cell["source"]) for cell in cells[3:5])
    names = {"Settings": Settings, "prepare": lambda settings: settings}
    names["open_collection"] = lambda settings: (None, None)
    exec(parameters, names)
    names["limit"] = value
    exec(settings, names)
    assert names["limit"] == number


def test_what_declares_no_type_is_left_alone():
    namespace = {"__annotations__": {"other": dict, "absent": int}, "other": {}, "plain": "5"}
    read_parameters(namespace)
    assert (namespace["other"], namespace["plain"]) == ({}, "5")


@pytest.mark.parametrize("value", ["false", "", 0, None])
def test_a_text_is_no_flag(value):
    check_flags(prune=True)
    with pytest.raises(TypeError, match="prune is True or False"):
        check_flags(prune=value)


@pytest.mark.parametrize(
    ("value", "error"), [("5", TypeError), (2.5, TypeError), (True, TypeError), (0, ValueError)]
)
def test_a_text_is_no_whole_number(value, error):
    check_whole(1, limit=5, batch_size=None)
    with pytest.raises(error, match="limit"):
        check_whole(1, limit=value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("all", True), (" ALL ", True), ("yes", None), (True, None), (None, None)],
)
def test_a_flag_with_something_in_reserve_knows_a_word_more(value, expected):
    assert read(YesNoAll, value) == ("all" if expected else read(bool, value))


def test_a_flag_with_something_in_reserve_refuses_all_else():
    with pytest.raises(ValueError, match="name is yes or no"):
        read(YesNoAll, "alles")


def test_a_relative_path_counts_from_the_working_directory_else_from_the_project(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert resolve_path("mine") == tmp_path / "mine"
    assert resolve_path("gone") == ROOT / "gone"
    assert resolve_path("gone", tmp_path / "base") == tmp_path / "base" / "gone"
    assert resolve_path("mine", tmp_path / "base") == tmp_path / "mine"
    assert resolve_path(tmp_path / "gone") == tmp_path / "gone"


def test_the_home_folder_is_expanded():
    assert resolve_path("~/x") == (Path.home() / "x").resolve()


def test_the_project_is_found_upward_from_the_working_directory(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    assert project_root() == ROOT


def test_settings_and_databases_keep_to_the_same_rule(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "photos.db").mkdir()
    settings = Settings.resolve("demo", image_dir="mine", milvus_uri="photos.db")
    assert settings.image_dir == tmp_path / "mine"
    assert settings.milvus_uri == str(tmp_path / "photos.db")
    ImageStore("photos.db").close()
    assert [path.name for path in (tmp_path / "photos.db").iterdir()]


@pytest.mark.parametrize("uri", ["http://root:a@b@host:1", "http://host:1", "photos.db"])
def test_an_address_is_shown_without_what_stands_before_the_host(uri):
    assert without_password(uri).endswith(uri.rsplit("@", 1)[-1])
    assert "a@b" not in without_password(uri)


def test_without_a_project_everything_is_below_the_working_directory(tmp_path):
    """As after a plain `pip install .`: only the package is there."""
    shutil.copytree(ROOT / "helpers", tmp_path / "site" / "helpers")
    script = (
        "import sys; from helpers.settings import *; print(project_root(), resolve_path('data'))"
    )
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '{tmp_path / 'site'}'); {script}"],
        cwd=tmp_path / "empty",
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"None {tmp_path / 'empty' / 'data'}\n", done.stderr
