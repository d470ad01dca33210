"""An upload whose server misbehaves: lost replies, refused ACLs, failing parts. The server is a stub.

Here is also what storage/completion.py promises.
"""

import asyncio
import base64
import contextlib
import zlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from aiobotocore.hooks import AioHierarchicalEmitter
from attrs import define, field
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget, Transfer
from tidbbackup.storage import parts
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import Patience
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import UploadCounter, start_upload
from tidbbackup.storage.objects import RUN_METADATA

TARGET = ObjectTarget("ceph", "b", "k.tgz", acl="private", tags={"a": "1 2"})
PATIENCE = Patience(part_delays=(0, 0))
WHOLE = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
LOST = ConnectionClosedError(endpoint_url="http://s3")


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "X"
    )


@define
class Server:
    """Answers as a real one, but for the errors that a test puts in its way."""

    create: list[Exception] = field(factory=list)
    part: list[Exception] = field(factory=list)
    tag: list[Exception] = field(factory=list)
    put: list[Exception] = field(factory=list)
    after_complete: Exception | None = None
    before_complete: Exception | None = None
    promises: dict[str, str] = field(factory=dict)
    """What it says of checksums when an upload is opened."""
    cut: int = 0
    """Bytes that the stored object lacks."""
    calls: list[tuple[str, dict[str, Any]]] = field(factory=list)
    parts: dict[int, bytes] = field(factory=dict)
    stored: tuple[int, dict[str, str]] | None = None
    meta: Any = field(factory=lambda: SimpleNamespace(events=AioHierarchicalEmitter()))
    """Where the client tells of each try."""

    async def put_object_tagging(self, **call: Any) -> dict[str, Any]:
        assert self.stored, "tags are for an object that is there"
        self.calls.append(("tag", call))
        if self.tag:
            raise self.tag.pop(0)
        return {}

    async def put_object(self, **call: Any) -> dict[str, Any]:
        self.calls.append(("put", call))
        if self.put:
            raise self.put.pop(0)
        return {}

    async def create_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self.calls.append(("create", call))
        if self.create:
            error = self.create.pop(0)
            told = None if isinstance(error, ClientError) else error
            await self.meta.events.emit("needs-retry.s3.CreateMultipartUpload", caught_exception=told)
            raise error
        return {"UploadId": "u", **self.promises}

    async def upload_part(self, **call: Any) -> dict[str, Any]:
        self.calls.append(("part", call))
        if self.part:
            raise self.part.pop(0)
        self.parts[call["PartNumber"]] = call["Body"].read()
        return {"ETag": f"e{call['PartNumber']}"}

    async def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self.calls.append(("complete", call))
        if self.before_complete:
            raise self.before_complete
        size = sum(len(body) for body in self.parts.values())
        created = next(call for name, call in self.calls if name == "create")
        self.stored = (size - self.cut, created["Metadata"])
        if self.after_complete:
            raise self.after_complete
        return {}

    async def head_object(self, **_: Any) -> dict[str, Any]:
        if self.stored is None:
            raise refused("404", 404)
        return {"ContentLength": self.stored[0], "Metadata": self.stored[1]}

    async def get_object(self, **_: Any) -> dict[str, Any]:
        raise refused("NoSuchKey", 404)

    async def abort_multipart_upload(self, **call: Any) -> None:
        self.calls.append(("abort", call))

    async def delete_object(self, **call: Any) -> dict[str, Any]:
        self.calls.append(("delete", call))
        self.stored = None
        return {}

    def called(self, name: str) -> int:
        return sum(each == name for each, _ in self.calls)


async def bodies(*contents: bytes) -> AsyncIterator[Body]:
    for content in contents:
        yield Body([content])


async def run(server: Server, target: ObjectTarget = TARGET) -> int:
    upload, _ = await start_upload(server, target, "run-1", PATIENCE)
    return await upload.complete(await upload.send(bodies(b"one", b"two", b"x")))


async def test_all_goes_well() -> None:
    server = Server()
    assert await run(server) == 7
    created = server.calls[0][1]
    assert created["ACL"] == "private"
    assert created["Tagging"] == "a=1+2"
    assert "StorageClass" not in created
    assert created["Metadata"] == {RUN_METADATA: "run-1"}
    completed = next(call for name, call in server.calls if name == "complete")
    assert completed["MultipartUpload"]["Parts"] == [{"PartNumber": n, "ETag": f"e{n}"} for n in (1, 2, 3)]
    assert not any("Checksum" in name for _, call in server.calls for name in call)


def crc(content: bytes) -> str:
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("promises", [{}, {"ChecksumAlgorithm": "CRC32"}, WHOLE])
async def test_checksums_go_as_far_as_the_server_follows(promises: dict[str, str]) -> None:
    server = Server(promises=promises)
    assert await run(server, attrs.evolve(TARGET, provider="aws")) == 7
    asked = {name: server.calls[0][1][name] for name in ("ChecksumAlgorithm", "ChecksumType")}
    assert asked == WHOLE
    sent = {call["PartNumber"]: call["ChecksumCRC32"] for name, call in server.calls if name == "part"}
    assert sent == {1: crc(b"one"), 2: crc(b"two"), 3: crc(b"x")}
    completed = next(call for name, call in server.calls if name == "complete")
    listed = [part.get("ChecksumCRC32") for part in completed["MultipartUpload"]["Parts"]]
    assert listed == (list(sent.values()) if promises else [None] * 3)
    whole = {"ChecksumCRC32": crc(b"onetwox"), "ChecksumType": "FULL_OBJECT", "MpuObjectSize": 7}
    assert {name: completed.get(name) for name in whole} == (
        whole if promises == WHOLE else dict.fromkeys(whole)
    )


async def test_a_part_is_tried_again_with_the_same_bytes() -> None:
    server = Server(part=[LOST, refused("SlowDown", 503)])
    counter = UploadCounter()
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE, counter)
    assert await upload.complete(await upload.send(bodies(b"one", b"two", b"x"))) == 7
    assert server.parts == {1: b"one", 2: b"two", 3: b"x"}
    assert (counter.uploaded_bytes, counter.parts, counter.retries) == (7, 3, 2)


@pytest.mark.looptime
async def test_no_more_bytes_a_second_than_the_user_allows() -> None:
    slow = attrs.evolve(TARGET, transfer=Transfer(bytesPerSecond=2))
    began = asyncio.get_running_loop().time()
    server = Server(part=[LOST])
    assert await run(server, slow) == 7
    # Everything but the last part, one of them sent twice.
    assert asyncio.get_running_loop().time() - began == pytest.approx((3 + 3 + 3) / 2, abs=1)
    assert server.called("part") == 4


@pytest.mark.parametrize("what", ["part", "complete", "put", "tag"])
async def test_everything_is_tried_in_rounds(what: str) -> None:
    down = refused("SlowDown", 503)
    server = Server(before_complete=down if what == "complete" else None)
    setattr(server, what, [down] * 99) if what != "complete" else None
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE)
    with pytest.raises(StorageError) if what != "tag" else contextlib.nullcontext():
        await upload.complete(await upload.send(bodies(b"one")))
        await upload.tag()
        await upload.write_beside(TARGET.manifest_key, b"{}")
    assert server.called(what) == 3


async def test_an_archive_whose_tags_are_refused_is_whole_all_the_same() -> None:
    """After hours of dumping: told, and nothing is thrown away for it."""
    server = Server(tag=[refused("AccessDenied", 403)])
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE)
    assert await upload.complete(await upload.send(bodies(b"one"))) == 3
    (notice,) = await upload.tag()
    assert notice.reason == reasons.TAGS_NOT_SET
    assert "AccessDenied" in notice.message
    assert "s3:PutObjectTagging" in notice.message
    assert server.stored


async def test_tags_outlast_an_outage_and_are_put_where_they_are_lost() -> None:
    server = Server(tag=[LOST, refused("SlowDown", 503)])
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE)
    await upload.complete(await upload.send(bodies(b"one")))
    assert await upload.tag() == ()
    assert server.called("tag") == 3
    elsewhere, _ = await start_upload(server, attrs.evolve(TARGET, provider="minio"), "run-1", PATIENCE)
    assert await elsewhere.tag() == ()
    assert server.called("tag") == 3


@pytest.mark.looptime
async def test_a_long_wait_for_the_users_limit_is_seen_not_to_be_a_standstill() -> None:
    counter = UploadCounter()
    slow = attrs.evolve(TARGET, transfer=Transfer(bytesPerSecond=1))
    upload, _ = await start_upload(Server(), slow, "run-1", PATIENCE, counter)
    sending = asyncio.create_task(upload.send(bodies(b"x" * 3600, b"y")))
    seen = []
    while not sending.done():
        await asyncio.wait([sending], timeout=290)
        seen.append(counter.waited_seconds)
    assert len(seen) == 13
    assert sorted(set(seen)) == seen
    assert seen[-1] == pytest.approx(3600)


async def test_as_many_parts_at_once_as_the_user_allows() -> None:
    upload, _ = await start_upload(
        server := Server(), attrs.evolve(TARGET, transfer=Transfer(concurrency=1)), "run-1", PATIENCE
    )
    most = 0

    async def watched() -> AsyncIterator[Body]:
        nonlocal most
        for number in range(5):
            most = max(most, number - len(server.parts))
            yield Body([b"x"])

    await upload.send(watched())
    assert most == 1


async def test_bytes_of_a_part_are_counted_as_they_are_sent() -> None:
    """A large part takes longer over a slow link than a run may stand still."""
    counter = UploadCounter()
    seen: list[tuple[int, int]] = []

    @define
    class Slow(Server):
        async def upload_part(self, **call: Any) -> dict[str, Any]:
            seen.extend([(counter.sent_bytes, counter.uploaded_bytes) async for _ in call["Body"]])
            if self.part:
                raise self.part.pop(0)
            return {"ETag": "e"}

    upload, _ = await start_upload(Slow(part=[LOST]), TARGET, "run-1", PATIENCE, counter)

    async def one() -> AsyncIterator[Body]:
        yield Body([b"one", b"two", b"x"])

    await upload.send(one())
    assert seen == [(sent, 0) for sent in (0, 3, 6, 7, 10, 13)]
    assert (counter.sent_bytes, counter.uploaded_bytes) == (14, 7)


async def test_fewer_parts_travel_where_they_grow_and_leave_less_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first part tells nothing of how large those after it will be."""
    travelling: set[int] = set()
    seen: list[int] = []

    @define
    class Slow(Server):
        async def upload_part(self, **call: Any) -> dict[str, Any]:
            travelling.add(call["PartNumber"])
            seen.append(len(travelling))
            for _ in range(5):
                await asyncio.sleep(0)
            travelling.remove(call["PartNumber"])
            return await Server.upload_part(self, **call)

    upload, _ = await start_upload(Slow(), TARGET, "run-1", PATIENCE)
    monkeypatch.setattr(parts, "_SENT_AT_ONCE_BYTES", 6)
    sizes = [1] * 8 + [3] * 8
    sent = await upload.send(bodies(*(b"x" * size for size in sizes)))
    assert [part.size for part in sent] == sizes
    assert max(seen[:8]) == 4
    assert max(seen[9:]) == 2


async def test_a_part_that_is_refused_is_not_tried_again() -> None:
    server = Server(part=[refused("AccessDenied", 403)])
    with pytest.raises(StorageError) as caught:
        await run(server)
    assert caught.value.reason == reasons.ACCESS_DENIED
    assert server.called("complete") == 0


async def test_what_the_bodies_raise_comes_out_as_it_is() -> None:
    async def broken() -> AsyncIterator[Body]:
        yield Body([b"one"])
        raise LookupError("of the packer")

    upload, _ = await start_upload(Server(), TARGET, "run-1", PATIENCE)
    with pytest.raises(LookupError, match="of the packer"):
        await upload.send(broken())


@pytest.mark.parametrize("answer", [LOST, refused("NoSuchUpload", 404), refused("InternalError", 500)])
async def test_a_lost_reply_to_complete_is_settled_by_head(answer: Exception) -> None:
    assert await run(Server(after_complete=answer)) == 7
    with pytest.raises(StorageError) as caught:
        await run(Server(before_complete=answer))
    assert caught.value.reason != reasons.VERIFY_FAILED, "the server's own words"


async def test_an_object_of_another_size_is_no_success_and_is_withdrawn() -> None:
    server = Server(cut=1)
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE)
    parts = await upload.send(bodies(b"one"))
    with pytest.raises(StorageError, match="has 2 bytes, 3 were sent") as caught:
        await upload.complete(parts)
    assert caught.value.reason == reasons.VERIFY_FAILED
    await upload.withdraw()
    assert (server.called("abort"), server.stored) == (1, None)


async def test_another_runs_object_is_left_alone() -> None:
    server = Server(before_complete=refused("NoSuchUpload", 404))
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE)
    parts = await upload.send(bodies(b"one"))
    server.stored = (3, {RUN_METADATA: "run-2"})
    with pytest.raises(StorageError, match="NoSuchUpload"):
        await upload.complete(parts)
    await upload.withdraw()
    assert server.called("delete") == 0


async def test_another_runs_object_that_stands_there_after_a_clear_yes_is_not_ours() -> None:
    """Of the same size: a manifest of ours beside it would tell of other bytes."""

    @define
    class Overtaken(Server):
        async def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
            self.stored = (3, {RUN_METADATA: "run-2"})
            return {}

    upload, _ = await start_upload(server := Overtaken(), TARGET, "run-1", PATIENCE)
    parts = await upload.send(bodies(b"one"))
    with pytest.raises(StorageError, match="is that of run run-2, not of run-1,") as caught:
        await upload.complete(parts)
    assert caught.value.reason == reasons.VERIFY_FAILED
    await upload.withdraw()
    assert server.called("delete") == 0


async def test_a_later_no_settles_nothing_once_the_storage_said_yes() -> None:
    """Its answer to HEAD was lost, and then the upload is gone because it was completed."""

    @define
    class Hidden(Server):
        async def complete_multipart_upload(self, **call: Any) -> dict[str, Any]:
            if self.stored:
                raise refused("NoSuchUpload", 404)
            return await Server.complete_multipart_upload(self, **call)

        async def head_object(self, **_: Any) -> dict[str, Any]:
            raise self.heads.pop(0) if self.heads else refused("403", 403)

        heads: list[Exception] = field(factory=lambda: [refused("503", 503)])

    upload, _ = await start_upload(server := Hidden(), TARGET, "run-1", PATIENCE)
    parts = await upload.send(bodies(b"one"))
    with pytest.raises(StorageError, match="NoSuchUpload"):
        await upload.complete(parts)
    with pytest.raises(StorageError, match="may yet appear"):
        await upload.withdraw()
    assert server.stored, "it is there"


async def test_an_archive_that_a_clear_yes_does_not_show_may_yet_appear() -> None:
    @define
    class Late(Server):
        async def head_object(self, **_: Any) -> dict[str, Any]:
            raise refused("404", 404)

    upload, _ = await start_upload(Late(), TARGET, "run-1", PATIENCE)
    parts = await upload.send(bodies(b"one"))
    with pytest.raises(StorageError, match="is not there after its upload was completed"):
        await upload.complete(parts)
    with pytest.raises(StorageError, match=r"may yet appear: .* never clearly refused"):
        await upload.withdraw()


async def test_withdrawn_before_completing_no_object_is_touched() -> None:
    server = Server(stored=(3, {}))
    upload, _ = await start_upload(server, TARGET, "run-1", PATIENCE)
    await upload.withdraw()
    assert (server.called("abort"), server.called("delete")) == (1, 0)


async def test_a_harmless_acl_refused_as_unsupported_is_a_notice() -> None:
    server = Server(create=[refused("AccessControlListNotSupported")])
    _, notices = await start_upload(server, TARGET, "run-1", PATIENCE)
    assert [notice.reason for notice in notices] == [reasons.ACL_NOT_SUPPORTED]
    assert "ACL" not in server.calls[1][1]


@pytest.mark.parametrize(
    ("errors", "lost"),
    [
        ([refused("AccessDenied", 403)], False),
        ([LOST], True),
        ([ReadTimeoutError(endpoint_url="http://s3")], True),
        ([ConnectTimeoutError(endpoint_url="http://s3")], False),
        ([refused("AccessControlListNotSupported"), LOST], True),
    ],
)
async def test_an_upload_that_may_have_been_opened_without_an_answer(
    errors: list[Exception], lost: bool
) -> None:
    with pytest.raises(StorageError) as caught:
        await start_upload(Server(create=errors), TARGET, "run-1", PATIENCE)
    assert caught.value.answer_lost is lost


async def test_an_acl_that_asks_for_more_fails() -> None:
    server = Server(create=[refused("AccessControlListNotSupported")])
    with pytest.raises(StorageError, match=r"remove spec\.s3\.acl"):
        await start_upload(server, attrs.evolve(TARGET, acl="public-read"), "run-1", PATIENCE)
    assert server.called("create") == 1


async def test_an_upload_refused_with_and_without_acl_shows_the_first_answer() -> None:
    server = Server(create=[refused("InvalidArgument"), refused("InvalidStorageClass")])
    with pytest.raises(StorageError, match="InvalidArgument"):
        await start_upload(server, TARGET, "run-1", PATIENCE)


async def test_more_parts_than_the_storage_takes() -> None:
    async def endless() -> AsyncIterator[Body]:
        while True:
            yield Body([b"x"])

    upload, _ = await start_upload(Server(), TARGET, "run-1", PATIENCE)
    with pytest.raises(StorageError, match="larger than 10000 parts"):
        await upload.send(endless())
