"""A download from a server that misbehaves: broken connections, refusals, another object meanwhile."""

import re
from contextlib import aclosing
from typing import Any

import pytest
from attrs import define, field
from botocore.exceptions import ClientError

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage import download as module
from tidbbackup.storage.client import Patience
from tidbbackup.storage.download import download
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.objects import ObjectHead

TARGET = ObjectTarget("ceph", "b", "k.tgz")
DATA = bytes(range(256)) * 4 + b"the end"
PATIENCE = Patience(part_delays=(0, 0))


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RANGE_BYTES", 100)


@define
class _Body:
    data: bytes
    breaks_after: int | None

    async def __aenter__(self) -> "_Body":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, size: int) -> bytes:
        size = min(size, 30)
        if self.breaks_after is not None:
            if not self.breaks_after:
                raise ConnectionResetError("cut")
            size = min(size, self.breaks_after)
            self.breaks_after -= size
        piece, self.data = self.data[:size], self.data[size:]
        return piece


@define
class Server:
    """Gives ranges; `breaks` and `errors` are used up, one for each request."""

    etag: str = '"1"'
    breaks: list[int | None] = field(factory=list)
    errors: list[Exception | None] = field(factory=list)
    knows_ranges: bool = True
    calls: list[str] = field(factory=list)

    async def get_object(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call["Range"])
        if self.errors and (error := self.errors.pop(0)):
            raise error
        if call["IfMatch"] != self.etag:
            raise refused("PreconditionFailed", 412)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", call["Range"])
        assert found
        start, end = int(found[1]), int(found[2])
        body = _Body(DATA[start : end + 1], self.breaks.pop(0) if self.breaks else None)
        told = f"bytes {start}-{end}/{len(DATA)}" if self.knows_ranges else ""
        return {"Body": body, "ContentRange": told}


def refused(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetObject",
    )


async def downloaded(server: Server, size: int = len(DATA)) -> bytes:
    async with aclosing(download(server, TARGET, ObjectHead(size, etag='"1"'), PATIENCE)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_all_ranges_come_in_order() -> None:
    server = Server()
    assert await downloaded(server) == DATA
    assert len(server.calls) == len(set(server.calls)) == 11
    assert await downloaded(Server(), 0) == b""


async def test_a_range_is_continued_where_its_connection_broke() -> None:
    server = Server(breaks=[40, 40, None])
    assert await downloaded(server) == DATA
    assert "bytes=40-99" in server.calls


async def test_many_breaks_are_no_outage_as_long_as_each_connection_brings_something() -> None:
    assert await downloaded(Server(breaks=[10] * 100)) == DATA


async def test_what_fails_for_a_while_is_tried_again() -> None:
    server = Server(errors=[refused("SlowDown", 503), None, refused("InternalError", 500), None])
    assert await downloaded(server) == DATA


async def test_an_outage_ends_it() -> None:
    with pytest.raises(StorageError) as caught:
        await downloaded(Server(breaks=[0] * 20))
    assert caught.value.reason == reasons.STORAGE_UNREACHABLE


async def test_another_object_under_the_key_is_never_mixed_in() -> None:
    server = Server()
    async with aclosing(download(server, TARGET, ObjectHead(len(DATA), etag='"1"'), PATIENCE)) as pieces:
        await anext(pieces)
        server.etag = '"2"'
        assert len(DATA) > 2 * module.RANGE_BYTES
        with pytest.raises(StorageError, match="has been replaced or deleted while it was read"):
            [piece async for piece in pieces]


async def test_a_storage_without_ranges_is_refused() -> None:
    with pytest.raises(StorageError, match="does not give the range"):
        await downloaded(Server(knows_ranges=False))
