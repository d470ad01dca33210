"""Whose archive it is stands in its metadata, and nothing of another Backup is deleted or overwritten.

Here is also what worker/archive/ownership.py and worker/clean.py promise.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from multidict import CIMultiDict

from tests.integration.provider_rules import RULES
from tests.integration.strict_peer import Opened, Stored, StrictPeer, strict_peer
from tidbbackup.model import reasons
from tidbbackup.model.contract.aftermath import Data
from tidbbackup.model.contract.result import Notice
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import start_upload
from tidbbackup.worker.archive.manifest import Manifest, encode_manifest
from tidbbackup.worker.clean import clean
from tidbbackup.worker.failure import Journal

pytestmark = pytest.mark.integration

PATIENCE = Patience(connect_timeout=20, read_timeout=20, attempts=1, part_delays=())
NOW = datetime(2026, 11, 29, tzinfo=UTC)
OURS, OTHER = "0123abcd-1111", "0123abcd-2222"


@asynccontextmanager
async def served(provider: str = "minio") -> AsyncIterator[tuple[StrictPeer, ObjectTarget]]:
    async with strict_peer(RULES[provider]) as peer:
        endpoint = f"http://127.0.0.1:{peer.port}"
        yield (
            peer,
            ObjectTarget(provider, "bucket", "k.tgz", endpoint=endpoint, pathStyle=True, acl="private"),
        )


def stored(body: bytes, uid: str = "", run: str = "") -> Stored:
    marks = {"x-amz-meta-tidbbackup-uid": uid, "x-amz-meta-tidbbackup-run": run}
    return Stored(body, CIMultiDict({name: value for name, value in marks.items() if value}))


def manifest(uid: str, **changes: Any) -> bytes:
    told: dict[str, Any] = {"key": "k.tgz", "size": 7, "sha256": "00", "commitTs": "", "run": "r"} | changes
    return encode_manifest(
        Manifest(
            uid, **told, started=NOW, finished=NOW, dumper="d", serverVersion="v", files=(), databases=()
        )
    )


ARCHIVE = b"archive"

# What is there (archive, manifest), and what of it is left by a cleaning.
CASES: dict[str, tuple[Stored | None, Stored | None, set[str]]] = {
    "ours": (stored(ARCHIVE, OURS, "r"), stored(manifest(OURS), OURS, "r"), set()),
    "ours, no manifest yet": (stored(ARCHIVE, OURS, "r"), None, set()),
    "ours, manifest alone": (None, stored(manifest(OURS), OURS, "r"), set()),
    "ours, of before uids were in the metadata": (stored(ARCHIVE, "", "r"), stored(manifest(OURS)), set()),
    "of before, archive gone already": (None, stored(manifest(OURS)), set()),
    "of another": (
        stored(ARCHIVE, OTHER, "r"),
        stored(manifest(OTHER), OTHER, "r"),
        {"k.tgz", "k.manifest.json"},
    ),
    "of another, of before": (
        stored(ARCHIVE, "", "r"),
        stored(manifest(OTHER)),
        {"k.tgz", "k.manifest.json"},
    ),
    "of another beside our manifest": (stored(ARCHIVE, OTHER, "r"), stored(manifest(OURS), OURS), {"k.tgz"}),
    "of nobody": (stored(ARCHIVE), None, {"k.tgz"}),
    "of nobody, with some manifest": (stored(ARCHIVE), stored(b"{}"), {"k.tgz", "k.manifest.json"}),
    "of nobody, our manifest tells another size": (
        stored(ARCHIVE),
        stored(manifest(OURS, size=8)),
        {"k.tgz"},
    ),
}


async def cleaned(target: ObjectTarget, data: Data) -> list[Notice]:
    """What a cleaning of our key says."""
    journal = Journal()
    async with open_client(target, AccessKeys("a", "b"), None, PATIENCE) as client:
        await clean(client, WorkerTask("b", "ns", OURS, target), journal, data)
    return journal.notices


@pytest.mark.parametrize("name", CASES)
async def test_only_what_is_ours_is_deleted(name: str) -> None:
    archive, beside, left = CASES[name]
    async with served() as (peer, target):
        found = {"k.tgz": archive, "k.manifest.json": beside}
        peer.objects = {key: each for key, each in found.items() if each}
        peer.uploads["u"] = Opened("k.tgz")
        notices = await cleaned(target, Data.DELETE)
    assert set(peer.objects) == left
    others = {notice.reason for notice in notices}
    assert others == ({reasons.KEY_TAKEN} if left else set())
    foreign = OTHER in " ".join(notice.message for notice in notices)
    assert foreign == ("of another" in name)
    assert set(peer.uploads) == ({"u"} if foreign else set())


@pytest.mark.parametrize("name", CASES)
async def test_a_cleaning_that_dies_after_any_delete_is_finished_by_the_next(name: str) -> None:
    archive, beside, left = CASES[name]
    async with served() as (peer, target):
        found = {"k.tgz": archive, "k.manifest.json": beside}
        peer.objects = {key: each for key, each in found.items() if each}
        peer.script = [("delete", "lost-reply"), ("delete", "lost-reply")]
        for _ in range(3):
            try:
                await cleaned(target, Data.DELETE)
            except StorageError:
                continue
    assert set(peer.objects) == left


LOG = {"k.tgz.log": stored(b"log", OURS)}


@pytest.mark.parametrize("data", [Data.DELETE, Data.LOG])
@pytest.mark.parametrize("uid", [OURS, OTHER, ""])
async def test_a_log_is_deleted_if_it_is_ours(uid: str, data: Data) -> None:
    async with served() as (peer, target):
        peer.objects = {"k.tgz.log": stored(b"log", uid)}
        notices = await cleaned(target, data)
    assert set(peer.objects) == ({"k.tgz.log"} if uid != OURS else set())
    assert [notice.reason for notice in notices] == [reasons.KEY_TAKEN] * (uid != OURS)


@pytest.mark.parametrize("data", [Data.KEEP, Data.DELETE_UNLESS_WHOLE])
async def test_the_log_of_a_whole_backup_stays_with_it(data: Data) -> None:
    async with served() as (peer, target):
        peer.objects = WHOLE | LOG
        assert await cleaned(target, data) == []
    assert peer.objects == WHOLE | LOG


async def test_where_a_log_alone_is_to_go_nothing_else_is_looked_for() -> None:
    """Those who may not list the bucket are denied a look at what is not there: the archive."""
    async with served() as (peer, target):
        peer.objects = LOG | {"k.tgz": stored(ARCHIVE, OURS, "r")}
        peer.uploads["u"] = Opened("k.tgz")
        assert await cleaned(target, Data.LOG) == []
    assert set(peer.objects) == {"k.tgz"}
    assert set(peer.uploads) == {"u"}


async def test_without_the_right_to_list_a_log_that_is_not_there_holds_up_no_cleaning() -> None:
    """S3 denies those a look at what is not there; backups of older versions have no log."""
    async with served() as (peer, target):
        peer.objects, peer.hides = dict(WHOLE), True
        assert await cleaned(target, Data.DELETE) == []
    assert peer.objects == {}


WHOLE = {"k.tgz": stored(ARCHIVE, OURS, "r"), "k.manifest.json": stored(manifest(OURS), OURS, "r")}
NOT_WHOLE = {
    "nothing": {},
    "no manifest yet": {"k.tgz": WHOLE["k.tgz"]},
    "the manifest of a former attempt": WHOLE | {"k.tgz": stored(ARCHIVE, OURS, "r2")},
    "the manifest of another archive": WHOLE | {"k.manifest.json": stored(manifest(OURS, size=8), OURS, "r")},
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", ["whole", *NOT_WHOLE])
async def test_unless_it_is_whole_it_is_deleted(name: str, times: int) -> None:
    async with served() as (peer, target):
        peer.objects = dict(NOT_WHOLE.get(name, WHOLE))
        peer.uploads["u"] = Opened("k.tgz")
        for _ in range(times):
            assert await cleaned(target, Data.DELETE_UNLESS_WHOLE) == []
    assert peer.objects == (WHOLE if name == "whole" else {})
    assert peer.uploads == {}


async def test_while_nobody_can_tell_whether_it_is_whole_it_stays_and_its_uploads_go() -> None:
    async with served() as (peer, target):
        peer.objects = dict(WHOLE)
        peer.uploads["u"] = Opened("k.tgz")
        peer.script = [("get", "403")]
        with pytest.raises(StorageError) as caught:
            await cleaned(target, Data.DELETE_UNLESS_WHOLE)
    assert caught.value.reason == reasons.STORAGE_REFUSED
    assert peer.objects == WHOLE
    assert peer.uploads == {}


@pytest.mark.parametrize("data", Data)
async def test_where_the_bucket_is_missing_nothing_is_left_to_do(data: Data) -> None:
    async with served() as (_, target):
        (notice,) = await cleaned(attrs.evolve(target, bucket="gone"), data)
    assert notice.reason == reasons.BUCKET_NOT_FOUND


async def bodies() -> AsyncIterator[Body]:
    yield Body([b"x"])


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (None, False),
        (stored(b"former attempt", OURS, "r0"), False),
        (stored(b"former attempt of before", "", "r0"), False),
        (stored(b"twin", OTHER, "r0"), True),
        (stored(b"by hand"), True),
    ],
)
async def test_nothing_of_another_is_overwritten(there: Stored | None, taken: bool) -> None:
    async with (
        served() as (peer, target),
        open_client(target, AccessKeys("a", "b"), None, PATIENCE) as client,
    ):
        upload, _ = await start_upload(client, target, "run", PATIENCE, uid=OURS)
        parts = await upload.send(bodies())
        peer.objects = {"k.tgz": there} if there else {}
        if taken:
            with pytest.raises(StorageError, match="is not overwritten") as caught:
                await upload.complete(parts)
            assert caught.value.reason == reasons.KEY_TAKEN
            await upload.withdraw()
            assert peer.objects == {"k.tgz": there}
            return
        await upload.complete(parts)
        await upload.write_beside(target.manifest_key, b"{}")
    for key in ("k.tgz", "k.manifest.json"):
        headers = peer.objects[key].headers
        assert headers["x-amz-meta-tidbbackup-uid"] == OURS
        assert headers["x-amz-meta-tidbbackup-run"] == "run"
        assert headers["x-amz-acl"] == "private"


@pytest.mark.parametrize("provider", ["aws", "minio", "other", "ceph"])
async def test_a_bucket_with_a_default_object_lock_takes_all(provider: str) -> None:
    async with (
        served(provider) as (peer, target),
        open_client(target, AccessKeys("a", "b"), None, PATIENCE) as client,
    ):
        peer.locked = True
        upload, _ = await start_upload(client, target, "run", PATIENCE, uid=OURS)
        await upload.complete(await upload.send(bodies()))
        await upload.write_beside(target.manifest_key, b"{}")
    assert set(peer.objects) == {"k.tgz", "k.manifest.json"}
