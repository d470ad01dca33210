"""The fields that we read of Kubernetes' own kinds: Job, Pod, Event. Names of fields as in the API.

Must not interpret them (decide/run/diagnosis.py does).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from attrs import field, frozen

from tidbbackup.model.contract.aftermath import Aftermath
from tidbbackup.model.contract.task import TASK_VARIABLE, decode_task
from tidbbackup.model.meta import Meta
from tidbbackup.model.resource.backup import Condition

CONTAINER = "backup"
"""The name of our pods' one container; a webhook may add others."""


@frozen
class JobStatus:
    """The status of a Job; conditions Complete, Failed, FailureTarget, SuccessCriteriaMet decide."""

    conditions: tuple[Condition, ...] = ()
    startTime: datetime | None = None


@frozen
class Job:
    """One Job."""

    metadata: Meta
    status: JobStatus = field(factory=JobStatus)
    aftermath: Aftermath | None = None
    """What its worker is told to do after a run. None: its pod template has no task that can be read."""

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type if it is True."""
        return next((c for c in self.status.conditions if c.type == kind and c.status == "True"), None)

    @property
    def ended(self) -> bool:
        """No pod of it runs any more, and none will be created."""
        return self.condition("Complete") is not None or self.condition("Failed") is not None


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class _Container(msgspec.Struct):
    name: str
    env: tuple[_Variable, ...] = ()


class _PodTemplateSpec(msgspec.Struct):
    containers: tuple[_Container, ...] = ()


class _PodTemplate(msgspec.Struct):
    spec: _PodTemplateSpec = msgspec.field(default_factory=_PodTemplateSpec)


class _JobSpec(msgspec.Struct):
    template: _PodTemplate = msgspec.field(default_factory=_PodTemplate)


class _Undecoded(msgspec.Struct):
    metadata: Meta
    spec: _JobSpec = msgspec.field(default_factory=_JobSpec)
    status: JobStatus = msgspec.field(default_factory=JobStatus)


_JOB = msgspec.json.Decoder(_Undecoded)


def decode_job(data: bytes | msgspec.Raw) -> Job:
    """A Job from its JSON; of its spec only what its worker is told to do after a run.

    Raises:
        msgspec.ValidationError: not a Job; the message names the path.
    """
    raw = _JOB.decode(data)
    variables = [
        each for one in raw.spec.template.spec.containers if one.name == CONTAINER for each in one.env
    ]
    try:
        task = decode_task(next((each.value for each in variables if each.name == TASK_VARIABLE), ""))
    except ValueError:
        return Job(raw.metadata, raw.status)
    return Job(raw.metadata, raw.status, task.aftermath)


@frozen
class Waiting:
    """Why a container has not started."""

    reason: str = ""
    message: str = ""


@frozen
class Running:
    """Since when a container runs."""

    startedAt: datetime | None = None


@frozen
class Terminated:
    """How a container ended; `message` is what it wrote to its termination log."""

    exitCode: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    startedAt: datetime | None = None
    finishedAt: datetime | None = None


@frozen
class ContainerState:
    """Exactly one of the three is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


@frozen
class ContainerStatus:
    """One container of a pod."""

    name: str = ""
    state: ContainerState = field(factory=ContainerState)


@frozen
class PodStatus:
    """The status that scheduler and kubelet write."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    podIP: str = ""
    conditions: tuple[Condition, ...] = ()
    containerStatuses: tuple[ContainerStatus, ...] = ()


@frozen
class PodSpec:
    """Where a pod was placed."""

    nodeName: str = ""


@frozen
class Pod:
    """One pod."""

    metadata: Meta
    spec: PodSpec = field(factory=PodSpec)
    status: PodStatus = field(factory=PodStatus)

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, whatever its status."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    @property
    def state(self) -> ContainerState:
        """The state of our container; empty until the kubelet has written it."""
        ours = (found.state for found in self.status.containerStatuses if found.name == CONTAINER)
        return next(ours, ContainerState())

    @property
    def ended(self) -> bool:
        """All its containers have ended and will not be restarted."""
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def over(self) -> bool:
        """Our container has ended; our pods restart none. A container that a webhook added may still run."""
        return self.ended or self.state.terminated is not None


@frozen
class Involved:
    """The object that an Event is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""


@frozen
class Happening:
    """One Kubernetes Event. (It is not named Event, because asyncio has a class of that name.)"""

    metadata: Meta
    type: str = ""
    reason: str = ""
    message: str = ""
    lastTimestamp: datetime | None = None
    eventTime: datetime | None = None
    count: int | None = None
    involvedObject: Involved = field(factory=Involved)
