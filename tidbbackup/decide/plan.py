"""A Plan: what to do, as data. Only reconcile/act.py carries it out, in order, until the first failure.

Every action may be repeated: a create that finds our own object is done, a delete that finds nothing is
done. So dying after any action is safe: the next run sees the world as it is and plans the rest.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import attrs
from attrs import field, frozen

from tidbbackup.decide.rows import Row
from tidbbackup.model.meta import Meta, ObjectKey


class Counted(StrEnum):
    """What is counted when it has happened."""

    FINISHED = "a Backup is Complete or Failed"
    CLEAN_FAILED = "a Backup has become CleanFailed"
    MISSED = "due times have passed without a Backup"
    RETENTION = "retention has deleted a Backup"
    KEPT = "a Backup was let go, its data kept although the policy asks for its deletion"


@frozen
class Tally:
    """What a write counts for once it is done, for which namespace and schedule ("" for none).

    The write is conditional, so it succeeds once however often it is planned, and so it is counted once.
    """

    what: Counted
    namespace: str
    schedule: str
    reason: str = ""
    count: int = 1
    seconds: float | None = None
    """How long a complete backup took."""
    size: int | None = None
    """Bytes of its archive."""


@frozen
class Create:
    """Create the object; its name is computed from its cause, so AlreadyExists and ours means done."""

    manifest: dict[str, Any]


@frozen
class Ask:
    """Ask whether the object would be taken, creating nothing: the answer is a refusal, as of a Create's."""

    manifest: dict[str, Any]


@frozen
class Delete:
    """Delete exactly the object with this uid, and what belongs to it first."""

    key: ObjectKey
    uid: str
    tallies: tuple[Tally, ...] = ()
    abandon: bool = False
    """At once, although what belongs to it is still there: it is out of reach, and may be for ever."""


@frozen
class PatchStatus:
    """Merge `changes` into the status, if the object still is as we saw it."""

    key: ObjectKey
    version: str
    changes: dict[str, Any]
    tallies: tuple[Tally, ...] = ()


@frozen
class SetFinalizers:
    """Replace the finalizers and add annotations, if the object still is as we saw it."""

    key: ObjectKey
    version: str
    finalizers: tuple[str, ...]
    tallies: tuple[Tally, ...] = ()
    annotations: dict[str, str] = field(factory=dict)


@frozen
class Announce:
    """Say something about an object in a Kubernetes Event. Saying the same again changes nothing."""

    kind: str
    about: Meta
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Action = Create | Ask | Delete | PatchStatus | SetFinalizers | Announce


@frozen
class Look:
    """A live look at the API server: what the cache lacks or does not hold, it may only lag behind.

    Finds one object by `name`, several by `names`, or those that match `labels` or `fields` (selectors).
    """

    kind: str
    namespace: str
    name: str = ""
    labels: str = ""
    fields: str = ""
    names: tuple[str, ...] = ()


@frozen
class Plan:
    """What to do now, and when to look again (None: when something changes)."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    row: Row | None = field(default=None, eq=False)
    """The row of the decision that says so."""
    made_at: float = field(default=0.0, eq=False)
    """When it was decided, in seconds of `kube.fence.boot_seconds`; set by the reconciler."""

    def by(self, row: Row) -> Plan:
        """The same, by that row."""
        return attrs.evolve(self, row=row)

    def no_later(self, at: datetime | None) -> Plan:
        """The same, looking again at that time at the latest (None: it makes no difference)."""
        return attrs.evolve(self, wake_at=min((each for each in (self.wake_at, at) if each), default=None))


NOTHING = Plan()
