"""Names: within every limit of Kubernetes, whatever a Backup is called.

Here is also what model/compression.py promises.
"""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.model.compression import Compression
from tidbbackup.model.names import archive_key, job_name, labels, short

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
CREATED = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)

# Every name the API server takes for a Backup, dots included, up to 253 characters.
NAMES = st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 253) | st.lists(
    st.text("ab1-", min_size=1, max_size=40).map(lambda text: f"x{text}x"), min_size=1, max_size=6
).map(".".join)


@given(NAMES)
def test_a_jobs_name_is_a_dns_subdomain_of_at_most_63(name: str) -> None:
    for verb in ("backup", "aftermath"):
        made = job_name(verb, name)
        assert len(made) <= 63
        assert SUBDOMAIN.fullmatch(made), made


@given(NAMES)
def test_label_values_are_label_values(name: str) -> None:
    for value in labels("backup", name).values():
        assert len(value) <= 63
        assert LABEL_VALUE.fullmatch(value), value


def test_a_name_that_fits_stays_as_it_is() -> None:
    assert short("x" * 63) == "x" * 63
    assert job_name("backup", "demo1") == "backup-demo1"


def test_a_longer_one_keeps_54_and_gets_a_hash() -> None:
    name = "x" * 64
    assert re.fullmatch(r"x{54}-[0-9a-f]{8}", short(name))
    assert short(name) != short(name + "x")


@pytest.mark.parametrize("at", [53, 54, 55])
def test_a_cut_at_a_dot_leaves_a_valid_name(at: int) -> None:
    name = "x" * at + "." + "y" * 40
    assert SUBDOMAIN.fullmatch(short(name)), short(name)


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("", "backup-20261123T030000Z-01234567.tgz"),
        ("/", "backup-20261123T030000Z-01234567.tgz"),
        ("a/b", "a/b/backup-20261123T030000Z-01234567.tgz"),
        ("/a/b/", "a/b/backup-20261123T030000Z-01234567.tgz"),
    ],
)
def test_the_archives_key(prefix: str, key: str) -> None:
    uid = "01234567-89ab-cdef-0123-456789abcdef"
    assert archive_key(prefix, CREATED, uid, Compression.GZIP) == key
    assert archive_key(prefix, CREATED, uid, Compression.ZSTD) == key.replace(".tgz", ".tar.zst")
