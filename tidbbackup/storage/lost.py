"""Whether a request may have been carried out although its answer never came.

botocore tries again by itself and tells of the last try only; its events tell of each. Must not know what is
asked.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from aiohttp import ClientConnectorError
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)

from tidbbackup.storage.client import S3Client

_NEVER_SENT = (ConnectTimeoutError, NoCredentialsError, ProxyConnectionError, SSLError)
_OF_GATEWAYS = (502, 504)
"""Answers of one that lost the server behind it: that may have heard."""


class LostAnswers:
    """Counts, for as long as the block lasts, the tries of one operation that may have been heard."""

    def __init__(self, client: S3Client, operation: str) -> None:
        self.count = 0
        self._events = client.meta.events
        self._event = f"needs-retry.s3.{operation}"

    def __enter__(self) -> LostAnswers:
        self._events.register(self._event, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.unregister(self._event, self._note)

    def _note(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        self.count += is_lost(caught_exception, response[0].status_code if response else 0)


def is_lost(error: Exception | None, status: int) -> bool:
    """Whether a try may have been heard without an answer.

    Args:
        error: what the client met, None where an answer came.
        status: that of the answer, 0 where none came.
    """
    if error is None:
        return status in _OF_GATEWAYS
    if isinstance(error, EndpointConnectionError):
        # Also what the client makes of a connection that breaks later on.
        return not isinstance(error.kwargs.get("error"), ClientConnectorError)
    return not isinstance(error, _NEVER_SENT)
