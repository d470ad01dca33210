"""The shipped rights, by the API server's own log: enough for all that is done, and not one too many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tests.cluster.lab import Lab
from tests.integration.account import LEASE, USER, Right, account_kubeconfig, apply_rights, deeds, granted
from tests.integration.faults import before_database, other_controller, within
from tests.integration.hold_proxy import TABLE_DUMP
from tests.integration.scene import Scene, phase, why
from tests.integration.schedule_scene import Schedules, hourly_half_an_hour_from_now, name_at
from tests.manifests.shipped import documents

pytestmark = pytest.mark.integration

SHIPPED = documents("install.yaml")
BOUND = {found["roleRef"]["name"] for found in SHIPPED if "roleRef" in found}
ROLES = [found for found in SHIPPED if "rules" in found and found["metadata"]["name"] in BOUND]

UNSEEN = {Right("pingcap.com", f"{kind}/finalizers", "update") for kind in ("backups", "restores")}
"""Checked by an admission plugin within another request: tests/integration/test_install.py shows what for."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def restricted(lab: Lab) -> AsyncIterator[Lab]:
    """The lab, with a controller that has the shipped rights and no others."""
    await apply_rights(lab.plane)
    flags = [*LEASE, "--kubeconfig", str(await account_kubeconfig(lab.plane))]
    async with other_controller(lab, flags):
        yield lab


async def test_they_are_enough_and_none_is_too_much(restricted: Lab, scene: Scene) -> None:
    await asyncio.gather(
        _completes_and_is_cleaned(scene),
        _never_starts(scene),
        _loses_its_job(scene),
        _is_stopped(scene),
        _is_made_by_a_schedule_and_expires(scene),
        _is_restored_and_expires(scene),
        _is_drilled(scene),
    )
    # Last, as it takes the keys away from all others.
    await _cannot_be_cleaned(scene)

    done = set(deeds(restricted.plane))
    denied = {deed for deed in done if deed.code in (401, 403)}
    used = {deed.right for deed in done}
    assert denied == set()
    assert sorted(used - granted(ROLES)) == []
    assert granted(ROLES) - used == UNSEEN


async def test_it_never_asks_for_a_secret(restricted: Lab) -> None:
    asked = [deed for deed in deeds(restricted.plane) if deed.right.resource == "secrets"]

    assert asked == []


async def test_it_could_not_do_what_it_does_not(restricted: Lab) -> None:
    assert await _may(restricted, "create", "jobs.batch")
    for verb, resource in (
        ("get", "secrets"),
        ("list", "secrets"),
        ("create", "pods"),
        ("create", "backupschedules.pingcap.com"),
        ("patch", "backupschedules.pingcap.com"),
        ("delete", "backupschedules.pingcap.com"),
        ("deletecollection", "backups.pingcap.com"),
        ("deletecollection", "restores.pingcap.com"),
        ("update", "customresourcedefinitions.apiextensions.k8s.io"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("impersonate", "serviceaccounts"),
        ("list", "leases.coordination.k8s.io"),
        ("delete", "leases.coordination.k8s.io"),
    ):
        assert not await _may(restricted, verb, resource), (verb, resource)


async def _completes_and_is_cleaned(scene: Scene) -> None:
    await scene.apply(scene.backup("good", cleanPolicy="Delete"))
    backup = await scene.until_over("good")
    assert phase(backup) == "Complete", why(backup)
    await scene.delete("good")
    await scene.until_gone("good")


async def _never_starts(scene: Scene) -> None:
    await scene.apply(scene.backup("waits", serviceAccount="nobody", pendingDeadlineSeconds=3))
    reason, _ = why(await scene.until_phase("Failed", "waits"))
    assert reason == "ServiceAccountMissing", "known from Events alone"


async def _loses_its_job(scene: Scene) -> None:
    await scene.apply(scene.backup("robbed", nodeSelector={"disk": "nobody-has-it"}))
    await scene.until_phase("Scheduled", "robbed")
    await scene.kubectl("delete", "job", "backup-robbed", "--wait=false")
    reason, _ = why(await scene.until_phase("Failed", "robbed"))
    assert reason == "JobDeleted"


async def _is_stopped(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        await scene.apply(scene.backup("stopped", source={"host": "127.0.0.1", "port": proxy.port}))
        await within(proxy.reached)
        await scene.delete("stopped")
        await scene.until_gone("stopped")


async def _is_made_by_a_schedule_and_expires(scene: Scene) -> None:
    made = Schedules(scene)
    when = hourly_half_an_hour_from_now()
    await made.create("hourly", when, maxReservedTime="1s", minBackups=0)
    # The run that was due half an hour ago: so no clock has to be waited for.
    await made.put_back("hourly", 1)
    await scene.until_said("RetentionExpired", "hourly", 60)
    await scene.until_gone((await made.get("hourly"))["status"]["lastBackup"])


async def _is_restored_and_expires(scene: Scene) -> None:
    whole = scene.backup("unused")["spec"]
    s3 = {name: value for name, value in whole["s3"].items() if name != "bucket"}
    spec = {
        "to": whole["from"],
        "s3": s3 | {"path": f"s3://{scene.bucket}/not-there.tgz"},
        "ttlSecondsAfterFinished": 1,
    }
    meta = {"name": "loaded", "namespace": scene.namespace}
    await scene.apply(
        {"apiVersion": "pingcap.com/v1alpha1", "kind": "Restore", "metadata": meta, "spec": spec}
    )
    await scene.until_said("Expired", "loaded", 60)


async def _is_drilled(scene: Scene) -> None:
    made, when = Schedules(scene), hourly_half_an_hour_from_now()
    await made.create("drilled", when, drill={"schedule": when, "databaseSuffix": "_rights"})
    await made.put_back("drilled", 1)
    await made.until(lambda status: "lastSuccessfulBackup" in status, "drilled", 60)
    # Somebody holds the name of its first drill.
    minute = datetime.now(UTC).replace(minute=int(when.split()[0]), second=0, microsecond=0)
    due = minute if minute <= datetime.now(UTC) else minute - timedelta(hours=1)
    meta = {"name": name_at("drilled-drill", due), "namespace": scene.namespace}
    await scene.apply({"apiVersion": "pingcap.com/v1alpha1", "kind": "Restore", "metadata": meta, "spec": {}})
    await made.drills_put_back("drilled", 1)
    await scene.until_said("DrillSkipped", "drilled", 60)
    other = f"{(due.minute + 5) % 60} * * * *"
    patch = json.dumps({"spec": {"drill": {"schedule": other}}})
    await scene.kubectl("patch", "bks", "drilled", "--type=merge", "-p", patch)
    await scene.until_said("DrillCreated", "drilled", 60)


async def _cannot_be_cleaned(scene: Scene) -> None:
    await scene.apply(scene.backup("sticky", cleanPolicy="Delete"))
    await scene.until_phase("Complete", "sticky")
    keys = {"access_key": scene.lab.store.access_key, "secret_key": "wrong"}
    await scene.secret("s3-secret", keys)
    await scene.delete("sticky")
    await scene.until_phase("CleanFailed", "sticky")
    await scene.secret("s3-secret", keys | {"secret_key": scene.lab.store.secret_key})
    # The second try, after the pause.
    await scene.until_gone("sticky")


async def _may(lab: Lab, verb: str, resource: str) -> bool:
    plural, _, group = resource.partition(".")
    review = {
        "spec": {
            "user": USER,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {"verb": verb, "resource": plural, "group": group},
        }
    }
    answer = await lab.plane.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
