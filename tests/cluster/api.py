"""A few JSON calls to the API server, for the parts of the test cluster. It knows no kind of object."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from attrs import frozen

JSON = dict[str, Any]


class ApiRefused(RuntimeError):
    """The API server answered with an error: `status` is the HTTP code, the message its own."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


@frozen(eq=False)
class Api:
    """A client with the rights of one token. Every call raises ApiRefused or aiohttp.ClientError."""

    session: aiohttp.ClientSession

    async def get(self, path: str, **query: str) -> JSON:
        """GET an object or a list."""
        return await self._call("GET", path, query=query)

    async def create(self, path: str, body: JSON) -> JSON:
        """POST an object to its collection."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: JSON) -> JSON:
        """Merge-patch an object."""
        return await self._call("PATCH", path, body=body, content_type="application/merge-patch+json")

    async def delete(self, path: str, body: JSON | None = None) -> JSON:
        """DELETE an object, `body` being DeleteOptions."""
        return await self._call("DELETE", path, body=body)

    async def is_ok(self, path: str) -> bool:
        """Whether a GET is answered with 200; a server that cannot be reached is not."""
        try:
            async with self.session.get(path, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def watch(self, path: str, **query: str) -> AsyncIterator[JSON]:
        """The events of one watch, until the server ends it."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with self.session.get(path, params={"watch": "1", **query}, timeout=timeout) as response:
            await _refuse("WATCH", path, response)
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JSON | None = None,
        content_type: str = "application/json",
    ) -> JSON:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if data else {}
        async with self.session.request(method, path, params=query, data=data, headers=headers) as response:
            await _refuse(method, path, response)
            answer: JSON = await response.json()
            return answer


async def _refuse(method: str, path: str, response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        text = await response.text()
        try:
            text = json.loads(text)["message"]
        except (ValueError, KeyError, TypeError):
            text = text[:500]
        raise ApiRefused(method, path, response.status, text)


@asynccontextmanager
async def connect(url: str, ca: Path, token: str) -> AsyncIterator[Api]:
    """A client for the server at `url`, whose certificate `ca` vouches for."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=30)
    # trust_env stays off: a proxy of the user's has no business here.
    async with aiohttp.ClientSession(url, connector=connector, headers=headers, timeout=timeout) as session:
        yield Api(session)
