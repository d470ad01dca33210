"""The upload of a run when the storage is there, is not, or takes a request and loses the answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from tests.storage.test_multipart import LOST, Server, refused
from tests.worker.test_main import environ
from tidbbackup.model import reasons
from tidbbackup.storage.errors import StorageError
from tidbbackup.worker.environment import read_environment
from tidbbackup.worker.failure import Journal
from tidbbackup.worker.pipeline.open_upload import open_upload
from tidbbackup.worker.run import Limits, Run, read_login

NOBODY = EndpointConnectionError(endpoint_url="http://s3", error=OSError("refused"))


@define
class Bucket(Server):
    """Keeps a list of the open uploads of the key, and may lose the answer to an opening."""

    open: list[str] = field(factory=list)
    asked: list[Exception | None] = field(factory=list)
    """What becomes of the next questions for open uploads."""
    loses: int = 0

    async def create_multipart_upload(self, **call: Any) -> dict[str, Any]:
        self.open.append(f"u{len(self.calls)}")
        if self.loses:
            self.loses -= 1
            self.create.insert(0, LOST)
        answer = await Server.create_multipart_upload(self, **call)
        return {**answer, "UploadId": self.open[-1]}

    async def abort_multipart_upload(self, **call: Any) -> None:
        self.open.remove(call["UploadId"])

    def get_paginator(self, _: str) -> "Bucket":
        return self

    async def paginate(self, **_: Any) -> AsyncIterator[dict[str, Any]]:
        if error := self.asked.pop(0) if self.asked else None:
            raise error
        yield {"Uploads": [{"UploadId": each, "Key": "k.tgz"} for each in self.open]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    env = read_environment(environ(tmp_path, {"DB_PASSWORD": "x"}))
    return Run(env, Journal(), Limits(), read_login(env))


async def test_what_an_earlier_run_left_open_is_aborted(run: Run) -> None:
    bucket = Bucket(open=["of an earlier run"])
    async with open_upload(bucket, run):
        assert bucket.open == ["u0"]
    assert not run.journal.upload_left_open


async def test_without_the_right_to_look_for_them_the_run_goes_on(run: Run) -> None:
    bucket = Bucket(open=["of an earlier run"], asked=[refused("AccessDenied", 403)])
    async with open_upload(bucket, run):
        assert len(bucket.open) == 2


async def test_where_nobody_answers_nothing_is_opened(run: Run) -> None:
    """Its Backup can be deleted at once: nothing can be cleaned there, and nothing needs to be."""
    bucket = Bucket(asked=[NOBODY])
    with pytest.raises(StorageError, match=r"check spec\.s3\.endpoint"):
        async with open_upload(bucket, run):
            pass
    assert bucket.called("create") == 0
    assert not run.journal.upload_left_open


async def test_an_upload_whose_answer_was_lost_is_aborted(run: Run) -> None:
    bucket = Bucket(loses=1)
    with pytest.raises(StorageError, match="starting the upload"):
        async with open_upload(bucket, run):
            pass
    assert bucket.open == []
    assert not run.journal.upload_left_open


async def test_an_upload_whose_answer_was_lost_and_that_cannot_be_aborted_is_told(run: Run) -> None:
    bucket = Bucket(loses=1, asked=[None, ConnectionClosedError(endpoint_url="http://s3")])
    with pytest.raises(StorageError, match="starting the upload"):
        async with open_upload(bucket, run):
            pass
    assert bucket.open == ["u0"]
    assert run.journal.upload_left_open


@define
class Twice(Bucket):
    """Loses the answer to an opening, whereupon the client asks again by itself, as botocore does."""

    loses: int = 1
    hangs: bool = False
    """Whether the question for duplicates, the second of all, is never answered."""
    hanging: asyncio.Event = field(factory=asyncio.Event)

    async def create_multipart_upload(self, **call: Any) -> dict[str, Any]:
        try:
            return await Bucket.create_multipart_upload(self, **call)
        except ConnectionClosedError:
            return await Bucket.create_multipart_upload(self, **call)

    async def paginate(self, **call: Any) -> AsyncIterator[dict[str, Any]]:
        if self.hangs and self.open:
            self.hangs = False
            self.hanging.set()
            await asyncio.Event().wait()
        async for page in Bucket.paginate(self, **call):
            yield page


DENIED = refused("AccessDenied", 403)


async def test_the_twin_of_an_upload_whose_first_answer_was_lost_is_aborted(run: Run) -> None:
    bucket = Twice()
    async with open_upload(bucket, run):
        assert bucket.open == ["u1"]
    assert not run.journal.upload_left_open
    assert run.journal.notices == []


async def test_a_run_that_is_ended_while_twins_are_looked_for_takes_them_back(run: Run) -> None:
    bucket = Twice(hangs=True)

    async def use() -> None:
        async with open_upload(bucket, run):
            pass

    running = asyncio.create_task(use())
    await bucket.hanging.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bucket.open == []
    assert not run.journal.upload_left_open


@pytest.mark.parametrize("error", [DENIED, NOBODY])
async def test_a_twin_that_nobody_can_abort_is_told(run: Run, error: Exception) -> None:
    bucket = Twice(asked=[None, error, error])
    with pytest.raises((KeyError, StorageError)):
        async with open_upload(bucket, run):
            raise KeyError("what else may go wrong")
    assert bucket.open == ["u0"]
    assert run.journal.upload_left_open


async def test_a_twin_beside_a_backup_that_is_complete_is_told_too(run: Run) -> None:
    bucket = Twice(asked=[None, DENIED])
    async with open_upload(bucket, run):
        pass
    assert [notice.reason for notice in run.journal.notices] == [reasons.UPLOAD_LEFT_OPEN]
    assert run.journal.upload_left_open, "the deletion of the Backup aborts it"
