"""One session with the database server: login, TLS, time-outs, and error messages with a cure.

Blocking calls of PyMySQL, to be run in a thread. Must not know what is asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
from attrs import field, frozen
from pymysql.connections import Connection

from tidbbackup.model import reasons
from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.database import tidb
from tidbbackup.worker.database.identity import another_server
from tidbbackup.worker.failure import StepFailed

_CONNECT_TIMEOUT_SECONDS = 15
_READ_TIMEOUT_SECONDS = 600

# No login with these: wrong password, no such user, host not allowed, expired, TLS demanded, plugin.
_LOGIN_ERRORS = frozenset({1044, 1045, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 2059, 3118, 3159, 4151})
LOST = frozenset({1053, 2006, 2013, 2055})
_NOT_YET = frozenset({1040, 1053, 2003, 2006, 2013})
"""Before the login: no server listens yet, or it has no connection left, or it is shutting down."""
_NAMES_DIFFER = (62, 64)
"""OpenSSL's numbers: a certificate for other host names, or other addresses."""
_TLS_DEMANDED = 3159
_ACCESS_DENIED = 1045

_READABLE = ("mysql_clear_password", "dialog", "mysql_old_password")
"""With these the server, and everything between, receives the password itself."""


@frozen
class Login:
    """Where and as whom to log in."""

    target: DatabaseTarget
    password: bytes = field(repr=False)
    tls: Path | None = None
    """Folder with ca.crt, and with both of tls.crt and tls.key or none."""
    spec: str = "spec.from"
    """Where the user has written it."""
    known_by: str = ""
    """SQL that is true on the first server that this run has reached, and on no other; empty if unknown."""

    @property
    def where(self) -> str:
        """The server as people write it."""
        return f"{self.target.user}@{self.target.host}:{self.target.port}"


class NotYet(StepFailed):
    """There is no server to log in to yet; a second later there may be."""


_UNKNOWN_PLUGIN = "not configured"
"""In PyMySQL's message about a login plugin that it does not have."""


def _refuse(_: Connection[Any]) -> None:
    # In the place of a plugin: PyMySQL comes here when the server names it.
    said = "the server asks for the password in a form that anybody on the way can read"
    raise pymysql.OperationalError(_TLS_DEMANDED, said)


@contextmanager
def open_session(login: Login, read_timeout: int = _READ_TIMEOUT_SECONDS) -> Iterator[Connection[Any]]:
    """One connection; its errors name the server and a cure.

    `read_timeout`: seconds that one answer may take.
    """
    try:
        connection = pymysql.connect(
            host=login.target.host,
            port=login.target.port,
            user=login.target.user,
            # Text would be sent as Latin-1 and fail beyond it; the server's users are made in UTF-8.
            password=login.password,
            charset="utf8mb4",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout,
            ssl=_tls(login.tls) if login.tls else None,
            ssl_disabled=login.tls is None,
            auth_plugin_map={} if login.tls else dict.fromkeys(_READABLE, _refuse),
            autocommit=True,
        )
    except Exception as error:
        raise _no_session(error, login) from error
    try:
        if login.known_by and not fetch(connection, f"SELECT {login.known_by}")[0][0]:
            raise another_server(f"{login.where}: this connection")
        yield connection
    except pymysql.Error as error:
        raise _broken(error, login) from error
    finally:
        connection.close()


def _broken(error: pymysql.Error, login: Login) -> StepFailed:
    said = error_words(error)
    if known := tidb.failure_of(said):
        reason, cure = known
        return StepFailed(reason, f"asking {login.where}: {said}; {cure}")
    reason = reasons.DATABASE_LOST if error_code(error) in LOST else reasons.DUMP_FAILED
    return StepFailed(reason, f"asking {login.where}: {said}")


def _tls(folder: Path) -> ssl.SSLContext:
    """The server has to show a certificate of the Secret's CA for the host name; ours is shown if given."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if (folder / "tls.crt").exists():
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


def _no_session(error: Exception, login: Login) -> StepFailed:
    said = error_words(error)
    code = error_code(error) if isinstance(error, pymysql.Error) else 0
    if code == _TLS_DEMANDED:
        return StepFailed(
            reasons.LOGIN_FAILED,
            f"{login.where}: {said}; log in over TLS: set {login.spec}.tlsClientSecretName to a Secret with "
            "the CA of its certificate",
        )
    if code in _LOGIN_ERRORS:
        hint = f"check {login.spec}.user and the key `password` in the Secret of {login.spec}.secretName"
        if login.password != login.password.strip():
            hint += "; that password begins or ends with white space, perhaps a line feed from `echo`"
        elif not login.password:
            hint += "; that password is empty"
        if _UNKNOWN_PLUGIN in said:
            hint = "give the user a plugin that is known here, such as caching_sha2_password"
        if code == _ACCESS_DENIED and not login.tls:
            hint += f"; a user made with REQUIRE SSL needs {login.spec}.tlsClientSecretName"
        return StepFailed(reasons.LOGIN_FAILED, f"{login.where}: {said}; {hint}")
    hint = (
        f"is it running, are {login.spec}.host and {login.spec}.port right, does a network policy forbid it"
    )
    cause = getattr(error, "original_exception", error)
    if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in _NAMES_DIFFER:
        hint = (
            f"the server's certificate has to name {login.target.host} as a subjectAltName (a common name "
            f"does not count): create it again, or write a name into {login.spec}.host that it has"
        )
    elif login.tls or isinstance(error, ssl.SSLError):
        hint += f", does its certificate fit {login.spec}.tlsClientSecretName"
    not_yet = code in _NOT_YET and not isinstance(cause, ssl.SSLError)
    failed = NotYet if not_yet else StepFailed
    return failed(reasons.DATABASE_UNREACHABLE, f"{login.where}: {said}; {hint}")


def fetch(session: Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """The rows that a statement gives. Raises pymysql.Error."""
    with session.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def error_code(error: pymysql.Error) -> int:
    """The server's number for it, 0 where it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def error_words(error: Exception) -> str:
    """The error's own words in one line."""
    text = error.args[1] if len(error.args) > 1 else error
    return " ".join(str(text).split())[:400] or type(error).__name__
