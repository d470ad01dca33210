"""Logging in over TLS, with the CA of a Secret."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from tests.cluster.certificates import Certificates, write_certificates
from tests.cluster.database import Database, mariadb
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.worker.worker_process import Worker, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.dumpers.mydumper.defaults_file import defaults_file

pytestmark = pytest.mark.integration

BUCKET = "over-tls"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("tls"), ["127.0.0.1"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(
    servers: Processes, object_store: ObjectStore, certificates: Certificates
) -> AsyncIterator[Database]:
    await object_store.create_bucket(BUCKET)
    flags = [f"--ssl-cert={certificates.certificate}", f"--ssl-key={certificates.key}"]
    async with mariadb(servers, name="tls-source", flags=[*flags, f"--ssl-ca={certificates.ca}"]) as server:
        await server.load(
            [
                "CREATE DATABASE shop",
                "CREATE TABLE shop.t (id INT PRIMARY KEY)",
                "INSERT INTO shop.t VALUES (1)",
                "CREATE USER safe@'%' IDENTIFIED BY 'only-over-tls' REQUIRE SSL",
                "GRANT ALL PRIVILEGES ON *.* TO safe@'%'",
            ]
        )
        yield server


@pytest.fixture
def worker(source: Database, object_store: ObjectStore, certificates: Certificates, tmp_path: Path) -> Worker:
    login = DatabaseTarget("127.0.0.1", source.port, "safe", tls=True)
    (tmp_path / "db-tls").mkdir()
    shutil.copy(certificates.ca, tmp_path / "db-tls" / "ca.crt")
    made = backing_up(source, object_store, BUCKET, "backup-4.tgz", tmp_path)
    return attrs.evolve(made, database=login, password="only-over-tls")


async def test_the_dump_goes_over_tls(worker: Worker) -> None:
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "--ssl" in ended.log


async def test_a_client_certificate_is_shown_by_worker_and_mydumper(
    worker: Worker, source: Database, certificates: Certificates
) -> None:
    await source.sql("CREATE OR REPLACE USER known@'%' IDENTIFIED BY 'by-certificate' REQUIRE X509")
    await source.sql("GRANT ALL PRIVILEGES ON *.* TO known@'%'")
    worker.database = attrs.evolve(worker.database, user="known")
    worker.password = "by-certificate"
    worker.retarget(key="known.tgz")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.LOGIN_FAILED), ended.log
    shutil.copy(certificates.certificate, worker.folder / "db-tls" / "tls.crt")
    shutil.copy(certificates.key, worker.folder / "db-tls" / "tls.key")
    ended = await worker.run()
    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert "--cert=" in ended.log


async def test_without_tls_this_user_is_refused(worker: Worker) -> None:
    worker.database = attrs.evolve(worker.database, tls=False)
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.LOGIN_FAILED), ended.log


async def test_a_certificate_of_another_ca_is_not_trusted(worker: Worker) -> None:
    other = write_certificates(worker.folder / "other", ["127.0.0.1"])
    shutil.copy(other.ca, worker.folder / "db-tls" / "ca.crt")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_UNREACHABLE), ended.log
    assert "tlsClientSecretName" in ended.result.message


async def test_a_secret_without_a_usable_ca(worker: Worker) -> None:
    (worker.folder / "db-tls" / "ca.crt").write_text("no certificate")
    ended = await worker.run()
    assert (ended.code, ended.result.reason) == (1, reasons.DATABASE_UNREACHABLE), ended.log
    assert "tlsClientSecretName" in ended.result.message


@pytest.mark.parametrize("names", [["127.0.0.1"], ["db.example.org"]], ids=["its own name", "another name"])
async def test_a_certificate_for_another_host_is_not_trusted_by_either(
    names: list[str], servers: Processes, worker: Worker
) -> None:
    """The preflight refuses it; that mydumper does is seen by its own words, as it runs a little later."""
    made = write_certificates(worker.folder / "named", names)
    flags = [f"--ssl-cert={made.certificate}", f"--ssl-key={made.key}", f"--ssl-ca={made.ca}"]
    async with mariadb(servers, name="tls-named", flags=flags) as server:
        await server.load(["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT)"])
        shutil.copy(made.ca, worker.folder / "db-tls" / "ca.crt")
        worker.database = attrs.evolve(worker.database, port=server.port, user="root")
        worker.password = server.password
        worker.retarget(key=f"{names[0]}.tgz")
        ended = await worker.run()
        fits = names == ["127.0.0.1"]
        assert ended.code == (0 if fits else 1), ended.log
        assert fits or "has to name 127.0.0.1 as a subjectAltName" in ended.result.message
        login = ("127.0.0.1", server.port, "root", server.password.encode())
        for check_host in (True, False):
            options = worker.folder / "options"
            options.write_bytes(defaults_file(*login, check_host=check_host))
            process = await asyncio.create_subprocess_exec(
                *("mydumper", f"--defaults-file={options}", "--ssl", f"--ca={made.ca}"),
                f"--outputdir={worker.folder}/out-{check_host}",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()
            refused = b"Validation of SSL server certificate failed" in said
            assert refused == (check_host and not fits), said.decode()
