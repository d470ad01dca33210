"""What the program is told."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tidbbackup.model.contract.task import DatabaseTarget
from tidbbackup.model.flags.dumpling import DumplingOptions, read_dumpling_options
from tidbbackup.worker.database.catalog import Database, Survey, Table
from tidbbackup.worker.database.session import Login
from tidbbackup.worker.dumpers.dumper import Order
from tidbbackup.worker.dumpers.dumpling.orders import orders, stem
from tidbbackup.worker.dumpers.selection import selection

SHOP = Database(
    "shop", (Table("t"), Table("v", "VIEW"), Table("s", "SEQUENCE"), Table("u.x")), routines=("r",)
)


def told(*options: str, tls: Path | None = None, staging: int = 0, known_by: str = "") -> dict[str, Any]:
    login = Login(DatabaseTarget("db", 4000, "b", tls is not None), b"p\xff", tls, known_by=known_by)
    order = Order(Survey("TiDB", True, "42"), selection(""), (SHOP,), login, Path("/backup"))
    read = read_dumpling_options(options)
    found: dict[str, Any] = json.loads(orders(order, read, "PEM" if tls else "", staging, 2.0))
    return found


def test_what_has_rows_is_dumped_and_nothing_else() -> None:
    assert told()["Tables"] == [
        {"Database": "shop", "Table": "t", "Stem": "shop.t"},
        {"Database": "shop", "Table": "u.x", "Stem": "shop.u%2Ex"},
    ]


def test_the_login() -> None:
    found = told()
    assert (found["Host"], found["Port"], found["User"], found["TSO"]) == ("db", 4000, "b", "42")
    assert base64.b64decode(found["Password"]) == b"p\xff"
    assert (found["Certificate"], "ClientKey" in found) == ("", False)


def test_over_tls(tmp_path: Path) -> None:
    assert (told(tls=tmp_path)["Certificate"], "ClientKey" in told(tls=tmp_path)) == ("PEM", False)
    (tmp_path / "tls.crt").touch()
    assert told(tls=tmp_path)["ClientKey"] == str(tmp_path / "tls.key")


def test_what_each_session_sets() -> None:
    assert told("--params=a=b", known_by="x = '1'")["Variables"] == {
        "a": "b",
        "time_zone": "+00:00",
        "sql_mode=IF(x = '1', '', 'tidbbackup_another_server'), net_write_timeout": "2147483",
    }


def test_sizes_where_the_task_says_nothing() -> None:
    found = told()
    assert (found["Threads"], found["FileSize"], found["Rows"], found["CPUs"]) == (2, 64 << 20, 0, 2)
    assert told(staging=64 << 20)["FileSize"] == 4 << 20


def test_sizes_of_the_task() -> None:
    found = told("-t", "5", "-r", "1000", "-F", "1MiB", "-s", "2000", "--complete-insert", staging=1)
    assert [found[name] for name in ("Threads", "Rows", "FileSize", "StatementSize", "CompleteInsert")] == [
        *(5, 1000, 1 << 20, 2000, True)
    ]
    assert told("-F", "0")["FileSize"] == 0
    assert told("-t", "16")["Memory"] > told("-t", "2")["Memory"]


def test_no_option_is_the_default() -> None:
    assert read_dumpling_options(()) == DumplingOptions()


@pytest.mark.parametrize(
    ("database", "table", "expected"),
    [
        ("shop", "", "shop"),
        ("shop", "t", "shop.t"),
        ("a.b", "c", "a%2Eb.c"),
        ("a", "b.c", "a.b%2Ec"),
        ("a", "b/c\\d%", "a.b%2Fc%5Cd%25"),
        ("x-schema", "y-Schema-view", "x%2Dschema.y%2DSchema-view"),
        ("漢 字", "o'b`x-y\n", "漢 字.o'b`x-y%0A"),
    ],
)
def test_file_names_are_those_of_pingcaps(database: str, table: str, expected: str) -> None:
    assert stem(database, table) == expected
