"""Files that end in the middle."""

import gzip
from pathlib import Path

import pytest

from tidbbackup.worker.wholeness import is_cut_off

WHOLE = b"/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES\n(1),\n(2);\n"


@pytest.mark.parametrize("name", ["d.t.sql", "d.t.00001.sql", "d.t-schema.sql", "d-schema-create.sql"])
async def test_a_file_of_statements_ends_with_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE)
    assert not await is_cut_off(path, may_be_empty=False)
    for size in (len(WHOLE) - 1, len(WHOLE) - 6, 20, 1):
        path.write_bytes(WHOLE[:size])
        assert await is_cut_off(path, may_be_empty=False), size


async def test_a_compressed_one_is_whole_inside(tmp_path: Path) -> None:
    path, packed = tmp_path / "d.t.sql.gz", gzip.compress(WHOLE * 1000)
    path.write_bytes(packed)
    assert not await is_cut_off(path, may_be_empty=False)
    for wrong in (
        packed[:-1],
        packed[:-8],
        packed[: len(packed) // 2],
        packed[:3],
        bytes(100),
        packed[:-8] + bytes(8),
        gzip.compress(WHOLE[:-1]),
    ):
        path.write_bytes(wrong)
        assert await is_cut_off(path, may_be_empty=False)


@pytest.mark.parametrize("empty", [b"", gzip.compress(b"")])
async def test_an_empty_one_is_whole_only_where_it_was_asked_for(tmp_path: Path, empty: bytes) -> None:
    path = tmp_path / ("d.t.sql.gz" if empty else "d.t.sql")
    path.write_bytes(empty)
    assert await is_cut_off(path, may_be_empty=False)
    assert not await is_cut_off(path, may_be_empty=True)


async def test_what_holds_no_statements_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_text("Started dump at: 2026")
    assert not await is_cut_off(tmp_path / "metadata", may_be_empty=False)
