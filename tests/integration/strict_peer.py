"""An S3 service in memory that is as strict as the strictest of its kind, over HTTP on loopback.

Its rules are written down here by hand, from the providers' documentation and not from our own table: it
is what that table is held against. It refuses whatever a provider does not document, checks every digest
that comes along, and remembers what it was asked. It checks no signatures: real servers do.
"""

import asyncio
import base64
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlencode

from aiohttp import web
from attrs import define, field
from multidict import CIMultiDict

from tests.cluster.relay import reset
from tests.integration.impostors import Impostor
from tests.integration.provider_rules import Rules

# All but these are refused: no lists of objects, in neither version, nor anything about encoding.
_QUERIES = ({"uploads"}, {"uploads", "prefix"}, {"uploads", "prefix", "key-marker", "upload-id-marker"})


class Refusal(Exception):
    """An answer of S3 that is an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@define
class Opened:
    """A multipart upload."""

    key: str
    headers: CIMultiDict[str] = field(factory=CIMultiDict)
    parts: dict[int, bytes] = field(factory=dict)


@define
class Stored:
    """An object and how it came."""

    body: bytes
    headers: CIMultiDict[str]
    tags: str = ""
    """As a query."""
    whole_checked: bool = False
    part_sizes: tuple[int, ...] = ()


@define
class StrictPeer:
    """The service, with one bucket called `bucket`."""

    rules: Rules
    port: int = 0
    uploads: dict[str, Opened] = field(factory=dict)
    objects: dict[str, Stored] = field(factory=dict)
    aborted: list[str] = field(factory=list)
    faults: list[str] = field(factory=list)
    """What happens to the next bodies on their way: `flip` a bit, `cut` the end."""
    script: list[tuple[str, str]] = field(factory=list)
    """Troubles to come: kind of request (`create`, `part`, `complete`, `head`, `put`), and what happens to
    the next one of it: a status, `error-in-200`, `reset` or `hang` before it is carried out, `lost-reply`
    after, or `late`: carried out when `resume` is set, whatever comes in between. Each happens once."""
    under_way: asyncio.Event = field(factory=asyncio.Event)
    """What is late has begun."""
    resume: asyncio.Event = field(factory=asyncio.Event)
    resumed: asyncio.Event = field(factory=asyncio.Event)
    """What was late is done."""
    impostor: Impostor | None = None
    """Stands where the service should: it answers every request."""
    locked: bool = False
    """The bucket has a default object lock: each object and part has to bring a digest."""
    hides: bool = False
    """HEAD of what is not there is answered as S3 does to those who may not list the bucket."""
    page: int = 1000
    accepted: dict[str, str] | None = None
    """Session token by access key; None takes any. What is not in it is refused."""
    keys: list[str] = field(factory=list)
    """The access key of each request."""

    def url(self) -> str:
        """The endpoint; `*.s3.test` has to lead to loopback."""
        return f"http://s3.test:{self.port}"

    async def answer(self, request: web.Request) -> web.Response:
        """Any request."""
        if self.impostor:
            await request.read()
            return self.impostor.answer()
        trouble = self._trouble(request)
        try:
            if trouble == "hang":
                # What is not read no time-out of the client covers while it is sent.
                await request.read()
                await asyncio.Event().wait()
            if trouble == "reset":
                reset(request.transport)
            if trouble == "error-in-200":
                text = "<Error><Code>InternalError</Code><Message>later</Message></Error>"
                return web.Response(text=text, content_type="application/xml")
            if trouble.isdigit():
                raise Refusal(int(trouble), "SlowDown" if trouble == "503" else "InternalError")
            if trouble == "late":
                return await self._late(request)
            answer = await self._answer(request)
            if trouble == "lost-reply":
                reset(request.transport)
            return answer
        except Refusal as refusal:
            text = f"<Error><Code>{refusal.code}</Code><Message>strict</Message></Error>"
            return web.Response(status=refusal.status, text=text, content_type="application/xml")

    async def _late(self, request: web.Request) -> web.Response:
        """An upload that is being completed: a second Complete and an abort do not find it any more."""
        await request.read()
        upload_id = request.query["uploadId"]
        upload = self.uploads.pop(upload_id)
        self.under_way.set()
        await self.resume.wait()
        self.uploads[upload_id] = upload
        answer = await self._answer(request)
        self.resumed.set()
        return answer

    def _trouble(self, request: web.Request) -> str:
        kind = _kind(request)
        for entry in self.script:
            if entry[0] == kind:
                self.script.remove(entry)
                return entry[1]
        return ""

    async def _answer(self, request: web.Request) -> web.Response:
        body = self._on_its_way(await request.read())
        self._check_identity(request.headers)
        key = self._key(request)
        # The client gives every PutObjectTagging a checksum, which a real Ceph was seen to take.
        if "tagging" not in request.query:
            self._check_headers(request.headers, body)
        query = request.query
        match request.method:
            case "POST" if "uploads" in query:
                return self._create(key, request)
            case "PUT" if self.locked and not {"content-md5", "x-amz-checksum-crc32"} & {
                name.lower() for name in request.headers
            }:
                raise Refusal(400, "InvalidRequest")
            case "PUT" if "partNumber" in query:
                return self._part(query["uploadId"], int(query["partNumber"]), body)
            case "POST" if "uploadId" in query:
                return self._complete(query["uploadId"], request, body)
            case "DELETE" if "uploadId" in query:
                return self._abort(query["uploadId"])
            case "GET" if set(query) in _QUERIES and not key:
                return self._list(request)
            case "PUT" if "tagging" in query:
                return self._tag(key, body)
            case "PUT":
                self.objects[key] = Stored(body, CIMultiDict(request.headers))
                return web.Response(headers={"ETag": '"x"'})
            case "HEAD" if key in self.objects:
                return self._head(self.objects[key])
            case "HEAD":
                return web.Response(status=403 if self.hides else 404)
            case "GET" if key in self.objects:
                return self._get(self.objects[key])
            case "GET":
                raise Refusal(403 if self.hides else 404, "AccessDenied" if self.hides else "NoSuchKey")
            case "DELETE":
                self.objects.pop(key, None)
                return web.Response(status=204)
        raise Refusal(501, "NotImplemented")

    def _check_identity(self, headers: Mapping[str, str]) -> None:
        signed = re.search(r"Credential=([^/]+)/", headers.get("Authorization", ""))
        self.keys.append(signed[1] if signed else "")
        if self.accepted is None:
            return
        if self.keys[-1] not in self.accepted:
            raise Refusal(403, "InvalidAccessKeyId")
        if headers.get("x-amz-security-token", "") != self.accepted[self.keys[-1]]:
            raise Refusal(400, "ExpiredToken")

    def _key(self, request: web.Request) -> str:
        path = unquote(request.raw_path.partition("?")[0]).removeprefix("/")
        by_host = request.host.startswith("bucket.")
        if by_host and self.rules.bucket_in == "path":
            raise Refusal(404, "NoSuchBucket")
        if not by_host and self.rules.bucket_in == "host":
            raise Refusal(403, "SecondLevelDomainForbidden")
        if by_host:
            return path
        bucket, _, key = path.partition("/")
        if bucket != "bucket":
            raise Refusal(404, "NoSuchBucket")
        return key

    def _on_its_way(self, body: bytes) -> bytes:
        if not body or not self.faults:
            return body
        if self.faults.pop(0) == "cut":
            return body[:-1]
        return bytes([body[0] ^ 1]) + body[1:]

    def _check_headers(self, headers: Mapping[str, str], body: bytes) -> None:
        for name in headers:
            found = re.fullmatch(r"x-amz-(.*)", name.lower())
            if found and found[1].split("-")[0] in ("sdk", "trailer", "decoded"):
                raise Refusal(501, "NotImplemented")
            if found and found[1].startswith("checksum-") and not self.rules.checksums:
                raise Refusal(501, "NotImplemented")
            if name.lower() == "content-encoding":
                raise Refusal(400, "InvalidArgument")
        acl = headers.get("x-amz-acl")
        if acl is not None and acl not in self.rules.acls:
            raise Refusal(400, "InvalidArgument")
        kept = headers.get("x-amz-storage-class")
        if kept is not None and kept not in self.rules.classes:
            raise Refusal(400, "InvalidStorageClass")
        signed = headers.get("x-amz-content-sha256", "")
        if len(signed) == 64 and signed != hashlib.sha256(body).hexdigest():
            raise Refusal(400, "XAmzContentSHA256Mismatch")
        md5 = headers.get("content-md5")
        if md5 is not None and md5 != base64.b64encode(hashlib.md5(body).digest()).decode():  # noqa: S324
            raise Refusal(400, "BadDigest")
        crc = headers.get("x-amz-checksum-crc32")
        if crc is not None and b"<CompleteMultipartUpload" not in body[:200] and crc != crc_of(body):
            raise Refusal(400, "BadDigest")

    def _create(self, key: str, request: web.Request) -> web.Response:
        upload_id = f"u{len(self.uploads) + len(self.aborted)}"
        self.uploads[upload_id] = Opened(key, CIMultiDict(request.headers))
        text = f"<R><Bucket>bucket</Bucket><Key>k</Key><UploadId>{upload_id}</UploadId></R>"
        promised = ("x-amz-checksum-algorithm", "x-amz-checksum-type")
        echoed = {name: request.headers[name] for name in promised if name in request.headers}
        return web.Response(text=text, content_type="application/xml", headers=echoed)

    def _part(self, upload_id: str, number: int, body: bytes) -> web.Response:
        if number > self.rules.most_parts:
            raise Refusal(400, "InvalidArgument")
        self._opened(upload_id).parts[number] = body
        return web.Response(headers={"ETag": f'"e{number}"'})

    def _opened(self, upload_id: str) -> Opened:
        if upload_id not in self.uploads:
            raise Refusal(404, "NoSuchUpload")
        return self.uploads[upload_id]

    def _complete(self, upload_id: str, request: web.Request, body: bytes) -> web.Response:
        opened = self._opened(upload_id)
        numbers = [int(n) for n in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        if not numbers or numbers != sorted(opened.parts):
            raise Refusal(400, "InvalidPart")
        sizes = tuple(len(opened.parts[number]) for number in numbers)
        if any(size < self.rules.least_part for size in sizes[:-1]):
            raise Refusal(400, "EntityTooSmall")
        if not self.rules.unequal_parts and (len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]):
            raise Refusal(400, "InvalidPart")
        whole = b"".join(opened.parts[number] for number in numbers)
        crc = request.headers.get("x-amz-checksum-crc32")
        if crc is not None and crc != crc_of(whole):
            raise Refusal(400, "BadDigest")
        del self.uploads[upload_id]
        tags = opened.headers.get("x-amz-tagging", "") if self.rules.upload_tags else ""
        self.objects[opened.key] = Stored(whole, opened.headers, tags, crc is not None, sizes)
        return web.Response(text="<R><ETag>x</ETag></R>", content_type="application/xml")

    def _tag(self, key: str, body: bytes) -> web.Response:
        if self.objects[key].tags:
            raise Refusal(400, "InvalidRequest")
        pairs = re.findall(r"<Key>(.*?)</Key><Value>(.*?)</Value>", body.decode())
        self.objects[key].tags = urlencode(pairs)
        return web.Response()

    def _abort(self, upload_id: str) -> web.Response:
        self.aborted.append(self._opened(upload_id).key)
        del self.uploads[upload_id]
        return web.Response(status=204)

    def _list(self, request: web.Request) -> web.Response:
        after = (request.query.get("key-marker", ""), request.query.get("upload-id-marker", ""))
        prefix = request.query.get("prefix", "")
        found = sorted((o.key, i) for i, o in self.uploads.items() if o.key.startswith(prefix))
        rest = [each for each in found if each > after]
        shown, more = rest[: self.page], len(rest) > self.page
        listed = "".join(f"<Upload><Key>{k}</Key><UploadId>{i}</UploadId></Upload>" for k, i in shown)
        marks = ""
        if more:
            key, upload_id = shown[-1]
            marks = (
                f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{upload_id}</NextUploadIdMarker>"
            )
        text = f"<R><Bucket>bucket</Bucket><IsTruncated>{str(more).lower()}</IsTruncated>{marks}{listed}</R>"
        return web.Response(text=text, content_type="application/xml")

    def _head(self, stored: Stored) -> web.Response:
        headers = {n: v for n, v in stored.headers.items() if n.lower().startswith("x-amz-meta-")}
        return web.Response(headers=headers | {"ETag": '"x"', "Content-Length": str(len(stored.body))})

    def _get(self, stored: Stored) -> web.Response:
        return web.Response(body=stored.body, headers=self._head(stored).headers)


def _kind(request: web.Request) -> str:
    if request.method == "POST":
        return "create" if "uploads" in request.query else "complete"
    return "part" if "partNumber" in request.query else request.method.lower()


def crc_of(body: bytes) -> str:
    """CRC32 as S3 writes it."""
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@asynccontextmanager
async def strict_peer(rules: Rules) -> AsyncIterator[StrictPeer]:
    """Start the service on a free port."""
    peer = StrictPeer(rules)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{any:.*}", peer.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        peer.port = runner.addresses[0][1]
        yield peer
    finally:
        await runner.cleanup()
