"""The worker's dumpling: built once and cached, with the TiDB of the tests, of which it is a part.

`python -m tests.cluster.dumpling` makes sure that both are there, and links dumpling beside this Python.
"""

import os
import sys
from pathlib import Path

from tests.cluster import build, tidb_server

ROOT = Path(__file__).parents[2]

RECIPE = build.Recipe(
    title="dumpling",
    name="tidbbackup-dumpling",
    module=ROOT / "image" / "dumpling",
    source="github.com/pingcap/tidb",
    package=".",
    stamps=(),
    cost="a minute after TiDB, about 3 minutes without",
)


def ensure() -> None:
    """See that it is built, and beside this Python. Raises build.BuildFailed, NoGo."""
    _install(build.program(RECIPE))


def _install(program: Path) -> None:
    link = Path(sys.executable).parent / RECIPE.name
    beside = link.with_name(f".{link.name}-{os.getpid()}")
    beside.symlink_to(program)
    beside.replace(link)


def _with_tidb(recipe: build.Recipe) -> Path:
    _, folder = build.built_together([tidb_server.RECIPE, recipe])
    _install(folder / recipe.name)
    return folder


if __name__ == "__main__":
    sys.exit(build.main(RECIPE, _with_tidb))
