"""CRC32 of parts put together."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.storage.body import Body
from tidbbackup.storage.checksums import checksum, combined, encode_crc


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_the_sum_of_the_parts_is_that_of_the_whole(parts: list[bytes]) -> None:
    assert combined((zlib.crc32(part), len(part)) for part in parts) == zlib.crc32(b"".join(parts))


async def test_as_headers_carry_it() -> None:
    # RFC 3720's check value, as every implementation of CRC-32 gives it.
    assert await checksum(Body([b"1234", b"", b"56789"])) == 0xCBF43926
    assert encode_crc(0xCBF43926) == "y/Q5Jg=="
    assert encode_crc(1) == "AAAAAQ=="
