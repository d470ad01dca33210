"""The end of the worker's and the dumper's log, kept beside the archive: a pod's log is deleted with its Job.

Whatever becomes of it, the run has ended as it has. Must not know how a run ends.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque

from tidbbackup.logs import PlainLines
from tidbbackup.model import reasons
from tidbbackup.model.contract.task import WorkerTask
from tidbbackup.storage import objects
from tidbbackup.storage.client import S3Client, access_keys_from, open_client
from tidbbackup.storage.errors import StorageError
from tidbbackup.storage.objects import UID_METADATA
from tidbbackup.storage.opening import ACL_REFUSED
from tidbbackup.worker.archive.ownership import log_there
from tidbbackup.worker.environment import Environment
from tidbbackup.worker.run import Limits

log = logging.getLogger(__name__)

MOST = 64 << 10
"""Bytes that are kept."""
_CONDITION = re.compile(r"(?i)\swhere\s.*", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\b\d\w*")


class LogTail(logging.Handler):
    """Remembers the last lines of the log, at most MOST bytes.

    A dumper reads a large table in pieces, and tells by a condition which one: its values are those of rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(PlainLines())
        self._lines = deque[bytes]()
        self._size = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one line."""
        try:
            text = _CONDITION.sub(lambda found: _LITERAL.sub("?", found[0]), self.format(record))
        except Exception:
            # Whoever logs must not fail by it; the other handler shows the same.
            return
        # A character has up to four bytes.
        line = f"{text[: MOST // 4 - 1]}\n".encode()
        self._lines.append(line)
        self._size += len(line)
        while self._size > MOST:
            self._size -= len(self._lines.popleft())

    def text(self) -> bytes:
        """The lines, in UTF-8."""
        return b"".join(self._lines.copy())


async def keep_log(env: Environment, tail: LogTail, limits: Limits) -> bool:
    """Write it into the bucket, in bounded time; whether it is there. Why not is logged, never raised."""
    keys, patience = env.keys, limits.patience
    try:
        async with (
            asyncio.timeout(limits.keep_log),
            open_client(env.task.target, access_keys_from(keys), env.s3_ca, patience, env.proxies) as client,
        ):
            await _write(client, env.task, tail.text())
    except Exception as error:
        # What ends the time has no words.
        why = str(error) or f"the storage did not take it within {limits.keep_log:g} s"
        log.warning("this log is not kept: %s", why)
        return False
    return True


async def _write(client: S3Client, task: WorkerTask, body: bytes) -> None:
    target = task.target
    there = await log_there(client, target, denied_is_absent=True)
    if any(each.uid != task.uid for each in there):
        raise StorageError(reasons.KEY_TAKEN, f"{target.log_key} is another Backup's, it is not overwritten")

    async def put(acl: str) -> None:
        marks = {UID_METADATA: task.uid}
        await objects.put_small(client, target, target.log_key, body, acl, marks, "text/plain; charset=utf-8")

    # Dying here: the status does not name it, so only a cleaning that deletes an archive finds it.
    try:
        await put(target.acl)
    except StorageError as error:
        if not target.acl or error.code not in ACL_REFUSED:
            raise
        # Without one nobody else may read it.
        await put("")
