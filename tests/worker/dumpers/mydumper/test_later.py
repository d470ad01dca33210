"""What mydumper 1.0.1 does otherwise than 0.10, as it was seen to do: names, words, its metadata.

Here is also what worker/dumpers/mydumper/pieces.py promises of it.
"""

import pytest

from tidbbackup.model import reasons
from tidbbackup.worker.database.catalog import Database, Table
from tidbbackup.worker.dumpers.mydumper.completeness import missing_rows
from tidbbackup.worker.dumpers.mydumper.defaults_file import defaults_file
from tidbbackup.worker.dumpers.mydumper.file_names import unsupported_names
from tidbbackup.worker.dumpers.mydumper.hazards import not_transactional
from tidbbackup.worker.dumpers.mydumper.log import MEANINGS
from tidbbackup.worker.dumpers.mydumper.options import Flags
from tidbbackup.worker.dumpers.mydumper.output import MydumperProcess
from tidbbackup.worker.dumpers.mydumper.pieces import Pieces
from tidbbackup.worker.dumpers.mydumper.position import empty_tables, read_position
from tidbbackup.worker.dumpers.mydumper.probe import Program
from tidbbackup.worker.dumpers.verdict import judge
from tidbbackup.worker.staging.closed_files import FileEvent

LATER = Flags(later=True)
METADATA = """# Started dump at: 2026-11-29 03:03:25
[config]
quote-character = BACKTICK

[myloader_session_variables]
SQL_MODE='NO_AUTO_VALUE_ON_ZERO,' /*!40101

[source]
# SOURCE_LOG_FILE = "mysql-bin.000003"
# SOURCE_LOG_POS = 1547
# executed_gtid_set = "0-1-37"

[`shop`.`orders`]
real_table_name=orders
rows = 5

[`shop`.`it``s none`]
real_table_name=it``s none
rows = 0

# Finished dump at: 2026-11-29 03:03:29
"""


@pytest.mark.parametrize(
    ("version", "later"),
    [
        ("mydumper 0.10.0, built against MySQL 10.11.14", False),
        ("mydumper v1.0.1-3, built against MySQL 10.11.11 with SSL support", True),
        ("mydumper v0.16.7-5, built against MySQL 8.0.36", True),
        ("mydumper", False),
    ],
)
def test_it_is_known_by_its_version(version: str, later: bool) -> None:
    assert Program(version, frozenset()).later is later


def test_its_file_names() -> None:
    databases = (Database("shop", (Table("orders"), Table("some-more data"))),)
    assert unsupported_names(databases, LATER) == []
    for name in ("it's", "with.dot", "漢字", "mydumper_1"):
        (problem,) = unsupported_names((Database("shop", (Table(name),)),), LATER)
        assert f"`shop`.`{name}`" in problem
        assert unsupported_names((Database("shop", (Table(name, "VIEW"),)),), LATER) == []
        assert unsupported_names((Database("shop", (Table(name),)),), Flags()) == []
    assert "database `a.b`" in unsupported_names((Database("a.b", (Table("t"),)),), LATER)[0]


def test_its_pieces_keep_their_names() -> None:
    pieces = Pieces(cut_by_size=False)
    for name in ("d.t.00000.sql", "d.t.00000.00001.sql", "d.t.00001.sql"):
        assert pieces.whole(FileEvent(name, closed=False)) == ()
        assert pieces.whole(FileEvent(name, closed=True)) == (name,)
    databases = (Database("d", (Table("t"),)),)
    for name in ("d.t.00000.sql", "d.t.00000.00001.sql", "d.t.00001.sql"):
        assert missing_rows(databases, LATER, {name: 5}, ()) == []


def test_its_metadata() -> None:
    position = read_position(METADATA)
    assert (position.binlog, position.gtid) == ("mysql-bin.000003:1547", "0-1-37")
    assert empty_tables(METADATA) == {"shop.it``s none"}
    assert empty_tables("") == set()


def test_its_words() -> None:
    for words in (
        "Non-InnoDB dump complete, releasing global locks",
        "Transactions started, unlocking tables",
        "Global locks released",
    ):
        process = MydumperProcess()
        process.hear(f"** Message: 03:03:21.303: {words}")
        assert process.unlocking, words
    process = MydumperProcess()
    process.hear("** (mydumper:7): WARNING **: 03:03:21.303: Couldn't get master position")
    failure = judge("mydumper", MEANINGS, 1, process.first_error or process.last_warning)
    assert failure is not None
    assert failure.reason == reasons.GRANTS_MISSING


def test_what_it_is_told() -> None:
    """Its own option of that name would have it write UTF-8 and call it binary."""
    arguments = ("db", 3306, "user", b"secret")
    assert b"default-character-set" in defaults_file(*arguments)
    assert b"default-character-set" not in defaults_file(*arguments, later=True)
    assert not not_transactional([Database("d", (Table("t"), Table("v", "VIEW", None)))])
    assert not_transactional([Database("d", (Table("t"), Table("m", engine="MyISAM")))])
