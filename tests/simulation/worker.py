"""What the pods of a controller's Jobs do: whether and when they start, how long they work, how they end.

What a dump leaves and an aftermath clears is tests/decide/left_behind.py.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime
from functools import partial

import attrs
import msgspec
from attrs import define, field, frozen

from tests.decide.builders import result, said, terminated
from tests.decide.left_behind import LeftBehind
from tests.simulation.cluster import TERMINAL, Cluster
from tests.simulation.store import JSON, Item
from tidbbackup.model.contract.aftermath import Aftermath, Part, PartResult
from tidbbackup.model.contract.result import Outcome, WorkerResult
from tidbbackup.model.contract.task import TASK_VARIABLE, WorkerTask, decode_task
from tidbbackup.model.names import COMPONENT
from tidbbackup.model.resource.kubernetes import ContainerState, ContainerStatus, PodStatus, Running

STORIES = {
    "backup": (
        "complete",
        "complete",
        "complete",
        "fail",
        "die",
        "half",
        "late",
        "mute",
        "evict",
        "pend",
        "lost",
    ),
    "aftermath": ("complete", "complete", "complete", "fail", "die", "pend", "lost"),
    "restore": ("complete", "complete", "fail", "die", "pend", "lost"),
}
"""How a pod may go. Of those without a word: die has done nothing, half has an archive but no manifest, late
and mute have done all (late is killed, mute ends with exit code 0). pend never starts; lost is on a node that
is not heard of any more."""


@frozen
class Run:
    """One pod's work."""

    pod: Item
    task: WorkerTask
    component: str
    story: str


@define
class Workers:
    """All of them, and the bucket and the databases that they work on."""

    cluster: Cluster
    rng: random.Random
    left: dict[str, LeftBehind] = field(factory=dict)
    """What the runs of a Backup have left, by its uid."""
    runs: dict[str, Run] = field(factory=dict)
    """Those that have begun and have not ended, by the pod's uid."""
    calm: bool = False

    def __attrs_post_init__(self) -> None:
        self.cluster.started = self.made
        self.cluster.stopped = self.told_to_stop

    def made(self, pod: Item) -> None:
        """A pod waits for its node."""
        component = pod.meta["labels"].get(COMPONENT, "")
        if component not in STORIES:
            return
        story = "complete" if self.calm else self.rng.choice(STORIES[component])
        if story == "pend":
            return
        run = Run(pod, task_of(pod), component, story)
        asyncio.get_running_loop().call_later(self.rng.choice((0.1, 1.0, 15.0)), self._start, run)

    def _start(self, run: Run) -> None:
        now = self.cluster.server.clock()
        state = ContainerState(running=Running(now))
        node = f"node-{run.pod.uid[:8]}"
        found = self.cluster.server.objects.get("pods", run.pod.meta["namespace"], run.pod.meta["name"])
        if found is None or found.uid != run.pod.uid or found.going:
            return
        self.cluster.patch("pods", run.pod, {"spec": {"nodeName": node}})
        self._write(run, "Running", state)
        self.runs[run.pod.uid] = run
        if run.component == "backup":
            self.of(run.task).begun()
        if run.story == "lost" and not self.calm:
            self._lose(run)
        seconds = self.rng.choice((0.5, 5.0, 40.0))
        asyncio.get_running_loop().call_later(seconds, self._end, run, now)

    def of(self, task: WorkerTask) -> LeftBehind:
        """What the runs of its Backup have left."""
        return self.left.setdefault(task.uid, LeftBehind())

    def _lose(self, run: Run) -> None:
        self.cluster.held.add(run.pod.uid)
        evict = partial(self.cluster.delete, "pods", run.pod)
        asyncio.get_running_loop().call_later(30.0, evict)

    def told_to_stop(self, pod: Item) -> None:
        """SIGTERM: a worker that has the time cleans up and says so."""
        run = self.runs.pop(pod.uid, None)
        if run is None:
            return
        if self.rng.random() < 0.5 or run.component != "backup":
            self._write(run, "Failed", terminated(exit_code=137))
            return
        left = self.of(run.task)
        left.upload = left.raised = False
        gone = result(Outcome.FAILED, reason="Terminated", message="told to stop")
        self._say(run, attrs.evolve(gone, started=None, finished=self.cluster.server.clock()))

    def _end(self, run: Run, began: datetime) -> None:
        if run.pod.uid not in self.runs:
            return
        if run.pod.uid in self.cluster.held:
            return  # It works on, or does not: nobody hears of it.
        del self.runs[run.pod.uid]
        if run.story == "evict":
            self._write(run, "Failed", _ended(137, began), reason="Evicted")
        elif run.story in ("die", "lost"):
            self._write(run, "Failed", _ended(137, began))
        elif run.component == "aftermath":
            self._say(run, self._aftermath(run, began))
        else:
            self._dumped_or_loaded(run, began)

    def _dumped_or_loaded(self, run: Run, began: datetime) -> None:
        left = self.of(run.task) if run.component == "backup" else LeftBehind()
        if run.story == "half":
            left.archive, left.upload = True, False
        elif run.story == "fail":
            left.upload = left.raised = False
        else:
            left.stored(released=run.story == "complete")
        if run.story in ("half", "late"):
            self._write(run, "Failed", _ended(137, began))
        elif run.story == "mute":
            self._write(run, "Succeeded", _ended(0, began))
        else:
            self._say(run, self._result(run, began, good=run.story == "complete"))

    def _result(self, run: Run, began: datetime, *, good: bool) -> WorkerResult:
        told = result() if good else result(Outcome.FAILED, reason="DumpFailed", message="it broke")
        path = run.task.target.url if good else ""
        return attrs.evolve(told, path=path, started=began, finished=self.cluster.server.clock())

    def _aftermath(self, run: Run, began: datetime) -> WorkerResult:
        left = self.of(run.task)
        if run.story == "fail":
            return _failing(run.task.aftermath)
        return left.aftermath(run.task.aftermath, self._result(run, began, good=True))

    def _say(self, run: Run, told: WorkerResult) -> None:
        self._write(run, "Failed" if told.outcome is Outcome.FAILED else "Succeeded", said(told))

    def _write(self, run: Run, phase: str, state: ContainerState, reason: str = "") -> None:
        status = PodStatus(phase=phase, reason=reason, containerStatuses=(ContainerStatus("backup", state),))
        self.cluster.patch("pods", run.pod, {"status": msgspec.to_builtins(status)}, "status")

    def working(self, uid: str) -> list[Item]:
        """The pods that work for the Backup or Restore of that uid, and are on no lost node."""
        return [
            run.pod
            for run in self.runs.values()
            if run.task.uid == uid and run.pod.uid not in self.cluster.held
        ]

    def settle(self) -> None:
        """Nothing fails any more, and lost nodes are taken away with what was on them."""
        self.calm = True
        for uid in self.cluster.held:
            self.runs.pop(uid, None)
        self.cluster.release()


def task_of(pod: Item) -> WorkerTask:
    """What its worker is told to do."""
    variables: list[JSON] = pod.json["spec"]["containers"][0]["env"]
    return decode_task(next(each["value"] for each in variables if each["name"] == TASK_VARIABLE))


def _ended(code: int, began: datetime) -> ContainerState:
    state = terminated(exit_code=code)
    assert state.terminated is not None
    return ContainerState(terminated=attrs.evolve(state.terminated, startedAt=began, finishedAt=None))


def _failing(told: Aftermath) -> WorkerResult:
    parts = tuple(
        PartResult(part, done=False, reason="AccessDenied", message="no") for part in Part if part in told
    )
    return result(Outcome.FAILED, reason="AccessDenied", message="no", parts=parts)


def ended(pod: Item) -> bool:
    """Whether nothing of it runs any more."""
    return pod.phase in TERMINAL
