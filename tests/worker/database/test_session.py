"""Logging in: to nobody who could make us say the password, and with what a plain install has.

Here is also what worker/database/connect.py promises.
"""

import asyncio
import importlib.metadata
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from image.pin import ROOT, wanted
from tests.cluster.certificates import write_certificates
from tests.cluster.hostile_server import hostile_server
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.database.connect import connect
from tidbbackup.worker.database.session import Login, NotYet, _no_session
from tidbbackup.worker.failure import Journal, StepFailed

PASSWORD = b"canary-password"


def login(port: int, **more: object) -> Login:
    return Login(DatabaseTarget("127.0.0.1", port, "root"), PASSWORD, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("by_greeting", [False, True])
@pytest.mark.parametrize("trick", ["mysql_clear_password", "dialog", "mysql_old_password", "unheard_of"])
async def test_no_server_gets_the_password_without_tls(trick: str, by_greeting: bool) -> None:
    async with hostile_server(trick, by_greeting=by_greeting) as server:
        if by_greeting and trick == "unheard_of":
            # It gets what mysql_native_password sends.
            await connect(login(server.port), Journal(), 0)
        else:
            with pytest.raises(StepFailed) as caught:
                await connect(login(server.port), Journal(), 30)
            assert caught.value.reason == reasons.LOGIN_FAILED
            assert "spec.from.tlsClientSecretName" in str(caught.value) or trick == "unheard_of"
    assert server.heard
    assert PASSWORD not in server.heard


@pytest.mark.parametrize("by_greeting", [False, True])
@pytest.mark.parametrize("trick", ["sha256_password", "caching_sha2_password"])
async def test_a_key_that_nobody_has_checked_is_told(trick: str, by_greeting: bool) -> None:
    journal = Journal()
    async with hostile_server(trick, by_greeting=by_greeting) as server:
        await connect(login(server.port), journal, 0)
    assert PASSWORD not in server.heard
    assert server.decrypted == PASSWORD
    assert [notice.reason for notice in journal.notices] == [reasons.SERVER_KEY_UNCHECKED]
    assert "spec.from.tlsClientSecretName" in journal.notices[0].message


async def test_a_server_without_tls_is_not_asked_where_tls_is_wanted(tmp_path: Path) -> None:
    write_certificates(tmp_path, ["127.0.0.1"])
    async with hostile_server("mysql_clear_password") as server:
        with pytest.raises(StepFailed, match="SSL is required"):
            await connect(login(server.port, tls=tmp_path), Journal(), 0)
    assert PASSWORD not in server.heard


@pytest.mark.parametrize("code", [1040, 1053, 2003, 2006, 2013])
def test_who_may_answer_later_is_asked_again(code: int) -> None:
    assert isinstance(_no_session(pymysql.OperationalError(code, "no"), login(1)), NotYet)


@pytest.mark.parametrize("code", [1045, 1049, 1129, 1130, 2026, 2059, 3159])
def test_any_other_answer_is_final(code: int) -> None:
    assert not isinstance(_no_session(pymysql.OperationalError(code, "no"), login(1)), NotYet)


def test_tls_that_the_server_demands_is_named() -> None:
    failed = _no_session(pymysql.OperationalError(3159, "insecure transport"), login(1))
    assert "set spec.from.tlsClientSecretName" in str(failed)
    assert "password" not in str(failed)
    failed = _no_session(pymysql.OperationalError(1045, "Access denied"), login(1))
    assert "REQUIRE SSL needs spec.from.tlsClientSecretName" in str(failed)


@pytest.mark.parametrize("verify_code", [62, 64])
def test_a_certificate_for_other_names_tells_what_it_lacks(verify_code: int) -> None:
    cause = ssl.SSLCertVerificationError("mismatch")
    cause.verify_code = verify_code
    error = pymysql.OperationalError(2003, "mismatch")
    error.original_exception = cause  # type: ignore[attr-defined]
    failed = _no_session(error, login(1, tls=Path("/tls")))
    assert "has to name 127.0.0.1 as a subjectAltName" in str(failed)
    assert not isinstance(failed, NotYet)


async def test_a_server_that_comes_late_is_reached() -> None:
    journal, tries = Journal(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        assert journal.step == ("preflight" if tries == 1 else "connect")
        if tries > 1:
            # Answers at all: what it says is final.
            writer.write(b"\x0c\0\0\0\xff\x69\x04not allowed")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StepFailed) as caught:
            await connect(login(port), journal, 30)
    assert not isinstance(caught.value, NotYet)
    assert (tries, journal.step) == (2, "preflight")


PLAIN = """
import sys
for name in sys.argv[1].split(","):
    # Importing it says that there is no such module.
    sys.modules[name] = None
import tidbbackup.worker.main, pymysql._auth as auth
auth.sha2_rsa_encrypt(b"p", b"0" * 20, sys.stdin.buffer.read())
assert len(auth.ed25519_password(b"p", b"0" * 32)) == 64
"""


def test_a_plain_install_can_log_in_with_every_plugin(tmp_path: Path) -> None:
    """With the modules of install_requires and what they require alone."""
    keep = set(closure(wanted((ROOT / "setup.cfg").read_text())))
    owners = importlib.metadata.packages_distributions()
    names = {top for top, of in owners.items() if not keep & {plain(each) for each in of}} - {
        "tidbbackup",
        "image",
        "tests",
        "manifests",
    }
    assert "pytest" in names
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    done = subprocess.run([sys.executable, "-c", PLAIN, ",".join(names)], input=pem, check=False, cwd=ROOT)
    assert done.returncode == 0


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: list[str], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names of all distributions that these bring along."""
    for requirement in requirements:
        name = plain(re.match(r"[\w.-]+", requirement.strip())[0])  # type: ignore[index]
        if name in seen or "extra ==" in requirement:
            continue
        yield name
        try:
            more = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        yield from closure(more, seen | {name})
