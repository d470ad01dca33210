"""Pod status documents."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from tests.cluster.api import JSON

from .status import PodState, Running, State, Terminated, Verdict, Waiting, pod_phase, pod_status, settled

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
WAITS = Waiting("ContainerCreating")
RUNS = Running(NOW, "process://1")
DONE = Terminated(0, "Completed", NOW, started=NOW, container_id="process://1")
FAILED = Terminated(1, "Error", NOW, started=NOW, container_id="process://1")


def pod(*names: str, inits: tuple[str, ...] = (), **status: object) -> JSON:
    """A pod of these containers."""
    spec = {"containers": [{"name": name, "image": "i"} for name in names]}
    if inits:
        spec["initContainers"] = [{"name": name, "image": "i"} for name in inits]
    return {"metadata": {"generation": 3}, "spec": spec, "status": status}


def state(**containers: State) -> PodState:
    """A pod's state."""
    return PodState(containers, "127.1.2.3", "127.0.0.1", NOW, has_sandbox=True)


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        ({"a": WAITS}, "Pending"),
        ({"a": RUNS}, "Running"),
        ({"a": DONE}, "Succeeded"),
        ({"a": FAILED}, "Failed"),
        ({"a": RUNS, "b": WAITS}, "Pending"),
        ({"a": RUNS, "b": FAILED}, "Running"),
        ({"a": DONE, "b": DONE}, "Succeeded"),
        ({"a": DONE, "b": FAILED}, "Failed"),
    ],
)
def test_phase(states: dict[str, State], phase: str) -> None:
    """The phase of pods without init containers."""
    assert pod_phase(pod(*states), state(**states)) == phase


@pytest.mark.parametrize(
    ("init", "main", "phase"),
    [
        (WAITS, WAITS, "Pending"),
        (RUNS, WAITS, "Pending"),
        (DONE, WAITS, "Pending"),
        (DONE, RUNS, "Running"),
        (FAILED, WAITS, "Failed"),
        (DONE, DONE, "Succeeded"),
    ],
)
def test_phase_with_init_container(init: State, main: State, phase: str) -> None:
    """A pod is Pending until its init containers are done."""
    assert pod_phase(pod("main", inits=("init",)), state(init=init, main=main)) == phase


def test_verdict_waits_for_the_last_process() -> None:
    """Failed is written only when nothing runs any more."""
    late = Verdict("DeadlineExceeded", "too long")
    assert pod_phase(pod("a"), evolve(state(a=RUNS), verdict=late)) == "Running"
    status = pod_status(pod("a"), evolve(state(a=DONE), verdict=late), NOW)
    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        "DeadlineExceeded",
        "too long",
    )


def test_status_of_a_failure() -> None:
    """All of a container's end is in the document."""
    failed = evolve(FAILED, message="why")
    assert pod_status(pod("a"), state(a=failed), NOW) == {
        "phase": "Failed",
        "observedGeneration": 3,
        "startTime": "2026-11-23T03:00:00Z",
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": "127.1.2.3",
        "podIPs": [{"ip": "127.1.2.3"}],
        "conditions": [
            condition("PodReadyToStartContainers", "True"),
            condition("Initialized", "True"),
            condition("Ready", "False", "PodFailed"),
            condition("ContainersReady", "False", "PodFailed"),
        ],
        "containerStatuses": [
            {
                "name": "a",
                "image": "i",
                "imageID": "i",
                "containerID": "process://1",
                "lastState": {},
                "ready": False,
                "started": False,
                "restartCount": 0,
                "state": {
                    "terminated": {
                        "exitCode": 1,
                        "reason": "Error",
                        "message": "why",
                        "startedAt": "2026-11-23T03:00:00Z",
                        "finishedAt": "2026-11-23T03:00:00Z",
                        "containerID": "process://1",
                    }
                },
            }
        ],
    }


def condition(kind: str, status: str, reason: str | None = None, message: str | None = None) -> JSON:
    """A condition that has just changed."""
    since = "2026-11-23T03:00:00Z"
    times = {"lastProbeTime": None, "lastTransitionTime": since}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def test_conditions_name_who_is_not_ready() -> None:
    """The message lists the containers."""
    found = {
        each["type"]: each for each in pod_status(pod("a", "b"), state(a=RUNS, b=WAITS), NOW)["conditions"]
    }
    assert found["Ready"]["message"] == "containers with unready status: [b]"
    assert found["Initialized"]["status"] == "True"


def test_condition_keeps_its_time_until_it_changes() -> None:
    """lastTransitionTime moves with the status only."""
    before = [{**condition("Ready", "False"), "lastTransitionTime": "2026-11-22T00:00:00Z"}]
    before += [{**condition("Initialized", "False"), "lastTransitionTime": "2026-11-22T00:00:00Z"}]
    later = NOW + timedelta(seconds=5)
    status = pod_status(pod("a", conditions=before), state(a=DONE), later)
    times = {each["type"]: each["lastTransitionTime"] for each in status["conditions"]}
    assert times["Ready"] == "2026-11-22T00:00:00Z"
    assert times["Initialized"] == "2026-11-23T03:00:05Z"


def test_eviction_is_a_disruption() -> None:
    """The Job controller tells a disruption from a failure by this condition."""
    evicted = evolve(state(a=FAILED), verdict=Verdict("Evicted", "low on memory", disruption=True))
    kinds = {each["type"]: each["reason"] for each in pod_status(pod("a"), evicted, NOW)["conditions"]}
    assert kinds["DisruptionTarget"] == "TerminationByKubelet"


def test_container_that_never_ran_is_lost_at_the_end() -> None:
    """A pod stopped before its container started has ended all the same."""
    ended = settled(pod("a"), state(a=WAITS))
    status = pod_status(pod("a"), ended, NOW)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_end_before_initialization_leaves_main_waiting() -> None:
    """What an init container held back stays waiting."""
    ended = settled(pod("a", inits=("i",)), state(i=FAILED, a=Waiting("PodInitializing")))
    assert isinstance(ended.containers["a"], Waiting)
    assert pod_phase(pod("a", inits=("i",)), ended) == "Failed"


def test_settled_success_stays_a_success() -> None:
    """The end of a pod changes no container that has ended."""
    ended = settled(pod("a"), state(a=DONE))
    assert ended.containers == {"a": DONE}
    assert pod_phase(pod("a"), ended) == "Succeeded"


def test_start_failure_has_no_start() -> None:
    """StartError: startedAt is the epoch, as the kubelet writes it."""
    failed = Terminated(128, "StartError", NOW, "why")
    ended = pod_status(pod("a"), state(a=failed), NOW)["containerStatuses"][0]["state"]["terminated"]
    assert ended["startedAt"] == "1970-01-01T00:00:00Z"
    assert "containerID" not in ended


def test_init_container_is_ready_when_it_is_done() -> None:
    """As the kubelet has it; a main container is ready while it runs."""
    status = pod_status(pod("a", inits=("i",)), state(i=DONE, a=RUNS), NOW)
    assert [each["ready"] for each in status["initContainerStatuses"]] == [True]
    assert [each["ready"] for each in status["containerStatuses"]] == [True]
    assert status["initContainerStatuses"][0]["started"] is False
