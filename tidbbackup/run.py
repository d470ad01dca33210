"""`tidbbackup run`: makes one Backup in a file on this machine, with the worker of the Job.

This machine replaces what Kubernetes gives a pod: Secrets come from the environment or the terminal,
volumes are folders. Must not know the steps of a run, and must not validate a spec by itself.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import attrs

from tidbbackup.decide.aftermath.finished import BY_HAND
from tidbbackup.decide.spec.task import resolve_backup
from tidbbackup.local_worker import Ask, Here, run_worker, with_secrets
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.contract.task import PASSWORD_VARIABLE, TASK_VARIABLE, WorkerTask, encode_task
from tidbbackup.model.resource.backup import KIND, Backup
from tidbbackup.model.units import format_duration, format_size
from tidbbackup.offline import INVALID, OK, USAGE, Document, documents
from tidbbackup.screen import Screen
from tidbbackup.worker.failure import UsageError
from tidbbackup.yaml_files import Unreadable


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
        resolved = resolve_backup(backup)
        assert isinstance(resolved, WorkerTask)
        task = _with_files(resolved, backup, here)
        given = _with_secrets(backup, environ, ask)
        return asyncio.run(
            run_worker(
                "dump",
                given | {TASK_VARIABLE: encode_task(task)},
                here,
                screen,
                lambda result, code: _tell(result, code, out, screen),
            )
        )
    except (Unreadable, UsageError) as error:
        screen.say(f"tidbbackup run: {error}")
        return USAGE


def _the_backup(path: str) -> Document:
    found = [document for document in documents([path]) if document.kind == KIND]
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
    wanted = {PASSWORD_VARIABLE: f"Password of {source.user}@{source.address}"}
    if s3.secretName:
        wanted |= {
            "AWS_ACCESS_KEY_ID": f"Access key for the bucket {s3.bucket}",
            "AWS_SECRET_ACCESS_KEY": f"Secret key for the bucket {s3.bucket}",
        }
    return with_secrets(wanted, environ, ask)


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


def _tell(result: WorkerResult, code: int, out: TextIO, screen: Screen) -> None:
    for notice in result.notices:
        screen.say(f"warning: {notice.message}")
    if result.gcLifeTimeHeld:
        # In a cluster the Job aftermath-<backup> would do it.
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
    out.flush()
