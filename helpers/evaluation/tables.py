"""Figures as tables, for a notebook and for a terminal."""

import html

import pandas as pd

__all__ = ["titled", "typed"]


def titled(title: str, table: pd.DataFrame) -> str:
    """Return a table below its title as HTML."""
    return f"<p><b>{html.escape(title)}</b></p>{table.to_html(float_format='{:.3f}'.format)}"


def typed(title: str, table: pd.DataFrame) -> str:
    """Return a table below its title as text."""
    return f"{title}\n{table.to_string(float_format='{:.3f}'.format)}"
