"""Whose a Backup is: one that was copied or restored tells of another object, and nothing is done with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.schedule_builders import BEGIN, child, schedule
from tests.test_backup_metrics import gauges
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.plan import Announce, SetFinalizers
from tidbbackup.decide.progress import stale_patch, worker_address
from tidbbackup.decide.schedule.retention import fates
from tidbbackup.decide.schedule.scheduled import ScheduleFacts
from tidbbackup.model.names import BEGUN_UID, FINALIZER
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase, Progress

OTHER = "89abcdef-89ab-cdef-0123-456789abcdef"
OTHERS_URL = "s3://bucket/backup-20260101T000000Z-89abcdef.tgz"
PHASES = ("", *Phase)
COPIES: dict[str, dict[str, Any]] = {
    "applied from get -o yaml": {"annotations": {BEGUN_UID: OTHER}, "finalizers": ()},
    "with the finalizer": {"annotations": {BEGUN_UID: OTHER}},
    "its annotation was emptied": {"annotations": {BEGUN_UID: ""}},
    "of a version before the annotation": {"path": OTHERS_URL},
    "its annotation was set to its own uid": {"annotations": {BEGUN_UID: UID}, "path": OTHERS_URL},
    "the same uid, made at another time": {"path": URL.replace("T03", "T04")},
    "both": {"annotations": {BEGUN_UID: OTHER}, "path": OTHERS_URL},
    "the annotation although the path is its own": {"annotations": {BEGUN_UID: OTHER}, "path": URL},
}


def plain(phase: str = "", path: str = "", **meta: Any) -> Backup:
    """A Backup with just these marks; the status is empty where there is neither phase nor path."""
    told = status(phase, backupPath=path) if phase else BackupStatus(backupPath=path)
    found = backup({"cleanPolicy": "Delete", "ttlSecondsAfterFinished": 0}, told, **meta)
    asked = meta.get("annotations", {})
    return attrs.evolve(found, metadata=attrs.evolve(found.metadata, annotations=asked))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_neither_run_nor_cleaned_nor_counted(kind: str, phase: str) -> None:
    copy = plain(phase, **COPIES[kind])
    assert copy.foreign

    for found in (facts(copy), facts(copy, job=job(), pods=(done(),)), facts(copy, evidence=NO_RUN)):
        (said,) = run_backup.decide(found, later(90_000)).actions
        assert isinstance(said, Announce)
        assert said.reason == "ForeignBackup"
        assert (
            "neither run nor cleaned nor counted: it is a copy of another Backup or was restored"
            in said.message
        )
        assert "annotation" in said.message or "create a Backup from its spec alone" in said.message

    left = attrs.evolve(copy, metadata=attrs.evolve(copy.metadata, deletionTimestamp=NOW))
    for found in (facts(left), facts(left, job=job(), pods=(pod("Running", running()),))):
        ours = FINALIZER in copy.metadata.finalizers
        assert outline(gc.decide(found, later(9))) == (["finalizers "] if ours else [])

    assert gauges(copy)["tidbbackup_backups"] == {}
    pods = (attrs.evolve(running_pod(), status=attrs.evolve(running_pod().status, podIP="10.0.0.1")),)
    assert worker_address(copy, [job()], pods) == ""
    assert stale_patch(attrs.evolve(copy, status=attrs.evolve(copy.status, progress=Progress()))) is None


def running_pod() -> Any:
    """A worker at work."""
    return pod("Running", running())


@pytest.mark.parametrize("phase", PHASES)
def test_a_schedule_neither_waits_for_copies_nor_keeps_or_removes_them(phase: str) -> None:
    copy = child(BEGIN, phase)
    annotations = copy.metadata.annotations | {BEGUN_UID: OTHER}
    copy = attrs.evolve(copy, metadata=attrs.evolve(copy.metadata, annotations=annotations))
    late = BEGIN + timedelta(days=900)

    known = ScheduleFacts(schedule(maxReservedTime="1s", minBackups=0, failedBackupsLimit=0), (copy,))
    assert (known.made, known.active, fates(known, late)) == ((), (), ())


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "path", ["", URL, "s3://bucket/deep/er/" + URL.rpartition("/")[2], URL[:-4] + ".tar.zst"]
)
def test_one_that_a_version_before_has_begun_is_ours_and_is_marked(phase: str, path: str) -> None:
    """It has the finalizer and no annotation; a user may also have removed that."""
    found = plain(phase, path)
    assert not found.foreign

    (mark,) = run_backup.decide(facts(found), later(90_000)).actions

    assert isinstance(mark, SetFinalizers)
    assert (mark.finalizers, mark.annotations) == ((FINALIZER,), {BEGUN_UID: UID})
    marked = plain(phase, path, annotations={BEGUN_UID: UID})
    assert not marked.foreign
    again = plan_or_look(run_backup.decide, facts(marked), later(1))
    assert not [action for action in getattr(again, "actions", ()) if isinstance(action, SetFinalizers)]


def test_one_that_has_not_begun_is_marked_with_the_finalizer_in_one_patch() -> None:
    (mark,) = run_backup.decide(facts(backup(finalizers=("other",))), NOW).actions

    assert isinstance(mark, SetFinalizers)
    assert (mark.finalizers, mark.annotations) == (("other", FINALIZER), {BEGUN_UID: UID})


def test_an_archive_elsewhere_is_never_called_deleted() -> None:
    """spec.s3 was edited behind the schema: what is at status.backupPath is not what would be deleted."""
    moved = going("Delete", status("Complete", backupPath=URL.replace("bucket", "former")))
    plan = gc.decide(facts(moved, evidence=NO_RUN), later(9))

    assert outline(plan)[-2:] == ["Warning CleanFailed", "status CleanFailed"]
    assert "create" not in str(outline(plan))
    text = (
        f"status.backupPath is {URL.replace('bucket', 'former')}, but by spec.s3 the archive would be {URL}"
    )
    assert text in str(plan.actions)
