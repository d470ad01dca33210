"""What makes an image another one, what it weighs, and what it says is in it."""

import json
import re
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tidbbackup import __version__

from .archive import configuration_of, content_of
from .image import ROOT, SBOM, content_key, find_or_build
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
    """Whoever lets it grow by a tenth has to say so in docs/reference/image.md, and why."""
    require_whole_node()
    page = (
        (ROOT / "docs" / "reference" / "image.md")
        .read_text()
        .partition("\n## Size\n")[2]
        .partition("\n## ")[0]
    )
    layers = [int(megabytes) for megabytes in re.findall(r"^\|[^|]+\| (\d+) \|", page, re.MULTILINE)]

    assert len(layers) == 5
    assert find_or_build().stat().st_size / MB == pytest.approx(sum(layers), rel=0.1)


@pytest.mark.integration
@pytest.mark.e2e
def test_it_lists_what_is_in_it() -> None:
    """Every package that is pinned, by its version; Debian's; and what cryptography has compiled in."""
    require_whole_node()
    pinned = re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / "image" / "requirements.txt").read_text(), re.MULTILINE
    )

    components = json.loads(content_of(find_or_build(), SBOM))["components"]

    kinds = {
        kind: {each["name"]: each for each in components if each.get("purl", "").startswith(f"pkg:{kind}/")}
        for kind in ("pypi", "deb")
    }
    python = {canonicalize_name(name): each["version"] for name, each in kinds["pypi"].items()}
    assert python == {**dict(pinned), "tidbbackup": __version__}
    assert "aiobotocore" in python
    assert kinds["deb"]["mydumper"]["version"].startswith("0.10.1-")
    assert kinds["deb"]["mydumper"]["licenses"] == [{"license": {"name": "GPL-3.0+"}}]
    assert kinds["deb"]["python3"]["version"].startswith("3.11.")
    assert "openssl" in [each["name"] for each in kinds["pypi"]["cryptography"]["components"]]
    (dumpling,) = (each for each in components if each["name"] == "tidbbackup-dumpling")
    assert "github.com/pingcap/tidb" in [each["name"] for each in dumpling["components"]]


@pytest.mark.integration
@pytest.mark.e2e
def test_its_labels_say_the_version_and_nothing_that_each_commit_changes() -> None:
    require_whole_node()
    prefix = "org.opencontainers.image."
    labels = configuration_of(find_or_build())["config"]["Labels"]

    ours = {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}
    assert set(ours) == {"title", "description", "licenses", "version"}
    assert ours["version"] == __version__
