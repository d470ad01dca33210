"""`dumpling.options`, of specs for TiDB Operator v1.1.3 and later, translated to mydumper's options.

Tables with the translation of each flag; docs/dump.md shows them. Must not know how a flag is carried out.
"""

from __future__ import annotations

import re

from attrs import frozen

from tidbbackup.model.flags.mydumper import Flag

# The same option, under its name or another.
_MEANS = {
    "threads": "--threads",
    "rows": "--rows",
    "filesize": "--chunk-filesize",
    "statement-size": "--statement-size",
    "complete-insert": "--complete-insert",
}
# Accepted without effect: it tunes dumpling itself, or asks for what we do anyway.
NO_EFFECT = (
    *("loglevel", "logfmt", "status-addr", "params", "tidb-mem-quota-query", "consistency", "compress"),
    *("escape-backslash", "no-header", "no-views", "no-sequences", "dump-empty-database", "read-timeout"),
    *("filetype", "default-sql", "case-sensitive", "transactional-consistency", "output-filename-template"),
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
_SIZE = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,6})?) ?(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_MIB = 1 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@frozen
class Translated:
    """dumpling's options, translated."""

    flags: tuple[Flag, ...] = ()
    """mydumper's options."""
    idle: tuple[str, ...] = ()
    """Names of the options without effect."""


def translated(options: tuple[str, ...]) -> Translated:
    """dumpling's options as mydumper's.

    Raises:
        ValueError: an option that is not honoured; with its cure, not its value: it may be secret.
    """
    found: dict[str, str] = {}
    idle = []
    for name, value in _read(options):
        if name == "filetype" and value.lower() != "sql":
            raise ValueError(f"--filetype is not supported: {_WHY['csv']}")
        if name in _MEANS:
            found[_MEANS[name]] = _value(name, value)
        elif name in NO_EFFECT:
            idle.append(f"--{name}")
        else:
            raise ValueError(f"--{name} is not supported: {_WHY.get(name, 'leave it out')}")
    # dumpling's `--rows 0` and `--filesize 0` switch chunks off; of mydumper's two, --rows wins.
    kept = {name: value for name, value in found.items() if value != "0"}
    if "--rows" in kept:
        kept.pop("--chunk-filesize", None)
    return Translated(tuple(Flag(name, value) for name, value in kept.items()), tuple(idle))


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


def _value(name: str, value: str) -> str:
    if name == "complete-insert":
        return "0" if value.lower() in ("false", "f", "0") else ""
    if name != "filesize":
        if not (value.isascii() and value.isdecimal()):
            raise ValueError(f"--{name} takes a whole number")
        return str(int(value[:18]))
    size = _SIZE.fullmatch(value)
    if not size:
        raise ValueError("--filesize takes a size such as 256MiB")
    count = float(size["number"]) * _UNITS[size["unit"].upper()]
    # mydumper counts in MiB, and takes 0 for no limit.
    return str(max(1, round(count / _MIB))) if count else "0"
