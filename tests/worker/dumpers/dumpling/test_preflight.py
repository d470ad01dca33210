"""What is refused before dumpling is started.

Here is also what worker/dumpers/preflight.py promises.
"""

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.database.catalog import Column, Database, Survey, Table
from tidbbackup.worker.dumpers.dumper import Clearance
from tidbbackup.worker.dumpers.dumpling.preflight import clear
from tidbbackup.worker.dumpers.selection import selection
from tidbbackup.worker.failure import StepFailed

ALL = ("GRANT ALL PRIVILEGES ON *.* TO `b`@`%`",)
SHOP = Database("shop", (Table("t"), Table("v", "VIEW")))


def cleared(*databases: Database, grants: tuple[str, ...] = ALL, rules: tuple[str, ...] = ()) -> Clearance:
    survey = Survey("8.0.11-TiDB-v8.5.4", is_tidb=True, grants=grants, databases=databases)
    return clear(survey, selection("", rules))


def test_a_plain_server_is_cleared() -> None:
    assert cleared(SHOP, Database("mysql", (Table("user"),))) == Clearance((SHOP,))


def test_a_server_that_is_no_tidb_is_refused_with_the_dumper_that_can() -> None:
    with pytest.raises(StepFailed, match=r"spec\.dumper: mydumper") as caught:
        clear(Survey("10.11.19-MariaDB", is_tidb=False, grants=ALL, databases=(SHOP,)), selection(""))
    assert caught.value.reason == reasons.INVALID_SPEC


def test_nothing_to_dump_and_rights_that_lack() -> None:
    for databases, grants, reason in (
        ((), ALL, reasons.NOTHING_TO_DUMP),
        ((SHOP,), ("GRANT UPDATE ON *.* TO `b`@`%`",), reasons.GRANTS_MISSING),
    ):
        with pytest.raises(StepFailed) as caught:
            cleared(*databases, grants=grants)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("database", "words"),
    [
        (Database("o'brien", (Table("t"),)), "database `o'brien`: ' in the name"),
        (Database("a\\", (Table("t"),)), "in the name"),
        (Database("a", (Table("`x"),)), "a backtick"),
        (Database("a", (Table("x", columns=(Column("c`"),)),)), "a backtick"),
        (Database("a", (Table("漢" * 80, "VIEW"),)), "longer than 255 bytes"),
    ],
)
def test_names_that_it_cannot_dump(database: Database, words: str) -> None:
    with pytest.raises(StepFailed, match=words) as caught:
        cleared(SHOP, database)
    assert caught.value.reason == reasons.UNSUPPORTED_NAME
    assert cleared(SHOP, database, rules=("shop.*",)).databases == (SHOP,)


def test_names_that_it_can_and_myloader_cannot() -> None:
    odd = Database("a-schema", (Table("b`c"), Table("d.e/"), Table("o'brien"), Table("f g\n")))
    found = cleared(odd)
    assert found.databases == (odd,)
    (notice,) = found.notices
    assert notice.reason == reasons.LOAD_BY_HAND
    assert notice.message.endswith("database `a-schema`; table `a-schema`.`d.e/`; table `a-schema`.`f g\n`")
