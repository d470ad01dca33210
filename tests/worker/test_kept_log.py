"""The end of the log beside the archive: what of it is kept, how it is sent, and what keeps it off."""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from botocore.exceptions import ClientError

from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.model.providers import ObjectTarget
from tidbbackup.worker import kept_log
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.kept_log import MOST, LogTail, keep_log
from tidbbackup.worker.run import Limits

TARGET = ObjectTarget("aws", "bucket", "k.tgz", acl="private", storageClass="GLACIER", sse="AES256")
KEY, OURS, OTHER = "k.tgz.log", "uid-1", "uid-2"


def tail_of(*messages: str) -> LogTail:
    tail = LogTail()
    for message in messages:
        tail.handle(logging.LogRecord("tidbbackup.mydumper", logging.INFO, "", 0, message, None, None))
    return tail


def test_the_last_lines_are_kept_whole() -> None:
    text = tail_of(*(f"line {number} {'x' * 1000}" for number in range(100))).text()

    first, *_, last = text.decode().splitlines()
    assert MOST - 1100 < len(text) <= MOST
    assert "INFO tidbbackup.mydumper: line " in first
    assert "line 99 x" in last


@pytest.mark.parametrize("letter", ["x", "漢"])
def test_a_line_that_is_longer_than_all_that_is_kept_is_cut(letter: str) -> None:
    text = tail_of("the first", letter * (2 * MOST)).text()

    assert len(text) <= MOST
    assert text.decode().endswith(f"{letter}\n")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "Thread 1 dumping data for `s`.`t` where `id` >= 17 AND `id` < 4711",
            "Thread 1 dumping data for `s`.`t` where `id` >= ? AND `id` < ?",
        ),
        (
            "sql: SELECT * FROM `s`.`t` WHERE `n`>'it\\'s Ann' AND `n`<=0xE6: Error 9005: region is gone",
            "sql: SELECT * FROM `s`.`t` WHERE `n`>? AND `n`<=?: Error ?: region is gone",
        ),
        ("starting mydumper --where=id>5 --threads 4", "starting mydumper --where=id>5 --threads 4"),
        ("Table 's.t7' has 12 rows", "Table 's.t7' has 12 rows"),
    ],
)
def test_values_of_rows_are_left_out(said: str, kept: str) -> None:
    """A dumper tells the piece of a table that it reads by a condition, whose values are those of rows."""
    assert tail_of(said).text().decode().endswith(f": {kept}\n")


def test_a_line_that_cannot_be_written_does_not_fail_who_logs_it() -> None:
    tail = tail_of("one")
    tail.handle(logging.LogRecord("x", logging.INFO, "", 0, "%d", ("no number",), None))
    assert tail.text().decode().count("\n") == 1


@attrs.define
class Bucket:
    """One bucket: the uid of the log that is there, what it refuses, and what was written into it."""

    there: str = ""
    refused: dict[str, tuple[int, str]] = attrs.field(factory=dict)
    """Status and code, by the name of the call; `ACL`: of a request with one."""
    silent: bool = False
    written: dict[str, Any] = attrs.field(factory=dict)

    @asynccontextmanager
    async def open_client(self, *_: object) -> AsyncIterator["Bucket"]:
        yield self

    async def head_object(self, **_: object) -> dict[str, Any]:
        await self._judged("head")
        if not self.there:
            raise refusal(404, "404")
        return {"ContentLength": 1, "Metadata": {"tidbbackup-uid": self.there}}

    async def get_object(self, **_: object) -> dict[str, Any]:
        await self._judged("get")
        raise refusal(404, "NoSuchKey")

    async def put_object(self, **told: Any) -> dict[str, Any]:
        await self._judged("put")
        if "ACL" in told:
            await self._judged("ACL")
        self.written = told
        return {"ETag": "x"}

    async def _judged(self, call: str) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if call in self.refused:
            raise refusal(*self.refused[call])


def refusal(status: int, code: str) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Call")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    found = Bucket()
    monkeypatch.setattr(kept_log, "open_client", found.open_client)
    return found


async def kept() -> bool:
    folder, keys = Path("/nowhere"), {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    task = WorkerTask("demo", "ns", OURS, TARGET)
    env = Environment(task, folder, folder, folder, folder, folder, "", None, keys)
    return await keep_log(env, tail_of("it ended"), Limits())


async def test_it_is_sent_as_the_manifest_is(bucket: Bucket) -> None:
    """With its encryption, ACL and uid, in the bucket's default class: it has to be read at once."""
    assert await kept()

    body = bucket.written["Body"]
    assert body.endswith(b"it ended\n")
    assert bucket.written == {
        "Bucket": "bucket",
        "Key": KEY,
        "Body": body,
        "ContentType": "text/plain; charset=utf-8",
        "ContentMD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        "ACL": "private",
        "Metadata": {"tidbbackup-uid": OURS},
        "ServerSideEncryption": "AES256",
    }


async def test_the_log_of_a_former_attempt_is_overwritten(bucket: Bucket) -> None:
    bucket.there = OURS
    assert await kept()
    assert bucket.written["Key"] == KEY


async def test_the_log_of_another_backup_is_not(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    bucket.there = OTHER
    assert not await kept()
    assert bucket.written == {}
    assert f"{KEY} is another Backup's" in caplog.text


async def test_those_who_may_not_list_the_bucket_may_write_it(bucket: Bucket) -> None:
    """They are denied a look at what is not there."""
    bucket.refused = {"head": (403, "403"), "get": (403, "AccessDenied")}
    assert await kept()
    assert bucket.written["Key"] == KEY


async def test_an_acl_that_the_storage_does_not_take_is_left_out(bucket: Bucket) -> None:
    bucket.refused = {"ACL": (400, "AccessControlListNotSupported")}
    assert await kept()
    assert "ACL" not in bucket.written


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [("put", 403, "AccessDenied"), ("put", 404, "NoSuchBucket"), ("head", 503, "SlowDown")],
)
async def test_a_bucket_that_takes_no_log_is_told_and_raises_nothing(
    bucket: Bucket, caplog: pytest.LogCaptureFixture, call: str, status: int, code: str
) -> None:
    bucket.refused = {call: (status, code)}
    assert not await kept()
    assert "this log is not kept: " in caplog.text


@pytest.mark.looptime
async def test_a_storage_that_keeps_silent_is_waited_for_some_seconds(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.silent = True
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert not await kept()
    assert loop.time() - began == Limits().keep_log == 10
    assert "this log is not kept: the storage did not take it within 10 s" in caplog.text
