"""Figures as tables, for a notebook and for a terminal."""

import html

import pandas as pd


class Tabled:
    """What shows itself as a table below its heading; as the heading alone, if that is empty."""

    _most: int | None = None  # rows that are shown, if not all

    def table(self) -> pd.DataFrame:
        """Return the figures."""
        raise NotImplementedError

    def _heading(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        table = self._shown()
        text = "" if table.empty else "\n" + table.to_string(float_format="{:.3f}".format)
        return self._heading() + text

    def _repr_html_(self) -> str:
        table = self._shown()
        text = "" if table.empty else table.to_html(float_format="{:.3f}".format)
        return f"<p><b>{html.escape(self._heading())}</b></p>{text}"

    def _shown(self) -> pd.DataFrame:
        return self.table().iloc[: self._most]


def counted(number: int, one: str, many: str) -> str:
    """Return "1 query", or "1,000 queries"."""
    return f"{number:,} {one if number == 1 else many}"
