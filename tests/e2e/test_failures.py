"""Runs that cannot start, or are killed, on a real kubelet: each is Failed, with the real reason."""

import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.installation import DEPLOYMENT, SYSTEM, Installation, Site, reason

pytestmark = [pytest.mark.integration, pytest.mark.e2e]

EXAMPLE = "backup-s3.yaml"
SOON = 8
"""Seconds after which a pod that cannot start is given up."""

TINY = {"limits": {"memory": "24Mi"}, "requests": {"memory": "24Mi"}}
AMPLE = '{"spec": {"resources": null}}'


async def failure(site: Site, **spec: object) -> str:
    """Run the example to its end; why it failed. `kubectl describe` has to say so too."""
    backup = await site.over(await site.apply(site.example(EXAMPLE, **spec)))
    assert backup["status"]["phase"] == "Failed", backup["status"]
    story = await site.kubectl("describe", "bk", backup["metadata"]["name"])
    assert reason(backup) in story[story.index("Events:") :]
    return reason(backup)


async def test_worker_out_of_memory(site: Site) -> None:
    """The kernel kills it: it has no last words, so its pod's have to do. Deleting such a Backup ends."""
    try:
        assert await failure(site, resources=TINY) == "OOMKilled"
        await site.kubectl("delete", "bk", "--all", "--timeout=40s")
    except BaseException:
        # With enough memory it can be deleted: what went wrong here must not hold up the tests after it.
        await site.kubectl("patch", "bk", "demo1-backup-s3", "--type=merge", "--patch", AMPLE)
        raise


async def test_volume_that_cannot_be_bound(site: Site) -> None:
    """A storage class that nobody provides."""
    spec = {"storageClassName": "nobody-has-this", "pendingDeadlineSeconds": SOON}
    assert await failure(site, **spec) == "VolumeUnavailable"


async def test_volume_that_is_too_large(site: Site) -> None:
    """A storage class that has nothing of that size."""
    assert await failure(site, storageSize="500Ti", pendingDeadlineSeconds=SOON) == "VolumeUnavailable"


async def test_quota_that_forbids_the_pod(site: Site) -> None:
    """The Job is there, its pod never is."""
    await site.kubectl("create", "quota", "none", "--hard=pods=0")
    assert await failure(site, pendingDeadlineSeconds=SOON) == "QuotaExceeded"


async def test_secret_that_is_missing(site: Site) -> None:
    """The container cannot be made."""
    await site.kubectl("delete", "secret", "s3-secret")
    assert await failure(site, pendingDeadlineSeconds=SOON) == "SecretMissing"


async def test_no_node_is_large_enough(site: Site) -> None:
    """The scheduler finds no place."""
    resources = {"requests": {"memory": "900Ti"}}
    assert await failure(site, resources=resources, pendingDeadlineSeconds=SOON) == "Unschedulable"


async def test_deadline(installed: Installation, site: Site) -> None:
    """kubelet stops it while it waits for a storage that is silent."""
    installed.store.child.signal(signal.SIGSTOP)
    try:
        assert await failure(site, activeDeadlineSeconds=5) == "DeadlineExceeded"
    finally:
        installed.store.child.signal(signal.SIGCONT)


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
