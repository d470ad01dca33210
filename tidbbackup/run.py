"""`tidbbackup run`: makes one Backup in a file on this machine, with the worker of the Job.

This machine replaces what Kubernetes gives a pod: Secrets come from the environment or the terminal,
volumes are folders. Must not know the steps of a run, and must not validate a spec by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import attrs
from attrs import frozen

from tidbbackup.decide.aftermath.release import BY_HAND
from tidbbackup.decide.spec.task import worker_task
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.contract.task import PASSWORD_VARIABLE, TASK_VARIABLE, WorkerTask, encode_task
from tidbbackup.model.resource.backup import KIND, Backup
from tidbbackup.model.units import format_duration, format_size
from tidbbackup.offline import INVALID, OK, USAGE, Document, Unreadable, documents
from tidbbackup.screen import Screen
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import Journal, UsageError
from tidbbackup.worker.job import Limits
from tidbbackup.worker.main import supervise, work_of

Ask = Callable[[str], str]
"""Asks a question on the terminal; the answer is not shown."""

_IN_MEMORY = Path("/dev/shm")  # noqa: S108  only a folder of our own in it is used


@frozen
class Here:
    """What this machine has instead of volumes and of Secrets with files."""

    staging: Path | None = None
    """Folder for the dump; None: the folder for temporary files."""
    db_tls: Path | None = None
    """Folder with ca.crt, and tls.crt and tls.key if the database needs them."""
    s3_ca: Path | None = None


def run(
    path: str, here: Here, environ: Mapping[str, str], ask: Ask | None, out: TextIO, screen: Screen
) -> int:
    """Make the one Backup in the file; the exit code.

    Args:
        path: YAML, or - for standard input.
        here: folders and files of this machine.
        environ: with the passwords and access keys, and PATH.
        ask: asks for what is not in it; None: there is no terminal.
        out: gets the result of a complete backup.
        screen: gets everything else.
    """
    try:
        document = _the_backup(path)
        for problem in document.wrong:
            screen.say(f"{document.title}: {problem}")
        if document.wrong or document.backup is None:
            return INVALID
        backup = _made_now(document.backup)
        for warning in document.warnings:
            screen.say(f"warning: {warning}")
        task = _with_files(worker_task(backup), backup, here)
        given = _with_secrets(backup, environ, ask)
        return asyncio.run(_run(given | {TASK_VARIABLE: encode_task(task)}, here, out, screen))
    except (Unreadable, UsageError) as error:
        screen.say(f"tidbbackup run: {error}")
        return USAGE


def _the_backup(path: str) -> Document:
    found = [document for document in documents(path) if document.kind == KIND]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Unreadable(
            f"{path}: holds no Backup; to run a schedule's once, put its backupTemplate as spec into one"
        )
    names = ", ".join(document.title for document in found)
    raise Unreadable(f"{path}: holds {len(found)} Backups ({names}), one is run at a time: leave one in it")


def _made_now(backup: Backup) -> Backup:
    # Never the uid in the file: with a uid of a cluster the archive would belong to that cluster's Backup.
    made = attrs.evolve(
        backup.metadata,
        namespace=backup.metadata.namespace or "default",
        uid=str(uuid.uuid4()),
        creationTimestamp=datetime.now(UTC).replace(microsecond=0),
    )
    return attrs.evolve(backup, metadata=made)


def _with_secrets(backup: Backup, environ: Mapping[str, str], ask: Ask | None) -> dict[str, str]:
    """The environment, completed with the answers on the terminal.

    Without `s3.secretName` the usual AWS chain finds access keys by itself.

    Raises:
        UsageError: there is no terminal, or no answer; the message names the variables.
    """
    source, s3 = backup.spec.source, backup.spec.s3
    assert source is not None
    assert s3 is not None
    wanted = {PASSWORD_VARIABLE: f"Password of {source.user}@{source.host}:{source.port}"}
    if s3.secretName:
        wanted |= {
            "AWS_ACCESS_KEY_ID": f"Access key for the bucket {s3.bucket}",
            "AWS_SECRET_ACCESS_KEY": f"Secret key for the bucket {s3.bucket}",
        }
    missing = [name for name in wanted if name not in environ]
    if missing and ask is None:
        raise UsageError(f"{' and '.join(missing)} must be set: there is no terminal to ask on")
    try:
        answers = {name: ask(f"{wanted[name]} ({name}): ") for name in missing if ask}
    except (EOFError, KeyboardInterrupt):
        raise UsageError(f"no answer; set {' and '.join(missing)}") from None
    # A token belongs to its access keys; in a shell an empty token is none.
    typed = any(name.startswith("AWS_") for name in answers)
    given = dict(environ) | answers
    if typed or not given.get("AWS_SESSION_TOKEN"):
        given.pop("AWS_SESSION_TOKEN", None)
    return given


def _with_files(task: WorkerTask, backup: Backup, here: Here) -> WorkerTask:
    """The task with the certificates of this machine. TLS that the spec asks for is never left out silently.

    Raises:
        UsageError: a flag or a field is missing; the message names it.
    """
    source, s3 = backup.spec.source, backup.spec.s3
    in_pod = task.target.transfer.caFile
    if in_pod and not here.s3_ca and not Path(in_pod).is_file():
        raise UsageError(
            f"--ca-cert in spec.s3.options is {in_pod}, which is not here: give that file with --s3-ca FILE"
        )
    own_ca = s3 and not in_pod and s3.caSecretName
    for field, asked, flag, given in (
        ("spec.from.tlsClientSecretName", source and source.tlsClientSecretName, "--db-tls DIR", here.db_tls),
        ("spec.s3.caSecretName", own_ca, "--s3-ca FILE", None if in_pod else here.s3_ca),
    ):
        if asked and not given:
            raise UsageError(f"{field} is {asked}: give what is in that Secret with {flag}")
        if given and not asked:
            raise UsageError(f"{flag.split()[0]} has no effect unless {field} is set, to any name")
    if here.db_tls and not here.db_tls.is_dir():
        raise UsageError(f"--db-tls {here.db_tls}: no such folder")
    if here.db_tls and not (here.db_tls / "ca.crt").is_file():
        raise UsageError(f"--db-tls {here.db_tls}: has no ca.crt, the CA of the database's certificate")
    if here.s3_ca and not here.s3_ca.is_file():
        raise UsageError(f"--s3-ca {here.s3_ca}: no such file")
    if not here.s3_ca:
        return task
    transfer = attrs.evolve(task.target.transfer, caFile="")
    return attrs.evolve(task, target=attrs.evolve(task.target, customCa=True, transfer=transfer))


@contextlib.contextmanager
def _folders(here: Here) -> Iterator[dict[str, str]]:
    """Folders for the run, removed after it, as the worker's variables."""
    in_memory = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with contextlib.ExitStack() as kept:
        try:
            # Below the given folder, so that no file of the user is ever deleted or overwritten.
            # After SIGKILL from here on they stay, and so does the upload: no later run can know of them.
            staging, private = (
                kept.enter_context(
                    TemporaryDirectory(prefix="tidbbackup-", dir=folder, ignore_cleanup_errors=True)
                )
                for folder in (here.staging, in_memory)
            )
            if here.s3_ca:
                shutil.copyfile(here.s3_ca, Path(private) / "ca.crt")
        except OSError as error:
            raise UsageError(f"{error.filename or here.staging}: {error.strerror}") from error
        yield {
            "STAGING_DIR": staging,
            "RUN_DIR": private,
            "S3_TLS_DIR": private,
            "DB_TLS_DIR": str(here.db_tls or private),
        }


async def _run(given: Mapping[str, str], here: Here, out: TextIO, screen: Screen) -> int:
    started, journal = datetime.now(UTC), Journal()
    for number in (signal.SIGTERM, signal.SIGINT):
        # A signal waits for the loop while folders are made or removed; supervise's own handler then gets it.
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    with _folders(here) as folders:
        env = read_environment({**given, **folders})
        showing = asyncio.create_task(screen.follow(journal.report))
        try:
            # Once: the network of this machine is up, and the user waits for the answer.
            result, code = await supervise(work_of("dump", Limits(connect=0)), env, journal, started)
        finally:
            # An error of the screen does not concern the backup.
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            screen.clear()
        # Before the loop is closed: that waits for threads, and one may wait for a DNS answer.
        _tell(result, code, out, screen)
        out.flush()
    return code


def _tell(result: WorkerResult, code: int, out: TextIO, screen: Screen) -> None:
    for notice in result.notices:
        screen.say(f"warning: {notice.message}")
    if result.gcLifeTimeHeld:
        # In a cluster the Job release-<backup> would do it.
        screen.say(f"warning: the GC life time that this run has raised may still be raised; {BY_HAND}")
    if code != OK:
        screen.say(f"tidbbackup run: {result.reason} in step {result.step}: {result.message}")
        if result.uploadLeftOpen:
            screen.say(
                "warning: the upload could not be aborted: its parts stay until a lifecycle rule removes "
                "them, or the storage may still complete its archive, without a manifest"
            )
        return
    assert result.started is not None
    assert result.finished is not None
    taken = format_duration(result.finished - result.started)
    names = ", ".join(result.databases)
    more = result.databaseCount - len(result.databases)
    print(f"Complete: {result.path}", file=out)
    print(f"  {format_size(result.size)} ({result.size} bytes) in {taken}, {result.checksum}", file=out)
    print(f"  databases: {names}{f' and {more} more' if more else ''}", file=out)
    if result.commitTs:
        print(f"  commitTs: {result.commitTs}", file=out)
