"""What a Job and its pod say, read into our reasons."""

from typing import Any

import attrs
import pytest

from tests.decide.builders import *
from tests.decide.moments import state
from tidbbackup.decide.run.diagnosis import (
    why_in_events,
    why_job_ended,
    why_pod_waits,
)
from tidbbackup.decide.run.job_state import Reported, Silent
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import Condition
from tidbbackup.model.resource.kubernetes import Happening, Job, Pod

TARGET = true("FailureTarget", "BackoffLimitExceeded")
TERMINATED_RESULT = result(Outcome.FAILED, reason="Terminated", message="told to stop")


def broken(found_job: Job, *pods: Pod) -> str:
    """The reason of a run that broke."""
    found = state(found_job, *pods)
    assert isinstance(found, Silent), found
    assert found.cause.message
    return found.cause.reason


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod("Failed", terminated(exit_code=137, reason="OOMKilled")), "OOMKilled"),
        (pod("Failed", terminated(exit_code=137)), "Killed"),
        (pod("Failed", terminated(signal=9)), "Killed"),
        (pod("Failed", terminated("garbage", 1)), "ResultLost"),
        (pod("Succeeded", terminated()), "ResultLost"),
        (pod("Running", terminated("", 1)), "ResultLost"),
        (pod("Failed", terminated(reason="StartError", exit_code=128)), "StartFailed"),
        (
            pod("Failed", terminated("no such file", reason="ContainerCannotRun", exit_code=127)),
            "StartFailed",
        ),
        (pod("Failed"), "NodeLost"),
        (pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource"), "NodeLost"),
        (pod("Failed", reason="Evicted"), "Evicted"),
        (pod("Failed", terminated(exit_code=137), reason="Evicted", message="low on memory"), "Evicted"),
        (pod("Failed", reason="DeadlineExceeded"), "DeadlineExceeded"),
        (pod("Failed", reason="NodeLost"), "NodeLost"),
        (pod("Failed", conditions=(true("DisruptionTarget", "PreemptionByScheduler"),)), "Evicted"),
        (
            pod("Failed", conditions=(true("DisruptionTarget", "DeletionByTaintManager", "taint"),)),
            "NodeLost",
        ),
        (pod("Failed", conditions=(true("DisruptionTarget"),)), "Evicted"),
        (pod("Failed", conditions=(Condition("DisruptionTarget", "False"),)), "NodeLost"),
    ],
)
def test_why_a_run_broke(found: Pod, reason: str) -> None:
    assert broken(job(), found) == reason


def test_a_pod_that_was_deleted_says_so() -> None:
    gone = pod("Failed", terminated(exit_code=1))
    gone = attrs.evolve(gone, metadata=attrs.evolve(gone.metadata, deletionTimestamp=NOW))

    assert broken(job(), gone) == "PodDeleted"


def test_a_job_that_failed_although_its_pod_waits() -> None:
    assert broken(job(FAILED), pod()) == "PodDeleted"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "Terminated"),
        ({"reason": "Evicted"}, "Evicted"),
        ({"reason": "DeadlineExceeded"}, "DeadlineExceeded"),
        ({"conditions": (true("DisruptionTarget", "TerminationByKubelet", "node shutdown"),)}, "Evicted"),
    ],
)
def test_who_told_a_worker_to_stop(fields: dict[str, Any], reason: str) -> None:
    found = state(job(), pod("Failed", said(TERMINATED_RESULT), **fields))

    assert isinstance(found, Reported)
    assert found.result.reason == reason
    assert found.result.message


def test_a_worker_that_knows_why_is_believed() -> None:
    found = state(job(), gave_up("StagingFull"))

    assert isinstance(found, Reported)
    assert found.result.reason == "StagingFull"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(conditions=(Condition("PodScheduled", "False", message="0/1 nodes: cpu"),)), "Unschedulable"),
        (pod(conditions=(Condition("PodScheduled", "False"),)), "Unschedulable"),
        (
            pod(
                conditions=(
                    Condition("PodScheduled", "False", message="unbound immediate PersistentVolumeClaims"),
                )
            ),
            "VolumeUnavailable",
        ),
        (pod(state=waiting("ErrImagePull", "no such image")), "ImageUnavailable"),
        (pod(state=waiting("ImagePullBackOff")), "ImageUnavailable"),
        (pod(state=waiting("InvalidImageName")), "ImageUnavailable"),
        (pod(state=waiting("CreateContainerConfigError", 'secret "db" not found')), "SecretMissing"),
        (
            pod(state=waiting("CreateContainerConfigError", "couldn't find key x in Secret ns/db")),
            "SecretMissing",
        ),
        (pod(state=waiting("CreateContainerConfigError", "runAsUser breaks non-root")), "StartFailed"),
        (pod(state=waiting("CreateContainerError", "no room")), "StartFailed"),
        (pod(state=waiting("SomethingNew")), "PendingTooLong"),
    ],
)
def test_why_a_pod_waits(found: Pod, reason: str) -> None:
    cause = why_pod_waits(found)

    assert cause is not None
    assert cause.reason == reason
    assert cause.message


@pytest.mark.parametrize(
    "found",
    [
        pod(),
        pod(state=waiting()),
        pod(state=waiting("ContainerCreating")),
        pod(state=waiting("PodInitializing")),
        pod(conditions=(true("PodScheduled"),)),
    ],
)
def test_a_pod_that_says_nothing(found: Pod) -> None:
    assert why_pod_waits(found) is None


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("FailedCreate", "pods ... is forbidden: exceeded quota: q", "QuotaExceeded"),
        ("FailedCreate", "forbidden: failed quota: q: must specify limits.cpu for: backup", "QuotaExceeded"),
        ("FailedBinding", "create PVC p-staging: ... is forbidden: exceeded quota: q", "QuotaExceeded"),
        ("FailedBinding", "no", "VolumeUnavailable"),
        ("FailedCreate", "minimum cpu usage per Container is 100m, but request is 50m", "PodRefused"),
        (
            "FailedCreate",
            'error looking up service account ns/x: serviceaccount "x" not found',
            "ServiceAccountMissing",
        ),
        ("FailedCreate", "admission webhook denied", "PodRefused"),
        ("FailedMount", 'MountVolume.SetUp failed: secret "tls" not found', "SecretMissing"),
        ("FailedMount", "timed out", "VolumeUnavailable"),
        ("FailedAttachVolume", "no", "VolumeUnavailable"),
        ("ProvisioningFailed", "no", "VolumeUnavailable"),
        ("FailedScheduling", "0/1 nodes", "Unschedulable"),
        ("FailedScheduling", "", "Unschedulable"),
    ],
)
def test_what_events_tell(reason: str, message: str, expected: str) -> None:
    cause = why_in_events([happening(reason, message), happening("Whatever", "x", 9)])

    assert cause is not None
    assert cause.reason == expected
    assert cause.message


def test_the_newest_event_counts() -> None:
    cause = why_in_events([happening("FailedMount", "new", 5), happening("FailedScheduling", "old")])

    assert cause is not None
    assert cause.reason == "VolumeUnavailable"


@pytest.mark.parametrize("at", [0, 5])
def test_what_was_overcome_since_is_not_told(at: float) -> None:
    """A volume that binds late makes a FailedScheduling of every pod, just before it is scheduled."""
    overcome = [happening("Scheduled", "assigned", at), happening("FailedScheduling", "unbound claims")]

    assert why_in_events(overcome) is None
    assert why_in_events([*overcome, happening("FailedMount", "x", at + 1)]) is not None
    assert (
        why_in_events([happening("SuccessfulCreate", "", at), happening("FailedCreate", "exceeded quota")])
        is None
    )


def test_events_without_a_last_time_are_dated_all_the_same() -> None:
    events = [
        Happening(Meta(creationTimestamp=NOW), reason="FailedMount", message="old"),
        Happening(Meta(), reason="FailedScheduling", message="new", eventTime=later(1)),
    ]
    cause = why_in_events(events)

    assert cause is not None
    assert cause.reason == "Unschedulable"
    assert why_in_events([]) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (job(COMPLETE), "ResultLost"),
        (job(FAILED), "PodDeleted"),
        (job(true("FailureTarget")), "PodDeleted"),
        (job(true("Failed", "DeadlineExceeded", "too long")), "DeadlineExceeded"),
        (job(true("Failed", "DeadlineExceeded")), "DeadlineExceeded"),
        (job(true("Failed", "PodFailurePolicy", "has condition DisruptionTarget")), "Evicted"),
        (job(true("FailureTarget", "PodFailurePolicy")), "Evicted"),
    ],
)
def test_why_a_job_without_pods_ended(found: Job, reason: str) -> None:
    cause = why_job_ended(found)

    assert cause.reason == reason
    assert cause.message
