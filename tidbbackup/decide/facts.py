"""What a decision is taken on: one instant of the caches, frozen, plus what a live look has found.

Must not hold anything that can act.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from attrs import field, frozen

from tidbbackup.decide.plan import Look
from tidbbackup.decide.pod import WorkerImage
from tidbbackup.model.meta import ObjectKey
from tidbbackup.model.resource.backup import Backup
from tidbbackup.model.resource.kubernetes import Job, Pod
from tidbbackup.model.resource.restore import Restore

Evidence = Mapping[Look, tuple[object, ...]]
View = TypeVar("View")


@frozen
class Caps:
    """How many Backups the controller lets run at a time; 0: any number."""

    per_namespace: int = 0
    per_server: int = 0

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.per_namespace or self.per_server)


NO_CAPS = Caps()


@frozen
class Refusal:
    """The API server's answer to our create, where it will not take the object."""

    status: int
    message: str
    namespace_terminating: bool = False
    """Nothing can be created there any more, whatever our rights."""
    quota_exceeded: bool = False


class Unknown(Exception):
    """A decision needs to know first what `look` finds: it is taken again with the answer."""

    def __init__(self, look: Look) -> None:
        super().__init__(f"not looked at yet: {look}")
        self.look = look


@frozen(kw_only=True)
class Facts:
    """What every decision is taken on beside the object itself."""

    unreadable: str = ""
    """Why the object could not be read, where it could not."""
    refusal: Refusal | None = None
    evidence: Evidence = field(factory=dict)
    """What live looks have found so far."""
    server_time: datetime | None = None
    """What the clock of the API server said with its newest answer; None: no look yet, or it did not say."""

    def look_up(self, look: Look, kind: type[View]) -> tuple[View, ...]:
        """What the live look has found. Raises Unknown where nobody has looked yet."""
        if look not in self.evidence:
            raise Unknown(look)
        return tuple(item for item in self.evidence[look] if isinstance(item, kind))


@frozen(kw_only=True)
class RunFacts(Facts):
    """What a decision about a Backup's or a Restore's run is taken on."""

    job: Job | None = None
    """Whatever holds the name of its Job (`backup-<bk>`, `restore-<rt>`), ours or not."""
    pods: tuple[Pod, ...] = ()
    """The pods that carry its name and run, or ran, a dump or a restore."""


@frozen
class BackupFacts(RunFacts):
    """All that a decision about one Backup is taken on."""

    backup: Backup | None
    image: WorkerImage
    aftermath_job: Job | None = None
    """Whatever holds the name `aftermath-<bk>`."""
    aftermath_pods: tuple[Pod, ...] = ()
    """The same of `worker aftermath`."""
    readers: tuple[ObjectKey, ...] = ()
    """The Restores that read its archive now."""
    drills: tuple[Restore, ...] = ()
    """The Restores by which schedules try this Backup."""
    caps: Caps = NO_CAPS
    not_over: tuple[Backup, ...] = ()
    """Where there are caps, and this one has not begun: all of the namespace whose runs are not over."""
