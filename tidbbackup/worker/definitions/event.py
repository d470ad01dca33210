"""CREATE EVENT from the row of information_schema.events: a server without an event scheduler refuses SHOW
CREATE EVENT. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymysql.converters import escape_string

from tidbbackup.worker.definitions.text import quoted

_STATES = {"ENABLED": "ENABLE", "DISABLED": "DISABLE", "SLAVESIDE_DISABLED": "DISABLE ON SLAVE"}


def event_text(name: str, row: Mapping[str, Any]) -> str:
    """The statement. `row`: columns of information_schema.events, their names in lower case."""
    user, _, host = row["definer"].rpartition("@")
    parts = [f"CREATE DEFINER={quoted(user)}@{quoted(host)} EVENT {quoted(name)} ON SCHEDULE"]
    if row["execute_at"] is not None:
        parts.append(f"AT '{row['execute_at']}'")
    else:
        parts.append(f"EVERY {_literal(row['interval_value'])} {row['interval_field']}")
        parts += [
            f"{word} '{row[word.lower()]}'" for word in ("STARTS", "ENDS") if row[word.lower()] is not None
        ]
    parts.append(f"ON COMPLETION {row['on_completion']} {_STATES.get(row['status'], 'DISABLE ON SLAVE')}")
    if row["event_comment"]:
        parts.append(f"COMMENT {_literal(row['event_comment'])}")
    return " ".join(parts) + f" DO {row['event_definition']}"


def _literal(text: str) -> str:
    return f"'{escape_string(text)}'"
