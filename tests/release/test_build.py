"""All files of a release, made of a commit, and the same bytes each time."""

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from release.build import build, sums
from release.names import read_image
from tests.manifests.chart import KUBERNETES, SYSTEM, run
from tests.manifests.shipped import FOLDER
from tidbbackup import __version__

# pip fetches setuptools, and Helm is built by the set-up of the end-to-end tests; no node is needed.
pytestmark = pytest.mark.e2e

ROOT = FOLDER.parent
NAME = f"tidbbackup-{__version__}"
PUSHED = "registry.example.com/tidbbackup@sha256:" + "0123" * 16


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything but the image, with an image that was pushed."""
    target = tmp_path_factory.mktemp("dist")
    build(target, read_image(PUSHED), ROOT)
    return target


def test_twice_in_a_row_it_is_the_same(released: Path, tmp_path: Path) -> None:
    build(tmp_path, read_image(PUSHED), ROOT)

    assert sums(tmp_path) == sums(released)
    assert sorted(path.name for path in released.iterdir()) == [
        "RELEASE_NOTES.md",
        "crds.yaml",
        "install.yaml",
        f"{NAME}-py3-none-any.whl",
        f"{NAME}.tar.gz",
        f"{NAME}.tgz",
    ]


def test_the_sums_are_what_sha256sum_checks(released: Path) -> None:
    text = sums(released)

    subprocess.run(["sha256sum", "--check", "--strict", "-"], input=text.encode(), cwd=released, check=True)


def test_controller_and_workers_run_the_image_that_was_pushed(released: Path) -> None:
    text = (released / "install.yaml").read_text()

    assert text.count(PUSHED) == 2
    assert f"tidbbackup:{__version__}" not in text
    where = (f"--namespace={SYSTEM}", KUBERNETES)
    rendered = run("template", "a-release", released / f"{NAME}.tgz", *where)
    assert rendered.count(PUSHED) == 2


def test_helm_finds_nothing_wrong_with_the_packed_chart(released: Path) -> None:
    assert "0 chart(s) failed" in run("lint", released / f"{NAME}.tgz", "--strict", KUBERNETES)


def test_source_and_wheel_have_the_program(released: Path) -> None:
    with tarfile.open(released / f"{NAME}.tar.gz") as source:
        assert f"{NAME}/tidbbackup/cli.py" in source.getnames()
    with zipfile.ZipFile(released / f"{NAME}-py3-none-any.whl") as wheel:
        scripts = wheel.read(f"{NAME}.dist-info/entry_points.txt").decode()
    assert re.findall(r"^(\S+) = ", scripts, re.MULTILINE) == ["kubectl-tidbbackup", "tidbbackup"]
