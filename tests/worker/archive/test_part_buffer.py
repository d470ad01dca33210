"""The growing part: whatever goes in comes out in order, in parts of the size asked for."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.body import Body
from tidbbackup.worker.archive.part_buffer import PartBuffer


def content(body: Body) -> bytes:
    first, second = body.open(), body.open()
    found = first.read()
    assert second.read() == found, "each has a place of its own"
    return found


@given(st.lists(st.binary(max_size=40), max_size=30), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_what_goes_in_comes_out(pieces: list[bytes], sizes: list[int]) -> None:
    """The size of a part changes from one to the next."""
    pending, bodies, wanted = PartBuffer(), list[Body](), [*sizes]

    def take() -> None:
        bodies.append(pending.take(wanted[0]))
        if len(wanted) > 1:
            wanted.pop(0)

    for piece in pieces:
        pending.add(piece)
        while pending.size >= wanted[0]:
            take()
    while pending.size:
        take()
    assert b"".join(content(body) for body in bodies) == b"".join(pieces)
    asked = [*sizes, *[sizes[-1]] * len(bodies)]
    assert all(len(body) == size for body, size in zip(bodies[:-1], asked, strict=False))
    assert all(body.crc == zlib.crc32(content(body)) for body in bodies)
