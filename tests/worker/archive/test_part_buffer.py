"""The growing part: whatever goes in comes out in order, in parts of the size asked for, and its files go."""

import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.body import Body, FileBody
from tidbbackup.worker.archive import part_buffer
from tidbbackup.worker.archive.part_buffer import Growing, Spool

MIB = 1 << 20


@pytest.mark.parametrize(
    ("part_bytes", "budget", "travelling", "files"),
    [
        (16 * MIB, 1 << 40, 4, False),
        (32 * MIB, 1 << 40, 4, False),
        (33 * MIB, 1 << 40, 4, True),
        (33 * MIB, 5 * 33 * MIB, 4, True),
        # More at once than memory takes, as the user's options may ask for.
        (16 * MIB, 1 << 40, 5, True),
        (16 * MIB, 9 * 16 * MIB, 5, True),
        (16 * MIB, 9 * 16 * MIB - 1, 5, False),
        (5 * MIB, 1 << 40, 12, False),
    ],
)
def test_large_parts_go_into_files(part_bytes: int, budget: int, travelling: int, files: bool) -> None:
    assert Spool(Path(), budget, travelling).takes(part_bytes) is files


@given(st.integers(1, 5 << 30), st.integers(0, 1 << 44), st.integers(1, 64))
def test_whatever_their_size_parts_stay_within_memory_and_volume(
    size: int, budget: int, travelling: int
) -> None:
    spool = Spool(Path(), budget, travelling)
    part_bytes = min(size, spool.largest)
    in_file = spool.takes(part_bytes)
    count = min(travelling, spool.room(part_bytes, in_file=in_file))
    assert count >= 1
    if in_file:
        # One grows, one waits, and the dump has room for two.
        assert (count + 4) * part_bytes <= budget
    else:
        assert part_bytes <= 32 * MIB
        assert count == 1 or count * part_bytes <= 64 * MIB


def content(body: Body) -> bytes:
    with body.open() as first, body.open() as second:
        found = first.read()
        assert second.read() == found, "each has a place of its own"
    return found


@given(
    st.lists(st.binary(max_size=40), max_size=30),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.integers(0, 60),
)
def test_what_goes_in_comes_out(pieces: list[bytes], sizes: list[int], memory: int) -> None:
    """The size of a part changes from one to the next, across the bound of what goes into files."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_buffer, "MEMORY_PART", memory)
        pending = Growing(Spool(Path(folder), 1 << 20))
        wanted, bodies = [*sizes], list[Body]()

        def take() -> None:
            bodies.append(pending.take(wanted[0]))
            if len(wanted) > 1:
                wanted.pop(0)

        for piece in pieces:
            pending.add(piece, wanted[0])
            while pending.size >= wanted[0]:
                take()
        while pending.size:
            take()
        assert b"".join(content(body) for body in bodies) == b"".join(pieces)
        asked = [*sizes, *[sizes[-1]] * len(bodies)]
        assert all(len(body) == size for body, size in zip(bodies[:-1], asked, strict=False))
        assert pending.handed_out == sum(len(body) for body in bodies if isinstance(body, FileBody))
        for body in bodies:
            assert body.crc == zlib.crc32(content(body))
            body.discard()
        pending.close()
        assert (pending.handed_out, pending.in_file, list(Path(folder).iterdir())) == (0, 0, [])


def test_a_part_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    pending = Growing(Spool(tmp_path, 1 << 40))
    pending.add(b"x" * 100, 64 * MIB)
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0], "buffered"
    pending.close()
    assert list(tmp_path.iterdir()) == []
