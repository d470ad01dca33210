"""When a pod has to stop."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.api import JSON

from .status import Verdict
from .stop import Stop, deadline, stop_wanted, unsupported

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
EVICTED = Verdict("Evicted", "low on memory", disruption=True)


def pod(grace: int | None = None, **spec: object) -> JSON:
    """A pod, deleted with this grace if there is one."""
    deleted = {"deletionTimestamp": "2026-11-23T03:00:10Z", "deletionGracePeriodSeconds": grace}
    return {"metadata": {} if grace is None else deleted, "spec": {"restartPolicy": "Never", **spec}}


def wanted(pod: JSON, *, gone: bool = False, evicted: Verdict | None = None, age: float = 0) -> Stop | None:
    """The order for a pod that was started `age` seconds ago."""
    started = NOW - timedelta(seconds=age)
    return stop_wanted(pod, gone=gone, evicted=evicted, started=started, now=NOW)


def test_nothing_to_stop() -> None:
    """A pod that is wanted runs on."""
    assert wanted(pod()) is None
    assert wanted(pod(activeDeadlineSeconds=10), age=9.9) is None


def test_deadline() -> None:
    """The grace of the spec, and the kubelet's verdict."""
    stop = wanted(pod(activeDeadlineSeconds=10, terminationGracePeriodSeconds=7), age=10)
    assert stop is not None
    assert stop.verdict is not None
    assert (stop.grace, stop.verdict.reason) == (7, "DeadlineExceeded")
    assert deadline(pod(), NOW) is None


@pytest.mark.parametrize(("grace", "seconds"), [(30, 30), (1, 1), (0, 1)])
def test_deletion(grace: int, seconds: int) -> None:
    """At least one second, and no verdict of the node's."""
    assert wanted(pod(grace)) == Stop(seconds)


def test_who_wins() -> None:
    """Gone beats deleted, deleted beats evicted, evicted beats the deadline."""
    late = {"activeDeadlineSeconds": 1}
    assert wanted(pod(30), gone=True) == Stop(0)
    assert wanted(pod(30), evicted=EVICTED) == Stop(30)
    assert wanted(pod(**late), evicted=EVICTED, age=5) == Stop(1, EVICTED)


def test_other_restart_policies_are_refused() -> None:
    """The message names the policy; a sidecar has one of its own."""
    assert unsupported(pod()) is None
    always = unsupported({"spec": {}})
    assert always is not None
    assert '"Always"' in always.message
    sidecar = unsupported(pod(initContainers=[{"name": "s", "restartPolicy": "Always"}]))
    assert sidecar is not None
