"""Where in the server's binary log a dump stands. On MySQL and MariaDB this is the consistency point; on TiDB
that is the TSO. Must not know how a dumper tells it."""

from __future__ import annotations

from attrs import frozen


@frozen
class Position:
    """The consistency point of a dump; "" where nothing is known."""

    binlog: str = ""
    """`<file>:<offset>`."""
    gtid: str = ""
    """GTIDs executed so far, as the server writes them but in one line."""
