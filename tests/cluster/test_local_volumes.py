"""Which volumes are deleted, to be created again, and which are pointed out to the scheduler."""

import pytest

from tests.cluster.api import JSON
from tests.cluster.local_volumes import to_delete, to_offer


@pytest.mark.parametrize(
    ("phase", "metadata", "deleted"),
    [
        ("Released", {}, True),
        ("Failed", {}, True),
        ("Released", {"deletionTimestamp": "2026-11-23T03:00:00Z"}, False),
        ("Bound", {}, False),
        ("Available", {}, False),
        (None, {}, False),
    ],
)
def test_a_volume_is_deleted_once_and_only_when_its_claim_is_gone(
    phase: str | None, metadata: JSON, deleted: bool
) -> None:
    item: JSON = {"metadata": {"name": "node-1-001"} | metadata, "status": {"phase": phase} if phase else {}}
    assert to_delete([item]) == (["node-1-001"] if deleted else [])


@pytest.mark.parametrize(
    ("phase", "annotations", "offered"),
    [
        ("Available", {}, True),
        ("Available", {"tidbbackup.test/offered": "true"}, False),
        ("Pending", {}, False),
        ("Bound", {}, False),
    ],
)
def test_a_volume_is_offered_once_when_it_has_become_free(
    phase: str, annotations: JSON, offered: bool
) -> None:
    item: JSON = {"metadata": {"name": "node-1-001", "annotations": annotations}, "status": {"phase": phase}}
    assert to_offer([item]) == (["node-1-001"] if offered else [])
