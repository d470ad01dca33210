"""Limits number and time of connections to a port that any client may reach; a new one closes the oldest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web


def bounded(server: web.Server, clients: int, seconds: float) -> Callable[[], asyncio.BaseProtocol]:
    """Accepts connections: each ends after a number of seconds, and the oldest one if there are too many."""
    loop = asyncio.get_running_loop()

    def accept() -> asyncio.BaseProtocol:
        if len(server.connections) >= clients:
            _cut(server.connections[0])
        protocol = server()
        loop.call_later(seconds, _cut, protocol)
        return protocol

    return accept


def _cut(protocol: web.RequestHandler) -> None:
    if isinstance(protocol.transport, asyncio.Transport):
        protocol.transport.abort()
