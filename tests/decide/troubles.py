"""A world in trouble: cleanings that fail or cannot start, refusals, a CRD or a namespace that goes."""

from __future__ import annotations

from typing import Any

import attrs

from tests.decide.builders import NOW
from tests.decide.world import Refused, Rejected, World
from tidbbackup.decide.aftermath.finalizer import CRD_LOOK
from tidbbackup.decide.facts import Refusal
from tidbbackup.decide.plan import Action, Ask, Create, Look
from tidbbackup.model.contract.aftermath import Aftermath, Part, PartResult
from tidbbackup.model.meta import Definition, Meta
from tidbbackup.model.resource.backup import BackupSpec

QUOTA = Refusal(403, "exceeded quota", quota_exceeded=True)
NAMESPACE_GOES = Refusal(403, "the namespace is being terminated", namespace_terminating=True)


@attrs.define
class Troubled(World):
    """What goes wrong, and how often."""

    fails: dict[str, int] = attrs.Factory(dict)
    """How often a part of an aftermath (clean, release) fails before it is done."""
    refuses: dict[str, int] = attrs.Factory(dict)
    """How many creations of a verb's Jobs are refused for a quota."""
    account: str = ""
    """The service account without which no cleaning pod starts."""
    crd_goes: bool = False
    namespace_goes: bool = False
    made_with: dict[str, str] = attrs.Factory(dict)
    """The service account of each Job."""

    def apply(self, action: Action) -> None:
        """Also refuses."""
        if isinstance(action, Create | Ask):
            self._admit(action.manifest["metadata"]["name"].split("-")[0])
        if isinstance(action, Create):
            name, spec = action.manifest["metadata"]["name"], action.manifest["spec"]["template"]["spec"]
            self.made_with.setdefault(name, spec.get("serviceAccountName", ""))
        super().apply(action)

    def _admit(self, verb: str) -> None:
        if self.namespace_goes:
            raise Refused(NAMESPACE_GOES)
        if self.refuses.get(verb, 0):
            self.refuses[verb] -= 1
            raise Refused(QUOTA)

    def look_at(self, look: Look) -> tuple[object, ...]:
        """Also at the CRD."""
        if look == CRD_LOOK and self.crd_goes:
            return (Definition(Meta(name=look.name, deletionTimestamp=NOW)),)
        return super().look_at(look)

    def uninstall(self) -> None:
        """kubectl delete crd."""
        self.crd_goes = True
        self.delete_backup()

    def delete_namespace(self) -> None:
        """kubectl delete namespace: all that is in it is deleted, whatever it belongs to."""
        self.namespace_goes = True
        for name in list(self.jobs):
            self.delete_job(name)
        self.delete_backup()

    def edit(self, **spec: Any) -> None:
        """kubectl edit backup."""
        found = self.backup
        if found is None or all(getattr(found.spec, name) == value for name, value in spec.items()):
            return
        new = attrs.evolve(found.spec, **spec)
        begun = found.status.backupPath or found.status.phase not in ("", "Invalid")
        if begun and _fixed(new) != _fixed(found.spec):
            raise Rejected("cannot change once the backup has begun")
        meta = attrs.evolve(found.metadata, generation=found.metadata.generation + 1)
        self._store(attrs.evolve(found, metadata=meta, spec=new))

    def _step(self, name: str) -> bool:
        moved = super()._step(name)
        if name not in self.jobs:
            self.made_with.pop(name, None)
        return moved

    def _start(self, name: str, job: Any) -> bool:
        if name.startswith("aftermath-") and self.account and self.made_with[name] != self.account:
            return False
        return super()._start(name, job)

    def part(self, part: Part, told: Aftermath) -> PartResult:
        """Also fails."""
        if not self.fails.get(part, 0):
            return super().part(part, told)
        self.fails[part] -= 1
        return PartResult(part, done=False, reason="AccessDenied", message="no")


def _fixed(spec: BackupSpec) -> tuple[object, ...]:
    """What the CRD does not let change once a backup has begun."""
    source, s3 = spec.source, spec.s3
    return (
        (source.host, source.port, source.user) if source else None,
        (s3.provider, s3.bucket, s3.prefix, s3.endpoint, s3.region) if s3 else None,
        *(spec.tableFilter, spec.mydumper, spec.dumpling),
    )
