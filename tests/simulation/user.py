"""What users do to their objects at random: create, edit, delete, copy, pause; also to Jobs and pods."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

from attrs import define, field

from tests.decide.builders import FROM, S3
from tests.simulation.server import ApiServer, Path, Refusal
from tests.simulation.store import JSON, Change, Item
from tidbbackup.model.names import RUN_NOW

NAMESPACE = "ns"
NAMES = ("a", "b")
SPEC: JSON = {"from": FROM, "s3": S3}


@define
class User:
    """One who does what comes to mind. What the API server refuses is left undone."""

    server: ApiServer
    rng: random.Random
    told: Callable[[str], None] = lambda _: None
    """Told of each deed."""
    asked: int = 0
    replaced: set[str] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.server.objects.changed.append(self.saw)

    def saw(self, change: Change) -> None:
        """A Backup that was to be replaced is gone."""
        name = change.last.meta["name"]
        if change.plural == "backups" and change.new is None and name in self.replaced:
            self.replaced.discard(name)
            asyncio.get_running_loop().call_soon(self._create, "backups", name, change.last.json["spec"])

    def act(self) -> None:
        """One thing."""
        deeds: dict[Callable[[], str], int] = {
            self.create_backup: 6,
            self.delete_backup: 4,
            self.replace_backup: 2,
            self.edit_backup: 1,
            self.copy_backup: 1,
            self.create_schedule: 1,
            self.edit_schedule: 1,
            self.run_now: 1,
            self.delete_schedule: 1,
            self.create_restore: 2,
            self.delete_restore: 1,
            self.delete_job: 1,
            self.delete_pod: 1,
        }
        deed = self.rng.choices(list(deeds), weights=list(deeds.values()))[0]
        with contextlib.suppress(Refusal):
            if did := deed():
                self.told(did)

    def create_backup(self) -> str:
        """kubectl create."""
        spec: JSON = SPEC | self.rng.choice(({}, {"cleanPolicy": "Delete"}, {"cleanPolicy": "OnFailure"}))
        spec |= {"pendingDeadlineSeconds": 120}
        spec |= self.rng.choice(({}, {}, {"backoffRetryPolicy": {"minRetryDuration": "10s"}}))
        spec |= self.rng.choice(({}, {}, {}, {"ttlSecondsAfterFinished": 60}, {"backupType": "snapshot"}))
        return self._create("backups", self.rng.choice(NAMES), spec)

    def delete_backup(self) -> str:
        """kubectl delete, also with --cascade=foreground."""
        how = self.rng.choice(("Background", "Background", "Foreground"))
        return self._delete("backups", how)

    def replace_backup(self) -> str:
        """kubectl replace --force: the same name again, as soon as it is free."""
        found = self._any("backups")
        return self.replace(found.meta["name"]) if found else ""

    def replace(self, name: str) -> str:
        """The same for that Backup."""
        self.replaced.add(name)
        with contextlib.suppress(Refusal):
            self.server.delete(Path("backups", NAMESPACE, name), {})
        return f"replace backups {name}"

    def edit_backup(self) -> str:
        """kubectl edit: another policy, or what was wrong is mended."""
        found = self._any("backups")
        if found is None or found.going:
            return ""
        spec = self.rng.choice(({"cleanPolicy": "Delete"}, {"cleanPolicy": "Retain"}, {"backupType": None}))
        return self._patch("backups", found, {"spec": spec})

    def copy_backup(self) -> str:
        """kubectl get -o yaml | kubectl apply under another name; or a tool restores it later as it was."""
        found = self._any("backups")
        if found is None:
            return ""
        meta = {
            name: found.meta[name] for name in ("annotations", "labels", "finalizers") if name in found.meta
        }
        return self._create("backups", self.rng.choice(("a", "copy")), found.json["spec"], **meta)

    def create_schedule(self) -> str:
        """kubectl create."""
        template = SPEC | {"pendingDeadlineSeconds": 60}
        spec: JSON = {"schedule": "* * * * *", "backupTemplate": template}
        spec |= self.rng.choice(({}, {"maxBackups": 1}, {"maxBackups": 2}, {"maxReservedTime": "2m"}))
        spec |= self.rng.choice(({}, {}, {"concurrencyPolicy": "Allow"}, {"failedBackupsLimit": 1}))
        return self._create("backupschedules", "s", spec)

    def edit_schedule(self) -> str:
        """Pause and go on."""
        found = self._any("backupschedules")
        return self._patch("backupschedules", found, {"spec": {"pause": self.rng.random() < 0.5}})

    def run_now(self) -> str:
        """kubectl annotate."""
        self.asked += 1
        patch = {"metadata": {"annotations": {RUN_NOW: str(self.asked)}}}
        return self._patch("backupschedules", self._any("backupschedules"), patch)

    def delete_schedule(self) -> str:
        """kubectl delete."""
        return self._delete("backupschedules")

    def create_restore(self) -> str:
        """kubectl create."""
        found = self._any("backups")
        spec: JSON = {
            "to": FROM,
            "backup": found.meta["name"] if found else "a",
            "pendingDeadlineSeconds": 120,
        }
        spec |= self.rng.choice(({}, {"ttlSecondsAfterFinished": 60}))
        return self._create("restores", self.rng.choice(NAMES), spec)

    def delete_restore(self) -> str:
        """kubectl delete."""
        return self._delete("restores")

    def delete_job(self) -> str:
        """kubectl delete job."""
        return self._delete("jobs")

    def delete_pod(self) -> str:
        """kubectl delete pod."""
        return self._delete("pods")

    def rest(self) -> None:
        """From now on nothing is due."""
        for schedule in tuple(self.server.objects.of("backupschedules").values()):
            self._patch("backupschedules", schedule, {"spec": {"schedule": "0 0 1 1 *"}})

    def _any(self, plural: str) -> Item | None:
        found = [item for _, item in sorted(self.server.objects.of(plural).items())]
        return self.rng.choice(found) if found else None

    def _create(self, plural: str, name: str, spec: JSON, **meta: Any) -> str:
        self.server.create(Path(plural, NAMESPACE), {"metadata": {"name": name, **meta}, "spec": spec})
        return f"create {plural} {name}"

    def _patch(self, plural: str, item: Item | None, patch: JSON) -> str:
        if item is None:
            return ""
        self.server.patch(Path(plural, NAMESPACE, item.meta["name"]), patch)
        return f"patch {plural} {item.meta['name']} {patch}"

    def _delete(self, plural: str, how: str = "Background") -> str:
        found = self._any(plural)
        if found is None:
            return ""
        self.server.delete(Path(plural, NAMESPACE, found.meta["name"]), {"propagationPolicy": how})
        return f"delete {plural} {found.meta['name']} {how}"
