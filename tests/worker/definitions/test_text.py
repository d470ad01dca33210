"""The files of definitions: what every loader that splits at `;` before a line feed makes of them."""

import pytest

from tidbbackup.worker.definitions import text
from tidbbackup.worker.definitions.text import Made


def statements(file: bytes) -> list[bytes]:
    """As a loader sees them, without the head and the end that all have."""
    assert file.endswith(b";\n")
    found = file.removesuffix(b";\n").split(b";\n")
    assert found[0] == b"/*!40101 SET NAMES utf8mb4*/"
    assert found[-1] == b"/*!40101 SET NAMES binary*/"
    return found[3:-1]


def test_a_database_and_what_it_needs() -> None:
    policy = b"CREATE PLACEMENT POLICY `near` FOLLOWERS=2"
    assert statements(text.database_file(b"CREATE DATABASE `d` /*!40100 */", [policy])) == [
        b"CREATE PLACEMENT POLICY IF NOT EXISTS `near` FOLLOWERS=2",
        b"CREATE DATABASE IF NOT EXISTS `d` /*!40100 */",
    ]


@pytest.mark.parametrize("default", ["0000-00-00", "2026-00-01", "2026-01-00 00:00:00"])
def test_a_zero_date_loads_whatever_the_mode(default: str) -> None:
    create = f"CREATE TABLE `t` (\n  `d` date NOT NULL DEFAULT '{default}'\n)".encode()
    save, lenient, made, put_back = statements(text.table_file(create))
    assert made == create
    assert b"NO_ZERO" not in lenient
    assert (save, put_back) == (b"SET @PREV_SQL_MODE=@@SQL_MODE", b"SET sql_mode = @PREV_SQL_MODE")
    usual = create.replace(default.encode(), b"2026-01-01")
    assert statements(text.table_file(usual)) == [usual]


@pytest.mark.parametrize(
    ("following", "statement"),
    [
        (11, b"ALTER SEQUENCE `s``1` RESTART WITH 11"),
        (21, b"DO SETVAL(`s``1`, 20)"),
        (0, b"DO SETVAL(`s``1`, 1)"),
    ],
)
def test_a_sequence_goes_on_where_it_stood(following: int, statement: bytes) -> None:
    create = "CREATE SEQUENCE `s``1` start with 5 minvalue 1 maxvalue 20 increment by 5 cache 10 nocycle"
    value = text.next_value("s`1", create, following)
    assert statements(text.sequence_file(create, value)) == [create.encode(), statement]


BODY = b"CREATE PROCEDURE `p`() BEGIN\nSELECT 'a;\nb\\\\';\nEND"


def test_a_body_is_never_split() -> None:
    made = Made(BODY, "latin1", "latin1_swedish_ci", "ANSI_QUOTES", "+09:00")
    plain = statements(text.programs_file([made], immediate=False))
    assert BODY.replace(b";\n", b"; \n") in plain
    stored = statements(text.programs_file([made], immediate=True))
    assert b"SET @DEFINITION = 'CREATE PROCEDURE `p`() BEGIN\\nSELECT \\'a;\\nb\\\\\\\\\\';\\nEND'" in stored
    at = stored.index(b"EXECUTE IMMEDIATE @DEFINITION")
    assert stored[at - 1] == b"SET time_zone = '+09:00'"
    assert stored[at - 2] == b"SET sql_mode = 'ANSI_QUOTES'"
    assert b"SET character_set_client = latin1" in stored[:at]
    one_line = Made(b"CREATE PROCEDURE `p`() SELECT 1")
    assert b"CREATE PROCEDURE `p`() SELECT 1" in statements(text.programs_file([one_line], immediate=True))


def test_a_view_takes_the_place_of_its_table() -> None:
    assert statements(text.placeholder_file("v", ["a", "b`c"])) == [
        b"CREATE TABLE `v`(\n`a` int,\n`b``c` int\n)ENGINE=MyISAM"
    ]
    made = Made(b"CREATE VIEW `v` AS select 1", "utf8mb4", "utf8mb4_bin")
    found = statements(text.view_file("v", made))
    assert found[:2] == [b"DROP TABLE IF EXISTS `v`", b"DROP VIEW IF EXISTS `v`"]
    assert found.index(b"SET collation_connection = utf8mb4_bin") < found.index(made.text)
