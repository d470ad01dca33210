"""Table filters against mydumper itself, and against the PCRE library that it is linked to."""

import asyncio
import ctypes
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore
from tests.model import filter_oracle
from tests.worker.worker_process import backing_up
from tidbbackup.model.contract.result import Outcome
from tidbbackup.model.contract.task import DumpSettings
from tidbbackup.model.filter.table_filter import expression, read_filter

pytestmark = pytest.mark.integration

# As in pcre.h: what mydumper compiles with.
_CASELESS, _MULTILINE = 0x1, 0x2
_NO_MATCH = -1


class Pcre:
    """An expression as mydumper uses it: two groups at the most, a match is a positive answer."""

    _library = ctypes.CDLL("libpcre.so.3")

    def __init__(self, text: str) -> None:
        compile_ = self._library.pcre_compile
        compile_.restype = ctypes.c_void_p
        error, offset = ctypes.c_char_p(), ctypes.c_int()
        found = compile_(
            text.encode("ascii"), _CASELESS | _MULTILINE, ctypes.byref(error), ctypes.byref(offset), None
        )
        assert found is not None, (error.value, offset.value)
        self._code = ctypes.c_void_p(found)

    def finds(self, subject: str) -> bool:
        """Whether it matches anywhere."""
        raw = subject.encode()
        vector = (ctypes.c_int * 9)()
        code = self._library.pcre_exec(self._code, None, raw, len(raw), 0, 0, vector, 9)
        assert code > 0 or code == _NO_MATCH, code
        return bool(code > 0)


@settings(max_examples=150)
@given(st.data())
def test_pcre_finds_what_the_rules_say(data: st.DataObject) -> None:
    lines = data.draw(filter_oracle.lines())
    compiled = Pcre(expression(read_filter(tuple(line.text for line in lines))))
    for database, table in data.draw(st.lists(filter_oracle.names(lines), min_size=1, max_size=5)):
        assert compiled.finds(f"{database}.{table}") == filter_oracle.takes(lines, database, table)
        assert compiled.finds(f"{database}.(null)") == filter_oracle.takes_database(lines, database)


def test_pcre_takes_as_many_rules_as_are_allowed() -> None:
    turns = tuple(f"{'!' * (n % 2)}shop{n}.orders{n}*" for n in range(256))
    assert Pcre(expression(read_filter(turns))).finds("shop2.orders2x")
    # As heavy as can be: rules are added until they are refused.
    for part in ("?[!é]", "/(a|[é漢]){1,9}x/", "é漢"):
        most: tuple[str, ...] = ()
        while True:
            try:
                text = expression(read_filter((*most, f"*{part}*.t" if part[0] != "/" else f"{part}.t")))
            except ValueError:
                break
            most = (*most, f"*{part}*.t" if part[0] != "/" else f"{part}.t")
            if len(most) == 256:
                break
        assert len(most) > 30
        Pcre(text if len(most) == 256 else expression(read_filter(most)))


async def test_mydumper_dumps_what_the_rules_say(
    database: Database, object_store: ObjectStore, tmp_path: Path
) -> None:
    there = {
        "Wilde": ["orders", "orders_2", "big one", "é漢"],
        "wild2": ["Orders", "log$1", "x-y"],
        "wíld": ["t", "log"],
        "other": ["orders"],
    }
    statements = []
    for name, tables in there.items():
        statements += [f"CREATE OR REPLACE DATABASE `{name}`"]
        statements += [f"CREATE TABLE `{name}`.`{t}` AS SELECT 1 AS one" for t in tables]
    await database.load(statements)
    rules = (
        "wil*.*",
        "WÍLD.*",
        "!*.log*",
        "!wilde.orders_?",
        r"/^wild\d$/./^LOG.1$/",
        "!wild2.x\\-y",
        "no.*",
    )
    await object_store.create_bucket("filtered")
    settings = DumpSettings(tableFilter=rules)
    worker = backing_up(database, object_store, "filtered", "b.tgz", tmp_path, settings)

    ended = await worker.run()

    assert (ended.code, ended.result.outcome) == (0, Outcome.COMPLETE), ended.log
    assert set(ended.result.databases) == {"Wilde", "wild2", "wíld"}
    listing = await asyncio.to_thread(_tables, await object_store.get("filtered", worker.target.manifest_key))
    assert listing == {
        *("Wilde.orders", "Wilde.big one", "Wilde.é漢", "wild2.Orders", "wild2.log$1", "wíld.t"),
    }
    await database.load([f"DROP DATABASE `{name}`" for name in there])


def _tables(manifest: bytes) -> set[str]:
    names = [file["name"] for file in json.loads(manifest)["files"]]
    return {name.removesuffix("-schema.sql") for name in names if name.endswith("-schema.sql")}
