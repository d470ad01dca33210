"""The commands for Helm of the page, on a real API server: take over, upgrade, uninstall, install again."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster import build, helm
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.lab import ROOT, start_controller
from tests.e2e import documented
from tests.integration.account import LEASE, NAMESPACE, account_kubeconfig
from tests.integration.bare import API, a_backup, apply, eventually, phase_of
from tests.manifests.shipped import FOLDER, JSON

# Helm is built by the set-up of the end-to-end tests; no node is needed.
pytestmark = [pytest.mark.integration, pytest.mark.e2e]

PAGE = (ROOT / "docs" / "how-to" / "install-with-helm.md").read_text()
DESCRIPTION = "A backup of a TiDB or MySQL database"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/backups.pingcap.com"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@pytest_asyncio.fixture(loop_scope="session")
async def plane() -> AsyncIterator[ControlPlane]:
    """One with what kubectl installs, and no node."""
    async with control_plane() as started:
        await started.kubectl_run("apply", "--server-side", "-f", FOLDER / "crds.yaml")
        await started.kubectl_run("apply", "--server-side", "-f", FOLDER / "install.yaml")
        yield started


@pytest.fixture
def next_chart(tmp_path: Path) -> Path:
    """The chart of a next version, in which a CRD is another one."""
    chart = tmp_path / "chart"
    shutil.copytree(FOLDER / "chart", chart)
    crds = chart / "files" / "crds.yaml"
    assert DESCRIPTION in crds.read_text()
    crds.write_text(crds.read_text().replace(DESCRIPTION, "Of the next version"))
    return chart


async def test_helm_takes_over_upgrades_and_uninstalls_without_losing_a_backup(
    plane: ControlPlane, next_chart: Path
) -> None:
    await _follow(plane, "Take over from kubectl")
    assert (await plane.api.get(CRD))["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    # With the rights that Helm gives, and with CRDs that have its label.
    controller = await start_controller(plane, [*LEASE, "--kubeconfig", str(await account_kubeconfig(plane))])
    await apply(plane, a_backup("bk", "default"))

    async def begun() -> bool:
        return await phase_of(plane, "default", "bk") == "Scheduled"

    await eventually(begun)
    assert await controller.stop() == 0
    before = await _backup(plane)

    await _follow(plane, "Upgrade", chart=next_chart)
    assert "Of the next version" in json.dumps(await plane.api.get(CRD))
    assert await _backup(plane) == before

    await _follow(plane, "Uninstall")
    assert (await plane.api.get(DEPLOYMENTS))["items"] == []
    assert await _backup(plane) == before

    await _follow(plane, "Install")
    assert DESCRIPTION in json.dumps(await plane.api.get(CRD))
    assert await _backup(plane) == before

    async def let_in() -> bool:
        pods = (await plane.api.get(PODS))["items"]
        return len([pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]) == 2

    await eventually(let_in)


async def _backup(plane: ControlPlane) -> JSON:
    return await plane.api.get(f"{API}/default/backups/bk")


async def _follow(plane: ControlPlane, heading: str, chart: Path = FOLDER / "chart") -> None:
    """Run the first command of a section of the page."""
    command = documented.commands(heading, PAGE)[0].replace("manifests/chart", str(chart))
    program = await asyncio.to_thread(build.program, helm.RECIPE)
    environment = plane.environment
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", command), env=environment, cwd=ROOT
    )
    async with asyncio.timeout(60):
        assert await shell.wait() == 0
