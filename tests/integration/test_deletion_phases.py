"""Deleted in whatever phase, a Backup leaves bucket and cluster as its policy says, and nothing waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cluster.object_store import ObjectStore
from tests.integration.faults import before_store, within
from tests.integration.hold_proxy import MANIFEST, PART
from tests.integration.scene import Scene, phase, why
from tests.integration.schedule_scene import NOBODY_HAS

pytestmark = pytest.mark.integration

POLICIES = ("Delete", "Retain")


async def test_before_it_has_done_anything(scene: Scene) -> None:
    for policy in POLICIES:
        for name, spec in (
            ("invalid", {"s3": {"provider": "nobody"}}),
            ("failed", {"s3": {"bucket": "never-made"}}),
            ("scheduled", NOBODY_HAS),
        ):
            await scene.apply(scene.backup(f"{name}-{policy.lower()}", cleanPolicy=policy, **spec))
            await scene.until_phase(name.capitalize(), f"{name}-{policy.lower()}")

    await scene.kubectl("delete", "backups", "--all", "--timeout=20s")

    await scene.until_nothing_made()
    assert await scene.objects() == {}


@pytest.mark.parametrize(("word", "archive"), [(PART, False), (MANIFEST, True)], ids=["upload", "archive"])
async def test_when_its_run_was_killed(scene: Scene, word: bytes, archive: bool) -> None:
    """An open upload goes whatever the policy; an archive without manifest goes if the policy says so."""
    async with before_store(scene.lab, word) as one, before_store(scene.lab, word) as other:
        proxies = {"Delete": one, "Retain": other}
        for policy, proxy in proxies.items():
            spec = {"s3": {"endpoint": proxy.url, "prefix": policy}, "cleanPolicy": policy}
            await scene.apply(scene.backup(policy.lower(), **spec))
        for policy, proxy in proxies.items():
            await within(proxy.reached)
            (pod,) = [
                each for each in await scene.pods() if f"-{policy.lower()}-" in each["metadata"]["name"]
            ]
            scene.lab.node.kill(scene.namespace, pod["metadata"]["name"])
            proxy.cut()
            proxy.release()
            assert why(await scene.until_phase("Failed", policy.lower()))[0] == "Killed"

        await scene.kubectl("delete", "backups", "--all", "--timeout=30s")

    await scene.until_nothing_made()
    left = [key.partition("/")[0] for key in await scene.objects() if key.endswith(".tgz")]
    assert left == ["Retain"] * archive
    assert len(await scene.objects()) == len(left), "no manifest"
    assert await scene.lab.store.uploads(scene.bucket) == []


async def test_the_finalizer_removed_by_hand_while_a_cleaning_is_tried_again(scene: Scene) -> None:
    manifest = scene.backup(cleanPolicy="Delete")
    await scene.apply(manifest)
    await scene.until_phase("Complete")
    stored = await scene.objects()
    keys = {"access_key": scene.lab.store.access_key, "secret_key": scene.lab.store.secret_key}
    await scene.kubectl("delete", "secret", "s3-secret")
    await scene.delete()
    assert why(await scene.until_phase("CleanFailed"))[0] == "CredentialsMissing"

    await scene.kubectl("patch", "backup", "bk", "--type=merge", '-p={"metadata":{"finalizers":null}}')

    await scene.until_gone(seconds=5)
    await scene.until_nothing_made()
    await scene.secret("s3-secret", keys)
    assert await scene.objects() == stored, "nobody has cleaned after it"
    # And another one may have its name.
    await scene.apply(manifest)
    assert phase(await scene.until_over()) == "Complete"
    await scene.kubectl("delete", "backup", "bk", "--timeout=20s")
    assert await scene.objects() == stored


async def test_in_a_bucket_that_keeps_versions_it_says_what_it_has_written(
    scene: Scene, header_store: ObjectStore
) -> None:
    async with versions_in(header_store, scene.bucket):
        s3 = {"endpoint": header_store.endpoint}
        await scene.apply(scene.backup(s3=s3, cleanPolicy="Delete"))
        await scene.until_phase("Complete")
        (archive,) = [key for key in await header_store.objects(scene.bucket) if key.endswith(".tgz")]

        await scene.kubectl("delete", "backup", "bk", "--timeout=20s")

        said = await scene.until_said("ArchiveDeleted")
        assert f"s3://{scene.bucket}/{archive} is deleted; the bucket keeps versions: a delete marker" in said
        assert await header_store.objects(scene.bucket) == {}


@asynccontextmanager
async def versions_in(store: ObjectStore, bucket: str) -> AsyncIterator[None]:
    """A bucket that keeps versions; at the end all that was ever stored in it still is."""
    await store.create_bucket(bucket)
    async with store.client() as client:
        await client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield
        found = await client.list_object_versions(Bucket=bucket)
        assert len(found["Versions"]) == len(found["DeleteMarkers"]) == 3, (
            "the archive, its manifest and its log"
        )
