"""The Job and its pod: what they hold, and what they must never hold.

Here is also what decide/pod.py promises.
"""

from typing import Any

import pytest

from tests.decide.builders import IMAGE, UID, aftermath_job, backup, backup_job, going, task_of
from tidbbackup.decide import render
from tidbbackup.decide.pod import WorkerImage, pod_annotations
from tidbbackup.decide.render import AFTERMATH_SECONDS
from tidbbackup.model.contract.aftermath import Aftermath, Data, Part
from tidbbackup.model.contract.task import decode_task
from tidbbackup.model.names import BACKUP_LABEL, COMPONENT, MADE_OF
from tidbbackup.model.resource.backup import Backup

ALL = Aftermath((Part.CLEAN, Part.RELEASE), Data.DELETE)


def pod_of(found: Backup) -> dict[str, Any]:
    """The pod of a Backup's Job."""
    pod: dict[str, Any] = backup_job(found, IMAGE)["spec"]["template"]["spec"]
    return pod


def container_of(found: Backup) -> dict[str, Any]:
    """Its one container."""
    (container,) = pod_of(found)["containers"]
    whole: dict[str, Any] = container
    return whole


def environment(container: dict[str, Any]) -> dict[str, Any]:
    """The container's environment: value or reference by name."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def secret(name: str, key: str) -> dict[str, Any]:
    """A reference to a key of a Secret."""
    return {"secretKeyRef": {"name": name, "key": key}}


def test_the_job() -> None:
    job = backup_job(backup(), IMAGE)
    labels = {
        "app.kubernetes.io/name": "tidbbackup",
        "app.kubernetes.io/component": "backup",
        "app.kubernetes.io/managed-by": "tidbbackup",
        "tidb.pingcap.com/backup": "demo",
    }
    owner = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "name": "demo", "uid": UID}

    assert job["metadata"] == {
        "name": "backup-demo",
        "namespace": "ns",
        "labels": labels,
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    assert job["spec"]["backoffLimit"] == 0
    (rule,) = job["spec"]["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert job["spec"]["template"]["metadata"]["labels"] == labels
    assert "activeDeadlineSeconds" not in job["spec"]
    assert "ttlSecondsAfterFinished" not in job["spec"]


def test_the_same_backup_makes_the_same_job() -> None:
    assert backup_job(backup(), IMAGE) == backup_job(backup(), IMAGE)


def test_an_aftermath_tells_what_it_was_made_of() -> None:
    def mark(found: Backup, image: WorkerImage = IMAGE) -> str:
        made: str = aftermath_job(found, image, ALL)["metadata"]["annotations"][MADE_OF]
        return made

    assert mark(backup()) == mark(backup(annotations={"argocd.argoproj.io/sync": "now"}))
    others = [mark(backup({"serviceAccount": "sa"})), mark(backup(), WorkerImage("w:2"))]
    assert len({mark(backup()), *others}) == 3


def test_the_pod_is_hardened() -> None:
    pod, container = pod_of(backup()), container_of(backup())

    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (container["terminationMessagePath"], container["terminationMessagePolicy"]) == (
        "/dev/termination-log",
        "File",
    )


def test_the_container_and_its_environment() -> None:
    container = container_of(backup())
    found = environment(container)
    optional = {"secretKeyRef": {"name": "s3", "key": "session_token", "optional": True}}

    assert (container["name"], container["image"], container["imagePullPolicy"]) == (
        "backup",
        IMAGE.name,
        "IfNotPresent",
    )
    assert container["command"] == ["tidbbackup", "worker", "dump"]
    task = decode_task(found.pop("TIDBBACKUP_TASK"))
    assert (task.backup, task.uid, task.target.bucket, bool(task.aftermath)) == ("demo", UID, "bucket", False)
    assert found == {
        "STAGING_DIR": "/backup",
        "RUN_DIR": "/run/tidbbackup",
        "DB_TLS_DIR": "/tls/db",
        "S3_TLS_DIR": "/tls/s3",
        "TERMINATION_LOG": "/dev/termination-log",
        "DB_PASSWORD": secret("db", "password"),
        "POD_IP": {"fieldRef": {"fieldPath": "status.podIP"}},
        "AWS_ACCESS_KEY_ID": secret("s3", "access_key"),
        "AWS_SECRET_ACCESS_KEY": secret("s3", "secret_key"),
        "AWS_SESSION_TOKEN": optional,
    }


def test_without_a_secret_the_pod_has_no_keys() -> None:
    assert not [
        name for name in environment(container_of(backup(s3={"secretName": ""}))) if name.startswith("AWS_")
    ]


def test_iam_by_pod_and_by_service_account() -> None:
    role = {"iam.amazonaws.com/role": "arn:aws:iam::1:role/user"}
    template = backup_job(backup(annotations=role), IMAGE)["spec"]["template"]

    assert template["metadata"]["annotations"] == role
    assert "serviceAccountName" not in template["spec"]
    assert pod_of(backup({"serviceAccount": "sa"}))["serviceAccountName"] == "sa"


@pytest.mark.parametrize("text", ["$(DB_PASSWORD)", "$$(AWS_SECRET_ACCESS_KEY)", "\\$(POD_IP)"])
def test_nothing_in_the_task_is_expanded_by_kubernetes(text: str) -> None:
    found = backup({"mydumper": {"tableRegex": text}}, s3={"prefix": text}, from_={"user": text})
    task = environment(container_of(found))["TIDBBACKUP_TASK"]

    assert "$" not in task
    assert decode_task(task).dump.tableRegex == text
    assert decode_task(task).target.key.startswith(text)


@pytest.mark.parametrize(
    ("spec", "volume"),
    [
        ({}, {"emptyDir": {}}),
        ({"storageClassName": "fast"}, {"emptyDir": {}}),
        ({"storageSize": "1Gi"}, {}),
        ({"storageSize": "1Gi", "storageClassName": "fast"}, {"storageClassName": "fast"}),
        ({"storageSize": "1Gi", "storageClassName": ""}, {"storageClassName": ""}),
    ],
)
def test_the_staging_volume(spec: dict[str, Any], volume: dict[str, Any]) -> None:
    staging = next(each for each in pod_of(backup(spec))["volumes"] if each["name"] == "staging")
    if "storageSize" in spec:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}} | volume
        volume = {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}

    assert staging == {"name": "staging"} | volume
    assert {"name": "staging", "mountPath": "/backup"} in container_of(backup(spec))["volumeMounts"]


def test_tls_secrets_are_mounted_not_read() -> None:
    found = backup(from_={"tlsClientSecretName": "db-tls-secret"}, s3={"caSecretName": "ca-secret"})
    volumes = {each["name"]: each for each in pod_of(found)["volumes"]}
    mounts = {each["name"]: each for each in container_of(found)["volumeMounts"]}

    assert volumes["db-tls"]["secret"] == {"secretName": "db-tls-secret"}
    assert volumes["s3-tls"]["secret"] == {"secretName": "ca-secret"}
    assert mounts["db-tls"] == {"name": "db-tls", "mountPath": "/tls/db", "readOnly": True}
    assert mounts["s3-tls"] == {"name": "s3-tls", "mountPath": "/tls/s3", "readOnly": True}
    assert mounts["run"] == {"name": "run", "mountPath": "/run/tidbbackup"}
    assert volumes["run"]["emptyDir"]["medium"] == "Memory"


def test_what_is_passed_on_goes_in_as_it_is() -> None:
    spec = {
        "resources": {"limits": {"memory": "1Gi"}},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "nodeSelector": {"disk": "ssd"},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "pull"}],
        "activeDeadlineSeconds": 60,
        "podSecurityContext": {"fsGroup": 7},
        "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}],
        "additionalVolumes": [{"name": "extra", "emptyDir": {}}],
        "additionalVolumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    }
    pod, container = pod_of(backup(spec)), container_of(backup(spec))

    for name in ("tolerations", "affinity", "nodeSelector", "priorityClassName", "imagePullSecrets"):
        assert pod[name] == spec[name]
    assert pod["activeDeadlineSeconds"] == 60
    assert (pod["securityContext"]["fsGroup"], pod["securityContext"]["runAsUser"]) == (7, 65532)
    assert container["resources"] == spec["resources"]
    assert container["env"][-1:] == spec["env"]
    assert {"name": "extra", "emptyDir": {}} in pod["volumes"]
    assert {"name": "extra", "mountPath": "/extra"} in container["volumeMounts"]
    plain = pod_of(backup())
    assert not {"tolerations", "affinity", "nodeSelector", "activeDeadlineSeconds"} & plain.keys()


def test_which_annotations_travel() -> None:
    stay = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "argocd.argoproj.io/tracking-id": "x",
        "kustomize.toolkit.fluxcd.io/reconcile": "x",
        "meta.helm.sh/release-name": "x",
        "tidb.pingcap.com/due-time": "x",
    }
    travel = {"iam.amazonaws.com/role": "x", "sidecar.istio.io/inject": "false", "plain": "x"}

    assert pod_annotations(stay | travel) == travel


def test_the_job_of_the_aftermath() -> None:
    spec = {"activeDeadlineSeconds": 1, "storageSize": "1Gi", "serviceAccount": "sa"}
    found = backup(spec, from_={"tlsClientSecretName": "gone"}, s3={"caSecretName": "ca"})
    job = aftermath_job(found, WorkerImage("w", "Always"), ALL)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert job["metadata"]["name"] == "aftermath-demo"
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "aftermath"
    assert container["command"] == ["tidbbackup", "worker", "aftermath"]
    assert container["imagePullPolicy"] == "Always"
    assert decode_task(environment(container)["TIDBBACKUP_TASK"]).aftermath == ALL
    assert pod["serviceAccountName"] == "sa"
    # Neither the dump's deadline nor a Secret that is gone keeps it from its work.
    assert pod["activeDeadlineSeconds"] == AFTERMATH_SECONDS
    secrets = [each["secret"] for each in pod["volumes"] if "secret" in each]
    assert [(each["secretName"], each["optional"]) for each in secrets] == [("gone", True), ("ca", True)]
    keys = [value["secretKeyRef"] for value in environment(container).values() if "secretKeyRef" in value]
    assert [(each["name"], each["optional"]) for each in keys] == [("db", True)] + [("s3", True)] * 3


SMALL = {"limits": {"memory": "8Mi", "cpu": 1}, "requests": {"memory": "8Mi", "cpu": "1"}}
ENOUGH = {"limits": {"memory": "128Mi", "cpu": 1}, "requests": {"memory": "128Mi", "cpu": "1"}}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, None),
        ({}, None),
        ({"requests": {"cpu": "2"}}, {"requests": {"cpu": "2"}}),
        ({"limits": {"memory": "128Mi", "cpu": "4"}}, {"limits": {"memory": "128Mi", "cpu": "4"}}),
        ({"limits": {"memory": "1Gi"}, "claims": []}, {"limits": {"memory": "1Gi"}, "claims": []}),
        # Seen on a kubelet: OOMKilled like the dump before it, a cleaning never ended.
        (SMALL, ENOUGH),
        ({"limits": {"memory": 8388608}}, {"limits": {"memory": "128Mi"}, "requests": {"memory": "128Mi"}}),
        # The API server says what is wrong with these.
        ({"limits": {"memory": "much"}}, {"limits": {"memory": "much"}}),
        ({"limits": "none"}, {"limits": "none"}),
        ({"limits": {"memory": 1}, "requests": "no"}, {"limits": {"memory": 1}, "requests": "no"}),
    ],
)
def test_all_other_jobs_have_the_backups_resources_and_enough_memory(asked: Any, expected: Any) -> None:
    """What a quota or a LimitRange admits for the backup, it admits for them."""
    found = backup({"resources": asked})
    for job in others(found):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container.get("resources") == expected
    assert container_of(found).get("resources") == (asked or None)


def others(found: Backup) -> list[dict[str, Any]]:
    """All Jobs but the backup's."""
    return [aftermath_job(found, IMAGE, ALL), aftermath_job(found, IMAGE, Aftermath((Part.INSPECT,)))]


def test_labels_for_the_pods_reach_all_and_override_none_of_ours() -> None:
    wanted = {"sidecar.istio.io/inject": "false", "team": ""}
    found = backup({"podLabels": wanted | {BACKUP_LABEL: "other", COMPONENT: "x"}})
    jobs = (
        render.backup_job(found, task_of(backup()), IMAGE),
        render.aftermath_job(found, task_of(backup()), IMAGE, ALL),
    )
    for job in jobs:
        ours = job["metadata"]["labels"]
        assert wanted.items().isdisjoint(ours.items())
        assert job["spec"]["template"]["metadata"]["labels"] == wanted | ours


def test_a_job_that_waits_is_made_anew_with_other_labels_or_resources_for_its_pod() -> None:
    made = [job["metadata"]["annotations"][MADE_OF] for job in others(backup())]
    for spec in ({"podLabels": {"a": "b"}}, {"resources": {"limits": {"cpu": 1}}}):
        again = [job["metadata"]["annotations"][MADE_OF] for job in others(backup(spec))]
        assert all(one != other for one, other in zip(made, again, strict=True))


def test_a_long_name_fits_everywhere() -> None:
    job = backup_job(backup(name="a." * 126 + "b"), IMAGE)

    assert len(job["metadata"]["name"]) <= 63
    assert all(len(value) <= 63 for value in job["metadata"]["labels"].values())
    assert job["metadata"]["ownerReferences"][0]["name"] == "a." * 126 + "b"


def test_an_aftermath_has_the_authority_that_an_option_names_and_no_other_volume() -> None:
    found = backup(
        {
            "additionalVolumes": [{"name": "ca", "secret": {"secretName": "x"}}, {"name": "other"}],
            "additionalVolumeMounts": [
                {"name": "other", "mountPath": "/"},
                {"name": "ca", "mountPath": "/ca"},
                {"name": "other", "mountPath": "/ca-not"},
            ],
        },
        s3={"options": ["--ca-cert=/ca/ca.pem"]},
    )
    for job in others(found):
        pod = job["spec"]["template"]["spec"]
        assert [volume["name"] for volume in pod["volumes"]] == ["ca", "run"]
        assert [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]] == [
            "/ca",
            "/run/tidbbackup",
        ]


def test_what_is_made_for_a_backup_that_goes_is_not_in_the_way_of_its_deletion() -> None:
    """In a foreground deletion the garbage collector would delete whatever blocks it, each time it looks."""
    for found, blocks in ((backup(), True), (going(), False)):
        for job in others(found):
            (owner,) = job["metadata"]["ownerReferences"]
            assert owner["blockOwnerDeletion"] == blocks
