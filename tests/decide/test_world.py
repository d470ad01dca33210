"""Whole lives of a Backup: they settle, dying changes nothing, and caches that lag do no harm."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decide.builders import later
from tests.decide.lives import (
    DELETED_AT,
    POLICIES,
    ROUNDS,
    SCRIPTS,
    WHOLE,
    carry_out,
    is_kept,
    new_world,
    settle,
)
from tests.decide.world import Conflicted, View, World, plan_for, tick
from tidbbackup.decide.plan import Announce, Create, Delete
from tidbbackup.model.resource.backup import Backup, BackupStatus, Phase


@pytest.mark.parametrize("deleted_at", DELETED_AT)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_dying_after_any_action_ends_in_the_same_world(
    script: str, policy: str | None, deleted_at: str
) -> None:
    whole = new_world(script, policy)
    actions = settle(whole, deleted_at)

    for number in range(1, actions + 1):
        # A deletion in mid-run comes too late where the run went on to its end meanwhile.
        for away in (False, True) if deleted_at in ("never", "", "final") else (False,):
            world = new_world(script, policy)
            settle(world, deleted_at, die_after=number, away=away)
            assert world.summary() == whole.summary(), f"died after action {number}, {away=}"
            assert world.runs_made == whole.runs_made
            if deleted_at in ("never", "final"):
                assert world.tallies == whole.tallies


@pytest.mark.parametrize(
    ("script", "phase", "reason"),
    [
        ("complete", "Complete", "ArchiveStored"),
        ("fail", "Failed", "DumpFailed"),
        ("die", "Failed", "Killed"),
        ("pend", "Failed", "PendingTooLong"),
        ("half", "Failed", "Killed"),
        ("late", "Complete", "ArchiveFound"),
        ("mute", "Complete", "ArchiveFound"),
        ("evict", "Complete", "ArchiveStored"),
    ],
)
def test_how_a_run_ends(script: str, phase: str, reason: str) -> None:
    world = new_world(script, None)
    settle(world, "never")

    assert world.summary()[:3] == (phase, reason, script in WHOLE | {"half"})
    assert not world.raised
    assert world.runs_made == (2 if script == "evict" else 1)


@pytest.mark.parametrize("deleted_at", DELETED_AT[1:])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_deleted_backup_goes_and_leaves_what_its_policy_keeps(
    script: str, policy: str | None, deleted_at: str
) -> None:
    world = new_world(script, policy)
    settle(world, deleted_at)

    assert world.backup is None
    assert not world.upload
    assert not world.raised
    # At Running the worker is through before the deletion is seen: what it made counts as made.
    made = script in WHOLE | {"half"} and deleted_at in ("Running", "final")
    made = made and (script, deleted_at) != ("evict", "Running")  # the first attempt makes nothing
    assert world.archive == (made and is_kept(policy, whole=script in WHOLE))
    assert not world.log or is_kept(policy, whole=False)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("steps", range(6))
def test_deleted_after_a_death_between_the_job_and_its_status(
    script: str, policy: str | None, steps: int
) -> None:
    """The phase is still empty, although a run is on or even over."""
    world = new_world(script, policy)
    for _ in ("finalizer and annotation", "status.backupPath"):
        world.apply(plan_for(world, world.view()).actions[0])
    create = plan_for(world, world.view()).actions[0]
    assert isinstance(create, Create)
    world.apply(create)
    for _ in range(steps):
        world.progress()
    world.delete_backup()
    over = world.archive
    settle(world, "never")

    assert world.backup is None
    assert not world.upload
    assert not world.raised
    assert world.archive == (over and is_kept(policy, whole=script in WHOLE))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", ["complete", "fail", "die", "half", "late", "mute"])
def test_a_run_that_was_given_up_and_starts_while_nobody_looks_leaves_nothing_unowned(
    script: str, policy: str | None
) -> None:
    """That it is stopped is written first, then its Job is deleted: dying in between leaves its pod the time
    to start, and even to complete."""
    too_late = later(400)
    whole = attrs.evolve(new_world(script, policy), starts_at=too_late)
    actions = settle(whole, "never")
    assert whole.summary()[:2] == ("Failed", "PendingTooLong")

    ends = set()
    for number in range(1, actions + 1):
        world = attrs.evolve(new_world(script, policy), starts_at=too_late)
        settle(world, "never", die_after=number, away=True)
        ends.add(world.summary()[:2])
        assert not world.raised, f"died after action {number}"
        made, is_whole = world.archive, world.summary()[0] == "Complete"
        world.delete_backup()
        settle(world, "never")
        assert world.backup is None
        assert not world.upload, f"died after action {number}"
        assert world.archive == (made and is_kept(policy, whole=is_whole)), f"died after {number}"
    assert ("Failed", "PendingTooLong") in ends


@pytest.mark.parametrize("with_status", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_copy_from_any_moment_of_a_life_does_nothing(
    script: str, policy: str | None, with_status: bool
) -> None:
    """Velero, GitOps, `kubectl get -o yaml | apply`: another uid, made later, with or without the status."""
    life = new_world(script, policy)
    moments = list[Backup]()
    for _ in range(ROUNDS):
        if life.backup is not None and life.backup.metadata.finalizers:
            moments.append(life.backup)
        done, wake_at = carry_out(life, None)
        if not life.progress() and not done and wake_at is None:
            break
        tick(life)
        life.now = max(life.now, wake_at or life.now) if not done else life.now

    for original in moments:
        meta = attrs.evolve(original.metadata, uid="another-uid", creationTimestamp=later(9000))
        told = original.status if with_status else BackupStatus()
        copy = attrs.evolve(original, metadata=meta, status=told)
        world = World(copy, script, archive=True, manifest=True, now=later(9000))
        settle(world, "never")
        assert world.view().backup == copy
        settle(world, "")
        assert world.view().backup is None
        assert (world.runs_made, world.archive, world.manifest) == (0, True, True)
        assert {reason for reason, _ in world.events} == {"ForeignBackup"}
        assert not world.tallies
    assert len(moments) > 2


@attrs.define
class Caches:
    """Views of each kind that lag behind, but never behind what we wrote ourselves, and never go back."""

    history: list[View]
    backup: int = 0
    jobs: int = 0
    pods: int = 0

    def move(self, kind: str, steps: int) -> None:
        """Let one cache catch up by some steps."""
        setattr(self, kind, min(getattr(self, kind) + steps, len(self.history) - 1))

    def wrote(self, *kinds: str) -> None:
        """The write gate: nothing is decided before a cache has seen our own write."""
        for kind in kinds:
            setattr(self, kind, len(self.history) - 1)

    def view(self) -> View:
        """What a reconcile sees."""
        return View(
            self.history[self.backup].backup, self.history[self.jobs].jobs, self.history[self.pods].pods
        )


STEPS = st.lists(
    st.sampled_from(
        [
            *["reconcile"] * 6,
            *["progress"] * 4,
            *("backup", "jobs", "pods") * 2,
            *("wait", "delete", "delete job", "delete pod", "die"),
        ]
    ),
    max_size=60,
)


@settings(max_examples=250)
@given(st.sampled_from(SCRIPTS), st.sampled_from(POLICIES), STEPS)
def test_caches_that_lag_do_no_harm(script: str, policy: str | None, steps: list[str]) -> None:
    """The world itself asserts what must never happen; here is who may see what, and when."""
    world = new_world(script, policy)
    caches = Caches([world.view()])
    interrupted = False
    for step in steps:
        match step:
            case "reconcile" | "die":
                interrupted |= step == "die"
                reconcile(world, caches, die=step == "die")
            case "progress":
                world.progress()
            case "wait":
                tick(world, 100)
            case "delete":
                world.delete_backup()
            case "delete job":
                world.delete_job("backup-demo")
            case "delete pod":
                world.delete_pod("backup-demo")
            case kind:
                caches.move(kind, 2)
        caches.history.append(world.view())
        tick(world)
        attempts = 2 if script == "evict" else 1
        assert world.runs_made <= attempts or interrupted, "a second Job for one attempt"
    check_end(world)


def reconcile(world: World, caches: Caches, *, die: bool) -> None:
    """One round on what the caches hold; `die`: after its first action."""
    caches.history.append(world.view())
    for action in plan_for(world, caches.view()).actions:
        try:
            world.apply(action)
        except Conflicted:
            break
        caches.history.append(world.view())
        caches.wrote("jobs" if isinstance(action, Create | Delete) else "backup")
        if die:
            # The next process begins with lists that are as new as the API server.
            caches.wrote("backup", "jobs", "pods")
            break


def check_end(world: World) -> None:
    """Whatever happened: it settles now, and a Backup that was deleted is gone with all its rubbish."""
    for _ in range(ROUNDS):
        plan = plan_for(world, world.view())
        for action in plan.actions:
            world.apply(action)
        if not world.progress() and not [each for each in plan.actions if not isinstance(each, Announce)]:
            if plan.wake_at is None:
                break
            world.now = plan.wake_at
        tick(world)
    else:
        raise AssertionError(f"not settled: {world}")
    if world.backup is not None:
        assert world.backup.metadata.deletionTimestamp is None
        assert world.backup.status.phase in (Phase.COMPLETE, Phase.FAILED)
