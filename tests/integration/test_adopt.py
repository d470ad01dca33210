"""`tidbbackup adopt` on a real bucket and a real API server: seen, restored, deleted, never run."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from tests.cluster.database import mariadb
from tests.integration.scene import Scene, phase
from tests.integration.test_restore_resource import restore, shop, until_over
from tidbbackup.adopt import Adoption, adopt
from tidbbackup.place import Place

pytestmark = pytest.mark.integration


async def test_what_a_lost_cluster_has_left_is_seen_restored_and_deleted(
    scene: Scene, tmp_path: Path
) -> None:
    store = scene.lab.store
    await scene.apply(scene.backup("lost", tableFilter=["shop.*"], s3={"prefix": "some/folder"}))
    lost = await scene.until_over("lost")
    assert phase(lost) == "Complete"
    await scene.delete("lost")
    await scene.until_gone("lost")
    async with store.client() as client:
        await client.put_object(Bucket=scene.bucket, Key="half/backup-1.tgz", Body=b"half")
    stored = await scene.objects()

    out, err = io.StringIO(), io.StringIO()
    keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    place = Place("ceph", store.endpoint, "us-east-1")
    adoption = Adoption(scene.namespace, "s3-secret")
    code = await asyncio.to_thread(adopt, f"s3://{scene.bucket}", place, adoption, keys, out, err)
    assert (code, err.getvalue()) == (
        0,
        f"tidbbackup adopt: s3://{scene.bucket}/half/backup-1.tgz is left out: no manifest\n",
    )
    file = tmp_path / "adopted.yaml"
    file.write_text(out.getvalue())
    for command in (("apply",), ("replace", "--subresource=status"), ("apply",)):
        await scene.kubectl(*command, "-f", str(file))

    columns = (await scene.kubectl("get", "bk")).splitlines()[1].split()
    name, status = columns[0], lost["status"]
    assert columns[1:3] == ["Complete", status["backupPath"]]
    await scene.kubectl("wait", "--for=condition=Finished", "--timeout=5s", f"bk/{name}")
    adopted = await scene.get(name)
    assert adopted is not None
    same = ("backupSize", "checksum", "databaseCount", "commitTs", "timeStarted")
    assert {each: adopted["status"].get(each) for each in same} == {each: status.get(each) for each in same}
    await scene.until_said("ForeignBackup", name)

    async with mariadb(scene.lab.plane.processes, name="adopt-target") as target:
        await scene.secret("target", {"password": target.password})
        await scene.apply(restore(scene, target, "rt", backup=name))
        restored = await until_over(scene, "rt")
        assert restored["phase"] == "Complete", restored
        assert await shop(target) == await shop(scene.lab.database)

    await scene.kubectl("delete", "bk", name, "--timeout=5s")
    assert await scene.objects() == stored
    assert [job["metadata"]["name"] for job in await scene.jobs()] == ["restore-rt"]
