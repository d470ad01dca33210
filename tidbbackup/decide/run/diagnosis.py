"""Why a Job or pod waits, ended or was taken away: Kubernetes' own words, read into our reasons.

Must not know Backups, nor what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import attrs

from tidbbackup.decide.status import Cause
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import WorkerResult
from tidbbackup.model.resource.kubernetes import Happening, Job, Pod, Terminated

_IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_START_REASONS = {"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"}

# What helps, for what kept a pod from starting: Kubernetes' own words name the object and stop there.
_CURES = {
    reasons.UNSCHEDULABLE: "see spec.nodeSelector, spec.affinity, spec.tolerations and spec.resources",
    reasons.VOLUME_UNAVAILABLE: "see spec.storageClassName and spec.storageSize",
    reasons.IMAGE_UNAVAILABLE: "see the controller's --worker-image, and spec.imagePullSecrets",
    reasons.SECRET_MISSING: "create it in this namespace (kubectl create secret generic): the pod then "
    "starts by itself",
    reasons.SERVICE_ACCOUNT_MISSING: "create it in this namespace: the pod is then made by itself",
    reasons.QUOTA_EXCEEDED: "raise the ResourceQuota of this namespace, or correct spec.resources",
    reasons.POD_REFUSED: "correct what it names: spec.resources for a LimitRange, or what refuses the pod",
}
# The second: a quota on what the pod does not name ("must specify limits.cpu").
_QUOTA = re.compile("(exceeded|failed) quota")
_STEPS_FORWARD = {"SuccessfulCreate", "Scheduled", "Pulling", "Pulled", "Created", "Started"}
# A kubelet needs seconds to remove a pod whose grace is over. One that nothing is heard of for so long after
# that is on a node that is lost, and stays for as long as its Node does.
_LOST_AFTER = timedelta(minutes=5)
_NODE_REASONS = {"NodeLost", "NodeShutdown", "Terminated", "DeletionByPodGC", "DeletionByTaintManager"}


def has_run(pod: Pod) -> bool:
    """Whether its container has begun, whatever became of it."""
    # One that never began is called terminated too when its pod ends, but tells no time or why it did not.
    ended = pod.state.terminated
    ran = ended is not None and ended.startedAt is not None and ended.reason not in _START_REASONS
    return ran or pod.state.running is not None


def is_out_of_reach(pod: Pod, now: datetime) -> bool:
    """Whether a pod is still there long after it was to be gone, and nothing is heard of its end.

    Nobody knows whether its container runs on: a lost node may only be cut off.
    """
    at = lost_at(pod)
    return at is not None and now >= at


def next_out_of_reach(pods: Iterable[Pod], now: datetime) -> datetime | None:
    """When the next of the pods will count as out of reach, if none of them is heard of before."""
    times = [at for pod in pods if (at := lost_at(pod)) and at > now]
    return min(times, default=None)


def lost_at(pod: Pod) -> datetime | None:
    """When a pod that is being deleted is out of reach, if nothing is heard of its end before."""
    # A pod's deletionTimestamp is when its grace is over.
    gone_by = pod.metadata.deletionTimestamp
    return None if gone_by is None or pod.over else gone_by + _LOST_AFTER


def lost(pod: Pod) -> Cause:
    """What is said of a pod that is out of reach."""
    node = pod.spec.nodeName
    return Cause(
        reasons.NODE_LOST,
        f"nothing is heard of pod {pod.metadata.name}, which was to be gone: its node {node} is lost; "
        f"if it does not come back: kubectl delete node {node}",
    )


def with_real_reason(result: WorkerResult, pod: Pod) -> WorkerResult:
    """A worker that was told to stop knows no more than that; its pod may tell by whom and why."""
    cause = (why_pod_was_taken(pod) or _deleted(pod)) if result.reason == reasons.TERMINATED else None
    return attrs.evolve(result, reason=cause.reason, message=cause.message) if cause else result


def why_pod_waits(pod: Pod) -> Cause | None:
    """What keeps the container from starting, as far as the pod's own status tells."""
    scheduled = pod.condition("PodScheduled")
    if scheduled and scheduled.status == "False":
        text = scheduled.message or "no node takes the pod"
        about_volume = "persistentvolume" in text.lower() or "volume" in text.lower()
        return cured(reasons.VOLUME_UNAVAILABLE if about_volume else reasons.UNSCHEDULABLE, text)
    waiting = pod.state.waiting
    if waiting is None or waiting.reason in ("", "ContainerCreating", "PodInitializing"):
        return None
    text = waiting.message or waiting.reason
    if waiting.reason in _IMAGE_REASONS:
        return cured(reasons.IMAGE_UNAVAILABLE, text)
    if waiting.reason == "CreateContainerConfigError":
        about_secret = "secret" in text.lower()
        return cured(reasons.SECRET_MISSING if about_secret else reasons.START_FAILED, text)
    if waiting.reason in _START_REASONS:
        return Cause(reasons.START_FAILED, text)
    return Cause(reasons.PENDING_TOO_LONG, f"{waiting.reason}: {text}")


def why_in_events(events: Sequence[Happening]) -> Cause | None:
    """What Events of a Job or pod tell of a start that fails; the newest that tells something.

    What was said before a step forward has been overcome since.
    """
    for event in sorted(events, key=_last_seen, reverse=True):
        if event.reason in _STEPS_FORWARD:
            return None
        text = event.message or event.reason
        lowered = text.lower()
        if event.reason in ("FailedCreate", "FailedBinding") and _QUOTA.search(lowered):
            return cured(reasons.QUOTA_EXCEEDED, text)
        if event.reason == "FailedCreate" and "serviceaccount" in lowered:
            return cured(reasons.SERVICE_ACCOUNT_MISSING, text)
        if event.reason == "FailedCreate":
            return cured(reasons.POD_REFUSED, text)
        if event.reason == "FailedMount" and "secret" in lowered:
            return cured(reasons.SECRET_MISSING, text)
        if event.reason in ("FailedMount", "FailedAttachVolume", "FailedBinding", "ProvisioningFailed"):
            return cured(reasons.VOLUME_UNAVAILABLE, text)
        if event.reason == "FailedScheduling":
            return cured(reasons.UNSCHEDULABLE, text)
    return None


def cured(reason: str, text: str) -> Cause:
    """A cause with what helps, as far as the reason tells that."""
    cure = _CURES.get(reason)
    return Cause(reason, f"{text}; {cure}" if cure else text)


def why_pod_was_taken(pod: Pod) -> Cause | None:
    """Why a pod was stopped from outside, as far as its own status tells."""
    told = pod.status.message
    if pod.status.reason == "Evicted":
        return Cause(reasons.EVICTED, told or "the node evicted the pod")
    if pod.status.reason == "DeadlineExceeded":
        return Cause(
            reasons.DEADLINE_EXCEEDED, f"{told or 'it ran too long'}; raise spec.activeDeadlineSeconds"
        )
    disruption = pod.condition("DisruptionTarget")
    if disruption and disruption.status == "True":
        lost = disruption.reason in _NODE_REASONS
        told = disruption.message or disruption.reason or "the pod was taken away"
        return Cause(reasons.NODE_LOST if lost else reasons.EVICTED, told)
    if pod.status.reason in _NODE_REASONS:
        return Cause(reasons.NODE_LOST, told or pod.status.reason)
    return None


def why_pod_ended(pod: Pod, terminated: Terminated | None) -> Cause:
    """Why a pod ended whose worker left no result."""
    taken = why_pod_was_taken(pod)
    if taken is not None:
        return taken
    told = pod.status.message or (terminated.message if terminated else "")
    if terminated and terminated.reason == "OOMKilled":
        return Cause(reasons.OOM_KILLED, "the worker was out of memory: raise spec.resources.limits.memory")
    deleted = _deleted(pod)
    if deleted is not None:
        return deleted
    if terminated is None:
        return Cause(reasons.NODE_LOST, told or "the pod ended and nothing tells how its container did")
    if terminated.reason in _START_REASONS:
        return Cause(reasons.START_FAILED, told or terminated.reason)
    if terminated.exitCode == 137 or terminated.signal == 9:
        return Cause(reasons.KILLED, "the worker was killed (SIGKILL) from outside")
    return Cause(
        reasons.RESULT_LOST,
        f"the worker ended with exit code {terminated.exitCode} and left no result; see the pod's log",
    )


def _deleted(pod: Pod) -> Cause | None:
    if pod.metadata.deletionTimestamp is None:
        return None
    return Cause(
        reasons.POD_DELETED,
        f"the worker's pod {pod.metadata.name} was deleted from outside (by hand, or with its node)",
    )


def why_job_ended(job: Job) -> Cause:
    """Why a Job ended of which no pod is left."""
    failed = job.condition("Failed") or job.condition("FailureTarget")
    if failed is None:
        return Cause(
            reasons.RESULT_LOST, "the Job completed, but its pod and with it the worker's result are gone"
        )
    if failed.reason == "DeadlineExceeded":
        return Cause(reasons.DEADLINE_EXCEEDED, failed.message or "the Job ran longer than its deadline")
    if failed.reason == "PodFailurePolicy":
        # An eviction or a lost node, which the Job does not tell apart.
        text = f"the worker's pod was taken away, with its node or from it, and is gone ({failed.message})"
        return Cause(reasons.EVICTED, text)
    return Cause(
        reasons.POD_DELETED, f"the worker's pod is gone, deleted from outside ({failed.reason or 'failed'})"
    )


def _last_seen(event: Happening) -> tuple[str, bool]:
    at = event.lastTimestamp or event.eventTime or event.metadata.creationTimestamp
    # Events tell whole seconds: within one, the step forward came last.
    return str(at), event.reason in _STEPS_FORWARD
