from datetime import UTC, date, datetime, time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.dates import FIRST, moment, period, seconds


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        (2019, "2019-01-01 00:00:00", "2019-12-31 23:59:59"),
        (np.int64(2019), "2019-01-01 00:00:00", "2019-12-31 23:59:59"),
        ("2019", "2019-01-01 00:00:00", "2019-12-31 23:59:59"),
        (" 2020-02 ", "2020-02-01 00:00:00", "2020-02-29 23:59:59"),
        ("1969-12-31", "1969-12-31 00:00:00", "1969-12-31 23:59:59"),
        ("2019-06-15 14", "2019-06-15 14:00:00", "2019-06-15 14:59:59"),
        ("2019-06-15T14:30", "2019-06-15 14:30:00", "2019-06-15 14:30:59"),
        ("2019-06-15 14:30:05.5", "2019-06-15 14:30:05", "2019-06-15 14:30:05"),
        (date(2019, 6, 15), "2019-06-15 00:00:00", "2019-06-15 23:59:59"),
        (datetime(2019, 6, 15, 14, 30, 5, 9), "2019-06-15 14:30:05", "2019-06-15 14:30:05"),
        (pd.Timestamp("2019-06-15 14:30:05"), "2019-06-15 14:30:05", "2019-06-15 14:30:05"),
        (np.datetime64("2019-06"), "2019-06-01 00:00:00", "2019-06-30 23:59:59"),
        (np.datetime64("2019-06-15T14:30:05", "ns"), "2019-06-15 14:30:05", "2019-06-15 14:30:05"),
        ("9999", "9999-01-01 00:00:00", "9999-12-31 23:59:59"),
    ],
)
def test_a_date_is_as_long_as_its_last_part(value, first, last):
    assert tuple(str(moment(second)) for second in period(value)) == (first, last)


@pytest.mark.parametrize(
    "value",
    ["", "June", "2019-6", "19-06-15", "15.06.2019", "2019-06-15 14:30Z", "2019-06-15T14:30+02:00",
     "2019-13", "2019-02-29", "2019-06-15 24:00", "2019-06.5", "２０１９", 20190615, 2019.0, -5,
     True, None, time(3), pd.NaT, np.datetime64("NaT"), 19, []],
)  # fmt: skip
def test_what_is_no_date_is_refused_and_says_how_to_write_one(value):
    with pytest.raises(ValueError, match=r"is not a date(: use a year .* zone| \()"):
        period(value)


def test_a_time_zone_is_refused_and_says_how_to_leave_it_out():
    with pytest.raises(ValueError, match=r"has a time zone, .*: use \.replace\(tzinfo=None\)"):
        period(datetime(2019, 6, 15, tzinfo=UTC))


@given(st.datetimes())
def test_seconds_and_moments_are_each_others_inverse(when):
    assert moment(seconds(when)) == when.replace(microsecond=0)
    assert seconds(when) >= FIRST
    assert period(when) == (seconds(when),) * 2
