"""The worker's entry: environment in, exit code and one termination message out, on every path.

Must not know the steps. Exit 0 ok, 1 failed, 2 usage, 143 SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from tidbbackup.logs import PlainLines
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome, WorkerResult, encode_result
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.aftermath import aftermath
from tidbbackup.worker.dump import dump
from tidbbackup.worker.environment import Environment, read_environment, termination_log
from tidbbackup.worker.failure import Journal, StepFailed, UsageError
from tidbbackup.worker.kept_log import LogTail, keep_log
from tidbbackup.worker.memory import share_heaps
from tidbbackup.worker.privacy import keep_private
from tidbbackup.worker.restore import restore
from tidbbackup.worker.run import Limits

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_TERMINATED = 0, 1, 2, 143

_SHOWN_AFTER_SECONDS = 1.0

# At DEBUG these write headers, bodies and signatures: never lower than INFO, whatever the root is set to.
_TALKATIVE = ("aiobotocore", "botocore", "aiohttp", "asyncio", "urllib3")


def main(
    action: str,
    environ: Mapping[str, str],
    limits: Limits | None = None,
    leave: Callable[[int], object] | None = None,
) -> int:
    """Do one action (dump, restore, aftermath) and say how it ended; the process's exit code.

    `leave` ends the process with it at once, which returning does not: asyncio and Python wait for threads,
    of which one may stand in a look-up at a silent name server, or in a read of a silent disk.
    """
    tail = LogTail()
    _log_to_stdout(environ.get("LOG_LEVEL") or "INFO", tail)
    keep_private()
    share_heaps()
    last_words = termination_log(environ)
    started = _now()
    try:
        env = read_environment(environ)
        limits = limits or Limits()
        work = work_of(action, limits)
    except UsageError as error:
        log.error("%s", error)
        _say(last_words, _failed(Journal(step=action), reasons.INTERNAL_ERROR, str(error), started))
        return EXIT_USAGE
    # Only these take so long that somebody wants to look at them.
    shown = env.pod_ip if action in ("dump", "restore") else ""
    keep = partial(keep_log, env, tail, limits) if action == "dump" else None
    return asyncio.run(_said(work, env, started, shown, keep, leave))


Work = Callable[[Environment, Journal], Coroutine[Any, Any, WorkerResult]]


def work_of(action: str, limits: Limits) -> Work:
    """What that action does.

    Raises:
        UsageError: there is no such action.
    """
    if action == "dump":
        return lambda env, journal: dump(env, journal, limits, _now)
    if action == "restore":
        return lambda env, journal: restore(env, journal, limits, _now)
    if action == "aftermath":
        return lambda env, journal: aftermath(env, journal, limits, _now)
    raise UsageError(f"unknown action `{action}`: dump, restore or aftermath")


async def _said(
    work: Work,
    env: Environment,
    started: datetime,
    pod_ip: str,
    keep: Callable[[], Awaitable[bool]] | None,
    leave: Callable[[int], object] | None,
) -> int:
    journal = Journal()
    async with _shown(journal, pod_ip):
        result, code = await supervise(work, env, journal, started)
        # Dying from here on loses no more than the log: it is kept once its end is said, and then said too.
        _say(env.termination_log, result)
        if code:
            log.error("%s in step %s: %s", result.reason, result.step, result.message)
        else:
            log.info("%s: %s", result.outcome, result.path)
        if keep and not journal.disowned and await keep():
            _say(env.termination_log, attrs.evolve(result, logKept=True))
        if leave:
            leave(code)
    return code


@asynccontextmanager
async def _shown(journal: Journal, pod_ip: str) -> AsyncIterator[None]:
    """Serve /metrics and /progress while the block runs, from a second on: the dump comes first."""

    async def show() -> None:
        await asyncio.sleep(_SHOWN_AFTER_SECONDS)
        exporter = await asyncio.to_thread(_exporter)
        async with exporter.serve(journal, pod_ip):
            await asyncio.Event().wait()

    showing = asyncio.create_task(show())
    showing.add_done_callback(_tell_why_not)
    try:
        yield
    finally:
        showing.cancel()
        # Whatever became of it: the run is not judged by it.
        await asyncio.wait([showing])


def _tell_why_not(showing: asyncio.Task[None]) -> None:
    if not showing.cancelled() and (error := showing.exception()):
        log.warning("no /metrics and no progress of this run: %s: %s", type(error).__name__, error)


def _exporter() -> ModuleType:
    # Imported here: a server takes a fifth of the worker's imports.
    from tidbbackup.worker import exporter

    return exporter


async def supervise(
    work: Work, env: Environment, journal: Journal, started: datetime
) -> tuple[WorkerResult, int]:
    """Run the work to an end that can be reported. SIGTERM cancels it once, its clean-up runs through.

    Once the backup is complete it stays so: what is left then is bounded, and no end of it is a failure.
    """
    task = asyncio.create_task(work(env, journal))
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        if journal.complete is not None:
            log.warning("SIGTERM: the backup is complete, ending")
        elif not terminated:
            log.warning("SIGTERM: stopping")
            terminated = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminate)
    try:
        result = journal.sign(await task)
        return result, EXIT_FAILED if result.outcome is Outcome.FAILED else EXIT_OK
    except asyncio.CancelledError:
        reason, message = reasons.TERMINATED, f"asked to end (SIGTERM) in step {journal.step}"
    except (StepFailed, StorageError) as error:
        journal.disowned = isinstance(error, StorageError) and error.code == "NoSuchUpload"
        reason, message = error.reason, str(error)
        if terminated:
            reason, message = reasons.TERMINATED, f"asked to end: {error}"
    except Exception as error:
        log.exception("a bug of the worker")
        reason, message = reasons.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
    if journal.complete is not None:
        log.warning("the backup is complete all the same: %s", message)
        return journal.sign(journal.complete), EXIT_OK
    code = EXIT_TERMINATED if reason == reasons.TERMINATED else EXIT_FAILED
    return _failed(journal, reason, message, started), code


def _failed(journal: Journal, reason: str, message: str, started: datetime) -> WorkerResult:
    return journal.sign(
        WorkerResult(
            Outcome.FAILED,
            step=journal.step,
            reason=reason,
            message=message,
            started=started,
            finished=_now(),
        )
    )


def _say(path: Path, result: WorkerResult) -> None:
    """Write the termination message. Dying before it: the controller sees an exit without a word."""
    try:
        path.write_bytes(encode_result(result))
    except OSError as error:
        log.error("cannot write the termination message to %s: %s", path, error.strerror)


def _log_to_stdout(level: str, tail: LogTail) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PlainLines())
    known = level.upper() in logging.getLevelNamesMapping()
    logging.basicConfig(level=level.upper() if known else "INFO", handlers=[handler, tail], force=True)
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))


def _now() -> datetime:
    return datetime.now(UTC)
