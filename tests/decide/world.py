"""A world for property tests: one Backup, its Jobs and pods, a bucket; pure, in memory, made to be broken.

A model of what Plans do to the world and what the world does by itself. What it says of the API server and of
the controllers of Kubernetes is held to the real ones by tests/decide/contract. It knows nothing of requests,
admission or watches beyond what the properties need.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
import msgspec

from tests.decide.builders import NOW, URL, plan_or_look, pod, result, running, said, terminated
from tests.decide.left_behind import LeftBehind
from tidbbackup.decide import backup as run_backup
from tidbbackup.decide import gc
from tidbbackup.decide.facts import BackupFacts, Refusal
from tidbbackup.decide.plan import (
    Action,
    Announce,
    Counted,
    Create,
    Delete,
    Look,
    PatchStatus,
    Plan,
    SetFinalizers,
    Tally,
)
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.names import FINALIZER
from tidbbackup.model.resource.backup import KIND, WARNING, Backup, BackupStatus, Condition, Phase
from tidbbackup.model.resource.kubernetes import ContainerState, Job, JobStatus, Pod, decode_job
from tidbbackup.reconcile.act import is_ours

IMAGE = WorkerImage("w")
FINAL = {"Complete", "Failed"}
GOING = {"Clean", "CleanFailed"}
FOREGROUND = "foregroundDeletion"
"""The finalizer by which the garbage collector keeps an object until what blocks its deletion is gone."""


class Conflicted(Exception):
    """The object is not as it was seen: the rest of the Plan is not carried out."""


class Rejected(Exception):
    """The API server does not take a change: it breaks a rule of the API or of the CRD."""


class Refused(Exception):
    """The API server does not take an object."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@attrs.frozen
class View:
    """The objects at one moment."""

    backup: Backup | None
    jobs: dict[str, Job]
    pods: dict[str, Pod]


@attrs.define
class World(LeftBehind):
    """All there is. `script` says how a dump goes: complete, fail, pend, or end without a word.

    Of the latter: die has done nothing, half has an archive but no manifest, late and mute have done all
    (late is killed, mute ends with exit code 0). evict has the first attempt evicted and the second complete.
    """

    backup: Backup | None
    script: str
    jobs: dict[str, Job] = attrs.Factory(dict)
    pods: dict[str, Pod] = attrs.Factory(dict)
    starts_at: datetime = NOW
    """No dump's pod starts before."""
    now: datetime = NOW
    version: int = 10
    runs_made: int = 0
    events: set[tuple[str, str]] = attrs.Factory(set)
    tallies: list[Tally] = attrs.Factory(list)
    """What has been counted; times differ from life to life, so without them."""
    held: set[str] = attrs.Factory(set)
    """Pods that do not go, as those of a lost node."""
    tried: set[str] = attrs.Factory(set)
    """The uids of Jobs that have made their pod: they make no second one."""
    blocking: set[str] = attrs.Factory(set)
    """The uids of Jobs that block a deletion of the Backup in the foreground."""

    def view(self) -> View:
        """What a cache that does not lag would hold."""
        return View(self.backup, dict(self.jobs), dict(self.pods))

    # What a Plan does.

    def apply(self, action: Action) -> None:
        """One action of a Plan."""
        match action:
            case Create(manifest=manifest):
                self._create(manifest)
            case Delete(key=key, uid=uid) if key.kind == KIND:
                if self.backup is not None and self.backup.metadata.uid == uid:
                    self.delete_backup()
                    self._count(action.tallies)
            case Delete(key=key, uid=uid):
                found = self.jobs.get(key.name)
                if found is not None and found.metadata.uid == uid:
                    self.delete_job(key.name, foreground=not action.abandon)
                    self._count(action.tallies)
            case PatchStatus() | SetFinalizers() if self.backup is None:
                pass  # Nobody is left to tell.
            case PatchStatus(version=version, changes=changes):
                self._patch(version, changes)
                self._count(action.tallies)
            case SetFinalizers(version=version, finalizers=finalizers):
                self._set_finalizers(version, finalizers, action.annotations)
                self._count(action.tallies)
            case Announce(reason=reason, message=message):
                self.events.add((reason, message))

    def _count(self, tallies: tuple[Tally, ...]) -> None:
        self.tallies += [attrs.evolve(tally, seconds=None) for tally in tallies]
        ends = [tally for tally in self.tallies if tally.what is Counted.FINISHED]
        assert len(ends) <= 1, "an end was counted twice"

    def _create(self, manifest: dict[str, Any]) -> None:
        meta = manifest["metadata"]
        name, (owner,) = meta["name"], meta["ownerReferences"]
        if name.startswith("backup-"):
            others = [pod for each, pod in self.pods.items() if each.startswith("backup-") and each != name]
            assert all(pod.ended for pod in others), "two attempts at once"
        if name in self.jobs:
            if not is_ours(self.jobs[name].metadata, manifest):
                raise Refused(Refusal(409, f"{name} already exists"))
            return
        self.version += 1
        self.runs_made += name.startswith("backup-")
        uid = f"{name}-{self.version}"
        if owner["blockOwnerDeletion"]:
            self.blocking.add(uid)
        made = decode_job(msgspec.json.encode(manifest))
        self.jobs[name] = attrs.evolve(
            made, metadata=attrs.evolve(made.metadata, uid=uid, creationTimestamp=self.now)
        )

    def _patch(self, version: str, changes: dict[str, Any]) -> None:
        found = self._current(version)
        new = msgspec.convert(merged(msgspec.to_builtins(found.status), changes), BackupStatus)
        self.check_status(found, new)
        self._store(attrs.evolve(found, status=new))

    def check_status(self, found: Backup, new: BackupStatus) -> None:
        """The invariants of a status, whenever one is written."""
        true = [each for each in new.conditions if each.status == "True" and each.type in set(Phase)]
        assert [each.type for each in true] == ([new.phase] if new.phase else []), "held back it has no phase"
        assert new.observedGeneration == found.metadata.generation
        assert all(each.reason and each.message for each in true)
        old = found.status.phase
        if old in FINAL | GOING:
            assert new.phase in {old} | GOING, "what is final has changed"
        if any(each.reason == "JobDeleted" for each in true):
            assert "backup-demo" not in self.jobs, "a Job that exists was taken for deleted"
        if new.phase == "Complete":
            assert (new.backupPath, self.archive, self.manifest) == (URL, True, True)

    def _set_finalizers(self, version: str, finalizers: tuple[str, ...], annotations: dict[str, str]) -> None:
        found = self._current(version)
        if FINALIZER not in finalizers:
            runs = [name for name, each in self.pods.items() if each.status.phase == "Running"]
            assert not set(runs) - self.held, "a run goes on"
        if found.metadata.deletionTimestamp is not None:
            if not finalizers:
                self.backup = None
                return
            if not set(finalizers) <= set(found.metadata.finalizers):
                raise Rejected("no new finalizers can be added if the object is being deleted")
        both = found.metadata.annotations | annotations
        meta = attrs.evolve(found.metadata, finalizers=finalizers, annotations=both)
        self._store(attrs.evolve(found, metadata=meta))

    def _current(self, version: str) -> Backup:
        if self.backup is None or self.backup.metadata.resourceVersion != version:
            raise Conflicted
        return self.backup

    def _store(self, found: Backup) -> None:
        if found == self.backup:
            return  # What changes nothing makes no new version.
        self.version += 1
        self.backup = attrs.evolve(
            found, metadata=attrs.evolve(found.metadata, resourceVersion=str(self.version))
        )

    def look_at(self, look: Look) -> tuple[object, ...]:
        """What a live look finds."""
        if look.kind == KIND:
            return (self.backup,) if self.backup and self.backup.metadata.name in look.names else ()
        if look.kind == "Job":
            return (self.jobs[look.name],) if look.name in self.jobs else ()
        if look.kind == "Pod":
            component = look.labels.rsplit("=", 1)[-1]
            return tuple(each for name, each in self.pods.items() if name.startswith(f"{component}-"))
        return ()

    # What the user does.

    def delete_backup(self, *, foreground: bool = False) -> None:
        """kubectl delete backup, also with --cascade=foreground."""
        found = self.backup
        if found is None or found.metadata.deletionTimestamp is not None:
            return
        finalizers = found.metadata.finalizers + ((FOREGROUND,) if foreground else ())
        if not finalizers:
            self.backup = None
            return
        # Kubernetes counts a deletion that waits as a new generation.
        generation = found.metadata.generation + 1
        meta = attrs.evolve(
            found.metadata, deletionTimestamp=self.now, finalizers=finalizers, generation=generation
        )
        self._store(attrs.evolve(found, metadata=meta))

    def delete_job(self, name: str, *, foreground: bool = False) -> None:
        """kubectl delete job, in the background: its pod is left to end by itself."""
        found = self.jobs.get(name)
        if found is None or not foreground:
            self.jobs.pop(name, None)
        elif found.metadata.deletionTimestamp is None:
            meta = attrs.evolve(found.metadata, deletionTimestamp=self.now)
            self.jobs[name] = attrs.evolve(found, metadata=meta)

    def delete_pod(self, name: str) -> None:
        """kubectl delete pod."""
        if name in self.pods:
            self._stop(name)

    # What happens by itself.

    def progress(self) -> bool:
        """One step of Job controller, node, workers and garbage collector; False where all is still."""
        return any([self._step(name) for name in list(self.jobs)] + [self._sweep(), self._collect()])

    def come_to_rest(self) -> None:
        """All that happens with nobody to reconcile."""
        while self.progress() or self.now < self.starts_at:
            self.now = max(self.now + timedelta(seconds=1), self.starts_at)

    def _sweep(self) -> bool:
        """Pods whose Job is gone are stopped."""
        uids = {job.metadata.uid for job in self.jobs.values()}
        left = [name for name, each in self.pods.items() if each.metadata.ownerReferences[0].uid not in uids]
        return bool([name for name in left if self._stop(name)])

    def _collect(self) -> bool:
        """Jobs whose Backup is gone are deleted; one deleted in the foreground waits for what blocks that."""
        found = self.backup
        uid = found.metadata.uid if found is not None else ""
        owned = {name: each for name, each in self.jobs.items() if each.metadata.owner is not None}
        left = [name for name, each in owned.items() if each.metadata.ownerReferences[0].uid != uid]
        for name in left:
            self.delete_job(name)
        if found is None or FOREGROUND not in found.metadata.finalizers:
            return bool(left)
        blocked = [name for name, each in owned.items() if each.metadata.uid in self.blocking]
        going = [name for name in blocked if self.jobs[name].metadata.deletionTimestamp is None]
        for name in going:
            self.delete_job(name, foreground=True)
        if not blocked:
            rest = tuple(each for each in found.metadata.finalizers if each != FOREGROUND)
            self.backup = None
            if rest:
                self._store(attrs.evolve(found, metadata=attrs.evolve(found.metadata, finalizers=rest)))
        return bool(left or going or not blocked)

    def _step(self, name: str) -> bool:
        job = self.jobs[name]
        found = self.pods.get(name)
        if job.metadata.deletionTimestamp is not None:
            if found is not None:
                return self._stop(name)
            del self.jobs[name]
            return True
        if job.ended:
            return False
        if found is None and job.metadata.uid in self.tried:
            self._end_job(name, "Failed")
            return True
        if found is None:
            self.tried.add(job.metadata.uid)
            self.pods[name] = pod(owner=job.metadata.uid, name=name, creationTimestamp=self.now)
            return True
        if found.status.phase == "Pending":
            return self._start(name, job)
        if found.status.phase == "Running":
            self._end(name, job)
            return True
        self._end_job(name, "Complete" if found.status.phase == "Succeeded" else "Failed")
        return True

    def _end_job(self, name: str, kind: str) -> None:
        ended = JobStatus((Condition(kind, "True", lastTransitionTime=self.now),))
        self.jobs[name] = attrs.evolve(self.jobs[name], status=ended)

    def _start(self, name: str, job: Job) -> bool:
        if name.startswith("backup-") and (self.script == "pend" or self.now < self.starts_at):
            return False
        if name.startswith("backup-"):
            self.begun()
        self.pods[name] = pod("Running", running(self.now), owner=job.metadata.uid, name=name)
        return True

    def _end(self, name: str, job: Job) -> None:
        owner = {"owner": job.metadata.uid, "name": name}
        if name.startswith("aftermath-"):
            assert job.aftermath is not None
            report = self.aftermath(job.aftermath, result())
            good = report.outcome is not Outcome.FAILED
            self.pods[name] = pod("Succeeded" if good else "Failed", said(report), **owner)
        elif self.script in ("complete", "mute", "late"):
            self.stored(released=self.script == "complete")
            last = {"complete": said(result()), "mute": terminated(), "late": terminated(exit_code=137)}
            self.pods[name] = pod(
                "Failed" if self.script == "late" else "Succeeded", last[self.script], **owner
            )
        elif self.script == "fail":
            self.upload = self.raised = False
            self.log = True
            told = result(Outcome.FAILED, reason="DumpFailed", message="x", logKept=True)
            self.pods[name] = pod("Failed", said(told), **owner)
        elif self.script == "evict" and name == "backup-demo":
            self.pods[name] = pod("Failed", terminated(exit_code=137), reason="Evicted", **owner)
        elif self.script == "evict":
            self.stored(released=True)  # The second attempt is the same holder.
            self.pods[name] = pod("Succeeded", said(result()), **owner)
        else:
            self.archive, self.upload = self.script == "half", self.script == "die"
            self.pods[name] = pod("Failed", terminated(exit_code=137), **owner)
        self.pods[name] = _began(self.pods[name], self.now)

    def clean(self, data: bool) -> None:
        """Also: data is deleted only where that is asked for."""
        policy = self.backup.spec.cleanPolicy if self.backup else None
        assert not (data and policy in (None, "Retain")), "data deleted that nobody asked to delete"
        super().clean(data)

    def _stop(self, name: str) -> bool:
        """A pod is deleted; whether that changes anything."""
        found = self.pods[name]
        if name not in self.held:
            del self.pods[name]
        elif found.metadata.deletionTimestamp is None:
            meta = attrs.evolve(found.metadata, deletionTimestamp=self.now)
            self.pods[name] = attrs.evolve(found, metadata=meta)
        else:
            return False
        return True

    def summary(self) -> tuple[object, ...]:
        """The world without its times: what has to be the same however often we died."""
        phase = reason = ""
        told: tuple[object, ...] = ()
        if self.backup is not None:
            status = self.backup.status
            phase, found = status.phase, status.condition(status.phase)
            reason = found.reason if found else ""
            told = (
                *(status.backupPath, status.backupSize, status.checksum, status.commitTs, status.databases),
                *(status.timeCompleted is None, status.observedGeneration, status.condition(WARNING)),
                tuple(record.retryReason for record in status.backoffRetryStatus),
            )
        left = self.archive, self.upload, self.raised, self.log
        return phase, reason, *left, tuple(sorted(self.jobs)), told


def _began(found: Pod, at: datetime) -> Pod:
    """Its container tells when it began, as one does that ran before it ended."""
    (container,) = found.status.containerStatuses
    assert container.state.terminated is not None
    ended = ContainerState(terminated=attrs.evolve(container.state.terminated, startedAt=at))
    told = attrs.evolve(found.status, containerStatuses=(attrs.evolve(container, state=ended),))
    return attrs.evolve(found, status=told)


def merged(old: Any, changes: Any) -> Any:
    """What a JSON merge patch (RFC 7386) makes of `old`."""
    if not isinstance(changes, dict):
        return changes
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in changes.items():
        new[name] = merged(new.get(name), value)
    return {name: value for name, value in new.items() if value is not None}


def facts_of(seen: View, refusal: Refusal | None = None) -> BackupFacts:
    """What the caches hold about the Backup."""
    found = seen.backup
    suffix = f"-r{found.attempt}" if found is not None and found.attempt > 1 else ""
    return BackupFacts(
        found,
        IMAGE,
        job=seen.jobs.get(f"backup-demo{suffix}"),
        pods=tuple(each for name, each in seen.pods.items() if name.startswith("backup-")),
        aftermath_job=seen.jobs.get("aftermath-demo"),
        aftermath_pods=tuple(each for name, each in seen.pods.items() if name.startswith("aftermath-")),
        refusal=refusal,
    )


def plan_for(world: World, seen: View, refusal: Refusal | None = None) -> Plan:
    """The decision on what the caches hold, with looks answered by the world as it is."""
    found, facts = seen.backup, facts_of(seen, refusal)
    going = found is not None and found.metadata.deletionTimestamp is not None
    decide = gc.decide if going else run_backup.decide
    for _ in range(5):
        plan = plan_or_look(decide, facts, world.now)
        if isinstance(plan, Plan):
            assert plan.wake_at is None or plan.wake_at > world.now
            return plan
        evidence = {**facts.evidence, plan: world.look_at(plan)}
        facts = attrs.evolve(facts, evidence=evidence, server_time=world.now)
    raise AssertionError("too many looks")


def tick(world: World, seconds: float = 1) -> None:
    """Time passes."""
    world.now += timedelta(seconds=seconds)
