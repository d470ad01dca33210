"""The first reading of an archive: no damage goes unseen, whatever it hits. The rest needs servers."""

import io
import tarfile
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.load.test_target import MARIADB
from tidbbackup.model import reasons
from tidbbackup.worker.archive.manifest import Manifest
from tidbbackup.worker.archive.tar import PackedFile
from tidbbackup.worker.counters import Counters
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.board import Stopped
from tidbbackup.worker.load.restoration import Restoration, Wanted

MOMENT = datetime(2026, 11, 25, tzinfo=UTC)
FILES = {
    "d-schema-create.sql": b"CREATE DATABASE `d`;\n",
    "d.t.sql": b"INSERT INTO `t` VALUES\n" + b",\n".join(b"(%d)" % number for number in range(999)) + b";\n",
    "d.t-schema.sql": b"CREATE TABLE `t` (`id` int);\n",
}


def packed(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(f"backup-1/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


ARCHIVE = packed(FILES)
MANIFEST = Manifest(
    *("uid", "key", len(ARCHIVE), sha256(ARCHIVE).hexdigest(), "", MOMENT, MOMENT, "mydumper", "MariaDB"),
    files=tuple(PackedFile(name, len(content)) for name, content in FILES.items()),
    databases=(),
)


def restoration(manifest: Manifest | None = MANIFEST) -> Restoration:
    return Restoration(MARIADB, Wanted(manifest), Counters())


def test_a_whole_one_is_read_twice_where_rows_come_before_definitions() -> None:
    work = restoration()
    assert work.passes == 2
    work.collect(io.BytesIO(ARCHIVE))
    assert restoration(None).passes == 2, "without a manifest the order is not known"


@given(st.data())
def test_no_damage_goes_unseen(data: st.DataObject) -> None:
    damaged = bytearray(ARCHIVE)
    if data.draw(st.booleans()):
        damaged[data.draw(st.integers(0, len(ARCHIVE) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del damaged[data.draw(st.integers(0, len(ARCHIVE) - 1)) :]
    with pytest.raises(StepFailed) as caught:
        restoration().collect(io.BytesIO(bytes(damaged)))
    assert caught.value.reason == reasons.ARCHIVE_BROKEN


@pytest.mark.parametrize("name", ["d.t.sql.gz", "d.t.00000.csv", "d.t.dat"])
def test_files_that_no_restore_knows_are_named(name: str) -> None:
    with pytest.raises(StepFailed, match=f"{name} is no file of SQL statements") as caught:
        restoration(None).collect(io.BytesIO(packed({name: b"x"})))
    assert caught.value.reason == reasons.ARCHIVE_UNREADABLE


def test_a_restore_that_is_stopped_reads_no_further() -> None:
    work = restoration()
    work.stop()
    with pytest.raises(Stopped):
        work.collect(io.BytesIO(ARCHIVE))
