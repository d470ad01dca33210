"""Statements of files as the dumpers write them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidbbackup.worker.load.statements import (
    Created,
    TooLong,
    carries_out_text,
    created,
    definer,
    engine,
    in_parts,
    is_head,
    leaves_database_open,
    plain,
    renamed,
    sets_next_value,
    sets_utc,
    split,
    strictly_new,
    verb,
)

FILE = (
    b"/*!40101 SET NAMES binary*/;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\n"
    b'INSERT INTO `t` VALUES\n(1,"a;b\\n;"),\n(2,"; ");\nINSERT INTO `t` VALUES(3)\n,(4)\n;\n'
)
STATEMENTS = [
    b"/*!40101 SET NAMES binary*/",
    b"/*!40103 SET TIME_ZONE='+00:00' */",
    b'INSERT INTO `t` VALUES\n(1,"a;b\\n;"),\n(2,"; ")',
    b"INSERT INTO `t` VALUES(3)\n,(4)",
]


@given(st.lists(st.integers(0, len(FILE)), max_size=8))
def test_statements_are_the_same_wherever_the_pieces_end(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(FILE)]
    pieces = [FILE[start:end] for start, end in pairwise(edges)]
    assert list(split(pieces, 1000)) == STATEMENTS


def test_many_semicolons_inside_of_values() -> None:
    text = b"INSERT INTO `t` VALUES ('" + b"; ;" * 1000 + b"')"
    assert list(split([text + b";\n" + text + b";\n"], 100_000)) == [text, text]


def test_a_file_without_an_end() -> None:
    assert list(split([b"CREATE DATABASE `d`;"], 100)) == [b"CREATE DATABASE `d`"]
    assert list(split([], 100)) == []


def test_a_statement_that_the_server_would_not_take_is_not_collected() -> None:
    with pytest.raises(TooLong, match="and more"):
        list(split((b"x" * 10 for _ in range(1000)), 50))


@pytest.mark.parametrize(
    "head",
    [
        b"INSERT INTO `t` VALUES\n",
        b"INSERT INTO `a``\n(b` (`c`,`VALUES\n(`) VALUES\n",
        b"REPLACE INTO `t` (`a`, `b`) VALUES\n",
    ],
)
def test_a_large_insert_is_carried_out_in_parts_with_the_same_rows(head: bytes) -> None:
    rows = [b"(%d,'%s')" % (number, b"\\n(,;" * number) for number in range(600)]
    parts = list(in_parts(head + b",\n".join(rows)))
    assert len(parts) > 5
    assert all(part.startswith(head) and len(part) < 110 << 10 for part in parts)
    assert b",\n".join(part.removeprefix(head) for part in parts) == b",\n".join(rows)


@pytest.mark.parametrize(
    "statement",
    [
        b"INSERT INTO `t` VALUES\n(1,'%s')" % (b"x" * 300_000),
        b"INSERT INTO `t` VALUES(1)" + b"\n,(2)" * 90_000,
        b"ALTER SEQUENCE `s` RESTART 7",
    ],
    ids=["one row", "mydumper 1.0", "a sequence"],
)
def test_what_has_no_rows_on_lines_of_their_own_stays_as_it_is(statement: bytes) -> None:
    assert list(in_parts(statement)) == [statement]


def test_a_routine_is_one_statement() -> None:
    routine = b"CREATE PROCEDURE `p`()\nBEGIN\n  SELECT 1; \n  -- c; \nEND;\n"
    assert list(split([routine], 1000)) == [routine[:-2]]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (b"CREATE DATABASE `a``b` /*!40100 DEFAULT CHARACTER SET utf8mb4 */", Created("DATABASE", "", "a`b")),
        (b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `d`", Created("DATABASE", "", "d")),
        (b"CREATE TABLE `t` (\n  `id` int)", Created("TABLE", "", "t")),
        (b"CREATE TABLE IF NOT EXISTS `t` (`id` int)", Created("TABLE", "", "t")),
        (b"CREATE GLOBAL TEMPORARY TABLE `t` (`id` int)", Created("TABLE", "", "t")),
        (b"CREATE SEQUENCE `s` start with 1", Created("SEQUENCE", "", "s")),
        (
            b"CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW `d`.`v` AS SELECT 1",
            Created("VIEW", "d", "v"),
        ),
        (b"CREATE DEFINER=`a`@`%` PROCEDURE `p`(IN n INT)\nBEGIN\nEND", Created("PROCEDURE", "", "p")),
        (b"CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1", Created("EVENT", "", "e")),
        (b"/*!50001 CREATE VIEW `v` AS SELECT 1 */", Created("VIEW", "", "v")),
        (b"INSERT INTO `t` VALUES (1)", None),
        (b"SET NAMES binary", None),
    ],
)
def test_what_is_created(statement: bytes, found: Created | None) -> None:
    assert created(statement) == found


def test_words_of_statements() -> None:
    assert verb(b"/*!40101 SET NAMES binary*/") == "SET"
    assert verb(b"insert into `t` VALUES (1)") == "INSERT"
    assert plain(b"/*!40014 SET FOREIGN_KEY_CHECKS=0*/") == b"SET FOREIGN_KEY_CHECKS=0"
    assert sets_utc(b"/*!40103 SET TIME_ZONE='+00:00' */")
    assert not sets_utc(b"/*!40101 SET NAMES binary*/")
    assert definer(b"CREATE DEFINER=`a``b`@`10.%` VIEW `v` AS SELECT 1") == ("a`b", "10.%")
    assert definer(b"CREATE VIEW `v` AS SELECT 1") is None
    assert definer(b"CREATE DEFINER=`role` VIEW `v` AS SELECT 1") == ("role", "")
    assert (
        engine(b"CREATE TABLE `t` (\n  `a` int COMMENT ') ENGINE=x'\n) ENGINE=FEDERATED CONNECTION='y'")
        == "federated"
    )
    assert engine(b"CREATE TABLE `t` (`a` int)") == ""


def test_a_program_that_is_stored_as_text() -> None:
    stored = b"SET @DEFINITION = 'CREATE DEFINER=`a`@`%` PROCEDURE `p`()\\nBEGIN SELECT \\'x\\';\\nEND'"
    assert created(stored) == Created("PROCEDURE", "", "p")
    assert definer(stored) == ("a", "%")
    assert not is_head(stored)
    assert carries_out_text(b"EXECUTE IMMEDIATE @DEFINITION")
    assert not carries_out_text(b"EXECUTE IMMEDIATE 'DROP DATABASE d'")
    assert definer(b"SET @x = ' DEFINER=`a`@`%`'") is None


@pytest.mark.parametrize(
    ("statement", "head"),
    [
        (b"/*!40101 SET NAMES binary*/", True),
        (b"SET NAMES binary", True),
        (b"SET FOREIGN_KEY_CHECKS=0", True),
        (b"/*!40103 SET TIME_ZONE='+00:00' */", True),
        (b"SET time_zone = '+00:00'", False),
        (b"SET time_zone = 'SYSTEM'", False),
        (b"SET sql_mode = 'ANSI_QUOTES'", False),
        (b"SET character_set_client = latin1", False),
    ],
)
def test_heads_of_files(statement: bytes, head: bool) -> None:
    assert is_head(statement) is head


def test_next_values_of_sequences() -> None:
    for statement in (
        b"SELECT SETVAL(`s`,41)",
        b"DO SETVAL(`s`, 41)",
        b"ALTER SEQUENCE `s` RESTART WITH 41",
    ):
        assert sets_next_value(statement)
    assert not sets_next_value(b"ALTER TABLE `s` ADD c INT")


def test_what_has_appeared_meanwhile_is_an_error() -> None:
    assert strictly_new(b"CREATE TABLE IF NOT EXISTS `t` (`a` int)") == b"CREATE TABLE `t` (`a` int)"
    database = b"CREATE DATABASE IF NOT EXISTS `d`"
    assert strictly_new(database) == database
    text = b"CREATE TABLE `t` (`a` int COMMENT 'CREATE TABLE IF NOT EXISTS x')"
    assert strictly_new(text) == text


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (
            b"CREATE DATABASE IF NOT EXISTS `a``b` /*!40100 x */",
            b"CREATE DATABASE IF NOT EXISTS `a``b_d` /*!40100 x */",
        ),
        (b"CREATE TABLE `t` (`id` int)", b"CREATE TABLE `t` (`id` int)"),
        (b"CREATE TABLE `a`.`t` (`id` int)", b"CREATE TABLE `a_d`.`t` (`id` int)"),
        (b"REFERENCES `a` . `t` (`id`)", b"REFERENCES `a_d` . `t` (`id`)"),
        (b"DEFAULT nextval(`a`.`s`)", b"DEFAULT nextval(`a_d`.`s`)"),
        (b"COMMENT 'it''s \\'`a`.`t`'", b"COMMENT 'it''s \\'`a`.`t`'"),
        (b"`a`.`t`.`c`", b"`a_d`.`t`.`c`"),
        (b"`x'y`.`t`, `z'`", b"`x'y_d`.`t`, `z'`"),
        (b"ALTER SEQUENCE `s` RESTART WITH 5", b"ALTER SEQUENCE `s` RESTART WITH 5"),
    ],
)
def test_names_of_databases_get_a_suffix_wherever_they_stand(statement: bytes, wanted: bytes) -> None:
    assert renamed(statement, b"_d") == wanted


@pytest.mark.parametrize(
    ("statement", "is_open"),
    [
        (b"INSERT INTO `t` VALUES\n(1)", True),
        (b"INSERT INTO `a``t` (`x`,`y`) VALUES (1,2)", True),
        (b"REPLACE INTO `t` VALUES(1)", True),
        (b"INSERT IGNORE INTO `t` VALUES(1)", True),
        (b"INSERT INTO `a`.`t` VALUES (1)", False),
        (b"INSERT INTO `a` . `t` VALUES (1)", False),
        (b"INSERT INTO a.t VALUES (1)", False),
        (b"INSERT `a`.`t` VALUES (1)", False),
    ],
)
def test_rows_that_name_their_database(statement: bytes, is_open: bool) -> None:
    assert leaves_database_open(statement) is is_open
