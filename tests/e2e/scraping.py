"""What a Prometheus would scrape by the shipped ServiceMonitors and PodMonitors. Pure.

The Prometheus operator makes Kubernetes discovery of a monitor. Debian's Prometheus is built without that,
so selectors are matched against objects here, and give addresses. A field that is not understood is an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

JSON = dict[str, Any]

_UNDERSTOOD = {
    "monitor": {"selector", "namespaceSelector", "endpoints", "podMetricsEndpoints"},
    "endpoint": {"port", "path", "interval", "honorLabels"},
    "selector": {"matchLabels"},
    "namespace selector": {"any", "matchNames"},
}


@frozen
class Cluster:
    """The objects of all namespaces that monitors are matched against, as the API server gives them."""

    services: list[JSON]
    endpoint_slices: list[JSON]
    pods: list[JSON]


def configuration(monitors: Iterable[JSON], cluster: Cluster, interval: str) -> JSON:
    """Prometheus' configuration file; `interval` replaces the monitors', for which tests cannot wait.

    Raises ValueError for a monitor that says more than is understood here.
    """
    return {"scrape_configs": [job for each in monitors for job in _scrape_jobs(each, cluster, interval)]}


def _scrape_jobs(monitor: JSON, cluster: Cluster, interval: str) -> Iterator[JSON]:
    spec, metadata = monitor["spec"], monitor["metadata"]
    of_services = {"ServiceMonitor": True, "PodMonitor": False}[monitor["kind"]]
    _check("monitor", spec)
    for number, endpoint in enumerate(spec["endpoints" if of_services else "podMetricsEndpoints"]):
        _check("endpoint", endpoint)
        targets = targets_of(monitor, endpoint["port"], cluster)
        yield {
            "job_name": f"{metadata['namespace']}/{metadata['name']}/{number}",
            "metrics_path": endpoint.get("path", "/metrics"),
            "honor_labels": endpoint.get("honorLabels", False),
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "static_configs": targets,
        }


def targets_of(monitor: JSON, port: str, cluster: Cluster) -> list[JSON]:
    """The targets behind a port's name, with the labels that the operator gives them."""
    if monitor["kind"] == "ServiceMonitor":
        return [
            target
            for service in cluster.services
            if _selects(monitor, service)
            for target in _of_service(service, port, cluster.endpoint_slices)
        ]
    job = f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}"
    pods = [pod for pod in cluster.pods if _selects(monitor, pod) and _runs(pod)]
    return [target for pod in pods for target in _of_pod(pod, port, job)]


def _selects(monitor: JSON, found: JSON) -> bool:
    spec, metadata = monitor["spec"], found["metadata"]
    namespaces = spec.get("namespaceSelector", {})
    _check("selector", spec["selector"])
    _check("namespace selector", namespaces)
    own = [monitor["metadata"]["namespace"]]
    if not namespaces.get("any", False) and metadata["namespace"] not in namespaces.get("matchNames", own):
        return False
    labels = metadata.get("labels", {})
    return all(labels.get(label) == value for label, value in spec["selector"]["matchLabels"].items())


def _runs(pod: JSON) -> bool:
    status = pod.get("status", {})
    return bool(status.get("podIP")) and status.get("phase") not in ("Failed", "Succeeded")


def _of_service(service: JSON, port: str, slices: Iterable[JSON]) -> Iterator[JSON]:
    metadata = service["metadata"]
    for each in slices:
        theirs = each["metadata"]
        owner = theirs.get("labels", {}).get("kubernetes.io/service-name")
        if (theirs["namespace"], owner) != (metadata["namespace"], metadata["name"]):
            continue
        for number in (found["port"] for found in each.get("ports") or () if found["name"] == port):
            for address in (address for found in each["endpoints"] for address in found["addresses"]):
                yield _target(address, number, metadata["namespace"], metadata["name"])


def _of_pod(pod: JSON, port: str, job: str) -> Iterator[JSON]:
    for container in pod["spec"]["containers"]:
        for found in container.get("ports", ()):
            if found.get("name") == port:
                address = pod["status"]["podIP"]
                target = _target(address, found["containerPort"], pod["metadata"]["namespace"], job)
                yield target | {"labels": target["labels"] | {"pod": pod["metadata"]["name"]}}


def _target(address: str, port: int, namespace: str, job: str) -> JSON:
    return {"targets": [f"{address}:{port}"], "labels": {"namespace": namespace, "job": job}}


def _check(what: str, found: Mapping[str, Any]) -> None:
    if unknown := set(found) - _UNDERSTOOD[what]:
        raise ValueError(f"a {what} says {', '.join(sorted(unknown))}, which is not translated here")
