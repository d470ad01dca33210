"""The worker's last words on paths that need no server.

Here is also what worker/failure.py promises.
"""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import NO_AFTERMATH, Aftermath, Part
from tidbbackup.model.contract.result import Outcome, WorkerResult, decode_result
from tidbbackup.model.contract.task import DatabaseTarget, DumpSettings, WorkerTask, encode_task
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker import main as entry
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import Journal
from tidbbackup.worker.kept_log import LogTail
from tidbbackup.worker.main import main, supervise
from tidbbackup.worker.run import Limits

CLEANING = Aftermath((Part.CLEAN,))
UNKEPT = Limits(connect=0, keep_log=0)
"""Nobody waits for a database, nor for a storage that takes the log."""


def environ(
    folder: Path,
    more: dict[str, str] | None = None,
    *options: str,
    aftermath: Aftermath = NO_AFTERMATH,
) -> dict[str, str]:
    target = ObjectTarget("ceph", "bucket", "k.tgz", endpoint="http://127.0.0.1:9", pathStyle=True)
    database, dump = DatabaseTarget("127.0.0.1", 9), DumpSettings(options)
    task = WorkerTask("demo", "ns", "uid", target, database, dump, aftermath=aftermath)
    return {"TIDBBACKUP_TASK": encode_task(task), "TERMINATION_LOG": str(folder / "log"), **(more or {})}


def said(folder: Path) -> WorkerResult:
    result = decode_result((folder / "log").read_text())
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("more", "reason", "words"),
    [
        ({}, reasons.LOGIN_FAILED, "no password given"),
        ({"DB_PASSWORD": "x"}, reasons.DATABASE_UNREACHABLE, "127.0.0.1:9"),
    ],
)
def test_failures_are_told(tmp_path: Path, more: dict[str, str], reason: str, words: str) -> None:
    assert main("dump", environ(tmp_path, more), UNKEPT) == 1
    result = said(tmp_path)
    assert (result.outcome, result.step, result.reason) == (Outcome.FAILED, "preflight", reason)
    assert words in result.message
    assert result.started is not None
    assert result.finished is not None
    assert not result.uploadLeftOpen


def test_options_are_refused_again(tmp_path: Path) -> None:
    assert main("dump", environ(tmp_path, {"DB_PASSWORD": "x"}, "--logfile=/etc/x"), UNKEPT) == 1
    assert said(tmp_path).reason == reasons.INVALID_SPEC


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "x"}, "`access_key`"),
        ({"AWS_ACCESS_KEY_ID": "x"}, "`secret_key`"),
    ],
)
def test_an_aftermath_without_usable_keys(tmp_path: Path, keys: dict[str, str], words: str) -> None:
    assert main("aftermath", environ(tmp_path, keys, aftermath=CLEANING)) == 1
    assert (said(tmp_path).step, said(tmp_path).reason) == ("aftermath", reasons.CREDENTIALS_MISSING)
    assert words in said(tmp_path).message


@pytest.mark.parametrize("taken", [True, False])
def test_a_dump_keeps_its_log_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    kept = []

    async def keep_log(_: object, tail: LogTail, __: object) -> bool:
        # Whoever dies here loses the log alone.
        assert (said(tmp_path).reason, said(tmp_path).logKept) == (reasons.LOGIN_FAILED, False)
        kept.append(tail.text().decode())
        return taken

    monkeypatch.setattr(entry, "keep_log", keep_log)
    assert main("dump", environ(tmp_path)) == 1
    assert (said(tmp_path).reason, said(tmp_path).logKept) == (reasons.LOGIN_FAILED, taken)
    assert "LoginFailed in step preflight: no password given" in kept[0]


@pytest.mark.parametrize("action", ["restore", "aftermath"])
def test_nothing_but_a_dump_keeps_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    async def work(*_: object) -> WorkerResult:
        return WorkerResult(Outcome.DONE)

    async def keep_log(*_: object) -> bool:
        pytest.fail("the log is written")

    monkeypatch.setattr(entry, action, work)
    monkeypatch.setattr(entry, "keep_log", keep_log)
    assert main(action, environ(tmp_path)) == 0


def test_a_run_whose_upload_another_has_aborted_writes_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node was cut off, and what it left is cleaned, or the next attempt has begun: the key is theirs."""

    async def dump(*_: object) -> WorkerResult:
        raise StorageError("UploadFailed", "the upload is gone", "NoSuchUpload")

    async def keep_log(*_: object) -> bool:
        pytest.fail("the log is written")

    monkeypatch.setattr(entry, "dump", dump)
    monkeypatch.setattr(entry, "keep_log", keep_log)
    assert main("dump", environ(tmp_path)) == 1
    assert not said(tmp_path).logKept


def test_usage(tmp_path: Path) -> None:
    assert main("backup", environ(tmp_path)) == 2
    assert "unknown action" in said(tmp_path).message
    assert main("dump", {"TERMINATION_LOG": str(tmp_path / "log")}) == 2
    assert "TIDBBACKUP_TASK" in said(tmp_path).message


def test_a_bug_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> WorkerResult:
        raise KeyError("what")

    monkeypatch.setattr(entry, "aftermath", broken)
    assert main("aftermath", environ(tmp_path)) == 1
    assert (said(tmp_path).reason, said(tmp_path).message) == (reasons.INTERNAL_ERROR, "KeyError: 'what'")


WHOLE = WorkerResult(Outcome.COMPLETE, path="s3://bucket/k.tgz", size=7)


async def test_once_the_backup_is_complete_sigterm_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left then, putting the GC life time back above all, goes on to its end."""
    journal, steps = Journal(), []

    async def work(*_: object) -> WorkerResult:
        journal.complete = WHOLE
        os.kill(os.getpid(), signal.SIGTERM)
        while "SIGTERM" not in caplog.text:  # noqa: ASYNC110  a signal's handler tells nobody else
            await asyncio.sleep(0)
        steps.append("put back")
        return WHOLE

    env = read_environment(environ(tmp_path))
    assert await supervise(work, env, journal, datetime.now(UTC)) == (WHOLE, 0)
    assert steps == ["put back"]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyError("x"), StorageError("Stalled", "no")])
async def test_whatever_ends_a_run_whose_backup_is_complete(tmp_path: Path, error: BaseException) -> None:
    journal = Journal()

    async def work(*_: object) -> WorkerResult:
        journal.complete = WHOLE
        journal.life_time_held = True
        journal.notice(reasons.GC_LIFE_TIME_STILL_RAISED, "by hand")
        raise error

    env = read_environment(environ(tmp_path))
    result, code = await supervise(work, env, journal, datetime.now(UTC))
    assert (code, result.outcome, result.path, result.size) == (0, Outcome.COMPLETE, WHOLE.path, 7)
    assert result.gcLifeTimeHeld
    assert [notice.message for notice in result.notices] == ["by hand"]


_SILENT = """
import asyncio, os, sys, threading
from tidbbackup.worker import main as entry
from tidbbackup.worker.failure import StepFailed

async def aftermath(*_):
    # As a look-up at a name server that does not answer.
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    raise StepFailed("StorageUnreachable", "nobody answers")

entry.aftermath = aftermath
entry.main("aftermath", os.environ, leave=os._exit)
"""


def test_the_end_waits_for_no_thread(tmp_path: Path) -> None:
    """asyncio joins its pool before it ends: a name server that keeps silent would keep the pod."""
    given = {**os.environ, **environ(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", _SILENT], env=given, timeout=20, check=False)
    assert ended.returncode == 1
    assert said(tmp_path).message == "nobody answers"


def test_a_dump_begins_without_what_only_shows_it() -> None:
    code = (
        "import sys, tidbbackup.worker.main; print({'aiohttp.web', 'prometheus_client'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "set()\n"


async def test_what_keeps_a_run_from_being_shown_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> ModuleType:
        raise ImportError("no such server")

    monkeypatch.setattr(entry, "_exporter", broken)
    monkeypatch.setattr(entry, "_SHOWN_AFTER_SECONDS", 0)
    async with entry._shown(Journal(), ""):
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert "no /metrics and no progress of this run: ImportError: no such server" in caplog.text


def test_an_unwritable_termination_log_changes_nothing_else(tmp_path: Path) -> None:
    assert main("dump", environ(tmp_path) | {"TERMINATION_LOG": str(tmp_path / "no" / "log")}, UNKEPT) == 1
