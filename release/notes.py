"""The notes of a release: its part of the CHANGELOG."""

from __future__ import annotations

import re


def notes(changelog: str, version: str) -> str:
    """The section of a version; before it has one, that of what is not released yet.

    Raises:
        ValueError: there is neither.
    """
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for wanted in (version, "Unreleased"):
        for section in sections:
            heading, _, text = section.partition("\n")
            if re.match(rf"\[?{re.escape(wanted)}\]?(\s|$)", heading):
                return f"# tidbbackup {version}\n\n{text.strip()}\n"
    raise ValueError(f"CHANGELOG.md has no section of {version}, and none that is Unreleased")
