"""Small flat drawings for the demo profile: "two blue fish on a yellow background".

Every object is a short list of layers, from the back to the front. A layer names an ink, a kind,
a number and points in a square from -1 to 1 (y points down):

- ``shape CUT``: a filled outline whose corners are rounded by CUT (0 is sharp, 0.5 is a curve);
- ``oval TILT``: centre and radii, turned by TILT degrees;
- ``line WIDTH``: a soft stroke through the points.

A star after the ink draws the layer's mirror image too. The inks ``main``, ``dark``, ``light`` and
``ink`` follow the object's colour, the others are fixed. The module knows nothing about CLIP,
Milvus or widgets: it needs Pillow, numpy and pandas only.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

__all__ = ["BACKGROUNDS", "COLOURS", "COUNTS", "OBJECTS", "caption", "draw", "draw_demo_images"]

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

_FIXED = {
    "wood": "#8d5f3c",
    "leaf": "#5aa857",
    "glass": "#d5ecf8",
    "cream": "#fff4dc",
    "coal": "#2b2b33",
    "beak": "#f6a02c",
    "blush": "#f4a3a8",
}

_LAYERS = {
    "star": """
        main shape .14 0,-1 .3,-.41 .97,-.31 .49,.17 .6,.83 0,.52 -.6,.83 -.49,.17 -.97,-.31
          -.3,-.41 ; light* line .07 -.1,-.62 -.24,-.3 ; ink* oval 0 .19,-.02 .07,.1 ;
        ink line .06 -.13,.19 0,.31 .13,.19""",
    "heart": """
        main shape .5 0,-.46 .14,-.84 .5,-1 .92,-.88 1.08,-.42 .92,.08 .5,.5 .03,1 -.03,1 -.5,.5
          -.92,.08 -1.08,-.42 -.92,-.88 -.5,-1 -.14,-.84 ;
        light line .12 -.76,-.14 -.76,-.52 -.44,-.64""",
    "fish": """
        dark shape .4 -.35,-.3 .1,-.84 .42,-.6 .3,-.2 ; dark shape .4 -.1,.3 .2,.74 .4,.6 .25,.2 ;
        main shape .32 .36,0 1.02,-.66 .86,0 1.02,.66 ;
        main shape .5 -1.08,.05 -.7,-.62 .15,-.66 .75,0 .15,.66 -.7,.62 ;
        dark line .05 -.38,-.34 -.22,0 -.38,.34 ; light* line .05 .5,.02 .62,.1 ;
        dark shape .4 -.1,.04 .3,-.02 .22,.3 .02,.26 ; cream oval 0 -.58,-.14 .15,.15 ;
        coal oval 0 -.6,-.13 .08,.09 ; dark line .05 -.9,.16 -.8,.22 -.7,.2""",
    "tree": """
        wood shape .1 -.14,.5 .14,.5 .18,1 -.18,1 ; dark shape .14 0,-.1 .8,.74 -.8,.74 ;
        main shape .14 0,-.3 .8,.68 -.8,.68 ; dark shape .14 0,-.4 .66,.3 -.66,.3 ;
        main shape .14 0,-.65 .66,.23 -.66,.23 ; dark shape .14 0,-.7 .5,-.16 -.5,-.16 ;
        main shape .14 0,-1.06 .5,-.23 -.5,-.23 ; light line .07 -.1,-.7 -.24,-.42 ;
        light line .07 -.22,-.06 -.36,.1 ; light line .07 -.3,.36 -.48,.54""",
    "house": """
        dark shape .05 .36,-.86 .58,-.86 .58,-.2 .36,-.2 ;
        main shape .04 -.72,-.2 0,-.8 .72,-.2 .72,.84 -.72,.84 ;
        dark shape .12 0,-1 1,-.12 .86,.04 0,-.7 -.86,.04 -1,-.12 ; light oval 0 0,-.3 .15,.15 ;
        glass oval 0 0,-.3 .11,.11 ; cream* shape .08 .2,.06 .58,.06 .58,.46 .2,.46 ;
        glass* shape .08 .24,.1 .54,.1 .54,.42 .24,.42 ; cream* line .04 .39,.1 .39,.42 ;
        cream* line .04 .24,.26 .54,.26 ; dark shape .2 -.16,.84 -.16,.1 .16,.1 .16,.84 ;
        cream oval 0 .08,.5 .035,.035""",
    "car": """
        main shape .24 -.62,.06 -.4,-.5 .36,-.5 .66,.06 ;
        glass shape .16 -.46,0 -.3,-.36 -.05,-.36 -.05,0 ;
        glass shape .16 .05,0 .05,-.36 .28,-.36 .48,0 ;
        main shape .3 -1,.42 -.98,-.02 -.5,-.1 .55,-.1 .98,.08 1,.42 ;
        light line .05 -.82,.06 .5,.03 ; dark line .07 -.86,.38 .86,.38 ;
        beak oval 0 .91,.14 .06,.08 ; dark* oval 0 .54,.42 .29,.29 ;
        coal* oval 0 .54,.44 .24,.24 ; cream* oval 0 .54,.44 .1,.1""",
    "flower": """
        leaf line .08 0,.1 .05,.6 0,1 ; leaf shape .5 .02,.86 .1,.44 .6,.4 .5,.8 ;
        leaf shape .5 .02,.94 -.1,.6 -.56,.54 -.44,.92 ; main oval 0 0,-.76 .23,.26 ;
        main oval 0 0,.1 .23,.26 ; main* oval 60 .38,-.55 .23,.26 ;
        main* oval -60 .38,-.11 .23,.26 ; dark* line .04 .2,-.43 .36,-.53 ;
        dark* line .04 .2,-.23 .36,-.13 ; dark line .04 0,-.56 0,-.76 ; dark line .04 0,-.1 0,.1 ;
        cream oval 0 0,-.33 .21,.21 ; beak oval 0 0,-.33 .12,.12""",
    "boat": """
        wood line .07 0,-.9 0,.5 ; dark shape .1 0,-1 .3,-.9 0,-.8 ;
        main shape .12 .08,-.74 .86,.3 .08,.3 ; light shape .12 -.08,-.6 -.08,.3 -.68,.3 ;
        main shape .2 -.98,.42 .98,.42 .62,.92 -.62,.92 ; light line .07 -.72,.6 .72,.6""",
    "moon": """
        main shape .5 .8,-.84 .2,-1.05 -.3,-1.02 -.75,-.75 -1.02,-.28 -1.02,.28 -.75,.75 -.3,1.02
          .2,1.05 .8,.84 .2,.72 -.14,.4 -.24,0 -.14,-.4 .2,-.72 ; dark oval 0 -.42,-.6 .12,.12 ;
        dark oval 0 .04,.84 .08,.08 ; dark oval 0 -.78,.14 .07,.07 ;
        ink line .055 -.62,-.16 -.52,-.04 -.4,-.12 ; ink line .055 -.46,.3 -.34,.38 -.26,.26""",
    "apple": """
        wood line .09 0,-.5 .02,-.8 .14,-.96 ; leaf shape .5 .06,-.6 .14,-1.02 .72,-1 .5,-.58 ;
        main shape .5 0,-.4 .3,-.76 .86,-.66 1.04,-.1 .9,.5 .6,.92 .2,1 0,.88 -.2,1 -.6,.92
          -.9,.5 -1.04,-.1 -.86,-.66 -.3,-.76 ; dark line .06 -.14,-.44 0,-.36 .14,-.44 ;
        light line .12 -.64,.1 -.66,-.24 -.42,-.4""",
    "mushroom": """
        cream shape .3 -.26,0 .26,0 .38,.94 -.38,.94 ; wood line .04 -.12,.5 -.14,.68 ;
        wood line .04 .1,.4 .12,.62 ; dark shape .3 -.9,0 .9,0 .5,.26 -.5,.26 ;
        main shape .42 -1,.16 -.94,-.6 -.4,-.96 .4,-.96 .94,-.6 1,.16 ;
        cream oval 0 -.1,-.5 .19,.17 ; cream oval -20 -.58,-.2 .14,.13 ;
        cream oval 20 .5,-.34 .16,.14 ; cream oval 0 .08,-.06 .11,.09""",
    "umbrella": """
        wood line .08 0,-.98 0,.76 -.04,.94 -.2,.96 -.28,.78 ;
        main shape .2 -1,.16 -.86,-.5 -.36,-.86 .36,-.86 .86,-.5 1,.16 .66,.02 .33,.16 0,.02
          -.33,.16 -.66,.02 ; dark shape .12 -.34,.14 -.3,-.4 0,-.84 .3,-.4 .34,.14 0,.02 ;
        light line .06 -.84,-.16 -.7,-.46 -.5,-.62""",
    "cup": """
        main line .17 .5,-.34 .96,-.42 .98,.3 .46,.32 ;
        main shape .22 -.7,-.52 .6,-.52 .5,.84 -.6,.84 ; light oval 0 -.05,-.52 .65,.15 ;
        wood oval 0 -.05,-.5 .55,.1 ;
        light shape .5 -.05,.06 .04,-.12 .32,-.04 .2,.26 -.05,.5 -.3,.26 -.42,-.04 -.14,-.12""",
    "balloon": """
        ink line .035 0,.48 .08,.64 -.06,.8 .04,1 ; dark shape .2 0,.38 .12,.56 -.12,.56 ;
        main shape .5 .32,-1.05 .7,-.84 .83,-.38 .66,.1 .32,.42 .08,.5 -.08,.5 -.32,.42
          -.66,.1 -.83,-.38 -.7,-.84 -.32,-1.05 ; light line .11 -.46,-.2 -.48,-.5 -.26,-.7""",
    "butterfly": """
        coal* line .04 .03,-.4 .1,-.72 .3,-.84 ;
        dark* shape .4 .04,.02 .52,.06 .8,.4 .56,.88 .2,.66 ;
        main* shape .4 .04,.02 .48,.1 .68,.4 .5,.74 .22,.54 ;
        dark* shape .36 .04,.1 .2,-.6 .86,-.92 1.02,-.4 .8,.14 ;
        main* shape .36 .06,.04 .26,-.5 .8,-.76 .9,-.36 .7,.04 ; light* oval -30 .6,-.36 .13,.17 ;
        light* oval 0 .46,.38 .09,.1 ; coal oval 0 0,.06 .09,.48""",
    "key": """
        main shape .1 -.2,-.11 .98,-.11 .98,.11 -.2,.11 ;
        main shape .08 .46,0 .62,0 .62,.42 .46,.42 ; main shape .08 .76,0 .94,0 .94,.52 .76,.52 ;
        main line .22 -.2,0 -.2,.4 -.96,.4 -.96,-.4 -.2,-.4 -.2,0 ; main oval 0 -.18,0 .12,.11 ;
        light line .05 .02,-.04 .86,-.04 ; light line .06 -.95,.06 -.95,-.32 -.66,-.38 ;
        dark line .07 -.06,.19 -.06,-.19""",
    "cat": """
        main line .17 .36,.78 .86,.84 .94,.4 .76,.2 ;
        main shape .4 -.3,-.2 .3,-.2 .66,.98 -.66,.98 ;
        light shape .5 0,.16 .3,.4 .2,.8 -.2,.8 -.3,.4 ; dark* line .045 .16,.92 .16,.72 ;
        main* shape .14 .04,-.66 .5,-1.04 .62,-.36 ; blush* shape .14 .26,-.72 .46,-.86 .5,-.56 ;
        main oval 0 0,-.38 .6,.46 ; light* oval 0 .13,-.2 .18,.14 ;
        cream* oval 0 .24,-.44 .13,.14 ; coal* oval 0 .22,-.43 .065,.1 ;
        blush shape .3 -.08,-.28 .08,-.28 0,-.18 ; ink* line .03 .36,-.2 .72,-.26 ;
        ink* line .03 .36,-.13 .7,-.1""",
    "bird": """
        beak* line .05 .12,.6 .14,.94 ; dark shape .2 .4,.1 1.02,-.36 1,.16 .5,.44 ;
        beak shape .12 -.62,-.42 -1,-.24 -.6,-.12 ;
        main shape .5 -.78,-.3 -.62,-.9 .02,-.8 .16,-.3 .82,-.1 .62,.66 -.2,.86 -.74,.5 ;
        light shape .5 -.56,.1 -.2,.02 .1,.5 -.2,.72 -.56,.5 ;
        dark shape .4 -.06,-.02 .5,-.14 .74,.3 .24,.46 ; light line .04 .16,.18 .4,.26 .54,.2 ;
        cream oval 0 -.4,-.4 .13,.13 ; coal oval 0 -.42,-.39 .075,.08""",
    "kite": """
        ink line .035 0,.36 .1,.5 -.06,.68 .08,.82 .02,1 ;
        dark* shape .1 .04,.68 .18,.58 .18,.78 ; main shape .05 0,-1 .62,-.4 0,.42 -.62,-.4 ;
        dark shape .05 0,-.96 0,-.4 -.58,-.4 ; dark shape .05 0,.38 0,-.4 .58,-.4 ;
        light line .03 0,-.96 0,.38 ; light line .03 -.58,-.4 .58,-.4""",
    "crown": """
        main shape .06 -.8,.6 -.94,-.36 -.46,.06 0,-.66 .46,.06 .94,-.36 .8,.6 ;
        dark shape .12 -.84,.5 .84,.5 .84,.78 -.84,.78 ; main oval 0 0,-.7 .13,.13 ;
        main* oval 0 .92,-.4 .11,.11 ; light* line .05 .74,-.1 .68,.34 ;
        cream* oval 0 .44,.64 .08,.08 ; glass shape .2 0,-.06 .15,.16 0,.38 -.15,.16 ;
        cream oval 0 0,.64 .08,.08""",
}

OBJECTS = tuple(_LAYERS)
"""What the drawings can show."""

_PLURALS = {"fish": "fish", "butterfly": "butterflies"}
_GRIDS = {
    1: [[(0, 0)]],
    2: [[(-0.46, 0), (0.46, 0)], [(-0.4, -0.4), (0.4, 0.4)], [(-0.4, 0.4), (0.4, -0.4)]],
    3: [[(0, -0.45), (-0.47, 0.4), (0.47, 0.4)], [(-0.47, -0.4), (0.47, -0.4), (0, 0.45)]],
    4: [[(-0.46, -0.46), (0.46, -0.46), (-0.46, 0.46), (0.46, 0.46)]],
}
_COLUMNS = ["filepath", "label", "object", "colour", "count", "background", "caption"]
_PER_CLASS = 10
_OVERSAMPLING = 3


def phrase(object: str, colour: str, count: int) -> str:
    """Name a class of drawings.

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
    """Put "a" or "an" before some words: ``"an orange key"``."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def caption(object: str, colour: str, count: int, background: str) -> str:
    """Describe a drawing in full.

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
    """Draw one picture.

    Parameters
    ----------
    object, colour, count, background
        What to draw, as for `caption`. The two colours must differ.
    rng : numpy.random.Generator
        Decides places, sizes and slight turns.
    size : int
        Width and height in pixels.

    Returns
    -------
    PIL.Image.Image
        A square RGB picture with every object whole inside it.

    Raises
    ------
    ValueError
        If a value is not among those the module knows, or the colours are the same.
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
    """Draw `n` pictures in class folders of ten, and list them in ``captions.csv``.

    The first class is always "red star"; about half of the classes show one object. The list is
    written last: a folder whose drawing was interrupted is drawn again, a complete one is kept.
    Whatever else is in the folder stays there.

    Parameters
    ----------
    folder : path
        Where the class folders go; it is created when missing.
    n : int
        How many drawings, a multiple of ten.
    seed : int
        The same `n` and `seed` give the same bytes.

    Returns
    -------
    pandas.DataFrame
        Columns filepath (below `folder`, with slashes), label, object, colour, count,
        background and caption.

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
        part = folder / "captions.csv.part"
        part.write_bytes(_as_csv(rows))
        part.replace(folder / "captions.csv")
    return rows


def _plan(n: int, seed: int) -> pd.DataFrame:
    """List the drawings of a seed."""
    if n < _PER_CLASS or n % _PER_CLASS:
        raise ValueError(f"n must be a positive multiple of {_PER_CLASS}, not {n}.")
    rng = np.random.default_rng(seed)
    rows = []
    for object, colour, count in _classes(n // _PER_CLASS, rng):
        label = phrase(object, colour, count)
        others = [name for name in BACKGROUNDS if name != colour]
        for number, background in enumerate(rng.permutation(others)[:_PER_CLASS], start=1):
            filepath = f"{label}/{label.replace(' ', '-')}-{number:02}.jpg"
            words = caption(object, colour, count, background)
            rows.append((filepath, label, object, colour, count, str(background), words))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _classes(number: int, rng: np.random.Generator) -> list[tuple[str, str, int]]:
    """Choose classes, "red star" first and about half of them of one object."""
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
    """Tell whether the folder holds these very drawings."""
    try:
        listed = (folder / "captions.csv").read_bytes()
    except FileNotFoundError:
        return False
    return listed == _as_csv(rows) and all((folder / x).is_file() for x in rows["filepath"])


def _as_csv(rows: pd.DataFrame) -> bytes:
    """Write the list with the same line ends on every system."""
    return rows.to_csv(index=False, lineterminator="\n").encode()


def _save(folder: Path, row, seed: int) -> None:
    """Draw the picture of one row; its place in the list and the seed decide every detail."""
    rng = np.random.default_rng([seed, row.Index])
    picture = draw(row.object, row.colour, row.count, row.background, rng)
    picture.save(folder / row.filepath, quality=90)


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
    """Choose a centre, a radius and a turn in radians for each object."""
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
    """Move, scale and turn an object's outlines."""
    centre, radius, turn = place
    spin = _rotation(turn) * radius
    return [(ink, outline @ spin + centre) for ink, outline in _outlines(object)]


@cache
def _outlines(object: str) -> list[tuple[str, np.ndarray]]:
    """Read an object's table of layers, moved and scaled to a circle of radius one."""
    figures = []
    for layer in _LAYERS[object].split(";"):
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
    """Round the corners of a closed outline."""
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    return _bends(points + (before - points) * cut, points, points + (after - points) * cut)


def _oval(points: np.ndarray, tilt: float) -> np.ndarray:
    """Outline an ellipse of a centre and two radii, turned by degrees."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    return circle * points[1] @ _rotation(np.radians(tilt)) + points[0]


def _line(points: np.ndarray, width: float) -> np.ndarray:
    """Outline a stroke with round ends through a curve along the points."""
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
    """Sample quadratic Bezier curves, one for each row, and join them."""
    t = np.linspace(0, 1, 9)[:, None, None]
    curves = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return curves.transpose(1, 0, 2).reshape(-1, 2)


def _rotation(angle: float) -> np.ndarray:
    """Return the matrix that turns row vectors by an angle in radians."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _pixels(outline: np.ndarray, size: int) -> list[float]:
    """Convert an outline to Pillow's flat list of pixel coordinates."""
    return ((outline + 1) * (size / 2)).ravel().tolist()


@cache
def _inks(colour: str) -> dict[str, str]:
    """Mix the shades that go with an object's colour."""
    lightness = np.mean(ImageColor.getrgb(colour))
    if lightness < 60:
        shades = {"dark": _mix(colour, "white", 0.17), "light": _mix(colour, "white", 0.3)}
    elif lightness > 230:
        shades = {"dark": _mix(colour, "black", 0.13), "light": _mix(colour, "black", 0.07)}
    else:
        shades = {"dark": _mix(colour, "black", 0.2), "light": _mix(colour, "white", 0.38)}
    ink = "white" if lightness < 90 else _FIXED["coal"]
    return _FIXED | shades | {"main": colour, "ink": ink}


def _mix(colour: str, other: str, share: float) -> str:
    """Blend a share of another colour into a colour."""
    pair = [ImageColor.getrgb(name) for name in (colour, other)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*pair, strict=True))


def _ground(outlines: list[np.ndarray], colour: str, size: int) -> Image.Image:
    """Paint the background, with the objects' soft shadows."""
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
