"""Holds TiDB's GC life time for as long as a run reads, and puts it back however the run ends.

The order matters: first the life time is raised, then the snapshot is taken (TSO), so there is no moment at
which a snapshot of ours may be collected after the old life time. On any other server nothing is done.
Must not know how the ledger is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from tidbbackup.model import reasons
from tidbbackup.model.units import parse_duration
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.connect import connect
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.failure import Journal, StepFailed
from tidbbackup.worker.gc.ledger import (
    Acquire,
    CannotHold,
    Release,
    Renew,
    Row,
    holder_name,
    is_held,
    suffices,
)
from tidbbackup.worker.gc.row import change
from tidbbackup.worker.run import Limits, Run, read_login

log = logging.getLogger(__name__)

DEFAULT_LIFE_TIME = "72h"
_EXPIRES_AFTER_RENEWALS = 10
_RETRY_SECONDS = 1.0

PUT_BACK_BY_HAND = (
    "the next backup of this database puts it back, or: SELECT * FROM mysql.tidb WHERE variable_name = "
    "'tikv_gc_life_time', whose comment tells what it was"
)


@asynccontextmanager
async def held(run: Run) -> AsyncIterator[None]:
    """Hold it, renew the hold while the block runs, put it back at its end.

    Raises:
        StepFailed: GcLifeTimeNotHeld where the task asks for a life time of its own and it cannot be held;
            LoginFailed, DatabaseUnreachable, DatabaseLost.
    """
    journal, holder = run.journal, holder_name(run.env.task.uid)
    if not await _acquire(run, holder):
        yield
        return
    # Dying from here on leaves it raised: the ledger tells by whom and until when, and whoever comes next
    # (a run on this database, or the release in an aftermath) puts it back.
    renewal = asyncio.create_task(_renew(run, holder))
    try:
        yield
    finally:
        renewal.cancel()
        await _put_back(run.login, journal, holder, run.limits.put_back)


async def release(env: Environment, journal: Journal, limits: Limits) -> None:
    """Put back what a run of this Backup may have left raised. Safe to repeat.

    Raises:
        StepFailed: it may still be raised.
    """
    try:
        async with asyncio.timeout(limits.release):
            login = await connect(read_login(env), journal, limits.connect)
            row = await aside(change, login, lambda _: Release(holder_name(env.task.uid)))
    except CannotHold as error:
        raise StepFailed(reasons.GC_LIFE_TIME_STILL_RAISED, f"tikv_gc_life_time: {error}") from error
    except TimeoutError as error:
        text = f"the database did not answer within {limits.release:g} s"
        raise StepFailed(reasons.GC_LIFE_TIME_STILL_RAISED, text) from error
    what = f"tikv_gc_life_time is {row.value}" if row else "no TiDB, nothing is held"
    log.info("%s: %s", login.where, what)


async def _acquire(run: Run, holder: str) -> bool:
    """Whether there is something to put back at the end."""
    asked = run.env.task.gcLifeTime
    wish = parse_duration(asked or DEFAULT_LIFE_TIME)
    lasting = timedelta(seconds=run.limits.renewal * _EXPIRES_AFTER_RENEWALS)
    try:
        row = await aside(change, run.login, lambda now: Acquire(holder, wish, now + lasting))
    except asyncio.CancelledError:
        # The statement may have been heard.
        run.journal.life_time_held = True
        raise
    except StepFailed as error:
        # So it may where only the answer was lost.
        run.journal.life_time_held = error.reason == reasons.DATABASE_LOST
        raise
    except CannotHold as error:
        text = f"tikv_gc_life_time is not held at {asked or DEFAULT_LIFE_TIME}: {error}"
        if asked:
            raise StepFailed(reasons.GC_LIFE_TIME_NOT_HELD, text) from error
        run.journal.notice(reasons.GC_LIFE_TIME_NOT_HELD, f"{text}; a dump that takes longer than it fails")
        return False
    if row is None or (not is_held(row, holder) and suffices(row, wish)):
        return False
    log.info("tikv_gc_life_time is held at %s", row.value)
    return True


async def _renew(run: Run, holder: str) -> None:
    """Say again and again that this run is alive; ends when the hold is lost."""
    period = run.limits.renewal
    lasting = timedelta(seconds=period * _EXPIRES_AFTER_RENEWALS)
    while True:
        await asyncio.sleep(period)
        try:
            # A server that has fallen silent must not take the time of the signs that are still to come.
            async with asyncio.timeout(period):
                row = await aside(change, run.login, lambda now: Renew(holder, now + lasting))
        except (StepFailed, CannotHold, TimeoutError) as error:
            why = str(error) or f"no answer for {period:g} s"
            log.warning("the hold of tikv_gc_life_time is not renewed, once more in %g s: %s", period, why)
            continue
        if row is not None and not is_held(row, holder):
            _note_loss(run.journal, row)
            return


def _note_loss(journal: Journal, row: Row) -> None:
    text = f"somebody else has set tikv_gc_life_time to {row.value} meanwhile: it stays so and is not held"
    log.warning("%s", text)
    journal.notice(reasons.GC_LIFE_TIME_NOT_HELD, text)


async def _put_back(login: Login, journal: Journal, holder: str, seconds: float) -> None:
    """Bounded: a pod that is asked to end has little time. What is not done by then becomes a notice."""
    journal.life_time_held = True
    failure = "no answer"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    row = await aside(change, login, lambda _: Release(holder))
                    break
                except (StepFailed, CannotHold) as error:
                    failure = str(error)
                await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError:
        text = f"tikv_gc_life_time may still be raised ({failure}); {PUT_BACK_BY_HAND}"
        log.error("%s", text)
        journal.notice(reasons.GC_LIFE_TIME_STILL_RAISED, text)
        return
    journal.life_time_held = False
    if row is not None:
        log.info("tikv_gc_life_time is %s again", row.value)
