"""A real Prometheus beside the pods, told by the shipped monitors what to scrape. Knows no metric's name."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import yaml
from attrs import frozen

from tests.cluster.control_plane import ControlPlane
from tests.cluster.lab import ROOT
from tests.cluster.ports import free_port
from tests.cluster.processes import wait_ready
from tests.cluster.real.node import WholeNode
from tests.e2e.scraping import Cluster, configuration

JSON = dict[str, Any]

MONITORING = ROOT / "manifests" / "monitoring"
_INTERVAL = "1s"


@frozen(eq=False)
class Prometheus:
    """A running Prometheus; valid inside `async with prometheus()`."""

    _url: str
    _session: aiohttp.ClientSession

    async def query(self, expression: str) -> list[JSON]:
        """The series of an instant query, each with `metric` and `value`. Raises aiohttp.ClientError."""
        url, parameters = f"{self._url}/api/v1/query", {"query": expression}
        async with self._session.get(url, params=parameters, raise_for_status=True) as answer:
            found: list[JSON] = (await answer.json())["data"]["result"]
        return found

    async def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            async with self._session.get(f"{self._url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def shipped_rules() -> list[JSON]:
    """The alert rules of manifests/monitoring."""
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def shipped_queries(namespace: str) -> dict[str, str]:
    """The query of each panel of the dashboard, by its title, for one namespace."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    found = [(panel["title"], panel["targets"]) for panel in panels if panel["type"] != "row"]
    return {title: target["expr"].replace("$namespace", namespace) for title, (target,) in found}


def shipped_monitors() -> list[JSON]:
    """The ServiceMonitors and PodMonitors of manifests/monitoring."""
    found = [yaml.safe_load(path.read_text()) for path in sorted(MONITORING.glob("*.yaml"))]
    return [each for each in found if each["kind"] in ("ServiceMonitor", "PodMonitor")]


async def seen(plane: ControlPlane) -> Cluster:
    """What monitors are matched against, as it is now."""

    async def every(path: str) -> list[JSON]:
        items: list[JSON] = (await plane.api.get(path))["items"]
        return items

    return Cluster(
        services=await every("/api/v1/services"),
        endpoint_slices=await every("/apis/discovery.k8s.io/v1/endpointslices"),
        pods=await every("/api/v1/pods"),
    )


@asynccontextmanager
async def prometheus(
    node: WholeNode, monitors: Iterable[JSON], name: str = "prometheus"
) -> AsyncIterator[Prometheus]:
    """Debian's Prometheus in the network of the pods, scraping every second what `monitors` select now.

    Raises FileNotFoundError where it is not installed, ProcessDied, NotReady.
    """
    owned = node.plane.processes
    folder = owned.folder / name
    folder.mkdir()
    settings = folder / "prometheus.yaml"
    # JSON is YAML.
    settings.write_text(json.dumps(configuration(monitors, await seen(node.plane), _INTERVAL)))
    port = free_port()
    argv = ["prometheus", f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    child = await owned.start(name, [*node.in_network, *argv])
    try:
        await node.doors.open_inwards(port, port)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            made = Prometheus(f"http://127.0.0.1:{port}", session)
            await wait_ready(child, made.ready)
            yield made
    finally:
        await owned.stop(child)
