"""The example ValidatingAdmissionPolicy on a real API server: the accounts and volumes a Backup may name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from manifests.compose import FOLDER
from tests.cluster.api import JSON
from tests.cluster.control_plane import ControlPlane, KubectlFailed, control_plane
from tests.cluster.lab import apply_crds
from tests.integration.account import NAMESPACE
from tests.integration.bare import API, a_backup, apply, eventually

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def policed() -> AsyncIterator[ControlPlane]:
    """With our CRDs, the example policy, and a namespace `policed` with a Backup from before it."""
    async with control_plane() as plane:
        await apply_crds(plane)
        await _enforce(plane)
        yield plane


async def _enforce(plane: ControlPlane) -> None:
    await plane.kubectl_run("create", "namespace", NAMESPACE)
    await plane.kubectl_run("create", "namespace", "policed")
    old = a_backup("old", "policed", serviceAccount="admin")
    old["metadata"]["finalizers"] = ["tidb.pingcap.com/backup-protection"]
    await apply(plane, old)
    await plane.kubectl_run("apply", "-k", FOLDER / "policy")

    async def in_force() -> bool:
        try:
            await apply(plane, a_backup("probe", "policed", serviceAccount="admin"))
        except KubectlFailed:
            return True
        await plane.kubectl_run("-n", "policed", "delete", "backup", "probe")
        return False

    await eventually(in_force)


HOST_PATH = [{"name": "v", "hostPath": {"path": "/"}}]
ALLOWED: list[JSON] = [
    {},
    {"serviceAccount": "backup"},
    {"serviceAccount": ""},
    {"additionalVolumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "c"}}]},
]
FORBIDDEN: list[tuple[JSON, str]] = [
    ({"serviceAccount": "admin"}, "serviceAccount has to be one of default,backup, not admin"),
    ({"additionalVolumes": HOST_PATH}, "additionalVolumes may be of these kinds only: configMap,emptyDir,"),
    ({"additionalVolumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "additionalVolumes may be of"),
]


def _schedule(name: str, template: JSON, **spec: Any) -> JSON:
    found = a_backup(name, "policed", **template) | {"kind": "BackupSchedule"}
    found["spec"] = {"schedule": "@daily", **spec, "backupTemplate": found["spec"]}
    return found


@pytest.mark.parametrize("spec", ALLOWED, ids=str)
async def test_the_policy_lets_in_what_is_allowed(policed: ControlPlane, spec: JSON) -> None:
    await apply(policed, a_backup("allowed", "policed", **spec))
    await apply(policed, _schedule("allowed", spec))
    await policed.kubectl_run("-n", "policed", "delete", "backup,backupschedule", "allowed")


@pytest.mark.parametrize(("spec", "message"), FORBIDDEN, ids=str)
async def test_the_policy_refuses_the_rest_and_says_why(
    policed: ControlPlane, spec: JSON, message: str
) -> None:
    for manifest in (a_backup("no", "policed", **spec), _schedule("no", spec)):
        with pytest.raises(KubectlFailed, match=message):
            await apply(policed, manifest)


async def test_the_policy_looks_at_the_schedules_own_account_too(policed: ControlPlane) -> None:
    await apply(policed, _schedule("own", {}, serviceAccount="backup"))
    with pytest.raises(KubectlFailed, match="not admin"):
        await apply(policed, _schedule("no", {}, serviceAccount="admin"))


async def test_the_policy_holds_for_changes_but_lets_go_what_was_there(policed: ControlPlane) -> None:
    await apply(policed, a_backup("changed", "policed"))
    with pytest.raises(KubectlFailed, match="not admin"):
        await apply(policed, a_backup("changed", "policed", serviceAccount="admin"))
    path = f"{API}/policed/backups/old"
    await policed.api.delete(path)
    # What the controller does when it has finished with it.
    await policed.api.patch(path, {"metadata": {"finalizers": None}})
    assert not await policed.api.is_ok(path)


async def test_the_api_server_finds_no_fault_with_its_expressions(policed: ControlPlane) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/tidbbackup-allowed"

    async def looked_at() -> bool:
        status = (await policed.api.get(path)).get("status", {})
        return bool(status.get("observedGeneration"))

    await eventually(looked_at)
    checked = (await policed.api.get(path))["status"]["typeChecking"]
    assert checked.get("expressionWarnings", []) == []
