"""The example ValidatingAdmissionPolicy on a real API server: what a Backup may choose for its pods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from string import Template
from typing import Any

import pytest
import pytest_asyncio
import yaml

from manifests.compose import FOLDER
from tests.cluster.api import JSON, ApiRefused
from tests.cluster.control_plane import ControlPlane, KubectlFailed, control_plane
from tests.cluster.lab import EXAMPLES, apply_crds
from tests.integration.account import NAMESPACE
from tests.integration.bare import API, a_backup, apply, eventually, would_take

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
    await plane.kubectl_run("create", "namespace", "test1")
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
    {"additionalVolumeMounts": [{"name": "v", "mountPath": "/ca"}, {"name": "w", "mountPath": "/mnt/a/b"}]},
    {"env": [{"name": "TZ", "value": "UTC"}, {"name": "AWS_REGION", "valueFrom": {"configMapKeyRef": {}}}]},
    {"env": [{"name": "TZ", "valueFrom": {"secretKeyRef": {"name": "s3-secret", "key": "tz"}}}]},
    {"env": [], "imagePullSecrets": [], "podSecurityContext": {}, "priorityClassName": "", "podLabels": {}},
    {"imagePullSecrets": [{"name": "s3-secret"}], "podSecurityContext": {"fsGroup": 7}},
    {"podLabels": {"sidecar.istio.io/inject": "false"}},
]
TOKEN = {
    "name": "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}},
}
EVIL = {"host": "evil.example", "secretName": "backup-demo1-tidb-secret"}
KUBE2IAM = {"iam.amazonaws.com/role": "arn:aws:iam::123456789012:role/admin"}
FORBIDDEN: list[tuple[JSON, str]] = [
    ({"serviceAccount": "admin"}, "serviceAccount has to be one of default,backup,.*, not admin"),
    ({"additionalVolumes": HOST_PATH}, "additionalVolumes may be of these kinds only: configMap,emptyDir,"),
    ({"additionalVolumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "additionalVolumes may be of"),
    ({"additionalVolumes": [{"name": "v", "projected": {"sources": []}}]}, "additionalVolumes may be of"),
    (
        {"additionalVolumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data-mysql-0"}}]},
        "additionalVolumes may name these claims only",
    ),
    # Another Secret's value, sent to any host.
    ({"env": [TOKEN]}, "env may take its values from these Secrets only"),
    ({"env": [{**TOKEN, "name": "TZ"}]}, "env may take its values from these Secrets only"),
    ({"env": [{"name": "TZ", "valueFrom": {"secretKeyRef": {}}}]}, "env may take its values from"),
    ({"env": [{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "https://e"}]}, "env may set these"),
    # Code of one's own in the worker.
    *(
        ({"env": [{"name": name, "value": "/x"}]}, "env may set these variables only: TZ,AWS_REGION")
        for name in ("PATH", "PYTHONPATH", "LD_PRELOAD", "AWS_CONFIG_FILE", "HTTPS_PROXY")
    ),
    *(
        ({"additionalVolumeMounts": [{"name": "v", "mountPath": path}]}, "additionalVolumeMounts may mount")
        for path in ("/usr/bin", "/", "/mnt/../usr", "/mnt2", "usr", "")
    ),
    ({"additionalVolumeMounts": [{"name": "v"}]}, "additionalVolumeMounts may mount"),
    # Secrets that the user may not read, and hosts of the user's own.
    ({"from": EVIL}, "from.host has to be one of tidb,"),
    ({"from": {"host": "tidb", "secretName": "other"}}, "may name these Secrets only"),
    ({"from": {"host": "tidb", "secretName": "s3-secret", "tlsClientSecretName": "o"}}, "may name these"),
    ({"s3": {"provider": "aws", "bucket": "b", "secretName": "other"}}, "may name these Secrets only"),
    ({"s3": {"provider": "aws", "bucket": "b", "caSecretName": "other"}}, "may name these Secrets only"),
    ({"s3": {"provider": "ceph", "bucket": "b", "endpoint": "https://evil"}}, "s3.endpoint has to be one of"),
    ({"imagePullSecrets": [{"name": "other"}]}, "imagePullSecrets may name these Secrets only"),
    ({"podLabels": {"team": "admin"}}, "podLabels may be these only: sidecar.istio.io/inject"),
    ({"podSecurityContext": {"runAsUser": 0}}, "podSecurityContext may have these fields only: fsGroup,"),
    ({"podSecurityContext": {"fsGroup": 7, "seLinuxOptions": {}}}, "podSecurityContext may have these"),
    ({"priorityClassName": "system-node-critical"}, "priorityClassName has to be one of"),
]


def _backup(name: str, **spec: Any) -> JSON:
    """One that names what the policy allows."""
    usual = {
        "from": {"host": "tidb", "secretName": "backup-demo1-tidb-secret"},
        "s3": {"provider": "aws", "region": "us-east-1", "bucket": "backups", "secretName": "s3-secret"},
    }
    return a_backup(name, "policed", **(usual | spec))


def _schedule(name: str, template: JSON, **spec: Any) -> JSON:
    found = _backup(name, **template) | {"kind": "BackupSchedule"}
    found["spec"] = {"schedule": "@daily", **spec, "backupTemplate": found["spec"]}
    return found


def _restore(name: str, spec: JSON) -> JSON:
    """The same of a Restore."""
    manifest = _backup(name, **spec)
    wanted = manifest["spec"]
    s3 = {field: value for field, value in wanted.pop("s3").items() if field != "bucket"}
    wanted |= {"to": wanted.pop("from"), "s3": s3 | {"path": "s3://b/a.tgz"}}
    return manifest | {"kind": "Restore"}


@pytest.mark.parametrize("spec", ALLOWED, ids=str)
async def test_the_policy_lets_in_what_is_allowed(policed: ControlPlane, spec: JSON) -> None:
    for manifest in (_backup("allowed", **spec), _schedule("allowed", spec), _restore("allowed", spec)):
        await would_take(policed, manifest)


@pytest.mark.parametrize(("spec", "message"), FORBIDDEN, ids=str)
async def test_the_policy_refuses_the_rest_and_says_why(
    policed: ControlPlane, spec: JSON, message: str
) -> None:
    for manifest in (_backup("no", **spec), _schedule("no", spec), _restore("no", spec)):
        with pytest.raises(ApiRefused, match=message):
            await would_take(policed, manifest)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("backup-*.yaml")))
async def test_the_policy_lets_in_the_examples(policed: ControlPlane, name: str) -> None:
    values = {"tidb_host": "tidb", "tidb_port": "4000", "tidb_user": "root", "bucket": "b"}
    values |= {"region": "us-east-1", "endpoint": "http://10.0.0.1"}
    text = (EXAMPLES / name).read_text().replace("# endpoint:", "endpoint: ${endpoint}")
    manifest = yaml.safe_load(Template(text).substitute(values))
    await would_take(policed, manifest)


def _annotated(manifest: JSON, **annotations: str) -> JSON:
    manifest["metadata"]["annotations"] = annotations
    return manifest


@pytest.mark.parametrize(
    "annotations", [KUBE2IAM, {"vault.hashicorp.com/agent-inject": "true"}, {"plain": ""}], ids=str
)
async def test_the_policy_looks_at_annotations_that_travel(policed: ControlPlane, annotations: JSON) -> None:
    words = "annotations travel to the pods and may be these only: iam.amazonaws.com/role=.*user"
    for manifest in (_backup("notes"), _schedule("notes", {})):
        with pytest.raises(KubectlFailed, match=words):
            await apply(policed, _annotated(manifest, **annotations))
        # Also of one that is there: the cleaning's pod has them too.
        await apply(policed, _annotated(manifest, **{"argocd.argoproj.io/tracking-id": "x"}))
        with pytest.raises(KubectlFailed, match=words):
            await apply(policed, _annotated(manifest, **annotations))
    await policed.kubectl_run("-n", "policed", "delete", "backup,backupschedule", "notes")


async def test_the_policy_takes_a_star_for_all(policed: ControlPlane) -> None:
    path = "/api/v1/namespaces/tidbbackup-system/configmaps/tidbbackup-allowed"
    lists = (await policed.api.get(path))["data"]
    spec = _backup("star", **{"from": EVIL, "env": [TOKEN], "priorityClassName": "x"})
    try:
        await policed.api.patch(path, {"data": dict.fromkeys(lists, "*")})

        async def let_in() -> bool:
            try:
                await apply(policed, spec)
            except KubectlFailed:
                return False
            return True

        await eventually(let_in)
    finally:
        await policed.api.patch(path, {"data": lists})
    with pytest.raises(KubectlFailed):
        await apply(policed, _backup("other", env=[TOKEN]))


async def test_the_policy_looks_at_the_schedules_own_account_too(policed: ControlPlane) -> None:
    await apply(policed, _schedule("own", {}, serviceAccount="backup"))
    with pytest.raises(KubectlFailed, match="not admin"):
        await apply(policed, _schedule("no", {}, serviceAccount="admin"))


async def test_the_policy_holds_for_changes_but_lets_go_what_was_there(policed: ControlPlane) -> None:
    await apply(policed, _backup("changed"))
    with pytest.raises(KubectlFailed, match="not admin"):
        await apply(policed, _backup("changed", serviceAccount="admin"))
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
