"""Pod status documents as the kubelet writes them. Pure: facts and the time in, JSON out."""

from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import evolve, frozen

from tests.cluster.api import JSON

EPOCH = "1970-01-01T00:00:00Z"


@frozen
class Waiting:
    """A container that does not run yet, and why."""

    reason: str
    message: str = ""


@frozen
class Running:
    """A container that runs since `started`."""

    started: datetime
    container_id: str


@frozen
class Terminated:
    """A container that has ended. `started` is None when it never ran."""

    exit_code: int
    reason: str
    finished: datetime | None
    message: str = ""
    started: datetime | None = None
    container_id: str = ""


State = Waiting | Running | Terminated


@frozen
class Verdict:
    """Why the node itself ended a pod: phase Failed with this reason and message."""

    reason: str
    message: str
    disruption: bool = False


@frozen
class PodState:
    """All that the node knows of a pod it runs."""

    containers: Mapping[str, State]
    pod_ip: str
    host_ip: str
    started: datetime
    has_sandbox: bool = False
    verdict: Verdict | None = None
    ended: bool = False


def rfc3339(moment: datetime) -> str:
    """A UTC time as Kubernetes writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def settled(pod: JSON, state: PodState) -> PodState:
    """The state of a pod of which nothing runs any more: what never started is lost.

    Containers that were still waiting for the init containers stay so, as with the kubelet.
    """
    if not _initialized(pod, state):
        return evolve(state, ended=True, has_sandbox=False)
    message = "The container could not be located when the pod was terminated"
    lost = Terminated(137, "ContainerStatusUnknown", None, message)
    containers = {
        name: each if isinstance(each, Terminated) else lost for name, each in state.containers.items()
    }
    return evolve(state, ended=True, has_sandbox=False, containers=containers)


def pod_status(pod: JSON, state: PodState, now: datetime) -> JSON:
    """The status to patch into a pod; conditions of others (PodScheduled) are left alone."""
    phase = pod_phase(pod, state)
    status: JSON = {
        "phase": phase,
        "startTime": pod.get("status", {}).get("startTime") or rfc3339(state.started),
        "hostIP": state.host_ip,
        "hostIPs": [{"ip": state.host_ip}],
        "conditions": _conditions(pod, state, phase, now),
        "containerStatuses": _container_statuses(pod["spec"]["containers"], state),
    }
    if state.pod_ip:
        status |= {"podIP": state.pod_ip, "podIPs": [{"ip": state.pod_ip}]}
    if inits := pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = _container_statuses(inits, state, init=True)
    if state.verdict and phase == "Failed":
        status |= {"reason": state.verdict.reason, "message": state.verdict.message}
    if generation := pod["metadata"].get("generation"):
        status["observedGeneration"] = generation
    return status


def pod_phase(pod: JSON, state: PodState) -> str:
    """The phase, by the kubelet's rules for restartPolicy Never.

    A verdict does not make a pod Failed while a container still runs: who sees Failed may rely on its end.
    """
    main = [state.containers[each["name"]] for each in pod["spec"]["containers"]]
    if any(isinstance(each, Running) for each in state.containers.values()):
        return "Pending" if any(isinstance(each, Waiting) for each in main) else "Running"
    if state.verdict or _init_failed(pod, state):
        return "Failed"
    if not all(isinstance(each, Terminated) for each in main):
        return "Failed" if state.ended else "Pending"
    return (
        "Succeeded"
        if all(isinstance(each, Terminated) and each.exit_code == 0 for each in main)
        else "Failed"
    )


def _initialized(pod: JSON, state: PodState) -> bool:
    return not _names(pod["spec"].get("initContainers", ()), state, lambda each: not _succeeded(each))


def _init_failed(pod: JSON, state: PodState) -> bool:
    inits = pod["spec"].get("initContainers", ())
    return bool(_names(inits, state, lambda each: isinstance(each, Terminated) and each.exit_code != 0))


def _succeeded(state: State) -> bool:
    return isinstance(state, Terminated) and state.exit_code == 0


def _names(specs: list[JSON] | tuple[()], state: PodState, rule: Callable[[State], bool]) -> list[str]:
    return [each["name"] for each in specs if rule(state.containers[each["name"]])]


def _conditions(pod: JSON, state: PodState, phase: str, now: datetime) -> list[JSON]:
    readiness = _readiness(pod, state, phase)
    wanted: list[tuple[str, bool, str, str]] = [
        ("PodReadyToStartContainers", state.has_sandbox, "", ""),
        ("Initialized", *_initialization(pod, state, phase)),
        ("Ready", *readiness),
        ("ContainersReady", *readiness),
    ]
    if state.verdict and state.verdict.disruption and phase == "Failed":
        wanted.append(("DisruptionTarget", True, "TerminationByKubelet", state.verdict.message))
    before = {each["type"]: each for each in pod.get("status", {}).get("conditions", ())}
    return [_condition(before.get(each[0]), each, now) for each in wanted]


def _initialization(pod: JSON, state: PodState, phase: str) -> tuple[bool, str, str]:
    incomplete = _names(pod["spec"].get("initContainers", ()), state, lambda each: not _succeeded(each))
    if incomplete:
        return (
            False,
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(incomplete)}]",
        )
    return True, "PodCompleted" if phase == "Succeeded" else "", ""


def _readiness(pod: JSON, state: PodState, phase: str) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    unready = _names(pod["spec"]["containers"], state, lambda each: not isinstance(each, Running))
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def _condition(before: JSON | None, wanted: tuple[str, bool, str, str], now: datetime) -> JSON:
    kind, value, reason, message = wanted
    status = "True" if value else "False"
    unchanged = before is not None and before["status"] == status
    since = before["lastTransitionTime"] if unchanged and before else rfc3339(now)
    # None removes what an earlier patch has set: a strategic merge patch keeps what it does not name.
    return {
        "type": kind,
        "status": status,
        "reason": reason or None,
        "message": message or None,
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }


def _container_statuses(specs: list[JSON], state: PodState, *, init: bool = False) -> list[JSON]:
    return [_container_status(each, state.containers[each["name"]], init=init) for each in specs]


def _container_status(spec: JSON, state: State, *, init: bool) -> JSON:
    running = isinstance(state, Running)
    status = {
        "name": spec["name"],
        "image": spec.get("image", ""),
        "imageID": "" if isinstance(state, Waiting) else spec.get("image", ""),
        "state": _state(state),
        "lastState": {},
        # An init container is ready when it has done its work.
        "ready": _succeeded(state) if init else running,
        "started": running,
        "restartCount": 0,
    }
    if not isinstance(state, Waiting) and state.container_id:
        status["containerID"] = state.container_id
    return status


def _state(state: State) -> JSON:
    if isinstance(state, Waiting):
        return {"waiting": {"reason": state.reason, **({"message": state.message} if state.message else {})}}
    if isinstance(state, Running):
        return {"running": {"startedAt": rfc3339(state.started)}}
    ended = {
        "exitCode": state.exit_code,
        "reason": state.reason,
        "startedAt": rfc3339(state.started) if state.started else EPOCH if state.finished else None,
        "finishedAt": rfc3339(state.finished) if state.finished else None,
        "message": state.message or None,
        "containerID": state.container_id or None,
    }
    return {"terminated": {key: value for key, value in ended.items() if value is not None}}
