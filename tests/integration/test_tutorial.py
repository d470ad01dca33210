"""Every command of the tutorial, in its order, as its reader types it."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.cluster.lab import ROOT
from tests.cluster.up import environment, tidb_shop
from tests.integration.scene import Scene

pytestmark = pytest.mark.integration

TUTORIAL = ROOT / "docs" / "tutorials" / "first-backup-and-restore.md"


async def test_the_tutorial_restores_the_table_that_it_loses(scene: Scene, tmp_path: Path) -> None:
    lab = scene.lab
    commands = re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    async with tidb_shop(lab.plane.processes, lab.database.password) as shop:
        programs = (str(lab.plane.kubectl.parent), str(Path(sys.executable).parent), os.environ["PATH"])
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", "".join(commands)),
            cwd=tmp_path,
            env={
                **environment(lab, shop),
                "NAMESPACE": scene.namespace,
                "BUCKET": scene.bucket,
                "MYSQL_PWD": shop.password,
                "PATH": ":".join(programs),
                "HOME": str(tmp_path),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()

    assert process.returncode == 0, said
    assert said.count("8000") == 3, said  # Before the loss, in the column ROWS, and after the restore.
    assert re.search("first +Complete", said), said
    assert re.search("order-lines +Complete", said), said
    assert "due next:" in said, said
