"""Whole lives in a world in trouble: they settle alike, whichever action the controller dies after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.decide.builders import backup, job
from tests.decide.lives import POLICIES, is_kept, new_world, nothing, settle, stage
from tests.decide.troubles import Troubled
from tests.decide.world import World
from tidbbackup.model.contract.aftermath import Part
from tidbbackup.model.resource.backup import CleanPolicy

SCRIPTS = ["complete", "fail", "die", "half", "late", "evict"]
Make = Callable[[], Troubled]
User = Callable[[World], None]


def troubled(script: str, spec: dict[str, Any], **troubles: Any) -> Troubled:
    """A Backup that was just created, in trouble."""
    whole = {"pendingDeadlineSeconds": 300} | spec
    whole |= {"backoffRetryPolicy": {"minRetryDuration": "10s"}} if script == "evict" else {}
    return Troubled(backup(whole, finalizers=(), resourceVersion="10"), script, **troubles)


def same_in_the_end(make: Make, deleted_at: str, user: User = nothing, *, away: bool = False) -> Troubled:
    """Die after each action: the world in the end is that of the life without a death, which is returned."""
    whole = make()
    actions = settle(whole, deleted_at, user=user)
    for number in range(1, actions + 1):
        world = make()
        settle(world, deleted_at, die_after=number, away=away, user=user)
        assert world.summary() == whole.summary(), f"died after action {number}"
        assert world.runs_made == whole.runs_made
        assert world.tallies == whole.tallies
    return whole


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cleaning_and_a_release_that_fail_are_tried_again(script: str, policy: str | None) -> None:
    spec = {} if policy is None else {"cleanPolicy": policy}
    world = same_in_the_end(lambda: troubled(script, spec, fails={"clean": 2, "release": 1}), "final")

    assert (world.backup, world.upload, world.raised) == (None, False, False)
    whole = script in ("complete", "late", "evict")
    assert world.archive == ((whole or script == "half") and is_kept(policy, whole=whole))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("away", [False, True])
def test_a_backup_with_a_ttl_goes_by_its_policy(script: str, policy: str | None, away: bool) -> None:
    spec: dict[str, Any] = {"ttlSecondsAfterFinished": 600}
    spec |= {} if policy is None else {"cleanPolicy": policy}
    world = same_in_the_end(lambda: troubled(script, spec), "never", away=away)

    assert (world.backup, world.jobs, world.upload, world.raised) == (None, {}, False, False)
    whole = script in ("complete", "late", "evict")
    assert world.archive == ((whole or script == "half") and is_kept(policy, whole=whole))


@pytest.mark.parametrize("verb", ["backup", "aftermath"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_quota_that_is_full_for_a_while_is_waited_for(script: str, verb: str) -> None:
    world = same_in_the_end(lambda: troubled(script, {"cleanPolicy": "Delete"}, refuses={verb: 2}), "final")

    assert (world.backup, world.archive, world.upload) == (None, False, False)


def test_one_that_stays_full_fails_the_backup_and_leaves_nothing() -> None:
    world = same_in_the_end(lambda: troubled("complete", {}, refuses={"backup": 99}), "never")
    assert world.summary()[:2] == ("Failed", "QuotaExceeded")
    assert world.runs_made == 0

    settle(world, "final")
    assert world.backup is None


# What a user edits while a cleaning cannot start.


def going(world: World) -> bool:
    """Its cleaning waits."""
    found = world.jobs.get("aftermath-demo")
    return found is not None and found.aftermath is not None and Part.CLEAN in found.aftermath


@pytest.mark.parametrize("script", ["complete", "late", "die", "half"])
def test_policy_retain_ends_a_cleaning_that_waits_and_keeps_the_archive(script: str) -> None:
    def user(world: World) -> None:
        assert isinstance(world, Troubled)
        if going(world):
            world.edit(cleanPolicy=CleanPolicy.RETAIN)
            world.account = ""

    make = lambda: troubled(script, {"cleanPolicy": "Delete"}, account="nobody")  # noqa: E731
    world = same_in_the_end(make, "final", user)

    assert (world.backup, world.upload) == (None, False)
    assert world.archive == (script != "die")


@pytest.mark.parametrize("script", ["complete", "late", "die", "half"])
def test_a_spec_that_is_mended_ends_it_too(script: str) -> None:
    def user(world: World) -> None:
        assert isinstance(world, Troubled)
        if going(world):
            world.edit(serviceAccount="cleaner")

    make = lambda: troubled(script, {"cleanPolicy": "Delete"}, account="cleaner")  # noqa: E731
    world = same_in_the_end(make, "final", user)

    assert (world.backup, world.archive, world.upload) == (None, False, False)


# Farewells.


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("what", ["uninstall", "delete_namespace"])
@pytest.mark.parametrize("failing", [False, True])
def test_where_the_crd_or_the_namespace_goes_the_archive_stays(
    script: str, policy: str | None, what: str, failing: bool
) -> None:
    """Also where its cleaning has failed for long."""
    spec = {} if policy is None else {"cleanPolicy": policy}

    def user(world: World) -> None:
        cleans = going(world) if failing else stage(world) == stage_of("final")
        if cleans:
            getattr(world, what)()

    make = lambda: troubled(script, spec, fails={"clean": 99} if failing else {})  # noqa: E731
    world = same_in_the_end(make, "final" if failing else "never", user)

    assert world.backup is None or (failing and script == "fail")
    whole = script in ("complete", "late", "evict")
    never_cleaned = failing and not cleans_at_all(script, policy)
    if not never_cleaned:
        assert world.archive == (whole or script == "half")


def stage_of(name: str) -> int:
    """By DELETED_AT."""
    return ["never", "", "Scheduled", "Running", "final"].index(name)


def cleans_at_all(script: str, policy: str | None) -> bool:
    """Whether there is anything to clean once the run is over."""
    return policy == "Delete" if script in ("complete", "late") else script != "fail"


def test_a_former_ones_job_makes_room_whenever_we_die() -> None:
    def make() -> Troubled:
        world = troubled("complete", {})
        world.jobs["backup-demo"] = job(owner="former", uid="former-job")
        return world

    world = same_in_the_end(make, "never")
    assert world.summary()[0] == "Complete"
    assert world.runs_made == 1


# Deletions in the foreground: the garbage collector takes the run away while the Backup goes.


class InTheForeground(World):
    """Whoever deletes the Backup does it with --cascade=foreground."""

    def delete_backup(self, *, foreground: bool = True) -> None:
        """In the foreground."""
        super().delete_backup(foreground=foreground)


@pytest.mark.parametrize("deleted_at", ["", "Scheduled", "Running", "final"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_deletion_in_the_foreground_leaves_what_the_policy_keeps(
    script: str, policy: str | None, deleted_at: str
) -> None:
    def make() -> InTheForeground:
        begun = new_world(script, policy)
        return InTheForeground(begun.backup, script)

    whole = make()
    actions = settle(whole, deleted_at)
    for number in range(actions + 1):
        world = make()
        settle(world, deleted_at, die_after=number)
        assert (world.backup, world.jobs, world.pods) == (None, {}, {}), f"died after action {number}"
        assert (world.upload, world.raised) == (False, False), f"died after action {number}"
        if deleted_at == "final":
            made = script in ("complete", "late", "evict", "half")
            assert world.archive == (made and is_kept(policy, whole=script != "half"))
        else:
            assert not world.archive or is_kept(policy, whole=True)


@pytest.mark.parametrize("phases", [("Pending",), ("Running",), ("Succeeded", "Failed")], ids=str)
@pytest.mark.parametrize("policy", [None, "OnFailure", "Delete"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_whoever_deletes_the_pod_of_a_run_ends_it(
    script: str, policy: str | None, phases: tuple[str, ...]
) -> None:
    """Its Job makes no other; what the storage then holds decides, and the policy what stays of it."""

    def user(world: World) -> None:
        if "backup-demo" in world.pods and world.pods["backup-demo"].status.phase in phases:
            world.delete_pod("backup-demo")

    make = lambda: troubled(script, {} if policy is None else {"cleanPolicy": policy})  # noqa: E731
    alive = same_in_the_end(make, "never", user)
    assert alive.summary()[0] in ("Complete", "Failed")
    assert not alive.raised
    assert (alive.summary()[0] == "Complete") <= (alive.archive and alive.manifest)

    gone = same_in_the_end(make, "final", user)
    assert (gone.backup, gone.upload, gone.raised) == (None, False, False)
    assert gone.archive == (alive.archive and is_kept(policy, whole=alive.manifest))
