"""Where in the server's binary log a dump stands, as mydumper's `metadata` file tells it. Pure.

mydumper writes it only where there is a binary log, and on TiDB never. Must not know when the file is read.
"""

from __future__ import annotations

import re

from tidbbackup.worker.dumpers.position import Position

FILE = "metadata"

# 0.10: "SHOW MASTER STATUS:", then Log, Pos, GTID. From 0.14 on a section of an ini file. What is said of a
# replica's own source (SHOW SLAVE STATUS, [replication]) is another server's position.
_SECTION = re.compile(r"(?:SHOW (?P<show>\w+) (?:\w+ )?STATUS:|\[(?P<ini>[^\]]*)\])")
_OURS = frozenset({"MASTER", "master", "source"})
_ENTRY = re.compile(r"(?P<name>Log|File|Pos|Position|GTID|Executed_Gtid_Set)\s*[:=]\s*(?P<value>.*)")
# MySQL breaks a set of several servers after each comma, and mydumper writes it as it is.
_BREAK_IN_GTIDS = re.compile(r",\s*\n\s*(?=[0-9A-Fa-f]{8}-)")
_NAMES = {"Log": "file", "File": "file", "Pos": "offset", "Position": "offset"}


def read_position(text: str) -> Position:
    """The position in the text of a `metadata` file."""
    found = {"file": "", "offset": "", "gtid": ""}
    ours = False
    for line in (line.strip() for line in _BREAK_IN_GTIDS.sub(",", text).splitlines()):
        if section := _SECTION.match(line):
            ours = (section["show"] or section["ini"]) in _OURS
        elif ours and (entry := _ENTRY.match(line)):
            name = _NAMES.get(entry["name"], "gtid")
            found[name] = found[name] or entry["value"].strip().strip("'\"")
    whole = found["file"] and found["offset"].isdecimal()
    return Position(f"{found['file']}:{found['offset']}" if whole else "", found["gtid"])
