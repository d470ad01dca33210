"""What CompleteMultipartUpload is told of the parts of an upload. Pure."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from tidbbackup.storage.checksums import CRC32, combined, encode_crc
from tidbbackup.storage.opening import WHOLE, Opened


@frozen
class Part:
    """One part as the server took it. Size in bytes."""

    number: int
    size: int
    etag: str
    crc: int | None = None
    """CRC32 of its bytes, where the provider may check it."""


def completion(parts: tuple[Part, ...], opened: Opened) -> dict[str, Any]:
    """The parameters of the request: the parts, and the checksums that the storage promised to compare."""
    listed: list[dict[str, Any]] = []
    for part in parts:
        sums = {CRC32: encode_crc(part.crc)} if opened.checks_parts and part.crc is not None else {}
        listed.append({"PartNumber": part.number, "ETag": part.etag, **sums})
    told: dict[str, Any] = {"MultipartUpload": {"Parts": listed}}
    crcs = [(part.crc, part.size) for part in parts if part.crc is not None]
    if opened.checks_whole and len(crcs) == len(parts):
        # The storage compares the whole object with this: parts out of order or left out cannot pass.
        told |= {CRC32: encode_crc(combined(crcs)), "ChecksumType": WHOLE}
        told |= {"MpuObjectSize": sum(part.size for part in parts)}
    return told
