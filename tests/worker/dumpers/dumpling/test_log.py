"""dumpling's words, as it was seen to say them, and what they mean.

Here is also what worker/dumpers/dumpling/dumper.py promises.
"""

import json
import logging

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.dumpling.log import MEANINGS, DumplingProcess
from tidbbackup.worker.dumpers.verdict import judge


def heard(*lines: dict[str, object] | str) -> DumplingProcess:
    output = DumplingProcess()
    for line in lines:
        output.hear(line if isinstance(line, str) else json.dumps(line))
    return output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("write /backup/a.b.000000000.sql: no space left on device", reasons.STAGING_FULL),
        ("open /backup/a.b.000000000.sql: permission denied", reasons.STAGING_NOT_WRITABLE),
        ("Error 1045 (28000): Access denied for user 'b'@'h' (using password: YES)", reasons.LOGIN_FAILED),
        ("Error 1142 (42000): SELECT command denied to user 'b'@'%' for table 't'", reasons.GRANTS_MISSING),
        ("Error 9006 (HY000): GC life time is shorter than transaction duration", reasons.SNAPSHOT_LOST),
        ("Error 8055 (HY000): snapshot is older than GC safe point 2026", reasons.SNAPSHOT_LOST),
        ("Error 1105 (HY000): can not get 'tikv_gc_safe_point'", reasons.GC_SAFE_POINT_MISSING),
        ("invalid connection", reasons.DATABASE_LOST),
        ("dial tcp 127.0.0.1:4000: connect: connection refused", reasons.DATABASE_UNREACHABLE),
        (
            "tls: failed to verify certificate: x509: signed by unknown authority",
            reasons.DATABASE_UNREACHABLE,
        ),
        (
            "Error 1231: Variable 'sql_mode' can't be set to the value of 'tidbbackup_another_server'",
            reasons.SEVERAL_SERVERS,
        ),
        ("Error 1193 (HY000): Unknown system variable 'x'", reasons.INVALID_SPEC),
        ("Something nobody has seen", reasons.DUMP_FAILED),
    ],
)
def test_meanings(text: str, reason: str) -> None:
    output = heard({"level": "error", "message": "failed", "error": text})
    failure = judge("dumpling", MEANINGS, 1, output.first_error, output.cause)
    assert failure is not None
    assert failure.reason == reason
    assert text in str(failure)


def test_a_whole_run() -> None:
    output = heard(
        {"level": "info", "message": "dumpling", "version": "dumpling v1"},
        "[2026/11/29 06:00:12.809 +00:00] [INFO] [version.go:448]",
        {"level": "info", "message": "no data written in table chunk", "database": "a", "table": "b.c"},
        {"level": "info", "message": "progress", "rows": 5, "bytes": 500},
    )
    assert (output.version, output.empty, output.lines) == ("dumpling v1", {("a", "b.c")}, 4)
    assert (output.began, output.finished, output.first_error) == (True, False, "")
    output.hear('{"level":"info","message":"dumped"}')
    assert output.finished


def test_a_piece_that_failed_fails_the_run_though_the_library_tries_it_again() -> None:
    warning = "fail to dumping table(chunk), will revert some metrics and start a retry if possible"
    output = heard(
        {"level": "warn", "message": warning, "error": "invalid connection"},
        {"level": "error", "message": "failed", "error": "open /b/a.b.000000000.sql: file exists"},
    )
    failure = judge("dumpling", MEANINGS, 0, output.first_error, output.cause)
    assert failure is not None
    assert failure.reason == reasons.DATABASE_LOST


def test_a_panic_is_an_error() -> None:
    assert heard("panic: runtime error: index out of range [1]").first_error.startswith("panic: runtime")


def test_what_only_the_library_cares_for_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tidbbackup.dumpling"):
        heard(
            {"level": "warn", "message": "If the amount of data to dump is large, criteria: ..."},
            {"level": "info", "message": "get estimated rows count"},
            {"level": "warn", "message": "something else"},
        )
    assert [record.message for record in caplog.records] == ['{"level": "warn", "message": "something else"}']
