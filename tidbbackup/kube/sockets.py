"""Opens the sockets to the API server so that a dead connection is noticed.

aiohttp turns keepalive on for servers only, and Linux's own wait is two hours.
Must not know what is sent.
"""

from __future__ import annotations

import socket
from typing import Any

KEEPALIVE_AFTER = 30
"""Seconds of silence before the first probe."""

KEEPALIVE_EVERY = 10
"""Seconds between probes."""

KEEPALIVE_PROBES = 3

UNACKNOWLEDGED_MS = 30_000
"""Milliseconds that bytes we sent may stay unacknowledged."""


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one of getaddrinfo's rows; the caller connects and owns it."""
    family, kind, protocol = address[:3]
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_AFTER),
        ("TCP_KEEPINTVL", KEEPALIVE_EVERY),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
    ):
        # Some systems of developers do not have all of them.
        option = getattr(socket, name, None)
        if option is not None:
            opened.setsockopt(socket.IPPROTO_TCP, option, value)
    return opened
