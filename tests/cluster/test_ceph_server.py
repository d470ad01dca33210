"""The real Ceph, over http and https."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from botocore.exceptions import SSLError

from tests.cluster import ceph_server
from tests.cluster.ceph_server import Ceph, CephFailed, ceph
from tests.cluster.certificates import write_certificates
from tests.cluster.object_store import ObjectStore
from tests.cluster.ports import free_port
from tests.cluster.processes import Processes

pytestmark = [pytest.mark.integration, pytest.mark.s3]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(servers: Processes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ceph]:
    certificates = write_certificates(tmp_path_factory.mktemp("ceph"), ["127.0.0.1"])
    async with ceph(servers, certificates, name="ceph-alone") as found:
        yield found
    assert not found.http.child.running


async def test_both_doors_lead_to_the_same_objects(cluster: Ceph, tmp_path: Path) -> None:
    await cluster.http.create_bucket("everyday")
    await cluster.http.put("everyday", "a/b.tgz", b"content")
    assert await cluster.https.objects("everyday") == {"a/b.tgz": 7}
    assert await cluster.https.get("everyday", "a/b.tgz") == b"content"
    assert await cluster.https.uploads("everyday") == []
    other = write_certificates(tmp_path, ["127.0.0.1"])
    https = cluster.https
    stranger = ObjectStore(
        https.endpoint, https.access_key, https.secret_key, https.folder, https.child, other.ca
    )
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        await stranger.objects("everyday")


async def test_a_step_that_hangs_says_which_and_why(servers: Processes, tmp_path: Path) -> None:
    cluster = ceph_server._Cluster(servers, servers.folder / "stuck")
    certificates = write_certificates(tmp_path, ["127.0.0.1"])
    ports = {"http": 1, "https": 2}
    try:
        await cluster.start_monitor(free_port(), ports, certificates)
        # There is no OSD, so no pool can be written to.
        with pytest.raises(
            CephFailed, match=r"(?s)radosgw-admin.*did not end within 2 s.*--- stuck-mon\.a\n"
        ):
            await cluster.run("radosgw-admin", "user", "create", "--uid=a", "--display-name=A", seconds=2)
    finally:
        await cluster.stop()
