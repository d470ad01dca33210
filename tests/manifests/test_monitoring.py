"""What Prometheus is told to scrape is there, and the alerts are about metrics that are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from manifests.compose import FOLDER
from tests.decide.builders import IMAGE, backup, backup_job
from tests.manifests.exported import exported
from tests.manifests.shipped import matches, the
from tidbbackup.model.contract.progress import WORKER_PORT
from tidbbackup.model.names import COMPONENT, labels

RULES = [
    rule
    for group in the("PrometheusRule", "monitoring/alerts.yaml")["spec"]["groups"]
    for rule in group["rules"]
]
DOCS = Path(FOLDER).parent / "docs"
RUNBOOKS = DOCS / "how-to" / "runbooks"

PANELS = json.loads((Path(FOLDER) / "monitoring" / "dashboard.json").read_text())["panels"]


# Prometheus' own, about the scrape itself.
_OF_THE_SCRAPE = {"up"}
_FUNCTIONS = {"absent", "time", "or", "unless", "offset", "and", "on", "by", "max", "sum", "max_over_time"}
_LABELS = {"namespace", "schedule", "phase", "name", "resource"}


def test_the_service_monitor_finds_the_service() -> None:
    monitor, service = the("ServiceMonitor", "monitoring/controller.yaml")["spec"], the("Service")

    assert matches(monitor["selector"], service["metadata"]["labels"])
    assert service["metadata"]["namespace"] in monitor["namespaceSelector"]["matchNames"]
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }


def test_the_series_keep_their_own_namespace() -> None:
    (endpoint,) = the("ServiceMonitor", "monitoring/controller.yaml")["spec"]["endpoints"]

    assert endpoint["honorLabels"] is True


def test_the_pod_monitor_finds_workers_and_not_the_controller() -> None:
    selector = the("PodMonitor", "monitoring/workers.yaml")["spec"]["selector"]

    assert matches(selector, labels("backup", "bk"))
    assert not matches(selector, labels("aftermath", "bk"))
    assert not matches(selector, the("Deployment")["spec"]["template"]["metadata"]["labels"])
    assert COMPONENT in selector["matchLabels"]


def test_the_pod_monitor_names_the_port_where_the_worker_serves() -> None:
    (endpoint,) = the("PodMonitor", "monitoring/workers.yaml")["spec"]["podMetricsEndpoints"]
    (container,) = backup_job(backup(), IMAGE)["spec"]["template"]["spec"]["containers"]

    assert container["ports"] == [{"name": endpoint["port"], "containerPort": WORKER_PORT}]
    assert endpoint["path"] == "/metrics"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_about_gauges_that_are_exported(rule: dict[str, Any]) -> None:
    kinds = {metric.name: metric.type for metric in exported()}
    bare = re.sub(r"\{.*?\}", "", rule["expr"])
    words = set(re.findall(r"\b[a-z][a-z_]+\b", bare)) - _FUNCTIONS - _LABELS - _OF_THE_SCRAPE

    assert words | (set(re.findall(r"\bup\b", bare)) & _OF_THE_SCRAPE), "it looks at nothing"
    for word in words:
        assert kinds.get(word) == "gauge", word


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["alert"] in (DOCS / "reference" / "metrics.md").read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    name = f"{rule['alert']}.md"
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/how-to/runbooks/{name}")
    assert f"({name})" in (RUNBOOKS / "README.md").read_text()
    assert f"(../how-to/runbooks/{name})" in (DOCS / "reference" / "metrics.md").read_text()


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("Tidb*.md")), ids=lambda page: page.stem)
def test_a_runbook_has_its_alert_and_all_parts(page: Path) -> None:
    text = page.read_text()
    assert page.stem in {rule["alert"] for rule in RULES}
    assert text.startswith(f"# {page.stem}\n\n**It means**: ")
    parts = ["## The cause", "## The cure", "## Do not"]
    assert [line for line in text.splitlines() if line in parts] == parts


def test_the_dashboard_has_a_query_and_a_text_in_each_panel() -> None:
    shown = [panel for panel in PANELS if panel["type"] != "row"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["description"]
        assert [target["expr"] for target in panel["targets"]]


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
