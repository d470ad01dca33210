"""A Backup as the Job that runs it: deterministic name, no secret, hardened pod.

What the worker must know is in its environment; Secrets are referenced, never read. Must not know
whether the Job should be made.
"""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import msgspec
from attrs import frozen

from tidbbackup.decide.spec.restored import Resolved
from tidbbackup.decide.spec.storage_target import ca_mount
from tidbbackup.decide.status import Subject
from tidbbackup.model.contract.aftermath import Aftermath
from tidbbackup.model.contract.progress import WORKER_PORT
from tidbbackup.model.contract.task import PASSWORD_VARIABLE, TASK_VARIABLE, WorkerTask, encode_task
from tidbbackup.model.names import (
    API_VERSION,
    MADE_OF,
    RESTORE,
    job_name,
    labels,
)
from tidbbackup.model.resource.backup import Backup, BackupSpec
from tidbbackup.model.resource.kubernetes import CONTAINER, Job
from tidbbackup.model.resource.restore import Restore
from tidbbackup.model.units import parse_quantity
from tidbbackup.model.wire import members, objects

STAGING = "staging"
"""Name of the volume for the dump; its claim is called `<pod>-staging`."""
STAGING_DIR = "/backup"
RUN_DIR = "/run/tidbbackup"
DB_TLS_DIR = "/tls/db"
S3_TLS_DIR = "/tls/s3"
TERMINATION_LOG = "/dev/termination-log"
AFTERMATH_SECONDS = 3600
"""A pod of an aftermath that takes longer hangs: its node ends it, and it is tried again after a pause."""
# An aftermath runs in that. A limit below it may be why the dump failed: the aftermath must not.
_ENOUGH_MEMORY = "128Mi"
_USER = 65532
_DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]
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
class _Work:
    """What tells one verb's Job from another's."""

    component: str
    verb: str
    task: WorkerTask
    environment: list[dict[str, Any]]
    volumes: list[dict[str, Any]]
    mounts: list[dict[str, Any]]
    secrets_optional: bool = False


def backup_job(backup: Backup, task: WorkerTask, image: WorkerImage) -> dict[str, Any]:
    """The Job `backup-<bk>`: one pod, one try."""
    spec = backup.spec
    work = _Work(
        component="backup",
        verb="dump",
        task=task,
        environment=[
            {"name": "STAGING_DIR", "value": STAGING_DIR},
            {"name": PASSWORD_VARIABLE, "valueFrom": _secret_key(_source_secret(spec), "password")},
        ],
        volumes=[{"name": STAGING} | _staging(spec), *objects(spec.additionalVolumes)],
        mounts=[{"name": STAGING, "mountPath": STAGING_DIR}, *objects(spec.additionalVolumeMounts)],
    )
    return _job(work, backup, image, spec)


def aftermath_job(
    backup: Backup, task: WorkerTask, image: WorkerImage, aftermath: Aftermath
) -> dict[str, Any]:
    """The Job `aftermath-<bk>`: does what is left to do after a run, and can be made again and again.

    Every Secret of it is optional: one that is missing keeps the worker from one part, not from the others.
    """
    # A deadline that is short for a dump must not keep it from its work.
    spec = attrs.evolve(backup.spec, activeDeadlineSeconds=AFTERMATH_SECONDS)
    password = _secret_key(_source_secret(spec), "password", optional=True)
    volumes, mounts = _ca_volume(spec, task.target.transfer.caFile)
    work = _Work(
        "aftermath",
        "aftermath",
        attrs.evolve(task, aftermath=aftermath),
        environment=[{"name": PASSWORD_VARIABLE, "valueFrom": password}],
        volumes=volumes,
        mounts=mounts,
        secrets_optional=True,
    )
    job = _job(work, backup, image, spec)
    job["metadata"]["annotations"] = _made_of(job)
    return job


def restore_job(restore: Restore, resolved: Resolved, image: WorkerImage) -> dict[str, Any]:
    """The Job `restore-<rt>`: one pod, one try, no volume: the archive streams into the server."""
    password = _secret_key(_source_secret(resolved.spec), "password")
    work = _Work(
        RESTORE,
        "restore",
        resolved.task,
        environment=[{"name": PASSWORD_VARIABLE, "valueFrom": password}],
        volumes=[*objects(restore.spec.additionalVolumes)],
        mounts=[*objects(restore.spec.additionalVolumeMounts)],
    )
    return _job(work, restore, image, resolved.spec)


def idle_job(backup: Backup, image: WorkerImage) -> dict[str, Any]:
    """What could be created as `aftermath-<bk>` whatever the spec, only to ask whether a Job could be."""
    meta = backup.metadata
    pod = {"restartPolicy": "Never", "containers": [{"name": CONTAINER, "image": image.name}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name("aftermath", meta.name),
            "namespace": meta.namespace,
            "labels": labels("aftermath", meta.name),
        },
        "spec": {"template": {"spec": pod}},
    }


def is_outdated(job: Job, manifest: dict[str, Any]) -> bool:
    """Whether a Job was made of something else than the manifest by which it would be made now."""
    made_of = job.metadata.annotations.get(MADE_OF)
    return made_of is not None and made_of != manifest["metadata"]["annotations"][MADE_OF]


def _made_of(job: dict[str, Any]) -> dict[str, str]:
    # Without the pod's annotations: a tool that keeps the time there would have it created again for ever.
    template = job["spec"]["template"]
    template = template | {"metadata": {"labels": template["metadata"]["labels"]}}
    wire = msgspec.json.encode(job["spec"] | {"template": template}, order="deterministic")
    return {MADE_OF: hashlib.sha256(wire).hexdigest()[:16]}


def _job(work: _Work, subject: Subject, image: WorkerImage, spec: BackupSpec) -> dict[str, Any]:
    meta = subject.metadata
    attempt = subject.attempt if isinstance(subject, Backup) and work.verb == "dump" else 1
    owned = labels(work.component, meta.name)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(work.component, meta.name, attempt),
            "namespace": meta.namespace,
            "labels": owned,
            "ownerReferences": [_owner(subject)],
        },
        "spec": {
            # The specification: if an error occurs, it is not retried.
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            # A new pod only when the old one is gone for good: two must never write to one key.
            "podReplacementPolicy": "Failed",
            # Changes nothing but that the Job says so: the pod, which also does, may soon go with its node.
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onPodConditions": _DISRUPTED}]},
            "template": {
                "metadata": {
                    "labels": (spec.podLabels or {}) | owned,
                    "annotations": pod_annotations(meta.annotations),
                },
                "spec": _pod(spec, _container(work, spec, image), _volumes(work, spec)),
            },
        },
    }


def _container(work: _Work, spec: BackupSpec, image: WorkerImage) -> dict[str, Any]:
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
            {"name": "AWS_ACCESS_KEY_ID", "valueFrom": _secret_key(secret, "access_key", optional=optional)},
            {
                "name": "AWS_SECRET_ACCESS_KEY",
                "valueFrom": _secret_key(secret, "secret_key", optional=optional),
            },
            {"name": "AWS_SESSION_TOKEN", "valueFrom": _secret_key(secret, "session_token", optional=True)},
        ]
    return [*environment, *objects(spec.env)]


def _ca_volume(spec: BackupSpec, path: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Of the user's volumes the one with the CA of `--ca-cert`: what cleans up has to trust it too."""
    mount = ca_mount(spec, path) if path else None
    if mount is None:
        return [], []
    return [
        volume for volume in objects(spec.additionalVolumes) if volume.get("name") == mount.get("name")
    ], [mount]


def _worker_volumes(spec: BackupSpec, *, optional: bool = False) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}]
    if spec.source and spec.source.tlsClientSecretName:
        volumes.append({"name": "db-tls", "secret": _secret(spec.source.tlsClientSecretName, optional)})
    if spec.s3 and spec.s3.caSecretName:
        volumes.append({"name": "s3-tls", "secret": _secret(spec.s3.caSecretName, optional)})
    return volumes


def _volumes(work: _Work, spec: BackupSpec) -> list[dict[str, Any]]:
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


def _staging(spec: BackupSpec) -> dict[str, Any]:
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


def pod_annotations(annotations: dict[str, str]) -> dict[str, str]:
    """The Backup's annotations that travel to its pods, such as `iam.amazonaws.com/role`."""
    return {
        name: value
        for name, value in annotations.items()
        if not name.startswith(_ANNOTATIONS_KEPT_BACK) and not name.split("/")[0].endswith(".fluxcd.io")
    }


def _source_secret(spec: BackupSpec) -> str:
    assert spec.source is not None
    return spec.source.secretName


def _secret_key(secret: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": secret, "key": key}
    return {"secretKeyRef": reference | ({"optional": True} if optional else {})}


def _owner(backup: Subject) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": backup.kind,
        "name": backup.metadata.name,
        "uid": backup.metadata.uid,
        "controller": True,
        # Of one that is deleted in the foreground the garbage collector deletes, over and over, what blocks
        # that: also the Job that we make to clean up after it.
        "blockOwnerDeletion": backup.metadata.deletionTimestamp is None,
    }
