"""Conditions on images: read once, and written as a Milvus expression with every value quoted.

To add an operator, add a class here and a line in `_one`.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from ..dates import period
from ..settings import listed
from .columns import Column, named

_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_NAME = re.compile(r"(?<![\w$])[A-Za-z_]\w*\b(?!\s*\()")  # before a parenthesis: a function
_KEYWORDS = {"and", "or", "not", "in", "like", "is", "null", "exists", "true", "false"}

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_WILD = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})
_PLACE = "place"
_BOUNDS = {"latitude": (-90, 90), "longitude": (-180, 180), "km": (0, math.inf)}
_NUMBERS: set[type] = {int, float}
_LAST = "\U0010ffff"
_EARTH = 6371.0088  # its mean radius in kilometres
_HALFWAY = 20_016.0  # kilometres: no place is farther
_ROUNDING = 1e-6  # kilometres


@dataclass(frozen=True)
class like:
    """Texts of a pattern, in which each `*` stands for any letters or none: `like("*/wedding/*")`.

    A Milvus server older than 2.4 knows only patterns with one `*`, at the end.
    """

    pattern: str

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str) or not self.pattern:
            raise ValueError(f"like takes a text such as '*/wedding/*', got {self.pattern!r}")
        object.__setattr__(self, "pattern", str(self.pattern))


@dataclass(frozen=True)
class near:
    """Places at most `km` kilometres from one, whose degrees are negative in the south and west.

    On a sphere, so the distance is right to half a per cent.
    """

    latitude: float
    longitude: float
    km: float

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if type(plain(value)) not in _NUMBERS or not least <= value <= most:
                bounds = f"from {least} to {most}" if most < math.inf else "from 0"
                raise ValueError(f"near: {name} is a number {bounds}, got {value!r}")
            object.__setattr__(self, name, min(float(value), _HALFWAY))

    def holds(self, latitude: float, longitude: float) -> bool:
        """Return whether a place is that near."""
        here, there = math.radians(self.latitude), math.radians(latitude)
        north, east = there - here, math.radians(longitude - self.longitude)
        # the haversine formula
        a = math.sin(north / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(east / 2) ** 2
        return 2 * _EARTH * math.asin(math.sqrt(min(1, a))) <= self.km + _ROUNDING

    @property
    def box(self) -> str:
        """The expression of a box of degrees that holds all these places, and some more."""
        angle = (self.km + 2 * _ROUNDING) / _EARTH
        south, north = (self.latitude + side * math.degrees(angle) for side in (-1, 1))
        longitudes: object = None, None
        if south > -90 and north < 90:  # else a pole is in it
            across = math.sin(angle) / math.cos(math.radians(self.latitude))
            width = math.degrees(math.asin(min(1, across)))
            west, east = ((self.longitude + side * width + 180) % 360 - 180 for side in (-1, 1))
            # The date line may cut it in two.
            longitudes = (west, east) if west <= east else [(west, None), (None, east)]
        return build_filter({"latitude": (south, north), "longitude": longitudes})


class Where:
    """Conditions on images, read once.

    Parameters
    ----------
    where : dict, optional
        From field to value (equal), list (any of these; an array, a Series, an Index or a set is
        one as well) or tuple (lowest, highest), with None for an open end:
        `{"label": ["goldfish", "tench"], "width": (640, None)}`.

        - A text is found in both forms that Unicode has for accents: é as one letter, or as a
          letter and an accent. `{"filepath": like("*/wedding/*")}` finds patterns.
        - `taken` takes dates as long as they are (see `dates.period`), and ends are included:
          `{"taken": 2019}`, `{"taken": ("2019-06", "2019-08")}`. A `datetime` is one second; its
          `.date()` is the day.
        - `{"place": near(48.86, 2.35, km=5)}` is a box in the expression; `within` tells the rest.

        An image that does not tell its date, camera or place matches no condition on it, and
        `{"taken": (None, None)}` finds those that do.

    Attributes
    ----------
    expression : str
        The Milvus expression, empty if there are no conditions.

    Raises
    ------
    ValueError
        If a field's name is not valid, a list is empty, a tuple is no range, or a value is not of
        the field's type.
    TypeError
        If `where` is not a dict.
    """

    def __init__(self, where: Mapping[str, Any] | None) -> None:
        if where is not None and not isinstance(where, Mapping):
            raise TypeError(
                f"where must be a dict of fields and values, not {where!r}; or use filter"
            )
        self._asked = {name: listed(value) for name, value in (where or {}).items()}
        self.expression = " and ".join(_condition(*pair) for pair in self._asked.items())

    @property
    def within(self) -> Callable[[Mapping], bool] | None:
        """A test of rows that the expression finds: are they near enough? None if all are."""
        places = self.values_of(_PLACE)
        if not places:
            return None
        return lambda row: any(place.holds(row["latitude"], row["longitude"]) for place in places)

    def values_of(self, name: str) -> list[Any]:
        """Return the values for a field, any of which will do; none if it is not named."""
        value = self._asked.get(name, [])
        return value if isinstance(value, list) else [value]


def build_filter(where: Mapping[str, Any] | None) -> str:
    """Return conditions as a Milvus expression; see `Where`."""
    return Where(where).expression


def plain(value: Any) -> Any:
    """Return conditions or values so that their repr is code without imports: dates as texts."""
    value = listed(value)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(plain, value)] if isinstance(value, list) else (*map(plain, value),)
    if isinstance(value, date | np.datetime64) and value == value:  # NaT is not
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str.__str__(value) if isinstance(value, str) else value


def names_in(expression: str) -> set[str]:
    """Return the names of fields in a Milvus expression."""
    without_texts = _QUOTED.sub("", expression)
    return {name for name in _NAME.findall(without_texts) if name.lower() not in _KEYWORDS}


def _condition(name: str, value: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"{name!r} is not a field name: use letters, digits and _, no digit first")
    column = named(name)
    if not isinstance(value, list):
        return _one(name, column, value)
    if not value:
        raise ValueError(f"the list of values for {name!r} is empty: name at least one")
    if any(each is None or isinstance(each, list) for each in value):
        raise ValueError(
            f"the list for {name!r} means any of these, and holds {value!r}: write a range as a "
            "tuple, such as (640, None)"
        )
    if (column and column.date) or any(isinstance(each, tuple | like | near) for each in value):
        return _either(_one(name, column, each) for each in value)
    return _equals(name, column, value)


def _one(name: str, column: Column | None, value: Any) -> str:
    if isinstance(value, near) != (name == _PLACE):
        asked = f"{name!r}: {value!r}"
        raise ValueError(f"write {{'place': near(latitude, longitude, km)}}, not {asked}")
    if isinstance(value, near):
        return value.box
    if isinstance(value, like):
        return _either(_like(name, column, form) for form in _forms(value.pattern))
    if isinstance(value, tuple):
        return _range(name, column, value)
    if column and column.date:
        period(value)  # refuses None, which would be an open end
        return _range(name, column, (value, value))
    return _equals(name, column, [value])


def _either(conditions: Iterable[str]) -> str:
    first, *others = dict.fromkeys(conditions)
    either = " or ".join(f"({each})" for each in (first, *others))
    return f"({either})" if others else first


def _equals(name: str, column: Column | None, values: list) -> str:
    forms = (form for value in values for form in _forms(value))
    first, *others = dict.fromkeys(_equal(column, form) for form in forms)
    return f"{name} in [{', '.join([first, *others])}]" if others else f"{name} == {first}"


def _forms(value: Any) -> list[Any]:
    """Return a value and, if it is a text, its normal forms NFC and NFD."""
    if not isinstance(value, str):
        return [value]
    return [value, *(unicodedata.normalize(form, value) for form in ("NFC", "NFD"))]


def _equal(column: Column | None, value: Any) -> str:
    literal = _literal(column, value)
    if column and column.tells and value == "":
        raise ValueError(f"{column.name!r} is empty where it is not known: no condition finds that")
    if column and column.least is not None and value < column.least:
        raise ValueError(f"{column.name!r} is {column.least} or more, got {value!r}")
    return literal


def _range(name: str, column: Column | None, sides: tuple) -> str:
    if len(sides) != 2:
        raise ValueError(f"a range for {name!r} must be (lowest, highest), got {sides!r}")
    low, high = sides
    if column and column.date:
        low, high = (side if side is None else period(side)[i] for i, side in enumerate(sides))
    if column and column.tells and low == "":
        low = None
    ends = [side if side is None else _literal(column, side) for side in (low, high)]
    if None not in ends and (isinstance(low, str) != isinstance(high, str) or low > high):
        raise ValueError(f"a range for {name!r} must have its lowest value first, got {sides!r}")
    if column and column.least is not None and (low is None or low < column.least):
        ends[0] = repr(column.least)  # what is not known is below
    signed = zip((">=", "<="), ends, strict=True)
    conditions = [f"{name} {sign} {end}" for sign, end in signed if end]
    if column and column.is_text and low is None:
        conditions.insert(0, f'{name} > ""')
    if not conditions:
        raise ValueError(f"a range for {name!r} must have a lowest or a highest value")
    return " and ".join(conditions)


def _like(name: str, column: Column | None, pattern: str) -> str:
    if column and not column.is_text:
        raise ValueError(f"{name!r} is a number: use a value or a range, not like({pattern!r})")
    first, *others = re.split(r"\*+", pattern)
    if not others:
        return f"{name} == {_literal(column, pattern)}"
    if others == [""]:  # a range, as LIKE has no way to write % and _ themselves before 2.4
        return _range(name, column, (first or None, first + _LAST))
    parts = (part.translate(_WILD) for part in (first, *others))
    return f"{name} like {_literal(column, '%'.join(parts))}"


def _literal(column: Column | None, value: Any) -> str:
    """Write a value, with only the escapes that both Milvus Lite and a server understand."""
    value, what, kinds = plain(value), "a value is a text or a number", {str, bool, *_NUMBERS}
    if column:
        what = f"a value of {column.name!r} is {'a text' if column.is_text else 'a number'}"
        kinds = {str} if column.is_text else _NUMBERS
    if type(value) not in kinds:
        raise ValueError(f"{what}, got {value!r}; several values go into a list")
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if not abs(value) < 2**63:
        raise ValueError(
            f"{value!r} is neither a text nor a finite number of 64 bits; for an open end use None"
        )
    return repr(value).lower()  # true, not True
