"""docs/reference/s3.md says what the tables in the code say.

Here is also what model/providers.py promises.
"""

import re
from pathlib import Path

import pytest

from tidbbackup.model.flags.rclone import HONOURED, NO_EFFECT, REFUSED
from tidbbackup.model.providers import ACLS, PROVIDERS, Provider

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "s3.md").read_text()


def section(title: str) -> str:
    """What stands under this heading."""
    _, _, rest = PAGE.partition(f"\n### {title}\n")
    return rest.partition("\n##")[0]


def flags(text: str) -> set[str]:
    """The flags that a text names."""
    return set(re.findall(r"`(-[^`]*)`", text))


def first_cells(text: str) -> str:
    """The first column of a table."""
    return "\n".join(line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `"))


def test_the_flags() -> None:
    assert flags(first_cells(section("Honoured"))) == set(HONOURED)
    assert flags(section("Accepted, no effect")) == NO_EFFECT
    assert flags(first_cells(section("Refused"))) == set(REFUSED)


@pytest.mark.parametrize(("name", "why"), REFUSED.items())
def test_why_a_flag_is_refused(name: str, why: str) -> None:
    (row,) = [line for line in section("Refused").splitlines() if f"`{name}`" in line.split(" | ")[0]]
    assert row.endswith(f"| {why} |")


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_the_providers(row: Provider) -> None:
    addressing = "host name; path with an `endpoint`" if row.name == "aws" else "path"
    cells = [
        f"`{row.name}`",
        row.title,
        "host name" if row.virtual_only else addressing,
        row.scheme,
        row.storage_class or "-",
        "all six" if row.acls == ACLS else ", ".join(row.acls),
        "yes" if row.full_checksum else "no",
        "yes" if row.unequal_parts else "no",
    ]
    assert f"| {' | '.join(cells)} |" in PAGE
