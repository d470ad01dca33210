"""Schedules as their users see them. All that have to wait for a minute wait for the same one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
import yaml
from attrs import frozen

from tests.integration.faults import no_controller
from tests.integration.scene import JSON, Scene, phase, why
from tests.integration.schedule_scene import (
    GROUP,
    NOBODY_HAS,
    Schedules,
    asked_at,
    daily_at,
    hourly_half_an_hour_from_now,
    minute_ahead,
    name_at,
    sleep_until,
    wire,
)
from tidbbackup.model.names import BEGUN_UID

pytestmark = pytest.mark.integration

INSTANCE = "app.kubernetes.io/instance"
# They have one name in common, and here each its own.
EXAMPLES = {name: f"demo1-{name}" for name in ("s3", "ceph", "s3-iam-pod", "s3-iam-service-account")}


@frozen
class Due:
    """Schedules that were all due at one time, which has come."""

    schedules: Schedules
    at: datetime

    @property
    def scene(self) -> Scene:
        """Where they are."""
        return self.schedules.scene

    def name(self, schedule: str) -> str:
        """The Backup of one of them."""
        return name_at(schedule, self.at)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def due(place: Scene) -> AsyncIterator[Due]:
    """Every schedule of this module that has to wait, a moment after its due time."""
    made = Schedules(place)
    await place.kubectl("create", "serviceaccount", "tidb-backup-manager")
    at = await minute_ahead()
    when = daily_at(at)
    for name in EXAMPLES:
        await place.apply(example(place, name, when))
    await made.create("paused", when, pause=True)
    await place.apply(place.backup(name_at("taken", at), **NOBODY_HAS))
    await made.create("taken", when)
    await made.create("brief", when, {"s3": {"prefix": "brief"}}, maxReservedTime="1s", minBackups=0)
    await made.create("failing", when, {"s3": {"bucket": "there-is-none"}}, failedBackupsLimit=0)
    for name, template in (("managed", {"s3": {"prefix": "managed"}}), ("managed-too", NOBODY_HAS)):
        manifest = made.manifest(name, when, template)
        tracked = {"argocd.argoproj.io/tracking-id": f"shop:pingcap.com/BackupSchedule:ns/{name}"}
        manifest["metadata"] |= {"labels": {INSTANCE: "shop"}, "annotations": {"team": "shop"} | tracked}
        await place.apply(manifest)
    await sleep_until(at)
    yield Due(made, at)


def example(scene: Scene, name: str, when: str) -> JSON:
    """An example of the specification, filled in, due soon."""
    manifest: JSON = yaml.safe_load(scene.lab.example(f"backup-schedule-{name}.yaml"))
    manifest["metadata"] |= {"name": EXAMPLES[name], "namespace": scene.namespace}
    assert manifest["spec"]["schedule"] == "*/2 * * * *"
    manifest["spec"]["schedule"] = when
    manifest["spec"]["backupTemplate"]["s3"]["bucket"] = scene.bucket
    return manifest


async def test_each_has_one_backup_within_a_second(due: Due) -> None:
    for schedule in (*EXAMPLES.values(), "managed"):
        (backup,) = await due.schedules.until_made(1, schedule)
        assert backup["metadata"]["name"] == due.name(schedule)
        late = asked_at(due.scene)[due.name(schedule)] - due.at
        assert timedelta() <= late < timedelta(seconds=1), (schedule, late)


@pytest.mark.parametrize("name", ["s3", "ceph"])
async def test_the_examples_with_keys_complete(due: Due, name: str) -> None:
    schedule = EXAMPLES[name]
    backup = await due.scene.until_over(due.name(schedule))

    assert phase(backup) == "Complete", why(backup)
    status = await due.schedules.until(lambda found: "lastSuccessfulTime" in found, schedule)
    assert status["lastBackup"] == status["lastSuccessfulBackup"] == due.name(schedule)
    assert status["lastBackupTime"] == wire(due.at)
    assert status["nextBackupTime"] == wire(due.at + timedelta(days=1))
    assert "active" not in status


async def test_the_examples_with_roles_reach_the_pod(due: Due) -> None:
    for name in ("s3-iam-pod", "s3-iam-service-account"):
        await due.scene.until(lambda found: phase(found) != "", due.name(EXAMPLES[name]))
    specs = {job["metadata"]["name"]: job["spec"]["template"] for job in await due.scene.jobs()}
    with_role = specs[f"backup-{due.name(EXAMPLES['s3-iam-pod'])}"]
    with_account = specs[f"backup-{due.name(EXAMPLES['s3-iam-service-account'])}"]

    assert with_role["metadata"]["annotations"] == {
        "iam.amazonaws.com/role": "arn:aws:iam::123456789012:role/user"
    }
    assert with_account["spec"]["serviceAccountName"] == "tidb-backup-manager"


async def test_what_a_backup_of_a_schedule_carries(due: Due) -> None:
    (backup,) = await due.schedules.until_made(1, "managed")
    meta, schedule = backup["metadata"], await due.schedules.get("managed")

    assert meta["labels"] == {"tidb.pingcap.com/backup-schedule": "managed"}
    # Once it has begun it has one more.
    assert {name: text for name, text in meta["annotations"].items() if name != BEGUN_UID} == {
        "team": "shop",
        "tidb.pingcap.com/due-time": wire(due.at),
        "tidb.pingcap.com/schedule-uid": schedule["metadata"]["uid"],
        "argocd.argoproj.io/sync-options": "Prune=false",
    }
    assert "ownerReferences" not in meta


async def test_a_paused_one_makes_none_and_counts_it(due: Due) -> None:
    status = await due.schedules.until(lambda found: found.get("pausedRuns") == 1, "paused")

    assert await due.schedules.backups("paused") == []
    assert ready(status)[:2] == ("False", "Paused")
    assert "nextBackupTime" not in status
    assert "SkippedPaused" in {reason for _, reason, _ in await due.scene.events("paused")}


async def test_a_backup_of_somebody_else_holds_the_name(due: Due) -> None:
    status = await due.schedules.until(lambda found: found.get("missedRuns") == 1, "taken")

    assert f"a Backup {due.name('taken')} that is not of this schedule" in await due.scene.until_said(
        "MissedNameTaken", "taken"
    )
    assert status["nextBackupTime"] == wire(due.at + timedelta(days=1)), "the next goes on"
    foreign = await due.scene.get(due.name("taken"))
    assert foreign is not None
    assert "labels" not in foreign["metadata"]


async def test_what_is_too_old_goes_and_its_archive_with_it(due: Due) -> None:
    assert due.name("brief") in await due.scene.until_said("RetentionExpired", "brief", 60)
    await due.scene.until_gone(due.name("brief"))

    assert [key for key in await due.scene.objects() if key.startswith("brief/")] == []
    status = await due.schedules.until(lambda found: "active" not in found, "brief")
    assert status["lastSuccessfulBackup"] == due.name("brief"), "what was is not forgotten"


async def test_failed_ones_go_by_their_own_limit(due: Due) -> None:
    message = await due.scene.until_said("RetentionFailedLimit", "failing", 60)

    assert message == f"{due.name('failing')} is removed: more than 0 failed ones (failedBackupsLimit)"
    await due.scene.until_gone(due.name("failing"))


async def test_pruned_it_leaves_backups_runs_and_data(due: Due) -> None:
    """As a GitOps tool does with what has left its repository: all that bears its label."""
    scene, name, other = due.scene, due.name("managed"), due.name("managed-too")
    backup = await scene.until_over(name)
    assert phase(backup) == "Complete", why(backup)
    await scene.until_phase("Scheduled", other)
    stored = {key for key in await scene.objects() if key.startswith("managed/")}
    made = {each for each in await scene.made() if "managed" in each}
    assert {each.partition(" ")[0] for each in made} == {"job", "pod", "claim"}

    kinds = "backups,backupschedules,jobs,pods,persistentvolumeclaims"
    answer = await scene.kubectl("delete", kinds, "-l", f"{INSTANCE}=shop", "-oname")

    pruned = ["backupschedule.pingcap.com/managed", "backupschedule.pingcap.com/managed-too"]
    assert answer.split() == pruned
    # Made again, as such a tool would: its former Backups are still to be seen, and still there.
    await due.schedules.create("managed", hourly_half_an_hour_from_now())
    await due.schedules.until(lambda found: found.get("lastBackup") == name, "managed")
    for each in (name, other):
        left = await scene.get(each)
        assert left is not None
        assert "deletionTimestamp" not in left["metadata"]
    assert {each for each in await scene.made() if "managed" in each} >= made
    assert {key for key in await scene.objects() if key.startswith("managed/")} == stored
    assert len(stored) == 2


@pytest.mark.parametrize(
    ("name", "spec", "reason", "message"),
    [
        ("six", {"schedule": "* * * * * *"}, "InvalidSchedule", "spec.schedule: '* * * * * *': has 6 fields"),
        ("never", {"schedule": "0 0 30 2 *"}, "InvalidSchedule", "is never due: no year has such a day"),
        ("long", {"schedule": "*" * 10_000}, "InvalidSchedule", "has 10000 characters and may have 256"),
        ("zone", {"timeZone": "Mars/Olympus"}, "UnknownZone", "'Mars/Olympus': write the name of a zone"),
        ("empty", {"backupTemplate": None}, "InvalidTemplate", "spec.backupTemplate: is missing: say what"),
    ],
)
async def test_hostile_input_is_taken_and_answered(
    place: Scene, name: str, spec: JSON, reason: str, message: str
) -> None:
    made = Schedules(place)
    given = {"schedule": hourly_half_an_hour_from_now()} | spec
    await made.create(name, given.pop("schedule"), None, **given)
    status = await made.until(lambda found: "conditions" in found, name)

    assert ready(status)[:2] == ("False", reason)
    assert message in ready(status)[2]
    assert (await place.until_said(reason, name)) == ready(status)[2][:1024]
    corrected = {"schedule": hourly_half_an_hour_from_now(), "timeZone": "UTC"}
    template = made.manifest(name, "")["spec"]["backupTemplate"]
    change = {"spec": corrected | {"backupTemplate": template}}
    await place.lab.plane.api.patch(f"{made.path}/{name}", change)
    await made.until(lambda found: ready(found)[0] == "True" and "nextBackupTime" in found, name)


async def test_a_template_that_cannot_work_says_where(place: Scene) -> None:
    made = Schedules(place)
    await made.create("wrong", hourly_half_an_hour_from_now(), {"s3": {"bucket": "ab"}})
    status = await made.until(lambda found: "conditions" in found, "wrong")

    assert ready(status)[:2] == ("False", "InvalidTemplate")
    assert ready(status)[2].startswith("spec.backupTemplate.s3.bucket: 'ab': a bucket's name has 3")


async def test_retention_by_number_keeps_the_newest(place: Scene) -> None:
    """One run is the catch-up after an hour's downtime, the next a copy, due later: no clock is waited for.

    A copy by another name is somebody's own: it is neither counted nor removed.
    """
    made = Schedules(place)
    await made.create("few", hourly_half_an_hour_from_now(), maxBackups=1, concurrencyPolicy="Allow")
    await made.put_back("few", 1)
    (first,) = await made.until_made(1, "few")
    assert phase(await place.until_over(first["metadata"]["name"])) == "Complete"
    meta, due_time = first["metadata"], "tidb.pingcap.com/due-time"
    due = datetime.fromisoformat(meta["annotations"][due_time]) + timedelta(minutes=1)
    by_hand = meta | {"name": "few-again"}
    next_one = meta | {
        "name": name_at("few", due),
        "annotations": meta["annotations"] | {due_time: wire(due)},
    }
    for other in (by_hand, next_one):
        body = newer(first | {"metadata": other})
        await place.lab.plane.api.create(f"{GROUP}/namespaces/{place.namespace}/backups", body)
        assert phase(await place.until_over(other["name"])) == "Complete"

    await place.until_gone(meta["name"])
    left = {each["metadata"]["name"] for each in await made.backups("few")}
    assert left == {"few-again", next_one["name"]}
    assert "more than 1 complete ones (maxBackups)" in await place.until_said("RetentionMaxBackups", "few")


def newer(backup: JSON) -> JSON:
    """As to be created, with the same labels and annotations but the one that would make it a copy."""
    kept = ("name", "namespace", "labels", "annotations")
    meta = {field: backup["metadata"][field] for field in kept}
    meta["annotations"] = {name: text for name, text in meta["annotations"].items() if name != BEGUN_UID}
    return {field: backup[field] for field in ("apiVersion", "kind", "spec")} | {"metadata": meta}


async def test_after_hours_without_a_controller_one_run_is_made_up_for(place: Scene) -> None:
    made = Schedules(place)
    await made.create("late", hourly_half_an_hour_from_now(), NOBODY_HAS)
    await made.until(lambda found: "nextBackupTime" in found, "late")
    async with no_controller(place.lab):
        await made.put_back("late", 5)
    (backup,) = await made.until_made(1, "late")
    status = await made.until(lambda found: found.get("missedRuns") == 4, "late")

    assert status["lastBackup"] == backup["metadata"]["name"]
    assert "4 due before" in await place.until_said("MissedDowntime", "late")
    async with no_controller(place.lab):
        pass
    await place.kubectl("annotate", "backupschedule", "late", "seen=again")
    await place.kubectl("patch", "bks", "late", "--type=merge", "-p", '{"spec":{"maxBackups":7}}')
    generation = (await made.get("late"))["metadata"]["generation"]
    status = await made.until(lambda found: found.get("observedGeneration") == generation, "late")
    assert status["missedRuns"] == 4
    assert len(await made.backups("late")) == 1


def ready(status: JSON) -> tuple[str, str, str]:
    """Status, reason and message of the condition Ready."""
    condition = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), None)
    return (condition["status"], condition["reason"], condition["message"]) if condition else ("", "", "")
