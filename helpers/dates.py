"""Dates as cameras and people write them: a camera's clock, without a time zone, in seconds.

Seconds count from the start of 1970. Not about finding dates in a photo: that is `images.facts`.
"""

import calendar
import re
import unicodedata
from datetime import datetime, timedelta

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
_NO_MONTH = "there is no such month: write 1 to 12, or an English name"


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
        raise ValueError(f"it may be {' or '.join(both)}" if both else _NO_MONTH)
    return [int(year), *days.pop(), *map(int, given[3:])][: len(given)]


def _days(month: str, day: str) -> set[tuple[int, int]]:
    """Return the day that a month and a day are, in numbers; none if they are not these."""
    named = sum(n for n, name in enumerate(_MONTHS, 1) if name.startswith(month.title()))
    number = int(month) if month.isdecimal() else named
    return {(number, int(day))} if day.isdecimal() and 1 <= number <= 12 else set()
