"""`tidbbackup run`: a Backup without a cluster, from a real database into a real S3, as a person does it."""

import asyncio
import hashlib
import io
import os
import pty
import shutil
import signal
import ssl
import sys
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.cluster.certificates import write_certificates
from tests.cluster.database import Database, mariadb
from tests.cluster.fault_proxy import fault_proxy
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import Processes
from tests.integration.faults import within
from tests.integration.hold_proxy import PART, hold_proxy

pytestmark = pytest.mark.integration

BUCKET = "run-here"
PROGRAM = Path(sys.executable).with_name("tidbbackup")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def source(servers: Processes, object_store: ObjectStore) -> AsyncIterator[Database]:
    """Two databases."""
    await object_store.create_bucket(BUCKET)
    async with mariadb(servers, name="run-here-source") as server:
        await server.load(
            [
                *("CREATE DATABASE shop", "CREATE DATABASE empty_one"),
                "CREATE TABLE shop.t (id INT PRIMARY KEY, b CHAR(200))",
                "INSERT INTO shop.t SELECT seq, MD5(seq) FROM shop.seq_1_to_2000",
            ]
        )
        yield server


def written(
    folder: Path,
    source: Database,
    endpoint: str,
    login: Mapping[str, Any] = MappingProxyType({}),
    s3: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """The YAML as it would be applied to a cluster; more for two parts of it."""
    spec: dict[str, Any] = {
        "from": {"host": source.host, "port": source.port, "user": source.user, "secretName": "db", **login},
        "s3": {"provider": "ceph", "bucket": BUCKET, "endpoint": endpoint, "secretName": "s3", **s3},
        "storageSize": "10Gi",
        "toolImage": "x",
    }
    meta = {"name": "here", "namespace": "anywhere"}
    body = {"apiVersion": "pingcap.com/v1alpha1", "kind": "Backup", "metadata": meta, "spec": spec}
    file = folder / "backup.yaml"
    file.write_text(yaml.safe_dump(body))
    return file


def files(folder: Path) -> list[Path]:
    """What stands in a folder."""
    return list(folder.iterdir())


def environment(folder: Path, source: Database, store: ObjectStore) -> dict[str, str]:
    """With every secret, and nothing of ours but PATH."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "DB_PASSWORD": source.password,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
    }


async def started(file: Path, given: dict[str, str], *flags: str | Path) -> asyncio.subprocess.Process:
    """`tidbbackup run -f` of it, without a terminal."""
    return await asyncio.create_subprocess_exec(
        *(PROGRAM, "run", "-f", file, *flags),
        env=given,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_backup_is_made_and_told(source: Database, object_store: ObjectStore, tmp_path: Path) -> None:
    file = written(tmp_path, source, object_store.endpoint)
    process = await started(file, environment(tmp_path, source, object_store))
    out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    assert err.decode() == "warning: spec.toolImage has no effect\n"
    first, second, third = out.decode().splitlines()
    key = first.removeprefix(f"Complete: s3://{BUCKET}/")
    archive = await object_store.get(BUCKET, key)
    assert f"({len(archive)} bytes)" in second
    assert f"sha256:{hashlib.sha256(archive).hexdigest()}" in second
    assert third == "  databases: empty_one, shop"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
    assert f"{key.removesuffix('.tgz')}/shop.t-schema.sql" in names
    assert key.removesuffix(".tgz") + ".manifest.json" in await object_store.objects(BUCKET)
    assert files(tmp_path) == [file]


async def test_on_a_terminal_it_asks_and_shows_a_bar(
    source: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    given = environment(tmp_path, source, object_store)
    del given["DB_PASSWORD"]
    async with hold_proxy("127.0.0.1", object_store.port, PART) as proxy:
        file = written(tmp_path, source, proxy.url)
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            # A session of its own whose terminal this is: a password is asked for on that alone.
            *("setsid", "--ctty", "--wait", PROGRAM, "run", "-f", file),
            env={**given, "COLUMNS": "100", "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        async with asyncio.timeout(60):
            while b"(DB_PASSWORD): " not in seen:
                seen += await asyncio.to_thread(os.read, ours, 4096)
            os.write(ours, f"{source.password}\n".encode())
            while b"[" not in seen.partition(b"upload ")[2]:
                seen += await asyncio.to_thread(os.read, ours, 4096)
            await within(proxy.reached)
            proxy.release()
            while b"databases:" not in seen:
                seen += await asyncio.to_thread(os.read, ours, 4096)
            code = await process.wait()
        os.close(ours)

    said = seen.decode()
    assert code == 0, said
    assert f"Password of {source.user}@{source.host}:{source.port} (DB_PASSWORD): " in said
    assert source.password not in said
    assert "% " in said
    assert f"Complete: s3://{BUCKET}/" in said


async def test_asked_to_end_it_leaves_nothing(
    source: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    before = await object_store.objects(BUCKET)
    async with hold_proxy("127.0.0.1", object_store.port, PART) as proxy:
        file = written(tmp_path, source, proxy.url)
        process = await started(file, environment(tmp_path, source, object_store))
        await within(proxy.reached)
        process.send_signal(signal.SIGTERM)
        proxy.release()
        out, err = await process.communicate()

    assert (process.returncode, out) == (143, b""), err.decode()
    assert "Terminated in step upload" in err.decode()
    assert await object_store.uploads(BUCKET) == []
    assert await object_store.objects(BUCKET) == before
    assert files(tmp_path) == [file]


async def test_a_failure_is_told_with_its_cure(
    source: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    file = written(tmp_path, source, object_store.endpoint)
    given = environment(tmp_path, source, object_store) | {"DB_PASSWORD": "wrong"}
    process = await started(file, given)
    out, err = await process.communicate()

    assert (process.returncode, out) == (1, b"")
    assert "tidbbackup run: LoginFailed in step preflight: " in err.decode()
    assert "wrong" not in err.decode()


async def test_over_tls_to_both(servers: Processes, object_store: ObjectStore, tmp_path: Path) -> None:
    made = write_certificates(tmp_path / "tls", ["127.0.0.1"])
    other = write_certificates(tmp_path / "other", ["127.0.0.1"])
    mounted = tmp_path / "db-tls"
    mounted.mkdir()
    shutil.copy(made.ca, mounted / "ca.crt")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    flags = [f"--ssl-cert={made.certificate}", f"--ssl-key={made.key}", f"--ssl-ca={made.ca}"]
    async with (
        mariadb(servers, name="run-here-tls", flags=flags) as server,
        fault_proxy("127.0.0.1", object_store.port, http=False, tls=context) as proxy,
    ):
        await server.load(
            [
                *("CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"),
                "INSERT INTO shop.t VALUES (1)",
                "CREATE USER safe@'%' IDENTIFIED BY 'only-over-tls' REQUIRE SSL",
                "GRANT ALL PRIVILEGES ON *.* TO safe@'%'",
            ]
        )
        given = environment(tmp_path, server, object_store) | {"DB_PASSWORD": "only-over-tls"}
        login = {"user": "safe", "tlsClientSecretName": "any"}
        endpoint = f"https://127.0.0.1:{proxy.port}"
        file = written(tmp_path, server, endpoint, login, {"caSecretName": "any"})

        process = await started(file, given, "--db-tls", mounted, "--s3-ca", made.ca)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        key = out.decode().splitlines()[0].removeprefix(f"Complete: s3://{BUCKET}/")
        assert key in await object_store.objects(BUCKET)

        process = await started(file, given, "--db-tls", mounted, "--s3-ca", other.ca)
        out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert "StorageUnreachable in step preflight" in err.decode()
        assert "spec.s3.caSecretName" in err.decode()

        process = await started(file, given, "--db-tls", other.ca.parent, "--s3-ca", made.ca)
        out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert "DatabaseUnreachable in step preflight" in err.decode()
