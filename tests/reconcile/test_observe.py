"""From the caches to facts, and from a change to the keys it concerns.

Here is also what reconcile/kinds.py promises.
"""

from typing import Any

import attrs
import msgspec
import pytest

from tests.decide.aftermath.test_drilled import drill
from tests.decide.builders import IMAGE, NOW, UID, backup, status
from tests.decide.schedule_builders import DUE, child, later, schedule
from tests.decide.spec.test_restored import restore
from tests.decide.test_restore import told
from tests.reconcile.scene import caches, job_of, malformed, pod_of
from tidbbackup.decide.facts import Caps
from tidbbackup.kube.decode import Malformed, read_object
from tidbbackup.kube.store import Change
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.names import BEGUN_UID, SCHEDULE_LABEL, short
from tidbbackup.model.resource.backup import BackupStatus, Progress
from tidbbackup.model.resource.kubernetes import ContainerState, ContainerStatus, Job, Pod, PodStatus, Running
from tidbbackup.model.resource.restore import Restore, RestoreProgress
from tidbbackup.model.resource.schedule import BackupSchedule
from tidbbackup.reconcile.kinds import KINDS
from tidbbackup.reconcile.observe import (
    observe_backup,
    observe_restore,
    observe_schedule,
    wakes_backup,
    wakes_next,
    wakes_owner,
    wakes_restore,
    working,
)

LONG = "long." * 50 + "x"


@pytest.mark.parametrize("name", ["demo", LONG])
def test_all_that_concerns_a_backup(name: str) -> None:
    found = backup(name=name)
    jobs = (job_of(name), job_of(name, "aftermath"), job_of("other"))
    pods = (pod_of(name), pod_of(name, "aftermath", "q"), pod_of("other", "backup", "r"))
    facts = observe_backup(caches((found, backup(name="other")), jobs, pods), found.key, IMAGE)

    assert facts.backup == found
    assert (facts.job, facts.pods) == (jobs[0], pods[:1])
    assert (facts.aftermath_job, facts.aftermath_pods) == (jobs[1], pods[1:2])
    assert (facts.unreadable, facts.refusal, facts.evidence) == ("", None, {})


def test_all_that_concerns_a_restore() -> None:
    named = backup(name="of-it")
    found = restore(s3=None, backup="of-it")
    jobs, pods = (job_of("demo", "restore"), job_of("demo")), (pod_of("demo", "restore", "q"), pod_of("demo"))
    held = caches((named,), jobs, pods, restores=(found,))
    facts = observe_restore(held, found.key, IMAGE)
    assert (facts.restore, facts.job, facts.pods, facts.backup) == (found, jobs[0], pods[:1], named)
    assert observe_restore(caches(), found.key, IMAGE).restore is None
    unreadable = observe_restore(caches(restores=(malformed(found),)), found.key, IMAGE)
    assert unreadable.unreadable == "Expected `int`"


def test_a_restore_is_woken_by_its_job_its_pod_and_the_backup_that_it_names() -> None:
    found = restore(s3=None, backup="demo")
    held = caches((backup(),), restores=(found,))
    key = ObjectKey("Job", "ns", "x")
    assert list(wakes_owner(held, Change(key, None, job_of("demo", "restore")))) == [found.key]
    assert list(wakes_owner(held, Change(key, None, pod_of("demo", "restore")))) == [found.key]
    change = Change(backup().key, None, backup())
    assert list(wakes_backup(held, change)) == [backup().key, found.key]


def reading(url: str, phase: str = "Running", **spec: Any) -> Restore:
    """A Restore that has begun to read this archive."""
    found = restore(**spec)
    meta = attrs.evolve(found.metadata, annotations={BEGUN_UID: UID})
    return attrs.evolve(found, metadata=meta, status=told(phase, backupPath=url))


def test_who_reads_a_backups_archive_now() -> None:
    url = "s3://bucket/a.tgz"
    found = backup(status=status("Complete", backupPath=url))
    for phase, readers in (("Running", ("demo",)), ("Failed", ()), ("Invalid", ())):
        held = caches((found,), restores=(reading(url, phase),))
        assert tuple(key.name for key in observe_backup(held, found.key, IMAGE).readers) == readers
    other = caches((found,), restores=(reading("s3://bucket/b.tgz"),))
    assert observe_backup(other, found.key, IMAGE).readers == ()


def test_a_backup_is_woken_once_no_restore_reads_its_archive_any_more() -> None:
    url = "s3://bucket/a.tgz"
    found = backup(status=status("Complete", backupPath=url))
    reads, over = reading(url), reading(url, "Failed")
    held = caches((found,))
    assert list(wakes_restore(held, Change(reads.key, reads, over))) == [reads.key, found.key]
    assert list(wakes_restore(held, Change(reads.key, reads, None))) == [reads.key, found.key]
    assert list(wakes_restore(held, Change(reads.key, None, reads))) == [reads.key]
    progress = attrs.evolve(reads, status=attrs.evolve(reads.status, progress=RestoreProgress("load 4%")))
    assert list(wakes_restore(held, Change(reads.key, reads, progress))) == []


@pytest.mark.parametrize(
    ("source", "phase", "seen"),
    [
        ({"host": "tidb", "secretName": "x"}, "Running", True),
        ({"host": "tidb", "secretName": "x", "port": 4001}, "Running", False),
        ({"host": "another", "secretName": "x"}, "Running", False),
        ({"host": "tidb", "secretName": "x"}, "Complete", False),
    ],
)
def test_a_backup_that_dumps_from_the_target_is_known_to_the_restore_and_wakes_it(
    source: dict[str, Any], phase: str, seen: bool
) -> None:
    found = reading("s3://bucket/a.tgz")
    dumps = backup({"from": source}, name="nightly", status=status(phase))
    held = caches((dumps,), restores=(found,))
    assert observe_restore(held, found.key, IMAGE).dumps == (("nightly",) if seen else ())
    if seen:
        assert list(wakes_backup(held, Change(dumps.key, None, dumps))) == [dumps.key, found.key]


def test_where_backups_wait_their_turn_each_change_of_one_wakes_the_next() -> None:
    one, cap = backup(name="a", uid="a", status=status("Running")), Caps(per_server=1)
    next_, last = (backup(name=each, uid=each, status=BackupStatus()) for each in ("b", "c"))
    held, change = caches((one, next_, last)), Change(one.key, None, one)
    assert list(wakes_next(held, cap, change)) == []
    assert observe_backup(held, next_.key, IMAGE, cap).not_over == (one, next_, last)
    assert observe_backup(held, one.key, IMAGE, cap).not_over == ()
    assert observe_backup(held, next_.key, IMAGE).not_over == ()
    corrected = attrs.evolve(next_, status=status("Invalid"))
    seen = observe_backup(caches((one, corrected)), corrected.key, IMAGE, cap).not_over
    assert seen == (one, corrected)

    over = attrs.evolve(one, status=status("Running", "Complete"))
    held = caches((over, next_, last))
    assert list(wakes_next(held, cap, Change(one.key, one, over))) == [next_.key]
    assert list(wakes_next(caches((next_, last)), cap, Change(one.key, one, None))) == [next_.key]
    progress = attrs.evolve(one, status=attrs.evolve(one.status, progress=Progress("dump 6%")))
    assert list(wakes_next(held, cap, Change(one.key, one, progress))) == []


def test_a_drill_concerns_its_backup_and_its_schedule() -> None:
    one = drill()
    one = attrs.evolve(one, metadata=attrs.evolve(one.metadata, labels={SCHEDULE_LABEL: "s"}))
    by_hand = restore(s3=None, backup="demo")
    held = caches((backup(),), schedules=(scheduled("s"),), restores=(one, by_hand))
    assert observe_backup(held, backup().key, IMAGE).drills == (one,)
    planned = observe_schedule(held, scheduled("s").key)
    assert planned is not None
    assert planned.drills == (one,)
    woken = list(wakes_restore(held, Change(one.key, None, one)))
    assert woken == [one.key, backup().key, scheduled("s").key]
    assert list(wakes_restore(held, Change(by_hand.key, by_hand, None))) == [by_hand.key]


def test_one_that_is_gone() -> None:
    facts = observe_backup(caches(), backup().key, IMAGE)

    assert (facts.backup, facts.job, facts.pods) == (None, None, ())


def test_one_that_cannot_be_read_is_told_apart() -> None:
    facts = observe_backup(caches((malformed(backup()),)), backup().key, IMAGE)

    assert facts.unreadable == "Expected `int`"
    assert facts.backup is not None
    assert facts.backup.metadata == backup().metadata


def test_jobs_and_pods_that_cannot_be_read_are_there_and_have_not_ended() -> None:
    held = caches((backup(),), (malformed(job_of("demo")),), (malformed(pod_of("demo")),))
    facts = observe_backup(held, backup().key, IMAGE)

    assert facts.job == Job(job_of("demo").metadata)
    assert not facts.job.ended
    assert facts.pods == (Pod(pod_of("demo").metadata),)
    assert not facts.pods[0].ended


def test_a_pod_that_cannot_be_read_is_found_whatever_labels_its_backup_gives_it() -> None:
    """As large as spec.podLabels may be: a Job counts as stopped only when no pod of it is found."""
    many = {f"{'x' * 249}.{number:03}/{'y' * 63}": "z" * 63 for number in range(64)}
    meta = msgspec.to_builtins(pod_of("demo").metadata)
    meta["labels"] = many | meta["labels"]
    raw = msgspec.Raw(msgspec.json.encode({"metadata": meta, "status": {"phase": 5}}))
    found = read_object(raw, KINDS["Pod"].decode)
    assert isinstance(found, Malformed)
    facts = observe_backup(caches((backup(),), (job_of("demo"),), (found,)), backup().key, IMAGE)

    assert [each.metadata.name for each in facts.pods] == ["p"]
    assert [each.metadata.owner for each in facts.pods] == [pod_of("demo").metadata.owner]


def test_a_backup_wakes_itself() -> None:
    assert list(wakes_backup(caches(), Change(backup().key, None, backup()))) == [backup().key]


@pytest.mark.parametrize("name", ["s", LONG])
def test_a_backup_wakes_the_schedule_whose_name_it_bears_also_when_it_goes(name: str) -> None:
    planned, made = scheduled(name), child(DUE, labels={SCHEDULE_LABEL: short(name)})
    held = caches(schedules=(planned, scheduled("another")))
    for view in (made, malformed(made)):
        for old, new in ((None, view), (view, None)):
            assert list(wakes_backup(held, Change(made.key, old, new))) == [made.key, planned.key]


def test_a_backup_whose_schedule_is_gone_elsewhere_or_unreadable_wakes_itself_alone() -> None:
    change = Change(child(DUE).key, None, child(DUE))
    elsewhere = scheduled("s", namespace="elsewhere")
    for schedules in ((), (elsewhere,), (malformed(schedule()),)):
        assert list(wakes_backup(caches(schedules=schedules), change)) == [child(DUE).key]


def scheduled(name: str, **meta: Any) -> BackupSchedule:
    """A schedule of that name."""
    found = schedule()
    return attrs.evolve(found, metadata=attrs.evolve(found.metadata, name=name, **meta))


@pytest.mark.parametrize("name", ["s", LONG])
def test_all_that_concerns_a_schedule(name: str) -> None:
    ours = {SCHEDULE_LABEL: short(name)}
    first, second = child(DUE, labels=ours), child(later(120), "Running", labels=ours)
    others = (backup(), child(later(180), labels={SCHEDULE_LABEL: "another"}))
    unreadable = malformed(child(later(240), labels=ours))
    held = caches((first, second, *others, unreadable), schedules=(scheduled(name), scheduled("another")))
    facts = observe_schedule(held, scheduled(name).key)

    assert facts is not None
    assert facts.schedule == scheduled(name)
    assert sorted(each.metadata.name for each in facts.backups) == [first.metadata.name, second.metadata.name]
    assert (facts.unreadable, facts.refusal, facts.evidence) == ("", None, {})


def test_the_backups_of_another_namespace_are_not_its_own() -> None:
    held = caches((child(DUE, namespace="elsewhere"),), schedules=(schedule(),))

    facts = observe_schedule(held, schedule().key)

    assert facts is not None
    assert facts.backups == ()


def test_a_schedule_that_is_gone() -> None:
    assert observe_schedule(caches((child(DUE),)), schedule().key) is None


def test_a_schedule_that_cannot_be_read_is_told_apart() -> None:
    facts = observe_schedule(caches(schedules=(malformed(schedule()),)), schedule().key)

    assert facts is not None
    assert facts.unreadable == "Expected `int`"
    assert facts.schedule.metadata == schedule().metadata


@pytest.mark.parametrize("name", ["demo", LONG])
def test_a_job_or_pod_wakes_the_backup_whose_name_it_bears_also_when_it_goes(name: str) -> None:
    held = caches((backup(name=name), backup(name="other")))
    views: list[Any] = [job_of(name), pod_of(name), malformed(pod_of(name))]
    for found in views:
        key = ObjectKey("Any", "ns", found.metadata.name)
        for old, new in ((None, found), (found, None)):
            assert list(wakes_owner(held, Change(key, old, new))) == [backup(name=name).key]


def test_what_bears_no_name_or_an_unknown_one_wakes_nobody() -> None:
    nameless = attrs.evolve(pod_of("demo"), metadata=attrs.evolve(pod_of("demo").metadata, labels={}))
    held = caches((backup(),))

    for found in (nameless, pod_of("stranger")):
        assert list(wakes_owner(held, Change(ObjectKey("Pod", "ns", "p"), None, found))) == []
    elsewhere = Change(ObjectKey("Pod", "elsewhere", "p"), None, pod_of("demo"))
    assert list(wakes_owner(held, elsewhere)) == []


def test_a_progress_wakes_nobody() -> None:
    before = backup(status=attrs.evolve(status("Running"), progress=Progress("dump 5%")), resourceVersion="7")
    after = attrs.evolve(before, status=attrs.evolve(before.status, progress=Progress("dump 6%")))
    after = attrs.evolve(after, metadata=attrs.evolve(after.metadata, resourceVersion="8"))
    key = before.key

    assert list(wakes_backup(caches(), Change(key, before, after))) == []
    more = attrs.evolve(after, metadata=attrs.evolve(after.metadata, generation=2))
    again = attrs.evolve(before, metadata=attrs.evolve(before.metadata, resourceVersion="8"))
    for old, new in (
        (before, more),
        (None, after),
        (after, None),
        (before, again),
        (malformed(before), after),
    ):
        assert list(wakes_backup(caches(), Change(key, old, new))) == [key]


@pytest.mark.parametrize("name", ["demo", LONG])
def test_the_backups_that_are_at_work(name: str) -> None:
    found = backup(name=name, status=status("Running"))
    state = ContainerState(running=Running(NOW))
    told = PodStatus("Running", podIP="10.0.0.7", containerStatuses=(ContainerStatus("backup", state),))
    made = attrs.evolve(pod_of(name), status=told)
    others = (backup(name="waits"), malformed(backup(name="odd")))

    assert tuple(working(caches((found, *others), (job_of(name),), (made,)))) == ((found, "10.0.0.7"),)
    assert tuple(working(caches((found, *others), (), (made,)))) == ()
    assert tuple(working(caches((found, *others), (job_of(name),)))) == ()
