"""Which Jobs and pods are a Backup's or Restore's own, and what they are called.

Must not know what is to be done about them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidbbackup.decide.plan import Look
from tidbbackup.decide.pod import STAGING
from tidbbackup.decide.status import Subject
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import COMPONENT, GROUP, job_name, labels, owner_label
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod

JOB_KIND = "Job"
POD_KIND = "Pod"
EVENT_KIND = "Event"


def owned_by(job: Job, subject: Subject) -> bool:
    """Whether the Job is this very Backup's or Restore's, not that of another of the same name."""
    return owner_uid(job, subject) == subject.metadata.uid


def owner_uid(job: Job, subject: Subject) -> str:
    """The uid of the Backup or Restore of that name that controls the Job; empty where none does.

    Names are unique, so one with another uid is gone. Other operators have a kind Backup too: only the API
    group tells theirs from ours.
    """
    owner = job.metadata.owner
    if owner is None or owner.identity[:3] != (GROUP, subject.kind, subject.metadata.name):
        return ""
    return owner.uid


def job_key(verb: str, subject: Subject) -> ObjectKey:
    """The key of this Backup's or Restore's Job of that verb."""
    # What is left to do after a run is done by one Job, whichever attempt has left it.
    attempt = subject.attempt if isinstance(subject, Backup) and verb == "backup" else 1
    name = job_name(verb, subject.metadata.name, attempt)
    return ObjectKey(JOB_KIND, subject.metadata.namespace, name)


def look_for_job(key: ObjectKey) -> Look:
    """The look that finds whatever Job has this name, ours or not."""
    return Look(JOB_KIND, key.namespace, name=key.name)


def may_work_for(pod: Pod, subject: Subject) -> bool:
    """A pod whose worker has not ended, and not older than the Backup, so not of a former one of its name.

    A former Restore's pod counts too: two would load into one server.
    """
    created, begun = pod.metadata.creationTimestamp, subject.metadata.creationTimestamp
    older = isinstance(subject, Backup) and bool(created and begun and created < begun)
    return not pod.over and not older


def pods_made_by(job: Job, pods: Iterable[Pod]) -> list[Pod]:
    """Those of the pods that this very Job made."""
    uid = job.metadata.uid
    return [pod for pod in pods if any(owner.uid == uid for owner in pod.metadata.ownerReferences)]


def events_of_start(job: Job, pods: Iterable[Pod], *, of_claim: bool = False) -> Look:
    """The look for what is said of a start that fails.

    Only Events tell of quota, service account and mounts: nothing of it is in the pod's own status. And
    why the staging volume is not there, only those of its claim.
    """
    newest = max(pods_made_by(job, pods), key=lambda pod: str(pod.metadata.creationTimestamp), default=None)
    if of_claim and newest:
        claim = f"{newest.metadata.name}-{STAGING}"
        fields = f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={claim}"
        return Look(EVENT_KIND, job.metadata.namespace, fields=fields)
    uid = newest.metadata.uid if newest else job.metadata.uid
    return Look(EVENT_KIND, job.metadata.namespace, fields=f"involvedObject.uid={uid}")


def pods_of(subject: Subject, component: str) -> Look:
    """The look that finds all pods of a Backup's or Restore's runs of one kind."""
    meta = subject.metadata
    wanted = {name: labels(component, meta.name)[name] for name in (owner_label(component), COMPONENT)}
    selector = ",".join(f"{name}={value}" for name, value in wanted.items())
    return Look(POD_KIND, meta.namespace, labels=selector)
