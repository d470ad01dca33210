"""Tables cut into files by the real mydumper: all rows are there, and the files count as the table."""

import io
import os
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.worker.worker_process import Ended, backing_up
from tidbbackup.model import reasons
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings

pytestmark = pytest.mark.integration

ROWS = 12_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cut(database: Database, object_store: ObjectStore) -> AsyncIterator[Database]:
    """A bucket, and a database with tables of 2.5 MB, with keys of all kinds."""
    await object_store.create_bucket("cut-tables")
    row = "SELECT seq, REPEAT('x', 200) FROM cut.seq_1_to_12000"
    await database.load(
        [
            "CREATE OR REPLACE DATABASE cut",
            "CREATE TABLE cut.whole (id INT PRIMARY KEY, a CHAR(200))",
            f"INSERT INTO cut.whole {row}",
            "CREATE TABLE cut.nokey (id INT, a CHAR(200))",
            f"INSERT INTO cut.nokey {row}",
            "CREATE TABLE cut.textkey (id VARCHAR(20) PRIMARY KEY, a CHAR(200))",
            f"INSERT INTO cut.textkey {row}",
            "CREATE TABLE cut.below (id INT PRIMARY KEY, a CHAR(200))",
            "INSERT INTO cut.below SELECT id - 6000, a FROM cut.whole",
            "CREATE TABLE cut.none (id INT PRIMARY KEY, a CHAR(200))",
            "CREATE TABLE cut.computed (id INT PRIMARY KEY, a CHAR(200), b INT AS (id + 1))",
            f"INSERT INTO cut.computed (id, a) {row}",
            "ANALYZE TABLE cut.whole",
        ]
    )
    yield database
    await database.sql("DROP DATABASE cut")


async def dumped(
    database: Database, store: ObjectStore, folder: Path, *options: str
) -> tuple[Ended, dict[str, bytes]]:
    """The run, and the archive's files with their content."""
    key = f"{folder.name}.tgz"
    settings = DumpSettings(options, tableFilter=("cut.*",))
    ended = await backing_up(database, store, "cut-tables", key, folder, settings).run()
    if ended.code:
        return ended, {}
    with tarfile.open(fileobj=io.BytesIO(await store.get("cut-tables", key))) as tar:
        return ended, {
            member.name.partition("/")[2]: body.read() for member in tar if (body := tar.extractfile(member))
        }


def files_of(files: dict[str, bytes]) -> Counter[str]:
    """How many files of rows each table has."""
    return Counter(name.split(".")[1] for name in files if name.endswith(".sql") and "-schema" not in name)


def rows_of(files: dict[str, bytes], table: str) -> int:
    """Rows in a table's files: each has one value that ends so."""
    bodies = [body for name, body in files.items() if name.startswith(f"cut.{table}.")]
    return sum(len(re.findall(rb"xxx[\"']", body)) for body in bodies)


async def test_a_file_that_the_volume_did_not_keep_whole_is_no_backup(
    cut: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    """A file system may say so at close alone, which mydumper does not look at: exit 0 and no word."""
    (tmp_path / "bin").mkdir()
    odd = tmp_path / "bin" / "mydumper"
    real = shutil.which("mydumper", path=f"{os.environ['PATH']}:/usr/sbin")
    odd.write_text(
        f"""#!/bin/sh
        for a; do case "$a" in --outputdir=*) out="$a";; --help|--version) exec {real} "$@";; esac; done
        out="${{out#*=}}"
        {real} "$@" "--outputdir=$out/../real" || exit
        truncate -s -4096 "$out/../real/cut.whole.sql"
        cp "$out"/../real/* "$out"
        """
    )
    odd.chmod(0o755)
    settings = DumpSettings(("--chunk-filesize=0",), tableFilter=("cut.whole",))
    worker = backing_up(cut, object_store, "cut-tables", "short.tgz", tmp_path, settings)
    worker.environ = {"PATH": f"{odd.parent}:{os.environ['PATH']}:/usr/sbin"}

    ended = await worker.run()

    assert (ended.code, ended.result.reason) == (1, reasons.DUMP_INCOMPLETE), ended.log
    assert "cut.whole.sql" in ended.result.message
    assert "spec.storageSize" in ended.result.message
    kept = await object_store.objects("cut-tables")
    assert not {worker.target.key, worker.target.manifest_key} & set(kept)


async def test_by_size_every_table_is_cut(cut: Database, object_store: ObjectStore, tmp_path: Path) -> None:
    ended, files = await dumped(cut, object_store, tmp_path, "--chunk-filesize=1")
    assert ended.result.outcome == Outcome.COMPLETE, ended.log
    tables = ("whole", "nokey", "textkey", "below", "computed")
    assert all(2 <= count <= 3 for count in files_of(files).values())
    assert set(files_of(files)) == set(tables)
    for table in tables:
        assert rows_of(files, table) == ROWS
        assert f"cut.{table}.00001.sql" in files


async def test_by_rows_the_users_way(cut: Database, object_store: ObjectStore, tmp_path: Path) -> None:
    ended, files = await dumped(cut, object_store, tmp_path, "--rows=5000", "--threads=3")
    assert ended.result.outcome == Outcome.COMPLETE, ended.log
    found = files_of(files)
    assert found["whole"] > 1
    assert (found["nokey"], found["textkey"]) == (1, 1)
    assert "--chunk-filesize" not in ended.log


async def test_without_a_word(cut: Database, object_store: ObjectStore, tmp_path: Path) -> None:
    ended, files = await dumped(cut, object_store, tmp_path)
    assert ended.result.outcome == Outcome.COMPLETE, ended.log
    assert "--chunk-filesize=64" in ended.log
    tables = ("whole", "nokey", "textkey", "below", "computed")
    assert files_of(files) == dict.fromkeys(tables, 1)
    # Written as .00001 and renamed when there is no second: each is in the archive once, under its last name.
    assert all(f"cut.{table}.sql" in files and rows_of(files, table) == ROWS for table in tables)


async def test_an_option_it_does_not_know(cut: Database, object_store: ObjectStore, tmp_path: Path) -> None:
    ended, _ = await dumped(cut, object_store, tmp_path, "--order-by-primary")
    assert (ended.result.outcome, ended.result.reason) == (Outcome.FAILED, reasons.INVALID_SPEC)
    assert "does not know --order-by-primary" in ended.result.message
    assert "starting mydumper" not in ended.log
