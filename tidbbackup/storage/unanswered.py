"""Whether a request may have been carried out although its answer never came.

botocore tries again by itself and reports only the last try; its events report each. Must not know what is
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
"""Answers of a gateway that lost the server behind it: that server may have carried the request out."""


class UnansweredTries:
    """Counts, while the block runs, the tries of one operation that may have been carried out."""

    def __init__(self, client: S3Client, operation: str) -> None:
        self.count = 0
        self._events = client.meta.events
        self._event = f"needs-retry.s3.{operation}"

    def __enter__(self) -> UnansweredTries:
        self._events.register(self._event, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.unregister(self._event, self._note)

    def _note(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        self.count += is_unanswered(caught_exception, response[0].status_code if response else 0)


def is_unanswered(error: Exception | None, status: int) -> bool:
    """Whether a try may have been carried out although its answer was lost.

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
