"""Databases with everything that a dump might stumble over and has to bring along whole. Pure.

Every type of MariaDB, odd names, empty things, and objects that belong to no table.
"""

from collections.abc import Iterator

DATABASES = ("odd", "odd names ;%", "ödd漢字", "empty_one", "test", "test1", "mysql_app")


def odd_schema() -> Iterator[str]:
    """Statements that create and fill DATABASES."""
    for name in DATABASES:
        yield f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"
    yield from _types()
    yield from _names()
    yield from _programs()
    for name in ("test", "test1", "mysql_app"):
        yield f"CREATE TABLE {name}.kept (id INT PRIMARY KEY, `what``s this` TEXT)"
        yield f"INSERT INTO {name}.kept VALUES (1, 'in {name}')"


def _types() -> Iterator[str]:
    yield """CREATE TABLE odd.types (
        id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
        a TINYINT, b SMALLINT, c MEDIUMINT, d INT, e BIGINT, f DECIMAL(40, 10), g FLOAT, h DOUBLE, i BIT(13),
        j CHAR(10), k VARCHAR(300), l BINARY(4), m VARBINARY(300), n TINYBLOB, o BLOB, p MEDIUMBLOB,
        q LONGBLOB, r TINYTEXT, s TEXT, t MEDIUMTEXT, u LONGTEXT,
        v ENUM('x', 'y''s', 'c,c'), w SET('a', 'b', 'c c'),
        x DATE, y TIME(6), z DATETIME(6), aa TIMESTAMP(6) NULL, bb YEAR, cc JSON, dd GEOMETRY, ee POINT,
        hh BOOLEAN, ii CHAR(5) CHARACTER SET latin1
    )"""
    yield """INSERT INTO odd.types VALUES
        (1, -128, -32768, -8388608, -2147483648, -9223372036854775808,
         123456789012345678901234567890.0123456789, 1.5, 1e308, b'1010101010101', 'char', 'ünï 漢字 🙂',
         x'00ff0a27', x'005c22270a0d1a', x'00', x'ff00ff',
         x'22', x'5c5c', 'tiny', 'te"x''t', 'medium\\\\', 'long\\n', 'y''s', 'a,b', '2026-11-23',
         '-838:59:59.999999', '9999-12-31 23:59:59.999999', '2026-11-23 03:00:00.123456', 2155,
         '{"k": ["v", 1.5, null, "\\\\u00fc"]}', POINT(1, 2), POINT(-1.5, 3), TRUE, 'é')"""
    yield "INSERT INTO odd.types (id) VALUES (2), (18446744073709551615)"
    yield (
        "CREATE TABLE odd.computed (id INT PRIMARY KEY, v VARCHAR(2000), "
        "len INT GENERATED ALWAYS AS (CHAR_LENGTH(v)) STORED, up VARCHAR(2000) AS (UPPER(v)) VIRTUAL)"
    )
    # More than mydumper's statement size of 1 MB: the last INSERT is the one it gets wrong.
    yield "INSERT INTO odd.computed (id, v) SELECT seq, REPEAT('r', 1900) FROM odd.seq_1_to_1200"
    yield "CREATE TABLE odd.myisam (id INT, FULLTEXT KEY (t), t TEXT) ENGINE=MyISAM"
    yield "INSERT INTO odd.myisam VALUES (1, 'not transactional')"
    yield "CREATE TABLE odd.parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3"
    yield "INSERT INTO odd.parts SELECT seq FROM odd.seq_1_to_100"
    yield "CREATE TABLE odd.nothing (id INT PRIMARY KEY)"
    yield "CREATE TABLE odd.blobs (id INT PRIMARY KEY, b LONGBLOB)"
    yield (
        "INSERT INTO odd.blobs "
        "SELECT seq, REPEAT(UNHEX(LPAD(HEX(seq % 256), 2, '0')), 9000) FROM odd.seq_1_to_300"
    )


def _names() -> Iterator[str]:
    names = ["with space", "with.dot", "select", "ünï-漢", "a%b", "percent%s", "semi;colon"]
    names += ['double"quote', "n" * 64, "$dollar", "#hash", "a_b", "axb"]
    for number, name in enumerate(names):
        yield f"CREATE TABLE `odd names ;%`.`{name}` (id INT PRIMARY KEY, `co``l` VARCHAR(20), `ü 漢` TEXT)"
        yield f"INSERT INTO `odd names ;%`.`{name}` VALUES ({number}, 'row', 'ü')"
    yield "CREATE TABLE `ödd漢字`.`テーブル` (`列` VARCHAR(20) PRIMARY KEY)"
    yield "INSERT INTO `ödd漢字`.`テーブル` VALUES ('値')"
    yield "CREATE VIEW `ödd漢字`.`見る` AS SELECT `列` FROM `ödd漢字`.`テーブル`"


def _programs() -> Iterator[str]:
    yield "CREATE TABLE odd.log (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(100))"
    yield (
        "CREATE TRIGGER odd.types_ai AFTER INSERT ON odd.types FOR EACH ROW "
        "INSERT INTO odd.log (what) VALUES (CONCAT('new ', NEW.id))"
    )
    yield "INSERT INTO odd.types (id, k) VALUES (77, 'fires the trigger')"
    yield "CREATE VIEW odd.a_view AS SELECT id, k FROM odd.types WHERE id < 100"
    yield "CREATE VIEW odd.b_view AS SELECT id FROM odd.a_view"
    yield "CREATE USER somebody@'%'"
    yield "CREATE DEFINER=somebody@'%' VIEW odd.foreign_view AS SELECT 1 AS one"
    yield (
        "CREATE DEFINER=somebody@'%' PROCEDURE odd.proc(IN n INT)\nBEGIN\n  -- a comment; with a semicolon\n"
        "  SELECT n;\n  SELECT 'x;\\n';\nEND"
    )
    yield "CREATE FUNCTION odd.func(n INT) RETURNS INT DETERMINISTIC RETURN n + 1"
    yield "CREATE EVENT odd.evt ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM odd.log"
