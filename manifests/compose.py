"""Writes crds.yaml and install.yaml, what a user applies, from the kustomizations: `make manifests`.

A test compares, so that they cannot fall behind. Must not know what is in them.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent

COMPOSED: Mapping[str, str] = {"crds.yaml": "crd", "install.yaml": "default"}
"""Which file is made of which kustomization."""

_NOTE = "# Composed from manifests/{folder} by `make manifests`; do not edit.\n"


def compose(kubectl: Path) -> dict[Path, str]:
    """The text of each file. Raises subprocess.CalledProcessError with kubectl's words in `stderr`."""
    return {
        FOLDER / name: _NOTE.format(folder=folder) + kustomize(kubectl, FOLDER / folder)
        for name, folder in COMPOSED.items()
    }


def kustomize(kubectl: Path, folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder."""
    done = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    from tests.cluster.binaries import find_or_build

    for path, text in compose(find_or_build().program("kubectl")).items():
        path.write_text(text)
