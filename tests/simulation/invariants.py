"""What always holds, as the API shows it (docs/invariants.md): checked at each write and at the end."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from attrs import define, field

from tests.simulation.cluster import conditions
from tests.simulation.server import ApiServer
from tests.simulation.store import Change, Item
from tests.simulation.worker import Workers, ended
from tidbbackup.model.names import BEGUN_UID, DUE_TIME, FINALIZER, SCHEDULE_LABEL, SCHEDULE_UID

PHASES = {"Scheduled", "Running", "Complete", "Failed", "Invalid", "Clean", "CleanFailed"}
FINAL = {"Complete", "Failed"}
GOING = {"Clean", "CleanFailed"}


class Broken(AssertionError):
    """An invariant does not hold."""


def must(holds: object, text: str) -> None:
    """Raises Broken unless it holds."""
    if not holds:
        raise Broken(text)


@define
class Invariants:
    """Told of each write to the API, by whomever."""

    server: ApiServer
    workers: Workers
    made: set[tuple[str, str]] = field(factory=set)
    """Owner's uid and name of each Job of a run."""
    dues: dict[str, set[str]] = field(factory=dict)
    """The due times of the Backups that were ever made, by their schedule's uid."""
    taken: set[str] = field(factory=set)
    """The uids of those whose Job was deleted by somebody else."""
    deleted: set[str] = field(factory=set)
    """The due times of those that a user has deleted: there may be another Backup for these."""
    reliable: bool = True
    """One controller leads at a time, and its clock is not put: else a due time may be counted twice."""
    broken: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server.objects.changed.append(self.told)

    def told(self, change: Change) -> None:
        """Looks at one write. What is broken is noted: raising would only reach whoever has written."""
        try:
            self._look(change)
        except Broken as broken:
            self.broken.append(f"{change.plural} {change.last.meta['name']}: {broken}")

    def _look(self, change: Change) -> None:
        ours = bool(self.server.actor)
        match change.plural, change.old, change.new:
            case "jobs", None, Item() as job:
                self._new_job(job)
            case "pods", None, Item() as pod:
                self._new_pod(pod)
            case "backups", None, Item() as backup if ours:
                self._new_backup(backup)
            case "backups" | "restores", Item() as old, Item() as new if ours:
                self._status(change.plural, old, new)
        if (
            change.plural == "jobs"
            and change.old
            and not change.old.going
            and (not change.new or change.new.going)
        ):
            self._deleted_job(change.old, ours=ours)
        if change.plural == "backups" and not ours and (change.new is None or change.new.going):
            self.deleted.add((change.last.annotations).get(DUE_TIME, ""))
        if change.plural == "backups" and change.old and ours:
            if FINALIZER in change.old.finalizers:
                still = change.new and FINALIZER in change.new.finalizers
                must(
                    still or change.old.going,
                    "the finalizer of a Backup that is not being deleted is removed",
                )
                if not still:
                    self._let_go(change.old)
            if change.last.going and not change.old.going:
                self._deleted(change.old)

    def _new_job(self, job: Item) -> None:
        owner = job.owner
        if not owner:
            return
        name = job.meta["name"]
        others = [each.meta["name"] for each in self._jobs_of(owner["uid"], name) if each.uid != job.uid]
        must(not others, f"made beside {others}, which has not ended")
        if not name.startswith("aftermath-"):
            must((owner["uid"], name) not in self.made, "made a second time for the same uid")
            self.made.add((owner["uid"], name))
        plural = "restores" if owner["kind"] == "Restore" else "backups"
        found = self.server.objects.get(plural, job.meta["namespace"], owner["name"])
        if found is not None and found.uid == owner["uid"]:
            begun = found.annotations.get(BEGUN_UID)
            must(begun == found.uid, f"made for a copy: its owner has the annotation {begun}")

    def _jobs_of(self, uid: str, name: str) -> list[Item]:
        """The Jobs of that owner for the same purpose as the one of that name that may still work."""
        return [
            each
            for each in self.server.objects.of("jobs").values()
            for owner in each.meta.get("ownerReferences") or ()
            if owner["uid"] == uid and each.meta["name"].split("-")[0] == name.split("-")[0]
            if not has_ended(each)
        ]

    def _deleted_job(self, job: Item, *, ours: bool) -> None:
        """A controller deletes a Job: nobody waits for what it does."""
        owner = job.owner
        if not ours:
            # Deleted before its owner says that it is there, it makes room for another one.
            self.made.discard((owner.get("uid", ""), job.meta["name"]))
            self.taken.add(owner.get("uid", ""))
            return
        plural = "restores" if owner.get("kind") == "Restore" else "backups"
        found = self.server.objects.get(plural, job.meta["namespace"], owner.get("name", ""))
        if (
            found is None
            or found.uid != owner["uid"]
            or found.going
            or job.meta["name"].startswith("aftermath-")
        ):
            return
        status = found.status
        stopped = status.get("runEnded") or status.get("backoffRetryStatus")
        pods = [pod for _, pod in self.workers.cluster.owned_by(job.uid)]
        over = found.phase in FINAL or has_ended(job) or any(map(ended, pods))
        must(over or stopped, f"deleted in phase {found.phase or 'none'}, although nobody has stopped it")

    def _new_pod(self, pod: Item) -> None:
        owner = pod.owner
        job = self.server.objects.get("jobs", pod.meta["namespace"], owner["name"])
        if job is None or not job.meta.get("ownerReferences") or job.meta["name"].startswith("aftermath-"):
            return
        uid = job.owner["uid"]
        works = [each.meta["name"] for each in self.workers.working(uid)]
        must(not works, f"{works} works for the same Backup")

    def _new_backup(self, backup: Item) -> None:
        told = backup.meta.get("annotations", {})
        due, uid = told[DUE_TIME], told[SCHEDULE_UID]
        known = self.dues.setdefault(uid, set())
        again = due in self.deleted or not self.reliable
        must(due not in known or again, f"a second Backup for the due time {due}")
        known.add(due)

    def _status(self, plural: str, old: Item, new: Item) -> None:
        status: dict[str, Any] = new.status
        before, phase = old.phase, status.get("phase", "")
        if old.json.get("status") == status:
            return
        true = [each["type"] for each in status.get("conditions", ()) if each["status"] == "True"]
        must([kind for kind in true if kind in PHASES] == [phase] * bool(phase), f"phase {phase}, but {true}")
        if before in FINAL | GOING:
            must(phase in {before} | GOING, f"{before} has become {phase}")
        reason = next(
            (each.get("reason") for each in status.get("conditions", ()) if each["type"] == phase), ""
        )
        must(reason != "JobDeleted" or new.uid in self.taken, "JobDeleted, but nobody has deleted its Job")
        if plural == "backups" and phase == "Complete":
            left = self.workers.left.get(new.uid)
            must(left and not left.not_whole(), "Complete, but there is no whole archive")

    def _let_go(self, old: Item) -> None:
        """The finalizer is removed: nothing runs, and what the policy asks for is done."""
        told = old.annotations
        space = self.server.objects.get("namespaces", "", old.meta["namespace"])
        if told.get(BEGUN_UID) != old.uid or space is None or space.going:
            return
        must(not self.workers.working(old.uid), "let go while its worker runs")
        left = self.workers.left.get(old.uid)
        if left is None:
            return
        must(not left.upload, "let go with an open upload")
        must(not left.raised or self._said(old.uid, "ReleaseGivenUp"), "let go with a raised GC life time")
        must(not left.archive or not self._deletes(old), "let go with its archive, against its cleanPolicy")

    def _deletes(self, backup: Item) -> bool:
        scheduled = SCHEDULE_LABEL in backup.labels
        policy = backup.json["spec"].get("cleanPolicy") or ("Delete" if scheduled else "Retain")
        return bool(policy == "Delete")

    def _said(self, uid: str, reason: str) -> bool:
        events = self.server.objects.of("events").values()
        return any(
            each.json["involvedObject"].get("uid") == uid and each.json.get("reason") == reason
            for each in events
        )

    def _deleted(self, backup: Item) -> None:
        """A controller deletes a Backup: it has ended, and is none of the newest `minBackups` good ones."""
        phase = backup.phase
        must(phase in FINAL | {"Invalid"}, f"deleted in phase {phase}")
        label = backup.labels.get(SCHEDULE_LABEL)
        if label is None or backup.phase != "Complete":
            return
        schedule = self.server.objects.get("backupschedules", backup.meta["namespace"], label)
        if schedule is None:
            return
        good = sorted(
            (each.meta["creationTimestamp"], each.annotations[DUE_TIME])
            for each in self.server.objects.of("backups").values()
            if each.labels.get(SCHEDULE_LABEL) == label
            and each.phase == "Complete"
            and (each.uid == backup.uid or not each.going)
        )
        floor = good[-schedule.json["spec"].get("minBackups", 1) :]
        made = backup.meta["creationTimestamp"], backup.annotations[DUE_TIME]
        must(made not in floor, f"retention deletes one of the newest complete ones: {floor}")

    def check_end(self) -> None:
        """Everything has settled: nothing is left undone, and nothing is left behind."""
        objects = self.server.objects
        must(not self.broken, "; ".join(self.broken[:5]))
        uids = {
            item.uid for plural in ("backups", "restores", "jobs") for item in objects.of(plural).values()
        }
        for plural in ("backups", "restores"):
            for item in objects.of(plural).values():
                self._at_rest(plural, item)
        for plural in ("jobs", "pods"):
            for item in objects.of(plural).values():
                must(not item.going, f"{plural} {item.meta['name']} is still being deleted")
                for owner in item.meta.get("ownerReferences") or ():
                    must(
                        owner["uid"] in uids, f"{plural} {item.meta['name']} is left of an owner that is gone"
                    )
        at_work = [item.meta["name"] for item in objects.of("pods").values() if not ended(item)]
        must(not at_work, f"{at_work} still work")

    def _at_rest(self, plural: str, item: Item) -> None:
        name, phase = item.meta["name"], item.phase
        must(not item.going, f"{plural} {name} is still being deleted, phase {phase}")
        begun = item.annotations.get(BEGUN_UID)
        if begun is not None and begun != item.uid:
            return
        must(phase in FINAL | {"Invalid"}, f"{plural} {name} is {phase or 'nothing'} at the end")
        left = self.workers.left.get(item.uid)
        if plural == "backups" and left:
            must(
                not left.raised or self._said(item.uid, "ReleaseGivenUp"), f"{name} has left the GC life time"
            )

    def check_due_times(self) -> None:
        """Each due time has its Backup, or is counted as something else."""
        for schedule in self.server.objects.of("backupschedules").values() if self.reliable else ():
            self._all_due_times(schedule)

    def _all_due_times(self, schedule: Item) -> None:
        """Each minute from the creation to `lastDueTime`."""
        status = schedule.status
        last = str(status.get("lastDueTime", ""))
        must(last, "no due time has had its outcome")
        created = datetime.fromisoformat(schedule.meta["creationTimestamp"])
        count = _minutes(created, last)
        ran = {due for due in self.dues.get(schedule.uid, ()) if due <= last and ":00Z" in due}
        passed: Counter[str] = Counter()
        for name in ("missedRuns", "skippedRuns", "pausedRuns"):
            passed[name] = status.get(name) or 0
        told = len(ran) + passed.total()
        # One that a user deletes before it is written down may be made again, or be counted as missed.
        again = sum(due in self.deleted for due in ran)
        must(count <= told <= count + again, f"{count} due times, but {len(ran)} Backups and {dict(passed)}")


def has_ended(job: Item) -> bool:
    """Whether a Job is Complete or Failed."""
    return any(each["type"] in FINAL for each in conditions(job))


def _minutes(after: datetime, until: str) -> int:
    """How many whole minutes come after one time, up to another."""
    end = datetime.fromisoformat(until)
    return int(end.timestamp() // 60 - after.timestamp() // 60)
