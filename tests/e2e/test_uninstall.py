"""Uninstalling ends, and takes nothing from the bucket."""

import pytest

from tests.cluster.control_plane import KubectlFailed
from tests.e2e.installation import CRDS, INSTALL, SYSTEM, Installation, Site

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


async def test_uninstalling_keeps_every_archive(installed: Installation, site: Site) -> None:
    """CRDs with their Backups, then the rest; afterwards it can be installed again."""
    backup = await site.over(await site.apply(site.example("backup-s3.yaml")))
    assert backup["status"]["phase"] == "Complete", backup["status"]
    before = await site.store.objects(site.name)

    # The controller has to be there still: it takes its finalizers from the Backups.
    await installed.plane.kubectl_run("delete", "-f", CRDS, "--timeout=60s")
    await installed.plane.kubectl_run("delete", "-f", INSTALL, "--timeout=60s")

    assert await site.store.objects(site.name) == before
    with pytest.raises(KubectlFailed, match="not found"):
        await installed.plane.kubectl_run("get", "crd", "backups.pingcap.com")
    with pytest.raises(KubectlFailed, match="not found"):
        await installed.plane.kubectl_run("get", "namespace", SYSTEM)
    await installed.install()
    again = await site.over(await site.apply(site.example("backup-s3.yaml")))
    assert again["status"]["phase"] == "Complete"
