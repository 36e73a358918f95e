"""Which files there are in a folder, and by which names they are known."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import ingest, list_images, sample_images, search
from helpers.collection import columns
from helpers.images import files
from helpers.images.files import leftover, look_at, survey

from .support.processes import unprivileged


def test_images_are_listed_in_order_whatever_their_extensions_case(tmp_path):
    for name in ["b/2.JPG", "b/1.jpeg", "a.PNG", "c.txt", ".hidden.jpg", ".git/x.jpg", "d.WebP"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)]
    assert names == ["a.PNG", "b/1.jpeg", "b/2.JPG", "d.WebP"]


def test_a_folder_that_is_missing_or_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        list_images(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        list_images(tmp_path / "file")


def test_a_folder_that_may_not_be_read_is_named(open_folder):
    (open_folder / "a").mkdir()
    (open_folder / "a" / "1.jpg").touch()
    closed = open_folder / "closed"
    closed.mkdir(mode=0)
    with unprivileged():
        with pytest.raises(PermissionError, match="closed"):
            list_images(closed)
        with pytest.warns(UserWarning, match="closed: folder left out"):
            found = list_images(open_folder)
    assert [p.name for p in found] == ["1.jpg"]


def test_a_sample_is_spread_over_the_folder_and_leaves_out_what_does_not_open(drawings, tmp_path):
    labels = [path.parent.name for path in sample_images(drawings, 5)]
    assert len(set(labels)) == 5
    for index, path in enumerate(list_images(drawings)[:7]):
        (tmp_path / f"{index}.jpg").write_bytes(path.read_bytes() if index % 2 else b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    assert [path.name for path in sample_images(tmp_path, 9)] == ["1.jpg", "3.jpg", "5.jpg"]


linked = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")


def make(folder, *names):
    """Make files of these names, each with another content; return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def names(folder):
    return [path.relative_to(folder).as_posix() for path in list_images(folder)]


def left_out(folder):
    return {each.kind: (each.number, each.what_to_do) for each in survey(folder).left_out}


def test_what_a_nas_leaves_behind_is_no_result_but_is_said(tmp_path):
    make(tmp_path, "a.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "2019/@eaDir/b.jpg/x.png")
    make(tmp_path, "#recycle/c.jpg", "@eaDir/a.jpg/info.txt", "#recycle/2019/d.jpg")
    assert names(tmp_path) == ["a.jpg"]
    assert left_out(tmp_path) == {
        "in @eaDir": (2, "leftovers of a NAS"),
        "in #recycle": (2, "a recycle bin"),
    }


def test_a_folder_that_is_named_is_meant_whatever_its_name(tmp_path):
    make(tmp_path, "@eaDir/a.jpg", ".hidden/b.jpg", "#recycle/c.jpg")
    for name in ("@eaDir", ".hidden", "#recycle"):
        assert len(list_images(tmp_path / name)) == 1


def test_hidden_images_are_left_out_and_said(tmp_path):
    make(tmp_path, ".a.jpg", ".hidden/b.jpg", ".hidden/c/d.png", ".hidden/notes.txt", "._a.jpg")
    assert names(tmp_path) == []
    assert left_out(tmp_path) == {
        "hidden": (3, "rename what begins with a dot, if it is yours"),
        "leftover": (1, "leftovers of an operating system"),
    }


def test_what_cannot_be_opened_is_said_with_what_to_do(tmp_path, monkeypatch):
    kinds = {".cr2": "pip install rawpy", ".mov": "only pictures are searched"}
    monkeypatch.setattr(files, "NOT_OPENED", kinds)
    monkeypatch.setattr(files, "IMAGE_EXTENSIONS", files.IMAGE_EXTENSIONS - kinds.keys())
    make(tmp_path, *(f"2019/{n}.CR2" for n in range(12)), "b.mov", "notes.txt", "c.MOV", "d.mov")
    surveyed = survey(tmp_path)
    assert surveyed.images == []
    assert surveyed.left_out == [
        (".CR2", 12, "2019/0.CR2", "pip install rawpy"),
        ("video", 3, "b.mov", "only pictures are searched"),
    ]


@pytest.mark.parametrize(
    "start",
    [
        b"\xff\xd8\xff\xe0....",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF....WEBPVP8 ",
        b"\0\0\0\x18ftypheic....",
        b"II*\0........",
    ],
)
def test_an_image_without_an_images_ending_is_said(tmp_path, start):
    for name in ("IMG_0001", "a.jpg~", "b.jpg_large", "side.xmp"):
        (tmp_path / name).write_bytes(start)
    (tmp_path / "no image").write_bytes(b"RIFF....WAVE")
    (tmp_path / "empty").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    assert names(tmp_path) == []
    assert {kind: number for kind, (number, _) in left_out(tmp_path).items()} == {
        "without an image's ending": 3
    }


@linked
def test_linked_folders_are_followed_each_real_folder_once(tmp_path):
    folder = make(tmp_path / "photos", "real/a.jpg")
    make(tmp_path / "disk", "b.jpg", "deep/c.jpg")
    (folder / "again").symlink_to(folder / "real")
    (folder / "one").symlink_to(tmp_path / "disk")
    (folder / "two").symlink_to(tmp_path / "disk")
    (folder / "a deep one").symlink_to(tmp_path / "disk" / "deep")
    (tmp_path / "disk" / "back").symlink_to(folder)
    (folder / "real" / "loop").symlink_to(folder / "real")
    assert names(folder) == ["a deep one/c.jpg", "one/b.jpg", "real/a.jpg"]


@linked
def test_a_link_to_a_folder_around_this_one_is_not_followed_and_said(tmp_path):
    folder = make(tmp_path / "photos", "2019/a.jpg")
    make(tmp_path, "private.jpg")
    (folder / "2019" / "up").symlink_to(tmp_path)
    assert names(folder) == ["2019/a.jpg"]
    (each,) = survey(folder).left_out
    assert each == (
        "link to a folder that holds this one",
        1,
        "2019/up",
        "name that folder instead",
    )


@linked
def test_a_linked_file_is_known_by_its_real_path(tmp_path):
    folder = make(tmp_path / "photos", "z/a.jpg")
    outside = make(tmp_path / "elsewhere", "b.jpg") / "b.jpg"
    (folder / "favourite.jpg").symlink_to(folder / "z" / "a.jpg")
    (folder / "one.jpg").symlink_to(outside)
    (folder / "two.jpg").symlink_to(outside)
    (folder / "broken.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    assert names(folder) == ["broken.jpg", "loop.jpg", "one.jpg", "z/a.jpg"]


@linked
def test_a_link_that_is_not_called_an_image_is_not_said(tmp_path):
    folder = make(tmp_path / "photos", "a.jpg", ".hidden/b.jpg")
    (tmp_path / "IMG_0001").write_bytes(b"\xff\xd8\xff\xe0....")
    (folder / "link").symlink_to(tmp_path / "IMG_0001")
    (folder / "link.mov").symlink_to(tmp_path / "IMG_0001")
    (folder / ".hidden" / "link.jpg").symlink_to(tmp_path / "IMG_0001")
    assert names(folder) == ["a.jpg"]
    assert {kind: number for kind, (number, _) in left_out(folder).items()} == {"hidden": 1}


@linked
def test_a_link_may_lead_to_a_hidden_folder(tmp_path):
    make(tmp_path, ".store/a.jpg")
    (tmp_path / "shown").symlink_to(tmp_path / ".store")
    assert names(tmp_path) == ["shown/a.jpg"]


@linked
def test_what_links_lead_to_is_not_said_to_be_left_out(tmp_path):
    make(tmp_path, ".git/annex/1.jpg", ".git/annex/2.jpg")  # as git-annex keeps photos
    (tmp_path / "IMG_1.jpg").symlink_to(tmp_path / ".git" / "annex" / "1.jpg")
    assert names(tmp_path) == ["IMG_1.jpg"]
    assert {kind: number for kind, (number, _) in left_out(tmp_path).items()} == {"hidden": 1}


@linked
@settings(max_examples=60, deadline=None)
@given(
    files=st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1),
    links=st.sets(st.tuples(*[st.sampled_from(["a", "b", "c", "."])] * 2, st.integers(0, 2))),
)
def test_however_folders_are_linked_each_file_is_listed_once_by_its_real_path(
    tmp_path_factory, files, links
):
    folder = tmp_path_factory.mktemp("linked").resolve()
    for name in "abc":
        (folder / name).mkdir()
    expected = sorted(f"{parent}/{name}.jpg" for parent, name in files)
    make(folder, *expected)
    for place, target, number in links:
        (folder / place / f"link{number} to {target if target != '.' else 'all'}").symlink_to(
            folder / target
        )
    assert names(folder) == expected


def test_names_in_both_normal_forms_are_one_label_and_both_are_opened(tmp_path):
    forms = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")]
    make(tmp_path, *(f"{name}/{number}.jpg" for number, name in enumerate(forms)))
    found = [look_at(path, tmp_path) for path in list_images(tmp_path)]
    assert {file.facts["label"] for file in found} == {forms[0]}
    assert all(Path(file).read_bytes() for file in found)


def test_a_folder_that_cannot_be_read_is_also_in_the_report(open_folder):
    (open_folder / "closed").mkdir(mode=0)
    with unprivileged(), pytest.warns(UserWarning, match="closed: folder left out"):
        kinds = left_out(open_folder)
    assert kinds == {"folder that cannot be read": (1, "change its permissions")}


def test_one_more_format_is_an_extension_more(tmp_path, monkeypatch, encoder, store):
    Image.effect_noise((40, 30), 80).save(tmp_path / "a.sgi")
    assert list_images(tmp_path) == []
    monkeypatch.setattr(files, "IMAGE_EXTENSIONS", files.IMAGE_EXTENSIONS | {".sgi"})
    assert ingest(tmp_path, encoder, store, progress=False).inserted == 1
    assert search("x", encoder, store)[0].filepath == "a.sgi"


def test_no_ending_is_both_opened_and_not_opened():
    assert not files.IMAGE_EXTENSIONS & files.NOT_OPENED.keys()
    for ending in (*files.IMAGE_EXTENSIONS, *files.NOT_OPENED):
        assert ending.startswith(".")
        assert ending == ending.lower()


def test_without_the_optional_packages_their_names_are_what_to_do():
    script = (
        "import sys; sys.modules |= {'rawpy': None, 'pillow_jxl': None};"
        "from helpers.images.files import *; ends = {'.nef', '.cr3', '.dng', '.jxl'};"
        "print(ends & IMAGE_EXTENSIONS, NOT_OPENED['.nef'], NOT_OPENED['.jxl'], sep='; ')"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.stdout.strip() == "set(); pip install rawpy; pip install pillow-jxl-plugin"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("@eaDir", "leftovers of a NAS"),
        ("#recycle", "a recycle bin"),
        ("$RECYCLE.BIN", "a recycle bin"),
        (".Trash-1000", "a recycle bin"),
        ("__MACOSX", "leftovers of an operating system"),
        ("PaxHeaders.1234", "leftovers of an operating system"),
        ("FOUND.000", "leftovers of an operating system"),
        ("My Catalog Previews.lrdata", "thumbnails of another program"),
    ],
)
def test_a_folder_is_known_as_a_leftover_in_any_case(name, what):
    for written in (name, name.upper(), name.lower()):
        assert leftover(written, "photos", is_folder=True) == what


@pytest.mark.parametrize("name", ["2019", "eaDir", "recycling", "#summer", "@home", "found.photos"])
def test_a_folder_with_a_similar_name_is_none(name):
    assert leftover(name, "photos", is_folder=True) == ""


def test_files_are_known_by_names_of_their_own():
    assert leftover("._IMG_1.jpg", "photos", is_folder=False)
    assert leftover(".trashed-1700000000-IMG_1.jpg", "photos", is_folder=False) == "a recycle bin"
    assert leftover("SYNOPHOTO_THUMB_XL.jpg", "IMG_1.jpg", is_folder=False)
    for name in ("IMG_1.jpg", "@eaDir", "_IMG.jpg"):
        assert leftover(name, "photos", is_folder=False) == ""


def test_of_apples_library_only_the_originals_are_the_owners():
    library = "Photos Library.photoslibrary"
    for name in ("originals", "Masters"):
        assert leftover(name, library, is_folder=True) == ""
    for name in ("resources", "database", "Thumbnails"):
        assert leftover(name, library, is_folder=True) == "thumbnails of another program"
    assert leftover("resources", "photos", is_folder=True) == ""


def stamp(monkeypatch, path, **status):
    """Return the stamp of a file of which the disk says this."""
    found = path.stat()
    known = {n: getattr(found, n) for n in dir(found) if n.startswith("st_")} | status
    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", lambda self: SimpleNamespace(**known))
        return look_at(path, path.parent).facts["stamp"]


def test_a_stamp_tells_inodes_and_their_times_apart(tmp_path, monkeypatch):
    path = make(tmp_path, "a.jpg") / "a.jpg"
    last, inode = 2**63 - 2, 2**128 - 2  # as long as any
    known = {"st_mtime_ns": 10**18, "st_ctime_ns": last, "st_ino": inode}
    first = stamp(monkeypatch, path, **known)
    assert len(first) <= columns.named("stamp").length
    for changed in ({"st_ctime_ns": last + 1}, {"st_ino": inode + 1}):
        assert stamp(monkeypatch, path, **known | changed) != first
    for changed in ({"st_mtime_ns": 1}, {"st_dev": 99}, {"st_atime_ns": 5}):  # another mount, say
        assert stamp(monkeypatch, path, **known | changed) == first


def test_an_inode_that_is_made_up_each_time_does_not_count(tmp_path, monkeypatch):
    """As Linux does on FAT and exFAT, where it shows mtime as ctime."""
    path = make(tmp_path, "a.jpg") / "a.jpg"
    same = {"st_ctime_ns": path.stat().st_mtime_ns}
    first, again = (stamp(monkeypatch, path, **same, st_ino=inode) for inode in (7, 8))
    assert first == again
