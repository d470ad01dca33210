"""The options file that carries host, user and password to mydumper, off its command line.

Read by libmariadb: a value in double quotes may hold anything, with these escapes; one line has to stay
below its buffer of 4,096 bytes. Must not know how mydumper is started.
"""

from __future__ import annotations

import os
from pathlib import Path

from tidbbackup.model import reasons
from tidbbackup.worker.database.identity import first_statement
from tidbbackup.worker.failure import StepFailed

_MAX_LINE = 4_000
_SAFE_PLUGINS = b"mysql_native_password,caching_sha2_password,sha256_password,client_ed25519"
"""By no other is a password sent without TLS: the server would get it as it is."""

_ESCAPES = {
    ord("\\"): b"\\\\",
    ord('"'): b'\\"',
    ord("\n"): b"\\n",
    ord("\r"): b"\\r",
    ord("\t"): b"\\t",
}


def quoted(value: bytes) -> bytes:
    """The value as libmariadb reads it back unchanged."""
    return b'"' + b"".join(_ESCAPES.get(byte, bytes([byte])) for byte in value) + b'"'


def defaults_file(
    host: str,
    port: int,
    user: str,
    password: bytes,
    *,
    check_host: bool = False,
    known_by: str = "",
    autocommit: bool = True,
    later: bool = False,
) -> bytes:
    """The whole file. `check_host`: over TLS, and the server's certificate has to be for this host; by --ca
    alone it may be for any other of that CA. `known_by`: SQL that is true on the server to be dumped alone.
    `autocommit`: whether sessions begin with it. `later`: for a mydumper after 0.10, which would write rows
    in the character set of this file, whatever it says at their head.

    Raises:
        StepFailed: a value that such a file cannot carry.
    """
    values = {"host": host.encode(), "user": user.encode("utf-8", "surrogateescape"), "password": password}
    if host == "localhost":
        # Written so it means the unix socket, of whatever server listens there. `protocol` is spelt in a way
        # of its own by each version of mydumper; capitals change nothing for resolver and certificate.
        values["host"] = b"LOCALHOST"
    lines = [b"[mydumper]", b"port=%d" % port]
    lines += [] if later else [b"default-character-set=utf8mb4"]
    lines.append(b"init-command=" + quoted(first_statement(known_by, autocommit=autocommit).encode()))
    lines.append(b"ssl-verify-server-cert=1" if check_host else b"restricted-auth=" + _SAFE_PLUGINS)
    for name, value in values.items():
        line = name.encode() + b"=" + quoted(value)
        if len(line) > _MAX_LINE or b"\0" in value:
            raise StepFailed(
                reasons.LOGIN_FAILED,
                f"the {name} holds a NUL byte or is longer than about {_MAX_LINE} bytes: mydumper cannot "
                "be given it; use a shorter one",
            )
        if value:
            lines.append(line)
    return b"\n".join(lines) + b"\n"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only we can read, never through a file or link that was there before."""
    path.unlink(missing_ok=True)
    # Dying here leaves the file in an emptyDir of medium Memory, which goes with the pod.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
