"""Writes the tables of docs/reference/invariants.md from the rows in decide: `python -m manifests.tables`."""

from __future__ import annotations

import re
from pathlib import Path

from tidbbackup.decide import rows
from tidbbackup.decide.rows import Row

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "invariants.md"
TABLES: tuple[type[Row], ...] = (
    rows.Living,
    rows.Finished,
    rows.Inspecting,
    rows.Leaving,
    rows.AftermathJob,
    rows.Restoring,
)


def table(kind: type[Row]) -> str:
    """A table in Markdown: one line for each row, in the order in which they are tried."""
    lines = ["| row | facts | plan |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.id} | {row.facts} | {row.plan} |" for row in kind)])


def page(text: str) -> str:
    """The page with all its tables as the code has them.

    Raises:
        ValueError: the page has no place for a table: `<!-- rows: Name -->` and `<!-- end -->`.
    """
    for kind in TABLES:
        places = re.split(rf"(?<=<!-- rows: {kind.__name__} -->\n).*?(?=<!-- end -->)", text, flags=re.DOTALL)
        if len(places) != 2:
            raise ValueError(f"{PAGE.name} has {len(places) - 1} places for the table {kind.__name__}")
        text = f"{table(kind)}\n".join(places)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
