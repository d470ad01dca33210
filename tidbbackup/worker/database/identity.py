"""How a server is recognized: a run must not dump another server than the one it has judged.

One name may lead to several: a Service in front of replicas, a name with two addresses. On TiDB it is the
cluster that is known, since all its servers have the same data. Must not know how a connection is opened.
"""

from __future__ import annotations

import logging
from typing import Any

import pymysql
from pymysql.connections import Connection

from tidbbackup.model import reasons
from tidbbackup.worker.database import tidb
from tidbbackup.worker.failure import StepFailed

log = logging.getLogger(__name__)

MARK = "tidbbackup_another_server"
"""In the error of a connection that has reached another server."""
CURE = (
    "spec.from.host and spec.from.port have to lead to one server (or one TiDB cluster): name it instead of "
    "a Service or a proxy in front of several"
)
_WRITE_TIMEOUT_SECONDS = 2_147_483
"""mydumper's own figure."""

_VARIABLES = (
    "SHOW VARIABLES WHERE variable_name IN ('server_uuid', 'hostname', 'port', 'server_id', 'datadir')"
)
# When the cluster was made, to the second.
_TIDB_CLUSTER = (
    "(SELECT CAST(create_time AS CHAR) FROM information_schema.tables "
    "WHERE table_schema = 'mysql' AND table_name = 'tidb')"
)


def first_statement(known_by: str, *, autocommit: bool = True) -> str:
    """What mydumper says first in each session; an error, and so no session, on any other server.

    The SQL mode is cleared: with the server's own, ANSI_QUOTES changes the schema files and
    NO_BACKSLASH_ESCAPES makes mydumper write strings that no server reads back. The server is to wait for a
    mydumper that is held, which mydumper asks for on its first connection only.
    """
    mode = f"IF({known_by}, '', '{MARK}')" if known_by else "''"
    off = "" if autocommit else ", autocommit=0"
    return f"SET SESSION sql_mode={mode}, net_write_timeout={_WRITE_TIMEOUT_SECONDS}{off}"


def known_by(session: Connection[Any]) -> str:
    """SQL that is true on this server and on no other; empty if there is none."""
    with session.cursor() as cursor:
        try:
            cursor.execute(tidb.VERSION)
            expression = _TIDB_CLUSTER
            if not tidb.is_tidb(str(cursor.fetchall()[0][0])):
                cursor.execute(_VARIABLES)
                names = ", ".join(f"@@{row[0]}" for row in cursor.fetchall())
                # In hexadecimal digits no quoting, SQL mode or character set matters.
                expression = f"HEX(CONCAT_WS(',', {names}))"
            cursor.execute(f"SELECT {expression}")
            found = f"{expression} = '{cursor.fetchall()[0][0]}'"
            cursor.execute(first_statement(found))
        except pymysql.Error as error:
            log.warning("whether all connections reach the same server cannot be told: %s", error)
            return ""
    return found


def another_server(who: str) -> StepFailed:
    """The failure of a session that has reached another server."""
    return StepFailed(
        reasons.SEVERAL_SERVERS, f"{who} has reached another server than the one that was judged; {CURE}"
    )
