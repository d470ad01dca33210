"""Flags of mydumper in `mydumper.options`.

Tables with the treatment of each flag, and the function that parses them. Must not know how a flag is
carried out.
"""

from __future__ import annotations

from attrs import frozen

NUMBER, TEXT, BARE = "a whole number", "a value", "no value"

# mydumper's flags for how to dump, and the value of each. Only the worker can find out which of them its
# mydumper knows: --order-by-primary and --set-names are of later versions.
MYDUMPER_ALLOWED = {
    "--threads": NUMBER,
    "--rows": NUMBER,
    "--chunk-filesize": NUMBER,
    "--statement-size": NUMBER,
    "--long-query-guard": NUMBER,
    "--kill-long-queries": BARE,
    "--verbose": NUMBER,
    "--compress-protocol": BARE,
    "--skip-tz-utc": BARE,
    "--tz-utc": BARE,
    "--no-locks": BARE,
    "--less-locking": BARE,
    "--trx-consistency-only": BARE,
    "--use-savepoints": BARE,
    "--complete-insert": BARE,
    "--order-by-primary": BARE,
    "--set-names": TEXT,
}

_LOGIN = "login and address come from spec.from"
_OURS = "where files go is the worker's own"
_SELECTS = "say what to dump by spec.tableFilter or spec.mydumper.tableRegex"
_PARTIAL = "the backup would not be whole"
_RUNS = "it runs programs, or does not end"

# Why each of these is refused. A flag in neither table is refused too.
MYDUMPER_REFUSED = {
    **dict.fromkeys(("host", "port", "user", "password", "ask-password", "socket", "defaults-file"), _LOGIN),
    **dict.fromkeys(("ssl", "ssl-mode", "ca", "capath", "cert", "key", "cipher"), _LOGIN),
    **dict.fromkeys(("outputdir", "logfile", "dirty", "clear", "disk-limits"), _OURS),
    **dict.fromkeys(
        ("database", "tables-list", "regex", "omit-from-file", "where", "updated-since"), _SELECTS
    ),
    **dict.fromkeys(("no-data", "no-schemas", "no-views", "ignore-engines", "no-backup-locks"), _PARTIAL),
    **dict.fromkeys(("exec", "exec-per-thread", "stream", "load-data", "daemon", "snapshot-interval"), _RUNS),
    "compress": "the archive is compressed anyway",
    "tidb-snapshot": "the worker takes the snapshot itself",
    "triggers": "they are dumped where there are any",
    "events": "they are dumped where there are any",
    "routines": "they are dumped where there are any",
}

# A flag of PingCAP's fork of mydumper only, in the default list of v1.1: no effect, with a Warning.
MYDUMPER_FORK_ONLY = frozenset({"--tidb-force-priority"})

_LARGEST = 2**31 - 1


@frozen
class Flag:
    """One flag with its value; an empty value means none was given."""

    name: str
    value: str = ""


def read_mydumper_flags(options: tuple[str, ...]) -> tuple[Flag, ...]:
    """The flags in `mydumper.options`, each item one flag: `--name` or `--name=value`.

    Raises:
        ValueError: an item is not of that form. The message does not have the item: it may be a password.
    """
    flags: list[Flag] = []
    for number, item in enumerate(options, start=1):
        name, _, value = item.partition("=")
        if not name.startswith("--") or not name[2:].replace("-", "").isalnum():
            raise ValueError(f"item {number} is not of the form --name or --name=value")
        flags.append(Flag(name, value))
    return tuple(flags)


def wrong_with(flag: Flag) -> str:
    """Why mydumper does not get this flag; the message can follow its name and never has its value."""
    takes = MYDUMPER_ALLOWED.get(flag.name)
    if flag.name in MYDUMPER_FORK_ONLY:
        return ""
    if why := MYDUMPER_REFUSED.get(flag.name.removeprefix("--")):
        return f"is not allowed: {why}"
    if takes is None:
        return f"is not allowed: allowed are {', '.join(sorted(MYDUMPER_ALLOWED))}"
    number = flag.value.isascii() and flag.value.isdecimal() and int(flag.value[:12]) <= _LARGEST
    fits = {NUMBER: number, TEXT: bool(flag.value), BARE: not flag.value}[takes]
    if fits and flag.name == "--threads" and int(flag.value) == 0:
        return "needs at least 1"
    return "" if fits else f"takes {takes}"
