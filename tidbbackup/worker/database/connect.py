"""The first connection to the database: tried for a bounded time; from then on the server is recognized.

A pod's network, its name server or a sidecar may come seconds late. A refused login is final at once. Must
not know what is asked later.
"""

from __future__ import annotations

import asyncio
import logging

import attrs

from tidbbackup.model import reasons
from tidbbackup.worker.daemon_thread import aside
from tidbbackup.worker.database.identity import known_by
from tidbbackup.worker.database.session import Login, NotYet, open_session
from tidbbackup.worker.failure import Journal

log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0)


async def connect(login: Login, journal: Journal, seconds: float) -> Login:
    """The login, for the server that has answered alone.

    Raises:
        StepFailed: LoginFailed, or DatabaseUnreachable after so many seconds.
    """
    loop, step, attempt = asyncio.get_running_loop(), journal.step, 0
    until = loop.time() + seconds
    try:
        while True:
            try:
                server, own_key = await aside(_meet, login)
                break
            except NotYet as error:
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                if loop.time() + pause > until:
                    raise
                journal.step, attempt = "connect", attempt + 1
                log.warning("again in %g s: %s", pause, error)
                await asyncio.sleep(pause)
    finally:
        journal.step = step
    if own_key:
        journal.notice(
            reasons.SERVER_KEY_UNCHECKED,
            f"{login.where}: the password went out encrypted with a key that the server itself gave, and "
            f"nobody has checked whose it is: set {login.spec}.tlsClientSecretName",
        )
    return attrs.evolve(login, known_by=server)


def _meet(login: Login) -> tuple[str, bool]:
    with open_session(login) as session:
        return known_by(session), getattr(session, "server_public_key", None) is not None
