"""Figures as tables, for a notebook and for a terminal."""

import html

import pandas as pd

__all__ = ["counted", "titled", "typed"]


def titled(title: str, table: pd.DataFrame) -> str:
    """Return a table below its title as HTML; the title alone if it is empty."""
    heading = f"<p><b>{html.escape(title)}</b></p>"
    return heading if table.empty else heading + table.to_html(float_format="{:.3f}".format)


def typed(title: str, table: pd.DataFrame) -> str:
    """Return a table below its title as text."""
    return title if table.empty else f"{title}\n{table.to_string(float_format='{:.3f}'.format)}"


def counted(number: int, one: str, many: str) -> str:
    """Return "1 query", or "1,000 queries"."""
    return f"{number:,} {one if number == 1 else many}"
