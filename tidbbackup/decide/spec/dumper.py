"""What a spec says of the dump itself, tables and flags for mydumper or dumpling: judged, and for the worker.

Must not know the database, nor what the mydumper at hand can do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidbbackup.decide.problem import Problem, has_control
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.contract.task import DumperName, DumpSettings
from tidbbackup.model.filter.table_filter import read_filter
from tidbbackup.model.flags.dumpling import read_dumpling_options
from tidbbackup.model.flags.mydumper import MYDUMPER_FORK_ONLY, Flag, read_mydumper_flags, wrong_with
from tidbbackup.model.reasons import NO_EFFECT
from tidbbackup.model.resource.backup import BackupSpec, DumplingSpec, MydumperSpec


def dumper_problems(spec: BackupSpec) -> Iterator[Problem]:
    """What is wrong with what a spec says of the dump."""
    mydumper, dumpling = _halves(spec)
    yield from _dumper(spec)
    yield from _filter(spec)
    yield from _mydumper_flags(mydumper.options)
    yield from _regex(mydumper.tableRegex)
    yield from _dumpling_flags(dumpling.options)


def dump_settings(spec: BackupSpec) -> DumpSettings:
    """The same for the worker, of a spec in which nothing is wrong."""
    mydumper, dumpling = _halves(spec)
    known = tuple(
        f"{flag.name}={flag.value}" if flag.value else flag.name
        for flag in read_mydumper_flags(mydumper.options)
        if flag.name not in MYDUMPER_FORK_ONLY
    )
    # Of the two one has options.
    return DumpSettings(
        options=known or dumpling.options,
        tableRegex=mydumper.tableRegex,
        tableFilter=spec.tableFilter or dumpling.tableFilter,
        dumper=DumperName(_name(spec)),
    )


def dumper_notices(spec: BackupSpec) -> Iterator[Notice]:
    """What of it has no effect. Never raises, whatever stands there."""
    mydumper, dumpling = _halves(spec)
    for flag in _flags(mydumper.options):
        if flag.name in MYDUMPER_FORK_ONLY:
            yield Notice(NO_EFFECT, f"{flag.name} is known to a fork of mydumper only: it has no effect")
    try:
        idle = read_dumpling_options(dumpling.options).idle
    except ValueError:
        return
    for name in idle:
        yield Notice(NO_EFFECT, f"dumpling option {name} has no effect")


def _halves(spec: BackupSpec) -> tuple[MydumperSpec, DumplingSpec]:
    return spec.mydumper or MydumperSpec(), spec.dumpling or DumplingSpec()


def _name(spec: BackupSpec) -> str:
    """The dumper, as in TiDB Operator since v1.1.3."""
    return spec.dumper or (DumperName.DUMPLING if spec.dumpling else DumperName.MYDUMPER)


def _dumper(spec: BackupSpec) -> Iterator[Problem]:
    mydumper, dumpling = _halves(spec)
    name = _name(spec)
    if name not in set(DumperName):
        yield Problem("spec.dumper", name, f"is no dumper: choose {' or '.join(DumperName)}")
        return
    unused: dict[str, object] = {"spec.dumpling.options": dumpling.options}
    if name == DumperName.DUMPLING:
        unused = {
            "spec.mydumper.options": mydumper.options,
            "spec.mydumper.tableRegex": mydumper.tableRegex,
        }
    for path in (path for path, value in unused.items() if value):
        cure = f"remove it, or set spec.dumper: {path.split('.')[1]}"
        yield Problem(path, None, f"has no meaning for {name}, which makes the dump: {cure}")


def _filter(spec: BackupSpec) -> Iterator[Problem]:
    mydumper, dumpling = _halves(spec)
    path = "spec.tableFilter" if spec.tableFilter else "spec.dumpling.tableFilter"
    rules = spec.tableFilter or dumpling.tableFilter
    if not rules:
        return
    if mydumper.tableRegex:
        yield Problem(path, None, "cannot stand beside spec.mydumper.tableRegex: keep one of them")
    if spec.tableFilter and dumpling.tableFilter and spec.tableFilter != dumpling.tableFilter:
        cure = "says other than spec.tableFilter, which is its newer place: remove it"
        yield Problem("spec.dumpling.tableFilter", None, cure)
    try:
        read_filter(rules)
    except ValueError as error:
        yield Problem(path, None, str(error))


def _mydumper_flags(options: tuple[str, ...]) -> Iterator[Problem]:
    try:
        flags = read_mydumper_flags(options)
    except ValueError as error:
        yield Problem("spec.mydumper.options", None, str(error))
        return
    for flag in flags:
        if why := wrong_with(flag):
            # The value is not shown: it may be a password.
            yield Problem("spec.mydumper.options", flag.name, why)
        elif has_control(flag.value):
            yield Problem("spec.mydumper.options", flag.value, "holds a control character")


def _dumpling_flags(options: tuple[str, ...]) -> Iterator[Problem]:
    try:
        read_dumpling_options(options)
    except ValueError as error:
        yield Problem("spec.dumpling.options", None, str(error))


def _flags(options: tuple[str, ...]) -> tuple[Flag, ...]:
    try:
        return read_mydumper_flags(options)
    except ValueError:
        return ()


def _regex(text: str) -> Iterator[Problem]:
    if has_control(text):
        yield Problem("spec.mydumper.tableRegex", text, "holds a control character")
        return
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        yield Problem("spec.mydumper.tableRegex", text, f"is no regular expression: {error}")
