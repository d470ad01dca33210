"""Small pure parts: images, events, the Node object, processes, addresses, what a watch event means."""

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.api import JSON

from .binding import Bound, Forgotten, read_event
from .events import Occurrence, event
from .heartbeat import lease_document, node_document, node_status
from .images import Images, pull_delay
from .node import pod_addresses
from .sessions import Entry, members, parse_stat
from .sources import decoded
from .volumes import mounts

NOW = datetime(2026, 11, 23, 3, 0, 0, 123456, tzinfo=UTC)
POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7"}}


def test_unknown_image_is_there() -> None:
    """An image means nothing."""
    assert Images().failure("registry.example/anything", "Always") is None


def test_image_of_the_absent_registry() -> None:
    """It cannot be pulled until it is added."""
    images, name = Images(), "missing.invalid/x:1"
    failure = images.failure(name, "IfNotPresent")
    assert failure is not None
    assert (failure.reason, failure.back_off_reason) == ("ErrImagePull", "ImagePullBackOff")
    assert failure.back_off_message.startswith(f'Back-off pulling image "{name}": ErrImagePull: ')
    images.add(name, ("tool",))
    assert images.failure(name, "Never") is None
    assert images.entrypoint(name) == ("tool",)


def test_image_that_is_never_pulled() -> None:
    """Pull policy Never takes only what was added."""
    failure = Images().failure("i", "Never")
    assert failure is not None
    assert failure.message == 'Container image "i" is not present with pull policy of Never'
    assert Images().entrypoint("i") == ()


def test_pull_delay_doubles_to_its_bound() -> None:
    """It grows and stays bounded, however many failures."""
    assert [pull_delay(failures) for failures in (1, 2, 3)] == [1, 2, 4]
    assert pull_delay(10_000) == 30


def test_event_of_a_container() -> None:
    """The event points at the container inside the pod."""
    made = event(POD, "n", Occurrence("Failed", "x" * 2000, "c", warning=True), "p.1", NOW)
    assert made["involvedObject"]["fieldPath"] == "spec.containers{c}"
    assert (made["type"], made["count"], made["metadata"]["namespace"]) == ("Warning", 1, "ns")
    assert len(made["message"]) == 1024


def test_event_of_an_init_container_and_of_a_pod() -> None:
    """An init container is found among its kind; the pod itself has no field."""
    init = event(POD, "n", Occurrence("Started", "m", "c", init=True), "p.1", NOW)
    assert init["involvedObject"]["fieldPath"] == "spec.initContainers{c}"
    assert "fieldPath" not in event(POD, "n", Occurrence("Started", "m"), "p.1", NOW)["involvedObject"]


def test_node_documents() -> None:
    """Ready keeps its time while it stays; the lease names its holder and belongs to the node."""
    assert node_document("n")["metadata"]["labels"]["kubernetes.io/hostname"] == "n"
    before = {
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    }

    def first_condition(*, ready: bool) -> JSON:
        status = node_status("n", "127.0.0.1", {"cpu": "1"}, ready=ready, before=before, now=NOW)
        return dict(status["conditions"][0])

    ready = first_condition(ready=True)
    assert (ready["status"], ready["lastTransitionTime"]) == ("True", "2026-01-01T00:00:00Z")
    unready = first_condition(ready=False)
    assert (unready["status"], unready["lastTransitionTime"]) == ("False", "2026-11-23T03:00:00Z")
    lease = lease_document("n", "uid", NOW)
    assert lease["spec"]["renewTime"] == "2026-11-23T03:00:00.123456Z"
    assert lease["metadata"]["ownerReferences"][0]["uid"] == "uid"


def test_parse_stat() -> None:
    """A name may hold anything; zombies do not count."""
    assert parse_stat("12 (a (b) 9 ) S 1 12 11 0 -1") == Entry(pid=12, parent=1, session=11)
    assert parse_stat("12 (a) Z 1 12 11 0 -1") is None
    assert parse_stat("") is None


def test_members_of_a_container() -> None:
    """The session, and descendants that have left it; not those of others."""
    entries = [
        Entry(10, 1, 10),
        Entry(11, 10, 10),
        Entry(12, 11, 12),
        Entry(13, 1, 10),
        Entry(14, 12, 14),
        Entry(20, 1, 20),
    ]
    assert members(10, entries) == [10, 11, 12, 13, 14]
    assert members(13, entries) == []


def test_pod_addresses() -> None:
    """Unique, and never of 127.0.0.0/24 where the host listens; it goes round at the end."""
    found = list(itertools.islice(pod_addresses(2**24 - 520), 20))
    assert len(set(found)) == 20
    assert found[0] == "127.255.254.248"
    assert found[8] == "127.0.1.0"


def test_decoded() -> None:
    """Secrets are base64; ConfigMaps have text and bytes."""
    assert decoded("secret", {"data": {"a": "AP8="}}) == {"a": b"\x00\xff"}
    assert decoded("configMap", {"data": {"a": "é"}, "binaryData": {"b": "AP8="}}) == {
        "a": "é".encode(),
        "b": b"\x00\xff",
    }
    assert decoded("secret", {}) == {}


def test_read_event() -> None:
    """A deletion is known by its uid."""
    assert read_event({"type": "DELETED", "object": POD}) == Forgotten("u")
    assert read_event({"type": "MODIFIED", "object": POD}) == Bound(json.loads(json.dumps(POD)))


def test_mounts(tmp_path: Path) -> None:
    """A subPath is below the volume, and made when it is missing."""
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/a"},
            {"name": "v", "mountPath": "/b", "subPath": "in"},
            {"name": "v", "mountPath": "/c", "subPathExpr": "$(POD)"},
        ]
    }
    found = mounts(container, {"v": tmp_path}, {"POD": "p"})
    assert found.paths == {"/a": tmp_path, "/b": tmp_path / "in", "/c": tmp_path / "p"}
    assert (tmp_path / "in").is_dir()


@pytest.mark.parametrize("start", [0, 2**24 - 1])
def test_addresses_from_anywhere(start: int) -> None:
    """Whatever is drawn, the address is a loopback one and not the host's."""
    first = next(pod_addresses(start))
    assert first.startswith("127.")
    assert not first.startswith("127.0.0.")
    assert not first.startswith("127.255.255.")
