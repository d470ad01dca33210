"""Flags that users bring along: rclone's in `s3.options`, mydumper's in `mydumper.options`.

Tables of what we do with each, and the one way of reading them. Must not know how a flag is carried out.
"""

from __future__ import annotations

import re

from attrs import frozen

# Accepted without effect: what they switch off or tune does not exist here. `--ignore-checksum` is the
# specification's own example: rclone needs it on KMS buckets because it compares ETags, we never do.
RCLONE_NO_EFFECT = frozenset(
    {
        "--ignore-checksum",
        "--s3-disable-checksum",
        "--s3-no-check-bucket",
        "--s3-env-auth",
        "--checkers",
        "--transfers",
        "--fast-list",
        "--buffer-size",
        "--use-mmap",
        "--stats",
        "--progress",
        "--verbose",
        "--quiet",
        "-P",
        "-q",
        "-v",
        "-vv",
    }
)

# What a flag is called ends here: the rest may be a key, and is never repeated.
_FLAG_NAME = re.compile(r"-[A-Za-z0-9-]*")

# These take a value, which may stand in the next item of the list.
_RCLONE_WITH_VALUE = frozenset({"--checkers", "--transfers", "--buffer-size", "--stats"})

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


def read_rclone_flags(options: tuple[str, ...]) -> tuple[Flag, ...]:
    """The flags in a list as rclone reads it: `--f=v`, or `--f` and `v` as two items.

    Raises:
        ValueError: an item is no flag and no flag stands before it. Names no item: it may be a key.
    """
    flags: list[Flag] = []
    waiting = ""
    for number, item in enumerate(options, start=1):
        name, given, value = item.partition("=")
        found = _FLAG_NAME.match(name)
        if waiting:
            flags.append(Flag(waiting, item))
            waiting = ""
        elif found and name in _RCLONE_WITH_VALUE and not given:
            waiting = name
        elif found:
            flags.append(Flag(found[0], value))
        elif flags and not flags[-1].value and options[number - 2] == flags[-1].name:
            flags[-1] = Flag(flags[-1].name, item)
        else:
            raise ValueError(f"item {number} is no flag")
    if waiting:
        raise ValueError(f"{waiting} needs a value")
    return tuple(flags)


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
