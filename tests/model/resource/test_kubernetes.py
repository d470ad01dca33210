"""Jobs and pods, as far as we read them.

Here is also what model/meta.py promises.
"""

import msgspec
import pytest

from tidbbackup.model.contract.aftermath import Aftermath, Part
from tidbbackup.model.contract.task import WorkerTask, encode_task
from tidbbackup.model.meta import Meta
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.model.resource.backup import Condition
from tidbbackup.model.resource.kubernetes import (
    ContainerState,
    ContainerStatus,
    Job,
    JobStatus,
    Pod,
    PodStatus,
    Running,
    Terminated,
    decode_job,
)

CLEAN = Aftermath((Part.CLEAN,))
TASK = {
    "name": "TIDBBACKUP_TASK",
    "value": encode_task(WorkerTask("bk", "ns", "uid", ObjectTarget("aws", "b", "k"), aftermath=CLEAN)),
}


def test_a_job_has_ended_only_with_complete_or_failed_true() -> None:
    def ended(kind: str, status: str) -> bool:
        return Job(Meta(), JobStatus((Condition(kind, status),))).ended

    assert ended("Complete", "True")
    assert ended("Failed", "True")
    assert not ended("Failed", "False")
    assert not ended("FailureTarget", "True")


def test_the_state_of_a_pod_is_that_of_our_container() -> None:
    """A webhook may have put another container into the pod, and kubelet sorts them by name."""
    injected = ContainerStatus("a-sidecar", ContainerState(running=Running()))
    ours = ContainerStatus("backup", ContainerState(terminated=Terminated(exitCode=1)))

    assert Pod(Meta(), status=PodStatus(containerStatuses=(injected, ours))).state == ours.state
    assert Pod(Meta(), status=PodStatus(containerStatuses=(injected,))).state == ContainerState()
    assert Pod(Meta()).state == ContainerState()


def test_a_pods_condition_counts_whatever_its_status() -> None:
    pod = Pod(Meta(), status=PodStatus(conditions=(Condition("Ready", "False"),)))

    assert pod.condition("Ready") is not None
    assert pod.condition("PodScheduled") is None


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, None),
        ({"template": {"spec": {"containers": [{"name": "backup", "env": [{"name": "A"}]}]}}}, None),
        (
            {
                "template": {
                    "spec": {
                        "containers": [
                            {"name": "sidecar"},
                            {"name": "backup", "env": [{"name": "A", "valueFrom": {}}, TASK]},
                        ]
                    }
                }
            },
            CLEAN,
        ),
    ],
)
def test_a_job_shows_what_its_worker_is_told_to_do_after_a_run(
    spec: dict[str, object], told: Aftermath | None
) -> None:
    found = decode_job(msgspec.json.encode({"metadata": {"name": "j"}, "spec": spec, "status": {}}))
    assert (found.metadata.name, found.aftermath) == ("j", told)
