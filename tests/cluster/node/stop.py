"""When and how a pod has to stop. Pure: facts and the time in, an order out."""

from datetime import datetime, timedelta

from attrs import frozen

from tests.cluster.api import JSON

from .status import Verdict

_DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"
_DEFAULT_GRACE_SECONDS = 30


@frozen
class Stop:
    """Stop the pod: SIGTERM, and SIGKILL after `grace` seconds. The verdict is the node's own reason."""

    grace: float
    verdict: Verdict | None = None


def stop_wanted(
    pod: JSON, *, gone: bool, evicted: Verdict | None, started: datetime, now: datetime
) -> Stop | None:
    """Why the pod may not run on; None: it may. A pod that the API has no more is killed at once."""
    if gone:
        return Stop(0)
    metadata, spec = pod["metadata"], pod["spec"]
    if metadata.get("deletionTimestamp"):
        # One second is the least the kubelet gives.
        return Stop(max(1, metadata.get("deletionGracePeriodSeconds") or 0))
    if evicted:
        return Stop(1, evicted)
    limit = deadline(pod, started)
    if limit is not None and now >= limit:
        grace = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        return Stop(max(1, grace), Verdict("DeadlineExceeded", _DEADLINE_MESSAGE))
    return None


def deadline(pod: JSON, started: datetime) -> datetime | None:
    """When activeDeadlineSeconds is over."""
    seconds = pod["spec"].get("activeDeadlineSeconds")
    return None if seconds is None else started + timedelta(seconds=seconds)


def unsupported(pod: JSON) -> Verdict | None:
    """What the process node cannot do for this pod; the pod fails at once with the reason."""
    spec = pod["spec"]
    policies = [spec.get("restartPolicy", "Always")]
    policies += [each["restartPolicy"] for each in spec.get("initContainers", ()) if "restartPolicy" in each]
    refused = [policy for policy in policies if policy != "Never"]
    if not refused:
        return None
    message = (
        f'Pod was rejected: the process node runs restartPolicy "Never" only, this pod has "{refused[0]}"'
    )
    return Verdict("RestartPolicyNotSupported", message)
