"""SHOW GRANTS of real servers and what they lack."""

import pytest

from tidbbackup.worker.database.grants import read_grants

MARIADB_ALL = "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` IDENTIFIED BY PASSWORD '*x' WITH GRANT OPTION"
NEEDED = "GRANT SELECT, RELOAD, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER ON *.* TO `b`@`%`"
MYSQL8 = (
    "GRANT SELECT, RELOAD, PROCESS, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER ON *.* TO `b`@`%`",
    "GRANT BACKUP_ADMIN,FLUSH_TABLES ON *.* TO `b`@`%`",
)


@pytest.mark.parametrize(
    "lines", [(MARIADB_ALL,), (NEEDED,), MYSQL8, ("GRANT USAGE ON *.* TO `b`@`%`", NEEDED)]
)
def test_enough(lines: tuple[str, ...]) -> None:
    report = read_grants(lines, is_tidb=False)
    assert (report.missing, report.revoked, report.undecided) == ((), (), False)


def test_flush_tables_stands_for_reload() -> None:
    lines = (
        "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON *.* TO `b`@`%`",
        "GRANT FLUSH_TABLES ON *.* TO `b`@`%`",
    )
    assert read_grants(lines, is_tidb=False).missing == ()


def test_what_is_missing_and_the_cure() -> None:
    report = read_grants(("GRANT SELECT, RELOAD ON *.* TO `b`@`10.%`",), is_tidb=False)
    assert report.missing == ("SHOW VIEW", "TRIGGER", "EVENT")
    assert report.cure == "GRANT SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`10.%`;"


def test_rights_on_one_database_or_column_are_not_enough() -> None:
    lines = (
        "GRANT USAGE ON *.* TO `b`@`%`",
        "GRANT ALL PRIVILEGES ON `shop`.* TO `b`@`%`",
        "GRANT SELECT (`id`, `name`) ON `shop`.`t` TO `b`@`%`",
    )
    assert read_grants(lines, is_tidb=False).missing[0] == "SELECT"


def test_tidb_needs_select_only() -> None:
    assert read_grants(("GRANT SELECT ON *.* TO 'b'@'%'",), is_tidb=True).missing == ()
    assert read_grants(("GRANT USAGE ON *.* TO 'b'@'%'",), is_tidb=True).missing == ("SELECT",)


def test_roles_leave_it_open() -> None:
    lines = ("GRANT `backup_role` TO `b`@`%`", "GRANT USAGE ON *.* TO `b`@`%`")
    report = read_grants(lines, is_tidb=False)
    assert report.undecided
    assert not read_grants((*lines, NEEDED), is_tidb=False).undecided


def test_a_partial_revoke_hides_a_database() -> None:
    report = read_grants((NEEDED, "REVOKE SELECT ON `shop`.* FROM `b`@`%`"), is_tidb=False)
    assert report.revoked == ("shop",)
    harmless = read_grants((NEEDED, "REVOKE INSERT ON `shop`.* FROM `b`@`%`"), is_tidb=False)
    assert harmless.revoked == ()
