"""The list of archives, as far as it gets without a server."""

import io
import json
from datetime import UTC, datetime

import attrs

from tidbbackup.listing import Listed, list_archives, listed, table
from tidbbackup.place import Place
from tidbbackup.worker.archive.manifest import Manifest, ManifestDatabase, encode_manifest

MOMENT = datetime(2026, 11, 25, 3, tzinfo=UTC)
MANIFEST = Manifest(
    *("uid", "k.tgz", 100, "ab", "", MOMENT, MOMENT, "mydumper", "8.0.11-TiDB-v8.5.4"),
    files=(),
    databases=tuple(ManifestDatabase(name, 1) for name in ("a", "b", "c", "d", "e")),
    rows=12,
)
URL = "s3://b/k.tgz"


def test_what_is_known_of_an_archive() -> None:
    body = encode_manifest(MANIFEST)
    whole = listed(URL, 100, body)
    assert (whole.whole, whole.rows, whole.size, whole.created) == ("yes", 12, 100, MOMENT)
    assert listed(URL, 99, body).whole == "99 bytes of 100"
    assert listed(URL, None, body).whole == "archive deleted"
    assert listed(URL, 100, None) == Listed(URL, 100, "no manifest")
    assert listed(URL, 100, b"{}").whole == "manifest damaged"
    older = {name: value for name, value in json.loads(body).items() if name not in ("rows", "tables")}
    assert listed(URL, 100, json.dumps(older).encode()).rows is None


def test_a_table() -> None:
    whole = listed(URL, 100, encode_manifest(attrs.evolve(MANIFEST, size=100)))
    assert table([whole, Listed("s3://b/other.tgz", 5, "no manifest")]).splitlines() == [
        "CREATED                SIZE    ROWS   DATABASES   SERVER               WHOLE         ARCHIVE",
        "2026-11-25T03:00:00Z   100 B   12     a,b,c,+2    8.0.11-TiDB-v8.5.4   yes           s3://b/k.tgz",
        "-                      5 B     -      -           -                    no manifest   s3://b/other.tgz",
    ]


def test_an_address_that_is_none() -> None:
    out, err = io.StringIO(), io.StringIO()
    assert list_archives("b/k", Place(), "table", {}, out, err) == 2
    assert err.getvalue().startswith("tidbbackup list: b/k: write s3://bucket")
    assert out.getvalue() == ""
