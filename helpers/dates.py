"""Dates as a camera writes them: its own clock, without a time zone, in seconds since 1970.

Not about finding them in a photo: that is `images.facts`.
"""

import re
from datetime import date, datetime, timedelta
from numbers import Integral

import numpy as np

_EPOCH = datetime(1970, 1, 1)
_ISO = re.compile(
    r"(\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?)?)?)?)(?:(?<=:\d\d)\.\d+)?", re.ASCII
)


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
    value : int, str, date, datetime or datetime64
        A number is a year. A text is an ISO date as far as it goes: "2019", "2019-06",
        "2019-06-15", "2019-06-15 14:30", "2019-06-15 14:30:05". A moment is one second.

    Raises
    ------
    ValueError
        If it is none of these, or no day of the calendar, or has a time zone.
    """
    if getattr(value, "tzinfo", None):
        raise ValueError(
            f"{value} has a time zone, and a photo has the time of its camera's clock: use "
            ".replace(tzinfo=None)"
        )
    match = _ISO.fullmatch(_written(value))
    if match is None:
        raise ValueError(
            f"{value!r} is not a date: use a year (2019), a text ('2019-06', '2019-06-15', "
            "'2019-06-15 14:30'), a date or a datetime. Leave out the time zone, as a photo has "
            "the time of its camera's clock"
        )
    try:
        start = np.datetime64(match[1])  # in the unit of its last part
    except ValueError as error:
        raise ValueError(f"{value!r} is not a date ({error})") from None
    first, after = (int(time.astype("datetime64[s]").astype(int)) for time in (start, start + 1))
    return first, after - 1


def _written(value: object) -> str:
    """Return a value as an ISO date; a text as it is."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, date | np.datetime64):  # a datetime is a date
        return str(value)
    return value.strip() if isinstance(value, str) else ""
