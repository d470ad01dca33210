"""Ends a dumper that stands still: one that waits too long for the global read lock, behind which every
write of the server waits, and one that has no work left and does not exit.

Must not know what is dumped.
"""

from __future__ import annotations

import asyncio
import logging
import re

from attrs import define, field, frozen

from tidbbackup.model import reasons
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.session import Login, fetch, open_session
from tidbbackup.worker.dumpers.dumper import Dump
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.run import Run

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_LOCK = "FLUSH TABLES WITH READ LOCK"
_TEXT_LIMIT = 120
_STATEMENTS = (
    "SELECT id = CONNECTION_ID(), id, user, time, LEFT(info, 1000) FROM information_schema.processlist "
    "WHERE command NOT IN ('Sleep', 'Daemon') AND info IS NOT NULL ORDER BY time DESC"
)
# Values may be secrets. The last one may be cut.
_VALUE = re.compile(r"""'(?:[^'\\]|\\.|'')*'?|"(?:[^"\\]|\\.|"")*"?""", re.DOTALL)


@frozen
class Statement:
    """One that the server is at work on."""

    id: int
    user: str
    seconds: int
    text: str

    @property
    def locks(self) -> bool:
        """Whether it asks for the global read lock."""
        return self.text.upper().startswith(_LOCK)

    def __str__(self) -> str:
        """In one short line, without the values in it."""
        text = " ".join(_VALUE.sub("?", self.text).split())
        text = text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
        return f"statement {self.id} of user `{self.user}`, for {self.seconds} s now: `{text}`"


@frozen
class Statements:
    """What the server is at work on, as far as our user sees it; the longest first."""

    found: tuple[Statement, ...] = ()
    """All but the question itself."""
    user: str = ""
    """Ours, as the server calls it."""

    @property
    def ours(self) -> tuple[Statement, ...]:
        """Those of our user."""
        return tuple(one for one in self.found if one.user == self.user)

    @property
    def waiting(self) -> Statement | None:
        """The one of ours that asks for the global read lock."""
        return next((one for one in self.ours if one.locks), None)

    def in_the_way(self, seconds: int) -> str:
        """What the dumper waits for, after this many seconds of waiting, and the cure."""
        found = [one for one in self.found if one.seconds >= seconds and not one.locks]
        if not found:
            return (
                "what it waits for cannot be seen (an idle session with LOCK TABLES, or a statement of "
                "another user, which GRANT PROCESS ON *.* shows); end it, or make the backup at another time"
            )
        more = f" and {len(found) - 1} more" if found[1:] else ""
        return f"it waits for {found[0]}{more}; wait until it has ended, or end it by KILL {found[0].id}"


def statements(login: Login) -> Statements:
    """Ask the server. Raises StepFailed."""
    with open_session(login) as session:
        rows = fetch(session, _STATEMENTS)
    # A proxy may log in as another user than we.
    user = next((row[2] for row in rows if row[0]), login.target.user)
    return Statements(tuple(Statement(*row[1:]) for row in rows if not row[0]), user)


@define
class Standstill:
    """One dumper, and the server that it reads from."""

    run: Run
    dump: Dump
    _before: tuple[int, ...] = field(default=(), init=False)
    _since: float = field(default=0.0, init=False)

    async def keep(self) -> None:
        """Look until cancelled, which is when the dumper has ended for good."""
        limits, process = self.run.limits, self.dump.process
        while True:
            await asyncio.sleep(min(_POLL_SECONDS, limits.lock_wait / 4))
            now, busy = asyncio.get_running_loop().time(), process.activity()
            if not busy or busy != self._before:
                self._before, self._since = busy, now
            elif now - self._since >= (limits.idle if process.began else limits.lock_wait):
                try:
                    await self._judge()
                except StepFailed as error:
                    # The server may have no connection left for us: the dumper has its own.
                    log.info("the dumper stands still, and the server does not tell why: %s", error)
                # Not each second: it is a login.
                self._since = now

    async def _judge(self) -> None:
        dumper, login, name = self.dump.process, self.run.login, self.dump.name
        if dumper.finished:
            log.warning("%s has finished the dump and does not exit: it is ended", name)
            dumper.end_it(None)
        elif dumper.began:
            # On TiDB it may be with other servers of the cluster, which a session of ours does not see.
            is_tidb = self.dump.order.found.is_tidb
            if not is_tidb and not (await aside(statements, login)).ours:
                text = f"{name} stands still and asks nothing of the server any more; make a new Backup"
                dumper.end_it(StepFailed(reasons.DUMP_FAILED, text))
        elif (await aside(statements, login)).waiting:
            # It may get the lock this moment: it must not begin to write before it is ended.
            dumper.suspend()
            try:
                found = await aside(statements, login)
                if found.waiting and not dumper.began:
                    text = f"{name} waited {found.waiting.seconds} s for the global read lock"
                    why = found.in_the_way(found.waiting.seconds)
                    dumper.end_it(StepFailed(reasons.LOCK_TIMEOUT, f"{text}; {why}"))
            finally:
                dumper.resume()
