"""What the API server refuses by the schema, in the words that kubectl shows: docs/reference/bad-input.md."""

from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import KubectlFailed
from tests.integration.scene import Scene

pytestmark = pytest.mark.integration

LEAST, MOST = "should be greater than or equal to 1", "should be less than or equal to 65535"

REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "port 0": ({"source": {"port": 0}}, ("spec.from.port: Invalid value: 0:", LEAST)),
    "port 70000": ({"source": {"port": 70000}}, ("spec.from.port: Invalid value: 70000:", MOST)),
    "port as text": (
        {"source": {"port": "four"}},
        ("spec.from.port: Invalid value", "must be of type integer"),
    ),
    "no host": ({"source": {"host": None}}, ("spec.from.host: Required value",)),
    "empty host": (
        {"source": {"host": ""}},
        ("spec.from.host: Invalid value", "should be at least 1 chars long"),
    ),
    "no secret": ({"source": {"secretName": None}}, ("spec.from.secretName: Required value",)),
    "no provider": ({"s3": {"provider": None}}, ("spec.s3.provider: Required value",)),
    "size": ({"storageSize": "10Gx"}, ('spec.storageSize: Invalid value: "10Gx"', "should match")),
    "unknown field": ({"s3": {"bukket": "b"}}, ('unknown field "spec.s3.bukket"',)),
    "unknown policy": (
        {"cleanPolicy": "Keep"},
        ('spec.cleanPolicy: Unsupported value: "Keep": supported values: "Retain", "OnFailure", "Delete"',),
    ),
    "unknown compression": (
        {"compression": "xz"},
        ('spec.compression: Unsupported value: "xz": supported values: "gzip", "zstd"',),
    ),
    "unknown dumper": (
        {"dumper": "mysqldump"},
        ('spec.dumper: Unsupported value: "mysqldump": supported values: "mydumper", "dumpling"',),
    ),
    "deadline 0": ({"pendingDeadlineSeconds": 0}, ("spec.pendingDeadlineSeconds: Invalid value: 0", LEAST)),
    "env 1025": (
        {"env": [{"name": "A"}] * 1025},
        ("spec.env: Too many: 1025: must have at most 1024",),
    ),
    "gcs 65": ({"gcs": {f"f{n}": 1 for n in range(65)}}, ("spec.gcs: Too many: 65: must have at most 64",)),
    "prefix 1100": ({"s3": {"prefix": "p" * 1100}}, ("spec.s3.prefix: Too long: may not be more than 1024",)),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_the_schema_refuses_it(place: Scene, case: str) -> None:
    change, words = REFUSED[case]

    said = await refusal(place, place.backup(**change))

    for each in words:
        assert each in said


async def test_a_host_of_a_megabyte_is_refused_and_not_repeated(place: Scene) -> None:
    # `create`: what apply keeps of the object in an annotation would be refused first.
    said = await refusal(place, place.backup(source={"host": "h" * (1 << 20)}), "create")

    assert "spec.from.host: Too long: may not be more than 253 bytes" in said
    assert len(said) < 1000


async def refusal(place: Scene, manifest: dict[str, Any], verb: str = "apply") -> str:
    """What kubectl says on stderr when the server takes it not."""
    with pytest.raises(KubectlFailed) as failed:
        await place.lab.plane.kubectl_run(verb, "--dry-run=server", "-f", "-", input=yaml.safe_dump(manifest))
    return str(failed.value)
