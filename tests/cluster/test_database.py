"""The database of the tests."""

import pymysql
import pytest

from tests.cluster.database import Database, mariadb
from tests.cluster.processes import ProcessDied, processes
from tests.cluster.sample_schema import CUSTOMERS, ORDERS, sample_schema

pytestmark = pytest.mark.integration


async def test_the_sample_schema_loads_and_has_something_of_everything() -> None:
    async with processes() as owned, mariadb(owned) as server:
        await server.load(sample_schema())
        assert await server.sql("SELECT COUNT(*) FROM shop.customers") == [(CUSTOMERS,)]
        assert await server.sql("SELECT COUNT(*) FROM shop.orders WHERE state = %s", ["paid"]) == [
            (ORDERS // 4,)
        ]
        assert len(await server.sql("CALL shop.best_customers(3)")) == 3
        found = await server.sql("SELECT name FROM mysql.proc WHERE db = 'shop' ORDER BY name")
        assert [name for (name,) in found] == ["best_customers", "vat"]
        for what in (
            "triggers WHERE trigger_schema",
            "events WHERE event_schema",
            "views WHERE table_schema",
        ):
            assert await server.sql(f"SELECT COUNT(*) FROM information_schema.{what} = 'shop'") == [(1,)]
        assert await server.sql("SELECT body FROM notes WHERE id = 2", database="mysql_app") == [
            ("a \n line, a ' and a \\",)
        ]


async def test_it_leaves_the_temporary_tables_of_other_servers_alone(database: Database) -> None:
    assert await database.sql("SELECT @@tmpdir") == [(str(database.folder),)]


async def test_it_logs_row_changes_and_asks_for_the_password(database: Database) -> None:
    assert (await database.sql("SHOW MASTER STATUS"))[0][0].startswith("binlog.")
    assert await database.sql("SELECT @@binlog_format") == [("ROW",)]
    accounts = await database.sql("SELECT user, host FROM mysql.user WHERE user <> 'mariadb.sys'")
    assert sorted(accounts) == [("root", "%"), ("root", "localhost")]
    with pytest.raises(pymysql.MySQLError, match="Access denied"):
        pymysql.connect(host=database.host, port=database.port, user="root", password="wrong")
    assert database.password.encode() not in database.child.arguments


async def test_two_under_one_name_do_not_meet() -> None:
    async with processes() as owned, mariadb(owned) as first, mariadb(owned) as second:
        assert first.folder != second.folder
        assert await first.answers()
        assert await second.answers()


async def test_an_odd_password_works() -> None:
    odd = "a'b\"c\\d $x é"
    async with processes() as owned, mariadb(owned, password=odd) as server:
        assert await server.sql("SELECT 1") == [(1,)]


async def test_a_flag_that_it_refuses_is_in_the_error() -> None:
    async with processes() as owned:
        with pytest.raises(ProcessDied, match="unknown option '--no-such-flag'"):
            async with mariadb(owned, flags=["--no-such-flag"]):
                pass
