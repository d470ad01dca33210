"""Loads an archive as simply as can be: every file is split at `;` before a line feed and its statements are
sent as they are, in one session, definitions before rows and programs after them."""

import asyncio
import io
import tarfile
from urllib.parse import unquote

import pymysql

from tests.cluster.database import Database

_ORDER = (
    "-schema-create.sql",
    "-schema.sql",
    ".sql",
    "-schema-post.sql",
    "-schema-view.sql",
    "-schema-triggers.sql",
)
_ROUNDS = 4


async def load_plainly(archive: bytes, server: Database) -> None:
    """Load a .tgz. Raises pymysql.Error for what does not load."""
    await asyncio.to_thread(_load, archive, server)


def _load(archive: bytes, server: Database) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [(m.name.split("/", 1)[1], tar.extractfile(m)) for m in tar.getmembers() if m.isfile()]
        files = {name: file.read() for name, file in members if file and name != "metadata"}
    session = pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, charset="utf8mb4"
    )
    for kind in _ORDER:
        left = [name for name in files if _kind(name) == kind]
        for turn in range(_ROUNDS):
            # What needs another one that is not there yet comes again.
            left = [name for name in left if not _sent(session, name, files[name], last=turn == _ROUNDS - 1)]
    session.close()


def _kind(name: str) -> str:
    return next((kind for kind in sorted(_ORDER, key=len, reverse=True) if name.endswith(kind)), ".sql")


def _sent(
    session: "pymysql.Connection[pymysql.cursors.Cursor]", name: str, text: bytes, *, last: bool
) -> bool:
    try:
        if _kind(name) != "-schema-create.sql":
            # dumpling escapes what is odd in a name; mydumper leaves it as it is.
            session.select_db(unquote(name.removesuffix(_kind(name)).split(".")[0]))
        for statement in filter(bytes.strip, text.split(b";\n")):
            session.query(statement)
        session.commit()
    except pymysql.Error:
        if last:
            raise
        return False
    return True
