"""The pod of a worker: hardened, with what its spec asks for, and Secrets that are referenced, never read.

Must not know which Job the pod is for.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from tidbbackup.model.contract.progress import WORKER_PORT
from tidbbackup.model.contract.task import TASK_VARIABLE, WorkerTask, encode_task
from tidbbackup.model.resource.backup import BackupSpec
from tidbbackup.model.resource.kubernetes import CONTAINER
from tidbbackup.model.units import parse_quantity
from tidbbackup.model.wire import members, objects

STAGING = "staging"
"""Name of the volume for the dump; its claim is called `<pod>-staging`."""
STAGING_DIR = "/backup"
RUN_DIR = "/run/tidbbackup"
DB_TLS_DIR = "/tls/db"
S3_TLS_DIR = "/tls/s3"
TERMINATION_LOG = "/dev/termination-log"
# An aftermath runs in that. A limit below it may be why the dump failed: the aftermath must not.
_ENOUGH_MEMORY = "128Mi"
_USER = 65532
# SIGTERM has the worker abort its upload, which it promises to have done within 20 seconds.
_GRACE_SECONDS = 30

# Annotations of tools that manage the Backup itself: on a pod they would be taken for the tool's own.
_ANNOTATIONS_KEPT_BACK = (
    "kubectl.kubernetes.io/",
    "argocd.argoproj.io/",
    "meta.helm.sh/",
    "tidb.pingcap.com/",
)


@frozen
class WorkerImage:
    """The image that the worker's pods run, from the controller's settings."""

    name: str
    pull_policy: str = "IfNotPresent"


@frozen
class Work:
    """What tells one verb's Job from another's."""

    component: str
    verb: str
    task: WorkerTask
    environment: list[dict[str, Any]]
    volumes: list[dict[str, Any]]
    mounts: list[dict[str, Any]]
    secrets_optional: bool = False


def pod_spec(work: Work, spec: BackupSpec, image: WorkerImage) -> dict[str, Any]:
    """The spec of the pod that does this work, with what a Backup's or Restore's spec asks for."""
    return _pod(spec, _container(work, spec, image), _volumes(work, spec))


def staging_volume(spec: BackupSpec) -> dict[str, Any]:
    """The volume for the dump: a claim of the pod's own, or the disk of its node."""
    if not spec.storageSize:
        return {"emptyDir": {}}
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": spec.storageSize}},
    }
    if spec.storageClassName is not None:
        claim["storageClassName"] = spec.storageClassName
    # Belongs to the pod and goes with it: no dump is left behind, no volume is shared by two runs.
    return {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def secret_key(secret: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    """A variable's value from a Secret; an optional one that is missing leaves the variable unset."""
    reference: dict[str, Any] = {"name": secret, "key": key}
    return {"secretKeyRef": reference | ({"optional": True} if optional else {})}


def _container(work: Work, spec: BackupSpec, image: WorkerImage) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "image": image.name,
        "imagePullPolicy": image.pull_policy,
        "command": ["tidbbackup", "worker", work.verb],
        "env": [
            {"name": TASK_VARIABLE, "value": encode_task(work.task)},
            *work.environment,
            *_worker_environment(spec, optional=work.secrets_optional),
        ],
        "volumeMounts": [*work.mounts, *_worker_mounts(spec)],
        # Without a declared port no PodMonitor finds the pod.
        "ports": [{"name": "metrics", "containerPort": WORKER_PORT}],
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    resources = members(spec.resources)
    if work.verb != "dump":
        resources = _with_enough_memory(resources)
    return container | ({"resources": resources} if resources else {})


def _with_enough_memory(resources: dict[str, Any]) -> dict[str, Any]:
    """The backup's own: what admits its pod (a ResourceQuota, a LimitRange) admits the same once more."""
    limits, requests = (resources.get(part) or {} for part in ("limits", "requests"))
    memory = {"memory": _ENOUGH_MEMORY}
    try:
        if parse_quantity(str(limits["memory"])) >= parse_quantity(_ENOUGH_MEMORY):
            return resources
        # The request too: a LimitRange may bound the ratio of the two.
        return resources | {"limits": limits | memory, "requests": requests | memory}
    except (KeyError, TypeError, ValueError):
        return resources  # No limit, or what cannot be read: the API server refuses it.


def _pod(spec: BackupSpec, container: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        | members(spec.podSecurityContext),
        "containers": [container],
        "volumes": volumes,
    }
    asked = {
        "serviceAccountName": spec.serviceAccount,
        "tolerations": objects(spec.tolerations),
        "affinity": members(spec.affinity),
        "nodeSelector": spec.nodeSelector,
        "priorityClassName": spec.priorityClassName,
        "imagePullSecrets": objects(spec.imagePullSecrets),
        # On the pod, not on the Job: a Job's deadline deletes the pod, and its message with it.
        "activeDeadlineSeconds": spec.activeDeadlineSeconds,
    }
    return pod | {name: value for name, value in asked.items() if value}


def _worker_environment(spec: BackupSpec, *, optional: bool) -> list[dict[str, Any]]:
    environment: list[dict[str, Any]] = [
        {"name": "RUN_DIR", "value": RUN_DIR},
        {"name": "DB_TLS_DIR", "value": DB_TLS_DIR},
        {"name": "S3_TLS_DIR", "value": S3_TLS_DIR},
        {"name": "TERMINATION_LOG", "value": TERMINATION_LOG},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    if spec.s3 and spec.s3.secretName:
        secret = spec.s3.secretName
        environment += [
            {"name": "AWS_ACCESS_KEY_ID", "valueFrom": secret_key(secret, "access_key", optional=optional)},
            {
                "name": "AWS_SECRET_ACCESS_KEY",
                "valueFrom": secret_key(secret, "secret_key", optional=optional),
            },
            {"name": "AWS_SESSION_TOKEN", "valueFrom": secret_key(secret, "session_token", optional=True)},
        ]
    return [*environment, *objects(spec.env)]


def _worker_volumes(spec: BackupSpec, *, optional: bool = False) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}]
    if spec.source and spec.source.tlsClientSecretName:
        volumes.append({"name": "db-tls", "secret": _secret(spec.source.tlsClientSecretName, optional)})
    if spec.s3 and spec.s3.caSecretName:
        volumes.append({"name": "s3-tls", "secret": _secret(spec.s3.caSecretName, optional)})
    return volumes


def _volumes(work: Work, spec: BackupSpec) -> list[dict[str, Any]]:
    return [*work.volumes, *_worker_volumes(spec, optional=work.secrets_optional)]


def _secret(name: str, optional: bool) -> dict[str, Any]:
    return {"secretName": name} | ({"optional": True} if optional else {})


def _worker_mounts(spec: BackupSpec) -> list[dict[str, Any]]:
    folders = {"run": RUN_DIR, "db-tls": DB_TLS_DIR, "s3-tls": S3_TLS_DIR}
    return [
        {"name": volume["name"], "mountPath": folders[volume["name"]]}
        | ({} if volume["name"] == "run" else {"readOnly": True})
        for volume in _worker_volumes(spec)
    ]


def pod_annotations(annotations: dict[str, str]) -> dict[str, str]:
    """The Backup's annotations that travel to its pods, such as `iam.amazonaws.com/role`."""
    return {
        name: value
        for name, value in annotations.items()
        if not name.startswith(_ANNOTATIONS_KEPT_BACK) and not name.split("/")[0].endswith(".fluxcd.io")
    }
