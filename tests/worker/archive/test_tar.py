"""The archive: what a plain tar reads out of it, its parts, its digest, the files that go.

Here is also what worker/archive/gzip.py, worker/archive/zstd.py and worker/archive/source.py promise.
"""

import asyncio
import gzip
import hashlib
import io
import os
import random
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import define, field
from backports import zstd

from tidbbackup.model.compression import Compression
from tidbbackup.storage.body import Body
from tidbbackup.storage.parts import PartSizes
from tidbbackup.worker.archive.gzip import BLOCK_BYTES
from tidbbackup.worker.archive.tar import MAX_THREADS, Archive, PackedFile, parts

MTIME = 1_790_000_000
LARGE = 4 * MAX_THREADS * BLOCK_BYTES
"""More than is read ahead."""


@define
class Sizes(PartSizes):
    """Parts of one size, or each `grows` times as large as the one before."""

    size: int
    grows: int = 1
    taken: list[int] = field(factory=list)

    def took(self, count: int) -> None:
        self.taken.append(count)
        self.size *= self.grows


@pytest.fixture(params=list(Compression))
def compression(request: pytest.FixtureRequest) -> Compression:
    """Both, one after the other."""
    found: Compression = request.param
    return found


async def packed(
    paths: list[Path], part_bytes: int, compression: Compression = Compression.GZIP
) -> tuple[Archive, list[bytes]]:
    async def ready() -> AsyncIterator[Path]:
        for path in paths:
            yield path

    archive = Archive("backup-1", MTIME, Sizes(part_bytes), compression)
    return archive, [whole(part) async for part in parts(archive, ready())]


def whole(part: Body) -> bytes:
    content = b"".join(part)
    assert len(content) == len(part)
    return content


def plain(data: bytes, compression: Compression) -> bytes:
    return gzip.decompress(data) if compression is Compression.GZIP else zstd.decompress(data)


def write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    for name, content in files.items():
        (folder / os.fsdecode(name)).write_bytes(content)
    return sorted(folder.iterdir())


async def test_rows_are_counted_wherever_blocks_and_files_end(
    tmp_path: Path, compression: Compression
) -> None:
    def statement(table: str, rows: int, value: bytes = b"x") -> bytes:
        lines = b",\n".join(b"(%d,'%s')" % (n, value) for n in range(rows))
        return b"INSERT INTO `%s` VALUES\n%s;\n" % (table.encode(), lines)

    head = b"/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n\n"
    long = statement("t", 1, b"y" * (BLOCK_BYTES - len(head) - 100))
    # A block's border falls on each byte of a statement's beginning.
    files = {
        f"{n}.sql": head + long + statement("t", 1, b"z" * n) + statement("t", 3) for n in range(100)
    } | {
        "all.sql": statement("t", 250_000),
        "odd.sql": head + statement("a\nb", 7) * 3 + statement("a\nb", 100_000),
        "wide.sql": statement("w" * 70_000, 5) + statement("w" * 70_000, 200_000),
        "later.sql": head + b"INSERT INTO `t` VALUES(1)\n,(2)\n;\n" * 100_000,
        "none.sql": b"CREATE TABLE `t` (\n(\n);\n",
        "head.sql": head,
    }
    archive, _ = await packed(write(tmp_path, files), 1 << 20, compression)
    found = {f.name: f.rows for f in archive.files}
    assert [found[f"{n}.sql"] for n in range(100)] == [5] * 100
    assert (found["all.sql"], found["wide.sql"]) == (250_000, 200_005)
    assert (found["none.sql"], found["head.sql"]) == (0, 0)
    assert found["odd.sql"] == 3 * 7 + 100_000
    assert found["later.sql"] == 200_000, "as mydumper 1.0 writes them"


async def test_what_goes_in_comes_out(tmp_path: Path, compression: Compression) -> None:
    long = "d" * 120 + "." + "漢" * 40 + ".sql"
    noise = random.Random(1).randbytes(3_000_000)
    files = {"a.sql": b"x", "empty": b"", "b c;'\".sql": b"y" * 512, long: b"z" * 513, "noise": noise}
    paths = write(tmp_path, files)
    archive, bodies = await packed(paths, 1 << 20, compression)

    data = b"".join(bodies)
    assert all(len(body) == 1 << 20 for body in bodies[:-1]), "parts of one size"
    assert 0 < len(bodies[-1]) <= 1 << 20
    assert archive.size == len(data)
    assert archive.checksum == f"sha256:{hashlib.sha256(data).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(plain(data, compression))) as tar:
        members = tar.getmembers()
        assert members[0].isdir()
        assert members[0].name == "backup-1"
        found = {m.name.removeprefix("backup-1/"): tar.extractfile(m).read() for m in members[1:]}  # type: ignore[union-attr]
        assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, MTIME)}
    assert found == files
    assert sorted(archive.files, key=lambda f: f.name) == sorted(
        (PackedFile(name, len(content)) for name, content in files.items()),
        key=lambda f: f.name,
    )
    assert os.listdir(tmp_path) == [], "packed is deleted"
    assert len(plain(data, compression)) % 10_240 == 0


async def test_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"odd-\xff-name.sql")
    (tmp_path / name).write_bytes(b"x")
    _, bodies = await packed([tmp_path / name], 1 << 20)
    with tarfile.open(fileobj=io.BytesIO(b"".join(bodies)), errors="surrogateescape") as tar:
        assert tar.getnames() == ["backup-1", f"backup-1/{name}"]


async def test_the_same_files_give_the_same_bytes(tmp_path: Path, compression: Compression) -> None:
    digests = set()
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = write(folder, {"a": b"1" * 100_000, "b": b"2"})
        archive, _ = await packed(paths, 1 << 20, compression)
        digests.add(archive.checksum)
    assert len(digests) == 1


async def test_a_file_that_shrinks_is_an_error(tmp_path: Path, compression: Compression) -> None:
    (path,) = write(tmp_path, {"a": random.Random(1).randbytes(LARGE)})
    archive = Archive("top", MTIME, Sizes(1 << 20), compression)
    await asyncio.to_thread(archive.open, path)
    assert archive.fill()
    os.truncate(path, 1 << 20)
    with pytest.raises(OSError, match="has become shorter"):
        list(iter(archive.fill, None))
    archive.close()


async def test_a_consumer_that_stops_leaves_no_file_open(tmp_path: Path, compression: Compression) -> None:
    (path,) = write(tmp_path, {"a": random.Random(1).randbytes(LARGE)})

    async def ready() -> AsyncIterator[Path]:
        yield path

    archive = Archive("top", MTIME, Sizes(1 << 20), compression)
    bodies = parts(archive, ready())
    await anext(bodies)
    await bodies.aclose()
    assert path.exists(), "not packed to its end"


async def test_every_reader_takes_it_for_one_gzip(tmp_path: Path) -> None:
    files = {f"d.t.{n:05}.sql": os.urandom(300_000) + b"(1,'a'),\n" * 100_000 for n in range(6)}
    _, bodies = await packed(write(tmp_path, files), 1 << 20)
    data = b"".join(bodies)
    one = zlib.decompressobj(31)
    tar = one.decompress(data)
    assert (one.eof, one.unused_data) == (True, b"")
    for program in (["gzip", "--decompress"], ["pigz", "--decompress"]):
        if shutil.which(program[0]):
            done = await asyncio.to_thread(subprocess.run, program, input=data, stdout=subprocess.PIPE)
            assert done.stdout == tar
    # As a stream, tarfile reads no more than one member.
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|gz") as stream:
        found = {m.name: stream.extractfile(m).read() for m in stream if m.isfile()}  # type: ignore[union-attr]
    assert found == {f"backup-1/{name}": content for name, content in files.items()}


async def test_every_reader_takes_it_for_one_frame_of_zstd(tmp_path: Path) -> None:
    files = {f"d.t.{n:05}.sql": os.urandom(300_000) + b"(1,'a'),\n" * 100_000 for n in range(20)}
    _, bodies = await packed(write(tmp_path, files), 1 << 20, Compression.ZSTD)
    data = b"".join(bodies)
    one = zstd.ZstdDecompressor()
    tar = one.decompress(data)
    assert (one.eof, one.unused_data) == (True, b"")
    if shutil.which("zstd"):
        done = await asyncio.to_thread(subprocess.run, ["zstd", "-d"], input=data, stdout=subprocess.PIPE)
        assert done.stdout == tar
    # The checksum at its end covers every byte.
    with pytest.raises(zstd.ZstdError, match="checksum"):
        zstd.decompress(data[:-1] + bytes([data[-1] ^ 1]))
    with tarfile.open(fileobj=io.BytesIO(tar)) as stream:
        found = {m.name: stream.extractfile(m).read() for m in stream if m.isfile()}  # type: ignore[union-attr]
    assert found == {f"backup-1/{name}": content for name, content in files.items()}


async def test_nothing_but_the_librarys_buffers_is_ahead_of_what_is_taken(tmp_path: Path) -> None:
    (path,) = write(tmp_path, {"a": random.Random(1).randbytes(80 * BLOCK_BYTES)})
    archive = Archive("top", MTIME, Sizes(1 << 20), Compression.ZSTD)
    await asyncio.to_thread(archive.open, path)
    ahead = 0
    while await asyncio.to_thread(archive.fill):
        ahead = max(ahead, archive.packed_bytes - archive.size)
    assert ahead < 30 * BLOCK_BYTES
    archive.close()


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 512, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
async def test_around_the_blocks_bounds(tmp_path: Path, size: int, compression: Compression) -> None:
    files = {"a": bytes(size), "b": b"x"}
    archive, bodies = await packed(write(tmp_path, files), 1 << 20, compression)
    with tarfile.open(fileobj=io.BytesIO(plain(b"".join(bodies), compression))) as tar:
        assert {m.name: m.size for m in tar if m.isfile()} == {"backup-1/a": size, "backup-1/b": 1}
    assert archive.freed_bytes == archive.packed_bytes == size + 1
    assert os.listdir(tmp_path) == []


async def test_a_small_file_leaves_the_volume_before_there_are_more(
    tmp_path: Path, compression: Compression
) -> None:
    (path,) = write(tmp_path, {"a": b"x" * 1000})
    archive = Archive("top", MTIME, Sizes(1 << 20), compression)
    await asyncio.to_thread(archive.open, path)
    assert archive.fill() is None
    assert (archive.freed_bytes, os.listdir(tmp_path)) == (1000, [])
    archive.close()


async def test_parts_grow_as_they_are_told(tmp_path: Path, compression: Compression) -> None:
    (path,) = write(tmp_path, {"noise": random.Random(1).randbytes(9 << 20)})
    sizes = Sizes(1 << 20, grows=2)

    async def ready() -> AsyncIterator[Path]:
        yield path

    archive = Archive("top", MTIME, sizes, compression)
    bodies = [whole(part) async for part in parts(archive, ready())]
    assert [len(body) >> 20 for body in bodies] == [1, 2, 4, 2]
    assert sizes.taken == [len(body) for body in bodies]
    assert archive.size == sum(map(len, bodies))
    assert archive.checksum == f"sha256:{hashlib.sha256(b''.join(bodies)).hexdigest()}"
