"""mydumper's command line: our own options, the task's, and what they mean for the files that come out.

Spec values can never become options: host, user and password travel in the defaults file, the regex and
paths as `--name=value`. Must not know how the program is run.
"""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from attrs import frozen

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.hazards import Programs

DEFAULT_TUNING = ("--long-query-guard=3600",)
"""Used where the task gives no options, beside --threads."""
MAX_THREADS = 4

_OPTION = re.compile(r"--[a-z][a-z0-9-]*(=[\x20-\x7e]*)?\Z")

# Whatever the controller let through: these read or write elsewhere, or take the login's place.
_OURS = frozenset(
    {
        *("ask-password", "host", "password", "port", "socket", "user", "defaults-file"),
        *("ca", "capath", "cert", "cipher", "key", "ssl"),
        *("daemon", "snapshot-interval", "logfile", "outputdir", "omit-from-file"),
        *("regex", "tidb-snapshot", "help", "version"),
    }
)
_SELECTING = frozenset({"database", "tables-list", "updated-since"})


@frozen
class Flags:
    """What the options mean for the files of the dump."""

    compressed: bool = False
    chunked: bool = False
    no_data: bool = False
    no_schemas: bool = False
    no_views: bool = False
    ignored_engines: frozenset[str] = frozenset()
    """Lower case."""
    selecting: bool = False
    """An option selects tables by a rule that we do not know: files cannot be foretold."""
    verbose: bool = True
    """The log names every empty table."""


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
                "and login, paths and selection are set by the worker",
            )
        found[name] = value
    return found


def flags(options: dict[str, str]) -> Flags:
    """What these options mean."""
    verbosity = options.get("verbose", "3")
    return Flags(
        compressed="compress" in options,
        chunked="rows" in options or "chunk-filesize" in options,
        no_data="no-data" in options,
        no_schemas="no-schemas" in options,
        no_views="no-views" in options,
        ignored_engines=frozenset(options.get("ignore-engines", "").lower().split(",")) - {""},
        selecting=bool(_SELECTING & options.keys()),
        verbose=verbosity.isdecimal() and int(verbosity) >= 3 and "build-empty-files" not in options,
    )


@frozen
class DumpPlan:
    """All that decides mydumper's command line."""

    options: dict[str, str]
    regex: str
    outputdir: Path
    defaults_file: Path
    tls: Path | None
    """Folder with ca.crt, tls.crt and tls.key; None: no TLS."""
    snapshot: str
    """TSO for TiDB; "" for every other server."""
    programs: Programs
    complete_insert: bool
    cpus: int


def arguments(plan: DumpPlan) -> list[str]:
    """The arguments after `mydumper`.

    The task's options replace our tuning, never what makes a dump whole.
    """
    argv = [f"--defaults-file={plan.defaults_file}", f"--outputdir={plan.outputdir}", f"--regex={plan.regex}"]
    if plan.snapshot:
        argv.append(f"--tidb-snapshot={plan.snapshot}")
    asked = attrs.asdict(plan.programs)
    argv += [f"--{kind}" for kind, there in asked.items() if there]
    if plan.tls:
        argv.append("--ssl")
        files = {"ca": plan.tls / "ca.crt", "cert": plan.tls / "tls.crt", "key": plan.tls / "tls.key"}
        argv += [f"--{name}={path}" for name, path in files.items() if path.exists()]
    given = dict(plan.options)
    # The log at level 3 names empty tables: that is how a missing file is told from a missing row.
    given.setdefault("verbose", "3")
    given.setdefault("threads", str(max(1, min(MAX_THREADS, plan.cpus))))
    if plan.complete_insert:
        given.setdefault("complete-insert", "")
    argv += [f"--{name}={value}" if value else f"--{name}" for name, value in given.items()]
    return argv + ([] if plan.options else list(DEFAULT_TUNING))
