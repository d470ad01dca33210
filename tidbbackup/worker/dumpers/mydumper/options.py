"""mydumper's command line: our own options, the task's, and what they mean for the files that come out.

Spec values can never become options: host, user and password travel in the defaults file, the regex and
paths as `--name=value`. Must not know how the program is run.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.sizes import file_bytes
from tidbbackup.worker.failure import StepFailed

_TUNING = {"long-query-guard": "3600"}
"""Where the task gives no options."""
_ALWAYS = {"verbose": "3"}
"""Unless the task's options say otherwise. The log at level 3 names empty tables: that is how a missing file
is told from a missing row."""
_OUT_OF_THE_TRANSACTION = "', autocommit = '1"
"""mydumper writes its snapshot between quotes, in SET SESSION tidb_snapshot = '…', after it has begun a
transaction, in which TiDB lists the tables of now. Autocommit, which the defaults file has switched off, ends
the transaction: the session lists and reads at the snapshot then. docs/decisions/0079."""

# Of ours, what a mydumper that does not know it can do without.
_DISPENSABLE = frozenset({*_TUNING, *_ALWAYS, "chunk-filesize", "threads"})

_OPTION = re.compile(r"--[a-z][a-z0-9-]*(=[\x20-\x7e]*)?\Z")

# Whatever the controller let through: these read or write elsewhere, take the login's place, or
# make files whose ends and names are not those that we look for.
_OURS = frozenset(
    {
        *("ask-password", "host", "password", "port", "socket", "user", "defaults-file"),
        *("ca", "capath", "cert", "cipher", "key", "ssl"),
        *("daemon", "snapshot-interval", "logfile", "outputdir", "omit-from-file"),
        *("regex", "tidb-snapshot", "help", "version"),
        *("compress", "build-empty-files"),
        *("database", "tables-list", "updated-since", "where", "ignore-engines", "no-data"),
        *("no-schemas", "no-views", "triggers", "routines", "events"),
    }
)


@frozen
class Flags:
    """What the options mean for the files of the dump."""

    chunked: bool = False
    """Tables may be in several numbered files."""
    cut_by_size: bool = False
    """They are, from 00001 on; one that is alone has no number in the end."""
    no_locks: bool = False
    """The global read lock is not taken."""
    verbose: bool = True
    """The log names every empty table."""
    later: bool = False
    """The program is of a version after 0.10: what has no plain name gets a file name that only it knows,
    pieces keep their names, and `metadata` tells empty tables."""


def judged(options: tuple[str, ...]) -> dict[str, str]:
    """The task's options by name, `""` for a bare flag.

    Raises:
        StepFailed: InvalidSpec, something that is no `--name[=value]` or that only the worker may set.
    """
    found: dict[str, str] = {}
    for option in options:
        name, _, value = option.removeprefix("--").partition("=")
        if not _OPTION.match(option) or name in _OURS:
            raise StepFailed(
                reasons.INVALID_SPEC,
                f"mydumper option `{option[:80]}` is refused: options have the form --name or --name=value, "
                "and login, paths, selection and the form of files are set by the worker",
            )
        found[name] = value
    return found


def tuned(options: dict[str, str], staging_bytes: int = 0) -> dict[str, str]:
    """The task's options, or ours where it has none, with what is always there.

    Args:
        options: from `judged`.
        staging_bytes: of the volume; 0: unknown.
    """
    given = {**_ALWAYS, **(options or _TUNING)}
    if "rows" not in given:
        given.setdefault("chunk-filesize", str(max(1, file_bytes(staging_bytes) >> 20)))
    return given


def flags(options: dict[str, str], *, later: bool = False) -> Flags:
    """What these options mean; `later`: to a program of a version after 0.10."""
    verbosity = options.get("verbose", "3")
    by_rows, by_size = "rows" in options, options.get("chunk-filesize", "0") != "0"
    return Flags(
        chunked=by_rows or by_size,
        cut_by_size=by_size and not by_rows and not later,
        no_locks="no-locks" in options,
        verbose=verbosity.isdecimal() and int(verbosity) >= 3,
        later=later,
    )


@frozen
class DumpPlan:
    """All that decides mydumper's command line."""

    options: dict[str, str]
    """The task's, tuned."""
    regex: str
    outputdir: Path
    defaults_file: Path
    tls: Path | None
    """Folder with ca.crt, and perhaps tls.crt and tls.key; None: no TLS."""
    snapshot: str
    """TSO for TiDB; "" for every other server."""
    complete_insert: bool
    threads: int
    remote_engines: tuple[str, ...] = ()
    """Engines whose tables mydumper is to leave out."""
    known: frozenset[str] = frozenset()
    """Options that the program at hand knows; empty: it would not say."""


def arguments(plan: DumpPlan, asked_for: Collection[str] = ()) -> list[str]:
    """The arguments after `mydumper`; never one that it does not know, for that is all it would say.

    Args:
        plan: what decides them.
        asked_for: options that the user named.

    Raises:
        StepFailed: InvalidSpec, it does not know one that the user named; DumpFailed, one without which the
            dump would not be whole.
    """
    argv = _arguments(plan)
    if not plan.known:
        return argv
    kept = []
    for argument in argv:
        name = argument.removeprefix("--").partition("=")[0]
        if name in plan.known:
            kept.append(argument)
        elif name in asked_for:
            cure = "leave it out of the options, or use an image with a mydumper that knows it"
            raise StepFailed(reasons.INVALID_SPEC, f"this mydumper does not know --{name}: {cure}")
        elif name not in _DISPENSABLE:
            cure = "use a build that does, such as that of our image"
            raise StepFailed(reasons.DUMP_FAILED, f"this mydumper does not know --{name}: {cure}")
    return kept


def _arguments(plan: DumpPlan) -> list[str]:
    argv = [f"--defaults-file={plan.defaults_file}", f"--outputdir={plan.outputdir}", f"--regex={plan.regex}"]
    argv.append("--no-schemas")
    if plan.snapshot:
        argv.append(f"--tidb-snapshot={plan.snapshot}{_OUT_OF_THE_TRANSACTION}")
    if plan.tls:
        argv += ["--ssl", f"--ca={plan.tls / 'ca.crt'}"]
        ours = {"cert": plan.tls / "tls.crt", "key": plan.tls / "tls.key"}
        argv += [f"--{name}={path}" for name, path in ours.items() if path.exists()]
    given = dict(plan.options)
    given.setdefault("threads", str(plan.threads))
    if plan.remote_engines:
        given["ignore-engines"] = ",".join(plan.remote_engines)
    if plan.complete_insert:
        given.setdefault("complete-insert", "")
    return argv + [f"--{name}={value}" if value else f"--{name}" for name, value in given.items()]
