"""Failures of statements, with reason and cure."""

import pymysql
import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load.failures import explained, left_out, lost, may_be_damage


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (1142, reasons.GRANTS_MISSING, "grant what is missing"),
        (1114, reasons.LOAD_FAILED, "has no room"),
        (1292, reasons.LOAD_FAILED, "would store another value"),
        (1050, reasons.TARGET_NOT_EMPTY, "somebody has created it meanwhile"),
        (2013, reasons.DATABASE_LOST, "the connection to me@db:4000 was lost"),
        (0, reasons.DATABASE_LOST, "was lost"),
        (9999, reasons.LOAD_FAILED, "me@db:4000 answers 9999: no"),
    ],
)
def test_object_words_and_cure(code: int, reason: str, words: str) -> None:
    failure = explained(pymysql.OperationalError(code, "no"), "table `d`.`t`", "me@db:4000")
    assert failure.reason == reason
    assert str(failure).startswith("loading table `d`.`t`: ")
    assert words in str(failure)
    assert str(failure).endswith("then restore again with overwrite: Tables")


def test_a_server_that_cannot_be_reached_again_is_lost() -> None:
    failure = lost(StepFailed(reasons.DATABASE_UNREACHABLE, "me@db:4000: refused"))
    assert failure.reason == reasons.DATABASE_LOST
    assert str(failure) == "me@db:4000: refused; then restore again with overwrite: Tables"


def test_a_statement_of_no_dump() -> None:
    assert "does not carry out `DELETE FROM t`" in str(left_out(b"DELETE FROM t", "d.t.sql"))


@pytest.mark.parametrize(
    ("code", "damage"),
    [(1064, True), (9999, True), (1114, False), (1836, False), (1142, False), (2013, False)],
)
def test_what_the_server_lacks_is_not_looked_for_in_the_archive(code: int, damage: bool) -> None:
    cause = pymysql.OperationalError(code, "no")
    error = explained(cause, "table `d`.`t`", "me@db:4000")
    error.__cause__ = cause
    assert may_be_damage(error) == damage
