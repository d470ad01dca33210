"""Whole lives of a Backup in a world: what is done with it, until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.decide.builders import backup
from tests.decide.world import Refused, World, plan_for, tick
from tidbbackup.decide.plan import Action, Announce

ROUNDS = 60
SCRIPTS = ["complete", "fail", "die", "pend", "half", "late", "mute", "evict"]
WHOLE = {"complete", "late", "mute", "evict"}
"""Scripts by which everything gets done."""
POLICIES = [None, "Retain", "OnFailure", "Delete"]
DELETED_AT = ["never", "", "Scheduled", "Running", "final"]


def new_world(script: str, policy: str | None) -> World:
    """A Backup that was just created."""
    spec: dict[str, Any] = {"pendingDeadlineSeconds": 300}
    spec |= {} if policy is None else {"cleanPolicy": policy}
    spec |= {"backoffRetryPolicy": {"minRetryDuration": "10s"}} if script == "evict" else {}
    return World(backup(spec, finalizers=(), resourceVersion="10"), script)


def nothing(_: World) -> None:
    """A user who does nothing."""


def settle(
    world: World,
    deleted_at: str,
    die_after: int = 0,
    *,
    away: bool = False,
    user: Callable[[World], None] = nothing,
) -> int:
    """Reconcile until nothing is left to do; returns how many actions that took.

    `die_after` n: the controller dies after its n-th action, and with it the rest of that Plan. `away`: it
    comes back only when the world has come to rest. `user` does what he does before each round.
    """
    done = 0
    for _ in range(ROUNDS):
        if deleted_at != "never" and stage(world) >= DELETED_AT.index(deleted_at):
            world.delete_backup()
        user(world)
        taken, wake_at = carry_out(world, die_after - done if die_after > done else None)
        done += len(taken)
        died = bool(taken) and done == die_after
        if died and away:
            world.come_to_rest()
        moved = world.progress()
        tick(world)
        if died or moved or any(not isinstance(action, Announce) for action in taken):
            continue
        if wake_at is None:
            return done
        world.now = max(world.now, wake_at)
    raise AssertionError(f"not settled after {ROUNDS} rounds: {world}")


def carry_out(world: World, at_most: int | None) -> tuple[list[Action], datetime | None]:
    """One round, as the reconciler does it; the actions that were done, and when to look again."""
    seen, done = world.view(), list[Action]()
    plan = plan_for(world, seen)
    left = list(plan.actions)
    while left and len(done) != at_most:
        action = left.pop(0)
        try:
            world.apply(action)
        except Refused as refused:
            plan = plan_for(world, seen, refused.refusal)
            left = list(plan.actions)
            continue
        done.append(action)
    return done, plan.wake_at


def stage(world: World) -> int:
    """How far a Backup has come, by DELETED_AT: one that died early may never be seen Running."""
    phase = world.backup.status.phase if world.backup else ""
    return DELETED_AT.index(phase) if phase in DELETED_AT else DELETED_AT.index("final")


def is_kept(policy: str | None, *, whole: bool) -> bool:
    """Whether an archive stays: one that is whole is no failure's leftover, whoever has heard of it."""
    return policy != "Delete" if whole else policy in (None, "Retain")
