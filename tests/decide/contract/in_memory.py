"""The world of the property tests as the scenarios see it."""

from __future__ import annotations

from typing import Any

import attrs

from tests.decide.builders import backup, job, pod
from tests.decide.contract.subject import CONFLICT, DONE, REJECTED, Holds, answer
from tests.decide.troubles import Troubled
from tests.decide.world import Conflicted, Refused, Rejected, View, tick
from tidbbackup.decide.plan import Action
from tidbbackup.model.resource.backup import Backup, BackupStatus
from tidbbackup.model.resource.kubernetes import Pod

_STEPS = 20


@attrs.define
class _Unjudged(Troubled):
    """It may be told anything: what a status has to say is the product's business, not the API server's."""

    def check_status(self, found: Backup, new: BackupStatus) -> None:
        """Whatever is written is right."""


@attrs.define
class InMemory:
    """See subject.Server. Pods of backups stay Pending, as they do where there is no node."""

    world: _Unjudged = attrs.Factory(lambda: _Unjudged(None, "pend"))

    async def create(self, *finalizers: str, **spec: Any) -> Backup:
        """See Server."""
        made = backup(spec, BackupStatus(), finalizers=finalizers)
        self.world.backup = made
        return made

    async def view(self) -> View:
        """See Server."""
        return self.world.view()

    async def apply(self, action: Action) -> str:
        """See Server."""
        try:
            self.world.apply(action)
        except Conflicted:
            return CONFLICT
        except Rejected:
            return REJECTED
        except Refused as refused:
            return answer(refused.refusal)
        return DONE

    async def until(self, holds: Holds) -> View:
        """See Server."""
        for _ in range(_STEPS):
            if holds(found := self.world.view()):
                return found
            self.world.progress()
            tick(self.world)
        raise AssertionError(f"it never came to that: {self.world}")

    async def at_rest(self) -> View:
        """See Server."""
        for _ in range(_STEPS):
            self.world.progress()
            tick(self.world)
        return self.world.view()

    async def delete_backup(self, *, foreground: bool = False) -> None:
        """See Server."""
        self.world.delete_backup(foreground=foreground)

    async def edit(self, **spec: Any) -> str:
        """See Server."""
        try:
            self.world.edit(**spec)
        except Rejected:
            return REJECTED
        return DONE

    async def delete_namespace(self) -> None:
        """See Server."""
        self.world.delete_namespace()

    async def make_job(self, name: str) -> None:
        """See Server."""
        self.world.jobs[name] = job(owner="", name=name)

    async def hold(self, held: Pod) -> None:
        """See Server."""
        self.world.held.add(held.metadata.name)

    async def delete_pod(self, deleted: Pod) -> None:
        """See Server."""
        self.world.delete_pod(deleted.metadata.name)

    async def end(self, ended: Pod, phase: str) -> None:
        """See Server."""
        owner = ended.metadata.ownerReferences[0].uid
        self.world.pods[ended.metadata.name] = pod(phase, owner=owner, name=ended.metadata.name)
