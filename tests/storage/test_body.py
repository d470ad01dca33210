"""A part in pieces: as a file for the signature, and sent without being put together."""

import zlib
from collections.abc import AsyncIterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.body import FileBody, Pieces

PIECES = st.lists(st.binary(max_size=20), max_size=8)


async def sent(body: AsyncIterable[bytes]) -> list[bytes]:
    return [piece async for piece in body]


@given(PIECES, st.integers(1, 30), st.integers(0, 200))
def test_it_reads_like_a_file(pieces: list[bytes], size: int, position: int) -> None:
    whole = b"".join(pieces)
    with Pieces(pieces).open() as file:
        assert len(file) == len(whole)
        found = list(iter(lambda: file.read(size), b""))
        assert b"".join(found) == whole
        assert all(len(each) <= size for each in found)
        assert file.tell() == len(whole)
        file.seek(position)
        assert file.read() == whole[position:]


@given(PIECES)
def test_its_sum_is_that_of_the_whole(pieces: list[bytes]) -> None:
    assert Pieces(pieces).crc == zlib.crc32(b"".join(pieces))


def test_thousands_of_pieces_are_read_once_each() -> None:
    """Rows that repeat make pieces of a kilobyte; the signature is made in the event loop."""
    count, looked = 16_000, 0

    class Piece(bytes):
        def __len__(self) -> int:
            nonlocal looked
            looked += 1
            assert looked < 20 * count, "in the square of the pieces"
            return super().__len__()

    whole = b"".join(b"x%06d" % number for number in range(count))
    with Pieces(Piece(b"x%06d" % number) for number in range(count)).open() as file:
        for _ in range(2):
            assert b"".join(iter(lambda: file.read(1 << 20), b"")) == whole
            file.seek(0)
        assert file.read() == whole


async def test_it_is_sent_as_it_came_and_each_time_from_the_beginning() -> None:
    pieces = [b"one", b"", b"two"]
    told: list[int] = []
    with Pieces(pieces).open(told.append) as file:
        assert file.read() == b"onetwo", "the signature is made first"
        file.seek(0)
        assert told == [], "signed is not sent"
        first = aiter(file)
        assert await anext(first) is pieces[0], "not a copy"
        assert told == []
        found = await sent(file)
        assert found == [b"one", b"two"]
        assert found[1] is pieces[2]
    assert told == [3, 3]


async def test_a_file_too_is_sent_each_time_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_bytes(b"x" * (1 << 18) + b"end")
    told: list[int] = []
    with FileBody(path, (1 << 18) + 3, 0, lambda _: None).open(told.append) as file:
        assert file.read(2) == b"xx"
        assert file.tell() == 2
        assert told == [], "signed is not sent"
        assert await anext(aiter(file)) == b"x" * (1 << 18)
        assert told == []
        assert b"".join(await sent(file)) == path.read_bytes()
    assert told == [1 << 18, 3]
