"""`dumpling.options`: the flags of PingCAP's dumpling, as in specs for TiDB Operator v1.1.3 and later.

Tables with the treatment of each flag; docs/reference/dump.md shows them. Must not know how a flag is
carried out.
"""

from __future__ import annotations

import re

from attrs import frozen

_NUMBERS = ("threads", "rows", "statement-size", "tidb-mem-quota-query")
# Accepted without effect: it tunes how dumpling itself is called, or asks for what the worker does anyway.
NO_EFFECT = (
    *("loglevel", "logfmt", "status-addr", "consistency", "compress", "filetype", "default-sql"),
    *("escape-backslash", "no-header", "no-views", "no-sequences", "dump-empty-database", "read-timeout"),
    *("case-sensitive", "transactional-consistency", "output-filename-template"),
)
_SHORT = dict(
    [
        *(("t", "threads"), ("r", "rows"), ("F", "filesize"), ("s", "statement-size"), ("f", "filter")),
        *(("h", "host"), ("P", "port"), ("u", "user"), ("p", "password"), ("o", "output"), ("S", "sql")),
        *(("B", "database"), ("T", "tables-list"), ("W", "no-views"), ("c", "compress"), ("L", "logfile")),
        *(("d", "no-data"), ("m", "no-schemas")),
    ]
)
_WITHOUT_VALUE = frozenset(
    {"complete-insert", "escape-backslash", "no-header", "no-views", "no-sequences", "no-data", "no-schemas"}
    | {"dump-empty-database", "case-sensitive", "transactional-consistency", "allow-cleartext-passwords"}
)
_WHY = {
    "filter": "write the rules into spec.tableFilter",
    "database": "use spec.tableFilter",
    "tables-list": "use spec.tableFilter",
    "snapshot": "the worker takes the snapshot itself",
    "sql": "only whole tables are dumped",
    "where": "only whole tables are dumped",
    "no-data": "the backup would not be whole",
    "no-schemas": "the backup would not be whole",
    "csv": "the dump is SQL",
    **dict.fromkeys(("host", "port", "user", "password"), "login and address come from spec.from"),
    **dict.fromkeys(("ca", "cert", "key"), "use spec.from.tlsClientSecretName"),
    **dict.fromkeys(("output", "logfile"), "where files go is the worker's own"),
}
_FLAG = re.compile(
    r"--(?P<long>[a-z][a-z0-9-]*)(?:(?P<given>=)(?P<value>.*))?|-(?P<short>[A-Za-z])(?P<rest>.*)", re.DOTALL
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What decides which rows are read, and how they are written.
_OURS = re.compile(
    r"(tidb_snapshot|time_zone|sql_mode|net_write_timeout|character_set_|collation_)", re.IGNORECASE
)
_SIZE = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,6})?) ?(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@frozen
class DumplingOptions:
    """What dumpling is told. 0: it was not said, or switched off."""

    threads: int = 0
    rows: int = 0
    """Of a file; large tables are read in pieces, by several threads."""
    file_size: int | None = None
    """Bytes; 0: files are not cut by size, None: it was not said."""
    statement_size: int = 0
    """Bytes of one INSERT."""
    complete_insert: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    """What each session sets."""
    idle: tuple[str, ...] = ()
    """Names of the options without effect."""


def read_dumpling_options(options: tuple[str, ...]) -> DumplingOptions:
    """Read `dumpling.options`.

    Raises:
        ValueError: an option that is not honoured; with its cure, not its value: it may be secret.
    """
    found: dict[str, str] = {}
    variables: dict[str, str] = {}
    idle = []
    for name, value in _read(options):
        if name == "filetype" and value.lower() != "sql":
            raise ValueError(f"--filetype is not supported: {_WHY['csv']}")
        if name == "params":
            variables |= _variables(value)
        elif name in (*_NUMBERS, "filesize", "complete-insert"):
            found[name] = value
        elif name in NO_EFFECT:
            idle.append(f"--{name}")
        else:
            raise ValueError(f"--{name} is not supported: {_WHY.get(name, 'leave it out')}")
    numbers = {name: _number(name, found.get(name, "0")) for name in _NUMBERS}
    if quota := numbers["tidb-mem-quota-query"]:
        variables["tidb_mem_quota_query"] = str(quota)
    return DumplingOptions(
        threads=numbers["threads"],
        rows=numbers["rows"],
        file_size=_size(found["filesize"]) if "filesize" in found else None,
        statement_size=numbers["statement-size"],
        complete_insert=found.get("complete-insert", "false").lower() not in ("false", "f", "0"),
        variables=tuple(variables.items()),
        idle=tuple(idle),
    )


def _read(options: tuple[str, ...]) -> list[tuple[str, str]]:
    """Name and value of each, as pflag reads: `--n=v`, `--n v` in two items, `-nv`, `-n=v`, `-n v`."""
    found: list[tuple[str, str]] = []
    waiting = ""
    for number, item in enumerate(options, start=1):
        if waiting:
            found.append((waiting, item))
            waiting = ""
            continue
        read = _FLAG.fullmatch(item)
        if not read:
            raise ValueError(f"item {number} is not of the form --name, --name=value or -n")
        name, value = read["long"], read["value"] or ""
        given = bool(read["given"])
        if read["short"]:
            name = _SHORT.get(read["short"], "")
            if not name:
                raise ValueError(f"-{read['short']} is not supported: leave it out")
            value = read["rest"].removeprefix("=")
            given = bool(read["rest"])
        if given or name in _WITHOUT_VALUE:
            found.append((name, value))
        else:
            waiting = name
    if waiting:
        raise ValueError(f"--{waiting} needs a value")
    return found


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"--{name} takes a whole number")
    return int(value[:18])


def _size(value: str) -> int:
    size = _SIZE.fullmatch(value)
    if not size:
        raise ValueError("--filesize takes a size such as 256MiB")
    return int(float(size["number"]) * _UNITS[size["unit"].upper()])


def _variables(text: str) -> dict[str, str]:
    """`name=value,…`."""
    found = {}
    for item in filter(None, text.split(",")):
        name, equals, value = item.partition("=")
        # The library puts the value between quotes as it is.
        if not equals or not _VARIABLE.fullmatch(name) or re.search(r"['\\\x00-\x1f]", value):
            raise ValueError("--params takes name=value,name=value, without quotes and backslashes")
        if _OURS.match(name):
            raise ValueError(f"--params: {name} is the worker's own: leave it out")
        found[name.lower()] = value
    return found
