"""`tidbbackup explain`: when a file's schedules are due, and what becomes of its Backups."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.test_examples import BACKUPS, load
from tidbbackup.cli import main
from tidbbackup.explain import explain
from tidbbackup.model.names import DUE_TIME, SCHEDULE_LABEL, SCHEDULE_UID

AT = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
TEMPLATE = {
    "from": {"host": "tidb", "secretName": "db"},
    "s3": {"provider": "aws", "bucket": "my-bucket", "secretName": "s3"},
}


def schedule(template: Any = TEMPLATE, **spec: Any) -> dict[str, Any]:
    """A schedule `nightly` at three, as a user writes it."""
    meta = {"name": "nightly", "namespace": "ns"}
    whole = {"schedule": "0 3 * * *", "backupTemplate": template} | spec
    return {"apiVersion": "pingcap.com/v1alpha1", "kind": "BackupSchedule", "metadata": meta, "spec": whole}


def backup(day: int, phase: str = "Complete", **meta: Any) -> dict[str, Any]:
    """The Backup of that day of November, as `kubectl get -o yaml` shows it."""
    due = f"2026-11-{day:02}T03:00:00Z"
    known = {
        "name": f"nightly-2026-11-{day:02}t03-00-00",
        "namespace": "ns",
        "uid": f"uid-{day}",
        "creationTimestamp": due,
        "labels": {SCHEDULE_LABEL: "nightly"},
        "annotations": {DUE_TIME: due, SCHEDULE_UID: "any"},
        "managedFields": [{"manager": "tidbbackup"}],
    }
    return {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "Backup",
        "metadata": known | meta,
        "spec": TEMPLATE,
        "status": {"phase": phase, "observedGeneration": 1} if phase else {},
    }


def explained(tmp_path: Path, *found: dict[str, Any], at: datetime = AT) -> tuple[int, list[str]]:
    """Exit code and lines of `explain` on a file with these."""
    file, out, err = tmp_path / "file.yaml", io.StringIO(), io.StringIO()
    file.write_text(yaml.safe_dump_all(found))
    code = explain([str(file)], at, out, err)
    return code, (err if code == 2 else out).getvalue().splitlines()


def test_the_next_due_times(tmp_path: Path) -> None:
    assert explained(tmp_path, schedule()) == (
        0,
        [
            "BackupSchedule ns/nightly at 2026-11-23T03:30:00Z",
            "  Ready: backups are made by '0 3 * * *' in UTC",
            "  due next:",
            *(f"    2026-11-{day}T03:00:00Z  nightly-2026-11-{day}t03-00-00" for day in range(24, 29)),
        ],
    )


def test_the_next_drill(tmp_path: Path) -> None:
    drill = {"schedule": "0 5 * * 0", "databaseSuffix": "_drill"}
    _, lines = explained(tmp_path, schedule(drill=drill))
    assert lines[-1] == "  next drill: 2026-11-29T05:00:00Z  nightly-drill-2026-11-29t05-00-00"
    code, lines = explained(tmp_path, schedule(drill={"schedule": "0 5 * * 0"}))
    assert code == 3
    assert lines[2].startswith("  InvalidDrill: spec.drill.databaseSuffix: is missing")


def test_a_zone_with_daylight_saving(tmp_path: Path) -> None:
    before = datetime(2026, 10, 24, tzinfo=UTC)
    _, lines = explained(tmp_path, schedule(timeZone="Europe/Berlin"), at=before)

    assert [line.split()[0] for line in lines[3:6]] == [
        "2026-10-24T01:00:00Z",
        "2026-10-25T02:00:00Z",
        "2026-10-26T02:00:00Z",
    ]


def test_every_counts_from_creation_or_from_now_where_there_is_none(tmp_path: Path) -> None:
    _, lines = explained(tmp_path, schedule(schedule="@every 7h"))
    assert lines[3].split()[0] == "2026-11-23T10:30:00Z"
    created = schedule(schedule="@every 7h")
    created["metadata"]["creationTimestamp"] = "2026-11-23T00:00:00Z"
    _, lines = explained(tmp_path, created)
    assert lines[3].split()[0] == "2026-11-23T07:00:00Z"


def test_what_is_kept_and_deleted_and_why(tmp_path: Path) -> None:
    found = [backup(18), backup(19, "Failed"), backup(20), backup(21), backup(23, "Running")]
    gone = backup(22, deletionTimestamp="2026-11-23T03:00:00Z")
    code, lines = explained(tmp_path, schedule(maxBackups=1, failedBackupsLimit=0), *found, gone)

    assert code == 0
    name = "nightly-2026-11-{}t03-00-00".format
    assert lines[8:] == [
        "  its Backups, oldest first:",
        f"    delete  {name(18)}  Complete  RetentionMaxBackups: more than 1 complete ones (maxBackups)",
        f"    delete  {name(19)}  Failed  RetentionFailedLimit: more than 0 failed ones (failedBackupsLimit)",
        f"    delete  {name(20)}  Complete  RetentionMaxBackups: more than 1 complete ones (maxBackups)",
        f"    keep    {name(21)}  Complete  the newest 1 complete ones stay (minBackups)",
        f"    delete  {name(22)}  Complete  is being deleted",
        f"    keep    {name(23)}  Running  has not ended",
    ]


def test_by_age(tmp_path: Path) -> None:
    code, lines = explained(
        tmp_path, schedule(maxReservedTime="2d", minBackups=0), backup(21), backup(22), backup(23, "")
    )

    assert code == 0
    assert [line.split()[0] for line in lines[9:]] == ["delete", "keep", "keep"]
    assert "before 2026-11-24T03:00:00Z" in lines[10]
    assert lines[11].endswith("Pending  has not ended")


def test_a_list_as_kubectl_writes_it(tmp_path: Path) -> None:
    items = [schedule(maxReservedTime="1s", minBackups=0), backup(21)]
    code, lines = explained(tmp_path, {"apiVersion": "v1", "kind": "List", "items": items})

    assert code == 0
    assert "delete" in lines[-1]


def test_times_that_yaml_takes_for_times(tmp_path: Path) -> None:
    unquoted = backup(21, creationTimestamp=datetime(2026, 11, 21, 3, tzinfo=UTC))
    _, lines = explained(tmp_path, schedule(maxReservedTime="1s", minBackups=0), unquoted)

    assert lines[-1].startswith("    delete")


@pytest.mark.parametrize(
    "stranger",
    [
        backup(21, labels={}),
        backup(21, annotations={}),
        backup(21, namespace="elsewhere"),
        backup(21, labels={SCHEDULE_LABEL: "another"}),
    ],
)
def test_what_no_schedule_of_the_file_made_is_kept(tmp_path: Path, stranger: dict[str, Any]) -> None:
    code, lines = explained(tmp_path, schedule(maxReservedTime="1s", minBackups=0), stranger)

    meta = stranger["metadata"]
    assert code == 0
    assert "  its Backups, oldest first:" not in lines
    assert lines[-2:] == [
        "not made by these schedules, and kept:",
        f"  Backup {meta['namespace']}/{meta['name']}",
    ]


def test_a_paused_one(tmp_path: Path) -> None:
    code, lines = explained(tmp_path, schedule(pause=True))

    assert code == 0
    assert lines[1].startswith("  Paused: ")
    assert lines[2] == "  due next, and skipped:"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (schedule(schedule="* * * * * *"), "  InvalidSchedule: spec.schedule: '* * * * * *': has 6 fields"),
        (schedule(timeZone="Mars/Olympus"), "  UnknownZone: spec.timeZone: 'Mars/Olympus'"),
        (schedule(template=None), "  InvalidTemplate: spec.backupTemplate: is missing"),
        (schedule(maxReservedTime="soon"), "  InvalidRetention: spec.maxReservedTime: 'soon'"),
        (schedule(maxBackups=-1), "  invalid: spec.maxBackups: -1"),
        (schedule(maxBackups="many"), "  invalid: spec.maxBackups: 'many'"),
        (schedule(maxbackups=1), "  invalid: spec.maxbackups: no such field"),
        (
            schedule({"from": {"host": "tidb"}, "s3": {"provider": "aws", "bucket": "ab"}}),
            "  InvalidTemplate",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, found: dict[str, Any], line: str) -> None:
    code, lines = explained(tmp_path, found)

    assert code == 3
    assert [each for each in lines if each.startswith(line)] != [], lines


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (backup(21), "holds no pingcap.com/v1alpha1 BackupSchedule"),
        (schedule() | {"metadata": None}, "a BackupSchedule has no metadata.name"),
        (backup(21, uid=""), "Backup nightly-2026-11-21t03-00-00: metadata has no uid"),
        (
            backup(21) | {"status": {"phase": 7}},
            "Backup nightly-2026-11-21t03-00-00: status.phase: 7: must be",
        ),
    ],
)
def test_what_cannot_be_explained(tmp_path: Path, found: dict[str, Any], why: str) -> None:
    code, (line,) = explained(tmp_path, found)

    assert code == 2
    assert why in line


def test_the_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(yaml.safe_dump(schedule()).encode())))
    assert main(["explain", "-", "--at", "2026-11-23T04:30:00+01:00"]) == 0
    assert "at 2026-11-23T03:30:00Z" in capsys.readouterr().out
    assert main(["explain", str(tmp_path / "none.yaml")]) == 2
    assert "tidbbackup explain: " in capsys.readouterr().err


def test_without_a_time_it_is_now(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(schedule()))
    assert main(["explain", str(tmp_path / "file.yaml")]) == 0
    assert f"at {datetime.now(UTC):%Y}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path", [path for path in BACKUPS if "schedule" in path.name], ids=lambda path: path.name
)
def test_the_specifications_examples(tmp_path: Path, path: Path) -> None:
    code, lines = explained(tmp_path, load(path))

    assert code == 0, lines
    assert lines[3].split()[0] == "2026-11-23T03:32:00Z"


def test_a_backup_with_a_wrong_field_is_told_with_its_path_and_line(tmp_path: Path) -> None:
    wrong = backup(23) | {"spec": TEMPLATE | {"from": {"host": "tidb", "secretName": "db", "port": "x"}}}
    code, (line,) = explained(tmp_path, schedule(), wrong)
    assert code == 2
    assert "spec.from.port: 'x': must be of type integer (line " in line
