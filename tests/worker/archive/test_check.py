"""Archives that are whole, and every way in which one is not.

Here is also what worker/archive/manifest.py and worker/archive/unpack.py promise.
"""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import attrs
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from tidbbackup.model.compression import Compression
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.parts import PartSizes
from tidbbackup.worker.archive.check import CheckResult, check_archive
from tidbbackup.worker.archive.manifest import Manifest
from tidbbackup.worker.archive.tar import Archive, PackedFile, parts

TOP = "backup-1"
MOMENT = datetime(2026, 11, 25, tzinfo=UTC)
FILES = {"d.t.sql": b"INSERT INTO `t` VALUES (1);\n" * 5000, "metadata": b"Started\n", "d.é.sql": b"x" * 600}

SIZES = PartSizes(ObjectTarget("other", "b", "k"), 0)


async def _packed(folder: Path, compression: Compression) -> bytes:
    async def files() -> AsyncIterator[Path]:
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
            yield folder / name

    bodies = [part async for part in parts(Archive(TOP, 0, SIZES, compression), files())]
    return b"".join(body.open().read() for body in bodies)


@pytest.fixture(scope="module", params=list(Compression))
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One as the worker makes it, of each kind."""
    return asyncio.run(_packed(tmp_path_factory.mktemp("files"), request.param))


def manifest_of(archive: bytes, files: dict[str, int] | None = None) -> Manifest:
    sizes = {name: len(content) for name, content in FILES.items()} if files is None else files
    return Manifest(
        *("uid", "key", len(archive), sha256(archive).hexdigest(), "", MOMENT, MOMENT, "mydumper", "MariaDB"),
        files=tuple(PackedFile(name, size) for name, size in sizes.items()),
        databases=(),
    )


def judged(archive: bytes, manifest: Manifest | None = None) -> CheckResult:
    return check_archive(io.BytesIO(archive), manifest or manifest_of(archive), TOP)


def made(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of somebody else's."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return igzip.compress(plain.getvalue())


def file(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


def test_a_whole_one(archive: bytes) -> None:
    heard: list[int] = []
    verdict = check_archive(io.BytesIO(archive), manifest_of(archive), TOP, heard.append)
    assert verdict == CheckResult(len(FILES), sum(map(len, FILES.values())), ())
    assert heard[-1] == len(archive)


@given(st.data())
def test_no_flipped_bit_goes_unseen(archive: bytes, data: st.DataObject) -> None:
    spoilt = bytearray(archive)
    spoilt[data.draw(st.integers(0, len(archive) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    problems = judged(bytes(spoilt), manifest_of(archive)).problems
    assert "has changed: its sha256 is" in problems[0]


@given(st.data())
def test_no_cut_goes_unseen(archive: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(archive) - 1))
    problems = judged(archive[:length], manifest_of(archive)).problems
    assert problems[0] == f"is cut off: {length} bytes, {len(archive)} were stored"
    # Also one whose manifest was made of what is left: the gzip has no end.
    assert "cannot be unpacked" in judged(archive[:length]).problems[0]


def test_bytes_behind_the_end(archive: bytes) -> None:
    assert "is longer than it was" in judged(archive + b"x", manifest_of(archive)).problems[0]
    assert judged(archive + b"x").problems


def test_files_that_differ_from_the_manifest(archive: bytes) -> None:
    sizes = {"d.t.sql": len(FILES["d.t.sql"]), "metadata": 9, "d.gone.sql": 5}
    assert judged(archive, manifest_of(archive, sizes)).problems == (
        "lacks files of its manifest: d.gone.sql",
        "holds files that are not in its manifest, or twice: d.é.sql",
        "holds files of another size: metadata (8 bytes, not 9)",
    )
    many = {name: len(content) for name, content in FILES.items()} | {f"x{n}": 1 for n in range(9)}
    assert judged(archive, manifest_of(archive, many)).problems[0].endswith("x0, x1, x2, x3, x4 and 4 more")


@pytest.mark.parametrize(
    "member",
    [
        file("/etc/passwd"),
        file(f"{TOP}/../x"),
        file(f"{TOP}/a/b"),
        file("other/x"),
        file("x"),
        file(f"{TOP}/.."),
        file(f"{TOP}/link", tarfile.SYMTYPE),
        file(f"{TOP}/hard", tarfile.LNKTYPE),
        file(f"{TOP}/fifo", tarfile.FIFOTYPE),
        file(f"{TOP}/dir", tarfile.DIRTYPE),
    ],
)
def test_what_does_not_belong_into_a_dump(member: tarfile.TarInfo) -> None:
    found = made((member, b""))
    (problem,) = judged(found, manifest_of(found, {})).problems
    assert problem == f"holds what does not belong into a dump: {member.name}"


def test_twice_the_same_file() -> None:
    found = made((file(f"{TOP}/a"), b"1"), (file(f"{TOP}/a"), b"2"))
    assert "or twice: a" in judged(found, manifest_of(found, {"a": 1})).problems[0]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no gzip", igzip.compress(b""), igzip.compress(b"no tar" * 200)),
        *(b"\x28\xb5", b"\x28\xb5\x2f\xfd", zstd.compress(b""), zstd.compress(b"no tar" * 200)),
    ],
    ids=[
        *("nothing", "no gzip", "gzip of nothing", "gzip of no tar"),
        *("half a magic", "a magic", "zstd of nothing", "zstd of no tar"),
    ],
)
def test_what_is_no_archive(content: bytes) -> None:
    assert judged(content, manifest_of(content, {"a": 1})).problems


def test_another_digest_of_the_same_files(archive: bytes) -> None:
    other = attrs.evolve(manifest_of(archive), sha256="0" * 64)
    (problem,) = judged(archive, other).problems
    assert problem.startswith("has changed")
