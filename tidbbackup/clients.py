"""Clients of a port that anybody may reach: few at a time, none for long, and none shuts another out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web


def bounded(server: web.Server, clients: int, seconds: float) -> Callable[[], asyncio.BaseProtocol]:
    """Takes connections in: each ends after so many seconds, and the oldest one where there are too many."""
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
