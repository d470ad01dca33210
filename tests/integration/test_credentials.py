"""Credentials that change while they are in use, on a real API server: tokens, authorities, login plugins."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from attrs import define, field

from tests.cluster.certificates import write_certificates
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.fault_proxy import FaultProxy, fault_proxy
from tests.cluster.kubernetes_flags import HOSTS
from tests.integration.account import apply_rights, token
from tests.integration.tokens import refused_from
from tidbbackup.kube.client import Client
from tidbbackup.kube.connection import Connection, load_connection
from tidbbackup.kube.errors import TransportError, Unauthorized
from tidbbackup.kube.resources import PODS

pytestmark = pytest.mark.integration

# A token that was good is remembered by the API server for ten seconds.
REMEMBERED = 10.0


@define
class Answers:
    """Counts what the API server answered."""

    codes: Counter[str] = field(factory=Counter)

    def request(self, code: str, method: str) -> None:
        """See ClientMetrics."""
        self.codes[code] += 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane() -> AsyncIterator[ControlPlane]:
    """Our own: tokens end when they say so, and at last its certificate is changed."""
    flags = ["--service-account-extend-token-expiration=false"]
    async with control_plane(apiserver_flags=flags) as started:
        await apply_rights(started)
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    """Moves bytes; TLS goes through it."""
    at = urlsplit(plane.url)
    async with fault_proxy(str(at.hostname), int(at.port or 443), http=False) as running:
        yield running


class Pod:
    """What the kubelet gives a pod to reach the API server with."""

    def __init__(self, plane: ControlPlane, folder: Path, port: int | None = None) -> None:
        self.key = plane.folder / "pki" / "token.key"
        self.folder = folder
        self.environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(port or urlsplit(plane.url).port),
        }
        folder.mkdir(exist_ok=True)
        self.rotate_authority(plane.ca)

    def rotate_token(self, token: str) -> None:
        """As the kubelet does it: another file in the place of the old."""
        self._put("token", token)

    def rotate_authority(self, path: Path) -> None:
        """Likewise."""
        self._put("ca.crt", path.read_text())

    def _put(self, name: str, text: str) -> None:
        new = self.folder / f".{name}"
        new.write_text(text)
        new.replace(self.folder / name)

    async def connection(self) -> Connection:
        """What the controller makes of it."""
        return await load_connection(environ=self.environ, service_account=self.folder)


async def test_a_token_with_a_line_feed_at_its_end_is_good(plane: ControlPlane, tmp_path: Path) -> None:
    pod = Pod(plane, tmp_path)
    pod.rotate_token(await token(plane) + "\n")
    async with Client(await pod.connection()) as client:
        assert await client.list_page(PODS)


async def test_a_token_that_expires_is_replaced_without_one_failed_request(
    plane: ControlPlane, tmp_path: Path
) -> None:
    pod, answers, fresh = Pod(plane, tmp_path), Answers(), await token(plane)
    pod.rotate_token(refused_from(fresh, pod.key, time.time() + 3))
    async with Client(await pod.connection(), answered=answers.request) as client:
        assert await client.list_page(PODS)
        pod.rotate_token(fresh + "\n")
        async with asyncio.timeout(REMEMBERED + 15):
            while not answers.codes["401"]:
                assert await client.list_page(PODS)
                await asyncio.sleep(0.2)
        assert await client.list_page(PODS)
    assert answers.codes["401"] == 1


async def test_a_token_that_expired_for_good_is_an_error_until_there_is_another(
    plane: ControlPlane, tmp_path: Path
) -> None:
    pod, fresh = Pod(plane, tmp_path), await token(plane)
    pod.rotate_token(refused_from(fresh, pod.key, time.time() - 60))
    async with Client(await pod.connection()) as client:
        with pytest.raises(Unauthorized):
            await client.list_page(PODS)
        pod.rotate_token(fresh)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await client.list_page(PODS)
                    break
                except Unauthorized:
                    await asyncio.sleep(0.5)


async def test_a_login_plugin_is_run_again_when_its_token_is_refused(
    plane: ControlPlane, tmp_path: Path
) -> None:
    fresh = await token(plane)
    old = refused_from(fresh, plane.folder / "pki" / "token.key", time.time() - 60)
    path = _kubeconfig_with_plugin(plane, tmp_path, [old, fresh])
    answers = Answers()
    connection = await load_connection(str(path), environ={})
    async with Client(connection, answered=answers.request) as client:
        for _ in range(3):
            assert await client.list_page(PODS)
    assert answers.codes == {"401": 1, "200": 3}
    assert (tmp_path / "runs").read_text() == "xx"


def _kubeconfig_with_plugin(plane: ControlPlane, folder: Path, tokens: list[str]) -> Path:
    """A kubeconfig whose plugin gives one token after the other, and leaves an x for each run."""
    plugin = folder / "login"
    (folder / "tokens").write_text("\n".join(tokens))
    plugin.write_text(
        f"#!{sys.executable}\n"
        "import json, os\n"
        f"runs = os.path.join({str(folder)!r}, 'runs')\n"
        "done = len(open(runs).read()) if os.path.exists(runs) else 0\n"
        "open(runs, 'a').write('x')\n"
        f"token = open(os.path.join({str(folder)!r}, 'tokens')).read().split()[done]\n"
        "version = os.environ['LOGIN_VERSION']\n"
        "print(json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': {'token': token}}))\n"
    )
    plugin.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    run = {
        "apiVersion": version,
        "command": str(plugin),
        "env": [{"name": "LOGIN_VERSION", "value": version}],
        "interactiveMode": "Never",
    }
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"exec": run}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


async def test_proxies_and_netrc_of_the_machine_are_left_alone(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NETRC", str(netrc))
    async with Client(await load_connection(str(plane.kubeconfig), environ=os.environ)) as client:
        assert await client.list_page(PODS)


async def test_a_proxy_that_the_kubeconfig_asks_for_is_used(plane: ControlPlane, tmp_path: Path) -> None:
    config = json.loads(plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["proxy-url"] = "http://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    async with Client(await load_connection(str(path), environ={})) as client:
        with pytest.raises(TransportError, match=r"127\.0\.0\.1:1"):
            await client.list_page(PODS)


async def test_the_authority_changes_under_a_running_client(
    plane: ControlPlane, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The last test here: from then on nobody else can reach this API server."""
    pod = Pod(plane, tmp_path / "account", proxy.port)
    pod.rotate_token(await token(plane))
    async with Client(await pod.connection()) as client:
        assert await client.list_page(PODS)
        new = write_certificates(tmp_path / "pki", HOSTS)
        for name in ("server.key", "server.crt"):
            # In place, as the API server looks for it; for a moment the two do not fit, which it bears.
            shutil.copyfile(tmp_path / "pki" / name, plane.folder / "pki" / name)
        await _serves(plane, new.ca)
        proxy.reset_open()
        with pytest.raises(TransportError, match="the server's certificate is not valid"):
            await client.list_page(PODS)
        pod.rotate_authority(new.ca)
        assert await client.list_page(PODS)


async def _serves(plane: ControlPlane, authority: Path) -> None:
    at, context = urlsplit(plane.url), ssl.create_default_context(cafile=authority)
    async with asyncio.timeout(90):
        while True:
            try:
                _, writer = await asyncio.open_connection(at.hostname, at.port, ssl=context)
            except ssl.SSLError:
                await asyncio.sleep(0.2)
                continue
            writer.close()
            await writer.wait_closed()
            return
