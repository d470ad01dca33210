"""What a manifest beside an archive proves, and what it does not."""

from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec
import pytest

from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.worker.archive.manifest import Manifest, ManifestDatabase, encode_manifest
from tidbbackup.worker.archive.tar import PackedFile
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.inspection import judge

TASK = WorkerTask("demo", "ns", "uid-1", ObjectTarget("ceph", "bucket", "k.tgz"))
BEGAN, ENDED = datetime(2026, 11, 23, 3, tzinfo=UTC), datetime(2026, 11, 23, 4, tzinfo=UTC)
WHOLE = Manifest(
    *("uid-1", "k.tgz", 1234, "00ff", "42", BEGAN, ENDED, "mydumper", "8.0"),
    files=(PackedFile("a.sql", 10),),
    databases=tuple(ManifestDatabase(f"db{number}", 1) for number in range(30)),
)


def test_a_manifest_of_this_very_archive_is_the_workers_word() -> None:
    found = judge(TASK, 1234, encode_manifest(WHOLE))

    assert (found.outcome, found.path) == (Outcome.COMPLETE, "s3://bucket/k.tgz")
    assert (found.size, found.checksum, found.commitTs) == (1234, "sha256:00ff", "42")
    assert (found.started, found.finished) == (BEGAN, ENDED)
    assert (len(found.databases), found.databases[0], found.databaseCount) == (20, "db0", 30)


@pytest.mark.parametrize(
    ("size", "changes", "message"),
    [
        (1234, {"uid": "another"}, "uid another, not uid-1"),
        (1234, {"key": "other.tgz"}, "key other.tgz, not k.tgz"),
        (1233, {}, "size 1234, not 1233"),
    ],
)
def test_one_of_another_archive_proves_nothing(size: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StepFailed, match=message) as failed:
        judge(TASK, size, encode_manifest(attrs.evolve(WHOLE, **changes)))

    assert failed.value.reason == reasons.RESULT_LOST


def test_one_of_a_former_attempt_proves_nothing_of_an_archive_as_large() -> None:
    """The attempt that wrote the archive died before its own manifest; key, uid and size are the same."""
    former = encode_manifest(attrs.evolve(WHOLE, run="attempt-1"))

    with pytest.raises(StepFailed, match="run attempt-1, not attempt-2") as failed:
        judge(TASK, 1234, former, "attempt-2")

    assert failed.value.reason == reasons.RESULT_LOST
    assert judge(TASK, 1234, former, "attempt-1").outcome is Outcome.COMPLETE
    assert judge(TASK, 1234, former).outcome is Outcome.COMPLETE, "a storage that keeps no metadata"
    assert judge(TASK, 1234, encode_manifest(WHOLE), "attempt-2").outcome is Outcome.COMPLETE, "an older one"


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", msgspec.json.encode({"uid": "uid-1"})])
def test_what_is_no_manifest_proves_nothing(body: bytes) -> None:
    with pytest.raises(StepFailed, match=r"the manifest of s3://bucket/k.tgz is none"):
        judge(TASK, 1234, body)
