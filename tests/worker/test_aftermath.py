"""What is left to do after a run: each part for itself, and what is said of each. Without a server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from attrs import define, field

from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult, decode_result
from tidbbackup.model.contract.task import DatabaseTarget, WorkerTask, encode_task
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.client import AccessKeys, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker import aftermath as module
from tidbbackup.worker.environment import Environment, read_environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.main import main, supervise, work_of
from tidbbackup.worker.run import Limits

SECRETS = {"DB_PASSWORD": "x", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
NOW = datetime(2026, 11, 29, tzinfo=UTC)
FOUND = WorkerResult(
    Outcome.COMPLETE, path="s3://bucket/k.tgz", size=7, checksum="sha256:00", databaseCount=3
)
BOTH = (Part.CLEAN, Part.RELEASE)


@define
class Servers:
    """Storage and database: what was done there, and what is wrong with them."""

    at_storage: BaseException | None = None
    at_database: BaseException | None = None
    silent: bool = False
    """The database never answers."""
    done: list[str] = field(factory=list)
    opened_with: list[AccessKeys | None] = field(factory=list)

    @asynccontextmanager
    async def open_client(self, _: object, keys: AccessKeys | None, *__: object) -> AsyncIterator[None]:
        self.opened_with.append(keys)
        yield

    async def inspect(self, *_: object) -> WorkerResult:
        if self.at_storage:
            raise self.at_storage
        self.done.append("inspect")
        return FOUND

    async def clean(self, _: object, __: object, journal: Journal, data: Data) -> bool:
        if self.at_storage:
            raise self.at_storage
        journal.notice(reasons.DELETE_MARKER, "the bucket keeps versions")
        self.done.append(f"clean {data}")
        return data is not Data.KEEP

    async def release(self, *_: object) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.at_database:
            raise self.at_database
        self.done.append("release")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    found = Servers()
    for name in ("open_client", "inspect", "clean", "release"):
        monkeypatch.setattr(module, name, getattr(found, name))
    return found


def environ(
    folder: Path,
    *parts: Part,
    secrets: dict[str, str] = SECRETS,
    data: Data = Data.DELETE,
    keys_in_secret: bool = True,
    own_ca: bool = False,
) -> dict[str, str]:
    where = ObjectTarget("ceph", "bucket", "k.tgz", endpoint="https://127.0.0.1:9", pathStyle=True)
    task = WorkerTask(
        *("demo", "ns", "uid", attrs.evolve(where, customCa=own_ca), DatabaseTarget("127.0.0.1", 9)),
        keysInSecret=keys_in_secret,
        aftermath=Aftermath(parts, data),
    )
    log = {"TERMINATION_LOG": str(folder / "log"), "S3_TLS_DIR": str(folder)}
    return {"TIDBBACKUP_TASK": encode_task(task), **log, **secrets}


async def do(given: dict[str, str]) -> WorkerResult:
    env: Environment = read_environment(given)
    journal = Journal()
    return journal.sign(await module.aftermath(env, journal, Limits(connect=0), lambda: NOW))


async def test_all_that_is_asked_for_is_done_and_told(tmp_path: Path, servers: Servers) -> None:
    result = await do(environ(tmp_path, *BOTH))
    assert sorted(servers.done) == ["clean delete", "release"]
    assert result.outcome is Outcome.DONE
    assert result.parts == (
        PartResult(Part.CLEAN, reason=reasons.ARCHIVE_DELETED),
        PartResult(Part.RELEASE),
    )
    assert (result.step, result.reason, result.message) == ("", "", "")
    assert [notice.reason for notice in result.notices] == [reasons.DELETE_MARKER]


@pytest.mark.parametrize("part", Part)
async def test_what_is_not_asked_for_is_left_alone(tmp_path: Path, servers: Servers, part: Part) -> None:
    result = await do(environ(tmp_path, part, data=Data.KEEP))
    assert [each.split()[0] for each in servers.done] == [part]
    assert [each.part for each in result.parts] == [part]


async def test_a_cleaning_that_keeps_the_archive_says_so(tmp_path: Path, servers: Servers) -> None:
    result = await do(environ(tmp_path, Part.CLEAN, data=Data.KEEP))
    assert result.parts == (PartResult(Part.CLEAN, reason=reasons.DATA_KEPT),)


async def test_an_inspection_tells_of_the_backup_that_it_finds(tmp_path: Path, servers: Servers) -> None:
    result = await do(environ(tmp_path, Part.INSPECT))
    assert result.parts == (PartResult(Part.INSPECT),)
    assert attrs.evolve(result, parts=()) == attrs.evolve(FOUND, outcome=Outcome.DONE)


@pytest.mark.parametrize("reason", [reasons.NOTHING_STORED, reasons.RESULT_LOST])
async def test_that_a_backup_is_not_whole_is_an_inspection_that_is_done(
    tmp_path: Path, servers: Servers, reason: str
) -> None:
    servers.at_storage = StepFailed(reason, "not whole")
    result = await do(environ(tmp_path, Part.INSPECT))
    assert result.parts == (PartResult(Part.INSPECT, reason=reason, message="not whole"),)
    assert (result.outcome, result.checksum) == (Outcome.DONE, "")


DOWN: dict[str, Callable[[str], Exception]] = {
    "StepFailed": lambda reason: StepFailed(reason, "down"),
    "StorageError": lambda reason: StorageError(reason, "down"),
    "a bug": lambda _: KeyError("down"),
}


@pytest.mark.parametrize("how", DOWN)
async def test_what_fails_at_the_database_keeps_nothing_from_the_storage(
    tmp_path: Path, servers: Servers, how: str
) -> None:
    servers.at_database = DOWN[how](reasons.DATABASE_UNREACHABLE)
    result = await do(environ(tmp_path, *BOTH))
    assert servers.done == ["clean delete"]
    clean, release = result.parts
    assert (clean.done, release.done) == (True, False)
    told = (reasons.INTERNAL_ERROR, "KeyError: 'down'") if how == "a bug" else ("DatabaseUnreachable", "down")
    assert (release.reason, release.message) == told
    assert (result.outcome, result.step, result.reason, result.message) == (
        Outcome.FAILED,
        "aftermath",
        *told,
    )


@pytest.mark.parametrize("storage", [Part.INSPECT, Part.CLEAN])
@pytest.mark.parametrize("how", ["StorageError", "a bug"])
async def test_what_fails_at_the_storage_keeps_nothing_from_the_database(
    tmp_path: Path, servers: Servers, how: str, storage: Part
) -> None:
    servers.at_storage = DOWN[how](reasons.STORAGE_UNREACHABLE)
    result = await do(environ(tmp_path, storage, Part.RELEASE))
    assert servers.done == ["release"]
    assert [each.done for each in result.parts] == [False, True]
    assert result.outcome is Outcome.FAILED


async def test_what_the_storage_tells_is_told_although_the_database_is_down(
    tmp_path: Path, servers: Servers
) -> None:
    servers.at_database = StepFailed(reasons.DATABASE_UNREACHABLE, "down")
    result = await do(environ(tmp_path, Part.INSPECT, Part.RELEASE))
    assert result.outcome is Outcome.FAILED
    assert (result.path, result.checksum) == (FOUND.path, FOUND.checksum)
    assert result.part(Part.INSPECT) == PartResult(Part.INSPECT)


async def test_the_storage_does_not_wait_for_a_silent_database(tmp_path: Path, servers: Servers) -> None:
    servers.silent = True
    doing = asyncio.create_task(do(environ(tmp_path, Part.RELEASE, Part.CLEAN)))
    while not servers.done:  # noqa: ASYNC110  there is nobody to tell
        await asyncio.sleep(0)
    assert servers.done == ["clean delete"]
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing


@pytest.mark.parametrize("storage", [Part.INSPECT, Part.CLEAN])
async def test_without_the_secret_of_the_storage_only_its_part_is_not_done(
    tmp_path: Path, servers: Servers, storage: Part
) -> None:
    """Nor is the pod's own identity asked for instead: it is somebody else."""
    password = {"DB_PASSWORD": "x"}
    result = await do(environ(tmp_path, storage, Part.RELEASE, secrets=password))
    assert (servers.opened_with, servers.done) == ([], ["release"])
    first, second = result.parts
    assert (first.reason, second) == (reasons.CREDENTIALS_MISSING, PartResult(Part.RELEASE))
    assert "the Secret of spec.s3.secretName is missing" in first.message
    assert "create it in this namespace" in first.message


@pytest.mark.parametrize("keys", [{"AWS_ACCESS_KEY_ID": "a"}, {"AWS_SESSION_TOKEN": "t"}])
async def test_nor_with_a_part_of_it(tmp_path: Path, servers: Servers, keys: dict[str, str]) -> None:
    result = await do(environ(tmp_path, Part.CLEAN, secrets=keys))
    assert (servers.opened_with, result.reason) == ([], reasons.CREDENTIALS_MISSING)


async def test_where_the_spec_names_no_secret_the_pods_identity_is_used(
    tmp_path: Path, servers: Servers
) -> None:
    result = await do(environ(tmp_path, Part.CLEAN, secrets={}, keys_in_secret=False))
    assert (servers.opened_with, result.outcome) == ([None], Outcome.DONE)


async def test_without_the_ca_of_the_storage_only_its_part_is_not_done(
    tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "open_client", open_client)
    result = await do(environ(tmp_path, *BOTH, own_ca=True))
    assert servers.done == ["release"]
    clean, release = result.parts
    assert (clean.reason, release.done) == (reasons.STORAGE_REFUSED, True)
    assert "put `ca.crt` into the Secret of spec.s3.caSecretName" in clean.message


KEYS = {name: value for name, value in SECRETS.items() if name.startswith("AWS_")}


@pytest.mark.parametrize(
    ("secrets", "tls", "words"),
    [
        (KEYS, False, "the Secret of spec.from.secretName needs `password`"),
        (SECRETS, True, "the Secret of spec.from.tlsClientSecretName needs `ca.crt`"),
    ],
)
async def test_without_a_secret_of_the_database_only_its_part_is_not_done(
    *,
    tmp_path: Path,
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    secrets: dict[str, str],
    tls: bool,
    words: str,
) -> None:
    monkeypatch.undo()
    for name in ("open_client", "clean"):
        monkeypatch.setattr(module, name, getattr(servers, name))
    env = read_environment(environ(tmp_path, *BOTH, secrets=secrets) | {"DB_TLS_DIR": str(tmp_path)})
    database = DatabaseTarget("127.0.0.1", 9, tls=tls)
    env = attrs.evolve(env, task=attrs.evolve(env.task, database=database))
    result = await module.aftermath(env, Journal(), Limits(connect=0), lambda: NOW)
    assert servers.done == ["clean delete"]
    clean, release = result.parts
    assert (clean.done, release.reason) == (True, reasons.LOGIN_FAILED)
    assert words in release.message


@pytest.mark.parametrize(("down", "code"), [(False, 0), (True, 1)])
def test_exit_code_and_last_words(tmp_path: Path, servers: Servers, down: bool, code: int) -> None:
    servers.at_database = StepFailed(reasons.DATABASE_UNREACHABLE, "down") if down else None
    assert main("aftermath", environ(tmp_path, *BOTH)) == code
    said = decode_result((tmp_path / "log").read_text())
    assert said is not None
    assert said.outcome is (Outcome.FAILED if down else Outcome.DONE)
    assert [each.done for each in said.parts] == [True, not down]


async def test_asked_to_end_it_says_so_and_the_next_one_does_it(tmp_path: Path, servers: Servers) -> None:
    servers.silent = True
    env, journal = read_environment(environ(tmp_path, *BOTH)), Journal()
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    result, code = await supervise(work_of("aftermath", Limits()), env, journal, NOW)
    assert (code, result.outcome, result.reason) == (143, Outcome.FAILED, reasons.TERMINATED)
    assert result.parts == ()
    servers.silent = False
    assert (await do(environ(tmp_path, *BOTH))).outcome is Outcome.DONE
