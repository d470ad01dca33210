"""An upload whose storage is in trouble: what passes is waited for, what does not is told as it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
from botocore.retries.standard import ExponentialBackoff

from tests.integration.provider_rules import RULES
from tests.integration.strict_peer import StrictPeer, strict_peer
from tidbbackup.model import reasons
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage import objects
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, S3Client, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import UploadCounter, start_upload

pytestmark = pytest.mark.integration

# No second try inside the client: each trouble is then met by a round.
PATIENCE = Patience(connect_timeout=2, read_timeout=0.5, attempts=1, part_delays=(0.01,) * 4)
KEYS = AccessKeys("access", "secret")
PART = 5 << 20


@asynccontextmanager
async def in_trouble(
    *script: tuple[str, str], patience: Patience = PATIENCE
) -> AsyncIterator[tuple[StrictPeer, S3Client, ObjectTarget]]:
    async with strict_peer(RULES["aws"]) as peer:
        endpoint = f"http://127.0.0.1:{peer.port}"
        target = ObjectTarget("aws", "bucket", "k.tgz", endpoint=endpoint, pathStyle=True)
        peer.script = list(script)
        async with open_client(target, KEYS, patience=patience) as client:
            yield peer, client, target


async def bodies() -> AsyncIterator[Body]:
    for body in (b"a" * PART, b"b" * PART, b"c"):
        yield Body([body[:1000], body[1000:]])


async def upload(client: S3Client, target: ObjectTarget) -> None:
    opened, _ = await start_upload(client, target, "run", PATIENCE)
    try:
        await opened.complete(await opened.send(bodies()))
    except StorageError:
        await opened.withdraw()
        raise


@pytest.mark.parametrize("trouble", ["500", "503", "reset", "hang", "lost-reply"])
@pytest.mark.parametrize("attempts", [1, Patience().attempts])
async def test_a_part_is_sent_again_with_the_same_bytes(
    attempts: int, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a round of ours, with a body of its own, or by the client, which rewinds the one that it has."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    contents = [b"a" * PART, b"b" * PART, b"c"]

    async def parts() -> AsyncIterator[Body]:
        for content in contents:
            yield Body([content[:1000], content[1000:]])

    patience = attrs.evolve(PATIENCE, attempts=attempts)
    script = [("part", trouble)] * 3
    async with in_trouble(*script, patience=patience) as (peer, client, target):
        counter = UploadCounter()
        opened, _ = await start_upload(client, target, "run", patience, counter)
        await opened.complete(await opened.send(parts()))
        assert peer.objects[target.key].body == b"".join(contents)
        assert peer.objects[target.key].whole_checked
        assert counter.parts == 3
        # aiohttp itself sends a PUT once more where a connection that was in use before is lost.
        assert (1 if attempts == 1 else 0) <= counter.retries <= 3
        assert peer.script == []


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize("trouble", ["500", "503", "error-in-200", "reset", "hang", "lost-reply"])
async def test_completing_is_settled_by_what_is_there(trouble: str, hides: bool) -> None:
    """Completed or not, and whatever the answer: one whole object, and no failure."""
    async with in_trouble(("complete", trouble), ("head", "500"), ("complete", trouble)) as found:
        peer, client, target = found
        peer.hides = hides
        await upload(client, target)
        assert len(peer.objects[target.key].body) == 2 * PART + 1
        assert peer.uploads == {}


@pytest.mark.parametrize("hides", [False, True])
async def test_completing_that_never_succeeds_leaves_nothing(hides: bool) -> None:
    async with in_trouble(*[("complete", "error-in-200")] * 9) as (peer, client, target):
        peer.hides = hides
        with pytest.raises(StorageError, match="InternalError: later") as caught:
            await upload(client, target)
        assert caught.value.reason == reasons.UPLOAD_FAILED
        assert (peer.objects, peer.uploads) == ({}, {})


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize("ends", ["silence", "no such upload", "sigterm"])
async def test_an_archive_that_may_yet_appear_is_left_to_the_cleaner(ends: str, hides: bool) -> None:
    """Completing thousands of parts takes minutes, and what is under way no abort may stop."""
    async with in_trouble(("complete", "late")) as (peer, client, target):
        peer.hides = hides
        few = () if ends == "silence" else (0.01,)
        patience = attrs.evolve(PATIENCE, part_delays=few)
        opened, _ = await start_upload(client, target, "run", patience)
        parts = await opened.send(bodies())
        completing = asyncio.create_task(opened.complete(parts))
        if ends == "sigterm":
            await peer.under_way.wait()
            completing.cancel()
        with pytest.raises((StorageError, asyncio.CancelledError)):
            await completing
        with pytest.raises(StorageError, match="may yet appear"):
            await opened.withdraw()

        peer.resume.set()
        await peer.resumed.wait()
        assert target.key in peer.objects


async def test_a_part_that_never_succeeds_leaves_nothing() -> None:
    async with in_trouble(*[("part", "503")] * 99) as (peer, client, target):
        with pytest.raises(StorageError, match=r"SlowDown: strict \(HTTP 503\)") as caught:
            await upload(client, target)
        assert caught.value.reason == reasons.UPLOAD_FAILED
        assert (peer.objects, peer.uploads) == ({}, {})


async def test_another_runs_object_is_no_success_of_ours() -> None:
    """Another worker of the same Backup has aborted it meanwhile, and written the key."""
    async with in_trouble() as (peer, client, target):
        opened, _ = await start_upload(client, target, "run-1", PATIENCE)
        parts = await opened.send(bodies())
        await objects.abort_uploads(client, target)
        other, _ = await start_upload(client, target, "run-2", PATIENCE)
        await other.complete(await other.send(bodies()))
        with pytest.raises(StorageError, match="NoSuchUpload"):
            await opened.complete(parts)
        await opened.withdraw()
        assert target.key in peer.objects


async def test_keys_that_expire_halfway_are_told_as_that_at_once() -> None:
    async with in_trouble() as (peer, client, target):
        opened, _ = await start_upload(client, target, "run", PATIENCE)
        peer.accepted = {"access": "another"}
        with pytest.raises(StorageError, match="the session token has expired") as caught:
            await opened.send(bodies())
        assert caught.value.reason == reasons.CREDENTIALS_REFUSED
        peer.accepted = None
        await opened.withdraw()
        assert peer.uploads == {}


async def test_a_storage_that_takes_no_more_bytes_is_noticed() -> None:
    """Its window is shut: nothing is refused, nothing answers, and no time-out of the client counts."""
    release = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0, limit=1024)
    impatient = attrs.evolve(PATIENCE, slowest=64 << 20, part_delays=())
    try:
        async with in_trouble() as (_, known, target):
            opened, _ = await start_upload(known, target, "run", impatient)
        port = server.sockets[0].getsockname()[1]
        target = attrs.evolve(target, endpoint=f"http://127.0.0.1:{port}")
        async with open_client(target, KEYS, patience=impatient) as client:
            opened._client = client

            async def large() -> AsyncIterator[Body]:
                yield Body([bytes(64 << 20)])

            with pytest.raises(StorageError, match="67108864 bytes were not taken within 2 s") as caught:
                await opened.send(large())
            assert caught.value.reason == reasons.STORAGE_UNREACHABLE
    finally:
        release.set()
        server.close()
        await server.wait_closed()
