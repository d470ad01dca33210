"""The server that is restored into, as far as it is pure."""

import attrs

from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.load.target import Target
from tidbbackup.worker.load.thing import Thing

LOGIN = Login(DatabaseTarget("db"), b"")
MARIADB = Target(LOGIN, "10.11.11-MariaDB", False, 16 << 20, "SYSTEM", "STRICT_TRANS_TABLES")
TIDB = attrs.evolve(MARIADB, version="8.0.11-TiDB-v8.5.4", ignores_case=True)


def test_rows_are_loaded_as_they_were() -> None:
    rows = MARIADB.settings(utf8=False, zone="+00:00", strict=True)
    for words in ("NAMES binary", "time_zone = '+00:00'", "foreign_key_checks = 0", "STRICT_ALL_TABLES"):
        assert words in rows
    assert "NO_AUTO_VALUE_ON_ZERO" in rows
    assert "unique_checks = 1" in rows
    assert "ALLOW_INVALID_DATES" in rows
    assert "auto_random" not in rows
    assert "allow_auto_random_explicit_insert = 1" in TIDB.settings(utf8=True, zone="SYSTEM", strict=True)


def test_programs_get_the_mode_of_their_server() -> None:
    assert "sql_mode = 'STRICT_TRANS_TABLES'" in MARIADB.settings(utf8=True, zone="SYSTEM", strict=False)


def test_what_cannot_stand_beside_each_other() -> None:
    table, view = Thing("TABLE", "d", "T"), Thing("VIEW", "d", "T")
    lower = Thing("TABLE", "d", "t")
    assert MARIADB.key(table) == MARIADB.key(view) != MARIADB.key(lower)
    assert TIDB.key(table) == TIDB.key(lower)
    assert MARIADB.key(Thing("PROCEDURE", "d", "P")) == MARIADB.key(Thing("PROCEDURE", "d", "p"))
    assert MARIADB.key(Thing("PROCEDURE", "d", "t")) != MARIADB.key(lower)


def test_the_servers_own_databases() -> None:
    assert "METRICS_SCHEMA" in TIDB.system
    assert "METRICS_SCHEMA" not in MARIADB.system


def test_names_of_one_database() -> None:
    assert TIDB.fold("Shop") == TIDB.fold("shop")
    assert MARIADB.fold("Shop") != MARIADB.fold("shop")
