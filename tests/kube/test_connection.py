"""How the API server is found, and how a token is kept fresh."""

from __future__ import annotations

import base64
import logging
import shutil
import ssl
from pathlib import Path

import msgspec
import pytest

from tests.cluster.certificates import Certificates, write_certificates
from tidbbackup.kube.connection import Credentials, Tls, load_connection, read_token
from tidbbackup.kube.errors import ConfigError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority."""
    return write_certificates(tmp_path_factory.mktemp("tls"), ["localhost"]).ca


def _account(folder: Path, certificate: Path) -> Path:
    folder.mkdir()
    (folder / "token").write_text("secret\n")
    shutil.copy(certificate, folder / "ca.crt")
    return folder


IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


async def test_in_a_pod_its_service_account_is_used(tmp_path: Path, certificate: Path) -> None:
    account = _account(tmp_path / "sa", certificate)
    connection = await load_connection(environ=IN_POD, service_account=account)
    assert connection.url == "https://10.0.0.1:443"
    # The line feed at the end of a token file is no part of the token.
    assert await connection.credentials.header(0) == "Bearer secret"


async def test_an_ipv6_address_is_bracketed(tmp_path: Path, certificate: Path) -> None:
    account = _account(tmp_path / "sa", certificate)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert (await load_connection(environ=environ, service_account=account)).url == "https://[fd00::1]:6443"


@pytest.mark.parametrize(
    ("token", "authority", "message"),
    [
        (None, "x", "token is missing: does the pod set automountServiceAccountToken: false"),
        ("t", None, "ca.crt is missing"),
        ("\n", "x", "token is empty"),
        ("t", "no certificate", "cannot read the certificates"),
    ],
)
async def test_a_broken_service_account_is_named(
    tmp_path: Path, token: str | None, authority: str | None, message: str
) -> None:
    for name, text in (("token", token), ("ca.crt", authority)):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        await load_connection(environ=IN_POD, service_account=tmp_path)


def _kubeconfig(path: Path, certificate: Path, **user: str) -> str:
    cluster = {"server": "https://127.0.0.1:6443/", "certificate-authority": str(certificate)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [
            {"name": "c", "cluster": cluster | {"tls-server-name": "kube", "proxy-url": "http://p:1"}}
        ],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_bytes(msgspec.json.encode(config))
    return str(path)


async def test_a_kubeconfig_is_preferred(tmp_path: Path, certificate: Path) -> None:
    path = _kubeconfig(tmp_path / "config", certificate, token="t")
    for connection in (
        await load_connection(path, environ={}),
        await load_connection(environ={"KUBECONFIG": path} | IN_POD),
    ):
        assert connection.url == "https://127.0.0.1:6443"
        assert (connection.server_name, connection.proxy) == ("kube", "http://p:1")
        assert await connection.credentials.header(0) == "Bearer t"


async def test_home_comes_last(tmp_path: Path, certificate: Path) -> None:
    (tmp_path / ".kube").mkdir()
    _kubeconfig(tmp_path / ".kube" / "config", certificate, token="t")
    assert (await load_connection(environ={"HOME": str(tmp_path)})).url == "https://127.0.0.1:6443"


async def test_nothing_to_talk_to_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no --kubeconfig, no KUBECONFIG, not in a pod .* and no .*/.kube/config"
    ):
        await load_connection(environ={"HOME": str(tmp_path)})


@pytest.mark.parametrize("text", [None, "", "nonsense", "a: [", '{"current-context": "x", "contexts": []}'])
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    why = "no such file" if text is None else ""
    with pytest.raises(ConfigError, match=f"kubeconfig {path}: {why}"):
        await load_connection(str(path), environ={})


async def test_an_unknown_context_is_named(tmp_path: Path, certificate: Path) -> None:
    path = _kubeconfig(tmp_path / "config", certificate, token="t")
    with pytest.raises(ConfigError, match="elsewhere"):
        await load_connection(path, "elsewhere", environ={})


async def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")

    async def read() -> str:
        return read_token(path)

    credentials = Credentials(read, "Bearer one")
    path.write_text("two")
    assert await credentials.header(1000) == "Bearer one"
    assert await credentials.header(1059) == "Bearer one"
    assert await credentials.header(1060) == "Bearer two"
    path.write_text("")
    assert await credentials.header(1200) == "Bearer two"
    path.unlink()
    assert await credentials.header(1300) == "Bearer two"


async def test_a_refused_token_is_read_at_once_but_not_again_and_again() -> None:
    reads: list[str] = []

    async def read() -> str:
        reads.append("read")
        return "Bearer one"

    credentials = Credentials(read, "Bearer one")
    assert not await credentials.refused("Bearer one", 100)
    assert not await credentials.refused("Bearer one", 105)
    assert len(reads) == 1
    assert not await credentials.refused("Bearer one", 110)
    assert len(reads) == 2
    # Someone else has already found a new one.
    assert await credentials.refused("Bearer older", 110)


def test_a_rotated_authority_is_taken_over_and_a_broken_one_is_not(tmp_path: Path, certificate: Path) -> None:
    authority = tmp_path / "ca.crt"
    shutil.copy(certificate, authority)
    tls = Tls(str(authority))
    first = tls.context()
    assert tls.context() is first
    assert not first.verify_flags & ssl.VERIFY_X509_STRICT
    authority.write_text("half a certif")
    assert tls.context() is first
    authority.write_text(certificate.read_text() + "\n")
    assert tls.context() is not first
    last = tls.context()
    authority.unlink()
    assert tls.context() is last


def _client(folder: Path, made: Certificates) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    shutil.copy(made.certificate, folder / "tls.crt")
    shutil.copy(made.key, folder / "tls.key")
    return folder / "tls.crt", folder / "tls.key"


def test_a_rotated_client_certificate_is_taken_over_once_it_fits_its_key(tmp_path: Path) -> None:
    old = write_certificates(tmp_path / "old", ["client"])
    new = write_certificates(tmp_path / "new", ["client", "longer"])
    certificate, key = _client(tmp_path, old)
    tls = Tls(str(old.ca), str(certificate), str(key))
    first = tls.context()
    shutil.copy(new.certificate, certificate)
    assert tls.context() is first
    shutil.copy(new.key, key)
    assert tls.context() is not first
    assert tls.context() is tls.context()


async def test_a_certificate_in_the_kubeconfig_itself_is_read_again_when_it_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config"

    def write(made: Certificates) -> str:
        pairs = (("client-certificate-data", made.certificate), ("client-key-data", made.key))
        user = {name: base64.b64encode(file.read_bytes()).decode() for name, file in pairs}
        return _kubeconfig(path, made.ca, **user)

    connection = await load_connection(write(write_certificates(tmp_path / "old", ["client"])), environ={})
    assert connection.tls is not None
    first = connection.tls.context()
    write(write_certificates(tmp_path / "new", ["client"]))
    await connection.credentials.refused("", 100)
    assert connection.tls.context() is not first


async def test_the_library_never_logs_answers(tmp_path: Path) -> None:
    logging.getLogger("kubernetes_asyncio").setLevel(logging.DEBUG)
    with pytest.raises(ConfigError):
        await load_connection(environ={"HOME": str(tmp_path)})
    assert not logging.getLogger("kubernetes_asyncio.client.rest").isEnabledFor(logging.DEBUG)
