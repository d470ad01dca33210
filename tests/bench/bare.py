"""A bare loop that makes the same writes as the controller for each new Backup, and decides nothing.

    python -m tests.bench.bare NAMESPACE CONNECTIONS <what    (what: {"url", "ca", "token", "backup", "job"})

`backup` and `job` are as the controller has left them. Prints {"jobs", "seconds"}.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from tests.cluster.api import JSON, Api, connect

GROUP = "/apis/pingcap.com/v1alpha1/namespaces"


async def one(api: Api, made: JSON, like: JSON, job: JSON) -> None:
    """What a Backup needs until it is Scheduled: two patches, its Job, an Event, a patch."""
    meta, status = made["metadata"], like["status"]
    path = f"{GROUP}/{meta['namespace']}/backups/{meta['name']}"
    marks = {"finalizers": like["metadata"]["finalizers"], "annotations": like["metadata"]["annotations"]}
    await api.patch(path, {"metadata": {**marks, "resourceVersion": meta["resourceVersion"]}})
    await api.patch(
        f"{path}/status", {"status": {"backupPath": status["backupPath"], "observedGeneration": 1}}
    )
    await api.create(f"/apis/batch/v1/namespaces/{meta['namespace']}/jobs", _job(made, job))
    await api.create(f"/api/v1/namespaces/{meta['namespace']}/events", _event(made, job))
    await api.patch(f"{path}/status", {"status": status})


def _job(made: JSON, job: JSON) -> JSON:
    spec = json.loads(json.dumps(job["spec"]))
    # What the API server has added.
    del spec["selector"]
    labels = spec["template"]["metadata"]["labels"]
    for label in [label for label in labels if label.endswith(("controller-uid", "job-name"))]:
        del labels[label]
    named = {"apiVersion": made["apiVersion"], "kind": "Backup", "name": made["metadata"]["name"]}
    owner = {**named, "uid": made["metadata"]["uid"], "controller": True}
    meta = {
        "name": f"backup-{named['name']}",
        "ownerReferences": [owner],
        "labels": job["metadata"]["labels"],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def _event(made: JSON, job: JSON) -> JSON:
    meta = made["metadata"]
    about = {"apiVersion": made["apiVersion"], "kind": "Backup", "name": meta["name"], "uid": meta["uid"]}
    said = f"Job {job['metadata']['name']} is made, its pod has not started yet"
    return {
        "metadata": {"name": f"{meta['name']}.0123456789abcdef", "namespace": meta["namespace"]},
        "involvedObject": {**about, "namespace": meta["namespace"]},
        "type": "Normal",
        "reason": "Scheduled",
        "message": said,
        "source": {"component": "tidbbackup"},
    }


async def run(given: JSON, namespace: str, connections: int) -> JSON:
    """Write for every Backup of the namespace."""
    async with connect(given["url"], Path(given["ca"]), given["token"]) as api:
        left = (await api.get(f"{GROUP}/{namespace}/backups"))["items"]
        count, began = len(left), time.monotonic()

        async def work() -> None:
            while left:
                await one(api, left.pop(), given["backup"], given["job"])

        await asyncio.gather(*(work() for _ in range(connections)))
        return {"jobs": count, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin), sys.argv[1], int(sys.argv[2])))))
