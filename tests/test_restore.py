"""`tidbbackup restore` as far as it gets without a server."""

import io
from datetime import UTC, datetime

import pytest

from tidbbackup.model.contract.result import Notice, Outcome, WorkerResult
from tidbbackup.model.contract.task import DatabaseTarget, RestoreSettings
from tidbbackup.place import Place
from tidbbackup.restore import Asked, _tell, restore, server_of
from tidbbackup.screen import Screen
from tidbbackup.worker.failure import UsageError

URL = "s3://b/backup-1.tgz"


def ran(
    url: str = URL, to: str = "db", *rules: str, environ: dict[str, str] | None = None
) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    asked = Asked(url, to, Place("ceph", "http://127.0.0.1:9"), RestoreSettings(rules))
    code = restore(asked, {"DB_PASSWORD": "x"} if environ is None else environ, None, out, Screen(err))
    assert out.getvalue() == ""
    return code, err.getvalue()


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("db", DatabaseTarget("db", 4000, "root")),
        ("db:3306", DatabaseTarget("db", 3306, "root")),
        ("me@db", DatabaseTarget("db", 4000, "me")),
        ("a@b@db:1", DatabaseTarget("db", 1, "a@b")),
        ("root@[::1]:4001", DatabaseTarget("::1", 4001, "root")),
    ],
)
def test_a_server(text: str, server: DatabaseTarget) -> None:
    assert server_of(text, tls=False) == server


@pytest.mark.parametrize("text", ["", "@db", "db:0", "db:70000", "db:x", "a:b:c"])
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(UsageError, match="write user@host:port"):
        server_of(text, tls=False)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (RestoreSettings(databaseSuffix="a`b"), "--database-suffix a`b: write letters, digits and _ only"),
        (RestoreSettings(overwrite=True, drop=True), "--overwrite tables cannot stand beside --drop"),
        (
            RestoreSettings(overwrite=True, databaseSuffix="_d"),
            "--overwrite tables cannot stand beside --drop",
        ),
    ],
)
def test_what_a_drill_cannot_be(settings: RestoreSettings, why: str) -> None:
    err = io.StringIO()
    asked = Asked(URL, "db", Place("ceph", "http://127.0.0.1:9"), settings)
    assert restore(asked, {"DB_PASSWORD": "x"}, None, io.StringIO(), Screen(err)) == 2
    assert why in err.getvalue()


def test_usage() -> None:
    assert ran("s3://b/k") == (
        2,
        "tidbbackup restore: s3://b/k: write s3://bucket/path/backup-….tgz, as in status.backupPath\n",
    )
    code, said = ran(URL, "db", "no rule")
    assert (code, "tidbbackup restore: --filter `no rule`" in said) == (2, True)
    code, said = ran(environ={})
    assert (code, said) == (
        2,
        "tidbbackup restore: DB_PASSWORD must be set: there is no terminal to ask on\n",
    )


def test_a_failure_names_reason_and_step() -> None:
    code, said = ran(to="127.0.0.1:9")
    assert code == 1
    assert said.startswith("tidbbackup restore: DatabaseUnreachable in step preflight: root@127.0.0.1:9: ")
    assert "spec.to.host" in said


@pytest.mark.parametrize(
    ("notices", "end"),
    [((), " rows, as many as in the archive"), ((Notice("ManifestMissing", "it has none"),), " rows")],
)
def test_without_a_manifest_nothing_is_said_to_be_as_in_the_archive(
    notices: tuple[Notice, ...], end: str
) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    over = WorkerResult(
        Outcome.COMPLETE, started=at, finished=at, path=URL, tables=2, rows=9, notices=notices
    )
    out = io.StringIO()
    _tell(over, 0, "root@db:4000", out, Screen(io.StringIO()))
    assert out.getvalue().splitlines()[1] == f"  2 tables with 9{end}"
