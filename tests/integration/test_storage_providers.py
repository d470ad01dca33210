"""Each row of the table of providers against a service as strict as that provider; swapped rows are refused.

Red means: an upload fails, or what arrives is not what was asked for.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from tests.decide.builders import backup
from tests.integration.provider_rules import RULES
from tests.integration.strict_peer import Opened, StrictPeer, strict_peer
from tidbbackup.decide.spec.storage_target import object_target, storage_notices
from tidbbackup.decide.spec.valid import problems
from tidbbackup.model import reasons
from tidbbackup.model.providers import ACLS, HARMLESS_ACLS, PROVIDERS, STORAGE_CLASSES, ObjectTarget, Provider
from tidbbackup.storage import multipart, objects, parts
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, S3Client, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import start_upload
from tidbbackup.storage.parts import PartSizes

pytestmark = pytest.mark.integration

PATIENCE = Patience(connect_timeout=3, read_timeout=10, attempts=1, part_delays=(0, 0, 0))
KEYS = AccessKeys("access", "secret")
MIB = 1 << 20
PART = 5 * MIB


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3.test` and all below it are on loopback."""
    real = socket.getaddrinfo

    def found(host: Any, *args: Any, **named: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith("s3.test") else host, *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", found)


def target_at(peer: StrictPeer, provider: str, *, options: tuple[str, ...] = (), **s3: Any) -> ObjectTarget:
    """As the controller makes it of a spec."""
    spec = {"provider": provider, "endpoint": peer.url(), "bucket": "bucket", "prefix": "ä +%/b"}
    made = backup(s3=spec | {"options": [f"--s3-chunk-size={PART}B", *options]} | s3)
    assert problems(made.spec) == ()
    return object_target(made)


async def pieces(total: int, target: ObjectTarget) -> AsyncIterator[Body]:
    """An archive of so many bytes in parts as planned for an estimate of nothing at all."""
    sizes, sent, count = PartSizes(target, 0), 0, 0
    while sent < total:
        body = bytes([count + 1]) * min(sizes.size, total - sent)
        yield Body([body])
        sizes.took(len(body))
        sent, count = sent + len(body), count + 1


async def upload(client: S3Client, target: ObjectTarget, total: int) -> None:
    opened, _ = await start_upload(client, target, "run", PATIENCE)
    try:
        await opened.abort_others()
        assert await opened.complete(await opened.send(pieces(total, target))) == total
        assert await opened.tag() == ()
        await opened.write_beside(target.manifest_key, b"{}")
    except BaseException:
        await opened.withdraw()
        raise


async def check(peer: StrictPeer, provider: str) -> None:
    """Everything in which rows differ. Raises StorageError or AssertionError where it is red."""
    assert target_at(peer, provider, endpoint="s3.test").endpoint == f"{peer.rules.scheme}://s3.test"
    plain = target_at(peer, provider, tags={"team": "shop"})
    async with open_client(plain, KEYS, patience=PATIENCE) as client:
        await upload(client, plain, PART + 1)
        stored = peer.objects[plain.key]
        assert stored.part_sizes == (PART, 1)
        assert stored.headers.get("x-amz-storage-class") == ("STANDARD_IA" if provider == "aws" else None)
        assert "x-amz-acl" not in stored.headers
        assert stored.whole_checked is peer.rules.checksums
        assert stored.tags == "team=shop"
        assert "x-amz-storage-class" not in peer.objects[plain.manifest_key].headers
        for acl in ACLS:
            await check_acl(client, peer, provider, acl)
        # An estimate that was far too small: 20 MiB fit into four parts of 5 MiB, more only where they grow.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "MAX_PARTS", 4)
            patch.setattr(multipart, "MAX_PARTS", 4)
            fits = peer.rules.unequal_parts
            with (
                contextlib.nullcontext() if fits else pytest.raises(StorageError, match="larger than 4 parts")
            ):
                await upload(client, plain, 28 * MIB)


async def check_acl(client: S3Client, peer: StrictPeer, provider: str, acl: str) -> None:
    spec = {"provider": provider, "endpoint": peer.url(), "bucket": "bucket", "acl": acl}
    made = backup(s3=spec)
    if problems(made.spec):
        assert acl not in peer.rules.acls, "an ACL that the provider takes is Invalid"
        return
    assert made.spec.s3
    target = object_target(made)
    opened, notices = await start_upload(client, target, "run", PATIENCE)
    sent = next(reversed(peer.uploads.values())).headers.get("x-amz-acl")
    await opened.withdraw()
    if sent == acl:
        return
    assert sent is None
    assert acl in HARMLESS_ACLS
    assert acl not in peer.rules.acls, "an ACL that the provider takes was left away"
    told = [notice.reason for notice in (*notices, *storage_notices(made.spec.s3))]
    assert reasons.ACL_NOT_SUPPORTED in told


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_row_does_as_its_provider_wants(provider: str) -> None:
    async with strict_peer(RULES[provider]) as peer:
        await check(peer, provider)
        assert peer.uploads == {}


# Both are Ceph and S3 to the letter: they have no quirk that the other lacks.
ALIKE = {("dreamhost", "wasabi"), ("wasabi", "dreamhost")}


def quirks(row: Provider) -> Provider:
    """What the wire shows of a row."""
    return attrs.evolve(row, name="", title="")


async def is_green(provider: str, row: Provider, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the provider's service finds nothing wrong with this row in the place of its own."""
    with monkeypatch.context() as patch:
        patch.setitem(PROVIDERS, provider, attrs.evolve(row, name=provider))
        async with strict_peer(RULES[provider]) as peer:
            try:
                await check(peer, provider)
            except (StorageError, AssertionError):
                return False
    return True


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_any_other_row_in_its_place_is_red(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [other for other in PROVIDERS if other != provider and (provider, other) not in ALIKE]
    assert len(others) >= len(PROVIDERS) - 2
    assert [other for other in others if await is_green(provider, PROVIDERS[other], monkeypatch)] == []


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_any_single_quirk_of_another_row_in_its_place_is_red(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, green, tried = PROVIDERS[provider], [], 0
    for quirk in attrs.fields(Provider):
        values = {getattr(row, quirk.name) for row in PROVIDERS.values()} - {getattr(own, quirk.name)}
        if quirk.name in ("name", "title"):
            continue
        for value in values:
            tried += 1
            if await is_green(provider, attrs.evolve(own, **{quirk.name: value}), monkeypatch):
                green.append(quirk.name)
    assert tried >= 9
    # Some services take both ways of naming a bucket.
    assert green == (["virtual_only"] if RULES[provider].bucket_in == "both" else [])


def test_no_other_rows_are_alike() -> None:
    alike = {
        (one.name, two.name)
        for one in PROVIDERS.values()
        for two in PROVIDERS.values()
        if one.name != two.name and quirks(one) == quirks(two)
    }
    assert alike == ALIKE


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_sizes_around_the_limits_of_parts(provider: str) -> None:
    async with strict_peer(RULES[provider]) as peer:
        target = target_at(peer, provider)
        async with open_client(target, KEYS, patience=PATIENCE) as client:
            for total in (0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1):
                await upload(client, target, total)
                stored = peer.objects[target.key]
                assert stored.body == b"".join([b"".join(body) async for body in pieces(total, target)])
                assert stored.whole_checked is peer.rules.checksums
            # Bytes that change on the way are noticed by the service, and sent once more.
            for fault in ("flip", "cut"):
                peer.faults = [fault, fault]
                await upload(client, target, PART + 1)
                assert peer.faults == []
                stored = peer.objects[target.key]
                assert stored.body == b"".join([b"".join(body) async for body in pieces(PART + 1, target)])


@pytest.mark.parametrize("provider", ["aws", "ceph", "alibaba"])
async def test_hundreds_of_open_uploads_and_twins_of_the_key(provider: str) -> None:
    async with strict_peer(RULES[provider]) as peer:
        target = attrs.evolve(target_at(peer, provider), key="p/b-1")
        peer.page = 40
        for number in range(100):
            peer.uploads[f"ours{number:03}"] = Opened("p/b-1")
            peer.uploads[f"twin{number:03}"] = Opened("p/b-10")
            peer.uploads[f"last{number:03}"] = Opened("p/b-1.tgz")
        async with open_client(target, KEYS, patience=PATIENCE) as client:
            assert await objects.abort_uploads(client, target, keep="ours007") == 99
        assert set(peer.aborted) == {"p/b-1"}
        assert sorted(i for i in peer.uploads if i.startswith("ours")) == ["ours007"]
        assert len(peer.uploads) == 201


@pytest.mark.parametrize("options", [(), ("--ignore-checksum",)])
async def test_what_is_asked_for_is_sent_as_it_is(options: tuple[str, ...]) -> None:
    async with strict_peer(RULES["aws"]) as peer:
        plain = target_at(peer, "aws", options=options)
        async with open_client(plain, KEYS, patience=PATIENCE) as client:
            for name in STORAGE_CLASSES:
                await upload(client, target := target_at(peer, "aws", options=options, storageClass=name), 1)
                assert peer.objects[target.key].headers["x-amz-storage-class"] == name
            for s3, sent in ENCRYPTED:
                await upload(client, target := target_at(peer, "aws", options=options, **s3), 1)
                for key in (target.key, target.manifest_key):
                    got = peer.objects[key].headers
                    assert {n: v for n, v in got.items() if "encryption" in n.lower()} == sent
            await upload(client, target := target_at(peer, "aws", tags={"team": "a b", "größe": "1+2=3"}), 1)
            tagging = peer.objects[target.key].headers["x-amz-tagging"]
            assert parse_qs(tagging, strict_parsing=True) == {"team": ["a b"], "größe": ["1+2=3"]}
        assert peer.objects[plain.key].whole_checked


SSE = "x-amz-server-side-encryption"
ENCRYPTED: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"sse": "AES256"}, {SSE: "AES256"}),
    ({"sse": "aws:kms"}, {SSE: "aws:kms"}),
    (
        {"sse": "aws:kms", "sseKmsKeyId": "arn:aws:kms:x:key/y"},
        {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "arn:aws:kms:x:key/y"},
    ),
]


async def test_many_runs_at_once_share_nothing() -> None:
    async with strict_peer(RULES["other"]) as peer:
        targets = [attrs.evolve(target_at(peer, "other"), key=f"k{n}") for n in range(8)]
        async with open_client(targets[0], KEYS, patience=PATIENCE) as client:
            await asyncio.gather(*(upload(client, target, n) for n, target in enumerate(targets)))
        assert {k: len(o.body) for k, o in peer.objects.items() if k.startswith("k") and "." not in k} == {
            f"k{n}": n for n in range(8)
        }
