"""Databases of which more has to be known than the text of their definitions. Pure."""

from collections.abc import Iterator


def mariadb_zoo() -> Iterator[str]:
    """Statements for one session with MariaDB; they make the database `zoo` and views of it in `zoo2`."""
    yield "CREATE DATABASE zoo CHARACTER SET latin1"
    yield "CREATE DATABASE zoo2"
    yield "USE zoo"
    yield (
        "CREATE TABLE kinds (id INT PRIMARY KEY, e ENUM('ä', 'ß') DEFAULT 'ß' COMMENT 'Größe; ''漢''', "
        "s SET('ж', 'я') CHARACTER SET koi8r DEFAULT 'я', v VARCHAR(20) DEFAULT 'naïve')"
    )
    yield "INSERT INTO kinds VALUES (1, 'ä', 'ж,я', 'é')"
    yield "CREATE TABLE moments (at TIMESTAMP NOT NULL DEFAULT '2026-03-29 01:30:00', d DATE DEFAULT NULL)"
    yield "SET sql_mode = ''"
    yield "CREATE TABLE zero (d DATE NOT NULL DEFAULT '0000-00-00')"
    yield "CREATE TABLE `it's` (id INT PRIMARY KEY)"
    yield "CREATE TABLE log (what TEXT)"
    yield "CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 5 CACHE 10"
    yield "CREATE SEQUENCE `used up` MAXVALUE 2 NOCACHE"
    yield "DO NEXTVAL(numbers), NEXTVAL(`used up`)"
    yield "DO NEXTVAL(`used up`)"
    yield "CREATE TABLE orders (id INT DEFAULT NEXTVAL(numbers), n INT)"
    yield from _programs()
    yield "CREATE VIEW zoo2.outer_view AS SELECT * FROM zoo.`back``tick`"


def _programs() -> Iterator[str]:
    yield "SET sql_mode = 'PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+09:00'"
    yield (
        "CREATE FUNCTION joined(a TEXT) RETURNS TEXT DETERMINISTIC BEGIN\n"
        """DECLARE b TEXT DEFAULT 'x;\ny\\';\n-- ;\nRETURN "a" || b;\nEND"""
    )
    yield "CREATE TRIGGER second_one AFTER INSERT ON `it's` FOR EACH ROW INSERT INTO log VALUES ('a' || 'b')"
    yield (
        "CREATE TRIGGER first_one AFTER INSERT ON `it's` FOR EACH ROW PRECEDES second_one BEGIN\n"
        "INSERT INTO log VALUES ('\\');\nEND"
    )
    yield "CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 09:00:00' DO DELETE FROM log"
    yield (
        "CREATE EVENT once ON SCHEDULE AT '2031-05-06 07:08:09' ON COMPLETION PRESERVE DISABLE "
        "COMMENT 'it''s' DO BEGIN\nDELETE FROM log;\nEND"
    )
    yield "SET NAMES latin1"
    yield "CREATE VIEW accents AS SELECT 'é' AS word"
    yield "CREATE PROCEDURE accent() SELECT 'é'"
    yield "SET NAMES utf8mb4"
    yield "CREATE VIEW `back``tick` AS SELECT id FROM kinds"
    yield "SET sql_mode = 'ORACLE'"
    yield "CREATE PACKAGE tools AS\nPROCEDURE p;\nEND"
    yield "CREATE PACKAGE BODY tools AS\nPROCEDURE p AS\nBEGIN\nSELECT 1;\nEND;\nEND"
    yield "SET sql_mode = DEFAULT, time_zone = DEFAULT"


def tidb_zoo() -> Iterator[str]:
    """Statements for one session with TiDB; they make the database `zoo`."""
    yield "CREATE PLACEMENT POLICY IF NOT EXISTS near FOLLOWERS = 2"
    yield "CREATE PLACEMENT POLICY IF NOT EXISTS unused FOLLOWERS = 3"
    yield "CREATE DATABASE zoo CHARACTER SET latin1 COLLATE latin1_bin"
    yield "USE zoo"
    yield "CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 5 CACHE 10"
    yield "CREATE SEQUENCE `used up` MAXVALUE 2 NOCACHE"
    yield "SELECT NEXTVAL(numbers), NEXTVAL(`used up`)"
    yield "SELECT NEXTVAL(`used up`)"
    yield (
        "CREATE TABLE kinds (id INT PRIMARY KEY, e ENUM('é', 'ß') DEFAULT 'ß' COMMENT 'ж', "
        "g VARCHAR(9) CHARACTER SET gbk DEFAULT '漢')"
    )
    yield "CREATE TABLE placed (id BIGINT AUTO_RANDOM PRIMARY KEY) PLACEMENT POLICY = near"
    yield "CREATE TABLE keyed (j JSON, a VARCHAR(20), PRIMARY KEY (a) NONCLUSTERED, KEY x ((LOWER(a))))"
    yield "CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9))"
    yield "CREATE TABLE child (id INT PRIMARY KEY, k INT, FOREIGN KEY (k) REFERENCES kinds (id))"
    yield "CREATE TABLE old (at DATETIME) TTL = at + INTERVAL 1 MONTH TTL_ENABLE = 'OFF'"
    yield "CREATE TABLE moments (at TIMESTAMP NOT NULL DEFAULT '2026-03-29 01:30:00')"
    yield "CREATE VIEW `back``tick` AS SELECT id, 'ä' AS word FROM kinds"
    yield "CREATE VIEW a_view AS SELECT id FROM `back``tick`"
    yield "INSERT INTO kinds VALUES (1, 'é', '字'), (2, DEFAULT, DEFAULT)"
