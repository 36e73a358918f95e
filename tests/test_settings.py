import dataclasses
import json

import pytest

from helpers import Settings
from helpers.settings import remember_profile


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
    remember_profile(Settings.resolve("demo"))
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
    assert ("profile", "demo", "auto") in settings._rows()


def test_the_note_of_what_was_prepared_is_plain_json(tmp_path):
    remember_profile(Settings.resolve("demo"))
    assert json.loads((tmp_path / "prepared.json").read_text()) == {"profile": "demo"}
    assert [p.name for p in tmp_path.iterdir()] == ["prepared.json"]


def test_a_number_for_a_name_is_its_digits():
    settings = Settings.resolve("demo", query_text=7, collection_name=2024)
    assert (settings.query_text, settings.collection_name) == ("7", "2024")
