"""The notes of a release are its part of the CHANGELOG."""

import pytest

from release.notes import notes

CHANGELOG = """# Changelog

For users.

## Unreleased

### Added
- Not yet.

## 0.2.0 - 2026-12-01

### Fixed
- The second.

## 0.1.0 - 2026-11-29

### Added
- The first.
"""


def test_they_are_the_section_of_the_version() -> None:
    assert notes(CHANGELOG, "0.2.0") == "# tidbbackup 0.2.0\n\n### Fixed\n- The second.\n"
    assert notes(CHANGELOG, "0.1.0") == "# tidbbackup 0.1.0\n\n### Added\n- The first.\n"


def test_a_version_without_a_section_has_what_is_not_released_yet() -> None:
    assert notes(CHANGELOG, "0.3.0") == "# tidbbackup 0.3.0\n\n### Added\n- Not yet.\n"


def test_a_version_is_not_taken_for_a_longer_one() -> None:
    assert "The first." not in notes(CHANGELOG.replace("0.1.0", "0.1.01"), "0.1.0")


def test_a_changelog_without_sections_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no section of 0\.1\.0"):
        notes("# Changelog\n", "0.1.0")
