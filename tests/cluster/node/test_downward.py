"""The downward API."""

import pytest

from .downward import PodFacts, UnsupportedField, field_value, resource_value

FACTS = PodFacts(
    pod={
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "uid": "u",
            "labels": {"b": 'say "é"', "a": "1"},
            "annotations": {"x.y/z": "noted"},
        },
        "spec": {
            "nodeName": "n",
            "serviceAccountName": "sa",
            "containers": [
                {"name": "c", "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "250m"}}},
            ],
        },
    },
    pod_ip="127.1.2.3",
    host_ip="127.0.0.1",
    allocatable={"cpu": "16", "memory": "64Gi"},
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("metadata.labels", 'a="1"\nb="say \\"é\\""'),
        ("metadata.labels['a']", "1"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['x.y/z']", "noted"),
        ("spec.nodeName", "n"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.1.2.3"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_field_value(path: str, text: str) -> None:
    """Each field that the API knows."""
    assert field_value(FACTS, path) == text


def test_unsupported_field() -> None:
    """A field that it does not know is named."""
    with pytest.raises(UnsupportedField, match=r"status\.phase"):
        field_value(FACTS, "status.phase")


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({"resource": "limits.cpu"}, "16"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "requests.memory"}, "0"),
        ({"resource": "limits.memory", "containerName": "c", "divisor": "0"}, str(2**30)),
    ],
)
def test_resource_value(selector: dict[str, str], text: str) -> None:
    """A limit that is open is the node's; a request that is open is none."""
    assert resource_value(FACTS, selector, "c") == text


@pytest.mark.parametrize(
    "selector", [{"resource": "sizes.cpu"}, {"resource": "limits.cpu", "containerName": "x"}]
)
def test_unsupported_resource(selector: dict[str, str]) -> None:
    """What there is not is an error."""
    with pytest.raises(UnsupportedField):
        resource_value(FACTS, selector, "c")
