"""Trying again what may go well a little later, for as long as an outage is worth waiting for.

The client itself tries a request a few times; a round is all of that. Must not know what is tried.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidbbackup.storage.client import Patience
from tidbbackup.storage.errors import StorageError, worth_retrying

log = logging.getLogger(__name__)

T = TypeVar("T")


async def with_retries(
    call: Callable[[], Awaitable[T]],
    what: str,
    patience: Patience,
    retried: Callable[[], None] = lambda: None,
) -> T:
    """What `call` returns, at last. `retried` is called before each further round.

    Raises:
        StorageError: the last one, when no round is left, the outage has lasted too long, or another try
            can change nothing.
    """
    clock = asyncio.get_running_loop().time
    began: float | None = None
    for delay in (*patience.part_delays, None):
        try:
            return await call()
        except StorageError as error:
            began = clock() if began is None else began
            if delay is None or not worth_retrying(error) or clock() + delay - began > patience.outage:
                raise
            log.warning("%s: %s; once more in %g s", what, error, delay)
        retried()
        await asyncio.sleep(delay)
    raise AssertionError("the last round returns or raises")
