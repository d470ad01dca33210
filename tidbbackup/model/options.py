"""Flags of mydumper that users bring along in `mydumper.options`.

Tables of what we do with each, and the one way of reading them. Must not know how a flag is carried out.
"""

from __future__ import annotations

from attrs import frozen

# mydumper's flags that say how to dump. All others say where, as whom or to which file, and are ours.
MYDUMPER_ALLOWED = frozenset(
    {
        "--threads",
        "--rows",
        "--chunk-filesize",
        "--statement-size",
        "--long-query-guard",
        "--kill-long-queries",
        "--verbose",
        "--compress-protocol",
        "--skip-tz-utc",
        "--tz-utc",
        "--no-locks",
        "--less-locking",
        "--trx-consistency-only",
        "--use-savepoints",
        "--complete-insert",
        "--order-by-primary",
        "--set-names",
    }
)

# Known to PingCAP's fork of mydumper only, and in the default list of v1.1: no effect, with a Warning.
MYDUMPER_FORK_ONLY = frozenset({"--tidb-force-priority"})


@frozen
class Flag:
    """One flag with its value; an empty value means none was given."""

    name: str
    value: str = ""


def read_mydumper_flags(options: tuple[str, ...]) -> tuple[Flag, ...]:
    """The flags in `mydumper.options`, each item one flag: `--name` or `--name=value`.

    Raises:
        ValueError: an item is not of that form. Names no item: it may be a password.
    """
    flags: list[Flag] = []
    for number, item in enumerate(options, start=1):
        name, _, value = item.partition("=")
        if not name.startswith("--") or not name[2:].replace("-", "").isalnum():
            raise ValueError(f"item {number} is not of the form --name or --name=value")
        flags.append(Flag(name, value))
    return tuple(flags)
