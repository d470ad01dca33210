"""Sends every request to the API server: deadlines, tokens, retries, and the check of every status.

Only the library's configuration is used, not its ApiClient: that follows HTTPS_PROXY and ~/.netrc
(trust_env cannot be turned off), has no deadlines, opens its own sockets (no keepalive), encodes
bodies itself and returns non-2xx answers as successes when asked for raw bytes.
Must not know which requests there are.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from types import MappingProxyType

import aiohttp
from attrs import frozen
from yarl import URL

from tidbbackup.kube.connection import Connection
from tidbbackup.kube.errors import (
    Silence,
    StatusError,
    TooLong,
    TransportError,
    Unauthorized,
    read_status,
    retry_after_seconds,
    status_error,
)
from tidbbackup.kube.metrics import UNREAD
from tidbbackup.kube.sockets import open_socket

JSON = "application/json"
NO_QUERY: Mapping[str, str] = MappingProxyType({})

ANSWER_LIMIT = 8 * 1024 * 1024
"""The limit of an answer in bytes: a few of the largest objects, or thousands of ordinary ones."""

ERROR_BODY_LIMIT = 64 * 1024
"""Bytes of an error's body that are read."""

LATER = frozenset({429, 503})
"""Statuses that, with a Retry-After, mean that the work has not begun: even a write may be sent again."""


Answered = Callable[[str, str], None]
"""Called for each answer with its HTTP status, or `<error>` if there was none, and the method."""

MayWrite = Callable[[], None]
"""Called before a request that writes is sent; raises NotLeader to stop that."""


@frozen
class Deadlines:
    """Seconds; every request has all three."""

    connect: float = 5.0
    idle: float = 30.0
    total: float = 60.0
    """Of one try; the API server itself gives up after 60."""


@frozen
class Retries:
    """How often a request is repeated after a Retry-After, and the longest pause."""

    limit: int = 4
    longest: float = 10.0
    """Seconds; for a longer Retry-After the caller's own backoff applies."""

    def wait(self, error: StatusError, tries: int) -> float | None:
        """Seconds until the next try, or None to give up after that many."""
        if error.status not in LATER or error.retry_after is None:
            return None
        return error.retry_after if tries <= self.limit and error.retry_after <= self.longest else None


DEADLINES = Deadlines()
RETRIES = Retries()


@frozen
class Request:
    """A request without its credentials."""

    method: str
    path: str
    query: Mapping[str, str] = NO_QUERY
    body: bytes | None = None
    content_type: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class _Body(BytesIO):
    """Asked for when the connection is open, right before the first byte: opening it may take seconds."""

    def __init__(self, body: bytes, may_write: MayWrite) -> None:
        super().__init__(body)
        self._may_write = may_write

    def read(self, size: int | None = -1, /) -> bytes:
        self._may_write()
        return super().read(size)


class Transport:
    """Sends requests over one session; raises ApiError, and no other error, when one fails."""

    def __init__(
        self,
        connection: Connection,
        answered: Answered = UNREAD.request,
        deadlines: Deadlines = DEADLINES,
        retries: Retries = RETRIES,
        agent: str = "tidbbackup",
        may_write: MayWrite = lambda: None,
    ) -> None:
        self._connection = connection
        self._answered = answered
        self._deadlines = deadlines
        self._retries = retries
        self._agent = agent
        self._may_write = may_write
        self._opened: aiohttp.ClientSession | None = None
        self.server_time: datetime | None = None
        """The header Date of the newest 2xx answer; None if it had none."""

    async def close(self) -> None:
        """Closes every connection, also those of open streams."""
        if self._opened is not None:
            await self._opened.close()

    async def ask(self, request: Request) -> bytes:
        """The whole body of a 2xx answer; repeats the request after a Retry-After."""
        limits = self._deadlines
        tries = 0
        while True:
            try:
                response = await self._send(request, self._timeout(limits.total, limits.idle))
                async with response:
                    return await _whole(response, request)
            except StatusError as error:
                tries += 1
                wait = self._retries.wait(error, tries)
                if wait is None:
                    raise
                await asyncio.sleep(wait)

    @asynccontextmanager
    async def stream(self, request: Request, seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a 2xx answer in chunks, as they come, for that long; asks only once."""
        # The reader judges silence, because it knows how often the server sends; this is a second limit.
        total = seconds + self._deadlines.total
        try:
            # A watch is answered at once, even if nothing happens.
            async with asyncio.timeout(self._deadlines.idle):
                response = await self._send(request, self._timeout(total, total))
        except TimeoutError as error:
            raise Silence(f"{request}: no answer for {self._deadlines.idle:g} s") from error
        try:
            yield _chunks(response, request)
        finally:
            response.close()

    async def _send(self, request: Request, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Every answer passes here: only a 2xx is returned. A refused token is replaced once."""
        credentials = self._connection.credentials
        header = await credentials.header(_now())
        try:
            return await self._checked(request, header, timeout)
        except Unauthorized:
            if not await credentials.refused(header, _now()):
                raise
        return await self._checked(request, await credentials.header(_now()), timeout)

    async def _checked(
        self, request: Request, authorization: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        try:
            response = await self._exchange(request, authorization, timeout)
        except (aiohttp.ClientError, OSError) as error:
            self._answered("<error>", request.method)
            raise TransportError(f"{request}: {_in_short(error)}") from error
        self._answered(str(response.status), request.method)
        if 200 <= response.status < 300:
            self.server_time = _date(response.headers.get("Date", ""))
            return response
        raise await _error(response, request)

    async def _exchange(
        self, request: Request, authorization: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        if request.method != "GET":
            self._may_write()
        tls = self._connection.tls
        # identity: compressing long lists costs more CPU on both ends than it saves on the network.
        headers = {"Accept": JSON, "Accept-Encoding": "identity", "Content-Type": request.content_type}
        if authorization:
            headers["Authorization"] = authorization
        return await self._session().request(
            request.method,
            URL(self._connection.url + request.path, encoded=True).update_query(request.query),
            # One bytes object would be sent at once, and a large one would block the loop.
            data=None if request.body is None else _Body(request.body, self._may_write),
            headers=headers,
            timeout=timeout,
            ssl=tls.context() if tls else True,
            server_hostname=self._connection.server_name,
            proxy=self._connection.proxy,
            allow_redirects=False,
        )

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            # No limit: the watches keep their connections, and a write must not wait for them.
            connector = aiohttp.TCPConnector(limit=0, socket_factory=open_socket)
            self._opened = aiohttp.ClientSession(
                connector=connector, trust_env=False, headers={"User-Agent": self._agent}
            )
        return self._opened

    def _timeout(self, total: float, idle: float) -> aiohttp.ClientTimeout:
        connect = self._deadlines.connect
        # connect covers name resolution, sock_connect the TCP and TLS handshakes of each address.
        return aiohttp.ClientTimeout(total=total, connect=2 * connect, sock_connect=connect, sock_read=idle)


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


async def _error(response: aiohttp.ClientResponse, request: Request) -> StatusError:
    async with response:
        try:
            body = await response.content.read(ERROR_BODY_LIMIT)
        except (aiohttp.ClientError, OSError):
            body = b""
    wait = retry_after_seconds(response.headers.get("Retry-After"))
    return status_error(str(request), response.status, read_status(body), wait)


async def _whole(response: aiohttp.ClientResponse, request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > ANSWER_LIMIT:
                response.close()
                raise TooLong(f"{request}: the answer has more than {ANSWER_LIMIT:,} bytes")
        return bytes(body)
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(f"{request}: the answer broke off: {_in_short(error)}") from error


async def _chunks(response: aiohttp.ClientResponse, request: Request) -> AsyncIterator[bytes]:
    try:
        # iter_any returns what has come; readline would refuse lines longer than its buffer.
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(f"{request}: {_in_short(error)}") from error


def _in_short(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return f"the server's certificate is not valid: {error}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _now() -> float:
    return asyncio.get_running_loop().time()
