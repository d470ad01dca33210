"""What is told of statements in the way of the global read lock, and what is noticed of a mydumper.

Here is also what worker/dumpers/process.py promises.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.dumpers.mydumper.output import MydumperProcess
from tidbbackup.worker.dumpers.process import DumperProcess
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.pipeline import standstill
from tidbbackup.worker.pipeline.standstill import Standstill, Statement, Statements
from tidbbackup.worker.run import Limits

LOCK = Statement(7, "b", 31, "FLUSH TABLES WITH READ LOCK")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT  1\n FROM t", "SELECT 1 FROM t"),
        ("SET PASSWORD = PASSWORD('it''s \\' secret')", "SET PASSWORD = PASSWORD(?)"),
        ('UPDATE t SET a = "sec""ret", b = \'x\'', "UPDATE t SET a = ?, b = ?"),
        ("INSERT INTO t VALUES ('a', 'cut off secr", "INSERT INTO t VALUES (?, ?"),
        ("SELECT " + "1, " * 500, "SELECT " + "1, " * 37 + "1…"),
    ],
)
def test_a_statement_is_told_in_short_and_without_its_values(text: str, told: str) -> None:
    assert str(Statement(8, "app", 90, text)) == f"statement 8 of user `app`, for 90 s now: `{told}`"


def test_the_oldest_statement_is_in_the_way_whoever_runs_it() -> None:
    old, younger = Statement(8, "b", 90, "ALTER TABLE t"), Statement(9, "app", 20, "INSERT INTO t VALUES (1)")
    found = Statements((old, LOCK, younger), "b")
    assert found.waiting == LOCK
    assert found.in_the_way(31).startswith(
        f"it waits for {old}; wait until it has ended, or end it by KILL 8"
    )
    assert "GRANT PROCESS" in Statements((LOCK, younger), "b").in_the_way(31)
    assert Statements((Statement(6, "other", 50, LOCK.text),), "b").waiting is None


@pytest.mark.looptime
@pytest.mark.parametrize("is_tidb", [False, True])
async def test_what_no_server_of_a_cluster_is_seen_to_do_ends_nothing(
    is_tidb: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query of mydumper's that stands at another TiDB for a minute is one that no session of ours sees."""
    monkeypatch.setattr(standstill, "statements", lambda _: Statements())
    monkeypatch.setattr(DumperProcess, "activity", lambda _: (1,))
    ended: list[StepFailed | None] = []
    monkeypatch.setattr(DumperProcess, "end_it", lambda _, why: ended.append(why))
    run: Any = SimpleNamespace(limits=Limits(), login=None)
    order = SimpleNamespace(found=SimpleNamespace(is_tidb=is_tidb))
    dump: Any = SimpleNamespace(name="mydumper", order=order, process=DumperProcess(began=True))
    keeping = asyncio.create_task(Standstill(run, dump).keep())
    await asyncio.wait([keeping], timeout=90)
    assert not keeping.done()
    keeping.cancel()
    assert [why.reason for why in ended if why] == ([] if is_tidb else [reasons.DUMP_FAILED])


def test_what_mydumper_tells_of_its_beginning_and_end() -> None:
    output = MydumperProcess()
    output.hear("** Message: 03:03:21.303: Connected to a MySQL server")
    assert (output.began, output.finished, output.activity()) == (False, False, ())
    output.hear("** Message: 03:03:25.305: Started dump at: 2026-11-29 03:03:25")
    assert (output.began, output.finished) == (True, False)
    output.hear("** Message: 03:03:29.292: Finished dump at: 2026-11-29 03:03:29")
    assert output.finished
