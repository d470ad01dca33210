"""Files on their way into the archive: each once, none that may still change or vanish."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker import closed_files
from tidbbackup.worker.belt import Belt
from tidbbackup.worker.closed_files import FileEvent
from tidbbackup.worker.failure import StepFailed

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
    belt = Belt(tmp_path)
    await belt.follow(events(closed("d.b.sql"), closed("metadata"), closed("d.a.sql")))
    belt.take_rest()
    assert await taken(belt) == ["d.b.sql", "d.a.sql", "d.rest.sql", "metadata"]
    assert belt.closed_bytes == 4 * len(ROW) == sum(belt.sizes.values())


async def test_the_file_of_an_empty_table_may_vanish(tmp_path: Path) -> None:
    (tmp_path / "d.empty.sql").touch()
    belt = Belt(tmp_path)
    await belt.follow(events(closed("d.empty.sql"), closed("d.gone.sql")))
    (tmp_path / "d.empty.sql").unlink()
    belt.take_rest()
    assert await taken(belt) == []


async def test_a_file_that_is_written_twice_is_no_whole_file(tmp_path: Path) -> None:
    (tmp_path / "d.t.sql").write_bytes(ROW)
    belt = Belt(tmp_path)
    with pytest.raises(StepFailed, match=r"d\.t\.sql once more") as caught:
        await belt.follow(events(closed("d.t.sql"), closed("d.t.sql")))
    assert caught.value.reason == reasons.DUMP_INCOMPLETE


async def test_what_the_kernel_tells_of_a_folder(tmp_path: Path) -> None:
    belt = Belt(tmp_path)
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
