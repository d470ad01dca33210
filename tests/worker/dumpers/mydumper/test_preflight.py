"""What is refused before a byte is dumped, and what only earns a notice.

Here is also what worker/dumpers/dumper.py, worker/dumpers/choice.py, worker/dumpers/mydumper/dumper.py
promise.
"""

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.database.catalog import Column, Database, Survey, Table
from tidbbackup.worker.dumpers.dumper import Clearance
from tidbbackup.worker.dumpers.mydumper.completeness import watched_tables
from tidbbackup.worker.dumpers.mydumper.hazards import Quirks, column_lists
from tidbbackup.worker.dumpers.mydumper.options import Flags, flags
from tidbbackup.worker.dumpers.mydumper.preflight import clear
from tidbbackup.worker.dumpers.selection import selection
from tidbbackup.worker.failure import StepFailed

ALL = ("GRANT ALL PRIVILEGES ON *.* TO `b`@`%`",)
NEEDED = "GRANT SELECT, RELOAD, SHOW VIEW, EVENT, TRIGGER ON *.* TO `b`@`%`"
SHOP = Database("shop", (Table("t"),))


def cleared(
    *databases: Database, grants: tuple[str, ...] = ALL, regex: str = "", flags: Flags | None = None
) -> Clearance:
    survey = Survey("10.11-MariaDB", is_tidb=False, grants=grants, databases=databases)
    return clear(survey, selection(regex), flags or Flags(), Quirks(omits_defaults=True))


def refusal(*databases: Database, grants: tuple[str, ...] = ALL, regex: str = "") -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        cleared(*databases, grants=grants, regex=regex)
    return caught.value


def test_a_plain_server_is_cleared() -> None:
    assert cleared(SHOP, Database("mysql", (Table("user"),))) == Clearance((SHOP,))


def test_refusals() -> None:
    assert refusal().reason == reasons.NOTHING_TO_DUMP
    assert refusal(Database("mysql")).reason == reasons.NOTHING_TO_DUMP
    assert "tableRegex takes none" in str(refusal(SHOP, regex="^x"))
    assert refusal(Database("d", (Table("a`b"),))).reason == reasons.UNSUPPORTED_NAME
    hidden = Table("t", columns=(Column("h", "INVISIBLE"),))
    assert refusal(Database("d", (hidden,))).reason == reasons.UNSUPPORTED_TABLE
    assert refusal(SHOP, grants=("GRANT SELECT ON *.* TO `b`@`%`",)).reason == reasons.GRANTS_MISSING
    revoked = (*ALL, "REVOKE SELECT ON `shop`.* FROM `b`@`%`")
    assert "revoked on shop" in str(refusal(SHOP, grants=revoked))
    assert cleared(SHOP, grants=(*ALL, "REVOKE SELECT ON `mysql`.* FROM `b`@`%`")).notices == ()


def test_what_cannot_be_decided_is_a_notice() -> None:
    few = ("GRANT SELECT ON `shop`.* TO `b`@`%`",)
    assert [n.reason for n in cleared(SHOP, grants=few, regex=r"^shop\.").notices] == [
        reasons.GRANTS_UNCHECKED
    ]
    role = ("GRANT `backup` TO `b`@`%`",)
    assert [n.reason for n in cleared(SHOP, grants=role).notices] == [reasons.GRANTS_UNCHECKED]
    unclear = Database("a.b", (Table("t", columns=(Column("ip", kind="inet6"),)),))
    (notice,) = cleared(unclear).notices
    assert notice.reason == reasons.LOAD_BY_HAND
    assert "`ip`" in notice.message


def test_what_the_filter_leaves_out_is_not_judged() -> None:
    bad = Database("bad", (Table("a`b"),))
    assert cleared(SHOP, bad, regex=r"^shop\.").databases == (SHOP,)


def test_a_database_that_mydumper_takes_for_the_servers_own_is_refused() -> None:
    found = refusal(Database("data_dictionary", (Table("t"),)))
    assert found.reason == reasons.UNSUPPORTED_NAME
    assert "`data_dictionary`.`t`" in str(found)


def test_without_the_global_lock_nobody_needs_the_right_to_take_it() -> None:
    grants = (NEEDED.replace("RELOAD, ", ""),)
    assert "RELOAD" in str(refusal(SHOP, grants=grants))
    assert cleared(SHOP, grants=grants, flags=flags({"no-locks": ""})).notices == ()


def test_long_lists_are_cut() -> None:
    many = Database("d", tuple(Table(f"a`{number}") for number in range(100)))
    message = str(refusal(many))
    assert "and 95 more" in message
    assert len(message) < 600


def test_column_lists_unless_they_would_spoil_another_table() -> None:
    computed = Table("c", columns=(Column("g", "STORED GENERATED"),))
    databases = (Database("d", (computed,)),)
    assert (column_lists(databases), watched_tables(databases)) == (True, [])
    ticked = Table("t", columns=(Column("a`b"),))
    databases = (Database("d", (computed, ticked)),)
    assert (column_lists(databases), watched_tables(databases)) == (False, [("d", "c")])


def test_history_that_no_dump_holds_is_told() -> None:
    found = cleared(Database("d", (Table("t", kind="SYSTEM VERSIONED"), Table("u"))))

    (notice,) = found.notices
    assert notice.reason == reasons.HISTORY_LEFT_OUT
    assert "`d`.`t`" in notice.message
    assert "`u`" not in notice.message


def test_rows_that_are_not_this_servers_are_told() -> None:
    far = Table("far", engine="FEDERATED", columns=(Column("f", kind="float"),))
    (notice,) = cleared(Database("d", (far, Table("t")))).notices
    assert notice.reason == reasons.ROWS_LEFT_OUT
    assert notice.message.endswith(": `d`.`far` (FEDERATED)")


def test_values_that_are_not_dumped_whole_are_told() -> None:
    columns = tuple(Column(f"f{number}", kind="float") for number in range(9))
    many = Database("d", tuple(Table(f"t{number}", columns=columns) for number in range(9)))
    (notice,) = cleared(many).notices
    assert notice.reason == reasons.VALUES_ROUNDED
    assert "`d`.`t0`: column `f0`, `f1`, `f2` …; " in notice.message
    assert notice.message.endswith("and 4 more")
    tidb = Survey("TiDB", is_tidb=True, grants=ALL, databases=(many,))
    assert clear(tidb, selection(""), Flags(), Quirks(omits_defaults=False)).notices == ()
    computed = Table("t", columns=(Column("f", "STORED GENERATED", "float"),))
    assert cleared(Database("d", (computed,))).notices == ()


def test_a_filter_that_mydumper_cannot_follow_is_refused() -> None:
    survey = Survey("x", is_tidb=False, grants=ALL, databases=(Database("a.b", (Table("c"),)), SHOP))
    quirks = Quirks(omits_defaults=False)
    with pytest.raises(StepFailed, match=r"names with a dot: .*`a\.b`\.`c`") as caught:
        clear(survey, selection("", ("a.*", "shop.*")), Flags(), quirks)
    assert caught.value.reason == reasons.UNSUPPORTED_NAME
    assert clear(survey, selection("", ("shop.*",)), Flags(), quirks).databases == (SHOP,)
    with pytest.raises(StepFailed, match=r"or spec\.tableFilter takes none"):
        clear(survey, selection("", ("nowhere.*",)), Flags(), quirks)
