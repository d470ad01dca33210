"""TiDB's facts: version, snapshots against the safe point, and its errors."""

from datetime import UTC, datetime, timedelta

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.database.tidb import check_safe_point, failure_of, is_tidb, read_at, time_of
from tidbbackup.worker.failure import StepFailed

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)


def tso(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000) << 18)


def test_it_is_told_by_its_version() -> None:
    assert is_tidb("5.7.25-TiDB-v3.0.12")
    assert is_tidb("8.0.11-TiDB-v7.5.0")
    assert not is_tidb("10.11.6-MariaDB-0+deb12u1-log")
    assert not is_tidb("8.0.36")


def test_a_tso_tells_its_time() -> None:
    assert time_of("470653739273289729").replace(microsecond=0) == datetime(
        2026, 11, 23, 2, 38, 52, tzinfo=UTC
    )
    assert time_of(tso(MOMENT)) == MOMENT


def test_only_a_number_gets_into_the_statement() -> None:
    assert read_at("470653739273289729") == "SET SESSION tidb_snapshot = '470653739273289729'"
    with pytest.raises(ValueError, match="invalid literal"):
        read_at("1'; DROP TABLE t")


@pytest.mark.parametrize(
    "safe_point", ["20261122-00:00:00 +0000", "20261122-08:00:00 +0800", "20261122-00:00:00.000 +0000"]
)
def test_a_snapshot_older_than_the_safe_point_is_refused(safe_point: str) -> None:
    check_safe_point(tso(MOMENT), safe_point)
    check_safe_point(tso(MOMENT + timedelta(minutes=1)), safe_point)
    with pytest.raises(
        StepFailed, match=r"older than the GC safe point 2026.*raise spec.tikvGCLifeTime"
    ) as e:
        check_safe_point(tso(MOMENT - timedelta(milliseconds=1)), safe_point)
    assert e.value.reason == reasons.SNAPSHOT_LOST


def test_without_a_safe_point_no_snapshot_can_be_read() -> None:
    with pytest.raises(StepFailed, match="wait until") as error:
        check_safe_point(tso(MOMENT), None)
    assert error.value.reason == reasons.GC_SAFE_POINT_MISSING


def test_a_safe_point_of_an_unknown_form_is_left_to_tidb() -> None:
    check_safe_point(tso(MOMENT), "soon")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("snapshot is older than GC safe point 2026-11-22 00:00:00 +0000 UTC", reasons.SNAPSHOT_LOST),
        (
            "[tikv:9006]GC life time is shorter than transaction duration, transaction starts at x",
            reasons.SNAPSHOT_LOST,
        ),
        ("can not get 'tikv_gc_safe_point'", reasons.GC_SAFE_POINT_MISSING),
    ],
)
def test_its_errors(words: str, reason: str) -> None:
    found = failure_of(words)
    assert found is not None
    assert found[0] == reason
    assert failure_of("Table 'a.b' doesn't exist") is None
