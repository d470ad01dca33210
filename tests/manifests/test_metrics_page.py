"""docs/reference/metrics.md has every metric that is exported, and none that is not."""

import re

import pytest
from prometheus_client.metrics_core import Metric

from manifests.compose import FOLDER
from tests.manifests.exported import exported

PAGE = (FOLDER.parent / "docs" / "reference" / "metrics.md").read_text()
CONTROLLER, _, _ = PAGE.partition("## The workers'")
ROWS = dict(re.findall(r"^\| `([a-z_0-9]+)` \| ([a-z]+) \|", CONTROLLER, re.MULTILINE))
EXPORTED = exported()


def _name(metric: Metric) -> str:
    # The client library keeps a counter's name without the ending that it is exported with.
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


@pytest.mark.parametrize("metric", EXPORTED, ids=_name)
def test_it_is_documented(metric: Metric) -> None:
    assert ROWS.get(_name(metric)) == metric.type


@pytest.mark.parametrize("metric", EXPORTED, ids=_name)
def test_so_are_its_labels(metric: Metric) -> None:
    (row,) = [line for line in CONTROLLER.splitlines() if line.startswith(f"| `{_name(metric)}` |")]
    for sample in metric.samples:
        for label in set(sample.labels) - {"le"}:
            assert f"`{label}`" in row


def test_nothing_is_documented_that_is_not_there() -> None:
    assert set(ROWS) == {_name(metric) for metric in EXPORTED}
