"""A real Prometheus scrapes the controller and a worker by the shipped monitors."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.e2e.installation import SYSTEM, Installation, Site
from tests.e2e.prometheus import Prometheus, prometheus, seen, shipped_monitors
from tests.e2e.scraping import targets_of

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

JSON = dict[str, Any]

EXAMPLE = "backup-s3.yaml"


async def eventually(ask: Callable[[], Awaitable[list[JSON]]], seconds: float = 30) -> list[JSON]:
    """What `ask` finds once it finds something; AssertionError when it never does."""
    deadline = time.monotonic() + seconds
    while not (found := await ask()):
        assert time.monotonic() < deadline, f"nothing after {seconds:g} s"
        await asyncio.sleep(0.3)
    return found


@pytest.mark.side_by_side
async def test_controller_is_scraped(installed: Installation, site: Site) -> None:
    """A finished Backup is in Prometheus, under its own namespace and not the controller's."""
    await site.over(await site.apply(site.example(EXAMPLE)))
    async with prometheus(installed.node, shipped_monitors()) as scraper:
        await controller_is_in(scraper, site)


async def controller_is_in(scraper: Prometheus, site: Site) -> None:
    """What Prometheus has to know of the controller."""
    wanted = f'tidbbackup_backups{{namespace="{site.name}",phase="Complete"}} == 1'
    (series,) = await eventually(partial(scraper.query, wanted))

    labels = series["metric"]
    assert labels["job"] == "tidbbackup-controller"
    # Made by hand: an empty label, which for Prometheus is none.
    assert "schedule" not in labels
    for other in (
        # Prometheus scrapes each replica at a time of its own: the standby may come after the series above.
        f'count(up{{job="tidbbackup-controller",namespace="{SYSTEM}"}} == 1) == 2',
        'sum(leader_election_master_status{name="tidbbackup-controller"}) == 1',
        # What the shipped alerts look at.
        f'tidbbackup_last_success_timestamp_seconds{{namespace="{site.name}"}}',
        f'tidbbackup_last_size_bytes{{namespace="{site.name}"}}',
        'reflector_last_event_age_seconds{job="tidbbackup-controller"}',
    ):
        await eventually(partial(scraper.query, other))


@pytest.mark.side_by_side(waits=10)
async def test_worker_is_scraped(installed: Installation, site: Site) -> None:
    """While it runs, at the port that its container declares; and the controller finds the same way to it."""
    (monitor,) = [each for each in shipped_monitors() if each["kind"] == "PodMonitor"]
    port = monitor["spec"]["podMetricsEndpoints"][0]["port"]

    async def workers() -> list[JSON]:
        found = targets_of(monitor, port, await seen(installed.plane))
        return [each for each in found if each["labels"]["namespace"] == site.name]

    # It waits for the storage, so that it is there to be found.
    site.store.child.signal(signal.SIGSTOP)
    try:
        name = await site.apply(site.example(EXAMPLE))
        (worker,) = await eventually(workers, 60)
        async with prometheus(installed.node, [monitor], "prometheus-of-workers") as scraper:
            wanted = f'tidbbackup_worker_estimated_bytes{{namespace="{site.name}"}} > 0'
            (series,) = await eventually(partial(scraper.query, wanted))
        shown = await site.until(name, lambda found: bool(found.get("status", {}).get("progress")), 30)
    finally:
        site.store.child.signal(signal.SIGCONT)

    assert series["metric"]["pod"] == worker["labels"]["pod"]
    assert shown["status"]["progress"]["step"] == "preflight"
    assert worker["labels"]["job"] == f"{SYSTEM}/tidbbackup-workers"
    assert worker["labels"]["pod"].startswith(f"backup-{name}-")
    (address,) = worker["targets"]
    assert address.endswith(":8081")
    await site.over(name)
    await site.kubectl("wait", "pods", "--all", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    assert await workers() == []
