"""A real Prometheus scrapes the controller and a worker by the shipped monitors, and the queries of every
shipped alert and of every panel of the dashboard return there what they should."""

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.e2e.installation import SYSTEM, Installation, Site, reason
from tests.e2e.prometheus import (
    Prometheus,
    prometheus,
    seen,
    shipped_monitors,
    shipped_queries,
    shipped_rules,
)
from tests.e2e.scraping import targets_of

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

JSON = dict[str, Any]

EXAMPLE = "backup-s3.yaml"
SCHEDULE_LABEL = "tidb.pingcap.com/backup-schedule"
ONCE_A_YEAR = "0 3 1 1 *"

RUNNING = {
    title
    for title, query in shipped_queries("any").items()
    if "tidbbackup_worker_" in query or 'phase="Running"' in query
}
"""Panels that show something only while a worker runs."""


async def eventually(ask: Callable[[], Awaitable[list[JSON]]], seconds: float = 30) -> list[JSON]:
    """What `ask` finds once it finds something; AssertionError when it never does."""
    deadline = time.monotonic() + seconds
    while not (found := await ask()):
        assert time.monotonic() < deadline, f"nothing after {seconds:g} s"
        await asyncio.sleep(0.3)
    return found


@pytest.mark.side_by_side
async def test_controller_is_scraped(installed: Installation, site: Site) -> None:
    """Backups of a schedule, one complete and a later one failed, are in Prometheus under their own
    namespace and not the controller's: one alert holds, and no other."""
    schedule = await with_a_failure(site)
    async with prometheus(installed.node, shipped_monitors()) as scraper:
        labels = {"namespace": site.name, "schedule": schedule}
        await controller_is_in(scraper, labels)
        await one_alert_holds(scraper, labels)
        for title, query in shipped_queries(site.name).items():
            if title not in RUNNING:
                await found_for(title, scraper, query)


async def with_a_failure(site: Site) -> str:
    """A schedule with a drill, of which one Backup is complete and a later one has failed; its name."""
    yearly = site.example(
        "backup-schedule-s3.yaml",
        schedule=ONCE_A_YEAR,
        drill={"schedule": ONCE_A_YEAR, "databaseSuffix": "_drill"},
    )
    schedule = await site.apply(yearly)
    good, failed = site.example(EXAMPLE), site.example(EXAMPLE, tableFilter=["nothing.*"])
    failed["metadata"]["name"] += "-fails"
    for each in (good, failed):
        each["metadata"]["labels"] = {SCHEDULE_LABEL: schedule}
    await site.over(await site.apply(good))
    assert reason(await site.over(await site.apply(failed))) == "NothingToDump"
    return schedule


async def found_for(what: str, scraper: Prometheus, query: str) -> list[JSON]:
    """What the query finds once it finds something; AssertionError, with whose query it is, when never."""
    try:
        return await eventually(partial(scraper.query, query))
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}: {query}") from error


async def one_alert_holds(scraper: Prometheus, labels: dict[str, str]) -> None:
    """Every metric that a rule looks at is there, so a rule that finds nothing finds nothing wrong."""
    for rule in shipped_rules():
        name, query = rule["alert"], rule["expr"]
        for metric in set(re.findall(r"\b[a-z]+_[a-z_]+(?=[{)\[])", query)) - {"max_over_time"}:
            await found_for(name, scraper, metric)
        if name == "TidbBackupFailed":
            await found_for(name, scraper, query)
        found = [each["metric"] for each in await scraper.query(query)]
        # Other tests make Backups meanwhile.
        found = [each for each in found if each.get("namespace", labels["namespace"]) == labels["namespace"]]
        assert found == ([labels] if name == "TidbBackupFailed" else []), name


async def controller_is_in(scraper: Prometheus, wanted: dict[str, str]) -> None:
    """What Prometheus has to know of the controller."""
    selected = ",".join(f'{label}="{value}"' for label, value in wanted.items())
    series = await eventually(
        partial(scraper.query, f'tidbbackup_backups{{{selected},phase="Complete"}} == 1')
    )

    assert {each["metric"]["job"] for each in series} == {"tidbbackup-controller"}
    for other in (
        # Prometheus scrapes each replica at a time of its own: the standby may come after the series above.
        f'count(up{{job="tidbbackup-controller",namespace="{SYSTEM}"}} == 1) == 2',
        'sum(leader_election_master_status{name="tidbbackup-controller"}) == 1',
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
        async with prometheus(installed.node, shipped_monitors(), "prometheus-of-workers") as scraper:
            wanted = f'tidbbackup_worker_estimated_bytes{{namespace="{site.name}"}} > 0'
            (series,) = await eventually(partial(scraper.query, wanted))
            queries = shipped_queries(site.name)
            for title in sorted(RUNNING):
                await found_for(title, scraper, queries[title])
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
