"""How monitors find what is to be scraped."""

from typing import Any

import pytest

from tests.e2e.scraping import Cluster, configuration, targets_of

JSON = dict[str, Any]

LABELS = {"a.b/c": "d"}


def monitor(kind: str, endpoints: str, /, **spec: Any) -> JSON:
    """A monitor of the port `metrics` of what is labelled a.b/c=d."""
    said = {"selector": {"matchLabels": LABELS}, endpoints: [{"port": "metrics", "interval": "30s"}]}
    return {"kind": kind, "metadata": {"name": "mine", "namespace": "here"}, "spec": said | spec}


def pod(
    namespace: str = "here",
    *,
    phase: str = "Running",
    port: str = "metrics",
    label: str = "d",
    ip: str = "10.0.0.1",
) -> JSON:
    """A pod with one port."""
    return {
        "metadata": {"name": "p", "namespace": namespace, "labels": {"a.b/c": label, "more": "yes"}},
        "spec": {
            "containers": [
                {"ports": [{"name": "other", "containerPort": 1}]},
                {"ports": [{"name": port, "containerPort": 81}]},
            ]
        },
        "status": {"phase": phase} | ({"podIP": ip} if ip else {}),
    }


def service(name: str, label: str) -> list[JSON]:
    """A Service and its slice."""
    return [
        {"metadata": {"name": name, "namespace": "here", "labels": {"a.b/c": label}}},
        {
            "metadata": {"namespace": "here", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "metrics", "port": 80}, {"name": "other", "port": 1}],
            "endpoints": [{"addresses": [f"address-of-{name}"]}],
        },
    ]


def found_pods(*pods: JSON, **spec: Any) -> list[str]:
    """The addresses of the pods that a PodMonitor finds."""
    cluster = Cluster(services=[], endpoint_slices=[], pods=list(pods))
    found = targets_of(monitor("PodMonitor", "podMetricsEndpoints", **spec), "metrics", cluster)
    return [address for each in found for address in each["targets"]]


def test_pod_of_its_own_namespace_is_found() -> None:
    assert found_pods(pod()) == ["10.0.0.1:81"]


@pytest.mark.parametrize(
    "other",
    [
        pod("elsewhere"),
        pod(port="http"),
        pod(label="e"),
        pod(phase="Succeeded"),
        pod(phase="Failed"),
        pod(ip=""),
    ],
)
def test_other_pods_are_not(other: JSON) -> None:
    assert found_pods(other) == []


def test_namespaces_by_name_or_any() -> None:
    both = (pod(ip="10.0.0.1"), pod("elsewhere", ip="10.0.0.2"))
    assert found_pods(*both, namespaceSelector={"any": True}) == ["10.0.0.1:81", "10.0.0.2:81"]
    assert found_pods(*both, namespaceSelector={"matchNames": ["elsewhere"]}) == ["10.0.0.2:81"]


def test_ports_behind_a_selected_service() -> None:
    selected, other = service("selected", "d"), service("other", "e")
    cluster = Cluster(services=[selected[0], other[0]], endpoint_slices=[selected[1], other[1]], pods=[])

    (job,) = configuration([monitor("ServiceMonitor", "endpoints")], cluster, "1s")["scrape_configs"]

    assert (job["job_name"], job["scrape_interval"], job["honor_labels"]) == ("here/mine/0", "1s", False)
    assert job["static_configs"] == [
        {"targets": ["address-of-selected:80"], "labels": {"namespace": "here", "job": "selected"}}
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"sampleLimit": 1},
        {"endpoints": [{"port": "metrics", "interval": "1s", "scheme": "https"}]},
        {"selector": {"matchLabels": {}, "matchExpressions": []}},
        {"namespaceSelector": {"matchLabels": {}}},
    ],
)
def test_what_is_not_understood_is_an_error(spec: JSON) -> None:
    cluster = Cluster(services=[service("selected", "d")[0]], endpoint_slices=[], pods=[])
    with pytest.raises(ValueError, match="translated here"):
        configuration([monitor("ServiceMonitor", "endpoints", **spec)], cluster, "1s")
