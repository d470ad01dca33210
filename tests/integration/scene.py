"""One test's place in the lab: a namespace with its Secrets, a bucket, and what a user does there.

Everything is done and seen as a user would: kubectl's objects, the bucket through another client, the
controller's log. Knows nothing of the product's inside but the words of its API.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from typing import Any

import yaml
from attrs import define

from tests.cluster.api import ApiRefused
from tests.cluster.lab import Lab, Secrets, make_namespace

JSON = dict[str, Any]
OVER = ("Complete", "Failed", "Invalid")


class NeverHappened(AssertionError):
    """What a test waited for did not come about; the message has the last that was seen."""


@define(eq=False)
class Scene:
    """A namespace and a bucket of one test's own."""

    lab: Lab
    namespace: str
    bucket: str

    def backup(self, name: str = "bk", **spec: Any) -> JSON:
        """A Backup that would complete; keywords replace parts of its spec (None removes one)."""
        lab = self.lab
        whole: JSON = {
            "from": {
                "host": lab.database.host,
                "port": lab.database.port,
                "user": lab.database.user,
                "secretName": "backup-demo1-tidb-secret",
            },
            "s3": {
                "provider": "aws",
                "secretName": "s3-secret",
                "region": "us-east-1",
                "bucket": self.bucket,
                "endpoint": lab.store.endpoint,
            },
            "storageClassName": "local-storage",
            "storageSize": "10Gi",
        }
        for field, value in spec.items():
            field = "from" if field == "source" else field
            if isinstance(value, dict) and isinstance(whole.get(field), dict):
                whole[field] = {k: v for k, v in {**whole[field], **value}.items() if v is not None}
            else:
                whole[field] = value
        whole = {field: value for field, value in whole.items() if value is not None}
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "metadata": meta, "spec": whole}

    async def apply(self, manifest: JSON) -> str:
        """`kubectl apply` with strict validation, which is its default. Raises KubectlFailed."""
        return await self.lab.plane.kubectl_run("apply", "-f", "-", input=yaml.safe_dump(manifest))

    async def kubectl(self, *args: str) -> str:
        """kubectl in this namespace."""
        return await self.lab.plane.kubectl_run("-n", self.namespace, *args)

    async def get(self, name: str = "bk") -> JSON | None:
        """The Backup as it is, None if it is gone."""
        path = f"/apis/pingcap.com/v1alpha1/namespaces/{self.namespace}/backups/{name}"
        try:
            return await self.lab.plane.api.get(path)
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    async def until(
        self, holds: Callable[[JSON | None], bool], name: str = "bk", seconds: float = 60
    ) -> JSON | None:
        """Wait until the Backup is as wanted; raises NeverHappened with what it was instead."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.get(name)
            if holds(found):
                return found
            if time.monotonic() > deadline:
                status = yaml.safe_dump(found.get("status") if found else None)
                log = self.lab.controller.log()[-3000:]
                raise NeverHappened(f"Backup {name} after {seconds:g} s:\n{status}\ncontroller:\n{log}")
            await asyncio.sleep(0.1)

    async def until_over(self, name: str = "bk", seconds: float = 60) -> JSON:
        """Wait until it is Complete, Failed or Invalid."""
        found = await self.until(lambda backup: phase(backup) in OVER, name, seconds)
        assert found is not None
        return found

    async def until_over_but_invalid(self, name: str = "bk", seconds: float = 60) -> JSON:
        """Wait until a Backup whose spec was corrected is Complete or Failed."""
        found = await self.until(lambda backup: phase(backup) in ("Complete", "Failed"), name, seconds)
        assert found is not None
        return found

    async def until_phase(self, wanted: str, name: str = "bk", seconds: float = 60) -> JSON:
        """Wait until it is in that phase."""
        found = await self.until(lambda backup: phase(backup) == wanted, name, seconds)
        assert found is not None
        return found

    async def until_gone(self, name: str = "bk", seconds: float = 60) -> None:
        """Wait until the Backup is gone for good."""
        await self.until(lambda backup: backup is None, name, seconds)

    async def delete(self, name: str = "bk") -> None:
        """`kubectl delete --wait=false`."""
        await self.kubectl("delete", "backup", name, "--wait=false")

    async def pods(self, component: str = "backup") -> list[JSON]:
        """The pods of our runs here."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        answer = await self.lab.plane.api.get(path, labelSelector=f"app.kubernetes.io/component={component}")
        found: list[JSON] = answer["items"]
        return found

    async def jobs(self) -> list[JSON]:
        """All Jobs here."""
        answer = await self.lab.plane.api.get(f"/apis/batch/v1/namespaces/{self.namespace}/jobs")
        found: list[JSON] = answer["items"]
        return found

    async def running_pod(self, seconds: float = 30) -> str:
        """Wait until the backup's container runs; the pod's name."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for pod in await self.pods():
                states = [c["state"] for c in pod["status"].get("containerStatuses", [])]
                if any("running" in state for state in states):
                    name: str = pod["metadata"]["name"]
                    return name
            await asyncio.sleep(0.02)
        raise NeverHappened(f"no backup pod ran in {self.namespace} within {seconds:g} s")

    async def until_waiting(self, reason: str, component: str = "backup", seconds: float = 30) -> None:
        """Wait until the container waits for this reason, as `kubectl get pods` shows it."""
        deadline = time.monotonic() + seconds
        found: list[JSON] = []
        while time.monotonic() < deadline:
            pods = await self.pods(component)
            found = [c["state"] for pod in pods for c in pod["status"].get("containerStatuses", [])]
            if any(state.get("waiting", {}).get("reason") == reason for state in found):
                return
            await asyncio.sleep(0.05)
        raise NeverHappened(f"no {component} pod in {self.namespace} waited for {reason}: {found}")

    async def until_no_pod_runs(self, seconds: float = 30) -> None:
        """Wait until every pod of ours here has ended: nothing uses its volumes any more."""
        deadline = time.monotonic() + seconds
        while any(pod["status"]["phase"] not in ("Succeeded", "Failed") for pod in await self.pods()):
            if time.monotonic() > deadline:
                raise NeverHappened(f"a pod in {self.namespace} runs on")
            await asyncio.sleep(0.05)

    async def until_no_job(self, seconds: float = 30, *, but: str = "") -> None:
        """Wait until no Job (but one) and no pod of a backup is left here."""
        deadline = time.monotonic() + seconds
        while [j for j in await self.jobs() if j["metadata"]["name"] != but] or await self.pods():
            if time.monotonic() > deadline:
                raise NeverHappened(f"there is still a Job or pod in {self.namespace}: {await self.jobs()}")
            await asyncio.sleep(0.05)

    async def made(self) -> list[str]:
        """What runs have made in the cluster: Jobs, pods and the claims of their staging volumes."""
        paths = {
            "job": f"/apis/batch/v1/namespaces/{self.namespace}/jobs",
            "pod": f"/api/v1/namespaces/{self.namespace}/pods",
            "claim": f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims",
        }
        found = {kind: (await self.lab.plane.api.get(path))["items"] for kind, path in paths.items()}
        return [f"{kind} {item['metadata']['name']}" for kind, items in found.items() for item in items]

    async def until_nothing_made(self, run: str = "", seconds: float = 60) -> None:
        """Wait until nothing is left in the cluster of all runs, or of one, by a part of its name.

        What a Backup owned goes by the garbage collector, which looks for new kinds every 30 seconds: in a
        young cluster it does not know Backups yet.
        """
        deadline = time.monotonic() + seconds
        while left := [name for name in await self.made() if run in name]:
            if time.monotonic() > deadline:
                raise NeverHappened(f"there is still something in {self.namespace}: {left}")
            await asyncio.sleep(0.05)

    async def until_quota_counts(self, name: str, seconds: float = 30) -> None:
        """Wait until a ResourceQuota is in force."""
        deadline = time.monotonic() + seconds
        path = f"/api/v1/namespaces/{self.namespace}/resourcequotas/{name}"
        while not (await self.lab.plane.api.get(path)).get("status", {}).get("hard"):
            if time.monotonic() > deadline:
                raise NeverHappened(f"quota {name} does not count")
            await asyncio.sleep(0.05)

    async def events(self, name: str = "bk") -> list[tuple[str, str, str]]:
        """(type, reason, message) of what was said of the Backup."""
        answer = await self.lab.plane.api.get(
            f"/api/v1/namespaces/{self.namespace}/events", fieldSelector=f"involvedObject.name={name}"
        )
        return [(item["type"], item["reason"], item["message"]) for item in answer["items"]]

    async def until_said(self, reason: str, name: str = "bk", seconds: float = 30) -> str:
        """Wait for an Event of this reason about the Backup; its message."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for _, found, message in await self.events(name):
                if found == reason:
                    return message
            await asyncio.sleep(0.05)
        raise NeverHappened(f"nobody said {reason} of {name}: {await self.events(name)}")

    async def objects(self) -> dict[str, int]:
        """What stands in the bucket beside the logs of runs."""
        stored = await self.lab.store.objects(self.bucket)
        return {key: size for key, size in stored.items() if not key.endswith(LOG)}

    async def logs(self) -> set[str]:
        """The URLs of the logs of runs in the bucket."""
        stored = await self.lab.store.objects(self.bucket)
        return {f"s3://{self.bucket}/{key}" for key in stored if key.endswith(LOG)}

    async def secret(self, name: str, values: dict[str, str]) -> None:
        """Create a Secret, or replace its values."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        body = {"metadata": {"name": name}, "stringData": values}
        with contextlib.suppress(ApiRefused):
            await self.lab.plane.api.delete(f"{path}/{name}")
        await self.lab.plane.api.create(path, body)

    async def leave(self) -> None:
        """Remove the Jobs: the pod of a run keeps its staging volume for as long as it is there."""
        path = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        await self.lab.plane.api.delete(path, {"propagationPolicy": "Background"})

    async def check_invariants(self) -> None:
        """What holds after every test, whatever was done to it: design §8."""
        jobs = await self._live_backup_jobs()
        owners = [owner["uid"] for job in jobs for owner in job["metadata"].get("ownerReferences", ())]
        assert len(owners) == len(set(owners)), "two live Jobs for one Backup"
        objects, logs = await self.objects(), await self.logs()
        answer = await self.lab.plane.api.get(
            f"/apis/pingcap.com/v1alpha1/namespaces/{self.namespace}/backups"
        )
        for backup in answer["items"]:
            status = backup.get("status", {})
            true = [c["type"] for c in status.get("conditions", []) if c["status"] == "True"]
            phases = [kind for kind in true if kind not in BESIDE]
            assert phases == ([status["phase"]] if status.get("phase") else []), status
            if status.get("phase") in ("Complete", "Failed") and "observedGeneration" in status:
                complete = ["Succeeded"] if status["phase"] == "Complete" else []
                assert [kind for kind in true if kind in ("Finished", "Succeeded")] == ["Finished", *complete]
            assert status.get("phase") == "Clean" or "log" not in status or status["log"] in logs
            if status.get("phase") == "Complete":
                key = status["backupPath"].removeprefix(f"s3://{self.bucket}/")
                assert objects.get(key) == status["backupSize"], (key, objects)
                assert key.removesuffix(".tgz") + ".manifest.json" in objects
        assert await self.lab.store.uploads(self.bucket) == [], "a multipart upload is open"

    async def _live_backup_jobs(self) -> list[JSON]:
        def over(job: JSON) -> bool:
            conditions = job["status"].get("conditions", [])
            return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)

        found = await self.jobs()
        return [job for job in found if job["metadata"]["name"].startswith("backup-") and not over(job)]


LOG = ".log"

BESIDE = ("Warning", "Finished", "Succeeded", "Proven")
"""Conditions that are no phases."""


def phase(backup: JSON | None) -> str:
    """Its phase, or an empty word."""
    found: str = (backup or {}).get("status", {}).get("phase", "")
    return found


def why(backup: JSON) -> tuple[str, str]:
    """(reason, message) of the condition that is its phase."""
    status = backup["status"]
    condition = next(c for c in status["conditions"] if c["type"] == status["phase"])
    return condition["reason"], condition["message"]


def table(text: str) -> list[dict[str, str]]:
    """The lines of a table that kubectl has printed, by the words of its header; blanks may be in a cell."""
    header, *lines = text.splitlines()
    begins = [word.start() for word in re.finditer(r"\S+", header)]
    columns = list(zip(begins, [*begins[1:], None], strict=True))
    return [{header[begin:end].strip(): line[begin:end].strip() for begin, end in columns} for line in lines]


async def make_scene(lab: Lab, name: str) -> Scene:
    """A namespace and a bucket of that name, with the Secrets of the specification."""
    secrets = Secrets(lab.database.password, lab.store.access_key, lab.store.secret_key)
    await make_namespace(lab.plane, name, secrets)
    await lab.store.create_bucket(name)
    # No pod can be created before the namespace has its account, and the next try comes late.
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    async with asyncio.timeout(30):
        while not await lab.plane.api.is_ok(account):  # noqa: ASYNC110  there is nobody to tell
            await asyncio.sleep(0.02)
    return Scene(lab, name, name)
