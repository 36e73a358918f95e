"""Small flat drawings for the demo profile: "two blue fish on a yellow background".

`drawings.toml` says what the objects look like. Not about CLIP, Milvus or widgets: this module
needs only Pillow, numpy and pandas.
"""

import os
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import ExifTags, Image, ImageChops, ImageColor, ImageDraw, ImageFilter

COLOURS = {
    "red": "#d92b2f",
    "orange": "#f4821f",
    "yellow": "#f8cd1d",
    "green": "#3c9a45",
    "blue": "#2866cc",
    "purple": "#7c42b4",
    "pink": "#f37fae",
    "brown": "#7b4b2a",
    "black": "#25252b",
    "white": "#fdfdfb",
    "grey": "#878b92",
    "turquoise": "#16b3ae",
}
"""The colours of objects: name to hexadecimal RGB."""

BACKGROUNDS = {
    "red": "#d9635c",
    "orange": "#f6b169",
    "yellow": "#fae48b",
    "green": "#a3d39b",
    "blue": "#93bfec",
    "purple": "#b79fde",
    "pink": "#fbcbdb",
    "brown": "#ad8767",
    "black": "#2e2e36",
    "white": "#faf9f5",
    "grey": "#b9bdc3",
    "turquoise": "#8bdcd3",
}
"""The colours of backgrounds: softer tints under the same names."""

COUNTS = {1: "one", 2: "two", 3: "three", 4: "four"}
"""How many objects a drawing may show, and the word for it."""

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

OBJECTS = tuple(_TABLE["objects"])
"""What the drawings can show."""

_PLURALS = {"fish": "fish", "butterfly": "butterflies"}
_GRIDS: dict[int, list[list[tuple[float, float]]]] = {
    1: [[(0, 0)]],
    2: [[(-0.46, 0), (0.46, 0)], [(-0.4, -0.4), (0.4, 0.4)], [(-0.4, 0.4), (0.4, -0.4)]],
    3: [[(0, -0.45), (-0.47, 0.4), (0.47, 0.4)], [(-0.47, -0.4), (0.47, -0.4), (0, 0.45)]],
    4: [[(-0.46, -0.46), (0.46, -0.46), (-0.46, 0.46), (0.46, 0.46)]],
}
_COLUMNS = ["filepath", "label", "object", "colour", "count", "background", "caption", "taken"]
_PARIS = {1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 8.0)}  # as EXIF writes a place
_PER_CLASS = 10
_OVERSAMPLING = 3


def phrase(object: str, colour: str, count: int) -> str:
    """Return the name of a class of drawings.

    Parameters
    ----------
    object, colour : str
        One of `OBJECTS` and one of `COLOURS`.
    count : int
        One to four.

    Returns
    -------
    str
        For example ``"red star"`` or ``"two blue fish"``.
    """
    if count == 1:
        return f"{colour} {object}"
    return f"{COUNTS[count]} {colour} {plural(object)}"


def plural(object: str) -> str:
    """Return the plural of an object's name: ``"butterflies"``, ``"fish"``."""
    return _PLURALS.get(object, object + "s")


def with_article(words: str) -> str:
    """Return words with "a" or "an" before them: ``"an orange key"``."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def caption(object: str, colour: str, count: int, background: str) -> str:
    """Return the full description of a drawing.

    Parameters
    ----------
    object, colour, count
        As for `phrase`.
    background : str
        One of `BACKGROUNDS`.

    Returns
    -------
    str
        For example ``"a red star on a white background"``.
    """
    things = phrase(object, colour, count)
    things = with_article(things) if count == 1 else things
    return f"{things} on {with_article(background)} background"


def draw(
    object: str,
    colour: str,
    count: int,
    background: str,
    rng: np.random.Generator,
    size: int = 256,
) -> Image.Image:
    """Draw and return one picture.

    Parameters
    ----------
    object, colour, count, background
        What to draw, as for `caption`. The two colours must differ.
    rng : numpy.random.Generator
        Decides positions, sizes and slight rotations.
    size : int
        Width and height in pixels.

    Returns
    -------
    PIL.Image.Image
        A square RGB picture with every object completely inside it.

    Raises
    ------
    ValueError
        If a value is not among those that the module knows, or the colours are the same.
    """
    _check(object, colour, count, background)
    inks = _inks(COLOURS[colour])
    places = _places(count, rng)
    figures = [(ink, outline) for place in places for ink, outline in _placed(object, place)]
    ground = _ground([outline for _, outline in figures], BACKGROUNDS[background], size)
    large = ground.resize((size * _OVERSAMPLING,) * 2, Image.Resampling.BILINEAR)
    brush = ImageDraw.Draw(large)
    for ink, outline in figures:
        brush.polygon(_pixels(outline, large.width), fill=inks[ink])
    return ImageChops.multiply(large.reduce(_OVERSAMPLING), _daylight(size))


def draw_demo_images(folder: str | os.PathLike, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Draw `n` pictures in class folders of ten; list them in ``captions.csv`` and return the list.

    The first class is always "red star"; about half of the classes show one object. The list is
    written last: after an interruption the folder is drawn again, a complete one is kept. Other
    files in the folder stay there.

    As in photos, EXIF says when and where a picture was taken, and with what. Here that is made up:
    with a pencil, the tenth of each class in 2024, the ninth in 2023 and so on, and the first five
    in Paris.

    Parameters
    ----------
    folder : path
        Where the class folders go; it is created if missing.
    n : int
        How many drawings, a multiple of ten.
    seed : int
        The same `n` and `seed` make the same bytes.

    Returns
    -------
    pandas.DataFrame
        Columns filepath (below `folder`, with slashes), label, object, colour, count,
        background, caption and taken (an ISO date).

    Raises
    ------
    ValueError
        If `n` is not a positive multiple of ten, or asks for more classes than there are.
    """
    folder = Path(folder)
    rows = _plan(n, seed)
    if not _is_complete(folder, rows):
        (folder / "captions.csv").unlink(missing_ok=True)
        for label in rows["label"].unique():
            (folder / label).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda row: _save(folder, row, seed), rows.itertuples()))
        part = folder / f"captions.csv.{os.getpid()}"
        part.write_bytes(_as_csv(rows))
        part.replace(folder / "captions.csv")
    return rows


def listed_drawings(folder: str | os.PathLike) -> pd.DataFrame:
    """Return the list that `draw_demo_images` wrote into a folder; without it, an empty one."""
    try:
        rows = pd.read_csv(Path(folder) / "captions.csv")
    except (OSError, ValueError):  # no such file, or one that others wrote
        rows = pd.DataFrame()
    rows = rows if set(_COLUMNS) <= set(rows) else pd.DataFrame(columns=_COLUMNS)
    return rows.drop_duplicates("filepath")


def _plan(n: int, seed: int) -> pd.DataFrame:
    """Return the list of the drawings of a seed."""
    if n < _PER_CLASS or n % _PER_CLASS:
        raise ValueError(f"n must be a positive multiple of {_PER_CLASS}, not {n}.")
    rng = np.random.default_rng(seed)
    rows: list[tuple] = []
    for object, colour, count in _classes(n // _PER_CLASS, rng):
        label = phrase(object, colour, count)
        others = [name for name in BACKGROUNDS if name != colour]
        for number, background in enumerate(rng.permutation(others)[:_PER_CLASS], start=1):
            filepath = f"{label}/{label.replace(' ', '-')}-{number:02}.jpg"
            words = caption(object, colour, count, background)
            day = f"{2014 + number}-{1 + len(rows) % 12:02}-{1 + len(rows) % 28:02}"
            rows.append((filepath, label, object, colour, count, str(background), words, day))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _classes(number: int, rng: np.random.Generator) -> list[tuple[str, str, int]]:
    """Return classes: "red star" first, and about half of them with one object."""
    every = list(product(OBJECTS, COLOURS, COUNTS))
    if number > len(every):
        most = len(every) * _PER_CLASS
        raise ValueError(f"n must be at most {most} ({len(every)} classes of {_PER_CLASS}).")
    first = ("star", "red", 1)
    mixed = [every[i] for i in rng.permutation(len(every)) if every[i] != first]
    single = [kind for kind in mixed if kind[2] == 1]
    several = [kind for kind in mixed if kind[2] > 1]
    half = max(number // 2 - 1, number - 1 - len(several), 0)
    chosen = single[:half]
    chosen += several[: number - 1 - len(chosen)]
    return [first] + [chosen[i] for i in rng.permutation(len(chosen))]


def _is_complete(folder: Path, rows: pd.DataFrame) -> bool:
    """Return whether the folder holds exactly these drawings."""
    try:
        listed = (folder / "captions.csv").read_bytes()
    except FileNotFoundError:
        return False
    return listed == _as_csv(rows) and all((folder / x).is_file() for x in rows["filepath"])


def _as_csv(rows: pd.DataFrame) -> bytes:
    """Return the list as CSV, with the same line ends on every system."""
    return rows.to_csv(index=False, lineterminator="\n").encode()


def _save(folder: Path, row, seed: int) -> None:
    """Draw and save the picture of one row; its place in the list and the seed decide all."""
    rng = np.random.default_rng([seed, row.Index])
    picture = draw(row.object, row.colour, row.count, row.background, rng)
    picture.save(folder / row.filepath, quality=90, exif=_notes(row))


def _notes(row) -> Image.Exif:
    """Return EXIF as a camera would write it."""
    noted, names = Image.Exif(), ExifTags.Base
    noted[names.Model] = "Pencil"
    taken = f"{row.taken.replace('-', ':')} 12:00:00"
    noted[ExifTags.IFD.Exif] = {names.DateTimeOriginal: taken}
    if row.Index % _PER_CLASS < _PER_CLASS // 2:
        noted[ExifTags.IFD.GPSInfo] = _PARIS
    return noted


def _check(object: str, colour: str, count: int, background: str) -> None:
    """Refuse what cannot be drawn, and name what can."""
    for what, value, known in [
        ("object", object, OBJECTS),
        ("colour", colour, COLOURS),
        ("count", count, COUNTS),
        ("background", background, BACKGROUNDS),
    ]:
        if value not in known:
            raise ValueError(f"Unknown {what} {value!r}; choose from {', '.join(map(str, known))}.")
    if colour == background:
        raise ValueError(f"A {colour} object cannot be seen on a {background} background.")


def _places(count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, float, float]]:
    """Return a centre, a radius and a rotation in radians for each object."""
    grids = _GRIDS[count]
    grid = np.array(grids[rng.integers(len(grids))])
    low, high, shake = [
        (0.58, 0.82, 0.12),
        (0.35, 0.42, 0.05),
        (0.34, 0.4, 0.04),
        (0.34, 0.4, 0.04),
    ][count - 1]
    radius = rng.uniform(low, high)
    centres = grid + rng.uniform(-shake, shake, grid.shape)
    return [(centre, radius * rng.uniform(0.93, 1), rng.uniform(-0.2, 0.2)) for centre in centres]


def _placed(object: str, place: tuple[np.ndarray, float, float]) -> list[tuple[str, np.ndarray]]:
    """Return an object's outlines, moved, scaled and rotated."""
    centre, radius, turn = place
    spin = _rotation(turn) * radius
    return [(ink, outline @ spin + centre) for ink, outline in _outlines(object)]


@cache
def _outlines(object: str) -> list[tuple[str, np.ndarray]]:
    """Return an object's outlines, read from its layers and scaled to a circle of radius one."""
    figures = []
    for layer in _TABLE["objects"][object].split(";"):
        ink, kind, number, *points = layer.split()
        outline = _KINDS[kind](np.array([p.split(",") for p in points], float), float(number))
        figures.append((ink.rstrip("*"), outline))
        if ink.endswith("*"):
            figures.append((ink.rstrip("*"), outline * [-1, 1]))
    every = np.concatenate([outline for _, outline in figures])
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    reach = np.hypot(*(every - middle).T).max()
    return [(ink, (outline - middle) / reach) for ink, outline in figures]


def _shape(points: np.ndarray, cut: float) -> np.ndarray:
    """Return a closed outline with rounded corners."""
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    return _bends(points + (before - points) * cut, points, points + (after - points) * cut)


def _oval(points: np.ndarray, tilt: float) -> np.ndarray:
    """Return the outline of an ellipse from its centre and two radii, rotated by degrees."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    return circle * points[1] @ _rotation(np.radians(tilt)) + points[0]


def _line(points: np.ndarray, width: float) -> np.ndarray:
    """Return the outline of a stroke with round ends, along a curve through the points."""
    middles = (points[:-1] + points[1:]) / 2
    middles[0], middles[-1] = points[0], points[-1]
    path = points if len(points) == 2 else _bends(middles[:-1], points[1:-1], middles[1:])
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    side = along[:, ::-1] * [-1, 1]
    side *= width / 2
    along *= width / 2
    turns = np.linspace(0, np.pi, 9)[:, None]
    end = path[-1] + np.cos(turns) * side[-1] + np.sin(turns) * along[-1]
    start = path[0] - np.cos(turns) * side[0] - np.sin(turns) * along[0]
    return np.concatenate([path + side, end, (path - side)[::-1], start])


_KINDS = {"shape": _shape, "oval": _oval, "line": _line}


def _bends(start: np.ndarray, control: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return quadratic Bezier curves, one per row, sampled and joined."""
    t = np.linspace(0, 1, 9)[:, None, None]
    curves = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return curves.transpose(1, 0, 2).reshape(-1, 2)


def _rotation(angle: float) -> np.ndarray:
    """Return the matrix that rotates row vectors by an angle in radians."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _pixels(outline: np.ndarray, size: int) -> list[float]:
    """Return an outline as Pillow's flat list of pixel coordinates."""
    return ((outline + 1) * (size / 2)).ravel().tolist()


@cache
def _inks(colour: str) -> dict[str, str]:
    """Return the shades that go with an object's colour."""
    lightness = np.mean(ImageColor.getrgb(colour))
    if lightness < 60:
        shades = {"dark": _mix(colour, "white", 0.17), "light": _mix(colour, "white", 0.3)}
    elif lightness > 230:
        shades = {"dark": _mix(colour, "black", 0.13), "light": _mix(colour, "black", 0.07)}
    else:
        shades = {"dark": _mix(colour, "black", 0.2), "light": _mix(colour, "white", 0.38)}
    ink = "white" if lightness < 90 else _TABLE["inks"]["coal"]
    return _TABLE["inks"] | shades | {"main": colour, "ink": ink}


def _mix(colour: str, other: str, share: float) -> str:
    """Return a colour with a share of another one blended into it."""
    pair = [ImageColor.getrgb(name) for name in (colour, other)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*pair, strict=True))


def _ground(outlines: list[np.ndarray], colour: str, size: int) -> Image.Image:
    """Return the background, with the objects' soft shadows."""
    mask = Image.new("L", (size, size))
    brush = ImageDraw.Draw(mask)
    for outline in outlines:
        brush.polygon(_pixels(np.add(outline, (0.035, 0.05)), size), fill=90)
    ground = Image.new("RGB", mask.size, colour)
    ground.paste(
        _mix(colour, "#1b1530", 0.75), mask=mask.filter(ImageFilter.GaussianBlur(size / 50))
    )
    return ground


@cache
def _daylight(size: int) -> Image.Image:
    """Return a light that falls from the top left and fades towards the corners."""
    y, x = np.mgrid[0:size, 0:size] / (size / 2) - 1
    distance = np.hypot(x + 0.3, y + 0.35)
    light = 255 * (1 - 0.032 * distance**2)
    return Image.fromarray(light.astype(np.uint8)).convert("RGB")
