"""What `make image` asks docker for, and what the Dockerfile starts from."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from image.pin import ROOT
from tests.skips import skip
from tidbbackup import __version__

DOCKER = """#!/bin/sh
case $1 in
build) printf '%s\\n' "$@" >"$FOLDER/build" ;;
run) echo "$*" >"$FOLDER/run"; echo the list ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the Makefile, whose origin has a login in its address."""
    if not shutil.which("git"):
        skip("there is no git here to make a repository with")
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    package = tmp_path / "tidbbackup" / "__init__.py"
    package.parent.mkdir()
    package.write_bytes((ROOT / "tidbbackup" / "__init__.py").read_bytes())
    who = ("-c", "user.name=me", "-c", "user.email=me@example.com")
    for words in (
        ("init", "--quiet"),
        ("remote", "add", "origin", "https://me:secret@git.example.com/tidbbackup.git"),
        ("add", "Makefile", "tidbbackup"),
        (*who, "commit", "--quiet", "--message=x"),
        ("tag", "v1"),
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def make_image(checkout: Path, folder: Path) -> list[str]:
    """Run it with a docker that only notes; the words of its build."""
    folder.mkdir()
    docker = folder / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "FOLDER": str(folder)}
    subprocess.run(["make", "--silent", "image"], cwd=checkout, env=env, check=True)
    return (folder / "build").read_text().splitlines()


def labels(words: list[str]) -> dict[str, str]:
    """The labels among them."""
    found = [re.fullmatch(r"org\.opencontainers\.image\.(\w+)=(.*)", word) for word in words]
    return {match[1]: match[2] for match in found if match}


def test_labels_and_the_list_beside(checkout: Path, tmp_path: Path) -> None:
    words = make_image(checkout, tmp_path / "bin")

    found = labels(words)
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True)
    # The folder of the programs is no part of the repository, and makes nothing dirty.
    assert found["revision"] == revision.stdout.decode().strip()
    assert found["version"] == __version__
    assert found["source"] == "https://git.example.com/tidbbackup.git"
    assert datetime.fromisoformat(found["created"]).tzinfo is not None
    assert words[-3:] == ["-t", f"tidbbackup:{__version__}", "."]
    assert (checkout / f"tidbbackup-{__version__}.cdx.json").read_text() == "the list\n"
    assert (tmp_path / "bin" / "run").read_text().strip().endswith(" /opt/tidbbackup/sbom.cdx.json")


def test_a_changed_file_makes_the_revision_dirty(checkout: Path, tmp_path: Path) -> None:
    with (checkout / "Makefile").open("a") as file:
        file.write("# changed\n")

    assert labels(make_image(checkout, tmp_path / "bin"))["revision"].endswith("-dirty")


def test_without_a_repository_no_label_is_empty(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".git").rename(tmp_path / "elsewhere")

    assert set(labels(make_image(checkout, tmp_path / "bin"))) == {"version", "created"}


def test_the_base_is_pinned_by_its_digest() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert re.search(r"^ARG BASE=[a-z./]+/debian@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}", "build", "whole"}


def test_the_manifests_name_the_version_that_is_built() -> None:
    assert f"newTag: {__version__}\n" in (ROOT / "manifests/controller/kustomization.yaml").read_text()
