"""`make release`: all files of one version in dist/, with the same bytes for the same commit.

Pushes and signs nothing: both need the maintainer. docs/how-to/release.md says what comes next.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from release.chart import packed
from release.names import ImageName, read_image
from release.notes import notes
from tidbbackup import __version__

ROOT = Path(__file__).parents[1]
_IMAGE = f"tidbbackup:{__version__}"
_SUMS = "SHA256SUMS"


class NotBuilt(RuntimeError):
    """A file of the release could not be made; the message has the cause."""


def build(target: Path, image: ImageName | None, root: Path = ROOT) -> None:
    """All files but the image's, made of the last commit in `root`. Raises NotBuilt, ValueError."""
    moment = int(_git(root, "log", "-1", "--format=%ct"))
    name = f"tidbbackup-{__version__}"
    source = _git(root, "archive", "--format=tar", f"--prefix={name}/", "HEAD")
    (target / f"{name}.tar.gz").write_bytes(gzip.compress(source, mtime=moment))
    with tempfile.TemporaryDirectory(prefix="tidbbackup-release-") as temporary:
        subprocess.run(["tar", "-x", "-C", temporary], input=source, check=True)
        tree = Path(temporary) / name
        manifests = tree / "manifests"
        (target / f"{name}.tgz").write_bytes(packed(manifests / "chart", "tidbbackup", moment, image))
        shutil.copyfile(manifests / "crds.yaml", target / "crds.yaml")
        (target / "install.yaml").write_text(_installing(manifests / "install.yaml", image))
        (target / "RELEASE_NOTES.md").write_text(notes((tree / "CHANGELOG.md").read_text(), __version__))
        _wheel(tree, target, moment)


def _installing(path: Path, image: ImageName | None) -> str:
    text = path.read_text()
    return text.replace(_IMAGE, str(image)) if image else text


def _wheel(tree: Path, target: Path, moment: int) -> None:
    # setuptools gives this time to all files in the wheel.
    env = os.environ | {"SOURCE_DATE_EPOCH": str(moment)}
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", target, tree)
    done = subprocess.run(pip, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(f"pip could not make the wheel:\n{done.stderr}")


def add_image(target: Path) -> None:
    """The image as a docker-archive, and the list of what is in it. Raises build.BuildFailed, OSError."""
    from tests.cluster.real import archive, image

    built = image.find_or_build()
    name = f"tidbbackup-{__version__}-{image.architecture()}"
    archive.write_first(built, target / f"{name}.image.tar.gz", _IMAGE)
    (target / f"{name}.cdx.json").write_bytes(archive.content_of(built, image.SBOM))


def sums(folder: Path) -> str:
    """What `sha256sum --check` reads, of all files there."""
    files = sorted(path for path in folder.iterdir() if path.name != _SUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _git(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True).stdout


def _check_committed(root: Path) -> None:
    if changed := _git(root, "status", "--porcelain").decode():
        raise NotBuilt(f"commit or remove these, a release is made of a commit:\n{changed}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make dist/ anew; 1 and the reason when that cannot be done."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    text = "the image that was pushed, NAME@sha256:…: install.yaml and the chart then name it"
    parser.add_argument("--image", help=text)
    options = parser.parse_args(arguments)
    target = ROOT / "dist"
    try:
        image = read_image(options.image) if options.image else None
        _check_committed(ROOT)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        build(target, image)
        add_image(target)
        (target / _SUMS).write_text(sums(target))
    except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"{target}:\n{(target / _SUMS).read_text()}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
