"""What an ingestion did, as a table and as text."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from .images.files import LeftOut

_LISTED = 20  # skipped files, of which the first and the last are shown
_INTERRUPTED = "Interrupted. What was written is kept. Run it again to continue."


@dataclass(repr=False)
class IngestReport:
    """What an ingestion did; a notebook shows it as a table.

    `found` images were considered. The `inserted` and the `updated` (the content changed) are new
    to the collection and were encoded, unless they are copies of another image. The `unchanged`
    and the `moved` (known by their content at a place where they no longer are) were not.
    `skipped` lists (filepath, reason) of files that could not be read. `removed` counts the rows
    of files that are gone. `left_out` lists what was not considered, though it may be yours.
    `note` says what to do if the collection outgrew its calibration (see `helpers.calibrate`).
    `seconds` is the wall time. If the run was `interrupted`, what is counted is stored, and the
    next run does the rest.
    """

    found: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    note: str = ""

    def add(self, counts: Mapping[str, int]) -> None:
        """Add to the counts of these names."""
        for name, number in counts.items():
            setattr(self, name, getattr(self, name) + number)

    def to_frame(self) -> pd.DataFrame:
        """Return the counts as a table of one row."""
        left_out = sum(each.number for each in self.left_out)
        counts = vars(self) | {"skipped": len(self.skipped), "left_out": left_out}
        del counts["note"]
        return pd.DataFrame([counts | {"seconds": round(self.seconds, 1)}])

    def _tables(self) -> list[pd.DataFrame]:
        """Return the counts, what was skipped and what was left out, without empty tables."""
        tables = [
            self.to_frame().drop(columns="interrupted"),
            pd.DataFrame(self.skipped, columns=["skipped", "reason"]),
            pd.DataFrame(self.left_out, columns=["left out", "number", "example", "what to do"]),
        ]
        return [table for table in tables if len(table)]

    def _words(self) -> list[str]:
        return [words for words in (_INTERRUPTED * self.interrupted, self.note) if words]

    def _repr_html_(self) -> str:
        tables = [t.to_html(index=False, max_rows=_LISTED, justify="left") for t in self._tables()]
        return "".join([*tables, *(f"<p><b>{html.escape(words)}</b>" for words in self._words())])

    def __repr__(self) -> str:
        texts = [t.to_string(index=False, max_rows=_LISTED) for t in self._tables()]
        return "\n".join([*texts, *self._words()])
