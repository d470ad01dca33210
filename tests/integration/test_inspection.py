"""Workers whose result is lost: whether the backup is whole is read in the bucket."""

import os
import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.integration.bare import eventually
from tests.integration.faults import before_store, no_controller, other_controller
from tests.integration.scene import JSON, Scene, phase, why

pytestmark = pytest.mark.integration

NEVER_SAID = b"\0never said"
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
    assert f"read from its manifest, the worker's own result was lost ({lost}: " in message
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


async def test_an_inspection_whose_job_a_foreground_deletion_takes_away_is_done_all_the_same(
    scene: Scene, tmp_path: Path
) -> None:
    """Argo CD's way: the garbage collector deletes the Jobs, the one that inspects as well."""
    looked = tmp_path / "looked"
    first = f'if [ "$2" = aftermath ] && [ ! -e {looked} ]; then touch {looked}; exec sleep 600; fi'
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
    assert {job["metadata"]["name"] for job in await scene.jobs()} == {"backup-bk", "aftermath-bk"}
    await scene.delete()
    await scene.until_gone()


def dies_when(folder: Path) -> tuple[str, Path]:
    """A dump that does everything, says nothing, and is killed once a file is there."""
    file = folder / "killed"
    return f"{MUTE}; while [ ! -e {file} ]; do sleep 0.1; done; kill -9 $$", file


async def until_inspecting(scene: Scene, text: str) -> None:
    """Wait until it says why the inspection is not done."""
    await scene.until(lambda found: "status" in (found or {}) and text in why(found or {})[1])
    reason, _ = why(await scene.until_phase("Running"))
    assert reason == "Inspecting"


async def test_an_outage_of_the_storage_is_waited_out(scene: Scene, tmp_path: Path) -> None:
    dump, killed = dies_when(tmp_path)
    async with before_store(scene.lab, NEVER_SAID) as proxy:
        await scene.apply(scene.backup(env=worker(tmp_path, dump), s3={"endpoint": proxy.url}))
        await eventually(partial(is_stored, scene))
        proxy.cut()
        killed.touch()
        await until_inspecting(scene, "looking at s3://")
        proxy.release()
        backup = await scene.until_over()

    assert (phase(backup), why(backup)[0]) == ("Complete", "ArchiveFound")
    assert "runEnded" not in backup["status"]


async def test_a_secret_that_is_missing_is_waited_for(scene: Scene, tmp_path: Path) -> None:
    dump, killed = dies_when(tmp_path)
    await scene.apply(scene.backup(env=worker(tmp_path, dump)))
    await eventually(partial(is_stored, scene))
    await scene.kubectl("delete", "secret", "s3-secret")
    killed.touch()
    await until_inspecting(scene, "the Secret of spec.s3.secretName is missing")
    store = scene.lab.store
    await scene.secret("s3-secret", {"access_key": store.access_key, "secret_key": store.secret_key})

    assert why(await scene.until_over())[0] == "ArchiveFound"


async def is_stored(scene: Scene) -> bool:
    """Whether an archive and its manifest are there."""
    return len(await scene.objects()) == 2


IMPATIENT = (
    *(sys.executable, "-c"),
    "from datetime import timedelta\n"
    "from tidbbackup.decide.aftermath import inspection\n"
    "inspection._TAKES = timedelta(seconds=-1790)\n"
    "from tidbbackup.cli import main\n"
    "main()",
)
"""The program, which gives an inspection 10 s, not pendingDeadlineSeconds and 5 minutes."""


async def test_where_the_bucket_cannot_be_asked_it_says_so_in_the_end(scene: Scene, tmp_path: Path) -> None:
    env = worker(tmp_path, "exit 0")
    async with other_controller(scene.lab, program=IMPATIENT):
        await scene.apply(scene.backup(env=env, s3={"endpoint": "http://127.0.0.1:9"}))

        reason, message = why(await scene.until_over())

    assert reason == "ResultLost"
    assert "whether its archive is whole could not be told: looking at s3://" in message
