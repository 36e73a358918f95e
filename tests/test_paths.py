"""Where a path that somebody typed points to."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ImageStore, Settings
from helpers.paths import project_root, resolve_path, without_password

from .support.processes import ROOT


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
    script = "import sys; from helpers.paths import *; print(project_root(), resolve_path('data'))"
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '{tmp_path / 'site'}'); {script}"],
        cwd=tmp_path / "empty",
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"None {tmp_path / 'empty' / 'data'}\n", done.stderr
