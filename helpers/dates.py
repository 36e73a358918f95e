"""Dates as cameras and people write them: a camera's clock, without a time zone, in seconds.

Seconds count from the start of 1970. Not about finding dates in a photo: that is `images.facts`.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pandas as pd

_EPOCH = datetime(1970, 1, 1)
_NAMES = "January February March April May June July August September October November December"
_MONTHS = _NAMES.split()  # those of `calendar` are in the language of the machine
_HIDDEN = re.compile(r"[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # in Windows' dates
_AFTER = r"(?:st|nd|rd|th)?(?: of)?[-\u2010-\u2015/.,\s]+"
_PART = rf"{_AFTER}(\d\d?|[^\W\d_]{{3,}})"
_TIME = r"(?:(?:T|,?\s+)(\d\d?)(?::(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)?)?"
_WRITTEN = re.compile(rf"(\d{{4}})(?:{_PART}(?:{_PART}{_TIME})?)?", re.IGNORECASE)
_YEAR_LAST = re.compile(rf"^(.{{1,30}}?){_AFTER}(\d{{4}})\b", re.IGNORECASE)
_UNBROKEN = re.compile(r"^(\d{4})(:?)(\d\d)\2(\d\d)\b")  # 20190615, and EXIF's 2019:06:15

_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # their first months
_COUNTS = ["today this", "yesterday last a an one", "two", "three", "four", "five", "six"]
_BACK = {word: number for number, words in enumerate(_COUNTS) for word in words.split()}
_SEASON, _UNIT, _COUNT = "|".join(_SEASONS), "day|week|month|year", "|".join([r"\d{1,3}", *_BACK])
_MONTH = "|".join(rf"{name[:3]}(?:{name[3:]})?\.?" for name in [*_NAMES.lower().split(), "sept"])
_DAY = r"\d\d?(?:st|nd|rd|th)?\.?"


def seconds(moment: datetime) -> int:
    """Return how many whole seconds a moment is after the start of 1970, by the same clock."""
    return (moment - _EPOCH) // timedelta(seconds=1)


def moment(seconds: int) -> datetime:
    """Return the moment so many seconds after the start of 1970, by the same clock."""
    return _EPOCH + timedelta(seconds=seconds)


FIRST = seconds(datetime.min)
"""The first second that there is a date for."""


def period(value: object) -> tuple[int, int]:
    """Return the first and the last second of a year, a month, a day, or part of a day.

    Parameters
    ----------
    value : int, str, date, datetime, datetime64, or what looks like them as a text
        A number is a year. A text is a date as far as it goes: "2019", "2019-06", "2019-06-15",
        "2019-06-15 14:30", "2019-06-15 14:30:05". A month may also be written as 6/2019 or "June
        2019", and a day as 2019/6/15, 15.06.2019, 20190615, "15 June 2019" or "Jun 15th, 2019".
        Names of months are English, whole or from three letters on. A moment is one second.

    Raises
    ------
    ValueError
        If it is none of these, or no day of the calendar, or has a time zone. Or if two days can
        be meant: 1/2/2019 is the first of February to some, and the second of January to others.
    """
    text = unicodedata.normalize("NFKC", _HIDDEN.sub("", str(value))).strip()
    try:
        parts = _parts(text.removesuffix(".0").rstrip("."))  # 2019.0 is from a table with gaps
        year, month, day = [*parts, 12, 1][:3]
        days = calendar.monthrange(year, month)[1]
        if not 1 <= day <= days:
            raise ValueError(f"{_MONTHS[month - 1]} {year} has {days} days")
        ends = [1, 1, 0, 0, 0], [12, days, 23, 59, 59]
        first, last = (datetime(*(parts + end[len(parts) - 1 :])) for end in ends)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a date: {str(error).replace('..', ' to ')}") from None
    return seconds(first), seconds(last)


def _parts(text: str) -> list:
    """Return year, month, day, hour, minute and second of a written date, as far as they go."""
    turned = _YEAR_LAST.sub(r"\2-\1", text)
    if not (match := _WRITTEN.fullmatch(_UNBROKEN.sub(r"\1-\3-\4", turned))):
        raise ValueError(
            "use a year (2019), a month ('2019-06', 'June 2019'), a day ('2019-06-15') or a time "
            "('2019-06-15 14:30'), with four digits for the year and without a time zone"
        )
    given = [part for part in match.groups() if part]
    year, first, second = [*given, "1", "1"][:3]
    days = _days(first, second)
    if (turned != text and len(given) > 2) or not second.isdecimal():
        days |= _days(second, first)
    if len(days) != 1:
        both = [f"{year}-{month:02}-{day:02} ({day} {_MONTHS[month - 1]})" for month, day in days]
        may = "it may be " + " or ".join(both)
        raise ValueError(
            may if both else "there is no such month: write 1 to 12, or an English name"
        )
    return [int(year), *days.pop(), *map(int, given[3:])][: len(given)]


def _days(month: str, day: str) -> set[tuple[int, int]]:
    """Return the day that a month and a day are, in numbers; none if they are not these."""
    named = sum(n for n, name in enumerate(_MONTHS, 1) if name.startswith(month.title()))
    number = int(month) if month.isdecimal() else named
    return {(number, int(day))} if day.isdecimal() and 1 <= number <= 12 else set()


def spoken(said: str, today: date) -> tuple[int, int]:
    """Return the first and the last second of what people call a date.

    Parameters
    ----------
    said : str
        What `period` reads, a season with its year ("winter of 2019"), or what counts from today:
        "yesterday", "last week", "this year", "two days ago", "last summer", "last June". `SPOKEN`
        finds these in a text.
    today : date

    Notes
    -----
    Seasons are those of the north, in whole months, and winter 2019 begins in December 2019. Weeks
    begin on Monday. The last summer, or June, is the latest that is over.

    Raises
    ------
    ValueError
        If it is no date, or no day of the calendar.
    """
    text = " ".join(said.lower().split())
    for pattern, read in _SHAPES.items():
        if match := re.fullmatch(pattern, text):
            return read(today, *match.groups())
    return period(text)


def _back(today: date, count: str, unit: str = "day") -> tuple[int, int]:
    number = int(count) if count.isdecimal() else _BACK[count]
    return _seconds_of(pd.Period(today, unit[0].upper()) - number)  # D, W, M, or Y


def _named(_today: date, name: str, year: str | int) -> tuple[int, int]:
    if name not in _SEASONS:
        return period(f"{name} {year}")
    return _seconds_of(pd.Period(date(int(year), _SEASONS[name], 1), "Q-NOV"))


def _latest(today: date, which: str, name: str) -> tuple[int, int]:
    """Return the seconds of the last summer (or June) that is over, or of this year's."""
    years = [_named(today, name, today.year - back) for back in range(3)]
    over = [days for days in years if days[1] < period(today)[0]]
    return over[0] if which == "last" else years[max(0, 2 - len(over))]


def _seconds_of(days: pd.Period) -> tuple[int, int]:
    return period(days.start_time.date())[0], period(days.end_time.date())[1]


_SHAPES: dict[str, Callable[..., tuple[int, int]]] = {
    "(today|yesterday)": _back,
    f"(last|this) ({_UNIT})": _back,
    f"({_COUNT}) ({_UNIT})s? ago": _back,
    f"(last|this) ({_SEASON}|{_MONTH})": _latest,
    rf"({_SEASON})(?: of)? (\d{{4}})(?:[-/]\d\d(?:\d\d)?)?": _named,
}
_CALENDAR = (
    rf"(?:{_DAY}(?: of)? )?(?:{_MONTH})(?: {_DAY}| of)?,? \d{{4}}|"
    r"\d\d?[-/.](?:\d\d?[-/.])?\d{4}|\d{4}(?:[-/.]\d\d?(?:[-/.]\d\d?)?)?(?!\d)"
)
SPOKEN = re.sub(r"\((?!\?)", "(?:", f"(?:{'|'.join([*_SHAPES, _CALENDAR])})")
"""A pattern of what may be a date, in small letters; whether it is one, `spoken` says."""
