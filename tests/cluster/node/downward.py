"""What the downward API tells a container about its own pod. Pure; knows no API server."""

import json
import re
from collections.abc import Mapping

from attrs import frozen

from tests.cluster.api import JSON

from .quantity import in_units_of, parse_quantity

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


class UnsupportedField(Exception):
    """A fieldPath or resource that the downward API does not have."""


@frozen
class PodFacts:
    """One pod as its containers may see it, and where it runs."""

    pod: JSON
    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, str]

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])


def field_value(facts: PodFacts, path: str) -> str:
    """The text behind a fieldRef; a label or annotation that is not set is empty."""
    metadata, spec = facts.pod["metadata"], facts.pod["spec"]
    if match := _SUBSCRIPT.fullmatch(path):
        return str(metadata.get(match[1], {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _quoted_lines(metadata.get(path.removeprefix("metadata."), {}))
    values = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
    }
    if path not in values:
        raise UnsupportedField(f"unsupported fieldPath: {path}")
    return str(values[path])


def _quoted_lines(values: Mapping[str, str]) -> str:
    return "\n".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items())
    )


def resource_value(facts: PodFacts, selector: JSON, container: str) -> str:
    """The number behind a resourceFieldRef; what the container leaves open is what the node has."""
    kind, _, resource = str(selector["resource"]).partition(".")
    name = selector.get("containerName") or container
    every = [*facts.pod["spec"].get("initContainers", ()), *facts.pod["spec"]["containers"]]
    spec = next((each for each in every if each["name"] == name), None)
    if spec is None:
        raise UnsupportedField(f"container {name} not found")
    if kind not in ("limits", "requests"):
        raise UnsupportedField(f"unsupported container resource : {selector['resource']}")
    amount = spec.get("resources", {}).get(kind, {}).get(resource)
    if amount is None:
        amount = facts.allocatable.get(resource, "0") if kind == "limits" else "0"
    return in_units_of(parse_quantity(str(amount)), parse_quantity(str(selector.get("divisor") or "1")))
