"""Every request against every server that is not S3: what it answers proves nothing.

Each operation ends as StorageUnreachable, and none is taken for done or for absent.

Here is also what storage/objects.py promises.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from io import StringIO

import pytest

from tests.integration.impostors import IMPOSTORS, Impostor
from tests.integration.provider_rules import RULES
from tests.integration.strict_peer import StrictPeer, strict_peer
from tidbbackup import verify
from tidbbackup.model import reasons
from tidbbackup.model.contract import aftermath
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import TASK_VARIABLE, WorkerTask, encode_task
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.place import Place
from tidbbackup.storage import objects
from tidbbackup.storage.body import Body
from tidbbackup.storage.client import AccessKeys, Patience, S3Client, open_client
from tidbbackup.storage.completion import Part
from tidbbackup.storage.download import download
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.multipart import Upload, start_upload
from tidbbackup.storage.objects import ObjectHead
from tidbbackup.worker.aftermath import aftermath as do
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import Journal
from tidbbackup.worker.run import Limits

pytestmark = pytest.mark.integration

PATIENCE = Patience(connect_timeout=20, read_timeout=20, attempts=1, part_delays=())
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
IMPOSTOR = pytest.mark.parametrize("impostor", IMPOSTORS)

PART = (Part(1, 1, '"e1"', zlib.crc32(b"x")),)

Operation = Callable[[S3Client, ObjectTarget, Upload], Awaitable[object]]


async def bodies() -> AsyncIterator[Body]:
    yield Body([b"x"])


async def downloaded(client: S3Client, target: ObjectTarget, _: Upload) -> None:
    async with aclosing(download(client, target, ObjectHead(1, etag='"e1"'), PATIENCE)) as pieces:
        async for _piece in pieces:
            pass


OPERATIONS: dict[str, Operation] = {
    "head": lambda c, t, u: objects.head(c, t, t.key),
    "read": lambda c, t, u: objects.read(c, t, t.key),
    "download": downloaded,
    "delete": lambda c, t, u: objects.delete(c, t, t.key),
    "open uploads": lambda c, t, u: objects.open_uploads(c, t),
    "abort": lambda c, t, u: objects.abort_upload(c, t, "u0"),
    "abort all": lambda c, t, u: objects.abort_uploads(c, t),
    "abort others": lambda c, t, u: u.abort_others(),
    "start": lambda c, t, u: start_upload(c, t, "other", PATIENCE),
    "part": lambda c, t, u: u.send(bodies()),
    "complete": lambda c, t, u: u.complete(PART),
    "write beside": lambda c, t, u: u.write_beside(t.manifest_key, b"{}"),
    "withdraw": lambda c, t, u: u.withdraw(),
}


@asynccontextmanager
async def served() -> AsyncIterator[tuple[StrictPeer, ObjectTarget]]:
    async with strict_peer(RULES["minio"]) as peer:
        endpoint = f"http://127.0.0.1:{peer.port}"
        yield peer, ObjectTarget("minio", "bucket", "k.tgz", endpoint=endpoint, pathStyle=True)


@IMPOSTOR
async def test_no_request_believes_an_impostor(impostor: str) -> None:
    wrong: dict[str, str] = {}
    async with (
        served() as (peer, target),
        open_client(target, AccessKeys("a", "b"), None, PATIENCE) as client,
    ):
        for name, operation in OPERATIONS.items():
            peer.impostor = None
            upload, _ = await start_upload(client, target, name, PATIENCE)
            await upload.send(bodies())
            peer.impostor = IMPOSTORS[impostor]
            try:
                told = f"returned {await operation(client, target, upload)!r}"
            except StorageError as error:
                told = "" if error.reason == reasons.STORAGE_UNREACHABLE else f"{error.reason}: {error}"
            if told:
                wrong[name] = told
    assert wrong == {}


@IMPOSTOR
@pytest.mark.parametrize("part", [aftermath.Part.INSPECT, aftermath.Part.CLEAN])
async def test_no_job_believes_an_impostor(part: aftermath.Part, impostor: str) -> None:
    async with served() as (peer, target):
        peer.impostor = IMPOSTORS[impostor]
        asked = aftermath.Aftermath((part,), aftermath.Data.DELETE)
        task = WorkerTask("b", "ns", "uid", target, aftermath=asked)
        env = read_environment({TASK_VARIABLE: encode_task(task), **KEYS})
        ended = await do(env, Journal(), Limits(patience=PATIENCE), lambda: datetime.now(UTC))
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, reasons.STORAGE_UNREACHABLE)


@IMPOSTOR
async def test_verify_does_not_believe_an_impostor(impostor: str) -> None:
    async with served() as (peer, target):
        peer.impostor = IMPOSTORS[impostor]
        place = Place("minio", target.endpoint)
        out, err = StringIO(), StringIO()
        code = await asyncio.to_thread(verify.verify, target.url, place, KEYS, out, err, PATIENCE)
    assert code == verify.FAILED
    assert "not as S3" in err.getvalue()
    assert "there is no" not in err.getvalue()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_goes_where_a_redirect_leads(status: int) -> None:
    async with served() as (peer, target), strict_peer(RULES["minio"]) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/bucket/k.tgz"
        async with open_client(target, AccessKeys("a", "b"), None, PATIENCE) as client:
            upload, _ = await start_upload(client, target, "run", PATIENCE)
            peer.impostor = Impostor(status, headers=(("Location", location),))
            for operation in OPERATIONS.values():
                with pytest.raises(StorageError, match="not as S3"):
                    await operation(client, target, upload)
    assert elsewhere.keys == []
