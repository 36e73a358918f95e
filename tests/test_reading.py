"""Phrases are in `phrases.txt`, beside this."""

from datetime import date
from pathlib import Path

import pytest

from helpers import Query
from helpers.query.queries import AnyOf

TODAY = date(2026, 11, 28)
_TABLE = Path(__file__).with_name("phrases.txt").read_text(encoding="utf-8")
PHRASES = [
    [cell.strip() for cell in line.split("|")] for line in _TABLE.splitlines() if "|" in line
][1:]


def written(terms) -> str:
    return " + ".join(
        " / ".join(term.terms) if isinstance(term, AnyOf) else term for term in terms
    )


def as_a_row(phrase: str) -> list[str]:
    """Return what was read as the table has it."""
    reading = Query.read(phrase, TODAY)
    query = reading.query if isinstance(reading.query, Query) else Query([reading.query])
    like = written(query.like)
    taken = reading.where.get("taken", [])
    ranges = taken if isinstance(taken, list) else [taken]
    dates = " + ".join(f"{first or ''} .. {last or ''}".strip() for first, last in ranges)
    return [phrase, "=" if like == phrase else like, written(query.unlike), dates]


@pytest.mark.parametrize("row", PHRASES, ids=[row[0] for row in PHRASES])
def test_a_phrase_is_read_as_the_table_says(row):
    assert as_a_row(row[0]) == row
