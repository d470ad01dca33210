"""The file that carries the password. That libmariadb reads it back is shown in tests/integration."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.defaults_file import defaults_file, quoted, write_private
from tidbbackup.worker.failure import StepFailed


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"plain", b'"plain"'),
        (b"a#b;c[d]=e'f", b'"a#b;c[d]=e\'f"'),
        (b'q"q', b'"q\\"q"'),
        (b"\\n", b'"\\\\n"'),
        (b"end\n", b'"end\\n"'),
        (b"\r\t ", b'"\\r\\t "'),
        ("ü漢🙂".encode(), '"ü漢🙂"'.encode()),
    ],
)
def test_quoting(value: bytes, written: bytes) -> None:
    assert quoted(value) == written


@given(st.binary(max_size=300).filter(lambda value: b"\0" not in value))
def test_no_password_leaves_its_line(password: bytes) -> None:
    lines = defaults_file("h", 3306, "u", password).split(b"\n")
    assert [line for line in lines if line.startswith(b"[")] == [b"[mydumper]"]
    assert sum(line.startswith(b"password=") for line in lines) == bool(password)
    known = (
        b"[mydumper]",
        b"restricted-auth=",
        b"port=",
        b"default-",
        b"init-",
        b"host=",
        b"user=",
        b"password=",
    )
    assert all(not line or line.startswith(known) for line in lines)


def test_the_whole_file() -> None:
    assert defaults_file("db", 4000, "root", b"") == (
        b"[mydumper]\nport=4000\ndefault-character-set=utf8mb4\n"
        b"init-command=\"SET SESSION sql_mode='', net_write_timeout=2147483\"\n"
        b"restricted-auth=mysql_native_password,caching_sha2_password,sha256_password,client_ed25519\n"
        b'host="db"\nuser="root"\n'
    )


@pytest.mark.parametrize("password", [b"x" * 4_001, b"a\0b"])
def test_what_it_cannot_carry_is_refused_without_being_shown(password: bytes) -> None:
    with pytest.raises(StepFailed, match="the password holds a NUL byte or is longer") as caught:
        defaults_file("h", 1, "u", password)
    assert caught.value.reason == reasons.LOGIN_FAILED
    assert "xxx" not in str(caught.value)


def test_it_is_written_for_us_alone_and_never_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    path = tmp_path / "mydumper.cnf"
    path.symlink_to(elsewhere)
    write_private(path, b"secret")
    assert elsewhere.read_text() == "kept"
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert path.read_bytes() == b"secret"


def test_over_tls_the_host_name_is_checked() -> None:
    assert b"\nssl-verify-server-cert=1\n" in defaults_file("h", 1, "u", b"p", check_host=True)
    assert b"ssl" not in defaults_file("h", 1, "u", b"p")
