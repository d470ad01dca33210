"""A peer for the protocol layer that follows a script: it gives the next answer, whatever is asked.

It knows no semantics of an API server; what it was asked is written down for the test to look at.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

from attrs import define, field

from tidbbackup.kube.client import EVERYTHING, Selector
from tidbbackup.kube.errors import ApiError
from tidbbackup.kube.metrics import ReflectorMetrics
from tidbbackup.kube.resources import Resource

Step = bytes | float | ApiError
"""Of a watch: bytes that come, seconds that pass, or how it breaks."""


@define
class Recorded:
    """Counts what a reflector says it does."""

    lists: int = 0
    watches: int = 0
    restarts: list[str] = field(factory=list)

    @property
    def metrics(self) -> ReflectorMetrics:
        """Itself, as what it stands for."""
        return cast(ReflectorMetrics, self)

    def listed(self) -> None:
        """See ReflectorMetrics."""
        self.lists += 1

    def watched(self) -> None:
        """See ReflectorMetrics."""
        self.watches += 1

    def restarted(self, reason: str) -> None:
        """See ReflectorMetrics."""
        self.restarts.append(reason)


class ScriptedSource:
    """Plays `pages` for lists and `watches` for watches; when a script is over it is silent for ever."""

    def __init__(
        self, pages: Iterable[bytes | ApiError], watches: Iterable[Iterable[Step] | ApiError] = ()
    ) -> None:
        self._pages = deque(pages)
        self._watches = deque(watches)
        self.lists: list[tuple[float, int, str]] = []
        """When, with which limit, with which token."""
        self.watched: list[tuple[float, str]] = []
        """When, from which version."""
        self.seconds: list[int] = []
        self.open = 0

    def script(self, version: str) -> Iterable[Step] | ApiError:
        """What the next watch plays."""
        return self._watches.popleft() if self._watches else (1e9,)

    async def list_page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        selector: Selector = EVERYTHING,
        limit: int = 0,
        token: str = "",
    ) -> bytes:
        """See Client."""
        self.lists.append((_now(), limit, token))
        if not self._pages:
            await _for_ever()
        answer = self._pages.popleft()
        if isinstance(answer, ApiError):
            raise answer
        return answer

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        version: str,
        seconds: int,
        selector: Selector = EVERYTHING,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See Client."""
        self.watched.append((_now(), version))
        self.seconds.append(seconds)
        script = self.script(version)
        if isinstance(script, ApiError):
            raise script
        self.open += 1
        try:
            yield _play(script)
        finally:
            self.open -= 1


async def _play(script: Iterable[Step]) -> AsyncIterator[bytes]:
    for step in script:
        if isinstance(step, ApiError):
            raise step
        if isinstance(step, bytes):
            yield step
        else:
            await asyncio.sleep(step)


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
