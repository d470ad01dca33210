"""The shipped alerts by `promtool test rules`: each fires when it should, after its `for`, and not otherwise.

Needs no node: only promtool, which is in Debian's package prometheus, as all that `make test-e2e` needs.
"""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.e2e.alert_cases import FIRING, SILENT, Fires, Silent
from tests.manifests.shipped import the
from tests.skips import skip
from tidbbackup.model.units import parse_duration

pytestmark = pytest.mark.e2e

JSON = dict[str, Any]

RULES = the("PrometheusRule", "monitoring/alerts.yaml")["spec"]
BY_NAME: dict[str, JSON] = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


async def promtool(folder: Path, cases: list[JSON]) -> str:
    """What promtool says against these cases; empty if they hold."""
    if shutil.which("promtool") is None:
        skip("promtool is in the package prometheus, which tests/cluster/setup.sh e2e installs")
    # JSON is YAML.
    (folder / "rules.yaml").write_text(json.dumps(RULES))
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases}
    (folder / "cases.yaml").write_text(json.dumps(tests))
    child = await asyncio.create_subprocess_exec(
        *("promtool", "test", "rules", str(folder / "cases.yaml")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await child.communicate()
    return said.decode() if child.returncode else ""


def course(case: Fires | Silent, looks: list[JSON]) -> JSON:
    """One test of promtool's."""
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    return {"interval": "1m", "input_series": series, "alert_rule_test": looks}


def look(alert: str, minute: int, *found: JSON) -> JSON:
    """What has to fire at that minute."""
    return {"alertname": alert, "eval_time": f"{minute}m", "exp_alerts": list(found)}


def fires(case: Fires) -> JSON:
    """Nothing until the rule's `for` is over, then the alert as it is sent."""
    rule = BY_NAME[case.alert]
    at = case.since + int(parse_duration(rule["for"]).total_seconds()) // 60
    texts = {
        "summary": case.summary,
        "description": case.description,
        "runbook_url": rule["annotations"]["runbook_url"],
    }
    alert = {"exp_labels": case.labels | rule["labels"], "exp_annotations": texts}
    return course(case, [look(case.alert, at - 1), look(case.alert, at, alert)])


def silent(case: Silent) -> JSON:
    """Nothing, for three hours."""
    return course(case, [look(case.alert, minute) for minute in range(10, 181, 10)])


@pytest.mark.parametrize("alert", sorted(BY_NAME))
async def test_it_fires_after_its_time_and_not_otherwise(alert: str, tmp_path: Path) -> None:
    cases = [fires(case) for case in FIRING if case.alert == alert]
    cases += [silent(case) for case in SILENT if case.alert == alert]
    assert await promtool(tmp_path, cases) == ""


async def test_a_minute_too_early_is_found(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    early = [fires(attrs.evolve(case, since=case.since - 1)) for case in FIRING if case.since]
    assert (await promtool(tmp_path, early)).count("exp:[\n") == len(early)


@pytest.mark.parametrize("cases", [FIRING, SILENT], ids=["fires", "silent"])
def test_each_alert_has_a_case(cases: tuple[Fires | Silent, ...]) -> None:
    assert {case.alert for case in cases} == set(BY_NAME)
