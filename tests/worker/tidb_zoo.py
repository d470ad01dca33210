"""Databases with one of everything that has rows on a TiDB of today."""

DATABASES = ("zoo", "a.b-schema", "漢 字")

_LONG = "REPEAT('0123456789abcdef', 32768)"

# Name to what stands behind it in CREATE TABLE, and its rows.
_TABLES = {
    "numbers": (
        "(id BIGINT UNSIGNED PRIMARY KEY, b BIT(10), d DECIMAL(65,30), f FLOAT, g DOUBLE, t BOOL, y YEAR)",
        "(0, b'1010101010', 12345.000000000000000000000000000001, 3.4e38, 1.7976931348623157e308, 1, 2026)",
        "(18446744073709551615, NULL, -1, 16777216, -0.1, 0, NULL)",
    ),
    "times": (
        "(d DATE, t TIME(6), dt DATETIME(6), ts TIMESTAMP(6) NULL)",
        "('2026-02-28', '-838:59:59', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01')",
        "(NULL, '00:00:00.000001', NULL, '2026-10-25 01:30:00')",
    ),
    "zero_dates": ("(id INT, d DATE, dt DATETIME)", "(1, '0000-00-00', '0000-00-00 00:00:00')"),
    "texts": (
        "(id INT PRIMARY KEY, t TEXT, c VARCHAR(20) COLLATE utf8mb4_bin, e ENUM('a''b','ü'), s SET('x','y'))",
        r"(1, 'quote \' and \" and \\ and \0 and \n and \Z and ; \n;\n', '', 'ü', 'x,y')",
        "(2, NULL, '-- /* */', NULL, '')",
    ),
    "binaries": (
        "(id INT PRIMARY KEY, v VARBINARY(20), b BLOB, f BINARY(4))",
        "(1, x'0027225c0aff', x'00', x'01')",
        "(2, '', '', x'')",
    ),
    "charsets": (
        "(id INT, g VARCHAR(20) CHARSET gbk, l VARCHAR(20) CHARSET latin1, a VARCHAR(9) CHARSET ascii)",
        "(1, '中文', 'ÄÖÜ', 'abc')",
    ),
    "documents": (
        "(id INT PRIMARY KEY, j JSON, v VECTOR(3), KEY k ((CAST(j->'$.tags' AS CHAR(20) ARRAY))))",
        r"""(1, '{"tags": ["a", "\\"b\\""], "n": 1.5}', '[1,2.5,-3]')""",
        "(2, NULL, NULL)",
    ),
    "expressions": ("(id INT, t VARCHAR(9), KEY ((LOWER(t))), CHECK (id > 0))", "(1, 'A')"),
    "generated": ("(a INT, b INT AS (a + 1), c INT AS (a * 2) STORED, KEY (b))",),
    "only_generated": ("(b INT AS (1))",),
    "random_ids": ("(id BIGINT AUTO_RANDOM(5) PRIMARY KEY, t INT)",),
    "clustered": ("(a VARCHAR(9), b INT, PRIMARY KEY (a, b) CLUSTERED)", "('x', 1)", "('x', 2)"),
    "nonclustered": ("(a INT, PRIMARY KEY (a) NONCLUSTERED)", "(1)"),
    "without_key": ("(a INT)", "(1)", "(1)"),
    "by_range": (
        "(a INT PRIMARY KEY) PARTITION BY RANGE (a) "
        "(PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (MAXVALUE))",
        "(1)",
        "(100)",
    ),
    "by_hash": ("(a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3", "(1)", "(2)", "(3)"),
    "by_list": (
        "(a INT) PARTITION BY LIST (a) (PARTITION p0 VALUES IN (1, 2), PARTITION p1 VALUES IN (3))",
        "(1)",
        "(3)",
    ),
    "expiring": ("(id INT, t TIMESTAMP) TTL = t + INTERVAL 99 YEAR TTL_ENABLE = 'OFF'", "(1, '2026-01-01')"),
    "empty": ("(id INT PRIMARY KEY)",),
    "t'quote`mid": ("(`c'o``l` INT, `select` INT)", "(1, 2)"),
    "t-schema": ("(id INT)", "(1)"),
    "t.0000000000000": ("(id INT)", "(1)"),
    "a/b%41\\c:d": ("(id INT)", "(1)"),
    "parent": ("(id INT PRIMARY KEY)", "(1)"),
    "child": ("(id INT, FOREIGN KEY (id) REFERENCES zoo.parent (id))", "(1)"),
    "large": ("(id INT PRIMARY KEY, t LONGTEXT)", f"(1, {_LONG})", f"(2, {_LONG})", f"(3, {_LONG})"),
}


def zoo() -> list[str]:
    """The statements that make it."""
    made = [f"CREATE DATABASE `{name}`" for name in DATABASES]
    for name, (definition, *rows) in _TABLES.items():
        table = f"zoo.`{name.replace('`', '``')}`"
        made.append(f"CREATE TABLE {table} {definition}")
        made += [f"INSERT INTO {table} VALUES {row}" for row in rows]
    return [
        "SET SESSION sql_mode = ''",
        "SET SESSION time_zone = '+00:00'",
        *made,
        "INSERT INTO zoo.generated (a) VALUES (1), (NULL)",
        "INSERT INTO zoo.only_generated VALUES (), ()",
        "INSERT INTO zoo.random_ids (t) VALUES (1), (2)",
        "CREATE GLOBAL TEMPORARY TABLE zoo.passing (id INT) ON COMMIT DELETE ROWS",
        "CREATE TABLE zoo.cached (id INT)",
        "INSERT INTO zoo.cached VALUES (1)",
        "ALTER TABLE zoo.cached CACHE",
        "CREATE TABLE `a.b-schema`.`c.d` (id INT)",
        "INSERT INTO `a.b-schema`.`c.d` VALUES (1)",
        "CREATE TABLE `漢 字`.`é` (id INT)",
        "INSERT INTO `漢 字`.`é` VALUES (1)",
        "CREATE VIEW zoo.few AS SELECT id FROM zoo.numbers",
        "CREATE SEQUENCE zoo.numbering",
        "CREATE PLACEMENT POLICY far FOLLOWERS = 4",
    ]
