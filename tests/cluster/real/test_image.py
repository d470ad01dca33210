"""What makes an image another one, and what it weighs."""

import re
from pathlib import Path

import pytest

from .image import ROOT, content_key, find_or_build
from .required import require_whole_node

MB = 1_000_000


def test_the_key_changes_with_content_and_name(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    other.write_text("1")
    key = content_key([file], tmp_path)

    assert content_key([other], tmp_path) != key
    assert content_key([file, other], tmp_path) != key
    file.write_text("2")
    assert content_key([file], tmp_path) != key
    file.write_text("1")
    assert content_key([file], tmp_path) == key


@pytest.mark.integration
@pytest.mark.e2e
def test_it_weighs_what_the_page_says() -> None:
    """Whoever lets it grow by a tenth has to say so in docs/image.md, and why."""
    require_whole_node()
    page = (ROOT / "docs" / "image.md").read_text().partition("## What it weighs")[2].partition("\n## ")[0]
    layers = [int(megabytes) for megabytes in re.findall(r"^\|[^|]+\| (\d+) \|", page, re.MULTILINE)]

    assert len(layers) == 4
    assert find_or_build().stat().st_size / MB == pytest.approx(sum(layers), rel=0.1)
