"""What holds of the drawings, their captions and their folders."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageColor

from helpers.dates import moment
from helpers.demo.drawings import (
    BACKGROUNDS,
    COLOURS,
    COUNTS,
    OBJECTS,
    caption,
    draw,
    draw_demo_images,
    phrase,
)
from helpers.images.pictures import read_image

COLUMNS = ["filepath", "label", "object", "colour", "count", "background", "caption", "taken"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """Two hundred drawings, and their list."""
    folder = tmp_path_factory.mktemp("drawings")
    return folder, draw_demo_images(folder, 200, seed=3)


def digests(folder: Path) -> dict[str, str]:
    """The content of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def pixels(*words, seed: int = 0, size: int = 128) -> np.ndarray:
    """One drawing as an array of float."""
    return np.asarray(draw(*words, np.random.default_rng(seed), size), dtype=float)


def test_the_vocabulary_is_large_enough():
    assert len(OBJECTS) >= 16
    assert len(COLOURS) >= 12
    assert len(BACKGROUNDS) >= 12
    assert list(COUNTS) == [1, 2, 3, 4]


def test_two_calls_with_one_seed_draw_the_same_bytes(drawn, tmp_path):
    draw_demo_images(tmp_path, 200, seed=3)
    assert digests(tmp_path) == digests(drawn[0])


def test_another_seed_draws_other_pictures(drawn, tmp_path):
    draw_demo_images(tmp_path, 200, seed=4)
    one, other = digests(drawn[0]), digests(tmp_path)
    assert one["red star/red-star-01.jpg"] != other["red star/red-star-01.jpg"]
    assert set(one) != set(other)


def test_the_seed_decides_more_than_the_background(tmp_path):
    seen = {}
    for seed in range(5):
        rows = draw_demo_images(tmp_path / str(seed), 10, seed).itertuples()
        content = digests(tmp_path / str(seed))
        for row in rows:
            seen.setdefault((row.filepath, row.background), []).append(content[row.filepath])
    repeated = [group for group in seen.values() if len(group) > 1]
    assert repeated
    assert all(len(set(group)) == len(group) for group in repeated)


def test_classes_are_folders_of_ten_named_by_their_phrase(drawn):
    folder, table = drawn
    assert (table["label"].value_counts() == 10).all()
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(table["label"])
    assert table["filepath"].is_unique
    assert all((folder / name).is_file() for name in table["filepath"])
    assert [name.split("/")[0] for name in table["filepath"]] == list(table["label"])


def test_red_star_is_the_first_class_of_any_seed(tmp_path):
    for seed in range(3):
        table = draw_demo_images(tmp_path / str(seed), 20, seed)
        assert table["label"].iloc[0] == "red star"
        assert table["filepath"].iloc[0] == "red star/red-star-01.jpg"


def test_half_of_the_classes_show_one_object(drawn):
    counts = drawn[1].drop_duplicates("label")["count"]
    assert (counts == 1).sum() == 10
    assert set(counts) == set(COUNTS)


def test_no_object_has_the_colour_of_its_background(drawn):
    table = drawn[1]
    assert (table["colour"] != table["background"]).all()


def test_background_and_place_vary_within_a_class(drawn):
    folder, table = drawn
    assert (table.groupby("label")["background"].nunique() == 10).all()
    assert len(set(digests(folder).values())) == len(table) + 1  # the list is a file too


def test_the_list_says_what_the_captions_say(drawn):
    folder, table = drawn
    assert list(table.columns) == COLUMNS
    pd.testing.assert_frame_equal(pd.read_csv(folder / "captions.csv"), table)
    for row in table.itertuples():
        assert row.label == phrase(row.object, row.colour, row.count)
        assert row.caption == caption(row.object, row.colour, row.count, row.background)


def test_a_drawing_tells_a_made_up_day_and_half_of_them_a_place(drawn):
    folder, table = drawn
    for row in table.itertuples():
        told = read_image(folder / row.filepath)[1]
        assert (str(moment(told["taken"]).date()), told["camera"]) == (row.taken, "Pencil")
        assert ("latitude" in told) == (int(row.filepath[-6:-4]) <= 5)
    assert sorted(table["taken"].str[:4].astype(int).unique()) == list(range(2015, 2025))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("star", "red", 1, "white"), "a red star on a white background"),
        (("apple", "orange", 1, "turquoise"), "an orange apple on a turquoise background"),
        (("fish", "blue", 2, "yellow"), "two blue fish on a yellow background"),
        (("butterfly", "black", 3, "orange"), "three black butterflies on an orange background"),
        (("cup", "white", 4, "grey"), "four white cups on a grey background"),
    ],
)
def test_captions_are_plain_english(words, text):
    assert caption(*words) == text


def test_files_are_square_jpegs_of_256_pixels(drawn):
    folder, table = drawn
    with Image.open(folder / table["filepath"].iloc[0]) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (256, 256))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_middle_of_each_edge_shows_the_background(background):
    colour = "white" if background != "white" else "black"
    expected = ImageColor.getrgb(BACKGROUNDS[background])
    top = pixels("star", colour, 1, background)[0, 54:74].mean(axis=0)
    assert np.allclose(top, expected, atol=25)


@pytest.mark.parametrize("thing", OBJECTS)
def test_the_colour_of_an_object_is_the_one_most_seen_on_it(thing):
    seen = {colour: main_colour(thing, colour) for colour in COLOURS}
    assert seen == {colour: colour for colour in COLOURS}


def main_colour(thing: str, colour: str) -> str:
    """The colour of objects which most pixels of a drawing are near to."""
    background = "yellow" if colour == "white" else "white"
    picture = pixels(thing, colour, 1, background)
    areas = {
        name: np.sum(np.abs(picture - ImageColor.getrgb(rgb)).max(axis=2) < 30)
        for name, rgb in COLOURS.items()
        if name != background
    }
    return max(areas, key=areas.get)


@pytest.mark.parametrize("thing", OBJECTS)
def test_objects_lie_whole_inside_the_picture(thing):
    for seed in range(20):
        picture = pixels(thing, "black", 1 + seed % 4, "white", seed=seed, size=96)
        edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert edge.min() > 150


def test_as_many_objects_are_drawn_as_said():
    for seed in range(5):
        hearts = [pixels("heart", "red", count, "white", seed=seed) for count in COUNTS]
        assert [patches(heart[..., 1] < 120) for heart in hearts] == [1, 2, 3, 4]


def patches(mask: np.ndarray) -> int:
    """The number of connected patches of a mask, without the smallest specks."""
    left, sizes = {tuple(spot) for spot in np.argwhere(mask)}, []
    while left:
        edge, size = [left.pop()], 0
        while edge:
            y, x = edge.pop()
            size += 1
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= near
            edge.extend(near)
        sizes.append(size)
    return sum(size > 20 for size in sizes)


def test_a_complete_folder_is_left_alone(tmp_path):
    first = draw_demo_images(tmp_path, 20, seed=1)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = draw_demo_images(tmp_path, 20, seed=1)
    pd.testing.assert_frame_equal(first, second)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


@pytest.mark.parametrize("lost", ["captions.csv", "red star/red-star-07.jpg"])
def test_an_interrupted_drawing_is_finished(tmp_path, lost):
    draw_demo_images(tmp_path, 20, seed=1)
    whole = digests(tmp_path)
    (tmp_path / lost).unlink()
    (tmp_path / "red star/red-star-01.jpg").write_bytes(b"half a picture")
    draw_demo_images(tmp_path, 20, seed=1)
    assert digests(tmp_path) == whole


def test_a_drawing_killed_half_way_leaves_no_list(tmp_path, monkeypatch):
    draw_demo_images(tmp_path, 20, seed=1)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("helpers.demo.drawings._save", killed)
    with pytest.raises(KeyboardInterrupt):
        draw_demo_images(tmp_path, 30, seed=1)
    assert not (tmp_path / "captions.csv").exists()


@pytest.mark.parametrize("n", [0, -10, 5, 1005])
def test_a_number_that_is_no_multiple_of_ten_is_refused(tmp_path, n):
    with pytest.raises(ValueError, match="multiple of 10"):
        draw_demo_images(tmp_path, n)
    assert not list(tmp_path.iterdir())


def test_more_drawings_than_there_are_classes_for_are_refused(tmp_path):
    most = len(OBJECTS) * len(COLOURS) * len(COUNTS) * 10
    with pytest.raises(ValueError, match=f"at most {most}"):
        draw_demo_images(tmp_path, most + 10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("locomotive", "red", 1, "white"), "object 'locomotive'.*star, heart"),
        (("star", "mauve", 1, "white"), "colour 'mauve'.*red, orange"),
        (("star", "red", 5, "white"), "count 5.*1, 2, 3, 4"),
        (("star", "red", 1, "mauve"), "background 'mauve'.*red, orange"),
        (("star", "red", 1, "red"), "cannot be seen"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_can(words, message):
    with pytest.raises(ValueError, match=message):
        draw(*words, np.random.default_rng(0))


def test_the_module_brings_neither_torch_nor_matplotlib():
    code = "import sys, helpers.demo.drawings; print({'torch', 'matplotlib'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "set()"
