"""The worker on this machine: `tidbbackup run` and `tidbbackup restore`, without a cluster.

This machine replaces what Kubernetes gives a pod: Secrets come from the environment or the terminal,
volumes are folders. Must not know what the worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.screen import Screen
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import Journal, UsageError
from tidbbackup.worker.main import supervise, work_of
from tidbbackup.worker.run import Limits

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


def with_secrets(wanted: Mapping[str, str], environ: Mapping[str, str], ask: Ask | None) -> dict[str, str]:
    """The environment, completed with the answers on the terminal.

    Args:
        wanted: variables that have to be set, with what to ask for.
        environ: what is set.
        ask: None where there is no terminal.

    Raises:
        UsageError: there is no terminal, or no answer; the message names the variables.
    """
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


async def run_worker(
    action: str,
    given: Mapping[str, str],
    here: Here,
    screen: Screen,
    tell: Callable[[WorkerResult, int], object],
) -> int:
    """Do one action and tell its result; the exit code.

    Raises:
        UsageError: a folder cannot be made.
    """
    started, journal = datetime.now(UTC), Journal()
    for number in (signal.SIGTERM, signal.SIGINT):
        # A signal waits for the loop while folders are made or removed; supervise's own handler then gets it.
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    with folders(here) as made:
        env = read_environment({**given, **made})
        showing = asyncio.create_task(screen.follow(journal.report))
        try:
            # Once: the network of this machine is up, and the user waits for the answer.
            result, code = await supervise(work_of(action, Limits(connect=0)), env, journal, started)
        finally:
            # An error of the screen does not concern the backup.
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            screen.clear()
        # Before the loop is closed: that waits for threads, and one may wait for a DNS answer.
        tell(result, code)
    return code


@contextlib.contextmanager
def folders(here: Here) -> Iterator[dict[str, str]]:
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
