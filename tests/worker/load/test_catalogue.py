"""What archives define, by the names in their statements. Here is also what worker/load/thing.py promises."""

import pytest

from tidbbackup.model import reasons
from tidbbackup.model.filter.table_filter import TableFilter, read_filter
from tidbbackup.worker.failure import StepFailed
from tidbbackup.worker.load import catalogue as module
from tidbbackup.worker.load.catalogue import Catalogue, Content
from tidbbackup.worker.load.files import dump_file
from tidbbackup.worker.load.thing import Thing

SHOP = {
    "shop-schema-create.sql": "CREATE DATABASE `shop`;\n",
    "shop.t-schema.sql": "/*!40101 SET NAMES binary*/;\nCREATE TABLE `t` (`id` int);\n",
    "shop.u-schema.sql": "CREATE TABLE `u` (`id` int);\n",
    "shop.v-schema.sql": "CREATE TABLE `v`(\n`id` int\n)ENGINE=MyISAM;\n",
    "shop.v-schema-view.sql": "DROP TABLE IF EXISTS `v`;\nCREATE VIEW `v` AS SELECT 1;\n",
    "shop.t-schema-triggers.sql": "CREATE TRIGGER shop.x AFTER INSERT ON shop.t FOR EACH ROW SELECT 1;\n",
    "shop-schema-post.sql": "CREATE PROCEDURE `p`() SELECT 1;\n"
    "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1;\n",
    "other-schema-create.sql": "CREATE DATABASE `other`;\n",
}


def found(files: dict[str, str], *rules: str) -> Content:
    catalogue = Catalogue()
    for name, text in files.items():
        catalogue.add(dump_file(name), [text.encode()])
    wanted: TableFilter | None = read_filter(rules) if rules else None
    return catalogue.content(wanted)


def names(content: Content) -> set[str]:
    return {f"{thing.kind} {thing.sql}" for thing in content.things()}


def test_all_of_it() -> None:
    content = found(SHOP)
    assert [name for name, _ in content.databases] == ["other", "shop"]
    assert names(content) == {
        *("TABLE `shop`.`t`", "TABLE `shop`.`u`", "VIEW `shop`.`v`"),
        *("PROCEDURE `shop`.`p`", "EVENT `shop`.`e`"),
    }
    assert [database for database, _ in content.triggers] == ["shop"]


def test_a_filter_takes_tables_with_their_triggers_and_programs_with_whole_databases() -> None:
    content = found(SHOP, "shop.u")
    assert [name for name, _ in content.databases] == ["shop"]
    assert names(content) == {"TABLE `shop`.`u`"}
    assert content.triggers == ()
    assert len(found(SHOP, "shop.t").triggers) == 1
    assert len(found(SHOP, "shop.*").programs) == 1


def test_rows_lead_to_what_is_restored() -> None:
    content = found(SHOP, "shop.u")
    assert content.table_of(dump_file("shop.u.00001.sql")) == Thing("TABLE", "shop", "u")
    assert content.table_of(dump_file("shop.t.sql")) is None
    with pytest.raises(StepFailed, match="of a table that the archive does not define") as caught:
        content.table_of(dump_file("shop.x.sql"))
    assert caught.value.reason == reasons.ARCHIVE_UNREADABLE


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (("shop.x",), "does not hold `shop`.`x`, it holds tables of `shop`"),
        (("shop.t", "nowhere.t"), "`nowhere`.`t`"),
        (("nowhere.*",), "anything that the filter takes"),
    ],
)
def test_what_the_filter_names_has_to_be_there(rules: tuple[str, ...], words: str) -> None:
    with pytest.raises(StepFailed, match=words) as caught:
        found(SHOP, *rules)
    assert caught.value.reason == reasons.NOTHING_TO_RESTORE


def test_an_archive_without_definitions() -> None:
    with pytest.raises(StepFailed, match="does not hold any definition, it holds tables of no database"):
        found({})


@pytest.mark.parametrize(
    ("stem", "name", "database"),
    [
        ("a.b.c", "c", "a.b"),
        ("a.b.c", "b.c", "a"),
        ("a.mydumper_3", "odd/name", "a"),
        ("a.x%2Ey", "x.y", "a"),
    ],
)
def test_the_statement_tells_where_the_database_ends(stem: str, name: str, database: str) -> None:
    files = {
        "a-schema-create.sql": "CREATE DATABASE `a`;\n",
        "a.b-schema-create.sql": "CREATE DATABASE `a.b`;\n",
        f"{stem}-schema.sql": f"CREATE TABLE `{name}` (`id` int);\n",
    }
    content = found(files)
    assert [item.thing for item in content.tables] == [Thing("TABLE", database, name)]
    assert content.table_of(dump_file(f"{stem}.00001.sql")) == Thing("TABLE", database, name)


def test_databases_that_a_dumper_calls_otherwise() -> None:
    files = {
        "mydumper_0-schema-create.sql": "CREATE DATABASE `odd/one`;\n",
        "mydumper_0.t-schema.sql": "CREATE TABLE `t` (`id` int);\n",
        "my%2Edb.t-schema.sql": "CREATE TABLE `t` (`id` int);\n",
    }
    assert {item.thing.database for item in found(files).tables} == {"odd/one", "my.db"}


def test_sequences_of_both_kinds() -> None:
    files = {
        "d.s-schema-sequence.sql": "CREATE SEQUENCE `s` start with 1;\nSELECT SETVAL(`s`,5);\n",
        "d.r-schema.sql": "CREATE TABLE `r` (`next_not_cached_value` bigint) ENGINE=InnoDB SEQUENCE=1;\n",
        "d.q-schema.sql": "CREATE SEQUENCE `q` start with 1;\n",
    }
    content = found(files)
    assert {item.thing.name for item in content.sequences} == {"s", "r", "q"}
    assert content.tables == ()


def test_what_is_no_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepFailed, match=r"d\.t-schema\.sql creates no table or sequence"):
        found({"d.t-schema.sql": "INSERT INTO `t` VALUES (1);\n"})
    monkeypatch.setattr(module, "LARGEST", 10)
    with pytest.raises(StepFailed, match="is larger than any table"):
        found({"d.t-schema.sql": "CREATE TABLE `t` (`id` int);\n"})


def test_under_a_suffix_there_are_tables_alone() -> None:
    content = found(SHOP).under("_d")
    assert [name for name, _ in content.databases] == ["other_d", "shop_d"]
    assert names(content) == {"TABLE `shop_d`.`t`", "TABLE `shop_d`.`u`"}
    assert (content.views, content.triggers, content.programs, content.left_out) == ((), (), (), 3)
    assert content.table_of(dump_file("shop.t.00001.sql")) == Thing("TABLE", "shop_d", "t")
    (_, database) = content.databases[1]
    assert database is not None
    assert list(database.statements()) == [b"CREATE DATABASE `shop_d`"]
