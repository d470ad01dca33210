"""The shipped manifests on a real API server: accepted, restricted, and as narrow as they say."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from manifests.compose import FOLDER, kustomize
from tests.cluster.api import JSON, ApiRefused, connect
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.lab import Controller, apply_crds, start_controller
from tests.cluster.ports import free_port
from tests.cluster.processes import ProcessDied
from tests.integration.account import LEASE, NAMESPACE, account_kubeconfig, apply_rights, deeds, token
from tests.integration.bare import API, a_backup, apply, eventually, phase_of
from tests.manifests.shipped import documents

pytestmark = pytest.mark.integration

CHOSEN = ("team-a", "team-b")
JOBS = "/apis/batch/v1/namespaces/owners/jobs"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane() -> AsyncIterator[ControlPlane]:
    """One with our CRDs, no node, and the admission plugin that OpenShift has on."""
    flags = ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]
    async with control_plane(apiserver_flags=flags) as started:
        await apply_crds(started)
        yield started


async def test_install_yaml_is_taken_and_its_pod_is_let_in(plane: ControlPlane) -> None:
    """By strict validation, without a warning, and by a namespace that enforces `restricted`."""
    said = await plane.kubectl_run("apply", "--warnings-as-errors", "-f", FOLDER / "install.yaml")
    assert said.count(" created") == len(documents("install.yaml"))
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    async def made() -> bool:
        return len((await plane.api.get(pods))["items"]) == 2

    await eventually(made)
    made_pods = (await plane.api.get(pods))["items"]
    assert {pod["status"]["phase"] for pod in made_pods} == {"Pending"}, "there is no node"
    await plane.kubectl_run("-n", NAMESPACE, "delete", "deployment", "--all")


async def test_applied_again_it_changes_nothing(plane: ControlPlane) -> None:
    async def generations() -> list[tuple[str, str, int]]:
        text = await plane.kubectl_run("get", "-ojson", "-f", FOLDER / "install.yaml")
        metas = [(found["kind"], found["metadata"]) for found in json.loads(text)["items"]]
        return [(kind, meta["name"], meta.get("generation", 0)) for kind, meta in metas]

    await plane.kubectl_run("apply", "-f", FOLDER / "install.yaml")
    before = await generations()
    await plane.kubectl_run("apply", "-f", FOLDER / "install.yaml")

    assert await generations() == before
    await plane.kubectl_run("-n", NAMESPACE, "delete", "deployment", "--all")


async def test_people_have_the_rights_of_their_role_on_backups_too(plane: ControlPlane) -> None:
    await apply_rights(plane)
    await plane.kubectl_run("create", "namespace", "people")
    for role in ("view", "edit", "admin"):
        binding = ("rolebinding", role, f"--clusterrole={role}", f"--user={role}")
        await plane.kubectl_run("-n", "people", "create", *binding)

    async def may(user: str, verb: str, resource: str, subresource: str = "") -> bool:
        asked = {"namespace": "people", "group": "pingcap.com", "verb": verb, "resource": resource}
        review = {"spec": {"user": user, "resourceAttributes": asked | {"subresource": subresource}}}
        answer = await plane.api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    async def aggregated() -> bool:
        return await may("view", "get", "backups") and await may("admin", "create", "restores")

    await eventually(aggregated)
    assert await may("edit", "list", "restores")
    assert await may("edit", "patch", "backupschedules")
    assert not await may("view", "create", "backups")
    assert not await may("edit", "patch", "backups", "status")
    await plane.kubectl_run("delete", "namespace", "people", "--wait=false")


async def test_update_on_finalizers_is_what_block_owner_deletion_takes(plane: ControlPlane) -> None:
    await apply_rights(plane)
    await plane.kubectl_run("create", "namespace", "owners")
    await apply(plane, a_backup("bk", "owners"))
    uid = (await plane.api.get(f"{API}/owners/backups/bk"))["metadata"]["uid"]
    numbers = itertools.count()
    async with connect(plane.url, plane.ca, await token(plane)) as api:
        await api.create(JOBS, _job("with-the-right", uid))
        role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/tidbbackup-controller"
        rules = (await plane.api.get(role))["rules"]
        await plane.api.patch(
            role, {"rules": [r for r in rules if "backups/finalizers" not in r["resources"]]}
        )

        async def is_refused() -> bool:
            try:
                await api.create(JOBS, _job(f"without-{next(numbers)}", uid))
            except ApiRefused as refused:
                return refused.status == 403 and "cannot set blockOwnerDeletion" in str(refused)
            return False

        await eventually(is_refused)
    await plane.kubectl_run("delete", "namespace", "owners", "--wait=false")


def _job(name: str, owner: str) -> JSON:
    reference = {
        "apiVersion": "pingcap.com/v1alpha1",
        "kind": "Backup",
        "name": "bk",
        "uid": owner,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    return {
        "metadata": {"name": name, "ownerReferences": [reference]},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }


async def _rights_in_chosen_namespaces(plane: ControlPlane) -> list[JSON]:
    """The rights of the overlay, and none of install.yaml's that another test has left."""
    await plane.kubectl_run("delete", "clusterrolebinding", "tidbbackup-controller", "--ignore-not-found")
    await apply(plane, *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in CHOSEN))
    manifests = list(yaml.safe_load_all(kustomize(plane.kubectl, FOLDER / "namespaced")))
    await apply_rights(plane, manifests)
    return manifests


async def test_chosen_namespaces_and_no_others(plane: ControlPlane) -> None:
    chosen, other = CHOSEN, "team-c"
    await _rights_in_chosen_namespaces(plane)
    await plane.kubectl_run("create", "namespace", other)
    flags = [*LEASE, "--kubeconfig", str(await account_kubeconfig(plane)), "--namespaces", ",".join(chosen)]
    controller = await start_controller(plane, flags, name="namespaced")
    await apply(plane, *(a_backup("bk", namespace) for namespace in (*chosen, other)))

    async def begun() -> bool:
        return [await phase_of(plane, namespace, "bk") for namespace in chosen] == ["Scheduled"] * 2

    await eventually(begun)
    assert await phase_of(plane, other, "bk") == ""
    assert (await plane.api.get(f"/apis/batch/v1/namespaces/{other}/jobs"))["items"] == []
    for namespace in chosen:
        await plane.kubectl_run("-n", namespace, "delete", "backup", "bk", "--timeout=20s")
    assert 'tidbbackup_backups{namespace="team-c"' not in await controller.metrics()
    assert await controller.stop() == 0
    done = list(deeds(plane))
    assert [deed for deed in done if deed.code in (401, 403) and deed.namespace in chosen] == []
    assert {deed.namespace for deed in done if deed.right.resource == "backups/status"} == set(chosen)


async def test_a_namespace_without_the_rights_is_named_and_waited_for(plane: ControlPlane) -> None:
    manifests = await _rights_in_chosen_namespaces(plane)
    port, account = free_port(), str(await account_kubeconfig(plane))
    flags = [*LEASE, "--kubeconfig", account, "--metrics-host=127.0.0.1", "--metrics-port", str(port)]
    program = str(Path(sys.executable).with_name("tidbbackup"))
    argv = [program, "controller", *flags, "--namespaces=team-a,team-d"]
    child = await plane.processes.start("half-blind", argv, grace=15)
    controller = Controller(plane, port, child)
    ours = ("backupschedules.pingcap.com", "backups.pingcap.com", "restores.pingcap.com")
    kinds = (*ours, "jobs.batch", "pods")

    async def says_what_is_missing() -> bool:
        wanted = {f"{kind} in team-d: not listed yet" for kind in kinds}
        return set(await _readiness(controller)) == wanted

    await eventually(says_what_is_missing)
    assert "backups.pingcap.com in team-d: GET /apis/pingcap.com" in controller.log()
    await plane.kubectl_run("create", "namespace", "team-d")
    given = [found for found in manifests if found["metadata"].get("namespace") == "team-a"]
    for found in given:
        found["metadata"]["namespace"] = "team-d"
    await apply_rights(plane, given)
    await eventually(controller.ready, seconds=40)
    assert await controller.stop() == 0


async def _readiness(controller: Controller) -> list[str]:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{controller.url}/readyz") as answer:
            return (await answer.text()).splitlines()
    except aiohttp.ClientError:
        return []


async def test_without_the_right_to_read_the_crds_it_says_which_role_is_missing(plane: ControlPlane) -> None:
    await apply_rights(plane)
    await plane.kubectl_run("delete", "clusterrolebinding", "tidbbackup-crd-reader")
    flags = [*LEASE, "--kubeconfig", str(await account_kubeconfig(plane))]
    with pytest.raises(
        ProcessDied, match="bind the ClusterRole tidbbackup-crd-reader of manifests/rbac/account"
    ):
        await start_controller(plane, flags, name="without-crd-reader")


async def test_uninstalling_as_the_page_says_ends_and_deletes_no_archive(plane: ControlPlane) -> None:
    """The last test here: the CRDs are gone."""
    await plane.kubectl_run("apply", "--server-side", "--force-conflicts", "-f", FOLDER / "install.yaml")
    await plane.kubectl_run("create", "namespace", "leaving")
    kept = a_backup("kept", "leaving", cleanPolicy="Delete")
    kept["metadata"]["finalizers"] = ["tidb.pingcap.com/backup-protection"]
    await apply(plane, kept)
    status = {"phase": "Complete", "observedGeneration": 1, "conditions": [_condition("Complete")]}
    await plane.kubectl_run(
        *("-n", "leaving", "patch", "backup", "kept", "--subresource=status", "--type=merge"),
        f"-p={json.dumps({'status': status})}",
    )
    flags = [*LEASE, "--kubeconfig", str(await account_kubeconfig(plane))]
    controller = await start_controller(plane, flags, name="uninstalled")
    await apply(plane, a_backup("pending", "leaving", cleanPolicy="Delete"))

    async def scheduled() -> bool:
        return await phase_of(plane, "leaving", "pending") == "Scheduled"

    await eventually(scheduled)

    page = (FOLDER.parent / "docs" / "how-to" / "install.md").read_text().partition("## Uninstall")[2]
    await _shell(plane, page.partition("```sh\n")[2].partition("```")[0])

    assert (await plane.kubectl_run("get", "crd", "-oname")).strip() == ""
    made = {deed.name for deed in deeds(plane) if deed.right.verb == "create" and deed.namespace == "leaving"}
    assert "backup-pending" in made
    assert not any(name.startswith("aftermath-") for name in made)
    await controller.stop()


def _condition(kind: str) -> JSON:
    since = "2026-11-23T03:00:00Z"
    return {
        "type": kind,
        "status": "True",
        "reason": "ArchiveStored",
        "message": "",
        "lastTransitionTime": since,
    }


async def _shell(plane: ControlPlane, script: str) -> None:
    environment = plane.environment
    environment["PATH"] = f"{plane.kubectl.parent}:{environment['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script), env=environment, cwd=FOLDER.parent
    )
    async with asyncio.timeout(60):
        assert await shell.wait() == 0
