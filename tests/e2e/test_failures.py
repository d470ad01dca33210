"""Runs that cannot start, or are killed, on a real kubelet: each is Failed, with the real reason."""

import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.installation import DEPLOYMENT, SYSTEM, Installation, Site, reason

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

EXAMPLE, BACKUP = "backup-s3.yaml", "demo1-backup-s3"
SOON = 8
"""Seconds after which a pod that cannot start is given up."""

TINY = {"limits": {"memory": "24Mi"}, "requests": {"memory": "24Mi"}}
AMPLE = '{"spec": {"resources": null}}'


CANNOT_START: dict[str, tuple[str, tuple[str, ...], dict[str, object]]] = {
    "nobody-provides-the-class": ("VolumeUnavailable", (), {"storageClassName": "nobody-has-this"}),
    "no-volume-is-large-enough": ("VolumeUnavailable", (), {"storageSize": "500Ti"}),
    # The Job is there, its pod never is.
    "quota-forbids-the-pod": ("QuotaExceeded", ("create", "quota", "none", "--hard=pods=0"), {}),
    "secret-is-missing": ("SecretMissing", ("delete", "secret", "s3-secret"), {}),
    "no-node-is-large-enough": ("Unschedulable", (), {"resources": {"requests": {"memory": "900Ti"}}}),
}
"""By name: the reason; what to do in the namespace first; what to change in the example's spec."""


async def failure(site: Site, **spec: object) -> str:
    """Run the example to its end; why it failed. `kubectl describe` has to say so too."""
    name = await site.apply(site.example(EXAMPLE, **spec))
    backup = await site.over(name)
    assert backup["status"]["phase"] == "Failed", backup["status"]
    story = await site.kubectl("describe", "bk", name)
    assert reason(backup) in story[story.index("Events:") :]
    return reason(backup)


@pytest.mark.side_by_side(waits=SOON)
@pytest.mark.parametrize("name", CANNOT_START)
async def test_run_that_cannot_start(site: Site, name: str) -> None:
    """Volumes, quota, Secret, node: each is given up after `pendingDeadlineSeconds`, with its own reason."""
    why, first, spec = CANNOT_START[name]
    if first:
        await site.kubectl(*first)
    assert await failure(site, pendingDeadlineSeconds=SOON, **spec) == why


@pytest.mark.side_by_side
async def test_worker_out_of_memory(site: Site) -> None:
    """The kernel kills it: it has no last words, so its pod's have to do. Deleting such a Backup ends."""
    try:
        assert await failure(site, resources=TINY) == "OOMKilled"
        await site.kubectl("delete", "bk", "--all", "--timeout=40s")
    except BaseException:
        # With enough memory it can be deleted: what went wrong here must not hold up the tests after it.
        await site.kubectl("patch", "bk", BACKUP, "--type=merge", "--patch", AMPLE)
        raise


@pytest.mark.side_by_side(waits=10)
async def test_deadline(site: Site) -> None:
    """kubelet stops it while it waits for a storage that is silent."""
    site.store.child.signal(signal.SIGSTOP)
    assert await failure(site, activeDeadlineSeconds=10) == "DeadlineExceeded"


@pytest_asyncio.fixture(loop_scope="session")
async def other_image(installed: Installation) -> AsyncIterator[str]:
    """A controller that was told of an image for its workers that cannot be pulled."""
    image = "missing.invalid/tidbbackup:1"
    there = ("-n", SYSTEM, "set", "env", DEPLOYMENT)
    before = await installed.plane.kubectl_run(*there, "--list")
    (line,) = [line for line in before.splitlines() if line.startswith("WORKER_IMAGE=")]
    await installed.plane.kubectl_run(*there, f"WORKER_IMAGE={image}")
    await installed.rolled_out()
    yield image
    await installed.plane.kubectl_run(*there, line)
    await installed.rolled_out()


async def test_image_that_cannot_be_pulled(other_image: str, site: Site) -> None:
    """kubelet goes on trying; the run does not wait for ever."""
    assert await failure(site, pendingDeadlineSeconds=SOON) == "ImageUnavailable"
