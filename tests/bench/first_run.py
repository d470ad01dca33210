"""One Backup as the controller leaves it, to be copied thousands of times."""

from datetime import UTC, datetime

from tests.bench import seeds
from tests.bench.alone import Bench, until
from tests.bench.bare import GROUP
from tests.bench.crowd import JOBS, backup, seeing
from tests.cluster.api import JSON


async def first_run(bench: Bench) -> tuple[seeds.Run, seeds.Run]:
    """One Backup as the controller leaves it: waiting for its pod, and finished."""
    namespace = await bench.namespace("one")
    path, jobs = f"{GROUP}/{namespace}/backups", f"{JOBS}/{namespace}/jobs"
    api = bench.plane.api
    async with bench.controller(), seeing(api, path) as seen:
        await api.create(path, backup("template-of-all"))
        await until(lambda: seen.in_phase("Scheduled") == 1, "a first Job")
    waiting = seeds.Run(
        await api.get(f"{path}/template-of-all"), await api.get(f"{jobs}/backup-template-of-all")
    )
    await api.patch(f"{jobs}/backup-template-of-all/status", {"status": _ended_job()})
    await api.patch(f"{path}/template-of-all/status", {"status": _complete(waiting.backup["status"])})
    finished = seeds.Run(
        await api.get(f"{path}/template-of-all"), await api.get(f"{jobs}/backup-template-of-all")
    )
    await bench.clear(namespace)
    return waiting, finished


def _ended_job() -> JSON:
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    made = {"status": "True", "lastProbeTime": at, "lastTransitionTime": at, "reason": "CompletionsReached"}
    conditions = [{**made, "type": kind} for kind in ("SuccessCriteriaMet", "Complete")]
    times = {"startTime": at, "completionTime": at}
    counts = {"succeeded": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    return {"conditions": conditions, **times, **counts}


def _complete(scheduled: JSON) -> JSON:
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    true = {"status": "True", "lastTransitionTime": at}
    conditions = [{**each, "status": "False"} for each in scheduled["conditions"]]
    conditions += [
        {**true, "type": "Running", "status": "False", "reason": "PodStarted", "message": "the worker runs"},
        {**true, "type": "Complete", "reason": "Uploaded", "message": "the archive is in the bucket"},
        {**true, "type": "Finished", "reason": "Complete", "message": "the archive is in the bucket"},
        {**true, "type": "Succeeded", "reason": "Uploaded", "message": "the archive is in the bucket"},
    ]
    return {
        "phase": "Complete",
        "conditions": conditions,
        "timeStarted": at,
        "timeCompleted": at,
        "timeTaken": "4m10s",
        "backupSize": 395_312_742,
        "backupSizeReadable": "377 MiB",
        "commitTs": "470653739273289729",
        "databases": ["app", "billing", "shop"],
        "databaseCount": 3,
        "checksum": "sha256:" + "0123456789abcdef" * 4,
    }
