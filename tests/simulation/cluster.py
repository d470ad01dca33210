"""The controllers of Kubernetes and the nodes, as far as ours depends on them: Jobs, garbage, namespaces.

Each looks at an object a moment after it, its owner or what it owns has changed, and does what is missing.
What a pod's worker does is worker.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

from attrs import define, field

from tests.decide.world import FOREGROUND
from tests.simulation.server import ApiServer, Path, Refusal
from tests.simulation.store import JSON, Change, Item

BY_KIND = {"Backup": "backups", "Restore": "restores", "Job": "jobs"}
OWNED = ("jobs", "pods")
TERMINAL = ("Succeeded", "Failed")


@define
class Cluster:
    """Plays them all. `started` is told of each pod that is made."""

    server: ApiServer
    rng: random.Random
    started: Callable[[Item], None] = lambda _: None
    stopped: Callable[[Item], None] = lambda _: None
    """Told of each pod on a node that is to stop."""
    tried: set[str] = field(factory=set)
    """The uids of Jobs that have made their pod: they make no second one."""
    held: set[str] = field(factory=set)
    """The uids of pods that nobody can stop: their node is lost."""

    def __attrs_post_init__(self) -> None:
        self.server.objects.changed.append(self.told)

    def told(self, change: Change) -> None:
        """Something has changed: whoever is concerned looks, a moment later."""
        meta = change.last.meta
        if change.plural in ("jobs", "pods", "backups", "restores") and change.new:
            self._soon(change.plural, meta["namespace"], meta["name"])
        if change.plural == "namespaces" or (change.new is None and self._going(meta)):
            self._soon("namespaces", "", str(meta.get("namespace", meta["name"])))
        if change.plural in OWNED:
            for owner in meta.get("ownerReferences") or ():
                self._soon(BY_KIND[owner["kind"]], meta["namespace"], owner["name"])
        if change.new is None or change.new.going:
            for plural, owned in self.owned_by(change.last.uid):
                self._soon(plural, owned.meta["namespace"], owned.meta["name"])

    def owned_by(self, uid: str) -> list[tuple[str, Item]]:
        """What has an owner of that uid."""
        return [
            (plural, item)
            for plural in OWNED
            for item in self.server.objects.of(plural).values()
            if any(owner["uid"] == uid for owner in item.meta.get("ownerReferences") or ())
        ]

    def _going(self, meta: JSON) -> bool:
        space = self.server.objects.get("namespaces", "", meta.get("namespace", ""))
        return space is not None and space.going

    def _soon(self, plural: str, namespace: str, name: str) -> None:
        delay = self.rng.choice((0.01, 0.01, 0.3, 2.0))
        asyncio.get_running_loop().call_later(delay, self._look, plural, namespace, name)

    def _look(self, plural: str, namespace: str, name: str) -> None:
        item = self.server.objects.get(plural, namespace, name)
        if item is None:
            return
        if plural == "namespaces":
            self._namespace(item)
        elif self._is_garbage(item):
            self.delete(plural, item)
        elif item.going and FOREGROUND in item.finalizers:
            self._in_the_foreground(plural, item)
        elif plural == "jobs" and not item.going:
            self._job(item)
        elif plural == "pods" and item.going and item.uid not in self.held and not item.finalizers:
            self._stop(item)

    def delete(self, plural: str, item: Item, propagation: str = "Background") -> None:
        """Deletes it; one that is gone already is none of our business."""
        with contextlib.suppress(Refusal):
            at = Path(plural, item.meta.get("namespace", ""), item.meta["name"])
            self.server.delete(at, {"preconditions": {"uid": item.uid}, "propagationPolicy": propagation})

    def _is_garbage(self, item: Item) -> bool:
        owners = item.meta.get("ownerReferences") or ()
        space = item.meta["namespace"]
        found = [self.server.objects.get(BY_KIND[owner["kind"]], space, owner["name"]) for owner in owners]
        there = [each and each.uid == owner["uid"] for each, owner in zip(found, owners, strict=True)]
        return bool(owners) and not any(there) and not item.going

    def _in_the_foreground(self, plural: str, item: Item) -> None:
        blocking = [
            (kind, owned)
            for kind, owned in self.owned_by(item.uid)
            for owner in owned.meta["ownerReferences"]
            if owner["uid"] == item.uid and owner.get("blockOwnerDeletion")
        ]
        for kind, owned in blocking:
            if not owned.going:
                self.delete(kind, owned, "Foreground" if kind == "jobs" else "Background")
        if not blocking:
            left = [each for each in item.finalizers if each != FOREGROUND]
            self.patch(plural, item, {"metadata": {"finalizers": left}})

    def _namespace(self, space: Item) -> None:
        name, objects = space.meta["name"], self.server.objects
        if not space.going:
            with contextlib.suppress(Refusal):
                self.server.create(Path("serviceaccounts", name), {"metadata": {"name": "default"}})
            return
        left = [
            (plural, item)
            for plural in objects.items
            for at, item in tuple(objects.of(plural).items())
            if at[0] == name
        ]
        for plural, item in left:
            if not item.going:
                self.delete(plural, item)
        if not any(at[0] == name for items in objects.items.values() for at in items):
            self.patch("namespaces", space, {"metadata": {"finalizers": []}})

    def _job(self, job: Item) -> None:
        if any(each["type"] in ("Complete", "Failed") for each in conditions(job)):
            return
        pods = [item for plural, item in self.owned_by(job.uid) if plural == "pods"]
        if not pods and job.uid not in self.tried:
            self._make_pod(job)
        elif not pods:
            self._end_job(job, "Failed", "BackoffLimitExceeded")
        elif (phase := pods[0].json.get("status", {}).get("phase")) in TERMINAL:
            good = phase == "Succeeded"
            self._end_job(job, "Complete" if good else "Failed", "" if good else "BackoffLimitExceeded")

    def _make_pod(self, job: Item) -> None:
        meta, template = job.meta, job.json["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": job.uid}
        owner |= {"controller": True, "blockOwnerDeletion": True}
        labels = (template.get("metadata") or {}).get("labels", {})
        name = f"{meta['name']}-{job.uid[:8]}"
        body: JSON = {"metadata": {"name": name, "labels": labels, "ownerReferences": [owner]}}
        body |= {"spec": template["spec"]}
        try:
            made = self.server.create(Path("pods", meta["namespace"]), body)
        except Refusal:
            return  # The namespace is terminating.
        self.tried.add(job.uid)
        made = self.patch("pods", made, {"status": {"phase": "Pending"}}, "status") or made
        self.started(made)

    def _end_job(self, job: Item, kind: str, reason: str) -> None:
        ended = {"type": kind, "status": "True", "reason": reason, "message": reason}
        ended |= {"lastTransitionTime": self.server.now()}
        self.patch("jobs", job, {"status": {"conditions": [ended]}}, "status")

    def _stop(self, pod: Item) -> None:
        self.stopped(pod)
        still = self.server.objects.get("pods", pod.meta["namespace"], pod.meta["name"])
        if still is not None and still.uid == pod.uid:
            self.server.objects.remove("pods", still)

    def patch(self, plural: str, item: Item, patch: JSON, subresource: str = "") -> Item | None:
        """Patches it, if it is still there."""
        at = Path(plural, item.meta.get("namespace", ""), item.meta["name"], subresource)
        now = self.server.objects.get(*at[:3])
        return self.server.patch(at, patch) if now is not None and now.uid == item.uid else None

    def release(self) -> None:
        """The lost nodes are taken away: their pods are gone."""
        self.held.clear()
        for (namespace, name), pod in tuple(self.server.objects.of("pods").items()):
            if pod.going:
                self._soon("pods", namespace, name)


def conditions(item: Item) -> list[dict[str, Any]]:
    """Those that are True."""
    found = item.status.get("conditions") or ()
    return [each for each in found if each["status"] == "True"]
