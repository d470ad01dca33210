"""Workers whose last word is lost: whether the backup is whole is read in the bucket."""

import os
import sys
from pathlib import Path

import msgspec
import pytest

from tests.integration.faults import no_controller
from tests.integration.scene import JSON, Scene, why

pytestmark = pytest.mark.integration

REAL = Path(sys.executable).parent / "tidbbackup"


def worker(folder: Path, dump: str) -> list[JSON]:
    """The environment for a worker that, told to dump, does this instead; all else it does as ever."""
    program = folder / "tidbbackup"
    program.write_text(f'#!/bin/sh\nif [ "$2" = dump ]; then {dump}; fi\nexec {REAL} "$@"\n')
    program.chmod(0o755)
    return [{"name": "PATH", "value": f"{folder}:{os.environ['PATH']}"}]


MUTE = f"TERMINATION_LOG=/dev/null {REAL} worker dump"


@pytest.mark.parametrize(
    ("dump", "lost"), [(f"{MUTE}; exit 0", "ResultLost"), (f"{MUTE}; kill -9 $$", "Killed")], ids=["0", "9"]
)
async def test_one_that_had_done_everything_is_complete(
    scene: Scene, tmp_path: Path, dump: str, lost: str
) -> None:
    await scene.apply(scene.backup(env=worker(tmp_path, dump), cleanPolicy="Delete"))

    backup = await scene.until_over()

    reason, message = why(backup)
    assert reason == "ArchiveFound", message
    assert f"read from its manifest, the worker's own word was lost ({lost}: " in message
    status = backup["status"]
    key = status["backupPath"].removeprefix(f"s3://{scene.bucket}/")
    body = await scene.lab.store.get(scene.bucket, key.removesuffix(".tgz") + ".manifest.json")
    manifest = msgspec.json.decode(body)
    assert status["backupSize"] == manifest["size"] == (await scene.objects())[key]
    assert status["checksum"] == f"sha256:{manifest['sha256']}"
    assert status["databaseCount"] == len(manifest["databases"]) > 0
    assert status["timeCompleted"][:19] == manifest["finished"][:19]
    await scene.check_invariants()
    await scene.kubectl("delete", "backup", "bk", "--timeout=30s")
    assert await scene.objects() == {}


async def test_one_that_nobody_heard_of_before_its_deletion_is_no_failure(
    scene: Scene, tmp_path: Path
) -> None:
    env = worker(tmp_path, f"{MUTE}; kill -9 $$")
    await scene.apply(scene.backup(env=env, cleanPolicy="OnFailure"))
    await scene.running_pod()
    async with no_controller(scene.lab):
        await scene.until_no_pod_runs()
        await scene.delete()
    await scene.until_gone()

    assert len(await scene.objects()) == 2
    (kept,) = [message for _, reason, message in await scene.events() if reason == "DataKept"]
    assert kept.endswith(".tgz is kept")


async def test_a_look_that_a_foreground_deletion_took_away_is_begun_anew(
    scene: Scene, tmp_path: Path
) -> None:
    """Argo CD's way: the garbage collector deletes the Jobs, the one that looks as well."""
    looked = tmp_path / "looked"
    first = f'if [ "$2" = inspect ] && [ ! -e {looked} ]; then touch {looked}; exec sleep 600; fi'
    env = worker(tmp_path, f"{MUTE}; kill -9 $$; fi; {first}; if false; then true")
    await scene.apply(scene.backup(env=env, cleanPolicy="OnFailure"))
    await scene.until(lambda found: looked.exists() and bool(found) and why(found or {})[0] == "Inspecting")

    await scene.kubectl("delete", "backup", "bk", "--cascade=foreground", "--timeout=60s")

    assert len(await scene.objects()) == 2
    await scene.until_no_job()


async def test_one_that_had_done_nothing_is_not_complete(scene: Scene, tmp_path: Path) -> None:
    await scene.apply(scene.backup(env=worker(tmp_path, "exit 0")))

    assert why(await scene.until_over()) == (
        "ResultLost",
        "the worker ended with exit code 0 and left no result; see the pod's log",
    )
    jobs = {job["metadata"]["name"] for job in await scene.jobs()}
    # Nobody knows what it had raised either, so release-bk follows, at a time of its own.
    assert {"backup-bk", "inspect-bk"} <= jobs <= {"backup-bk", "inspect-bk", "release-bk"}


async def test_where_the_bucket_cannot_be_asked_it_says_so(scene: Scene, tmp_path: Path) -> None:
    env = worker(tmp_path, "exit 0")
    await scene.apply(scene.backup(env=env, s3={"endpoint": "http://127.0.0.1:9"}))

    reason, message = why(await scene.until_over())

    assert reason == "ResultLost"
    assert "whether its archive is whole could not be told: looking at s3://" in message
