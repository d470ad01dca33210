"""Calls of the node to the API server that outlast its restarts. Knows no kind of object."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from tests.cluster.api import JSON, Api, ApiRefused

T = TypeVar("T")

UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError)
"""What a call raises while the API server is away."""

_RETRY_SECONDS = 0.2
_RETRY_SECONDS_MAX = 2.0

_log = logging.getLogger(__name__)


async def persist(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Call until the API server answers. Raises ApiRefused for an answer that another try won't change."""
    delay = _RETRY_SECONDS
    while True:
        try:
            return await call()
        except ApiRefused as error:
            if error.status < 500 and error.status != 429:
                raise
            _log.info("%s: %s", what, error)
        except UNREACHABLE as error:
            _log.info("%s: %r", what, error)
        await asyncio.sleep(delay)
        delay = min(_RETRY_SECONDS_MAX, delay * 2)


async def get_if_there(api: Api, path: str) -> JSON | None:
    """An object, or None when there is none; waits for an API server that is away."""
    try:
        return await persist(f"GET {path}", lambda: api.get(path))
    except ApiRefused as error:
        if error.status != 404:
            raise
        return None


async def merge_lists(api: Api, path: str, body: JSON) -> None:
    """A strategic merge patch, as the kubelet patches statuses: conditions are merged by their type."""
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    data = json.dumps(body).encode()
    async with api.session.patch(path, data=data, headers=headers) as response:
        text = await response.text()
        if response.status >= 400:
            raise ApiRefused("PATCH", path, response.status, text[:500])
