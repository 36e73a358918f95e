import re
from datetime import UTC, date, datetime, time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.dates import FIRST, SPOKEN, moment, period, seconds, spoken


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
    ("day", "written"),
    [
        ("2019-01-01", [2019.0, "2019.0", np.float64(2019), pd.Period("2019"), "２０１９", "٢٠١٩"]),
        ("2019-06-01", ["2019-6", "2019/06", "2019.6", "06/2019", "6.2019", "6/2019", "6-2019",
                        "June 2019", "Jun 2019", "JUNE, 2019", "june of 2019", "2019 Jun.",
                        " 2019-06\n", "2019\u201306", "２０１９／０６", pd.Period("2019-06")]),
        ("2019-06-15", ["2019/06/15", "2019.06.15", "2019-6-15", "15.06.2019", "15.6.2019",
                        "15/06/2019", "06/15/2019", "15-06-2019", "15 June 2019", "15. June 2019",
                        "June 15, 2019", "15-JUN-2019", "Jun 15th 2019", "15th of June, 2019",
                        "2019 June 15", "2019:06:15", "20190615", 20190615,
                        "\u200e15/\u200e06/\u200e2019", "\u061c2019-06-15"]),
        ("2019-09-01", ["Sep 2019", "sept. 2019", "9/2019"]),
        ("2019-03-03", ["03/03/2019", "3.3.2019", "March 3rd, 2019"]),
    ],
)  # fmt: skip
def test_a_date_may_be_written_as_people_do(day, written):
    for each in written:
        assert str(moment(period(each)[0]).date()) == day, each


@pytest.mark.parametrize(
    "written",
    ["15.6.2019 14:30", "June 15, 2019, 14:30", "2019:06:15 14:30", "2019/6/15T14:30",
     "\u200e15/\u200e06/\u200e2019 \u200f\u200e14:30"],
)  # fmt: skip
def test_a_time_may_follow_any_day(written):
    assert period(written) == period("2019-06-15 14:30")


@pytest.mark.parametrize(
    "value",
    ["", "June", "today", "June 15", "19-06-15", "15.06.19", "06/19", "June 19", "'19", "10000",
     "2019-06-15 14:30Z", "2019-06-15T14:30+02:00", "2019-06-15T14:30-05", "June 2019 14:30",
     "2019 10:30", "2019-06 to 2019-08", "2019/2020", "/2019", "-2019", "2019-", 10000, -5, True,
     None, time(3), float("nan"), pd.NaT, pd.NA, np.datetime64("NaT"), np.datetime64(-9999, "Y"),
     np.datetime64(20_000, "Y"), datetime(2019, 6, 15, tzinfo=UTC),
     pd.Timestamp("2019-06-15", tz="Asia/Tokyo"), 19, [], [2019], b"2019", "1 " * 30_000 + "2019",
     "2019" + 99 * " " + "x"],
)  # fmt: skip
def test_what_is_no_date_is_refused_and_says_how_to_write_one(value):
    with pytest.raises(ValueError, match=r"is not a date: use a year .* four digits.* time zone"):
        period(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("31.02.2020", "February 2020 has 29 days"),
        ("2019-02-29", "February 2019 has 28 days"),
        ("02/30/2019", "February 2019 has 28 days"),
        ("31 April 2019", "April 2019 has 30 days"),
        ("2019-06-00", "June 2019 has 30 days"),
        ("2019-13", "there is no such month"),
        ("00/2019", "there is no such month"),
        ("13/13/2019", "there is no such month"),
        ("15 Juni 2019", "there is no such month: write 1 to 12, or an English name"),
        ("summer 2019", "there is no such month"),
        ("2019-06-15 24:00", "hour must be in 0 to 23"),
        ("2019-06-15 14:61", "minute must be in 0 to 59"),
        ("0000", "year 0 is out of range"),
        ("01/02/2019", r"it may be .*2019-02-01 \(1 February\)"),
        ("01/02/2019", r"it may be .*2019-01-02 \(2 January\)"),
        ("1.2.2019", "it may be"),
        ("1-2-2019 14:30", "it may be"),
    ],
)
def test_a_date_that_cannot_be_says_why(value, reason):
    with pytest.raises(ValueError, match=rf"^'{value}' is not a date: {reason}"):
        period(value)


@given(st.dates(), st.sampled_from(["%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%Y/%m/%d", "%Y %b %d"]))
def test_a_day_is_read_from_what_others_write(day, form):
    text = day.strftime(form.replace("%Y", f"{day.year:04}"))
    assert period(text) == period(day)


@given(st.datetimes())
def test_seconds_and_moments_are_each_others_inverse(when):
    assert moment(seconds(when)) == when.replace(microsecond=0)
    assert seconds(when) >= FIRST
    assert period(when) == (seconds(when),) * 2


@pytest.mark.parametrize(
    ("said", "first", "last"),
    [
        ("today", "2026-11-28", "2026-11-28"),
        ("Yesterday", "2026-11-27", "2026-11-27"),
        ("this week", "2026-11-23", "2026-11-29"),
        ("last week", "2026-11-16", "2026-11-22"),
        ("last month", "2026-10-01", "2026-10-31"),
        ("this year", "2026-01-01", "2026-12-31"),
        ("two days ago", "2026-11-26", "2026-11-26"),
        ("an year ago", "2025-01-01", "2025-12-31"),
        ("21 months ago", "2025-02-01", "2025-02-28"),
        ("last summer", "2026-06-01", "2026-08-31"),
        ("this summer", "2026-06-01", "2026-08-31"),
        ("last autumn", "2025-09-01", "2025-11-30"),
        ("this fall", "2026-09-01", "2026-11-30"),
        ("last winter", "2025-12-01", "2026-02-28"),
        ("this winter", "2026-12-01", "2027-02-28"),
        ("last June", "2026-06-01", "2026-06-30"),
        ("last november", "2025-11-01", "2025-11-30"),
        ("winter 2019", "2019-12-01", "2020-02-29"),
        ("winter of 2019/20", "2019-12-01", "2020-02-29"),
        ("spring 2019", "2019-03-01", "2019-05-31"),
        ("June 15th, 2019", "2019-06-15", "2019-06-15"),
        ("15. june 2019", "2019-06-15", "2019-06-15"),
        ("sept. 2019", "2019-09-01", "2019-09-30"),
        ("15.06.2019", "2019-06-15", "2019-06-15"),
        ("2019-06", "2019-06-01", "2019-06-30"),
        ("2019", "2019-01-01", "2019-12-31"),
    ],
)
def test_what_people_call_a_date_counts_from_a_day(said, first, last):
    assert spoken(said, date(2026, 11, 28)) == (period(first)[0], period(last)[1])
    assert re.search(SPOKEN, f"a dog, {said.lower()}, in the snow").group() == said.lower()


@pytest.mark.parametrize(
    ("said", "today", "first"),
    [
        ("this winter", "2027-01-05", "2026-12-01"),
        ("last winter", "2027-01-05", "2025-12-01"),
        ("this summer", "2027-01-05", "2027-06-01"),
        ("last summer", "2027-07-15", "2026-06-01"),
        ("this summer", "2027-07-15", "2027-06-01"),
        ("last summer", "2027-09-01", "2027-06-01"),
        ("last week", "2027-01-01", "2026-12-21"),
        ("last month", "2027-01-31", "2026-12-01"),
    ],
)
def test_the_last_is_over_and_this_is_not_unless_it_was_this_year(said, today, first):
    assert spoken(said, date.fromisoformat(today))[0] == period(first)[0]


@pytest.mark.parametrize("said", ["", "June", "next week", "30 February 2019", "01/02/2019", "90s"])
def test_what_nobody_calls_a_date_is_refused(said):
    with pytest.raises(ValueError, match="is not a date"):
        spoken(said, date(2026, 11, 28))


@given(st.dates(date(1826, 1, 1), date(2100, 1, 1)), st.sampled_from(["summer", "winter", "may"]))
def test_the_last_one_is_over_for_less_than_a_year(today, name):
    first, last = spoken(f"last {name}", today)
    assert first < last < period(today)[0] <= last + 367 * 86_400
