"""Writes the status of one pod, always the newest, however long the API server is away."""

import asyncio
import logging
from collections.abc import Callable

from attrs import define, field

from tests.cluster.api import JSON, Api, ApiRefused

from .calls import merge_lists, persist

_log = logging.getLogger(__name__)


@define(eq=False)
class Reporter:
    """Changes that come while a patch is under way go out together with the next one.

    `gone` turns True when the API server says that this pod (by its uid) exists no more.
    """

    api: Api
    path: str
    uid: str
    status: Callable[[], JSON]
    gone: bool = False
    _changed: asyncio.Event = field(factory=asyncio.Event)
    _idle: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self._idle.set()

    def changed(self) -> None:
        """The status is another now."""
        self._idle.clear()
        self._changed.set()

    async def flushed(self) -> None:
        """Return when the API server has the status as it is now."""
        await self._idle.wait()

    async def run(self) -> None:
        """Report for ever; cancel it to stop."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await persist(f"status of {self.path}", self._write)
            except ApiRefused as error:
                if not self.gone:
                    _log.error("a status the API server does not take: %s", error)
            if not self._changed.is_set():
                self._idle.set()

    async def _write(self) -> None:
        try:
            # Computed for every attempt: what is written is never older than the attempt. The uid keeps
            # it away from a pod of the same name that came later (409).
            body = {"metadata": {"uid": self.uid}, "status": self.status()}
            await merge_lists(self.api, f"{self.path}/status", body)
        except ApiRefused as error:
            self.gone = self.gone or error.status in (404, 409)
            raise
