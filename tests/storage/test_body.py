"""A part in pieces: as a file for the signature, and sent without being put together."""

import zlib
from collections.abc import AsyncIterable

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.body import Body

PIECES = st.lists(st.binary(max_size=20), max_size=8)


async def sent(body: AsyncIterable[bytes]) -> list[bytes]:
    return [piece async for piece in body]


@given(PIECES, st.integers(1, 30), st.integers(0, 200))
def test_it_reads_like_a_file(pieces: list[bytes], size: int, position: int) -> None:
    whole = b"".join(pieces)
    file = Body(pieces).open()
    assert len(file) == len(whole)
    found = list(iter(lambda: file.read(size), b""))
    assert b"".join(found) == whole
    assert all(len(each) <= size for each in found)
    assert file.tell() == len(whole)
    file.seek(position)
    assert file.read() == whole[position:]


@given(PIECES)
def test_its_sum_is_that_of_the_whole(pieces: list[bytes]) -> None:
    assert Body(pieces).crc == zlib.crc32(b"".join(pieces))


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
    file = Body(Piece(b"x%06d" % number) for number in range(count)).open()
    for _ in range(2):
        assert b"".join(iter(lambda: file.read(1 << 20), b"")) == whole
        file.seek(0)
    assert file.read() == whole


async def test_it_is_sent_as_it_came_and_each_time_from_the_beginning() -> None:
    pieces = [b"one", b"", b"two"]
    told: list[int] = []
    file = Body(pieces).open(told.append)
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
