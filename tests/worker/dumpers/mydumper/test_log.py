"""mydumper's words, as it was seen to say them, and what they mean.

Here is also what worker/dumpers/mydumper/output.py promises.
"""

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.log import MEANINGS, read_line
from tidbbackup.worker.dumpers.mydumper.output import MydumperProcess
from tidbbackup.worker.dumpers.verdict import judge


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("** Message: 05:49:22.880: Connected to a MySQL server", "Message", "Connected to a MySQL server"),
        ("** (mydumper:17): CRITICAL **: 05:36:41.088: Error x: y", "CRITICAL", "Error x: y"),
        ("** (mydumper:17): WARNING **: 05:36:41.088: Broken", "WARNING", "Broken"),
        ("Segmentation fault", "", "Segmentation fault"),
        ("", "", ""),
    ],
)
def test_lines(line: str, level: str, text: str) -> None:
    read = read_line(line)
    assert (read.level, read.text) == (level, text)
    assert read.fatal == (level == "CRITICAL")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Couldn't write data to a file: No space left on device", reasons.STAGING_FULL),
        ("Error: DB: d TABLE: t Could not create output file /b/d.t.sql (28)", reasons.STAGING_FULL),
        ("Couldn't write metadata file (13)", reasons.STAGING_NOT_WRITABLE),
        (
            "Couldn't acquire global lock, snapshots will not be consistent: Access denied; you need RELOAD",
            reasons.GRANTS_MISSING,
        ),
        ("Error dumping table (d.t) data: SELECT command denied to user 'x'@'y'", reasons.GRANTS_MISSING),
        ("Could not read data from d.t: Lost connection to server during query", reasons.DATABASE_LOST),
        ("Error dumping table (d.t) data: Server has gone away", reasons.DATABASE_LOST),
        ("Error connecting to database: Too many connections", reasons.DATABASE_UNREACHABLE),
        (
            "Error connecting to database: Access denied for user 'x'@'y' (using password: YES)",
            reasons.LOGIN_FAILED,
        ),
        ("There are queries in PROCESSLIST running longer than 60s, aborting dump,", reasons.DUMP_FAILED),
        (
            "Error dumping table (d.t) data: GC life time is shorter than transaction duration",
            reasons.SNAPSHOT_LOST,
        ),
        ("Failed to set tidb_snapshot: can not get 'tikv_gc_safe_point'", reasons.GC_SAFE_POINT_MISSING),
        ("option parsing failed: Unknown option --tidb-force-priority, try --help", reasons.INVALID_SPEC),
        ("Something nobody has seen", reasons.DUMP_FAILED),
    ],
)
def test_meanings(text: str, reason: str) -> None:
    failure = judge("mydumper", MEANINGS, 1, text)
    assert failure is not None
    assert failure.reason == reason
    assert text in str(failure)


def test_the_cause_is_told_before_its_consequences() -> None:
    output = MydumperProcess()
    for text in ("Could not write schema for d.t", "Couldn't write data to a file: No space left on device"):
        output.hear(f"** (mydumper:1): CRITICAL **: 01:02:03.004: {text}")
    output.hear("** Message: 01:02:03.004: Empty table d.none")
    failure = judge("mydumper", MEANINGS, 1, output.first_error, output.cause)
    assert failure is not None
    assert failure.reason == reasons.STAGING_FULL
    assert output.empty_tables == {"d.none"}
