"""Files on their way into the archive: each once, none that may still change or vanish.

Here is also what worker/staging/closed_files.py and worker/dumpers/mydumper/pieces.py promise.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.pieces import Pieces
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.staging import closed_files
from tidbbackup.worker.staging.belt import Belt
from tidbbackup.worker.staging.closed_files import FileEvent

ROW = b"INSERT INTO `t` VALUES (1);\n" * 4


async def events(*found: FileEvent) -> AsyncGenerator[FileEvent, None]:
    for event in found:
        yield event


async def taken(belt: Belt) -> list[str]:
    belt.end()
    return [path.name async for path in belt.files()]


def closed(name: str) -> FileEvent:
    return FileEvent(name, closed=True)


async def test_closed_files_come_in_order_and_the_rest_by_name(tmp_path: Path) -> None:
    for name in ("d.b.sql", "d.a.sql", "metadata", "d.rest.sql"):
        (tmp_path / name).write_bytes(ROW)
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)
    await belt.follow(events(closed("d.b.sql"), closed("metadata"), closed("d.a.sql")))
    belt.take_rest()
    assert await taken(belt) == ["d.b.sql", "d.a.sql", "d.rest.sql", "metadata"]
    assert belt.closed_bytes == 4 * len(ROW) == sum(belt.sizes.values())


async def test_the_file_of_an_empty_table_may_vanish(tmp_path: Path) -> None:
    (tmp_path / "d.empty.sql").touch()
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)
    await belt.follow(events(closed("d.empty.sql"), closed("d.gone.sql")))
    (tmp_path / "d.empty.sql").unlink()
    belt.take_rest()
    assert await taken(belt) == []


async def test_a_file_that_is_written_twice_is_no_whole_file(tmp_path: Path) -> None:
    (tmp_path / "d.t.sql").write_bytes(ROW)
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)
    with pytest.raises(StepFailed, match=r"d\.t\.sql once more") as caught:
        await belt.follow(events(closed("d.t.sql"), closed("d.t.sql")))
    assert caught.value.reason == reasons.DUMP_INCOMPLETE


async def test_what_the_kernel_tells_of_a_folder(tmp_path: Path) -> None:
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)
    with closed_files.watch(tmp_path) as found:
        assert found is not None
        following = asyncio.create_task(belt.follow(found))
        odd = tmp_path / "d.\udcff.sql"
        with odd.open("wb") as file:
            file.write(ROW)
            file.flush()
            while not belt.writing_sizes():  # noqa: ASYNC110 - the kernel tells it in its own time
                await asyncio.sleep(0)
            assert belt.writing_sizes() == {odd.name: len(ROW)}
            assert belt.sizes == {}
        async for path in belt.files():
            assert path == odd
            break
        assert belt.writing_sizes() == {}
        following.cancel()
    assert belt.sizes == {odd.name: len(ROW)}


def opened(name: str) -> FileEvent:
    return FileEvent(name, closed=False)


async def test_a_first_piece_waits_for_its_last_name(tmp_path: Path) -> None:
    """Cut by size, mydumper closes it before it knows whether there is a second, and renames it if not."""
    for name in ("d.long.00001.sql", "d.short.sql", "d.open.00001.sql"):
        (tmp_path / name).write_bytes(ROW)
    belt = Belt(tmp_path, Pieces(cut_by_size=True).whole)
    firsts = ("d.long.00001.sql", "d.short.00001.sql", "d.open.00001.sql")
    await belt.follow(
        events(
            *(event for name in firsts for event in (opened(name), closed(name))),
            FileEvent("d.short.sql", closed=True, renamed=True),
            opened("d.long.00002.sql"),
        )
    )
    assert set(belt.sizes) == {"d.short.sql", "d.long.00001.sql"}
    belt.take_rest()
    assert await taken(belt) == ["d.short.sql", "d.long.00001.sql", "d.open.00001.sql"]


async def test_a_first_piece_counts_as_being_written_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "d.t.00001.sql").write_bytes(ROW)
    belt, seen = Belt(tmp_path, Pieces(cut_by_size=True).whole), []

    async def watched() -> AsyncGenerator[FileEvent, None]:
        yield opened("d.t.00001.sql")
        yield closed("d.t.00001.sql")
        seen.append(belt.writing_sizes())
        yield opened("d.t.00002.sql")
        seen.append(belt.writing_sizes())

    await belt.follow(watched())
    assert seen == [{"d.t.00001.sql": len(ROW)}, {}]
    assert set(belt.sizes) == {"d.t.00001.sql"}


async def test_cut_by_rows_the_second_piece_says_nothing_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "d.t.00001.sql").write_bytes(ROW)
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)
    await belt.follow(events(opened("d.t.00001.sql"), opened("d.t.00002.sql"), closed("d.t.00001.sql")))
    assert set(belt.sizes) == {"d.t.00001.sql"}


async def test_a_rename_is_told(tmp_path: Path) -> None:
    belt = Belt(tmp_path, Pieces(cut_by_size=True).whole)
    with closed_files.watch(tmp_path) as found:
        assert found is not None
        (tmp_path / "d.t.00001.sql").write_bytes(ROW)
        (tmp_path / "d.t.00001.sql").rename(tmp_path / "d.t.sql")
        following = asyncio.create_task(belt.follow(found))
        assert [path.name async for path in first(belt)] == ["d.t.sql"]
        following.cancel()
    assert belt.writing_sizes() == {}


async def first(belt: Belt) -> AsyncGenerator[Path, None]:
    async for path in belt.files():
        yield path
        return


async def test_what_nobody_tells_of_counts_as_written(tmp_path: Path) -> None:
    """Where inotify is refused, and after it has dropped events."""
    (tmp_path / "d.open.sql").write_bytes(ROW)
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)
    assert belt.written_bytes() == 0, "as far as has been told"
    belt.go_blind()
    assert belt.written_bytes() == len(ROW)
    belt = Belt(tmp_path, Pieces(cut_by_size=False).whole)

    async def dropped() -> AsyncGenerator[FileEvent, None]:
        yield opened("d.told.sql")
        (tmp_path / "d.told.sql").write_bytes(ROW)
        yield closed("d.told.sql")
        assert belt.written_bytes() == len(ROW), "only what has been told"

    await belt.follow(dropped())
    (tmp_path / "d.told.sql").unlink()
    assert belt.written_bytes() == 2 * len(ROW), "what is packed and gone stays written"
    belt.take_rest()
    (tmp_path / "d.open.sql").unlink()
    assert belt.written_bytes() == 2 * len(ROW) == belt.closed_bytes
