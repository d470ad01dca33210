"""A running Backup tells how far it is: in its status, in kubectl's column, in its pod's metrics."""

import asyncio

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.faults import before_database, before_store, within
from tests.integration.hold_proxy import PART, TABLE_DUMP
from tests.integration.scene import JSON, Scene, phase, why

pytestmark = pytest.mark.integration


async def test_it_shows_while_it_runs(scene: Scene) -> None:
    # Side by side, as both wait until somebody asks.
    await asyncio.gather(
        _begins_with_the_dump(scene), _is_gone_when_complete(scene), _stays_where_it_failed(scene)
    )


async def _begins_with_the_dump(scene: Scene) -> None:
    async with before_database(scene.lab, TABLE_DUMP) as proxy:
        source = {"host": "127.0.0.1", "port": proxy.port}
        await scene.apply(scene.backup("dumping", source=source))
        await within(proxy.reached)
        shown = progress(await scene.until(lambda found: progress(found).get("step") == "dump", "dumping"))
        assert 0 <= shown["percent"] < 50
        assert shown["estimatedBytes"] > shown["dumpedBytes"]
        assert await column(scene, "dumping") == shown["text"] == f"dump {shown['percent']}%"
        proxy.release()
        backup = await scene.until_over("dumping")
    assert phase(backup) == "Complete", why(backup)


async def _is_gone_when_complete(scene: Scene) -> None:
    async with before_store(scene.lab, PART) as proxy:
        await scene.apply(scene.backup(s3={"endpoint": proxy.url}))
        await within(proxy.reached)
        # Somebody may have asked before it stood still.
        shown = progress(await scene.until(uploads))
        # All of it is dumped: the first half is done. The storage has taken nothing.
        assert 50 <= shown["percent"] <= 99
        assert shown["text"] == f"upload {shown['percent']}%"
        assert shown["estimatedBytes"] > 0
        assert shown["uploadedBytes"] == 0
        assert await column(scene) == shown["text"]

        metrics = await scraped(scene)
        assert metrics["tidbbackup_worker_dumped_bytes_total"] >= shown["dumpedBytes"] > 0
        assert metrics["tidbbackup_worker_estimated_bytes"] == shown["estimatedBytes"]
        assert metrics["tidbbackup_worker_parts_total"] == 0
        proxy.release()
        backup = await scene.until_over()
    assert phase(backup) == "Complete", why(backup)

    await scene.until(lambda found: not progress(found), seconds=10)
    assert await column(scene) == ""


async def _stays_where_it_failed(scene: Scene) -> None:
    async with before_store(scene.lab, PART) as proxy:
        await scene.apply(scene.backup("lost", s3={"endpoint": proxy.url}))
        await within(proxy.reached)
        await scene.until(uploads, "lost")
        await scene.kubectl("delete", "job", "backup-lost", "--wait=false")
        await scene.until_phase("Failed", "lost")
        # Its worker takes its upload back, on this very way.
        await scene.until_no_pod_runs()
    assert (await column(scene, "lost")).startswith("upload ")


async def test_one_that_comes_late_does_not_stay(scene: Scene) -> None:
    """It was on its way when its Backup was deleted and created again."""
    await scene.apply(scene.backup(s3={"provider": "nobody"}))
    await scene.until_phase("Invalid")
    path = f"/apis/pingcap.com/v1alpha1/namespaces/{scene.namespace}/backups/bk/status"
    found = await scene.lab.plane.api.patch(path, {"status": {"progress": {"text": "dump 5%"}}})
    assert progress(found)
    await scene.until(lambda found: not progress(found), seconds=10)


def progress(backup: JSON | None) -> JSON:
    """Its progress, or an empty one."""
    found: JSON = (backup or {}).get("status", {}).get("progress", {})
    return found


def uploads(backup: JSON | None) -> bool:
    """Whether its progress says so."""
    return progress(backup).get("step") == "upload"


async def column(scene: Scene, name: str = "bk") -> str:
    """What `kubectl get bk` shows under PROGRESS."""
    head, row, *_ = (await scene.kubectl("get", "bk", name)).splitlines()
    begin, end = head.index("PROGRESS"), head.index("AGE")
    return row[begin:end].strip()


async def scraped(scene: Scene) -> dict[str, float]:
    """The worker's metrics, from its pod's address."""
    (pod,) = [pod for pod in await scene.pods() if pod["metadata"]["name"].startswith("backup-bk-")]
    url = f"http://{pod['status']['podIP']}:8081/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    return {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
