"""What mydumper's `metadata` file tells: where in the binary log a dump stands, which tables are empty. Pure.

The position is there only where there is a binary log, and on TiDB never. Must not know when it is read.
"""

from __future__ import annotations

import re

from tidbbackup.worker.dumpers.position import Position

FILE = "metadata"

# 0.10: "SHOW MASTER STATUS:", then Log, Pos, GTID. From 0.14 on a section of an ini file. What is said of a
# replica's own source (SHOW SLAVE STATUS, [replication]) is another server's position.
_SECTION = re.compile(r"(?:SHOW (?P<show>\w+) (?:\w+ )?STATUS:|\[(?P<ini>[^\]]*)\])")
_OURS = frozenset({"MASTER", "master", "source"})
# From 1.0 on they are comments.
_ENTRY = re.compile(
    r"(?:#\s*)?(?P<name>Log|File|SOURCE_LOG_FILE|Pos|Position|SOURCE_LOG_POS|GTID|Executed_Gtid_Set)"
    r"\s*[:=]\s*(?P<value>.*)",
    re.IGNORECASE,
)
# MySQL breaks a set of several servers after each comma, and mydumper writes it as it is.
_BREAK_IN_GTIDS = re.compile(r",\s*\n\s*(?=[0-9A-Fa-f]{8}-)")
_NAMES = dict.fromkeys(("log", "file", "source_log_file"), "file")
_NAMES |= dict.fromkeys(("pos", "position", "source_log_pos"), "offset")
_TABLE = re.compile(r"^\[`(?P<database>.*)`\.`(?P<table>.*)`\]$")
_ROWS = re.compile(r"^rows\s*=\s*(\d+)$")


def read_position(text: str) -> Position:
    """The position in the text of a `metadata` file."""
    found = {"file": "", "offset": "", "gtid": ""}
    ours = False
    for line in (line.strip() for line in _BREAK_IN_GTIDS.sub(",", text).splitlines()):
        if section := _SECTION.match(line):
            ours = (section["show"] or section["ini"]) in _OURS
        elif ours and (entry := _ENTRY.match(line)):
            name = _NAMES.get(entry["name"].lower(), "gtid")
            found[name] = found[name] or entry["value"].strip().strip("'\"")
    whole = found["file"] and found["offset"].isdecimal()
    return Position(f"{found['file']}:{found['offset']}" if whole else "", found["gtid"])


def empty_tables(text: str) -> set[str]:
    """`database.table` of tables without rows, as the `metadata` file of versions after 0.10 tells them."""
    found, table = set(), ""
    for line in text.splitlines():
        if line.startswith("["):
            named = _TABLE.match(line)
            table = f"{named['database']}.{named['table']}" if named else ""
        elif table and (rows := _ROWS.match(line)) and int(rows[1]) == 0:
            found.add(table)
    return found
