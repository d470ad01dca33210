"""A Backup or Restore as its Jobs: deterministic names, one pod, one try.

What the worker must know is in its environment; Secrets are referenced, never read. Must not know
whether the Job should be made.
"""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import msgspec

from tidbbackup.decide.pod import (
    STAGING,
    STAGING_DIR,
    Work,
    WorkerImage,
    pod_annotations,
    pod_spec,
    secret_key,
    staging_volume,
)
from tidbbackup.decide.spec.restored import Resolved
from tidbbackup.decide.spec.storage_target import ca_mount
from tidbbackup.decide.status import Subject
from tidbbackup.model.contract.aftermath import Aftermath
from tidbbackup.model.contract.task import PASSWORD_VARIABLE, WorkerTask
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
from tidbbackup.model.wire import objects

AFTERMATH_SECONDS = 3600
"""A pod of an aftermath that takes longer hangs: its node ends it, and it is tried again after a pause."""
_DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


def backup_job(backup: Backup, task: WorkerTask, image: WorkerImage) -> dict[str, Any]:
    """The Job `backup-<bk>`: one pod, one try."""
    spec = backup.spec
    work = Work(
        component="backup",
        verb="dump",
        task=task,
        environment=[
            {"name": "STAGING_DIR", "value": STAGING_DIR},
            {"name": PASSWORD_VARIABLE, "valueFrom": secret_key(_source_secret(spec), "password")},
        ],
        volumes=[{"name": STAGING} | staging_volume(spec), *objects(spec.additionalVolumes)],
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
    password = secret_key(_source_secret(spec), "password", optional=True)
    volumes, mounts = _ca_volume(spec, task.target.transfer.caFile)
    work = Work(
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
    password = secret_key(_source_secret(resolved.spec), "password")
    work = Work(
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


def _job(work: Work, subject: Subject, image: WorkerImage, spec: BackupSpec) -> dict[str, Any]:
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
                "spec": pod_spec(work, spec, image),
            },
        },
    }


def _ca_volume(spec: BackupSpec, path: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Of the user's volumes the one with the CA of `--ca-cert`: what cleans up has to trust it too."""
    mount = ca_mount(spec, path) if path else None
    if mount is None:
        return [], []
    return [
        volume for volume in objects(spec.additionalVolumes) if volume.get("name") == mount.get("name")
    ], [mount]


def _source_secret(spec: BackupSpec) -> str:
    assert spec.source is not None
    return spec.source.secretName


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
